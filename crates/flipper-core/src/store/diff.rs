//! What has changed from one listing to the next.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::{Change, Listed, ResyncCause, Version};
use crate::ErrorKind;

/// Finds out what has changed by comparing complete listings: for stores whose backend does not tell.
///
/// # Examples
///
/// ```
/// use flipper_core::store::Diff;
/// use flipper_core::{Change, Flag, FlagName, Listed, Timestamp, Versioned};
///
/// let flag = Flag::new(FlagName::new("X")?, Timestamp::from_secs(1));
/// let listed = Listed::Flag(Versioned { version: flag.version_of_bytes(), value: flag });
///
/// let mut diff = Diff::default();
/// assert!(matches!(diff.next(vec![listed.clone()])[..], [Change::Put(_)]));
/// assert!(diff.next(vec![listed]).is_empty());
/// assert!(matches!(diff.next(vec![])[..], [Change::Deleted { .. }]));
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Diff {
    known: HashMap<Box<str>, Known>,
    round: u64,
    /// What was observed since the listing began that is under way: that may say what was before.
    observed: HashSet<Box<str>>,
    is_listing: bool,
}

#[derive(Debug)]
struct Known {
    state: State,
    /// The listing that had it last.
    round: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    /// What was told last.
    Told(Identity),
    /// Somebody has seen another state than was told: the next listing tells that it is to be read once more, whatever it is.
    Unsettled(Seen),
}

/// What tells states of a record apart: one that could not be read and can be now is another, also if its version is the same.
#[derive(Clone, Debug, PartialEq)]
struct Identity {
    version: Option<Version>,
    error: Option<ErrorKind>,
}

/// What was seen last.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Record(Identity),
    Absence,
    /// It was written, or may have been.
    Write,
}

impl Diff {
    /// Says that the next listing begins now.
    pub fn begin(&mut self) {
        self.observed.clear();
        self.is_listing = true;
    }

    /// Takes note of what the store has told somebody meanwhile; returns [`Change::Touched`] if it is not what was told last.
    ///
    /// Without that, whoever loads a state between two listings that is gone again by the next would keep it: for the listings,
    /// nothing has changed. It is not told what was seen, since that may be older than what somebody else has seen; and the next listing
    /// tells the same once more, for the same reason.
    pub fn observe(&mut self, record: &Listed) -> Option<Change> {
        let (name, identity) = identity(record);
        self.see(name, Seen::Record(identity))
    }

    /// As [`observe`](Self::observe), of a record that was not there.
    pub fn observe_absence(&mut self, name: &str) -> Option<Change> {
        self.see(name, Seen::Absence)
    }

    /// As [`observe`](Self::observe), of a record that may have been written.
    pub fn touch(&mut self, name: &str) -> Option<Change> {
        self.see(name, Seen::Write)
    }

    fn see(&mut self, name: &str, seen: Seen) -> Option<Change> {
        if self.is_listing {
            self.observed.insert(name.into());
        }
        let before = self.known.get(name).map(|known| &known.state);
        let is_told = match (before, &seen) {
            (None, Seen::Absence) => true,
            (Some(State::Told(told)), Seen::Record(identity)) => told == identity,
            _ => false,
        };
        if is_told {
            return None;
        }
        let is_news = match (before, &seen) {
            (_, Seen::Write) => true,
            // The first who looks after a write sees what all were told to look at.
            (Some(State::Unsettled(Seen::Write)), _) => false,
            (Some(State::Unsettled(before)), seen) => before != seen,
            _ => true,
        };
        self.known.insert(name.into(), Known { state: State::Unsettled(seen), round: self.round });
        is_news.then(|| Change::Touched { name: name.into() })
    }

    /// Returns the names that were there last.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(|name| &**name)
    }

    /// Takes the next listing, which has to be complete, and returns the changes since the one before.
    ///
    /// A listing without records, after one that had several of which nobody has told otherwise meanwhile, is no change of each of them: it
    /// may be a server that has lost its data. It is one [`Change::Resync`].
    pub fn next(&mut self, listed: Vec<Listed>) -> Vec<Change> {
        self.is_listing = false;
        let told = self.known.iter().filter(|(_, known)| matches!(known.state, State::Told(_)));
        let mut unexplained = told.filter(|(name, _)| !self.observed.contains(*name));
        if listed.is_empty() && unexplained.nth(1).is_some() {
            self.known.clear();
            return vec![Change::Resync { cause: ResyncCause::Server }];
        }
        self.round += 1;
        let mut changes = Vec::new();
        for record in listed {
            let (name, identity) = identity(&record);
            if self.observed.contains(name) {
                continue;
            }
            let state = State::Told(identity);
            match self.known.entry(name.into()) {
                Entry::Occupied(mut known) => {
                    let before = known.insert(Known { state, round: self.round }).state;
                    if matches!(before, State::Unsettled(_)) {
                        // What is listed may be older than what somebody has read since they were told.
                        changes.push(Change::Touched { name: name.into() });
                    } else if before != known.get().state {
                        changes.push(Change::from(record));
                    }
                }
                Entry::Vacant(vacant) => {
                    vacant.insert(Known { state, round: self.round });
                    changes.push(Change::from(record));
                }
            }
        }
        self.known.retain(|name, known| {
            let is_there = known.round == self.round || self.observed.contains(name);
            if !is_there {
                changes.push(match known.state {
                    State::Unsettled(_) => Change::Touched { name: name.clone() },
                    State::Told(_) => Change::Deleted { name: name.clone(), version: None },
                });
            }
            is_there
        });
        changes
    }
}

fn identity(record: &Listed) -> (&str, Identity) {
    match record {
        Listed::Flag(found) => {
            (found.value.name(), Identity { version: Some(found.version.clone()), error: None })
        }
        Listed::Bad { name, version, error } => {
            (name, Identity { version: version.clone(), error: Some(error.kind()) })
        }
    }
}

impl From<Listed> for Change {
    /// What a record of a listing says to those who watch.
    fn from(listed: Listed) -> Self {
        match listed {
            Listed::Flag(found) => Self::Put(found),
            Listed::Bad { name, version, error } => Self::Bad { name, version, error },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, Flag, FlagName, Timestamp, Versioned};

    fn flag(name: &str, number: i64) -> Listed {
        let flag = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(number));
        Listed::Flag(Versioned { version: flag.version_of_bytes(), value: flag })
    }

    fn bad(name: &str, version: Option<u64>) -> Listed {
        let error = Error::new(ErrorKind::Corrupt, "bad");
        Listed::Bad { name: name.into(), version: version.map(Version::from_u64), error }
    }

    fn words(changes: Vec<Change>) -> Vec<String> {
        let mut words: Vec<_> = changes
            .into_iter()
            .map(|change| match change {
                Change::Put(found) => format!("put {}", found.value.name()),
                Change::Deleted { name, .. } => format!("deleted {name}"),
                Change::Bad { name, .. } => format!("bad {name}"),
                Change::Touched { name } => format!("touched {name}"),
                other => format!("{other:?}"),
            })
            .collect();
        words.sort_unstable();
        words
    }

    #[test]
    fn what_differs_is_told_once() {
        let mut diff = Diff::default();
        assert_eq!(words(diff.next(vec![flag("a", 1), flag("b", 1), bad("c", None)])).len(), 3);
        let next = vec![flag("a", 1), flag("b", 2), bad("c", None), bad("d", Some(1))];
        assert_eq!(words(diff.next(next)), ["bad d", "put b"]);
        assert_eq!(
            words(diff.next(vec![flag("c", 1), bad("d", Some(2))])),
            ["bad d", "deleted a", "deleted b", "put c"]
        );
    }

    #[test]
    fn everything_gone_is_to_be_looked_into() {
        let mut diff = Diff::default();
        diff.next(vec![flag("a", 1), flag("b", 1)]);
        assert!(matches!(diff.next(vec![])[..], [Change::Resync { cause: ResyncCause::Server }]));
        assert!(diff.next(vec![]).is_empty());
        assert_eq!(words(diff.next(vec![flag("a", 1)])), ["put a"]);
        assert_eq!(words(diff.next(vec![])), ["deleted a"]);
    }

    #[test]
    fn what_is_seen_between_listings_is_told_and_its_end_as_well() {
        let mut diff = Diff::default();
        diff.next(vec![flag("a", 1), flag("b", 1)]);
        assert!(diff.observe(&flag("a", 1)).is_none() && diff.observe_absence("x").is_none());
        let seen = |diff: &mut Diff| {
            [diff.observe(&flag("a", 2)), diff.observe(&flag("c", 1)), diff.observe_absence("b")]
        };
        assert_eq!(
            words(seen(&mut diff).into_iter().flatten().collect()),
            ["touched a", "touched b", "touched c"]
        );
        assert_eq!(seen(&mut diff).into_iter().flatten().count(), 0, "once is enough");
        diff.begin();
        assert_eq!(
            words(diff.next(vec![flag("a", 1), flag("b", 1)])),
            ["touched a", "touched b", "touched c"]
        );
        diff.begin();
        assert!(diff.next(vec![flag("a", 1), flag("b", 1)]).is_empty());
    }

    /// However often somebody reads, and whenever: each change that is seen is told.
    #[test]
    fn a_steady_reader_hides_nothing() {
        let mut diff = Diff::default();
        diff.next(vec![flag("a", 0)]);
        for number in 1..50 {
            diff.begin();
            assert!(diff.observe(&flag("a", number)).is_some(), "{number}");
            assert!(diff.observe(&flag("a", number)).is_none(), "once");
            assert!(diff.next(vec![flag("a", number)]).is_empty());
        }
        // Those who were told that it was written have read it: what they see is no news, and what comes after that is.
        assert!(diff.touch("a").is_some() && diff.touch("a").is_some());
        assert!(diff.observe(&flag("a", 51)).is_none());
        assert!(diff.observe(&flag("a", 52)).is_some() && diff.observe_absence("a").is_some());
    }

    #[test]
    fn a_record_that_can_be_read_again_is_told() {
        let Listed::Flag(found) = flag("a", 1) else { unreachable!() };
        let error = Error::new(ErrorKind::PermissionDenied, "not now");
        let denied = Listed::Bad { name: "a".into(), version: Some(found.version.clone()), error };
        let mut diff = Diff::default();
        assert_eq!(words(diff.next(vec![denied.clone()])), ["bad a"]);
        assert_eq!(words(diff.next(vec![flag("a", 1)])), ["put a"]);
        assert_eq!(words(diff.next(vec![denied])), ["bad a"]);
    }

    #[test]
    fn somebody_who_looks_for_anything_does_not_hide_that_all_is_gone() {
        let mut diff = Diff::default();
        diff.next(vec![flag("a", 1), flag("b", 1), flag("c", 1)]);
        diff.begin();
        assert!(diff.observe_absence("unknown").is_none());
        assert!(matches!(diff.next(vec![])[..], [Change::Resync { cause: ResyncCause::Server }]));
        // What we have deleted ourselves is gone for a reason.
        diff.next(vec![flag("a", 1), flag("b", 1)]);
        assert!(diff.touch("a").is_some() && diff.touch("b").is_some());
        diff.begin();
        assert_eq!(words(diff.next(vec![])), ["touched a", "touched b"]);
    }

    #[test]
    fn looking_for_what_is_not_there_costs_nothing() {
        let mut diff = Diff::default();
        diff.next(vec![flag("a", 1)]);
        for number in 0..1_000 {
            assert!(diff.observe_absence(&format!("x{number}")).is_none());
        }
        assert!(diff.observed.is_empty() && diff.known.len() == 1);
    }

    #[test]
    fn a_listing_that_is_older_than_what_was_seen_says_nothing_of_it() {
        let mut diff = Diff::default();
        diff.next(vec![flag("a", 1), flag("b", 1), flag("d", 2)]);
        diff.begin();
        diff.observe(&flag("a", 2));
        diff.observe_absence("b");
        diff.observe(&flag("c", 1));
        diff.observe(&flag("d", 2));
        diff.observe_absence("e");
        let older = || vec![flag("a", 1), flag("b", 1), flag("d", 1), flag("e", 1)];
        assert!(diff.next(older()).is_empty());
        diff.begin();
        let told = diff.next(vec![flag("a", 2), flag("c", 1), flag("d", 2)]);
        assert_eq!(words(told), ["touched a", "touched b", "touched c"]);
    }
}
