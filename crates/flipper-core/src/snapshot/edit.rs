//! Changing a snapshot.

use std::fmt;
use std::sync::Arc;

use super::bucket::Bucket;
use super::table::{self, Directory, Seed};
use super::{Marks, State, next_generation};
use crate::{Flag, Freshness, Versioned};

/// Changes a [`Snapshot`](super::Snapshot): see [`edit`](super::Snapshot::edit).
///
/// # Examples
///
/// ```
/// use flipper_core::{Flag, FlagName, Freshness, Snapshot, Timestamp, Version, Versioned};
///
/// let snapshot = Snapshot::new(Freshness::Live);
/// let flag = Flag::new(FlagName::new("X")?, Timestamp::now());
/// let is_new = snapshot.edit(|edit| edit.put(Versioned { value: flag, version: Version::from_u64(1) }));
/// assert!(is_new);
/// assert_eq!(snapshot.len(), 1);
/// # Ok::<(), flipper_core::Error>(())
/// ```
pub struct SnapshotEdit<'s> {
    before: &'s State,
    seed: Seed,
    /// `None` as long as no flag has changed.
    directory: Option<Directory>,
    len: usize,
    freshness: Freshness,
    marks: Option<Arc<Marks>>,
}

impl<'s> SnapshotEdit<'s> {
    pub(super) fn new(before: &'s State, seed: Seed) -> Self {
        let (freshness, marks) = (before.freshness, before.marks.clone());
        Self { before, seed, directory: None, len: before.len, freshness, marks }
    }

    /// The state after the edit; `None` if nothing has changed.
    pub(super) fn finish(self) -> Option<State> {
        if self.directory.is_none()
            && self.freshness == self.before.freshness
            && self.marks == self.before.marks
        {
            return None;
        }
        let shards = self.directory.map_or_else(|| Arc::clone(&self.before.shards), Directory::into_shards);
        let Self { len, freshness, marks, .. } = self;
        Some(State { generation: next_generation(), shards, len, freshness, marks })
    }

    /// Returns a flag, as this edit has left it.
    pub fn get(&self, name: &str) -> Option<&Arc<Versioned<Flag>>> {
        self.find(name).map(Bucket::record)
    }

    /// Puts a flag in the place of that of its name, and returns whether its bytes differ from those.
    ///
    /// What is equal is not kept twice: of a record whose bytes are already here, only the version is taken. A
    /// [mark](Self::mark) goes.
    pub fn put(&mut self, record: impl Into<Arc<Versioned<Flag>>>) -> bool {
        let record = record.into();
        self.unmark(record.value.name());
        let (record, kept) = merge(self.get(record.value.name()), record);
        if kept != Kept::All {
            let is_new = self.directory().put(record);
            self.len += usize::from(is_new);
        }
        kept == Kept::Nothing
    }

    /// Takes a flag out, and its [mark](Self::mark), and returns whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        self.unmark(name);
        let is_found = self.find(name).is_some() && self.directory().remove(name);
        self.len -= usize::from(is_found);
        is_found
    }

    /// Puts these flags in the place of all that there are. Of two of one name, the last one counts.
    ///
    /// What is equal is kept, as by [`put`](Self::put). If everything is, versions too, nothing has changed. All
    /// [marks](Self::mark) go.
    pub fn replace_all<R: Into<Arc<Versioned<Flag>>>>(&mut self, records: impl IntoIterator<Item = R>) {
        self.marks = None;
        let records = records.into_iter().map(R::into);
        let mut directory = Directory::with_capacity(self.seed, records.size_hint().0);
        let (mut len, mut is_same) = (0, true);
        for record in records {
            let (record, kept) = merge(self.get(record.value.name()), record);
            is_same &= kept == Kept::All;
            len += usize::from(directory.put(record));
        }
        if !is_same || len != self.len {
            (self.directory, self.len) = (Some(directory), len);
        }
    }

    /// Says how old the flags are.
    pub fn set_freshness(&mut self, freshness: Freshness) {
        self.freshness = freshness;
    }

    /// Says how old what is known of one flag is, whether there is one or not: because its record cannot be read any more,
    /// while the others can. As long as all of them are not [`Live`](Freshness::Live), that counts.
    pub fn mark(&mut self, name: &str, freshness: Freshness) {
        Arc::make_mut(self.marks.get_or_insert_default()).insert(name.into(), freshness);
    }

    /// Returns whether a flag has a [mark](Self::mark).
    pub fn is_marked(&self, name: &str) -> bool {
        self.marks.as_ref().is_some_and(|marks| marks.contains_key(name))
    }

    fn unmark(&mut self, name: &str) {
        if let Some(marks) = &mut self.marks
            && marks.contains_key(name)
        {
            Arc::make_mut(marks).remove(name);
            self.marks = self.marks.take().filter(|marks| !marks.is_empty());
        }
    }

    fn find(&self, name: &str) -> Option<&Bucket> {
        match &self.directory {
            Some(directory) => directory.find(name),
            None => table::find(&self.before.shards, self.seed.hash(name.as_bytes()), name),
        }
    }

    fn directory(&mut self) -> &mut Directory {
        let Self { before, seed, .. } = *self;
        self.directory.get_or_insert_with(|| Directory::of(seed, &before.shards))
    }
}

type Record = Arc<Versioned<Flag>>;

/// What a record has in common with the one that is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nothing,
    Bytes,
    All,
}

fn merge(known: Option<&Record>, record: Record) -> (Record, Kept) {
    let Some(known) = known.filter(|known| known.value == record.value) else {
        return (record, Kept::Nothing);
    };
    if known.version == record.version {
        return (Arc::clone(known), Kept::All);
    }
    let (value, version) = (known.value.clone(), record.version.clone());
    (Arc::new(Versioned { value, version }), Kept::Bytes)
}

impl fmt::Debug for SnapshotEdit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotEdit")
            .field("flags", &self.len)
            .field("freshness", &self.freshness)
            .finish_non_exhaustive()
    }
}
