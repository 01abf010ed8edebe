//! Wrappers around wrappers keep the contract.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flipper_cached::CachedStore;
use flipper_core::{
    BoxStream, Capabilities, Expect, Flag, FlagName, Listed, Page, Result, Store, Version, Versioned,
    Watching,
};
use flipper_memory::MemoryStore;
use flipper_mirror::MirrorStore;
use flipper_testkit::{FaultStore, Subject, store_conformance};

/// A store whose flags are not in memory already.
fn remote() -> FaultStore<MemoryStore> {
    FaultStore::new(MemoryStore::new())
}

store_conformance!(
    mirror_of_a_cache,
    Subject::new(|| async { MirrorStore::start(CachedStore::new(remote())).await.unwrap() }),
    absent = 8
);

store_conformance!(
    cache_of_a_mirror,
    Subject::new(|| async { CachedStore::new(MirrorStore::start(remote()).await.unwrap()) }),
    absent = 8
);

store_conformance!(
    cache_of_a_cache,
    Subject::new(|| async { CachedStore::new(CachedStore::builder(remote()).size(2).build()) }),
    absent = 10
);

store_conformance!(
    mirror_of_a_mirror,
    Subject::new(|| async { MirrorStore::start(MirrorStore::start(remote()).await.unwrap()).await.unwrap() }),
    absent = 8
);

/// A store that does what every store has to, and no more: nobody can watch it.
#[derive(Debug)]
struct Plain(Arc<MemoryStore>);

#[async_trait]
impl Store for Plain {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.0.get(name).await
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
        self.0.capabilities().with_watch(Watching::Absent).with_local_reads(false)
    }
}

async fn polled(inner: Arc<MemoryStore>) -> MirrorStore<Plain> {
    let builder = MirrorStore::builder(Plain(inner)).poll_interval(Duration::from_millis(20));
    builder.start().await.unwrap()
}

store_conformance!(
    mirror_that_polls,
    Subject::new(|| async { polled(Arc::default()).await })
        .with_sibling(|store| async move { Arc::new(polled(store.get_ref().0.clone()).await) }),
    absent = 5
);

store_conformance!(
    cache_of_a_plain_store,
    Subject::new(|| async { CachedStore::new(Plain(Arc::default())) })
        .with_sibling(|store| async move { Arc::new(CachedStore::new(Plain(store.get_ref().0.clone()))) }),
    absent = 15
);
