//! Requests that go on while nobody waits for them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use flipper_core::{ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::error::{error, no_runtime};

/// What is under way in the background, and ends when nobody wants it any longer.
pub(crate) struct Task<T>(JoinHandle<Result<T>>);

impl<T: Send + 'static> Task<T> {
    pub(crate) fn start(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<Self> {
        let runtime = Handle::try_current().map_err(|_| no_runtime())?;
        Ok(Self(runtime.spawn(work)))
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let ended = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(
            ended.unwrap_or_else(|_| Err(error(ErrorKind::Unavailable, "the runtime has been shut down"))),
        )
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
