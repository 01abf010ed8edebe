//! What memory holds, and the rules by which it changes.
//!
//! Nothing here waits or runs anybody's code, so that the rules can be tested by themselves.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use flipper_core::{Error, ErrorKind, Flag, Freshness, Known, Result, Timestamp, Version, Versioned};
use foldhash::fast::RandomState;
use lru::LruCache;

use crate::clock::Millis;
use crate::entry::{Entry, pass};
use crate::load::{Flight, Load};
use crate::refresh::Waiting;
use crate::stats::Counters;
use crate::trouble::Trouble;

mod hear;
mod under_way;

use under_way::{State, UnderWay};
pub(crate) use under_way::{Ticket, Wrote};

/// How long nobody asks again for what could not be read.
const RETRY: Millis = 1_000;
/// How long a flag is believed at the most while nobody tells of changes.
const UNFOLLOWED: Millis = 60_000;
/// For how long a write of which nobody knows whether it has happened may still happen, and what is read meanwhile is
/// believed for this long only.
const UNSETTLED: (Millis, Millis) = (30_000, 1_000);

pub(crate) type Name = Arc<str>;
pub(crate) type Found = Option<Versioned<Flag>>;

/// How long what was read is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// `None`: until somebody tells otherwise.
    pub(crate) ttl: Option<Millis>,
    pub(crate) negative_ttl: Millis,
    pub(crate) stale: Millis,
}

#[derive(Debug)]
pub(crate) struct Cache {
    /// What hits read, without a lock.
    entries: papaya::HashMap<Name, Entry, RandomState>,
    state: Mutex<State>,
    size: NonZeroUsize,
    times: Times,
    /// What keeps everything from being read.
    trouble: Trouble,
    /// From when on the store is to be asked whether it is back.
    probe: AtomicU64,
    /// The same for flags that have failed already.
    probe_failed: AtomicU64,
    /// The reads in the background that have not begun.
    pub(crate) waiting: Waiting,
    /// What keeps the store from being followed.
    unfollowed: Trouble,
    pub(crate) counters: Counters,
}

/// What a check has found in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit<'e> {
    pub(crate) entry: &'e Entry,
    pub(crate) freshness: Freshness,
    /// Whether its time is not over.
    pub(crate) is_fresh: bool,
    pub(crate) now: Millis,
}

/// What a check waits for.
pub(crate) enum Joined {
    /// It has come meanwhile.
    Known(Known),
    Wait(Load),
}

impl Cache {
    pub(crate) fn new(size: NonZeroUsize, times: Times) -> Self {
        let state = State {
            order: LruCache::unbounded_with_hasher(RandomState::default()),
            under_way: HashMap::default(),
            unsettled: HashMap::default(),
            tickets: 0,
        };
        Self {
            entries: papaya::HashMap::with_hasher(RandomState::default()),
            state: Mutex::new(state),
            size,
            times,
            trouble: Trouble::default(),
            probe: AtomicU64::new(0),
            probe_failed: AtomicU64::new(0),
            waiting: Waiting::default(),
            unfollowed: Trouble::default(),
            counters: Counters::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().order.len()
    }

    /// Shows what may answer a check, if there is anything.
    #[inline]
    pub(crate) fn hit<T>(&self, name: &str, now: Millis, see: impl FnOnce(Hit<'_>) -> T) -> Option<T> {
        let entries = self.entries.pin();
        let entry = entries.get(name)?;
        let unfollowed = self.unfollowed.stale();
        let is_young = unfollowed.is_none() || now.saturating_sub(entry.read_at) < UNFOLLOWED;
        let is_fresh = is_young && entry.is_fresh(now);
        let freshness =
            if is_fresh { unfollowed.unwrap_or(Freshness::Live) } else { self.stale(entry, now)? };
        if entry.is_behind(now) {
            self.move_to_front(name, entry, now);
        }
        Some(see(Hit { entry, freshness, is_fresh, now }))
    }

    /// How old a state is whose time is over, if it may answer.
    #[cold]
    fn stale(&self, entry: &Entry, now: Millis) -> Option<Freshness> {
        let stale = entry.trouble.stale().or_else(|| self.trouble.stale())?;
        (now.saturating_sub(entry.read_at) < self.times.stale).then_some(stale)
    }

    #[cold]
    fn move_to_front(&self, name: &str, entry: &Entry, now: Millis) {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // The next hit tries again.
            Err(TryLockError::WouldBlock) => return,
        };
        entry.was_moved(now);
        state.order.promote(name);
    }

    /// What answers in place of a read that has failed, if anything may.
    pub(crate) fn fall_back(&self, name: &str, error: &Error, now: Millis) -> Option<Known> {
        let entries = self.entries.pin();
        let entry = entries.get(name).filter(|entry| now.saturating_sub(entry.read_at) < self.times.stale)?;
        // Another read may have succeeded in between.
        let trouble = Trouble::default();
        trouble.set(error, Timestamp::now());
        let freshness = entry.trouble.stale().or_else(|| self.trouble.stale()).or_else(|| trouble.stale())?;
        self.counters.stale_answers.add();
        Some(entry.known(freshness))
    }

    /// Counts a hit.
    #[inline]
    pub(crate) fn was_hit(&self, freshness: Freshness) {
        self.counters.hits.add();
        if freshness != Freshness::Live {
            self.counters.stale_answers.add();
        }
    }

    /// Whether a flag is to be read again, which one caller has to do.
    pub(crate) fn takes_refresh(&self, hit: Hit<'_>) -> bool {
        let is_away = self.trouble.stale().is_some();
        if is_away && hit.entry.trouble.stale().is_none() {
            // One read for all flags is enough.
            return pass(&self.probe, hit.now, RETRY);
        }
        // One that has failed by itself is no measure of the others, and does not take their turn.
        pass(&hit.entry.refresh, hit.now, RETRY)
            && (!is_away || pass(&self.probe_failed, hit.now, RETRY / 10))
    }

    /// Joins a read that is under way, or starts one.
    pub(crate) fn join(&self, name: &str, now: Millis, start: impl FnOnce(Name, Ticket) -> Load) -> Joined {
        let mut state = self.lock();
        let known = self.hit(name, now, |hit| hit.is_fresh.then(|| hit.entry.known(hit.freshness))).flatten();
        if let Some(known) = known {
            drop(state);
            self.counters.joined_loads.fetch_add(1, Ordering::Relaxed);
            return Joined::Known(known);
        }
        Joined::Wait(self.join_read(&mut state, name, now, start))
    }

    /// As [`join`](Self::join), whatever memory holds.
    pub(crate) fn refresh(&self, name: &str, now: Millis, start: impl FnOnce(Name, Ticket) -> Load) -> Load {
        self.join_read(&mut self.lock(), name, now, start)
    }

    fn join_read(
        &self,
        state: &mut State,
        name: &str,
        now: Millis,
        start: impl FnOnce(Name, Ticket) -> Load,
    ) -> Load {
        let flight = state.under_way.get(name).and_then(|under_way| under_way.flight.as_ref());
        if let Some(load) = flight.and_then(|flight| flight.join(now)) {
            self.counters.joined_loads.fetch_add(1, Ordering::Relaxed);
            return load;
        }
        let name: Name = name.into();
        let ticket = state.begin(&name, now, |under_way| under_way.reads += 1);
        let load = start(Arc::clone(&name), ticket);
        if let Some(under_way) = state.under_way.get_mut(&name) {
            under_way.flight = Flight::new(&load, ticket.number, now);
        }
        self.counters.loads.fetch_add(1, Ordering::Relaxed);
        load
    }

    pub(crate) fn begin_read(&self, name: &str, now: Millis) -> Ticket {
        self.counters.loads.fetch_add(1, Ordering::Relaxed);
        self.lock().begin(&name.into(), now, |under_way| under_way.reads += 1)
    }

    pub(crate) fn begin_write(&self, name: &str, now: Millis) -> Ticket {
        self.lock().begin(&name.into(), now, |under_way| under_way.writes += 1)
    }

    /// Takes what a read has found, unless something has happened to the flag since it began.
    pub(crate) fn end_read(
        &self,
        name: &str,
        ticket: Ticket,
        answer: &Result<Found>,
        now: Millis,
        time: Timestamp,
    ) {
        let mut state = self.lock();
        let is_current = state.end(name, |under_way| {
            under_way.reads -= 1;
            under_way.land(ticket)
        });
        match answer {
            Ok(found) if is_current => {
                state.happened(name);
                self.insert(&mut state, name, found.clone(), ticket.began, now);
            }
            Ok(found) => self.doubt(name, found.as_ref().map(|found| &found.version)),
            // It says nothing of what has been read or written since.
            Err(error) if !is_current => {
                if error.kind() == ErrorKind::Corrupt {
                    self.expire(name);
                }
            }
            Err(error) => {
                let is_corrupt = error.kind() == ErrorKind::Corrupt;
                if is_corrupt {
                    state.happened(name);
                }
                if let Some(entry) = self.entries.pin().get(name) {
                    if is_corrupt {
                        entry.expire();
                    }
                    // While others can be read, too: nobody has to wait for this one again and again.
                    entry.refresh.store(now + RETRY, Ordering::Release);
                    entry.trouble.set(error, time);
                }
            }
        }
        state.settle(name);
        drop(state);
        self.note(answer, now, time);
    }

    /// Ends a read that nobody waits for any longer.
    pub(crate) fn drop_read(&self, name: &str, ticket: Ticket) {
        let mut state = self.lock();
        state.end(name, |under_way| {
            under_way.reads -= 1;
            under_way.land(ticket)
        });
        state.settle(name);
    }

    /// Takes note of whether the store answers.
    fn note(&self, answer: &Result<Found>, now: Millis, time: Timestamp) {
        match answer {
            // It says nothing of whether the store answers.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {}
            Err(error) if error.kind() != ErrorKind::Corrupt => {
                self.probe.fetch_max(now + RETRY, Ordering::AcqRel);
                if self.trouble.set(error, time) {
                    log::warn!(target: "flipper::cached", "what is known stays in use, also when its time is over: {error}");
                }
            }
            _ => {
                if self.trouble.clear() {
                    log::info!(target: "flipper::cached", "the store answers again");
                }
            }
        }
    }

    pub(crate) fn end_write(&self, name: &str, ticket: Ticket, wrote: Wrote, now: Millis) {
        let mut state = self.lock();
        let is_alone = state.end(name, |under_way| {
            under_way.writes -= 1;
            under_way.writes == 0 && under_way.happened == ticket.happened
        });
        match wrote {
            Wrote::State(found) => {
                state.happened(name);
                self.insert(&mut state, name, found, now, now);
                if !is_alone {
                    // Who was the last can only be read.
                    self.expire(name);
                }
            }
            Wrote::Nothing => {}
            Wrote::Conflict => self.outdate(&mut state, name),
            Wrote::Unknown => {
                state.unsettled.retain(|_, until| *until > now);
                state.unsettled.insert(name.into(), now + UNSETTLED.0);
                self.outdate(&mut state, name);
            }
        }
        state.settle(name);
    }

    fn insert(&self, state: &mut State, name: &str, found: Found, read_at: Millis, now: Millis) {
        // Less by up to a tenth, so that not all of them end together.
        let jitter = |ttl: Millis| ttl - fastrand::u64(0..=ttl / 10);
        let ttl = if found.is_some() { self.times.ttl.map(jitter) } else { Some(self.times.negative_ttl) };
        let ttl = match state.unsettled.get(name) {
            Some(until) if *until > now => Some(ttl.map_or(UNSETTLED.1, |ttl| ttl.min(UNSETTLED.1))),
            Some(_) => {
                state.unsettled.remove(name);
                ttl
            }
            None => ttl,
        };
        let entries = self.entries.pin();
        if ttl == Some(0) {
            entries.remove(name);
            state.order.pop(name);
            return;
        }
        let known = state.order.get_key_value(name).map(|(name, ())| Arc::clone(name));
        let name = known.unwrap_or_else(|| name.into());
        entries.insert(Arc::clone(&name), Entry::new(found, read_at, ttl, now));
        state.order.put(name, ());
        while state.order.len() > self.size.get() {
            let Some((oldest, ())) = state.order.pop_lru() else { return };
            entries.remove(&*oldest);
            self.counters.evictions.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets what answers checks of a flag, unless it is of this version.
    fn doubt(&self, name: &str, version: Option<&Version>) {
        if let Some(entry) = self.entries.pin().get(name)
            && entry.version() != version
        {
            entry.expire();
        }
    }

    fn expire(&self, name: &str) {
        if let Some(entry) = self.entries.pin().get(name) {
            entry.expire();
        }
    }

    /// Takes note that a flag has changed: what was read or is being read is old.
    pub(crate) fn outdate_one(&self, name: &str) {
        self.outdate(&mut self.lock(), name);
    }

    fn outdate(&self, state: &mut State, name: &str) {
        state.happened(name);
        self.expire(name);
    }

    /// Takes note that every flag may have changed.
    pub(crate) fn outdate_all(&self) {
        let mut state = self.lock();
        state.under_way.values_mut().for_each(UnderWay::happened);
        self.entries.pin().values().for_each(Entry::expire);
        self.probe.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
