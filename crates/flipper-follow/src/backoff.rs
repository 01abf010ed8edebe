//! How long to wait before another attempt.

use std::time::Duration;

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Says how long to wait between attempts: longer each time, from 50 ms to a second, and never two clients in step.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use flipper_follow::Backoff;
///
/// let mut backoff = Backoff::default();
/// assert!(backoff.next_wait() <= Duration::from_millis(50));
/// assert!(backoff.next_wait() >= Duration::from_millis(50));
/// ```
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Returns how long to wait after another failure.
    pub fn next_wait(&mut self) -> Duration {
        let longest = FIRST_WAIT.saturating_mul(1 << self.failures.min(10)).min(LONGEST_WAIT);
        self.failures += 1;
        longest.mul_f64(0.5 + 0.5 * fastrand::f64())
    }

    /// Begins anew, after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}
