//! The suite, before somebody else's server.
//!
//! `FLIPPER_THRIFT_SERVER=host:9090 cargo test -p flipper-tests other_servers::yours` runs it on a server of yours, which
//! `FLIPPER_THRIFT_TRANSPORT=framed` says is framed. `capability-absent: …` tells what it lacks, and `FLIPPER_THRIFT_ABSENT` how many behaviours may
//! be left out for that: 10 unless told, which is as a server of the published service has it; one with the additions has 5. Unless told, the server is one
//! in Python. Flags that it has are left alone: those of the tests have names of their own, which begin with `flipper-suite-`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use flipper_testkit::{Proxy, Subject, Weather, With, store_conformance};
use flipper_thrift::ThriftStore;

use super::PythonServer;

type Placed = With<ThriftStore, Place>;

/// Where a server is, and its transport.
type Server = (SocketAddr, String);

#[derive(Debug)]
struct Place {
    server: Server,
    prefix: String,
    proxy: Proxy,
}

/// The server that is to be proven.
fn yours() -> Server {
    static OURS: OnceLock<PythonServer> = OnceLock::new();
    let transport = std::env::var("FLIPPER_THRIFT_TRANSPORT").unwrap_or_else(|_| "buffered".to_owned());
    let address = match std::env::var("FLIPPER_THRIFT_SERVER") {
        Ok(address) => address.to_socket_addrs().unwrap().next().expect("an address"),
        Err(_) => OURS.get_or_init(|| PythonServer::parts(&transport)).address(),
    };
    (address, transport)
}

/// One that has the additions, in Python.
fn with_additions() -> Server {
    static SERVER: OnceLock<PythonServer> = OnceLock::new();
    (SERVER.get_or_init(|| PythonServer::records("framed")).address(), "framed".to_owned())
}

/// How many behaviours may be left out.
fn absent() -> usize {
    std::env::var("FLIPPER_THRIFT_ABSENT").map_or(10, |count| count.parse().expect("a number"))
}

async fn store_at(server: Server, prefix: String) -> Placed {
    let (address, transport) = &server;
    let proxy = Proxy::start(*address).await.unwrap();
    let store = ThriftStore::builder(&format!("{}?transport={transport}", proxy.address()))
        .prefix(&prefix)
        .poll_interval(Duration::from_millis(50))
        .timeout(Duration::from_secs(20))
        .connect()
        .await
        .unwrap();
    With::new(store, Place { server, prefix, proxy })
}

async fn store(server: Server) -> Placed {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    store_at(server, format!("flipper-suite-{}-{number}/", std::process::id())).await
}

fn subject(server: fn() -> Server) -> Subject<Placed> {
    Subject::new(move || store(server()))
        .with_sibling(|store| async move {
            let place = store.companion();
            Arc::new(store_at(place.server.clone(), place.prefix.clone()).await)
        })
        .with_outage(|store| async move {
            store.companion().proxy.set(Weather::HangUp);
            store.companion().proxy.cut();
        })
}

store_conformance!(yours, subject(yours), absent = absent());
store_conformance!(additions, subject(with_additions), absent = 5);
