use flipper_core::{Expect, Peek, Store};

use super::{Outcome, flag, name, put, stored};
use crate::Subject;

/// What a peek says: the record, that there is none, or that the store has to be asked.
fn peek(store: &dyn Store, of: &str) -> Option<Option<String>> {
    let mut seen = Vec::new();
    store.peek(of, &mut |peek| {
        seen.push(match peek {
            Peek::Hit(flag) => Some(Some(flag.as_json().to_owned())),
            Peek::KnownAbsent => Some(None),
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
