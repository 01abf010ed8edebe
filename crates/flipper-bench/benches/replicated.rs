//! What a write to Redis costs with replicas that are told in the background: one in memory, one in a file, one in the same Redis.
//!
//! Rounds of bare and of replicated writes alternate. What the replicas have yet to be told is told between them, and not timed.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "a benchmark")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use flipper_bench::{Bars, median, percentile, record};
use flipper_core::{Expect, Flag, Store};
use flipper_file::FileStore;
use flipper_memory::MemoryStore;
use flipper_redis::RedisStore;
use flipper_replicated::ReplicatedStore;
use flipper_testkit::RedisServer;

const WRITES: usize = 10_000;
const ROUNDS: usize = 15;

fn main() -> ExitCode {
    let mut bars = Bars::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = RedisServer::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let connect = |base_key: &str| {
        runtime.block_on(RedisStore::builder(&server.url()).base_key(base_key).connect()).unwrap()
    };
    let plain = connect("bare");
    let store = {
        let _runtime = runtime.enter();
        ReplicatedStore::builder(connect("primary"))
            .replica("memory", MemoryStore::new())
            .replica("file", FileStore::open(directory.path().join("flags.json")).unwrap())
            .replica("redis", connect("copy"))
            .start()
            .unwrap()
    };
    let flags = flags();
    let (mut plain_times, mut replicated, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let of_bare = runtime.block_on(write(&plain, &flags));
        let of_replicated = runtime.block_on(write(&store, &flags));
        assert!(runtime.block_on(store.flush(Duration::from_secs(10))).is_empty());
        // What is warmed up does not count.
        if round > 0 {
            ratios.push(median(of_replicated.clone()) / median(of_bare.clone()));
            plain_times.extend(of_bare);
            replicated.extend(of_replicated);
        }
    }
    for (what, times) in [("bare", &mut plain_times), ("replicated", &mut replicated)] {
        let (p50, p99) = (percentile(times, 0.5), percentile(times, 0.99));
        println!("  write, {what:<12} p50 {:>7.1} us   p99 {:>7.1} us", p50 * 1e6, p99 * 1e6);
    }
    bars.at_most("replicated.write", median(ratios), 1.10);
    runtime.block_on(async { store.close().await }).unwrap();
    bars.finish()
}

/// A hundred flags.
fn flags() -> Vec<Flag> {
    (0..100).map(|number| record(&format!("FLAG-{number}"), true)).collect()
}

/// How long each write takes, in seconds.
async fn write(store: &impl Store, flags: &[Flag]) -> Vec<f64> {
    let mut times = Vec::with_capacity(WRITES);
    for number in 0..WRITES {
        // Another state each time.
        let mut flag = flags[number % flags.len()].clone();
        flag.merge_client_data([("number", number as i64)]).unwrap();
        let began = Instant::now();
        store.put(&flag, Expect::Any).await.unwrap();
        times.push(began.elapsed().as_secs_f64());
    }
    times
}
