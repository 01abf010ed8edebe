//! Listings: keys by `SCAN`, records by `MGET`, both in one round trip, and the next one under way while records are read.

use std::collections::{HashSet, VecDeque};

use flipper_core::{BoxStream, ErrorKind, Listed, Page, Result};
use futures_lite::{StreamExt, stream};
use redis::{Pipeline, RedisResult, Value, cmd};
use tokio::task::JoinHandle;

use crate::error::{Asked, error, of_driver};
use crate::keys::Keys;
use crate::link::Link;
use crate::record::{Record, bytes, unexpected};
use crate::wire::Live;

/// How many keys the server looks at in one step of a scan. It serves nobody else meanwhile, for less than a millisecond.
const SCANNED: usize = 1_000;
/// How many records are read at once, at most.
const BATCH: usize = 1_000;
/// How many records are read at once before it is known how large they are.
const FIRST_BATCH: usize = 100;
/// How many bytes of records are to be read at once.
const BATCH_BYTES: usize = 1 << 20;

type Key = Vec<u8>;

pub(crate) fn list<'s>(link: &'s Link, keys: &'s Keys, page: Page) -> BoxStream<'s, Result<Listed>> {
    let begin = async move {
        let live = link.live().await?;
        Ok(Lister::new(live, keys, page))
    };
    let batches = stream::once_future(begin).flat_map(|lister: Result<Lister<'_>>| {
        // An error is the last item.
        stream::unfold(Some(lister), async |lister| match lister? {
            Ok(mut lister) => match lister.next().await {
                Ok(Some(batch)) => Some((batch, Some(Ok(lister)))),
                Ok(None) => None,
                Err(error) => Some((vec![Err(error)], None)),
            },
            Err(error) => Some((vec![Err(error)], None)),
        })
    });
    Box::pin(batches.flat_map(stream::iter))
}

/// One listing. It stays with one connection: where a scan stands means nothing to another server.
struct Lister<'s> {
    live: Live,
    keys: &'s Keys,
    /// The number that the server gives to a connection of the caller, which may become another one.
    identity: Option<i64>,
    /// A scan may give a key more than once.
    seen: HashSet<Key>,
    /// Where the scan stands; `None` at its end.
    cursor: Option<u64>,
    /// Keys whose records are still to be read.
    unread: VecDeque<Key>,
    skip: usize,
    left: usize,
    batch: usize,
    /// The step that is under way.
    ahead: Option<Step>,
}

/// One round trip.
struct Step {
    keys: Vec<Key>,
    scans: bool,
    answers: JoinHandle<RedisResult<Vec<Value>>>,
}

impl<'s> Lister<'s> {
    fn new(live: Live, keys: &'s Keys, page: Page) -> Self {
        Self {
            live,
            keys,
            identity: None,
            seen: HashSet::new(),
            cursor: Some(0),
            unread: VecDeque::new(),
            skip: page.offset,
            left: page.limit.unwrap_or(usize::MAX),
            batch: FIRST_BATCH,
            ahead: None,
        }
    }

    /// Returns the next records; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<Result<Listed>>>> {
        while self.left > 0 {
            let Some(mut step) = self.ahead.take().or_else(|| self.step(0)) else { return Ok(None) };
            let answers = match (&mut step.answers).await {
                Ok(answers) => answers.map_err(|failure| of_driver(&failure, Asked::Read))?,
                Err(_) => return Err(error(ErrorKind::Unavailable, "the runtime has been shut down")),
            };
            let mut answers = answers.into_iter();
            if !self.live.is_own() {
                self.check_identity(answers.next().as_ref())?;
            }
            let stored = if step.keys.is_empty() { Vec::new() } else { array(answers.next())? };
            if step.scans {
                self.take_keys(answers.next())?;
            }
            self.ahead = self.step(step.keys.len());
            let records = self.read(std::mem::take(&mut step.keys), stored).await?;
            if !records.is_empty() {
                self.left -= records.len();
                return Ok(Some(records));
            }
        }
        Ok(None)
    }

    /// Begins the next round trip, while so many records are there to be read; `None` if nothing is left to be asked.
    fn step(&mut self, arrived: usize) -> Option<Step> {
        let wanted = self.batch.min(self.left.saturating_sub(arrived));
        let count = self.unread.len().min(wanted);
        let keys: Vec<Key> = self.unread.drain(..count).collect();
        let scan = self.cursor.filter(|_| self.unread.len() < wanted);
        if keys.is_empty() && scan.is_none() {
            return None;
        }
        let mut commands = redis::pipe();
        if !self.live.is_own() {
            commands.cmd("CLIENT").arg("ID");
        }
        if !keys.is_empty() {
            commands.cmd("MGET").arg(&keys);
        }
        if let Some(cursor) = scan {
            let pattern = self.keys.pattern();
            commands.cmd("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SCANNED);
        }
        let live = self.live.clone();
        let answers = tokio::spawn(async move { live.send_all(&commands).await });
        Some(Step { keys, scans: scan.is_some(), answers })
    }

    /// A connection of the caller may be one that reconnects by itself.
    fn check_identity(&mut self, answer: Option<&Value>) -> Result<()> {
        // Who may not ask does without.
        let Some(&Value::Int(identity)) = answer else { return Ok(()) };
        if *self.identity.get_or_insert(identity) == identity {
            return Ok(());
        }
        Err(error(ErrorKind::Unavailable, "the connection was lost in the middle of the listing"))
    }

    fn take_keys(&mut self, answer: Option<Value>) -> Result<()> {
        let mut answer = array(answer)?.into_iter();
        let cursor = bytes(answer.next().ok_or_else(unexpected)?)?;
        let cursor = std::str::from_utf8(&cursor).ok().and_then(|cursor| cursor.parse().ok());
        let cursor: u64 = cursor.ok_or_else(unexpected)?;
        self.cursor = (cursor != 0).then_some(cursor);
        for key in array(answer.next())? {
            let key = bytes(key)?;
            if self.keys.name(&key).is_none() || !self.seen.insert(key.clone()) {
                continue;
            }
            if self.skip > 0 {
                self.skip -= 1;
            } else {
                self.unread.push_back(key);
            }
        }
        Ok(())
    }

    /// Reads records out of what is stored at keys.
    async fn read(&mut self, keys: Vec<Key>, stored: Vec<Value>) -> Result<Vec<Result<Listed>>> {
        if keys.len() != stored.len() {
            return Err(unexpected());
        }
        let (mut size, mut found, mut absent) = (0, Vec::with_capacity(keys.len()), Vec::new());
        for (key, value) in keys.into_iter().zip(stored) {
            match value {
                Value::Nil => absent.push(key),
                value => {
                    if let Value::BulkString(bytes) = &value {
                        size += bytes.len();
                    }
                    found.push((key, value));
                }
            }
        }
        if !found.is_empty() {
            self.batch = (BATCH_BYTES / (size / found.len() + 1)).clamp(1, BATCH);
        }
        // Vanished, or of another type, which only `GET` tells.
        if !absent.is_empty() {
            let answers = self.live.send_all(&gets(&absent)).await;
            let answers = answers.map_err(|failure| of_driver(&failure, Asked::Read))?;
            found.extend(absent.into_iter().zip(answers));
        }
        let mut records = Vec::with_capacity(found.len());
        for (key, value) in found {
            let name = self.keys.name(&key).ok_or_else(unexpected)?;
            records.extend(Record::read(name, value)?.listed().map(Ok));
        }
        Ok(records)
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.answers.abort();
    }
}

/// Reads each key by itself, so that each has an answer of its own.
pub(crate) fn gets(keys: &[Key]) -> Pipeline {
    let mut commands = Pipeline::with_capacity(keys.len());
    for key in keys {
        let mut get = cmd("GET");
        get.arg(key);
        commands.add_command(get);
    }
    commands
}

fn array(answer: Option<Value>) -> Result<Vec<Value>> {
    match answer {
        Some(Value::Array(values)) => Ok(values),
        Some(Value::ServerError(failure)) => Err(of_driver(&failure.into(), Asked::Read)),
        _ => Err(unexpected()),
    }
}
