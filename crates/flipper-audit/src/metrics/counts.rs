//! What is counted of one flag, and how a thread keeps it.

use std::sync::atomic::{AtomicU64, Ordering};

use flipper_core::{Checked, Freshness, Reason};

/// How often a flag was checked with one answer, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvaluationCount {
    /// The flag; `(other)` stands for all those that there was no room for.
    pub flag: Box<str>,
    /// The answer.
    pub value: bool,
    /// What decided it, as a word: `disabled`, `check_failed`; `error` if the store could not be asked, `never_loaded` if it
    /// was to have its flags in memory and has not read them yet.
    pub reason: &'static str,
    /// How often.
    pub count: u64,
}

/// The flag that stands for all others.
pub(super) const OTHER: &str = "(other)";

/// What can be counted: an answer, and a reason.
const KINDS: [(bool, &str); 15] = [
    // What is counted most is in the first line of the cache, with the key.
    (false, "disabled"),
    (true, "enabled"),
    (true, "conditions_met"),
    (false, "check_failed"),
    (true, "in_bucket"),
    (false, "out_of_bucket"),
    (false, "not_found"),
    (true, "not_found"),
    (false, "not_comparable"),
    (false, "unsupported"),
    (true, "unsupported"),
    (false, "error"),
    (true, "error"),
    (false, "never_loaded"),
    (true, "never_loaded"),
];

#[inline]
fn kind(check: &Checked<'_>) -> usize {
    let Ok(evaluation) = check.outcome else { return 11 + usize::from(check.default) };
    let or_on = usize::from(evaluation.value);
    match evaluation.reason {
        Reason::Disabled => 0,
        Reason::Enabled => 1,
        Reason::ConditionsMet => 2,
        Reason::CheckFailed { .. } => 3,
        Reason::InBucket => 4,
        Reason::OutOfBucket => 5,
        Reason::NotFound if evaluation.freshness == Freshness::NeverLoaded => 13 + or_on,
        Reason::NotFound => 6 + or_on,
        Reason::NotComparable { .. } => 8,
        _ => 9 + or_on,
    }
}

/// Whether the name is none of a flag, as far as anybody knows.
pub(super) fn is_absent(check: &Checked<'_>) -> bool {
    check.outcome.is_ok_and(|evaluation| evaluation.reason == Reason::NotFound) || check.outcome.is_err()
}

/// The counters of one flag in one thread. That thread alone writes, and others read.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Slot {
    key: AtomicU64,
    counts: [AtomicU64; KINDS.len()],
}

const _: () = assert!(size_of::<Slot>() == 128);

impl Slot {
    #[inline]
    pub(super) fn key(&self) -> u64 {
        self.key.load(Ordering::Relaxed)
    }

    pub(super) fn set_key(&self, key: u64) {
        self.key.store(key, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn count(&self, check: &Checked<'_>) {
        if let Some(count) = self.counts.get(kind(check)) {
            // Nobody else writes, so this takes no exchange between processors.
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// Begins with what another one has counted.
    pub(super) fn copy(&self, other: &Self) {
        self.set_key(other.key());
        for (count, other) in self.counts.iter().zip(&other.counts) {
            count.store(other.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> Counts {
        Counts(std::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed)))
    }
}

/// What was counted of one flag.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts([u64; KINDS.len()]);

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        for (count, other) in self.0.iter_mut().zip(other.0) {
            *count += other;
        }
    }

    /// What there is, as it is told.
    pub(super) fn of(self, flag: &str) -> impl Iterator<Item = EvaluationCount> {
        let counts = KINDS.into_iter().zip(self.0).filter(|(_, count)| *count > 0);
        counts.map(move |((value, reason), count)| EvaluationCount {
            flag: flag.into(),
            value,
            reason,
            count,
        })
    }
}
