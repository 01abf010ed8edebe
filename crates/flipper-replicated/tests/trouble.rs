//! What a replica, a primary, or a runtime can do to the task that tells: each of these lost something once, or said that all was well.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[allow(dead_code, unreachable_pub, reason = "each test takes a part")]
mod unruly;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, ErrorKind, Expect, Flag, FlagName, Freshness, Known, Listed, Page, Result,
    Store, Version, Versioned,
};
use flipper_memory::MemoryStore;
use flipper_replicated::ReplicatedStore;
use flipper_testkit::Operation;
use futures_lite::future;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use unruly::{LIMIT, LISTING, NOW, TOO_LONG, Unruly, count, fails, has, memory, name, put};

#[tokio::test]
async fn what_is_being_told_at_the_moment_is_not_yet_told() {
    let copy = memory(&[]);
    let slow = Unruly::new(&copy, |operation, _| match operation {
        Operation::Put => Ok(Duration::from_millis(300)),
        _ => NOW,
    });
    let store = ReplicatedStore::builder(memory(&[])).replica("r", slow).linger(Duration::ZERO);
    let store = store.start().unwrap();
    put(&store, "A", 1).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    assert_eq!(store.wait_for("A", TOO_LONG).await.len(), 1);
    assert!(store.wait_for("A", LIMIT).await.is_empty());
    assert_eq!(has(&copy, "A").await, Some(1));
}

#[tokio::test]
async fn a_comparison_that_was_refused_is_told_to_those_who_wait() {
    let all = ["A", "B", "C"];
    let (primary, copy) = (memory(&all), memory(&all));
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let replica =
        Unruly::new(
            &copy,
            move |_, _| {
                if down.load(Ordering::SeqCst) { fails(ErrorKind::Unavailable) } else { NOW }
            },
        );
    let store = ReplicatedStore::builder(Arc::clone(&primary)).replica("r", replica).queue_capacity(1);
    let store = store.linger(Duration::ZERO).start().unwrap();
    for flag in all {
        store.delete(name(flag), Expect::Any).await.unwrap();
    }
    is_down.store(false, Ordering::SeqCst);
    // A primary without flags is not believed, as it was when the comparison was begun.
    let failures = store.wait_for("C", LIMIT).await;
    assert_eq!(failures[0].error.kind(), ErrorKind::Conflict, "{failures:?}");
    assert_eq!((store.flush(LIMIT).await.len(), store.shutdown(LIMIT).await.len()), (1, 1));
}

#[tokio::test]
async fn what_was_refused_is_told_to_all_who_wait_until_it_is_told() {
    let (primary, copy) = (memory(&["BIG"]), memory(&[]));
    let is_too_big = Arc::new(AtomicBool::new(true));
    let too_big = Arc::clone(&is_too_big);
    let replica = Unruly::new(&copy, move |operation, _| {
        let is_refused = operation == Operation::Put && too_big.load(Ordering::SeqCst);
        if is_refused { fails(ErrorKind::InvalidInput) } else { NOW }
    });
    let store = ReplicatedStore::builder(primary).replica("r", replica).start().unwrap();
    let refused = store.resync("r").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotReplicated);
    assert_eq!(store.status()[0].refused, 1);
    for failures in [store.wait_for("BIG", LIMIT).await, store.flush(LIMIT).await] {
        assert_eq!(failures[0].error.kind(), ErrorKind::InvalidInput);
    }
    is_too_big.store(false, Ordering::SeqCst);
    assert_eq!(store.resync("r").await.unwrap().len(), 1);
    assert!(store.wait_for("BIG", LIMIT).await.is_empty() && store.flush(LIMIT).await.is_empty());
    assert_eq!(has(&copy, "BIG").await, Some(1));
}

#[tokio::test]
async fn a_flag_that_fails_holds_up_no_other() {
    let copy = memory(&[]);
    let panics = AtomicBool::new(true);
    let replica = Unruly::new(&copy, move |operation, flag| match (operation, flag) {
        (Operation::Put, "SECRET") => fails(ErrorKind::PermissionDenied),
        (Operation::Put, "BUG") if panics.swap(false, Ordering::SeqCst) => panic!("a driver's bug"),
        _ => NOW,
    });
    let store = ReplicatedStore::builder(memory(&[])).replica("r", replica).start().unwrap();
    for flag in ["SECRET", "BUG", "X"] {
        put(&store, flag, 1).await.unwrap();
    }
    for flag in ["BUG", "X"] {
        assert!(store.wait_for(flag, LIMIT).await.is_empty());
        assert_eq!(has(&copy, flag).await, Some(1));
    }
    let failures = store.wait_for("SECRET", TOO_LONG).await;
    assert!(failures[0].to_string().contains("told to fail"), "{failures:?}");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_hides_no_difference_of_another() {
    let (primary, copy) = (memory(&["LONG", "X"]), memory(&[]));
    let replica = Unruly::new(&copy, |_, flag| match flag {
        "LONG" => fails(ErrorKind::InvalidInput),
        _ => NOW,
    });
    let store = ReplicatedStore::builder(primary).replica("r", replica).start().unwrap();
    assert_eq!(store.resync("r").await.unwrap_err().kind(), ErrorKind::NotReplicated);
    assert!(store.wait_for("X", LIMIT).await.is_empty());
    assert_eq!(has(&copy, "X").await, Some(1));
}

#[tokio::test]
async fn what_was_written_is_told_also_where_nothing_can_be_compared() {
    let copy = memory(&[]);
    let replica = Unruly::new(&copy, |_, flag| match flag {
        LISTING => fails(ErrorKind::Unsupported),
        _ => NOW,
    });
    let store = ReplicatedStore::builder(memory(&[])).replica("r", replica).follow_primary().start().unwrap();
    put(&store, "A", 1).await.unwrap();
    let copied = async {
        while has(&copy, "A").await.is_none() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, copied).await.unwrap();
    assert_eq!(store.flush(LIMIT).await.len(), 1, "that nothing was compared is said");
}

#[tokio::test]
async fn every_state_stays_in_order_after_failures() {
    let (primary, copy) = (memory(&[]), memory(&[]));
    let is_away = Arc::new(AtomicBool::new(true));
    let away = Arc::clone(&is_away);
    let primary = Unruly::new(&primary, move |operation, _| {
        let fails_now = operation == Operation::Get && away.load(Ordering::SeqCst);
        if fails_now { fails(ErrorKind::Unavailable) } else { NOW }
    });
    let replica = Unruly::new(&copy, |_, _| NOW);
    let told = Arc::clone(&replica.told);
    let store = ReplicatedStore::builder(primary).replica_of_every_state("r", replica);
    let store = store.linger(Duration::ZERO).start().unwrap();
    put(&store, "A", 1).await.unwrap();
    sleep(Duration::from_millis(20)).await;
    put(&store, "A", 2).await.unwrap();
    put(&store, "A", 3).await.unwrap();
    is_away.store(false, Ordering::SeqCst);
    assert!(store.flush(LIMIT).await.is_empty());
    assert_eq!(*told.lock().unwrap(), ["A1", "A2", "A3"]);
}

#[tokio::test]
async fn a_primary_that_is_emptied_while_it_is_compared_is_not_believed() {
    let all: Vec<String> = (0..100).map(|number| format!("F{number}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let (primary, copy) = (memory(&all), memory(&all));
    let emptied = Arc::clone(&primary);
    let first = AtomicUsize::new(0);
    // It is asked for the first one that is found missing when the rest has gone, too.
    let primary = Unruly::new(&primary, move |operation, flag| {
        if operation == Operation::Get && flag == LISTING && first.fetch_add(1, Ordering::SeqCst) == 0 {
            let names: Vec<String> = (0..100).map(|number| format!("F{number}")).collect();
            for flag in &names {
                future::block_on(emptied.delete(name(flag), Expect::Any))?;
            }
        }
        NOW
    });
    let store = ReplicatedStore::builder(primary).replica("r", Arc::clone(&copy)).start().unwrap();
    assert_eq!(store.resync("r").await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(count(&copy).await, 100);
}

#[tokio::test]
async fn what_is_restored_is_told_to_the_others_and_what_was_deleted_stays_so() {
    let (a, b) = (memory(&["X", "DELETED"]), memory(&[]));
    let slow = Unruly::new(&a, |operation, _| match operation {
        Operation::Delete => Ok(Duration::from_millis(500)),
        _ => NOW,
    });
    let primary = memory(&["DELETED"]);
    let store =
        ReplicatedStore::builder(Arc::clone(&primary)).replica("a", slow).replica("b", Arc::clone(&b));
    let store = store.linger(Duration::ZERO).start().unwrap();
    store.delete(name("DELETED"), Expect::Any).await.unwrap();
    assert_eq!(store.restore("a").await.unwrap(), ["X"]);
    assert!(store.flush(LIMIT).await.is_empty());
    assert_eq!((has(&b, "X").await, has(&primary, "DELETED").await), (Some(1), None));
    assert_eq!(has(&a, "DELETED").await, None);
}

/// A replica that has never been read.
#[derive(Debug)]
struct Unread(MemoryStore);

#[async_trait]
impl Store for Unread {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.0.get(name).await
    }

    async fn look_up(&self, _: FlagName<'_>) -> Result<Known> {
        Ok(Known { flag: None, freshness: Freshness::NeverLoaded })
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        self.0.put(flag, expect).await
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        self.0.delete(name, expect).await
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        self.0.list(page)
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}

#[tokio::test]
async fn a_replica_that_knows_nothing_yet_does_not_say_that_there_is_no_flag() {
    let primary = Unruly::new(&memory(&["A"]), |_, _| fails(ErrorKind::Unavailable));
    let store = ReplicatedStore::builder(primary).replica("r", Unread(MemoryStore::new()));
    let store = store.failover_to("r").start().unwrap();
    for _ in 0..3 {
        let error = store.look_up(name("A")).await.unwrap_err();
        assert_eq!(error.message(), "told to fail");
    }
}

#[test]
fn a_store_goes_on_in_another_runtime_and_says_so_where_there_is_none() {
    let copy = memory(&[]);
    let first = Runtime::new().unwrap();
    let store = first.block_on(async {
        let store = ReplicatedStore::builder(memory(&[])).replica("r", Arc::clone(&copy));
        store.synchronous(LIMIT).start().unwrap()
    });
    drop(first);
    let error = future::block_on(put(&store, "A", 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReplicated);
    assert!(error.to_string().contains("needs a Tokio runtime"), "{error}");
    Runtime::new().unwrap().block_on(async {
        put(&store, "B", 1).await.unwrap();
        assert!(store.flush(LIMIT).await.is_empty());
    });
    assert_eq!(future::block_on(has(&copy, "A")), Some(1), "also what was written without one");
    future::block_on(put(&store, "C", 1)).unwrap_err();
    let error = future::block_on(store.close()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReplicated);
    assert!(future::block_on(store.close()).is_ok(), "it is closed");
}
