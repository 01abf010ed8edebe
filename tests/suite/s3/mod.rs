//! The S3 store against two servers, with a real peer, and in bad weather.

mod conditions;
mod editors;
mod errors;
mod follow;
mod impostors;
mod listing;
mod python;
mod rights;
mod storm;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flipper_core::{BoxStream, Change, Error, Page, Result, Store};
use flipper_s3::S3Store;
use flipper_s3::aws_sdk_s3::Client;
use flipper_testkit::{S3Failure, S3Server, collect, next};

use crate::records::{flag, name, names, number, put, watch};

const BUCKET: &str = "flags";

/// A server with an empty bucket.
fn server() -> S3Server {
    let server = S3Server::start();
    server.create_bucket(BUCKET);
    server
}

/// A bucket of its own, on the server of those tests that do not disturb it.
fn bucket() -> (&'static S3Server, String) {
    static SERVER: OnceLock<S3Server> = OnceLock::new();
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(S3Server::start);
    let bucket = format!("bucket-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    server.create_bucket(&bucket);
    (server, bucket)
}

/// A store that finds out soon what is told and what is not.
fn hasty(client: Client) -> S3Store {
    let builder = S3Store::builder(client, BUCKET).poll_interval(Duration::from_millis(20));
    builder.timeout(Duration::from_secs(2)).build().unwrap()
}

/// Puts any bytes at a key, as somebody else does.
async fn plant(client: &Client, bucket: &str, key: &str, body: impl AsRef<[u8]>) {
    let put = client.put_object().bucket(bucket).key(key).body(body.as_ref().to_vec().into());
    put.send().await.unwrap();
}

/// The next change, in words.
async fn told(changes: &mut BoxStream<'static, Change>) -> String {
    match next(changes).await.expect("the watch goes on") {
        Change::Resync { cause } => format!("resync {cause:?}"),
        Change::Put(found) => {
            format!("put {} {}", found.value.name(), found.value.created_date().unwrap_or_default())
        }
        Change::Touched { name } => format!("touched {name}"),
        Change::Deleted { name, .. } => format!("deleted {name}"),
        Change::Bad { name, .. } => format!("bad {name}"),
        Change::Down { error } => format!("down {}", error.kind()),
        other => format!("{other:?}"),
    }
}

/// An answer of a server that fails.
fn failure(status: u16, code: &str) -> S3Failure {
    S3Failure { status, code: code.to_owned(), ..S3Failure::default() }
}

/// The error of a call that has to end soon.
async fn fails<T>(call: impl Future<Output = Result<T>>) -> Error {
    match tokio::time::timeout(Duration::from_secs(20), call).await.expect("the call does not end in time") {
        Ok(_) => panic!("the call has succeeded"),
        Err(error) => error,
    }
}

/// The error with which a listing ends.
async fn listing_fails(store: &impl Store) -> Error {
    fails(async { collect(store.list(Page::ALL)).await.pop().expect("an item") }).await
}
