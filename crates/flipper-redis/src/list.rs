//! Listings: keys by `SCAN`, records by `MGET`, both in one round trip, and the next one under way while records are read.

use std::collections::{HashSet, VecDeque};

use flipper_core::{BoxStream, ErrorKind, Listed, Page, Result};
use futures_lite::{StreamExt, stream};
use redis::{Pipeline, RedisResult, Value, cmd};
use tokio::task::JoinHandle;

use crate::error::{Asked, error, of_driver, shut_down};
use crate::keys::Keys;
use crate::node::Node;
use crate::record::{Record, bytes, unexpected};
use crate::redirect::Redirect;
use crate::servers::Servers;
use crate::wire::Live;

/// How many keys the server looks at in one step of a scan. It serves nobody else meanwhile, for less than a millisecond.
const SCANNED: usize = 1_000;
/// How many records are read at once, at most.
const LARGEST_BATCH: usize = 1_000;
/// How many bytes of records are to be read at once.
const BATCH_BYTES: usize = 1 << 20;

type Key = Vec<u8>;

/// How many records to read at once: few, before it is known how large they are.
pub(crate) struct Batch {
    size: usize,
    is_learned: bool,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self { size: 16, is_learned: false }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Learns from records how large they are.
    pub(crate) fn learn(&mut self, records: &[Value]) {
        let sizes = records.iter().filter_map(|record| match record {
            Value::BulkString(bytes) => Some(bytes.len()),
            _ => None,
        });
        let (count, size) = sizes.fold((0, 0_usize), |(count, sum), size| (count + 1, sum + size));
        if let Some(average) = size.checked_div(count) {
            self.size = (BATCH_BYTES / (average + 1)).clamp(1, LARGEST_BATCH);
            self.is_learned = true;
        }
    }
}

/// What gives the records of a listing, some at a time.
pub(crate) trait Batches: Send {
    /// Returns the next records; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<Result<Listed>>>>> + Send;
}

/// The stream of a listing that begins like this.
pub(crate) fn stream_of<'s, B: Batches + 's>(
    beginning: impl Future<Output = Result<B>> + Send + 's,
) -> BoxStream<'s, Result<Listed>> {
    let batches = stream::once_future(beginning).flat_map(|begun: Result<B>| {
        // An error is the last item.
        stream::unfold(Some(begun), async |begun| match begun? {
            Ok(mut begun) => match begun.next().await {
                Ok(Some(batch)) => Some((batch, Some(Ok(begun)))),
                Ok(None) => None,
                Err(error) => Some((vec![Err(error)], None)),
            },
            Err(error) => Some((vec![Err(error)], None)),
        })
    });
    Box::pin(batches.flat_map(stream::iter))
}

/// Lists what one server has.
pub(crate) fn list<'s>(
    servers: &'s Servers,
    node: &'s Node,
    keys: &'s Keys,
    page: Page,
) -> BoxStream<'s, Result<Listed>> {
    stream_of(async move { Ok(Lister::new(node.link.live().await?, servers, keys, page)) })
}

/// One listing. It stays with one connection: where a scan stands means nothing to another server.
pub(crate) struct Lister<'s> {
    live: Live,
    servers: &'s Servers,
    keys: &'s Keys,
    /// Which connection of the caller it is, which may become another one.
    identity: Option<String>,
    /// A scan may give a key more than once.
    seen: HashSet<Key>,
    /// Where the scan stands; `None` at its end.
    cursor: Option<u64>,
    /// Keys whose records are still to be read.
    unread: VecDeque<Key>,
    skip: usize,
    left: usize,
    batch: Batch,
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
    pub(crate) fn new(live: Live, servers: &'s Servers, keys: &'s Keys, page: Page) -> Self {
        Self {
            live,
            servers,
            keys,
            identity: None,
            seen: HashSet::new(),
            cursor: Some(0),
            unread: VecDeque::new(),
            skip: page.offset,
            left: page.limit.unwrap_or(usize::MAX),
            batch: Batch::new(),
            ahead: None,
        }
    }

    /// Goes on with what another server has, without what was listed already.
    #[cfg(feature = "cluster")]
    pub(crate) fn turn_to(&mut self, live: Live) {
        (self.live, self.identity, self.cursor) = (live, None, Some(0));
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// The next records of this server; `None` at the end.
    async fn some(&mut self) -> Result<Option<Vec<Result<Listed>>>> {
        while self.left > 0 {
            let Some(mut step) = (match self.ahead.take() {
                Some(step) => Some(step),
                None => self.step(0)?,
            }) else {
                return Ok(None);
            };
            let answers = match (&mut step.answers).await {
                Ok(answers) => answers.map_err(|failure| of_driver(&failure, Asked::Read))?,
                Err(_) => return Err(shut_down()),
            };
            let mut answers = answers.into_iter();
            if !self.live.is_own() {
                self.check_identity(answers.next().as_ref())?;
            }
            let stored = match step.keys.len() {
                0 => Vec::new(),
                count if self.servers.are_many() => answers.by_ref().take(count).collect(),
                _ => array(answers.next())?,
            };
            if step.scans {
                self.take_keys(answers.next())?;
            }
            self.ahead = self.step(step.keys.len())?;
            let records = self.read(std::mem::take(&mut step.keys), stored).await?;
            if !records.is_empty() {
                self.left -= records.len();
                return Ok(Some(records));
            }
        }
        Ok(None)
    }

    /// Begins the next round trip, while so many records are there to be read; `None` if nothing is left to be asked.
    fn step(&mut self, arrived: usize) -> Result<Option<Step>> {
        self.servers.check()?;
        // Of records whose size is not known yet, only one batch is under way.
        let is_held = arrived > 0 && !self.batch.is_learned;
        let wanted = if is_held { 0 } else { self.batch.size().min(self.left.saturating_sub(arrived)) };
        let count = self.unread.len().min(wanted);
        let keys: Vec<Key> = self.unread.drain(..count).collect();
        let scan = self.cursor.filter(|_| self.unread.len() < wanted);
        if keys.is_empty() && scan.is_none() {
            return Ok(None);
        }
        let mut commands = redis::pipe();
        if !self.live.is_own() {
            commands.cmd("CLIENT").arg("INFO");
        }
        if self.servers.are_many() {
            // Keys of several slots are not read at once.
            for key in &keys {
                commands.cmd("GET").arg(key);
            }
        } else if !keys.is_empty() {
            commands.cmd("MGET").arg(&keys);
        }
        if let Some(cursor) = scan {
            let pattern = self.keys.pattern();
            commands.cmd("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SCANNED);
        }
        let live = self.live.clone();
        let answers = tokio::spawn(async move { live.send_all(&commands).await });
        Ok(Some(Step { keys, scans: scan.is_some(), answers }))
    }

    /// A connection of the caller may be one that reconnects by itself.
    fn check_identity(&mut self, answer: Option<&Value>) -> Result<()> {
        // Who may not ask does without, and so do servers before release 6.2.
        let Some(info) = answer.cloned().and_then(|answer| redis::from_redis_value::<String>(answer).ok())
        else {
            return Ok(());
        };
        // Its number, and its address with the port on our side: another server counts anew.
        let identity: String =
            info.split(' ').filter(|field| field.starts_with("id=") || field.starts_with("addr=")).collect();
        if *self.identity.get_or_insert_with(|| identity.clone()) == identity {
            return Ok(());
        }
        Err(error(ErrorKind::Unavailable, "the connection was lost in the middle of the listing"))
    }

    fn take_keys(&mut self, answer: Option<Value>) -> Result<()> {
        let mut answer = array(answer)?.into_iter();
        let cursor = bytes(answer.next().ok_or_else(unexpected)?)?;
        let cursor = std::str::from_utf8(&cursor).ok().and_then(|cursor| cursor.parse().ok());
        let cursor: u64 = cursor.ok_or_else(unexpected)?;
        if cursor != 0 && self.cursor == Some(cursor) {
            return Err(error(ErrorKind::Internal, "the server's scan does not go on"));
        }
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
        self.batch.learn(&stored);
        let (mut found, mut absent) = (Vec::with_capacity(keys.len()), Vec::new());
        for (key, value) in keys.into_iter().zip(stored) {
            match value {
                // On its way to another server, or already there.
                Value::ServerError(failure)
                    if self.servers.are_many() && Redirect::is_one(failure.code()) =>
                {
                    let value = self.servers.read(&key).await?;
                    found.push((key, value));
                }
                Value::Nil if !self.servers.are_many() => absent.push(key),
                value => found.push((key, value)),
            }
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

impl Batches for Lister<'_> {
    async fn next(&mut self) -> Result<Option<Vec<Result<Listed>>>> {
        self.some().await
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
