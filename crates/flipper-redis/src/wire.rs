//! One connection, and what is known of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::time::timeout;

use crate::error::late;

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
}

/// What is known of a connection.
#[derive(Debug, Default)]
pub(crate) struct Traits {
    is_lost: AtomicBool,
    denies_scripts: AtomicBool,
    tracks: AtomicBool,
}

impl Traits {
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

    /// Sends one command. What the server answers, an error included, is `Ok`.
    pub(crate) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
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
        self.send_counted(commands, 0, commands.len()).await
    }

    /// Sends commands as a transaction, and returns the answer to `EXEC`.
    pub(crate) async fn transact(&self, commands: &Pipeline) -> RedisResult<Value> {
        let answers = self.send_counted(commands, commands.len() + 1, 1).await?;
        Ok(answers.into_iter().next().unwrap_or(Value::Nil))
    }

    async fn send_counted(&self, commands: &Pipeline, skip: usize, count: usize) -> RedisResult<Vec<Value>> {
        let answers = match self.wire.clone() {
            Wire::Own(mut connection) => {
                self.in_time(connection.send_packed_commands(commands, skip, count)).await
            }
            Wire::Callers(connection) => {
                let mut handle = connection.handle();
                self.in_time(handle.req_packed_commands(commands, skip, count)).await
            }
        };
        match &answers {
            Ok(answers) => answers.iter().for_each(|answer| self.look_at(answer)),
            Err(failure) if failure.kind() == redis::ServerErrorKind::ReadOnly.into() => self.traits.lose(),
            Err(_) => {}
        }
        answers
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
            && matches!(failure.code(), "READONLY" | "MASTERDOWN")
        {
            self.traits.lose();
        }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("traits", &self.traits).finish_non_exhaustive()
    }
}
