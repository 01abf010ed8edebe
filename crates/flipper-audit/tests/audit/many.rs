//! Many changes at once.

use std::collections::HashMap;
use std::time::Duration;

use flipper_audit::{AuditLog, Fsync, LineKind, Verifier};
use flipper_core::json::Object;

use super::{entries, logged, place, quick};

const THREADS: usize = 16;
const CHANGES: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn of_sixteen_thousand_changes_by_sixteen_threads_each_is_there_once_and_in_order() {
    let (_directory, path) = place();
    let log = AuditLog::builder().fsync(Fsync::Every(Duration::from_millis(50))).rotate_at(1 << 20);
    let log = log.open(&path).unwrap();
    let client = logged(&log);
    for flag in 0..8 {
        client.create(&format!("F{flag}")).await.unwrap();
    }
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let client = client.as_actor(format!("t{thread}"));
            tokio::spawn(async move {
                for number in 0..CHANGES {
                    // Two threads for each flag, so that their changes get into each other's way.
                    let mut data = Object::default();
                    data.insert(format!("t{thread}"), number);
                    client.set_client_data(&format!("F{}", thread % 8), data).await.unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.await.unwrap();
    }
    let found = Verifier::new(&path).head(log.head()).run().unwrap();
    assert!(found.is_intact() && found.files > 5, "{found:?}");

    let mut last: HashMap<String, String> = HashMap::new();
    let mut by_actor: HashMap<String, Vec<u64>> = HashMap::new();
    for entry in entries(&path).iter().filter(|entry| entry.kind() == LineKind::Change) {
        let record = entry.record().unwrap();
        // Each starts from what the one before has left: that is the order of the store's versions.
        assert_eq!(record.before.as_ref(), last.get(&record.flag), "line {}", entry.number());
        last.insert(record.flag.clone(), record.after.clone().unwrap());
        if let Some(actor) = &record.actor {
            assert_eq!(record.difference.len(), 1);
            assert!(record.difference[0].path.ends_with(actor.as_str()));
            by_actor
                .entry(actor.clone())
                .or_default()
                .push(record.difference[0].to.as_ref().unwrap().as_f64().unwrap() as u64);
        }
    }
    assert_eq!(by_actor.len(), THREADS);
    for (actor, numbers) in by_actor {
        assert_eq!(numbers, (0..CHANGES as u64).collect::<Vec<_>>(), "{actor}");
    }
    for (flag, after) in last {
        assert_eq!(client.flag(&flag).await.unwrap().as_json(), after);
    }
}

#[tokio::test]
async fn an_update_of_several_aspects_is_one_line() {
    let (_directory, path) = place();
    let client = logged(&quick().open(&path).unwrap());
    client.create("X").await.unwrap();
    let edit = client.update("X", |flag| {
        flag.set_enabled(true)?;
        flag.merge_client_data([("a", 1)])
    });
    edit.await.unwrap();
    assert_eq!(super::changes(&path), ["create X client done", "enable+set_client_data X client done"]);
    let entries = entries(&path);
    let paths: Vec<_> = entries
        .last()
        .unwrap()
        .record()
        .unwrap()
        .difference
        .iter()
        .map(|difference| &difference.path)
        .collect();
    assert_eq!(paths, ["/is_enabled", "/meta/client_data/a"]);
}

#[tokio::test]
async fn a_log_that_a_client_is_told_of_twice_is_told_of_each_change_once() {
    let (_directory, path) = place();
    let log = quick().open(&path).unwrap();
    let client = logged(&log);
    log.clone().subscribe_to(&client.clone());
    client.create("X").await.unwrap();
    assert_eq!(super::changes(&path), ["create X client done"]);
}
