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
pub async fn collect<T>(mut stream: BoxStream<'_, T>) -> Vec<T> {
    let mut items = Vec::new();
    while let Some(item) = next(&mut stream).await {
        items.push(item);
    }
    items
}
