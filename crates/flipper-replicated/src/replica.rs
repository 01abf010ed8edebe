//! One replica: its queue, and how it is.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flipper_core::{Clock, Error, ErrorKind, Store, SystemClock, Timestamp};
use tokio::sync::{Notify, broadcast};

use crate::queue::{Job, Queue, State};
use crate::status::{ReplicaEvent, ReplicaStatus};

/// How many flags that were refused are remembered, to tell those who wait for them.
const MOST_REFUSED: usize = 1_000;

/// A store that has copies.
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) store: Arc<dyn Store>,
    /// Whether of several states of a flag only the last one is told.
    pub(crate) coalesces: bool,
    behind_after: Duration,
    state: Mutex<Progress>,
    /// Wakes the task when there is something to be told.
    pub(crate) wanted: Notify,
    /// Wakes it while it waits for more: somebody waits for it.
    pub(crate) hurried: Notify,
    /// Wakes those who wait for something to be told.
    told: Notify,
    events: broadcast::Sender<ReplicaEvent>,
}

struct Progress {
    queue: Queue,
    written: u64,
    refused: u64,
    refusals: HashMap<Box<str>, Error>,
    /// How many writes of a flag are under way in the primary, whose states will be told.
    coming: HashMap<Box<str>, usize>,
    is_behind: bool,
    last_success: Option<Timestamp>,
    last_error: Option<(Timestamp, Error)>,
    /// How many wait for something to be told: then it is told at once.
    waiting: usize,
    has_ended: bool,
}

impl Replica {
    pub(crate) fn new(
        name: String,
        store: Arc<dyn Store>,
        coalesces: bool,
        capacity: usize,
        behind_after: Duration,
        events: broadcast::Sender<ReplicaEvent>,
    ) -> Self {
        let state = Progress {
            queue: Queue::new(coalesces, capacity),
            written: 0,
            refused: 0,
            refusals: HashMap::new(),
            coming: HashMap::new(),
            is_behind: false,
            last_success: None,
            last_error: None,
            waiting: 0,
            has_ended: false,
        };
        Self {
            name,
            store,
            coalesces,
            behind_after,
            state: Mutex::new(state),
            wanted: Notify::new(),
            hurried: Notify::new(),
            told: Notify::new(),
            events,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a change in the primary; returns its number.
    pub(crate) fn add(&self, name: &str, state: State) -> u64 {
        let number = self.lock().queue.add(name, state, Instant::now());
        self.wanted.notify_one();
        number
    }

    /// Says that a state will come. It matters where every state is told: what the primary has already is not to be told before its turn.
    pub(crate) fn announce(&self, name: &str) {
        if !self.coalesces {
            *self.lock().coming.entry(name.into()).or_default() += 1;
        }
    }

    /// Says that one that was announced has come, or will not.
    pub(crate) fn has_come(&self, name: &str) {
        if self.coalesces {
            return;
        }
        let mut state = self.lock();
        if let Some(count) = state.coming.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                state.coming.remove(name);
            }
        }
    }

    /// The number of the last change.
    pub(crate) fn changes(&self) -> u64 {
        self.lock().queue.changes()
    }

    /// Has everything compared.
    pub(crate) fn add_everything(&self) {
        self.lock().queue.add_everything(Instant::now());
        self.wanted.notify_one();
    }

    /// Takes what is to be told next.
    pub(crate) fn begin(&self) -> Option<Job> {
        self.lock().queue.begin()
    }

    /// Whether another state of a flag waits, or will.
    pub(crate) fn has_more_of(&self, name: &str) -> bool {
        let state = self.lock();
        state.queue.has_more_of(name) || state.coming.contains_key(name)
    }

    /// Counts a write.
    pub(crate) fn wrote(&self) {
        self.lock().written += 1;
    }

    /// What was under way was told.
    pub(crate) fn succeeded(&self, job: &Job) {
        let mut state = self.lock();
        state.queue.end();
        if let Job::Flag(entry) = job {
            state.refusals.remove(&entry.name);
        }
        state.last_success = Some(SystemClock.now());
        self.settle(state);
    }

    /// What was under way cannot be told, for good.
    pub(crate) fn refused(&self, job: &Job, error: &Error) {
        log::warn!(target: "flipper::replicated", "{}: left out for good: {error}", self.name);
        let mut state = self.lock();
        state.queue.end();
        state.refused += 1;
        let flag = match job {
            Job::Flag(entry) => Some(entry.name.clone()),
            Job::Everything => None,
        };
        if let Some(name) = flag.clone().filter(|_| state.refusals.len() < MOST_REFUSED) {
            state.refusals.insert(name, error.clone());
        }
        state.last_error = Some((SystemClock.now(), error.clone()));
        let (replica, flag) = (self.name.clone(), flag.map(String::from));
        let _ = self.events.send(ReplicaEvent::Refused { replica, flag, error: error.clone() });
        self.settle(state);
    }

    /// What was under way will be tried again.
    pub(crate) fn failed(&self, job: Job, error: &Error) {
        let mut state = self.lock();
        state.queue.put_back(job);
        state.last_error = Some((SystemClock.now(), error.clone()));
        self.settle(state);
    }

    /// Tells those who wait, and whether the replica falls behind.
    fn settle(&self, mut state: MutexGuard<'_, Progress>) {
        let lag = state.lag();
        let event = if !state.is_behind && lag > self.behind_after {
            state.is_behind = true;
            let error = state.last_error.as_ref().map(|(_, error)| error.clone());
            Some(ReplicaEvent::Behind { replica: self.name.clone(), lag, error })
        } else if state.is_behind && state.queue.is_empty() {
            state.is_behind = false;
            Some(ReplicaEvent::Recovered { replica: self.name.clone() })
        } else {
            None
        };
        drop(state);
        match &event {
            Some(ReplicaEvent::Behind { error: Some(error), .. }) => {
                log::warn!(target: "flipper::replicated", "{} is {lag:?} behind: {error}", self.name);
            }
            Some(ReplicaEvent::Behind { .. }) => {
                log::warn!(target: "flipper::replicated", "{} is {lag:?} behind", self.name);
            }
            Some(_) => log::info!(target: "flipper::replicated", "{} has everything again", self.name),
            None => {}
        }
        if let Some(event) = event {
            let _ = self.events.send(event);
        }
        self.told.notify_waiters();
    }

    /// Looks whether the replica has fallen behind, while nothing happens.
    pub(crate) fn look(&self) {
        self.settle(self.lock());
    }

    /// The task has ended: nothing is told any more.
    pub(crate) fn end(&self) {
        self.lock().has_ended = true;
        self.told.notify_waiters();
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.lock().queue.is_empty()
    }

    /// Whether somebody waits, who is not to wait for others to come.
    pub(crate) fn is_awaited(&self) -> bool {
        self.lock().waiting > 0
    }

    /// What is not yet told.
    pub(crate) fn left(&self) -> (Vec<Box<str>>, bool) {
        let state = self.lock();
        (state.queue.names(), state.queue.wants_everything())
    }

    /// Waits until a change was told, or all of them; says why one was not.
    pub(crate) async fn wait(&self, change: Option<(&str, u64)>) -> Result<(), Error> {
        let _waiting = Waiting::begin(self);
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            {
                let state = self.lock();
                let is_pending = match change {
                    Some((name, number)) => state.queue.is_pending(name, number),
                    None => !state.queue.is_empty(),
                };
                if !is_pending {
                    let refused = change.and_then(|(name, _)| state.refusals.get(name));
                    return refused.cloned().map_or(Ok(()), Err);
                }
                if state.has_ended {
                    return Err(not_yet(&state, "nothing is told any more: the store is closed"));
                }
            }
            told.await;
        }
    }

    /// Why a change was not told within a time.
    pub(crate) fn late(&self, limit: Duration) -> Error {
        not_yet(&self.lock(), format!("not within {limit:?}"))
    }

    pub(crate) fn status(&self) -> ReplicaStatus {
        let state = self.lock();
        ReplicaStatus {
            name: self.name.clone(),
            queued: state.queue.len(),
            lag: state.lag(),
            is_behind: state.is_behind,
            is_to_be_compared: state.queue.wants_everything(),
            written: state.written,
            dropped: state.queue.dropped(),
            refused: state.refused,
            last_success: state.last_success,
            last_error: state.last_error.clone(),
        }
    }
}

impl Progress {
    fn lag(&self) -> Duration {
        self.queue.oldest().map_or(Duration::ZERO, |since| since.elapsed())
    }
}

fn not_yet(state: &Progress, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    let error = Error::new(ErrorKind::NotReplicated, message);
    match &state.last_error {
        Some((_, cause)) => {
            error.map_message(|message| format!("{message}: {cause}")).with_source(cause.clone())
        }
        None => error,
    }
}

/// One who waits.
struct Waiting<'r>(&'r Replica);

impl<'r> Waiting<'r> {
    fn begin(replica: &'r Replica) -> Self {
        replica.lock().waiting += 1;
        replica.hurried.notify_waiters();
        Self(replica)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica")
            .field("name", &self.name)
            .field("store", &self.store)
            .field("queued", &self.lock().queue.len())
            .finish_non_exhaustive()
    }
}
