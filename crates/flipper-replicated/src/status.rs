//! How replicas are.

use std::fmt;
use std::time::Duration;

use flipper_core::{Error, Timestamp};

/// Says how a replica is.
///
/// # Examples
///
/// ```
/// use flipper_memory::MemoryStore;
/// use flipper_replicated::ReplicatedStore;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
/// let store = ReplicatedStore::builder(MemoryStore::new()).replica("copy", MemoryStore::new()).start()?;
/// for status in store.status() {
///     println!("{}: {} to be told, {:?} late", status.name, status.queued, status.lag);
///     assert!(!status.is_behind);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplicaStatus {
    /// Its name.
    pub name: String,
    /// How many changes it has yet to be told.
    pub queued: usize,
    /// How long the oldest of them waits; zero if there are none.
    pub lag: Duration,
    /// Whether it is [behind](ReplicaEvent::Behind).
    pub is_behind: bool,
    /// Whether so much has changed that everything is to be compared.
    pub is_to_be_compared: bool,
    /// How many states were written to it.
    pub written: u64,
    /// How many states were left out, since newer ones of the same flag were queued or everything is compared.
    pub dropped: u64,
    /// How many states it has refused, or could not be told, for good.
    pub refused: u64,
    /// When it was last written to, or found to have what it should.
    pub last_success: Option<Timestamp>,
    /// What went wrong last, and when. It is not forgotten when all is well again.
    pub last_error: Option<(Timestamp, Error)>,
}

/// Says that a replica falls behind, or is no longer.
///
/// # Examples
///
/// ```
/// use flipper_memory::MemoryStore;
/// use flipper_replicated::{ReplicaEvent, ReplicatedStore};
/// use futures_lite::StreamExt;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
/// let store = ReplicatedStore::builder(MemoryStore::new()).replica("copy", MemoryStore::new()).start()?;
/// let mut events = Box::pin(store.events());
/// let watching = tokio::spawn(async move {
///     while let Some(event) = events.next().await {
///         match event {
///             ReplicaEvent::Behind { replica, lag, .. } => println!("{replica} is {lag:?} behind"),
///             ReplicaEvent::Recovered { replica } => println!("{replica} has everything again"),
///             other => println!("{other:?}"),
///         }
///     }
/// });
/// # watching.abort();
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReplicaEvent {
    /// A change waits for longer than is [allowed](crate::ReplicatedStoreBuilder::behind_after).
    Behind {
        /// The replica.
        replica: String,
        /// How long it waits.
        lag: Duration,
        /// What went wrong last, if anything has.
        error: Option<Error>,
    },
    /// It has everything again.
    Recovered {
        /// The replica.
        replica: String,
    },
    /// A state was left out for good: the replica does not take it, or the primary's record cannot be read.
    Refused {
        /// The replica.
        replica: String,
        /// The flag; `None` if it is all of them.
        flag: Option<String>,
        /// Why.
        error: Error,
    },
}

/// A replica that does not have what it was to be told.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use flipper_core::FeatureFlagClient;
/// use flipper_memory::MemoryStore;
/// use flipper_replicated::ReplicatedStore;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
/// let store = ReplicatedStore::builder(MemoryStore::new()).replica("copy", MemoryStore::new()).start()?;
/// let store = Arc::new(store);
/// FeatureFlagClient::new(store.clone()).create("X").await?;
/// for failure in store.wait_for("X", Duration::from_secs(5)).await {
///     println!("{} has not got it: {}", failure.replica, failure.error);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplicaFailure {
    /// The replica.
    pub replica: String,
    /// Why.
    pub error: Error,
}

impl fmt::Display for ReplicaFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.replica, self.error)
    }
}

/// What a replica has that differs from the primary.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use flipper_core::FeatureFlagClient;
/// use flipper_memory::MemoryStore;
/// use flipper_replicated::{Difference, ReplicatedStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
/// let copy = Arc::new(MemoryStore::new());
/// FeatureFlagClient::new(copy.clone()).create("OLD").await?;
/// let store = ReplicatedStore::builder(MemoryStore::new()).replica("copy", copy).start()?;
/// let found = store.verify("copy").await?;
/// assert!(matches!(&found[..], [Difference::Extra { name }] if name == "OLD"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The primary has the flag, and the replica has not.
    Missing {
        /// The flag.
        name: String,
    },
    /// The replica has it, and the primary has not.
    Extra {
        /// The flag.
        name: String,
    },
    /// Both have it, and not alike; or the replica's record cannot be read.
    Different {
        /// The flag.
        name: String,
    },
    /// The primary's record cannot be read: nobody can say what the replica should have.
    Unreadable {
        /// The flag.
        name: String,
    },
}

impl Difference {
    /// Returns the flag's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Missing { name }
            | Self::Extra { name }
            | Self::Different { name }
            | Self::Unreadable { name } => name,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Missing { .. } => "is missing in the replica",
            Self::Extra { .. } => "is in the replica alone",
            Self::Different { .. } => "differs",
            Self::Unreadable { .. } => "cannot be read in the primary",
        };
        write!(f, "{:?} {what}", self.name())
    }
}
