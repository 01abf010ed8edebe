//! The store keeps the contract on a real server: when it is told of changes, when it polls, without scripts, and on a connection
//! of the caller.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use flipper_redis::{RedisStore, RedisStoreBuilder, redis};
use flipper_testkit::{Proxy, RedisServer, Subject, Weather, With, store_conformance};

/// The server of all tests here: each has a base key of its own.
fn server() -> &'static RedisServer {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        RedisServer::start(&["--user", "careful", "on", ">secret", "~*", "+@all", "-@scripting"])
    })
}

/// One way to make a store at an address.
type Make = fn(String) -> Pin<Box<dyn Future<Output = RedisStoreBuilder> + Send>>;

/// A store behind a proxy of its own.
type Placed = With<RedisStore, Place>;

#[derive(Debug)]
struct Place {
    base_key: String,
    proxy: Proxy,
    make: Make,
}

async fn store(make: Make) -> Placed {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    store_at(make, format!("suite-{}", NUMBER.fetch_add(1, Ordering::Relaxed))).await
}

async fn store_at(make: Make, base_key: String) -> Placed {
    let proxy = Proxy::start(server().address()).await.unwrap();
    let builder = make(proxy.address().to_string()).await.base_key(&base_key);
    let store = builder.timeout(Duration::from_secs(5)).connect().await.unwrap();
    With::new(store, Place { base_key, proxy, make })
}

fn subject(make: Make) -> Subject<Placed> {
    Subject::new(move || store(make))
        .with_sibling(|store| async move {
            Arc::new(store_at(store.companion().make, store.companion().base_key.clone()).await)
        })
        .with_plant(|store, name, bytes| async move {
            let client = redis::Client::open(server().url()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let key = format!("{}/{name}", store.companion().base_key);
            let () = redis::cmd("SET").arg(key).arg(bytes).query_async(&mut connection).await.unwrap();
        })
        .with_outage(|store| async move {
            store.companion().proxy.set(Weather::HangUp);
            store.companion().proxy.cut();
        })
}

fn told(address: String) -> Pin<Box<dyn Future<Output = RedisStoreBuilder> + Send>> {
    Box::pin(async move { RedisStore::builder(&format!("redis://{address}")) })
}

fn polling(address: String) -> Pin<Box<dyn Future<Output = RedisStoreBuilder> + Send>> {
    Box::pin(async move { told(address).await.poll_only().poll_interval(Duration::from_millis(20)) })
}

fn without_scripts(address: String) -> Pin<Box<dyn Future<Output = RedisStoreBuilder> + Send>> {
    Box::pin(async move { RedisStore::builder(&format!("redis://careful:secret@{address}")) })
}

fn on_a_connection_of_the_caller(address: String) -> Pin<Box<dyn Future<Output = RedisStoreBuilder> + Send>> {
    Box::pin(async move {
        let client = redis::Client::open(format!("redis://{address}")).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        RedisStore::builder_from_connection(connection).poll_interval(Duration::from_millis(20))
    })
}

store_conformance!(redis_told, subject(told), absent = 2);
store_conformance!(redis_polling, subject(polling), absent = 2);
store_conformance!(redis_without_scripts, subject(without_scripts), absent = 2);
store_conformance!(redis_of_the_caller, subject(on_a_connection_of_the_caller), absent = 2);
