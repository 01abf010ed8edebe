//! A server whose place real sentinels know.

use std::time::{Duration, Instant};

use flipper_core::{ErrorKind, Page, Store, Watching};
use flipper_redis::RedisStore;
use flipper_testkit::{RedisSentinels, RedisServer};

use super::{failure, names, number, put, wait_for, watch};
use crate::records::name;

/// Calls until one succeeds.
async fn in_time<T>(call: impl AsyncFn() -> flipper_core::Result<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        match call().await {
            Ok(done) => return done,
            Err(error) => assert!(error.is_retryable() && Instant::now() < end, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_that_takes_over_is_found() {
    let mut group = RedisSentinels::start(2, 3, &[]);
    let store = RedisStore::builder(&group.url()).wait_for_replicas(1, Duration::from_secs(2));
    let store = store.connect().await.unwrap();
    assert_eq!(store.capabilities().watch, Watching::Pushed);
    let mut changes = watch(&store).await;
    for round in 1..=20 {
        put(&store, &format!("F{round}"), round).await;
    }
    wait_for(&mut changes, "put F20 20").await;
    let lost = group.primary();
    group.server(lost).kill();
    let error = failure(Duration::from_secs(5), store.get(name("F1"))).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    group.wait_for_failover(lost);
    // One sentinel less makes no difference.
    group.kill_sentinel(0);
    assert_eq!(in_time(async || store.get(name("F20")).await).await.unwrap().value.created_date(), Some(20));
    assert_eq!(names(&store, Page::ALL).await.0.len(), 20);
    wait_for(&mut changes, "resync Reconnected").await;
    in_time(async || match store.put(&super::flag("F1", 99), flipper_core::Expect::Any).await {
        // The other replica may still be on its way.
        Err(error) if error.kind() == ErrorKind::NotReplicated => Ok(()),
        put => put.map(drop),
    })
    .await;
    wait_for(&mut changes, "put F1 99").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_cut_off_and_comes_back_is_left() {
    let mut group = RedisSentinels::start(1, 3, &[]);
    let store = RedisStore::connect(&group.url()).await.unwrap();
    put(&store, "X", 1).await;
    let mut changes = watch(&store).await;
    let held = group.primary();
    group.server(held).pause();
    group.wait_for_failover(held);
    let second = RedisStore::connect(&group.url()).await.unwrap();
    in_time(async || second.put(&super::flag("X", 2), flipper_core::Expect::Any).await).await;
    group.server(held).resume();
    wait_for(&mut changes, "resync Reconnected").await;
    let found = in_time(async || store.get(name("X")).await).await;
    assert_eq!(found.unwrap().value.created_date(), Some(2));
    put(&store, "X", 3).await;
    assert_eq!(number(&second, "X").await, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sentinels_nothing_new_is_reached_and_what_was_goes_on() {
    let mut group = RedisSentinels::start(0, 2, &[]);
    let limit = Duration::from_millis(500);
    let builder = || RedisStore::builder(&group.url()).timeout(limit).connect_timeout(limit);
    let (store, later) = (builder().connect().await.unwrap(), builder().connect_lazy().unwrap());
    put(&store, "X", 1).await;
    let unknown = group.url().replace("/flags", "/others");
    let error = RedisStore::connect(&unknown).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    assert!(error.message().contains("no primary called `others`"), "{error}");
    (0..2).for_each(|number| group.kill_sentinel(number));
    assert_eq!(number(&store, "X").await, Some(1));
    let error = failure(Duration::from_secs(3), later.get(name("X"))).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_sentinel_says_so_and_secrets_stay_secret() {
    let single = RedisServer::start(&["--requirepass", "hunter2"]);
    let address = format!("redis-sentinel://:hunter3@{}/flags?sentinel_pass=hunter2", single.address());
    let error = RedisStore::connect(&address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.message().contains("is it one of Redis Sentinel?"), "{error}");
    let store = RedisStore::builder(&address).connect_lazy().unwrap();
    let shown = format!("{error:?} {store:?} {:?}", RedisStore::builder(&address));
    assert!(shown.contains("flags of sentinels 127.0.0.1") && !shown.contains("hunter"), "{shown}");
    let error = RedisStore::connect(&address.replace("=hunter2", "=hunter4")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
    assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_that_knows_nothing_has_no_say() {
    let group = RedisSentinels::start(0, 2, &[]);
    let sentinels = group.url();
    let first = sentinels.trim_start_matches("redis-sentinel://").split([',', '/']).next().unwrap();
    let () = super::Cli::new(&format!("redis://{first}")).await.tell(&["SENTINEL", "REMOVE", "flags"]).await;
    for _ in 0..20 {
        RedisStore::connect(&group.url()).await.unwrap();
    }
}
