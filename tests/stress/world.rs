//! What is written: states that show whether they are whole, and which one they are.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flipper_core::{
    FeatureFlagClient, Flag, FlagName, Freshness, LocalClient, LocalFlag, Snapshot, SnapshotEdit, StaleCause,
    Timestamp, Version, Versioned,
};
use flipper_tests::Held;

/// How many flags each write puts, all of them on in every second state. They lie in different parts of the table.
pub(crate) const TOGETHER: usize = 8;

/// Flag `v % ROUND` is on from state `v` on, for half a round. Who has seen a state must find its flag on.
pub(crate) const ROUND: u64 = 256;

/// Flags that nobody asks for, so that there are several parts.
const OTHERS: usize = 1200;

/// A snapshot, those who check it, and what is known of it.
pub(crate) struct World {
    pub(crate) snapshot: Snapshot,
    pub(crate) local: LocalClient,
    /// Shared by all readers, as a program shares them.
    pub(crate) together: Vec<LocalFlag>,
    pub(crate) round: Vec<LocalFlag>,
    /// The youngest state that a write had returned from, or that somebody has seen: nobody may see an older one.
    pub(crate) known: AtomicU64,
    pub(crate) has_failed: AtomicBool,
}

pub(crate) fn together(at: usize) -> String {
    format!("together {at}")
}

pub(crate) fn of_round(version: u64) -> String {
    format!("round {}", version % ROUND)
}

/// Which flags of a round are on in a state.
pub(crate) fn is_on(flag: u64, version: u64) -> bool {
    let age = (version + ROUND - flag % ROUND) % ROUND;
    age < ROUND / 2
}

/// States are numbered by the time since when they are stale, which comes with every evaluation.
pub(crate) fn version_of(freshness: Freshness) -> u64 {
    match freshness {
        Freshness::Stale { since, .. } => since.as_micros() as u64,
        other => panic!("{other:?} was never written"),
    }
}

fn record(name: &str, is_enabled: bool, version: u64) -> Versioned<Flag> {
    let mut flag = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(1_700_000_000));
    flag.set_enabled(is_enabled).unwrap();
    Versioned { value: flag, version: Version::from_u64(version) }
}

/// All flags of a state.
fn all(version: u64) -> impl Iterator<Item = Versioned<Flag>> {
    let puts = (0..TOGETHER).map(move |at| record(&together(at), version % 2 == 1, version));
    let round = (0..ROUND).map(move |flag| record(&of_round(flag), is_on(flag, version), version));
    puts.chain(round).chain((0..OTHERS).map(move |at| record(&format!("other {at}"), true, 0)))
}

impl World {
    pub(crate) fn new() -> Self {
        let snapshot = Snapshot::new(stale(ROUND));
        snapshot.edit(|edit| edit.replace_all(all(ROUND)));
        let local = FeatureFlagClient::new(Held::new(&snapshot)).local().unwrap();
        let together = (0..TOGETHER).map(|at| local.flag(together(at))).collect();
        let round = (0..ROUND).map(|flag| local.flag(of_round(flag))).collect();
        let (known, has_failed) = (AtomicU64::new(ROUND), AtomicBool::new(false));
        Self { snapshot, local, together, round, known, has_failed }
    }

    /// Makes the next state, in one edit.
    pub(crate) fn write(&self, random: &mut fastrand::Rng) {
        let version = self.snapshot.edit(|edit| {
            let found = edit.get(&together(0)).unwrap();
            let version = found.version.as_u64().unwrap() + 1;
            if random.u16(..500) == 0 {
                edit.replace_all(all(version));
            } else {
                put_some(edit, version, random);
            }
            edit.set_freshness(stale(version));
            version
        });
        self.known.fetch_max(version, Ordering::AcqRel);
    }

    /// The number of the state that there is now.
    pub(crate) fn last(&self) -> u64 {
        version_of(self.snapshot.freshness())
    }
}

/// What differs from the state before.
fn put_some(edit: &mut SnapshotEdit<'_>, version: u64, random: &mut fastrand::Rng) {
    let first = random.usize(..TOGETHER);
    for at in (0..TOGETHER).map(|at| (first + at) % TOGETHER) {
        edit.put(record(&together(at), version % 2 == 1, version));
    }
    edit.put(record(&of_round(version), true, version));
    edit.put(record(&of_round(version + ROUND / 2), false, version));
    // Others come and go.
    let name = format!("other {}", random.usize(..OTHERS));
    if !edit.remove(&name) {
        edit.put(record(&name, true, version));
    }
}

fn stale(version: u64) -> Freshness {
    Freshness::Stale { since: Timestamp::from_micros(version as i64), cause: StaleCause::LastKnownGood }
}

/// Tells all threads to stop if one has found something.
pub(crate) struct TellsOfPanics<'w>(pub(crate) &'w World);

impl Drop for TellsOfPanics<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.has_failed.store(true, Ordering::Relaxed);
        }
    }
}
