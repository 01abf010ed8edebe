//! Readers against writers: whatever they do at the same time, each reader sees states that there were, whole, and in
//! order. It takes `FLIPPER_STRESS_SECONDS`, 60 unless told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod reader;
mod world;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reader::Reader;
use world::World;

/// More threads than there are processors, so that each is stopped anywhere.
const READERS: u64 = 6;
const WRITERS: u64 = 2;

fn duration() -> Duration {
    let seconds = std::env::var("FLIPPER_STRESS_SECONDS").ok();
    Duration::from_secs(seconds.map_or(60, |seconds| seconds.parse().expect("a number of seconds")))
}

#[test]
fn readers_see_whole_states_in_order() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let world = World::new();
    let until = Instant::now() + duration();
    let is_over = || Instant::now() >= until || world.has_failed.load(Ordering::Relaxed);
    let reads: u64 = std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let mut random = fastrand::Rng::with_seed(seed ^ (100 + writer));
            let (world, is_over) = (&world, &is_over);
            scope.spawn(move || {
                while !is_over() {
                    (0..random.u32(1..30)).for_each(|_| world.write(&mut random));
                    // Now and then there is time to read something twice.
                    match random.u8(..3) {
                        0 => std::thread::yield_now(),
                        1 => std::thread::sleep(Duration::from_micros(random.u64(..200))),
                        _ => {}
                    }
                }
            });
        }
        let readers: Vec<_> = (0..READERS)
            .map(|reader| {
                let random = fastrand::Rng::with_seed(seed ^ reader);
                let (world, is_over) = (&world, &is_over);
                scope.spawn(move || {
                    // What a thread has seen counts in its successor too: threads end in mid-traffic.
                    let (mut reads, mut random) = (0, random);
                    while !is_over() {
                        let mut reader = Reader::new(world, random.fork());
                        let steps = random.u64(1..50_000);
                        let run = scope.spawn(move || {
                            let _tells = world::TellsOfPanics(world);
                            (0..steps).for_each(|_| reader.step());
                        });
                        if run.join().is_err() {
                            break;
                        }
                        reads += steps;
                    }
                    reads
                })
            })
            .collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).sum()
    });
    let writes = world.last();
    println!("{writes} writes, {reads} reads");
    assert!(!world.has_failed.into_inner(), "a reader has seen what there never was: see above");
    assert!(writes > 100 && reads > 100, "{writes} writes and {reads} reads prove nothing");
}
