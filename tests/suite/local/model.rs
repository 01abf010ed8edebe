//! A snapshot after any writes has what a map would have.

use std::collections::BTreeMap;

use flipper_core::{Context, Flag, LocalClient, LocalFlag, Snapshot, Versioned};

use super::{flag, is_on, live, local_of, record};

/// Enough for several splits of the table.
const NAMES: usize = 3000;

fn name(at: usize) -> String {
    format!("flag number {at}")
}

/// A snapshot, and a map that is written to in the same way: whether a flag is on, and its version.
struct Twins {
    snapshot: Snapshot,
    local: LocalClient,
    handles: Vec<LocalFlag>,
    model: BTreeMap<String, (bool, u64)>,
    version: u64,
}

impl Twins {
    fn new() -> Self {
        let snapshot = live();
        let local = local_of(&snapshot);
        let handles = (0..NAMES).map(|at| local.flag(name(at))).collect();
        Self { snapshot, local, handles, model: BTreeMap::new(), version: 0 }
    }

    fn record(&mut self, at: usize, is_enabled: bool) -> Versioned<Flag> {
        self.version += 1;
        self.model.insert(name(at), (is_enabled, self.version));
        record(flag(&name(at), is_enabled), self.version)
    }

    fn put(&mut self, at: usize, is_enabled: bool) {
        let known = self.model.get(&name(at)).map(|(is_enabled, _)| *is_enabled);
        let record = self.record(at, is_enabled);
        assert_eq!(self.snapshot.edit(|edit| edit.put(record)), known != Some(is_enabled), "{at}");
    }

    fn remove(&mut self, at: usize) {
        let is_known = self.model.remove(&name(at)).is_some();
        assert_eq!(self.snapshot.edit(|edit| edit.remove(&name(at))), is_known, "{at}");
    }

    fn replace_all(&mut self, by: impl Iterator<Item = (usize, bool)>) {
        self.model.clear();
        let records: Vec<_> = by.map(|(at, is_enabled)| self.record(at, is_enabled)).collect();
        self.snapshot.edit(|edit| edit.replace_all(records));
    }

    /// Several changes in one edit, which sees each of them at once.
    fn edit(&mut self, changes: &[(usize, Option<bool>)]) {
        let snapshot = self.snapshot.clone();
        snapshot.edit(|edit| {
            for &(at, change) in changes {
                match change {
                    Some(is_enabled) => _ = edit.put(self.record(at, is_enabled)),
                    None => assert_eq!(edit.remove(&name(at)), self.model.remove(&name(at)).is_some()),
                }
                let found = edit.get(&name(at)).map(|found| found.value.is_switched_on());
                assert_eq!(found, change);
            }
        });
    }

    fn compare(&self, at: usize) {
        let known = self.model.get(&name(at));
        let found = self.snapshot.get(&name(at));
        let found = found.map(|found| (found.value.is_switched_on(), found.version.as_u64().unwrap()));
        assert_eq!(found.as_ref(), known, "{at}");
        for default in [false, true] {
            let expected = known.map_or(default, |(is_enabled, _)| *is_enabled);
            assert_eq!(self.local.is_enabled_or(&name(at), &Context::EMPTY, default), expected, "{at}");
            assert_eq!(self.handles[at].is_enabled_or(&Context::EMPTY, default), expected, "{at}");
        }
        assert_eq!(self.snapshot.len(), self.model.len());
    }

    fn compare_all(&self) {
        (0..NAMES).for_each(|at| self.compare(at));
        let records = self.snapshot.records();
        let mut records: Vec<_> = records
            .iter()
            .map(|found| {
                let flag = &found.value;
                (flag.name().to_owned(), (flag.is_switched_on(), found.version.as_u64().unwrap()))
            })
            .collect();
        records.sort();
        assert!(records.into_iter().eq(self.model.clone()), "each record once, and no other");
        assert_eq!(self.snapshot.is_empty(), self.model.is_empty());
    }
}

#[test]
fn any_sequence_of_writes_agrees_with_a_map_at_every_step() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut twins = Twins::new();
    // Phases that fill and that empty, so that the table splits and runs empty more than once.
    for step in 0..4000 {
        let (puts, is_full) = if step / 500 % 2 == 0 { (8, true) } else { (2, false) };
        let at = random.usize(..NAMES);
        match random.u16(..1000) {
            0..4 => {
                let share = if is_full { 0.7 } else { 0.05 };
                let kept: Vec<_> = (0..NAMES).filter(|_| random.f64() < share).collect();
                // The last one of a name counts.
                let twice: Vec<_> = kept.iter().take(random.usize(..20)).copied().collect();
                let flags: Vec<_> = kept.into_iter().chain(twice).map(|at| (at, random.bool())).collect();
                twins.replace_all(flags.into_iter());
            }
            4..104 => {
                let changes: Vec<_> = (0..random.usize(..60))
                    .map(|_| (random.usize(..NAMES), (random.u8(..10) < puts).then(|| random.bool())))
                    .collect();
                twins.edit(&changes);
                for (at, _) in changes {
                    twins.compare(at);
                }
            }
            _ if random.u8(..10) < puts => twins.put(at, random.bool()),
            _ => twins.remove(at),
        }
        twins.compare(at);
        (0..8).for_each(|_| twins.compare(random.usize(..NAMES)));
        if step % 200 == 199 {
            twins.compare_all();
        }
    }
}

#[test]
fn flags_that_are_created_one_by_one_are_there_and_go_one_by_one() {
    let mut twins = Twins::new();
    for at in 0..NAMES {
        twins.compare(at);
        twins.put(at, at % 3 > 0);
        twins.compare(at);
        // Around each split, all of them.
        if [223, 224, 225, 448, 449, 897, 1500, NAMES - 1].contains(&at) {
            twins.compare_all();
        }
    }
    for at in 0..NAMES {
        // Not in the order in which they came.
        let at = at * 1001 % NAMES;
        twins.remove(at);
        twins.compare(at);
        twins.compare((at + 1) % NAMES);
        if twins.model.len().is_multiple_of(500) {
            twins.compare_all();
        }
    }
    assert!(twins.snapshot.is_empty());
    twins.put(5, true);
    assert!(is_on(&twins.local, &name(5)));
    twins.compare_all();
}
