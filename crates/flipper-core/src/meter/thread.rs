//! What each thread counts for itself.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::EvaluationMeter;
use super::counts::{Counts, Kind, OTHER, Slot};

thread_local! {
    /// Never dropped, so that no check has to ask whether it has been. [`AtExit`] empties it.
    static LOCALS: RefCell<ManuallyDrop<Locals>> =
        const { RefCell::new(ManuallyDrop::new(Locals { last: None, others: Vec::new() })) };

    static AT_EXIT: AtExit = const { AtExit };
}

/// Ends with its thread.
struct AtExit;

impl Drop for AtExit {
    fn drop(&mut self) {
        let locals =
            LOCALS.with(|locals| locals.try_borrow_mut().map(|mut locals| std::mem::take(&mut **locals)));
        drop(locals);
    }
}

/// What a thread counts for itself, but for what it counts beside the flags of a snapshot.
#[derive(Default)]
struct Locals {
    /// Of the meter that has counted last: most threads have one alone.
    last: Option<ThreadCounts>,
    others: Vec<ThreadCounts>,
}

/// What a thread counts for itself, for one meter.
pub(crate) struct ThreadCounts {
    meter: u64,
    table: Table,
    thread: Arc<Thread>,
}

/// The counters of a thread for what is common: a table with open addresses, by the keys of flags, and at the end those of all others.
#[derive(Clone)]
struct Table(Arc<[Slot]>);

/// What one thread counts for one meter, as others may look at it.
pub(super) struct Thread(Mutex<Shown>);

struct Shown {
    table: Table,
    names: HashMap<u64, Box<str>>,
    /// What is not common, and what counters were too small for; that of all those without a place by [`NOBODY`].
    rest: HashMap<u64, Counts>,
}

/// No flag's key.
const NOBODY: u64 = 0;

/// Counts a check in this thread.
#[inline]
pub(super) fn count(meter: &EvaluationMeter, key: u64, flag: &str, kind: Kind) {
    let is_counted = LOCALS.with(|locals| {
        let Ok(locals) = locals.try_borrow() else { return true };
        locals.last.as_ref().is_some_and(|last| last.count_again(meter.id(), key, kind))
    });
    if !is_counted {
        count_first(meter, key, flag, kind);
    }
}

/// Counts in a thread that has not counted for this meter, a flag that it has not counted yet, or for another meter than last.
#[cold]
#[inline(never)]
fn count_first(meter: &EvaluationMeter, key: u64, flag: &str, kind: Kind) {
    // A thread that is ending keeps nothing any more.
    if AT_EXIT.try_with(|_| ()).is_err() {
        meter.count_ended(flag, kind);
        return;
    }
    LOCALS.with(|locals| {
        let Ok(mut locals) = locals.try_borrow_mut() else { return };
        let Locals { last, others } = &mut **locals;
        if last.as_ref().is_none_or(|last| !last.is_of(meter)) {
            others.extend(last.take());
            // Meters that are gone need no place.
            others.retain(|counts| !counts.is_unread());
            let found = others.iter().position(|counts| counts.is_of(meter));
            *last = Some(found.map_or_else(|| ThreadCounts::begin(meter), |at| others.swap_remove(at)));
        }
        if let Some(last) = last {
            last.count(meter, key, flag, kind);
        }
    });
}

impl ThreadCounts {
    pub(crate) fn begin(meter: &EvaluationMeter) -> Self {
        let table = Table::new(256);
        let shown = Shown { table: table.clone(), names: HashMap::new(), rest: HashMap::new() };
        let thread = Arc::new(Thread(Mutex::new(shown)));
        meter.has_thread(Arc::clone(&thread));
        Self { meter: meter.id(), table, thread }
    }

    /// Whether it is for a meter.
    pub(crate) fn is_of(&self, meter: &EvaluationMeter) -> bool {
        self.meter == meter.id()
    }

    /// Whether the meter is gone, so that nobody wants to know.
    pub(crate) fn is_unread(&self) -> bool {
        Arc::strong_count(&self.thread) == 1
    }

    /// Counts what was counted before for this meter, if it is common.
    #[inline(always)]
    pub(crate) fn count_again(&self, meter: u64, key: u64, kind: Kind) -> bool {
        self.meter == meter && self.table.count(key, kind)
    }

    /// Counts whatever it is.
    pub(crate) fn count(&mut self, meter: &EvaluationMeter, key: u64, flag: &str, kind: Kind) {
        if self.table.count(key, kind) {
            return;
        }
        let mut has_place = self.table.find(key).is_some();
        if !has_place && meter.admits(flag, kind.is_absent()) {
            // Other clients have other keys for the same names: there may be more keys than names. Those of clients that are gone are never counted again.
            if self.thread.shown().names.len() >= EvaluationMeter::MOST_FLAGS {
                *self = Self::begin(meter);
            }
            self.make_room(key, flag);
            has_place = true;
        }
        let found = if has_place { self.table.find(key) } else { None };
        let (key, slot) = found.map_or_else(|| (NOBODY, self.table.other()), |slot| (key, slot));
        if !slot.count(kind) {
            let mut shown = self.thread.shown();
            let rest = shown.rest.entry(key).or_default();
            slot.empty_into(rest);
            rest.count(kind);
        }
    }

    fn make_room(&mut self, key: u64, flag: &str) {
        let mut shown = self.thread.shown();
        shown.names.insert(key, flag.into());
        if shown.names.len() * 2 > self.table.places() {
            self.table = self.table.larger();
            shown.table = self.table.clone();
        }
        if let Some(place) = self.table.place(key) {
            place.set_key(key);
        }
    }
}

impl Table {
    /// `places` is a power of two.
    fn new(places: usize) -> Self {
        Self((0..=places).map(|_| Slot::default()).collect())
    }

    fn larger(&self) -> Self {
        let larger = Self::new(self.places() * 2);
        larger.other().copy(self.other());
        for slot in self.taken() {
            if let Some(place) = larger.place(slot.key()) {
                place.copy(slot);
            }
        }
        larger
    }

    #[inline]
    fn places(&self) -> usize {
        self.0.len() - 1
    }

    /// Where those are counted that have no place.
    fn other(&self) -> &Slot {
        &self.0[self.places()]
    }

    fn taken(&self) -> impl Iterator<Item = &Slot> {
        self.0[..self.places()].iter().filter(|slot| slot.key() != 0)
    }

    /// Counts, if the key has a place and the kind is a common one.
    #[inline(always)]
    fn count(&self, key: u64, kind: Kind) -> bool {
        self.find(key).is_some_and(|slot| slot.count(kind))
    }

    /// The place of a key, if it has one. Keys are hashes: that one is that of an empty place, 0, does not happen, and nobody may ask for it.
    #[inline(always)]
    fn find(&self, key: u64) -> Option<&Slot> {
        let mask = self.places() - 1;
        let mut at = key as usize & mask;
        loop {
            let slot = self.0.get(at)?;
            match slot.key() {
                found if found == key => return Some(slot),
                0 => return None,
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// The empty place for a key that has none. Never more than half of the places are taken.
    fn place(&self, key: u64) -> Option<&Slot> {
        let mask = self.places() - 1;
        let places = (0..=mask).map(|step| self.0.get((key as usize).wrapping_add(step) & mask));
        places.flatten().find(|slot| slot.key() == 0)
    }
}

impl Thread {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add_to(&self, sum: &mut HashMap<Box<str>, Counts>) {
        let shown = self.shown();
        for slot in shown.table.taken() {
            if let Some(name) = shown.names.get(&slot.key()) {
                slot.add_to(sum.entry(name.clone()).or_default());
            }
        }
        shown.table.other().add_to(sum.entry(OTHER.into()).or_default());
        for (key, counts) in &shown.rest {
            let name = shown.names.get(key).map_or(OTHER, |name| name);
            sum.entry(name.into()).or_default().add(counts);
        }
    }
}
