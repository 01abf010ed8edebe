//! A store, and what it needs.

use std::fmt::Debug;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Expect, Flag, FlagName, Known, Listed, Page, Peek, Result, Snapshot,
    Store, Version, Versioned,
};

/// Keeps something for as long as a store: the directory that it writes to, the proxy that it speaks through.
///
/// # Examples
///
/// ```
/// use flipper_memory::MemoryStore;
/// use flipper_testkit::With;
///
/// let store = With::new(MemoryStore::new(), "what it needs");
/// assert_eq!(*store.companion(), "what it needs");
/// ```
#[derive(Debug)]
pub struct With<S, T> {
    store: S,
    companion: T,
}

impl<S, T> With<S, T> {
    /// Puts both together.
    pub fn new(store: S, companion: T) -> Self {
        Self { store, companion }
    }

    /// Returns the store.
    pub fn get_ref(&self) -> &S {
        &self.store
    }

    /// Returns what the store needs.
    pub fn companion(&self) -> &T {
        &self.companion
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store, T: Debug + Send + Sync + 'static> Store for With<S, T> {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.store.get(name).await
    }

    async fn look_up(&self, name: FlagName<'_>) -> Result<Known> {
        self.store.look_up(name).await
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        self.store.put(flag, expect).await
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        self.store.delete(name, expect).await
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        self.store.list(page)
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        self.store.watch()
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        self.store.snapshot()
    }

    fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        self.store.peek(name, see);
    }

    async fn close(&self) -> Result<()> {
        self.store.close().await
    }
}
