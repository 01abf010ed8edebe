//! One replica: its queue, and how it is.

mod outcome;
mod wait;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flipper_core::{Error, Store, Timestamp};
use tokio::sync::{Notify, broadcast};

use crate::queue::{Job, Queue, State};
use crate::status::{ReplicaEvent, ReplicaStatus};

pub(crate) use wait::Change;

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
    refusals: HashMap<Box<str>, Refusal>,
    refusal_of_all: Option<Refusal>,
    /// The primary was found emptied: then nothing is deleted here because it is not there, until that is settled.
    keeps_extra: bool,
    /// How many restore the primary: then neither.
    restoring: usize,
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
    /// Something was left to them. If they change nothing, it is still to be told.
    is_relied_upon: bool,
}

/// What was left out for good.
#[derive(Debug)]
struct Refusal {
    error: Error,
    /// The number of the failure.
    number: u64,
    at: Instant,
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
            keeps_extra: false,
            restoring: 0,
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

    /// Has flags told that were found to differ, after everything was compared: what was refused before that, up to a failure, counts no more, unless it
    /// is about flags that cannot be read. Where every state is told, those whose states are to be told anyway are left out.
    pub(crate) fn add_different<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
        unreadable: &HashSet<&str>,
        failures: u64,
    ) {
        let mut state = self.lock();
        state.refusals.retain(|name, refusal| refusal.number > failures || unreadable.contains(&**name));
        if state.refusal_of_all.as_ref().is_some_and(|refusal| refusal.number <= failures) {
            state.refusal_of_all = None;
        }
        for name in names {
            if self.coalesces || !state.has_more_of(name) {
                state.queue.add_different(name, Instant::now());
            }
        }
        drop(state);
        self.wanted.notify_one();
    }

    /// How often something has failed so far.
    pub(crate) fn failures(&self) -> u64 {
        self.lock().failures
    }

    /// Says whether flags that the primary does not have are kept.
    pub(crate) fn keep_extra(&self, keeps: bool) {
        self.lock().keeps_extra = keeps;
    }

    pub(crate) fn keeps_extra(&self) -> bool {
        let state = self.lock();
        state.keeps_extra || state.restoring > 0
    }

    pub(crate) fn is_restoring(&self) -> bool {
        self.lock().restoring > 0
    }

    pub(crate) fn begin_restore(&self) {
        self.lock().restoring += 1;
    }

    /// Says that a restore has ended. If it was not done, the primary lacks some of it; if it was, whether all is well again is to be found out.
    pub(crate) fn end_restore(&self, is_done: bool) {
        let mut state = self.lock();
        state.restoring -= 1;
        if !is_done {
            state.keeps_extra = true;
        } else if state.keeps_extra || state.refusal_of_all.is_some() {
            state.queue.add_everything(Instant::now());
            self.wanted.notify_one();
        }
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
        let (mut is_alone, mut is_relied_upon) = (true, false);
        if let Some(coming) = progress.coming.get_mut(name) {
            is_alone = coming.count == 1 && coming.ended == began;
            coming.count -= 1;
            coming.ended += 1;
            if state.is_some() {
                coming.is_relied_upon = false;
            }
            if coming.count == 0 {
                is_relied_upon = coming.is_relied_upon;
                progress.coming.remove(name);
            }
        }
        let number = match state {
            Some(_) if !is_alone && self.coalesces => {
                progress.queue.add(name, State::Unknown, Instant::now())
            }
            Some(state) => progress.queue.add(name, state.clone(), Instant::now()),
            None if is_relied_upon => progress.queue.add(name, State::Unknown, Instant::now()),
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
    pub(crate) fn begin(&self, before: u64, compares: bool) -> Option<Job> {
        self.lock().queue.begin(before, compares)
    }

    /// The place of what comes next in the queue, if there is anything to be told.
    pub(crate) fn next(&self) -> Option<u64> {
        let state = self.lock();
        (!state.queue.is_empty()).then(|| state.queue.next())
    }

    /// Whether another state of a flag waits.
    pub(crate) fn is_queued(&self, name: &str) -> bool {
        self.lock().queue.has_more_of(name)
    }

    /// Whether another state of a flag waits, or may come, and is relied upon to be told.
    pub(crate) fn has_more_of(&self, name: &str) -> bool {
        self.lock().has_more_of(name)
    }

    /// Whether it has yet to be told of a flag.
    pub(crate) fn lacks(&self, name: &str) -> bool {
        let state = self.lock();
        state.queue.has_more_of(name)
            || state.coming.contains_key(name)
            || state.queue.is_telling(name)
            || state.refusals.contains_key(name)
    }

    /// The task has begun, or ended: then nothing is told any more.
    pub(crate) fn set_ended(&self, has_ended: bool) {
        let mut state = self.lock();
        state.has_ended = has_ended;
        if has_ended {
            state.queue.abandon();
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

    fn has_more_of(&mut self, name: &str) -> bool {
        if self.queue.has_more_of(name) {
            return true;
        }
        let coming = self.coming.get_mut(name);
        coming.map(|coming| coming.is_relied_upon = true).is_some()
    }

    /// What went wrong since all was well.
    fn recent_error(&self) -> Option<&Error> {
        let (time, error) = self.last_error.as_ref()?;
        self.last_success.is_none_or(|success| success <= *time).then_some(error)
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
