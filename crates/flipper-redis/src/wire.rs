//! One connection, and what is known of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisResult, Value, cmd};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::error::{code, late};

/// A connection that the caller has made: clones are the same connection.
pub(crate) trait CallersConnection: Send + Sync {
    fn handle(&self) -> Box<dyn ConnectionLike + Send>;
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> CallersConnection for C {
    fn handle(&self) -> Box<dyn ConnectionLike + Send> {
        Box::new(self.clone())
    }
}

#[derive(Clone)]
pub(crate) enum Wire {
    Own(MultiplexedConnection),
    Callers(Arc<dyn CallersConnection>),
}

/// A connection that any number of calls can use at once. Dropping a call has no effect on the others: the driver keeps
/// commands and answers in order, and throws away what nobody waits for.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) wire: Wire,
    pub(crate) traits: Arc<Traits>,
    pub(crate) timeout: Duration,
    /// Whom to tell that the address may lead to another server by now.
    pub(crate) moved: Arc<Notify>,
    /// Which of the servers that the address has led to, counted from 0.
    pub(crate) generation: u64,
    /// Whether to tell the server, with each command, that a key may be on its way to it.
    pub(crate) asks: bool,
}

/// What is known of a connection.
#[derive(Debug)]
pub(crate) struct Traits {
    since: Instant,
    is_lost: AtomicBool,
    denies_scripts: AtomicBool,
    tracks: AtomicBool,
}

/// How long a connection is kept even if it leads to a replica: one that was made just now would be made in vain again.
const YOUTH: Duration = Duration::from_secs(3);

impl Traits {
    pub(crate) fn new() -> Self {
        Self {
            since: Instant::now(),
            is_lost: AtomicBool::new(false),
            denies_scripts: AtomicBool::new(false),
            tracks: AtomicBool::new(false),
        }
    }

    /// Says that this connection is not to be used for further calls.
    pub(crate) fn lose(&self) {
        self.is_lost.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    pub(crate) fn deny_scripts(&self) {
        self.denies_scripts.store(true, Ordering::Relaxed);
    }

    pub(crate) fn denies_scripts(&self) -> bool {
        self.denies_scripts.load(Ordering::Relaxed)
    }

    pub(crate) fn set_tracks(&self) {
        self.tracks.store(true, Ordering::Relaxed);
    }

    /// Whether the server can tell this connection which keys change.
    pub(crate) fn tracks(&self) -> bool {
        self.tracks.load(Ordering::Relaxed)
    }
}

impl Live {
    /// Whether the connection cannot become another one, of perhaps another server, without being lost.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.wire, Wire::Own(_))
    }

    /// As it is, or telling the server with each command that a key may be on its way to it.
    pub(crate) fn asking(self, asks: bool) -> Self {
        Self { asks, ..self }
    }

    /// Sends one command. What the server answers, an error included, is `Ok`.
    pub(crate) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        if self.asks {
            let mut commands = Pipeline::with_capacity(1);
            commands.add_command(command.clone());
            return Ok(self.send_all(&commands).await?.pop().unwrap_or(Value::Nil));
        }
        let answer = match self.wire.clone() {
            Wire::Own(mut connection) => self.in_time(connection.send_packed_command(command)).await?,
            Wire::Callers(connection) => {
                let mut handle = connection.handle();
                self.in_time(handle.req_packed_command(command)).await?
            }
        };
        self.look_at(&answer);
        Ok(answer)
    }

    /// Sends commands in one go, and returns their answers.
    pub(crate) async fn send_all(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        if !self.asks {
            return self.send_as_they_are(commands).await;
        }
        let mut asking = Pipeline::with_capacity(2 * commands.len());
        for command in commands.cmd_iter() {
            asking.add_command(cmd("ASKING")).add_command(command.clone());
        }
        let answers = self.send_as_they_are(&asking).await?;
        Ok(answers.into_iter().skip(1).step_by(2).collect())
    }

    /// Sends commands of a transaction that was begun, for all of which it was said at its beginning what there is to say.
    pub(crate) async fn send_as_they_are(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        let count = commands.len();
        let answers = match self.wire.clone() {
            Wire::Own(mut connection) => {
                self.in_time(connection.send_packed_commands(commands, 0, count)).await?
            }
            Wire::Callers(connection) => {
                let mut handle = connection.handle();
                self.in_time(handle.req_packed_commands(commands, 0, count)).await?
            }
        };
        for answer in &answers {
            self.look_at(answer);
        }
        Ok(answers)
    }

    async fn in_time<T>(&self, call: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        let answer = timeout(self.timeout, call).await.unwrap_or_else(|_| Err(late()));
        if let Err(failure) = &answer {
            // Where answers no longer come, those to later commands would not come either.
            if failure.is_timeout() || failure.is_unrecoverable_error() {
                self.traits.lose();
            }
        }
        answer
    }

    /// After a failover, the address may lead to another server: only a new connection finds it.
    fn look_at(&self, answer: &Value) {
        if let Value::ServerError(failure) = answer
            && matches!(&*code(failure.code(), failure.details()), "READONLY" | "MASTERDOWN")
            && self.traits.since.elapsed() > YOUTH
        {
            self.traits.lose();
            self.moved.notify_one();
        }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("traits", &self.traits).finish_non_exhaustive()
    }
}
