//! The server as the store sees it: one that has whole records, or one that has flags in parts.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

use flipper_core::{
    Capabilities, CompareAndSet, Error, ErrorKind, Expect, Flag, FlagName, Listed, Page, Result, Version,
    Versioned,
};

use super::parts;
use super::pool::Pool;
use crate::convert;
use crate::error::{Failure, error, of_exception, of_reply};
use crate::wire::{Call, Code, Description, Expectation, Item, Reply, WireVersion};

/// A server, and what is known of it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) pool: Pool,
    /// What the names of all flags of this store begin with.
    pub(crate) prefix: String,
    habit: AtomicU8,
    /// How many connections there had been when that was found out.
    described: AtomicU64,
    /// The longest message that the server takes, if it has said so.
    longest: AtomicUsize,
}

/// What a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Habit {
    Unknown,
    /// Flags in parts, as the published service has them.
    Parts,
    /// Whole records, whose writes look at what is there, or do not quite.
    Records,
    RecordsPutBestEffort,
    RecordsRemoveBestEffort,
    RecordsBestEffort,
}

const HABITS: [Habit; 6] = [
    Habit::Unknown,
    Habit::Parts,
    Habit::Records,
    Habit::RecordsPutBestEffort,
    Habit::RecordsRemoveBestEffort,
    Habit::RecordsBestEffort,
];

/// How often a write is begun with a server that turns out to be another one.
const ATTEMPTS: usize = 3;

/// What is around a record in a message: the names of method and flag, and the marks of fields.
const AROUND: usize = 2 << 10;

/// What was found at a name: a flag, or why it is none.
pub(crate) type Found = Result<Versioned<Flag>>;

impl Server {
    pub(crate) fn new(pool: Pool, prefix: String) -> Self {
        Self {
            pool,
            prefix,
            habit: AtomicU8::new(Habit::Unknown as u8),
            described: AtomicU64::new(0),
            longest: AtomicUsize::new(usize::MAX),
        }
    }

    fn habit(&self) -> Habit {
        HABITS.get(usize::from(self.habit.load(Ordering::Relaxed))).copied().unwrap_or(Habit::Unknown)
    }

    fn learn(&self, habit: Habit) {
        let before = self.habit.swap(habit as u8, Ordering::Relaxed);
        if before != habit as u8 && habit == Habit::Parts {
            log::warn!(
                target: "flipper::thrift",
                "{} has no conditional writes: of two edits of one flag at the same time, one can be lost",
                self.pool.place
            );
        }
    }

    /// What the server can do. What nobody has found out is as the published service has it.
    pub(crate) fn capabilities(&self) -> Capabilities {
        use CompareAndSet::{Atomic, BestEffort};
        let (has_records, put, delete) = match self.habit() {
            Habit::Unknown | Habit::Parts => (false, BestEffort, BestEffort),
            Habit::Records => (true, Atomic, Atomic),
            Habit::RecordsPutBestEffort => (true, BestEffort, Atomic),
            Habit::RecordsRemoveBestEffort => (true, Atomic, BestEffort),
            Habit::RecordsBestEffort => (true, BestEffort, BestEffort),
        };
        Capabilities::CONDITIONAL_WRITES.with_conditional_writes(put, delete).with_whole_records(has_records)
    }

    /// Makes a call. The answer may be an exception.
    pub(crate) async fn call(&self, call: &Call) -> Result<Reply> {
        self.pool.call(call).await.map_err(|failure: Failure| failure.into_error(call.is_write()))
    }

    /// Finds out what the server has.
    pub(crate) async fn describe(&self) -> Result<()> {
        let habit = match self.call(&Call::Describe).await? {
            Reply::Description(Description { puts_atomically, removes_atomically, longest, .. }) => {
                let longest = longest.and_then(|longest| usize::try_from(longest).ok());
                self.longest.store(longest.unwrap_or(usize::MAX), Ordering::Relaxed);
                match (puts_atomically, removes_atomically) {
                    (true, true) => Habit::Records,
                    (false, true) => Habit::RecordsPutBestEffort,
                    (true, false) => Habit::RecordsRemoveBestEffort,
                    (false, false) => Habit::RecordsBestEffort,
                }
            }
            Reply::UnknownMethod => Habit::Parts,
            // Whatever it has: it has not said.
            other => return Err(of_reply(other, false)),
        };
        self.learn(habit);
        self.described.store(self.pool.opened(), Ordering::Relaxed);
        Ok(())
    }

    /// Whether the server has whole records. It is asked if that is not known, or was said on connections of before.
    async fn has_records(&self) -> Result<bool> {
        if self.habit() == Habit::Unknown || self.described.load(Ordering::Relaxed) != self.pool.opened() {
            self.describe().await?;
        }
        Ok(self.has_been_records())
    }

    /// The same, as far as it was found out.
    pub(crate) fn has_been_records(&self) -> bool {
        !matches!(self.habit(), Habit::Unknown | Habit::Parts)
    }

    pub(crate) fn key(&self, name: FlagName<'_>) -> Vec<u8> {
        [self.prefix.as_bytes(), name.as_str().as_bytes()].concat()
    }

    pub(crate) async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        match self.call(&Call::Get { name: self.key(name), with_record: true }).await? {
            Reply::Item(item) => self.found(name.as_str(), *item).await.map(Some),
            Reply::Failed(exception) if exception.code == Code::NOT_FOUND => Ok(None),
            Reply::Failed(exception) => {
                if exception.version.is_some() && self.habit() == Habit::Parts {
                    self.habit.store(Habit::Unknown as u8, Ordering::Relaxed);
                }
                Err(of_exception(&exception))
            }
            other => Err(of_reply(other, false)),
        }
    }

    /// What an item is, under the name by which it was asked for.
    async fn found(&self, name: &str, item: Item) -> Found {
        // Also if it was replaced by another one since.
        if item.version.is_none() {
            self.learn(Habit::Parts);
        } else if matches!(self.habit(), Habit::Unknown | Habit::Parts) {
            // It is no part of what was asked: if it fails, the next call asks.
            let _ = self.describe().await;
        }
        read(name, item)
    }

    pub(crate) async fn put(&self, name: FlagName<'_>, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        for _ in 0..ATTEMPTS {
            if !self.has_records().await? {
                if let Some(version) = parts::put(self, name, flag, expect).await? {
                    return Ok(version);
                }
                continue;
            }
            let record = flag.as_json().as_bytes();
            let expectation = expectation(expect)?;
            self.fits(record, &expectation).await?;
            let call = Call::Put { name: self.key(name), record: record.to_vec(), expectation };
            match self.call(&call).await? {
                Reply::Version(version) => return Ok(opaque(version, record)),
                Reply::UnknownMethod => self.learn(Habit::Parts),
                other => return Err(of_reply(other, true)),
            }
        }
        Err(another_each_time())
    }

    pub(crate) async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        if matches!(expect, Expect::Absent) {
            let message = "a flag that is to be deleted cannot be expected to be absent";
            return Err(error(ErrorKind::InvalidInput, message));
        }
        for _ in 0..ATTEMPTS {
            if !self.has_records().await? {
                if let Some(was_there) = parts::delete(self, name, expect).await? {
                    return Ok(was_there);
                }
                continue;
            }
            let call = Call::Remove { name: self.key(name), expectation: expectation(expect)? };
            match self.call(&call).await? {
                Reply::WasThere(was_there) => return Ok(was_there),
                Reply::UnknownMethod => self.learn(Habit::Parts),
                other => return Err(of_reply(other, true)),
            }
        }
        Err(another_each_time())
    }

    /// Looks whether the server takes so much; it is asked once more before it is said that it does not.
    async fn fits(&self, record: &[u8], expectation: &Expectation) -> Result<()> {
        let version = match expectation {
            Expectation::Version(version) => version.0.len(),
            _ => 0,
        };
        let length = record.len() + version + AROUND;
        if length > self.longest.load(Ordering::Relaxed) {
            self.describe().await?;
        }
        let longest = self.longest.load(Ordering::Relaxed);
        if length <= longest {
            return Ok(());
        }
        let message = format!(
            "the record needs a message of {length} bytes, and {} takes up to {longest}: allow more there",
            self.pool.place
        );
        Err(error(ErrorKind::InvalidInput, message))
    }

    /// Lists, in one call: a server that is asked for one page after the other may leave out flags while others are deleted.
    pub(crate) async fn list(&self, page: Page) -> Result<Vec<Listed>> {
        // What is not below the prefix counts for the server, and not for us.
        let is_whole = self.prefix.is_empty();
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let call = Call::List {
            limit: page.limit.filter(|_| is_whole).map(number),
            offset: if is_whole { number(page.offset) } else { 0 },
            with_record: true,
        };
        let items = match self.call(&call).await? {
            Reply::Items(items) => items,
            other => return Err(of_reply(other, false)),
        };
        let listed = items.into_iter().filter_map(|mut item| {
            let name = item.name.take().unwrap_or_default();
            let name = name.strip_prefix(self.prefix.as_bytes())?.to_vec();
            Some(match String::from_utf8(name) {
                Ok(name) => listed(name.as_str(), read(&name, item)),
                Err(bytes) => {
                    let message = "its name is no UTF-8";
                    listed(&crate::wire::shown(bytes.as_bytes()), Err(error(ErrorKind::Corrupt, message)))
                }
            })
        });
        Ok(if is_whole {
            listed.take(page.limit.unwrap_or(usize::MAX)).collect()
        } else {
            listed.skip(page.offset).take(page.limit.unwrap_or(usize::MAX)).collect()
        })
    }
}

fn listed(name: &str, found: Found) -> Listed {
    match found {
        Ok(found) => Listed::Flag(found),
        Err(error) => Listed::Bad { name: name.into(), version: error.version().cloned(), error },
    }
}

/// Reads an item under a name, which may be no legal one.
pub(crate) fn read(name: &str, item: Item) -> Found {
    let at = |error: Error| error.with_store("thrift").with_flag(name);
    let name = match FlagName::new(name) {
        Ok(name) => name,
        Err(illegal) => return Err(at(error(ErrorKind::Corrupt, illegal.message().to_owned()))),
    };
    if let Some(problem) = &item.problem {
        return Err(at(of_exception(problem)));
    }
    match (item.version, item.record) {
        (Some(version), Some(record)) => {
            let version = opaque(version, &record);
            match Flag::read(name, &record) {
                Ok(value) => Ok(Versioned { value, version }),
                Err(error) => Err(at(error.with_version(version))),
            }
        }
        (version, record) => {
            let flag = convert::flag(name, &Item { version, record, ..item }).map_err(at)?;
            Ok(Versioned { version: parts::version(&flag), value: flag })
        }
    }
}

fn opaque(version: WireVersion, record: &[u8]) -> Version {
    Version::from_bytes(version.completed(record).0)
}

fn expectation(expect: Expect<'_>) -> Result<Expectation> {
    match expect {
        Expect::Any => Ok(Expectation::Anything),
        Expect::Absent => Ok(Expectation::Nothing),
        Expect::Matches(version) => match version.as_bytes() {
            // One that nobody has made is that of no state.
            None => Err(conflict()),
            Some(bytes) => Ok(Expectation::Version(WireVersion(bytes.to_vec()))),
        },
        _ => Err(error(ErrorKind::Unsupported, "this store does not know such an expectation")),
    }
}

fn another_each_time() -> Error {
    let message =
        "what the server has is another each time it is asked: are there several behind the address?";
    error(ErrorKind::Unavailable, message)
}

pub(crate) fn conflict() -> Error {
    error(ErrorKind::Conflict, "the flag is not in the expected state")
}
