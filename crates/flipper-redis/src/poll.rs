//! Following changes by listing again and again, where the server cannot tell.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flipper_core::store::Diff;
use flipper_core::{BoxStream, Listed, Page, Result};
use futures_lite::{StreamExt, stream};
use tokio::time::sleep;

use crate::link::Backoff;
use crate::list::list;
use crate::shared::Shared;

/// What the watchers have been told, as far as changes are polled.
#[derive(Debug, Default)]
pub(crate) struct Polled(Mutex<Option<Diff>>);

impl Polled {
    fn lock(&self) -> MutexGuard<'_, Option<Diff>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lists again and again, until that fails, or the server turns out to be able to tell.
pub(crate) async fn poll(shared: &Shared, backoff: &mut Backoff) -> Result<()> {
    let _forgets = Forgets(&shared.polled);
    loop {
        if let Some(diff) = &mut *shared.polled.lock() {
            diff.begin();
        }
        let listed = list(&shared.link, &shared.keys, Page::ALL).try_collect::<_, _, Vec<_>>().await?;
        backoff.reset();
        {
            let mut polled = shared.polled.lock();
            if let Some(diff) = &mut *polled {
                for change in diff.next(listed) {
                    shared.following.tell(&change);
                }
            } else {
                polled.get_or_insert_default().next(listed);
                shared.following.up();
            }
        }
        sleep(shared.poll_interval.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
        if !shared.dialer.must_poll() {
            return Ok(());
        }
    }
}

/// What was known is worth nothing once nobody polls.
struct Forgets<'p>(&'p Polled);

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

/// Takes note of a record that somebody has read or written, so that watchers are told of it, and of its end.
pub(crate) fn observe(shared: &Shared, record: &Listed) {
    if let Some(diff) = &mut *shared.polled.lock()
        && let Some(change) = diff.observe(record)
    {
        shared.following.tell(&change);
    }
}

/// As [`observe`], of a record that was not there, or has been deleted.
pub(crate) fn observe_absence(shared: &Shared, name: &str) {
    if let Some(diff) = &mut *shared.polled.lock()
        && let Some(change) = diff.observe_absence(name)
    {
        shared.following.tell(&change);
    }
}

/// Lists as [`list`] does, and takes note of what is listed and what is not.
pub(crate) fn observed_list(shared: &Shared, page: Page) -> BoxStream<'_, Result<Listed>> {
    let listing = list(&shared.link, &shared.keys, page);
    if !shared.dialer.must_poll() || page != Page::ALL {
        return listing;
    }
    let known =
        shared.polled.lock().as_ref().map(|diff| diff.names().map(Box::from).collect::<HashSet<Box<str>>>());
    let begin = (listing, known.unwrap_or_default());
    Box::pin(stream::unfold(begin, async move |(mut listing, mut missing)| match listing.next().await {
        Some(Ok(record)) => {
            missing.remove(match &record {
                Listed::Flag(found) => found.value.name(),
                Listed::Bad { name, .. } => name,
                _ => "",
            });
            observe(shared, &record);
            Some((Ok(record), (listing, missing)))
        }
        Some(Err(error)) => {
            // Incomplete: it says nothing of what is not there.
            missing.clear();
            Some((Err(error), (listing, missing)))
        }
        None => {
            for name in &missing {
                observe_absence(shared, name);
            }
            None
        }
    }))
}
