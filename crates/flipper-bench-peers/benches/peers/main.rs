//! Checks in memory, against the evaluation engines of other libraries on equivalent flags.
//!
//! What is compared is the engines, each asked the question that it has for applications. Counting, events and whatever
//! else the libraries around them do at each check is left out.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "a benchmark")]
#![allow(clippy::borrowed_box, reason = "a thin pointer, which costs nothing to keep from the optimiser")]

mod cases;
mod engine;
mod engines;
mod inputs;
mod launchdarkly;
mod ours;
mod unleash;

use std::process::ExitCode;

use flipper_bench::Bars;

/// Tells which versions are linked.
const LOCK: &str = include_str!("../../Cargo.lock");

fn main() -> ExitCode {
    for peer in [unleash::NAME, launchdarkly::NAME] {
        println!("{peer} {}", version(peer));
    }
    let mut bars = Bars::new();
    for count in [10, 1_000, 100_000] {
        cases::all(count, &mut bars);
    }
    bars.finish()
}

fn version(package: &str) -> &'static str {
    let start = format!("name = \"{package}\"\nversion = \"");
    let version = LOCK.split_once(&start).and_then(|(_, rest)| rest.split_once('"'));
    version.unwrap_or_else(|| panic!("{package} is not in Cargo.lock")).0
}
