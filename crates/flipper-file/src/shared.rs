//! What the handles of a store and its watching thread share: the file as it was read last.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use flipper_core::store::{Wakers, Watchers};
use flipper_core::{
    BoxStream, Change, Error, ErrorKind, Flag, Freshness, Listed, Page, Result, ResyncCause, Snapshot,
    StaleCause, Timestamp, Version, Versioned,
};

use crate::content::{Content, Record, changes};
use crate::disk::{self, Identity, Lock, Place, Replacement};
use crate::edit::{Edit, Progress};
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
    /// Whether the operating system tells when something happens.
    pub(crate) is_notified: AtomicBool,
    /// To the watching thread.
    pub(crate) signals: Sender<Signal>,
}

#[derive(Debug)]
struct State {
    content: Arc<Content>,
    /// `None`: there was no file, and no flag.
    seen: Option<Identity>,
    /// Whether we have written what was seen. It is read again once its times are certain to tell if anybody has changed
    /// it since, and not at every look until then.
    is_ours: bool,
    /// Why the content is not what the file has now.
    problem: Option<Error>,
    watchers: Watchers,
    /// Whom to wake once the lock is given back: a waker is somebody else's code.
    wakers: Wakers,
    is_closed: bool,
}

impl State {
    fn tell(&mut self, change: &Change) {
        let wakers = self.watchers.tell(change);
        self.wakers.add(wakers);
    }
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
            watchers: Watchers::default(),
            wakers: Wakers::default(),
            is_closed: false,
        };
        let snapshot = Snapshot::new(Freshness::Live);
        let shared = Self {
            path,
            snapshot,
            timeout,
            state: Mutex::new(state),
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
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.wake();
        result
    }

    fn error(&self, kind: ErrorKind, message: impl Display) -> Error {
        Error::new(kind, format!("{}: {message}", self.path.display())).with_store("file")
    }

    fn io_error(&self, what: &str, error: io::Error) -> Error {
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
                (None, None) => return Ok(()),
                _ => {}
            }
        }
        state.is_ours = false;
        let Some((bytes, identity)) =
            disk::read(&self.path).map_err(|error| self.io_error("read it", error))?
        else {
            if state.content.records().next().is_none() {
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
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid =
                String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
            let place = crate::content::place(&valid, valid.len());
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
        state.tell(&match problem {
            None => Change::Resync { cause: ResyncCause::Reconnected },
            Some(error) => Change::Down { error: error.clone() },
        });
    }

    /// Makes a content the current one, for checks and for watchers.
    fn take_over(&self, state: &mut State, content: Content, changes: &[Change]) {
        state.content = Arc::new(content);
        self.snapshot.edit(|edit| {
            for change in changes {
                match change {
                    Change::Put(found) => {
                        edit.put(found.clone());
                    }
                    // A bad record may be shown by the name of a flag, and be gone while that is not.
                    Change::Deleted { name, .. } if state.content.get(name).is_none() => {
                        edit.remove(name);
                    }
                    // A bad record's last good state stays in use.
                    _ => {}
                }
            }
        });
        for change in changes {
            if let Change::Bad { error, .. } = change {
                log::warn!(target: "flipper::file", "{}: {error}; its last good state stays in use", self.path.display());
            }
            state.tell(change);
        }
    }

    /// Takes over what has changed, and returns whether to look again soon; for the watching thread.
    pub(crate) fn look(&self) -> bool {
        // Whoever asks the store is told what is wrong, and so are watchers and the log.
        let _ = self.current();
        self.with(|state| state.seen.is_some_and(|seen| !seen.is_settled()))
    }

    /// What the file has now.
    fn current(&self) -> Result<(Arc<Content>, Option<Identity>)> {
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

    /// Makes a write; `None` if the flag that is to be deleted is not there.
    pub(crate) fn write(&self, edit: &Edit, progress: &Progress) -> Result<Option<Version>> {
        let deadline = Instant::now() + self.timeout;
        let place = Place::of(&self.path).map_err(|error| self.io_error("find its directory", error))?;
        let locked = Lock::acquire(&place, deadline).map_err(|error| self.io_error("lock it", error))?;
        let Some(_lock) = locked else {
            let message = format_args!("another process has kept it locked for {:?}", self.timeout);
            return Err(self.error(ErrorKind::Unavailable, message));
        };
        loop {
            let (base, seen) = self.current()?;
            let found = base.get(&edit.name);
            if edit.flag.is_none() && found.is_none() {
                return Ok(None);
            }
            if !edit.expect.is_met(found) {
                let message = "the flag is not as it was expected to be";
                return Err(Error::new(ErrorKind::Conflict, message).with_store("file"));
            }
            let record = edit
                .flag
                .as_ref()
                .map(|flag| Arc::new(Versioned { value: flag.clone(), version: flag.version_of_bytes() }));
            // Nobody asks for the version of a deletion.
            let version = record.as_ref().map_or(Version::from_u64(0), |record| record.version.clone());
            let change = match &record {
                Some(record) => Change::Put(Versioned::clone(record)),
                None => Change::Deleted { name: edit.name.clone(), version: None },
            };
            let content = base.with(&edit.name, record);
            if u32::try_from(content.text().len()).is_err() {
                return Err(self.error(ErrorKind::InvalidInput, "the file would be longer than 4 GiB"));
            }
            let next = Replacement::write(&place, content.text().as_bytes())
                .map_err(|error| self.io_error("write beside it", error))?;
            if self.replace(&place, seen, next, content, &change, progress)? {
                return match disk::sync_directory(&place.directory) {
                    Ok(()) => Ok(Some(version)),
                    Err(error) => {
                        let message = format_args!("the write may not survive a loss of power: {error}");
                        Err(self.error(ErrorKind::OutcomeUnknown, message).with_source(error))
                    }
                };
            }
            if Instant::now() >= deadline {
                let message = "somebody else changes it all the time, without its lock";
                return Err(self.error(ErrorKind::Unavailable, message));
            }
        }
    }

    /// Puts the next state in the place of the one that it was made of, unless somebody has changed that, as an editor
    /// may, which knows nothing of the lock.
    fn replace(
        &self,
        place: &Place,
        seen: Option<Identity>,
        next: Replacement<'_>,
        content: Content,
        change: &Change,
        progress: &Progress,
    ) -> Result<bool> {
        // With the state locked: whoever looks at the file meanwhile must not take over an older one afterwards.
        self.with(|state| {
            let now = disk::identity(&place.file).map_err(|error| self.io_error("look at it", error))?;
            let is_untouched = match (&seen, &now) {
                (Some(seen), Some(now)) => seen.is_same(now),
                (None, None) => true,
                _ => false,
            };
            if !is_untouched {
                return Ok(false);
            }
            if state.is_closed || !progress.begin() {
                return Err(Error::new(ErrorKind::Unavailable, "the store was closed").with_store("file"));
            }
            next.put_in_place().map_err(|error| self.io_error("replace it", error))?;
            state.seen = disk::identity(&place.file).ok().flatten();
            state.is_ours = true;
            self.take_over(state, content, std::slice::from_ref(change));
            Ok(true)
        })
    }

    pub(crate) fn subscribe(&self) -> BoxStream<'static, Change> {
        self.with(|state| state.watchers.subscribe())
    }

    pub(crate) fn close(&self) {
        self.with(|state| {
            if !state.is_closed {
                state.is_closed = true;
                let freshness = Freshness::Stale { since: Timestamp::now(), cause: StaleCause::Unavailable };
                self.snapshot.edit(|edit| edit.set_freshness(freshness));
            }
            let wakers = state.watchers.close();
            state.wakers.add(wakers);
        });
        let _ = self.signals.send(Signal::Stop);
    }
}

fn is_same(known: Option<&Error>, error: &Error) -> bool {
    known.is_some_and(|known| known.to_string() == error.to_string())
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Stop);
    }
}
