//! Bad weather: editors and a watcher while connections are cut, stalled and half lost, and the server is killed.
//!
//! `FLIPPER_FAULT_SECONDS` says for how long, 3 s unless told; `scripts/soak` does it for ten minutes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flipper_core::{Change, Condition, ErrorKind, FeatureFlagClient, Listed, Page, Store};
use flipper_redis::RedisStore;
use flipper_testkit::{Proxy, RedisServer, Weather, collect, next};

use crate::mirror::storm::seconds;

const EDITORS: usize = 8;

/// What became of an edit, as far as the editor was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Done,
    NotDone,
    Unknown,
}

fn builder(address: std::net::SocketAddr) -> flipper_redis::RedisStoreBuilder {
    let limit = Duration::from_millis(250);
    RedisStore::builder(&format!("redis://{address}")).timeout(limit).connect_timeout(limit)
}

/// Adds conditions with numbers of its own to a flag, and notes what it was told of each.
async fn edit(client: FeatureFlagClient, editor: usize, is_over: Arc<AtomicBool>) -> Vec<(i64, Told)> {
    let mut notes = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let number = (editor * 1_000_000 + notes.len()) as i64;
        let condition = Condition::builder().eq("edit", number).build().unwrap();
        // Several flags, so that records stay small.
        let of = format!("F{}", notes.len() % 20);
        let limit = Duration::from_secs(30);
        let added = tokio::time::timeout(limit, client.add_condition(&of, &condition)).await;
        let told = match added.expect("an edit hangs") {
            Ok(()) => Told::Done,
            Err(error) => match error.kind() {
                ErrorKind::OutcomeUnknown => Told::Unknown,
                ErrorKind::Unavailable | ErrorKind::Conflict => Told::NotDone,
                other => panic!("{other}: {error:?}"),
            },
        };
        notes.push((number, told));
        if told != Told::Done {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(1..50))).await;
        }
    }
    notes
}

/// Keeps what a watcher knows, until it has seen the last write.
async fn follow(store: RedisStore) -> BTreeMap<String, String> {
    let mut changes = store.watch().unwrap();
    let mut known = BTreeMap::new();
    while !known.contains_key("END") {
        match tokio::time::timeout(Duration::from_mins(1), next_change(&mut changes))
            .await
            .expect("nothing is told")
        {
            Change::Resync { .. } => {
                while let Err(error) = load(&store, &mut known).await {
                    assert!(error.is_retryable(), "{error:?}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Change::Put(found) => {
                known.insert(found.value.name().to_owned(), found.value.as_json().to_owned());
            }
            Change::Deleted { name, .. } => {
                known.remove(&*name);
            }
            Change::Down { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    known
}

async fn next_change(changes: &mut flipper_core::BoxStream<'static, Change>) -> Change {
    std::future::poll_fn(|task| changes.as_mut().poll_next(task)).await.expect("the watch goes on")
}

async fn load(store: &RedisStore, known: &mut BTreeMap<String, String>) -> flipper_core::Result<()> {
    let mut loaded = BTreeMap::new();
    let mut listing = store.list(Page::ALL);
    while let Some(item) = next(&mut listing).await {
        let Listed::Flag(found) = item? else { panic!("a bad record") };
        loaded.insert(found.value.name().to_owned(), found.value.as_json().to_owned());
    }
    *known = loaded;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_edit_is_lost_or_made_twice_and_the_watcher_ends_with_the_truth() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let setup = FeatureFlagClient::new(RedisStore::connect(&server.url()).await.unwrap());
    for number in 0..20 {
        setup.create(&format!("F{number}")).await.unwrap();
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let mut proxies = Vec::new();
    let mut editors = Vec::new();
    for editor in 0..EDITORS {
        let proxy = Proxy::start(server.address()).await.unwrap();
        let store = builder(proxy.address()).connect().await.unwrap();
        let client = FeatureFlagClient::builder(store).deadline(Duration::from_secs(5)).build();
        editors.push(tokio::spawn(edit(client, editor, Arc::clone(&is_over))));
        proxies.push(proxy);
    }
    let proxy = Proxy::start(server.address()).await.unwrap();
    let watcher = tokio::spawn(follow(builder(proxy.address()).connect().await.unwrap()));
    proxies.push(proxy);

    let end = Instant::now() + seconds();
    let mut kills = 0;
    while Instant::now() < end {
        let proxy = &proxies[fastrand::usize(..proxies.len())];
        match fastrand::u32(..12) {
            0..=3 => proxy.cut(),
            4 => proxy.set(Weather::Stall),
            5 => proxy.set(Weather::LoseAnswers),
            6 => proxy.set(Weather::LoseRequests),
            7 => proxy.set(Weather::HangUp),
            8 => proxy.set(Weather::Delay(Duration::from_millis(fastrand::u64(1..20)))),
            9 if fastrand::u32(..4) == 0 => {
                server.restart();
                kills += 1;
            }
            10 => {
                server.pause();
                tokio::time::sleep(Duration::from_millis(fastrand::u64(1..400))).await;
                server.resume();
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(5..100))).await;
        for proxy in &proxies {
            if fastrand::u32(..3) == 0 {
                proxy.set(Weather::Fair);
            }
        }
    }
    for proxy in &proxies {
        proxy.set(Weather::Fair);
    }
    is_over.store(true, Ordering::Relaxed);
    let mut notes = Vec::new();
    for editor in editors {
        notes.extend(editor.await.unwrap());
    }

    // What was stalled may land even now.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let truth = RedisStore::connect(&server.url()).await.unwrap();
    let mut times: BTreeMap<i64, usize> = BTreeMap::new();
    for item in collect(truth.list(Page::ALL)).await {
        let Listed::Flag(found) = item.unwrap() else { panic!("a bad record") };
        for condition in found.value.conditions() {
            let number = condition.checks()[0].operand().as_f64().unwrap() as i64;
            *times.entry(number).or_default() += 1;
        }
    }
    let mut counts = [0; 3];
    for (number, told) in notes {
        let made = times.remove(&number).unwrap_or_default();
        counts[told as usize] += 1;
        match told {
            Told::Done => assert_eq!(made, 1, "{number} was told to be done"),
            Told::NotDone => assert_eq!(made, 0, "{number} was told not to be done"),
            Told::Unknown => assert!(made <= 1, "{number} was made twice"),
        }
    }
    assert!(times.is_empty(), "nobody has made {times:?}");
    println!("{} done, {} not, {} unknown; {kills} restarts", counts[0], counts[1], counts[2]);
    assert!(counts[0] > 100, "hardly anything was done");

    super::put(&truth, "END", 1).await;
    let known = watcher.await.unwrap();
    let mut stored = BTreeMap::new();
    load(&truth, &mut stored).await.unwrap();
    assert_eq!(known, stored);
}
