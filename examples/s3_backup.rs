//! Flags in Redis, with a copy in S3: Redis loses its data, checks go on from the copy, and Redis is filled again.
//!
//! ```sh
//! docker compose up -d --wait redis s3         # or any other servers, see below
//! cargo run --example s3_backup
//! ```
//!
//! `REDIS_URL` says where Redis is, `redis://127.0.0.1` unless it is set. `AWS_ENDPOINT_URL` says where S3 is,
//! `http://127.0.0.1:9000` unless it is set, and `AWS_REGION`, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` who asks.

use std::env::var;

use flipper::{
    Error, ErrorKind, Expect, FeatureFlagClient, FlagName, Listed, MirrorStore, Page, RedisStore, S3Store,
    Store, ctx,
};
use futures_lite::StreamExt;

const BUCKET: &str = "flipper-example-backup";
const FLAGS: [&str; 3] = ["EXAMPLE_SEARCH", "EXAMPLE_BANNER", "EXAMPLE_CHECKOUT"];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redis = var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    let hot = RedisStore::builder(&redis).base_key("example-s3-backup").connect().await?;
    let cold = S3Store::new(flipper_examples::s3(BUCKET).await, BUCKET);
    println!("the S3 server: {:?}", cold.check_conditions().await?);

    let client = FeatureFlagClient::new(hot);
    for name in FLAGS {
        client.create(name).await?.enable().await?;
    }
    println!("{} flags copied to S3", copy(client.store(), &cold).await?);

    // Redis loses them: no event, and nobody to ask.
    for name in FLAGS {
        client.store().delete(FlagName::new(name)?, Expect::Any).await?;
    }
    println!("in Redis, {} exists: {}", FLAGS[0], client.exists(FLAGS[0]).await?);

    // A service that starts now takes its flags from the copy, and checks as fast as always.
    let emergency = FeatureFlagClient::new(MirrorStore::start(cold).await?);
    assert!(emergency.local()?.is_enabled(FLAGS[0], &ctx! {}));
    println!("from the copy, {} is on", FLAGS[0]);

    println!("{} flags restored", copy(emergency.store(), client.store()).await?);
    assert!(client.is_enabled(FLAGS[0], &ctx! {}).await);
    for name in FLAGS {
        client.destroy(name).await?;
        emergency.destroy(name).await?;
    }
    emergency.close().await?;
    client.close().await?;
    Ok(())
}

/// Copies all flags that the other store does not have; returns how many.
async fn copy(from: &dyn Store, to: &dyn Store) -> Result<usize, Error> {
    let mut count = 0;
    let mut flags = from.list(Page::ALL);
    while let Some(listed) = flags.next().await {
        match listed? {
            Listed::Flag(found) => match to.put(&found.value, Expect::Absent).await {
                Ok(_) => count += 1,
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    println!("{} is there", found.value.name());
                }
                Err(error) => return Err(error),
            },
            Listed::Bad { name, error, .. } => println!("{name:?} is left out: {error}"),
            other => println!("{other:?}"),
        }
    }
    Ok(count)
}
