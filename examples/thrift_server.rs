//! Serves flags to whoever speaks Thrift: Python's flipper-client, `cargo run --example thrift_client`, and others.
//!
//! ```sh
//! cargo run --example thrift_server                # in memory
//! cargo run --example thrift_server flags.json     # in a file, which outlives this
//! ```
//!
//! Listens on `127.0.0.1:9090`, or where `THRIFT_ADDRESS` says, until it is interrupted.

use std::time::Duration;

use flipper::events::{EventType, Phase};
use flipper::{FeatureFlagClient, FileStore, MemoryStore, ThriftServer};

#[tokio::main]
async fn main() -> flipper::Result<()> {
    let client = match std::env::args().nth(1) {
        Some(path) => FeatureFlagClient::new(FileStore::open(path)?),
        None => FeatureFlagClient::new(MemoryStore::new()),
    };
    // Whatever a peer changes goes through this client. An audit log would be written here; an error instead of a print would be
    // a veto.
    for event_type in EventType::ALL.iter().filter(|event_type| event_type.phase() == Phase::After) {
        client.events().on(*event_type, |event| {
            let actor = event.actor.unwrap_or("somebody");
            println!("{}: {} by {actor}", event.flag, event.event_type());
        });
    }
    let address = std::env::var("THRIFT_ADDRESS").unwrap_or_else(|_| "127.0.0.1:9090".to_owned());
    let server = ThriftServer::new(client.clone()).address(address).start().await?;
    println!("serving flags at {}", server.local_address());

    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("interrupts cannot be waited for: {error}");
    }
    let cut = server.shutdown(Duration::from_secs(5)).await;
    println!("{cut} connections were cut");
    client.close().await
}
