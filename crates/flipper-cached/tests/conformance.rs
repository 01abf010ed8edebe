//! The cache keeps the contract, over stores that are watched and that are not.

#![allow(clippy::unwrap_used, reason = "tests")]

use flipper_cached::CachedStore;
use flipper_memory::MemoryStore;
use flipper_testkit::{FaultStore, Subject, store_conformance};

/// One whose flags are not in memory already.
fn remote() -> FaultStore<MemoryStore> {
    FaultStore::new(MemoryStore::new())
}

store_conformance!(followed, Subject::new(|| async { CachedStore::new(remote()) }), absent = 10);

store_conformance!(
    unfollowed,
    Subject::new(|| async { CachedStore::builder(remote()).watch(false).size(3).build() }),
    absent = 10
);

store_conformance!(in_memory, Subject::new(|| async { CachedStore::new(MemoryStore::new()) }), absent = 8);
