//! Watching: whoever writes, and whatever happens to the server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// The server tells of it to nobody but those who are connected to it.
#[tokio::test]
async fn after_a_failover_the_new_server_is_followed() {
    let (old, new) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let (listener, first) = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        (listener, Arc::new(AtomicBool::new(true)))
    };
    let (address, is_first) = (listener.local_addr().unwrap(), Arc::clone(&first));
    let servers = (old.address(), new.address());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let to = if is_first.load(Ordering::Relaxed) { servers.0 } else { servers.1 };
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    let store = RedisStore::connect(&format!("redis://{address}")).await.unwrap();
    let mut changes = watch(&store).await;
    put(&store, "X", 1).await;
    assert_eq!(told(&mut changes).await, "put X 1");
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    // The address leads to the new one from here on, and nobody hangs up.
    first.store(false, Ordering::Relaxed);
    let _: () = Cli::new(&old.url()).await.tell(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let error = store.put(&flag("X", 2), flipper_core::Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(told(&mut changes).await, "down unavailable");
    assert_eq!(told(&mut changes).await, "resync Reconnected");
    put(&store, "X", 2).await;
    assert_eq!(told(&mut changes).await, "put X 2");
}

#[tokio::test]
async fn a_replica_that_answers_nothing_is_told_to_be_down() {
    let server = RedisServer::start(&["--replica-serve-stale-data", "no"]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let mut changes = watch(&store).await;
    let mut cli = Cli::new(&server.url()).await;
    let _: () = cli.tell(&["REPLICAOF", "127.0.0.1", "1"]).await;
    assert_eq!(told(&mut changes).await, "down unavailable");
    let _: () = cli.tell(&["REPLICAOF", "NO", "ONE"]).await;
    assert_eq!(told(&mut changes).await, "resync Reconnected");
}

/// For the polls nothing has changed: it was so before, and it is so again.
#[tokio::test]
async fn what_was_loaded_between_two_polls_does_not_stay() {
    let base_key = super::base_key();
    let builder = RedisStore::builder(&super::server().url()).base_key(&base_key).poll_only();
    let store = builder.poll_interval(Duration::from_millis(700)).connect().await.unwrap();
    let mut cli = Cli::new(&super::server().url()).await;
    let key = |name: &str| format!("{base_key}/{name}");
    for of in ["X", "GONE"] {
        put(&store, of, 1).await;
    }
    let mut changes = watch(&store).await;
    cli.set(&key("X"), flag("X", 2).as_json()).await;
    cli.set(&key("NEW"), flag("NEW", 1).as_json()).await;
    let _: i64 = cli.tell(&["DEL", &key("GONE")]).await;
    assert_eq!(super::names(&store, Page::ALL).await.0, ["NEW", "X"]);
    cli.set(&key("X"), flag("X", 1).as_json()).await;
    let _: i64 = cli.tell(&["DEL", &key("NEW")]).await;
    cli.set(&key("GONE"), flag("GONE", 1).as_json()).await;
    // Each when it was listed, and once more by the next listing that is polled: whoever reads it then knows.
    let mut touched = BTreeMap::new();
    while touched.values().sum::<u32>() < 6 {
        let words = told(&mut changes).await;
        assert!(words.starts_with("Touched"), "{words}");
        *touched.entry(words).or_default() += 1;
    }
    assert!(touched.values().eq([&2, &2, &2]), "{touched:?}");
}

#[tokio::test]
async fn names_that_are_no_text_are_told_as_such() {
    let (store, base_key) = super::store().await;
    put(&store, "\u{fffd}", 1).await;
    let mut changes = watch(&store).await;
    let mut cli = Cli::new(&super::server().url()).await;
    let key = [base_key.as_bytes(), b"/\xff"].concat();
    for (verb, told_as) in [("SETEX", "bad \u{1a}ff"), ("DEL", "deleted \u{1a}ff")] {
        let mut command = flipper_redis::redis::cmd(verb);
        command.arg(&key);
        if verb == "SETEX" {
            command.arg(100).arg("junk");
        }
        let () = command.query_async(&mut cli.0).await.unwrap();
        assert_eq!(told(&mut changes).await, told_as);
    }
}

#[tokio::test]
async fn a_key_that_may_not_be_read_is_one_bad_record() {
    let server = RedisServer::start(&["--user", "u", "on", "nopass", "~features/ok*", "+@all"]);
    let store = RedisStore::connect(&format!("redis://u@{}", server.address())).await.unwrap();
    let mut changes = watch(&store).await;
    let mut cli = Cli::new(&server.url()).await;
    for number in 1..20 {
        cli.set("features/secret", "{}").await;
        assert_eq!(told(&mut changes).await, "bad secret");
        put(&store, "ok", number).await;
        assert_eq!(told(&mut changes).await, format!("put ok {number}"));
    }
}
