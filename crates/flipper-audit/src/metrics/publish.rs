//! Tells the recorder what was counted.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use flipper_core::{EvaluationMeter, Freshness, Snapshot, Timestamp};

/// A flag, an answer, a reason.
type Kind = (Box<str>, bool, &'static str);

/// Tells the facade `metrics` what is not told as it happens: the counts of an [`EvaluationMeter`], and how snapshots, caches and replicas are.
///
/// Call [`publish`](Self::publish) before each scrape, or every few seconds.
///
/// | metric | labels | |
/// |---|---|---|
/// | `flipper_evaluations_total` | `flag`, `value`, `reason` | how many checks there were |
/// | `flipper_flags` | `store` | how many flags are in memory |
/// | `flipper_fresh` | `store` | 1 if what is in memory is live, else 0 |
/// | `flipper_stale_seconds` | `store` | since when it is no longer live; 0 if it is, and infinite if it was never loaded |
/// | `flipper_cache_hits_total`, `flipper_cache_misses_total` | `cache` | checks that a cache could answer, and could not |
/// | `flipper_replica_lag_seconds`, `flipper_replica_queued` | `replica` | how long the oldest change waits, and how many do |
/// | `flipper_replica_behind` | `replica` | 1 if the replica is behind, else 0 |
///
/// # Examples
///
/// ```
/// use flipper_audit::MetricsPublisher;
/// use flipper_core::{EvaluationMeter, FeatureFlagClient};
/// use flipper_memory::MemoryStore;
///
/// let meter = EvaluationMeter::new();
/// let client = FeatureFlagClient::builder(MemoryStore::new()).meter(meter.clone()).build();
/// let mut publisher = MetricsPublisher::new().evaluations(meter);
/// if let Some(snapshot) = client.store().snapshot() {
///     publisher = publisher.snapshot("memory", snapshot.clone());
/// }
/// publisher.publish();
/// ```
#[derive(Default)]
#[must_use = "nothing is told until `publish`"]
pub struct MetricsPublisher {
    sources: Vec<Box<dyn Fn() + Send + Sync>>,
}

impl MetricsPublisher {
    /// Makes a publisher of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells what a meter counts, since it was made. One publisher for a meter: each tells all of it.
    pub fn evaluations(self, meter: EvaluationMeter) -> Self {
        // Increments, so that several meters and processes add up.
        let told: Mutex<HashMap<Kind, u64>> = Mutex::default();
        self.source(move || {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            for count in meter.counts() {
                let (value, reason) = (if count.value { "on" } else { "off" }, count.reason);
                let before = told.entry((count.flag.clone(), count.value, reason)).or_default();
                metrics::counter!("flipper_evaluations_total", "flag" => String::from(count.flag), "value" => value, "reason" => reason)
                    .increment(count.count.saturating_sub(*before));
                *before = count.count;
            }
        })
    }

    /// Tells how many flags are in a snapshot, and how fresh they are: that of a mirror, of Consul's store, of a file.
    pub fn snapshot(self, store: &'static str, snapshot: Snapshot) -> Self {
        self.source(move || {
            let freshness = snapshot.freshness();
            let stale = match freshness {
                Freshness::Live => 0.0,
                Freshness::Stale { since, .. } => {
                    Timestamp::now().as_micros().saturating_sub(since.as_micros()).max(0) as f64 / 1e6
                }
                _ => f64::INFINITY,
            };
            let is_live = f64::from(u8::from(freshness == Freshness::Live));
            metrics::gauge!("flipper_flags", "store" => store).set(snapshot.len() as f64);
            metrics::gauge!("flipper_fresh", "store" => store).set(is_live);
            metrics::gauge!("flipper_stale_seconds", "store" => store).set(stale);
        })
    }

    /// Tells how a cache is used: `read` returns its hits and its misses, since it was made.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # struct Stats { hits: u64, misses: u64 }
    /// # struct Cached;
    /// # impl Cached { fn stats(&self) -> Stats { Stats { hits: 1, misses: 1 } } }
    /// # let cached = Arc::new(Cached);
    /// use flipper_audit::MetricsPublisher;
    ///
    /// // `cached` is an `Arc<CachedStore<_>>`, of which the client has a clone.
    /// let publisher = MetricsPublisher::new().cache("redis", move || (cached.stats().hits, cached.stats().misses));
    /// ```
    pub fn cache(self, cache: &'static str, read: impl Fn() -> (u64, u64) + Send + Sync + 'static) -> Self {
        self.source(move || {
            let (hits, misses) = read();
            metrics::counter!("flipper_cache_hits_total", "cache" => cache).absolute(hits);
            metrics::counter!("flipper_cache_misses_total", "cache" => cache).absolute(misses);
        })
    }

    /// Tells how replicas are: `read` returns of each its name, how long its oldest change waits, how many do, and whether it is behind.
    ///
    /// With a `ReplicatedStore`, that is `store.status()`, and of each the fields `name`, `lag`, `queued` and `is_behind`.
    pub fn replicas<I>(self, read: impl Fn() -> I + Send + Sync + 'static) -> Self
    where
        I: IntoIterator<Item = (String, std::time::Duration, usize, bool)>,
    {
        self.source(move || {
            for (replica, lag, queued, is_behind) in read() {
                metrics::gauge!("flipper_replica_lag_seconds", "replica" => replica.clone())
                    .set(lag.as_secs_f64());
                metrics::gauge!("flipper_replica_queued", "replica" => replica.clone()).set(queued as f64);
                metrics::gauge!("flipper_replica_behind", "replica" => replica)
                    .set(f64::from(u8::from(is_behind)));
            }
        })
    }

    fn source(mut self, source: impl Fn() + Send + Sync + 'static) -> Self {
        self.sources.push(Box::new(source));
        self
    }

    /// Tells everything, as it is now.
    pub fn publish(&self) {
        self.sources.iter().for_each(|source| source());
    }
}

impl fmt::Debug for MetricsPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsPublisher").field("sources", &self.sources.len()).finish()
    }
}
