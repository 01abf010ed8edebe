//! What is known of the store, and the rules by which that changes: nothing here waits, and nobody else's code runs.

mod load;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use flipper_core::store::{Wakers, Watchers};
use flipper_core::{
    BoxStream, Change, Error, ErrorKind, Flag, Freshness, Snapshot, StaleCause, Timestamp, Version, Versioned,
};

type Name = Box<str>;

/// What is known of a flag: a state, or that there is none.
pub(crate) type Found = Option<Versioned<Flag>>;

/// What is to be done after a change.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    Nothing,
    /// To ask the store for this flag: what was told may be older than what is known. With the version that was told.
    Read(Name, Option<Version>),
    /// To load everything.
    Load,
}

/// How a write of ours has ended.
#[derive(Debug)]
pub(crate) enum Wrote {
    /// This is there now, or was there at once after it.
    State(Found),
    /// Nothing was written.
    Nothing,
    /// It may have been written.
    Unknown,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub(crate) struct Image {
    pub(crate) snapshot: Snapshot,
    watchers: Watchers,
    wakers: Wakers,
    /// What has changed since the load that is under way has begun: newer than what that will say.
    touched: Option<HashSet<Name>>,
    /// Writes of our own that are under way.
    writing: HashMap<Name, Writing>,
    /// Flags that are being read.
    reading: HashMap<Name, Reading>,
    /// The states of our own writes that the store's watch has not told yet. What it tells before may be older.
    untold: HashMap<Name, Option<Version>>,
    /// Whether the store tells our own writes too.
    is_told: bool,
    /// How many flags have to vanish at once to be kept instead.
    emptied_from: usize,
    is_emptied: bool,
    down: Option<Error>,
    /// Whether the store's watch has said that it tells nothing at present: then a load is no more than that.
    is_unfollowed: bool,
    /// Whether something has changed since it was saved.
    is_unsaved: bool,
}

#[derive(Debug, Default)]
struct Writing {
    /// How many are under way.
    count: u32,
    /// How many have ended meanwhile: which of them was the last is not known.
    ended: u32,
    /// What was told of the flag meanwhile.
    told: Vec<Option<Version>>,
}

#[derive(Debug, Default)]
struct Reading {
    /// How many reads are under way.
    count: u32,
    /// How often something has happened to the flag since the first of them began.
    happened: u64,
}

impl Image {
    pub(crate) fn new(snapshot: Snapshot, emptied_from: usize, is_told: bool) -> Self {
        Self {
            snapshot,
            watchers: Watchers::default(),
            wakers: Wakers::default(),
            touched: None,
            writing: HashMap::new(),
            reading: HashMap::new(),
            untold: HashMap::new(),
            is_told,
            emptied_from,
            is_emptied: false,
            down: None,
            is_unfollowed: false,
            is_unsaved: false,
        }
    }

    /// Whom to wake, once the image is unlocked.
    pub(crate) fn take_wakers(&mut self) -> Wakers {
        std::mem::take(&mut self.wakers)
    }

    pub(crate) fn subscribe(&mut self) -> BoxStream<'static, Change> {
        self.watchers.subscribe_during(self.down.clone())
    }

    pub(crate) fn close(&mut self) {
        let wakers = self.watchers.close();
        self.wakers.add(wakers);
    }

    fn tell(&mut self, change: &Change) {
        let wakers = self.watchers.tell(change);
        self.wakers.add(wakers);
    }

    /// Takes note that something has happened to a flag: what was asked before is older.
    fn touch(&mut self, name: &str) {
        self.is_unsaved = true;
        if let Some(touched) = &mut self.touched {
            touched.insert(name.into());
        }
        if let Some(reading) = self.reading.get_mut(name) {
            reading.happened += 1;
        }
    }

    /// Takes over a state of a flag, and tells it if it is another one.
    fn take(&mut self, name: &str, found: Found) {
        self.touch(name);
        let before = self.snapshot.get(name).map(|known| known.version.clone());
        let was_marked = self.snapshot.freshness_of(name) != self.snapshot.freshness();
        if let Some(found) = found {
            let is_news = was_marked || before.as_ref() != Some(&found.version);
            self.snapshot.edit(|edit| edit.put(found.clone()));
            if is_news {
                self.tell(&Change::Put(found));
            }
        } else {
            self.snapshot.edit(|edit| edit.remove(name));
            if before.is_some() || was_marked {
                self.tell(&Change::Deleted { name: name.into(), version: None });
            }
        }
    }

    /// Takes note that a record cannot be read: its last good state stays.
    fn take_bad(&mut self, name: Name, version: Option<Version>, error: Error, now: Timestamp) {
        self.touch(&name);
        log::warn!(target: "flipper::mirror", "{error}; the last good state of {name:?} stays in use");
        let freshness = Freshness::Stale { since: now, cause: StaleCause::Corrupt };
        self.snapshot.edit(|edit| edit.mark(&name, freshness));
        self.tell(&Change::Bad { name, version, error });
    }

    /// Takes what the store's watch tells.
    pub(crate) fn hear(&mut self, change: Change, now: Timestamp) -> Next {
        match change {
            Change::Put(found) => {
                let name: Name = found.value.name().into();
                self.hear_of(name, Some(found.version.clone()), |image, name| image.take(name, Some(found)))
            }
            Change::Deleted { name, .. } => self.hear_of(name, None, |image, name| image.take(name, None)),
            Change::Bad { name, version, error } => self.hear_of(name, version.clone(), |image, name| {
                image.take_bad(name.into(), version, error, now);
            }),
            Change::Touched { name } => {
                self.touch(&name);
                Next::Read(name, None)
            }
            Change::Down { error } => {
                self.is_unfollowed = true;
                self.set_down(error, now);
                Next::Nothing
            }
            // `Resync`, and what is not known.
            _ => {
                self.is_unfollowed = false;
                Next::Load
            }
        }
    }

    fn hear_of(&mut self, name: Name, version: Option<Version>, take: impl FnOnce(&mut Self, &str)) -> Next {
        if let Some(writing) = self.writing.get_mut(&name) {
            writing.told.push(version.clone());
        }
        match self.untold.get(&name) {
            Some(expected) if *expected != version => {
                self.touch(&name);
                return Next::Read(name, version);
            }
            Some(_) => drop(self.untold.remove(&name)),
            None => {}
        }
        take(self, &name);
        if self.is_emptied { Next::Load } else { Next::Nothing }
    }

    pub(crate) fn begin_write(&mut self, name: &str) {
        self.writing.entry(name.into()).or_default().count += 1;
    }

    pub(crate) fn end_write(&mut self, name: &str, wrote: Wrote) -> Next {
        let Some(writing) = self.writing.get_mut(name) else { return Next::Nothing };
        writing.count -= 1;
        let is_alone = writing.count == 0 && writing.ended == 0;
        writing.ended += 1;
        let told = writing.told.clone();
        if writing.count == 0 {
            self.writing.remove(name);
        }
        let found = match wrote {
            Wrote::State(found) => found,
            Wrote::Nothing => return Next::Nothing,
            Wrote::Unknown => {
                self.touch(name);
                return Next::Read(name.into(), None);
            }
        };
        let version = found.as_ref().map(|found| found.version.clone());
        if told.contains(&version) {
            // And whatever was told after it has been taken over.
            return Next::Nothing;
        }
        if self.is_told {
            self.untold.insert(name.into(), version);
        }
        if is_alone && told.is_empty() {
            self.take(name, found);
            return Next::Nothing;
        }
        // Somebody else has written at the same time, and who was the last can only be read.
        self.touch(name);
        Next::Read(name.into(), None)
    }

    /// Returns a ticket for the end of the read.
    pub(crate) fn begin_read(&mut self, name: &str) -> u64 {
        let reading = self.reading.entry(name.into()).or_default();
        reading.count += 1;
        reading.happened
    }

    /// Takes what the store has answered; returns whether it has to be asked again, as something has happened since.
    pub(crate) fn end_read(
        &mut self,
        name: &str,
        ticket: u64,
        told: Option<&Version>,
        answer: Result<Found, Error>,
        now: Timestamp,
    ) -> bool {
        let is_old = self.reading.get(name).is_some_and(|reading| reading.happened != ticket);
        self.drop_read(name);
        if is_old {
            return true;
        }
        match answer {
            Ok(found) => {
                let version = found.as_ref().map(|found| &found.version);
                if let Some(expected) = self.untold.get_mut(name) {
                    if told == version {
                        self.untold.remove(name);
                    } else {
                        *expected = version.cloned();
                    }
                }
                self.take(name, found);
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.take_bad(name.into(), error.version().cloned(), error, now);
            }
            // The load that will come of it finds out.
            Err(_) => {}
        }
        false
    }

    /// Ends a read without an answer.
    pub(crate) fn drop_read(&mut self, name: &str) {
        if let Some(reading) = self.reading.get_mut(name) {
            reading.count -= 1;
            if reading.count == 0 {
                self.reading.remove(name);
            }
        }
    }

    /// Says that the store cannot be followed or loaded at present.
    pub(crate) fn set_down(&mut self, error: Error, now: Timestamp) {
        let cause = match error.kind() {
            ErrorKind::PermissionDenied => StaleCause::PermissionDenied,
            _ => StaleCause::Unavailable,
        };
        if !self.is_emptied {
            self.set_stale(cause, now);
        }
        if self.down.is_none() {
            log::warn!(target: "flipper::mirror", "the last known state stays in use: {error}");
            self.tell(&Change::Down { error: error.clone() });
        }
        self.down = Some(error);
    }

    fn set_stale(&mut self, cause: StaleCause, now: Timestamp) {
        let since = match self.snapshot.freshness() {
            Freshness::NeverLoaded => return,
            // It is still that, whatever keeps the store from being loaded.
            Freshness::Stale { cause: StaleCause::LastKnownGood, .. } if cause != StaleCause::Emptied => {
                return;
            }
            Freshness::Stale { since, .. } => since,
            _ => now,
        };
        self.snapshot.edit(|edit| edit.set_freshness(Freshness::Stale { since, cause }));
    }

    pub(crate) fn down(&self) -> Option<&Error> {
        self.down.as_ref()
    }
}
