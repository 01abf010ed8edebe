//! The Redis store against the driver alone: reads, listings, and how soon a change by somebody else is told.
//!
//! The server runs on this machine. What is bare does what no client can do without: it asks, and parses the same bytes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::similar_names, unreachable_pub, reason = "a benchmark")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use flipper_bench::{Bars, Race, record};
use flipper_core::{BoxStream, Change, Flag, FlagName, Listed, Page, Store};
use flipper_redis::redis::aio::MultiplexedConnection;
use flipper_redis::{RedisStore, redis};
use flipper_testkit::RedisServer;
use futures_lite::StreamExt;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let mut bars = Bars::new();
    let server = RedisServer::start(&[]);
    let runtime = Runtime::new().unwrap();
    let bench = Bench { server, runtime };
    bench.get(&mut bars);
    bench.list(100_000, &mut bars);
    bench.seen(&mut bars);
    bars.finish()
}

struct Bench {
    server: RedisServer,
    runtime: Runtime,
}

fn parse(key: &[u8], bytes: &[u8]) -> Flag {
    let name = std::str::from_utf8(&key["features/".len()..]).unwrap();
    Flag::read(FlagName::new(name).unwrap(), bytes).unwrap()
}

async fn bare_get(mut connection: MultiplexedConnection, key: &str) -> bool {
    let bytes: Vec<u8> = redis::cmd("GET").arg(key).query_async(&mut connection).await.unwrap();
    parse(key.as_bytes(), &bytes).is_switched_on()
}

async fn our_get(store: &RedisStore, name: &str) -> bool {
    store.get(FlagName::new(name).unwrap()).await.unwrap().unwrap().value.is_switched_on()
}

impl Bench {
    /// The driver's connection, with a time limit as ours has one.
    async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(format!("{}/?protocol=resp3", self.server.url())).unwrap();
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(2)));
        client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
    }

    async fn set(&self, connection: &MultiplexedConnection, key: &str, flag: &Flag) {
        let mut connection = connection.clone();
        let () = redis::cmd("SET").arg(key).arg(flag.as_json()).query_async(&mut connection).await.unwrap();
    }

    fn get(&self, bars: &mut Bars) {
        let (connection, store) = self.runtime.block_on(async {
            let connection = self.connection().await;
            for number in 0..64 {
                let name = format!("flag-number-{number}");
                self.set(&connection, &format!("features/{name}"), &record(&name, true)).await;
            }
            (connection, RedisStore::connect(&self.server.url()).await.unwrap())
        });
        println!("one flag after the other");
        let key = "features/flag-number-7";
        let ns = Race::new()
            .more_rounds(3)
            .subject("GET, parse", || self.runtime.block_on(bare_get(connection.clone(), key)))
            .subject("get", || self.runtime.block_on(our_get(&store, "flag-number-7")))
            .run();
        bars.at_most("redis.get", ns[1] / ns[0], 1.15);

        println!("64 flags at once, on one connection");
        let names: Vec<String> = (0..64).map(|number| format!("flag-number-{number}")).collect();
        let keys: Vec<String> = names.iter().map(|name| format!("features/{name}")).collect();
        let ns = Race::new()
            .more_rounds(3)
            .subject("64 times GET, parse", || {
                let gets = keys.iter().map(|key| bare_get(connection.clone(), key));
                self.runtime.block_on(futures_util::future::join_all(gets)).len()
            })
            .subject("64 times get", || {
                let gets = names.iter().map(|name| our_get(&store, name));
                self.runtime.block_on(futures_util::future::join_all(gets)).len()
            })
            .run();
        bars.at_least("redis.get_64", ns[0] / ns[1], 0.8);
    }

    fn list(&self, count: usize, bars: &mut Bars) {
        println!("a listing of {count} flags");
        let names = flipper_bench::names(count);
        let (connection, store) = self.runtime.block_on(async {
            let mut connection = self.connection().await;
            let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
            for names in names.chunks(1_000) {
                let mut sets = redis::pipe();
                for name in names {
                    sets.set(format!("features/{name}"), record(name, true).as_json()).ignore();
                }
                let () = sets.query_async(&mut connection).await.unwrap();
            }
            let builder = RedisStore::builder(&self.server.url()).timeout(Duration::from_secs(10));
            (connection, builder.connect().await.unwrap())
        });
        let mut race = Race::new();
        for batch in [100, 500, 1_000, 2_000, 5_000, 10_000] {
            let name: &'static str = format!("SCAN and MGET of {batch}, parse").leak();
            let connection = connection.clone();
            race = race.subject(name, move || {
                let listed = self.runtime.block_on(bare_list(connection.clone(), batch));
                assert_eq!(listed, count);
            });
        }
        let ns = race
            .subject("list", || {
                let listed = self.runtime.block_on(async {
                    let (mut listing, mut flags) = (store.list(Page::ALL), Vec::new());
                    while let Some(item) = listing.next().await {
                        let Ok(Listed::Flag(found)) = item else { panic!("{item:?}") };
                        flags.push(found.value);
                    }
                    flags.len()
                });
                assert_eq!(listed, count);
            })
            .run();
        let (bare, ours) = ns.split_at(ns.len() - 1);
        let best = bare.iter().copied().fold(f64::INFINITY, f64::min);
        bars.at_most(&format!("redis.list.{count}"), ours[0] / best, 1.3);
        let mut connection = connection;
        let () = self
            .runtime
            .block_on(async { redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap() });
    }

    /// From a `SET` by somebody else until its new state is there: told by the store, or got after the bare notice.
    fn seen(&self, bars: &mut Bars) {
        println!("a change by somebody else");
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        self.runtime.block_on(async {
            let somebody = self.connection().await;
            let store = RedisStore::builder(&self.server.url()).base_key("ours").connect().await.unwrap();
            let mut changes = store.watch().unwrap();
            assert!(matches!(changes.next().await, Some(Change::Resync { .. })));
            let (sender, mut notices) = tokio::sync::mpsc::unbounded_channel();
            let client = redis::Client::open(format!("{}/?protocol=resp3", self.server.url())).unwrap();
            let config = redis::AsyncConnectionConfig::new()
                .set_response_timeout(Some(Duration::from_secs(2)))
                .set_push_sender(sender);
            let mut tracking = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
            let mut track = redis::cmd("CLIENT");
            track.arg(&["TRACKING", "ON", "BCAST", "PREFIX", "features/"]);
            let () = track.query_async(&mut tracking).await.unwrap();
            for round in 0..4_000 {
                let flag = record("X", round % 2 == 0);
                let start = Instant::now();
                self.set(&somebody, "features/X", &flag).await;
                let _: redis::PushInfo = notices.recv().await.unwrap();
                let is_on = bare_get(tracking.clone(), "features/X").await;
                assert_eq!(is_on, flag.is_switched_on());
                bare.push(start.elapsed().as_secs_f64() * 1e6);

                let start = Instant::now();
                self.set(&somebody, "ours/X", &flag).await;
                told(&mut changes, &flag).await;
                ours.push(start.elapsed().as_secs_f64() * 1e6);
            }
        });
        let median = |times: &mut Vec<f64>| {
            times.sort_unstable_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let (bare, ours) = (median(&mut bare), median(&mut ours));
        println!("  SET, notice, GET, parse: median {bare:.1} us; SET, change: median {ours:.1} us");
        bars.at_most("redis.seen", ours / bare, 1.3);
    }
}

async fn told(changes: &mut BoxStream<'static, Change>, flag: &Flag) {
    let Some(Change::Put(found)) = changes.next().await else { panic!("the watch goes on") };
    assert_eq!(found.value.is_switched_on(), flag.is_switched_on());
}

/// Lists all flags by so many at once, one step after the other.
async fn bare_list(mut connection: MultiplexedConnection, batch: usize) -> usize {
    let (mut cursor, mut flags) = (0_u64, Vec::new());
    let mut unread: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg("features/*").arg("COUNT").arg(batch);
        let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(&mut connection).await.unwrap();
        cursor = next;
        unread.extend(keys);
        if !unread.is_empty() {
            let mut mget = redis::cmd("MGET");
            mget.arg(&unread);
            let records: Vec<Vec<u8>> = mget.query_async(&mut connection).await.unwrap();
            flags.extend(unread.drain(..).zip(records).map(|(key, record)| parse(&key, &record)));
        }
        if cursor == 0 {
            return flags.len();
        }
    }
}
