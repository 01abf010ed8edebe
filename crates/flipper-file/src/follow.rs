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

use crate::disk::{Place, SETTLED, directory_identity};
use crate::shared::Shared;

/// What the thread is told.
#[derive(Debug)]
pub(crate) enum Signal {
    /// Something has happened.
    Look,
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
    loop {
        let Some(shared) = shared.upgrade() else { return };
        let mut is_soon = shared.look();
        if following.is_notified && notices.directories != directories(path) {
            // A directory was replaced, or a link leads elsewhere.
            notices = Notices::new(path, shared.signals.clone());
            shared.is_notified.store(notices.watcher.is_some(), Ordering::Relaxed);
            is_soon = shared.look();
        }
        drop(shared);
        let interval = if is_soon { following.interval.min(SETTLED * 2) } else { following.interval };
        // File systems of other machines notify nobody and do not say so, hence also without a signal.
        match signals.recv_timeout(interval) {
            Ok(Signal::Look) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
        // Several notices of one change are one look.
        while let Ok(signal) = signals.try_recv() {
            if let Signal::Stop = signal {
                return;
            }
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
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // What was only read, by us as well, has not changed.
        let is_read = event.as_ref().is_ok_and(|event| {
            matches!(event.kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
        });
        if !is_read {
            let _ = signals.send(Signal::Look);
        }
    })?;
    for (directory, _) in directories {
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// Where the file and what it leads to are.
fn directories(path: &Path) -> Vec<Directory> {
    let beside = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut directories = vec![beside];
    directories.extend(Place::of(path).ok().map(|place| place.directory));
    directories.dedup();
    directories.into_iter().map(|directory| (directory.clone(), directory_identity(&directory))).collect()
}
