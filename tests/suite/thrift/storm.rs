//! Edits while everything happens to the server. `FLIPPER_FAULT_SECONDS` says for how long, 3 s unless told.

use std::time::{Duration, Instant};

use flipper_core::FeatureFlagClient;
use flipper_memory::MemoryStore;
use flipper_testkit::{Proxy, Weather};

use super::{hasty, server_of, start};
use crate::edits::{EDITED, Editors};
use crate::mirror::storm::seconds;

/// What was told to be done is there once; what was told not to be is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn edits_that_are_done_are_there_once() {
    let flags = FeatureFlagClient::new(MemoryStore::new());
    flags.create(EDITED).await.unwrap();
    let mut server = start(server_of(&flags)).await;
    let address = server.local_address();
    let proxy = Proxy::start(address).await.unwrap();
    let editors = Editors::start(|| {
        let store = hasty(proxy.address()).connect_lazy().unwrap();
        vec![FeatureFlagClient::builder(store).deadline(Duration::from_secs(3)).build()]
    });
    let end = Instant::now() + seconds();
    let latest = end + Duration::from_secs(30);
    while Instant::now() < end || editors.done() <= 20 && Instant::now() < latest {
        match fastrand::u32(..8) {
            0..=2 => proxy.cut(),
            3 => proxy.set(Weather::Stall),
            4 => proxy.set(Weather::LoseAnswers),
            5 => proxy.set(Weather::LoseRequests),
            6 => proxy.set(Weather::HangUp),
            _ => {
                // In an orderly way, or as one that is killed.
                if fastrand::bool() {
                    server.shutdown(Duration::from_millis(100)).await;
                } else {
                    drop(server);
                }
                tokio::time::sleep(Duration::from_millis(fastrand::u64(..200))).await;
                server = start(server_of(&flags).address(address.to_string())).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(10..700))).await;
        proxy.set(Weather::Fair);
    }
    // What is under way at the server ends, too.
    editors.end(&std::sync::Arc::clone(flags.store())).await;
}
