//! Polling: what watchers are told in the end is what is there, whoever reads and writes in between.

use std::sync::Arc;
use std::time::Duration;

use flipper_core::{BoxStream, Change, Expect, Store};
use flipper_redis::RedisStore;
use flipper_testkit::next;

use super::{Cli, flag, name, number, put, server, told, watch};

async fn store(interval: Duration) -> (Arc<RedisStore>, String) {
    let base_key = super::base_key();
    let builder = RedisStore::builder(&server().url()).base_key(&base_key).poll_only();
    (Arc::new(builder.poll_interval(interval).connect().await.unwrap()), base_key)
}

/// What a watcher takes for the last state of a flag that reads it when it is told that it was touched.
async fn last(store: &RedisStore, changes: &mut BoxStream<'static, Change>, of: &str) -> Option<Option<i64>> {
    let mut last = None;
    while let Ok(Some(change)) = tokio::time::timeout(Duration::from_millis(100), next(changes)).await {
        match change {
            Change::Put(found) if found.value.name() == of => last = Some(found.value.created_date()),
            Change::Deleted { name, .. } if *name == *of => last = Some(None),
            Change::Touched { name } if *name == *of => last = Some(number(store, of).await),
            _ => {}
        }
    }
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reads_beside_a_write_do_not_bring_back_what_was_before() {
    let (store, _) = store(Duration::from_hours(1)).await;
    put(&*store, "X", 0).await;
    let mut changes = watch(&*store).await;
    for number in 1..=50 {
        let mut calls = tokio::task::JoinSet::new();
        for call in 0..5 {
            let store = Arc::clone(&store);
            calls.spawn(async move {
                if call == 2 {
                    put(&*store, "X", number).await;
                } else {
                    store.get(name("X")).await.unwrap();
                }
            });
        }
        calls.join_all().await;
    }
    // Told that it was touched, a watcher reads it, and nothing after that says otherwise.
    assert_eq!(last(&store, &mut changes, "X").await, Some(Some(50)));
}

#[tokio::test]
async fn a_listing_that_is_taken_slowly_says_nothing_wrong() {
    let (store, _) = store(Duration::from_millis(500)).await;
    for of in ["A", "B", "C"] {
        put(&*store, of, 1).await;
    }
    let mut changes = watch(&*store).await;
    let mut listing = store.list(flipper_core::Page::ALL);
    next(&mut listing).await;
    for of in ["A", "B", "C", "NEW"] {
        put(&*store, of, 2).await;
    }
    store.delete(name("C"), Expect::Any).await.unwrap();
    flipper_testkit::collect(listing).await;
    let mut touched = Vec::new();
    // Each when it was written, and once more by the next listing.
    while touched.len() < 8 {
        let words = told(&mut changes).await;
        assert!(!words.ends_with(" 1") && !words.starts_with("deleted"), "{words}");
        touched.extend(words.strip_prefix("Touched").map(str::to_owned));
    }
    touched.sort_unstable();
    touched.dedup();
    assert_eq!(touched.len(), 4);
    assert_eq!((number(&*store, "C").await, number(&*store, "NEW").await), (None, Some(2)));
}

/// A deletion that finds nothing has told somebody that there is nothing.
#[tokio::test]
async fn what_a_write_has_found_is_told_and_its_end_too() {
    let (store, base_key) = store(Duration::from_millis(300)).await;
    put(&*store, "X", 1).await;
    let mut changes = watch(&*store).await;
    let mut cli = Cli::new(&server().url()).await;
    let key = format!("{base_key}/X");
    let _: i64 = cli.tell(&["DEL", &key]).await;
    assert!(!store.delete(name("X"), Expect::Any).await.unwrap());
    cli.set(&key, flag("X", 1).as_json()).await;
    assert_eq!(told(&mut changes).await, "Touched { name: \"X\" }");
    // By the next listing: what it has may be older than what was read since.
    assert_eq!(told(&mut changes).await, "Touched { name: \"X\" }");
    assert_eq!(number(&*store, "X").await, Some(1));
}
