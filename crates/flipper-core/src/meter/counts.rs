//! What is counted of one flag, and how a thread keeps it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::{Evaluation, Freshness, Reason, Result};

/// How often a flag was checked with one answer, for one reason: see [`EvaluationMeter::counts`](super::EvaluationMeter::counts).
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

/// An answer and a reason, as the place of their counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(u8);

/// How many kinds have a counter for each flag: those of most checks, so that they and the key are half a line of the cache.
pub(super) const COMMON: usize = 6;

/// All kinds, the common ones first.
const KINDS: [(bool, &str); 15] = [
    (false, "disabled"),
    (true, "enabled"),
    (false, "out_of_bucket"),
    (true, "in_bucket"),
    (false, "check_failed"),
    (true, "conditions_met"),
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

impl Kind {
    /// Of a flag that is off or on for everybody.
    #[inline]
    pub(crate) fn switched(is_on: bool) -> Self {
        Self(u8::from(is_on))
    }

    /// Of a flag, by what decided it and the answer.
    #[inline]
    pub(crate) fn of(value: bool, reason: Reason) -> Self {
        let or_on = u8::from(value);
        Self(match reason {
            Reason::Disabled => 0,
            Reason::Enabled => 1,
            Reason::OutOfBucket => 2,
            Reason::InBucket => 3,
            Reason::CheckFailed { .. } => 4,
            Reason::ConditionsMet => 5,
            Reason::NotFound => 6 + or_on,
            Reason::NotComparable { .. } => 8,
            Reason::Unsupported => 9 + or_on,
        })
    }

    /// Of what a client is told: an answer, or an error that leaves the default.
    pub(crate) fn of_outcome<E>(outcome: &Result<Evaluation, E>, default: bool) -> Self {
        match outcome {
            Err(_) => Self(11 + u8::from(default)),
            Ok(Evaluation { value, reason: Reason::NotFound, freshness: Freshness::NeverLoaded }) => {
                Self(13 + u8::from(*value))
            }
            Ok(Evaluation { value, reason, .. }) => Self::of(*value, *reason),
        }
    }

    /// Whether the name need be no flag's.
    pub(super) fn is_absent(self) -> bool {
        matches!(self.0, 6 | 7 | 11..)
    }
}

/// The counters of one flag in one thread. That thread alone writes, and others read.
#[derive(Debug, Default)]
#[repr(align(32))]
pub(super) struct Slot {
    key: AtomicU64,
    counts: [AtomicU32; COMMON],
}

const _: () = assert!(size_of::<Slot>() == 32);

impl Slot {
    #[inline]
    pub(super) fn key(&self) -> u64 {
        self.key.load(Ordering::Relaxed)
    }

    pub(super) fn set_key(&self, key: u64) {
        self.key.store(key, Ordering::Relaxed);
    }

    /// Counts, if the kind is a common one and its counter is not full.
    #[inline]
    pub(super) fn count(&self, kind: Kind) -> bool {
        let Some(count) = self.counts.get(usize::from(kind.0)) else { return false };
        let Some(next) = count.load(Ordering::Relaxed).checked_add(1) else { return false };
        // Nobody else writes, so this takes no exchange between processors.
        count.store(next, Ordering::Relaxed);
        true
    }

    /// Begins with what another one has counted.
    pub(super) fn copy(&self, other: &Self) {
        self.set_key(other.key());
        for (count, other) in self.counts.iter().zip(&other.counts) {
            count.store(other.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Gives away what it has counted, and begins anew.
    pub(super) fn empty_into(&self, counts: &mut Counts) {
        self.add_to(counts);
        self.counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    }

    pub(super) fn add_to(&self, counts: &mut Counts) {
        for (sum, count) in counts.0.iter_mut().zip(&self.counts) {
            *sum += u64::from(count.load(Ordering::Relaxed));
        }
    }
}

/// What was counted of one flag.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts([u64; KINDS.len()]);

impl Counts {
    pub(super) fn count(&mut self, kind: Kind) {
        if let Some(count) = self.0.get_mut(usize::from(kind.0)) {
            *count += 1;
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_and_reason_has_a_kind_of_its_own_that_says_so() {
        let words = [
            (false, Reason::Disabled, "disabled"),
            (true, Reason::Enabled, "enabled"),
            (false, Reason::OutOfBucket, "out_of_bucket"),
            (true, Reason::InBucket, "in_bucket"),
            (false, Reason::CheckFailed { condition: 0, check: 0 }, "check_failed"),
            (true, Reason::ConditionsMet, "conditions_met"),
            (false, Reason::NotFound, "not_found"),
            (true, Reason::NotFound, "not_found"),
            (false, Reason::NotComparable { condition: 0, check: 0 }, "not_comparable"),
            (false, Reason::Unsupported, "unsupported"),
            (true, Reason::Unsupported, "unsupported"),
        ];
        for (value, reason, word) in words {
            assert_eq!(KINDS[usize::from(Kind::of(value, reason).0)], (value, word));
            let outcome = Ok::<_, ()>(Evaluation::new(value, reason, Freshness::Live));
            assert_eq!(Kind::of_outcome(&outcome, !value), Kind::of(value, reason));
        }
        for default in [false, true] {
            assert_eq!(KINDS[usize::from(Kind::of_outcome(&Err(()), default).0)], (default, "error"));
            let never = Ok::<_, ()>(Evaluation::new(default, Reason::NotFound, Freshness::NeverLoaded));
            assert_eq!(KINDS[usize::from(Kind::of_outcome(&never, !default).0)], (default, "never_loaded"));
        }
        assert_eq!(
            [Kind::switched(false), Kind::switched(true)].map(|kind| KINDS[usize::from(kind.0)].1),
            ["disabled", "enabled"]
        );
    }

    #[test]
    fn a_counter_that_is_full_counts_no_further_before_it_is_emptied() {
        let slot = Slot::default();
        slot.counts[1].store(u32::MAX - 1, Ordering::Relaxed);
        assert!(slot.count(Kind::switched(true)));
        assert!(!slot.count(Kind::switched(true)));
        let mut counts = Counts::default();
        slot.empty_into(&mut counts);
        assert!(slot.count(Kind::switched(true)));
        slot.add_to(&mut counts);
        assert_eq!(counts.0[1], 1 << 32);
    }
}
