//! The store itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Error, ErrorKind, Expect, Flag, FlagName, Freshness, Listed, Page, Peek,
    Result, Store, Version, Versioned,
};

use crate::watch::{Told, Watchers};

/// Keeps flags in memory, ordered by name.
///
/// It can do all that the contract has: compare-and-set, watching, local reads. Nothing survives the process. Put it
/// into an [`Arc`](std::sync::Arc) to use one store from several clients.
#[derive(Default)]
pub struct MemoryStore {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    flags: BTreeMap<Box<str>, Versioned<Arc<Flag>>>,
    /// The version of the last write; never used twice, so that a flag that is deleted and made again is another.
    version: u64,
    watchers: Watchers,
    is_closed: bool,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open(&self) -> Result<&Self> {
        if self.is_closed { Err(error(ErrorKind::Unavailable, "the store is closed")) } else { Ok(self) }
    }

    /// Whether the expectation holds of what is there.
    fn meets(&self, name: &str, expect: Expect<'_>) -> bool {
        let found = self.flags.get(name).map(|found| &found.version);
        match expect {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Matches(version) => found == Some(version),
            _ => false,
        }
    }
}

fn owned(found: &Versioned<Arc<Flag>>) -> Versioned<Flag> {
    Versioned { value: Flag::clone(&found.value), version: found.version.clone() }
}

fn error(kind: ErrorKind, message: &'static str) -> Error {
    Error::new(kind, message).with_store("memory")
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        Ok(self.read().open()?.flags.get(name.as_str()).map(owned))
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        FlagName::new(flag.name())?;
        let mut state = self.write();
        state.open()?;
        if !state.meets(flag.name(), expect) {
            return Err(error(ErrorKind::Conflict, "the flag is not as it was expected to be"));
        }
        state.version += 1;
        let version = Version::from_u64(state.version);
        state.flags.insert(
            flag.name().into(),
            Versioned { value: Arc::new(flag.clone()), version: version.clone() },
        );
        let wakers = state.watchers.tell(&Told::Put(flag, &version));
        drop(state);
        wakers.wake();
        Ok(version)
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        let mut state = self.write();
        state.open()?;
        if matches!(expect, Expect::Absent) {
            return Err(error(
                ErrorKind::InvalidInput,
                "a flag that is to be deleted cannot be expected to be absent",
            ));
        }
        if !state.flags.contains_key(name.as_str()) {
            return Ok(false);
        }
        if !state.meets(name.as_str(), expect) {
            return Err(error(ErrorKind::Conflict, "the flag is not as it was expected to be"));
        }
        state.flags.remove(name.as_str());
        let wakers = state.watchers.tell(&Told::Deleted(name.as_str()));
        drop(state);
        wakers.wake();
        Ok(true)
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        let state = self.read();
        if let Err(error) = state.open() {
            return Box::pin(flipper_core::store::iter([Err(error)]));
        }
        let flags = state.flags.values().skip(page.offset).take(page.limit.unwrap_or(usize::MAX));
        let flags: Vec<_> = flags.map(|found| Ok(Listed::Flag(owned(found)))).collect();
        Box::pin(flipper_core::store::iter(flags))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::FULL
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        let mut state = self.write();
        let watch = state.watchers.subscribe();
        if state.is_closed {
            let wakers = state.watchers.close();
            drop(state);
            wakers.wake();
        }
        Some(Box::pin(watch))
    }

    fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        // The lock is gone before the flag is seen: a clock of the caller's may ask for a flag in its turn.
        let found = {
            let state = self.read();
            if state.is_closed {
                return see(Peek::Ask);
            }
            state.flags.get(name).map(|found| Arc::clone(&found.value))
        };
        let freshness = Freshness::Live;
        see(match found.as_deref() {
            Some(flag) => Peek::Hit { flag, freshness },
            None => Peek::KnownAbsent { freshness },
        });
    }

    async fn close(&self) -> Result<()> {
        let mut state = self.write();
        state.is_closed = true;
        let wakers = state.watchers.close();
        drop(state);
        wakers.wake();
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("flags", &self.read().flags.len()).finish()
    }
}
