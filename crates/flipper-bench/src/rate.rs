//! How much several threads do.

use std::hint::black_box;
use std::sync::{Barrier, PoisonError};
use std::thread;
use std::time::Instant;

const CHECKS: u32 = 200_000;

/// Returns the checks per nanosecond of so many threads together. Each makes its own by `check`.
pub fn rate<C: FnMut() -> bool>(threads: usize, check: &(impl Fn() -> C + Sync)) -> f64 {
    let (barrier, sum) = (Barrier::new(threads), std::sync::Mutex::new(0.0));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut check = check();
                (0..1_000).for_each(|_| _ = black_box(check()));
                barrier.wait();
                let start = Instant::now();
                (0..CHECKS).for_each(|_| _ = black_box(check()));
                let ns = start.elapsed().as_secs_f64() * 1e9;
                *sum.lock().unwrap_or_else(PoisonError::into_inner) += f64::from(CHECKS) / ns;
            });
        }
    });
    sum.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Returns what lies in the middle of some figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    percentile(&mut figures, 0.5)
}

/// Returns the figure that such a share of all does not exceed.
pub fn percentile(figures: &mut [f64], share: f64) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[((figures.len() - 1) as f64 * share) as usize]
}
