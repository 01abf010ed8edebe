use flipper_core::{ErrorKind, Expect, Listed, Page, Store};

use super::{Outcome, flag, name, put, stored};
use crate::{Subject, collect};

const ABSENT: Outcome = Outcome::Absent("a way to plant corrupt records");

/// Records that are no flags: no JSON, no text, nothing, a flag without what it must have.
const CORRUPT: &[&[u8]] = &[b"{", b"\xff\xfe", b"[]", br#"{"feature_name": "X"}"#];

/// A record that cannot be read is an error of kind `Corrupt`, with the version that allows to repair it.
pub async fn corrupt_records_are_told_with_their_version<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    for bytes in CORRUPT {
        if !subject.plant(&store, name("X"), bytes).await {
            return ABSENT;
        }
        let error = store.get(name("X")).await.expect_err("the record is corrupt");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.version().is_some(), "{error} has no version");
    }
    Outcome::Proven
}

/// A record that cannot be read is an item of a listing, and does not end it.
pub async fn corrupt_records_take_no_others_down<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    for of in ["a", "c"] {
        put(&*store, &flag(of, 1)).await;
    }
    if !subject.plant(&store, name("b"), CORRUPT[0]).await {
        return ABSENT;
    }
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for item in collect(store.list(Page::ALL)).await {
        match item.unwrap() {
            Listed::Flag(found) => good.push(found.value.name().to_owned()),
            Listed::Bad { name, error, .. } => {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                bad.push(name);
            }
            other => panic!("{other:?}"),
        }
    }
    good.sort_unstable();
    assert_eq!((good, bad), (vec!["a".to_owned(), "c".to_owned()], vec!["b".into()]));
    Outcome::Proven
}

/// The version of a corrupt record allows to replace and to delete it, and only it.
pub async fn corrupt_records_can_be_replaced_and_deleted<S: Store>(subject: &Subject<S>) -> Outcome {
    async fn version(store: &dyn Store) -> flipper_core::Version {
        store.get(name("X")).await.expect_err("the record is corrupt").version().expect("a version").clone()
    }
    let store = subject.store().await;
    if !subject.plant(&store, name("X"), CORRUPT[0]).await {
        return ABSENT;
    }
    let old = version(&*store).await;
    store.put(&flag("X", 1), Expect::Matches(&old)).await.expect("the version is current");
    assert_eq!(stored(&*store, "X").await.as_deref(), Some(flag("X", 1).as_json()));
    subject.plant(&store, name("X"), CORRUPT[2]).await;
    let error = store.delete(name("X"), Expect::Matches(&old)).await.expect_err("the version is old");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let current = version(&*store).await;
    assert!(store.delete(name("X"), Expect::Matches(&current)).await.unwrap());
    assert_eq!(store.get(name("X")).await.unwrap(), None);
    Outcome::Proven
}
