//! The store keeps the contract on a real server: when it is told of changes, when it polls, without scripts, and on a connection
//! of the caller.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Expect, Flag, FlagName, Listed, Page, Peek, Result, Snapshot, Store,
    Version, Versioned,
};
use flipper_redis::{RedisStore, RedisStoreBuilder, redis};
use flipper_testkit::{Proxy, RedisServer, Subject, Weather, store_conformance};

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
#[derive(Debug)]
struct Placed {
    store: RedisStore,
    base_key: String,
    proxy: Proxy,
    make: Make,
}

impl Placed {
    async fn new(make: Make) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Self::at(make, format!("suite-{}", NUMBER.fetch_add(1, Ordering::Relaxed))).await
    }

    async fn at(make: Make, base_key: String) -> Self {
        let proxy = Proxy::start(server().address()).await.unwrap();
        let builder =
            make(proxy.address().to_string()).await.base_key(&base_key).timeout(Duration::from_secs(5));
        Self { store: builder.connect().await.unwrap(), base_key, proxy, make }
    }
}

#[async_trait]
impl Store for Placed {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.store.get(name).await
    }
    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        self.store.put(flag, expect).await
    }
    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        self.store.delete(name, expect).await
    }
    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        self.store.list(page)
    }
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        self.store.watch()
    }
    fn snapshot(&self) -> Option<&Snapshot> {
        self.store.snapshot()
    }
    fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        self.store.peek(name, see);
    }
    async fn close(&self) -> Result<()> {
        self.store.close().await
    }
}

fn subject(make: Make) -> Subject<Placed> {
    Subject::new(move || Placed::new(make))
        .with_sibling(|store| async move { Arc::new(Placed::at(store.make, store.base_key.clone()).await) })
        .with_plant(|store, name, bytes| async move {
            let client = redis::Client::open(server().url()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let key = format!("{}/{name}", store.base_key);
            let () = redis::cmd("SET").arg(key).arg(bytes).query_async(&mut connection).await.unwrap();
        })
        .with_outage(|store| async move {
            store.proxy.set(Weather::HangUp);
            store.proxy.cut();
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
