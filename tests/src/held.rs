//! A store of a snapshot, and of nothing else.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Error, ErrorKind, Expect, Flag, FlagName, Listed, Page, Result, Snapshot, Store,
    Version, Versioned,
};

/// A store of a snapshot that a test edits by itself. What has to be read, it counts, and answers from elsewhere.
#[derive(Debug)]
pub struct Held {
    snapshot: Snapshot,
    /// The one flag that is read.
    pub source: Option<Flag>,
    /// How often somebody has read.
    pub gets: AtomicU64,
}

impl Held {
    /// Makes a store of a snapshot.
    pub fn new(snapshot: &Snapshot) -> Self {
        Self { snapshot: snapshot.clone(), source: None, gets: AtomicU64::new(0) }
    }
}

#[async_trait]
impl Store for Held {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        let found = self.source.clone().filter(|flag| flag.name() == name.as_str());
        Ok(found.map(|value| Versioned { value, version: Version::from_u64(0) }))
    }

    async fn put(&self, _: &Flag, _: Expect<'_>) -> Result<Version> {
        Err(Error::new(ErrorKind::Unsupported, "the test edits the snapshot"))
    }

    async fn delete(&self, _: FlagName<'_>, _: Expect<'_>) -> Result<bool> {
        Err(Error::new(ErrorKind::Unsupported, "the test edits the snapshot"))
    }

    fn list(&self, _: Page) -> BoxStream<'_, Result<Listed>> {
        Box::pin(flipper_core::store::iter([]))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::FULL
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        Some(&self.snapshot)
    }
}
