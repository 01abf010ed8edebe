//! The task that keeps the mirror: it loads, follows, and loads again.

use std::pin::Pin;
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

type Load = Pin<Box<dyn Future<Output = Result<bool>> + Send>>;

pub(crate) async fn follow<S: Store>(shared: Arc<Shared<S>>) {
    let mut changes = shared.inner.watch();
    let interval = if changes.is_some() { shared.reload_interval } else { shared.poll_interval };
    let mut reads = JoinSet::new();
    // A watch begins with a `Resync`. Without one, the first load is due now.
    let mut due = changes.is_none().then(Instant::now);
    let mut loading: Option<Load> = None;
    let mut wait = FIRST_WAIT;
    let mut saving: Option<JoinHandle<()>> = None;
    let mut save_due = Instant::now() + SAVE_INTERVAL;
    loop {
        tokio::select! {
            biased;
            change = next(&mut changes) => {
                let Some(change) = change else {
                    let error = Error::new(ErrorKind::Unavailable, "the store was closed").with_store("mirror");
                    shared.with(|image| image.set_down(error, now()));
                    return;
                };
                match shared.with(|image| image.hear(change, now())) {
                    Next::Nothing => {}
                    Next::Read(name, told) => {
                        let shared = Arc::clone(&shared);
                        reads.spawn(async move { shared.read(&name, told.as_ref()).await });
                    }
                    Next::Load => {
                        // What has been loaded so far may be older than what made this necessary.
                        loading = None;
                        due = Some(Instant::now());
                    }
                }
            }
            Some(_) = reads.join_next(), if !reads.is_empty() => {}
            loaded = finished(&mut loading) => {
                loading = None;
                match loaded {
                    Ok(_) => {
                        wait = FIRST_WAIT;
                        due = Some(Instant::now() + interval.mul_f64(0.9 + 0.2 * fastrand::f64()));
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
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() && loading.is_none() => {
                due = None;
                loading = Some(Box::pin(load(Arc::clone(&shared))));
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

/// The end of the load that is under way; never, if there is none.
async fn finished(loading: &mut Option<Load>) -> Result<bool> {
    match loading {
        Some(load) => load.as_mut().await,
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
