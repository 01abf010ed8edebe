//! Which state of a record is meant.

use std::fmt;
use std::sync::Arc;

/// Names one stored state of one record, opaquely.
///
/// A version is made by a store and means something to that store alone. Two versions of one record are equal when
/// the record's state is the same.
///
/// # Examples
///
/// ```
/// use flipper_core::Version;
///
/// assert_eq!(Version::from_u64(7), Version::from_u64(7));
/// assert_ne!(Version::from_bytes(*b"etag-1"), Version::from_bytes(*b"etag-2"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Version(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Number(u64),
    Bytes(Arc<[u8]>),
}

impl Version {
    /// Makes a version from a number, such as Consul's `ModifyIndex`.
    pub const fn from_u64(number: u64) -> Self {
        Self(Repr::Number(number))
    }

    /// Makes a version from bytes, such as an ETag, or the stored record itself where a store has nothing better.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(Repr::Bytes(bytes.into()))
    }

    /// Returns the number that the version was made from.
    pub fn as_u64(&self) -> Option<u64> {
        match self.0 {
            Repr::Number(number) => Some(number),
            Repr::Bytes(_) => None,
        }
    }

    /// Returns the bytes that the version was made from.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::Number(_) => None,
            Repr::Bytes(bytes) => Some(bytes),
        }
    }
}

impl fmt::Debug for Version {
    /// Prints a number as it is, and of bytes only their length: they may be a whole record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Number(number) => write!(f, "Version({number})"),
            Repr::Bytes(bytes) => write!(f, "Version({} bytes)", bytes.len()),
        }
    }
}

/// Joins a value with the version of the record that it was read from.
///
/// # Examples
///
/// ```
/// use flipper_core::{Version, Versioned};
///
/// let found = Versioned { value: "a record", version: Version::from_u64(7) };
/// assert_eq!(found.version.as_u64(), Some(7));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// The state of the record.
    pub version: Version,
}

/// States what a record has to be for a write to happen.
///
/// A write whose expectation does not hold changes nothing and fails with
/// [`Conflict`](crate::ErrorKind::Conflict).
///
/// # Examples
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{ErrorKind, Expect, Flag, FlagName, Store, Timestamp};
///
/// # futures_lite::future::block_on(async {
/// let store = MemoryStore::new();
/// let flag = Flag::new(FlagName::new("X")?, Timestamp::now());
/// let first = store.put(&flag, Expect::Absent).await?;
/// store.put(&flag, Expect::Matches(&first)).await?;
///
/// // Somebody has written since.
/// let error = store.put(&flag, Expect::Matches(&first)).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Conflict);
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Expect<'v> {
    /// Whatever is there. Only for writes that do not depend on what was read.
    Any,
    /// Nothing. To create without replacing.
    Absent,
    /// The state of this version.
    Matches(&'v Version),
}
