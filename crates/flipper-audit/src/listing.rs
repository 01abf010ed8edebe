//! A listing that somebody watches.

use std::pin::Pin;
use std::task::{Context, Poll};

use flipper_core::{BoxStream, Error, Listed, Result};
use futures_core::Stream;

/// Is told how a listing goes. Its drop is the listing's end.
pub(crate) trait Watcher: Send + Unpin {
    /// Runs a step of it.
    fn poll<T>(&mut self, poll: impl FnOnce() -> T) -> T {
        poll()
    }

    /// It has failed.
    fn error(&mut self, error: &Error);
}

pub(crate) struct Watched<'s, W> {
    records: BoxStream<'s, Result<Listed>>,
    watcher: W,
}

impl<'s, W: Watcher> Watched<'s, W> {
    pub(crate) fn new(records: BoxStream<'s, Result<Listed>>, watcher: W) -> Self {
        Self { records, watcher }
    }
}

impl<W: Watcher> Stream for Watched<'_, W> {
    type Item = Result<Listed>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { records, watcher } = &mut *self;
        let next = watcher.poll(|| records.as_mut().poll_next(task));
        if let Poll::Ready(Some(Err(error))) = &next {
            watcher.error(error);
        }
        next
    }
}
