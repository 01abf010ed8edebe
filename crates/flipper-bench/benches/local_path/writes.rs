//! What writes cost, and how much memory flags take.

use std::time::Instant;

use flipper_bench::{Bars, Race, rounds};
use flipper_core::{Flag, FlagName, Freshness, Snapshot};

use crate::flags;

pub fn memory(bars: &mut Bars) {
    let names = flipper_bench::names(100_000);
    let mut snapshot = None;
    let counted = allocation_counter::measure(|| {
        snapshot = Some(flags::snapshot(&names, flags::plain));
    });
    let megabytes = counted.bytes_current as f64 / 1e6;
    let text: usize = names.iter().map(|name| flags::plain(name).as_json().len()).sum();
    println!(
        "100,000 flags: {megabytes:.1} MB requested, of which {:.1} MB are stored text",
        text as f64 / 1e6
    );
    bars.at_most("local_path.memory_mb.100000", megabytes, 40.0);
}

pub fn latency(bars: &mut Bars) {
    println!("one write among 100,000 flags");
    let names = flipper_bench::names(120_000);
    let mut best = [f64::INFINITY; 2];
    // Whoever else runs on this machine can hold up writes: the best of some rounds is the writes' own.
    for _ in 0..rounds().div_ceil(10) {
        let snapshot = flags::snapshot(&names[..100_000], flags::plain);
        for (best, (what, range)) in best.iter_mut().zip([("edit", 0..20_000), ("create", 100_000..120_000)])
        {
            let p99 = names[range].iter().map(|name| write(&snapshot, name)).collect::<Micros>().print(what);
            *best = best.min(p99);
        }
    }
    bars.at_most("local_path.edit_p99_us.100000", best[0], 50.0);
    bars.at_most("local_path.create_p99_us.100000", best[1], 50.0);
}

pub fn growth(bars: &mut Bars) {
    println!("120,000 flags, created one by one");
    let names = flipper_bench::names(120_000);
    let slowest = (0..rounds().div_ceil(10)).map(|_| {
        let snapshot = Snapshot::new(Freshness::Live);
        let micros: Micros = names.iter().map(|name| write(&snapshot, name)).collect();
        micros.print("create");
        micros.slowest()
    });
    let slowest = slowest.fold(f64::INFINITY, f64::min);
    bars.at_most("local_path.growth_slowest_us.120000", slowest, 1_000.0);
}

pub fn load(bars: &mut Bars) {
    println!("100,000 flags, loaded from their bytes");
    let names = flipper_bench::names(100_000);
    let stored: Vec<_> = names.iter().map(|name| flags::plain(name).as_json().to_owned()).collect();
    let read = |at: usize| Flag::read(FlagName::new(&names[at]).unwrap(), stored[at].as_bytes()).unwrap();
    let ns = Race::new()
        .subject("read each, and drop it", || (0..names.len()).map(read).filter(Flag::is_switched_on).count())
        .subject("read each into a list", || (0..names.len()).map(read).collect::<Vec<_>>())
        .subject("load a snapshot", || {
            let snapshot = Snapshot::new(Freshness::Live);
            snapshot.edit(|edit| edit.replace_all((0..names.len()).map(|at| flags::record(read(at)))));
            snapshot
        })
        .run();
    let per_flag = ns[2] / names.len() as f64;
    println!("  {:.0} flags per second", 1e9 / per_flag);
    bars.at_most("local_path.load_ns_per_flag.100000", per_flag, 1_000.0);
}

/// Writes a flag, and returns the microseconds that it took.
fn write(snapshot: &Snapshot, name: &str) -> f64 {
    let record = flags::record(flags::plain(name));
    let start = Instant::now();
    snapshot.edit(|edit| edit.put(record));
    start.elapsed().as_secs_f64() * 1e6
}

/// Times in microseconds, sorted.
struct Micros(Vec<f64>);

impl FromIterator<f64> for Micros {
    fn from_iter<I: IntoIterator<Item = f64>>(micros: I) -> Self {
        let mut micros: Vec<f64> = micros.into_iter().collect();
        micros.sort_unstable_by(f64::total_cmp);
        Self(micros)
    }
}

impl Micros {
    fn at(&self, share: f64) -> f64 {
        self.0[(self.0.len() as f64 * share) as usize]
    }

    fn slowest(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// Prints a line, and returns the 99th percentile.
    fn print(&self, what: &str) -> f64 {
        let (p50, p99, p99_9) = (self.at(0.5), self.at(0.99), self.at(0.999));
        println!(
            "  {what}: median {p50:.1} us, p99 {p99:.1}, p99.9 {p99_9:.1}, slowest {:.1}",
            self.slowest()
        );
        p99
    }
}
