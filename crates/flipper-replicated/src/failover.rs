//! When to ask a replica in the primary's place.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use flipper_core::{Clock, SystemClock, Timestamp};

/// How long the primary is left alone after it could not be asked.
const AGAIN: Duration = Duration::from_millis(500);

/// Since when the primary cannot be asked, in microseconds; when it is to be asked again.
#[derive(Debug, Default)]
pub(crate) struct Failover {
    since: AtomicI64,
    again: AtomicI64,
}

impl Failover {
    /// Whether to ask the primary, or since when it does not answer: of many at the same time during an outage, one asks.
    pub(crate) fn asks_primary(&self) -> Result<(), Timestamp> {
        let since = self.since.load(Ordering::Acquire);
        if since == 0 {
            return Ok(());
        }
        let (now, again) = (SystemClock.now().as_micros(), self.again.load(Ordering::Acquire));
        let next = now.saturating_add(AGAIN.as_micros() as i64);
        // Also if the clock was put back.
        let is_time = now >= again || again > next;
        if is_time && self.again.compare_exchange(again, next, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return Ok(());
        }
        Err(Timestamp::from_micros(since))
    }

    /// The primary has answered.
    pub(crate) fn answered(&self) {
        if self.since.load(Ordering::Relaxed) != 0 && self.since.swap(0, Ordering::AcqRel) != 0 {
            log::info!(target: "flipper::replicated", "the primary answers again");
        }
    }

    /// It has not; returns since when it does not.
    pub(crate) fn failed(&self) -> Timestamp {
        let now = SystemClock.now().as_micros().max(1);
        self.again.store(now.saturating_add(AGAIN.as_micros() as i64), Ordering::Release);
        match self.since.compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                log::warn!(target: "flipper::replicated", "the primary cannot be asked: checks go to a replica");
                Timestamp::from_micros(now)
            }
            Err(since) => Timestamp::from_micros(since),
        }
    }
}
