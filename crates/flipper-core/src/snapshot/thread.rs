//! What each thread keeps of the snapshots that it has asked.
//!
//! A reader must not touch what other threads write to: a lock or a counter that two threads share costs more than the
//! whole check, and makes two threads slower than one. So each thread keeps a reference to the state that it saw last,
//! and compares its generation with the snapshot's by one load.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use super::{Shared, State};
use crate::EvaluationMeter;
use crate::meter::{Kind, ThreadCounts};

thread_local! {
    /// Never dropped, so that no check has to ask whether it has been. [`AtExit`] empties it.
    static SEEN: RefCell<Seen> =
        const { RefCell::new(Seen { entries: ManuallyDrop::new(Vec::new()), swept: 0 }) };

    static AT_EXIT: AtExit = const { AtExit };
}

/// Ends with its thread.
struct AtExit;

impl Drop for AtExit {
    fn drop(&mut self) {
        release_thread();
        let entries = SEEN.with(|seen| Some(std::mem::take(&mut *seen.try_borrow_mut().ok()?.entries)));
        drop(entries);
    }
}

struct Seen {
    /// By the slots of the snapshots.
    entries: ManuallyDrop<Vec<Entry>>,
    /// How many snapshots had been dropped when this thread last let go of theirs.
    swept: u64,
}

/// Aligned, so that it shares no line of the cache, and to find it takes no multiplication.
#[derive(Default)]
#[repr(align(128))]
struct Entry {
    /// One of generation 0, which no snapshot has, if there is none.
    state: State,
    owner: Weak<Shared>,
    /// What this thread counts of the flags' checks: here, as whoever checks a flag is here already.
    counts: Option<ThreadCounts>,
}

const _: () = assert!(size_of::<Entry>() == 128);

impl Entry {
    fn is_empty(&self) -> bool {
        self.state.generation == 0 && self.counts.is_none()
    }

    /// Takes out what is for the next check. What is counted stays, and whose it is: it is small, and to begin anew is not.
    fn release(&mut self) -> (State, Weak<Shared>) {
        let owner = if self.counts.is_some() { self.owner.clone() } else { std::mem::take(&mut self.owner) };
        (std::mem::take(&mut self.state), owner)
    }
}

/// Slots that are free, and the first that was never used.
static SLOTS: Mutex<(Vec<usize>, usize)> = Mutex::new((Vec::new(), 0));

/// How many snapshots were dropped in this process.
static DROPPED: AtomicU64 = AtomicU64::new(0);

fn slots() -> MutexGuard<'static, (Vec<usize>, usize)> {
    SLOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A snapshot's place in the lists of all threads. It is used again when the snapshot is gone: generations are unique, so
/// that nobody takes an entry of the one for the other's.
pub(super) struct Slot(usize);

impl Slot {
    pub(super) fn new() -> Self {
        let mut slots = slots();
        let (free, next) = &mut *slots;
        Self(free.pop().unwrap_or_else(|| {
            *next += 1;
            *next - 1
        }))
    }

    /// Looks at the state of a generation, if this thread has it.
    #[inline(always)]
    pub(super) fn look<T>(&self, generation: u64, look: impl FnOnce(&State) -> T) -> Option<T> {
        self.look_and_count(generation, |state, _| look(state))
    }

    /// The same, with what this thread counts.
    #[inline(always)]
    pub(super) fn look_and_count<T>(
        &self,
        generation: u64,
        look: impl FnOnce(&State, Option<&ThreadCounts>) -> T,
    ) -> Option<T> {
        SEEN.with(|seen| {
            // While something is looked at, further looks are fine: a clock that an evaluation asks may check a flag.
            let seen = seen.try_borrow().ok()?;
            let entry = seen.entries.get(self.0)?;
            (entry.state.generation == generation).then(|| look(&entry.state, entry.counts.as_ref()))
        })
    }

    /// Counts a check in the place of this thread, and returns whether that was possible: there is one for one meter.
    pub(super) fn count(&self, meter: &EvaluationMeter, key: u64, flag: &str, kind: Kind) -> bool {
        if AT_EXIT.try_with(|_| ()).is_err() {
            return false;
        }
        SEEN.with(|seen| {
            let Ok(mut seen) = seen.try_borrow_mut() else { return false };
            let Some(entry) = seen.entries.get_mut(self.0) else { return false };
            entry.counts = entry.counts.take().filter(|counts| !counts.is_unread());
            let counts = entry.counts.get_or_insert_with(|| ThreadCounts::begin(meter));
            let is_of_meter = counts.is_of(meter);
            if is_of_meter {
                counts.count(meter, key, flag, kind);
            }
            is_of_meter
        })
    }

    /// Keeps a state for the next look, unless the thread is ending or in the middle of one.
    pub(super) fn keep(&self, state: State, owner: Weak<Shared>) {
        if AT_EXIT.try_with(|_| ()).is_err() {
            return;
        }
        SEEN.with(|seen| {
            let Ok(mut seen) = seen.try_borrow_mut() else { return };
            if seen.entries.len() <= self.0 {
                seen.entries.resize_with(self.0 + 1, Entry::default);
            }
            let entry = &mut seen.entries[self.0];
            if !Weak::ptr_eq(&entry.owner, &owner) {
                // Of a snapshot that is gone: its keys are never counted again.
                entry.counts = None;
            }
            (entry.state, entry.owner) = (state, owner);
            seen.sweep();
        });
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        slots().0.push(self.0);
        DROPPED.fetch_add(1, Ordering::Release);
    }
}

impl Seen {
    /// Lets go of what dropped snapshots have left here, which may be the last that there is of it.
    fn sweep(&mut self) {
        let dropped = DROPPED.load(Ordering::Acquire);
        if std::mem::replace(&mut self.swept, dropped) != dropped {
            let is_dead = |entry: &&mut Entry| !entry.is_empty() && entry.owner.strong_count() == 0;
            self.entries.iter_mut().filter(is_dead).for_each(|entry| *entry = Entry::default());
        }
    }
}

/// Lets go of all flags that this thread keeps for its next check.
///
/// A thread that has checked a flag keeps the state that it saw last, until it ends, calls this, or makes its first check
/// after a write of that [`Snapshot`](super::Snapshot). So a thread that sleeps for long can hold memory for flags that
/// have been replaced since; never more than one state of each snapshot. Of a snapshot that was dropped, it keeps the
/// last state until it meets a write of any other.
///
/// Call this where the threads of a runtime go to sleep, for example by tokio's `on_thread_park`. It costs the next check of
/// each snapshot a lock. States that no thread keeps any more are freed here, and by the next write.
///
/// What it counts for an [`EvaluationMeter`] stays, as long as there is the snapshot.
///
/// In the middle of a check, as from a [`Clock`](crate::Clock), it does nothing.
///
/// # Examples
///
/// ```
/// flipper_core::release_thread();
/// ```
pub fn release_thread() {
    let kept: Vec<_> = SEEN.with(|seen| {
        let Ok(mut seen) = seen.try_borrow_mut() else { return Vec::new() };
        let kept = seen.entries.iter_mut().filter(|entry| entry.state.generation != 0);
        kept.map(Entry::release).collect()
    });
    for (state, owner) in kept {
        drop(state);
        if let Some(owner) = owner.upgrade() {
            owner.free_retired();
        }
    }
}
