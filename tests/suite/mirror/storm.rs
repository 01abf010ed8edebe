//! Reads at full speed while everything happens to the server. `FLIPPER_FAULT_SECONDS` says for how long, 3 s unless told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use flipper_core::{Context, Expect, Flag, FlagName, Freshness, Listed, LocalClient, Page, Store, Timestamp};
use flipper_mirror::MirrorStore;
use flipper_redis::{RedisStore, redis};
use flipper_testkit::{Proxy, RedisServer, Weather, collect};

use super::until;

pub(crate) const FLAGS: usize = 20;

/// For how long there is bad weather.
pub(crate) fn seconds() -> Duration {
    let seconds = std::env::var("FLIPPER_FAULT_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(3))
}

pub(crate) fn name(number: usize) -> String {
    format!("F{number}")
}

/// A state of a flag, which says of itself whether it is on.
pub(crate) fn state(of: &str, number: i64) -> Flag {
    let mut flag = Flag::new(FlagName::new(of).unwrap(), Timestamp::from_secs(number));
    flag.set_enabled(number % 2 == 1).unwrap();
    flag
}

/// Reads until it is over; returns how often.
pub(crate) fn read(local: &LocalClient, last: &AtomicI64, is_over: &AtomicBool) -> u64 {
    let mut reads = 0;
    while !is_over.load(Ordering::Relaxed) {
        for number in 0..FLAGS {
            let of = name(number);
            if let Some(known) = local.snapshot().get(&of) {
                let written = known.value.created_date().unwrap();
                assert!((1..=last.load(Ordering::SeqCst)).contains(&written), "{of} never was {written}");
                assert_eq!(known.value.is_enabled(&Context::EMPTY), written % 2 == 1, "{of}");
            }
            // Neither blocks nor fails, whatever the answer.
            local.is_enabled(&of, &Context::EMPTY);
            reads += 1;
        }
    }
    reads
}

/// Writes states with rising numbers, as somebody else does, whatever comes of it.
pub(crate) async fn write(address: String, last: Arc<AtomicI64>, is_over: Arc<AtomicBool>) {
    let limit = Duration::from_millis(300);
    let store = RedisStore::builder(&address).timeout(limit).connect_timeout(limit).connect_lazy().unwrap();
    while !is_over.load(Ordering::Relaxed) {
        let number = last.fetch_add(1, Ordering::SeqCst) + 1;
        let of = name(fastrand::usize(..FLAGS));
        let _ = store.put(&state(&of, number), Expect::Any).await;
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..3_000))).await;
    }
}

/// Does something bad to the server, and something else, and ends with fair weather.
pub(crate) async fn disturb(server: &mut RedisServer, proxy: &Proxy, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        match fastrand::u32(..10) {
            0..=2 => proxy.cut(),
            3 => proxy.set(Weather::Stall),
            4 => proxy.set(Weather::LoseAnswers),
            5 => proxy.set(Weather::HangUp),
            6 => server.restart(),
            7 => {
                server.pause();
                tokio::time::sleep(Duration::from_millis(fastrand::u64(1..700))).await;
                server.resume();
            }
            _ => {
                // Some of the time it is gone with all of its data.
                let flushed = async {
                    let client = redis::Client::open(server.url()).ok()?;
                    let mut connection = client.get_multiplexed_async_connection().await.ok()?;
                    redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await.ok()
                };
                flushed.await;
            }
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(10..400))).await;
        proxy.set(Weather::Fair);
    }
}

/// Waits until the flags in memory are those of the store, and live.
pub(crate) async fn ends_with(local: &LocalClient, truth: &impl Store) {
    until("live", Duration::from_secs(5), || local.freshness() == Freshness::Live).await;
    let mut stored = Vec::new();
    for item in collect(truth.list(Page::ALL)).await {
        let Listed::Flag(found) = item.unwrap() else { panic!("a bad record") };
        stored.push(found);
    }
    stored.sort_unstable_by(|one, other| one.value.name().cmp(other.value.name()));
    until("the truth", Duration::from_secs(5), || {
        let mut known: Vec<_> = local.snapshot().records().iter().map(|known| (**known).clone()).collect();
        known.sort_unstable_by(|one, other| one.value.name().cmp(other.value.name()));
        known == stored
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checks_go_on_and_end_with_the_truth() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let limit = Duration::from_millis(300);
    let builder = RedisStore::builder(&format!("redis://{}", proxy.address()));
    let store = builder.timeout(limit).connect_timeout(limit).connect().await.unwrap();
    let client = flipper_core::FeatureFlagClient::new(MirrorStore::start(store).await.unwrap());
    let local = client.local().unwrap();
    let (last, is_over) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (local, last, is_over) = (local.clone(), Arc::clone(&last), Arc::clone(&is_over));
            std::thread::spawn(move || read(&local, &last, &is_over))
        })
        .collect();
    let writer = tokio::spawn(write(server.url(), Arc::clone(&last), Arc::clone(&is_over)));

    disturb(&mut server, &proxy, seconds()).await;
    is_over.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let reads: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();

    // With a flag in it, the store is believed.
    let truth = RedisStore::connect(&server.url()).await.unwrap();
    let number = last.fetch_add(1, Ordering::SeqCst) + 1;
    truth.put(&state("F0", number), Expect::Any).await.unwrap();
    ends_with(&local, &truth).await;
    println!("{reads} reads, {} writes", last.load(Ordering::SeqCst));
}
