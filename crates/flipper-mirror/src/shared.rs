//! What the mirror, its task and its reads have in common.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flipper_core::{Clock, FlagName, Freshness, Snapshot, Store, SystemClock, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};

use crate::backup::Backup;
use crate::image::{Ended, Found, Image, Next, Told};

#[derive(Debug)]
pub(crate) struct Shared<S> {
    pub(crate) inner: S,
    pub(crate) snapshot: Snapshot,
    image: Mutex<Image>,
    /// How old the flags are, for those who wait for it.
    pub(crate) freshness: watch::Sender<Freshness>,
    /// How many reads of single flags may be under way.
    reads: Semaphore,
    /// Set when something could not be read, and only a load can tell.
    pub(crate) load_wanted: Notify,
    pub(crate) poll_interval: Duration,
    pub(crate) reload_interval: Duration,
    pub(crate) backup: Option<Backup>,
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

impl<S: Store> Shared<S> {
    pub(crate) fn new(
        inner: S,
        emptied_from: usize,
        poll_interval: Duration,
        reload_interval: Duration,
        backup: Option<Backup>,
    ) -> Self {
        let snapshot = Snapshot::new(Freshness::NeverLoaded);
        let is_told = inner.capabilities().watch != flipper_core::Watching::Absent;
        Self {
            inner,
            image: Mutex::new(Image::new(snapshot.clone(), emptied_from, is_told)),
            snapshot,
            freshness: watch::Sender::new(Freshness::NeverLoaded),
            reads: Semaphore::new(32),
            load_wanted: Notify::new(),
            poll_interval,
            reload_interval,
            backup,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Image> {
        self.image.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the image, and wakes whom it concerns once it is unlocked.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Image) -> T) -> T {
        let mut image = self.lock();
        let result = work(&mut image);
        let (wakers, lines) = image.take_calls();
        drop(image);
        // Whoever comes last sends what it is then.
        self.freshness.send_if_modified(|known| {
            let now = self.snapshot.freshness();
            std::mem::replace(known, now) != now
        });
        wakers.wake();
        for (level, line) in lines {
            log::log!(target: "flipper::mirror", level, "{line}");
        }
        result
    }

    /// Reads a flag in the background, one of a bounded number at a time.
    pub(crate) async fn read(&self, name: &str, told: Told) {
        // Never closed.
        let Ok(_permit) = self.reads.acquire().await else { return };
        self.read_now(name, told).await;
    }

    /// Reads a flag once, and takes over what it is, unless that may be older than what is known.
    async fn ask(&self, flag_name: FlagName<'_>, told: &Told) -> Ended {
        let name = flag_name.as_str();
        let ticket = self.with(|image| image.begin_read(name));
        let mut asking = Asking { shared: self, name, is_over: false };
        let answer = self.inner.get(flag_name).await;
        asking.is_over = true;
        self.with(|image| image.end_read(name, ticket, told, answer, now()))
    }

    /// Reads a flag, and takes over what it is; again, as long as something happens to it meanwhile.
    async fn read_now(&self, name: &str, mut told: Told) {
        let Ok(flag_name) = FlagName::new(name) else { return };
        loop {
            match self.ask(flag_name, &told).await {
                Ended::Done => return,
                Ended::Newer | Ended::Again => told = Told::Again,
                // A load finds out.
                Ended::Failed => return self.load_wanted.notify_one(),
            }
        }
    }

    /// Reads a flag that was written just now: once, unless what is read may be older than that. Returns
    /// whether there may be a newer state, which is left to others.
    async fn read_written(&self, name: &str, mut told: Told, written: Option<Found>) -> bool {
        let Ok(flag_name) = FlagName::new(name) else { return false };
        for _ in 0..3 {
            match self.ask(flag_name, &told).await {
                Ended::Done => return false,
                Ended::Newer => return true,
                Ended::Again => told = Told::Again,
                Ended::Failed => {
                    // The best that is known.
                    if let Some(found) = written {
                        self.with(|image| image.take(name, found));
                    }
                    self.load_wanted.notify_one();
                    return false;
                }
            }
        }
        true
    }

    /// Answers with the last known good state until the store was loaded, if there is one. Reads a file, once.
    pub(crate) fn restore(&self) {
        let Some(backup) = &self.backup else { return };
        match backup.read() {
            Ok(None) => {}
            Ok(Some((since, records))) => self.with(|image| image.restore(records, since)),
            Err(error) => {
                let path = backup.path().display();
                log::error!(target: "flipper::mirror", "the last known good state in {path} cannot be used: {error}");
            }
        }
    }

    /// Saves the state, if it is another one than was saved last, and the store's.
    pub(crate) fn save(&self) {
        let Some(backup) = &self.backup else { return };
        // One after the other, so that no older state takes the place of a newer one.
        let _saving = backup.lock();
        let Some(records) = self.with(Image::take_unsaved) else { return };
        if let Err(error) = backup.write(now(), &records) {
            self.with(Image::was_not_saved);
            let path = backup.path().display();
            log::error!(target: "flipper::mirror", "the last known good state cannot be saved in {path}: {error}");
        }
    }

    /// Does what is to be done after a write of ours, which has come to this, as far as that is known.
    pub(crate) async fn settle(self: &Arc<Self>, next: Next, written: Option<Found>) {
        if let Next::Read(name, told) = next
            && self.read_written(&name, told, written).await
        {
            match Handle::try_current() {
                Ok(runtime) => {
                    let shared = Arc::clone(self);
                    runtime.spawn(async move { shared.read(&name, Told::Again).await });
                }
                Err(_) => self.load_wanted.notify_one(),
            }
        }
        if self.with(|image| image.is_emptied()) {
            // There may be a flag again.
            self.load_wanted.notify_one();
        }
    }
}

/// Ends a read that nobody waits for any longer.
struct Asking<'a, S: Store> {
    shared: &'a Shared<S>,
    name: &'a str,
    is_over: bool,
}

impl<S: Store> Drop for Asking<'_, S> {
    fn drop(&mut self) {
        if !self.is_over && self.shared.with(|image| image.drop_read(self.name)) {
            self.shared.load_wanted.notify_one();
        }
    }
}
