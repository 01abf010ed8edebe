use flipper_core::{ErrorKind, Expect, Store};

use super::{Outcome, flag, name, put, stored};
use crate::Subject;

/// What somebody else writes and deletes is seen by the next read.
pub async fn others_writes_are_read<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let Some(other) = subject.sibling(&store).await else {
        return Outcome::Absent("a second store on the same data");
    };
    put(&*other, &flag("X", 1)).await;
    assert_eq!(stored(&*store, "X").await.as_deref(), Some(flag("X", 1).as_json()));
    put(&*other, &flag("X", 2)).await;
    assert_eq!(stored(&*store, "X").await.as_deref(), Some(flag("X", 2).as_json()));
    assert!(other.delete(name("X"), Expect::Any).await.unwrap());
    assert_eq!(stored(&*store, "X").await, None);
    Outcome::Proven
}

/// A write on top of a version that somebody else has replaced is a conflict.
pub async fn a_write_on_top_of_others_is_a_conflict<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let Some(other) = subject.sibling(&store).await else {
        return Outcome::Absent("a second store on the same data");
    };
    let version = put(&*store, &flag("X", 1)).await;
    put(&*other, &flag("X", 2)).await;
    let error = store.put(&flag("X", 3), Expect::Matches(&version)).await.expect_err("the version is old");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(stored(&*other, "X").await.as_deref(), Some(flag("X", 2).as_json()));
    Outcome::Proven
}
