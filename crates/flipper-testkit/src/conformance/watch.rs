use std::sync::Arc;
use std::time::Duration;

use flipper_core::{BoxStream, Change, Expect, Store, Watching};

use super::{Outcome, flag, name, put, stored};
use crate::stream::PATIENCE;
use crate::{Subject, next};

const ABSENT: Outcome = Outcome::Absent("watch");

/// Starts to watch, and waits for the subscription to be active.
async fn watch(store: &Arc<impl Store>) -> Option<BoxStream<'static, Change>> {
    let watch = store.watch();
    let says = store.capabilities().watch;
    assert_eq!(watch.is_some(), says != Watching::Absent, "`capabilities` says {says:?}");
    let mut changes = watch?;
    match next(&mut changes).await {
        Some(Change::Resync { .. }) => Some(changes),
        other => panic!("a watch begins with a resync, not with {other:?}"),
    }
}

/// What a change says of a flag: whether it is about it, and the record then, or `None` if it is gone.
///
/// To load everything is about every flag, and that the store is away is about none.
async fn told(store: &Arc<impl Store>, change: Change, of: &str) -> Option<Option<String>> {
    match change {
        Change::Put(found) => (found.value.name() == of).then(|| Some(found.value.as_json().to_owned())),
        Change::Deleted { name, .. } => (*name == *of).then_some(None),
        Change::Touched { name } if *name != *of => None,
        Change::Touched { .. } | Change::Resync { .. } => Some(stored(&**store, of).await),
        Change::Down { .. } => None,
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
        if told(store, change, of).await.is_some_and(|told| told.as_deref() == record) {
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
        assert!(change.is_some(), "the watch goes on");
        // A store may tell one write more than once.
        until_quiet(&mut changes, |_| {}).await;
    }
    Outcome::Proven
}

/// Walks the changes until nothing has been told for a while.
async fn until_quiet(changes: &mut BoxStream<'static, Change>, mut see: impl FnMut(Change)) {
    loop {
        let told = std::future::poll_fn(|task| changes.as_mut().poll_next(task));
        match tokio::time::timeout(Duration::from_secs(1), told).await {
            Ok(Some(change)) => see(change),
            _ => return,
        }
    }
}

/// Of a burst of writes, those that are told come in order, each flag's by itself, and the last one is told.
pub async fn a_watch_ends_at_the_last_state<S: Store>(subject: &Subject<S>) -> Outcome {
    const WRITES: i64 = 20;
    let store = subject.store().await;
    let Some(mut changes) = watch(&store).await else { return ABSENT };
    for number in 1..=WRITES {
        put(&*store, &flag("X", number)).await;
        put(&*store, &flag("Y", number)).await;
    }
    let mut last: [Option<i64>; 2] = [None; 2];
    until_quiet(&mut changes, |change| match change {
        Change::Put(found) => {
            let of = usize::from(found.value.name() == "Y");
            let number = found.value.created_date();
            assert!(number >= last[of], "{} goes back to {number:?} from {:?}", found.value.name(), last[of]);
            last[of] = number;
        }
        // Whoever loads now finds the last state.
        Change::Touched { name } => last[usize::from(&*name == "Y")] = Some(WRITES),
        Change::Resync { .. } => last = [Some(WRITES); 2],
        Change::Down { .. } => {}
        other => panic!("{other:?}"),
    })
    .await;
    assert_eq!(last, [Some(WRITES); 2], "the last state was not told");
    Outcome::Proven
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
    until(&store, &mut changes, "X", Some(flag("X", WRITES).as_json())).await;
    // It goes on after that.
    put(&*store, &flag("Y", 1)).await;
    until(&store, &mut changes, "Y", Some(flag("Y", 1).as_json())).await;
    Outcome::Proven
}
