//! The local path: what a check in memory costs, against the lookup that it cannot do without.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a benchmark")]
#![allow(clippy::borrowed_box, reason = "a thin pointer, which costs nothing to keep from the optimiser")]

mod checks;
mod flags;
mod latency;
mod threads;
mod writes;

use std::process::ExitCode;

use flipper_bench::Bars;

fn main() -> ExitCode {
    let mut bars = Bars::new();
    for count in [10, 1_000, 100_000] {
        let floor = checks::plain(count, &mut bars);
        checks::rules(count, floor, &mut bars);
    }
    threads::two_against_one(&mut bars);
    latency::under_writes(&mut bars);
    writes::memory(&mut bars);
    writes::latency(&mut bars);
    writes::growth(&mut bars);
    writes::load(&mut bars);
    bars.finish()
}
