//! The cache.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, ErrorKind, Expect, Flag, FlagName, Freshness, Known, Listed, Page, Peek,
    Result, Snapshot, Store, Version, Versioned,
};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::builder::CachedStoreBuilder;
use crate::cache::{Cache, Found, Joined, Ticket, Wrote};
use crate::clock::now;
use crate::follow::follow;
use crate::load::{Parts, Reading, load};
use crate::stats::CacheStats;

/// Keeps the flags of any store that were checked last in memory, for a time: see the [crate](crate) for what happens when.
///
/// Around a store that keeps all of its flags in memory already it does nothing: checks go there.
///
/// # Examples
///
/// ```
/// use flipper_cached::CachedStore;
/// use flipper_core::{FeatureFlagClient, ctx};
/// use flipper_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
/// let client = FeatureFlagClient::new(CachedStore::new(MemoryStore::new()));
/// client.create("MY_FEATURE").await?.enable().await?;
/// assert!(client.is_enabled("MY_FEATURE", &ctx! { user_id: 7 }).await);
/// # Ok(()) }
/// ```
pub struct CachedStore<S: Store> {
    parts: Arc<Parts<S>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl<S: Store> CachedStore<S> {
    /// Caches a store with the default settings: see [`CachedStoreBuilder`].
    ///
    /// # Panics
    ///
    /// As [`CachedStoreBuilder::build`].
    pub fn new(inner: S) -> Self {
        Self::builder(inner).build()
    }

    /// Starts to choose settings.
    pub fn builder(inner: S) -> CachedStoreBuilder<S> {
        CachedStoreBuilder::new(inner)
    }

    pub(crate) fn start(inner: S, cache: Cache, is_followed: bool) -> Self {
        // Checks of a store that is in memory never come here.
        let watch = if is_followed && inner.snapshot().is_none() { inner.watch() } else { None };
        let parts = Arc::new(Parts { inner, cache });
        let task = watch.map(|watch| tokio::spawn(follow(Arc::clone(&parts), watch)));
        Self { parts, task: Mutex::new(task) }
    }

    /// Returns the store that is cached.
    pub fn get_ref(&self) -> &S {
        &self.parts.inner
    }

    /// Returns what the cache has done since it was made.
    pub fn stats(&self) -> CacheStats {
        self.parts.cache.counters.stats()
    }

    /// Returns how many flags memory holds, with the names that are no flag.
    pub fn len(&self) -> usize {
        self.parts.cache.len()
    }

    /// Returns whether memory holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has a flag read again at its next check. If that fails, what is known answers, stale.
    pub fn invalidate(&self, name: &str) {
        self.parts.cache.outdate_one(name);
    }

    /// Has each flag read again at its next check.
    pub fn invalidate_all(&self) {
        self.parts.cache.outdate_all();
    }

    fn end(&self) -> Option<JoinHandle<()>> {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = &task {
            task.abort();
        }
        task
    }

    fn begin_write<'w>(&'w self, name: &'w str) -> Writing<'w, S> {
        let ticket = self.parts.cache.begin_write(name, now());
        Writing { parts: &self.parts, name, ticket, wrote: Wrote::Unknown }
    }
}

/// Ends a write, also if nobody waits for it any longer.
struct Writing<'w, S: Store> {
    parts: &'w Parts<S>,
    name: &'w str,
    ticket: Ticket,
    wrote: Wrote,
}

impl<S: Store> Writing<'_, S> {
    fn end<T>(mut self, written: &Result<T>, found: impl FnOnce(&T) -> Found) {
        self.wrote = match written {
            Ok(written) => Wrote::State(found(written)),
            Err(error) => match error.kind() {
                ErrorKind::OutcomeUnknown | ErrorKind::NotReplicated => Wrote::Unknown,
                ErrorKind::Conflict => Wrote::Conflict,
                _ => Wrote::Nothing,
            },
        };
    }
}

impl<S: Store> Drop for Writing<'_, S> {
    fn drop(&mut self) {
        let wrote = std::mem::replace(&mut self.wrote, Wrote::Nothing);
        self.parts.cache.end_write(self.name, self.ticket, wrote, now());
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store> Store for CachedStore<S> {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        let ticket = self.parts.cache.begin_read(name.as_str(), now());
        let parts = Arc::clone(&self.parts);
        let reading = Reading { parts, name: name.as_str(), ticket, is_over: false };
        let answer = self.parts.inner.get(name).await;
        reading.end(&answer);
        answer
    }

    async fn look_up(&self, name: FlagName<'_>) -> Result<Known> {
        let (cache, name) = (&self.parts.cache, name.as_str());
        let known = cache.hit(name, now(), |hit| {
            let is_answered = self.parts.refresh(name, hit) || !cache.takes_refresh(hit);
            is_answered.then(|| hit.entry.known(hit.freshness))
        });
        if let Some(known) = known.flatten() {
            cache.was_hit(known.freshness);
            return Ok(known);
        }
        cache.counters.misses.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let load = match cache.join(name, now(), |name, ticket| load(&self.parts, name, ticket)) {
            Joined::Known(known) => return Ok(known),
            Joined::Wait(load) => load,
        };
        match load.await {
            Ok(found) => Ok(Known { flag: found.map(|found| found.value), freshness: Freshness::Live }),
            Err(error) => cache.fall_back(name, &error, now()).ok_or(error),
        }
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        let writing = self.begin_write(flag.name());
        let written = self.parts.inner.put(flag, expect).await;
        writing.end(&written, |version| Some(Versioned { value: flag.clone(), version: version.clone() }));
        written
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        let writing = self.begin_write(name.as_str());
        let written = self.parts.inner.delete(name, expect).await;
        writing.end(&written, |_| None);
        written
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        self.parts.inner.list(page)
    }

    fn capabilities(&self) -> Capabilities {
        self.parts.inner.capabilities()
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        self.parts.inner.watch()
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        self.parts.inner.snapshot()
    }

    fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        if let Some(snapshot) = self.parts.inner.snapshot() {
            return snapshot.peek(name, see);
        }
        let cache = &self.parts.cache;
        let is_answered = cache.hit(name, now(), |hit| {
            let is_answered = self.parts.refresh(name, hit);
            if is_answered {
                cache.was_hit(hit.freshness);
                see(hit.entry.peek(hit.freshness));
            }
            is_answered
        });
        if is_answered != Some(true) {
            see(Peek::Ask);
        }
    }

    async fn close(&self) -> Result<()> {
        if let Some(task) = self.end()
            && Handle::try_current().is_ok()
        {
            // Ended by force, or with its runtime; one that nobody drives would not end.
            let _ = tokio::time::timeout(Duration::from_secs(1), task).await;
        }
        self.parts.inner.close().await
    }
}

impl<S: Store> Drop for CachedStore<S> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<S: Store> fmt::Debug for CachedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedStore")
            .field("inner", &self.parts.inner)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
