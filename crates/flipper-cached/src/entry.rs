//! What is known of one flag.

use std::sync::atomic::{AtomicU64, Ordering};

use flipper_core::{Flag, Known, Peek, Version, Versioned};

use crate::clock::Millis;
use crate::trouble::Trouble;

/// How far the order of use may lag behind, so that a hit only reads.
pub(crate) const LAG: Millis = 100;

#[derive(Debug)]
pub(crate) struct Entry {
    /// `None`: there is no such flag.
    found: Option<Versioned<Flag>>,
    /// When it was the store's state, at the latest.
    pub(crate) read_at: Millis,
    /// Until when it may answer without a question; 0 once it is known to be old.
    expires: AtomicU64,
    /// From when on a hit has it read again.
    pub(crate) refresh: AtomicU64,
    /// When it was last moved to the front.
    used: AtomicU64,
    /// What keeps just this record from being read again.
    pub(crate) trouble: Trouble,
}

impl Entry {
    pub(crate) fn new(
        found: Option<Versioned<Flag>>,
        read_at: Millis,
        ttl: Option<Millis>,
        now: Millis,
    ) -> Self {
        let end = |part: Millis| read_at.saturating_add(part);
        Self {
            found,
            read_at,
            expires: AtomicU64::new(ttl.map_or(Millis::MAX, end)),
            refresh: AtomicU64::new(ttl.map_or(Millis::MAX, |ttl| end(ttl - ttl / 5))),
            used: AtomicU64::new(now),
            trouble: Trouble::default(),
        }
    }

    pub(crate) fn is_fresh(&self, now: Millis) -> bool {
        now < self.expires.load(Ordering::Acquire)
    }

    /// Takes note that the store has another state by now. This one is kept for the case that it cannot be asked.
    pub(crate) fn expire(&self) {
        self.expires.store(0, Ordering::Release);
        self.refresh.store(0, Ordering::Release);
    }

    /// Whether it is to be read again.
    pub(crate) fn is_due(&self, now: Millis) -> bool {
        now >= self.refresh.load(Ordering::Acquire)
    }

    pub(crate) fn version(&self) -> Option<&Version> {
        self.found.as_ref().map(|found| &found.version)
    }

    /// Whether it has to be moved to the front.
    pub(crate) fn is_behind(&self, now: Millis) -> bool {
        now.saturating_sub(self.used.load(Ordering::Relaxed)) >= LAG
    }

    pub(crate) fn was_moved(&self, now: Millis) {
        self.used.store(now, Ordering::Relaxed);
    }

    pub(crate) fn peek(&self, freshness: flipper_core::Freshness) -> Peek<'_> {
        match &self.found {
            Some(found) => Peek::Hit { flag: &found.value, freshness },
            None => Peek::KnownAbsent { freshness },
        }
    }

    pub(crate) fn known(&self, freshness: flipper_core::Freshness) -> Known {
        Known { flag: self.found.as_ref().map(|found| found.value.clone()), freshness }
    }
}

/// Lets one of many through, and then nobody for a time.
pub(crate) fn pass(gate: &AtomicU64, now: Millis, wait: Millis) -> bool {
    let due = gate.load(Ordering::Acquire);
    now >= due && gate.compare_exchange(due, now + wait, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}
