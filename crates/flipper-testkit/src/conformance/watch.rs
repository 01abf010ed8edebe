use std::sync::Arc;
use std::time::Duration;

use flipper_core::{BoxStream, Change, Expect, Store};

use super::{Outcome, flag, name, put};
use crate::stream::PATIENCE;
use crate::{Subject, next};

const ABSENT: Outcome = Outcome::Absent("watch");

/// Starts to watch, and waits for the subscription to be active.
async fn watch(store: &Arc<impl Store>) -> Option<BoxStream<'static, Change>> {
    let mut changes = store.watch()?;
    match next(&mut changes).await {
        Some(Change::Resync { .. }) => Some(changes),
        other => panic!("a watch begins with a resync, not with {other:?}"),
    }
}

/// What a change says of a flag: its record, or `None` if it is gone.
async fn state(store: &Arc<impl Store>, change: Change) -> (String, Option<String>) {
    match change {
        Change::Put(found) => (found.value.name().to_owned(), Some(found.value.as_json().to_owned())),
        Change::Deleted { name, .. } => (name.into(), None),
        Change::Touched { name: touched } => {
            let found = store.get(name(&touched)).await.unwrap();
            (touched.to_string(), found.map(|found| found.value.as_json().to_owned()))
        }
        other => panic!("{other:?}"),
    }
}

/// Waits until a flag is told to be in a state.
async fn until(
    store: &Arc<impl Store>,
    changes: &mut BoxStream<'static, Change>,
    of: &str,
    record: Option<&str>,
) {
    loop {
        let change = next(changes).await.expect("the watch goes on");
        let (flag, told) = state(store, change).await;
        if flag == of && told.as_deref() == record {
            return;
        }
    }
}

/// The first item is `Resync`, on an empty store and on one that has flags.
pub async fn a_watch_begins_with_a_resync<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    if watch(&store).await.is_none() {
        return ABSENT;
    }
    put(&*store, &flag("X", 1)).await;
    watch(&store).await;
    Outcome::Proven
}

/// Writes and deletions are told, those of one flag in their order; no write after the first item is missed.
pub async fn a_watch_tells_writes_in_order<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let Some(mut changes) = watch(&store).await else { return ABSENT };
    for number in 1..=3 {
        put(&*store, &flag("X", number)).await;
        put(&*store, &flag("Y", number)).await;
        until(&store, &mut changes, "X", Some(flag("X", number).as_json())).await;
    }
    assert!(store.delete(name("X"), Expect::Any).await.unwrap());
    until(&store, &mut changes, "X", None).await;
    put(&*store, &flag("X", 9)).await;
    until(&store, &mut changes, "X", Some(flag("X", 9).as_json())).await;
    Outcome::Proven
}

/// Whoever waits for a change is woken by it.
pub async fn a_watch_wakes_who_waits<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let Some(mut changes) = watch(&store).await else { return ABSENT };
    for number in 1..=2 {
        let waiting = tokio::spawn(async move {
            let change = next(&mut changes).await;
            (changes, change)
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        put(&*store, &flag("X", number)).await;
        // Less than the patience of `next`, which looks once more when it runs out.
        let woken = tokio::time::timeout(PATIENCE / 2, waiting).await.expect("whoever waits is woken");
        let (watch, change) = woken.unwrap();
        changes = watch;
        assert_eq!(state(&store, change.expect("the watch goes on")).await.0, "X");
        // A store may tell one write more than once.
        until_quiet(&mut changes).await;
    }
    Outcome::Proven
}

/// Waits until nothing has been told for a while.
async fn until_quiet(changes: &mut BoxStream<'static, Change>) {
    loop {
        let told = std::future::poll_fn(|task| changes.as_mut().poll_next(task));
        let Ok(Some(_)) = tokio::time::timeout(Duration::from_millis(200), told).await else { return };
    }
}

/// What somebody else writes is told as well.
pub async fn a_watch_tells_others_writes<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let Some(other) = subject.sibling(&store).await else {
        return Outcome::Absent("a second store on the same data");
    };
    let Some(mut changes) = watch(&store).await else { return ABSENT };
    put(&*other, &flag("X", 1)).await;
    until(&store, &mut changes, "X", Some(flag("X", 1).as_json())).await;
    assert!(other.delete(name("X"), Expect::Any).await.unwrap());
    until(&store, &mut changes, "X", None).await;
    Outcome::Proven
}

/// Each watcher is told everything, also after another one has gone.
pub async fn watchers_do_not_disturb_one_another<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let Some(mut first) = watch(&store).await else { return ABSENT };
    let second = watch(&store).await;
    let mut third = watch(&store).await.expect("a third watch");
    drop(second);
    put(&*store, &flag("X", 1)).await;
    until(&store, &mut first, "X", Some(flag("X", 1).as_json())).await;
    drop(first);
    put(&*store, &flag("X", 2)).await;
    until(&store, &mut third, "X", Some(flag("X", 2).as_json())).await;
    Outcome::Proven
}

/// A watcher that does not look holds up no write, and is told the last state or to load everything.
pub async fn a_slow_watcher_is_told_to_load_again<S: Store>(subject: &Subject<S>) -> Outcome {
    const WRITES: i64 = 3_000;
    let store = subject.store().await;
    let Some(mut changes) = watch(&store).await else { return ABSENT };
    let mut version = put(&*store, &flag("X", 0)).await;
    for number in 1..=WRITES {
        version = store.put(&flag("X", number), Expect::Matches(&version)).await.unwrap();
    }
    let last = flag("X", WRITES);
    loop {
        match next(&mut changes).await.expect("the watch goes on") {
            Change::Resync { .. } => break,
            change => {
                if state(&store, change).await == ("X".to_owned(), Some(last.as_json().to_owned())) {
                    break;
                }
            }
        }
    }
    // It goes on after that.
    put(&*store, &flag("Y", 1)).await;
    loop {
        match next(&mut changes).await.expect("the watch goes on") {
            Change::Resync { .. } => {}
            change => {
                if state(&store, change).await.0 == "Y" {
                    return Outcome::Proven;
                }
            }
        }
    }
}
