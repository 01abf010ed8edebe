//! `Get` of a flag of 400 bytes: our server against the `thrift` crate's, and our store against the client that Thrift's compiler makes.
//!
//! Everything runs on this machine. The servers are asked by generated clients, each in a thread of its own; the crate's server answers with
//! an item that was made before. Rounds alternate between the two that are compared, and the medians count.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "a benchmark")]

#[allow(warnings, clippy::all, clippy::pedantic)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/feature_flag_store_included.rs"));
}

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flipper_bench::{Bars, median};
use flipper_core::{Expect, FeatureFlagClient, Flag, FlagName, Store, Timestamp};
use flipper_memory::MemoryStore;
use flipper_thrift::{ThriftServer, ThriftStore};
use generated::{
    Description, Expectation, FeatureFlagStoreItem, FeatureFlagStoreMeta, FeatureFlagStoreSyncClient,
    FeatureFlagStoreSyncHandler, FeatureFlagStoreSyncProcessor, TFeatureFlagStoreSyncClient,
};
use thrift::protocol::{
    TBinaryInputProtocol, TBinaryInputProtocolFactory, TBinaryOutputProtocol, TBinaryOutputProtocolFactory,
};
use thrift::server::TServer;
use thrift::transport::{
    TBufferedReadTransport, TBufferedReadTransportFactory, TBufferedWriteTransport,
    TBufferedWriteTransportFactory, TIoChannel, TTcpChannel,
};

const ROUNDS: usize = 9;
const TURN: Duration = Duration::from_millis(300);
const NAME: &str = "CHECKOUT";

fn main() -> ExitCode {
    let mut bars = Bars::new();
    // As in another process: nothing is passed on within one runtime.
    let (runtime, serving) =
        (tokio::runtime::Runtime::new().unwrap(), tokio::runtime::Runtime::new().unwrap());
    let flag = flag();
    let flags = FeatureFlagClient::new(MemoryStore::new());
    runtime.block_on(flags.put(&flag, Expect::Any)).unwrap();
    let server = ThriftServer::new(flags).address("127.0.0.1:0");
    let server = serving.block_on(server.start()).unwrap();
    let (ours, theirs) = (server.local_address(), serve(item(&flag)));
    for connections in [1, 8, 64] {
        let ratio = alternate(
            &format!("server, {connections} connections"),
            || blocking(ours, connections),
            || blocking(theirs, connections),
        );
        bars.at_least(&format!("thrift.server.{connections}"), ratio, 0.9);
    }
    for connections in [1, 8, 64] {
        let store = ThriftStore::builder(&ours.to_string()).connections(connections);
        let store = Arc::new(runtime.block_on(store.connect()).unwrap());
        let ratio = alternate(
            &format!("client, {connections} connections"),
            || runtime.block_on(through(&store, connections)),
            || blocking(ours, connections),
        );
        bars.at_least(&format!("thrift.client.{connections}"), ratio, 0.8);
    }
    bars.finish()
}

/// Calls per second of the first, as a ratio to the second.
fn alternate(what: &str, mut first: impl FnMut() -> f64, mut second: impl FnMut() -> f64) -> f64 {
    let (mut firsts, mut seconds, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // What is warmed up does not count.
    (first(), second());
    for _ in 0..ROUNDS {
        let (first, second) = (first(), second());
        firsts.push(first);
        seconds.push(second);
        ratios.push(first / second);
    }
    println!("  {what:<28} {:>8.0} calls/s, against {:>8.0}", median(firsts), median(seconds));
    median(ratios)
}

/// A flag whose record has about 400 bytes.
fn flag() -> Flag {
    let mut flag = Flag::new(FlagName::new(NAME).unwrap(), Timestamp::from_secs(1_700_000_000));
    flag.set_enabled(true).unwrap();
    let condition = flipper_core::Condition::builder().eq("is_admin", true).gt("age", 18).build().unwrap();
    flag.add_condition(&condition).unwrap();
    let note = "who owns it, and when it may go";
    flag.merge_client_data([("owner", "horses@example.org"), ("about", note)]).unwrap();
    assert!((350..450).contains(&flag.as_json().len()), "{}", flag.as_json().len());
    flag
}

/// What a server of the published service answers.
fn item(flag: &Flag) -> FeatureFlagStoreItem {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let flags = FeatureFlagClient::new(MemoryStore::new());
    runtime.block_on(flags.put(flag, Expect::Any)).unwrap();
    let server = runtime.block_on(ThriftServer::new(flags).address("127.0.0.1:0").start()).unwrap();
    client(server.local_address()).get(NAME.to_owned(), false).unwrap()
}

type Client = FeatureFlagStoreSyncClient<
    TBinaryInputProtocol<TBufferedReadTransport<thrift::transport::ReadHalf<TTcpChannel>>>,
    TBinaryOutputProtocol<TBufferedWriteTransport<thrift::transport::WriteHalf<TTcpChannel>>>,
>;

/// A generated client.
fn client(address: SocketAddr) -> Client {
    let stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let (read, write) = TTcpChannel::with_stream(stream).split().unwrap();
    FeatureFlagStoreSyncClient::new(
        TBinaryInputProtocol::new(TBufferedReadTransport::new(read), true),
        TBinaryOutputProtocol::new(TBufferedWriteTransport::new(write), true),
    )
}

/// Calls per second of so many generated clients, each in a thread.
fn blocking(address: SocketAddr, connections: usize) -> f64 {
    let (is_over, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let (mut client, mut count) = (client(address), 0);
                while !is_over.load(Ordering::Relaxed) {
                    assert!(client.get(NAME.to_owned(), false).unwrap().is_enabled.unwrap());
                    count += 1;
                }
                calls.fetch_add(count, Ordering::Relaxed);
            });
        }
        std::thread::sleep(TURN);
        is_over.store(true, Ordering::Relaxed);
    });
    calls.into_inner() as f64 / TURN.as_secs_f64()
}

/// Calls per second through the store, by so many tasks.
async fn through(store: &Arc<ThriftStore>, connections: usize) -> f64 {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let (name, mut count) = (FlagName::new(NAME).unwrap(), 0_u64);
            while began.elapsed() < TURN {
                assert!(store.get(name).await.unwrap().unwrap().value.is_switched_on());
                count += 1;
            }
            count
        });
    }
    let calls: u64 = tasks.join_all().await.into_iter().sum();
    calls as f64 / TURN.as_secs_f64()
}

/// The crate's server, which answers with what was made before.
fn serve(item: FeatureFlagStoreItem) -> SocketAddr {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    std::thread::spawn(move || {
        let mut server = TServer::new(
            TBufferedReadTransportFactory::new(),
            TBinaryInputProtocolFactory::new(),
            TBufferedWriteTransportFactory::new(),
            TBinaryOutputProtocolFactory::new(),
            FeatureFlagStoreSyncProcessor::new(Prebuilt(item)),
            80,
        );
        server.listen(address).unwrap();
    });
    while std::net::TcpStream::connect(address).is_err() {
        std::thread::sleep(Duration::from_millis(10));
    }
    address
}

struct Prebuilt(FeatureFlagStoreItem);

fn unused<T>() -> thrift::Result<T> {
    panic!("the benchmark only reads")
}

impl FeatureFlagStoreSyncHandler for Prebuilt {
    fn handle_create(&self, _: String, _: bool, _: String) -> thrift::Result<FeatureFlagStoreItem> {
        unused()
    }

    fn handle_get(&self, _: String, _: bool) -> thrift::Result<FeatureFlagStoreItem> {
        Ok(self.0.clone())
    }

    fn handle_set(&self, _: String, _: bool) -> thrift::Result<()> {
        unused()
    }

    fn handle_delete(&self, _: String) -> thrift::Result<()> {
        unused()
    }

    fn handle_list(&self, _: i64, _: i64, _: bool) -> thrift::Result<Vec<FeatureFlagStoreItem>> {
        unused()
    }

    fn handle_set_meta(&self, _: String, _: FeatureFlagStoreMeta) -> thrift::Result<()> {
        unused()
    }

    fn handle_put(&self, _: String, _: Vec<u8>, _: Expectation) -> thrift::Result<Vec<u8>> {
        unused()
    }

    fn handle_remove(&self, _: String, _: Expectation) -> thrift::Result<bool> {
        unused()
    }

    fn handle_describe(&self) -> thrift::Result<Description> {
        unused()
    }
}
