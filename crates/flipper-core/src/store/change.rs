//! What listings and watches tell.

use super::{Version, Versioned};
use crate::{Error, Flag, Freshness};

/// One record of a listing.
///
/// A record that cannot be read is an item like any other, so that it does not end the listing. An `Err` in place of
/// an item is always the last, and means that the listing is *incomplete*: it must not replace what is known.
///
/// # Examples
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{Listed, Page, Store};
/// use futures_lite::StreamExt;
///
/// # futures_lite::future::block_on(async {
/// let store = MemoryStore::new();
/// let mut listing = store.list(Page::ALL);
/// while let Some(record) = listing.next().await {
///     match record? {
///         Listed::Flag(found) => println!("{}", found.value.name()),
///         Listed::Bad { name, error, .. } => println!("{name}: {error}"),
///         _ => {}
///     }
/// }
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Listed {
    /// A flag.
    Flag(Versioned<Flag>),
    /// A record that cannot be read.
    Bad {
        /// Its name, or its key where the key is no legal name.
        name: Box<str>,
        /// Its state, if the store could tell: enough to delete or replace it.
        version: Option<Version>,
        /// Why it cannot be read.
        error: Error,
    },
}

/// One event of a watch.
///
/// The first is [`Resync`](Self::Resync), sent once the subscription is active: whoever loads everything *after* it
/// misses nothing. It comes again after every gap: a reconnect, an overflow. Order holds for each flag by itself.
///
/// # Examples
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{Change, Expect, Flag, FlagName, ResyncCause, Store, Timestamp};
/// use futures_lite::StreamExt;
///
/// # futures_lite::future::block_on(async {
/// let store = MemoryStore::new();
/// let mut changes = store.watch().expect("the memory store can be watched");
/// assert!(matches!(changes.next().await, Some(Change::Resync { cause: ResyncCause::Started })));
///
/// let flag = Flag::new(FlagName::new("X")?, Timestamp::now());
/// store.put(&flag, Expect::Absent).await?;
/// let Some(Change::Put(found)) = changes.next().await else { panic!("it was put") };
/// assert_eq!(found.value.name(), "X");
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// Anything may have changed: load everything.
    Resync {
        /// Why.
        cause: ResyncCause,
    },
    /// A flag was created or changed.
    Put(Versioned<Flag>),
    /// A flag was created, changed or deleted; read it to know.
    Touched {
        /// Its name.
        name: Box<str>,
    },
    /// A flag was deleted.
    Deleted {
        /// Its name.
        name: Box<str>,
        /// The version of the deletion, where the store has one.
        version: Option<Version>,
    },
    /// A record was written that cannot be read.
    Bad {
        /// Its name.
        name: Box<str>,
        /// Its state, if the store could tell.
        version: Option<Version>,
        /// Why it cannot be read.
        error: Error,
    },
    /// The store cannot be followed at present. A [`Resync`](Self::Resync) will end it.
    Down {
        /// Why.
        error: Error,
    },
}

/// Says why everything has to be loaded again.
///
/// # Examples
///
/// ```
/// use flipper_core::{Change, ResyncCause};
///
/// fn is_the_first(change: &Change) -> bool {
///     matches!(change, Change::Resync { cause: ResyncCause::Started })
/// }
/// # assert!(is_the_first(&Change::Resync { cause: ResyncCause::Started }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResyncCause {
    /// The watch has begun.
    Started,
    /// The connection was lost and is back.
    Reconnected,
    /// More happened than the watcher took.
    Overflow,
    /// The server says that it can no longer tell what has changed.
    Server,
}

/// What a store answers to a check.
///
/// # Examples
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{FlagName, Freshness, Store};
///
/// # futures_lite::future::block_on(async {
/// let store = MemoryStore::new();
/// let known = store.look_up(FlagName::new("X")?).await?;
/// assert!(known.flag.is_none());
/// assert_eq!(known.freshness, Freshness::Live);
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Known {
    /// The flag; `None` if there is no such flag.
    pub flag: Option<Flag>,
    /// How old that is.
    pub freshness: Freshness,
}

/// What a store has in memory about a flag.
///
/// # Examples
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{Peek, Store};
///
/// MemoryStore::new().peek("X", &mut |peek| match peek {
///     Peek::Hit { flag, .. } => println!("{} is in memory", flag.name()),
///     Peek::KnownAbsent { .. } => println!("there is none"),
///     _ => println!("the source of truth has to be asked"),
/// });
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Peek<'f> {
    /// There is one.
    Hit {
        /// The flag.
        flag: &'f Flag,
        /// How old it is.
        freshness: Freshness,
    },
    /// There is no such flag: no need to ask.
    KnownAbsent {
        /// How old the knowledge is.
        freshness: Freshness,
    },
    /// Only the source of truth can tell.
    Ask,
}
