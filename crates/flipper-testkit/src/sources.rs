//! Time and randomness that a test controls.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use flipper_core::{Clock, Random, Timestamp};

/// A clock that stands still until it is told. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use flipper_core::{Clock, Timestamp};
/// use flipper_testkit::ManualClock;
///
/// let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now(), Timestamp::from_secs(1_700_000_060));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Makes a clock that shows a time.
    pub fn new(time: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(time.as_micros())))
    }

    /// Sets the time, forwards or backwards.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.as_micros(), Ordering::SeqCst);
    }

    /// Moves the time forwards.
    pub fn advance(&self, duration: Duration) {
        self.set(self.now() + duration);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Randomness that always draws the same number, until it is told. Clones are the same source.
///
/// # Examples
///
/// ```
/// use flipper_core::Random;
/// use flipper_testkit::FixedRandom;
///
/// let random = FixedRandom::new(0.5);
/// random.set(0.1);
/// assert_eq!(random.draw(), 0.1);
/// ```
#[derive(Clone, Debug)]
pub struct FixedRandom(Arc<AtomicU64>);

impl FixedRandom {
    /// Makes a source that draws a number.
    pub fn new(number: f64) -> Self {
        Self(Arc::new(AtomicU64::new(number.to_bits())))
    }

    /// Sets the number.
    pub fn set(&self, number: f64) {
        self.0.store(number.to_bits(), Ordering::SeqCst);
    }
}

impl Random for FixedRandom {
    fn draw(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::SeqCst))
    }
}
