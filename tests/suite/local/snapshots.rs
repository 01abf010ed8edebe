//! Many snapshots in one process.

use std::sync::RwLock;
use std::sync::atomic::{AtomicI64, Ordering};

use flipper_core::{Context, Freshness, LocalClient, LocalFlag, Snapshot, StaleCause, Timestamp};

use super::{flag, local_of, poll_once, record};

/// A snapshot that answers differently from all others.
struct Own {
    id: i64,
    local: LocalClient,
    even: LocalFlag,
    odd: LocalFlag,
    mine: LocalFlag,
}

fn mine(id: i64) -> String {
    format!("mine {id}")
}

impl Own {
    fn new(id: i64) -> Self {
        let snapshot = Snapshot::new(stale(id));
        let local = local_of(&snapshot);
        let (even, odd, mine) = (local.flag("even"), local.flag("odd"), local.flag(mine(id)));
        let own = Self { id, local, even, odd, mine };
        own.write(&snapshot, 0);
        own
    }

    /// `even` and `odd` say which id it is, and the one flag whose name nobody else has is on.
    fn write(&self, snapshot: &Snapshot, round: u64) {
        let (version, is_even) = (self.id as u64, self.id % 2 == 0);
        snapshot.edit(|edit| {
            edit.put(record(flag("even", is_even), version));
            edit.put(record(flag("odd", !is_even), version));
            edit.put(record(flag(&mine(self.id), true), version));
            // Of this, nobody asks more than whether it is there.
            edit.put(record(flag("round", round.is_multiple_of(2)), version * 1_000_000 + round));
        });
    }

    fn check(&self, other: i64) {
        let (id, local) = (self.id, &self.local);
        let expected = (id % 2 == 0, id % 2 != 0, true);
        let by_handle = (
            self.even.is_enabled(&Context::EMPTY),
            self.odd.is_enabled(&Context::EMPTY),
            self.mine.is_enabled(&Context::EMPTY),
        );
        assert_eq!(by_handle, expected, "{id} by handle");
        let is_on = |name: &str| local.is_enabled(name, &Context::EMPTY);
        assert_eq!((is_on("even"), is_on("odd"), is_on(&mine(id))), expected, "{id} by name");
        assert_eq!(local.evaluate("even", &Context::EMPTY, false).freshness, stale(id));
        let asked = poll_once(local.client().evaluate("odd", &Context::EMPTY, false)).unwrap();
        assert_eq!((asked.value, asked.freshness), (expected.1, stale(id)));
        let found = local.snapshot().get("even").unwrap();
        assert_eq!(found.version.as_u64(), Some(id as u64));
        if other != id {
            assert!(local.is_enabled_or(&mine(other), &Context::EMPTY, true), "{id} has the flag of {other}");
            assert!(!is_on(&mine(other)), "{id} has the flag of {other}");
        }
    }
}

fn stale(id: i64) -> Freshness {
    Freshness::Stale { since: Timestamp::from_secs(id), cause: StaleCause::LastKnownGood }
}

#[test]
fn of_five_hundred_snapshots_none_answers_for_another() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let all: Vec<_> = (0..500).map(|id| RwLock::new(Own::new(id))).collect();
    let last = AtomicI64::new(499);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let mut random = fastrand::Rng::with_seed(seed + thread);
            let (all, last) = (&all, &last);
            scope.spawn(move || {
                for round in 0..20_000 {
                    let at = random.usize(..all.len());
                    match random.u8(..10) {
                        // Another takes the place, and soon the slot, of the one that is dropped.
                        0 => *all[at].write().unwrap() = Own::new(last.fetch_add(1, Ordering::SeqCst) + 1),
                        1 => {
                            let own = all[at].read().unwrap();
                            own.write(own.local.snapshot(), round);
                        }
                        2 if random.u8(..20) == 0 => flipper_core::release_thread(),
                        _ => {
                            let other = random.i64(0..=last.load(Ordering::SeqCst));
                            all[at].read().unwrap().check(other);
                        }
                    }
                }
            });
        }
    });
    for own in &all {
        own.read().unwrap().check(-1);
    }
    assert!(last.into_inner() > 1000, "many have come and gone");
}

#[test]
fn a_snapshot_in_the_slot_of_a_dropped_one_starts_empty() {
    for round in 0..200 {
        let snapshot = super::live();
        let local = local_of(&snapshot);
        let handle = local.flag("X");
        assert!(!local.is_enabled("X", &Context::EMPTY), "round {round}");
        assert!(!handle.is_enabled(&Context::EMPTY), "round {round}");
        super::put(&snapshot, "X", true, 1);
        assert!(local.is_enabled("X", &Context::EMPTY) && handle.is_enabled(&Context::EMPTY));
    }
}

#[test]
fn clones_of_a_snapshot_are_the_same() {
    let snapshot = super::live();
    let (one, two) = (local_of(&snapshot), local_of(&snapshot.clone()));
    super::put(&snapshot.clone(), "X", true, 1);
    drop(snapshot);
    assert!(one.is_enabled("X", &Context::EMPTY) && two.is_enabled("X", &Context::EMPTY));
    super::put(one.snapshot(), "X", false, 2);
    assert!(!two.is_enabled("X", &Context::EMPTY));
}
