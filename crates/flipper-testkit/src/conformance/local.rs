use std::sync::Arc;

use flipper_core::{
    Context, Expect, FeatureFlagClient, Flag, Freshness, LocalClient, LocalFlag, Peek, Snapshot, Store,
};

use super::{Outcome, flag, name, put, stored};
use crate::Subject;
use crate::stream::PATIENCE;

/// What a peek says: the record, that there is none, or that the store has to be asked.
fn peek(store: &dyn Store, of: &str) -> Option<Option<String>> {
    let mut seen = Vec::new();
    store.peek(of, &mut |peek| {
        seen.push(match peek {
            Peek::Hit { flag, .. } => Some(Some(flag.as_json().to_owned())),
            Peek::KnownAbsent { .. } => Some(None),
            _ => None,
        });
    });
    let [seen] = &seen[..] else { panic!("a peek calls exactly once, not {} times", seen.len()) };
    seen.clone()
}

/// What a store has in memory is what its source of truth has, at once after each write of its own.
pub async fn local_reads_agree_with_the_source<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    if !store.capabilities().local_reads {
        return Outcome::Absent("local reads");
    }
    assert_eq!(peek(&*store, "X"), Some(None));
    for number in 1..5 {
        put(&*store, &flag("X", number)).await;
        assert_eq!(peek(&*store, "X"), Some(stored(&*store, "X").await));
    }
    assert!(store.delete(name("X"), Expect::Any).await.unwrap());
    assert_eq!(peek(&*store, "X"), Some(None));
    Outcome::Proven
}

/// Checks see a write of the store's own at once, whether memory answers them or the store is asked, and again and again.
pub async fn checks_see_writes_at_once<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let client = FeatureFlagClient::new(store.clone());
    for round in 0..3 {
        check(&store, &client, None).await;
        for number in 0..3 {
            let flag = flag("X", round + number);
            put(&*store, &flag).await;
            check(&store, &client, Some(&flag)).await;
        }
        assert!(store.delete(name("X"), Expect::Any).await.unwrap());
    }
    Outcome::Proven
}

/// Whether checks see this flag, or none.
async fn check<S: Store>(store: &Arc<S>, client: &FeatureFlagClient, expected: Option<&Flag>) {
    for _ in 0..2 {
        let known = store.look_up(name("X")).await.unwrap();
        assert_eq!((known.flag.as_ref(), known.freshness), (expected, Freshness::Live), "looked up");
        for default in [false, true] {
            let value = client.is_enabled_or("X", &Context::EMPTY, default).await;
            assert_eq!(value, expected.map_or(default, Flag::is_switched_on), "checked");
        }
    }
}

/// The snapshot of a store is the same one every time, and has what the source of truth has, at once after each write of
/// the store's own: for checks by name and by handle.
pub async fn a_snapshot_agrees_with_the_source<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let Some(snapshot) = store.snapshot().cloned() else {
        put(&*store, &flag("X", 1)).await;
        assert!(store.snapshot().is_none(), "there is always a snapshot, or never");
        return Outcome::Absent("a snapshot");
    };
    assert!(store.capabilities().local_reads, "a store with a snapshot has local reads");
    let client = FeatureFlagClient::new(store.clone());
    let local = client.local().expect("the store has a snapshot");
    // Made before there is a flag, as programs do.
    let handle = local.flag("X");
    agrees(&*store, &snapshot, &local, &handle).await;
    for number in 1..5 {
        put(&*store, &flag("X", number)).await;
        agrees(&*store, &snapshot, &local, &handle).await;
        put(&*store, &flag("Y", number)).await;
        agrees(&*store, &snapshot, &local, &handle).await;
    }
    for _ in 0..2 {
        assert!(store.delete(name("X"), Expect::Any).await.unwrap());
        agrees(&*store, &snapshot, &local, &handle).await;
        client.create("X").await.unwrap();
        agrees(&*store, &snapshot, &local, &handle).await;
        client.enable("X").await.unwrap();
        agrees(&*store, &snapshot, &local, &handle).await;
    }
    client.destroy("X").await.unwrap();
    agrees(&*store, &snapshot, &local, &handle).await;
    assert_eq!(snapshot.len(), 1, "Y is left");
    Outcome::Proven
}

/// Whether the flag of a handle is in a snapshot what it is in the store, for whoever asks.
async fn agrees(store: &dyn Store, snapshot: &Snapshot, local: &LocalClient, handle: &LocalFlag) {
    let of = handle.name();
    let (found, now) = (snapshot.get(of), store.snapshot().expect("a snapshot, as before").get(of));
    let is_same = match (&found, &now) {
        (Some(found), Some(now)) => Arc::ptr_eq(found, now),
        (None, None) => true,
        _ => false,
    };
    assert!(is_same, "another snapshot than before: {now:?} is not the record {found:?}");
    let source = store.get(name(of)).await.unwrap();
    assert_eq!(found.as_deref(), source.as_ref(), "the snapshot has what there is");
    for default in [false, true] {
        let expected = source.as_ref().map_or(default, |found| found.value.is_switched_on());
        assert_eq!(local.is_enabled_or(of, &Context::EMPTY, default), expected, "by name");
        assert_eq!(handle.is_enabled_or(&Context::EMPTY, default), expected, "by handle");
    }
    assert_eq!(local.evaluate(of, &Context::EMPTY, false).freshness, Freshness::Live);
}

/// A peek answers exactly once, whatever it is asked; one that cannot tell says so.
pub async fn a_peek_is_seen_once<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    put(&*store, &flag("X", 1)).await;
    for of in ["X", "Y", "", "\0"] {
        let seen = peek(&*store, of);
        if of != "X" {
            assert!(matches!(seen, None | Some(None)), "{of:?} is no flag");
        }
    }
    Outcome::Proven
}

/// An evaluation says how old the flag is that was asked: live while the store can be reached; and once it cannot, either
/// the evaluation fails, or within 10 s it says that it is not live any more.
pub async fn answers_say_how_old_they_are<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let client = FeatureFlagClient::new(store.clone());
    put(&*store, &flag("X", 1)).await;
    for of in ["X", "Y"] {
        let evaluation = client.evaluate(of, &Context::EMPTY, false).await.unwrap();
        assert_eq!((evaluation.value, evaluation.freshness), (of == "X", Freshness::Live));
    }
    if !subject.outage(&store).await {
        return Outcome::Absent("a way to make the backend unreachable");
    }
    let is_told = async {
        loop {
            match client.evaluate("X", &Context::EMPTY, false).await {
                Err(error) => {
                    assert!(error.is_retryable(), "{error}");
                    return;
                }
                Ok(evaluation) if evaluation.freshness != Freshness::Live => {
                    assert!(evaluation.value, "the last known state keeps answering");
                    return;
                }
                Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, is_told).await.expect("answers stay live while the store is away");
    Outcome::Proven
}
