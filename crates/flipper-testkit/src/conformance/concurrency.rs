use flipper_core::{CompareAndSet, ErrorKind, Expect, FeatureFlagClient, Store};

use super::{Outcome, flag, name, stored};
use crate::Subject;

/// 32 clients edit one flag at the same time, each under keys of its own: all edits are there in the end.
///
/// Each has a client of its own, so that nothing but the store keeps their writes apart.
pub async fn edits_of_32_editors_are_all_kept<S: Store>(subject: &Subject<S>) -> Outcome {
    const EDITORS: usize = 32;
    const EDITS: usize = 5;
    let store = subject.store().await;
    if store.capabilities().conditional_put != CompareAndSet::Atomic {
        return Outcome::Absent("atomic conditional puts");
    }
    FeatureFlagClient::new(store.clone()).create("X").await.unwrap();
    let mut editors = tokio::task::JoinSet::new();
    for editor in 0..EDITORS {
        let client =
            FeatureFlagClient::builder(store.clone()).deadline(std::time::Duration::from_mins(1)).build();
        editors.spawn(async move {
            for edit in 0..EDITS {
                let data = serde_json::json!({format!("{editor}-{edit}"): true});
                client.set_client_data("X", data.as_object().unwrap()).await.unwrap();
            }
        });
    }
    while let Some(editor) = editors.join_next().await {
        editor.unwrap();
    }
    let kept = FeatureFlagClient::new(store).get_client_data("X").await.unwrap().len();
    assert_eq!(kept, EDITORS * EDITS, "edits were lost");
    Outcome::Proven
}

/// Of many who create a flag at the same time, exactly one succeeds, and what it wrote is there.
pub async fn one_of_many_creators_wins<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    if store.capabilities().conditional_put != CompareAndSet::Atomic {
        return Outcome::Absent("atomic conditional puts");
    }
    let mut creators = tokio::task::JoinSet::new();
    for number in 0..16 {
        let store = store.clone();
        creators.spawn(async move { (number, store.put(&flag("X", number), Expect::Absent).await) });
    }
    let mut winners = Vec::new();
    while let Some(creator) = creators.join_next().await {
        match creator.unwrap() {
            (number, Ok(_)) => winners.push(number),
            (_, Err(error)) => assert_eq!(error.kind(), ErrorKind::Conflict),
        }
    }
    let [winner] = winners[..] else { panic!("{winners:?} have won") };
    assert_eq!(stored(&*store, "X").await.as_deref(), Some(flag("X", winner).as_json()));
    Outcome::Proven
}

/// Writes of different flags at the same time all succeed.
pub async fn concurrent_edits_of_different_flags_do_not_meet<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..16 {
        let store = store.clone();
        writers.spawn(async move {
            let of = format!("F{writer}");
            let mut version = store.put(&flag(&of, 0), Expect::Absent).await.unwrap();
            for number in 1..10 {
                version = store.put(&flag(&of, number), Expect::Matches(&version)).await.unwrap();
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    for writer in 0..16 {
        let of = format!("F{writer}");
        let found = store.get(name(&of)).await.unwrap().expect("the flag");
        assert_eq!(found.value, flag(&of, 9));
    }
    Outcome::Proven
}

/// Of a deletion and a write that start from the same version, one wins and the other is told; never both.
pub async fn a_delete_and_a_write_never_both_win<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let capabilities = store.capabilities();
    if [capabilities.conditional_put, capabilities.conditional_delete] != [CompareAndSet::Atomic; 2] {
        return Outcome::Absent("atomic conditional deletes");
    }
    for round in 0..50 {
        let version = store.put(&flag("X", 2 * round), Expect::Any).await.unwrap();
        let changed = flag("X", 2 * round + 1);
        let delete = store.delete(name("X"), Expect::Matches(&version));
        let write = store.put(&changed, Expect::Matches(&version));
        // Each goes first in its turn.
        let (deleted, written) = if round % 2 == 0 {
            tokio::join!(delete, write)
        } else {
            let (written, deleted) = tokio::join!(write, delete);
            (deleted, written)
        };
        let left = stored(&*store, "X").await;
        match (deleted, written) {
            (Ok(true), Err(error)) => {
                assert_eq!((error.kind(), left), (ErrorKind::Conflict, None));
            }
            (Err(error), Ok(_)) => {
                assert_eq!(error.kind(), ErrorKind::Conflict);
                assert_eq!(left.as_deref(), Some(changed.as_json()));
            }
            both => panic!("round {round}: {both:?}"),
        }
    }
    Outcome::Proven
}
