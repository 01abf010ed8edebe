//! No runtime, several of them, and such that end or stand still.

use std::time::Duration;

use flipper_core::{ErrorKind, Page, Store};
use flipper_redis::RedisStore;
use flipper_testkit::{RedisServer, next};

use super::{name, put, server, told, watch};

#[test]
fn without_a_runtime_there_is_an_error() {
    let store = RedisStore::builder(&server().url()).connect_lazy().unwrap();
    let error = futures_lite::future::block_on(store.get(name("X"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("Tokio"), "{error}");
    let changes = futures_lite::stream::block_on(store.watch().unwrap()).take(2).collect::<Vec<_>>();
    assert!(matches!(&changes[1], flipper_core::Change::Down { error } if error.message().contains("Tokio")));
}

#[test]
fn a_listing_outside_of_the_runtime_is_an_error() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = RedisServer::start(&[]);
    let store = runtime.block_on(RedisStore::connect(&server.url())).unwrap();
    runtime.block_on(async {
        for number in 0..3_000 {
            put(&store, &format!("F{number}"), 1).await;
        }
    });
    let mut listing = store.list(Page::ALL);
    runtime.block_on(next(&mut listing));
    let rest = futures_lite::future::block_on(async {
        use futures_lite::StreamExt;
        listing.collect::<Vec<_>>().await
    });
    assert!(matches!(rest.last(), Some(Err(error)) if error.kind() == ErrorKind::Unsupported));
}

#[test]
fn watchers_are_told_when_the_runtime_that_followed_is_gone() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::builder(&server.url()).connect_lazy().unwrap();
    let first = tokio::runtime::Runtime::new().unwrap();
    let mut changes = first.block_on(watch(&store));
    drop(first);
    let second = tokio::runtime::Runtime::new().unwrap();
    second.block_on(async {
        assert_eq!(told(&mut changes).await, "down unavailable");
        // The next one who watches follows again, for all.
        let _again = watch(&store).await;
        assert_eq!(told(&mut changes).await, "resync Reconnected");
        put(&store, "X", 1).await;
        assert_eq!(told(&mut changes).await, "put X 1");
    });
}

#[test]
fn watchers_of_a_runtime_that_lives_go_on_without_the_one_that_followed() {
    let server = RedisServer::start(&[]);
    let first = tokio::runtime::Runtime::new().unwrap();
    let second = tokio::runtime::Runtime::new().unwrap();
    let store = first.block_on(RedisStore::connect(&server.url())).unwrap();
    let _followed = first.block_on(watch(&store));
    let mut changes = second.block_on(watch(&store));
    drop(first);
    second.block_on(async {
        assert_eq!(told(&mut changes).await, "down unavailable");
        assert_eq!(told(&mut changes).await, "resync Reconnected");
        put(&store, "X", 1).await;
        assert_eq!(told(&mut changes).await, "put X 1");
    });
}

#[test]
fn a_runtime_that_nobody_drives_holds_nobody_up() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::builder(&server.url()).connect_timeout(Duration::from_millis(300));
    let store = store.connect_lazy().unwrap();
    let parked = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut first = store.watch().unwrap();
    assert!(parked.block_on(futures_lite::future::poll_once(next(&mut first))).is_none());
    let driven = tokio::runtime::Runtime::new().unwrap();
    driven.block_on(async {
        let mut changes = watch(&store).await;
        assert_eq!(told(&mut changes).await, "down unavailable");
        let closed = tokio::time::timeout(Duration::from_secs(5), store.close()).await;
        closed.expect("close hangs").unwrap();
    });
}

/// What ends with a runtime is dropped while it is being started, on the same thread.
#[test]
fn a_runtime_that_is_being_shut_down_can_be_asked_to_follow() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::builder(&server.url()).connect_lazy().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut changes = store.watch().unwrap();
        let _inside = handle.enter();
        let mut polled = std::pin::pin!(futures_lite::StreamExt::next(&mut changes));
        let mut task = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = Future::poll(polled.as_mut(), &mut task);
        sender.send(()).unwrap();
    });
    receiver.recv_timeout(Duration::from_secs(10)).expect("it waits for itself");
}

#[test]
fn watchers_go_on_if_the_one_who_followed_ends_while_the_server_is_away() {
    let mut server = RedisServer::start(&[]);
    let (first, second) = (tokio::runtime::Runtime::new().unwrap(), tokio::runtime::Runtime::new().unwrap());
    let store = first.block_on(RedisStore::connect(&server.url())).unwrap();
    let _followed = first.block_on(watch(&store));
    let mut changes = second.block_on(watch(&store));
    server.kill();
    second.block_on(async { assert_eq!(told(&mut changes).await, "down unavailable") });
    let waiting = second.spawn(async move { told(&mut changes).await });
    std::thread::sleep(Duration::from_millis(300));
    drop(first);
    server.restart();
    assert_eq!(second.block_on(waiting).unwrap(), "resync Reconnected");
}

#[test]
fn an_attempt_in_a_runtime_that_nobody_drives_is_given_up() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::builder(&server.url()).connect_timeout(Duration::from_millis(300));
    let store = store.connect_lazy().unwrap();
    let parked = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(parked.block_on(futures_lite::future::poll_once(store.get(name("X")))).is_none());
    let driven = tokio::runtime::Runtime::new().unwrap();
    let answered =
        driven.block_on(async { [store.get(name("X")).await.is_ok(), store.get(name("X")).await.is_ok()] });
    assert!(answered[1], "{answered:?}");
}

#[test]
fn closing_outside_of_a_runtime_is_no_panic_and_ends_attempts() {
    let server = RedisServer::start(&[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(RedisStore::connect(&server.url())).unwrap();
    let _changes = runtime.block_on(watch(&store));
    futures_lite::future::block_on(store.close()).unwrap();
    runtime.block_on(async {
        let proxy = flipper_testkit::Proxy::start(server.address()).await.unwrap();
        proxy.set(flipper_testkit::Weather::Stall);
        let builder = RedisStore::builder(&format!("redis://{}", proxy.address()));
        let store = builder.connect_timeout(Duration::from_hours(1)).connect_lazy().unwrap();
        let store = std::sync::Arc::new(store);
        let getting = {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move { store.get(name("X")).await })
        };
        tokio::time::sleep(Duration::from_millis(100)).await;
        store.close().await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(5), getting).await.expect("get hangs");
        assert!(!ended.unwrap().unwrap_err().is_retryable());
    });
}
