//! Three servers, and what happens when the one that leads is gone.

use std::time::Instant;

use flipper_consul::Consistency;
use flipper_core::{FeatureFlagClient, Freshness};
use flipper_testkit::ConsulServer;

use super::*;

/// Who leads.
async fn leader(servers: &[ConsulServer]) -> usize {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(at) = servers.iter().position(ConsulServer::leads) {
            return at;
        }
        assert!(Instant::now() < deadline, "no leader");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_on_and_writes_recover_when_the_leader_is_killed() {
    let mut servers = ConsulServer::cluster(3, &[]);
    let at = leader(&servers).await;
    // One that follows, and so has to pass on what it is asked.
    let other = (at + 1) % 3;
    let store = hasty(&servers[other].url()).timeout(Duration::from_secs(3)).connect().await.unwrap();
    let stale = hasty(&servers[other].url()).consistency(Consistency::Stale).connect().await.unwrap();
    let client = FeatureFlagClient::builder(store).deadline(Duration::from_secs(5)).build();
    for name in ["X", "Y"] {
        client.create(name).await.unwrap().enable().await.unwrap();
    }
    let local = client.local().unwrap();
    until("seen by the other", SOON, || is_on(&stale, "Y") == Some(true)).await;

    servers[at].kill();
    let killed = Instant::now();
    let mut failures = 0;
    // Retryably, in bounded time, until there is a new leader.
    loop {
        assert!(["X", "Y"].iter().all(|name| local.is_enabled_or(name, &Context::EMPTY, false)));
        assert_eq!(is_on(&stale, "X"), Some(true));
        let start = Instant::now();
        match client.set_client_data("X", serde_json::json!({"n": failures}).as_object().unwrap()).await {
            Ok(()) => break,
            Err(error) => assert!(
                error.is_retryable() || error.kind() == flipper_core::ErrorKind::OutcomeUnknown,
                "{error:?}"
            ),
        }
        failures += 1;
        assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
        assert!(killed.elapsed() < Duration::from_secs(40), "no new leader");
    }
    until("live", Duration::from_secs(10), || local.freshness() == Freshness::Live).await;
    client.disable("X").await.unwrap();
    assert!(!local.is_enabled("X", &Context::EMPTY));
    until("seen by the other", Duration::from_secs(10), || is_on(&stale, "X") == Some(false)).await;
    assert_eq!(client.get_client_data("X").await.unwrap()["n"], failures);
}
