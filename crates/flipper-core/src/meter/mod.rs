//! Counts evaluations, each thread for itself.

mod counts;
mod thread;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub use counts::EvaluationCount;

pub(crate) use counts::Kind;
pub(crate) use thread::ThreadCounts;

use crate::FlagName;

use counts::{Counts, OTHER};
use thread::Thread;

/// Counts the checks of clients by flag, answer and reason.
///
/// Each thread counts for itself, in memory that no other thread writes to, and whoever wants to know [adds up](Self::counts). A count takes
/// a few nanoseconds, no lock, and no memory after a thread's first check of a flag: 32 bytes for each flag and thread, and as much for room, of
/// which there are 8 KB at least. What is
/// rare (flags that are not there, errors, what cannot be compared or is not supported) takes a lock that only who adds up takes as well;
/// of names that are not counted by themselves, also one that threads share to read.
///
/// Names are bounded, as they may come from requests: a meter counts the first [`MOST_FLAGS`](Self::MOST_FLAGS), of which
/// [`MOST_ABSENT`](Self::MOST_ABSENT) may be no flag's, and all others as `(other)`; so it does those that are longer than
/// [a flag's](FlagName::MAX_LEN).
///
/// Clones count together, for one client or for several.
///
/// # Examples
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{Context, EvaluationMeter, FeatureFlagClient};
///
/// # futures_lite::future::block_on(async {
/// let meter = EvaluationMeter::new();
/// let client = FeatureFlagClient::builder(MemoryStore::new()).meter(meter.clone()).build();
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
    names: RwLock<Names>,
}

/// Those that are counted by their names.
#[derive(Default)]
struct Names {
    /// Whether each has been no flag's as yet.
    all: HashMap<Box<str>, bool>,
    absent: usize,
}

impl Names {
    /// Whether a name is counted by itself, if nothing has to be noted for that.
    fn known(&self, flag: &str, is_absent: bool) -> Option<bool> {
        match self.all.get(flag) {
            // It was asked for before it was created, or before the store could be asked.
            Some(true) if !is_absent => None,
            // Also if there is no more room: what one thread counts by itself, others do.
            Some(_) => Some(true),
            None => (!self.has_room(is_absent)).then_some(false),
        }
    }

    fn has_room(&self, is_absent: bool) -> bool {
        self.all.len() < EvaluationMeter::MOST_FLAGS
            && (!is_absent || self.absent < EvaluationMeter::MOST_ABSENT)
    }

    fn note(&mut self, flag: &str, is_absent: bool) {
        let was_absent = self.all.insert(flag.into(), is_absent) == Some(true);
        self.absent = self.absent + usize::from(is_absent) - usize::from(was_absent);
    }
}

#[derive(Default)]
struct Threads {
    running: Vec<Arc<Thread>>,
    /// What threads have counted that have ended.
    ended: HashMap<Box<str>, Counts>,
}

impl Threads {
    /// Keeps what threads have counted that have ended, and lets go of the rest of them.
    fn settle(&mut self) {
        let Self { running, ended } = self;
        running.retain_mut(|thread| {
            // The thread had the other reference. To ask for the count alone would not make sure that all of what it has counted is seen.
            let has_ended = Arc::get_mut(thread).is_some();
            if has_ended {
                thread.add_to(ended);
            }
            !has_ended
        });
    }
}

impl EvaluationMeter {
    /// How many flags a meter counts by their names: 16,384.
    pub const MOST_FLAGS: usize = 1 << 14;

    /// How many names that are no flag's a meter counts: 256.
    pub const MOST_ABSENT: usize = 256;

    /// Makes a meter that has counted nothing.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Shared { id, threads: Mutex::default(), names: RwLock::default() }))
    }

    /// Adds up what all threads have counted, those that have ended included, sorted by flag. What is counted meanwhile may be in it or not.
    pub fn counts(&self) -> Vec<EvaluationCount> {
        let mut threads = self.threads();
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

    /// Counts a check. Names of one key are one flag's, or of clients whose keys have nothing to do with one another.
    #[inline]
    pub(crate) fn count(&self, key: u64, flag: &str, kind: Kind) {
        thread::count(self, key, flag, kind);
    }

    /// Counts a check of a thread that is ending: what it had has been added up already.
    fn count_ended(&self, flag: &str, kind: Kind) {
        let name = if self.admits(flag, kind.is_absent()) { flag } else { OTHER };
        self.threads().ended.entry(name.into()).or_default().count(kind);
    }

    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        self.0.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a name that has no place in a thread's table yet is counted by itself. Once it is in one thread, it is in all.
    fn admits(&self, flag: &str, is_absent: bool) -> bool {
        // So long is no flag's, but a request may be.
        if flag.len() > FlagName::MAX_LEN {
            return false;
        }
        // Names that are made up come by the thousand, and are not to wait for one another.
        let known = self.0.names.read().unwrap_or_else(PoisonError::into_inner).known(flag, is_absent);
        known.unwrap_or_else(|| {
            let mut names = self.0.names.write().unwrap_or_else(PoisonError::into_inner);
            names.known(flag, is_absent).unwrap_or_else(|| {
                names.note(flag, is_absent);
                true
            })
        })
    }

    fn has_thread(&self, thread: Arc<Thread>) {
        let mut threads = self.threads();
        // Threads may come and go for long before anybody asks.
        threads.settle();
        threads.running.push(thread);
    }
}

impl Default for EvaluationMeter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for EvaluationMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvaluationMeter").field("threads", &self.threads().running.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(meter: &EvaluationMeter, flag: &str) -> u64 {
        meter.counts().iter().filter(|count| &*count.flag == flag).map(|count| count.count).sum()
    }

    fn total(meter: &EvaluationMeter) -> u64 {
        meter.counts().iter().map(|count| count.count).sum()
    }

    /// A number as a hash of it would be.
    fn key(number: u64) -> u64 {
        (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn flags_that_there_is_no_room_for_are_counted_together_and_none_is_lost() {
        const MORE: u64 = 10;
        let meter = EvaluationMeter::new();
        let flags = EvaluationMeter::MOST_FLAGS as u64 + MORE;
        for round in 1..=2 {
            for flag in 0..flags {
                meter.count(key(flag), &format!("flag {flag}"), Kind::switched(true));
            }
            assert_eq!((find(&meter, OTHER), total(&meter)), (round * MORE, round * flags));
        }
    }

    #[test]
    fn what_one_thread_counts_by_its_name_all_do() {
        let meter = EvaluationMeter::new();
        let flags = EvaluationMeter::MOST_FLAGS as u64;
        let absent = EvaluationMeter::MOST_ABSENT as u64;
        let count = |flags: std::ops::Range<u64>, kind| {
            flags.for_each(|flag| meter.count(key(flag), &format!("flag {flag}"), kind));
        };
        let in_another_thread = |flags, kind| {
            std::thread::scope(|scope| scope.spawn(|| count(flags, kind)).join().unwrap());
        };
        let failed = Kind::of_outcome(&Err(()), false);
        count(0..absent + 50, failed);
        in_another_thread(0..absent, failed);
        assert_eq!(find(&meter, OTHER), 50, "those for which there was no room alone");
        count(absent..flags + 10, Kind::switched(true));
        in_another_thread(0..flags + 10, Kind::switched(true));
        assert_eq!(find(&meter, OTHER), 50 + 2 * 10);
    }

    #[test]
    fn a_name_is_counted_by_itself_however_many_clients_have_keys_of_their_own_for_it() {
        let meter = EvaluationMeter::new();
        let clients = EvaluationMeter::MOST_FLAGS as u64 * 3 / 2;
        for client in 0..clients {
            meter.count(key(2 * client), "A", Kind::switched(false));
            meter.count(key(2 * client + 1), "B", Kind::of_outcome(&Err(()), false));
        }
        assert_eq!([find(&meter, "A"), find(&meter, "B"), find(&meter, OTHER)], [clients, clients, 0]);
        assert_eq!(meter.threads().running.len(), 1, "what was begun before is let go of");
    }

    #[test]
    fn a_flag_that_is_found_after_all_leaves_its_room_to_names_that_are_none() {
        let meter = EvaluationMeter::new();
        let absent = EvaluationMeter::MOST_ABSENT as u64;
        let failed = Kind::of_outcome(&Err(()), false);
        let count = |flags: std::ops::Range<u64>, kind| {
            std::thread::scope(|scope| {
                let all = || flags.for_each(|flag| meter.count(key(flag), &format!("flag {flag}"), kind));
                scope.spawn(all).join().unwrap();
            });
        };
        // The store could not be asked at first.
        count(0..absent, failed);
        for _ in 0..2 {
            count(0..absent, Kind::switched(true));
        }
        count(absent..2 * absent + 3, failed);
        assert_eq!(find(&meter, OTHER), 3);
    }
}
