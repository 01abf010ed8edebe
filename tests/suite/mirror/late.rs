//! News that is late, reads that are slow, and saves that fail.

use crate::fake::*;
use flipper_core::*;
use flipper_mirror::MirrorStore;
use std::sync::atomic::Ordering;
use std::time::Duration;
async fn ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
fn is_on(store: &MirrorStore<Fake>, name: &str) -> Option<bool> {
    store.snapshot().unwrap().get(name).map(|f| f.value.is_enabled(&Context::EMPTY))
}
// N1: a read that began before a load, and ends after it
#[tokio::test]
async fn a_slow_read_does_not_undo_a_load() {
    let fake = Fake::new(true);
    fake.plant("X", false).await;
    let store = MirrorStore::start(fake.clone()).await.unwrap();
    fake.0.get_delay_ms.store(300, Ordering::SeqCst);
    fake.tell(&Change::Touched { name: "X".into() });
    ms(50).await; // the read has its answer (off), which is on its way
    fake.0.get_delay_ms.store(0, Ordering::SeqCst);
    fake.plant("X", true).await; // told by nothing but the resync
    fake.tell(&Change::Resync { cause: ResyncCause::Reconnected });
    ms(100).await;
    assert_eq!(is_on(&store, "X"), Some(true));
    ms(3_000).await;
    assert_eq!(
        (is_on(&store, "X"), store.freshness()),
        (Some(true), Freshness::Live),
        "the load is undone by an older answer"
    );
}
// N2: a write that has to read ends
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_ends_though_others_write_all_the_time() {
    #[derive(Debug)]
    struct SlowPut(Fake);
    #[async_trait::async_trait]
    impl Store for SlowPut {
        async fn get(&self, n: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
            self.0.get(n).await
        }
        async fn put(&self, f: &Flag, e: Expect<'_>) -> Result<Version> {
            let v = self.0.put(f, e).await;
            ms(30).await;
            v
        }
        async fn delete(&self, n: FlagName<'_>, e: Expect<'_>) -> Result<bool> {
            self.0.delete(n, e).await
        }
        fn list(&self, p: Page) -> BoxStream<'_, Result<Listed>> {
            self.0.list(p)
        }
        fn capabilities(&self) -> Capabilities {
            self.0.capabilities()
        }
        fn watch(&self) -> Option<BoxStream<'static, Change>> {
            self.0.watch()
        }
    }
    let fake = Fake::new(true);
    fake.plant("X", false).await;
    let store = MirrorStore::start(SlowPut(fake.clone())).await.unwrap();
    fake.0.get_delay_ms.store(20, Ordering::SeqCst);
    let writer = tokio::spawn({
        let fake = fake.clone();
        async move {
            loop {
                let f = fake.plant("X", true).await;
                fake.tell(&Change::Put(f));
                ms(5).await;
            }
        }
    });
    ms(50).await;
    let x = flag("X", true);
    let ended = tokio::time::timeout(Duration::from_secs(5), store.put(&x, Expect::Any)).await;
    writer.abort();
    assert!(
        ended.is_ok(),
        "a write of 30 ms and a read of 20 ms have not ended after 5 s; {} gets",
        fake.0.gets.load(Ordering::SeqCst)
    );
}
// N3: accept_empty forgets what was written since
#[tokio::test]
async fn accept_empty_keeps_what_was_written_since() {
    let fake = Fake::new(false);
    for n in ["X", "Y"] {
        fake.plant(n, true).await;
    }
    let store =
        MirrorStore::builder(fake.clone()).poll_interval(Duration::from_millis(500)).start().await.unwrap();
    for n in ["X", "Y"] {
        fake.0.inner.delete(FlagName::new(n).unwrap(), Expect::Any).await.unwrap();
    }
    ms(700).await;
    assert!(matches!(store.freshness(), Freshness::Stale { .. }));
    store.put(&flag("NEW", true), Expect::Any).await.unwrap();
    store.accept_empty();
    assert_eq!(
        (is_on(&store, "NEW"), store.freshness()),
        (Some(true), Freshness::Live),
        "our own write is gone, and that is live"
    );
}
// N4: a mark of a bad record that is told during the first load of an empty store
#[tokio::test]
async fn what_is_told_bad_during_the_first_load_stays_marked() {
    let fake = Fake::new(true);
    fake.0.list_delay_ms.store(300, Ordering::SeqCst);
    let store = MirrorStore::builder(fake.clone()).start_unready();
    ms(100).await;
    fake.tell(&Change::Bad {
        name: "Z".into(),
        version: Some(Version::from_u64(1)),
        error: err(ErrorKind::Corrupt),
    });
    ms(50).await;
    assert!(store.snapshot().unwrap().marked().iter().any(|n| &**n == "Z"));
    store.ready().await;
    ms(200).await;
    assert_ne!(
        store.snapshot().unwrap().freshness_of("Z"),
        Freshness::Live,
        "its record cannot be read, and it is known to be absent, live"
    );
}
// N5: unique versions, deletions: ABA
#[tokio::test]
async fn what_is_told_late_does_not_undo_our_own_deletion() {
    let fake = Fake::new(true);
    fake.plant("X", true).await;
    let store = MirrorStore::start(fake.clone()).await.unwrap();
    // Somebody deletes it and makes it again, we delete it; told late, in order.
    let x = FlagName::new("X").unwrap();
    fake.0.inner.delete(x, Expect::Any).await.unwrap();
    let again = fake.plant("X", true).await;
    store.delete(x, Expect::Any).await.unwrap();
    assert_eq!(is_on(&store, "X"), None);
    fake.tell(&Change::Deleted { name: "X".into(), version: None });
    ms(50).await;
    fake.tell(&Change::Put(again));
    ms(200).await;
    assert_eq!(is_on(&store, "X"), None, "our own deletion is taken back");
}
// N7: backup leaves files
#[tokio::test]
async fn a_backup_that_fails_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("good");
    std::fs::create_dir(&path).unwrap();
    let fake = Fake::new(true);
    fake.plant("X", true).await;
    let store = MirrorStore::builder(fake).last_known_good(&path).start().await.unwrap();
    ms(11_000).await;
    drop(store);
    let files: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
}
// N8: since of a corrupt record
#[tokio::test]
async fn since_when_a_record_is_bad_stays() {
    let fake = Fake::new(false);
    fake.plant("X", true).await;
    *fake.0.bad.lock().unwrap() = Some("Z".into());
    let store =
        MirrorStore::builder(fake.clone()).poll_interval(Duration::from_millis(50)).start().await.unwrap();
    let first = store.snapshot().unwrap().freshness_of("Z");
    ms(2_500).await;
    assert_eq!(store.snapshot().unwrap().freshness_of("Z"), first);
}
// N9: always ready watch
#[test]
fn a_watch_that_is_always_ready_lets_loads_be() {
    #[derive(Debug)]
    struct Loops(flipper_memory::MemoryStore);
    #[async_trait::async_trait]
    impl Store for Loops {
        async fn get(&self, n: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
            self.0.get(n).await
        }
        async fn put(&self, f: &Flag, e: Expect<'_>) -> Result<Version> {
            self.0.put(f, e).await
        }
        async fn delete(&self, n: FlagName<'_>, e: Expect<'_>) -> Result<bool> {
            self.0.delete(n, e).await
        }
        fn list(&self, p: Page) -> BoxStream<'_, Result<Listed>> {
            self.0.list(p)
        }
        fn capabilities(&self) -> Capabilities {
            self.0.capabilities()
        }
        fn watch(&self) -> Option<BoxStream<'static, Change>> {
            Some(Box::pin(store::iter(
                std::iter::once(Change::Resync { cause: ResyncCause::Server })
                    .chain(std::iter::repeat_with(|| Change::Touched { name: "X".into() })),
            )))
        }
    }
    bounded(Duration::from_secs(10), || {
        let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        rt.block_on(async {
            let s = MirrorStore::builder(Loops(flipper_memory::MemoryStore::new()))
                .start_timeout(Duration::from_secs(3))
                .start()
                .await;
            assert!(s.is_ok(), "{s:?}");
        });
        rt.shutdown_background();
    });
}
// N10: what every name that was ever written leaves
// N11: the read after a write fails once
#[tokio::test]
async fn a_write_is_there_though_the_read_after_it_fails() {
    #[derive(Debug)]
    struct Tells(Fake);
    #[async_trait::async_trait]
    impl Store for Tells {
        async fn get(&self, n: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
            self.0.get(n).await
        }
        async fn put(&self, f: &Flag, e: Expect<'_>) -> Result<Version> {
            // Somebody else's write just before ours, told while ours is under way.
            let theirs = self.0.plant("X", false).await;
            self.0.tell(&Change::Put(theirs));
            let v = self.0.put(f, e).await;
            ms(50).await;
            v
        }
        async fn delete(&self, n: FlagName<'_>, e: Expect<'_>) -> Result<bool> {
            self.0.delete(n, e).await
        }
        fn list(&self, p: Page) -> BoxStream<'_, Result<Listed>> {
            self.0.list(p)
        }
        fn capabilities(&self) -> Capabilities {
            self.0.capabilities()
        }
        fn watch(&self) -> Option<BoxStream<'static, Change>> {
            self.0.watch()
        }
    }
    let fake = Fake::new(true);
    let store = MirrorStore::start(Tells(fake.clone())).await.unwrap();
    fake.0.fail_gets.store(1, Ordering::SeqCst);
    store.put(&flag("X", true), Expect::Any).await.unwrap();
    let on = store.snapshot().unwrap().get("X").map(|f| f.value.is_enabled(&Context::EMPTY));
    assert!(
        on == Some(true) || store.freshness() != Freshness::Live,
        "our write has returned, and {on:?} is live"
    );
}
