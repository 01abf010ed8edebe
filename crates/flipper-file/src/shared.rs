//! What the handles of a store and its watching thread share: the file as it was read last.

use std::cmp::Ordering;
use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{self, AtomicBool, AtomicU8};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use flipper_core::store::{Wakers, Watchers};
use flipper_core::{
    Change, Error, ErrorKind, Expect, Flag, Freshness, Listed, Page, Result, ResyncCause, Snapshot,
    StaleCause, Timestamp, Version, Versioned,
};

use crate::content::{Content, Record};
use crate::disk::{self, Identity, Lock, Place, Replacement};
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
    /// Why the content is not what the file has now.
    problem: Option<Error>,
    watchers: Watchers,
    is_closed: bool,
}

/// How far a write has come. Whoever waits for it and gives up finds out whether it will happen.
#[derive(Debug, Default)]
pub(crate) struct Progress(AtomicU8);

const WAITING: u8 = 0;
const WRITING: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Progress {
    fn begin(&self) -> bool {
        self.0.compare_exchange(WAITING, WRITING, atomic::Ordering::AcqRel, atomic::Ordering::Acquire).is_ok()
    }

    /// Whether a write that is not waited for any more does not happen either.
    pub(crate) fn give_up(&self) -> bool {
        self.0
            .compare_exchange(WAITING, GIVEN_UP, atomic::Ordering::AcqRel, atomic::Ordering::Acquire)
            .is_ok()
    }
}

/// A write, on its way to the thread that makes it.
#[derive(Debug)]
pub(crate) struct Edit {
    pub(crate) name: Box<str>,
    /// `None` to delete the flag.
    pub(crate) flag: Option<Flag>,
    pub(crate) expect: Expected,
}

#[derive(Debug)]
pub(crate) enum Expected {
    Any,
    Absent,
    Matches(Version),
}

impl Expected {
    pub(crate) fn of(expect: Expect<'_>) -> Self {
        match expect {
            Expect::Absent => Self::Absent,
            Expect::Matches(version) => Self::Matches(version.clone()),
            _ => Self::Any,
        }
    }

    fn is_met(&self, found: Option<&Record>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => found.is_none(),
            Self::Matches(version) => found.is_some_and(|found| found.version() == version),
        }
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
            problem: None,
            watchers: Watchers::default(),
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
        let mut state = shared.lock();
        shared.refresh_patiently(&mut state)?;
        if is_required && state.seen.is_none() {
            return Err(shared.error(ErrorKind::NotFound, "there is no such file"));
        }
        drop(state);
        Ok(shared)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
                (Some(seen), Some(now)) if seen.is_still(now) => return Ok(()),
                (None, None) => return Ok(()),
                _ => {}
            }
        }
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
        self.take_over(state, content).wake();
        Ok(())
    }

    /// As [`refresh`](Self::refresh); what cannot be read is looked at again for a moment, and then it is a problem, which
    /// watchers and checks are told.
    fn refresh_patiently(&self, state: &mut State) -> Result<()> {
        let mut looks = 1;
        let outcome = loop {
            match self.refresh(state) {
                Err(error) if looks < LOOKS && !state.is_closed && state.problem.is_none() => {
                    log::debug!(target: "flipper::file", "{error}: looking again");
                    looks += 1;
                    thread::sleep(BETWEEN_LOOKS);
                }
                outcome => break outcome,
            }
        };
        if !state.is_closed {
            self.tell_problem(state, outcome.as_ref().err()).wake();
        }
        outcome
    }

    /// Says when the file can no longer be read, and when it can again.
    fn tell_problem(&self, state: &mut State, problem: Option<&Error>) -> Wakers {
        let is_same = state.problem.as_ref().map(ToString::to_string) == problem.map(ToString::to_string);
        if is_same {
            return Wakers::default();
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
                Freshness::Stale { since: Timestamp::now(), cause }
            }
        };
        self.snapshot.edit(|edit| edit.set_freshness(freshness));
        state.problem = problem.cloned();
        state.watchers.tell(&match problem {
            None => Change::Resync { cause: ResyncCause::Reconnected },
            Some(error) => Change::Down { error: error.clone() },
        })
    }

    /// Makes a content the current one, for checks and for watchers.
    fn take_over(&self, state: &mut State, content: Content) -> Wakers {
        let before = std::mem::replace(&mut state.content, Arc::new(content));
        let changes = changes(&before, &state.content);
        self.snapshot.edit(|edit| {
            for change in &changes {
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
        let mut wakers = Wakers::default();
        for change in &changes {
            if let Change::Bad { error, .. } = change {
                log::warn!(target: "flipper::file", "{}: {error}; its last good state stays in use", self.path.display());
            }
            wakers.add(state.watchers.tell(change));
        }
        wakers
    }

    /// Takes over what has changed; for the watching thread.
    pub(crate) fn look(&self) {
        let _ = self.refresh_patiently(&mut self.lock());
    }

    pub(crate) fn get(&self, name: &str) -> Result<Option<Versioned<Flag>>> {
        let mut state = self.lock();
        self.refresh_patiently(&mut state)?;
        match state.content.get(name) {
            None => Ok(None),
            Some(Record::Flag(found)) => Ok(Some(Versioned::clone(found))),
            Some(Record::Bad { error, .. }) => Err(error.clone()),
        }
    }

    pub(crate) fn list(&self, page: Page) -> Result<Vec<Listed>> {
        let mut state = self.lock();
        self.refresh_patiently(&mut state)?;
        let content = Arc::clone(&state.content);
        drop(state);
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
            let mut state = self.lock();
            self.refresh_patiently(&mut state)?;
            let found = state.content.get(&edit.name);
            if edit.flag.is_none() && found.is_none() {
                return Ok(None);
            }
            if !edit.expect.is_met(found) {
                return Err(Error::new(ErrorKind::Conflict, "the flag is not as it was expected to be")
                    .with_store("file"));
            }
            let (base, seen) = (Arc::clone(&state.content), state.seen);
            drop(state);
            let record = edit
                .flag
                .as_ref()
                .map(|flag| Arc::new(Versioned { value: flag.clone(), version: flag.version_of_bytes() }));
            let version = record.as_ref().map(|record| record.version.clone());
            let content = base.with(&edit.name, record);
            if u32::try_from(content.text().len()).is_err() {
                return Err(self.error(ErrorKind::InvalidInput, "the file would be longer than 4 GiB"));
            }
            let replacement = Replacement::write(&place, content.text().as_bytes())
                .map_err(|error| self.io_error("write beside it", error))?;
            let mut state = self.lock();
            // An editor knows nothing of the lock. What it has saved meanwhile is read first.
            let now = disk::identity(&place.file).map_err(|error| self.io_error("look at it", error))?;
            let is_untouched = match (&seen, &now) {
                (Some(seen), Some(now)) => seen.is_same(now),
                (None, None) => true,
                _ => false,
            };
            if !is_untouched && Instant::now() < deadline {
                continue;
            }
            if !is_untouched {
                return Err(self.error(ErrorKind::Unavailable, "somebody else changes it all the time"));
            }
            if state.is_closed || !progress.begin() {
                return Err(Error::new(ErrorKind::Unavailable, "the store was closed").with_store("file"));
            }
            replacement.put_in_place().map_err(|error| self.io_error("replace it", error))?;
            state.seen = disk::identity(&place.file).ok().flatten();
            let wakers = self.take_over(&mut state, content);
            drop(state);
            wakers.wake();
            return match disk::sync_directory(&place.directory) {
                Ok(()) => Ok(Some(version.unwrap_or(Version::from_u64(0)))),
                Err(error) => Err(self
                    .error(
                        ErrorKind::OutcomeUnknown,
                        format_args!("the write may not survive a loss of power: {error}"),
                    )
                    .with_source(error)),
            };
        }
    }

    pub(crate) fn subscribe(&self) -> flipper_core::BoxStream<'static, Change> {
        self.lock().watchers.subscribe()
    }

    pub(crate) fn close(&self) {
        let mut state = self.lock();
        if !state.is_closed {
            state.is_closed = true;
            let freshness = Freshness::Stale { since: Timestamp::now(), cause: StaleCause::Unavailable };
            self.snapshot.edit(|edit| edit.set_freshness(freshness));
        }
        let wakers = state.watchers.close();
        drop(state);
        wakers.wake();
        let _ = self.signals.send(Signal::Stop);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Stop);
    }
}

/// What has to happen for one content to become the other.
fn changes(before: &Content, after: &Content) -> Vec<Change> {
    let mut changes = Vec::new();
    let (mut before, mut after) = (before.named().peekable(), after.named().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return changes,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((one, _)), Some((other, _))) => one.cmp(other),
        };
        let gone = before.next_if(|_| order.is_le()).map(|(_, gone)| gone);
        let come = after.next_if(|_| order.is_ge()).map(|(_, come)| come);
        match (gone, come) {
            (Some(gone), Some(come)) if gone.version() == come.version() => {}
            (_, Some(Record::Flag(found))) => changes.push(Change::Put(Versioned::clone(found))),
            (_, Some(Record::Bad { name, version, error })) => changes.push(Change::Bad {
                name: name.clone(),
                version: Some(version.clone()),
                error: error.clone(),
            }),
            (Some(gone), None) => changes.push(Change::Deleted { name: gone.name().into(), version: None }),
            (None, None) => {}
        }
    }
}
