//! A reader that believes nothing.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use flipper_core::{Context, Evaluation, Reason, release_thread};
use futures_lite::future::block_on;

use crate::world::{ROUND, TOGETHER, World, is_on, of_round, together, version_of};

/// Reads in all ways, in any order, and knows the youngest state that it may rely on.
pub(crate) struct Reader<'w> {
    world: &'w World,
    random: fastrand::Rng,
    /// The youngest state that this reader has seen, or has heard of.
    seen: u64,
}

impl<'w> Reader<'w> {
    pub(crate) fn new(world: &'w World, random: fastrand::Rng) -> Self {
        Self { world, random, seen: 0 }
    }

    pub(crate) fn step(&mut self) {
        // What others have seen, and what was written before this read began, must be seen by it too.
        if self.random.bool() {
            self.seen = self.seen.max(self.world.known.load(Ordering::Acquire));
        }
        match self.random.u16(..1000) {
            0 => self.all_records(),
            // Then the next read takes the state that is just being written.
            1..150 => release_thread(),
            150..200 => self.one_record(),
            200..500 => self.evaluation(),
            500..750 => self.flag_of_the_last_state(),
            _ => self.flag_of_the_next_state(),
        }
        if self.random.u8(..4) == 0 {
            self.world.known.fetch_max(self.seen, Ordering::AcqRel);
        }
    }

    /// Takes note of a state; it is none before the last one.
    fn sees(&mut self, version: u64, how: &str) {
        assert!(version >= self.seen, "{how}: state {version} after {}", self.seen);
        self.seen = version;
    }

    /// All records of one point in time are of one state.
    fn all_records(&mut self) {
        let records = self.world.snapshot.records();
        let by_name: HashMap<_, _> = records.iter().map(|found| (found.value.name(), found)).collect();
        assert_eq!(by_name.len(), records.len(), "each flag once");
        let version = |name: &str| {
            let found = by_name[name];
            (found.version.as_u64().unwrap(), found.value.is_switched_on())
        };
        let (first, is_enabled) = version(&together(0));
        for at in 1..TOGETHER {
            assert_eq!(version(&together(at)), (first, is_enabled), "a torn state");
        }
        for flag in 0..ROUND {
            assert_eq!(version(&of_round(flag)).1, is_on(flag, first), "flag {flag} in state {first}");
        }
        assert_eq!(is_enabled, first % 2 == 1);
        self.sees(first, "all records");
    }

    fn one_record(&mut self) {
        let name = together(self.random.usize(..TOGETHER));
        let found = self.world.snapshot.get(&name).unwrap();
        let version = found.version.as_u64().unwrap();
        assert_eq!(found.value.is_switched_on(), version % 2 == 1);
        self.sees(version, "a record");
    }

    /// The answer, and how old it is, are of one state.
    fn evaluation(&mut self) {
        let (at, flag) = (self.random.usize(..TOGETHER), self.random.u64(..ROUND));
        let local = &self.world.local;
        let evaluate = |name: &str| local.evaluate(name, &Context::EMPTY, false);
        let evaluate_async = |name: &str| block_on(local.client().evaluate(name, &Context::EMPTY, false));
        let (evaluation, how) = match self.random.u8(..3) {
            0 => (evaluate(&together(at)), "an evaluation by name"),
            1 => (self.world.together[at].evaluate(&Context::EMPTY, false), "an evaluation by handle"),
            _ => (evaluate_async(&together(at)).unwrap(), "an evaluation by the client"),
        };
        let version = version_of(evaluation.freshness);
        assert_eq!(evaluation, expected(version % 2 == 1, evaluation), "{how} of state {version}");
        self.sees(version, how);
        let (evaluation, how) = match self.random.u8(..3) {
            0 => (evaluate(&of_round(flag)), "another evaluation by name"),
            1 => (self.world.round[flag as usize].evaluate(&Context::EMPTY, false), "another by handle"),
            _ => (evaluate_async(&of_round(flag)).unwrap(), "another by the client"),
        };
        let version = version_of(evaluation.freshness);
        assert_eq!(evaluation, expected(is_on(flag, version), evaluation), "{how} of state {version}");
        self.sees(version, how);
    }

    /// A flag came on with the last state that was seen: so it is on, unless half a round has gone by since.
    fn flag_of_the_last_state(&mut self) {
        let (last, way) = (self.seen.max(ROUND), self.random.u8(..3));
        if !self.checks(last, way) {
            let now = self.world.last();
            assert!(now >= last + ROUND / 2, "way {way}: in state {now}, the flag of {last} was off");
            self.sees(now, "the freshness");
        }
    }

    /// A flag that will come on with the next state: if it is on, that state is there.
    fn flag_of_the_next_state(&mut self) {
        let (next, way) = (self.seen.max(ROUND) + 1, self.random.u8(..3));
        if self.checks(next, way) {
            self.sees(next, "a flag that is on");
        }
    }

    fn checks(&self, version: u64, way: u8) -> bool {
        let (local, context) = (&self.world.local, &Context::EMPTY);
        match way {
            0 => local.is_enabled(&of_round(version), context),
            1 => self.world.round[(version % ROUND) as usize].is_enabled(context),
            _ => block_on(local.client().is_enabled(&of_round(version), context)),
        }
    }
}

/// What an evaluation must be, given its answer.
fn expected(value: bool, found: Evaluation) -> Evaluation {
    let reason = if value { Reason::Enabled } else { Reason::Disabled };
    Evaluation::new(value, reason, found.freshness)
}
