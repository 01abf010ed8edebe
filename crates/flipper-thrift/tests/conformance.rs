//! The store keeps the contract before this crate's own server: buffered on memory, framed on Redis, where records can be spoilt.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use flipper_core::FeatureFlagClient;
use flipper_memory::MemoryStore;
use flipper_redis::{RedisStore, redis};
use flipper_testkit::{Proxy, RedisServer, Subject, Weather, With, store_conformance};
use flipper_thrift::{RunningThriftServer, ThriftServer, ThriftStore};

/// A store behind a proxy of its own, before a server that others may share.
type Placed = With<ThriftStore, Place>;

#[derive(Debug)]
struct Place {
    server: Arc<RunningThriftServer>,
    is_framed: bool,
    base_key: String,
    proxy: Proxy,
}

async fn store_at(server: Arc<RunningThriftServer>, is_framed: bool, base_key: String) -> Placed {
    let proxy = Proxy::start(server.local_address()).await.unwrap();
    let builder = ThriftStore::builder(&proxy.address().to_string());
    let builder = if is_framed { builder.framed() } else { builder };
    let builder = builder.poll_interval(Duration::from_millis(20)).connections(32);
    let store = builder.connect().await.unwrap();
    With::new(store, Place { server, is_framed, base_key, proxy })
}

async fn serve(client: FeatureFlagClient) -> Arc<RunningThriftServer> {
    Arc::new(ThriftServer::new(client).address("127.0.0.1:0").start().await.unwrap())
}

async fn on_memory() -> Placed {
    let server = serve(FeatureFlagClient::new(MemoryStore::new())).await;
    store_at(server, false, String::new()).await
}

fn redis_server() -> &'static RedisServer {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    SERVER.get_or_init(|| RedisServer::start(&[]))
}

async fn on_redis() -> Placed {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let base_key = format!("suite-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let flags = RedisStore::builder(&redis_server().url()).base_key(&base_key).connect().await.unwrap();
    store_at(serve(FeatureFlagClient::new(flags)).await, true, base_key).await
}

fn subject(store: Subject<Placed>) -> Subject<Placed> {
    store
        .with_sibling(|store| async move {
            let place = store.companion();
            let base_key = place.base_key.clone();
            Arc::new(store_at(Arc::clone(&place.server), place.is_framed, base_key).await)
        })
        .with_outage(|store| async move {
            store.companion().proxy.set(Weather::HangUp);
            store.companion().proxy.cut();
        })
}

fn with_plant(store: Subject<Placed>) -> Subject<Placed> {
    subject(store).with_plant(|store, name, bytes| async move {
        let client = redis::Client::open(redis_server().url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let key = format!("{}/{name}", store.companion().base_key);
        let () = redis::cmd("SET").arg(key).arg(bytes).query_async(&mut connection).await.unwrap();
    })
}

store_conformance!(thrift_on_memory, subject(Subject::new(on_memory)), absent = 5);
store_conformance!(thrift_on_redis, with_plant(Subject::new(on_redis)), absent = 2);
