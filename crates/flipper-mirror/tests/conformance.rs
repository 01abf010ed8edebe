//! The mirror keeps the contract, over a store that is watched.

#![allow(clippy::unwrap_used, reason = "tests")]

use flipper_memory::MemoryStore;
use flipper_mirror::MirrorStore;
use flipper_testkit::{Subject, store_conformance};

store_conformance!(
    mirrored,
    Subject::new(|| async { MirrorStore::start(MemoryStore::new()).await.unwrap() }),
    absent = 8
);
