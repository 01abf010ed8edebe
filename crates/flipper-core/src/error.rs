//! The one error type of every crate of the workspace.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::Version;

/// A result whose error is [`Error`].
///
/// # Examples
///
/// ```
/// use flipper_core::{Percentage, Result};
///
/// fn half() -> Result<Percentage> {
///     Percentage::new(0.5)
/// }
/// # assert!(half().is_ok());
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says what went wrong, in terms of what the caller can do about it.
///
/// The kinds are the same for every store, so code that handles them need not know which backend it talks to.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_core::ErrorKind;
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// match client.enable("X").await {
///     Err(error) if error.kind() == ErrorKind::NotFound => {
///         client.create("X").await?.enable().await?;
///     }
///     other => other?,
/// }
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no flag of that name. Create it first.
    NotFound,
    /// A flag of that name exists already, and the call was to make a new one.
    AlreadyExists,
    /// The flag changed between the read and the write, for longer than the deadline allowed to retry.
    Conflict,
    /// The answer to a write was lost: it may or may not have been applied. Read before writing again.
    OutcomeUnknown,
    /// A write was made, but fewer copies confirmed it than were asked for: it stands, and a failover may lose it.
    NotReplicated,
    /// The call itself cannot be right: an illegal name, a percentage outside 0 to 1, a check that no reader
    /// would understand. The message says what to change.
    InvalidInput,
    /// A stored record cannot be read. [`Error::version`] allows it to be replaced or deleted safely.
    Corrupt,
    /// The store could not be reached or did not answer in time.
    Unavailable,
    /// The store refused the credentials, or they do not cover this operation; or a handler of an event vetoed it.
    PermissionDenied,
    /// The store, the server or this build cannot do that.
    Unsupported,
    /// A defect in this library or in the backend's driver.
    Internal,
}

impl ErrorKind {
    /// Returns the kind as a word for programs: labels of metrics, JSON.
    ///
    /// ```
    /// assert_eq!(flipper_core::ErrorKind::OutcomeUnknown.as_str(), "outcome_unknown");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::NotReplicated => "not_replicated",
            Self::InvalidInput => "invalid_input",
            Self::Corrupt => "corrupt",
            Self::Unavailable => "unavailable",
            Self::PermissionDenied => "permission_denied",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }

    fn as_words(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::Conflict => "conflict",
            Self::OutcomeUnknown => "outcome unknown",
            Self::NotReplicated => "not replicated",
            Self::InvalidInput => "invalid input",
            Self::Corrupt => "corrupt record",
            Self::Unavailable => "unavailable",
            Self::PermissionDenied => "permission denied",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal error",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_words())
    }
}

/// Describes a failure: its [kind](ErrorKind), where it happened, and what to do.
///
/// An error is one pointer wide. It names the store, the operation and the flag where they are known, and
/// carries the backend's own error as its [source](StdError::source). Neither `Display` nor `Debug` prints more
/// of the source than the source's own `Display`, and backends keep credentials out of that.
///
/// # Examples
///
/// ```
/// use flipper_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Unavailable, "no answer within 2 s")
///     .with_store("redis")
///     .with_operation("get")
///     .with_flag("checkout-v2");
/// assert!(error.is_retryable());
/// assert_eq!(error.to_string(), "redis: get \"checkout-v2\": unavailable: no answer within 2 s");
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    retryable: bool,
    store: Option<&'static str>,
    operation: Option<&'static str>,
    flag: Option<Box<str>>,
    version: Option<Version>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error of a kind, with a message that says what was wrong and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            retryable: matches!(kind, ErrorKind::Unavailable | ErrorKind::Conflict),
            store: None,
            operation: None,
            flag: None,
            version: None,
            source: None,
        }))
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    pub(crate) fn corrupt(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// Says more than the layer below knew: the message becomes what is returned for the one that there is.
    pub fn map_message(mut self, map: impl FnOnce(&str) -> String) -> Self {
        self.0.message = map(&self.0.message).into();
        self
    }

    /// Names the store that failed, in lower case: `"redis"`.
    pub fn with_store(mut self, store: &'static str) -> Self {
        self.0.store = Some(store);
        self
    }

    /// Names the operation that failed: `"get"`, `"put"`, `"list"`.
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation = Some(operation);
        self
    }

    /// Names the flag that the operation was about.
    pub fn with_flag(mut self, flag: impl Into<Box<str>>) -> Self {
        self.0.flag = Some(flag.into());
        self
    }

    /// Attaches the version of the record that could not be read, so that it can be replaced or deleted.
    pub fn with_version(mut self, version: Version) -> Self {
        self.0.version = Some(version);
        self
    }

    /// Attaches the backend's own error. Its `Display` must not contain credentials.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    /// Overrides whether the same call may succeed later. By default only [`ErrorKind::Unavailable`] and
    /// [`ErrorKind::Conflict`] may.
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// Names the operation, unless a layer below has done so.
    pub(crate) fn or_operation(self, operation: &'static str) -> Self {
        if self.0.operation.is_some() { self } else { self.with_operation(operation) }
    }

    /// Names the flag, unless a layer below has done so.
    pub(crate) fn or_flag(self, flag: &str) -> Self {
        if self.0.flag.is_some() { self } else { self.with_flag(flag) }
    }

    /// Returns the kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns whether the same call, unchanged, may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// Returns what was wrong, without the store, the operation and the flag.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the store that failed, if one was involved.
    pub fn store(&self) -> Option<&'static str> {
        self.0.store
    }

    /// Returns the operation that failed, if one was under way.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// Returns the flag that the operation was about.
    pub fn flag(&self) -> Option<&str> {
        self.0.flag.as_deref()
    }

    /// Returns the version of the record that could not be read.
    pub fn version(&self) -> Option<&Version> {
        self.0.version.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(store) = inner.store {
            write!(f, "{store}: ")?;
        }
        match (inner.operation, &inner.flag) {
            (Some(operation), Some(flag)) => write!(f, "{operation} {flag:?}: ")?,
            (Some(operation), None) => write!(f, "{operation}: ")?,
            (None, Some(flag)) => write!(f, "flag {flag:?}: ")?,
            (None, None) => {}
        }
        write!(f, "{}: {}", inner.kind, inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut out = f.debug_struct("Error");
        out.field("kind", &inner.kind).field("message", &inner.message);
        if let Some(store) = inner.store {
            out.field("store", &store);
        }
        if let Some(operation) = inner.operation {
            out.field("operation", &operation);
        }
        if let Some(flag) = &inner.flag {
            out.field("flag", flag);
        }
        if let Some(source) = &inner.source {
            // `Display`, not `Debug`: a driver's `Debug` may print its connection settings.
            out.field("source", &format_args!("{source}"));
        }
        out.finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn debug_prints_the_source_by_its_display_only() {
        #[derive(Debug)]
        struct Driver {
            #[expect(dead_code, reason = "only there to leak through Debug")]
            password: &'static str,
        }
        impl fmt::Display for Driver {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("connection refused")
            }
        }
        impl StdError for Driver {}

        let error = Error::new(ErrorKind::Unavailable, "down").with_source(Driver { password: "hunter2" });
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("connection refused") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn retryable_follows_the_kind_unless_told() {
        assert!(!Error::new(ErrorKind::Corrupt, "x").is_retryable());
        assert!(Error::new(ErrorKind::Conflict, "x").is_retryable());
        assert!(!Error::new(ErrorKind::Unavailable, "x").with_retryable(false).is_retryable());
    }
}
