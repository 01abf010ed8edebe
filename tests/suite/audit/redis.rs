//! The audit log of flags in Redis.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use flipper_audit::{AuditLog, Fsync, History, LineKind, Record, Source, Verifier};
use flipper_core::{FeatureFlagClient, Store};
use flipper_redis::RedisStore;
use flipper_testkit::RedisServer;

fn changes(path: &std::path::Path) -> Vec<Record> {
    let entries = History::of(path).entries().unwrap().map(Result::unwrap);
    let changes = entries.filter(|entry| entry.kind() == LineKind::Change);
    changes.map(|entry| entry.record().unwrap().clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn of_sixteen_thousand_changes_in_redis_each_is_there_once_and_in_order() {
    const CHANGES: u32 = 1_000;
    let server = RedisServer::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let client = FeatureFlagClient::builder(RedisStore::connect(&server.url()).await.unwrap())
        .deadline(Duration::from_mins(1))
        .build();
    let log = AuditLog::builder().fsync(Fsync::Every(Duration::from_millis(100))).rotate_at(1 << 20);
    let log = log.open(&path).unwrap();
    log.subscribe_to(&client);
    for flag in 0..8 {
        client.create(&format!("F{flag}")).await.unwrap();
    }
    let threads: Vec<_> = (0..16)
        .map(|thread| {
            let client = client.as_actor(format!("t{thread}"));
            tokio::spawn(async move {
                for number in 0..CHANGES {
                    let flag = format!("F{}", thread % 8);
                    client.set_client_data(&flag, [(format!("t{thread}"), number)]).await.unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.await.unwrap();
    }
    assert!(Verifier::new(&path).head(log.head()).run().unwrap().is_intact());
    let (mut last, mut by_actor) = (HashMap::new(), HashMap::<String, u32>::new());
    for record in changes(&path) {
        assert_eq!(record.before, last.insert(record.flag.clone(), record.after.clone()).flatten());
        if let Some(actor) = record.actor {
            let next = by_actor.entry(actor).or_default();
            let to = record.difference[0].to.as_ref().and_then(flipper_core::json::Value::as_f64);
            assert_eq!(to, Some(f64::from(*next)));
            *next += 1;
        }
    }
    assert_eq!(by_actor.len(), 16);
    assert!(by_actor.values().all(|count| *count == CHANGES));
    for (flag, after) in last {
        assert_eq!(Some(client.flag(&flag).await.unwrap().as_json().to_owned()), after, "{flag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_client_of_the_same_redis_does_is_recorded_as_somebody_elses() {
    let server = RedisServer::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let store = Arc::new(RedisStore::connect(&server.url()).await.unwrap());
    let ours = FeatureFlagClient::new(Arc::clone(&store));
    let theirs = FeatureFlagClient::new(RedisStore::connect(&server.url()).await.unwrap());
    let log = AuditLog::open(&path).unwrap();
    log.subscribe_to(&ours);
    let follower = log.clone();
    let task = tokio::spawn(async move { follower.follow(store as Arc<dyn Store>).await });
    ours.create("OURS").await.unwrap();
    theirs.create("THEIRS").await.unwrap();
    let is_told =
        || changes(&path).iter().any(|record| record.flag == "THEIRS" && record.source == Source::Watch);
    let wait = async {
        while !is_told() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("their change");
    ours.close().await.unwrap();
    task.await.unwrap().unwrap();
    let sources: Vec<_> = changes(&path).iter().map(|record| (record.flag.clone(), record.source)).collect();
    assert_eq!(
        sources.iter().filter(|(flag, _)| flag == "OURS").collect::<Vec<_>>(),
        [&("OURS".to_owned(), Source::Client)]
    );
    assert_eq!(sources.len(), 2);
}
