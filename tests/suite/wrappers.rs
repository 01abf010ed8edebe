//! Wrappers around wrappers keep the contract.

use flipper_cached::CachedStore;
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
