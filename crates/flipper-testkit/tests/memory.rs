//! The memory store keeps the contract.

use flipper_memory::MemoryStore;
use flipper_testkit::{Subject, store_conformance};

// It cannot hold a corrupt record, so there is none to be planted; every handle of it is a sibling.
store_conformance!(
    memory,
    Subject::new(|| async { MemoryStore::new() }).with_sibling(|store| async { store }),
    absent = 3
);
