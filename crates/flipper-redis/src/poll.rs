//! Following changes by listing again and again, where the server cannot tell.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use flipper_core::store::{Diff, Wakers};
use flipper_core::{BoxStream, Change, Listed, Page, Result};
use futures_lite::{StreamExt, stream};
use tokio::time::sleep;

use crate::link::Backoff;
use crate::list::list;
use crate::record::Record;
use crate::shared::Shared;

/// What the watchers have been told, as far as changes are polled.
#[derive(Debug, Default)]
pub(crate) struct Polled {
    diff: Mutex<Option<Diff>>,
    /// Whether there is any: asked at each call.
    is_active: AtomicBool,
}

impl Polled {
    fn lock(&self) -> MutexGuard<'_, Option<Diff>> {
        self.diff.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lists again and again, until that fails, or the server turns out to be able to tell.
pub(crate) async fn poll(shared: &Shared, backoff: &mut Backoff) -> Result<()> {
    let _forgets = Forgets(&shared.polled);
    let polled = &shared.polled;
    let listed = list(&shared.link, &shared.keys, Page::ALL).try_collect::<_, _, Vec<_>>().await?;
    polled.lock().insert(Diff::default()).next(listed);
    polled.is_active.store(true, Ordering::Relaxed);
    shared.following.up();
    loop {
        backoff.reset();
        sleep(shared.poll_interval.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
        if !shared.dialer.must_poll() {
            return Ok(());
        }
        polled.lock().get_or_insert_default().begin();
        let listed = list(&shared.link, &shared.keys, Page::ALL).try_collect::<_, _, Vec<_>>().await?;
        change(shared, |diff| diff.next(listed));
    }
}

/// Tells what has changed: in the order in which it was found, so under the lock.
fn change(shared: &Shared, find: impl FnOnce(&mut Diff) -> Vec<Change>) {
    let mut wakers = Wakers::default();
    if let Some(diff) = &mut *shared.polled.lock() {
        for change in find(diff) {
            wakers.add(shared.following.tell(&change));
        }
    }
    wakers.wake();
}

/// What was known is worth nothing once nobody polls.
struct Forgets<'p>(&'p Polled);

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        self.0.is_active.store(false, Ordering::Relaxed);
        *self.0.lock() = None;
    }
}

/// Takes note of a record that somebody has read, so that watchers are told of it, and of its end.
pub(crate) fn observe(shared: &Shared, record: &Record) {
    if !shared.polled.is_active.load(Ordering::Relaxed) {
        return;
    }
    change(shared, |diff| {
        let told = match record {
            Record::Gone { name } => diff.observe_absence(name),
            there => there.clone().listed().and_then(|listed| diff.observe(&listed)),
        };
        told.into_iter().collect()
    });
}

/// Takes note of a record that was written, or may have been.
pub(crate) fn touch(shared: &Shared, name: &str) {
    if shared.polled.is_active.load(Ordering::Relaxed) {
        change(shared, |diff| diff.touch(name).into_iter().collect());
    }
}

/// Lists as [`list`] does, and takes note of what is listed and what is not.
pub(crate) fn observed_list(shared: &Shared, page: Page) -> BoxStream<'_, Result<Listed>> {
    let listing = list(&shared.link, &shared.keys, page);
    if page != Page::ALL || !shared.polled.is_active.load(Ordering::Relaxed) {
        return listing;
    }
    let names = |diff: &Diff| diff.names().map(Box::from).collect::<HashSet<Box<str>>>();
    let known = shared.polled.lock().as_ref().map(names).unwrap_or_default();
    Box::pin(stream::unfold((listing, known), async move |(mut listing, mut missing)| {
        match listing.next().await {
            Some(Ok(record)) => {
                match &record {
                    Listed::Flag(found) => missing.remove(found.value.name()),
                    Listed::Bad { name, .. } => missing.remove(name),
                    _ => false,
                };
                change(shared, |diff| diff.observe(&record).into_iter().collect());
                Some((Ok(record), (listing, missing)))
            }
            Some(Err(error)) => {
                // Incomplete: it says nothing of what is not there.
                missing.clear();
                Some((Err(error), (listing, missing)))
            }
            None => {
                let absent =
                    |diff: &mut Diff| missing.iter().filter_map(|name| diff.observe_absence(name)).collect();
                change(shared, absent);
                None
            }
        }
    }))
}
