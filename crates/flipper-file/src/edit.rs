//! Writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flipper_core::{Change, Error, ErrorKind, Expect, Flag, Result, Version, Versioned};

use crate::content::Record;
use crate::disk::{NotReplaced, Replacement};
use crate::place::{Lock, Place};
use crate::shared::Shared;

/// How far a write has come. Whoever waits for it and gives up finds out whether it will happen.
#[derive(Debug, Default)]
pub(crate) struct Progress(AtomicU8);

const WAITING: u8 = 0;
const WRITING: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Progress {
    /// Whether it may be made: nobody has given it up.
    pub(crate) fn begin(&self) -> bool {
        self.0.compare_exchange(WAITING, WRITING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Waits again: what was begun has not happened.
    pub(crate) fn begin_again(&self) {
        self.0.store(WAITING, Ordering::Release);
    }

    /// Whether a write that is not waited for any more does not happen either.
    pub(crate) fn give_up(&self) -> bool {
        self.0.compare_exchange(WAITING, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok()
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
    /// What this version does not know.
    Unknown,
}

impl Expected {
    pub(crate) fn of(expect: Expect<'_>) -> Self {
        match expect {
            Expect::Any => Self::Any,
            Expect::Absent => Self::Absent,
            Expect::Matches(version) => Self::Matches(version.clone()),
            _ => Self::Unknown,
        }
    }

    pub(crate) fn is_met(&self, found: Option<&Record>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => found.is_none(),
            Self::Matches(version) => found.is_some_and(|found| found.version() == version),
            Self::Unknown => false,
        }
    }
}

/// How an attempt to write has ended.
enum Attempt {
    /// Whether there was anything to do: a flag that is to be deleted may not be there.
    Done(bool),
    /// Somebody has changed something meanwhile; nothing has happened.
    Moved,
}

impl Shared {
    /// Makes a write; `false` if the flag that is to be deleted is not there.
    pub(crate) fn write(&self, edit: &Edit, progress: &Progress) -> Result<bool> {
        let now = Instant::now();
        let deadline = now.checked_add(self.timeout).unwrap_or(now + Duration::from_hours(24 * 365));
        loop {
            // Anew each time: links may be changed meanwhile.
            let place = Place::of(&self.path).map_err(|error| self.io_error("find its directory", error))?;
            let locked = Lock::acquire(&place, deadline).map_err(|error| self.io_error("lock it", error))?;
            let Some(lock) = locked else {
                let message = format_args!("another process has kept it locked for {:?}", self.timeout);
                return Err(self.error(ErrorKind::Unavailable, message));
            };
            match self.attempt(edit, progress, &place, &lock)? {
                Attempt::Done(is_done) => return Ok(is_done),
                Attempt::Moved if Instant::now() < deadline => {
                    drop(lock);
                    thread::sleep(Duration::from_millis(1));
                }
                Attempt::Moved => {
                    let message = "somebody else changes it all the time, without its lock";
                    return Err(self.error(ErrorKind::Unavailable, message));
                }
            }
        }
    }

    fn attempt(&self, edit: &Edit, progress: &Progress, place: &Place, held: &Lock) -> Result<Attempt> {
        let (base, seen) = self.current()?;
        let found = base.get(&edit.name);
        if edit.flag.is_none() && found.is_none() {
            return Ok(Attempt::Done(false));
        }
        if !edit.expect.is_met(found) {
            let message = "the flag is not as it was expected to be";
            return Err(Error::new(ErrorKind::Conflict, message).with_store("file"));
        }
        let record = edit
            .flag
            .as_ref()
            .map(|flag| Arc::new(Versioned { value: flag.clone(), version: flag.version_of_bytes() }));
        let change = match &record {
            Some(record) => Change::Put(Versioned::clone(record)),
            None => Change::Deleted { name: edit.name.clone(), version: None },
        };
        let content = base.with(&edit.name, record)?;
        let next = Replacement::write(place, content.text().as_bytes())
            .map_err(|error| self.io_error("write beside it", error))?;
        // With the state locked: whoever looks at the file meanwhile must not take over an older one afterwards.
        let is_done = self.with(|state| {
            let check = |error| self.io_error("look at it", error);
            // An editor knows nothing of the lock, a link may lead elsewhere now, and the lock file may have been deleted.
            if !Arc::ptr_eq(&base, &state.content)
                || Place::of(&self.path).map_err(check)? != *place
                || !held.is_at(place).map_err(check)?
            {
                return Ok(false);
            }
            if state.is_closed || !progress.begin() {
                return Err(Error::new(ErrorKind::Unavailable, "the store was closed").with_store("file"));
            }
            let ours = match next.put_in_place(seen.as_ref()) {
                Ok(ours) => ours,
                Err(NotReplaced::Moved) => {
                    // Or it was given up just now, and nobody waits any more.
                    progress.begin_again();
                    return Ok(false);
                }
                Err(NotReplaced::Failed(error)) => return Err(self.io_error("replace it", error)),
                Err(NotReplaced::Unknown(error)) => {
                    let message = format_args!("it may or may not have been replaced: {error}");
                    return Err(self.error(ErrorKind::OutcomeUnknown, message).with_source(error));
                }
            };
            (state.seen, state.is_ours) = (ours, ours.is_some());
            self.take_over(state, content, std::slice::from_ref(&change));
            Ok(true)
        })?;
        if !is_done {
            return Ok(Attempt::Moved);
        }
        match next.flush() {
            Ok(()) => Ok(Attempt::Done(true)),
            Err(error) => {
                let message = format_args!("the write may not survive a loss of power: {error}");
                Err(self.error(ErrorKind::OutcomeUnknown, message).with_source(error))
            }
        }
    }
}
