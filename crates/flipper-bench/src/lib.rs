//! A small harness for benchmarks that are ratios.
//!
//! The subjects of a [`Race`] take turns in one process, round after round, so that a machine that slows down slows
//! them all. Of each, the fastest round counts. A [`Bars`] prints one line per bar,
//! `bar: NAME MEASURED LIMIT ok|short`, and makes the process fail if one is short.

#![allow(clippy::borrowed_box, reason = "a thin pointer, which costs nothing to keep from the optimiser")]

mod names;
mod plots;
mod rate;
mod record;

pub use names::{Shuffled, names};
pub use plots::{Figures, Missing, Page, Plot, pages, plots};
pub use rate::{median, percentile, rate};
pub use record::record;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long one subject runs in one round.
const TURN: Duration = Duration::from_millis(4);

/// How many rounds there are, unless `FLIPPER_BENCH_ROUNDS` says otherwise.
const ROUNDS: usize = 40;

/// Returns how many rounds there are.
pub fn rounds() -> usize {
    std::env::var("FLIPPER_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS)
}

/// Subjects that take turns.
#[derive(Default)]
pub struct Race<'s> {
    subjects: Vec<Subject<'s>>,
    inputs: u64,
    /// How many times as many rounds as usual, less one.
    more: usize,
}

struct Subject<'s> {
    name: &'s str,
    /// Runs the subject so many times.
    run: Box<dyn FnMut(u64) + 's>,
}

impl<'s> Race<'s> {
    /// Starts without subjects.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that subjects take so many different inputs, one after the other. Each turn then goes through all of them three
    /// times without being timed, until nothing that the subject before has left in the caches counts, and at least once
    /// more.
    #[must_use]
    pub fn over(self, inputs: usize) -> Self {
        Self { inputs: inputs as u64, ..self }
    }

    /// Runs so many times as many rounds.
    #[must_use]
    pub fn more_rounds(self, times: usize) -> Self {
        Self { more: times.saturating_sub(1), ..self }
    }

    /// Adds a subject. What it returns is kept from being optimised away: let it be a number or a thin pointer.
    #[must_use]
    pub fn subject<T>(mut self, name: &'s str, mut once: impl FnMut() -> T + 's) -> Self {
        let run = move |times| {
            for _ in 0..times {
                black_box(once());
            }
        };
        self.subjects.push(Subject { name, run: Box::new(run) });
        self
    }

    /// Runs all rounds, prints a line for each subject, and returns the nanoseconds of each one's fastest round.
    pub fn run(mut self) -> Vec<f64> {
        let times: Vec<u64> = self
            .subjects
            .iter_mut()
            .map(|subject| times_per_turn(&mut subject.run).max(self.inputs))
            .collect();
        let mut rounds = vec![Vec::new(); self.subjects.len()];
        for round in 0..self::rounds() * (self.more + 1) {
            for ((subject, times), rounds) in self.subjects.iter_mut().zip(&times).zip(&mut rounds) {
                let mut turn = || {
                    (subject.run)(self.inputs * 3);
                    let start = Instant::now();
                    (subject.run)(*times);
                    rounds.push(start.elapsed().as_secs_f64() * 1e9 / *times as f64);
                };
                deeper(round % 16, &mut turn);
            }
        }
        let fastest = |rounds: &mut Vec<f64>| {
            rounds.sort_unstable_by(f64::total_cmp);
            (rounds[0], rounds[rounds.len() / 2])
        };
        let results: Vec<_> = rounds.iter_mut().map(fastest).collect();
        for (subject, (min, median)) in self.subjects.iter().zip(&results) {
            println!("  {:<44} {min:>10.1} ns   (median {median:.1})", subject.name);
        }
        results.into_iter().map(|(min, _)| min).collect()
    }
}

/// Runs something further down the stack.
///
/// Where the stack begins is a matter of chance, and where a local stands modulo 4,096 bytes against what else is in use
/// can cost a subject a third of its speed. So each round stands somewhere else.
#[inline(never)]
fn deeper(levels: usize, run: &mut dyn FnMut()) {
    let padding = black_box([0_u8; 208]);
    if levels == 0 {
        run();
    } else {
        deeper(levels - 1, run);
    }
    black_box(padding);
}

fn times_per_turn(run: &mut impl FnMut(u64)) -> u64 {
    let mut times = 1;
    loop {
        let start = Instant::now();
        run(times);
        let elapsed = start.elapsed();
        if elapsed >= TURN / 4 {
            return (times as f64 * TURN.as_secs_f64() / elapsed.as_secs_f64()).ceil() as u64;
        }
        times *= 2;
    }
}

/// The bars of a benchmark.
#[derive(Default)]
pub struct Bars {
    short: usize,
}

impl Bars {
    /// Starts without bars.
    pub fn new() -> Self {
        Self::default()
    }

    /// Prints a bar: the measured figure must not exceed the limit.
    pub fn at_most(&mut self, name: &str, measured: f64, limit: f64) {
        self.print(name, measured, limit, measured <= limit);
    }

    /// Prints a bar: the measured figure must reach the limit.
    pub fn at_least(&mut self, name: &str, measured: f64, limit: f64) {
        self.print(name, measured, limit, measured >= limit);
    }

    fn print(&mut self, name: &str, measured: f64, limit: f64, is_met: bool) {
        self.short += usize::from(!is_met);
        println!("bar: {name} {measured:.2} {limit:.2} {}", if is_met { "ok" } else { "short" });
    }

    /// Tells the process how it went.
    pub fn finish(self) -> ExitCode {
        if self.short == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
