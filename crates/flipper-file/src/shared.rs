//! What the handles of a store and its watching thread share: the file as it was read last.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use flipper_core::json;
use flipper_core::store::{Wakers, Watchers};
use flipper_core::{
    BoxStream, Change, Error, ErrorKind, Flag, Freshness, Listed, Page, Result, ResyncCause, Snapshot,
    StaleCause, Timestamp, Versioned,
};

use crate::content::{Content, Record, changes};
use crate::disk::{self, Identity};
use crate::follow::Signal;

/// How often a file is looked at that cannot be read, as somebody may be writing it, and how long after one another.
const LOOKS: u32 = 4;
const BETWEEN_LOOKS: Duration = Duration::from_millis(30);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) snapshot: Snapshot,
    /// How long a write may wait for others.
    pub(crate) timeout: Duration,
    state: Mutex<State>,
    audience: Mutex<Audience>,
    /// Whether the operating system tells when something happens.
    pub(crate) is_notified: AtomicBool,
    /// To the watching thread.
    pub(crate) signals: Sender<Signal>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) content: Arc<Content>,
    /// `None`: there was no file, or nobody knows any more what there was.
    pub(crate) seen: Option<Identity>,
    /// Whether we have written what was seen. It is read again once its times are certain to tell if anybody has changed
    /// it since, and not at every look until then.
    pub(crate) is_ours: bool,
    /// Why the content is not what the file has now.
    problem: Option<Error>,
    /// Whom to wake once the lock is given back: a waker is somebody else's code.
    wakers: Wakers,
    pub(crate) is_closed: bool,
}

/// Who is told. It has a lock of its own, which nobody holds while the disk is waited for.
#[derive(Debug, Default)]
struct Audience {
    watchers: Watchers,
    down: Option<Error>,
}

impl Shared {
    /// Reads the file for the first time.
    pub(crate) fn open(
        path: PathBuf,
        timeout: Duration,
        is_required: bool,
        signals: Sender<Signal>,
    ) -> Result<Self> {
        let state = State {
            content: Arc::default(),
            seen: None,
            is_ours: false,
            problem: None,
            wakers: Wakers::default(),
            is_closed: false,
        };
        let snapshot = Snapshot::new(Freshness::Live);
        let shared = Self {
            path,
            snapshot,
            timeout,
            state: Mutex::new(state),
            audience: Mutex::default(),
            is_notified: AtomicBool::new(false),
            signals,
        };
        let is_there = shared.with(|state| shared.refresh_patiently(state).map(|()| state.seen.is_some()))?;
        if is_required && !is_there {
            return Err(shared.error(ErrorKind::NotFound, "there is no such file"));
        }
        Ok(shared)
    }

    /// Does something with the state, which is locked meanwhile.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        let result = work(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.wake();
        result
    }

    pub(crate) fn error(&self, kind: ErrorKind, message: impl Display) -> Error {
        Error::new(kind, format!("{}: {message}", self.path.display())).with_store("file")
    }

    pub(crate) fn io_error(&self, what: &str, error: io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ErrorKind::PermissionDenied
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
                ErrorKind::InvalidInput
            }
            _ => ErrorKind::Unavailable,
        };
        self.error(kind, format_args!("cannot {what}: {error}")).with_source(error)
    }

    /// Looks at the file, and takes over what has changed. With an error, what was known stays.
    ///
    /// The state is locked all the time, so that nobody takes over an older state after a newer one.
    fn refresh(&self, state: &mut State) -> Result<()> {
        if state.is_closed {
            return Err(Error::new(ErrorKind::Unavailable, "the store is closed").with_store("file"));
        }
        let now = disk::identity(&self.path).map_err(|error| self.io_error("look at it", error))?;
        if state.problem.is_none() {
            match (&state.seen, &now) {
                (Some(seen), Some(now))
                    if seen.is_same(now) && (seen.is_settled() || state.is_ours && !now.is_settled()) =>
                {
                    return Ok(());
                }
                (None, None) if state.content.is_empty() => return Ok(()),
                _ => {}
            }
        }
        state.is_ours = false;
        let Some((bytes, identity)) =
            disk::read(&self.path).map_err(|error| self.io_error("read it", error))?
        else {
            if state.content.is_empty() {
                state.seen = None;
                return Ok(());
            }
            // "No file" is as good as "no flags" for whoever has never seen one. We have.
            return Err(self.error(
                ErrorKind::Unavailable,
                "the file has gone, and with it all flags: put it back, or write `{}` into it if it is to be empty",
            ));
        };
        if state.seen.is_some() && state.content.text().as_bytes() == bytes {
            state.seen = Some(identity);
            return Ok(());
        }
        if bytes.is_empty() {
            // What a crash leaves of a file, and an editor for a moment.
            let message = "the file has nothing in it: write `{}` into it if it is to be empty";
            return Err(self.error(ErrorKind::Corrupt, message));
        }
        if bytes.starts_with(b"\xef\xbb\xbf") {
            let message = "the file begins with a byte order mark: save it as UTF-8 without one";
            return Err(self.error(ErrorKind::Corrupt, message));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid =
                String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
            let place = json::place(&valid, valid.len());
            self.error(ErrorKind::Corrupt, format_args!("not UTF-8 at {place}"))
        })?;
        let content =
            Content::read(text, &state.content).map_err(|error| self.error(error.kind(), error.message()))?;
        state.seen = Some(identity);
        let changes = changes(&state.content, &content);
        self.take_over(state, content, &changes);
        Ok(())
    }

    /// As [`refresh`](Self::refresh); what cannot be read is looked at again for a moment, and then it is a problem, which
    /// watchers and checks are told.
    fn refresh_patiently(&self, state: &mut State) -> Result<()> {
        let mut looks = 1;
        let outcome = loop {
            match self.refresh(state) {
                // What is known to be wrong need not be waited for.
                Err(error)
                    if looks < LOOKS && !state.is_closed && !is_same(state.problem.as_ref(), &error) =>
                {
                    log::debug!(target: "flipper::file", "{error}: looking again");
                    looks += 1;
                    thread::sleep(BETWEEN_LOOKS);
                }
                outcome => break outcome,
            }
        };
        if !state.is_closed {
            self.tell_problem(state, outcome.as_ref().err());
        }
        outcome
    }

    /// Says when the file can no longer be read, and when it can again.
    fn tell_problem(&self, state: &mut State, problem: Option<&Error>) {
        let is_known = match problem {
            Some(error) => is_same(state.problem.as_ref(), error),
            None => state.problem.is_none(),
        };
        if is_known {
            return;
        }
        let freshness = match problem {
            None => Freshness::Live,
            Some(error) => {
                log::warn!(target: "flipper::file", "{error}; the last known flags stay in use");
                let cause = match error.kind() {
                    ErrorKind::Corrupt => StaleCause::Corrupt,
                    ErrorKind::PermissionDenied => StaleCause::PermissionDenied,
                    _ => StaleCause::Unavailable,
                };
                let since = match self.snapshot.freshness() {
                    Freshness::Stale { since, .. } => since,
                    _ => Timestamp::now(),
                };
                Freshness::Stale { since, cause }
            }
        };
        self.snapshot.edit(|edit| edit.set_freshness(freshness));
        state.problem = problem.cloned();
        lock(&self.audience).down = problem.cloned();
        self.tell(
            state,
            &match problem {
                None => Change::Resync { cause: ResyncCause::Reconnected },
                Some(error) => Change::Down { error: error.clone() },
            },
        );
    }

    fn tell(&self, state: &mut State, change: &Change) {
        let wakers = lock(&self.audience).watchers.tell(change);
        state.wakers.add(wakers);
    }

    /// Makes a content the current one, for checks and for watchers.
    pub(crate) fn take_over(&self, state: &mut State, content: Content, changes: &[Change]) {
        state.content = Arc::new(content);
        self.snapshot.edit(|edit| {
            for change in changes {
                match change {
                    Change::Put(found) => {
                        edit.put(found.clone());
                    }
                    Change::Deleted { name, .. } => {
                        edit.remove(name);
                    }
                    // Its last good state stays in use.
                    Change::Bad { name, .. } => {
                        let since = Timestamp::now();
                        edit.mark(name, Freshness::Stale { since, cause: StaleCause::Corrupt });
                    }
                    _ => {}
                }
            }
        });
        for change in changes {
            if let Change::Bad { error, .. } = change {
                log::warn!(target: "flipper::file", "{}: {error}; its last good state stays in use", self.path.display());
            }
            self.tell(state, change);
        }
    }

    /// Takes over what has changed, and returns whether to look again soon; for the watching thread.
    pub(crate) fn look(&self) -> bool {
        // Whoever asks the store is told what is wrong, and so are watchers and the log.
        let _ = self.current();
        self.with(|state| state.seen.is_some_and(|seen| !seen.is_settled()))
    }

    /// What the file has now.
    pub(crate) fn current(&self) -> Result<(Arc<Content>, Option<Identity>)> {
        self.with(|state| {
            self.refresh_patiently(state)?;
            Ok((Arc::clone(&state.content), state.seen))
        })
    }

    pub(crate) fn get(&self, name: &str) -> Result<Option<Versioned<Flag>>> {
        match self.current()?.0.get(name) {
            None => Ok(None),
            Some(Record::Flag(found)) => Ok(Some(Versioned::clone(found))),
            Some(Record::Bad { error, .. }) => Err(error.clone()),
        }
    }

    pub(crate) fn list(&self, page: Page) -> Result<Vec<Listed>> {
        let content = self.current()?.0;
        let listed = content.records().skip(page.offset).take(page.limit.unwrap_or(usize::MAX));
        Ok(listed
            .map(|record| match record {
                Record::Flag(found) => Listed::Flag(Versioned::clone(found)),
                Record::Bad { name, version, error } => {
                    Listed::Bad { name: name.clone(), version: Some(version.clone()), error: error.clone() }
                }
            })
            .collect())
    }

    pub(crate) fn subscribe(&self) -> BoxStream<'static, Change> {
        let mut audience = lock(&self.audience);
        let down = audience.down.clone();
        audience.watchers.subscribe_during(down)
    }

    /// Says that nobody looks at the file any more.
    pub(crate) fn lose_sight(&self) {
        let freshness = Freshness::Stale { since: Timestamp::now(), cause: StaleCause::Unavailable };
        self.snapshot.edit(|edit| edit.set_freshness(freshness));
    }

    pub(crate) fn close(&self) {
        self.with(|state| {
            if !state.is_closed {
                state.is_closed = true;
                self.lose_sight();
            }
            let wakers = lock(&self.audience).watchers.close();
            state.wakers.add(wakers);
        });
        let _ = self.signals.send(Signal::Stop);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_same(known: Option<&Error>, error: &Error) -> bool {
    known.is_some_and(|known| known.to_string() == error.to_string())
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Stop);
    }
}
