//! How old an answer is.

use crate::Timestamp;

/// Says how old the state is from which an answer came.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_core::Freshness;
///
/// let local = FeatureFlagClient::new(MemoryStore::new()).local()?;
/// match local.freshness() {
///     Freshness::Live => println!("up to date"),
///     Freshness::Stale { since, cause } => println!("as of {since:?}: {cause:?}"),
///     other => println!("{other:?}"),
/// }
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Freshness {
    /// The store was asked, now or within the time for which a cache keeps what it was told, or its changes are being
    /// followed.
    #[default]
    Live,
    /// The last known state answers, because the store's own cannot be had.
    Stale {
        /// Since when.
        since: Timestamp,
        /// Why.
        cause: StaleCause,
    },
    /// The store has never been read: only defaults are answered.
    NeverLoaded,
}

/// Says why a state is [`Stale`](Freshness::Stale).
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{Freshness, StaleCause};
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let local = client.local()?;
/// client.close().await?;
/// let Freshness::Stale { cause, .. } = local.freshness() else { panic!("nobody follows it any more") };
/// assert_eq!(cause, StaleCause::Unavailable);
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StaleCause {
    /// The store cannot be reached, or its changes can no longer be followed.
    Unavailable,
    /// The store refuses to be read.
    PermissionDenied,
    /// The store has lost all of its flags at once, without deleting them: a restart without data, an eviction, a
    /// token that may no longer read.
    Emptied,
    /// The state was read from a file at start, and the store has not answered yet.
    LastKnownGood,
    /// The record can no longer be read; its last good state answers.
    Corrupt,
    /// A replica answers in the place of a store that cannot be asked.
    Failover,
}
