//! The mirror.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, ErrorKind, Expect, Flag, FlagName, Freshness, Known, Listed, Page, Peek,
    Result, Snapshot, StaleCause, Store, Version, Versioned, Watching,
};
use futures_lite::{Stream, stream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::builder::MirrorStoreBuilder;
use crate::follow::follow;
use crate::image::Wrote;
use crate::shared::{Shared, now};

/// Keeps all flags of any store in memory, and follows it: checks cost what a map lookup costs, and go on while the store is away.
///
/// Reads and writes go to the store; what they write is in the mirror when they return. Dropping the mirror ends
/// its task.
///
/// # Examples
///
/// ```
/// use flipper_core::{FeatureFlagClient, ctx};
/// use flipper_memory::MemoryStore;
/// use flipper_mirror::MirrorStore;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
/// let client = FeatureFlagClient::new(MirrorStore::start(MemoryStore::new()).await?);
/// client.create("MY_FEATURE").await?.enable().await?;
/// assert!(client.local()?.is_enabled("MY_FEATURE", &ctx! { user_id: 7 }));
/// # Ok(()) }
/// ```
pub struct MirrorStore<S: Store> {
    shared: Arc<Shared<S>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl<S: Store> MirrorStore<S> {
    /// Starts to mirror a store with the default settings, and waits until everything was loaded once: see
    /// [`MirrorStoreBuilder`].
    ///
    /// # Errors
    ///
    /// As [`MirrorStoreBuilder::start`].
    pub async fn start(inner: S) -> Result<Self> {
        Self::builder(inner).start().await
    }

    /// Starts to choose settings.
    pub fn builder(inner: S) -> MirrorStoreBuilder<S> {
        MirrorStoreBuilder::new(inner)
    }

    pub(crate) fn start_with(shared: Shared<S>) -> Self {
        shared.restore();
        let shared = Arc::new(shared);
        let task = tokio::spawn(follow(Arc::clone(&shared)));
        Self { shared, task: Mutex::new(Some(task)) }
    }

    pub(crate) fn shared(&self) -> &Shared<S> {
        &self.shared
    }

    /// Returns the store that is mirrored.
    pub fn get_ref(&self) -> &S {
        &self.shared.inner
    }

    /// Waits until everything was loaded once.
    pub async fn ready(&self) {
        let mut freshness = self.shared.freshness.subscribe();
        // The sender lives as long as this.
        let is_loaded = |freshness: &Freshness| {
            !matches!(
                freshness,
                Freshness::NeverLoaded | Freshness::Stale { cause: StaleCause::LastKnownGood, .. }
            )
        };
        let _ = freshness.wait_for(is_loaded).await;
    }

    /// Returns how old the flags are.
    pub fn freshness(&self) -> Freshness {
        self.shared.snapshot.freshness()
    }

    /// Follows how old the flags are: what it is now, and then each change. Who is slow sees the last one.
    pub fn freshness_changes(&self) -> impl Stream<Item = Freshness> + Send + use<S> {
        let mut freshness = self.shared.freshness.subscribe();
        freshness.mark_changed();
        stream::unfold(freshness, async |mut freshness| {
            freshness.changed().await.ok()?;
            let now = *freshness.borrow_and_update();
            Some((now, freshness))
        })
    }

    /// Takes the store at its word that it has no flags any more.
    ///
    /// A store that loses all of several flags at once, without telling that each was deleted, may have been restarted without its
    /// data. So their last state stays in use, [stale](flipper_core::StaleCause::Emptied), until there is a flag again or this is
    /// called.
    pub fn accept_empty(&self) {
        self.shared.with(|image| image.accept_empty(now()));
    }

    fn end(&self) -> Option<JoinHandle<()>> {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = &task {
            task.abort();
        }
        self.shared.with(|image| {
            image.set_unfollowed("the mirror is closed", now());
            image.close();
        });
        task
    }

    async fn wrote(&self, name: &str, wrote: Wrote) {
        let written = match &wrote {
            Wrote::State(found) => Some(found.clone()),
            Wrote::Absent => Some(None),
            Wrote::Nothing | Wrote::Unknown => None,
        };
        let next = self.shared.with(|image| image.end_write(name, wrote, now()));
        self.shared.settle(next, written).await;
    }
}

/// Ends a write that nobody waits for any longer.
struct UnderWay<'w, S: Store> {
    shared: &'w Arc<Shared<S>>,
    name: &'w str,
    is_over: bool,
}

impl<'w, S: Store> UnderWay<'w, S> {
    fn begin(shared: &'w Arc<Shared<S>>, name: &'w str) -> Self {
        shared.with(|image| image.begin_write(name));
        Self { shared, name, is_over: false }
    }
}

impl<S: Store> Drop for UnderWay<'_, S> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        // It may have happened, and nobody will say so.
        self.shared.with(|image| image.end_write(self.name, Wrote::Unknown, now()));
        self.shared.load_wanted.notify_one();
    }
}

fn outcome<T>(written: &Result<T>, found: Option<Versioned<Flag>>) -> Wrote {
    match written {
        Ok(_) => Wrote::State(found),
        Err(error) if matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::NotReplicated) => {
            Wrote::Unknown
        }
        Err(_) => Wrote::Nothing,
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store> Store for MirrorStore<S> {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.shared.inner.get(name).await
    }

    async fn look_up(&self, name: FlagName<'_>) -> Result<Known> {
        self.shared.inner.look_up(name).await
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        let mut under_way = UnderWay::begin(&self.shared, flag.name());
        let written = self.shared.inner.put(flag, expect).await;
        under_way.is_over = true;
        let found = written.as_ref().ok();
        let found = found.map(|version| Versioned { value: flag.clone(), version: version.clone() });
        self.wrote(flag.name(), outcome(&written, found)).await;
        written
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        let mut under_way = UnderWay::begin(&self.shared, name.as_str());
        let written = self.shared.inner.delete(name, expect).await;
        under_way.is_over = true;
        let wrote = if matches!(written, Ok(false)) { Wrote::Absent } else { outcome(&written, None) };
        self.wrote(name.as_str(), wrote).await;
        written
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        self.shared.inner.list(page)
    }

    fn capabilities(&self) -> Capabilities {
        let inner = self.shared.inner.capabilities().with_local_reads(true);
        if inner.watch == Watching::Absent { inner.with_watch(Watching::Polled) } else { inner }
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        Some(self.shared.with(crate::image::Image::subscribe))
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        Some(&self.shared.snapshot)
    }

    fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        self.shared.snapshot.peek(name, see);
    }

    async fn close(&self) -> Result<()> {
        // As long as it is what the store has.
        if self.shared.backup.is_some() {
            let shared = Arc::clone(&self.shared);
            match Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(move || shared.save()).await),
                Err(_) => shared.save(),
            }
        }
        if let Some(task) = self.end()
            && Handle::try_current().is_ok()
        {
            // Ended by force, or with its runtime; one that nobody drives would not end.
            let _ = tokio::time::timeout(Duration::from_secs(1), task).await;
        }
        self.shared.inner.close().await
    }
}

impl<S: Store> Drop for MirrorStore<S> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<S: Store> fmt::Debug for MirrorStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorStore")
            .field("inner", &self.shared.inner)
            .field("snapshot", &self.shared.snapshot)
            .finish_non_exhaustive()
    }
}
