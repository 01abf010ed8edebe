//! The store before servers that are odd.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flipper_core::{
    CompareAndSet, ErrorKind, Expect, FeatureFlagClient, Flag, FlagName, Store, Timestamp, json,
};
use flipper_memory::MemoryStore;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::{ThriftStore, ThriftStoreBuilder};
use crate::ThriftServer;
use crate::wire::{Call, Code, Exception, Framing, Inbox, Item, Meta, Reader, Reply, Writer, write_reply};

type Handler = Arc<dyn Fn(Option<Call>) -> Reply + Send + Sync>;

/// Answers as it is told: under the number of the call or as 0, once or more often.
async fn odd(handler: Handler, keeps_numbers: bool, times: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let handler = Arc::clone(&handler);
            tokio::spawn(async move {
                let mut inbox = Inbox::new(None);
                loop {
                    let at = loop {
                        match inbox.find(1 << 30).unwrap() {
                            Some(at) => break at,
                            None if inbox.read(&mut stream).await.is_err() => return,
                            None => {}
                        }
                    };
                    let mut reader = Reader::new(inbox.message(at));
                    let header = reader.header().unwrap();
                    let reply = handler(Call::read(header.method, &mut reader).unwrap());
                    let number = if keeps_numbers { header.number } else { 0 };
                    let mut out = Writer::new(Vec::new(), Framing::Buffered);
                    write_reply(header.method, number, &reply, &mut out);
                    inbox.next();
                    if stream.write_all(&out.finish().repeat(times)).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn name(name: &str) -> FlagName<'_> {
    FlagName::new(name).unwrap()
}

fn builder(address: SocketAddr) -> ThriftStoreBuilder {
    ThriftStore::builder(&address.to_string())
}

fn failed(code: i32) -> Reply {
    Reply::Failed(Exception { code: Code(code), message: b"told to".to_vec(), version: None })
}

fn item(of: &[u8], is_enabled: bool, client_data: &[u8]) -> Item {
    let meta = Meta { created_date: Some(1), client_data: Some(client_data.to_vec()), ..Meta::default() };
    Item { name: Some(of.to_vec()), is_enabled: Some(is_enabled), meta: Some(meta), ..Item::default() }
}

type Items = Arc<Mutex<HashMap<Vec<u8>, Item>>>;

/// The published service.
fn parts(items: &Items, call: Option<Call>) -> Reply {
    let mut items = items.lock().unwrap();
    match call {
        Some(Call::Get { name, .. }) => match items.get(&name) {
            Some(item) => Reply::Item(Box::new(item.clone())),
            None => failed(0),
        },
        Some(Call::Create { name, is_enabled, client_data }) => {
            let created = item(&name, is_enabled.unwrap(), &client_data.unwrap());
            items.insert(name, created.clone());
            Reply::Item(Box::new(created))
        }
        Some(Call::Set { name, is_enabled }) => {
            items.get_mut(&name).unwrap().is_enabled = is_enabled;
            Reply::Nothing
        }
        Some(Call::SetMeta { name, meta }) => {
            items.get_mut(&name).unwrap().meta = Some(meta);
            Reply::Nothing
        }
        _ => Reply::UnknownMethod,
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_replaced_by_what_is_on() {
    for was_on in [false, true] {
        let items = Items::default();
        items.lock().unwrap().insert(b"X".to_vec(), item(b"X", was_on, b"no JSON"));
        let served = Arc::clone(&items);
        let address = odd(Arc::new(move |call| parts(&served, call)), true, 1).await;
        let client = FeatureFlagClient::new(builder(address).connect().await.unwrap());
        for is_on in [true, false] {
            items.lock().unwrap().insert(b"X".to_vec(), item(b"X", was_on, b"no JSON"));
            client.create_or_replace("X", is_on, json::Object::default()).await.unwrap();
            assert_eq!(items.lock().unwrap()[&b"X"[..]].is_enabled, Some(is_on));
        }
    }
}

#[tokio::test]
async fn an_answer_too_many_is_not_taken_for_the_next_one() {
    let answer = |call| match call {
        Some(Call::Get { name, .. }) => {
            let data = format!("{{\"of\": \"{}\"}}", String::from_utf8_lossy(&name));
            Reply::Item(Box::new(item(&name, true, data.as_bytes())))
        }
        _ => Reply::UnknownMethod,
    };
    let store = builder(odd(Arc::new(answer), false, 2).await).connect_lazy().unwrap();
    for of in ["A", "B", "C"] {
        let found = store.get(name(of)).await.unwrap().unwrap().value;
        assert_eq!(found.client_data().to_json(), format!("{{\"of\": \"{of}\"}}"));
    }
}

#[tokio::test]
async fn a_failure_to_say_what_there_is_says_nothing() {
    // A proxy that cannot reach its server at first.
    for broken in [Reply::Broken("no upstream".to_owned()), failed(10)] {
        let fails = Arc::new(Mutex::new(true));
        let may_fail = Arc::clone(&fails);
        let records = Arc::new(Mutex::new(Vec::new()));
        let stored = Arc::clone(&records);
        let answer = move |call| match call {
            Some(Call::Describe) if *may_fail.lock().unwrap() => broken.clone(),
            Some(Call::Describe) => Reply::Description(crate::wire::Description {
                puts_atomically: true,
                removes_atomically: true,
                ..Default::default()
            }),
            Some(Call::Put { record, .. }) => {
                stored.lock().unwrap().push(record);
                Reply::Version(crate::wire::WireVersion(b"n12345678".to_vec()))
            }
            Some(Call::Get { .. }) => failed(0),
            _ => Reply::UnknownMethod,
        };
        let address = odd(Arc::new(answer), true, 1).await;
        assert!(builder(address).connect().await.is_err());
        let store = builder(address).connect_lazy().unwrap();
        let newer = br#"{"feature_name": "X", "is_enabled": true, "newer": 8, "meta": {"created_date": 1}}"#;
        let newer = Flag::from_json(newer).unwrap();
        assert!(store.put(&newer, Expect::Absent).await.is_err());
        *fails.lock().unwrap() = false;
        store.put(&newer, Expect::Absent).await.unwrap();
        assert_eq!(*records.lock().unwrap(), [newer.as_json().as_bytes()]);
        assert_eq!(store.capabilities().conditional_put, CompareAndSet::Atomic);
    }
}

#[tokio::test]
async fn a_part_that_few_copies_have_does_not_end_a_write() {
    let items = Items::default();
    let served = Arc::clone(&items);
    let answer = move |call| {
        let is_create = matches!(call, Some(Call::Create { .. }));
        let reply = parts(&served, call);
        if is_create { failed(Code::of(ErrorKind::NotReplicated).0) } else { reply }
    };
    let address = odd(Arc::new(answer), true, 1).await;
    let client = FeatureFlagClient::new(builder(address).connect().await.unwrap());
    let error = client.create_with("X", true, [("a", 1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReplicated);
    assert!(client.flag("X").await.unwrap().is_switched_on());
}

#[tokio::test]
async fn what_nobody_could_read_is_not_written() {
    let items = Items::default();
    let served = Arc::clone(&items);
    let address = odd(Arc::new(move |call| parts(&served, call)), true, 1).await;
    let store = builder(address).timeout(Duration::from_mins(1)).connect().await.unwrap();
    // As long as a record may be, and shorter than it becomes when it is put together again.
    let (head, tail) =
        (r#"{"feature_name":"X","is_enabled":true,"meta":{"created_date":1,"client_data":{"a":""#, r#""}}}"#);
    let text = "x".repeat(json::MAX_BYTES - head.len() - tail.len());
    let longest = Flag::from_json(format!("{head}{text}{tail}").as_bytes()).unwrap();
    let error = store.put(&longest, Expect::Absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(items.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_server_that_allows_more_is_noticed() {
    let flags = FeatureFlagClient::new(MemoryStore::new());
    let server = ThriftServer::new(flags.clone()).address("127.0.0.1:0").max_request(50_000);
    let server = server.start().await.unwrap();
    let address = server.local_address();
    let store = builder(address).connect().await.unwrap();
    let mut large = Flag::new(name("X"), Timestamp::from_secs(1));
    large.merge_client_data([("text", "x".repeat(60_000))]).unwrap();
    let error = store.put(&large, Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("50000"), "{error}");
    server.shutdown(Duration::from_secs(1)).await;
    let _server = ThriftServer::new(flags).address(address.to_string()).start().await.unwrap();
    store.put(&large, Expect::Any).await.unwrap();
}
