//! One replica: its queue, and how it is.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flipper_core::{Clock, Error, ErrorKind, Store, SystemClock, Timestamp};
use tokio::sync::{Notify, broadcast};

use crate::queue::{Job, Queue, State};
use crate::status::{ReplicaEvent, ReplicaStatus};

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
    /// What was left out for good, until it is told after all: of single flags, and of the comparison of everything.
    refusals: HashMap<Box<str>, Error>,
    refusal_of_all: Option<Error>,
    /// The writes of a flag that are under way in the primary.
    coming: HashMap<Box<str>, Coming>,
    is_behind: bool,
    last_success: Option<Timestamp>,
    last_error: Option<(Timestamp, Error)>,
    /// How often something has failed.
    failures: u64,
    /// How many wait for something to be told: then it is told at once.
    waiting: usize,
    has_ended: bool,
}

#[derive(Debug, Default)]
struct Coming {
    count: usize,
    /// How many have ended since there were none.
    ended: u64,
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'c> {
    /// All flags, without one.
    pub(crate) name: Option<&'c str>,
    /// Up to this one.
    pub(crate) number: u64,
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
            refusal_of_all: None,
            coming: HashMap::new(),
            is_behind: false,
            last_success: None,
            last_error: None,
            failures: 0,
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

    /// Takes note of a change in the primary.
    pub(crate) fn add(&self, name: &str, state: State) {
        self.lock().queue.add(name, state, Instant::now());
        self.wanted.notify_one();
    }

    /// Has everything compared.
    pub(crate) fn add_everything(&self) {
        self.lock().queue.add_everything(Instant::now());
        self.wanted.notify_one();
    }

    /// Has flags told that were found to differ, after everything was compared: what was refused before counts no more. Where every state is told, those
    /// whose states are to be told anyway are left out.
    pub(crate) fn add_different<'n>(&self, names: impl Iterator<Item = &'n str>) {
        let mut state = self.lock();
        state.refusals.clear();
        state.refusal_of_all = None;
        for name in names {
            if self.coalesces || !state.has_more_of(name) {
                state.queue.add_different(name, Instant::now());
            }
        }
        drop(state);
        self.wanted.notify_one();
    }

    /// Says that a write of a flag begins in the primary; returns what [`end_write`](Self::end_write) wants to know.
    pub(crate) fn begin_write(&self, name: &str) -> u64 {
        let mut state = self.lock();
        let coming = state.coming.entry(name.into()).or_default();
        coming.count += 1;
        coming.ended
    }

    /// Says that it has ended, and what is known of the flag since, if it may have changed; returns the number of the change.
    ///
    /// Where another write was under way at the same time, nobody knows which one was the last: then it has to be read.
    pub(crate) fn end_write(&self, name: &str, began: u64, state: Option<&State>) -> u64 {
        let mut progress = self.lock();
        let mut is_alone = true;
        if let Some(coming) = progress.coming.get_mut(name) {
            is_alone = coming.count == 1 && coming.ended == began;
            coming.count -= 1;
            coming.ended += 1;
            if coming.count == 0 {
                progress.coming.remove(name);
            }
        }
        let number = match state {
            Some(_) if !is_alone && self.coalesces => {
                progress.queue.add(name, State::Unknown, Instant::now())
            }
            Some(state) => progress.queue.add(name, state.clone(), Instant::now()),
            None => return 0,
        };
        drop(progress);
        self.wanted.notify_one();
        number
    }

    /// The number of the last change.
    pub(crate) fn changes(&self) -> u64 {
        self.lock().queue.changes()
    }

    /// Takes what is to be told next, of what came before a place in the queue.
    pub(crate) fn begin(&self, before: u64) -> Option<Job> {
        self.lock().queue.begin(before)
    }

    /// The place of what comes next in the queue, if there is anything to be told.
    pub(crate) fn next(&self) -> Option<u64> {
        let state = self.lock();
        (!state.queue.is_empty()).then(|| state.queue.next())
    }

    /// Whether another state of a flag waits, or will.
    pub(crate) fn has_more_of(&self, name: &str) -> bool {
        self.lock().has_more_of(name)
    }

    /// Whether it has yet to be told of a flag.
    pub(crate) fn lacks(&self, name: &str) -> bool {
        let state = self.lock();
        state.has_more_of(name) || state.queue.is_telling(name)
    }

    /// Counts a write; and remembers what was wrong with it, if it stands all the same.
    pub(crate) fn wrote(&self, error: Option<Error>) {
        let mut state = self.lock();
        state.written += 1;
        if let Some(error) = error {
            state.last_error = Some((SystemClock.now(), error));
        }
    }

    /// What was under way was told.
    pub(crate) fn succeeded(&self, job: &Job) {
        let mut state = self.lock();
        state.queue.end();
        if let Job::Flag(entry) = job {
            state.refusals.remove(&entry.name);
            // The comparison that was refused may be possible by now.
            if state.refusal_of_all.take().is_some() {
                state.queue.add_everything(Instant::now());
            }
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
        state.failures += 1;
        let flag = match job {
            Job::Flag(entry) => {
                state.refusals.insert(entry.name.clone(), error.clone());
                Some(String::from(entry.name.clone()))
            }
            Job::Everything => {
                state.refusal_of_all = Some(error.clone());
                None
            }
        };
        state.last_error = Some((SystemClock.now(), error.clone()));
        let _ = self.events.send(ReplicaEvent::Refused {
            replica: self.name.clone(),
            flag,
            error: error.clone(),
        });
        self.settle(state);
    }

    /// What was under way will be tried again, before all else or after it.
    pub(crate) fn failed(&self, job: Job, error: &Error, is_last: bool) {
        let mut state = self.lock();
        state.queue.put_back(job, is_last);
        state.failures += 1;
        state.last_error = Some((SystemClock.now(), error.clone()));
        self.settle(state);
    }

    /// Tells those who wait, and whether the replica falls behind.
    fn settle(&self, mut state: MutexGuard<'_, Progress>) {
        let lag = state.lag();
        let event = if !state.is_behind && lag > self.behind_after {
            state.is_behind = true;
            let error = state.recent_error().cloned();
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

    /// The task has begun, or ended: then nothing is told any more.
    pub(crate) fn set_ended(&self, has_ended: bool) {
        let mut state = self.lock();
        state.has_ended = has_ended;
        // What was under way was not told.
        if has_ended {
            state.queue.add_everything(Instant::now());
        }
        drop(state);
        self.told.notify_waiters();
    }

    /// Whether it has everything that it was to be told.
    pub(crate) fn is_complete(&self) -> bool {
        let state = self.lock();
        state.queue.is_empty() && state.refusals.is_empty() && state.refusal_of_all.is_none()
    }

    /// Whether somebody waits, who is not to wait for others to come.
    pub(crate) fn is_awaited(&self) -> bool {
        self.lock().waiting > 0
    }

    /// What is not yet told, and whether everything is to be compared.
    pub(crate) fn left(&self) -> (Vec<Box<str>>, bool) {
        let state = self.lock();
        (state.queue.names(), state.queue.wants_everything())
    }

    /// Waits until a change was told, or says why it was not. With `fails`, also when anything has failed.
    pub(crate) async fn wait(&self, change: Change<'_>, fails: bool) -> Result<(), Error> {
        let _waiting = Waiting::begin(self);
        let before = self.lock().failures;
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            {
                let state = self.lock();
                if state.has_ended {
                    return Err(
                        state.not_yet("nothing is told any more: the store is closed, or its runtime")
                    );
                }
                if !state.queue.is_pending(change.name, change.number) {
                    let refused = match change.name {
                        Some(name) => state.refusals.get(name).or(state.refusal_of_all.as_ref()),
                        None => state.refusal_of_all.as_ref().or_else(|| state.refusals.values().next()),
                    };
                    return refused.cloned().map_or(Ok(()), Err);
                }
                if fails && state.failures != before {
                    return Err(state.not_yet("it is tried further in the background"));
                }
            }
            told.await;
        }
    }

    /// Why a change was not told within a time.
    pub(crate) fn late(&self, limit: Duration) -> Error {
        self.lock().not_yet(format!("not within {limit:?}"))
    }

    pub(crate) fn status(&self) -> ReplicaStatus {
        let state = self.lock();
        ReplicaStatus {
            name: self.name.clone(),
            queued: state.queue.len(),
            lag: state.lag(),
            is_behind: state.is_behind,
            is_to_be_compared: state.queue.wants_everything() || state.refusal_of_all.is_some(),
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

    fn has_more_of(&self, name: &str) -> bool {
        self.queue.has_more_of(name) || self.coming.contains_key(name)
    }

    /// What went wrong since all was well.
    fn recent_error(&self) -> Option<&Error> {
        let (time, error) = self.last_error.as_ref()?;
        self.last_success.is_none_or(|success| success <= *time).then_some(error)
    }

    fn not_yet(&self, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        let error = Error::new(ErrorKind::NotReplicated, message);
        match self.recent_error() {
            Some(cause) => {
                error.map_message(|message| format!("{message}: {cause}")).with_source(cause.clone())
            }
            None => error,
        }
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
