//! Several clients with one log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flipper_audit::{AuditLog, History, LineKind};
use flipper_core::events::{Edit, Handled, Subscriber};
use flipper_core::{FeatureFlagClient, Timestamp};
use flipper_memory::MemoryStore;
use flipper_testkit::{Fault, FaultStore, Operation};

use super::{changes, entries, place, quick};

/// Vetoes the first edit that is due, once something else was done.
struct VetoOnce {
    is_due: AtomicBool,
    meanwhile: Box<dyn Fn() + Send + Sync>,
}

impl VetoOnce {
    fn after(meanwhile: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { is_due: true.into(), meanwhile: Box::new(meanwhile) })
    }
}

impl Subscriber for VetoOnce {
    fn on_pre_edit(&self, _: &Edit<'_>) -> Handled {
        if self.is_due.swap(false, Ordering::SeqCst) {
            (self.meanwhile)();
            return Err("not now".into());
        }
        Ok(())
    }
}

/// Enables a flag, in another thread.
fn enable(client: &FeatureFlagClient, name: &'static str) {
    let enable = || futures_lite::future::block_on(client.enable(name));
    std::thread::scope(|scope| scope.spawn(enable).join().unwrap()).unwrap();
}

fn two(log: &AuditLog) -> (Arc<MemoryStore>, FeatureFlagClient, FeatureFlagClient) {
    let store = Arc::new(MemoryStore::new());
    let client = || FeatureFlagClient::builder(store.clone()).deadline(Duration::from_mins(1)).build();
    let (one, other) = (client(), client());
    log.subscribe_to(&one);
    log.subscribe_to(&other);
    (store, one, other)
}

#[tokio::test]
async fn what_an_edit_has_read_that_was_not_made_is_no_change_by_somebody_else() {
    let (_directory, path) = place();
    let (_store, one, other) = two(&quick().open(&path).unwrap());
    one.create("X").await.unwrap();
    one.events().register_subscriber(VetoOnce::after(move || enable(&other, "X")));
    one.set_client_data("X", [("a", 1)]).await.unwrap_err();
    one.set_client_data("X", [("a", 1)]).await.unwrap();
    assert_eq!(
        changes(&path),
        ["create X client done", "enable X client done", "set_client_data X client done"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_edits_of_one_flag_by_several_clients_each_is_recorded_once_and_no_other() {
    const CLIENTS: usize = 8;
    const EDITS: u32 = 200;
    let (_directory, path) = place();
    let log = quick().open(&path).unwrap();
    let (store, one, _) = two(&log);
    one.create("X").await.unwrap();
    let edits: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let client = FeatureFlagClient::builder(store.clone()).deadline(Duration::from_mins(1)).build();
            log.subscribe_to(&client);
            tokio::spawn(async move {
                for edit in 0..EDITS {
                    client.set_client_data("X", [(format!("c{number}"), edit)]).await.unwrap();
                }
            })
        })
        .collect();
    for edit in edits {
        edit.await.unwrap();
    }
    one.enable("X").await.unwrap();
    let lines = changes(&path);
    let others: Vec<_> = lines.iter().filter(|line| !line.contains("client done")).collect();
    assert_eq!((others.len(), lines.len()), (0, 2 + CLIENTS * EDITS as usize), "{others:?}");
    // Once all is quiet, what somebody else does is seen again.
    FeatureFlagClient::new(store).disable("X").await.unwrap();
    one.enable("X").await.unwrap();
    assert_eq!(changes(&path)[lines.len()..], ["change X read done", "enable X client done"]);
}

#[tokio::test]
async fn each_announced_edit_of_several_clients_is_told_to_be_over() {
    let (_directory, path) = place();
    let (_store, one, other) = two(&quick().veto(true).open(&path).unwrap());
    one.create("X").await.unwrap();
    // After the log, so that the edit was announced.
    one.events().register_subscriber(VetoOnce::after(move || enable(&other, "X")));
    one.set_client_data("X", [("a", 1)]).await.unwrap_err();
    let intents = entries(&path).iter().filter(|entry| entry.kind() == LineKind::Intent).count();
    assert_eq!((intents, changes(&path).len()), (3, 3), "{:?}", changes(&path));
    assert_eq!(changes(&path)[2], "set_client_data X client not_done");
    assert!(History::of(&path).state_at("X", Timestamp::now()).unwrap().is_certain());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_veto_before_the_log_does_not_end_the_edit_of_another_client() {
    let (_directory, path) = place();
    let log = quick().open(&path).unwrap();
    let (store, faults) = {
        let store = Arc::new(MemoryStore::new());
        (store.clone(), FaultStore::new(store))
    };
    let (one, other) = (FeatureFlagClient::new(faults.clone()), FeatureFlagClient::new(store.clone()));
    log.subscribe_to(&one);
    other.events().register_subscriber(VetoOnce::after(|| ()));
    log.subscribe_to(&other);
    let follower = log.clone();
    let follow = tokio::spawn(async move { follower.follow(store).await });
    // The write is made, and its answer lost: the edit is under way until it has read what has become of it.
    faults.push(Operation::Put, Fault::LostReply);
    faults.push(Operation::Get, Fault::Delay(Duration::ZERO));
    faults.push(Operation::Get, Fault::Delay(Duration::from_millis(300)));
    let editing = one.clone();
    let edit = tokio::spawn(async move { editing.create("X").await.map(drop) });
    tokio::time::sleep(Duration::from_millis(100)).await;
    other.enable("X").await.unwrap_err();
    edit.await.unwrap().unwrap();
    one.close().await.unwrap();
    follow.await.unwrap().unwrap();
    assert_eq!(changes(&path), ["create X client done"]);
}
