//! Writes that replicas have to confirm.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use flipper_core::events::EventType;
use flipper_core::{ErrorKind, Expect, FeatureFlagClient, Store};
use flipper_redis::RedisStore;
use flipper_testkit::RedisServer;

use super::{flag, name, number};

#[tokio::test]
async fn a_write_without_enough_replicas_stands_and_says_so() {
    let primary = RedisServer::start(&["--repl-diskless-sync-delay", "0"]);
    let waiting =
        |limit| RedisStore::builder(&primary.url()).wait_for_replicas(1, Duration::from_millis(limit));
    let store = waiting(50).connect().await.unwrap();
    for expect in [Expect::Any, Expect::Matches(&flag("X", 1).version_of_bytes())] {
        let error = store.put(&flag("X", 1), expect).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::NotReplicated, false), "{error:?}");
        assert_eq!(error.message(), "it is written, and 0 of 1 replicas have it after 50ms");
        assert_eq!(number(&store, "X").await, Some(1));
    }
    // What is not written needs no confirmation.
    let conflict = store.put(&flag("X", 2), Expect::Absent).await.unwrap_err();
    assert_eq!(conflict.kind(), ErrorKind::Conflict);

    // The verbs say so as well; the change is announced, as it has been made.
    let client = FeatureFlagClient::new(store);
    let told = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&told);
    client.events().on(EventType::PostEnable, move |_| *counted.lock().unwrap() += 1);
    let error = client.enable("X").await.unwrap_err();
    assert_eq!((error.kind(), *told.lock().unwrap()), (ErrorKind::NotReplicated, 1));
    assert_eq!(client.destroy("X").await.unwrap_err().kind(), ErrorKind::NotReplicated);
    assert!(!client.exists("X").await.unwrap());

    let (host, port) = ("127.0.0.1", primary.address().port().to_string());
    let replica = RedisServer::start(&["--replicaof", &format!("{host} {port}")]);
    let store = waiting(5_000).connect().await.unwrap();
    let at_replica = RedisStore::connect(&replica.url()).await.unwrap();
    let client = FeatureFlagClient::new(store);
    for round in 0..20 {
        let of = format!("F{round}");
        client.create(&of).await.unwrap();
        assert!(at_replica.get(name(&of)).await.unwrap().is_some(), "{of} was confirmed");
    }
}
