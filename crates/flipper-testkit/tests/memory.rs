//! The memory store keeps the contract, and so do the wrappers of this crate around it.

use std::sync::Arc;

use flipper_core::Store;
use flipper_memory::MemoryStore;
use flipper_testkit::{FaultStore, RecordingStore, Subject, store_conformance};

/// Every handle of a memory store is a sibling of it, and closing it is an outage. It cannot hold a corrupt record, so
/// there is none to be planted: three behaviours are left out.
fn subject<S: Store>(wrap: impl Fn(MemoryStore) -> S + Send + Sync + 'static) -> Subject<S> {
    Subject::new(move || {
        let store = wrap(MemoryStore::new());
        async { store }
    })
    .with_sibling(|store| async { store })
    .with_outage(|store| async move {
        if let Err(error) = store.close().await {
            unreachable!("{error}");
        }
    })
}

store_conformance!(memory, subject(|store| store), absent = 3);

store_conformance!(shared, subject(Arc::new), absent = 3);

store_conformance!(recording, subject(RecordingStore::new), absent = 3);

// Faults are met by asking, so there are no local reads and no snapshot.
store_conformance!(without_faults, subject(FaultStore::new), absent = 5);
