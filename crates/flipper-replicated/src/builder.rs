//! Settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flipper_core::{Error, ErrorKind, Result, Store};
use tokio::runtime::Handle;
use tokio::sync::broadcast;

use crate::replica::Replica;
use crate::store::{Parts, ReplicatedStore};

/// Chooses settings of a [`ReplicatedStore`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use flipper_memory::MemoryStore;
/// use flipper_replicated::ReplicatedStore;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
/// let store = ReplicatedStore::builder(MemoryStore::new())
///     .replica("file", MemoryStore::new())
///     .replica_of_every_state("audit", MemoryStore::new())
///     .behind_after(Duration::from_secs(30))
///     .failover_to("file")
///     .start()?;
/// # Ok(()) }
/// ```
#[must_use = "it replicates only when it is started"]
pub struct ReplicatedStoreBuilder<P> {
    primary: P,
    replicas: Vec<(String, Arc<dyn Store>, bool)>,
    capacity: usize,
    linger: Duration,
    behind_after: Duration,
    drain: Duration,
    synchronous: Option<Duration>,
    failover: Option<String>,
    follows: bool,
}

/// What is longer than a year is a year: a timer has to be able to hold it.
pub(crate) const LONGEST: Duration = Duration::from_hours(365 * 24);

/// How many events wait for who listens.
const EVENTS: usize = 256;

impl<P: Store> ReplicatedStoreBuilder<P> {
    pub(crate) fn new(primary: P) -> Self {
        Self {
            primary,
            replicas: Vec::new(),
            capacity: 10_000,
            linger: Duration::from_millis(200),
            behind_after: Duration::from_secs(10),
            drain: Duration::from_secs(5),
            synchronous: None,
            failover: None,
            follows: false,
        }
    }

    /// Adds a replica under a name, of whatever kind. Of several changes of a flag that it has yet to be told, it is told the last one.
    pub fn replica(mut self, name: impl Into<String>, store: impl Store) -> Self {
        self.replicas.push((name.into(), Arc::new(store), true));
        self
    }

    /// Adds a replica that is told every state that is written through this store, in order: one that keeps a trail of changes.
    ///
    /// Edits of the same flag wait for one another then, so that their order is known. What other processes write is told as far as it is seen: each
    /// state of theirs that is there when one of ours was told.
    pub fn replica_of_every_state(mut self, name: impl Into<String>, store: impl Store) -> Self {
        self.replicas.push((name.into(), Arc::new(store), false));
        self
    }

    /// Limits how many changes wait for a replica, 10,000 unless told, and at least one. Beyond that, older states of a flag are left out; if each is
    /// the newest of its flag, all are, and everything is compared once the replica can be written to.
    pub fn queue_capacity(self, count: usize) -> Self {
        Self { capacity: count, ..self }
    }

    /// Chooses how long to wait for further changes before they are told, 200 ms unless told: what changes several times within that is told once.
    /// Nobody who waits for a replica waits for that.
    pub fn linger(self, linger: Duration) -> Self {
        Self { linger: linger.min(LONGEST), ..self }
    }

    /// Chooses how long a change may wait before its replica counts as [behind](crate::ReplicaEvent::Behind), 10 s unless told.
    pub fn behind_after(self, limit: Duration) -> Self {
        Self { behind_after: limit.min(LONGEST), ..self }
    }

    /// Limits how long [`close`](Store::close) waits for replicas to be told what they have yet to be told, 5 s unless told.
    pub fn drain_timeout(self, limit: Duration) -> Self {
        Self { drain: limit.min(LONGEST), ..self }
    }

    /// Has each write wait until all replicas have it, for so long at the most. Not unless told.
    ///
    /// A write that some of them do not have by then fails with [`NotReplicated`](ErrorKind::NotReplicated), which says which and why: it stands in the
    /// primary, and they are told as soon as that can be done. For a single write, see [`ReplicatedStore::wait_for`].
    pub fn synchronous(self, limit: Duration) -> Self {
        Self { synchronous: Some(limit.min(LONGEST)), ..self }
    }

    /// Has checks answered by a replica while the primary cannot be asked (its errors are [retryable](Error::is_retryable)). Not unless told.
    ///
    /// The answer is [stale](flipper_core::StaleCause::Failover) then, and says since when. The primary is asked again twice a second. Edits and
    /// listings are the primary's alone.
    pub fn failover_to(self, replica: impl Into<String>) -> Self {
        Self { failover: Some(replica.into()), ..self }
    }

    /// Replicates what others write to the primary as well, as far as it can be [watched](Store::watch); and compares everything when it starts and
    /// whenever the watch has missed something. Not unless told.
    ///
    /// Replicas of every state are told those of this process alone.
    pub fn follow_primary(self) -> Self {
        Self { follows: true, ..self }
    }

    /// Starts to replicate.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) if two replicas have the same name, or there is none of the name of
    /// [`failover_to`](Self::failover_to); [`Unsupported`](ErrorKind::Unsupported) if the primary is to be followed and cannot be watched, or outside of a
    /// Tokio runtime.
    pub fn start(self) -> Result<ReplicatedStore<P>> {
        let wrong = |kind, message: String| Err(Error::new(kind, message).with_store("replicated"));
        let position = |name: &str| self.replicas.iter().position(|(other, ..)| other == name);
        for (at, (name, ..)) in self.replicas.iter().enumerate() {
            if position(name) != Some(at) {
                return wrong(
                    ErrorKind::InvalidInput,
                    format!("there are two replicas of the name {name:?}"),
                );
            }
        }
        let failover = self.failover.as_deref().and_then(position);
        if let (Some(name), None) = (&self.failover, failover) {
            let message = format!("there is no replica {name:?} for checks to go to");
            return wrong(ErrorKind::InvalidInput, message);
        }
        if Handle::try_current().is_err() {
            let message = "this store needs a Tokio runtime: start it from inside of one";
            return wrong(ErrorKind::Unsupported, message.to_owned());
        }
        if self.follows && self.primary.watch().is_none() {
            let message = "the primary cannot be watched, so what others write to it cannot be followed";
            return wrong(ErrorKind::Unsupported, message.to_owned());
        }
        let events = broadcast::Sender::new(EVENTS);
        let replicas = self.replicas.into_iter().map(|(name, store, coalesces)| {
            let events = events.clone();
            Arc::new(Replica::new(name, store, coalesces, self.capacity, self.behind_after, events))
        });
        Ok(ReplicatedStore::start(Parts {
            replicas: replicas.collect(),
            primary: Arc::new(self.primary),
            linger: self.linger,
            drain: self.drain,
            synchronous: self.synchronous,
            failover,
            follows: self.follows,
            events,
        }))
    }
}

impl<P: fmt::Debug> fmt::Debug for ReplicatedStoreBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.replicas.iter().map(|(name, ..)| name).collect();
        f.debug_struct("ReplicatedStoreBuilder")
            .field("primary", &self.primary)
            .field("replicas", &names)
            .field("capacity", &self.capacity)
            .field("synchronous", &self.synchronous)
            .field("failover", &self.failover)
            .finish_non_exhaustive()
    }
}
