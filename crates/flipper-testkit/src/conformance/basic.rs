use flipper_core::{ErrorKind, Expect, Store};

use super::{Outcome, flag, name, put, stored};
use crate::Subject;

/// A flag that is not there is `None`, and no error.
pub async fn absent_flags_are_none<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    assert_eq!(store.get(name("X")).await.unwrap(), None);
    put(&*store, &flag("Y", 1)).await;
    assert_eq!(store.get(name("X")).await.unwrap(), None);
    Outcome::Proven
}

/// What is put is got, with the version that the put returned.
pub async fn what_is_put_is_got<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let flag = flag("X", 1);
    let version = store.put(&flag, Expect::Absent).await.unwrap();
    let found = store.get(name("X")).await.unwrap().expect("the flag that was put");
    assert_eq!(found.value, flag);
    assert_eq!(found.version, version, "the version of the put is that of the get");
    Outcome::Proven
}

/// `Any` replaces what is there, and later reads see it at once.
pub async fn any_replaces_what_is_there<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let mut versions = Vec::new();
    for number in 0..5 {
        let flag = flag("X", number);
        versions.push(store.put(&flag, Expect::Any).await.unwrap());
        assert_eq!(stored(&*store, "X").await.as_deref(), Some(flag.as_json()));
    }
    versions.dedup();
    assert_eq!(versions.len(), 5, "different states have different versions");
    Outcome::Proven
}

/// `Absent` creates, and fails with `Conflict` where there is a flag, which stays as it is.
pub async fn absent_creates_and_never_replaces<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let (first, second) = (flag("X", 1), flag("X", 2));
    store.put(&first, Expect::Absent).await.unwrap();
    let error = store.put(&second, Expect::Absent).await.expect_err("there is a flag");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(stored(&*store, "X").await.as_deref(), Some(first.as_json()));
    Outcome::Proven
}

/// `Matches` writes on top of the version that is there, and on top of no other.
pub async fn matches_takes_the_current_version_only<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let first = put(&*store, &flag("X", 1)).await;
    let second = store.put(&flag("X", 2), Expect::Matches(&first)).await.expect("the version is current");
    let error = store.put(&flag("X", 3), Expect::Matches(&first)).await.expect_err("the version is old");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(stored(&*store, "X").await.as_deref(), Some(flag("X", 2).as_json()));
    store.put(&flag("X", 4), Expect::Matches(&second)).await.expect("the version is current");
    Outcome::Proven
}

/// A write on top of a version whose flag is gone fails with `Conflict`, and makes no flag.
pub async fn a_write_never_resurrects_a_deleted_flag<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let version = put(&*store, &flag("X", 1)).await;
    assert!(store.delete(name("X"), Expect::Any).await.unwrap());
    let error = store.put(&flag("X", 2), Expect::Matches(&version)).await.expect_err("the flag is gone");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(stored(&*store, "X").await, None);
    Outcome::Proven
}

/// `delete` returns whether there was a flag, and it is gone.
pub async fn delete_says_whether_there_was_a_flag<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    assert!(!store.delete(name("X"), Expect::Any).await.unwrap());
    put(&*store, &flag("X", 1)).await;
    assert!(store.delete(name("X"), Expect::Any).await.unwrap());
    assert_eq!(stored(&*store, "X").await, None);
    assert!(!store.delete(name("X"), Expect::Any).await.unwrap());
    Outcome::Proven
}

/// `delete` with `Matches` deletes the version that is there and no other; of a flag that is not there it is `false`.
pub async fn delete_takes_the_current_version_only<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let first = put(&*store, &flag("X", 1)).await;
    let second = put(&*store, &flag("X", 2)).await;
    let error = store.delete(name("X"), Expect::Matches(&first)).await.expect_err("the version is old");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(stored(&*store, "X").await.as_deref(), Some(flag("X", 2).as_json()));
    assert!(store.delete(name("X"), Expect::Matches(&second)).await.unwrap());
    assert!(!store.delete(name("X"), Expect::Matches(&second)).await.unwrap(), "there is no flag any more");
    Outcome::Proven
}

/// A flag that is to be deleted cannot be expected to be absent.
pub async fn delete_refuses_to_expect_nothing<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    put(&*store, &flag("X", 1)).await;
    let error = store.delete(name("X"), Expect::Absent).await.expect_err("it makes no sense");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(stored(&*store, "X").await.is_some());
    Outcome::Proven
}

/// A flag that is deleted and made again, differently, is not the one that it was.
pub async fn a_flag_made_again_is_another<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let old = put(&*store, &flag("X", 1)).await;
    assert!(store.delete(name("X"), Expect::Any).await.unwrap());
    put(&*store, &flag("X", 2)).await;
    let error = store.put(&flag("X", 3), Expect::Matches(&old)).await.expect_err("another flag is there");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    Outcome::Proven
}
