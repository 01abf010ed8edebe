//! The examples of flipper. Each is a program of its own: `cargo run --example quickstart`.

use std::env::var;

use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region};

/// Makes a client of the S3 server that the environment tells of, and a bucket there. An application would take the client that
/// `aws_config::load_defaults(BehaviorVersion::latest())` gives.
pub async fn s3(bucket: &str) -> aws_sdk_s3::Client {
    let or = |name: &str, default: &str| var(name).unwrap_or_else(|_| default.to_owned());
    let keys = (or("AWS_ACCESS_KEY_ID", "flipper"), or("AWS_SECRET_ACCESS_KEY", "flipper-development"));
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(or("AWS_REGION", "us-east-1")))
        .endpoint_url(or("AWS_ENDPOINT_URL", "http://127.0.0.1:9000"))
        .force_path_style(true)
        .credentials_provider(Credentials::new(keys.0, keys.1, None, None, "environment"))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    let s3 = aws_sdk_s3::Client::from_conf(config.build());
    // It may be there already.
    let _ = s3.create_bucket().bucket(bucket).send().await;
    s3
}
