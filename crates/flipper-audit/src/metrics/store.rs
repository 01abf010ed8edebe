//! How long the calls of a store take.

use std::time::Instant;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Error, Expect, Flag, FlagName, Known, Listed, Page, Peek, Result,
    Snapshot, Store, Version, Versioned,
};

use crate::listing::{Watched, Watcher};

/// Measures the calls of a store.
///
/// | metric | labels | |
/// |---|---|---|
/// | `flipper_store_duration_seconds` | `store`, `operation` | a histogram of how long calls take, those that fail included; a listing until its end |
/// | `flipper_store_errors_total` | `store`, `operation`, `kind` | how many have failed |
///
/// A call that nobody waits for to its end counts as one that takes until then, and as an error of the kind `cancelled`. Checks in memory are no calls: for those there is the
/// [`EvaluationMeter`](flipper_core::EvaluationMeter).
///
/// Put it around the store whose calls are to be measured: within a mirror or a cache, to measure the backend.
///
/// # Examples
///
/// ```
/// use flipper_audit::MeteredStore;
/// use flipper_core::FeatureFlagClient;
/// use flipper_memory::MemoryStore;
///
/// let client = FeatureFlagClient::new(MeteredStore::new("memory", MemoryStore::new()));
/// ```
#[derive(Debug)]
pub struct MeteredStore<S> {
    name: &'static str,
    inner: S,
}

impl<S: Store> MeteredStore<S> {
    /// Wraps a store, and names it.
    pub fn new(name: &'static str, inner: S) -> Self {
        Self { name, inner }
    }

    /// Returns the store within.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    fn call(&self, operation: &'static str) -> Call {
        Call { store: self.name, operation, start: Instant::now(), failed: Some("cancelled") }
    }
}

/// A call, which is measured when this is dropped.
struct Call {
    store: &'static str,
    operation: &'static str,
    start: Instant,
    failed: Option<&'static str>,
}

impl Call {
    fn end<T>(mut self, result: Result<T>) -> Result<T> {
        self.failed = result.as_ref().err().map(|error| error.kind().as_str());
        result
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Self { store, operation, start, failed } = *self;
        metrics::histogram!("flipper_store_duration_seconds", "store" => store, "operation" => operation)
            .record(start.elapsed().as_secs_f64());
        if let Some(kind) = failed {
            metrics::counter!("flipper_store_errors_total", "store" => store, "operation" => operation, "kind" => kind)
                .increment(1);
        }
    }
}

impl Watcher for Call {
    fn error(&mut self, error: &Error) {
        self.failed = Some(error.kind().as_str());
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store> Store for MeteredStore<S> {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        let call = self.call("get");
        call.end(self.inner.get(name).await)
    }

    async fn look_up(&self, name: FlagName<'_>) -> Result<Known> {
        let call = self.call("look_up");
        call.end(self.inner.look_up(name).await)
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        let call = self.call("put");
        call.end(self.inner.put(flag, expect).await)
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        let call = self.call("delete");
        call.end(self.inner.delete(name, expect).await)
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        let mut call = self.call("list");
        // Whoever has seen enough of it need not read it to its end.
        call.failed = None;
        Box::pin(Watched::new(self.inner.list(page), call))
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        self.inner.watch()
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        self.inner.snapshot()
    }

    fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        self.inner.peek(name, see);
    }

    async fn close(&self) -> Result<()> {
        let call = self.call("close");
        call.end(self.inner.close().await)
    }
}
