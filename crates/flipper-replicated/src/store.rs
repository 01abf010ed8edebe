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
use futures_lite::{Stream, stream};
use tokio::runtime::Handle;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio::task::JoinHandle;

use crate::builder::ReplicatedStoreBuilder;
use crate::failover::Failover;
use crate::follow::follow;
use crate::queue::State;
use crate::replica::Replica;
use crate::status::{ReplicaEvent, ReplicaStatus};
use crate::tell::start;
use crate::write::Write;

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
    pub(crate) primary: Arc<P>,
    pub(crate) replicas: Vec<Arc<Replica>>,
    /// Turns of edits, where their order has to be known.
    turns: Option<Box<[AsyncMutex<()>]>>,
    drain: Duration,
    synchronous: Option<Duration>,
    failover: Option<(usize, Failover)>,
    events: broadcast::Sender<ReplicaEvent>,
    linger: Duration,
    follows: bool,
    tasks: Mutex<Tasks>,
}

/// What runs in the background.
#[derive(Debug, Default)]
struct Tasks {
    /// One of each replica.
    tell: Vec<JoinHandle<()>>,
    follow: Option<JoinHandle<()>>,
    is_closed: bool,
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
        let has_order = replicas.iter().any(|replica| !replica.coalesces);
        let store = Self {
            primary,
            turns: has_order.then(|| (0..TURNS).map(|_| AsyncMutex::new(())).collect()),
            replicas,
            drain,
            synchronous,
            failover: failover.map(|at| (at, Failover::default())),
            events,
            linger,
            follows,
            tasks: Mutex::default(),
        };
        store.run();
        store
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts what is to run in the background: at first, and again where it has ended with its runtime.
    pub(crate) fn run(&self) {
        let mut tasks = self.tasks();
        // All of them: what has not ended would say so after the new ones have begun.
        let has_ended = tasks.tell.iter().all(JoinHandle::is_finished);
        if tasks.is_closed || !has_ended || Handle::try_current().is_err() {
            return;
        }
        let source: Arc<dyn Store> = Arc::<P>::clone(&self.primary);
        let tell = |replica: &Arc<Replica>| start(Arc::clone(&source), replica, self.linger);
        let follow_ended = tasks.follow.take();
        for task in tasks.tell.drain(..).chain(follow_ended) {
            task.abort();
        }
        tasks.tell = self.replicas.iter().map(tell).collect();
        if self.follows {
            tasks.follow = Some(tokio::spawn(follow(source, self.replicas.clone())));
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

    pub(crate) fn named(&self, name: &str) -> Result<&Arc<Replica>> {
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

    pub(crate) fn end(&self) -> Vec<JoinHandle<()>> {
        let mut tasks = self.tasks();
        tasks.is_closed = true;
        let ended: Vec<_> = tasks.follow.take().into_iter().chain(tasks.tell.drain(..)).collect();
        for task in &ended {
            task.abort();
        }
        ended
    }

    /// Ends following what others write, and returns the task that did.
    pub(crate) fn end_following(&self) -> Option<JoinHandle<()>> {
        let following = self.tasks().follow.take();
        following.inspect(JoinHandle::abort)
    }

    /// Waits for this flag's turn, if the order of its states has to be known.
    async fn turn(&self, name: &str) -> Option<MutexGuard<'_, ()>> {
        let turns = self.turns.as_ref()?;
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        Some(turns[(hash % TURNS as u64) as usize].lock().await)
    }

    /// Writes to the primary, and has the replicas told; returns the version, and the numbers of the change.
    pub(crate) async fn write(&self, flag: &Flag, expect: Expect<'_>) -> Result<(Version, Vec<u64>)> {
        let turn = self.turn(flag.name()).await;
        let write = Write::begin(&self.replicas, flag.name());
        let written = self.primary.put(flag, expect).await;
        let is = |version: &Version| State::Is(Versioned { value: flag.clone(), version: version.clone() });
        let numbers = write.end(&written, is);
        drop(turn);
        self.run();
        Ok((written?, numbers))
    }

    /// Waits for the replicas, if that is asked for, after a write that the primary has made.
    async fn replicated(&self, name: FlagName<'_>, numbers: &[u64]) -> Result<()> {
        let Some(limit) = self.synchronous else { return Ok(()) };
        if Handle::try_current().is_err() {
            let message = "written, and not yet replicated: this store needs a Tokio runtime".to_owned();
            return Err(error(ErrorKind::NotReplicated, message));
        }
        let failures = self.settled(Some(name.as_str()), numbers, limit).await;
        let Some(first) = failures.first() else { return Ok(()) };
        let shown: Vec<_> = failures.iter().map(ToString::to_string).collect();
        let message = format!("written, and not yet replicated: {}", shown.join("; "));
        Err(error(ErrorKind::NotReplicated, message).with_source(first.error.clone()))
    }
}

pub(crate) fn error(kind: ErrorKind, message: String) -> Error {
    Error::new(kind, message).with_store("replicated")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<P: Store> Store for ReplicatedStore<P> {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.primary.get(name).await
    }

    async fn look_up(&self, name: FlagName<'_>) -> Result<Known> {
        let Some((at, failover)) = &self.failover else { return self.primary.look_up(name).await };
        let (error, since) = match failover.asks_primary() {
            Ok(()) => match self.primary.look_up(name).await {
                Err(error) if error.is_retryable() => (Some(error), failover.failed()),
                answered => {
                    failover.answered();
                    return answered;
                }
            },
            Err(since) => (None, since),
        };
        let of_replica = match self.replicas[*at].store.look_up(name).await {
            Ok(Known { freshness: Freshness::NeverLoaded, .. }) => {
                Error::new(ErrorKind::Unavailable, "the replica has not been read yet")
            }
            Ok(known) => {
                // The replica may have its own reason to be stale, and since before that.
                let freshness = match known.freshness {
                    Freshness::Stale { since: earlier, .. } if earlier < since => known.freshness,
                    _ => Freshness::Stale { since, cause: StaleCause::Failover },
                };
                return Ok(Known { freshness, ..known });
            }
            Err(error) => error,
        };
        // What is wrong with the primary is what has to be mended.
        match error {
            Some(error) => Err(error),
            None => self.primary.look_up(name).await.map_err(|error| error.with_source(of_replica)),
        }
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        let name = FlagName::new(flag.name())?;
        let (version, numbers) = self.write(flag, expect).await?;
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
        self.run();
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
        if self.tasks().is_closed {
            return Ok(());
        }
        let left: Vec<String> = if Handle::try_current().is_ok() {
            self.shutdown(self.drain).await.iter().map(ToString::to_string).collect()
        } else {
            let left = self.left().into_iter().map(|(replica, what)| format!("{replica}: {what}"));
            let left = left.collect();
            drop(self.end());
            left
        };
        let mut closed = self.primary.close().await;
        for replica in &self.replicas {
            closed = closed.and(replica.store.close().await);
        }
        if left.is_empty() {
            return closed;
        }
        let message = format!("closed, and some replicas lack something: {}", left.join("; "));
        let lacking = error(ErrorKind::NotReplicated, message);
        Err(match closed {
            Ok(()) => lacking,
            Err(error) => lacking.with_source(error),
        })
    }
}

impl<P: Store> Drop for ReplicatedStore<P> {
    fn drop(&mut self) {
        for (replica, what) in self.left() {
            log::warn!(target: "flipper::replicated", "{replica} is dropped, and {what}: resync it");
        }
        self.end();
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
