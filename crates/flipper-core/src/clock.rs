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

    /// How many seconds have passed since a time.
    #[inline]
    pub(crate) fn secs_since(self, start: Self) -> f64 {
        micros_to_secs(i128::from(self.0) - i128::from(start.0))
    }

    /// Returns the system's time.
    pub fn now() -> Self {
        SystemTime::now().into()
    }
}

/// Divides by a million and rounds once, as Python divides integers.
#[inline]
fn micros_to_secs(micros: i128) -> f64 {
    const EXACT: u64 = 1 << 53;
    match i64::try_from(micros) {
        Ok(micros) if micros.unsigned_abs() <= EXACT => micros as f64 / 1e6,
        _ => many_micros_to_secs(micros),
    }
}

#[cold]
fn many_micros_to_secs(micros: i128) -> f64 {
    // Beyond 285 years the conversion to a double would round before the division does. Instead more than 70 bits of
    // the quotient are computed in integers, the lowest of which stands for all the rest, and rounded once.
    let scaled = micros.unsigned_abs() << 40;
    let quotient = (scaled / 1_000_000) | u128::from(!scaled.is_multiple_of(1_000_000));
    let secs = quotient as f64 / (1_u64 << 40) as f64;
    if micros < 0 { -secs } else { secs }
}

impl From<SystemTime> for Timestamp {
    #[inline]
    fn from(time: SystemTime) -> Self {
        let micros = |duration: Duration| {
            let secs = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
            secs.saturating_mul(1_000_000).saturating_add(duration.subsec_micros().into())
        };
        let micros = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => micros(since),
            Err(before) => -micros(before.duration()),
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

/// Tells the time to evaluations, of which only ramps ask for it, and to edits.
///
/// Tests put a clock of their own in its place; any `Fn() -> Timestamp` is one.
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

    /// Returns the current time for what is written down: when a flag was made, when an edit was. [`now`](Self::now) unless a clock
    /// can be read at more length, and more exactly.
    ///
    /// ```
    /// use flipper_core::{Clock, SystemClock, Timestamp};
    ///
    /// let before = Timestamp::now();
    /// assert!(SystemClock.exact_now() >= before);
    /// ```
    fn exact_now(&self) -> Timestamp {
        self.now()
    }
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// Reads the system's clock. The default.
///
/// On Linux and Android this is the time of the kernel's last tick, usually at most 10 ms ago, so it may be before a
/// [`Timestamp::now`] that was read earlier. To read the clock exactly takes longer than all the rest of a check, and a ramp
/// does not move in so little time. Edits are told the [exact](Clock::exact_now) time.
///
/// # Examples
///
/// ```
/// use flipper_core::{Clock, SystemClock, Timestamp};
///
/// assert!(SystemClock.now() > Timestamp::from_secs(1_700_000_000));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn now(&self) -> Timestamp {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        Timestamp::from_micros(time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000))
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn exact_now(&self) -> Timestamp {
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
    fn the_default_clock_is_hardly_behind() {
        for _ in 0..100 {
            let (before, read, after) = (Timestamp::now(), SystemClock.now(), Timestamp::now());
            assert!(read <= after, "{read:?} is after {after:?}");
            assert!(read + Duration::from_secs(1) >= before, "{read:?} is long before {before:?}");
        }
    }

    #[test]
    fn micros_divide_as_in_python() {
        // Python: 63835596800123457 / 10**6, 300000000000000001 / 10**6.
        assert_eq!(micros_to_secs(63_835_596_800_123_457), 63_835_596_800.123_46);
        assert_eq!(micros_to_secs(-300_000_000_000_000_001), -300_000_000_000.0);
        assert_eq!(micros_to_secs(1_500_000), 1.5);
    }

    #[test]
    fn saturates() {
        assert_eq!(Timestamp::from_secs(i64::MAX).as_micros(), i64::MAX);
        assert_eq!((Timestamp::from_micros(i64::MAX) + Duration::from_secs(1)).as_micros(), i64::MAX);
    }
}
