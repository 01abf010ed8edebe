//! The S3 store against what it is made of: a listing against reading one object after the other, and against the requests that it
//! cannot do without.
//!
//! The server runs in this process, and answers each request 5 ms later, as from not far away.

#![allow(clippy::unwrap_used, clippy::panic, clippy::similar_names, unreachable_pub, reason = "a benchmark")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use flipper_bench::{Bars, median, record, rounds};
use flipper_core::{Flag, Page, Store};
use flipper_s3::S3Store;
use flipper_s3::aws_sdk_s3::Client;
use flipper_testkit::{S3Server, collect};

const BUCKET: &str = "flags";
const FLAGS: usize = 1_000;
const DELAY: Duration = Duration::from_millis(5);

#[tokio::main]
async fn main() -> ExitCode {
    let mut bars = Bars::new();
    let server = S3Server::start();
    server.create_bucket(BUCKET);
    let s3 = server.client();
    for name in flipper_bench::names(FLAGS) {
        let put = s3
            .put_object()
            .bucket(BUCKET)
            .key(&*name)
            .body(record(&name, true).as_json().as_bytes().to_vec().into());
        put.send().await.unwrap();
    }
    for operation in ["GetObject", "ListObjectsV2"] {
        server.hold(operation, DELAY);
    }
    let (mut sequential, mut ours, mut bare, mut again) = (vec![], vec![], vec![], vec![]);
    // One takes half a minute for what the others do at once.
    for _ in 0..rounds().div_ceil(5) {
        let start = Instant::now();
        assert_eq!(one_by_one(&s3).await, FLAGS);
        sequential.push(start.elapsed().as_secs_f64() * 1e3);

        let store = S3Store::new(server.client(), BUCKET);
        let start = Instant::now();
        assert_eq!(collect(store.list(Page::ALL)).await.len(), FLAGS);
        ours.push(start.elapsed().as_secs_f64() * 1e3);

        for _ in 0..5 {
            let start = Instant::now();
            assert_eq!(keys(&s3).await.len(), FLAGS);
            bare.push(start.elapsed().as_secs_f64() * 1e3);
            let start = Instant::now();
            assert_eq!(collect(store.list(Page::ALL)).await.len(), FLAGS);
            again.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let [sequential, ours, bare, again] = [sequential, ours, bare, again].map(median);
    println!("{FLAGS} flags, each request {DELAY:?} later, medians in ms:");
    println!("  one after the other {sequential:.0}, listed {ours:.0}");
    bars.at_least("s3.list.1000", sequential / ours, 8.0);
    println!("  nothing has changed: LIST alone {bare:.1}, listed {again:.1}");
    bars.at_most("s3.list.unchanged", again / bare, 1.3);
    bars.finish()
}

async fn keys(s3: &Client) -> Vec<String> {
    let listed = s3.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
}

/// As flipper-client lists.
async fn one_by_one(s3: &Client) -> usize {
    let mut flags = Vec::new();
    for key in keys(s3).await {
        let got = s3.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        flags.push(Flag::from_json(&got.body.collect().await.unwrap().to_vec()).unwrap());
    }
    flags.len()
}
