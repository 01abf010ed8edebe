//! The thread that looks at the file when something has happened to it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::disk::{SETTLED, directory_identity};
use crate::place::{Place, directory_of};
use crate::shared::Shared;

/// What the thread is told.
#[derive(Debug)]
pub(crate) enum Signal {
    /// Something has happened.
    Look,
    /// Something has happened to a directory that is watched: one that is made again is another one, and is not watched.
    Renew,
    Stop,
}

/// How changes become known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Following {
    /// Whether to ask the operating system for notices.
    pub(crate) is_notified: bool,
    /// How often to look without a notice.
    pub(crate) interval: Duration,
}

/// Starts the thread. It looks at once, and holds the store only while it looks.
pub(crate) fn start(
    shared: &Arc<Shared>,
    signals: Receiver<Signal>,
    following: Following,
) -> io::Result<JoinHandle<()>> {
    let (weak, path, sender) = (Arc::downgrade(shared), shared.path.clone(), shared.signals.clone());
    let notices = if following.is_notified { Notices::new(&path, sender) } else { Notices::default() };
    shared.is_notified.store(notices.watcher.is_some(), Ordering::Relaxed);
    thread::Builder::new()
        .name("flipper-file".to_owned())
        .spawn(move || follow(&weak, &signals, notices, &path, following))
}

fn follow(
    shared: &Weak<Shared>,
    signals: &Receiver<Signal>,
    mut notices: Notices,
    path: &Path,
    following: Following,
) {
    let _guard = Guard(shared);
    let mut is_stale = false;
    loop {
        let Some(shared) = shared.upgrade() else { return };
        let mut is_soon = shared.look();
        // A directory was replaced, a link leads elsewhere, or there were no notices to be had.
        is_stale |= notices.watcher.is_none() || notices.directories != directories(path);
        if following.is_notified && is_stale {
            notices = Notices::new(path, shared.signals.clone());
            shared.is_notified.store(notices.watcher.is_some(), Ordering::Relaxed);
            is_soon = shared.look();
        }
        drop(shared);
        let interval = if is_soon { following.interval.min(SETTLED) } else { following.interval };
        // File systems of other machines notify nobody and do not say so, hence also without a signal.
        let first = match signals.recv_timeout(interval) {
            Ok(signal) => Some(signal),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        is_stale = false;
        // Several notices of one change are one look. Not all of them, as there may always be more.
        for signal in first.into_iter().chain(signals.try_iter().take(1_000)) {
            match signal {
                Signal::Look => {}
                Signal::Renew => is_stale = true,
                Signal::Stop => return,
            }
        }
    }
}

/// Says that nobody follows the file any more, should this ever panic.
struct Guard<'s>(&'s Weak<Shared>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(shared) = self.0.upgrade()
        {
            shared.lose_sight();
        }
    }
}

/// Notices of the operating system. It watches directories, as a file that is replaced is another one.
#[derive(Default)]
struct Notices {
    directories: Vec<Directory>,
    watcher: Option<RecommendedWatcher>,
}

/// A directory, and what tells it from another one of its name.
type Directory = (PathBuf, Option<(u64, u64)>);

impl Notices {
    fn new(path: &Path, signals: Sender<Signal>) -> Self {
        let directories = directories(path);
        let watcher = watch(&directories, signals)
            .inspect_err(|error| {
                log::debug!(target: "flipper::file", "{}: not notified of changes: {error}", path.display());
            })
            .ok();
        Self { directories, watcher }
    }
}

fn watch(directories: &[Directory], signals: Sender<Signal>) -> notify::Result<RecommendedWatcher> {
    let paths: Vec<_> = directories.iter().map(|(directory, _)| directory.clone()).collect();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let signal = match &event {
            // What was only read, by us as well, has not changed.
            Ok(event) if matches!(event.kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write)) =>
            {
                return;
            }
            Ok(event) if !event.paths.iter().any(|path| paths.contains(path)) => Signal::Look,
            _ => Signal::Renew,
        };
        let _ = signals.send(signal);
    })?;
    for (directory, _) in directories {
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// Where the file and what it leads to are.
fn directories(path: &Path) -> Vec<Directory> {
    let beside = directory_of(path);
    let mut directories = vec![beside];
    directories.extend(Place::of(path).ok().map(|place| place.directory));
    directories.dedup();
    directories.into_iter().map(|directory| (directory.clone(), directory_identity(&directory))).collect()
}
