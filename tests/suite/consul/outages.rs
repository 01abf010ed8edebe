//! What happens to the agent, and what checks answer meanwhile.

use flipper_core::{ErrorKind, FeatureFlagClient, Freshness, LocalClient, StaleCause};
use flipper_testkit::{ConsulServer, Proxy, Weather};

use super::*;

async fn followed(server: &ConsulServer) -> (Proxy, FeatureFlagClient, LocalClient) {
    let proxy = Proxy::start(server.address()).await.unwrap();
    let client = FeatureFlagClient::new(hasty(&proxy.address().to_string()).connect().await.unwrap());
    for name in ["X", "Y"] {
        client.create(name).await.unwrap().enable().await.unwrap();
    }
    let local = client.local().unwrap();
    (proxy, client, local)
}

fn all_on(local: &LocalClient) -> bool {
    ["X", "Y"].iter().all(|name| local.is_enabled(name, &Context::EMPTY))
}

fn is_stale(local: &LocalClient, wanted: StaleCause) -> bool {
    matches!(local.freshness(), Freshness::Stale { cause, .. } if cause == wanted)
}

async fn live(local: &LocalClient) {
    until("live", SOON, || local.freshness() == Freshness::Live).await;
}

#[tokio::test]
async fn an_agent_that_is_killed_and_comes_back() {
    let mut server = ConsulServer::start(&[]);
    let (_proxy, client, local) = followed(&server).await;
    server.kill();
    until("stale", SOON, || is_stale(&local, StaleCause::Unavailable)).await;
    assert!(all_on(&local));
    let error = client.disable("X").await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    server.restart();
    live(&local).await;
    assert!(all_on(&local));
    client.disable("X").await.unwrap();
    assert!(!local.is_enabled("X", &Context::EMPTY));
    client.enable("X").await.unwrap();
    // Without its data: nothing of that is believed, until there is a flag.
    server.restart_empty();
    until("emptied", SOON, || is_stale(&local, StaleCause::Emptied)).await;
    assert!(all_on(&local));
    client.create("Z").await.unwrap();
    live(&local).await;
    assert!(!local.is_enabled("X", &Context::EMPTY));
}

/// As an application that was stopped for a while: it has not seen the agent go, and what it asks is about what the agent no longer has.
#[tokio::test]
async fn an_agent_that_has_lost_its_data_while_nobody_looked() {
    let mut server = ConsulServer::start(&[]);
    let (_proxy, client, local) = followed(&server).await;
    for _ in 0..10 {
        client.disable("X").await.unwrap();
        client.enable("X").await.unwrap();
    }
    // This thread is blocked, and with it all that is going on in the store, and in the proxy.
    server.kill();
    server.restart_empty();
    until("emptied", SOON, || is_stale(&local, StaleCause::Emptied)).await;
    assert!(all_on(&local));
    Cli::new(&server).set("features/Z", record(true)).await;
    live(&local).await;
    assert!(local.is_enabled("Z", &Context::EMPTY) && !local.is_enabled("X", &Context::EMPTY));
}

#[tokio::test]
async fn an_agent_that_hangs_and_a_wire_that_is_cut() {
    let server = ConsulServer::start(&[]);
    let (proxy, _client, local) = followed(&server).await;
    server.pause();
    until("stale", SOON, || is_stale(&local, StaleCause::Unavailable)).await;
    assert!(all_on(&local));
    server.resume();
    live(&local).await;
    for weather in [Weather::Stall, Weather::LoseAnswers, Weather::LoseRequests, Weather::HangUp] {
        proxy.set(weather);
        proxy.cut();
        until("stale", SOON, || is_stale(&local, StaleCause::Unavailable)).await;
        assert!(all_on(&local));
        proxy.set(Weather::Fair);
        live(&local).await;
        assert!(all_on(&local), "{weather:?}");
    }
    // Half a wire: nothing that is sent from here on is answered, and nobody says so.
    proxy.set(Weather::LoseAnswers);
    until("stale", SOON, || is_stale(&local, StaleCause::Unavailable)).await;
    proxy.set(Weather::Fair);
    live(&local).await;
}

#[tokio::test]
async fn a_write_without_an_answer_may_have_happened() {
    let server = ConsulServer::start(&[]);
    let (proxy, client, _) = followed(&server).await;
    proxy.set(Weather::LoseAnswers);
    let start = std::time::Instant::now();
    let flag = crate::mirror::storm::state("X", 2);
    let error = client.store().put(&flag, flipper_core::Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(10));
    proxy.set(Weather::HangUp);
    proxy.cut();
    let error = client.store().put(&flag, flipper_core::Expect::Any).await.unwrap_err();
    assert!(error.is_retryable() || error.kind() == ErrorKind::OutcomeUnknown, "{error:?}");
}

#[tokio::test]
async fn without_an_agent_a_start_says_why_or_answers_what_was_last_known() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("flags.good");
    let mut server = ConsulServer::start(&[]);
    let builder = |server: &ConsulServer| hasty(&server.url()).start_timeout(Duration::from_millis(800));
    let client = FeatureFlagClient::new(builder(&server).last_known_good(&path).connect().await.unwrap());
    for name in ["X", "Y"] {
        client.create(name).await.unwrap().enable().await.unwrap();
    }
    client.close().await.unwrap();
    server.kill();
    let error = builder(&server).connect().await.unwrap_err();
    assert_eq!((error.kind(), error.store()), (ErrorKind::Unavailable, Some("consul")), "{error:?}");
    assert!(error.message().contains("there is no agent"), "{error}");
    let store = builder(&server).last_known_good(&path).connect().await.unwrap();
    assert_eq!(is_on(&store, "X"), Some(true));
    assert!(matches!(store.freshness(), Freshness::Stale { cause: StaleCause::LastKnownGood, .. }));
    server.restart();
    until("live", SOON, || store.freshness() == Freshness::Live).await;
}
