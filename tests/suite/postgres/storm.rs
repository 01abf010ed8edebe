//! Edits while everything happens to the server. `FLIPPER_FAULT_SECONDS` says for how long, 3 s unless told.

use std::time::{Duration, Instant};

use flipper_core::FeatureFlagClient;
use flipper_testkit::{PostgresServer, Proxy, Weather};

use super::{builder, hasty};
use crate::edits::{EDITED, Editors};
use crate::mirror::storm::seconds;

/// What was told to be done is there once; what was told not to be is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn edits_that_are_done_are_there_once() {
    let mut server = PostgresServer::start(&["fsync=on"]);
    let truth = || builder(&server.url(), "feature_flags").create_table();
    FeatureFlagClient::new(truth().connect().await.unwrap()).create(EDITED).await.unwrap();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let url = server.url_at(proxy.address());
    let editors = Editors::start(|| {
        let store = hasty(&url, "feature_flags").connect_lazy().unwrap();
        vec![FeatureFlagClient::builder(store).deadline(Duration::from_secs(3)).build()]
    });
    let end = Instant::now() + seconds();
    let latest = end + Duration::from_secs(30);
    while Instant::now() < end || editors.done() <= 20 && Instant::now() < latest {
        match fastrand::u32(..10) {
            0..=2 => proxy.cut(),
            3 => proxy.set(Weather::Stall),
            4 => proxy.set(Weather::LoseAnswers),
            5 => proxy.set(Weather::LoseRequests),
            6 => proxy.set(Weather::HangUp),
            7 => {
                server.pause();
                tokio::time::sleep(Duration::from_millis(fastrand::u64(..700))).await;
                server.resume();
            }
            8 if fastrand::bool() => server.restart(),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(10..700))).await;
        proxy.set(Weather::Fair);
    }
    let truth = builder(&server.url(), "feature_flags").connect().await.unwrap();
    // What was stalled may land even now.
    tokio::time::sleep(Duration::from_millis(700)).await;
    editors.end(&truth).await;
}
