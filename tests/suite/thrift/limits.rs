//! What peers may do: how much they may send, how slowly, and how many they may be.

use std::time::{Duration, Instant};

use flipper_core::{ErrorKind, Expect, FeatureFlagClient, Page, Store};
use flipper_memory::MemoryStore;
use flipper_thrift::{RunningThriftServer, ThriftServer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{builder, hasty, server_of, start};
use crate::mirror::until;
use crate::records::{flag, name, names, put};

async fn with(settings: impl FnOnce(ThriftServer) -> ThriftServer) -> RunningThriftServer {
    start(settings(server_of(&FeatureFlagClient::new(MemoryStore::new())))).await
}

/// A flag of so many bytes, and a little more.
fn large(of: &str, bytes: usize) -> flipper_core::Flag {
    let mut flag = flag(of, 1);
    flag.merge_client_data([("text", "x".repeat(bytes))]).unwrap();
    flag
}

async fn is_served(server: &RunningThriftServer) {
    let store = hasty(server.local_address()).connect().await.unwrap();
    assert_eq!(store.get(name("X")).await.unwrap(), None);
}

/// What comes until the server hangs up.
async fn answer(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    read.expect("it hangs up").unwrap();
    answer
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_arrives() {
    let server = with(|server| server.max_request(100_000)).await;
    let head = [&[0x80, 1, 0, 1, 0, 0, 0, 3][..], b"Get", &[0; 4], &[11, 0, 1]].concat();
    for begin in [
        // A frame, a text, a list, each of which says that it is longer.
        vec![0, 1, 0x86, 0xa1, 0x80],
        [&head[..], &[0x7f, 0xff, 0xff, 0xff]].concat(),
        [&head[..head.len() - 3], &[15, 0, 9, 10, 0x7f, 0xff, 0xff, 0xff]].concat(),
        [&head[..head.len() - 3], &[15, 0, 9, 12, 0x7f, 0xff, 0xff, 0xff]].concat(),
    ] {
        let mut stream = TcpStream::connect(server.local_address()).await.unwrap();
        stream.write_all(&begin).await.unwrap();
        if begin.ends_with(&[12, 0x7f, 0xff, 0xff, 0xff]) {
            // Whose elements may be a byte each: these are too many all the same.
            stream.write_all(&vec![0; 100_000]).await.unwrap();
        }
        let answer = answer(&mut stream).await;
        assert!(String::from_utf8_lossy(&answer).contains("more than 100000 bytes"), "{begin:?}");
        is_served(&server).await;
    }
    // Our store knows before it sends, and what is just small enough goes through.
    let store = builder(server.local_address()).connect().await.unwrap();
    let error = store.put(&large("X", 100_000), Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.message().contains("100000"), "{error}");
    store.put(&large("X", 97_000), Expect::Any).await.unwrap();
}

#[tokio::test]
async fn what_is_no_thrift_is_told_so() {
    let server = with(|server| server).await;
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0xff; 64],
        &[0x80, 1, 0, 1, 0xff, 0xff, 0xff, 0xff],
        &[0x80, 1, 0, 9, 0, 0, 0, 3, b'G', b'e', b't', 0, 0, 0, 0, 0],
        &[0x80, 1, 0, 1, 0, 0, 0, 3, b'G', b'e', b't', 0, 0, 0, 0, 99, 0, 1],
        &[0, 0, 0, 4, 0x80, 1, 0, 1],
        &[0xff, 0xff, 0xff, 0xff, 0x80],
    ] {
        let mut stream = TcpStream::connect(server.local_address()).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let answer = answer(&mut stream).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("no message of Thrift's binary protocol"), "{garbage:?}: {answer}");
    }
    is_served(&server).await;
    until("all are gone", Duration::from_secs(5), || server.connections() == 0).await;
}

#[tokio::test]
async fn listings_that_are_too_long_are_asked_for_in_parts() {
    let server = with(|server| server.max_reply(200_000)).await;
    let store = builder(server.local_address()).connect().await.unwrap();
    for number in 0..10 {
        store.put(&large(&format!("F{number}"), 50_000), Expect::Any).await.unwrap();
    }
    let error = flipper_testkit::collect(store.list(Page::ALL)).await.pop().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("limit and offset"), "{error}");
    assert_eq!(names(&store, Page { limit: Some(3), offset: 8 }).await.0, ["F8", "F9"]);
    // And what is longer than the store takes.
    let small = builder(server.local_address()).max_message(100_000).connect().await.unwrap();
    let listed = flipper_testkit::collect(small.list(Page { limit: Some(3), offset: 0 })).await;
    let error = listed.into_iter().next_back().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("more than 100000 bytes"), "{error}");
    assert!(small.get(name("F1")).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_for_large_messages_is_bounded_and_others_go_on() {
    let server = with(|server| server.memory(8 << 20)).await;
    let store = builder(server.local_address()).connections(32).connect().await.unwrap();
    let error = store.put(&large("X", 2 << 20), Expect::Any).await.unwrap_err();
    // Thirty-two times its length is too much.
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("too many large messages"), "{error}");
    assert_eq!(store.get(name("X")).await.unwrap(), None);
    // One after the other they fit, however many.
    for number in 0..20 {
        store.put(&large(&format!("F{number}"), 200_000), Expect::Any).await.unwrap();
    }
    // Halves that never end hold what they have, and no more.
    let mut halves = Vec::new();
    for _ in 0..30 {
        let mut stream = TcpStream::connect(server.local_address()).await.unwrap();
        let _ = stream.write_all(&[&[0, 0x0f, 0, 0, 0x80][..], &vec![0; 400_000]].concat()).await;
        halves.push(stream);
    }
    put(&store, "SMALL", 1).await;
    drop(halves);
    let again = async || store.put(&large("X", 200_000), Expect::Any).await;
    let deadline = Instant::now() + Duration::from_secs(5);
    while again().await.is_err() {
        assert!(Instant::now() < deadline, "what was held is given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn no_more_connections_than_are_allowed() {
    let server = with(|server| server.connections(3)).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(TcpStream::connect(server.local_address()).await.unwrap());
    }
    until("they are served", Duration::from_secs(5), || server.connections() == 3).await;
    let error = hasty(server.local_address()).connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(server.turned_away() >= 1);
    streams.pop();
    until("one has gone", Duration::from_secs(5), || server.connections() == 2).await;
    is_served(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_and_slow_peers_starve_nobody() {
    let server = with(|server| server.connections(1_100)).await;
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        idle.push(TcpStream::connect(server.local_address()).await.unwrap());
    }
    // Peers that send a byte now and then, and some who send and never read.
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(server.local_address()).await.unwrap();
        slow.spawn(async move {
            for byte in [&[0x80, 1, 0, 1, 0, 0, 0, 4][..], b"List", &[0; 64]].concat() {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
    let call = [&[0x80, 1, 0, 1, 0, 0, 0, 4][..], b"List", &[0; 5]].concat();
    for _ in 0..10 {
        let stream = TcpStream::connect(server.local_address()).await.unwrap();
        let call = call.clone();
        slow.spawn(async move {
            loop {
                if stream.writable().await.is_err() || stream.try_write(&call).is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        });
    }
    until("all are served", Duration::from_secs(10), || server.connections() == 1_020).await;
    let store = builder(server.local_address()).connect().await.unwrap();
    let began = Instant::now();
    for number in 0..200 {
        put(&store, "X", number).await;
        assert!(store.get(name("X")).await.unwrap().is_some());
    }
    let took = began.elapsed();
    println!("400 calls in {took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    slow.shutdown().await;
    drop(idle);
    until("all have gone", Duration::from_secs(10), || server.connections() <= 1).await;
}

#[tokio::test]
async fn who_is_too_slow_is_hung_up_on() {
    let short = Duration::from_millis(200);
    let server = with(|server| {
        server.arrival_timeout(short).write_timeout(short).idle_timeout(Duration::from_secs(1))
    })
    .await;
    // In the middle of a call.
    let mut half = TcpStream::connect(server.local_address()).await.unwrap();
    let began = Instant::now();
    half.write_all(&[0x80, 1, 0]).await.unwrap();
    assert_eq!(half.read(&mut [0; 16]).await.unwrap(), 0);
    assert!(began.elapsed() >= short && began.elapsed() < Duration::from_secs(5));
    // Between calls.
    let mut idle = TcpStream::connect(server.local_address()).await.unwrap();
    let began = Instant::now();
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap(), 0);
    assert!(began.elapsed() >= Duration::from_secs(1) && began.elapsed() < Duration::from_secs(5));
    // Who does not read.
    let store = builder(server.local_address()).connect().await.unwrap();
    for number in 0..8 {
        store.put(&large(&format!("F{number}"), 1 << 20), Expect::Any).await.unwrap();
    }
    let mut deaf = TcpStream::connect(server.local_address()).await.unwrap();
    let call = [&[0x80, 1, 0, 1, 0, 0, 0, 4][..], b"List", &[0; 5]].concat();
    deaf.write_all(&call).await.unwrap();
    until("it is gone", Duration::from_secs(5), || server.connections() <= 1).await;
}

#[tokio::test]
async fn what_is_too_large_to_be_edited_is_told_at_once() {
    // In a file, a record is its own version: an edit sends it twice.
    let directory = tempfile::tempdir().unwrap();
    let flags =
        FeatureFlagClient::new(flipper::FileStore::open(directory.path().join("flags.json")).unwrap());
    let server = start(server_of(&flags)).await;
    let client = FeatureFlagClient::new(builder(server.local_address()).connect().await.unwrap());
    client.create_with("X", false, [("text", "x".repeat(3 << 20))]).await.unwrap();
    let began = Instant::now();
    let error = client.enable("X").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    client.create_with("Y", false, [("text", "y".repeat(1 << 20))]).await.unwrap().enable().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_meta_costs_what_it_is_long() {
    let server = with(|server| server).await;
    let store = builder(server.local_address()).connect().await.unwrap();
    // Twenty thousand checks in one condition, each of its own variable.
    let mut many = serde_json::Map::new();
    for number in 0..20_000 {
        let variable = format!("v{number}");
        many.insert(variable.clone(), json!([{"variable": variable, "value": 1, "operator": "gt"}]));
    }
    let record = json!({"feature_name": "X", "is_enabled": true,
        "meta": {"created_date": 1, "client_data": {}, "conditions": [many]}});
    let hostile = flipper_core::Flag::from_json(record.to_string().as_bytes()).unwrap();
    let began = Instant::now();
    store.put(&hostile, Expect::Any).await.unwrap();
    // By a peer that has it in parts.
    let mut python = crate::peer::Python::start("1.3.2", "thrift", server.local_address().port(), "buffered");
    python.ask(&json!(["set_client_data", "X", {"a": 1}]));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(store.get(name("X")).await.unwrap().unwrap().value.conditions().len(), 20_000);
}
