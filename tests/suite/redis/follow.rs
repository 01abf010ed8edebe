//! Watching: whoever writes, and whatever happens to the server.

use std::collections::BTreeMap;
use std::time::Duration;

use flipper_core::{BoxStream, Change, ErrorKind, Listed, Page, Store, Watching};
use flipper_redis::RedisStore;
use flipper_testkit::{Proxy, RedisServer, Weather, collect, next};

use super::{Cli, flag, number, put, told, watch};

#[tokio::test]
async fn every_writer_and_every_end_of_a_key_is_told() {
    let server = RedisServer::start(&["--enable-debug-command", "yes"]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let mut changes = watch(&store).await;
    let mut cli = Cli::new(&server.url()).await;
    cli.set("features/X", flag("X", 1).as_json()).await;
    assert_eq!(told(&mut changes).await, "put X 1");
    cli.set("features-other/X", "{}").await;
    cli.set("features", "{}").await;
    let _: i64 = cli.tell(&["APPEND", "features/X", "garbage"]).await;
    assert_eq!(told(&mut changes).await, "bad X");
    let _: () = cli.tell(&["RENAME", "features/X", "features/é 😀"]).await;
    let mut renamed = [told(&mut changes).await, told(&mut changes).await];
    renamed.sort_unstable();
    assert_eq!(renamed, ["bad é 😀", "deleted X"]);
    let _: i64 = cli.tell(&["LPUSH", "features/list", "x"]).await;
    assert_eq!(told(&mut changes).await, "bad list");
    let _: i64 = cli.tell(&["DEL", "features/list", "features/é 😀"]).await;
    told(&mut changes).await;
    told(&mut changes).await;
    // Expiry.
    let _: () = cli.tell(&["SET", "features/Y", flag("Y", 1).as_json(), "PX", "100"]).await;
    assert_eq!(told(&mut changes).await, "put Y 1");
    assert_eq!(told(&mut changes).await, "deleted Y");
    // Eviction.
    put(&store, "Z", 1).await;
    assert_eq!(told(&mut changes).await, "put Z 1");
    let _: () = cli.tell(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]).await;
    let _: () = cli.tell(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_eq!(told(&mut changes).await, "deleted Z");
    let _: () = cli.tell(&["CONFIG", "SET", "maxmemory", "0"]).await;
    // Everything at once says nothing of each.
    put(&store, "Z", 2).await;
    assert_eq!(told(&mut changes).await, "put Z 2");
    let _: () = cli.tell(&["FLUSHDB"]).await;
    assert_eq!(told(&mut changes).await, "resync Server");
    put(&store, "Z", 3).await;
    assert_eq!(told(&mut changes).await, "put Z 3");
    let _: () = cli.tell(&["FLUSHALL"]).await;
    assert_eq!(told(&mut changes).await, "resync Server");
}

#[tokio::test]
async fn many_watchers_share_one_connection_that_ends_with_the_store() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let mut cli = Cli::new(&server.url()).await;
    let mut watchers = Vec::new();
    for _ in 0..10 {
        watchers.push(watch(&store).await);
    }
    put(&store, "X", 1).await;
    for watcher in &mut watchers {
        assert_eq!(told(watcher).await, "put X 1");
    }
    let clients: String = cli.tell(&["CLIENT", "LIST"]).await;
    // Ours for calls, ours for changes, and this one.
    assert_eq!(clients.lines().count(), 3, "{clients}");
    drop(store);
    for watcher in &mut watchers {
        assert!(next(watcher).await.is_none());
    }
    for _ in 0..200 {
        let clients: String = cli.tell(&["CLIENT", "LIST"]).await;
        if clients.lines().count() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("connections outlive the store");
}

#[tokio::test]
async fn a_lost_connection_is_told_and_so_is_its_return() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let store = RedisStore::connect(&format!("redis://{}", proxy.address())).await.unwrap();
    let mut changes = watch(&store).await;
    let outside = RedisStore::connect(&server.url()).await.unwrap();
    for number in 1..=3 {
        proxy.set(Weather::HangUp);
        proxy.cut();
        assert_eq!(told(&mut changes).await, "down unavailable");
        put(&outside, "X", number).await;
        // Who comes meanwhile is told so.
        let mut late = watch(&store).await;
        assert_eq!(told(&mut late).await, "down unavailable");
        proxy.set(Weather::Fair);
        assert_eq!(told(&mut changes).await, "resync Reconnected");
        assert_eq!(told(&mut late).await, "resync Reconnected");
        assert_eq!(super::number(&store, "X").await, Some(number));
        put(&outside, "Y", number).await;
        assert_eq!(told(&mut changes).await, format!("put Y {number}"));
    }
}

#[tokio::test]
async fn a_connection_that_is_dead_without_a_word_is_noticed() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let store =
        RedisStore::builder(&format!("redis://{}", proxy.address())).timeout(Duration::from_millis(300));
    let store = store.connect().await.unwrap();
    let mut changes = watch(&store).await;
    proxy.set(Weather::Stall);
    assert_eq!(told(&mut changes).await, "down unavailable");
    proxy.cut();
    proxy.set(Weather::Fair);
    assert_eq!(told(&mut changes).await, "resync Reconnected");
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let mut server = RedisServer::start(&[]);
    server.kill();
    let store = RedisStore::builder(&server.url()).connect_lazy().unwrap();
    let mut changes = watch(&store).await;
    assert_eq!(told(&mut changes).await, "down unavailable");
    server.restart();
    assert_eq!(told(&mut changes).await, "resync Reconnected");
    put(&store, "X", 1).await;
    assert_eq!(told(&mut changes).await, "put X 1");
}

#[tokio::test]
async fn without_the_permission_to_be_told_the_store_polls() {
    let server = RedisServer::start(&["--user", "plain", "on", "nopass", "~*", "+@all", "-client|tracking"]);
    let builder = RedisStore::builder(&format!("redis://plain@{}", server.address()));
    let store = builder.poll_interval(Duration::from_millis(50)).connect().await.unwrap();
    assert_eq!(store.capabilities().watch, Watching::Polled);
    let mut cli = Cli::new(&server.url()).await;
    for of in ["X", "Y"] {
        cli.set(&format!("features/{of}"), flag(of, 1).as_json()).await;
    }
    let mut changes = watch(&store).await;
    cli.set("features/X", flag("X", 2).as_json()).await;
    assert_eq!(told(&mut changes).await, "put X 2");
    let _: i64 = cli.tell(&["DEL", "features/X"]).await;
    assert_eq!(told(&mut changes).await, "deleted X");
    cli.set("features/X", "{").await;
    assert_eq!(told(&mut changes).await, "bad X");
    let _: () = cli.tell(&["FLUSHDB"]).await;
    assert_eq!(told(&mut changes).await, "resync Server");
    // Once it is allowed, the next connection is told.
    let _: () = cli.tell(&["ACL", "SETUSER", "plain", "+client|tracking"]).await;
    let _: i64 = cli.tell(&["CLIENT", "KILL", "USER", "plain"]).await;
    assert_eq!(number(&store, "X").await, None);
    assert_eq!(store.capabilities().watch, Watching::Pushed);
    loop {
        if told(&mut changes).await == "resync Reconnected" {
            break;
        }
    }
    put(&store, "X", 5).await;
    assert_eq!(told(&mut changes).await, "put X 5");
}

/// What a watcher knows that loads everything when it is told to.
async fn apply(store: &RedisStore, known: &mut BTreeMap<String, i64>, change: Change) {
    match change {
        Change::Resync { .. } => loop {
            let listed = collect(store.list(Page::ALL)).await;
            if listed.iter().all(Result::is_ok) {
                known.clear();
                for item in listed.into_iter().flatten() {
                    if let Listed::Flag(found) = item {
                        let number = found.value.created_date().unwrap();
                        known.insert(found.value.name().to_owned(), number);
                    }
                }
                return;
            }
        },
        Change::Put(found) => {
            known.insert(found.value.name().to_owned(), found.value.created_date().unwrap());
        }
        Change::Deleted { name, .. } => {
            known.remove(&*name);
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loads_when_told_to_ends_with_the_same_flags() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let store = RedisStore::connect(&format!("redis://{}", proxy.address())).await.unwrap();
    let mut changes: BoxStream<'static, Change> = store.watch().unwrap();
    let writing = tokio::spawn(async move {
        let mut cli = Cli::new(&server.url()).await;
        for number in 0..6_000 {
            let of = format!("F{}", fastrand::u32(..200));
            match fastrand::u32(..10) {
                0 => drop(cli.tell::<i64>(&["DEL", &format!("features/{of}")]).await),
                _ => cli.set(&format!("features/{of}"), flag(&of, number).as_json()).await,
            }
            if number % 1_000 == 500 {
                proxy.cut();
            }
            if number == 3_300 {
                let _: () = cli.tell(&["FLUSHDB"]).await;
            }
        }
        cli.set("features/END", flag("END", 1).as_json()).await;
        (server, proxy)
    });
    let mut known = BTreeMap::new();
    while !known.contains_key("END") {
        let change = next(&mut changes).await.unwrap();
        apply(&store, &mut known, change).await;
    }
    let (server, _proxy) = writing.await.unwrap();
    // What is still under way is told before what is written now.
    let outside = RedisStore::connect(&server.url()).await.unwrap();
    put(&outside, "END", 2).await;
    while known.get("END") != Some(&2) {
        let change = next(&mut changes).await.unwrap();
        apply(&store, &mut known, change).await;
    }
    let mut stored = BTreeMap::new();
    apply(&outside, &mut stored, Change::Resync { cause: flipper_core::ResyncCause::Started }).await;
    assert_eq!(known, stored);
    assert!(stored.len() > 50);
}

#[tokio::test]
async fn closing_ends_calls_and_watches() {
    let (store, _) = super::store().await;
    let mut changes = watch(&store).await;
    store.close().await.unwrap();
    assert!(next(&mut changes).await.is_none());
    let error = store.get(super::name("X")).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, false));
    assert!(matches!(&collect(store.list(Page::ALL)).await[..], [Err(_)]));
    let mut later = watch(&store).await;
    assert!(next(&mut later).await.is_none());
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
