//! The replicated store: replicas that fail, hang and come back; two processes with one primary; a primary that is lost.

mod flapping;
mod order;
mod processes;
mod rules;
mod stores;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Expect, Flag, FlagName, Listed, Page, Result, Store, Version, Versioned,
    Watching,
};
use flipper_memory::MemoryStore;
use flipper_testkit::collect;

/// A replica that remembers what was written to it, in order: the number of each state, `None` for a deletion.
#[derive(Clone, Debug, Default)]
struct Trail {
    inner: Arc<MemoryStore>,
    written: Arc<Mutex<Vec<Written>>>,
}

/// A flag, and its number.
type Written = (String, Option<i64>);

impl Trail {
    fn of(&self, name: &str) -> Vec<Option<i64>> {
        let written = self.written.lock().unwrap();
        written.iter().filter(|(of, _)| of == name).map(|(_, number)| *number).collect()
    }
}

#[async_trait]
impl Store for Trail {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.inner.get(name).await
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        self.written.lock().unwrap().push((flag.name().to_owned(), flag.created_date()));
        self.inner.put(flag, expect).await
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        self.written.lock().unwrap().push((name.as_str().to_owned(), None));
        self.inner.delete(name, expect).await
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        self.inner.list(page)
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_watch(Watching::Absent).with_local_reads(false)
    }
}

/// All records of a store.
async fn records(store: &impl Store) -> BTreeMap<String, String> {
    let listed = collect(store.list(Page::ALL)).await.into_iter();
    let record = |listed: Result<Listed>| match listed.unwrap() {
        Listed::Flag(found) => (found.value.name().to_owned(), found.value.as_json().to_owned()),
        other => panic!("{other:?}"),
    };
    listed.map(record).collect()
}

const SOON: Duration = Duration::from_secs(10);
