//! Servers that are no longer what they were, or never were; callers who give up; runtimes that stand still.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use flipper_core::{ErrorKind, Expect, Page, Store};
use flipper_redis::RedisStore;
use flipper_testkit::{RedisCluster, RedisServer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{cluster, many};
use crate::records::{flag, name, number, put, watch};
use crate::redis::hostile::odd_server;
use crate::redis::{Cli, base_key, failure, names, told};

#[tokio::test]
async fn a_call_that_nobody_looks_at_holds_up_no_other() {
    let builder = || RedisStore::builder(&cluster().url()).base_key(base_key());
    let store = builder().connect_lazy().unwrap();
    let mut begun = std::pin::pin!(store.get(name("X")));
    assert!(futures_lite::future::poll_once(&mut begun).await.is_none());
    timeout(Duration::from_secs(10), store.get(name("X"))).await.expect("it waits for the other").unwrap();

    let store = builder().connect_lazy().unwrap();
    let mut listing = store.list(Page::ALL);
    let mut begun = std::pin::pin!(flipper_testkit::next(&mut listing));
    assert!(futures_lite::future::poll_once(&mut begun).await.is_none());
    timeout(Duration::from_secs(10), store.get(name("X"))).await.expect("it waits for the listing").unwrap();
}

#[test]
fn an_attempt_in_a_runtime_that_nobody_drives_is_given_up() {
    let limit = Duration::from_millis(200);
    let builder = RedisStore::builder(&cluster().url()).timeout(limit).connect_timeout(limit);
    let store = builder.connect_lazy().unwrap();
    let parked = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(parked.block_on(futures_lite::future::poll_once(store.get(name("X")))).is_none());
    let driven = tokio::runtime::Runtime::new().unwrap();
    driven.block_on(async {
        let mut answered = Vec::new();
        for _ in 0..3 {
            let call = timeout(Duration::from_secs(10), store.get(name("X")));
            answered.push(call.await.expect("it waits for the runtime that stands still").is_ok());
        }
        assert!(answered[2], "{answered:?}");
    });
}

/// Takes connections, and answers nothing of what it is asked of the cluster.
async fn silent_server() -> SocketAddr {
    odd_server(|asked| match asked {
        asked if asked.contains("HELLO") => Some("%1\r\n+proto\r\n:3\r\n"),
        asked if asked.contains("CLUSTER") => Some(""),
        _ => Some("+OK\r\n"),
    })
    .await
}

#[tokio::test]
async fn calls_that_fail_together_do_not_wait_for_each_other() {
    let address = silent_server().await;
    let limit = Duration::from_millis(300);
    let builder = RedisStore::builder(&format!("redis-cluster://{address}"));
    let store = builder.timeout(limit).connect_timeout(limit).connect_lazy().unwrap();
    let store = std::sync::Arc::new(store);
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let store = std::sync::Arc::clone(&store);
        calls.spawn(async move { failure(Duration::from_secs(5), store.get(name("X"))).await });
    }
    for error in calls.join_all().await {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    }
}

/// Its address is still one of those that the store was told.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_left_and_formed_another_cluster_is_not_believed() {
    let mut cluster = RedisCluster::start(3, 0, &[]);
    let fourth = cluster.join();
    let fourth = cluster.server(fourth).address();
    let url = format!("{},{fourth}", cluster.url().split(&format!(",{fourth}")).next().unwrap());
    let store = RedisStore::connect(&url).await.unwrap();
    for of in many(30) {
        put(&store, &of, 1).await;
    }

    let mut cli = Cli::new(&format!("redis://{fourth}")).await;
    let id: String = cli.tell(&["CLUSTER", "MYID"]).await;
    let () = cli.tell(&["CLUSTER", "RESET", "HARD"]).await;
    for number in 0..3 {
        let mut other = Cli::new(&cluster.server(number).url()).await;
        let () = other.tell(&["CLUSTER", "FORGET", &id]).await;
    }
    let () = cli.tell(&["CLUSTER", "SET-CONFIG-EPOCH", "99"]).await;
    let () = cli.tell(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    while !cli.tell::<String>(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cli.set("features/FOREIGN", flag("FOREIGN", 1).as_json()).await;

    let later = RedisStore::connect(&url).await.unwrap();
    for store in [&store, &later] {
        for _ in 0..10 {
            assert_eq!(names(store, Page::ALL).await, (many(30), vec![]));
            assert_eq!(number(store, "F7").await, Some(1));
        }
    }

    // Nor if it works, and the one that is meant does not.
    cluster.server(0).kill();
    let mut other = Cli::new(&cluster.server(1).url()).await;
    while !other.tell::<String>(&["CLUSTER", "INFO"]).await.contains("cluster_state:fail") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for store in [&store, &later] {
        for of in many(30) {
            let found = store.get(name(&of)).await;
            assert_eq!(found.unwrap_err().kind(), ErrorKind::Unavailable, "{of}");
        }
        let listed = flipper_testkit::collect(store.list(Page::ALL)).await;
        assert_eq!(listed.into_iter().last().unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_at_the_address_of_one_that_was_replaced_is_not_taken_for_it() {
    let mut cluster = RedisCluster::start(3, 1, &[]);
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    put(&store, "F7", 1).await;
    let lost = cluster.primary_of("features/F7");
    // Time for the replica to have it.
    cluster.wait();
    while cluster.server(lost + 3).is_running() {
        let mut replica = Cli::new(&cluster.server(lost + 3).url()).await;
        let () = replica.tell(&["READONLY"]).await;
        if replica.tell::<Option<String>>(&["GET", "features/F7"]).await.is_some() {
            break;
        }
    }
    let address = cluster.server(lost).address();
    cluster.server(lost).kill();
    cluster.wait_for_failover(lost);
    // An address that was freed is given to somebody else, who knows nothing of clusters.
    let other = RedisServer::start(&[]);
    let to = other.address();
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = TcpStream::connect(to).await.unwrap();
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    assert_eq!(number(&store, "F7").await, Some(1));
    store.put(&flag("F7", 2), Expect::Any).await.unwrap();
    let fresh = RedisStore::connect(&cluster.url()).await.unwrap();
    assert_eq!(number(&fresh, "F7").await, Some(2), "the write is where nobody looks");
}

/// The number of changes comes first, who has what a moment later, and nothing else of what a server says of its cluster changes.
#[tokio::test]
async fn a_server_that_hears_late_who_has_taken_a_place_is_asked_again() {
    /// 0: one has all; 1: somebody takes its place; 2: has taken it.
    static PHASE: AtomicU32 = AtomicU32::new(0);
    static ASKED: AtomicU32 = AtomicU32::new(0);
    static PORT: AtomicU16 = AtomicU16::new(0);
    let address = odd_server(|asked| match asked {
        asked if asked.contains("HELLO") => Some("%1\r\n+proto\r\n:3\r\n"),
        asked if asked.contains("SLOTS") => {
            ASKED.fetch_add(1, Ordering::Relaxed);
            let host = if PHASE.load(Ordering::Relaxed) < 2 { "$-1" } else { "$9\r\n127.0.0.2" };
            let port = PORT.load(Ordering::Relaxed);
            let slots = format!("*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n{host}\r\n:{port}\r\n+one\r\n");
            Some(slots.leak())
        }
        asked if asked.contains("INFO") => {
            let (epoch, served) = [(6, 16_384), (7, 10_923), (7, 16_384)][PHASE.load(Ordering::Relaxed) as usize];
            let info = format!(
                "cluster_state:ok\r\ncluster_slots_ok:{served}\r\ncluster_known_nodes:6\r\ncluster_size:3\r\ncluster_current_epoch:{epoch}\r\n"
            );
            Some(format!("${}\r\n{info}\r\n", info.len()).leak())
        }
        asked if asked.contains("MYID") => Some("+one\r\n"),
        _ => Some("+OK\r\n"),
    })
    .await;
    PORT.store(address.port(), Ordering::Relaxed);
    let store = RedisStore::connect(&format!("redis-cluster://{address}")).await.unwrap();
    let mut changes = watch(&store).await;
    let asked = ASKED.load(Ordering::Relaxed);
    PHASE.store(1, Ordering::Relaxed);
    while ASKED.load(Ordering::Relaxed) == asked {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    PHASE.store(2, Ordering::Relaxed);
    let change = timeout(Duration::from_secs(5), told(&mut changes)).await.expect("nobody asks again");
    assert_eq!(change, "down unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_to_others_stay_quick_and_listings_end_while_one_answers_nothing() {
    let mut cluster = RedisCluster::start(3, 0, &["--cluster-require-full-coverage", "no"]);
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    for of in many(30) {
        put(&store, &of, 1).await;
    }
    let held = cluster.primary_of("features/F7");
    let (at_held, at_others): (Vec<_>, Vec<_>) =
        many(30).into_iter().partition(|of| cluster.primary_of(&format!("features/{of}")) == held);
    cluster.server(held).pause();
    let store = std::sync::Arc::new(store);
    let mut calls = JoinSet::new();
    for of in at_held.into_iter().cycle().take(100) {
        let store = std::sync::Arc::clone(&store);
        calls.spawn(async move { failure(Duration::from_secs(10), store.get(name(&of))).await });
    }
    let mut is_listed = false;
    while !calls.is_empty() || !is_listed {
        for of in &at_others {
            let call = timeout(Duration::from_millis(500), store.get(name(of)));
            assert!(call.await.expect("it waits for the one that is held").unwrap().is_some());
        }
        while calls.try_join_next().is_some() {}
        if !is_listed {
            let listed = timeout(Duration::from_secs(10), flipper_testkit::collect(store.list(Page::ALL)));
            assert!(listed.await.expect("the listing does not end").pop().unwrap().is_err());
            is_listed = true;
        }
    }
    cluster.server(held).resume();
}
