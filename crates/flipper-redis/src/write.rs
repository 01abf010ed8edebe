//! Writes: each checks its expectation and changes the key in one step.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use flipper_core::{ErrorKind, Expect, Result};
use redis::{Cmd, RedisError, RedisResult, Script, Value, cmd};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::dial::Dialer;
use crate::error::{Asked, denies_scripts, error, of_driver};
use crate::link::Link;
use crate::record::{bytes, unexpected};
use crate::wire::Live;

/// Compares what is stored with the first argument, and stores the second in its place, or nothing.
///
/// `pcall`, so that an error comes back as the server has put it.
const COMPARE_AND_SET: &str = "local stored = redis.pcall('GET', KEYS[1])
if not stored then return -1 end
if type(stored) == 'table' then return stored end
if stored ~= ARGV[1] then return 0 end
local done
if ARGV[2] then done = redis.pcall('SET', KEYS[1], ARGV[2]) else done = redis.pcall('DEL', KEYS[1]) end
if type(done) == 'table' and done.err then return done end
return 1";

/// The name under which a server keeps the script that it has seen.
static COMPARE_AND_SET_HASH: LazyLock<String> =
    LazyLock::new(|| Script::new(COMPARE_AND_SET).get_hash().to_owned());

/// What is to be stored in a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit<'e> {
    Put(&'e str),
    Delete,
}

/// How a write has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// There is no such key, and nothing was written.
    Missing,
    /// Something else is stored, and nothing was written.
    Differs,
}

/// How many replicas have to confirm a write, and for how long to wait for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replicas {
    pub(crate) count: u32,
    pub(crate) limit: Duration,
}

/// What writes keys.
#[derive(Debug)]
pub(crate) struct Writer {
    link: Link,
    /// Whether the link's connections are our own, for transactions: not the caller's.
    is_own: bool,
    /// Transactions of one connection take turns.
    turn: Mutex<()>,
    replicas: Option<Replicas>,
    timeout: Duration,
}

impl Writer {
    /// Makes a writer with connections of its own, made when they are needed: waiting for replicas and transactions both
    /// would get in the way of reads.
    pub(crate) fn new(dialer: &Arc<Dialer>, is_own: bool, replicas: Option<Replicas>) -> Self {
        let link = Link::new(Arc::clone(dialer));
        Self { link, is_own, turn: Mutex::default(), replicas, timeout: dialer.timeout }
    }

    pub(crate) fn close(&self) {
        self.link.close();
    }

    /// Writes a key. `shared` is the connection for what needs none of its own.
    pub(crate) async fn write(
        &self,
        shared: &Link,
        key: &str,
        edit: Edit<'_>,
        expect: Expect<'_>,
    ) -> Result<Outcome> {
        let live = if self.replicas.is_some() { self.link.live().await? } else { shared.live().await? };
        let outcome = match expect {
            Expect::Matches(version) => match version.as_bytes() {
                Some(expected) => self.compare_and_set(&live, key, expected, edit).await?,
                // A version of another store.
                None => Outcome::Differs,
            },
            expect => plainly(&live, key, edit, expect).await?,
        };
        match self.replicas {
            Some(replicas) if outcome == Outcome::Done => confirm(live, replicas).await.map(|()| outcome),
            _ => Ok(outcome),
        }
    }

    async fn compare_and_set(
        &self,
        live: &Live,
        key: &str,
        expected: &[u8],
        edit: Edit<'_>,
    ) -> Result<Outcome> {
        if !live.traits.denies_scripts() {
            match by_script(live, key, expected, edit).await {
                Err(failure) if denies_scripts(&failure) => {
                    live.traits.deny_scripts();
                    if !self.is_own {
                        return Err(of_driver(&failure, Asked::Write));
                    }
                }
                answer => {
                    return match answer.map_err(|failure| of_driver(&failure, Asked::Write)) {
                        Ok(Value::Int(1)) => Ok(Outcome::Done),
                        Ok(Value::Int(0)) => Ok(Outcome::Differs),
                        Ok(Value::Int(-1)) => Ok(Outcome::Missing),
                        Ok(_) => Err(unexpected()),
                        // Whatever it holds, it is not what was expected.
                        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Outcome::Differs),
                        Err(error) => Err(error),
                    };
                }
            }
        }
        self.by_transaction(key, expected, edit).await
    }

    /// Where scripts are denied: watches the key, reads it, and writes unless somebody else does in between.
    async fn by_transaction(&self, key: &str, expected: &[u8], edit: Edit<'_>) -> Result<Outcome> {
        let deadline = Instant::now() + self.timeout;
        let late = || error(ErrorKind::Unavailable, "other writers have taken too long");
        let _turn = timeout(self.timeout, self.turn.lock()).await.map_err(|_| late())?;
        let mut look = redis::pipe();
        // One that was dropped half-way may still watch.
        look.cmd("UNWATCH").cmd("WATCH").arg(key).cmd("GET").arg(key);
        let mut write = redis::pipe();
        write.atomic().add_command(edit.command(key));
        loop {
            let live = self.link.live().await?;
            let answers = live.send_all(&look).await.map_err(|failure| of_driver(&failure, Asked::Read))?;
            let mut answers = answers.into_iter().skip(1);
            if let Some(Value::ServerError(failure)) = answers.next() {
                return Err(of_driver(&failure.into(), Asked::Read));
            }
            match answers.next() {
                Some(Value::Nil) => return Ok(Outcome::Missing),
                Some(stored) => match bytes(stored) {
                    Ok(stored) if stored == expected => {}
                    Ok(_) => return Ok(Outcome::Differs),
                    Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(Outcome::Differs),
                    Err(error) => return Err(error),
                },
                None => return Err(unexpected()),
            }
            let answer = live.transact(&write).await.and_then(Value::extract_error);
            match answer.map_err(|failure| of_driver(&failure, Asked::Write))? {
                Value::Nil if Instant::now() >= deadline => return Err(late()),
                // Somebody has written since. If it was the same again, it still matches.
                Value::Nil => {}
                Value::Array(_) => return Ok(Outcome::Done),
                _ => return Err(unexpected()),
            }
        }
    }
}

impl Edit<'_> {
    /// The command that carries it out, whatever is there.
    fn command(self, key: &str) -> Cmd {
        let mut command = match self {
            Self::Put(_) => cmd("SET"),
            Self::Delete => cmd("DEL"),
        };
        command.arg(key);
        if let Self::Put(record) = self {
            command.arg(record);
        }
        command
    }
}

/// Writes without a look at what is there, or only if nothing is.
async fn plainly(live: &Live, key: &str, edit: Edit<'_>, expect: Expect<'_>) -> Result<Outcome> {
    let mut command = edit.command(key);
    if let Expect::Absent = expect {
        command.arg("NX");
    }
    let answer = live.send(&command).await.and_then(Value::extract_error);
    match answer.map_err(|failure| of_driver(&failure, Asked::Write))? {
        Value::Nil => Ok(Outcome::Differs),
        Value::Int(0) => Ok(Outcome::Missing),
        Value::Okay | Value::Int(_) => Ok(Outcome::Done),
        _ => Err(unexpected()),
    }
}

async fn by_script(live: &Live, key: &str, expected: &[u8], edit: Edit<'_>) -> RedisResult<Value> {
    let run = async |name: &str, script: &str| {
        let mut command = cmd(name);
        command.arg(script).arg(1).arg(key).arg(expected);
        if let Edit::Put(record) = edit {
            command.arg(record);
        }
        live.send(&command).await.and_then(Value::extract_error)
    };
    match run("EVALSHA", COMPARE_AND_SET_HASH.as_str()).await {
        // A server that has not seen the script since it was started.
        Err(failure) if is_unknown_script(&failure) => run("EVAL", COMPARE_AND_SET).await,
        answer => answer,
    }
}

fn is_unknown_script(failure: &RedisError) -> bool {
    failure.kind() == redis::ServerErrorKind::NoScript.into()
}

/// Waits until so many replicas have what this connection has written.
async fn confirm(mut live: Live, replicas: Replicas) -> Result<()> {
    live.timeout = live.timeout.saturating_add(replicas.limit);
    let mut wait = cmd("WAIT");
    wait.arg(replicas.count).arg((replicas.limit.as_millis() as u64).max(1));
    let answer = live.send(&wait).await.and_then(Value::extract_error);
    let weak = |message| error(ErrorKind::NotReplicated, message);
    match answer {
        Ok(Value::Int(confirmed)) if confirmed >= i64::from(replicas.count) => Ok(()),
        Ok(Value::Int(confirmed)) => {
            let Replicas { count, limit } = replicas;
            Err(weak(format!("it is written, and {confirmed} of {count} replicas have it after {limit:?}")))
        }
        Ok(_) => Err(weak("it is written, and the server does not say how many replicas have it".to_owned())),
        Err(failure) => {
            let cause = of_driver(&failure, Asked::Read);
            Err(weak("it is written, and how many replicas have it could not be asked".to_owned())
                .with_source(cause))
        }
    }
}
