//! The store itself.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use flipper_core::store::Watchers;
use flipper_core::{
    BoxStream, Capabilities, Change, Error, ErrorKind, Expect, Flag, FlagName, Freshness, Listed, Page,
    Result, Snapshot, StaleCause, Store, Timestamp, Version, Versioned,
};

/// Keeps flags in memory, ordered by name.
///
/// It can do all that the contract has: compare-and-set, watching, local reads. Nothing survives the process. Put it
/// into an [`Arc`](std::sync::Arc) to use one store from several clients.
///
/// Once closed, it answers no more, but checks go on from the state it had, and say that this is
/// [stale](Freshness::Stale).
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use flipper_core::{Context, FeatureFlagClient};
/// use flipper_memory::MemoryStore;
///
/// # futures_lite::future::block_on(async {
/// let store = Arc::new(MemoryStore::new());
/// let (one, other) = (FeatureFlagClient::new(store.clone()), FeatureFlagClient::new(store));
/// one.create("X").await?.enable().await?;
/// assert!(other.is_enabled("X", &Context::EMPTY).await);
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
pub struct MemoryStore {
    snapshot: Snapshot,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The records of the snapshot, in the order in which they are listed.
    flags: BTreeSet<ByName>,
    /// The version of the last write; never used twice, so that a flag that is deleted and made again is another.
    version: u64,
    watchers: Watchers,
    is_closed: bool,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self { snapshot: Snapshot::new(Freshness::Live), state: Mutex::default() }
    }

    /// Whoever writes holds the lock until the snapshot has the write.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn open(&self) -> Result<&Self> {
        if self.is_closed { Err(error(ErrorKind::Unavailable, "the store is closed")) } else { Ok(self) }
    }

    /// Whether the expectation holds of what is there.
    fn meets(&self, name: &str, expect: Expect<'_>) -> bool {
        let found = self.flags.get(name).map(|ByName(found)| &found.version);
        match expect {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Matches(version) => found == Some(version),
            _ => false,
        }
    }
}

/// A record that is looked up and ordered by its name.
struct ByName(Arc<Versioned<Flag>>);

impl Borrow<str> for ByName {
    fn borrow(&self) -> &str {
        self.0.value.name()
    }
}

impl Ord for ByName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.value.name().cmp(other.0.value.name())
    }
}

impl PartialOrd for ByName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByName {}

fn error(kind: ErrorKind, message: &'static str) -> Error {
    Error::new(kind, message).with_store("memory")
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        let state = self.lock();
        Ok(state.open()?.flags.get(name.as_str()).map(|ByName(found)| Versioned::clone(found)))
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        FlagName::new(flag.name())?;
        let mut state = self.lock();
        state.open()?;
        if !state.meets(flag.name(), expect) {
            return Err(error(ErrorKind::Conflict, "the flag is not as it was expected to be"));
        }
        state.version += 1;
        let version = Version::from_u64(state.version);
        let record = Arc::new(Versioned { value: flag.clone(), version: version.clone() });
        let kept = self.snapshot.edit(|edit| {
            edit.put(record);
            // It shares the bytes of the one before, if they are the same.
            edit.get(flag.name()).cloned()
        });
        if let Some(kept) = kept {
            state.flags.replace(ByName(kept));
        }
        let wakers =
            state.watchers.tell(&Change::Put(Versioned { value: flag.clone(), version: version.clone() }));
        drop(state);
        wakers.wake();
        Ok(version)
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        let mut state = self.lock();
        state.open()?;
        if matches!(expect, Expect::Absent) {
            return Err(error(
                ErrorKind::InvalidInput,
                "a flag that is to be deleted cannot be expected to be absent",
            ));
        }
        if !state.flags.contains(name.as_str()) {
            return Ok(false);
        }
        if !state.meets(name.as_str(), expect) {
            return Err(error(ErrorKind::Conflict, "the flag is not as it was expected to be"));
        }
        self.snapshot.edit(|edit| edit.remove(name.as_str()));
        state.flags.remove(name.as_str());
        let wakers = state.watchers.tell(&Change::Deleted { name: name.as_str().into(), version: None });
        drop(state);
        wakers.wake();
        Ok(true)
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        let state = self.lock();
        if let Err(error) = state.open() {
            return Box::pin(flipper_core::store::iter([Err(error)]));
        }
        let flags = state.flags.iter().skip(page.offset).take(page.limit.unwrap_or(usize::MAX));
        let flags: Vec<_> = flags.map(|ByName(found)| Arc::clone(found)).collect();
        let listed = flags.into_iter().map(|found| Ok(Listed::Flag(Versioned::clone(&found))));
        Box::pin(flipper_core::store::iter(listed))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::FULL
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        Some(self.lock().watchers.subscribe())
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        Some(&self.snapshot)
    }

    async fn close(&self) -> Result<()> {
        let mut state = self.lock();
        if !state.is_closed {
            state.is_closed = true;
            let freshness = Freshness::Stale { since: Timestamp::now(), cause: StaleCause::Unavailable };
            self.snapshot.edit(|edit| edit.set_freshness(freshness));
        }
        let wakers = state.watchers.close();
        drop(state);
        wakers.wake();
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}
