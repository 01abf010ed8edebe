//! Settings.

use std::path::PathBuf;
use std::time::Duration;

use flipper_core::{Error, ErrorKind, Freshness, Result, Store};

use crate::backup::Backup;
use crate::shared::Shared;
use crate::store::MirrorStore;

/// Chooses settings of a [`MirrorStore`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use flipper_memory::MemoryStore;
/// use flipper_mirror::MirrorStore;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
/// let store = MirrorStore::builder(MemoryStore::new())
///     .start_timeout(Duration::from_secs(3))
///     .reload_interval(Duration::from_secs(60))
///     .start()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "it mirrors only when it is started"]
pub struct MirrorStoreBuilder<S> {
    inner: S,
    start_timeout: Duration,
    poll_interval: Duration,
    reload_interval: Duration,
    emptied_from: usize,
    backup: Option<Backup>,
}

/// What is longer than a year is a year: a timer has to be able to hold it.
const LONGEST: Duration = Duration::from_hours(365 * 24);
/// What is shorter would keep the store busy with us alone.
const SHORTEST: Duration = Duration::from_millis(10);

impl<S: Store> MirrorStoreBuilder<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            start_timeout: Duration::from_secs(10),
            poll_interval: Duration::from_secs(30),
            reload_interval: Duration::from_mins(5),
            emptied_from: 2,
            backup: None,
        }
    }

    /// Limits how long [`start`](Self::start) waits for the first complete load, 10 s unless told.
    pub fn start_timeout(self, timeout: Duration) -> Self {
        Self { start_timeout: timeout.min(LONGEST), ..self }
    }

    /// Chooses how often to load everything from a store that cannot be watched: 30 s unless told, less or more by up to a
    /// tenth.
    pub fn poll_interval(self, interval: Duration) -> Self {
        Self { poll_interval: interval.clamp(SHORTEST, LONGEST), ..self }
    }

    /// Chooses how often to load everything from a store that is watched, to find what its watch may have missed: 5 minutes
    /// unless told, less or more by up to a tenth.
    pub fn reload_interval(self, interval: Duration) -> Self {
        Self { reload_interval: interval.clamp(SHORTEST, LONGEST), ..self }
    }

    /// Chooses how many flags make it unbelievable that all of them are gone at once: 2 unless told, and at least 1.
    /// [`usize::MAX`] believes everything. See [`MirrorStore::accept_empty`].
    pub fn emptied_from(self, count: usize) -> Self {
        Self { emptied_from: count.max(1), ..self }
    }

    /// Keeps the last known good state in a file, and answers with it from the start on, until everything was loaded.
    ///
    /// The file is replaced as a whole every 5 s if something has changed, and when the mirror is closed; it has a checksum, the
    /// time at which it was the store's state, and the mode 0600. Until the first load, the state is
    /// [stale](flipper_core::StaleCause::LastKnownGood) since then, and [`start`](Self::start) succeeds without the store.
    pub fn last_known_good(self, path: impl Into<PathBuf>) -> Self {
        Self { backup: Some(Backup::new(path.into())), ..self }
    }

    /// Starts to mirror, and waits until everything was loaded once.
    ///
    /// # Errors
    ///
    /// What has kept the store from being loaded, if that goes on for longer than the
    /// [`start_timeout`](Self::start_timeout); [`Unavailable`](ErrorKind::Unavailable) if it does not say anything. To start all
    /// the same, see [`start_unready`](Self::start_unready).
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the mirror.
    pub async fn start(self) -> Result<MirrorStore<S>> {
        let timeout = self.start_timeout;
        let store = self.start_unready();
        if tokio::time::timeout(timeout, store.ready()).await.is_ok() {
            return Ok(store);
        }
        if store.freshness() != Freshness::NeverLoaded {
            // There is a last known good state.
            return Ok(store);
        }
        let cause = store.shared().with(|image| image.down().cloned());
        let error = cause.unwrap_or_else(|| {
            Error::new(ErrorKind::Unavailable, "the store has not answered").with_store("mirror")
        });
        Err(error.map_message(|message| format!("nothing was loaded within {timeout:?}: {message}")))
    }

    /// Starts to mirror, without waiting. Until everything was loaded once, checks answer their default and are
    /// [`NeverLoaded`](flipper_core::Freshness::NeverLoaded).
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn start_unready(self) -> MirrorStore<S> {
        let Self { inner, poll_interval, reload_interval, emptied_from, backup, .. } = self;
        MirrorStore::start_with(Shared::new(inner, emptied_from, poll_interval, reload_interval, backup))
    }
}
