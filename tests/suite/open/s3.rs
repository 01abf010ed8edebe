//! Buckets: where region, server and credentials come from.

use std::fs;
use std::path::Path;

use flipper_core::{Page, Store};
use flipper_s3::S3Store;
use flipper_testkit::{MotoServer, S3Server, s3_config};

use super::process::{opens, told};
use crate::records::names;

/// A bucket on a server of its own.
pub(super) struct Bucket {
    pub(super) server: S3Server,
}

pub(super) fn bucket() -> Bucket {
    let server = S3Server::start();
    server.create_bucket("flags");
    Bucket { server }
}

impl Bucket {
    /// The address, with further parameters.
    pub(super) fn address(&self, parameters: &str) -> String {
        format!("s3://flags?endpoint={}&path_style{parameters}", self.server.url())
    }

    /// The environment of somebody who may do everything.
    pub(super) fn keys(&self) -> Vec<(String, String)> {
        let (access_key, secret_key) = self.server.keys();
        environment(&[("AWS_ACCESS_KEY_ID", access_key), ("AWS_SECRET_ACCESS_KEY", secret_key)])
    }
}

fn environment(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn write(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_are_where_the_address_says() {
    let bucket = bucket();
    let at = |path: &str, parameters: &str| {
        let endpoint = bucket.server.url().replace(':', "%3A").replace('/', "%2F");
        format!("s3://flags{path}?endpoint={endpoint}&path_style=true{parameters}")
    };
    for (address, prefix) in [
        (at("", ""), ""),
        (at("/shop/flags", ""), "shop/flags/"),
        (at("/a%20b/", ""), "a b/"),
        (at("", "&base_key=c/d"), "c/d/"),
        (at("", "&prefix=e-"), "e-"),
    ] {
        opens(&address, &bucket.keys(), "X is on, asked");
        let store = S3Store::builder(bucket.server.client(), "flags").prefix(prefix).build().unwrap();
        assert!(store.get(crate::records::name("X")).await.unwrap().is_some(), "{address}");
    }
    let all = S3Store::new(bucket.server.client(), "flags");
    let (flags, others) = names(&all, Page::ALL).await;
    let mut keys = [flags, others].concat();
    keys.sort();
    assert_eq!(keys, ["X", "a b/X", "c/d/X", "e-X", "shop/flags/X"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_found_where_the_programs_of_aws_find_them() {
    let bucket = bucket();
    let (access_key, secret_key) = bucket.server.keys();
    let directory = tempfile::tempdir().unwrap();
    let pair = format!("aws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n");
    let wrong = "aws_access_key_id = AKIAWRONG\naws_secret_access_key = wrong\n";
    let credentials = format!("[default]\n{wrong}[flags]\n{pair}");
    let credentials = write(directory.path(), "credentials", &credentials);
    let keys =
        format!(r#"{{"Version": 1, "AccessKeyId": "{access_key}", "SecretAccessKey": "{secret_key}"}}"#);
    let keys = write(directory.path(), "keys", &keys);
    let config = write(
        directory.path(),
        "config",
        &format!(
            "[profile flags]\nregion = eu-west-1\nendpoint_url = {}\n[profile process]\ncredential_process = cat {keys}\n",
            bucket.server.url()
        ),
    );
    let files = environment(&[("AWS_SHARED_CREDENTIALS_FILE", &credentials), ("AWS_CONFIG_FILE", &config)]);
    let chosen = environment(&[("AWS_PROFILE", "flags")]);

    opens(&bucket.address(""), &bucket.keys(), "X is on, asked");
    opens(&bucket.address("&profile=flags"), &files, "X is on, asked");
    opens(&bucket.address(""), &[files.clone(), chosen.clone()].concat(), "X is on, asked");
    opens(&bucket.address("&profile=process"), &files, "X is on, asked");
    // The server and the region too.
    opens("s3://flags?path_style", &[files.clone(), chosen].concat(), "X is on, asked");
    let server = environment(&[("AWS_ENDPOINT_URL", &bucket.server.url()), ("AWS_REGION", "eu-west-1")]);
    opens("s3://flags?path_style", &[bucket.keys(), server].concat(), "X is on, asked");

    let error = told(&bucket.address(""), &files);
    assert!(error.starts_with("PermissionDenied: the credentials "), "{error}");
    let error = told(&bucket.address(""), &[]);
    assert_eq!(error, "PermissionDenied: the client has no credentials, or could not load them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_has_credentials_of_its_own() {
    // It also serves credentials over HTTP, in the form in which those of containers come.
    let server = MotoServer::start();
    let client = flipper_s3::aws_sdk_s3::Client::from_conf(s3_config(&server.url(), "any", "any").build());
    client.create_bucket().bucket("flags").send().await.unwrap();
    let role = format!("{}/latest/meta-data/iam/security-credentials/default-role", server.url());
    let there = environment(&[("AWS_ENDPOINT_URL", &server.url())]);
    let container = environment(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &role)]);
    opens("s3://flags?path_style", &[there.clone(), container].concat(), "X is on, asked");
    let error = told("s3://flags?path_style", &there);
    assert!(error.starts_with("PermissionDenied: the client has no credentials"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_or_wrong_is_told_when_it_is_opened() {
    let bucket = bucket();
    let keys = bucket.keys();
    let error = told("s3://flags", &keys);
    assert!(
        error.starts_with("InvalidInput: the region of the bucket is not known: write `region=…`"),
        "{error}"
    );
    let error = told(&bucket.address("").replace("flags", "flaws"), &keys);
    assert_eq!(error, "InvalidInput: there is no such bucket: create it, or correct its name");
    let nobody = "s3://flags?endpoint=http://127.0.0.1:1&path_style&connect_timeout=0.5";
    let error = told(nobody, &keys);
    assert!(error.starts_with("Unavailable: there is no server"), "{error}");
    let error = told("s3://flags?endpoint=http://me:hunter2@127.0.0.1", &keys);
    assert!(error.starts_with("InvalidInput: `endpoint` is the address of a server"), "{error}");
    assert!(!error.contains("hunter2"));
    let error = told("s3://AKIA:hunter2@flags", &keys);
    assert!(error.starts_with("InvalidInput: an address of S3 has no credentials"), "{error}");
    assert!(error.contains("AWS_ACCESS_KEY_ID") && !error.contains("hunter2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_ends_within_the_timeout_of_the_address() {
    let bucket = bucket();
    bucket.server.hold("ListObjectsV2", std::time::Duration::from_secs(30));
    let start = std::time::Instant::now();
    let error = told(&bucket.address("&timeout=0.5"), &bucket.keys());
    assert!(error.starts_with("Unavailable: "), "{error}");
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
}
