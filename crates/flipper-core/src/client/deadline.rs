//! How long an edit may take.
//!
//! The core has no runtime. Its timer is `futures-timer`'s: one thread for the whole process, started when somebody
//! waits for the first time, which works under any runtime.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_timer::Delay;

pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(duration: Duration) -> Self {
        let now = Instant::now();
        // Too far to be told is far enough: thirty years.
        Self(now.checked_add(duration).unwrap_or(now + Duration::from_hours(30 * 365 * 24)))
    }

    pub(super) fn has_passed(&self) -> bool {
        Instant::now() >= self.0
    }

    fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Waits for a future until the deadline; `None` if it takes longer, and then drops it. A future that is ready at
    /// once needs no timer.
    pub(super) async fn limit<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut delay: Option<Delay> = None;
        poll_fn(|task| {
            if let Poll::Ready(output) = future.as_mut().poll(task) {
                return Poll::Ready(Some(output));
            }
            let delay = delay.get_or_insert_with(|| Delay::new(self.left()));
            pin!(delay).poll(task).map(|()| None)
        })
        .await
    }

    /// Waits for a while, not beyond the deadline.
    pub(super) async fn sleep(&self, duration: Duration) {
        Delay::new(duration.min(self.left())).await;
    }
}
