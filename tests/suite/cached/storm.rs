//! Checks at full speed while everything happens to the server. `FLIPPER_FAULT_SECONDS` says for how long, 3 s unless told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use flipper_cached::CachedStore;
use flipper_core::{Context, Expect, FeatureFlagClient, FlagName, Store};
use flipper_redis::RedisStore;
use flipper_testkit::{Proxy, RedisServer};

use crate::mirror::storm::{FLAGS, disturb, name, seconds, state, write};

const LIMIT: Duration = Duration::from_millis(300);

/// Reads until it is over; returns how often.
async fn read(store: Arc<CachedStore<RedisStore>>, last: Arc<AtomicI64>, is_over: Arc<AtomicBool>) -> u64 {
    let client = FeatureFlagClient::new(store.clone());
    let mut reads = 0;
    while !is_over.load(Ordering::Relaxed) {
        for number in 0..FLAGS {
            let of = name(number);
            let start = Instant::now();
            if let Ok(known) = store.look_up(FlagName::new(&of).unwrap()).await
                && let Some(flag) = known.flag
            {
                let written = flag.created_date().unwrap();
                assert!((1..=last.load(Ordering::SeqCst)).contains(&written), "{of} never was {written}");
                assert_eq!(flag.is_enabled(&Context::EMPTY), written % 2 == 1, "{of}");
            }
            client.is_enabled(&of, &Context::EMPTY).await;
            // The time limits of the store, and a machine that is busy with the storm.
            assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
            reads += 1;
        }
        tokio::task::yield_now().await;
    }
    reads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checks_go_on_and_end_with_the_truth() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let builder = RedisStore::builder(&format!("redis://{}", proxy.address()));
    let inner = builder.timeout(LIMIT).connect_timeout(LIMIT).connect().await.unwrap();
    let ttl = Duration::from_millis(500);
    let builder = CachedStore::builder(inner).ttl(ttl).negative_ttl(ttl).size(FLAGS - 3);
    let store = Arc::new(builder.build());
    let (last, is_over) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let readers: Vec<_> =
        (0..2).map(|_| tokio::spawn(read(store.clone(), Arc::clone(&last), Arc::clone(&is_over)))).collect();
    let writer = tokio::spawn(write(server.url(), Arc::clone(&last), Arc::clone(&is_over)));
    disturb(&mut server, &proxy, seconds()).await;
    is_over.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let mut reads = 0;
    for reader in readers {
        reads += reader.await.unwrap();
    }

    // At the latest when their time is over, checks see what is there.
    let truth = RedisStore::connect(&server.url()).await.unwrap();
    let number = last.fetch_add(1, Ordering::SeqCst) + 1;
    truth.put(&state("F0", number), Expect::Any).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    for number in 0..FLAGS {
        let of = name(number);
        let of = FlagName::new(&of).unwrap();
        let stored = truth.get(of).await.unwrap().map(|found| found.value);
        loop {
            if store.look_up(of).await.is_ok_and(|known| known.flag == stored) {
                break;
            }
            assert!(Instant::now() < deadline, "{of:?}: not within 5s");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    println!("{reads} reads, {} writes, {:?}", last.load(Ordering::SeqCst), store.stats());
}
