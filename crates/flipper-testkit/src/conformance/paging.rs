use std::collections::BTreeSet;

use flipper_core::{Expect, Listed, Page, Store};

use super::{Outcome, flag, name, put};
use crate::{Subject, collect};

async fn names(store: &dyn Store, page: Page) -> Vec<String> {
    let items = collect(store.list(page)).await;
    let name = |item| match item {
        Ok(Listed::Flag(found)) => found.value.name().to_owned(),
        other => panic!("{other:?}"),
    };
    items.into_iter().map(name).collect()
}

/// A listing has every flag once, as it is stored.
pub async fn listings_are_complete<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    assert!(names(&*store, Page::ALL).await.is_empty());
    let mut versions = Vec::new();
    for number in 0..250 {
        versions.push(put(&*store, &flag(&format!("F{number}"), number)).await);
    }
    let mut seen = BTreeSet::new();
    for item in collect(store.list(Page::ALL)).await {
        let Ok(Listed::Flag(found)) = item else { panic!("{item:?}") };
        let number: usize = found.value.name()[1..].parse().unwrap();
        assert_eq!(found.value, flag(&format!("F{number}"), number as i64));
        assert_eq!(found.version, versions[number]);
        assert!(seen.insert(number), "F{number} is listed twice");
    }
    assert_eq!(seen.len(), 250);
    Outcome::Proven
}

/// Pages cut the listing: put together, they are the whole of it.
pub async fn limit_and_offset_cut_a_listing<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    for number in 0..25 {
        put(&*store, &flag(&format!("F{number}"), number)).await;
    }
    assert!(names(&*store, Page { limit: Some(0), offset: 0 }).await.is_empty());
    assert_eq!(names(&*store, Page { limit: Some(7), offset: 0 }).await.len(), 7);
    assert_eq!(names(&*store, Page { limit: Some(100), offset: 20 }).await.len(), 5);
    assert_eq!(names(&*store, Page { limit: None, offset: 24 }).await.len(), 1);
    assert!(names(&*store, Page { limit: None, offset: 25 }).await.is_empty());
    assert!(names(&*store, Page { limit: Some(usize::MAX), offset: usize::MAX }).await.is_empty());
    let mut pages = BTreeSet::new();
    for offset in (0..25).step_by(10) {
        pages.extend(names(&*store, Page { limit: Some(10), offset }).await);
    }
    assert_eq!(pages.len(), 25, "the pages of a store that does not change make up its listing");
    Outcome::Proven
}

/// What is deleted is not listed.
pub async fn listings_leave_out_what_is_deleted<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    for of in ["a", "b", "c"] {
        put(&*store, &flag(of, 1)).await;
    }
    assert!(store.delete(name("b"), Expect::Any).await.unwrap());
    let mut left = names(&*store, Page::ALL).await;
    left.sort_unstable();
    assert_eq!(left, ["a", "c"]);
    Outcome::Proven
}
