//! Gates in the servers that they are for, with real requests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod contract;
mod in_axum;
mod in_hyper;
mod in_tonic;
mod outages;

use std::net::SocketAddr;

use flipper_core::FeatureFlagClient;
use flipper_memory::MemoryStore;
use flipper_redis::RedisStore;
use flipper_testkit::{RedisServer, With};
use reqwest::redirect::Policy;
use tokio::net::TcpListener;

/// A client of each kind: one whose flags are in memory, and one that has to ask a server.
async fn clients() -> [FeatureFlagClient; 2] {
    let server = RedisServer::start(&[]);
    let redis = RedisStore::connect(&server.url()).await.unwrap();
    let clients = [
        FeatureFlagClient::new(MemoryStore::new()),
        FeatureFlagClient::new(With::new(redis, std::sync::Mutex::new(server))),
    ];
    assert!(clients[0].local().is_ok() && clients[1].local().is_err());
    clients
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An HTTP client that shows redirects in the place of following them.
fn http() -> reqwest::Client {
    // In a build of the whole workspace it can encrypt, for which it wants a provider, whether it does or not.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(Policy::none()).no_proxy().build().unwrap()
}
