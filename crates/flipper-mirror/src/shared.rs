//! What the mirror, its task and its reads have in common.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flipper_core::{Clock, FlagName, Freshness, Snapshot, Store, SystemClock, Timestamp, Version};
use tokio::sync::{Semaphore, watch};

use crate::backup::Backup;
use crate::image::{Image, Next};

#[derive(Debug)]
pub(crate) struct Shared<S> {
    pub(crate) inner: S,
    pub(crate) snapshot: Snapshot,
    image: Mutex<Image>,
    /// How old the flags are, for those who wait for it.
    pub(crate) freshness: watch::Sender<Freshness>,
    /// How many reads of single flags may be under way.
    reads: Semaphore,
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
        let wakers = image.take_wakers();
        let freshness = image.snapshot.freshness();
        // In the order of the changes, and those who wait are only marked as ready here.
        self.freshness.send_if_modified(|known| std::mem::replace(known, freshness) != freshness);
        drop(image);
        wakers.wake();
        result
    }

    /// Reads a flag, and takes over what it is; again, as long as something happens to it meanwhile.
    pub(crate) async fn read(&self, name: &str, told: Option<&Version>) {
        let Ok(flag_name) = FlagName::new(name) else { return };
        // Never closed.
        let Ok(_permit) = self.reads.acquire().await else { return };
        loop {
            let mut asking = Asking { shared: self, name, is_over: false };
            let ticket = self.with(|image| image.begin_read(name));
            let answer = self.inner.get(flag_name).await;
            asking.is_over = true;
            if !self.with(|image| image.end_read(name, ticket, told, answer, now())) {
                return;
            }
        }
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
        let Some(records) = self.with(Image::take_unsaved) else { return };
        if let Err(error) = backup.write(now(), &records) {
            self.with(Image::was_not_saved);
            let path = backup.path().display();
            log::error!(target: "flipper::mirror", "the last known good state cannot be saved in {path}: {error}");
        }
    }

    /// Does what is to be done after a write of ours.
    pub(crate) async fn settle(&self, next: Next) {
        if let Next::Read(name, told) = next {
            self.read(&name, told.as_ref()).await;
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
        if !self.is_over {
            self.shared.with(|image| image.drop_read(self.name));
        }
    }
}
