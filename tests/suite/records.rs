//! Flags that say which they are, and what the tests of stores ask of them.

use flipper_core::{BoxStream, Change, Expect, Flag, FlagName, Listed, Page, Store, Timestamp, Version};
use flipper_testkit::{collect, next};

pub(crate) fn name(name: &str) -> FlagName<'_> {
    FlagName::new(name).unwrap()
}

/// A flag that was created at a time: to tell states apart.
pub(crate) fn flag(of: &str, number: i64) -> Flag {
    Flag::new(name(of), Timestamp::from_secs(number))
}

pub(crate) async fn put(store: &impl Store, of: &str, number: i64) -> Version {
    store.put(&flag(of, number), Expect::Any).await.unwrap()
}

/// The number of a flag.
pub(crate) async fn number(store: &impl Store, of: &str) -> Option<i64> {
    store.get(name(of)).await.unwrap().and_then(|found| found.value.created_date())
}

/// The names of the flags and of the bad records of a listing, in its order.
pub(crate) async fn names(store: &impl Store, page: Page) -> (Vec<String>, Vec<String>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for item in collect(store.list(page)).await {
        match item.unwrap() {
            Listed::Flag(found) => good.push(found.value.name().to_owned()),
            Listed::Bad { name, .. } => bad.push(name.into()),
            other => panic!("{other:?}"),
        }
    }
    (good, bad)
}

/// Watches a store, and waits for the first item.
pub(crate) async fn watch(store: &impl Store) -> BoxStream<'static, Change> {
    let mut changes = store.watch().expect("changes");
    assert!(matches!(next(&mut changes).await, Some(Change::Resync { .. })));
    changes
}
