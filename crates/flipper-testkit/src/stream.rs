//! Walking streams in tests.

use std::future::poll_fn;
use std::time::Duration;

use flipper_core::BoxStream;

/// How long a test waits for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Returns the next item, or `None` at the end.
///
/// # Panics
///
/// If there is neither within 10 s.
///
/// # Examples
///
/// ```
/// use flipper_core::{Change, Store};
/// use flipper_memory::MemoryStore;
/// use flipper_testkit::next;
///
/// # flipper_testkit::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let mut changes = MemoryStore::new().watch().expect("it can be watched");
/// assert!(matches!(next(&mut changes).await, Some(Change::Resync { .. })));
/// assert!(next(&mut changes).await.is_none(), "the store is gone");
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
pub async fn next<T>(stream: &mut BoxStream<'_, T>) -> Option<T> {
    let next = poll_fn(|task| stream.as_mut().poll_next(task));
    tokio::time::timeout(PATIENCE, next)
        .await
        .expect("the stream gave neither an item nor its end within 10 s")
}

/// Returns all items up to the end.
///
/// # Panics
///
/// If one of them, or the end, takes more than 10 s.
///
/// # Examples
///
/// ```
/// use flipper_core::{Page, Store};
/// use flipper_memory::MemoryStore;
/// use flipper_testkit::collect;
///
/// # flipper_testkit::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = MemoryStore::new();
/// assert!(collect(store.list(Page::ALL)).await.is_empty());
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
pub async fn collect<T>(mut stream: BoxStream<'_, T>) -> Vec<T> {
    let mut items = Vec::new();
    while let Some(item) = next(&mut stream).await {
        items.push(item);
    }
    items
}
