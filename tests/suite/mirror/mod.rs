//! The mirror over Redis: while the server is killed, held, flushed and cut off, checks go on.

mod outages;
mod storm;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Expect, Flag, FlagName, Listed, Page, Peek, Result, Snapshot, Store,
    Version, Versioned,
};
use flipper_mirror::MirrorStore;
use flipper_redis::{RedisStore, redis};
use flipper_testkit::{Proxy, RedisServer, Subject, Weather, store_conformance};

/// The server of the suite, each test below a base key of its own.
fn server() -> &'static RedisServer {
    static SERVER: std::sync::OnceLock<RedisServer> = std::sync::OnceLock::new();
    SERVER.get_or_init(|| RedisServer::start(&[]))
}

/// A mirror of a Redis behind a proxy of its own.
#[derive(Debug)]
struct Placed {
    store: MirrorStore<RedisStore>,
    base_key: String,
    proxy: Proxy,
    is_told: bool,
}

impl Placed {
    async fn new(is_told: bool) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Self::at(format!("mirror-{}", NUMBER.fetch_add(1, Ordering::Relaxed)), is_told).await
    }

    async fn at(base_key: String, is_told: bool) -> Self {
        let proxy = Proxy::start(server().address()).await.unwrap();
        let builder = RedisStore::builder(&format!("redis://{}", proxy.address())).base_key(&base_key);
        let builder = builder.poll_interval(Duration::from_millis(20));
        let builder = if is_told { builder } else { builder.poll_only() };
        let store = MirrorStore::start(builder.connect_lazy().unwrap()).await.unwrap();
        Self { store, base_key, proxy, is_told }
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

fn subject(is_told: bool) -> Subject<Placed> {
    Subject::new(move || Placed::new(is_told))
        .with_sibling(
            |store| async move { Arc::new(Placed::at(store.base_key.clone(), store.is_told).await) },
        )
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

store_conformance!(redis_told, subject(true));
store_conformance!(redis_polled, subject(false));

/// Waits until something is so.
async fn until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
