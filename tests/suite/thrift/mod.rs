//! The Thrift store and the Thrift server: before one another, with flipper-client at the other end, and in bad weather.

mod limits;
mod other_servers;
mod outages;
mod parts;
mod python;
mod python_server;
mod server;
mod storm;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flipper_core::{FeatureFlagClient, Store};
use flipper_memory::MemoryStore;
use flipper_thrift::{RunningThriftServer, ThriftServer, ThriftStore, ThriftStoreBuilder};

pub(crate) use python_server::PythonServer;

/// A server that listens on a free port.
fn server_of(client: &FeatureFlagClient) -> ThriftServer {
    ThriftServer::new(client.clone()).address("127.0.0.1:0")
}

async fn start(server: ThriftServer) -> RunningThriftServer {
    server.start().await.unwrap()
}

/// A server on memory, and the client that is behind it.
async fn on_memory() -> (RunningThriftServer, FeatureFlagClient) {
    let client = FeatureFlagClient::new(MemoryStore::new());
    (start(server_of(&client)).await, client)
}

fn builder(address: impl fmt::Display) -> ThriftStoreBuilder {
    ThriftStore::builder(&format!("{address}"))
}

/// One that finds out soon that nothing gets through.
fn hasty(address: impl fmt::Display) -> ThriftStoreBuilder {
    builder(address).timeout(Duration::from_millis(500)).connect_timeout(Duration::from_millis(500))
}

async fn client(address: impl fmt::Display) -> FeatureFlagClient {
    FeatureFlagClient::new(builder(address).connect().await.unwrap())
}

/// The record of a flag.
async fn record(store: &Arc<dyn Store>, name: &str) -> Option<String> {
    let found = store.get(crate::records::name(name)).await.unwrap();
    found.map(|found| found.value.as_json().to_owned())
}
