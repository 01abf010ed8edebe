//! What must not be lost, or said to be told while it is not: backups of a primary that has lost its data, writes that overlap with others, refusals.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[allow(dead_code, unreachable_pub, reason = "each test takes a part")]
mod unruly;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use flipper_core::{ErrorKind, Expect, Flag, Store, Timestamp};
use flipper_memory::MemoryStore;
use flipper_replicated::{ReplicatedStore, ReplicatedStoreBuilder};
use flipper_testkit::Operation;
use futures_lite::future;
use tokio::time::sleep;

use unruly::{LIMIT, LISTING, NOW, TOO_LONG, Unruly, WATCHING, count, fails, has, memory, name, put};

const MOMENT: Duration = Duration::from_millis(100);

/// A hundred flags.
fn backup() -> Arc<MemoryStore> {
    let names: Vec<String> = (0..100).map(|number| format!("F{number}")).collect();
    memory(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn quick<P: Store>(primary: P, replica: impl Store) -> ReplicatedStoreBuilder<P> {
    ReplicatedStore::builder(primary).replica("r", replica).linger(Duration::ZERO)
}

/// A store whose writes take so long.
fn slow(inner: &Arc<MemoryStore>, millis: u64) -> Unruly {
    Unruly::new(inner, move |operation, _| match operation {
        Operation::Put => Ok(Duration::from_millis(millis)),
        _ => NOW,
    })
}

#[tokio::test]
async fn a_backup_outlives_the_first_write_after_the_loss() {
    let (primary, copy) = (memory(&[]), backup());
    let store = quick(primary, Arc::clone(&copy)).follow_primary().start().unwrap();
    sleep(MOMENT).await;
    assert_eq!(store.flush(LIMIT).await[0].error.kind(), ErrorKind::Conflict);
    put(&store, "NEW", 1).await.unwrap();
    sleep(MOMENT * 3).await;
    assert_eq!(count(&copy).await, 101);
    // Until somebody says that it is to be so.
    store.resync("r").await.unwrap();
    assert_eq!(count(&copy).await, 1);
}

#[tokio::test]
async fn a_backup_outlives_its_restore_whatever_is_compared_meanwhile() {
    for follows in [true, false] {
        let (primary, copy) = (memory(&[]), backup());
        let builder = quick(slow(&primary, 5), slow(&copy, 20)).queue_capacity(10);
        let builder = if follows { builder.follow_primary() } else { builder };
        let store = builder.start().unwrap();
        sleep(MOMENT).await;
        assert_eq!(store.restore("r").await.unwrap().len(), 100, "{follows}");
        assert!(store.flush(LIMIT).await.is_empty());
        assert_eq!((count(&primary).await, count(&copy).await), (100, 100), "{follows}");
    }
}

#[tokio::test]
async fn a_backup_outlives_a_restore_that_fails() {
    let (primary, copy) = (memory(&[]), backup());
    let puts = AtomicUsize::new(0);
    let failing = Unruly::new(&primary, move |operation, _| match operation {
        Operation::Put if puts.fetch_add(1, Ordering::SeqCst) == 3 => fails(ErrorKind::Unavailable),
        _ => NOW,
    });
    let store = quick(failing, Arc::clone(&copy)).follow_primary().start().unwrap();
    sleep(MOMENT).await;
    store.restore("r").await.unwrap_err();
    sleep(MOMENT * 3).await;
    assert_eq!(count(&copy).await, 100);
    assert_eq!(store.restore("r").await.unwrap().len(), 97);
    assert!(store.flush(LIMIT).await.is_empty());
    assert_eq!((count(&primary).await, count(&copy).await), (100, 100));
}

/// As when most of them are restored: what is left is no less lost than all of it.
#[tokio::test]
async fn the_last_flag_of_a_restore_is_kept_also() {
    for (writes, is_slow) in [(2, false), (2, true), (0, true)] {
        let names = if writes == 0 { &["A"][..] } else { &["A", "B", "C"] };
        let (primary, copy) = (memory(&[]), memory(names));
        let puts = AtomicUsize::new(0);
        let last = Unruly::new(&primary, move |operation, _| match operation {
            Operation::Put if puts.fetch_add(1, Ordering::SeqCst) == writes => {
                if is_slow {
                    Ok(MOMENT * 5)
                } else {
                    fails(ErrorKind::Unavailable)
                }
            }
            _ => NOW,
        });
        let store = Arc::new(quick(last, Arc::clone(&copy)).queue_capacity(1).start().unwrap());
        let restoring = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.restore("r").await }
        });
        sleep(MOMENT * 2).await;
        // Too much for the queue: everything is compared.
        for flag in ["X", "Y", "Z"] {
            put(&*store, flag, 1).await.unwrap();
        }
        let late = store.flush(MOMENT).await;
        assert_eq!(count(&copy).await, names.len() + 3, "{writes} {is_slow}: {late:?}");
        assert_eq!(restoring.await.unwrap().is_ok(), is_slow);
        if !is_slow {
            store.restore("r").await.unwrap();
        }
        assert!(store.flush(LIMIT).await.is_empty());
        let counts = (count(&primary).await, count(&copy).await);
        assert_eq!(counts, (names.len() + 3, names.len() + 3), "{writes} {is_slow}");
    }
}

#[tokio::test]
async fn flags_that_are_deleted_after_a_restore_are_no_lost_ones() {
    let (primary, copy) = (memory(&[]), memory(&["A", "B", "C"]));
    let store = ReplicatedStore::builder(primary).replica("r", Arc::clone(&copy)).start().unwrap();
    assert_eq!(store.resync("r").await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.restore("r").await.unwrap().len(), 3);
    // Before the replica is compared again.
    for flag in ["A", "B", "C"] {
        store.delete(name(flag), Expect::Any).await.unwrap();
    }
    assert!(store.flush(LIMIT).await.is_empty());
    for flag in ["A", "B", "C"] {
        assert_eq!(has(&copy, flag).await, None, "{flag}");
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_a_replica_has_refused_to_delete_is_not_restored() {
    let (primary, copy) = (memory(&["X"]), memory(&["X"]));
    let replica = Unruly::new(&copy, |operation, _| match operation {
        Operation::Delete => fails(ErrorKind::Unsupported),
        _ => NOW,
    });
    let store = quick(Arc::clone(&primary), replica).start().unwrap();
    store.delete(name("X"), Expect::Any).await.unwrap();
    assert_eq!(store.wait_for("X", LIMIT).await.len(), 1);
    assert!(store.restore("r").await.unwrap().is_empty());
    assert_eq!(has(&primary, "X").await, None);
}

#[tokio::test]
async fn what_was_left_to_a_write_is_told_if_that_changes_nothing() {
    let (primary, copy) = (memory(&[]), memory(&[]));
    let lossy = slow(&primary, 200);
    lossy.loses_answer.store(true, Ordering::SeqCst);
    let store = ReplicatedStore::builder(lossy).replica_of_every_state("r", Arc::clone(&copy));
    let store = store.linger(Duration::from_millis(50)).start().unwrap();
    let flag = Flag::new(name("A"), Timestamp::from_secs(1));
    assert_eq!(store.put(&flag, Expect::Absent).await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    // While it is tried again, the turn of the first one comes.
    assert_eq!(store.put(&flag, Expect::Absent).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(store.flush(LIMIT).await.is_empty());
    assert_eq!((has(&primary, "A").await, has(&copy, "A").await), (Some(1), Some(1)));
}

#[tokio::test]
async fn two_processes_agree_also_if_one_is_about_to_be_refused() {
    let (primary, copy) = (memory(&[]), memory(&[]));
    let puts = AtomicUsize::new(0);
    let second_is_slow = Unruly::new(&primary, move |operation, _| match operation {
        Operation::Put if puts.fetch_add(1, Ordering::SeqCst) == 1 => Ok(MOMENT * 8),
        _ => NOW,
    });
    let one = quick(second_is_slow, slow(&copy, 400)).start().unwrap();
    let other = quick(Arc::clone(&primary), Arc::clone(&copy)).start().unwrap();
    put(&one, "X", 1).await.unwrap();
    sleep(MOMENT).await;
    let refused = async {
        let flag = Flag::new(name("X"), Timestamp::from_secs(3));
        one.put(&flag, Expect::Absent).await.unwrap_err()
    };
    let meanwhile = async {
        put(&other, "X", 2).await.unwrap();
        assert!(other.flush(LIMIT).await.is_empty());
    };
    let (error, ()) = future::zip(refused, meanwhile).await;
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(one.flush(LIMIT).await.is_empty());
    assert_eq!((has(&primary, "X").await, has(&copy, "X").await), (Some(2), Some(2)));
}

#[tokio::test]
async fn what_is_written_during_the_shutdown_is_told_or_said() {
    let copy = memory(&[]);
    let store = quick(memory(&[]), slow(&copy, 300)).start().unwrap();
    put(&store, "A", 1).await.unwrap();
    let (failures, ()) = future::zip(store.shutdown(LIMIT), async {
        sleep(MOMENT).await;
        put(&store, "B", 1).await.unwrap();
    })
    .await;
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(has(&copy, "B").await, Some(1));
}

#[tokio::test]
async fn a_refusal_outlives_a_comparison_that_began_before_it() {
    let (primary, copy) = (memory(&["X", "S"]), memory(&["X"]));
    // The comparison takes its time for the other flag.
    let primary = Unruly::new(&primary, |operation, flag| match (operation, flag) {
        (Operation::Get, "S") => Ok(MOMENT * 4),
        _ => NOW,
    });
    let replica = Unruly::new(&copy, |operation, flag| match (operation, flag) {
        (Operation::Put, "X") => fails(ErrorKind::InvalidInput),
        _ => NOW,
    });
    let store = quick(primary, replica).start().unwrap();
    let refused = async {
        sleep(MOMENT).await;
        put(&store, "X", 2).await.unwrap();
        assert_eq!(store.wait_for("X", LIMIT).await.len(), 1);
    };
    let _ = future::zip(store.resync("r"), refused).await;
    assert_eq!(store.wait_for("X", LIMIT).await.len(), 1);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_stays_untold() {
    let (primary, copy) = (memory(&["X"]), memory(&[]));
    let corrupt = Unruly::new(&primary, |operation, flag| match (operation, flag) {
        (Operation::Get, "X") => fails(ErrorKind::Corrupt),
        _ => NOW,
    });
    let store = quick(corrupt, copy).start().unwrap();
    put(&store, "X", 2).await.unwrap();
    put(&primary, "X", 3).await.unwrap();
    assert_eq!(store.wait_for("X", LIMIT).await.len(), 1);
    let _ = store.resync("r").await;
    assert_eq!(store.wait_for("X", LIMIT).await.len(), 1);
}

#[tokio::test]
async fn a_replica_that_has_lost_a_flag_is_told_again() {
    let (primary, copy) = (memory(&[]), memory(&[]));
    let is_away = Arc::new(AtomicBool::new(true));
    let away = Arc::clone(&is_away);
    let primary = Unruly::new(&primary, move |operation, _| match operation {
        Operation::Get if away.load(Ordering::SeqCst) => fails(ErrorKind::Unavailable),
        _ => NOW,
    });
    let store = quick(primary, Arc::clone(&copy)).start().unwrap();
    put(&store, "X", 1).await.unwrap();
    assert_eq!(store.wait_for("X", TOO_LONG * 5).await.len(), 1, "the primary was not read after that");
    assert_eq!(has(&copy, "X").await, Some(1));
    copy.delete(name("X"), Expect::Any).await.unwrap();
    is_away.store(false, Ordering::SeqCst);
    let _ = store.resync("r").await;
    assert!(store.flush(LIMIT).await.is_empty());
    assert_eq!(has(&copy, "X").await, Some(1));
}

#[tokio::test]
async fn nothing_that_cannot_be_told_or_compared_holds_up_others() {
    let copy = memory(&[]);
    let replica = Unruly::new(&copy, |operation, flag| match (operation, flag) {
        (Operation::Put, "HUGE") | (_, LISTING) => fails(ErrorKind::Unavailable),
        _ => NOW,
    });
    let store = quick(memory(&[]), replica).follow_primary().start().unwrap();
    for flag in ["HUGE", "X"] {
        put(&store, flag, 1).await.unwrap();
    }
    let copied = async {
        while has(&copy, "X").await.is_none() {
            sleep(MOMENT).await;
        }
    };
    tokio::time::timeout(LIMIT, copied).await.unwrap();
}

#[tokio::test]
async fn a_watch_that_panics_is_begun_anew() {
    let (primary, copy) = (memory(&[]), memory(&[]));
    let watches = AtomicUsize::new(0);
    let buggy = Unruly::new(&primary, move |_, flag| match flag {
        WATCHING if watches.fetch_add(1, Ordering::SeqCst) == 1 => panic!("a driver's bug"),
        _ => NOW,
    });
    // The builder asks first whether it can be watched.
    let store = quick(buggy, Arc::clone(&copy)).follow_primary().start().unwrap();
    sleep(MOMENT).await;
    put(&primary, "X", 1).await.unwrap();
    let copied = async {
        while has(&copy, "X").await.is_none() {
            sleep(MOMENT).await;
        }
    };
    tokio::time::timeout(LIMIT, copied).await.unwrap();
    drop(store);
}
