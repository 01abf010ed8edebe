//! Listings of handles.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::{FeatureFlag, FeatureFlagClient};
use crate::Result;
use crate::store::{BoxStream, Listed, Page};

/// The flags of a listing: what [`FeatureFlagClient::list`] returns.
///
/// It is a [`Stream`]; [`next`](Self::next) walks it without further crates.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// client.create("X").await?;
/// let mut flags = client.list(None, 0);
/// while let Some(flag) = flags.next().await {
///     match flag {
///         Ok(flag) => println!("{}", flag.name()),
///         Err(error) => eprintln!("{error}"),
///     }
/// }
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
pub struct Listing<'c> {
    client: &'c FeatureFlagClient,
    records: BoxStream<'c, Result<Listed>>,
}

impl<'c> Listing<'c> {
    pub(super) fn new(client: &'c FeatureFlagClient, page: Page) -> Self {
        Self { client, records: client.inner.store.list(page) }
    }

    /// Returns the next flag, or `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) for a flag that cannot be read, after which the listing goes on; those of
    /// the store, after which it has ended.
    pub async fn next(&mut self) -> Option<Result<FeatureFlag>> {
        std::future::poll_fn(|task| Pin::new(&mut *self).poll_next(task)).await
    }
}

impl Stream for Listing<'_> {
    type Item = Result<FeatureFlag>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.records.as_mut().poll_next(task).map(|record| {
            Some(match record? {
                Ok(Listed::Flag(found)) => Ok(this.client.get(found.value.name())),
                Ok(Listed::Bad { name, error, .. }) => Err(error.or_operation("list").or_flag(&name)),
                Err(error) => Err(error.or_operation("list")),
            })
        })
    }
}

impl fmt::Debug for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").finish_non_exhaustive()
    }
}
