//! Settings.

use std::num::NonZeroUsize;
use std::time::Duration;

use flipper_core::Store;

use crate::cache::{Cache, Times};
use crate::clock::Millis;
use crate::store::CachedStore;

/// Chooses settings of a [`CachedStore`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use flipper_cached::CachedStore;
/// use flipper_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let store = CachedStore::builder(MemoryStore::new())
///     .size(100)
///     .ttl(Duration::from_secs(30))
///     .negative_ttl(Duration::from_secs(5))
///     .stale_if_error(Duration::from_secs(3600))
///     .build();
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it caches only when it is built"]
pub struct CachedStoreBuilder<S> {
    inner: S,
    size: NonZeroUsize,
    ttl: Option<Duration>,
    negative_ttl: Duration,
    stale: Duration,
    is_followed: bool,
}

const SIZE: NonZeroUsize = NonZeroUsize::new(5_000).unwrap();

impl<S: Store> CachedStoreBuilder<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            size: SIZE,
            ttl: Some(Duration::from_mins(15)),
            negative_ttl: Duration::from_secs(10),
            stale: Duration::from_hours(24),
            is_followed: true,
        }
    }

    /// Limits how many flags are kept, 5,000 unless told, and at least 1. Names that are no flag count too.
    pub fn size(self, flags: usize) -> Self {
        Self { size: NonZeroUsize::new(flags).unwrap_or(NonZeroUsize::MIN), ..self }
    }

    /// Chooses for how long a flag is believed once it was read, 15 minutes unless told, and at least 1 ms; less by up to a
    /// tenth.
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl: Some(ttl.max(Duration::from_millis(1))), ..self }
    }

    /// Believes a flag until the store tells of a change, or it makes room for others. For stores that can be watched: of one
    /// that cannot, edits by others are not seen.
    pub fn without_ttl(self) -> Self {
        Self { ttl: None, ..self }
    }

    /// Chooses for how long it is believed that there is no flag of a name, 10 s unless told. Zero asks every time.
    pub fn negative_ttl(self, ttl: Duration) -> Self {
        Self { negative_ttl: ttl, ..self }
    }

    /// Limits how old a flag may be that still answers, stale, while it cannot be read again: 24 hours unless told. Zero
    /// leaves such checks to their default.
    pub fn stale_if_error(self, age: Duration) -> Self {
        Self { stale: age, ..self }
    }

    /// Chooses whether to have a store that can be watched tell which flags have changed, as it is unless told otherwise.
    pub fn watch(self, is_followed: bool) -> Self {
        Self { is_followed, ..self }
    }

    /// Makes the store.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime, if the store can be watched and is to be: a task of that runtime follows it.
    pub fn build(self) -> CachedStore<S> {
        let times = Times {
            ttl: self.ttl.map(millis),
            negative_ttl: millis(self.negative_ttl),
            stale: millis(self.stale),
        };
        CachedStore::start(self.inner, Cache::new(self.size, times), self.is_followed)
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX / 2)
}
