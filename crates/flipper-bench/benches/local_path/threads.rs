//! Whether a second thread checks as much as the first.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use flipper_bench::{Bars, Shuffled, rounds};
use flipper_core::Context;

use crate::flags::{self, Floor};

const CHECKS: u32 = 200_000;

pub fn two_against_one(bars: &mut Bars) {
    println!("checks per second of two threads against one, 1,000 flags");
    let names = flipper_bench::names(1_000);
    let (floor, local) = (Floor::new(&names), flags::client(&names, flags::plain));
    let floor = || {
        let (mut read, mut order) = (floor.reader(), Shuffled::new(&names));
        move || read(order.pick())
    };
    let plain = || {
        let (local, mut order) = (&local, Shuffled::new(&names));
        move || local.is_enabled(order.pick(), &Context::EMPTY)
    };
    let mut gains = [Vec::new(), Vec::new()];
    for _ in 0..rounds() {
        gains[0].push(rate(2, &floor) / rate(1, &floor));
        gains[1].push(rate(2, &plain) / rate(1, &plain));
    }
    let [floor, plain] = gains.map(|mut gains| {
        gains.sort_unstable_by(f64::total_cmp);
        gains[gains.len() / 2]
    });
    println!("  floor {floor:.2} x, by name {plain:.2} x (medians)");
    bars.at_least("local_path.two_threads.1000", plain / floor, 0.95);
}

/// Checks per nanosecond of so many threads together.
fn rate<C: FnMut() -> bool>(threads: usize, check: &(impl Fn() -> C + Sync)) -> f64 {
    let barrier = Barrier::new(threads);
    let elapsed = thread::scope(|scope| {
        let run = || {
            let mut check = check();
            (0..1_000).for_each(|_| _ = std::hint::black_box(check()));
            barrier.wait();
            let start = Instant::now();
            (0..CHECKS).for_each(|_| _ = std::hint::black_box(check()));
            start.elapsed().as_secs_f64() * 1e9
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    elapsed.into_iter().map(|ns| f64::from(CHECKS) / ns).sum()
}
