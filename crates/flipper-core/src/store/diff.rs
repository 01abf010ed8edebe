//! What has changed from one listing to the next.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::{Change, Listed, ResyncCause, Version};

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
    /// What was observed since the listing began that comes next: newer than what that will say.
    observed: HashSet<Box<str>>,
}

#[derive(Debug)]
struct Known {
    version: Option<Version>,
    /// The listing that had it last.
    round: u64,
}

impl Diff {
    /// Says that the next listing begins now.
    pub fn begin(&mut self) {
        self.observed.clear();
    }

    /// Takes note of what the store has told somebody meanwhile, and returns the change if it is one.
    ///
    /// Without that, whoever loads a state between two listings that is gone again by the next would keep it: for the listings,
    /// nothing has changed.
    pub fn observe(&mut self, record: &Listed) -> Option<Change> {
        let (name, version) = identity(record);
        let is_known = self.known.get(name).is_some_and(|known| known.version.as_ref() == version);
        if is_known {
            return None;
        }
        self.observed.insert(name.into());
        self.known.insert(name.into(), Known { version: version.cloned(), round: self.round });
        Some(Change::from(record.clone()))
    }

    /// As [`observe`](Self::observe), of a record that was not there.
    pub fn observe_absence(&mut self, name: &str) -> Option<Change> {
        let (name, _) = self.known.remove_entry(name)?;
        self.observed.insert(name.clone());
        Some(Change::Deleted { name, version: None })
    }

    /// Returns the names that were there last.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(|name| &**name)
    }

    /// Takes the next listing, which has to be complete, and returns the changes since the one before.
    ///
    /// A listing without records, after one that had several, is no change of each of them: it may be a server that has
    /// lost its data. It is one [`Change::Resync`].
    pub fn next(&mut self, listed: Vec<Listed>) -> Vec<Change> {
        if listed.is_empty() && self.known.len() > 1 {
            self.known.clear();
            return vec![Change::Resync { cause: ResyncCause::Server }];
        }
        self.round += 1;
        let mut changes = Vec::new();
        for record in listed {
            let (name, version) = identity(&record);
            if self.observed.contains(name) {
                continue;
            }
            let known = Known { version: version.cloned(), round: self.round };
            match self.known.entry(name.into()) {
                Entry::Occupied(mut before) => {
                    if before.insert(known).version.as_ref() != version {
                        changes.push(Change::from(record));
                    }
                }
                Entry::Vacant(vacant) => {
                    vacant.insert(known);
                    changes.push(Change::from(record));
                }
            }
        }
        self.known.retain(|name, known| {
            let is_there = known.round == self.round || self.observed.contains(name);
            if !is_there {
                changes.push(Change::Deleted { name: name.clone(), version: None });
            }
            is_there
        });
        changes
    }
}

/// What tells a record, and its state.
fn identity(record: &Listed) -> (&str, Option<&Version>) {
    match record {
        Listed::Flag(found) => (found.value.name(), Some(&found.version)),
        Listed::Bad { name, version, .. } => (name, version.as_ref()),
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
    use crate::{Error, ErrorKind, Flag, FlagName, Timestamp, Versioned};

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
        assert!(diff.observe(&flag("a", 1)).is_none());
        let seen = [diff.observe(&flag("a", 2)), diff.observe(&flag("c", 1)), diff.observe_absence("b")];
        assert_eq!(words(seen.into_iter().flatten().collect()), ["deleted b", "put a", "put c"]);
        diff.begin();
        assert_eq!(words(diff.next(vec![flag("a", 1), flag("b", 1)])), ["deleted c", "put a", "put b"]);
    }

    #[test]
    fn a_listing_that_is_older_than_what_was_seen_does_not_undo_it() {
        let mut diff = Diff::default();
        diff.next(vec![flag("a", 1), flag("b", 1)]);
        diff.begin();
        diff.observe(&flag("a", 2));
        diff.observe_absence("b");
        diff.observe(&flag("c", 1));
        assert!(diff.next(vec![flag("a", 1), flag("b", 1)]).is_empty());
        diff.begin();
        assert_eq!(words(diff.next(vec![flag("a", 2), flag("b", 1), flag("c", 1)])), ["put b"]);
    }
}
