//! The cache over Redis: what it asks, what it answers while the server is away, and what others write meanwhile.

mod checks;
mod hostile;
mod outages;
mod storm;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flipper_cached::{CachedStore, CachedStoreBuilder};
use flipper_redis::{RedisStore, redis};
use flipper_testkit::{Proxy, RedisServer, Subject, Weather, With, store_conformance};

use crate::mirror::until;

/// The server of the suite, each test below a base key of its own.
fn server() -> &'static RedisServer {
    static SERVER: std::sync::OnceLock<RedisServer> = std::sync::OnceLock::new();
    SERVER.get_or_init(|| RedisServer::start(&[]))
}

/// A cache of a Redis behind a proxy of its own.
type Placed = With<CachedStore<RedisStore>, Place>;

#[derive(Debug)]
struct Place {
    base_key: String,
    proxy: Proxy,
    is_told: bool,
}

async fn store(is_told: bool) -> Placed {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    store_at(format!("cached-{}", NUMBER.fetch_add(1, Ordering::Relaxed)), is_told).await
}

async fn store_at(base_key: String, is_told: bool) -> Placed {
    let proxy = Proxy::start(server().address()).await.unwrap();
    let builder = RedisStore::builder(&format!("redis://{}", proxy.address())).base_key(&base_key);
    let inner = builder.timeout(Duration::from_secs(2)).connect().await.unwrap();
    // Without being told, what is stated is all that is promised: the time to live.
    let builder = CachedStore::builder(inner);
    let builder = if is_told { builder } else { builder.watch(false).ttl(Duration::from_secs(1)) };
    With::new(builder.build(), Place { base_key, proxy, is_told })
}

fn subject(is_told: bool) -> Subject<Placed> {
    Subject::new(move || store(is_told))
        .with_sibling(|store| async move {
            Arc::new(store_at(store.companion().base_key.clone(), store.companion().is_told).await)
        })
        .with_plant(|store, name, bytes| async move {
            let key = format!("{}/{name}", store.companion().base_key);
            set(server(), &key, bytes).await;
        })
        .with_outage(|store| async move {
            store.companion().proxy.set(Weather::HangUp);
            store.companion().proxy.cut();
        })
}

store_conformance!(redis_told, subject(true), absent = 2);
store_conformance!(redis_not_told, subject(false), absent = 2);

/// Writes as somebody else does.
async fn set(server: &RedisServer, key: &str, bytes: impl redis::ToSingleRedisArg + Send + Sync) {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let () = redis::cmd("SET").arg(key).arg(bytes).query_async(&mut connection).await.unwrap();
}

/// How many GETs a server was sent.
async fn gets(server: &RedisServer) -> u64 {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let text: String = redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
    let calls = text.lines().find_map(|line| line.strip_prefix("cmdstat_get:calls="));
    calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
}

/// The settings of a cache of a server that answers within half a second, or not at all.
async fn builder(url: &str) -> CachedStoreBuilder<RedisStore> {
    let limit = Duration::from_millis(500);
    let inner = RedisStore::builder(url).timeout(limit).connect_timeout(limit).connect().await.unwrap();
    CachedStore::builder(inner)
}
