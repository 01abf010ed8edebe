//! Reads of single flags, and what they do to the image.

use flipper_core::{Error, ErrorKind, Result, Timestamp, Version};

use super::{Found, Image, Name};

/// Why a flag is read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    /// Something has happened to it, which may be that it was deleted.
    Touched,
    /// What was read may be old, or it is not known what has become of a write.
    Again,
    /// After a write of ours the flag was there or not.
    Ours { is_there: bool },
    /// A write of somebody else's was told, with its version; `None` for a deletion.
    Theirs(Option<Version>),
}

impl Told {
    /// Whether the flag may have been deleted.
    fn may_be_gone(&self) -> bool {
        matches!(self, Self::Touched | Self::Ours { is_there: false } | Self::Theirs(None))
    }
}

/// Reads of a flag that are under way.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    count: u32,
    /// How often something has happened to the flag since the first of them began: there may be a newer state.
    pub(super) touched: u64,
    /// How often a state was taken over since then, which may be newer than what is read.
    pub(super) taken: u64,
}

/// What had happened to a flag when a read began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ticket {
    touched: u64,
    taken: u64,
}

/// How a read has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ended {
    /// What is known is what is there.
    Done,
    /// It was taken over, and something has happened meanwhile: there may be a newer state.
    Newer,
    /// It may be older than what was taken over meanwhile.
    Again,
    /// The store could not be asked, or does not know of the flag, though it was not told to be deleted: one that has lost its data, perhaps.
    Failed,
}

impl Image {
    pub(crate) fn begin_read(&mut self, name: &str) -> Ticket {
        self.queued.remove(name);
        let reading = self.reading.entry(name.into()).or_default();
        reading.count += 1;
        Ticket { touched: reading.touched, taken: reading.taken }
    }

    /// Takes what the store has answered, unless it may be older than what is known.
    pub(crate) fn end_read(
        &mut self,
        name: &str,
        ticket: Ticket,
        told: &Told,
        answer: Result<Found, Error>,
        now: Timestamp,
    ) -> Ended {
        let since = self
            .reading
            .get(name)
            .map_or(ticket, |reading| Ticket { touched: reading.touched, taken: reading.taken });
        self.drop_read(name);
        if since.taken != ticket.taken {
            return Ended::Again;
        }
        match answer {
            Ok(None) if !told.may_be_gone() && self.snapshot.get(name).is_some() => return Ended::Failed,
            Ok(found) => {
                // A write of ours since it began is still to be told.
                if since == ticket {
                    self.expect(name, told, &found);
                }
                self.take(name, found);
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.take_bad(Name::from(name), error.version().cloned(), error, now);
            }
            Err(_) => return Ended::Failed,
        }
        if since == ticket { Ended::Done } else { Ended::Newer }
    }

    /// Takes note of what has yet to be told, now that this was read.
    fn expect(&mut self, name: &str, told: &Told, found: &Found) {
        let Some(untold) = self.untold.get_mut(name) else { return };
        let version = found.as_ref().map(|found| found.version.clone());
        match told {
            Told::Theirs(theirs) if *theirs == version => untold.versions.clear(),
            Told::Theirs(_) => untold.versions = [version].into(),
            _ if untold.versions.back() != Some(&version) => untold.versions = [version].into(),
            _ => {}
        }
    }

    /// Takes note that something has happened to all flags: what is being read may be older than what is known.
    pub(super) fn outdate_reads(&mut self) {
        for reading in self.reading.values_mut() {
            reading.touched += 1;
            reading.taken += 1;
        }
    }

    /// Ends a read without an answer; returns whether nobody else reads the flag.
    pub(crate) fn drop_read(&mut self, name: &str) -> bool {
        let Some(reading) = self.reading.get_mut(name) else { return true };
        reading.count -= 1;
        if reading.count > 0 {
            return false;
        }
        self.reading.remove(name);
        true
    }
}
