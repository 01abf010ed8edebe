//! What a replica has yet to be told: rules without waiting.

use std::collections::{HashMap, VecDeque};
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
    /// Since when it waits.
    pub(crate) since: Instant,
    /// The number of the first change that it stands for, and of the last one.
    first: u64,
    last: u64,
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
    /// `None` is what was taken out of the middle.
    entries: VecDeque<Option<Entry>>,
    /// The number of the first place.
    base: u64,
    /// The places of each flag's entries.
    places: HashMap<Box<str>, VecDeque<u64>>,
    len: usize,
    /// The number of the last change.
    changes: u64,
    /// Everything is to be compared, for changes up to this number, since then.
    everything: Option<(u64, Instant)>,
    /// What is being told.
    under_way: Option<UnderWay>,
    /// How many states were left out because there was no more room.
    dropped: u64,
}

#[derive(Clone, Debug)]
enum UnderWay {
    Flag { name: Box<str>, last: u64, since: Instant },
    Everything { last: u64, since: Instant },
}

impl Queue {
    pub(crate) fn new(coalesces: bool, capacity: usize) -> Self {
        Self {
            coalesces,
            capacity: capacity.max(1),
            entries: VecDeque::new(),
            base: 0,
            places: HashMap::new(),
            len: 0,
            changes: 0,
            everything: None,
            under_way: None,
            dropped: 0,
        }
    }

    /// How many entries wait or are under way.
    pub(crate) fn len(&self) -> usize {
        let under_way = usize::from(matches!(self.under_way, Some(UnderWay::Flag { .. })));
        self.len + under_way
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0 && self.everything.is_none() && self.under_way.is_none()
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
        self.everything.is_some() || matches!(self.under_way, Some(UnderWay::Everything { .. }))
    }

    /// Since when the oldest of what is not yet told waits.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let under_way = self.under_way.as_ref().map(|under_way| match under_way {
            UnderWay::Flag { since, .. } | UnderWay::Everything { since, .. } => *since,
        });
        let first = self.entries.iter().flatten().next().map(|entry| entry.since);
        let everything = self.everything.map(|(_, since)| since);
        [under_way, first, everything].into_iter().flatten().min()
    }

    /// The names that wait or are under way, in order.
    pub(crate) fn names(&self) -> Vec<Box<str>> {
        let under_way = match &self.under_way {
            Some(UnderWay::Flag { name, .. }) => Some(name.clone()),
            _ => None,
        };
        under_way.into_iter().chain(self.entries.iter().flatten().map(|entry| entry.name.clone())).collect()
    }

    /// Takes note of a change, and returns its number.
    pub(crate) fn add(&mut self, name: &str, state: State, now: Instant) -> u64 {
        self.changes += 1;
        let number = self.changes;
        // What will be compared anyway need not be told one by one: not even its order is of use any more.
        if let (true, Some((last, _))) = (self.coalesces, &mut self.everything) {
            *last = number;
            return number;
        }
        if self.coalesces
            && let Some(entry) = self.only(name)
        {
            entry.state = state;
            entry.last = number;
            return number;
        }
        if self.len >= self.capacity {
            self.make_room(now);
        }
        if self.coalesces && self.everything.is_some() {
            return number;
        }
        self.push(Entry { name: name.into(), state, since: now, first: number, last: number });
        number
    }

    /// Has everything compared, as what has changed is not known.
    pub(crate) fn add_everything(&mut self, now: Instant) -> u64 {
        self.changes += 1;
        let since = self.everything.map_or(now, |(_, since)| since);
        self.everything = Some((self.changes, since));
        self.changes
    }

    fn push(&mut self, entry: Entry) {
        let place = self.base + self.entries.len() as u64;
        self.places.entry(entry.name.clone()).or_default().push_back(place);
        self.entries.push_back(Some(entry));
        self.len += 1;
    }

    /// The entry of a flag that has one at most.
    fn only(&mut self, name: &str) -> Option<&mut Entry> {
        let place = *self.places.get(name)?.front()?;
        self.entries.get_mut((place - self.base) as usize)?.as_mut()
    }

    /// Leaves out the oldest state of which there is a newer one. If each is the only one of its flag, none can be left out: then everything is
    /// compared.
    fn make_room(&mut self, now: Instant) {
        if !self.coalesces {
            let oldest = self.entries.iter().enumerate().find_map(|(at, entry)| {
                let name = &entry.as_ref()?.name;
                (self.places.get(name)?.len() > 1).then_some(at)
            });
            if let Some(at) = oldest {
                self.take(at);
                self.dropped += 1;
                return;
            }
        }
        self.dropped += self.len as u64;
        self.entries.clear();
        self.places.clear();
        self.base = 0;
        self.len = 0;
        let since = self.everything.map_or(now, |(_, since)| since);
        self.everything = Some((self.changes, since));
    }

    fn take(&mut self, at: usize) -> Option<Entry> {
        let entry = self.entries.get_mut(at)?.take()?;
        let place = self.base + at as u64;
        if let Some(places) = self.places.get_mut(&entry.name) {
            places.retain(|other| *other != place);
            if places.is_empty() {
                self.places.remove(&entry.name);
            }
        }
        self.len -= 1;
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.base += 1;
        }
        Some(entry)
    }

    /// Takes what is to be told next. It is under way then, until [`end`](Self::end) or [`put_back`](Self::put_back).
    pub(crate) fn begin(&mut self) -> Option<Job> {
        // Before everything else that came later: what is queued may be about flags that are compared.
        if let Some((last, since)) = self.everything.take() {
            self.under_way = Some(UnderWay::Everything { last, since });
            return Some(Job::Everything);
        }
        let entry = self.take(0)?;
        self.under_way =
            Some(UnderWay::Flag { name: entry.name.clone(), last: entry.last, since: entry.since });
        Some(Job::Flag(entry))
    }

    /// Says that what was under way has been told.
    pub(crate) fn end(&mut self) {
        self.under_way = None;
    }

    /// Has it told later, and first of all. A newer state that has come meanwhile takes its place.
    pub(crate) fn put_back(&mut self, job: Job) {
        let under_way = self.under_way.take();
        let mut entry = match (job, under_way) {
            (Job::Everything, Some(UnderWay::Everything { last, since })) => {
                let last = self.everything.map_or(last, |(newer, _)| newer.max(last));
                self.everything = Some((last, since));
                return;
            }
            (Job::Flag(entry), _) => entry,
            (Job::Everything, _) => return,
        };
        if self.coalesces && self.everything.is_some() {
            return;
        }
        let newer = self.places.get(&entry.name).and_then(|places| places.front().copied());
        if let (true, Some(place)) = (self.coalesces, newer)
            && let Some(newer) = self.take((place - self.base) as usize)
        {
            entry.state = newer.state;
            entry.last = newer.last;
        }
        // The place before the first: numbers of places only have to be in order.
        if self.base == 0 {
            self.shift();
        }
        self.base -= 1;
        self.places.entry(entry.name.clone()).or_default().push_front(self.base);
        self.entries.push_front(Some(entry));
        self.len += 1;
    }

    /// Numbers the places anew, from a number that leaves room before it.
    fn shift(&mut self) {
        const ROOM: u64 = 1 << 32;
        self.base += ROOM;
        for place in self.places.values_mut().flatten() {
            *place += ROOM;
        }
    }

    /// Whether another state of a flag waits.
    pub(crate) fn has_more_of(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Whether a change of a flag, by its number, is not yet told.
    pub(crate) fn is_pending(&self, name: &str, number: u64) -> bool {
        let is_under_way = match &self.under_way {
            Some(UnderWay::Flag { name: other, last, .. }) => **other == *name && number <= *last,
            Some(UnderWay::Everything { last, .. }) => number <= *last,
            None => false,
        };
        let is_queued = || {
            let places = self.places.get(name).into_iter().flatten();
            let mut entries =
                places.filter_map(|place| self.entries.get((place - self.base) as usize)?.as_ref());
            entries.any(|entry| entry.first <= number)
        };
        is_under_way || self.everything.is_some_and(|(last, _)| number <= last) || is_queued()
    }
}

#[cfg(test)]
mod tests {
    use flipper_core::{FlagName, Timestamp};

    use super::*;

    fn is(name: &str, number: i64) -> State {
        let value = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(number));
        State::Is(Versioned { version: value.version_of_bytes(), value })
    }

    /// What is told until the queue is empty: names with numbers.
    fn told(queue: &mut Queue) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(job) = queue.begin() {
            told.push(match job {
                Job::Everything => "*".to_owned(),
                Job::Flag(Entry { name, state: State::Is(found), .. }) => {
                    format!("{name}{}", found.value.created_date().unwrap())
                }
                Job::Flag(Entry { name, .. }) => format!("{name}-"),
            });
            queue.end();
        }
        assert!(queue.is_empty() && queue.oldest().is_none());
        told
    }

    fn add(queue: &mut Queue, states: &[(&str, i64)]) {
        for (name, number) in states {
            queue.add(name, is(name, *number), Instant::now());
        }
    }

    #[test]
    fn the_last_state_of_each_flag_is_told_in_the_order_of_the_first() {
        let mut queue = Queue::new(true, 10);
        add(&mut queue, &[("A", 1), ("B", 2), ("A", 3), ("C", 4), ("A", 5)]);
        queue.add("B", State::Gone, Instant::now());
        assert_eq!(queue.len(), 3);
        assert_eq!(told(&mut queue), ["A5", "B-", "C4"]);
    }

    #[test]
    fn every_state_is_told_in_order_if_asked_for() {
        let mut queue = Queue::new(false, 10);
        add(&mut queue, &[("A", 1), ("B", 2), ("A", 3), ("A", 4)]);
        assert_eq!(told(&mut queue), ["A1", "B2", "A3", "A4"]);
    }

    #[test]
    fn a_full_queue_leaves_out_older_states_first() {
        let mut queue = Queue::new(false, 4);
        add(&mut queue, &[("A", 1), ("B", 2), ("A", 3), ("B", 4), ("C", 5), ("D", 6)]);
        assert_eq!((queue.len(), queue.dropped()), (4, 2));
        assert_eq!(told(&mut queue), ["A3", "B4", "C5", "D6"]);
        // Where each is the newest of its flag, none can be left out for another: all are compared.
        for coalesces in [true, false] {
            let mut queue = Queue::new(coalesces, 2);
            add(&mut queue, &[("A", 1), ("B", 2), ("C", 3)]);
            let told = told(&mut queue);
            assert_eq!(told[0], "*", "{coalesces}: {told:?}");
            assert!(!told.contains(&"A1".to_owned()));
        }
    }

    #[test]
    fn what_has_failed_comes_first_and_in_its_newest_state() {
        let mut queue = Queue::new(true, 10);
        add(&mut queue, &[("A", 1), ("B", 2)]);
        let job = queue.begin().unwrap();
        add(&mut queue, &[("B", 3), ("A", 4)]);
        queue.put_back(job);
        assert_eq!(told(&mut queue), ["A4", "B3"]);

        let mut queue = Queue::new(false, 10);
        add(&mut queue, &[("A", 1), ("A", 2)]);
        for _ in 0..3 {
            let job = queue.begin().unwrap();
            queue.put_back(job);
        }
        add(&mut queue, &[("A", 3)]);
        assert_eq!(told(&mut queue), ["A1", "A2", "A3"]);
    }

    #[test]
    fn changes_are_pending_until_they_are_told() {
        let mut queue = Queue::new(true, 10);
        let first = queue.add("A", is("A", 1), Instant::now());
        assert!(queue.is_pending("A", first) && !queue.is_pending("B", first));
        let job = queue.begin().unwrap();
        assert!(queue.is_pending("A", first));
        let second = queue.add("A", is("A", 2), Instant::now());
        queue.end();
        assert!(!queue.is_pending("A", first) && queue.is_pending("A", second));
        drop(job);
        let everything = queue.add_everything(Instant::now());
        assert!(queue.is_pending("Z", everything));
        let job = queue.begin().unwrap();
        assert!(matches!(job, Job::Everything) && queue.is_pending("Z", everything));
        queue.put_back(job);
        queue.begin();
        queue.end();
        assert!(!queue.is_pending("Z", everything));
    }
}
