//! The store.

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Error, ErrorKind, Expect, Flag, FlagName, Freshness, Known, Listed,
    Page, Peek, Result, Snapshot, StaleCause, Store, Version, Versioned,
};
use flipper_follow::ended;
use futures_lite::{Stream, stream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio::task::JoinHandle;

use crate::builder::ReplicatedStoreBuilder;
use crate::compare::{compare, repair, restore};
use crate::failover::Failover;
use crate::follow::follow;
use crate::queue::State;
use crate::replica::Replica;
use crate::status::{Difference, ReplicaEvent, ReplicaFailure, ReplicaStatus};
use crate::tell::{Trouble, run};

/// Keeps flags in a primary, and copies of them in replicas: any stores, of whatever kinds.
///
/// Reads, watches and edits are the primary's. A write that it has made is told to the replicas, in the background unless
/// [told](ReplicatedStoreBuilder::synchronous); one that it has not made is not. Dropping the store ends what runs in the background;
/// [`close`](Store::close) has the replicas told first.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use flipper_core::FeatureFlagClient;
/// use flipper_memory::MemoryStore;
/// use flipper_replicated::ReplicatedStore;
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
/// // In earnest, a Redis with a file and a bucket as its replicas.
/// let store = ReplicatedStore::builder(MemoryStore::new()).replica("copy", MemoryStore::new()).start()?;
/// let store = Arc::new(store);
/// let client = FeatureFlagClient::new(Arc::clone(&store));
/// client.create("X").await?.enable().await?;
///
/// assert!(store.flush(Duration::from_secs(1)).await.is_empty());
/// assert!(store.verify("copy").await?.is_empty(), "both have the same flags");
/// # Ok(()) }
/// ```
pub struct ReplicatedStore<P: Store> {
    primary: Arc<P>,
    replicas: Vec<Arc<Replica>>,
    /// Turns of edits, where their order has to be known.
    turns: Option<Box<[AsyncMutex<()>]>>,
    drain: Duration,
    synchronous: Option<Duration>,
    failover: Option<(usize, Failover)>,
    events: broadcast::Sender<ReplicaEvent>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What a store is started with.
pub(crate) struct Parts<P> {
    pub(crate) primary: Arc<P>,
    pub(crate) replicas: Vec<Arc<Replica>>,
    pub(crate) linger: Duration,
    pub(crate) drain: Duration,
    pub(crate) synchronous: Option<Duration>,
    pub(crate) failover: Option<usize>,
    pub(crate) follows: bool,
    pub(crate) events: broadcast::Sender<ReplicaEvent>,
}

/// How many flags can be written at the same time, where the order of their states matters.
const TURNS: usize = 64;

impl<P: Store> ReplicatedStore<P> {
    /// Starts to choose replicas and settings.
    pub fn builder(primary: P) -> ReplicatedStoreBuilder<P> {
        ReplicatedStoreBuilder::new(primary)
    }

    pub(crate) fn start(parts: Parts<P>) -> Self {
        let Parts { primary, replicas, linger, drain, synchronous, failover, follows, events } = parts;
        let source: Arc<dyn Store> = Arc::<P>::clone(&primary);
        let tell =
            |replica: &Arc<Replica>| tokio::spawn(run(Arc::clone(&source), Arc::clone(replica), linger));
        let mut tasks: Vec<_> = replicas.iter().map(tell).collect();
        if follows {
            tasks.push(tokio::spawn(follow(Arc::clone(&source), replicas.clone())));
        }
        let has_order = replicas.iter().any(|replica| !replica.coalesces);
        Self {
            primary,
            turns: has_order.then(|| (0..TURNS).map(|_| AsyncMutex::new(())).collect()),
            replicas,
            drain,
            synchronous,
            failover: failover.map(|at| (at, Failover::default())),
            events,
            tasks: Mutex::new(tasks),
        }
    }

    /// Returns the primary.
    pub fn get_ref(&self) -> &P {
        &self.primary
    }

    /// Returns a replica, to read it.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is none of that name.
    pub fn replica(&self, name: &str) -> Result<&Arc<dyn Store>> {
        self.named(name).map(|replica| &replica.store)
    }

    fn named(&self, name: &str) -> Result<&Arc<Replica>> {
        let replica = self.replicas.iter().find(|replica| replica.name == name);
        replica.ok_or_else(|| error(ErrorKind::NotFound, format!("there is no replica {name:?}")))
    }

    /// Returns how the replicas are, in the order in which they were added.
    pub fn status(&self) -> Vec<ReplicaStatus> {
        self.replicas.iter().map(|replica| replica.status()).collect()
    }

    /// Follows how the replicas are: when one falls behind, has everything again, or leaves something out for good. Who is slow misses events.
    pub fn events(&self) -> impl Stream<Item = ReplicaEvent> + Send + use<P> {
        stream::unfold(self.events.subscribe(), async |mut events| {
            loop {
                match events.recv().await {
                    Ok(event) => return Some((event, events)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        })
    }

    /// Waits until all replicas have what was written to a flag so far, for so long at the most; returns those that have not, and why.
    ///
    /// They are told all the same, as soon as that can be done.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// # use flipper_replicated::ReplicatedStore;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
    /// # let store = ReplicatedStore::builder(MemoryStore::new()).replica("copy", MemoryStore::new()).start()?;
    /// let store = Arc::new(store);
    /// let client = FeatureFlagClient::new(Arc::clone(&store));
    /// client.create("X").await?;
    /// for failure in store.wait_for("X", Duration::from_secs(1)).await {
    ///     eprintln!("{failure}");
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn wait_for(&self, name: &str, limit: Duration) -> Vec<ReplicaFailure> {
        let numbers: Vec<_> = self.replicas.iter().map(|replica| replica.changes()).collect();
        self.settled(name, &numbers, limit).await
    }

    /// Waits until all replicas have everything, for so long at the most; returns those that have not, and why.
    pub async fn flush(&self, limit: Duration) -> Vec<ReplicaFailure> {
        self.each(limit, |replica, _| replica.wait(None)).await
    }

    async fn settled(&self, name: &str, numbers: &[u64], limit: Duration) -> Vec<ReplicaFailure> {
        self.each(limit, |replica, at| replica.wait(Some((name, numbers[at])))).await
    }

    /// Waits for all replicas at the same time.
    async fn each<'s, F>(
        &'s self,
        limit: Duration,
        wait: impl Fn(&'s Replica, usize) -> F,
    ) -> Vec<ReplicaFailure>
    where
        F: Future<Output = std::result::Result<(), Error>> + Send,
    {
        let until = tokio::time::Instant::now() + limit;
        let mut waits: Vec<_> = Vec::new();
        for (at, replica) in self.replicas.iter().enumerate() {
            waits.push((replica, Box::pin(wait(replica, at)), None));
        }
        // All have begun to wait before the first one is waited for.
        for (_, wait, done) in &mut waits {
            *done = futures_lite::future::poll_once(wait.as_mut()).await;
        }
        let mut failures = Vec::new();
        for (replica, wait, done) in waits {
            let told = match done {
                Some(told) => told,
                None => {
                    tokio::time::timeout_at(until, wait).await.unwrap_or_else(|_| Err(replica.late(limit)))
                }
            };
            if let Err(error) = told {
                failures.push(ReplicaFailure { replica: replica.name.clone(), error });
            }
        }
        failures
    }

    /// Compares a replica with the primary, and returns what differs: all flags are listed in both, and those that differ are read once more.
    ///
    /// What the replica has yet to be told differs, too: [`flush`](Self::flush) before.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no such replica; those of the stores.
    pub async fn verify(&self, replica: &str) -> Result<Vec<Difference>> {
        let compared = compare(&*self.primary, self.named(replica)?).await;
        compared.map(|compared| compared.differences).map_err(|error| error.with_operation("verify"))
    }

    /// Makes a replica what the primary is, and returns what differed.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no such replica; [`Conflict`](ErrorKind::Conflict) if the primary has no flags at all and the replica
    /// has several, as one that has lost its data would have: see [`restore`](Self::restore). Those of the stores, after which a part may be done.
    pub async fn resync(&self, replica: &str) -> Result<Vec<Difference>> {
        let replica = self.named(replica)?;
        match repair(&*self.primary, replica).await {
            Ok(differences) => Ok(differences),
            Err(Trouble::Again(error) | Trouble::Never(error)) => Err(error.with_operation("resync")),
        }
    }

    /// Gives the primary the flags of a replica that it lacks, and returns their names: after it has lost its data. What the primary has stays as
    /// it is.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no such replica; those of the stores, after which a part may be done.
    pub async fn restore(&self, replica: &str) -> Result<Vec<String>> {
        let replica = self.named(replica)?;
        restore(&*self.primary, replica).await.map_err(|error| error.with_operation("restore"))
    }

    /// Waits until the replicas have everything, for so long at the most, ends what runs in the background, and returns which of them lack what. The
    /// stores stay open.
    ///
    /// Replicas that lack something have to be [resynced](Self::resync) when the store is started anew.
    pub async fn shutdown(&self, limit: Duration) -> Vec<ReplicaFailure> {
        let _ = self.flush(limit).await;
        for task in self.end() {
            ended(task).await;
        }
        let lacks = self.replicas.iter().filter(|replica| !replica.is_idle());
        lacks
            .map(|replica| ReplicaFailure { replica: replica.name.clone(), error: left(replica, limit) })
            .collect()
    }

    fn end(&self) -> Vec<JoinHandle<()>> {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in &tasks {
            task.abort();
        }
        tasks
    }

    /// Waits for this flag's turn, if the order of its states has to be known.
    async fn turn(&self, name: &str) -> Option<MutexGuard<'_, ()>> {
        let turns = self.turns.as_ref()?;
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        Some(turns[(hash % TURNS as u64) as usize].lock().await)
    }

    /// Waits for the replicas, if that is asked for, after a write that the primary has made.
    async fn replicated(&self, name: FlagName<'_>, numbers: &[u64]) -> Result<()> {
        let Some(limit) = self.synchronous else { return Ok(()) };
        let failures = self.settled(name.as_str(), numbers, limit).await;
        let Some(first) = failures.first() else { return Ok(()) };
        let shown: Vec<_> = failures.iter().map(ToString::to_string).collect();
        let message = format!("written, and not yet replicated: {}", shown.join("; "));
        Err(error(ErrorKind::NotReplicated, message).with_source(first.error.clone()))
    }
}

/// A write that is under way in the primary.
struct Write<'w> {
    replicas: &'w [Arc<Replica>],
    name: &'w str,
    is_over: bool,
}

impl<'w> Write<'w> {
    fn begin(replicas: &'w [Arc<Replica>], name: &'w str) -> Self {
        for replica in replicas {
            replica.announce(name);
        }
        Self { replicas, name, is_over: false }
    }

    /// Tells the replicas what has come of it; returns the numbers of the change.
    fn end<T>(mut self, written: &Result<T>, state: impl Fn(&T) -> State) -> Vec<u64> {
        self.is_over = true;
        let state = match written {
            Ok(value) => Some(state(value)),
            // It stands, or may have happened: whatever is there is told.
            Err(error) if matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::NotReplicated) => {
                Some(State::Unknown)
            }
            Err(_) => None,
        };
        self.add(state.as_ref())
    }

    fn add(&self, state: Option<&State>) -> Vec<u64> {
        let add = |replica: &Arc<Replica>| {
            let number = state.map(|state| replica.add(self.name, state.clone()));
            replica.has_come(self.name);
            number.unwrap_or_default()
        };
        self.replicas.iter().map(add).collect()
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            // Nobody waits for it any longer, and it may have happened, or happen yet.
            self.add(Some(&State::Unknown));
        }
    }
}

fn error(kind: ErrorKind, message: String) -> Error {
    Error::new(kind, message).with_store("replicated")
}

/// How many names of flags an error shows.
const SHOWN: usize = 5;

fn left(replica: &Replica, limit: Duration) -> Error {
    let (names, everything) = replica.left();
    if everything {
        return replica.late(limit).map_message(|message| format!("everything is to be compared: {message}"));
    }
    let more = names.len().saturating_sub(SHOWN);
    let mut shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    let count = names.len();
    replica
        .late(limit)
        .map_message(|message| format!("{count} changes were not told, of {}: {message}", shown.join(", ")))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<P: Store> Store for ReplicatedStore<P> {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.primary.get(name).await
    }

    async fn look_up(&self, name: FlagName<'_>) -> Result<Known> {
        let Some((at, failover)) = &self.failover else { return self.primary.look_up(name).await };
        let (error, since) = if failover.asks_primary() {
            match self.primary.look_up(name).await {
                Err(error) if error.is_retryable() => (Some(error), failover.failed()),
                answered => {
                    failover.answered();
                    return answered;
                }
            }
        } else {
            (None, failover.since())
        };
        match self.replicas[*at].store.look_up(name).await {
            Ok(known) => {
                let freshness = Freshness::Stale { since, cause: StaleCause::Failover };
                Ok(Known { freshness, ..known })
            }
            // What is wrong with the primary is what has to be mended.
            Err(of_replica) => match error {
                Some(error) => Err(error),
                None => self.primary.look_up(name).await.map_err(|error| error.with_source(of_replica)),
            },
        }
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        let name = FlagName::new(flag.name())?;
        let turn = self.turn(name.as_str()).await;
        let write = Write::begin(&self.replicas, name.as_str());
        let written = self.primary.put(flag, expect).await;
        let is = |version: &Version| State::Is(Versioned { value: flag.clone(), version: version.clone() });
        let numbers = write.end(&written, is);
        drop(turn);
        let version = written?;
        self.replicated(name, &numbers).await?;
        Ok(version)
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        let turn = self.turn(name.as_str()).await;
        let write = Write::begin(&self.replicas, name.as_str());
        let written = self.primary.delete(name, expect).await;
        // Also if there was nothing: a replica may have it from before.
        let numbers = write.end(&written, |_| State::Gone);
        drop(turn);
        let was_there = written?;
        self.replicated(name, &numbers).await?;
        Ok(was_there)
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        self.primary.list(page)
    }

    fn capabilities(&self) -> Capabilities {
        self.primary.capabilities()
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        self.primary.watch()
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        self.primary.snapshot()
    }

    fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        self.primary.peek(name, see);
    }

    async fn close(&self) -> Result<()> {
        let left = if tokio::runtime::Handle::try_current().is_ok() {
            self.shutdown(self.drain).await
        } else {
            drop(self.end());
            Vec::new()
        };
        let mut closed = self.primary.close().await;
        for replica in &self.replicas {
            closed = closed.and(replica.store.close().await);
        }
        closed?;
        let Some(first) = left.first() else { return Ok(()) };
        let shown: Vec<_> = left.iter().map(ToString::to_string).collect();
        let message = format!("closed, and some replicas lack something: {}", shown.join("; "));
        Err(error(ErrorKind::NotReplicated, message).with_source(first.error.clone()))
    }
}

impl<P: Store> Drop for ReplicatedStore<P> {
    fn drop(&mut self) {
        if self.end().is_empty() {
            return;
        }
        for replica in self.replicas.iter().filter(|replica| !replica.is_idle()) {
            let (names, _) = replica.left();
            log::warn!(
                target: "flipper::replicated",
                "{} is dropped before it was told {} changes: resync it", replica.name, names.len()
            );
        }
    }
}

impl<P: Store> fmt::Debug for ReplicatedStore<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicatedStore")
            .field("primary", &self.primary)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}
