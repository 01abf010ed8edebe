//! What is known of the store, and the rules by which that changes: nothing here waits, and nobody else's code runs.

mod load;
mod read;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};

use flipper_core::store::{Wakers, Watchers};
use flipper_core::{
    BoxStream, Change, Error, ErrorKind, Flag, Freshness, Snapshot, StaleCause, Timestamp, Version, Versioned,
};

use read::Reading;
pub(crate) use read::{Ended, Told};

type Name = Box<str>;

/// How many writes of ours to a flag may wait to be told.
const UNTOLD: usize = 64;

/// What is known of a flag: a state, or that there is none.
pub(crate) type Found = Option<Versioned<Flag>>;

/// What is to be done after a change.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    Nothing,
    /// To ask the store for this flag: what was told may be older than what is known.
    Read(Name, Told),
    /// To load everything.
    Load,
}

/// How a write of ours has ended.
#[derive(Debug)]
pub(crate) enum Wrote {
    /// This is there now, or was there at once after it.
    State(Found),
    /// There was nothing to delete.
    Absent,
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
    /// What to log, once the image is unlocked: a logger is somebody else's code.
    lines: Vec<(log::Level, String)>,
    /// What has changed since the load that is under way has begun: newer than what that will say.
    touched: Option<HashSet<Name>>,
    /// Writes of our own that are under way.
    writing: HashMap<Name, Writing>,
    /// Flags that are being read.
    reading: HashMap<Name, Reading>,
    /// Flags that will be read in the background.
    queued: HashSet<Name>,
    /// The states of our own writes that the store's watch has not told yet. What it tells before may be older.
    untold: HashMap<Name, Untold>,
    /// Whether the store tells our own writes too.
    is_told: bool,
    /// How many flags have to vanish at once to be kept instead.
    emptied_from: usize,
    is_emptied: bool,
    /// The flags of which something is known that is newer than that.
    since_emptied: HashSet<Name>,
    down: Option<Error>,
    /// Whether the store's watch has said that it tells nothing at present: then a load is no more than that.
    is_unfollowed: bool,
    /// Whether the load that is under way began before the store said that everything is to be loaded.
    is_load_old: bool,
    /// Whether something has changed since it was saved.
    is_unsaved: bool,
}

/// For how long what is told of a flag may be older than a write of ours, in microseconds: its versions may come again, as that of
/// all deletions does, so that nothing tells for sure which of them was told.
const LATE: i64 = 10_000_000;

#[derive(Debug)]
struct Untold {
    versions: VecDeque<Option<Version>>,
    /// When the last of them was written.
    since: Timestamp,
}

impl Untold {
    fn is_over(&self, now: Timestamp) -> bool {
        // Also if somebody has set the clock back.
        !(0..LATE).contains(&(now.as_micros() - self.since.as_micros()))
    }
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

impl Image {
    pub(crate) fn new(snapshot: Snapshot, emptied_from: usize, is_told: bool) -> Self {
        Self {
            snapshot,
            watchers: Watchers::default(),
            wakers: Wakers::default(),
            lines: Vec::new(),
            touched: None,
            writing: HashMap::new(),
            reading: HashMap::new(),
            queued: HashSet::new(),
            untold: HashMap::new(),
            is_told,
            emptied_from,
            is_emptied: false,
            since_emptied: HashSet::new(),
            down: None,
            is_unfollowed: false,
            is_load_old: false,
            is_unsaved: false,
        }
    }

    /// Whom to wake and what to log, once the image is unlocked.
    pub(crate) fn take_calls(&mut self) -> (Wakers, Vec<(log::Level, String)>) {
        (std::mem::take(&mut self.wakers), std::mem::take(&mut self.lines))
    }

    fn log(&mut self, level: log::Level, line: String) {
        self.lines.push((level, line));
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
            reading.touched += 1;
        }
    }

    /// Takes note that a state of a flag is taken over: what was asked before may be older.
    fn taken(&mut self, name: &str) {
        self.touch(name);
        if let Some(reading) = self.reading.get_mut(name) {
            reading.taken += 1;
        }
    }

    fn is_known(&self, name: &str, version: Option<&Version>) -> bool {
        self.snapshot.get(name).as_ref().map(|known| &known.version) == version
    }

    /// Takes over a state of a flag, and tells it if it is another one.
    pub(crate) fn take(&mut self, name: &str, found: Found) {
        self.taken(name);
        if self.is_emptied {
            self.since_emptied.insert(name.into());
        }
        let before = self.snapshot.get(name);
        let was_marked = self.snapshot.freshness_of(name) != self.snapshot.freshness();
        if let Some(found) = found {
            // A version may come again, with other bytes, in a store that has lost its data.
            let is_news = was_marked || before.as_deref() != Some(&found);
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
        self.taken(&name);
        self.log(log::Level::Warn, format!("{error}; the last good state of {name:?} stays in use"));
        let freshness = Freshness::Stale { since: now, cause: StaleCause::Corrupt };
        self.snapshot.edit(|edit| {
            // Since when, if it is so already.
            if !edit.is_marked(&name) {
                edit.mark(&name, freshness);
            }
        });
        self.tell(&Change::Bad { name, version, error });
    }

    /// Takes what the store's watch tells.
    pub(crate) fn hear(&mut self, change: Change, now: Timestamp) -> Next {
        match self.take_change(change, now) {
            // Who reads it already will read it once more.
            Next::Read(name, told) => {
                let is_new = !self.reading.contains_key(&name) && self.queued.insert(name.clone());
                if is_new { Next::Read(name, told) } else { Next::Nothing }
            }
            next => next,
        }
    }

    fn take_change(&mut self, change: Change, now: Timestamp) -> Next {
        match change {
            Change::Put(found) => {
                let name: Name = found.value.name().into();
                let version = Some(found.version.clone());
                self.hear_of(name, version, now, |image, name| image.take(name, Some(found)))
            }
            Change::Deleted { name, .. } => {
                self.hear_of(name, None, now, |image, name| image.take(name, None))
            }
            // Of a bad record without a version, too, only a read can tell whether it is newer than what is known.
            Change::Touched { name } | Change::Bad { name, version: None, .. } => {
                self.touch(&name);
                Next::Read(name, Told::Touched)
            }
            Change::Bad { name, version, error } => {
                self.hear_of(name, version.clone(), now, |image, name| {
                    image.take_bad(name.into(), version, error, now);
                })
            }
            Change::Down { error } => {
                self.is_unfollowed = true;
                self.set_down(error, now);
                Next::Nothing
            }
            // `Resync`, and what is not known.
            _ => {
                self.is_unfollowed = false;
                self.is_load_old = true;
                self.reading.values_mut().for_each(|reading| reading.touched += 1);
                Next::Load
            }
        }
    }

    fn hear_of(
        &mut self,
        name: Name,
        version: Option<Version>,
        now: Timestamp,
        take: impl FnOnce(&mut Self, &str),
    ) -> Next {
        if let Some(writing) = self.writing.get_mut(&name) {
            writing.told.push(version.clone());
        }
        if self.untold.get(&name).is_some_and(|untold| untold.is_over(now)) {
            self.untold.remove(&name);
        }
        if let Some(untold) = self.untold.get_mut(&name) {
            let at = untold.versions.iter().position(|expected| *expected == version);
            let told = if let Some(at) = at {
                untold.versions.drain(..=at);
                Told::Ours { is_there: version.is_some() }
            } else {
                Told::Theirs(version)
            };
            // Somebody's, or one of our own; the last one perhaps, or the same as it.
            self.touch(&name);
            return Next::Read(name, told);
        }
        take(self, &name);
        if self.is_emptied { Next::Load } else { Next::Nothing }
    }

    pub(crate) fn begin_write(&mut self, name: &str) {
        self.writing.entry(name.into()).or_default().count += 1;
    }

    pub(crate) fn end_write(&mut self, name: &str, wrote: Wrote, now: Timestamp) -> Next {
        let Some(writing) = self.writing.get_mut(name) else { return Next::Nothing };
        writing.count -= 1;
        let is_alone = writing.count == 0 && writing.ended == 0;
        writing.ended += 1;
        let told = writing.told.clone();
        if writing.count == 0 {
            self.writing.remove(name);
        }
        let is_told = self.is_told && !matches!(wrote, Wrote::Absent);
        let found = match wrote {
            Wrote::Absent => None,
            Wrote::State(found) => found,
            Wrote::Nothing => return Next::Nothing,
            Wrote::Unknown => {
                self.touch(name);
                return Next::Read(name.into(), Told::Again);
            }
        };
        let version = found.as_ref().map(|found| found.version.clone());
        match told.iter().rposition(|told| *told == version) {
            // And it was the last, and what is known.
            Some(at) if at + 1 == told.len() && self.is_known(name, version.as_ref()) => {
                return Next::Nothing;
            }
            None if is_told => {
                let new = || Untold { versions: VecDeque::new(), since: now };
                let untold = self.untold.entry(name.into()).or_insert_with(new);
                untold.since = now;
                untold.versions.push_back(version);
                if untold.versions.len() > UNTOLD {
                    untold.versions.pop_front();
                }
            }
            _ => {}
        }
        let is_there = found.is_some();
        if is_alone && told.is_empty() {
            self.take(name, found);
            return Next::Nothing;
        }
        // Somebody else has written at the same time, and who was the last can only be read.
        self.touch(name);
        let told = if is_alone { Told::Ours { is_there } } else { Told::Touched };
        Next::Read(name.into(), told)
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
            self.log(log::Level::Warn, format!("the last known state stays in use: {error}"));
            self.tell(&Change::Down { error: error.clone() });
        }
        self.down = Some(error);
    }

    /// Says that nobody follows the store any more.
    pub(crate) fn set_unfollowed(&mut self, why: &'static str, now: Timestamp) {
        self.is_unfollowed = true;
        self.set_down(Error::new(ErrorKind::Unavailable, why).with_store("mirror"), now);
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

    pub(crate) fn is_emptied(&self) -> bool {
        self.is_emptied
    }

    pub(crate) fn down(&self) -> Option<&Error> {
        self.down.as_ref()
    }
}
