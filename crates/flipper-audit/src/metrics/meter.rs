//! Counts evaluations, each thread for itself.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flipper_core::Checked;

use super::counts::{Counts, EvaluationCount, OTHER, Slot, is_absent};

/// Counts the checks of a client by flag, answer and reason.
///
/// Each thread counts for itself, in memory that no other thread writes to, and whoever wants to know [adds up](Self::counts). A count takes a few
/// nanoseconds, no lock, and no memory after a thread's first check of a flag: 128 bytes for each flag and thread, twice that while there is room for more.
///
/// Names are bounded, as they may come from requests: up to [`MOST_FLAGS`](Self::MOST_FLAGS) flags are counted by all threads together, of which
/// [`MOST_ABSENT`](Self::MOST_ABSENT) may be none, and all others as `(other)`.
///
/// Clones count together.
///
/// # Examples
///
/// ```
/// use flipper_audit::EvaluationMeter;
/// use flipper_core::{Context, FeatureFlagClient};
/// use flipper_memory::MemoryStore;
///
/// # futures_lite::future::block_on(async {
/// let meter = EvaluationMeter::new();
/// let client = FeatureFlagClient::builder(MemoryStore::new()).on_check(meter.counter()).build();
/// client.create("X").await?.enable().await?;
/// assert!(client.is_enabled("X", &Context::EMPTY).await);
///
/// let counts = meter.counts();
/// assert_eq!((&*counts[0].flag, counts[0].value, counts[0].reason, counts[0].count), ("X", true, "enabled", 1));
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone)]
pub struct EvaluationMeter(Arc<Shared>);

struct Shared {
    /// Tells this meter from all others of the process, of all times.
    id: u64,
    threads: Mutex<Threads>,
    names: Arc<Names>,
}

#[derive(Default)]
struct Threads {
    running: Vec<Arc<Thread>>,
    /// What threads have counted that have ended.
    ended: HashMap<Box<str>, Counts>,
    /// With how many threads it is worth to look which have ended.
    many: usize,
}

/// What one thread counts for one meter.
struct Thread {
    shared: Mutex<Shown>,
}

/// What others may look at.
struct Shown {
    table: Arc<Table>,
    names: HashMap<u64, Box<str>>,
}

/// The flags of one thread: a table with open addresses, by their keys.
struct Table {
    slots: Box<[Slot]>,
    /// For those that there is no room for.
    other: Slot,
}

/// What a thread has for itself.
struct Local {
    meter: u64,
    table: Arc<Table>,
    names: Arc<Names>,
    // Dropped last: with it, all that was counted is seen by whoever finds that the thread has ended.
    thread: Arc<Thread>,
}

thread_local! {
    static LOCALS: RefCell<Vec<Local>> = const { RefCell::new(Vec::new()) };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EvaluationMeter {
    /// How many flags are counted by their names: 16,384.
    pub const MOST_FLAGS: usize = 1 << 14;

    /// How many names that are no flag's are counted: 256.
    pub const MOST_ABSENT: usize = 256;

    /// Makes a meter that has counted nothing.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Shared { id, threads: Mutex::default(), names: Arc::default() }))
    }

    /// Returns what counts the checks of a client, for its [`on_check`](flipper_core::ClientBuilder::on_check). Several clients may be counted
    /// together.
    pub fn counter(&self) -> impl Fn(&Checked<'_>) + Send + Sync + 'static {
        let meter = self.clone();
        move |check| meter.count(check)
    }

    /// Adds up what all threads have counted, those that have ended included, sorted by flag. What is counted meanwhile may be in it or not.
    pub fn counts(&self) -> Vec<EvaluationCount> {
        let mut threads = lock(&self.0.threads);
        threads.settle();
        let mut counts = threads.ended.clone();
        for thread in &threads.running {
            thread.add_to(&mut counts);
        }
        drop(threads);
        let mut counts: Vec<_> =
            counts.into_iter().flat_map(|(flag, counts)| counts.of(&flag).collect::<Vec<_>>()).collect();
        counts.sort_unstable_by(|a, b| (&a.flag, a.reason, a.value).cmp(&(&b.flag, b.reason, b.value)));
        counts
    }

    /// Counts in a thread that has not counted yet, or a flag that it has not counted yet.
    #[cold]
    #[inline(never)]
    fn count_first(&self, locals: &mut Vec<Local>, check: &Checked<'_>) {
        let found = locals.iter().position(|local| local.meter == self.0.id);
        let at = found.unwrap_or_else(|| {
            // Meters that are gone need no place.
            locals.retain(|local| Arc::strong_count(&local.thread) > 1);
            locals.push(self.begin());
            locals.len() - 1
        });
        locals[at].count(check);
        // The meter that is asked most is asked for first.
        locals.swap(0, at);
    }

    fn begin(&self) -> Local {
        let table = Arc::new(Table::new(64));
        let shown = Shown { table: Arc::clone(&table), names: HashMap::new() };
        let thread = Arc::new(Thread { shared: Mutex::new(shown) });
        let mut threads = lock(&self.0.threads);
        if threads.running.len() >= threads.many.max(64) {
            threads.settle();
            threads.many = threads.running.len() * 2;
        }
        threads.running.push(Arc::clone(&thread));
        Local { meter: self.0.id, table, names: Arc::clone(&self.0.names), thread }
    }
}

impl Threads {
    /// Keeps what threads have counted that have ended, and leaves their memory.
    fn settle(&mut self) {
        let ended = &mut self.ended;
        self.running.retain_mut(|thread| match Arc::get_mut(thread) {
            // The thread had the other reference.
            Some(thread) => {
                thread.add_to(ended);
                false
            }
            None => true,
        });
    }
}

/// The names that are counted, by all threads.
#[derive(Default)]
struct Names {
    known: Mutex<Known>,
    /// Whether there is no room for names that are no flag's. Once it is so it stays, so that threads need not wait for one another to learn it.
    is_full_of_absent: AtomicBool,
}

#[derive(Default)]
struct Known {
    names: HashSet<Box<str>>,
    absent: usize,
}

impl Names {
    /// Whether a name is counted, which it is once there was room for it.
    fn take(&self, name: &str, is_absent: bool) -> bool {
        if is_absent && self.is_full_of_absent.load(Ordering::Relaxed) {
            return false;
        }
        let mut known = lock(&self.known);
        if known.names.contains(name) {
            return true;
        }
        if is_absent && known.absent >= EvaluationMeter::MOST_ABSENT {
            self.is_full_of_absent.store(true, Ordering::Relaxed);
            return false;
        }
        if known.names.len() >= EvaluationMeter::MOST_FLAGS {
            return false;
        }
        known.absent += usize::from(is_absent);
        known.names.insert(name.into())
    }
}

impl Default for EvaluationMeter {
    fn default() -> Self {
        Self::new()
    }
}

impl EvaluationMeter {
    #[inline]
    fn count(&self, check: &Checked<'_>) {
        // A thread that is ending has nowhere to count.
        let _ = LOCALS.try_with(|locals| {
            let Ok(mut locals) = locals.try_borrow_mut() else { return };
            match locals.first() {
                Some(local) if local.meter == self.0.id => {
                    if let Some(slot) = local.table.find(key_of(check)) {
                        return slot.count(check);
                    }
                }
                _ => {}
            }
            self.count_first(&mut locals, check);
        });
    }
}

/// No key is that of an empty place.
#[inline]
fn key_of(check: &Checked<'_>) -> u64 {
    check.key.max(1)
}

impl Local {
    fn count(&mut self, check: &Checked<'_>) {
        let key = key_of(check);
        if self.table.find(key).is_none() {
            self.make_room(key, check);
        }
        self.table.find(key).unwrap_or(&self.table.other).count(check);
    }

    /// Makes a place for a flag, if there is room.
    fn make_room(&mut self, key: u64, check: &Checked<'_>) {
        if !self.names.take(check.flag, is_absent(check)) {
            return;
        }
        let mut shown = lock(&self.thread.shared);
        // Clients have keys of their own for a name.
        if shown.names.len() >= EvaluationMeter::MOST_FLAGS {
            return;
        }
        shown.names.insert(key, check.flag.into());
        if shown.names.len() * 2 > self.table.slots.len() {
            let larger = Table::new(self.table.slots.len() * 2);
            larger.other.copy(&self.table.other);
            for slot in self.table.slots.iter().filter(|slot| slot.key() != 0) {
                if let Some(place) = larger.place(slot.key()) {
                    place.copy(slot);
                }
            }
            self.table = Arc::new(larger);
            shown.table = Arc::clone(&self.table);
        }
        if let Some(place) = self.table.place(key) {
            place.set_key(key);
        }
    }
}

impl Table {
    /// `len` is a power of two.
    fn new(len: usize) -> Self {
        Self { slots: (0..len).map(|_| Slot::default()).collect(), other: Slot::default() }
    }

    /// The place of a key, or the empty one where it would be. Never more than half of the places are taken.
    #[inline]
    fn place(&self, key: u64) -> Option<&Slot> {
        let mask = self.slots.len() - 1;
        let mut at = key as usize & mask;
        loop {
            let slot = self.slots.get(at)?;
            if slot.key() == key || slot.key() == 0 {
                return Some(slot);
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    fn find(&self, key: u64) -> Option<&Slot> {
        self.place(key).filter(|slot| slot.key() == key)
    }
}

impl Thread {
    fn add_to(&self, sum: &mut HashMap<Box<str>, Counts>) {
        let shown = lock(&self.shared);
        let mut add = |flag: &str, slot: &Slot| {
            let counts = slot.read();
            match sum.get_mut(flag) {
                Some(known) => known.add(&counts),
                None => drop(sum.insert(flag.into(), counts)),
            }
        };
        for slot in shown.table.slots.iter().filter(|slot| slot.key() != 0) {
            if let Some(name) = shown.names.get(&slot.key()) {
                add(name, slot);
            }
        }
        add(OTHER, &shown.table.other);
    }
}

impl fmt::Debug for EvaluationMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvaluationMeter").field("threads", &lock(&self.0.threads).running.len()).finish()
    }
}
