//! A connection that is made when it is needed, and made again when it is lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flipper_core::{Error, ErrorKind, Result};
use flipper_follow::Backoff;
use redis::{Cmd, RedisResult, Value};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::dial::Dialer;
use crate::error::{Asked, error, of_driver};
use crate::wire::Live;

/// How an attempt has ended; `None` while it is under way.
type Outcome = watch::Receiver<Option<Result<Live>>>;

/// An attempt that is under way, for which all callers wait.
#[derive(Debug)]
struct Attempt {
    outcome: Outcome,
    task: AbortHandle,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Link {
    dialer: Arc<Dialer>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    live: Option<Live>,
    attempt: Option<Attempt>,
    backoff: Backoff,
    /// Until when to fail without trying, and with what.
    failed: Option<(Instant, Error)>,
}

impl Link {
    pub(crate) fn new(dialer: Arc<Dialer>) -> Self {
        Self { dialer, state: Arc::default() }
    }

    fn check(&self) -> Result<()> {
        self.dialer.check()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connection, once its calls have ended. The dialer is closed before.
    pub(crate) fn close(&self) {
        let state = std::mem::take(&mut *self.lock());
        // Unlocked: what ends with it may lock it.
        drop(state);
    }

    /// Returns the connection; makes one if there is none. Shortly after a failure it fails with the same, at once.
    pub(crate) async fn live(&self) -> Result<Live> {
        self.check()?;
        let mut outcome = {
            let mut state = self.lock();
            match &state.live {
                Some(live) if !live.traits.is_lost() && self.dialer.leads_to(live) => return Ok(live.clone()),
                _ => state.live = None,
            }
            if let Some((until, error)) = &state.failed
                && Instant::now() < *until
            {
                return Err(error.clone());
            }
            match &state.attempt {
                // Not one that has ended with the runtime that it was made in.
                Some(attempt) if attempt.outcome.has_changed().is_ok() => attempt.outcome.clone(),
                _ => {
                    let (sender, outcome) = watch::channel(None);
                    self.begin(&mut state, sender, outcome.clone());
                    outcome
                }
            }
        };
        // The attempt has a limit of its own, and keeps it unless its runtime stands still.
        let limit = self.dialer.connect_timeout.saturating_mul(2);
        if let Ok(Ok(ended)) = timeout(limit, outcome.wait_for(Option::is_some)).await {
            return ended.clone().unwrap_or_else(|| Err(unmade()));
        }
        let mut state = self.lock();
        let stuck = state.attempt.take_if(|attempt| attempt.outcome.same_channel(&outcome));
        drop(state);
        drop(stuck);
        self.check().and_then(|()| Err(unmade()))
    }

    /// Connects in the background: callers that give up do not end it, and the next ones find it.
    fn begin(&self, state: &mut State, sender: watch::Sender<Option<Result<Live>>>, outcome: Outcome) {
        let link = self.clone();
        let task = tokio::spawn(async move {
            let dialed = link.dialer.dial(None).await;
            let mut state = link.lock();
            // The store may have been closed meanwhile.
            let dialed = dialed.and_then(|live| link.check().map(|()| live));
            match &dialed {
                Ok(live) => {
                    state.live = Some(live.clone());
                    state.failed = None;
                    state.backoff.reset();
                }
                Err(error) => {
                    let wait = state.backoff.next_wait();
                    state.failed = Some((Instant::now() + wait, error.clone()));
                }
            }
            let attempt = state.attempt.take();
            drop(state);
            let _ = sender.send(Some(dialed));
            // Ourselves: there is nothing left to be ended.
            drop(attempt);
        });
        state.attempt = Some(Attempt { outcome, task: task.abort_handle() });
    }

    /// Sends a command that only reads: once more, if the connection was lost before the answer came.
    pub(crate) async fn read(&self, command: &Cmd, asks: bool) -> Result<Value> {
        let again = |answer: &RedisResult<Value>| {
            answer.as_ref().is_err_and(|failure| failure.is_connection_dropped() && !failure.is_timeout())
        };
        let mut answer = self.live().await?.asking(asks).send(command).await;
        if again(&answer) {
            answer = self.live().await?.asking(asks).send(command).await;
        }
        answer.map_err(|failure| of_driver(&failure, Asked::Read))
    }
}

fn unmade() -> Error {
    error(ErrorKind::Unavailable, "the server cannot be connected to in time")
}
