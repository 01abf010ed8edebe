//! One edit as a whole, where an event is one aspect of it.

use std::fmt;

use super::Payload;
use crate::{Flag, Timestamp};

/// Tells what one edit of a flag changes, all of it, by one write.
///
/// An [`Event`](super::Event) is about one aspect, and comes when the write stands. This is for who has to know of every write, once: what it was
/// to change, and how it has ended, also where that is that nobody can tell.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Edit<'e> {
    /// Tells the attempts of one edit from those of all others of the process: clients that share a subscriber may edit one flag at the same time.
    pub id: u64,
    /// The flag's name.
    pub flag: &'e str,
    /// What changes, one for each event, in their order.
    pub changes: &'e [Payload<'e>],
    /// Which attempt this is, from 1 on.
    pub attempt: u32,
    /// Who does it: see [`FeatureFlagClient::as_actor`](crate::FeatureFlagClient::as_actor).
    pub actor: Option<&'e str>,
    /// When the attempt was made.
    pub time: Timestamp,
    /// The flag as it was read; `None` if there was none, or none that could be read.
    pub before: Option<&'e Flag>,
    /// Whether there was a record that could not be read.
    pub was_unreadable: bool,
    /// The flag as it is to be; `None` if it is deleted.
    pub after: Option<&'e Flag>,
}

/// Says how an edit has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The write stands.
    Done,
    /// The write stands, and fewer copies confirm it than were asked for.
    NotReplicated,
    /// Nobody can tell: the answer was lost, or the caller did not wait for it. The write may have happened, or may still happen.
    Unknown,
    /// The write has certainly not happened: a veto, a conflict until the deadline, a store that cannot be asked.
    NotDone,
}

impl Outcome {
    /// Returns the outcome as a word, such as `not_replicated`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotReplicated => "not_replicated",
            Self::Unknown => "unknown",
            Self::NotDone => "not_done",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
