//! What is under way, and the order of use.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use lru::LruCache;

use super::{Found, Name};
use crate::clock::Millis;
use crate::load::Flight;

#[derive(Debug)]
pub(super) struct State {
    /// The names of the entries, in the order of their use.
    pub(super) order: LruCache<Name, (), RandomState>,
    pub(super) under_way: HashMap<Name, UnderWay, RandomState>,
    /// Until when writes may happen of which nobody knows.
    pub(super) unsettled: HashMap<Name, Millis, RandomState>,
    pub(super) tickets: u64,
}

/// Reads and writes of one flag that have not ended.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    pub(super) reads: u32,
    pub(super) writes: u32,
    /// How often something has happened to the flag since the first of them began.
    pub(super) happened: u64,
    /// A read that others can wait for.
    pub(super) flight: Option<Flight>,
}

/// A read or a write that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    pub(crate) number: u64,
    pub(super) happened: u64,
    pub(super) began: Millis,
}

/// What has come of a write.
#[derive(Debug)]
pub(crate) enum Wrote {
    /// This is what is stored.
    State(Found),
    /// Somebody else has written.
    Conflict,
    /// Nothing has happened.
    Nothing,
    /// Nobody knows.
    Unknown,
}

impl State {
    pub(super) fn begin(&mut self, name: &Name, now: Millis, count: impl FnOnce(&mut UnderWay)) -> Ticket {
        self.tickets += 1;
        let under_way = self.under_way.entry(Arc::clone(name)).or_default();
        count(under_way);
        Ticket { number: self.tickets, happened: under_way.happened, began: now }
    }

    /// Does something with what is under way for a flag.
    pub(super) fn end(&mut self, name: &str, end: impl FnOnce(&mut UnderWay) -> bool) -> bool {
        self.under_way.get_mut(name).is_some_and(end)
    }

    pub(super) fn happened(&mut self, name: &str) {
        if let Some(under_way) = self.under_way.get_mut(name) {
            under_way.happened();
        }
    }

    /// Forgets a flag of which nothing is under way.
    pub(super) fn settle(&mut self, name: &str) {
        if self.under_way.get(name).is_some_and(|under_way| under_way.reads == 0 && under_way.writes == 0) {
            self.under_way.remove(name);
        }
    }
}

impl UnderWay {
    /// What has begun before is old, and nobody else shall wait for it.
    pub(super) fn happened(&mut self) {
        self.happened += 1;
        self.flight = None;
    }

    /// Ends a read; returns whether nothing has happened since it began.
    pub(super) fn land(&mut self, ticket: Ticket) -> bool {
        self.flight.take_if(|flight| flight.is(ticket.number));
        self.happened == ticket.happened
    }
}
