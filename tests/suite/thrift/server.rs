//! The server: events, vetoes, rights, errors, and an end that nobody notices.

use std::time::{Duration, Instant};

use flipper_core::events::EventType::{
    PostAddCondition, PostCreate, PostDestroy, PostEnable, PreAddCondition, PreCreate, PreDestroy, PreEnable,
};
use flipper_core::{Context, ErrorKind, Expect, FeatureFlagClient, Store};
use flipper_memory::MemoryStore;
use flipper_mirror::MirrorStore;
use flipper_testkit::{EventRecorder, Fault, FaultStore, Operation};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{builder, client, on_memory, server_of, start};
use crate::fake::Fake;
use crate::mirror::until;
use crate::peer::Python;
use crate::records::{flag, name};

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_announced_as_their_peers() {
    let (server, flags) = on_memory().await;
    let recorder = EventRecorder::of(&flags);
    let ours = client(server.local_address()).await;
    ours.create("X").await.unwrap().enable().await.unwrap();
    let mut python = Python::start("1.3.2", "thrift", server.local_address().port(), "buffered");
    python.ask(&json!(["add_condition", "X", {"a": 1}]));
    python.ask(&json!(["destroy", "X"]));
    let types = [
        PreCreate,
        PostCreate,
        PreEnable,
        PostEnable,
        PreAddCondition,
        PostAddCondition,
        PreDestroy,
        PostDestroy,
    ];
    let events = recorder.take();
    assert!(events.iter().all(|event| event.flag == "X"));
    assert_eq!(events.iter().map(|event| event.event_type).collect::<Vec<_>>(), types);
    let actors: Vec<_> = events.into_iter().map(|event| event.actor.unwrap()).collect();
    assert!(actors.iter().all(|actor| actor.starts_with("127.0.0.1:")), "{actors:?}");
    assert_eq!(actors[0], actors[3]);
    assert_ne!(actors[0], actors[4], "two peers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_veto_reaches_the_peer() {
    let (server, flags) = on_memory().await;
    flags.create("X").await.unwrap();
    flags.events().on(PreEnable, |_| Err("not on a Friday"));
    let error = client(server.local_address()).await.enable("X").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.message().contains("not on a Friday"), "{error}");
    let mut python = Python::start("1.3.2", "thrift", server.local_address().port(), "buffered");
    python.tell(&json!(["enable", "X"]));
    let error = python.try_answer().unwrap_err();
    assert_eq!(error["error"], "FlipperException");
    assert!(error["message"].as_str().unwrap().contains("not on a Friday"), "{error}");
    assert!(!flags.is_enabled("X", &Context::EMPTY).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_changes_what_may_be_read_only() {
    let flags = FeatureFlagClient::new(MemoryStore::new());
    flags.create("X").await.unwrap();
    let server = start(server_of(&flags).read_only()).await;
    let ours = client(server.local_address()).await;
    assert!(ours.exists("X").await.unwrap());
    for denied in [
        ours.enable("X").await,
        ours.create("Y").await.map(drop),
        ours.destroy("X").await,
        ours.set_client_data("X", [("a", 1)]).await,
    ] {
        assert_eq!(denied.unwrap_err().kind(), ErrorKind::PermissionDenied);
    }
    let mut python = Python::start("1.3.2", "thrift", server.local_address().port(), "framed");
    assert_eq!(python.ask(&json!(["exists", "X"])), true);
    for change in [
        json!(["create", "Y", true, {}]),
        json!(["enable", "X"]),
        json!(["destroy", "X"]),
        json!(["set_client_data", "X", {"a": 1}]),
        json!(["store", "set", "Z", false]),
    ] {
        python.tell(&change);
        assert_eq!(python.try_answer().unwrap_err()["error"], "FlipperException", "{change}");
    }
    assert!(!flags.is_enabled("X", &Context::EMPTY).await && !flags.exists("Y").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_flag_is_not_switched_on_by_who_has_looked_before() {
    let (server, flags) = on_memory().await;
    let mut python = Python::start("1.3.2", "thrift", server.local_address().port(), "buffered");
    python.tell(&json!(["store", "set", "GONE", true]));
    assert_eq!(python.try_answer().unwrap_err()["error"], "FlipperException");
    assert!(!flags.exists("GONE").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_newer_writers_have_put_there_survives_an_edit_by_python() {
    let (server, flags) = on_memory().await;
    let newer = r#"{"feature_name": "X", "is_enabled": true, "owner": "é", "meta": {"created_date": 5, "since": 1E5,
        "client_data": {"a": 1}, "conditions": [], "bucketer": {"type": "NoOpBucketer"}}}"#;
    let newer = flipper_core::Flag::from_json(newer.as_bytes()).unwrap();
    flags.put(&newer, Expect::Any).await.unwrap();
    let mut python = Python::start("1.3.2", "thrift", server.local_address().port(), "buffered");
    python.ask(&json!(["set_client_data", "X", {"b": 2}]));
    let found = flags.store().get(name("X")).await.unwrap().unwrap().value;
    assert!(found.as_json().contains(r#""owner": "é""#) && found.as_json().contains(r#""since": 1E5"#));
    assert!(found.as_json().contains(r#""client_data": {"a": 1, "b": 2}"#), "{}", found.as_json());
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_keep_their_kinds() {
    let faults = FaultStore::new(MemoryStore::new());
    let flags = FeatureFlagClient::new(faults.clone());
    let server = start(server_of(&flags)).await;
    let store = builder(server.local_address()).connect().await.unwrap();
    let version = store.put(&flag("X", 1), Expect::Absent).await.unwrap();
    for kind in [
        ErrorKind::InvalidInput,
        ErrorKind::Unavailable,
        ErrorKind::PermissionDenied,
        ErrorKind::Unsupported,
        ErrorKind::Internal,
    ] {
        faults.push(Operation::Get, Fault::Fail(kind));
        let error = store.get(name("X")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(
            (error.store(), error.operation(), error.flag()),
            (Some("thrift"), Some("get"), Some("X"))
        );
    }
    faults.push(Operation::Put, Fault::LostReplyThenRace);
    let error = store.put(&flag("X", 2), Expect::Matches(&version)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    let error = store.put(&flag("X", 3), Expect::Matches(&version)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(store.get(name("Y")).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn python_checks_go_on_while_the_store_is_away() {
    let fake = Fake::new(true);
    fake.plant("X", true).await;
    let flags = FeatureFlagClient::new(MirrorStore::start(fake.clone()).await.unwrap());
    let server = start(server_of(&flags)).await;
    let mut python = Python::start("1.3.2", "thrift", server.local_address().port(), "buffered");
    fake.0.fail_gets.store(u32::MAX, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(python.ask(&json!(["is_enabled", "X", {}])), true);
    assert_eq!(python.ask(&json!(["exists", "Y"])), false);
}

/// The bytes of a call without arguments that matter.
fn call(method: &str) -> Vec<u8> {
    let name = [&(method.len() as u32).to_be_bytes(), method.as_bytes()].concat();
    [&[0x80, 1, 0, 1][..], &name, &[0, 0, 0, 7, 11, 0, 1, 0, 0, 0, 1, b'X', 0]].concat()
}

#[tokio::test]
async fn unknown_methods_are_answered_and_the_connection_goes_on() {
    let (server, flags) = on_memory().await;
    flags.create("X").await.unwrap();
    let mut stream = TcpStream::connect(server.local_address()).await.unwrap();
    for method in ["Frobnicate", "get", "G\"\\"] {
        stream.write_all(&call(method)).await.unwrap();
        let mut answer = vec![0; 8 + method.len() + 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer[..4], [0x80, 1, 0, 3], "an exception");
        assert_eq!(answer[8..8 + method.len()], *method.as_bytes());
        assert_eq!(answer[8 + method.len()..], [0, 0, 0, 7], "its number");
        // A text, the kind `UNKNOWN_METHOD`, the end.
        let mut rest = vec![0; 7];
        stream.read_exact(&mut rest).await.unwrap();
        let length = u32::from_be_bytes(rest[3..].try_into().unwrap()) as usize;
        let mut rest = vec![0; length + 8];
        stream.read_exact(&mut rest).await.unwrap();
        assert_eq!(rest[length..], [8, 0, 2, 0, 0, 0, 1, 0]);
    }
    stream.write_all(&call("Get")).await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0x80, 1, 0, 2]);
    // A panic of a handler is its peer's alone.
    flags.events().on(PreEnable, |_| -> () { panic!("a handler") });
    let error = client(server.local_address()).await.enable("X").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_calls_and_for_nobody_else() {
    let faults = FaultStore::new(MemoryStore::new());
    let flags = FeatureFlagClient::new(faults.clone());
    let server = start(server_of(&flags)).await;
    let store = builder(server.local_address()).connect().await.unwrap();
    let _idle = TcpStream::connect(server.local_address()).await.unwrap();
    faults.push(Operation::Put, Fault::Delay(Duration::from_millis(400)));
    let write = tokio::spawn(async move { (store.put(&flag("X", 1), Expect::Any).await, store) });
    until("two connections", Duration::from_secs(5), || server.connections() == 2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let address = server.local_address();
    let (began, cut) = (Instant::now(), server.shutdown(Duration::from_secs(5)).await);
    assert_eq!(cut, 0);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let (written, store) = write.await.unwrap();
    written.unwrap();
    assert!(flags.exists("X").await.unwrap());
    // It listens no longer.
    assert_eq!(store.get(name("X")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_does_not_wait_for_ever() {
    let faults = FaultStore::new(MemoryStore::new());
    let server = start(server_of(&FeatureFlagClient::new(faults.clone()))).await;
    let store = builder(server.local_address()).connect().await.unwrap();
    faults.push(Operation::Get, Fault::Hang);
    let read = tokio::spawn(async move { store.get(name("X")).await });
    until("a call", Duration::from_secs(5), || server.connections() == 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.shutdown(Duration::from_millis(200)).await, 1);
    assert_eq!(read.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_address_that_is_in_use_is_told() {
    let (server, flags) = on_memory().await;
    let taken = server.local_address().to_string();
    let error = flipper_thrift::ThriftServer::new(flags).address(&taken).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains(&taken) && error.message().contains("in use"), "{error}");
    // Unless told, only this machine is listened to.
    let shown =
        format!("{:?}", flipper_thrift::ThriftServer::new(FeatureFlagClient::new(MemoryStore::new())));
    assert!(shown.contains("127.0.0.1:9090"), "{shown}");
}
