//! Replicas, and a cache or a mirror: what stands around what.

use std::sync::Arc;
use std::time::Duration;

use flipper_cached::CachedStore;
use flipper_core::{Context, ErrorKind, FeatureFlagClient, Freshness, StaleCause, Store};
use flipper_memory::MemoryStore;
use flipper_mirror::MirrorStore;
use flipper_redis::{RedisStore, RedisStoreBuilder};
use flipper_replicated::{ReplicatedStore, ReplicatedStoreBuilder};
use flipper_testkit::RedisServer;

/// A copy that has a flag that is on.
async fn copy() -> Arc<MemoryStore> {
    let copy = Arc::new(MemoryStore::new());
    let client = FeatureFlagClient::new(Arc::clone(&copy));
    client.create("X").await.unwrap().enable().await.unwrap();
    copy
}

fn with<P: Store>(primary: P, copy: &Arc<MemoryStore>) -> ReplicatedStoreBuilder<P> {
    ReplicatedStore::builder(primary).replica("copy", Arc::clone(copy))
}

#[tokio::test]
async fn checks_fail_over_to_a_replica_if_the_cache_is_inside() {
    let mut server = RedisServer::start(&[]);
    let redis = || RedisStore::builder(&server.url()).connect_lazy().unwrap();
    let copy = copy().await;
    let inside = with(CachedStore::new(redis()), &copy).failover_to("copy").start().unwrap();
    let outside = CachedStore::new(with(redis(), &copy).failover_to("copy").start().unwrap());
    server.kill();

    let answer = FeatureFlagClient::new(inside).evaluate("X", &Context::EMPTY, false).await.unwrap();
    assert!(answer.value);
    assert!(matches!(answer.freshness, Freshness::Stale { cause: StaleCause::Failover, .. }), "{answer:?}");
    // A cache reads by `get`, which is never answered with a copy.
    let error = FeatureFlagClient::new(outside).try_is_enabled("X", &Context::EMPTY).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn what_is_restored_is_in_memory_at_once_if_the_mirror_is_inside() {
    let server = RedisServer::start(&[]);
    // Nobody tells it of changes in time.
    let redis = |database: u8| -> RedisStoreBuilder {
        let builder = RedisStore::builder(&format!("{}/{database}", server.url()));
        builder.poll_only().poll_interval(Duration::from_hours(1))
    };
    let mirror = MirrorStore::start(redis(1).connect().await.unwrap()).await.unwrap();
    let inside = Arc::new(with(mirror, &copy().await).start().unwrap());
    let replicated = Arc::new(with(redis(2).connect().await.unwrap(), &copy().await).start().unwrap());
    let outside = MirrorStore::start(Arc::clone(&replicated)).await.unwrap();

    let in_memory = |store: &dyn Store| {
        let snapshot = store.snapshot().expect("a mirror");
        snapshot.get("X").is_some_and(|known| known.value.is_enabled(&Context::EMPTY))
    };
    assert!(!in_memory(&*inside) && !in_memory(&outside));
    assert_eq!(inside.restore("copy").await.unwrap(), ["X"]);
    assert!(in_memory(&*inside));
    assert_eq!(replicated.restore("copy").await.unwrap(), ["X"]);
    assert!(!in_memory(&outside), "the mirror does not see what is written behind it before it is told");
    for store in [&*inside as &dyn Store, &outside] {
        store.close().await.unwrap();
    }
}
