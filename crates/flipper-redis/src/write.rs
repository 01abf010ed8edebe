//! Writes: each checks its expectation and changes the key in one step.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use flipper_core::{Error, ErrorKind, Expect, Result};
use redis::{Cmd, RedisError, RedisResult, Script, Value, cmd};

use crate::dial::Dialer;
use crate::error::{Asked, denies_scripts, error, of_driver};
use crate::link::Link;
use crate::transaction::Transactions;
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
    /// The connection of writes that wait for replicas: whatever uses the same one waits too.
    waiting: Link,
    transactions: Arc<Transactions>,
    replicas: Option<Replicas>,
}

impl Writer {
    pub(crate) fn new(dialer: &Arc<Dialer>, replicas: Option<Replicas>) -> Self {
        let waiting = Link::new(Arc::clone(dialer));
        Self { waiting, transactions: Arc::new(Transactions::new(dialer, replicas)), replicas }
    }

    pub(crate) fn close(&self) {
        self.waiting.close();
        self.transactions.link.close();
    }

    /// Writes a key. `shared` is the connection for what needs none of its own.
    pub(crate) async fn write(
        &self,
        shared: &Link,
        key: &str,
        edit: Edit<'_>,
        expect: Expect<'_>,
        asks: bool,
    ) -> Result<Outcome> {
        let link = if self.replicas.is_some() { &self.waiting } else { shared };
        let live = link.live().await?.asking(asks);
        let outcome = match expect {
            Expect::Matches(version) => match version.as_bytes() {
                Some(_) if live.traits.denies_scripts() => {
                    return self.transactions.write(key, edit, version, asks).await;
                }
                Some(expected) => match by_script(&live, key, expected, edit).await {
                    Err(failure) if live.is_own() && denies_scripts(&failure) => {
                        live.traits.deny_scripts();
                        return self.transactions.write(key, edit, version, asks).await;
                    }
                    answer => compared(answer)?,
                },
                // A version of another store.
                None => Outcome::Differs,
            },
            expect => plainly(&live, key, edit, expect).await?,
        };
        confirmed(live, self.replicas, outcome).await
    }
}

impl Edit<'_> {
    /// The command that carries it out, whatever is there.
    pub(crate) fn command(self, key: &str) -> Cmd {
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
        _ => Err(odd()),
    }
}

/// What the script says.
fn compared(answer: RedisResult<Value>) -> Result<Outcome> {
    match answer.map_err(|failure| of_driver(&failure, Asked::Write)) {
        Ok(Value::Int(1)) => Ok(Outcome::Done),
        Ok(Value::Int(0)) => Ok(Outcome::Differs),
        Ok(Value::Int(-1)) => Ok(Outcome::Missing),
        Ok(_) => Err(odd()),
        // Whatever it holds, it is not what was expected.
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Outcome::Differs),
        Err(error) => Err(error),
    }
}

/// A write was answered with what makes no sense.
pub(crate) fn odd() -> Error {
    error(ErrorKind::OutcomeUnknown, "the server has answered a write with a type that does not belong there")
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
pub(crate) async fn confirmed(
    mut live: Live,
    replicas: Option<Replicas>,
    outcome: Outcome,
) -> Result<Outcome> {
    let Some(Replicas { count, limit }) = replicas.filter(|_| outcome == Outcome::Done) else {
        return Ok(outcome);
    };
    live.timeout = live.timeout.saturating_add(limit);
    let mut wait = cmd("WAIT");
    // No limit at all is `0` to the server.
    wait.arg(count).arg((limit.as_millis() as u64).max(1));
    let weak = |message| error(ErrorKind::NotReplicated, message);
    match live.send(&wait).await.and_then(Value::extract_error) {
        Ok(Value::Int(confirmed)) if confirmed >= i64::from(count) => Ok(outcome),
        Ok(Value::Int(confirmed)) => {
            Err(weak(format!("it is written, and {confirmed} of {count} replicas have it after {limit:?}")))
        }
        Ok(_) => Err(weak("it is written, and the server does not say how many replicas have it".to_owned())),
        Err(failure) => {
            let cause = of_driver(&failure, Asked::Read);
            let message = "it is written, and how many replicas have it could not be asked".to_owned();
            Err(weak(message).with_source(cause))
        }
    }
}
