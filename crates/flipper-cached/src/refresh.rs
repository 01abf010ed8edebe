//! Reads in the background.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use flipper_core::Store;
use tokio::runtime::Handle;

use crate::cache::Hit;
use crate::clock::Millis;
use crate::load::{Parts, load};

/// How long a task may wait to begin before its runtime counts as one that nobody drives.
const PATIENCE: Millis = 500;

/// How many tasks have not begun: a runtime that is driven by one `block_on` after the other, each of which is ready at
/// once, runs none.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    count: Arc<AtomicU32>,
    since: AtomicU64,
}

impl Waiting {
    fn begin(&self, now: Millis) -> Begun {
        if self.count.fetch_add(1, Ordering::AcqRel) == 0 {
            self.since.store(now, Ordering::Release);
        }
        Begun(Arc::clone(&self.count))
    }

    fn is_stuck(&self, now: Millis) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && now.saturating_sub(self.since.load(Ordering::Acquire)) > PATIENCE
    }
}

/// Until a task begins, or is dropped.
struct Begun(Arc<AtomicU32>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<S: Store> Parts<S> {
    /// Reads a flag again in the background if that is due; returns whether a check need not do it.
    pub(crate) fn refresh(self: &Arc<Self>, name: &str, hit: Hit<'_>) -> bool {
        if !hit.entry.is_due(hit.now) {
            return true;
        }
        let runtime = Handle::try_current().ok().filter(|_| !self.cache.waiting.is_stuck(hit.now));
        let Some(runtime) = runtime else { return hit.is_fresh };
        if self.cache.takes_refresh(hit) {
            let load = self.cache.refresh(name, hit.now, |name, ticket| load(self, name, ticket));
            let begun = self.cache.waiting.begin(hit.now);
            runtime.spawn(async move {
                drop(begun);
                drop(load.await);
            });
        }
        true
    }
}
