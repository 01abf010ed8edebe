//! Ten thousand writes, to a replica that comes and goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flipper_core::{Expect, FeatureFlagClient, Store};
use flipper_redis::RedisStore;
use flipper_replicated::ReplicatedStore;
use flipper_testkit::{Proxy, RedisServer, Weather};

use super::{Trail, records};
use crate::records::{flag, name};

/// Has a wire come and go until it is over.
async fn flap(proxy: &Proxy, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        match fastrand::u32(..5) {
            0 => proxy.set(Weather::HangUp),
            1 => proxy.set(Weather::LoseAnswers),
            2 => proxy.set(Weather::LoseRequests),
            _ => {}
        }
        proxy.cut();
        tokio::time::sleep(Duration::from_millis(fastrand::u64(1..150))).await;
        proxy.set(Weather::Fair);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(1..100))).await;
    }
}

fn through(proxy: &Proxy, base_key: &str) -> RedisStore {
    let limit = Duration::from_millis(150);
    let builder = RedisStore::builder(&format!("redis://{}", proxy.address())).base_key(base_key);
    builder.timeout(limit).connect_timeout(limit).connect_lazy().unwrap()
}

/// Writes and deletes, at random.
async fn write(store: &impl Store, writes: i64) {
    for number in 0..writes {
        let of = format!("F{}", fastrand::u32(..50));
        if fastrand::u32(..10) == 0 {
            store.delete(name(&of), Expect::Any).await.unwrap();
        } else {
            store.put(&flag(&of, number), Expect::Any).await.unwrap();
        }
        if number % 16 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_writes_converge() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let primary = RedisStore::builder(&server.url()).base_key("primary").connect().await.unwrap();
    let store = ReplicatedStore::builder(primary)
        .replica("copy", through(&proxy, "copy"))
        .replica_of_every_state("trail", through(&proxy, "trail"))
        .start()
        .unwrap();
    let is_over = AtomicBool::new(false);
    tokio::join!(flap(&proxy, &is_over), async {
        write(&store, 10_000).await;
        is_over.store(true, Ordering::Relaxed);
    });
    proxy.set(Weather::Fair);
    assert!(store.flush(Duration::from_mins(2)).await.is_empty(), "{:?}", store.status());
    for replica in ["copy", "trail"] {
        assert_eq!(store.verify(replica).await.unwrap(), [], "{replica}");
    }
    let status = store.status();
    println!("{status:?}");
    assert!(status.iter().all(|status| status.last_error.is_some() && status.refused == 0));
}

/// Two stores of two processes, as far as the servers can tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_of_the_same_primary_converge() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let mut stores = Vec::new();
    for _ in 0..2 {
        let primary = RedisStore::builder(&server.url()).base_key("primary").connect().await.unwrap();
        let builder = ReplicatedStore::builder(primary).replica("copy", through(&proxy, "copy"));
        stores.push(Arc::new(builder.linger(Duration::from_millis(1)).start().unwrap()));
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = stores
        .iter()
        .map(|store| {
            let store = Arc::clone(store);
            tokio::spawn(async move { write(&store, 5_000).await })
        })
        .collect();
    let over = Arc::clone(&is_over);
    tokio::join!(flap(&proxy, &is_over), async move {
        for writer in writers {
            writer.await.unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    proxy.set(Weather::Fair);
    // Until neither has anything to tell: what one tells makes nothing for the other.
    for store in &stores {
        assert!(store.flush(Duration::from_mins(1)).await.is_empty());
    }
    assert_eq!(stores[0].verify("copy").await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_away_for_long_catches_up() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let store = ReplicatedStore::builder(Trail::default())
        .replica("copy", through(&proxy, "copy"))
        .queue_capacity(100)
        .start()
        .unwrap();
    proxy.set(Weather::HangUp);
    proxy.cut();
    for number in 0..2_000 {
        store.put(&flag(&format!("F{}", number % 500), number), Expect::Any).await.unwrap();
    }
    store.delete(name("F7"), Expect::Any).await.unwrap();
    assert!(store.status()[0].is_to_be_compared);
    assert!(!store.flush(Duration::from_millis(100)).await.is_empty());
    proxy.set(Weather::Fair);
    assert!(store.flush(Duration::from_mins(1)).await.is_empty());
    let copy = RedisStore::builder(&server.url()).base_key("copy").connect().await.unwrap();
    assert_eq!(records(&copy).await, records(store.get_ref()).await);
    let client = FeatureFlagClient::new(store);
    client.close().await.unwrap();
}
