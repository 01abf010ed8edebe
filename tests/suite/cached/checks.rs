//! What checks cost, and what they see.

use std::sync::Arc;
use std::time::Duration;

use flipper_cached::CachedStore;
use flipper_core::{Context, FeatureFlagClient, Freshness, Store};
use flipper_memory::MemoryStore;
use flipper_redis::RedisStore;
use flipper_testkit::{Fault, FaultStore, Operation, Proxy, RecordingStore, RedisServer, Weather};

use super::{builder, gets, set, until};
use crate::mirror::storm::state;

const SOON: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_that_miss_the_same_flag_read_it_once() {
    let server = RedisServer::start(&[]);
    set(&server, "features/X", state("X", 1).as_json()).await;
    // A watch that begins meanwhile would have it read once more, as it may have changed.
    let store = Arc::new(builder(&server.url()).await.watch(false).build());
    let client = FeatureFlagClient::new(store.clone());
    let before = gets(&server).await;
    let tasks: Vec<_> = (0..1_000)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.is_enabled("X", &Context::EMPTY).await })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(gets(&server).await - before, 1);
    let stats = store.stats();
    assert_eq!((stats.loads, stats.hits + stats.misses), (1, 1_000), "{stats:?}");
    assert_eq!(stats.joined_loads, stats.misses - 1, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_is_read_once_also_if_the_first_is_cancelled() {
    let server = RedisServer::start(&[]);
    set(&server, "features/X", state("X", 1).as_json()).await;
    let proxy = Proxy::start(server.address()).await.unwrap();
    let inner = RedisStore::connect(&format!("redis://{}", proxy.address())).await.unwrap();
    let client = FeatureFlagClient::new(CachedStore::builder(inner).watch(false).build());
    let before = gets(&server).await;
    proxy.set(Weather::Delay(Duration::from_millis(200)));
    let check = |client: FeatureFlagClient| async move { client.is_enabled("X", &Context::EMPTY).await };
    let first = tokio::spawn(check(client.clone()));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let others: Vec<_> = (0..100).map(|_| tokio::spawn(check(client.clone()))).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    for other in others {
        assert!(other.await.unwrap());
    }
    assert_eq!(gets(&server).await - before, 1);
}

#[tokio::test]
async fn others_see_a_read_that_the_first_no_longer_polls() {
    let inner = FaultStore::new(MemoryStore::new());
    let recording = RecordingStore::new(inner.clone());
    let client = FeatureFlagClient::new(CachedStore::builder(recording.clone()).watch(false).build());
    FeatureFlagClient::new(inner.clone()).create("X").await.unwrap().enable().await.unwrap();
    inner.push(Operation::Get, Fault::Delay(Duration::from_millis(20)));
    let mut first = Box::pin(client.is_enabled("X", &Context::EMPTY));
    assert!(futures_lite::future::poll_once(&mut first).await.is_none());
    // It is kept, and not polled any more.
    let second = tokio::time::timeout(SOON, client.is_enabled("X", &Context::EMPTY)).await;
    assert!(second.unwrap());
    assert!(first.await);
    assert_eq!(recording.take().len(), 1);
}

#[tokio::test]
async fn what_somebody_else_writes_is_seen() {
    let server = RedisServer::start(&[]);
    set(&server, "features/X", state("X", 1).as_json()).await;
    let client = FeatureFlagClient::new(builder(&server.url()).await.build());
    // No flag, for now: what is believed of that ends as soon.
    assert!(!client.is_enabled("Y", &Context::EMPTY).await);
    for number in 1..5 {
        let deadline = std::time::Instant::now() + SOON;
        set(&server, "features/X", state("X", number).as_json()).await;
        while client.is_enabled("X", &Context::EMPTY).await != (number % 2 == 1) {
            assert!(std::time::Instant::now() < deadline, "{number}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    set(&server, "features/Y", state("Y", 1).as_json()).await;
    let deadline = std::time::Instant::now() + SOON;
    while !client.is_enabled("Y", &Context::EMPTY).await {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_hit_is_one_poll_without_an_allocation() {
    let inner = FaultStore::new(MemoryStore::new());
    let store = Arc::new(CachedStore::new(inner));
    let client = FeatureFlagClient::new(store.clone());
    client.create("X").await.unwrap().enable().await.unwrap();
    assert!(client.is_enabled("X", &Context::EMPTY).await);
    assert!(!client.is_enabled("absent", &Context::EMPTY).await);
    let check = |name| {
        futures_lite::future::block_on(futures_lite::future::poll_once(
            client.is_enabled(name, &Context::EMPTY),
        ))
    };
    check("X");
    let hits = store.stats().hits;
    let info = allocation_counter::measure(|| {
        for _ in 0..1_000 {
            assert_eq!(check("X"), Some(true));
            assert_eq!(check("absent"), Some(false));
        }
    });
    assert_eq!((info.count_total, store.stats().hits - hits), (0, 2_000));
}

#[tokio::test]
async fn flags_that_are_checked_often_never_wait() {
    let inner = FaultStore::new(MemoryStore::new());
    let ttl = Duration::from_millis(200);
    let store = Arc::new(CachedStore::builder(inner.clone()).watch(false).ttl(ttl).build());
    let client = FeatureFlagClient::new(store.clone());
    client.create("X").await.unwrap().enable().await.unwrap();
    let end = std::time::Instant::now() + 5 * ttl;
    while std::time::Instant::now() < end {
        assert!(client.is_enabled("X", &Context::EMPTY).await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let stats = store.stats();
    assert_eq!(stats.misses, 0, "{stats:?}");
    assert!((4..20).contains(&stats.loads), "{stats:?}");
}

/// Without a runtime, nobody reads ahead; but nothing hangs or stays as it is.
#[test]
fn it_works_without_a_runtime() {
    use futures_lite::future::block_on;
    let inner = FaultStore::new(MemoryStore::new());
    let builder = CachedStore::builder(inner.clone()).watch(false).ttl(Duration::from_millis(20));
    let store = Arc::new(builder.build());
    let client = FeatureFlagClient::new(store.clone());
    block_on(async { client.create("X").await.unwrap().enable().await.unwrap() });
    let check = || block_on(client.evaluate("X", &Context::EMPTY, false)).unwrap();
    assert!(check().value);
    inner.push(Operation::Get, Fault::Fail(flipper_core::ErrorKind::Unavailable));
    std::thread::sleep(Duration::from_millis(50));
    let stale = check();
    assert!(stale.value && stale.freshness != Freshness::Live);
    // It is asked again, a second later.
    let deadline = std::time::Instant::now() + SOON;
    while check().freshness != Freshness::Live {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_runtime_that_it_was_made_in_may_end() {
    let server = RedisServer::start(&[]);
    let first = tokio::runtime::Runtime::new().unwrap();
    let inner = RedisStore::builder(&server.url()).connect_lazy().unwrap();
    let store =
        first.block_on(async { Arc::new(CachedStore::builder(FaultStore::new(MemoryStore::new())).build()) });
    let redis = first.block_on(async { Arc::new(CachedStore::builder(inner).build()) });
    let client = FeatureFlagClient::new(store.clone());
    first.block_on(async { client.create("X").await.unwrap().enable().await.unwrap() });
    drop(first);
    let second = tokio::runtime::Runtime::new().unwrap();
    second.block_on(async {
        // What was told last may have it read once more.
        assert!(client.is_enabled("X", &Context::EMPTY).await);
        let found = client.evaluate("X", &Context::EMPTY, false).await.unwrap();
        assert!(found.value && found.freshness != Freshness::Live, "nobody follows the store any more");
        store.invalidate("X");
        assert!(client.is_enabled("X", &Context::EMPTY).await);
        let _ = tokio::time::timeout(
            SOON,
            FeatureFlagClient::new(redis.clone()).try_is_enabled("X", &Context::EMPTY),
        )
        .await
        .unwrap();
        client.close().await.unwrap();
    });
}

#[test]
fn the_runtime_that_it_was_made_in_may_end_before_its_task_has_begun() {
    // Of one thread, which runs no task before it waits.
    let first = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store =
        first.block_on(async { Arc::new(CachedStore::builder(FaultStore::new(MemoryStore::new())).build()) });
    drop(first);
    let client = FeatureFlagClient::new(store);
    futures_lite::future::block_on(async {
        client.create("X").await.unwrap().enable().await.unwrap();
        assert!(client.is_enabled("X", &Context::EMPTY).await);
        let found = client.evaluate("X", &Context::EMPTY, false).await.unwrap();
        assert!(found.value && found.freshness != Freshness::Live, "nobody follows the store");
    });
}

#[tokio::test]
async fn a_closed_cache_ends_its_task_and_its_store() {
    let store = Arc::new(CachedStore::new(FaultStore::new(MemoryStore::new())));
    let client = FeatureFlagClient::new(store.clone());
    client.create("X").await.unwrap();
    store.close().await.unwrap();
    store.close().await.unwrap();
    let weak = Arc::downgrade(&store);
    drop((store, client));
    until("gone", SOON, || weak.upgrade().is_none()).await;
}
