//! Time, and where it comes from.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells a point in time, in microseconds since 1970-01-01 00:00:00 UTC.
///
/// The resolution is that of Python's `datetime`, with which ramps are computed. Times before 1970 are negative.
///
/// # Examples
///
/// ```
/// use flipper_core::Timestamp;
///
/// let start = Timestamp::from_secs(1_700_000_000);
/// assert_eq!(start.as_micros(), 1_700_000_000_000_000);
/// assert_eq!((start + std::time::Duration::from_millis(1500)).as_secs(), 1_700_000_001);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Makes a timestamp from whole seconds since the epoch; too distant times become the nearest possible.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Makes a timestamp from microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Returns the whole seconds since the epoch, truncated towards it as Python's `int()` does.
    pub const fn as_secs(self) -> i64 {
        self.0 / 1_000_000
    }

    /// Returns the system's time.
    pub fn now() -> Self {
        SystemTime::now().into()
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let micros = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        };
        Self(micros)
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// Tells the time to evaluations.
///
/// Only ramps ask for it. Tests put a clock of their own in its place; any `Fn() -> Timestamp` is one.
///
/// # Examples
///
/// ```
/// use flipper_core::{Clock, Timestamp};
///
/// let frozen = || Timestamp::from_secs(1_700_000_000);
/// assert_eq!(frozen.now(), Timestamp::from_secs(1_700_000_000));
/// ```
pub trait Clock: Send + Sync {
    /// Returns the current time. Called at most once per evaluation; must not block.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// Reads the system's clock. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_both_sides_of_the_epoch() {
        assert_eq!(Timestamp::from(UNIX_EPOCH + Duration::from_micros(7)).as_micros(), 7);
        assert_eq!(Timestamp::from(UNIX_EPOCH - Duration::from_micros(7)).as_micros(), -7);
        assert_eq!(Timestamp::from_micros(-5_900_000).as_secs(), -5);
    }

    #[test]
    fn saturates() {
        assert_eq!(Timestamp::from_secs(i64::MAX).as_micros(), i64::MAX);
        assert_eq!((Timestamp::from_micros(i64::MAX) + Duration::from_secs(1)).as_micros(), i64::MAX);
    }
}
