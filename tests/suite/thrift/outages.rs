//! Servers that die, hang, are replaced, or are none.

use std::time::{Duration, Instant};

use flipper_core::{ErrorKind, Expect, FeatureFlagClient, Page, Store};
use flipper_memory::MemoryStore;
use flipper_testkit::{Fault, FaultStore, Operation, Proxy, Weather, collect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{PythonServer, builder, hasty, on_memory, server_of, start};
use crate::records::{flag, name, put};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_a_call_is_told_and_the_next_call_connects() {
    let flags = FeatureFlagClient::new(MemoryStore::new());
    let slow = FaultStore::new(MemoryStore::new());
    let first = start(server_of(&FeatureFlagClient::new(slow.clone()))).await;
    let address = first.local_address();
    let store = builder(address).connect().await.unwrap();
    put(&store, "X", 1).await;
    slow.push(Operation::Get, Fault::Hang);
    let began = Instant::now();
    let (read, ()) = tokio::join!(store.get(name("X")), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(first);
    });
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.get(name("X")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let _second = start(server_of(&flags).address(address.to_string())).await;
    assert_eq!(store.get(name("X")).await.unwrap(), None);
    put(&store, "X", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_in_a_call() {
    // In its first change, which it is killed before it makes.
    let server = PythonServer::dies_after(0);
    let store = hasty(server.address()).connect().await.unwrap();
    assert_eq!(store.get(name("X")).await.unwrap(), None);
    let began = Instant::now();
    let error = store.put(&flag("X", 1), Expect::Absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    let error = store.get(name("X")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.is_retryable() && began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn wires_that_are_cut_or_hang() {
    let (server, _flags) = on_memory().await;
    let proxy = Proxy::start(server.local_address()).await.unwrap();
    let store = hasty(proxy.address()).connect().await.unwrap();
    put(&store, "X", 1).await;
    // Between calls: the next one notices, and connects anew, also if it writes.
    for number in 2..6 {
        proxy.cut();
        tokio::time::sleep(Duration::from_millis(50)).await;
        put(&store, "X", number).await;
        assert!(store.get(name("X")).await.unwrap().is_some());
    }
    for weather in [Weather::Stall, Weather::LoseAnswers, Weather::LoseRequests] {
        // On a connection whose server has said what it can do: on another one it is asked first, and nothing is written.
        put(&store, "X", 6).await;
        proxy.set(weather);
        let began = Instant::now();
        let error = store.put(&flag("X", 7), Expect::Any).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{weather:?}: {error}");
        assert_eq!(store.get(name("X")).await.unwrap_err().kind(), ErrorKind::Unavailable);
        let listed = collect(store.list(Page::ALL)).await.pop().unwrap();
        assert_eq!(listed.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(began.elapsed() < Duration::from_secs(4), "{weather:?}: {:?}", began.elapsed());
        proxy.set(Weather::Fair);
        assert!(store.get(name("X")).await.unwrap().is_some(), "{weather:?}");
    }
    // An edit whose answer is lost is found out, and made once.
    let client = FeatureFlagClient::new(hasty(proxy.address()).connect().await.unwrap());
    client.set_client_data("X", [("a", 1)]).await.unwrap();
    let (edited, ()) = tokio::join!(client.set_client_data("X", [("b", 2)]), async {
        proxy.set(Weather::LoseAnswers);
        tokio::time::sleep(Duration::from_millis(300)).await;
        proxy.cut();
        proxy.set(Weather::Fair);
    });
    let data = client.get_client_data("X").await.unwrap();
    assert_eq!((edited.is_ok(), data.len()), (true, 2), "{edited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_waits_for_does_not_answer_another() {
    let faults = FaultStore::new(MemoryStore::new());
    let server = start(server_of(&FeatureFlagClient::new(faults.clone()))).await;
    let store = builder(server.local_address()).connections(1).connect().await.unwrap();
    put(&store, "X", 1).await;
    for _ in 0..20 {
        faults.push(Operation::Get, Fault::Delay(Duration::from_millis(30)));
        let given_up = tokio::time::timeout(Duration::from_millis(10), store.get(name("X"))).await;
        assert!(given_up.is_err());
        assert_eq!(store.get(name("Y")).await.unwrap(), None);
    }
}

#[test]
fn a_store_outlives_the_runtime_that_it_was_used_in() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let serving = tokio::runtime::Runtime::new().unwrap();
    let (server, _flags) = serving.block_on(on_memory());
    let store = runtime().block_on(builder(server.local_address()).connect()).unwrap();
    for number in 0..3 {
        let another = runtime();
        another.block_on(put(&store, "X", number));
        // One that is neither driven nor shut down keeps its connection to itself.
        std::mem::forget(another);
        runtime().block_on(async { assert!(store.get(name("X")).await.unwrap().is_some()) });
    }
    let outside = futures_lite::future::block_on(store.get(name("X"))).unwrap_err();
    assert_eq!(outside.kind(), ErrorKind::Unsupported);
    serving.block_on(async { store.close().await.unwrap() });
    let closed = serving.block_on(store.get(name("X"))).unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn what_is_no_server_is_told() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..],
        &[0x80, 1, 0, 2, 0, 0, 0, 3, b'S', b'e', b't', 0, 0, 0, 1, 0],
        &[0x80, 1, 0, 2, 0, 0, 0, 3, b'G', b'e', b't', 0, 0, 0, 99, 0],
        &[0x80, 1, 0, 2, 0, 0, 0, 3, b'G', b'e', b't', 0, 0, 0, 1, 0],
        &[0x80, 1, 0, 1, 0, 0, 0, 3, b'G', b'e', b't', 0, 0, 0, 1, 0],
        &[0x7f; 64],
        &[],
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let impostor = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(answer).await;
            }
        });
        let store = hasty(address).connect_lazy().unwrap();
        let error = store.get(name("X")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.message().contains(&address.to_string()), "{error}");
        let error = hasty(address).connect().await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, Some("connect")), "{error}");
        impostor.abort();
    }
    let nobody = hasty("127.0.0.1:1").connect().await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::Unavailable);
    assert!(nobody.message().contains("127.0.0.1:1"), "{nobody}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_transport_is_told() {
    let server = PythonServer::parts("framed");
    let error = hasty(server.address()).connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let server = PythonServer::parts("buffered");
    let error = hasty(server.address()).framed().connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_replaced_by_another_kind_is_noticed() {
    let flags = FeatureFlagClient::new(MemoryStore::new());
    let old = PythonServer::parts("buffered");
    let address = old.address();
    let store = builder(address).connect().await.unwrap();
    put(&store, "X", 1).await;
    assert!(!store.capabilities().whole_records);
    drop(old);
    let new = start(server_of(&flags).address(address.to_string())).await;
    // Also if it writes first.
    put(&store, "X", 1).await;
    assert!(store.get(name("X")).await.unwrap().is_some());
    assert!(store.capabilities().whole_records);
    put(&store, "X", 2).await;
    new.shutdown(Duration::from_secs(1)).await;
    let _old = PythonServer::at(address);
    let error = store.get(name("X")).await;
    assert_eq!(error.unwrap(), None);
    put(&store, "X", 3).await;
    assert!(store.get(name("X")).await.unwrap().is_some());
    assert!(!store.capabilities().whole_records);
}
