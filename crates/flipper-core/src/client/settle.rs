//! How an edit has ended, for those who were told that it begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::FeatureFlagClient;
use super::edit::Attempt;
use crate::FlagName;
use crate::events::Outcome;

/// Tells the end of an edit, exactly once, if one of its attempts was announced: also if the edit's future is dropped in the middle
/// of its write.
pub(super) struct Settling<'c> {
    id: u64,
    client: &'c FeatureFlagClient,
    name: FlagName<'c>,
    /// The last attempt that was announced.
    announced: Option<Arc<Attempt>>,
    /// The last attempt whose answer was lost.
    lost: Option<Arc<Attempt>>,
    is_writing: bool,
    end: Option<(Arc<Attempt>, Outcome)>,
}

impl<'c> Settling<'c> {
    pub(super) fn new(client: &'c FeatureFlagClient, name: FlagName<'c>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { id, client, name, announced: None, lost: None, is_writing: false, end: None }
    }

    /// Tells this edit from all others.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// An attempt is about to be announced.
    pub(super) fn begins(&mut self, attempt: &Arc<Attempt>) {
        self.announced = Some(Arc::clone(attempt));
    }

    /// Whether a write is under way, so that it may happen if nobody waits for it any longer.
    pub(super) fn is_writing(&mut self, is_writing: bool) {
        self.is_writing = is_writing;
    }

    /// The answer to an attempt was lost.
    pub(super) fn is_lost(&mut self, attempt: &Arc<Attempt>) {
        self.lost = Some(Arc::clone(attempt));
    }

    /// It is known how the edit has ended.
    pub(super) fn has_ended(&mut self, attempt: &Arc<Attempt>, outcome: Outcome) {
        self.end = Some((Arc::clone(attempt), outcome));
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        let end = self.end.take().or_else(|| {
            let unsure = if self.is_writing { self.announced.take() } else { self.lost.take() };
            let not_done = || self.announced.take().map(|attempt| (attempt, Outcome::NotDone));
            unsure.map(|attempt| (attempt, Outcome::Unknown)).or_else(not_done)
        });
        if let Some((attempt, outcome)) = end {
            self.client.announce_end(self.name, &attempt, outcome);
        }
    }
}
