use std::sync::{Arc, Mutex};

use flipper_core::events::EventType;
use flipper_core::{Context, FeatureFlagClient, Flag};
use flipper_memory::MemoryStore;
use serde_json::json;

use super::object;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_tasks_with_200_edits_each_of_one_flag_none_is_lost_and_events_are_in_order() {
    let client = FeatureFlagClient::new(MemoryStore::new());
    client.create("X").await.unwrap();
    let history = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&history);
    client.events().on(EventType::PostSetClientData, move |event| {
        let (before, after) =
            (event.before.unwrap().as_json().to_owned(), event.after.unwrap().as_json().to_owned());
        record.lock().unwrap().push((before, after));
    });
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..64 {
        let client = client.clone();
        tasks.spawn(async move {
            for edit in 0..200 {
                // Few keys, so that the record stays small: the count is in the history.
                client.set_client_data("X", object(&json!({format!("{task}"): edit}))).await.unwrap();
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let history = std::mem::take(&mut *history.lock().unwrap());
    assert_eq!(history.len(), 64 * 200);
    for (edit, next) in history.iter().zip(&history[1..]) {
        assert_eq!(edit.1, next.0, "each edit starts from what the one before has written");
    }
    let data = client.get_client_data("X").await.unwrap();
    assert_eq!(data.len(), 64);
    assert!(data.values().all(|last| *last == 199));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cancelled_edits_leave_nothing_locked() {
    let client = FeatureFlagClient::new(MemoryStore::new());
    client.create("X").await.unwrap();
    for round in 0..500 {
        let editing = tokio::spawn({
            let client = client.clone();
            async move { client.update("X", |flag: &mut Flag| flag.set_enabled(true)).await }
        });
        if round % 3 == 0 {
            tokio::task::yield_now().await;
        }
        editing.abort();
        let _ = editing.await;
    }
    client.disable("X").await.unwrap();
    assert!(!client.is_enabled("X", &Context::EMPTY).await);
}
