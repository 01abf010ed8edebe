//! Reads at full speed, and edits, while everything happens to the server. `FLIPPER_FAULT_SECONDS` says for how long, 3 s unless told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use flipper_core::{Expect, FeatureFlagClient, Store};
use flipper_mirror::MirrorStore;
use flipper_s3::S3Store;
use flipper_s3::aws_sdk_s3::Client;
use flipper_testkit::{Proxy, S3Server, Weather, s3_config};

use super::{BUCKET, failure, server};
use crate::edits::{EDITED, Editors};
use crate::mirror::storm::{FLAGS, ends_with, name, read, seconds, state};

/// A store that finds out soon that nothing gets through.
fn through(server: &S3Server, proxy: &Proxy) -> S3Store {
    let (access_key, secret_key) = server.keys();
    let config = s3_config(&format!("http://{}", proxy.address()), access_key, secret_key);
    let builder = S3Store::builder(Client::from_conf(config.build()), BUCKET);
    builder.poll_interval(Duration::from_millis(50)).timeout(Duration::from_millis(500)).build().unwrap()
}

/// Does something bad to the server, and something else, and ends with fair weather: when the time is up, and enough has been done in it.
async fn disturb(server: &S3Server, proxy: &Proxy, may_empty: bool, is_enough: impl Fn() -> bool) {
    let end = Instant::now() + seconds();
    let latest = end + Duration::from_secs(30);
    while Instant::now() < end || !is_enough() && Instant::now() < latest {
        let operations = ["GetObject", "PutObject", "DeleteObject", "ListObjectsV2"];
        let operation = operations[fastrand::usize(..operations.len())];
        match fastrand::u32(..12) {
            0..=2 => proxy.cut(),
            3 => proxy.set(Weather::Stall),
            4 => proxy.set(Weather::LoseAnswers),
            5 => proxy.set(Weather::LoseRequests),
            6 => proxy.set(Weather::HangUp),
            7 => server.fail(operation, 5, &failure(503, "SlowDown")),
            8 => {
                let mut lost = failure(500, "InternalError");
                lost.is_done = fastrand::bool();
                server.fail(operation, 5, &lost);
            }
            9 => server.fail(operation, 5, &failure(403, "ExpiredToken")),
            10 if may_empty => {
                let s3 = server.client();
                for number in 0..FLAGS {
                    let _ = s3.delete_object().bucket(BUCKET).key(name(number)).send().await;
                }
            }
            _ => server.fail("PutObject", 3, &failure(409, "ConditionalRequestConflict")),
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(10..700))).await;
        proxy.set(Weather::Fair);
    }
    server.mend();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checks_go_on_and_end_with_the_truth() {
    let server = server();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let client = FeatureFlagClient::new(MirrorStore::start(through(&server, &proxy)).await.unwrap());
    let local = client.local().unwrap();
    let (last, is_over) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let reader = {
        let (local, last, is_over) = (local.clone(), Arc::clone(&last), Arc::clone(&is_over));
        std::thread::spawn(move || read(&local, &last, &is_over))
    };
    let writer = {
        let store = super::hasty(server.client());
        let (last, is_over) = (Arc::clone(&last), Arc::clone(&is_over));
        tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let number = last.fetch_add(1, Ordering::SeqCst) + 1;
                let of = name(fastrand::usize(..FLAGS));
                let _ = store.put(&state(&of, number), Expect::Any).await;
                tokio::time::sleep(Duration::from_micros(fastrand::u64(..20_000))).await;
            }
        })
    };
    disturb(&server, &proxy, true, || true).await;
    is_over.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let reads = reader.join().unwrap();
    // With a flag in it, the store is believed.
    let truth = super::hasty(server.client());
    let number = last.fetch_add(1, Ordering::SeqCst) + 1;
    truth.put(&state("F0", number), Expect::Any).await.unwrap();
    ends_with(&local, &truth).await;
    println!("{reads} reads, {} writes", last.load(Ordering::SeqCst));
}

/// What was told to be done is there once; what was told not to be is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn edits_that_are_done_are_there_once() {
    let server = server();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let truth = super::hasty(server.client());
    FeatureFlagClient::new(super::hasty(server.client())).create(EDITED).await.unwrap();
    let editors = Editors::start(|| {
        // Many, as each has to find out by itself what the server makes of conditions.
        let fresh = |_| {
            let store = through(&server, &proxy);
            FeatureFlagClient::builder(store).deadline(Duration::from_secs(3)).build()
        };
        (0..20).map(fresh).collect()
    });
    disturb(&server, &proxy, false, || editors.done() > 20).await;
    editors.end(&truth).await;
}
