//! Which server has which slot, as one of them says.

use std::collections::{HashMap, HashSet};

use flipper_core::{ErrorKind, Result};
use redis::Value;

use super::address::Address;
use super::slot::SLOTS;
use crate::error::{Asked, error, of_driver};
use crate::record::{bytes, unexpected};

#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Those that have slots.
    pub(crate) primaries: Vec<Address>,
    /// What the primaries are called in the cluster, whatever their addresses are.
    ids: HashMap<Address, Box<str>>,
    /// What all are called that are named, replicas included; their addresses, if they have no names.
    names: HashSet<Box<str>>,
    /// For each slot, the number of the primary that has it.
    of_slot: Box<[Option<u16>]>,
    /// How many times the cluster has changed who has what, as far as the one knows that was asked.
    pub(crate) epoch: u64,
    /// Whether that one takes the cluster for one that works.
    pub(crate) is_up: bool,
}

impl Table {
    /// Reads the answers of a server to `CLUSTER SLOTS` and `CLUSTER INFO`.
    pub(crate) fn read(asked: &Address, slots: Value, info: Value) -> Result<Self> {
        let (mut ranges, mut count) = (Vec::new(), 0);
        let (mut ids, mut names) = (HashMap::new(), HashSet::new());
        for range in array(slots)? {
            let mut range = array(range)?.into_iter();
            let (first, last) = (slot_number(range.next().as_ref())?, slot_number(range.next().as_ref())?);
            // Nobody has a slot that somebody else has, too: there are no more than there are slots.
            count += usize::from(last.saturating_sub(first)) + 1;
            if count > usize::from(SLOTS) {
                return Err(unexpected());
            }
            let mut server = array(range.next().ok_or_else(unexpected)?)?.into_iter();
            let host = match server.next().ok_or_else(unexpected)? {
                Value::Nil => String::new(),
                host => text(host)?,
            };
            let Some(Value::Int(port)) = server.next() else { return Err(unexpected()) };
            let port = u16::try_from(port).map_err(|_| unexpected())?;
            let own = server.next().and_then(id);
            let address = asked.says(&host, port);
            names.insert(own.clone().unwrap_or_else(|| address.to_string().into()));
            names.extend(range.filter_map(|replica| id(array(replica).ok()?.into_iter().nth(2)?)));
            // A server that does not know where the other one is.
            if host != "?" {
                ids.extend(own.map(|id| (address.clone(), id)));
                ranges.push((first, last, address));
            }
        }
        let mut primaries: Vec<_> = ranges.iter().map(|(_, _, server)| server.clone()).collect();
        primaries.sort();
        primaries.dedup();
        let mut of_slot = vec![None; usize::from(SLOTS)].into_boxed_slice();
        for (first, last, server) in ranges {
            let number = primaries.binary_search(&server).ok().and_then(|number| u16::try_from(number).ok());
            of_slot[usize::from(first)..=usize::from(last).max(usize::from(first))].fill(number);
        }
        let info = text(info)?;
        Ok(Self {
            primaries,
            ids,
            names,
            of_slot,
            epoch: Info::read(&info).epoch,
            is_up: info.contains("cluster_state:ok"),
        })
    }

    pub(crate) fn primary_of(&self, slot: u16) -> Option<&Address> {
        let number = self.of_slot.get(usize::from(slot)).copied().flatten()?;
        self.primaries.get(usize::from(number))
    }

    /// The same with one slot elsewhere.
    pub(crate) fn with(&self, slot: u16, server: &Address) -> Self {
        let mut primaries = self.primaries.clone();
        let number = primaries.iter().position(|primary| primary == server).unwrap_or_else(|| {
            primaries.push(server.clone());
            primaries.len() - 1
        });
        let mut of_slot = self.of_slot.clone();
        if let Some(place) = of_slot.get_mut(usize::from(slot)) {
            *place = u16::try_from(number).ok();
        }
        Self { primaries, of_slot, ..self.clone() }
    }

    /// What the primary at an address is called.
    pub(crate) fn id_of(&self, primary: &Address) -> Option<&str> {
        self.ids.get(primary).map(|id| &**id)
    }

    /// Whether it is likely to be of the same cluster: a server that has left knows at most itself of those that it has left.
    pub(crate) fn is_akin(&self, other: &Self) -> bool {
        let common = self.names.intersection(&other.names).count();
        common > 0 && 2 * common >= self.names.len().max(other.names.len())
    }

    pub(crate) fn has_same_primaries(&self, other: &Self) -> bool {
        self.primaries.len() == other.primaries.len()
            && self.primaries.iter().all(|primary| other.primaries.contains(primary))
    }

    /// The first slot that no server has.
    pub(crate) fn unserved(&self) -> Option<u16> {
        self.of_slot.iter().position(Option::is_none).map(|slot| slot as u16)
    }
}

/// What of `CLUSTER INFO` tells that somebody has other slots by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Info {
    epoch: u64,
    known: u64,
    size: u64,
    /// How many slots have a server that works.
    served: u64,
}

impl Info {
    pub(crate) fn read(info: &str) -> Self {
        let field = |name: &str| {
            let found = info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
            found.unwrap_or_default()
        };
        Self {
            epoch: field("cluster_current_epoch:"),
            known: field("cluster_known_nodes:"),
            size: field("cluster_size:"),
            served: field("cluster_slots_ok:"),
        }
    }
}

/// What a server is called: releases before 4.0 do not tell.
fn id(value: Value) -> Option<Box<str>> {
    text(value).ok().map(Into::into)
}

fn slot_number(value: Option<&Value>) -> Result<u16> {
    match value {
        Some(Value::Int(slot)) if (0..i64::from(SLOTS)).contains(slot) => Ok(*slot as u16),
        _ => Err(unexpected()),
    }
}

fn array(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(values) => Ok(values),
        Value::ServerError(failure) => {
            let error_ = of_driver(&failure.into(), Asked::Read);
            Err(match error_.kind() {
                ErrorKind::Internal => {
                    let message = "this server is none of a Redis Cluster: write `redis://` for a single one";
                    error(ErrorKind::Unsupported, message).with_source(error_)
                }
                _ => error_,
            })
        }
        _ => Err(unexpected()),
    }
}

/// The text of an answer, also of one that the third version of the protocol marks as such.
pub(crate) fn text(value: Value) -> Result<String> {
    match value {
        Value::VerbatimString { text, .. } => Ok(text),
        value => String::from_utf8(bytes(value)?).map_err(|_| unexpected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        Value::Array(vec![
            Value::Int(first),
            Value::Int(last),
            Value::Array(vec![host, Value::Int(port), bulk("id")]),
        ])
    }

    fn read(ranges: Vec<Value>) -> Result<Table> {
        let asked = Address { host: "asked".into(), port: 1 };
        Table::read(&asked, Value::Array(ranges), bulk("cluster_state:ok\r\ncluster_current_epoch:7\r\n"))
    }

    #[test]
    fn another_server_in_the_place_of_one_that_is_away_is_news() {
        let info = |served: u32| {
            Info::read(&format!("cluster_slots_ok:{served}\r\ncluster_known_nodes:6\r\ncluster_size:3\r\n"))
        };
        assert!(info(16_384) == info(16_384) && info(16_384) != info(10_923));
    }

    #[test]
    fn a_table_knows_who_has_which_slot() {
        let table = read(vec![
            range(0, 99, bulk("a"), 7),
            range(100, 16_382, bulk(""), 8),
            range(16_383, 16_383, Value::Nil, 9),
        ]);
        let table = table.unwrap();
        let of = |slot| table.primary_of(slot).map(ToString::to_string);
        assert_eq!(of(99).as_deref(), Some("a:7"));
        assert_eq!(of(100).as_deref(), Some("asked:8"));
        assert_eq!(of(16_383).as_deref(), Some("asked:9"));
        assert!(table.unserved().is_none() && table.is_up && table.epoch == 7);

        let moved = table.with(5, &Address { host: "new".into(), port: 3 });
        assert_eq!(moved.primary_of(5).map(ToString::to_string).as_deref(), Some("new:3"));
        assert_eq!(moved.primary_of(6), table.primary_of(6));
    }

    #[test]
    fn what_nobody_has_is_told_and_what_makes_no_sense_refused() {
        let table = read(vec![range(1, 16_383, bulk("a"), 7)]).unwrap();
        assert!(table.primary_of(0).is_none() && table.unserved() == Some(0));
        let table = read(vec![range(0, 16_383, bulk("?"), 7)]).unwrap();
        assert!(table.primary_of(0).is_none() && table.primaries.is_empty());
        // The last slot comes before the first: it is one slot.
        assert!(read(vec![range(9, 3, bulk("a"), 7)]).unwrap().primary_of(9).is_some());
        for ranges in [
            vec![Value::Nil],
            vec![range(0, 16_384, bulk("a"), 7)],
            vec![range(-1, 5, bulk("a"), 7)],
            vec![range(0, 5, bulk("a"), 70_000)],
            vec![range(0, 16_383, bulk("a"), 7), range(9, 9, bulk("a"), 7)],
            vec![Value::Array(vec![Value::Int(0), Value::Int(1)])],
        ] {
            assert_eq!(read(ranges).unwrap_err().kind(), ErrorKind::Internal);
        }
    }
}
