//! The trait that every store implements.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures_core::Stream;

use super::{Capabilities, Change, Expect, Known, Listed, Page, Peek, Version, Versioned};
use crate::{Flag, FlagName, Freshness, Result, Snapshot};

/// A stream on the heap that can be sent to another thread.
///
/// # Examples
///
/// ```
/// use flipper_core::{BoxStream, Listed, Result, store};
///
/// fn no_flags() -> BoxStream<'static, Result<Listed>> {
///     Box::pin(store::iter([]))
/// }
/// # let _ = no_flags();
/// ```
pub type BoxStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;

/// Keeps flags: the contract between the client and a backend.
///
/// Every call ends in bounded time, also when the backend does not answer: a store has time limits of its own.
///
/// It is about records, so that a backend stays small: events, retries and read-modify-write are the client's. A store
/// proves that it keeps the contract by the conformance suite of `flipper-testkit`.
///
/// # Errors
///
/// Every method gives errors of the same kinds:
///
/// * [`Unavailable`](crate::ErrorKind::Unavailable): the backend could not be asked. A *write* that fails with this
///   kind has certainly not happened.
/// * [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown): a write was sent and its answer lost. It may have happened.
/// * [`NotReplicated`](crate::ErrorKind::NotReplicated): a write was made, but fewer copies confirmed it than were asked for.
/// * [`Conflict`](crate::ErrorKind::Conflict): an expectation did not hold; nothing has changed.
/// * [`Corrupt`](crate::ErrorKind::Corrupt): the record cannot be read. The error carries the record's version.
/// * [`InvalidInput`](crate::ErrorKind::InvalidInput): the name or the size is nothing that this backend can store.
///
/// # Cancellation
///
/// Dropping the future of a read has no effect. Dropping the future of a write leaves it open whether the write has
/// happened; the store itself stays usable.
///
/// # Examples
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{Expect, Flag, FlagName, Store, Timestamp};
///
/// # futures_lite::future::block_on(async {
/// // Applications use a client. Those who need records have the store itself.
/// let store = MemoryStore::new();
/// let name = FlagName::new("X")?;
/// let version = store.put(&Flag::new(name, Timestamp::now()), Expect::Absent).await?;
///
/// let found = store.get(name).await?.expect("it was put");
/// assert_eq!(found.version, version);
/// assert!(store.delete(name, Expect::Matches(&version)).await?);
/// assert!(store.get(name).await?.is_none());
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Reads a flag from the source of truth, never from a copy; `None` if there is no such flag.
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>>;

    /// Reads a flag for a check, which is not about to change it: what [`get`](Self::get) reads, unless told otherwise.
    ///
    /// A store that keeps copies may answer with one, for a time that it states or while the source of truth cannot be
    /// asked, and says in the [freshness](Known::freshness) if that is [stale](Freshness::Stale).
    async fn look_up(&self, name: FlagName<'_>) -> Result<Known> {
        let found = self.get(name).await?;
        Ok(Known { flag: found.map(|found| found.value), freshness: Freshness::Live })
    }

    /// Writes a flag's bytes under its name if the expectation holds, and returns the version that they have then.
    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version>;

    /// Deletes a flag if the expectation holds, and returns whether there was one.
    ///
    /// [`Expect::Matches`] on a flag that is not there is `Ok(false)`; [`Expect::Absent`] is
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput).
    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool>;

    /// Lists records, in an order that differs from store to store.
    ///
    /// A record that cannot be read is an item like any other, and counts in limit and offset. An `Err` is the last
    /// item, and means that the listing is incomplete.
    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>>;

    /// Says what the store can do, here and now.
    fn capabilities(&self) -> Capabilities;

    /// Follows the changes of all writers; `None` if the store cannot, and whoever wants to know has to list.
    ///
    /// The first item is [`Change::Resync`]. A watcher that is slow loses items and gets another `Resync`; it never
    /// slows the store down. The stream ends when the store is closed or dropped.
    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        None
    }

    /// Returns the flags of a store that keeps all of them in memory. Always the same snapshot, or always `None`.
    ///
    /// Checks ask it and no longer the store, so a store fills it before a write returns, and says in its
    /// [freshness](crate::Freshness) when it can no longer be followed.
    fn snapshot(&self) -> Option<&Snapshot> {
        None
    }

    /// Shows what the store has in memory about a flag, without waiting. Calls `see` exactly once.
    ///
    /// This is for stores that keep some flags, as a cache does. One that has a [`snapshot`](Self::snapshot) need not
    /// implement it.
    fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        match self.snapshot() {
            Some(snapshot) => snapshot.peek(name, see),
            None => see(Peek::Ask),
        }
    }

    /// Ends background tasks and flushes what is pending. Afterwards, calls may fail with
    /// [`Unavailable`](crate::ErrorKind::Unavailable). Closing twice is no error.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl<S: Store + ?Sized> Store for Arc<S> {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        (**self).get(name).await
    }

    async fn look_up(&self, name: FlagName<'_>) -> Result<Known> {
        (**self).look_up(name).await
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        (**self).put(flag, expect).await
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        (**self).delete(name, expect).await
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        (**self).list(page)
    }

    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        (**self).watch()
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        (**self).snapshot()
    }

    fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        (**self).peek(name, see);
    }

    async fn close(&self) -> Result<()> {
        (**self).close().await
    }
}
