//! Stores, runtimes and callers that do their worst to a mirror.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as Task, Wake, Waker};
use std::time::{Duration, Instant};

use flipper_core::{Change, ErrorKind, Expect, FlagName, Freshness, ResyncCause, Store};
use flipper_mirror::MirrorStore;
use futures_lite::Stream;

use crate::fake::{Fake, bounded, err, flag};

async fn ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
fn is_on(store: &MirrorStore<Fake>, name: &str) -> Option<bool> {
    store.snapshot().unwrap().get(name).map(|found| found.value.is_enabled(&flipper_core::Context::EMPTY))
}

// M1: the runtime of the follower ends
#[test]
fn a_mirror_whose_runtime_has_ended_is_not_live() {
    let fake = Fake::new(true);
    let first = tokio::runtime::Runtime::new().unwrap();
    let store = first.block_on(MirrorStore::start(fake)).unwrap();
    drop(first);
    assert_ne!(store.freshness(), Freshness::Live, "nobody follows the store any more");
}

// M1b: closed
#[tokio::test]
async fn a_closed_mirror_is_not_live() {
    let fake = Fake::new(true);
    let store = MirrorStore::start(fake.clone()).await.unwrap();
    store.close().await.unwrap();
    fake.plant("X", true).await;
    assert_ne!(store.freshness(), Freshness::Live, "nobody follows the store any more");
}

// M1c: the follower panics
#[tokio::test]
async fn a_mirror_whose_task_has_panicked_is_not_live() {
    #[derive(Debug)]
    struct Panics(Fake);
    #[async_trait::async_trait]
    impl Store for Panics {
        async fn get(
            &self,
            name: FlagName<'_>,
        ) -> flipper_core::Result<Option<flipper_core::Versioned<flipper_core::Flag>>> {
            self.0.get(name).await
        }
        async fn put(
            &self,
            flag: &flipper_core::Flag,
            expect: Expect<'_>,
        ) -> flipper_core::Result<flipper_core::Version> {
            self.0.put(flag, expect).await
        }
        async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> flipper_core::Result<bool> {
            self.0.delete(name, expect).await
        }
        fn list(
            &self,
            page: flipper_core::Page,
        ) -> flipper_core::BoxStream<'_, flipper_core::Result<flipper_core::Listed>> {
            assert_eq!(self.0.0.lists.load(Ordering::SeqCst), 0, "a bug of the store");
            self.0.list(page)
        }
        fn capabilities(&self) -> flipper_core::Capabilities {
            self.0.capabilities()
        }
        fn watch(&self) -> Option<flipper_core::BoxStream<'static, Change>> {
            self.0.watch()
        }
    }
    let fake = Fake::new(true);
    let store = MirrorStore::start(Panics(fake.clone())).await.unwrap();
    fake.tell(&Change::Resync { cause: ResyncCause::Overflow });
    ms(2_500).await;
    assert_ne!(store.freshness(), Freshness::Live, "nobody follows the store any more");
}

// M2: one failed read of a told flag
#[tokio::test]
async fn a_change_whose_read_fails_once_is_not_lost() {
    let fake = Fake::new(true);
    fake.plant("X", false).await;
    let store = MirrorStore::start(fake.clone()).await.unwrap();
    fake.plant("X", true).await;
    fake.0.fail_gets.store(1, Ordering::SeqCst);
    fake.tell(&Change::Touched { name: "X".into() });
    ms(3_000).await;
    assert!(
        is_on(&store, "X") == Some(true) || store.freshness() != Freshness::Live,
        "off and live, though the store answers and has had it on for 3 s"
    );
}

// M3: a flag that is touched more often than a read takes
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flag_that_changes_all_the_time_is_seen() {
    let fake = Fake::new(true);
    fake.plant("X", false).await;
    let store = Arc::new(MirrorStore::start(fake.clone()).await.unwrap());
    fake.0.get_delay_ms.store(20, Ordering::SeqCst);
    let writer = tokio::spawn({
        let fake = fake.clone();
        async move {
            loop {
                // Always on from now on.
                fake.plant("X", true).await;
                fake.tell(&Change::Touched { name: "X".into() });
                ms(5).await;
            }
        }
    });
    ms(3_000).await;
    let seen = (is_on(&store, "X"), store.freshness());
    writer.abort();
    assert_ne!(seen, (Some(false), Freshness::Live), "it was off last 3 s ago");
}

// M3b: a write of ours meanwhile

// M4: resyncs that come faster than a load takes
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resyncs_that_come_faster_than_a_load_takes() {
    let fake = Fake::new(true);
    fake.plant("X", false).await;
    let store = MirrorStore::start(fake.clone()).await.unwrap();
    fake.plant("X", true).await;
    fake.0.list_delay_ms.store(200, Ordering::SeqCst);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        fake.tell(&Change::Resync { cause: ResyncCause::Overflow });
        ms(100).await;
    }
    assert_ne!(
        (is_on(&store, "X"), store.freshness()),
        (Some(false), Freshness::Live),
        "it was off last 3 s ago; {} loads began",
        fake.0.lists.load(Ordering::SeqCst)
    );
}

// M5: accept_empty while the store is away
#[tokio::test]
async fn accept_empty_does_not_call_live_what_is_down() {
    let fake = Fake::new(true);
    for name in ["X", "Y"] {
        fake.plant(name, true).await;
    }
    let store = MirrorStore::start(fake.clone()).await.unwrap();
    for name in ["X", "Y"] {
        fake.0.inner.delete(FlagName::new(name).unwrap(), Expect::Any).await.unwrap();
    }
    fake.tell(&Change::Resync { cause: ResyncCause::Reconnected });
    ms(200).await;
    assert!(matches!(store.freshness(), Freshness::Stale { .. }));
    fake.tell(&Change::Down { error: err(ErrorKind::Unavailable) });
    ms(100).await;
    store.accept_empty();
    ms(2_500).await;
    assert_ne!(store.freshness(), Freshness::Live, "the store is away");
}

// M6: accept_empty is not saved
#[tokio::test]
async fn what_was_accepted_as_empty_is_saved() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("good");
    let fake = Fake::new(true);
    for name in ["X", "Y"] {
        fake.plant(name, true).await;
    }
    let store = MirrorStore::builder(fake.clone()).last_known_good(&path).start().await.unwrap();
    // It is saved every 5 s.
    ms(5_500).await;
    assert!(std::fs::read_to_string(&path).unwrap().contains("\"X\""));
    for name in ["X", "Y"] {
        fake.0.inner.delete(FlagName::new(name).unwrap(), Expect::Any).await.unwrap();
    }
    fake.tell(&Change::Resync { cause: ResyncCause::Reconnected });
    ms(200).await;
    store.accept_empty();
    store.close().await.unwrap();
    let saved = std::fs::read_to_string(&path).unwrap();
    assert!(!saved.contains("\"X\""), "a start without the store has the flags again: {saved}");
}

// M7: a name that ends in a quote and a blank
#[tokio::test]
async fn any_legal_name_can_be_saved() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("good");
    let fake = Fake::new(true);
    fake.plant("X", true).await;
    fake.plant("Y\" ", true).await;
    let store = MirrorStore::builder(fake).last_known_good(&path).start().await.unwrap();
    store.close().await.unwrap();
    let store = MirrorStore::builder(Fake::new(true)).last_known_good(&path).start_unready();
    assert_eq!(is_on(&store, "X"), Some(true), "the whole file is refused");
}

// M8: false alarm
#[tokio::test]
async fn flags_that_are_created_during_the_first_load_are_not_lost_ones() {
    let fake = Fake::new(false);
    fake.0.list_delay_ms.store(200, Ordering::SeqCst);
    let store = MirrorStore::builder(fake.clone()).start_unready();
    ms(100).await;
    for name in ["X", "Y"] {
        store.put(&flag(name, true), Expect::Any).await.unwrap();
    }
    ms(2_500).await;
    assert_eq!(store.freshness(), Freshness::Live);
}

// M9: the mark of a bad record that is gone
#[tokio::test]
async fn a_bad_record_that_is_gone_leaves_no_mark() {
    let fake = Fake::new(false);
    fake.plant("X", true).await;
    *fake.0.bad.lock().unwrap() = Some("Z".to_owned());
    let store =
        MirrorStore::builder(fake.clone()).poll_interval(Duration::from_millis(50)).start().await.unwrap();
    assert_ne!(store.snapshot().unwrap().freshness_of("Z"), Freshness::Live);
    *fake.0.bad.lock().unwrap() = None;
    ms(500).await;
    assert_eq!(store.snapshot().unwrap().freshness_of("Z"), Freshness::Live);
}

// M10: wakers run under the lock
#[test]
fn wakers_run_without_a_lock() {
    struct Calls(Arc<MirrorStore<Fake>>);
    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            // Somebody's executor polls at once, and that watches the store.
            drop(self.0.watch());
        }
    }
    bounded(Duration::from_secs(5), || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let fake = Fake::new(true);
        let store = Arc::new(runtime.block_on(MirrorStore::start(fake.clone())).unwrap());
        let mut changes = Box::pin(store.freshness_changes());
        let waker = Waker::from(Arc::new(Calls(store.clone())));
        let mut task = Task::from_waker(&waker);
        while changes.as_mut().poll_next(&mut task).is_ready() {}
        fake.tell(&Change::Down { error: err(ErrorKind::Unavailable) });
        std::thread::sleep(Duration::from_millis(300));
        // Blocks, as the waker waits for the lock that its own thread has.
        drop(store.watch());
        drop(changes);
        runtime.shutdown_background();
    });
}

// M11: close() hangs if the runtime of the follower is not driven
#[test]
fn close_ends_if_the_runtime_of_the_task_is_not_driven() {
    bounded(Duration::from_secs(5), || {
        let first = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = first.block_on(MirrorStore::start(Fake::new(true))).unwrap();
        let second = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        second.block_on(store.close()).unwrap();
        drop(first);
    });
}

// M12: our own last write is undone
#[tokio::test]
async fn what_is_told_late_does_not_undo_a_deletion() {
    let fake = Fake::new(true);
    let x = fake.plant("X", true).await;
    let store = MirrorStore::start(fake.clone()).await.unwrap();
    let name = FlagName::new("X").unwrap();
    store.delete(name, Expect::Any).await.unwrap();
    let version = store.put(&flag("X", true), Expect::Any).await.unwrap();
    store.delete(name, Expect::Any).await.unwrap();
    assert_eq!(is_on(&store, "X"), None);
    // Now it is told, one after the other.
    fake.tell(&Change::Deleted { name: "X".into(), version: None });
    fake.tell(&Change::Put(flipper_core::Versioned { value: x.value, version }));
    ms(300).await;
    assert_eq!(is_on(&store, "X"), None, "our own deletion has returned long ago");
    drop(fake);
}

// M13: the logger runs under the lock

// M14: a write of ours waits for the reads of everything else

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_does_not_wait_for_hundreds_of_reads() {
    use flipper_testkit::{Fault, FaultStore, Operation};
    let fake = Fake::new(true);
    let faults = FaultStore::new(fake.clone());
    let store = MirrorStore::start(faults.clone()).await.unwrap();
    fake.0.get_delay_ms.store(1_000, Ordering::SeqCst);
    for number in 0..320 {
        fake.tell(&Change::Touched { name: format!("N{number}").into() });
    }
    ms(200).await;
    faults.push(Operation::Put, Fault::LostReply);
    let x = flag("X", true);
    let put = tokio::time::timeout(Duration::from_secs(5), store.put(&x, Expect::Any)).await;
    assert!(put.is_ok(), "a read takes 1 s, and a write more than 5 s");
}

// M15: each touch of one flag is a task of its own
#[tokio::test]
async fn a_flag_that_is_touched_often_is_read_seldom() {
    let fake = Fake::new(true);
    fake.plant("X", true).await;
    let store = MirrorStore::start(fake.clone()).await.unwrap();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    fake.0.get_delay_ms.store(3_000, Ordering::SeqCst);
    for _ in 0..20 {
        for _ in 0..500 {
            fake.tell(&Change::Touched { name: "X".into() });
        }
        ms(10).await;
    }
    assert!(tasks() - before < 100, "{} tasks read one flag", tasks() - before);
    drop(store);
}

// M16: a watch that is always ready
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_down_without_a_load_and_lkg() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("good");
    let fake = Fake::new(true);
    fake.plant("X", true).await;
    let store = MirrorStore::builder(fake.clone()).last_known_good(&path).start().await.unwrap();
    store.close().await.unwrap();
    // Loaded, but not followed: as without the file, that is ready.
    let fake = Fake::new(true);
    fake.plant("X", false).await;
    fake.0.list_delay_ms.store(100, Ordering::SeqCst);
    let store = MirrorStore::builder(fake.clone()).last_known_good(&path).start_unready();
    ms(50).await;
    fake.tell(&Change::Down { error: err(ErrorKind::Unavailable) });
    assert!(
        tokio::time::timeout(Duration::from_secs(2), store.ready()).await.is_ok(),
        "{:?} {:?}",
        is_on(&store, "X"),
        store.freshness()
    );
}
