//! Reads that many wait for.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use flipper_core::{Error, ErrorKind, FlagName, Result, Store, Timestamp};
use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};
use tokio::runtime::{Handle, Id};

use crate::cache::{Cache, Found, Name, Ticket};
use crate::clock::{Millis, now};

/// How long a read can be joined. One that takes longer may have been answered long ago, by a future that nobody polls.
const JOINABLE: Millis = 10_000;

type BoxFuture = Pin<Box<dyn Future<Output = Result<Found>> + Send>>;

/// A read of the store. Whoever waits for it drives it, so it ends also if the first to wait is cancelled.
pub(crate) type Load = Shared<BoxFuture>;

/// A read as it is known to those who may want to join it. Once nobody waits, it is dropped.
#[derive(Debug)]
pub(crate) struct Flight {
    load: WeakShared<BoxFuture>,
    ticket: u64,
    began: Millis,
    /// Timers and sockets belong to the runtime in which they were made, and stand still or fail with it.
    runtime: Option<Id>,
}

impl Flight {
    pub(crate) fn new(load: &Load, ticket: u64, began: Millis) -> Option<Self> {
        Some(Self { load: load.downgrade()?, ticket, began, runtime: runtime() })
    }

    pub(crate) fn join(&self, now: Millis) -> Option<Load> {
        let is_joinable = now.saturating_sub(self.began) < JOINABLE && self.runtime == runtime();
        if is_joinable { self.load.upgrade() } else { None }
    }

    pub(crate) fn is(&self, ticket: u64) -> bool {
        self.ticket == ticket
    }
}

fn runtime() -> Option<Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}

/// The store, and what memory holds of it.
#[derive(Debug)]
pub(crate) struct Parts<S> {
    pub(crate) inner: S,
    pub(crate) cache: Cache,
}

/// Makes the read that a ticket was given for. It begins when it is polled.
pub(crate) fn load<S: Store>(parts: &Arc<Parts<S>>, name: Name, ticket: Ticket) -> Load {
    let reading = Reading { parts: Arc::clone(parts), name, ticket, is_over: false };
    let future: BoxFuture = Box::pin(async move {
        let answer = match FlagName::new(&reading.name) {
            Ok(name) => AssertUnwindSafe(reading.parts.inner.get(name)).catch_unwind().await,
            Err(error) => Ok(Err(error)),
        };
        // A bug of the store's is no panic of all who wait.
        let panicked = |_| Err(Error::new(ErrorKind::Internal, "the read has panicked").with_store("cached"));
        let answer = answer.unwrap_or_else(panicked);
        reading.end(&answer);
        answer
    });
    future.shared()
}

/// Ends a read also if nobody waits for it any longer.
pub(crate) struct Reading<S: Store, N: AsRef<str> = Name> {
    pub(crate) parts: Arc<Parts<S>>,
    pub(crate) name: N,
    pub(crate) ticket: Ticket,
    pub(crate) is_over: bool,
}

impl<S: Store, N: AsRef<str>> Reading<S, N> {
    pub(crate) fn end(mut self, answer: &Result<Found>) {
        self.is_over = true;
        self.parts.cache.end_read(self.name.as_ref(), self.ticket, answer, now(), Timestamp::now());
    }
}

impl<S: Store, N: AsRef<str>> Drop for Reading<S, N> {
    fn drop(&mut self) {
        if !self.is_over {
            self.parts.cache.drop_read(self.name.as_ref(), self.ticket);
        }
    }
}
