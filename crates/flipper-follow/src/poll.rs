//! Following changes by listing again and again, where the server cannot tell.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flipper_core::store::{Diff, Wakers};
use flipper_core::{BoxStream, Change, ErrorKind, Flag, FlagName, Listed, Page, Result, Versioned};
use futures_lite::{StreamExt, stream};
use tokio::time::sleep;

use crate::following::Following;

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

    fn is_active(&self) -> bool {
        self.is_active.load(Ordering::Relaxed)
    }
}

impl Following {
    /// Lists at intervals, less or more by up to a tenth, and tells what has changed; until a listing fails, or until `is_over` says
    /// that there is another way to follow.
    ///
    /// While it runs, whatever is read and written through the store has to be told here, by [`observe`](Self::observe),
    /// [`observe_listing`](Self::observe_listing) and [`touch`](Self::touch): somebody may load a state between two listings that is gone
    /// by the next one, for which nothing has changed.
    ///
    /// # Errors
    ///
    /// That of the listing.
    pub async fn poll<L>(
        &self,
        interval: Duration,
        list: impl Fn() -> L + Send + Sync,
        is_over: impl Fn() -> bool + Send + Sync,
    ) -> Result<()>
    where
        L: Future<Output = Result<Vec<Listed>>> + Send,
    {
        let _forgets = Forgets(&self.polled);
        let listed = list().await?;
        self.polled.lock().insert(Diff::default()).next(listed);
        self.polled.is_active.store(true, Ordering::Relaxed);
        self.up();
        loop {
            sleep(interval.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
            if is_over() {
                return Ok(());
            }
            self.polled.lock().get_or_insert_default().begin();
            let listed = list().await?;
            self.change_polled(|diff| diff.next(listed));
        }
    }

    /// Tells what has changed: in the order in which it was found, so under the lock.
    fn change_polled(&self, find: impl FnOnce(&mut Diff) -> Vec<Change>) {
        let mut wakers = Wakers::default();
        if let Some(diff) = &mut *self.polled.lock() {
            for change in find(diff) {
                wakers.add(self.told(&change));
            }
        }
        wakers.wake();
    }

    /// Takes note of what somebody has read, so that watchers are told of it, and of its end.
    pub fn observe(&self, name: FlagName<'_>, read: &Result<Option<Versioned<Flag>>>) {
        if !self.polled.is_active() {
            return;
        }
        let record = match read {
            Ok(None) => {
                return self.change_polled(|diff| diff.observe_absence(name.as_str()).into_iter().collect());
            }
            Ok(Some(found)) => Listed::Flag(found.clone()),
            Err(error) if error.kind() == ErrorKind::Corrupt => Listed::Bad {
                name: name.as_str().into(),
                version: error.version().cloned(),
                error: error.clone(),
            },
            Err(_) => return,
        };
        self.change_polled(|diff| diff.observe(&record).into_iter().collect());
    }

    /// Takes note, when what is returned is dropped, of a record that was written, or may have been: also by a future that is dropped.
    pub fn touch<'s>(&'s self, name: FlagName<'s>) -> Touch<'s> {
        Touch { following: self, name }
    }

    /// Takes note of what a listing has, as it passes, and of what it lacks.
    pub fn observe_listing<'s>(
        &'s self,
        page: Page,
        listing: BoxStream<'s, Result<Listed>>,
    ) -> BoxStream<'s, Result<Listed>> {
        if !self.polled.is_active() {
            return listing;
        }
        let names = |diff: &Diff| diff.names().map(Box::from).collect::<HashSet<Box<str>>>();
        // A part of a listing says nothing of what is not in it.
        let known = if page == Page::ALL { self.polled.lock().as_ref().map(names) } else { None };
        let known = known.unwrap_or_default();
        Box::pin(stream::unfold((listing, known), async move |(mut listing, mut missing)| {
            match listing.next().await {
                Some(Ok(record)) => {
                    match &record {
                        Listed::Flag(found) => missing.remove(found.value.name()),
                        Listed::Bad { name, .. } => missing.remove(name),
                        _ => false,
                    };
                    self.change_polled(|diff| diff.observe(&record).into_iter().collect());
                    Some((Ok(record), (listing, missing)))
                }
                Some(Err(error)) => {
                    // Incomplete: it says nothing of what is not there.
                    missing.clear();
                    Some((Err(error), (listing, missing)))
                }
                None => {
                    let absent = |diff: &mut Diff| {
                        missing.iter().filter_map(|name| diff.observe_absence(name)).collect()
                    };
                    self.change_polled(absent);
                    None
                }
            }
        }))
    }
}

/// A write that is under way.
///
/// # Examples
///
/// ```
/// use flipper_core::FlagName;
/// use flipper_follow::Following;
///
/// let following = Following::new("mine");
/// {
///     // Before a write of a polled store, and until its answer is there.
///     let _touch = following.touch(FlagName::new("X")?);
/// }
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "it is to be dropped when the write has ended"]
pub struct Touch<'s> {
    following: &'s Following,
    name: FlagName<'s>,
}

impl Drop for Touch<'_> {
    fn drop(&mut self) {
        if self.following.polled.is_active() {
            let touch = |diff: &mut Diff| diff.touch(self.name.as_str()).into_iter().collect();
            self.following.change_polled(touch);
        }
    }
}

/// What was known is worth nothing once nobody polls.
struct Forgets<'p>(&'p Polled);

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        self.0.is_active.store(false, Ordering::Relaxed);
        *self.0.lock() = None;
    }
}
