//! Servers of the cluster die, and others take their places.

use std::time::{Duration, Instant};

use flipper_core::{Change, ErrorKind, Expect, Freshness, Page, Store};
use flipper_mirror::MirrorStore;
use flipper_redis::RedisStore;
use flipper_testkit::{RedisCluster, next};

use super::{many, wait_for};
use crate::records::{flag, name, names, number, put, watch};
use crate::redis::failure;

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_takes_the_place_of_a_primary_that_was_killed() {
    let mut cluster = RedisCluster::start(3, 1, &[]);
    let store = RedisStore::builder(&cluster.url()).wait_for_replicas(1, Duration::from_secs(2));
    let store = store.connect().await.unwrap();
    for of in many(60) {
        put(&store, &of, 1).await;
    }
    let mut changes = watch(&store).await;
    let lost = cluster.primary_of("features/F7");
    let other =
        many(60).into_iter().find(|of| cluster.primary_of(&format!("features/{of}")) != lost).unwrap();
    cluster.server(lost).kill();

    // What it had is not known, in bounded time; what others have is.
    let error = failure(Duration::from_secs(5), store.get(name("F7"))).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let listed = flipper_testkit::collect(store.list(Page::ALL)).await.pop().unwrap();
    assert_eq!(listed.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(number(&store, &other).await, Some(1));
    assert!(matches!(next(&mut changes).await, Some(Change::Down { .. })));

    cluster.wait_for_failover(lost);
    // All that a replica had confirmed is there.
    assert_eq!(number(&store, "F7").await, Some(1));
    let (mut found, bad) = names(&store, Page::ALL).await;
    found.sort_unstable();
    assert_eq!((found, bad), (many(60), vec![]));
    assert!(!matches!(next(&mut changes).await, Some(Change::Put(_))), "it has to be loaded anew first");
    // No replica is left that could confirm it.
    let error = store.put(&flag("F7", 2), Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReplicated, "{error:?}");
    wait_for(&mut changes, "put F7 2").await;

    // It comes back as a replica of the other.
    cluster.server(lost).restart();
    cluster.wait();
    put(&store, "F7", 3).await;
    wait_for(&mut changes, "put F7 3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_gives_way_and_stays_is_left() {
    let cluster = RedisCluster::start(3, 1, &[]);
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    for of in many(60) {
        put(&store, &of, 1).await;
    }
    let mut changes = watch(&store).await;
    let primary = cluster.primary_of("features/F7");
    // The replicas come after the primaries, in the same order.
    cluster.promote(primary + 3);
    // Nobody has to wait, or to look where it is.
    for of in many(60) {
        assert_eq!(number(&store, &of).await, Some(1));
        put(&store, &of, 2).await;
    }
    wait_for(&mut changes, "down unavailable").await;
    wait_for(&mut changes, "resync Reconnected").await;
    put(&store, "F7", 3).await;
    wait_for(&mut changes, "put F7 3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_nothing_is_given_up_in_time() {
    let mut cluster = RedisCluster::start(3, 0, &[]);
    let limit = Duration::from_millis(300);
    let builder = RedisStore::builder(&cluster.url()).timeout(limit).connect_timeout(limit);
    let store = builder.connect().await.unwrap();
    put(&store, "F7", 1).await;
    let held = cluster.primary_of("features/F7");
    cluster.server(held).pause();
    let error = failure(Duration::from_secs(3), store.get(name("F7"))).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let error = failure(Duration::from_secs(3), store.put(&flag("F7", 2), Expect::Any)).await;
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::OutcomeUnknown), "{error:?}");
    cluster.server(held).resume();
    cluster.wait();
    let end = Instant::now() + Duration::from_secs(20);
    while let Err(error) = store.get(name("F7")).await {
        assert!(error.is_retryable() && Instant::now() < end, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_keeps_all_flags_while_a_third_of_them_is_away() {
    let mut cluster = RedisCluster::start(3, 1, &[]);
    let writer = RedisStore::connect(&cluster.url()).await.unwrap();
    for of in many(60) {
        put(&writer, &of, 1).await;
    }
    let mirror = MirrorStore::start(RedisStore::connect(&cluster.url()).await.unwrap()).await.unwrap();
    let lost = cluster.primary_of("features/F7");
    cluster.server(lost).kill();
    let snapshot = || mirror.snapshot().unwrap();
    while matches!(snapshot().freshness(), Freshness::Live) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let end = Instant::now() + Duration::from_secs(30);
    while !matches!(snapshot().freshness(), Freshness::Live) {
        // Unknown is not off.
        assert_eq!(snapshot().len(), 60);
        assert!(Instant::now() < end, "it does not come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(names(&mirror, Page::ALL).await.0.len(), 60);
}
