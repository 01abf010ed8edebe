//! A write, on its way to the thread that makes it.

use std::sync::atomic::{AtomicU8, Ordering};

use flipper_core::{Expect, Flag, Version};

use crate::content::Record;

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
}

impl Expected {
    pub(crate) fn of(expect: Expect<'_>) -> Self {
        match expect {
            Expect::Absent => Self::Absent,
            Expect::Matches(version) => Self::Matches(version.clone()),
            _ => Self::Any,
        }
    }

    pub(crate) fn is_met(&self, found: Option<&Record>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => found.is_none(),
            Self::Matches(version) => found.is_some_and(|found| found.version() == version),
        }
    }
}
