use flipper_core::{ErrorKind, Expect, Flag, Listed, Page, Store};

use super::{Outcome, flag, name, put, stored};
use crate::{Subject, collect};

/// Names that somebody's encoding, path or pattern might trip over.
const NAMES: &[&str] = &[
    "X", "x", "a", "a/b", "a/b/", "a//b", "/lead", "..", "../up", ".", "a b", " ", "a%2Fb", "%", "?", "#",
    "a?b#c", "*", "[x]", "a*", "\\", "\"", "'", "{}", "é", "e\u{301}", "😀", "\u{200b}", "\u{a0}", "a:b",
    "a,b", "a&b=c", "a+b", "~", "-", "_", "feature", "CON", "a.json", "null", "0",
];

/// Every legal name can be put, got, listed and deleted, and is what it was.
pub async fn every_legal_name_round_trips<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let longest = "n".repeat(512);
    let mut accepted = Vec::new();
    for of in NAMES.iter().copied().chain([longest.as_str()]) {
        match store.put(&flag(of, 1), Expect::Absent).await {
            Ok(_) => accepted.push(of),
            // A backend may have a limit of its own, which it says before anything is written.
            Err(error) => {
                assert_eq!((error.kind(), of), (ErrorKind::InvalidInput, longest.as_str()), "{error}");
                assert_eq!(store.get(name(of)).await.unwrap_or_default(), None);
            }
        }
    }
    for of in &accepted {
        assert_eq!(stored(&*store, of).await.as_deref(), Some(flag(of, 1).as_json()), "{of:?}");
    }
    let mut listed = Vec::new();
    for item in collect(store.list(Page::ALL)).await {
        match item.unwrap() {
            Listed::Flag(found) => listed.push(found.value.name().to_owned()),
            other => panic!("{other:?}"),
        }
    }
    listed.sort_unstable();
    accepted.sort_unstable();
    assert_eq!(listed, accepted);
    for of in &accepted {
        assert!(store.delete(name(of), Expect::Any).await.unwrap(), "{of:?}");
        assert_eq!(stored(&*store, of).await, None, "{of:?}");
    }
    Outcome::Proven
}

/// Deleting a flag leaves those alone whose names begin as its own does.
pub async fn neighbouring_names_do_not_touch<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    for of in ["a", "a/b", "a/b/c", "ab", "A"] {
        put(&*store, &flag(of, 1)).await;
    }
    assert!(store.delete(name("a"), Expect::Any).await.unwrap());
    assert!(store.delete(name("a/b"), Expect::Any).await.unwrap());
    for of in ["a/b/c", "ab", "A"] {
        assert!(stored(&*store, of).await.is_some(), "{of:?}");
    }
    Outcome::Proven
}

/// A flag whose name is illegal is refused before anything is written.
pub async fn illegal_names_are_refused<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    for of in ["", "a\\u0000b", "line\\nbreak"] {
        let record =
            format!(r#"{{"feature_name": "{of}", "is_enabled": true, "meta": {{"created_date": 1}}}}"#);
        let flag = Flag::from_json(record.as_bytes()).unwrap();
        let error = store.put(&flag, Expect::Any).await.expect_err("the name is illegal");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(collect(store.list(Page::ALL)).await.len(), 0);
    Outcome::Proven
}
