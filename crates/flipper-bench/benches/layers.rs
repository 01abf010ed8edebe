//! The mirror against what it wraps and what it is made of: reads, loads, and how soon a change by somebody else is an answer.
//!
//! The server runs on this machine. What is bare does what no client can do without.

#![allow(clippy::unwrap_used, clippy::panic, clippy::similar_names, unreachable_pub, reason = "a benchmark")]
#![allow(clippy::borrowed_box, reason = "a thin pointer, which costs nothing to keep from the optimiser")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use flipper_bench::{Bars, Race, Shuffled, median, percentile, record, rounds};
use flipper_core::{
    Context, FeatureFlagClient, Flag, FlagName, Freshness, Listed, LocalClient, Page, Snapshot, Store,
};
use flipper_memory::MemoryStore;
use flipper_mirror::MirrorStore;
use flipper_redis::{RedisStore, redis};
use flipper_testkit::RedisServer;
use futures_lite::StreamExt;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let mut bars = Bars::new();
    let runtime = Runtime::new().unwrap();
    let server = RedisServer::start(&[]);
    reads(&runtime, &mut bars);
    runtime.block_on(load(&server, 100_000, &mut bars));
    runtime.block_on(seen(&server, &mut bars));
    bars.finish()
}

async fn filled<S: Store>(store: S, names: &[Box<str>]) -> LocalClient {
    let client = FeatureFlagClient::new(store);
    for name in names {
        client.create(name).await.unwrap().enable().await.unwrap();
    }
    client.local().unwrap()
}

fn reads(runtime: &Runtime, bars: &mut Bars) {
    for count in [1_000, 100_000] {
        println!("checks of {count} flags");
        let names = flipper_bench::names(count);
        let (memory, mirror) = runtime.block_on(async {
            let mirror = MirrorStore::start(MemoryStore::new()).await.unwrap();
            (filled(MemoryStore::new(), &names).await, filled(mirror, &names).await)
        });
        let (mut first, mut second) = (Shuffled::new(&names), Shuffled::new(&names));
        let ns = Race::new()
            .over(count.min(1_000))
            .more_rounds(2)
            .subject("memory store", || memory.is_enabled(first.pick(), &Context::EMPTY))
            .subject("mirror", || mirror.is_enabled(second.pick(), &Context::EMPTY))
            .run();
        bars.at_most(&format!("layers.mirror_reads.{count}"), ns[1] / ns[0], 1.1);
    }
}

async fn build(store: RedisStore) -> Snapshot {
    let (mut listing, mut flags) = (store.list(Page::ALL), Vec::new());
    while let Some(item) = listing.next().await {
        let Ok(Listed::Flag(found)) = item else { panic!("{item:?}") };
        flags.push(found);
    }
    let snapshot = Snapshot::new(Freshness::Live);
    snapshot.edit(|edit| edit.replace_all(flags));
    snapshot
}

async fn load(server: &RedisServer, count: usize, bars: &mut Bars) {
    println!("a load of {count} flags from Redis");
    let names = flipper_bench::names(count);
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for names in names.chunks(1_000) {
        let mut sets = redis::pipe();
        for name in names {
            sets.set(format!("features/{name}"), record(name, true).as_json()).ignore();
        }
        let () = sets.query_async(&mut connection).await.unwrap();
    }
    let store =
        async || RedisStore::builder(&server.url()).timeout(Duration::from_secs(10)).connect().await.unwrap();
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..rounds().min(20) {
        let inner = store().await;
        let start = Instant::now();
        // In a task, as the mirror's load is.
        let snapshot = tokio::spawn(build(inner)).await.unwrap();
        bare.push(start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(snapshot.len(), count);
        drop(black_box(snapshot));

        let inner = store().await;
        let start = Instant::now();
        let mirror = MirrorStore::start(inner).await.unwrap();
        ours.push(start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(mirror.snapshot().unwrap().len(), count);
        // Here and now, so that it does not go on beside the next round.
        mirror.close().await.unwrap();
    }
    let (bare, ours) = (median(bare), median(ours));
    println!("  list, build: median {bare:.0} ms; start: median {ours:.0} ms");
    bars.at_most(&format!("layers.load.{count}"), ours / bare, 1.3);
    let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
}

/// From a `SET` by somebody else until its new state is there: in the answers of the mirror, or got after the bare notice.
async fn seen(server: &RedisServer, bars: &mut Bars) {
    println!("a change by somebody else");
    let client = redis::Client::open(format!("{}/?protocol=resp3", server.url())).unwrap();
    let mut somebody = client.get_multiplexed_async_connection().await.unwrap();
    let mut set = async |key: &str, flag: &Flag| {
        let () = redis::cmd("SET").arg(key).arg(flag.as_json()).query_async(&mut somebody).await.unwrap();
    };
    set("ours/X", &record("X", true)).await;
    let inner = RedisStore::builder(&server.url()).base_key("ours").connect().await.unwrap();
    let mirror = MirrorStore::start(inner).await.unwrap();
    let mut changes = mirror.watch().unwrap();
    let local = FeatureFlagClient::new(mirror).local().unwrap();
    let (sender, mut notices) = tokio::sync::mpsc::unbounded_channel();
    let config = redis::AsyncConnectionConfig::new()
        .set_response_timeout(Some(Duration::from_secs(2)))
        .set_push_sender(sender);
    let mut tracking = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    let mut track = redis::cmd("CLIENT");
    track.arg(&["TRACKING", "ON", "BCAST", "PREFIX", "features/"]);
    let () = track.query_async(&mut tracking).await.unwrap();
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for round in 0..100 * rounds() {
        let flag = record("X", round % 2 == 0);
        let start = Instant::now();
        set("features/X", &flag).await;
        let _: redis::PushInfo = notices.recv().await.unwrap();
        let bytes: Vec<u8> = redis::cmd("GET").arg("features/X").query_async(&mut tracking).await.unwrap();
        let read = Flag::read(FlagName::new("X").unwrap(), &bytes).unwrap();
        assert_eq!(read.is_switched_on(), flag.is_switched_on());
        bare.push(start.elapsed().as_secs_f64() * 1e6);

        let start = Instant::now();
        set("ours/X", &flag).await;
        while local.is_enabled("X", &Context::EMPTY) != flag.is_switched_on() {
            changes.next().await.unwrap();
        }
        ours.push(start.elapsed().as_secs_f64() * 1e6);
    }
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let (bare, ours) = (percentile(&mut bare, share), percentile(&mut ours, share));
        println!("  {name}: SET, notice, GET, parse {bare:.1} us; SET, changed answer {ours:.1} us");
        bars.at_most(&format!("layers.seen.{name}"), ours / bare, 1.3);
    }
}
