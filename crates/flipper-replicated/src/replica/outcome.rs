//! What has come of telling a replica.

use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use flipper_core::{Clock, Error, ErrorKind, SystemClock};

use super::{Progress, Refusal, Replica};
use crate::queue::Job;
use crate::status::ReplicaEvent;

/// How often a comparison that was refused is tried again, at the most.
const COMPARE_AGAIN: Duration = Duration::from_secs(10);

impl Replica {
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
            // The comparison that was refused may be possible by now; what has to be decided by somebody is not.
            if let Some(refusal) = &mut state.refusal_of_all
                && refusal.error.kind() != ErrorKind::Conflict
                && refusal.at.elapsed() >= COMPARE_AGAIN
            {
                refusal.at = Instant::now();
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
        let refusal = Refusal { error: error.clone(), number: state.failures, at: Instant::now() };
        let flag = match job {
            Job::Flag(entry) => {
                state.refusals.insert(entry.name.clone(), refusal);
                Some(String::from(entry.name.clone()))
            }
            Job::Everything => {
                state.refusal_of_all = Some(refusal);
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
}
