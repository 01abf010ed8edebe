//! Slots are moved from server to server while flags are read, written, listed and watched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flipper_core::{Condition, FeatureFlagClient, Page, Store};
use flipper_redis::RedisStore;
use flipper_testkit::RedisCluster;

use super::{many, wait_for};
use crate::records::{flag, name, names, number, put, watch};

/// Names of flags in one slot.
fn in_one_slot(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{{one}}{number}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_on_their_way_are_read_and_written() {
    let cluster = RedisCluster::start(3, 0, &[]);
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let (moved, new) = ("{one}moved", "{one}new");
    let before = put(&store, moved, 1).await;
    let slot = cluster.slot_of(&format!("features/{moved}"));
    let from = cluster.primary_of(&format!("features/{moved}"));
    let to = (from + 1) % 3;
    cluster.begin_move(slot, to);
    // Still there.
    let before = {
        store.put(&flag(moved, 2), flipper_core::Expect::Matches(&before)).await.unwrap();
        flag(moved, 2).version_of_bytes()
    };
    // One that is not there is asked of the other.
    put(&store, new, 1).await;
    assert_eq!(number(&store, new).await, Some(1));
    cluster.move_keys(slot, to);
    // Not there any longer: by script, with a comparison, and listed.
    store.put(&flag(moved, 3), flipper_core::Expect::Matches(&before)).await.unwrap();
    assert_eq!(number(&store, moved).await, Some(3));
    let mut listed = names(&store, Page::ALL).await.0;
    listed.sort_unstable();
    assert_eq!(listed, [moved, new]);
    cluster.end_move(slot, to);
    assert_eq!(number(&store, moved).await, Some(3));
    assert_eq!(cluster.primary_of(&format!("features/{moved}")), to);
    assert!(
        store
            .delete(name(moved), flipper_core::Expect::Matches(&flag(moved, 3).version_of_bytes()))
            .await
            .unwrap()
    );
    assert_eq!(names(&store, Page::ALL).await.0, [new]);
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_follow_a_flag_on_its_way() {
    let cluster =
        RedisCluster::start(3, 0, &["--user", "careful", "on", ">secret", "~*", "+@all", "-@scripting"]);
    let url = cluster.url().replace("redis-cluster://", "redis-cluster://careful:secret@");
    let store = RedisStore::connect(&url).await.unwrap();
    let moved = "{one}moved";
    put(&store, moved, 1).await;
    let slot = cluster.slot_of(&format!("features/{moved}"));
    let to = (cluster.primary_of(&format!("features/{moved}")) + 1) % 3;
    let mut at = 1;
    let mut edit = async || {
        let expected = flag(moved, at).version_of_bytes();
        at += 1;
        store.put(&flag(moved, at), flipper_core::Expect::Matches(&expected)).await.unwrap();
        assert_eq!(number(&store, moved).await, Some(at));
        let late = store.put(&flag(moved, 0), flipper_core::Expect::Matches(&expected)).await.unwrap_err();
        assert_eq!(late.kind(), flipper_core::ErrorKind::Conflict);
    };
    edit().await;
    cluster.begin_move(slot, to);
    edit().await;
    cluster.move_keys(slot, to);
    edit().await;
    cluster.end_move(slot, to);
    edit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_edit_is_lost_and_no_flag_missed_while_slots_are_moved() {
    let mut cluster = RedisCluster::start(3, 0, &[]);
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let client = FeatureFlagClient::new(store);
    let all: Vec<String> = many(40).into_iter().chain(in_one_slot(20)).collect();
    for of in &all {
        client.create(of).await.unwrap();
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for editor in 0..4_i64 {
        let store = RedisStore::connect(&cluster.url()).await.unwrap();
        let client = FeatureFlagClient::builder(store).deadline(Duration::from_secs(20)).build();
        let (all, is_over) = (all.clone(), Arc::clone(&is_over));
        tasks.push(tokio::spawn(async move {
            let mut made = 0;
            while !is_over.load(Ordering::Relaxed) {
                let condition = Condition::builder().eq("edit", editor * 1_000_000 + made).build().unwrap();
                client.add_condition(&all[made as usize % all.len()], &condition).await.unwrap();
                made += 1;
            }
            made
        }));
    }
    let lister = {
        let store = RedisStore::connect(&cluster.url()).await.unwrap();
        let (mut expected, is_over) = (all.clone(), Arc::clone(&is_over));
        expected.sort_unstable();
        tokio::spawn(async move {
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) {
                let mut listed = names(&store, Page::ALL).await.0;
                listed.sort_unstable();
                assert_eq!(listed, expected);
                count += 1;
            }
            count
        })
    };
    // To one that had nothing before, and around.
    let fourth = cluster.join();
    let one = cluster.slot_of("features/{one}");
    let slots: Vec<_> = many(10).iter().map(|of| cluster.slot_of(&format!("features/{of}"))).collect();
    for round in 0..2 {
        for (number, slot) in slots.iter().enumerate() {
            cluster.move_slot(*slot, if round == 0 { fourth } else { number % 3 });
            cluster.move_slot(one, number % 4);
        }
    }
    is_over.store(true, Ordering::Relaxed);
    let mut made = 0;
    for task in tasks {
        made += task.await.unwrap();
    }
    assert!(lister.await.unwrap() > 3, "hardly anything was listed");
    let mut found = 0;
    for of in &all {
        found += client.store().get(name(of)).await.unwrap().unwrap().value.conditions().len() as i64;
    }
    assert_eq!(found, made);
    assert!(made > 100, "hardly anything was edited: {made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_on_a_server_that_has_joined_are_told() {
    let mut cluster = RedisCluster::start(3, 0, &[]);
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let others = RedisStore::connect(&cluster.url()).await.unwrap();
    let mut changes = watch(&store).await;
    let fourth = cluster.join();
    // A slot without any key, of which no server tells that it has moved.
    let slot = cluster.slot_of("features/{one}");
    cluster.move_slot(slot, fourth);
    wait_for(&mut changes, "resync Reconnected").await;
    put(&others, "{one}new", 5).await;
    wait_for(&mut changes, "put {one}new 5").await;
}
