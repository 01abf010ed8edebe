//! What happens to the server, and what checks answer meanwhile.

use std::time::Duration;

use flipper_core::{Context, ErrorKind, FeatureFlagClient, Freshness, LocalClient, StaleCause, Store};
use flipper_mirror::MirrorStore;
use flipper_redis::{RedisStore, redis};
use flipper_testkit::{Proxy, RedisServer, Weather};
use futures_lite::StreamExt;

use super::until;

/// Two seconds are what is promised, on a machine that has nothing else to do.
const SOON: Duration = Duration::from_secs(3);

/// A mirror with two flags that are on, behind a proxy.
async fn mirrored(server: &RedisServer) -> (Proxy, FeatureFlagClient, LocalClient) {
    let proxy = Proxy::start(server.address()).await.unwrap();
    let limit = Duration::from_millis(500);
    let builder = RedisStore::builder(&format!("redis://{}", proxy.address()));
    let store = builder.timeout(limit).connect_timeout(limit).connect().await.unwrap();
    let client = FeatureFlagClient::new(MirrorStore::start(store).await.unwrap());
    for name in ["X", "Y"] {
        client.create(name).await.unwrap().enable().await.unwrap();
    }
    let local = client.local().unwrap();
    (proxy, client, local)
}

fn is_on(local: &LocalClient) -> bool {
    ["X", "Y"].iter().all(|name| local.is_enabled(name, &Context::EMPTY))
}

fn is_stale(local: &LocalClient, wanted: StaleCause) -> bool {
    matches!(local.freshness(), Freshness::Stale { cause, .. } if cause == wanted)
}

fn is_live(local: &LocalClient) -> bool {
    local.freshness() == Freshness::Live
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_with_its_data() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let (_proxy, client, local) = mirrored(&server).await;
    server.kill();
    until("stale", SOON, || is_stale(&local, StaleCause::Unavailable)).await;
    assert!(is_on(&local));
    let error = client.disable("X").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    server.restart();
    until("live", SOON, || is_live(&local)).await;
    assert!(is_on(&local));
    client.disable("X").await.unwrap();
    assert!(!local.is_enabled("X", &Context::EMPTY), "a write is there when it returns");
}

#[tokio::test]
async fn who_listens_hears_how_old_the_flags_are() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = MirrorStore::start(RedisStore::connect(&server.url()).await.unwrap()).await.unwrap();
    let mut changes = Box::pin(store.freshness_changes());
    let mut next = async || tokio::time::timeout(SOON, changes.next()).await.unwrap();
    assert_eq!(next().await, Some(Freshness::Live));
    server.kill();
    assert!(matches!(next().await, Some(Freshness::Stale { cause: StaleCause::Unavailable, .. })));
    server.restart();
    assert_eq!(next().await, Some(Freshness::Live));
    drop(store);
    assert!(matches!(next().await, Some(Freshness::Stale { .. })), "nobody follows it any more");
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn a_server_that_comes_back_without_its_data_turns_nothing_off() {
    let mut server = RedisServer::start(&[]);
    let (_proxy, client, local) = mirrored(&server).await;
    server.restart();
    until("emptied", SOON, || is_stale(&local, StaleCause::Emptied)).await;
    assert!(is_on(&local));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(is_on(&local) && is_stale(&local, StaleCause::Emptied));
    // A flag is there again: so the store is meant to be as it is.
    client.create("Z").await.unwrap();
    until("believed", SOON, || is_live(&local)).await;
    assert!(!local.is_enabled("X", &Context::EMPTY));
    assert!(local.snapshot().get("Z").is_some());
}

#[tokio::test]
async fn a_flush_turns_nothing_off_until_it_is_accepted() {
    let server = RedisServer::start(&[]);
    // By somebody else, and before: the notice of a write that comes after the flush is about a flag that is gone.
    let before = FeatureFlagClient::new(RedisStore::connect(&server.url()).await.unwrap());
    for name in ["X", "Y"] {
        before.create(name).await.unwrap().enable().await.unwrap();
    }
    let store = MirrorStore::start(RedisStore::connect(&server.url()).await.unwrap()).await.unwrap();
    let store = std::sync::Arc::new(store);
    let client = FeatureFlagClient::new(store.clone());
    let local = client.local().unwrap();
    let connection = redis::Client::open(server.url()).unwrap();
    let mut connection = connection.get_multiplexed_async_connection().await.unwrap();
    let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    until("emptied", SOON, || is_stale(&local, StaleCause::Emptied)).await;
    assert!(is_on(&local));
    store.accept_empty();
    assert!(is_live(&local) && local.snapshot().is_empty());
    // Deleted one by one, they are gone without a question.
    for name in ["X", "Y"] {
        client.create(name).await.unwrap();
    }
    let () = redis::cmd("DEL").arg(&["features/X", "features/Y"]).query_async(&mut connection).await.unwrap();
    until("deleted", SOON, || local.snapshot().is_empty()).await;
    assert!(is_live(&local));
}

#[tokio::test]
async fn a_server_that_hangs_and_a_wire_that_is_cut() {
    let server = RedisServer::start(&[]);
    let (proxy, client, local) = mirrored(&server).await;
    server.pause();
    until("stale", SOON, || is_stale(&local, StaleCause::Unavailable)).await;
    assert!(is_on(&local));
    server.resume();
    until("live", SOON, || is_live(&local)).await;
    for weather in [Weather::Stall, Weather::LoseAnswers, Weather::LoseRequests, Weather::HangUp] {
        proxy.set(weather);
        proxy.cut();
        until("stale", SOON, || is_stale(&local, StaleCause::Unavailable)).await;
        assert!(is_on(&local));
        proxy.set(Weather::Fair);
        until("live", SOON, || is_live(&local)).await;
        assert!(is_on(&local), "{weather:?}");
    }
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_record_that_goes_bad_keeps_its_last_good_state() {
    let server = RedisServer::start(&[]);
    let (_proxy, _client, local) = mirrored(&server).await;
    let connection = redis::Client::open(server.url()).unwrap();
    let mut connection = connection.get_multiplexed_async_connection().await.unwrap();
    let () = redis::cmd("SET").arg("features/X").arg("{").query_async(&mut connection).await.unwrap();
    let freshness = || local.evaluate("X", &Context::EMPTY, false).freshness;
    until("marked", SOON, || matches!(freshness(), Freshness::Stale { cause: StaleCause::Corrupt, .. }))
        .await;
    assert!(is_on(&local) && is_live(&local));
    let () = redis::cmd("DEL").arg("features/X").query_async(&mut connection).await.unwrap();
    until("deleted", SOON, || !local.is_enabled("X", &Context::EMPTY)).await;
    assert_eq!(freshness(), Freshness::Live);
}

#[tokio::test]
async fn without_a_server_a_start_fails_with_the_cause() {
    let mut server = RedisServer::start(&[]);
    server.kill();
    let store = RedisStore::builder(&server.url()).connect_lazy().unwrap();
    let builder = MirrorStore::builder(store).start_timeout(Duration::from_millis(500));
    let error = builder.start().await.unwrap_err();
    assert_eq!((error.kind(), error.store()), (ErrorKind::Unavailable, Some("redis")), "{error:?}");
    assert!(error.message().starts_with("nothing was loaded within 500ms: 127.0.0.1:"), "{error}");

    let store =
        MirrorStore::builder(RedisStore::builder(&server.url()).connect_lazy().unwrap()).start_unready();
    assert_eq!(store.freshness(), Freshness::NeverLoaded);
    server.restart();
    tokio::time::timeout(SOON, store.ready()).await.unwrap();
    assert_eq!(store.freshness(), Freshness::Live);
    assert!(store.snapshot().unwrap().is_empty());
}

#[tokio::test]
async fn without_a_server_the_last_known_good_state_answers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("flags.good");
    let mut server = RedisServer::start(&[]);
    let start = async |server: &RedisServer| {
        let store = RedisStore::builder(&server.url()).connect_lazy().unwrap();
        let builder =
            MirrorStore::builder(store).start_timeout(Duration::from_millis(800)).last_known_good(&path);
        FeatureFlagClient::new(builder.start().await.unwrap())
    };
    let client = start(&server).await;
    for name in ["X", "Y"] {
        client.create(name).await.unwrap().enable().await.unwrap();
    }
    client.close().await.unwrap();
    server.kill();

    let client = start(&server).await;
    let local = client.local().unwrap();
    assert!(is_on(&local) && is_stale(&local, StaleCause::LastKnownGood));
    let Freshness::Stale { since, .. } = local.freshness() else { panic!("stale") };
    assert!((flipper_core::Timestamp::now().as_secs() - since.as_secs()) < 60, "{since:?}");
    // It comes back without its data: that is not believed.
    server.restart();
    until("emptied", SOON, || is_stale(&local, StaleCause::Emptied)).await;
    assert!(is_on(&local));
    client.create("X").await.unwrap();
    until("live", SOON, || is_live(&local)).await;
    client.close().await.unwrap();
    server.kill();
    let local = start(&server).await.local().unwrap();
    assert!(local.snapshot().get("X").is_some() && local.snapshot().get("Y").is_none());

    // What is damaged is not used.
    std::fs::write(&path, "flipper-mirror 1 0 1 x\n").unwrap();
    let store = RedisStore::builder(&server.url()).connect_lazy().unwrap();
    let builder =
        MirrorStore::builder(store).start_timeout(Duration::from_millis(300)).last_known_good(&path);
    assert_eq!(builder.start().await.unwrap_err().kind(), ErrorKind::Unavailable);
}
