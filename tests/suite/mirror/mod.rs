//! The mirror over Redis: while the server is killed, held, flushed and cut off, checks go on.

mod hostile;
mod late;
mod outages;
pub(crate) mod storm;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use flipper_mirror::MirrorStore;
use flipper_redis::{RedisStore, redis};
use flipper_testkit::{Proxy, RedisServer, Subject, Weather, With, store_conformance};

/// The server of the suite, each test below a base key of its own.
fn server() -> &'static RedisServer {
    static SERVER: std::sync::OnceLock<RedisServer> = std::sync::OnceLock::new();
    SERVER.get_or_init(|| RedisServer::start(&[]))
}

/// A mirror of a Redis behind a proxy of its own.
type Placed = With<MirrorStore<RedisStore>, Place>;

#[derive(Debug)]
struct Place {
    base_key: String,
    proxy: Proxy,
    is_told: bool,
}

async fn store(is_told: bool) -> Placed {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    store_at(format!("mirror-{}", NUMBER.fetch_add(1, Ordering::Relaxed)), is_told).await
}

async fn store_at(base_key: String, is_told: bool) -> Placed {
    let proxy = Proxy::start(server().address()).await.unwrap();
    let builder = RedisStore::builder(&format!("redis://{}", proxy.address())).base_key(&base_key);
    let builder = builder.poll_interval(Duration::from_millis(20));
    let builder = if is_told { builder } else { builder.poll_only() };
    let store = MirrorStore::start(builder.connect_lazy().unwrap()).await.unwrap();
    With::new(store, Place { base_key, proxy, is_told })
}

fn subject(is_told: bool) -> Subject<Placed> {
    Subject::new(move || store(is_told))
        .with_sibling(|store| async move {
            Arc::new(store_at(store.companion().base_key.clone(), store.companion().is_told).await)
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

store_conformance!(redis_told, subject(true));
store_conformance!(redis_polled, subject(false));

/// Waits until something is so.
pub(crate) async fn until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let waited = limit.saturating_sub(deadline.saturating_duration_since(Instant::now()));
    println!("{what} after {waited:?}");
}
