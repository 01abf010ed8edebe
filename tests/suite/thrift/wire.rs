//! What flipper-client and a server of the published service have sent one another, byte for byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flipper_core::{FeatureFlagClient, Store, Timestamp};
use flipper_memory::MemoryStore;
use flipper_testkit::ManualClock;
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{builder, server_of, start};
use crate::records::{name, names};

fn bytes(hex: &Json) -> Vec<u8> {
    let hex = hex.as_str().expect("hexadecimal").as_bytes();
    hex.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn recorded() -> Json {
    serde_json::from_str(&crate::vectors::read("wire_thrift.json")).unwrap()
}

#[tokio::test]
async fn our_server_answers_as_was_recorded() {
    for transport in ["buffered", "framed"] {
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let flags = FeatureFlagClient::builder(MemoryStore::new()).clock(clock).build();
        let server = start(server_of(&flags)).await;
        let mut stream = TcpStream::connect(server.local_address()).await.unwrap();
        let mut count = 0;
        for call in recorded()[transport]["calls"].as_array().unwrap() {
            let (request, expected) = (bytes(&call["request_hex"]), bytes(&call["response_hex"]));
            stream.write_all(&request).await.unwrap();
            let mut answer = vec![0; expected.len()];
            let what = call["call"].as_str().unwrap();
            stream.read_exact(&mut answer).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(
                String::from_utf8_lossy(&answer),
                String::from_utf8_lossy(&expected),
                "{transport}: {what}"
            );
            count += 1;
        }
        assert!(count > 10);
    }
}

/// Answers each call by what was recorded for one of that method.
async fn replaying(listener: TcpListener, answers: Vec<Vec<u8>>, asked: Arc<AtomicUsize>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    for answer in answers {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0);
        asked.fetch_add(1, Ordering::Relaxed);
        stream.write_all(&answer).await.unwrap();
    }
}

#[tokio::test]
async fn our_store_reads_what_was_recorded() {
    for transport in ["buffered", "framed"] {
        let recorded = recorded();
        let calls = recorded[transport]["calls"].as_array().unwrap();
        let (mut reads, mut lists) = (0, 0);
        for call in calls {
            let what = call["call"].as_str().unwrap();
            let is_list = what.starts_with("list");
            if !is_list && !what.starts_with("get") {
                continue;
            }
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = format!("{}?transport={transport}", listener.local_addr().unwrap());
            let asked = Arc::new(AtomicUsize::new(0));
            let replay =
                tokio::spawn(replaying(listener, vec![bytes(&call["response_hex"])], Arc::clone(&asked)));
            let store = builder(&address).connect_lazy().unwrap();
            if is_list {
                let (good, bad) = names(&store, flipper_core::Page::ALL).await;
                let expected = call["result"].as_array();
                if let Some(expected) = expected {
                    let expected: Vec<_> =
                        expected.iter().map(|item| item["feature_name"].as_str().unwrap()).collect();
                    assert_eq!(good, expected, "{what}");
                }
                assert!(bad.is_empty() && !good.is_empty());
                lists += 1;
            } else {
                let of = what.split(' ').nth(1).unwrap();
                let found = store.get(name(of)).await.unwrap().map(|found| found.value);
                match &call["result"] {
                    Json::Null => assert!(found.is_none(), "{what}"),
                    item => {
                        let found = found.unwrap();
                        assert_eq!(found.is_switched_on(), item["is_enabled"] != false);
                        // flipper-client has made a condition of each check.
                        let conditions = item["meta"]["conditions"].as_array().unwrap();
                        let checks = found.conditions().iter().map(|condition| condition.checks().len());
                        assert_eq!(checks.sum::<usize>(), conditions.len(), "{what}");
                        let meta: Json = serde_json::from_str(found.as_json()).unwrap();
                        for part in ["client_data", "bucketer", "created_date"] {
                            assert_eq!(meta["meta"][part], item["meta"][part], "{what}");
                        }
                    }
                }
                reads += 1;
            }
            replay.await.unwrap();
            assert_eq!(asked.load(Ordering::Relaxed), 1);
        }
        assert!(reads >= 4 && lists >= 2, "{reads} {lists}");
    }
}
