//! A connection that is made when it is needed, and made again when it is lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flipper_core::{Error, ErrorKind, Result};
use redis::{Cmd, RedisResult, Value};
use tokio::time::{Instant, timeout};

use crate::dial::Dialer;
use crate::error::{Asked, error, of_driver};
use crate::wire::Live;

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How long to wait between attempts to connect: longer each time, and never two clients in step.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) fn next(&mut self) -> Duration {
        let longest = FIRST_WAIT.saturating_mul(1 << self.failures.min(10)).min(LONGEST_WAIT);
        self.failures += 1;
        longest.mul_f64(0.5 + 0.5 * fastrand::f64())
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[derive(Debug)]
pub(crate) struct Link {
    dialer: Arc<Dialer>,
    live: Mutex<Option<Live>>,
    attempts: tokio::sync::Mutex<Attempts>,
}

/// One caller connects, and the others wait for it.
#[derive(Debug, Default)]
struct Attempts {
    backoff: Backoff,
    /// Until when to fail without trying, and with what.
    failed: Option<(Instant, Error)>,
}

impl Link {
    pub(crate) fn new(dialer: Arc<Dialer>) -> Self {
        Self { dialer, live: Mutex::default(), attempts: tokio::sync::Mutex::default() }
    }

    fn current(&self) -> Option<Live> {
        let mut current = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|live| live.traits.is_lost()) {
            *current = None;
        }
        current.clone()
    }

    /// Closes the connection, once its calls have ended.
    pub(crate) fn close(&self) {
        *self.live.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the connection; makes one if there is none. Shortly after a failure it fails with the same, at once.
    pub(crate) async fn live(&self) -> Result<Live> {
        self.dialer.check()?;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        // More than one attempt only if whoever made the first was dropped.
        let limit = self.dialer.connect_timeout.saturating_mul(2);
        timeout(limit, self.dial()).await.unwrap_or_else(|_| {
            Err(error(ErrorKind::Unavailable, "the server cannot be connected to in time"))
        })
    }

    async fn dial(&self) -> Result<Live> {
        let mut attempts = self.attempts.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        if let Some((until, error)) = &attempts.failed
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        match self.dialer.dial(None).await {
            Ok(live) => {
                *attempts = Attempts::default();
                *self.live.lock().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
                Ok(live)
            }
            Err(error) => {
                let wait = attempts.backoff.next();
                attempts.failed = Some((Instant::now() + wait, error.clone()));
                Err(error)
            }
        }
    }

    /// Sends a command that only reads: once more, if the connection was lost before the answer came.
    pub(crate) async fn read(&self, command: &Cmd) -> Result<Value> {
        let again = |answer: &RedisResult<Value>| {
            answer.as_ref().is_err_and(|failure| failure.is_connection_dropped() && !failure.is_timeout())
        };
        let mut answer = self.live().await?.send(command).await;
        if again(&answer) {
            answer = self.live().await?.send(command).await;
        }
        answer.map_err(|failure| of_driver(&failure, Asked::Read))
    }
}
