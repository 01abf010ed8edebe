//! Stores, runtimes and callers that do their worst to a cache.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flipper_cached::CachedStore;
use flipper_core::{
    BoxStream, Change, Context, ErrorKind, FeatureFlagClient, FlagName, Freshness, ResyncCause, Store,
};
use flipper_memory::MemoryStore;
use flipper_testkit::{Fault, FaultStore, Operation};

use crate::fake::{Fake, bounded};

async fn ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
fn x() -> FlagName<'static> {
    FlagName::new("X").unwrap()
}

// C1: a creation and a deletion, and a read in between
#[tokio::test]
async fn a_read_from_before_a_deletion_does_not_land_after_it() {
    let fake = Fake::new(true);
    let store = Arc::new(CachedStore::builder(fake.clone()).without_ttl().build());
    ms(50).await;
    // There is none, and that is known.
    assert!(store.look_up(x()).await.unwrap().flag.is_none());
    // Somebody creates it; it is told.
    let put = fake.plant("X", true).await;
    fake.tell(&Change::Put(put));
    ms(50).await;
    // A check reads it, slowly.
    fake.0.get_delay_ms.store(300, Ordering::SeqCst);
    let read = tokio::spawn({
        let store = store.clone();
        async move { store.look_up(x()).await }
    });
    ms(100).await;
    // Somebody deletes it; it is told while the read is under way.
    fake.0.inner.delete(x(), flipper_core::Expect::Any).await.unwrap();
    fake.tell(&Change::Deleted { name: "X".into(), version: None });
    read.await.unwrap().unwrap();
    fake.0.get_delay_ms.store(0, Ordering::SeqCst);
    ms(2_000).await;
    let known = store.look_up(x()).await.unwrap();
    assert!(known.flag.is_none(), "deleted 2 s ago, told so, and {:?}", known.freshness);
}

// C2: a sync program: one `block_on` for each check
#[test]
fn checks_by_block_on_find_out_that_the_store_is_back() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let inner = FaultStore::new(MemoryStore::new());
    let builder = CachedStore::builder(inner.clone()).watch(false).ttl(Duration::from_millis(50));
    let store = Arc::new(builder.build());
    let client = FeatureFlagClient::new(store.clone());
    runtime.block_on(async { client.create("X").await.unwrap().enable().await.unwrap() });
    inner.push(Operation::Get, Fault::Fail(ErrorKind::Unavailable));
    std::thread::sleep(Duration::from_millis(100));
    let check = || runtime.block_on(client.evaluate("X", &Context::EMPTY, false)).unwrap();
    assert!(check().freshness != Freshness::Live);
    // The store is back: the one fault is over.
    assert_eq!(inner.pending(), 0);
    let start = Instant::now();
    while check().freshness != Freshness::Live {
        assert!(start.elapsed() < Duration::from_secs(5), "stale, {:?}", store.stats());
        std::thread::sleep(Duration::from_millis(10));
    }
}

// C3: the runtime of the first who misses ends
#[test]
fn who_joins_a_read_of_a_runtime_that_ends_does_not_panic() {
    bounded(Duration::from_secs(8), || {
        let inner = FaultStore::new(MemoryStore::new());
        let store = Arc::new(CachedStore::builder(inner.clone()).watch(false).build());
        inner.push(Operation::Get, Fault::Delay(Duration::from_millis(500)));
        let first =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        first.spawn({
            let store = store.clone();
            async move { drop(store.look_up(x()).await) }
        });
        std::thread::sleep(Duration::from_millis(100));
        let second = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { tokio::time::timeout(Duration::from_secs(3), store.look_up(x())).await })
        });
        std::thread::sleep(Duration::from_millis(100));
        drop(first);
        assert!(second.join().expect("no panic").expect("in time").is_ok());
    });
}

// C3b: the runtime of the first who misses is not driven any more
#[test]
fn who_joins_a_read_of_a_runtime_that_is_idle_does_not_hang() {
    bounded(Duration::from_secs(20), || {
        let inner = FaultStore::new(MemoryStore::new());
        let store = Arc::new(CachedStore::builder(inner.clone()).watch(false).build());
        inner.push(Operation::Get, Fault::Delay(Duration::from_millis(500)));
        let first = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let other = store.clone();
        let second = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime
                .block_on(async { tokio::time::timeout(Duration::from_secs(12), other.look_up(x())).await })
        });
        // Somebody with a limit of his own.
        let limited = first
            .block_on(async { tokio::time::timeout(Duration::from_millis(200), store.look_up(x())).await });
        assert!(limited.is_err());
        // `first` is kept, and idle.
        assert!(second.join().unwrap().is_ok(), "a read of 500 ms has not ended after 12 s");
        drop(first);
    });
}

// C4: a name that the backend cannot store, during an outage
#[tokio::test]
async fn an_illegal_name_is_no_sign_that_the_store_is_back() {
    #[derive(Debug)]
    struct Away(MemoryStore, std::sync::atomic::AtomicBool, std::sync::atomic::AtomicU64);
    #[async_trait::async_trait]
    impl Store for Away {
        async fn get(
            &self,
            name: FlagName<'_>,
        ) -> flipper_core::Result<Option<flipper_core::Versioned<flipper_core::Flag>>> {
            if name.as_str().len() > 100 {
                return Err(crate::fake::err(ErrorKind::InvalidInput));
            }
            if self.1.load(Ordering::SeqCst) {
                self.2.fetch_add(1, Ordering::SeqCst);
                ms(300).await;
                return Err(crate::fake::err(ErrorKind::Unavailable));
            }
            self.0.get(name).await
        }
        async fn put(
            &self,
            flag: &flipper_core::Flag,
            expect: flipper_core::Expect<'_>,
        ) -> flipper_core::Result<flipper_core::Version> {
            self.0.put(flag, expect).await
        }
        async fn delete(
            &self,
            name: FlagName<'_>,
            expect: flipper_core::Expect<'_>,
        ) -> flipper_core::Result<bool> {
            self.0.delete(name, expect).await
        }
        fn list(
            &self,
            page: flipper_core::Page,
        ) -> BoxStream<'_, flipper_core::Result<flipper_core::Listed>> {
            self.0.list(page)
        }
        fn capabilities(&self) -> flipper_core::Capabilities {
            flipper_core::Capabilities::CONDITIONAL_WRITES
        }
    }
    let inner = Arc::new(Away(MemoryStore::new(), false.into(), 0.into()));
    let store = CachedStore::builder(inner.clone()).ttl(Duration::from_millis(20)).build();
    store.put(&crate::fake::flag("X", true), flipper_core::Expect::Any).await.unwrap();
    inner.1.store(true, Ordering::SeqCst);
    ms(50).await;
    assert!(store.look_up(x()).await.unwrap().freshness != Freshness::Live);
    let long = "n".repeat(200);
    let mut waited = 0;
    for _ in 0..5 {
        if std::env::var_os("NO_LONG").is_none() {
            let _ = store.look_up(FlagName::new(&long).unwrap()).await;
        }
        let start = Instant::now();
        store.look_up(x()).await.unwrap();
        waited += u32::from(start.elapsed() > Duration::from_millis(200));
    }
    assert_eq!(waited, 0, "checks waited for a store that is known to be away");
}

// C5: close() hangs
#[test]
fn close_ends_if_the_runtime_of_the_task_is_not_driven() {
    bounded(Duration::from_secs(5), || {
        let first = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = first.block_on(async { CachedStore::new(Fake::new(true)) });
        first.block_on(ms(50));
        let second = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        second.block_on(store.close()).unwrap();
        drop(first);
    });
}

// C6: a watch that is always ready
#[test]
fn a_watch_that_is_always_ready_leaves_the_runtime_alive() {
    #[derive(Debug)]
    struct Loops(MemoryStore);
    #[async_trait::async_trait]
    impl Store for Loops {
        async fn get(
            &self,
            name: FlagName<'_>,
        ) -> flipper_core::Result<Option<flipper_core::Versioned<flipper_core::Flag>>> {
            self.0.get(name).await
        }
        async fn put(
            &self,
            flag: &flipper_core::Flag,
            expect: flipper_core::Expect<'_>,
        ) -> flipper_core::Result<flipper_core::Version> {
            self.0.put(flag, expect).await
        }
        async fn delete(
            &self,
            name: FlagName<'_>,
            expect: flipper_core::Expect<'_>,
        ) -> flipper_core::Result<bool> {
            self.0.delete(name, expect).await
        }
        fn list(
            &self,
            page: flipper_core::Page,
        ) -> BoxStream<'_, flipper_core::Result<flipper_core::Listed>> {
            self.0.list(page)
        }
        fn capabilities(&self) -> flipper_core::Capabilities {
            self.0.capabilities()
        }
        fn watch(&self) -> Option<BoxStream<'static, Change>> {
            Some(Box::pin(flipper_core::store::iter(std::iter::repeat_with(|| Change::Resync {
                cause: ResyncCause::Server,
            }))))
        }
    }
    bounded(Duration::from_secs(5), || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = CachedStore::new(Loops(MemoryStore::new()));
            ms(50).await;
            drop(store);
        });
    });
}

// C7: part of the store is away
#[tokio::test]
async fn a_flag_that_cannot_be_read_is_not_waited_for_because_another_can() {
    #[derive(Debug)]
    struct Half(MemoryStore, std::sync::atomic::AtomicBool);
    #[async_trait::async_trait]
    impl Store for Half {
        async fn get(
            &self,
            name: FlagName<'_>,
        ) -> flipper_core::Result<Option<flipper_core::Versioned<flipper_core::Flag>>> {
            if name.as_str() == "X" && self.1.load(Ordering::SeqCst) {
                ms(300).await;
                return Err(crate::fake::err(ErrorKind::Unavailable));
            }
            self.0.get(name).await
        }
        async fn put(
            &self,
            flag: &flipper_core::Flag,
            expect: flipper_core::Expect<'_>,
        ) -> flipper_core::Result<flipper_core::Version> {
            self.0.put(flag, expect).await
        }
        async fn delete(
            &self,
            name: FlagName<'_>,
            expect: flipper_core::Expect<'_>,
        ) -> flipper_core::Result<bool> {
            self.0.delete(name, expect).await
        }
        fn list(
            &self,
            page: flipper_core::Page,
        ) -> BoxStream<'_, flipper_core::Result<flipper_core::Listed>> {
            self.0.list(page)
        }
        fn capabilities(&self) -> flipper_core::Capabilities {
            flipper_core::Capabilities::CONDITIONAL_WRITES
        }
    }
    let inner = Arc::new(Half(MemoryStore::new(), false.into()));
    let store = CachedStore::builder(inner.clone()).ttl(Duration::from_millis(20)).build();
    for name in ["X", "Y"] {
        store.put(&crate::fake::flag(name, true), flipper_core::Expect::Any).await.unwrap();
    }
    inner.1.store(true, Ordering::SeqCst);
    ms(50).await;
    let mut waited = 0;
    for _ in 0..5 {
        let start = Instant::now();
        store.look_up(x()).await.unwrap();
        waited += u32::from(start.elapsed() > Duration::from_millis(200));
        // The other shard answers: a miss each time.
        store.look_up(FlagName::new(&format!("N{waited}{start:?}")).unwrap()).await.unwrap();
        ms(30).await;
    }
    assert!(waited <= 1, "{waited} of 5 checks waited for what is known not to answer");
}

// c2, but with threads of the runtime: the control
