//! A store that fails as it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Error, ErrorKind, Expect, Flag, FlagName, Freshness, Known, Listed,
    Page, Peek, Result, Snapshot, Store, Timestamp, Version, Versioned,
};

/// Names the operations that can be made to fail.
///
/// # Examples
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use flipper_core::ErrorKind;
/// use flipper_testkit::{Fault, FaultStore, Operation};
///
/// let store = FaultStore::new(MemoryStore::new());
/// store.push(Operation::Delete, Fault::Fail(ErrorKind::PermissionDenied));
/// assert_eq!(store.pending(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `get`.
    Get,
    /// `put`.
    Put,
    /// `delete`.
    Delete,
}

/// One way in which an operation fails.
///
/// # Examples
///
/// ```
/// use flipper_core::{Context, FeatureFlagClient};
/// use flipper_memory::MemoryStore;
/// use flipper_testkit::{Fault, FaultStore, Operation};
///
/// # flipper_testkit::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = FaultStore::new(MemoryStore::new());
/// let client = FeatureFlagClient::new(store.clone());
/// client.create("X").await?;
/// // Somebody else edits the flag in between: the client does it again.
/// store.push(Operation::Put, Fault::LostRace);
/// client.enable("X").await?;
/// assert!(client.is_enabled("X", &Context::EMPTY).await);
/// assert_eq!(client.get_client_data("X").await?["foreign"], 1);
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// It works, after a while. Needs a Tokio runtime.
    Delay(Duration),
    /// It never answers; a write is never made.
    Hang,
    /// It fails with this kind; a write is not made.
    Fail(ErrorKind),
    /// A write is made, and its answer is lost.
    LostReply,
    /// A write is not made, and nobody can tell: its answer is "lost" all the same.
    LostRequest,
    /// A write's answer is lost, and the write is made only after so many further reads.
    LateWrite(u32),
    /// A read gives what there was at the time of the read before.
    StaleRead,
    /// Somebody else writes the flag between the read and the write, and creates it if there is none: client data
    /// `{"foreign": N}`.
    LostRace,
    /// Somebody else writes the flag right after a write, whose answer is lost.
    LostReplyThenRace,
}

/// Makes a store fail: each call takes the next fault of its operation, if there is one. Clones are the same store.
///
/// # Examples
///
/// ```
/// use flipper_core::{Context, ErrorKind, FeatureFlagClient};
/// use flipper_memory::MemoryStore;
/// use flipper_testkit::{Fault, FaultStore, Operation};
///
/// # flipper_testkit::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = FaultStore::new(MemoryStore::new());
/// let client = FeatureFlagClient::new(store.clone());
/// store.push(Operation::Get, Fault::Fail(ErrorKind::Unavailable));
/// assert!(client.is_enabled_or("X", &Context::EMPTY, true).await, "the default");
/// assert_eq!(client.failed_checks(), 1);
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Debug)]
pub struct FaultStore<S> {
    inner: Arc<S>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    faults: VecDeque<(Operation, Fault)>,
    last_reads: HashMap<String, Option<Versioned<Flag>>>,
    /// A write that will be made after so many reads.
    late: Option<(u32, Write)>,
    foreign: u32,
}

/// A write that can be made at another time.
#[derive(Debug)]
enum Write {
    Put(Flag, Base),
    Delete(String, Base),
}

/// An expectation that owns its version.
#[derive(Debug)]
enum Base {
    Any,
    Absent,
    Matches(Version),
}

impl Base {
    fn of(expect: Expect<'_>) -> Self {
        match expect {
            Expect::Matches(version) => Self::Matches(version.clone()),
            Expect::Absent => Self::Absent,
            _ => Self::Any,
        }
    }

    fn expect(&self) -> Expect<'_> {
        match self {
            Self::Any => Expect::Any,
            Self::Absent => Expect::Absent,
            Self::Matches(version) => Expect::Matches(version),
        }
    }
}

impl<S> Clone for FaultStore<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), state: Arc::clone(&self.state) }
    }
}

impl<S: Store> FaultStore<S> {
    /// Wraps a store that does not fail yet.
    pub fn new(inner: S) -> Self {
        Self { inner: Arc::new(inner), state: Arc::default() }
    }

    /// Returns the store behind the faults.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Makes the next call of an operation, after those that faults are pending for, fail.
    ///
    /// # Panics
    ///
    /// If the fault is none of this operation: a lost answer to a read, or a stale write.
    pub fn push(&self, operation: Operation, fault: Fault) {
        let is_of_reads = matches!(fault, Fault::Delay(_) | Fault::Hang | Fault::Fail(_) | Fault::StaleRead);
        let is_of_writes = !matches!(fault, Fault::StaleRead);
        let is_legal = if operation == Operation::Get { is_of_reads } else { is_of_writes };
        assert!(is_legal, "{fault:?} is no fault of {operation:?}");
        self.with(|state| state.faults.push_back((operation, fault)));
    }

    /// Returns how many faults are still pending.
    pub fn pending(&self) -> usize {
        self.with(|state| state.faults.len())
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self, operation: Operation) -> Option<Fault> {
        self.with(|state| {
            let at = state.faults.iter().position(|(of, _)| *of == operation)?;
            state.faults.remove(at).map(|(_, fault)| fault)
        })
    }

    /// What somebody else writes.
    async fn write_as_another(&self, name: FlagName<'_>) -> Result<()> {
        let number = self.with(|state| {
            state.foreign += 1;
            state.foreign
        });
        let mut flag = match self.inner.get(name).await? {
            Some(found) => found.value,
            None => Flag::new(name, Timestamp::from_secs(0)),
        };
        flag.merge_client_data([("foreign", number)])?;
        self.inner.put(&flag, Expect::Any).await.map(drop)
    }

    async fn land_late_write(&self) {
        let due = self.with(|state| match &mut state.late {
            Some((0, ..)) => state.late.take(),
            Some((reads, ..)) => {
                *reads -= 1;
                None
            }
            None => None,
        });
        if let Some((_, write)) = due {
            // It may be too late for it.
            let _ = self.carry_out(&write).await;
        }
    }

    async fn carry_out(&self, write: &Write) -> Result<()> {
        match write {
            Write::Put(flag, base) => self.inner.put(flag, base.expect()).await.map(drop),
            Write::Delete(name, base) => {
                self.inner.delete(FlagName::new(name)?, base.expect()).await.map(drop)
            }
        }
    }

    /// Does what the next fault of a write says. `Ok`: the write is to be made as it was asked for.
    async fn fail_write(
        &self,
        operation: Operation,
        name: FlagName<'_>,
        write: impl FnOnce() -> Write + Send,
    ) -> Result<()> {
        match self.take(operation) {
            Some(Fault::Delay(duration)) => tokio::time::sleep(duration).await,
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Fail(kind)) => return Err(fail(kind, name)),
            Some(Fault::LostReply) => {
                // Whatever it is.
                let _ = self.carry_out(&write()).await;
                return Err(lost());
            }
            Some(Fault::LostReplyThenRace) => {
                self.carry_out(&write()).await?;
                self.write_as_another(name).await?;
                return Err(lost());
            }
            Some(Fault::LostRequest) => return Err(lost()),
            Some(Fault::LateWrite(reads)) => {
                self.with(|state| state.late = Some((reads, write())));
                return Err(lost());
            }
            Some(Fault::LostRace) => self.write_as_another(name).await?,
            _ => {}
        }
        Ok(())
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::OutcomeUnknown, "the answer was lost").with_store("fault")
}

fn fail(kind: ErrorKind, name: FlagName<'_>) -> Error {
    Error::new(kind, "told to fail").with_store("fault").with_flag(name.as_str())
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store> Store for FaultStore<S> {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.land_late_write().await;
        match self.take(Operation::Get) {
            Some(Fault::Delay(duration)) => tokio::time::sleep(duration).await,
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Fail(kind)) => return Err(fail(kind, name)),
            Some(Fault::StaleRead) => {
                if let Some(stale) = self.with(|state| state.last_reads.get(name.as_str()).cloned()) {
                    return Ok(stale);
                }
            }
            _ => {}
        }
        let found = self.inner.get(name).await?;
        self.with(|state| state.last_reads.insert(name.as_str().to_owned(), found.clone()));
        Ok(found)
    }

    /// As [`get`](Self::get), with its faults.
    async fn look_up(&self, name: FlagName<'_>) -> Result<Known> {
        let found = self.get(name).await?;
        Ok(Known { flag: found.map(|found| found.value), freshness: Freshness::Live })
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        let name = FlagName::new(flag.name())?;
        self.fail_write(Operation::Put, name, || Write::Put(flag.clone(), Base::of(expect))).await?;
        self.inner.put(flag, expect).await
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        let write = || Write::Delete(name.as_str().to_owned(), Base::of(expect));
        self.fail_write(Operation::Delete, name, write).await?;
        self.inner.delete(name, expect).await
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        self.inner.list(page)
    }

    /// Those of the store, but for local reads: see [`peek`](Self::peek).
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_local_reads(false)
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        self.inner.watch()
    }

    /// None, so that faults of reads are met.
    fn snapshot(&self) -> Option<&Snapshot> {
        None
    }

    /// Asks, so that faults of reads are met.
    fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        let _ = name;
        see(Peek::Ask);
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
