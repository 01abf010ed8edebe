//! A store that remembers what was asked of it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Expect, Flag, FlagName, Known, Listed, Page, Peek, Result, Snapshot,
    Store, Version, Versioned,
};

/// One call of a store.
///
/// # Examples
///
/// ```
/// use flipper_core::FeatureFlagClient;
/// use flipper_memory::MemoryStore;
/// use flipper_testkit::{Call, RecordingStore};
///
/// # flipper_testkit::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = RecordingStore::new(MemoryStore::new());
/// FeatureFlagClient::new(store.clone()).exists("X").await?;
/// assert_eq!(store.take(), [Call::Get("X".to_owned())]);
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// `get`, of a flag.
    Get(String),
    /// `look_up`, of a flag.
    LookUp(String),
    /// `put`, of a flag.
    Put(String),
    /// `delete`, of a flag.
    Delete(String),
    /// `list`.
    List,
    /// `watch`.
    Watch,
    /// `close`.
    Close,
}

/// Remembers the calls of a store in order. Clones are the same store.
///
/// # Examples
///
/// ```
/// use flipper_core::FeatureFlagClient;
/// use flipper_memory::MemoryStore;
/// use flipper_testkit::{Call, RecordingStore};
///
/// # flipper_testkit::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = RecordingStore::new(MemoryStore::new());
/// let client = FeatureFlagClient::new(store.clone());
/// client.create("X").await?;
/// store.take();
/// // An edit is one read and one write.
/// client.enable("X").await?;
/// assert_eq!(store.take(), [Call::Get("X".to_owned()), Call::Put("X".to_owned())]);
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Debug)]
pub struct RecordingStore<S> {
    inner: Arc<S>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl<S> Clone for RecordingStore<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), calls: Arc::clone(&self.calls) }
    }
}

impl<S: Store> RecordingStore<S> {
    /// Wraps a store.
    pub fn new(inner: S) -> Self {
        Self { inner: Arc::new(inner), calls: Arc::default() }
    }

    /// Returns the calls so far, and forgets them.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn record(&self, call: Call) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store> Store for RecordingStore<S> {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.record(Call::Get(name.as_str().to_owned()));
        self.inner.get(name).await
    }

    async fn look_up(&self, name: FlagName<'_>) -> Result<Known> {
        self.record(Call::LookUp(name.as_str().to_owned()));
        self.inner.look_up(name).await
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        self.record(Call::Put(flag.name().to_owned()));
        self.inner.put(flag, expect).await
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        self.record(Call::Delete(name.as_str().to_owned()));
        self.inner.delete(name, expect).await
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        self.record(Call::List);
        self.inner.list(page)
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        self.record(Call::Watch);
        self.inner.watch()
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        self.inner.snapshot()
    }

    fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        self.inner.peek(name, see);
    }

    async fn close(&self) -> Result<()> {
        self.record(Call::Close);
        self.inner.close().await
    }
}
