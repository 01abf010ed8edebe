//! Stores that take their time, or fail, as a test says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Error, ErrorKind, Expect, Flag, FlagName, Known, Listed, Page, Result,
    Store, Timestamp, Version, Versioned,
};
use flipper_memory::MemoryStore;
use flipper_testkit::Operation;
use futures_lite::{StreamExt, future, stream};
use tokio::time::sleep;

/// What is done before an operation on a flag. A listing asks with [`LISTING`], a watch with [`WATCHING`].
type Before = dyn Fn(Operation, &str) -> Result<Duration> + Send + Sync;

pub const LISTING: &str = "(listing)";
pub const WATCHING: &str = "(watching)";

/// A store that takes its time, or fails, as a test says; and writes down what it is told.
pub struct Unruly {
    inner: Arc<MemoryStore>,
    before: Box<Before>,
    pub told: Arc<Mutex<Vec<String>>>,
    /// Whether the answer to the next write is lost.
    pub loses_answer: AtomicBool,
}

impl Unruly {
    pub fn new(
        inner: &Arc<MemoryStore>,
        before: impl Fn(Operation, &str) -> Result<Duration> + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner: Arc::clone(inner),
            before: Box::new(before),
            told: Arc::default(),
            loses_answer: AtomicBool::new(false),
        }
    }

    async fn before(&self, operation: Operation, name: &str) -> Result<()> {
        let wait = (self.before)(operation, name)?;
        sleep(wait).await;
        Ok(())
    }
}

impl std::fmt::Debug for Unruly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unruly")
    }
}

#[async_trait]
impl Store for Unruly {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.before(Operation::Get, name.as_str()).await?;
        self.inner.get(name).await
    }

    async fn look_up(&self, name: FlagName<'_>) -> Result<Known> {
        self.before(Operation::Get, name.as_str()).await?;
        self.inner.look_up(name).await
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        self.before(Operation::Put, flag.name()).await?;
        let version = self.inner.put(flag, expect).await?;
        self.told.lock().unwrap().push(format!("{}{}", flag.name(), flag.created_date().unwrap()));
        if self.loses_answer.swap(false, Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::OutcomeUnknown, "the answer is lost"));
        }
        Ok(version)
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        self.before(Operation::Delete, name.as_str()).await?;
        self.inner.delete(name, expect).await
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        match (self.before)(Operation::Get, LISTING) {
            Ok(_) => self.inner.list(page),
            Err(error) => Box::pin(stream::iter([Err(error)])),
        }
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        (self.before)(Operation::Get, WATCHING).ok()?;
        self.inner.watch()
    }
}

pub const NOW: Result<Duration> = Ok(Duration::ZERO);
pub const LIMIT: Duration = Duration::from_secs(20);
pub const TOO_LONG: Duration = Duration::from_millis(100);

pub fn fails(kind: ErrorKind) -> Result<Duration> {
    Err(Error::new(kind, "told to fail"))
}

pub fn name(name: &str) -> FlagName<'_> {
    FlagName::new(name).unwrap()
}

pub async fn put(store: &impl Store, flag: &str, number: i64) -> Result<Version> {
    store.put(&Flag::new(name(flag), Timestamp::from_secs(number)), Expect::Any).await
}

pub async fn has(store: &impl Store, flag: &str) -> Option<i64> {
    store.get(name(flag)).await.unwrap().map(|found| found.value.created_date().unwrap())
}

pub fn memory(flags: &[&str]) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    for flag in flags {
        future::block_on(put(&store, flag, 1)).unwrap();
    }
    store
}

pub async fn count(store: &impl Store) -> usize {
    store.list(Page::ALL).count().await
}
