//! The task that keeps the mirror: it loads, follows, and loads again.

use std::sync::Arc;
use std::time::Duration;

use flipper_core::{BoxStream, Change, Error, ErrorKind, FlagName, Listed, Page, Result, Store};
use futures_lite::StreamExt;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::image::{Found, Next};
use crate::shared::{Shared, now};

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How often the state is saved, if it has changed.
const SAVE_INTERVAL: Duration = Duration::from_secs(5);

/// As many flags as may wait to be read one by one. Beyond, a load is quicker.
const READS: usize = 1_024;

/// Says that nobody follows the store any more, however that has come about: a runtime that shuts down drops the task.
struct Unfollowed<S: Store>(Arc<Shared<S>>);

impl<S: Store> Drop for Unfollowed<S> {
    fn drop(&mut self) {
        self.0.with(|image| image.set_unfollowed("the store is followed no more", now()));
    }
}

pub(crate) async fn follow<S: Store>(shared: Arc<Shared<S>>) {
    let _unfollowed = Unfollowed(Arc::clone(&shared));
    let mut changes = shared.inner.watch();
    let interval = if changes.is_some() { shared.reload_interval } else { shared.poll_interval };
    let mut reads = JoinSet::new();
    // A watch begins with a `Resync`. Without one, the first load is due now.
    let mut due = changes.is_none().then(Instant::now);
    // In a task of its own, so that a bug of the store's ends no more than that, and changes do not wait for it.
    let mut loading = JoinSet::new();
    let mut loads_again = false;
    let mut wait = FIRST_WAIT;
    let mut saving: Option<JoinHandle<()>> = None;
    let mut save_due = Instant::now() + SAVE_INTERVAL;
    loop {
        tokio::select! {
            change = next(&mut changes) => {
                let Some(change) = change else { return };
                // Who is always ready would leave no time to others.
                tokio::task::coop::consume_budget().await;
                match shared.with(|image| image.hear(change, now())) {
                    Next::Nothing => {}
                    Next::Read(name, told) if reads.len() < READS => {
                        let shared = Arc::clone(&shared);
                        reads.spawn(async move { shared.read(&name, told).await });
                    }
                    // What is being loaded may be older than what made this necessary: once more, then.
                    Next::Read(..) | Next::Load if !loading.is_empty() => loads_again = true,
                    Next::Read(..) | Next::Load => due = Some(Instant::now()),
                }
            }
            () = shared.load_wanted.notified() => {
                if loading.is_empty() {
                    let soon = Instant::now() + wait;
                    due = Some(due.map_or(soon, |due| due.min(soon)));
                } else {
                    loads_again = true;
                }
            }
            Some(_) = reads.join_next(), if !reads.is_empty() => {}
            Some(loaded) = loading.join_next(), if !loading.is_empty() => {
                let panicked = |_| Err(Error::new(ErrorKind::Internal, "the load has panicked").with_store("mirror"));
                match loaded.unwrap_or_else(panicked) {
                    Ok(_) => {
                        wait = FIRST_WAIT;
                        let pause = interval.mul_f64(0.9 + 0.2 * fastrand::f64());
                        let pause = if std::mem::take(&mut loads_again) { Duration::ZERO } else { pause };
                        due = Some(Instant::now() + pause);
                    }
                    Err(error) => {
                        shared.with(|image| image.set_down(error, now()));
                        due = Some(Instant::now() + wait.mul_f64(0.5 + 0.5 * fastrand::f64()));
                        wait = (wait * 2).min(LONGEST_WAIT);
                    }
                }
            },
            () = sleep_until(save_due), if shared.backup.is_some() => {
                save_due = Instant::now() + SAVE_INTERVAL;
                if saving.as_ref().is_none_or(JoinHandle::is_finished) {
                    let shared = Arc::clone(&shared);
                    saving = Some(tokio::task::spawn_blocking(move || shared.save()));
                }
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() && loading.is_empty() => {
                due = None;
                loading.spawn(load(Arc::clone(&shared)));
            }
        }
    }
}

/// The next change; never, if there is nothing to follow.
async fn next(changes: &mut Option<BoxStream<'static, Change>>) -> Option<Change> {
    match changes {
        Some(changes) => changes.next().await,
        None => std::future::pending().await,
    }
}

/// Loads everything. Returns whether it was taken over: not if the store has been emptied.
async fn load<S: Store>(shared: Arc<Shared<S>>) -> Result<bool> {
    shared.with(crate::image::Image::begin_load);
    let listed: Vec<Listed> = shared.inner.list(Page::ALL).try_collect().await?;
    let Some(missing) = shared.with(|image| image.missing(&listed, now())) else { return Ok(false) };
    let mut read = Vec::with_capacity(missing.len());
    for names in missing.chunks(64) {
        let mut answers = JoinSet::new();
        for name in names {
            let (shared, name) = (Arc::clone(&shared), name.clone());
            answers.spawn(async move {
                let found = match FlagName::new(&name) {
                    Ok(flag_name) => shared.inner.get(flag_name).await,
                    Err(_) => Ok(None),
                };
                (name, found)
            });
        }
        while let Some(answer) = answers.join_next().await {
            let Ok((name, found)) = answer else {
                return Err(Error::new(ErrorKind::Internal, "a read has panicked").with_store("mirror"));
            };
            match found {
                Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
                found => read.push((name, found as Result<Found>)),
            }
        }
    }
    shared.with(|image| image.end_load(listed, read, now()));
    Ok(true)
}
