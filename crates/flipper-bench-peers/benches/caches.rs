//! Hits of the cache, against those of an LRU list behind a lock and of other caches.
//!
//! Each is asked for a flag by its name, and whether that is switched on. Ours looks after time to live, recency and counters
//! as well; `moka` and `quick_cache` after theirs, without a time to live.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "a benchmark")]
#![allow(clippy::borrowed_box, reason = "a thin pointer, which costs nothing to keep from the optimiser")]

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Mutex;

use flipper_bench::{Bars, Race, Shuffled, median, rate, rounds};
use flipper_cached::CachedStore;
use flipper_core::{Flag, FlagName, Peek, Store, Timestamp};
use flipper_memory::MemoryStore;
use flipper_testkit::FaultStore;

const SIZE: usize = 5_000;

type Cached = CachedStore<FaultStore<MemoryStore>>;

/// The same flags in each of the caches.
struct Caches {
    names: Vec<Box<str>>,
    lru: Mutex<lru::LruCache<Box<str>, Flag>>,
    moka: moka::sync::Cache<Box<str>, Flag>,
    quick: quick_cache::sync::Cache<Box<str>, Flag>,
    ours: Cached,
}

fn main() -> ExitCode {
    let mut bars = Bars::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let caches = runtime.block_on(Caches::new(1_000));
    caches.hits(&mut bars);
    caches.two_against_one(&mut bars);
    bars.finish()
}

impl Caches {
    async fn new(count: usize) -> Self {
        let names = flipper_bench::names(count);
        let caches = Self {
            lru: Mutex::new(lru::LruCache::new(NonZeroUsize::new(SIZE).unwrap())),
            moka: moka::sync::Cache::new(SIZE as u64),
            quick: quick_cache::sync::Cache::new(SIZE),
            ours: CachedStore::builder(FaultStore::new(MemoryStore::new())).watch(false).size(SIZE).build(),
            names,
        };
        for name in &caches.names {
            let mut flag = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(1));
            flag.set_enabled(true).unwrap();
            caches.ours.put(&flag, flipper_core::Expect::Absent).await.unwrap();
            caches.lru.lock().unwrap().put(name.clone(), flag.clone());
            caches.moka.insert(name.clone(), flag.clone());
            caches.quick.insert(name.clone(), flag);
        }
        caches
    }

    fn lru(&self, name: &str) -> bool {
        self.lru.lock().unwrap().get(name).unwrap().is_switched_on()
    }

    fn moka(&self, name: &str) -> bool {
        self.moka.get(name).unwrap().is_switched_on()
    }

    fn quick(&self, name: &str) -> bool {
        self.quick.get(name).unwrap().is_switched_on()
    }

    fn ours(&self, name: &str) -> bool {
        let mut is_on = None;
        self.ours.peek(name, &mut |peek| {
            if let Peek::Hit { flag, .. } = peek {
                is_on = Some(flag.is_switched_on());
            }
        });
        is_on.unwrap()
    }

    fn hits(&self, bars: &mut Bars) {
        println!("a hit of {} flags", self.names.len());
        let mut orders: Vec<_> = (0..4).map(|_| Shuffled::new(&self.names)).collect();
        let [one, two, three, four] = &mut orders[..] else { unreachable!() };
        let ns = Race::new()
            .over(self.names.len())
            .more_rounds(2)
            .subject("lru behind a mutex", || self.lru(one.pick()))
            .subject("moka", || self.moka(two.pick()))
            .subject("quick_cache", || self.quick(three.pick()))
            .subject("CachedStore", || self.ours(four.pick()))
            .run();
        bars.at_most("layers.cached_hit", ns[3] / ns[0], 2.0);
    }

    fn two_against_one(&self, bars: &mut Bars) {
        println!("hits per second of two threads against one, medians");
        let gain = |name: &str, hit: fn(&Self, &str) -> bool| {
            let check = || {
                let mut order = Shuffled::new(&self.names);
                move || hit(self, order.pick())
            };
            let gain = median((0..rounds()).map(|_| rate(2, &check) / rate(1, &check)).collect());
            println!("  {name:<44} {gain:>10.2} x");
            gain
        };
        gain("lru behind a mutex", Self::lru);
        gain("moka", Self::moka);
        gain("quick_cache", Self::quick);
        bars.at_least("layers.cached_two_threads", gain("CachedStore", Self::ours), 1.0);
    }
}
