use flipper_core::Store;

use super::{Outcome, flag, put};
use crate::{Subject, next};

/// Closing a store ends its watches; closing it again is no error.
pub async fn closing_ends_watches_and_can_be_repeated<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    put(&*store, &flag("X", 1)).await;
    let changes = store.watch();
    store.close().await.unwrap();
    store.close().await.unwrap();
    if let Some(mut changes) = changes {
        // What happened before may still be told.
        while next(&mut changes).await.is_some() {}
    }
    Outcome::Proven
}

/// Dropping the last handle of a store ends its watches.
pub async fn dropping_ends_watches<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    let changes = store.watch();
    drop(store);
    let Some(mut changes) = changes else { return Outcome::Absent("watch") };
    while next(&mut changes).await.is_some() {}
    Outcome::Proven
}
