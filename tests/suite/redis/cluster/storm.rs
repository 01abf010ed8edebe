//! Bad weather for a cluster: editors, a mirror and listings while servers are killed, held, replaced and given other slots.
//!
//! `FLIPPER_FAULT_SECONDS` says for how long, 3 s unless told; `scripts/soak` does it for ten minutes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flipper_core::{Condition, ErrorKind, FeatureFlagClient, Store};
use flipper_mirror::MirrorStore;
use flipper_redis::{RedisStore, RedisStoreBuilder};
use flipper_testkit::RedisCluster;

use super::many;
use crate::mirror::storm::seconds;
use crate::records::name;

/// Only what a replica has confirmed counts as done: each primary has one, which takes its place.
fn builder(url: &str) -> RedisStoreBuilder {
    let limit = Duration::from_millis(400);
    RedisStore::builder(url)
        .timeout(limit)
        .connect_timeout(limit)
        .wait_for_replicas(1, Duration::from_millis(500))
}

/// Adds conditions with numbers of its own; returns those that it was told to be done, and those of which that is uncertain.
async fn edit(client: FeatureFlagClient, editor: i64, is_over: Arc<AtomicBool>) -> (Vec<i64>, Vec<i64>) {
    let (mut done, mut uncertain) = (Vec::new(), Vec::new());
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        let number = editor * 1_000_000 + count;
        count += 1;
        let condition = Condition::builder().eq("edit", number).build().unwrap();
        let of = format!("F{}", count % 24);
        let limit = Duration::from_secs(30);
        let added = tokio::time::timeout(limit, client.add_condition(&of, &condition)).await;
        match added.expect("an edit hangs") {
            Ok(()) => done.push(number),
            Err(error) => match error.kind() {
                ErrorKind::OutcomeUnknown | ErrorKind::NotReplicated => uncertain.push(number),
                // Of a flag that a replica did not have yet when it took over.
                ErrorKind::Unavailable | ErrorKind::Conflict => {
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(1..50))).await;
                }
                other => panic!("{other}: {error:?}"),
            },
        }
    }
    (done, uncertain)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_edit_that_a_replica_has_confirmed_is_lost() {
    let mut cluster = RedisCluster::start(3, 1, &["--appendonly", "yes", "--appendfsync", "everysec"]);
    let url = cluster.url();
    let setup = FeatureFlagClient::new(builder(&url).connect().await.unwrap());
    for of in many(24) {
        setup.create(&of).await.unwrap();
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let mut editors = Vec::new();
    for editor in 0..6 {
        let store = builder(&url).connect().await.unwrap();
        let client = FeatureFlagClient::builder(store).deadline(Duration::from_secs(5)).build();
        editors.push(tokio::spawn(edit(client, editor, Arc::clone(&is_over))));
    }
    let mirror = MirrorStore::start(builder(&url).connect().await.unwrap()).await.unwrap();

    let end = Instant::now() + seconds();
    let (mut failovers, mut moves) = (0, 0);
    loop {
        let slot = fastrand::usize(..24);
        let key = format!("features/F{slot}");
        let primary = cluster.primary_of(&key);
        if fastrand::u32(..3) == 0 {
            cluster.server(primary).kill();
            cluster.wait_for_failover(primary);
            cluster.server(primary).restart();
            cluster.wait();
            failovers += 1;
        } else {
            let others: Vec<_> = (0..24)
                .map(|number| cluster.primary_of(&format!("features/F{number}")))
                .filter(|other| *other != primary)
                .collect();
            cluster.move_slot(cluster.slot_of(&key), others[fastrand::usize(..others.len())]);
            moves += 1;
        }
        if Instant::now() > end && failovers > 0 {
            break;
        }
    }
    is_over.store(true, Ordering::Relaxed);
    let (mut done, mut uncertain) = (Vec::new(), Vec::new());
    for editor in editors {
        let told = editor.await.unwrap();
        done.extend(told.0);
        uncertain.extend(told.1);
    }
    let mut times: BTreeMap<i64, usize> = BTreeMap::new();
    let truth = RedisStore::connect(&url).await.unwrap();
    for of in many(24) {
        let found = truth.get(name(&of)).await.unwrap().expect("no flag is lost");
        for condition in found.value.conditions() {
            *times.entry(condition.checks()[0].operand().as_f64().unwrap() as i64).or_default() += 1;
        }
    }
    println!("{} done, {} uncertain; {failovers} failovers, {moves} moves", done.len(), uncertain.len());
    for number in &done {
        assert_eq!(times.remove(number), Some(1), "{number} was told to be done");
    }
    for number in &uncertain {
        assert!(times.remove(number).unwrap_or_default() <= 1, "{number} was made twice");
    }
    assert!(times.values().all(|count| *count == 1), "made twice: {times:?}");
    assert!(done.len() > 50, "hardly anything was done");

    // The mirror ends with the truth.
    let end = Instant::now() + Duration::from_secs(30);
    for of in many(24) {
        loop {
            let stored = truth.get(name(&of)).await.unwrap().unwrap();
            let mirrored = mirror.get(name(&of)).await.unwrap();
            if mirrored.is_some_and(|mirrored| mirrored.value.as_json() == stored.value.as_json()) {
                break;
            }
            assert!(Instant::now() < end, "{of} differs in the mirror");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
