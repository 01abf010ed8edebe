//! The store keeps the contract of its primary: with replicas that are told in the background, at once, and every state.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use flipper_memory::MemoryStore;
use flipper_replicated::{ReplicatedStore, ReplicatedStoreBuilder};
use flipper_testkit::{Subject, store_conformance};

type Replicated = ReplicatedStore<MemoryStore>;

fn builder() -> ReplicatedStoreBuilder<MemoryStore> {
    let builder = ReplicatedStore::builder(MemoryStore::new());
    builder.replica("copy", MemoryStore::new()).replica_of_every_state("trail", MemoryStore::new())
}

fn subject(start: fn() -> Replicated) -> Subject<Replicated> {
    Subject::new(move || async move { start() })
}

store_conformance!(in_the_background, subject(|| builder().start().unwrap()), absent = 8);
store_conformance!(
    synchronous,
    subject(|| builder().synchronous(Duration::from_secs(20)).start().unwrap()),
    absent = 8
);
store_conformance!(
    following,
    subject(|| builder().follow_primary().failover_to("copy").start().unwrap()),
    absent = 8
);
