//! Flags in memory, to be checked at the price of a map lookup.

mod bucket;
mod edit;
mod table;
mod thread;

pub use edit::SnapshotEdit;
pub use thread::release_thread;

pub(crate) use bucket::{Bucket, Verdict};
pub(crate) use table::Seed;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use table::{Directory, Shard};
use thread::Slot;

use crate::meter::{Kind, ThreadCounts};
use crate::{EvaluationMeter, Flag, Freshness, Peek, Versioned};

/// Keeps flags in memory, ready to be checked.
///
/// A store that has all of its flags fills one, and gives it out by [`Store::snapshot`](crate::Store::snapshot). Clones
/// share everything.
///
/// # Cost
///
/// * A check is one load of a number that only writers change, and one lookup. It never allocates, frees or waits. The first
///   check that a thread makes after a write takes a lock, for the time of copying a pointer; then it also makes room for
///   a snapshot that it has never asked, and lets go of what dropped snapshots have left with it.
/// * A write copies the part of at most 224 flags that it is about. Writes wait for one another, never for readers. What a write
///   replaces is freed by a later one, or by [`release_thread`], once no thread keeps it.
/// * A snapshot that a thread asks only within checks of another, as a [`Clock`](crate::Clock) may, takes the lock each time
///   after it was written to.
/// * A check sees every write that had returned before it began, on whatever thread.
///
/// Each thread that checks keeps the state that it saw last: see [`release_thread`].
///
/// # Examples
///
/// ```
/// use flipper_core::{Flag, FlagName, Freshness, Snapshot, Timestamp, Version, Versioned};
///
/// let snapshot = Snapshot::new(Freshness::NeverLoaded);
/// let flag = Flag::new(FlagName::new("X")?, Timestamp::now());
/// snapshot.edit(|edit| {
///     edit.put(Versioned { value: flag, version: Version::from_u64(1) });
///     edit.set_freshness(Freshness::Live);
/// });
/// assert_eq!(snapshot.get("X").map(|found| found.version.clone()), Some(Version::from_u64(1)));
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Snapshot {
    shared: Arc<Shared>,
}

/// Aligned, so that nothing that is written often lies beside what every check reads: neither the counter of the `Arc`
/// around it nor somebody else's data.
#[repr(align(128))]
struct Shared {
    /// Of the current state. It changes with the state, under its lock.
    generation: AtomicU64,
    slot: Slot,
    seed: Seed,
    current: Mutex<State>,
    /// States that threads may still be looking at. Whoever writes next frees those that nobody looks at: a check frees
    /// nothing. Locked for the whole of a write.
    retired: Mutex<Vec<Arc<[Arc<Shard>]>>>,
}

/// All flags at one point in time.
#[derive(Clone, Default)]
pub(crate) struct State {
    /// Unique in the process: it tells a state of one snapshot from all others of all snapshots. None has 0.
    pub(crate) generation: u64,
    shards: Arc<[Arc<Shard>]>,
    len: usize,
    pub(crate) freshness: Freshness,
    /// Those that are older than the rest: hardly ever any.
    marks: Option<Arc<Marks>>,
}

type Marks = HashMap<Box<str>, Freshness>;

impl State {
    /// How old what is known of a flag is, also if that is that there is none.
    pub(crate) fn freshness_of(&self, name: &str) -> Freshness {
        let mark = self.marks.as_ref().and_then(|marks| marks.get(name));
        // While nothing is fresh, that is what there is to say.
        match (self.freshness, mark) {
            (Freshness::Live, Some(mark)) => *mark,
            (freshness, _) => freshness,
        }
    }
}

fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is replaced as a whole: a panic cannot leave half of it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Frees the states that no thread has any more, unless somebody is writing, who will do it.
    fn free_retired(&self) {
        if let Ok(mut retired) = self.retired.try_lock() {
            keep_used(&mut retired);
        }
    }
}

fn keep_used(retired: &mut Vec<Arc<[Arc<Shard>]>>) {
    retired.retain(|shards| Arc::strong_count(shards) > 1);
}

impl Snapshot {
    /// Makes a snapshot without flags.
    ///
    /// A store that has to load its flags first starts as [`NeverLoaded`](Freshness::NeverLoaded): until it says
    /// otherwise, a flag that is not here is not known to be absent.
    pub fn new(freshness: Freshness) -> Self {
        let seed = Seed::random();
        let shards = Directory::with_capacity(seed, 0).into_shards();
        let state = State { generation: next_generation(), shards, len: 0, freshness, marks: None };
        let shared = Shared {
            generation: AtomicU64::new(state.generation),
            slot: Slot::new(),
            seed,
            current: Mutex::new(state),
            retired: Mutex::new(Vec::new()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Returns a flag and its version. To check a flag there is [`LocalClient`](crate::LocalClient): this counts a
    /// reference, for which the processor's cores have to wait for one another.
    pub fn get(&self, name: &str) -> Option<Arc<Versioned<Flag>>> {
        self.find(self.hash(name), name, |found, _| found.map(|bucket| Arc::clone(bucket.record())))
    }

    /// Returns all flags of one point in time, in no order.
    pub fn records(&self) -> Vec<Arc<Versioned<Flag>>> {
        let state = self.current();
        table::buckets(&state.shards).map(|bucket| Arc::clone(bucket.record())).collect()
    }

    /// Returns how many flags there are.
    pub fn len(&self) -> usize {
        self.look(|state| state.len)
    }

    /// Returns whether there are no flags.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how old the flags are.
    pub fn freshness(&self) -> Freshness {
        self.look(|state| state.freshness)
    }

    /// Returns how old what is known of one flag is: as old as all of them, unless it is
    /// [marked](SnapshotEdit::mark).
    pub fn freshness_of(&self, name: &str) -> Freshness {
        self.look(|state| state.freshness_of(name))
    }

    /// Returns which flags are [marked](SnapshotEdit::mark).
    pub fn marked(&self) -> Vec<Box<str>> {
        self.look(|state| state.marks.iter().flat_map(|marks| marks.keys().cloned()).collect())
    }

    /// Shows what is known about a flag, as [`Store::peek`](crate::Store::peek) wants it.
    pub fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        let see = RefCell::new(see);
        self.find(self.hash(name), name, |found, state| {
            (see.borrow_mut())(match (found, state.freshness_of(name)) {
                (Some(bucket), freshness) => Peek::Hit { flag: &bucket.record().value, freshness },
                (None, Freshness::NeverLoaded) => Peek::Ask,
                (None, freshness) => Peek::KnownAbsent { freshness },
            });
        });
    }

    /// Changes flags. Checks see all of the changes at once, when this returns, or none.
    ///
    /// This is for the store that the snapshot belongs to: what anybody else puts here is not what the store has.
    ///
    /// Edits wait for one another. An edit within an edit of the same snapshot would wait for itself, and so may a call
    /// of the store; reads within an edit see the state before it. If `change` panics, nothing has changed.
    pub fn edit<T>(&self, change: impl FnOnce(&mut SnapshotEdit<'_>) -> T) -> T {
        let mut retired = lock(&self.shared.retired);
        let before = self.current();
        let mut edit = SnapshotEdit::new(&before, self.shared.seed);
        let result = change(&mut edit);
        if let Some(after) = edit.finish() {
            let generation = after.generation;
            let is_replaced = !Arc::ptr_eq(&before.shards, &after.shards);
            let mut current = lock(&self.shared.current);
            *current = after;
            // Before the lock is given back: whoever takes the new state finds its number too. Else a thread that has
            // seen the new state could ask a handle, which goes by the number, and get the old answer.
            self.shared.generation.store(generation, Ordering::Release);
            drop(current);
            retired.extend(is_replaced.then_some(before.shards));
        }
        keep_used(&mut retired);
        result
    }

    #[inline]
    pub(crate) fn hash(&self, name: &str) -> u64 {
        self.shared.seed.hash(name.as_bytes())
    }

    /// The number of the current state, of which there is no second one in the process.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// Finds a flag by its name and its [`hash`](Self::hash), and looks at it, and at the state it is of.
    pub(crate) fn find<T>(&self, hash: u64, name: &str, look: impl Fn(Option<&Bucket>, &State) -> T) -> T {
        self.look(|state| look(table::find(&state.shards, hash, name), state))
    }

    /// As [`find`](Self::find), if this thread has looked since the last write; else `None`, without having looked.
    ///
    /// A caller for whom every nanosecond counts asks this first, and calls a function that is never inlined if it is
    /// `None`. In one function with the rest, what the closure holds would go through memory on each call.
    #[inline(always)]
    pub(crate) fn find_again<T>(
        &self,
        hash: u64,
        name: &str,
        look: impl FnOnce(Option<&Bucket>, &State) -> T,
    ) -> Option<T> {
        let look = |state: &State| look(table::find(&state.shards, hash, name), state);
        self.shared.slot.look(self.generation(), look)
    }

    /// As [`find_again`](Self::find_again), with what this thread counts.
    #[inline(always)]
    pub(crate) fn find_again_and_count<T>(
        &self,
        hash: u64,
        name: &str,
        look: impl FnOnce(Option<&Bucket>, &State, Option<&ThreadCounts>) -> T,
    ) -> Option<T> {
        let look = |state: &State, counts: Option<&ThreadCounts>| {
            look(table::find(&state.shards, hash, name), state, counts)
        };
        self.shared.slot.look_and_count(self.generation(), look)
    }

    /// Counts a check of this thread.
    pub(crate) fn count(&self, meter: &EvaluationMeter, hash: u64, name: &str, kind: Kind) {
        if !self.shared.slot.count(meter, hash, name, kind) {
            meter.count(hash, name, kind);
        }
    }

    fn look<T>(&self, look: impl Fn(&State) -> T) -> T {
        match self.shared.slot.look(self.generation(), &look) {
            Some(seen) => seen,
            None => look(&self.refresh()),
        }
    }

    /// Gets the current state, and keeps it for this thread's next look.
    #[cold]
    #[inline(never)]
    fn refresh(&self) -> State {
        let state = self.current();
        self.shared.slot.keep(state.clone(), Arc::downgrade(&self.shared));
        state
    }

    fn current(&self) -> State {
        lock(&self.shared.current).clone()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.current();
        f.debug_struct("Snapshot")
            .field("flags", &state.len)
            .field("freshness", &state.freshness)
            .finish_non_exhaustive()
    }
}
