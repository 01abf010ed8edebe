//! What checks answer while the server is away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper_cached::CachedStore;
use flipper_core::{Context, ErrorKind, FeatureFlagClient, Freshness, StaleCause};
use flipper_redis::RedisStore;
use flipper_testkit::RedisServer;

use super::{builder, set};

const SOON: Duration = Duration::from_secs(4);
const TTL: Duration = Duration::from_millis(300);

type Cached = Arc<CachedStore<RedisStore>>;

async fn on(server: &RedisServer, is_told: bool) -> (Cached, FeatureFlagClient) {
    let store = Arc::new(builder(&server.url()).await.watch(is_told).ttl(TTL).build());
    let client = FeatureFlagClient::new(store.clone());
    for name in ["X", "Y"] {
        client.create(name).await.unwrap().enable().await.unwrap();
        assert!(client.is_enabled(name, &Context::EMPTY).await);
    }
    (store, client)
}

/// How old the answers are; they are "on" in any case.
async fn freshness(client: &FeatureFlagClient) -> Freshness {
    let mut oldest = Freshness::Live;
    for name in ["X", "Y"] {
        let found = client.evaluate(name, &Context::EMPTY, false).await.unwrap();
        assert!(found.value, "{name}: {found:?}");
        if found.freshness != Freshness::Live {
            oldest = found.freshness;
        }
    }
    oldest
}

async fn becomes(client: &FeatureFlagClient, what: &str, is_so: impl Fn(Freshness) -> bool) {
    let deadline = Instant::now() + SOON;
    loop {
        let now = freshness(client).await;
        if is_so(now) {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {now:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn is_stale(freshness: Freshness) -> bool {
    matches!(freshness, Freshness::Stale { cause: StaleCause::Unavailable, .. })
}

#[tokio::test]
async fn the_last_state_answers_until_the_server_is_back() {
    for is_told in [true, false] {
        let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
        let (store, client) = on(&server, is_told).await;
        server.kill();
        becomes(&client, "stale", is_stale).await;
        let before = store.stats();
        let (start, mut longest) = (Instant::now(), Duration::ZERO);
        while start.elapsed() < Duration::from_millis(1_500) {
            let check = Instant::now();
            assert!(is_stale(freshness(&client).await));
            longest = longest.max(check.elapsed());
        }
        let stats = store.stats();
        assert!(stats.loads - before.loads <= 4, "one question a second is enough: {before:?} {stats:?}");
        assert!(stats.stale_answers > before.stale_answers + 1_000, "{before:?} {stats:?}");
        // While what was told is believed, nobody has tried yet.
        assert!(stats.misses <= before.misses + 1, "nobody waits; the longest check took {longest:?}");
        server.restart();
        becomes(&client, "live", |now| now == Freshness::Live).await;
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_waited_for_once() {
    let server = RedisServer::start(&[]);
    let (_, client) = on(&server, false).await;
    server.pause();
    becomes(&client, "stale", is_stale).await;
    let start = Instant::now();
    for _ in 0..100 {
        assert!(is_stale(freshness(&client).await));
    }
    assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
    server.resume();
    becomes(&client, "live", |now| now == Freshness::Live).await;
}

#[tokio::test]
async fn an_error_is_never_kept() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    set(&server, "features/Z", "{").await;
    let (_, client) = on(&server, false).await;
    let kind = async |name| client.try_is_enabled(name, &Context::EMPTY).await.map_err(|error| error.kind());
    assert_eq!(kind("Z").await, Err(ErrorKind::Corrupt));
    server.kill();
    assert_eq!(kind("never seen").await, Err(ErrorKind::Unavailable));
    server.restart();
    let deadline = Instant::now() + SOON;
    while kind("never seen").await != Ok(false) {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    set(&server, "features/Z", crate::mirror::storm::state("Z", 1).as_json()).await;
    assert_eq!(kind("Z").await, Ok(true));
}

#[tokio::test]
async fn a_record_that_goes_bad_keeps_its_last_good_state() {
    let server = RedisServer::start(&[]);
    let (_, client) = on(&server, true).await;
    set(&server, "features/X", "{").await;
    becomes(&client, "corrupt", |now| matches!(now, Freshness::Stale { cause: StaleCause::Corrupt, .. }))
        .await;
    client.set_bucketer("Y", &flipper_core::Bucketer::NoOp).await.unwrap();
    client.destroy("X").await.unwrap();
    let found = client.evaluate("X", &Context::EMPTY, false).await.unwrap();
    assert_eq!((found.value, found.freshness), (false, Freshness::Live));
}
