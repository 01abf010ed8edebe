//! Counters.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What a cache has done since it was made.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use flipper_cached::CachedStore;
/// use flipper_core::{Context, FeatureFlagClient};
/// use flipper_memory::MemoryStore;
/// use flipper_testkit::FaultStore;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
/// // A store that has its flags in memory is not cached; in earnest, this one is reached over a network.
/// let store = Arc::new(CachedStore::new(FaultStore::new(MemoryStore::new())));
/// let client = FeatureFlagClient::new(store.clone());
/// for _ in 0..3 {
///     client.is_enabled("X", &Context::EMPTY).await;
/// }
/// let stats = store.stats();
/// assert_eq!((stats.misses, stats.hits), (1, 2));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Checks that memory answered, those with stale answers included.
    pub hits: u64,
    /// Checks that memory could not answer.
    pub misses: u64,
    /// Reads of single flags that the store was asked for.
    pub loads: u64,
    /// Misses that waited for a read that was under way, and caused none.
    pub joined_loads: u64,
    /// Flags that made room for others.
    pub evictions: u64,
    /// Checks that were answered with a state whose time is over, or that could not be followed, as the store was away or
    /// the record could not be read.
    pub stale_answers: u64,
}

/// As many as keep the threads of a machine apart.
const STRIPES: usize = 32;

/// A number that all threads count up, without waiting for one another.
#[derive(Debug, Default)]
pub(crate) struct Counter([Stripe; STRIPES]);

/// Of two cache lines, as processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0[stripe()].0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.iter().map(|stripe| stripe.0.load(Ordering::Relaxed)).sum()
    }
}

fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    // A thread that ends may have given it back already.
    MINE.try_with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        mine.get()
    })
    .unwrap_or(0)
}

/// The counters of a cache.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: Counter,
    pub(crate) stale_answers: Counter,
    pub(crate) misses: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) joined_loads: AtomicU64,
    pub(crate) evictions: AtomicU64,
}

impl Counters {
    pub(crate) fn stats(&self) -> CacheStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheStats {
            hits: self.hits.get(),
            misses: get(&self.misses),
            loads: get(&self.loads),
            joined_loads: get(&self.joined_loads),
            evictions: get(&self.evictions),
            stale_answers: self.stale_answers.get(),
        }
    }
}
