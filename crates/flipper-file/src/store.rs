//! The store itself.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Error, ErrorKind, Expect, Flag, FlagName, Listed, Page, Result,
    Snapshot, Store, Version, Versioned, Watching,
};
use futures_lite::{FutureExt, StreamExt, stream};
use futures_timer::Delay;

use crate::edit::{Edit, Expected, Progress};
use crate::follow::{self, Following};
use crate::place;
use crate::shared::Shared;

/// Keeps flags in one JSON file.
///
/// Checks are answered from memory, at the price of a map lookup. A write is on the disk when it returns, and two
/// processes that write the same file lose nothing of each other. A file that somebody edits by hand is taken over at
/// once; if there is a mistake in it, the last good state stays in use, and the log says where the mistake is.
///
/// See the [crate's documentation](crate) for the format and for what happens when.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("flags.json");
/// use flipper_core::{Context, FeatureFlagClient};
/// use flipper_file::FileStore;
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(FileStore::open(&path)?);
/// client.create("HORSE_SOUNDS").await?.enable().await?;
///
/// // As any other process would.
/// let other = FeatureFlagClient::new(FileStore::open(&path)?);
/// assert!(other.is_enabled("HORSE_SOUNDS", &Context::EMPTY).await);
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FileStore {
    shared: Arc<Shared>,
    /// Held by whoever writes and whoever reads, so that of many only one occupies a thread.
    writing: Turn,
    reading: Turn,
    follower: Mutex<Option<JoinHandle<()>>>,
}

type Turn = Arc<async_lock::Mutex<()>>;

/// Chooses how a file is kept, and opens it.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("flags.json");
/// use std::time::Duration;
/// use flipper_file::FileStore;
///
/// let store = FileStore::builder(&path).timeout(Duration::from_secs(1)).open()?;
/// assert_eq!(store.path().file_name(), path.file_name());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a file is opened by `open`"]
pub struct FileStoreBuilder {
    path: PathBuf,
    timeout: Duration,
    following: Following,
    is_required: bool,
}

impl FileStoreBuilder {
    /// Chooses how long a write waits for writers of other processes, 10 s by default. Then it fails with
    /// [`Unavailable`](ErrorKind::Unavailable). A disk that does not answer has the same time again.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Chooses how often the file is looked at without having been notified, 1 s by default and at least 10 ms: file
    /// systems of other machines notify nobody.
    pub fn poll_interval(self, poll_interval: Duration) -> Self {
        let interval = poll_interval.max(Duration::from_millis(10));
        Self { following: Following { interval, ..self.following }, ..self }
    }

    /// Never asks to be notified: where notices are scarce, as many stores share what the system gives a user.
    pub fn poll_only(self) -> Self {
        Self { following: Following { is_notified: false, ..self.following }, ..self }
    }

    /// Requires the file to be there. Else a file that is not there has no flags, and the first write makes it.
    pub fn require_file(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// Reads the file, and starts to follow it. Blocks for as long as that takes.
    ///
    /// # Errors
    ///
    /// * [`Corrupt`](ErrorKind::Corrupt): there is a mistake in the file; the message says in which line and column.
    /// * [`NotFound`](ErrorKind::NotFound): there is no file, and one is [required](Self::require_file).
    /// * [`PermissionDenied`](ErrorKind::PermissionDenied), [`InvalidInput`](ErrorKind::InvalidInput),
    ///   [`Unavailable`](ErrorKind::Unavailable): the file cannot be read: it is not permitted, it is a directory, the
    ///   disk fails.
    pub fn open(self) -> Result<FileStore> {
        let (sender, signals) = mpsc::channel();
        let path = place::absolute(&self.path).map_err(|error| {
            let message = format!("{}: {error}", self.path.display());
            Error::new(ErrorKind::InvalidInput, message)
                .with_store("file")
                .with_operation("open")
                .with_source(error)
        })?;
        let shared = Shared::open(path, self.timeout, self.is_required, sender)
            .map_err(|error| error.with_operation("open"))?;
        let shared = Arc::new(shared);
        let follower = follow::start(&shared, signals, self.following).map_err(|error| {
            let message = format!("cannot start the thread that follows the file: {error}");
            Error::new(ErrorKind::Unavailable, message)
                .with_store("file")
                .with_operation("open")
                .with_source(error)
        })?;
        Ok(FileStore {
            shared,
            writing: Turn::default(),
            reading: Turn::default(),
            follower: Mutex::new(Some(follower)),
        })
    }
}

impl FileStore {
    /// Opens a file with default settings: see [`FileStoreBuilder::open`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(path).open()
    }

    /// Starts to choose settings.
    pub fn builder(path: impl Into<PathBuf>) -> FileStoreBuilder {
        FileStoreBuilder {
            path: path.into(),
            timeout: Duration::from_secs(10),
            following: Following { is_notified: true, interval: Duration::from_secs(1) },
            is_required: false,
        }
    }

    /// Returns the path of the file, made absolute when it was opened.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Runs something on a thread that may block, for a limited time.
    async fn unblocked<T: Send + 'static>(
        &self,
        turn: &Turn,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
        or: impl FnOnce() -> T,
    ) -> T {
        let shared = Arc::clone(&self.shared);
        let work = async {
            let turn = turn.lock_arc().await;
            blocking::unblock(move || {
                let result = work(&shared);
                // Not before, also if nobody waits for the result any more.
                drop(turn);
                result
            })
            .await
        };
        let limit = async {
            Delay::new(self.limit()).await;
            or()
        };
        work.or(limit).await
    }

    fn limit(&self) -> Duration {
        self.shared.timeout.saturating_mul(2)
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let late = || Err(error(ErrorKind::Unavailable, "the disk does not answer"));
        self.unblocked(&self.reading, work, late).await
    }

    async fn write(&self, edit: Edit) -> Result<bool> {
        let progress = Arc::new(Progress::default());
        let ours = Arc::clone(&progress);
        let late = || {
            Err(if progress.give_up() {
                error(ErrorKind::Unavailable, "other writers or the disk took too long")
            } else {
                error(ErrorKind::OutcomeUnknown, "the disk does not answer")
            })
        };
        self.unblocked(&self.writing, move |shared| shared.write(&edit, &ours), late).await
    }
}

fn error(kind: ErrorKind, message: &'static str) -> Error {
    Error::new(kind, message).with_store("file")
}

#[async_trait]
impl Store for FileStore {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        let name = name.as_str().to_owned();
        self.read(move |shared| shared.get(&name)).await
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        let name = FlagName::new(flag.name())?.as_str().into();
        let edit = Edit { name, flag: Some(flag.clone()), expect: Expected::of(expect) };
        self.write(edit).await?;
        Ok(flag.version_of_bytes())
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        if let Expect::Absent = expect {
            return Err(error(
                ErrorKind::InvalidInput,
                "a flag that is to be deleted cannot be expected to be absent",
            ));
        }
        let edit = Edit { name: name.as_str().into(), flag: None, expect: Expected::of(expect) };
        self.write(edit).await
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        let listing = async move {
            match self.read(move |shared| shared.list(page)).await {
                Ok(listed) => listed.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            }
        };
        Box::pin(stream::once_future(listing).flat_map(stream::iter))
    }

    fn capabilities(&self) -> Capabilities {
        let is_notified = self.shared.is_notified.load(Ordering::Relaxed);
        Capabilities::FULL.with_watch(if is_notified { Watching::Pushed } else { Watching::Polled })
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        Some(self.shared.subscribe())
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        Some(&self.shared.snapshot)
    }

    async fn close(&self) -> Result<()> {
        let follower = self.follower.lock().unwrap_or_else(PoisonError::into_inner).take();
        let close = |shared: &Shared| {
            shared.close();
            // A thread that has panicked has nothing to say here.
            drop(follower.map(JoinHandle::join));
            Ok(())
        };
        // Behind a write that is under way.
        let late =
            || Err(error(ErrorKind::Unavailable, "the disk does not answer, and what waits for it goes on"));
        self.unblocked(&self.writing, close, late).await
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("path", &self.shared.path)
            .field("snapshot", &self.shared.snapshot)
            .finish_non_exhaustive()
    }
}
