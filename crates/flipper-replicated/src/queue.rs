//! What a replica has yet to be told: rules without waiting.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use flipper_core::{Flag, Versioned};

/// What is known of a flag in the primary.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// It has to be read.
    Unknown,
    Is(Versioned<Flag>),
    Gone,
}

/// Something to be told.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: Box<str>,
    pub(crate) state: State,
    /// What was told of it already, if it could not be found out whether that was the last word.
    pub(crate) told: Option<State>,
    /// How often it could not be told.
    pub(crate) failures: u32,
    /// Since when it waits.
    since: Instant,
    /// The number of the first change that it stands for.
    first: u64,
}

/// What is to be done next.
#[derive(Debug)]
pub(crate) enum Job {
    Flag(Entry),
    /// Too much to be told one by one: everything is to be compared.
    Everything,
}

/// What a replica has yet to be told, in order.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Whether of several states of a flag only the last one is told.
    coalesces: bool,
    capacity: usize,
    /// By their places.
    entries: BTreeMap<u64, Entry>,
    /// The places of each flag's entries.
    places: HashMap<Box<str>, BTreeSet<u64>>,
    /// The places of entries that are not the newest of their flag.
    superseded: BTreeSet<u64>,
    /// Since when each entry waits, with its place.
    ages: BTreeSet<(Instant, u64)>,
    /// The place after the last one. It begins in the middle, so that there is room before the first one.
    next: u64,
    /// The number of the last change.
    changes: u64,
    everything: Option<Everything>,
    /// What is being told.
    under_way: Option<UnderWay>,
    /// How many states were left out because there was no more room.
    dropped: u64,
}

/// That everything is to be compared.
#[derive(Clone, Copy, Debug)]
struct Everything {
    since: Instant,
    /// The number of the first change that it stands for.
    first: u64,
}

impl Everything {
    fn with(self, other: Option<Self>) -> Self {
        other.map_or(self, |other| Self {
            since: self.since.min(other.since),
            first: self.first.min(other.first),
        })
    }
}

#[derive(Clone, Debug)]
enum UnderWay {
    Flag { name: Box<str>, first: u64, since: Instant },
    Everything(Everything),
}

impl Queue {
    pub(crate) fn new(coalesces: bool, capacity: usize) -> Self {
        Self {
            coalesces,
            capacity: capacity.max(1),
            entries: BTreeMap::new(),
            places: HashMap::new(),
            superseded: BTreeSet::new(),
            ages: BTreeSet::new(),
            next: 1 << 62,
            changes: 0,
            everything: None,
            under_way: None,
            dropped: 0,
        }
    }

    /// How many entries wait or are under way.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + usize::from(matches!(self.under_way, Some(UnderWay::Flag { .. })))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.everything.is_none() && self.under_way.is_none()
    }

    /// The number of the last change.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether everything is to be compared.
    pub(crate) fn wants_everything(&self) -> bool {
        self.everything.is_some() || matches!(self.under_way, Some(UnderWay::Everything(_)))
    }

    /// Since when the oldest of what is not yet told waits.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let under_way = self.under_way.as_ref().map(|under_way| match under_way {
            UnderWay::Flag { since, .. } | UnderWay::Everything(Everything { since, .. }) => *since,
        });
        [under_way, self.oldest_waiting()].into_iter().flatten().min()
    }

    /// The names that wait or are under way, in order.
    pub(crate) fn names(&self) -> Vec<Box<str>> {
        let under_way = match &self.under_way {
            Some(UnderWay::Flag { name, .. }) => Some(name.clone()),
            _ => None,
        };
        under_way.into_iter().chain(self.entries.values().map(|entry| entry.name.clone())).collect()
    }

    /// Takes note of a change, and returns its number.
    pub(crate) fn add(&mut self, name: &str, state: State, now: Instant) -> u64 {
        self.changes += 1;
        let number = self.changes;
        if self.coalesces
            && let Some(entry) = self.only(name)
        {
            entry.state = state;
            return number;
        }
        if self.entries.len() >= self.capacity {
            self.make_room(now);
            if self.coalesces && self.everything.is_some() {
                return number;
            }
        }
        self.push(Entry { name: name.into(), state, told: None, failures: 0, since: now, first: number });
        number
    }

    /// Has a flag told that was found to differ: also those who wait for a change of before wait for that, and there is always room for it.
    pub(crate) fn add_different(&mut self, name: &str, now: Instant) {
        if let Some(entry) = self.only(name) {
            entry.first = 0;
            // It is no longer there.
            entry.told = None;
            return;
        }
        self.push(Entry {
            name: name.into(),
            state: State::Unknown,
            told: None,
            failures: 0,
            since: now,
            first: 0,
        });
    }

    /// Has everything compared, as what has changed is not known. What waits may be older than that: it is read when its turn comes.
    pub(crate) fn add_everything(&mut self, now: Instant) {
        self.changes += 1;
        let asked = Everything { since: now, first: self.changes };
        self.everything = Some(asked.with(self.everything));
        self.forget_states();
    }

    fn forget_states(&mut self) {
        if self.coalesces {
            for entry in self.entries.values_mut() {
                entry.state = State::Unknown;
                entry.told = None;
            }
        }
    }

    fn oldest_waiting(&self) -> Option<Instant> {
        let entry = self.ages.first().map(|(since, _)| *since);
        [entry, self.everything.map(|everything| everything.since)].into_iter().flatten().min()
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.places.clear();
        self.superseded.clear();
        self.ages.clear();
    }

    fn push(&mut self, entry: Entry) {
        let place = self.next;
        self.next += 1;
        self.insert(place, entry);
    }

    fn insert(&mut self, place: u64, entry: Entry) {
        let places = self.places.entry(entry.name.clone()).or_default();
        // Of two that follow one another, the first one is no longer the newest.
        if let Some(before) = places.range(..place).next_back() {
            self.superseded.insert(*before);
        }
        if places.range(place..).next().is_some() {
            self.superseded.insert(place);
        }
        places.insert(place);
        self.ages.insert((entry.since, place));
        self.entries.insert(place, entry);
    }

    fn take(&mut self, place: u64) -> Option<Entry> {
        let entry = self.entries.remove(&place)?;
        self.superseded.remove(&place);
        self.ages.remove(&(entry.since, place));
        if let Some(places) = self.places.get_mut(&entry.name) {
            places.remove(&place);
            match places.last() {
                Some(newest) => _ = self.superseded.remove(newest),
                None => _ = self.places.remove(&entry.name),
            }
        }
        Some(entry)
    }

    /// The first entry of a flag.
    fn only(&mut self, name: &str) -> Option<&mut Entry> {
        let place = self.places.get(name)?.first()?;
        self.entries.get_mut(place)
    }

    /// Leaves out the oldest state of which there is a newer one. If each is the newest of its flag, none can be left out: then everything is
    /// compared.
    fn make_room(&mut self, now: Instant) {
        if let Some(oldest) = self.superseded.first().copied() {
            self.take(oldest);
            self.dropped += 1;
            return;
        }
        self.dropped += self.entries.len() as u64;
        let first = self.entries.values().map(|entry| entry.first).min().unwrap_or(self.changes);
        let dropped = Everything { since: self.oldest_waiting().unwrap_or(now), first };
        self.everything = Some(dropped.with(self.everything));
        self.clear();
    }

    /// The place after the last one.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Takes what is to be told next, if its place is before another: everything, if it may be compared now. It is under way then, until
    /// [`end`](Self::end) or [`put_back`](Self::put_back).
    pub(crate) fn begin(&mut self, before: u64, compares: bool) -> Option<Job> {
        if compares && let Some(everything) = self.everything.take() {
            self.under_way = Some(UnderWay::Everything(everything));
            return Some(Job::Everything);
        }
        let place = *self.entries.range(..before).next()?.0;
        let entry = self.take(place)?;
        let (name, first, since) = (entry.name.clone(), entry.first, entry.since);
        self.under_way = Some(UnderWay::Flag { name, first, since });
        Some(Job::Flag(entry))
    }

    /// Says that what was under way has been told.
    pub(crate) fn end(&mut self) {
        self.under_way = None;
    }

    /// Keeps in mind what was under way when the task has ended: nobody knows whether it was told.
    pub(crate) fn abandon(&mut self) {
        match self.under_way.take() {
            Some(UnderWay::Flag { name, first, since }) => {
                let entry = Entry { name, state: State::Unknown, told: None, failures: 0, since, first };
                self.under_way = Some(UnderWay::Flag { name: entry.name.clone(), first, since });
                self.put_back(Job::Flag(entry), false);
            }
            Some(UnderWay::Everything(everything)) => {
                self.everything = Some(everything.with(self.everything));
                self.forget_states();
            }
            None => {}
        }
    }

    /// Has it told later: first of all, or after all others. A newer state that has come meanwhile takes its place.
    pub(crate) fn put_back(&mut self, job: Job, is_last: bool) {
        let under_way = self.under_way.take();
        let mut entry = match (job, under_way) {
            (Job::Everything, Some(UnderWay::Everything(everything))) => {
                self.everything = Some(everything.with(self.everything));
                self.forget_states();
                return;
            }
            (Job::Flag(entry), _) => entry,
            (Job::Everything, _) => return,
        };
        if self.everything.is_some() && self.coalesces {
            entry.state = State::Unknown;
            entry.told = None;
        }
        if self.coalesces
            && let Some(place) = self.places.get(&entry.name).and_then(|places| places.first().copied())
            && let Some(newer) = self.take(place)
        {
            entry.state = newer.state;
            entry.first = entry.first.min(newer.first);
            if newer.first == 0 {
                // It was found to differ.
                entry.told = None;
            }
        }
        if is_last {
            self.push(entry);
        } else {
            let first = self.entries.keys().next().copied().unwrap_or(self.next);
            self.insert(first - 1, entry);
        }
    }

    /// Whether another state of a flag waits.
    pub(crate) fn has_more_of(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Whether a state of a flag is being told.
    pub(crate) fn is_telling(&self, name: &str) -> bool {
        matches!(&self.under_way, Some(UnderWay::Flag { name: other, .. }) if **other == *name)
    }

    /// Whether a change of a flag up to a number is not yet told; of any flag, without a name.
    pub(crate) fn is_pending(&self, name: Option<&str>, number: u64) -> bool {
        if self.everything.is_some_and(|everything| everything.first <= number) {
            return true;
        }
        let is_under_way = match &self.under_way {
            Some(UnderWay::Everything(everything)) => everything.first <= number,
            Some(UnderWay::Flag { name: other, first, .. }) => {
                *first <= number && name.is_none_or(|name| *name == **other)
            }
            _ => false,
        };
        let is_queued = || match name {
            Some(name) => {
                let places = self.places.get(name).into_iter().flatten();
                places.filter_map(|place| self.entries.get(place)).any(|entry| entry.first <= number)
            }
            None => self.entries.values().any(|entry| entry.first <= number),
        };
        is_under_way || is_queued()
    }
}

#[cfg(test)]
mod tests;
