//! Following the changes of all writers, for any number of watchers.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use flipper_core::store::{Wakers, Watchers};
use flipper_core::{BoxStream, Change, Error, ErrorKind, Result, ResyncCause};
use futures_lite::{Stream, StreamExt, stream};
use redis::{Value, cmd};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::error::{Asked, error, late, of_driver};
use crate::inbox::Inbox;
use crate::link::Backoff;
use crate::list::{Batch, gets};
use crate::poll::poll;
use crate::record::{Record, shown};
use crate::shared::Shared;
use crate::wire::Live;

/// How long nothing may be told before the server is asked whether it is still there: a connection can be dead for long
/// without either side noticing.
const SILENCE: Duration = Duration::from_millis(750);
/// How long it may take to answer that, at most: together it is found out within two seconds.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a connection has to last to count as one that works.
const LASTING: Duration = Duration::from_secs(2);

/// Who follows, and whether that works at present.
#[derive(Debug, Default)]
pub(crate) struct Following {
    state: Mutex<State>,
    /// Wakes those who wait for the first attempt to end.
    tried: Notify,
}

#[derive(Debug, Default)]
struct State {
    watchers: Watchers,
    phase: Phase,
    task: Option<JoinHandle<()>>,
    /// Whether there is a task that has not ended.
    is_followed: bool,
    /// How many there have been.
    tasks: u64,
}

#[derive(Clone, Debug, Default)]
enum Phase {
    /// Nobody has asked yet.
    #[default]
    Idle,
    /// The first attempt is under way.
    Starting,
    Up,
    Down(Error),
    Closed,
}

impl Following {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes whom it concerns when it is unlocked.
    fn change(&self, change: impl FnOnce(&mut State) -> Wakers) {
        let mut state = self.lock();
        let wakers = change(&mut state);
        drop(state);
        wakers.wake();
    }

    /// Says that from now on nothing is missed.
    pub(crate) fn up(&self) {
        self.change(|state| match std::mem::replace(&mut state.phase, Phase::Up) {
            Phase::Starting | Phase::Idle => Wakers::default(),
            Phase::Closed => {
                state.phase = Phase::Closed;
                Wakers::default()
            }
            Phase::Up | Phase::Down(_) => {
                state.watchers.tell(&Change::Resync { cause: ResyncCause::Reconnected })
            }
        });
        self.tried.notify_waiters();
    }

    fn down(&self, error: &Error) {
        self.end(error, |_| {});
    }

    /// Says that nobody follows at present, and changes the state with that.
    fn end(&self, error: &Error, change: impl FnOnce(&mut State)) {
        let mut is_news = false;
        self.change(|state| {
            change(state);
            match state.phase {
                // Those who wait look again, and find that somebody else has to follow.
                Phase::Closed | Phase::Down(_) => state.watchers.rouse(),
                Phase::Idle | Phase::Starting | Phase::Up => {
                    is_news = true;
                    state.phase = Phase::Down(error.clone());
                    state.watchers.tell(&Change::Down { error: error.clone() })
                }
            }
        });
        self.tried.notify_waiters();
        if is_news {
            log::warn!(target: "flipper::redis", "changes cannot be followed at present: {error}");
        }
    }

    /// Tells a change, and returns whom to wake.
    pub(crate) fn tell(&self, change: &Change) -> Wakers {
        self.lock().watchers.tell(change)
    }

    /// Ends all watches and the task, and returns it.
    pub(crate) fn close(&self) -> Option<JoinHandle<()>> {
        let mut task = None;
        self.change(|state| {
            state.phase = Phase::Closed;
            task = state.task.take();
            state.watchers.close()
        });
        self.tried.notify_waiters();
        if let Some(task) = &task {
            task.abort();
        }
        task
    }
}

/// Returns a stream of changes. It subscribes when it is looked at for the first time.
pub(crate) fn watch(shared: &Arc<Shared>) -> BoxStream<'static, Change> {
    let shared = Arc::downgrade(shared);
    let changes = stream::once_future(subscribe(Weak::clone(&shared))).flatten();
    Box::pin(Watch { shared, changes: Box::pin(changes) })
}

/// One who watches, and who sees to it that somebody follows: the runtime that did may have ended.
struct Watch {
    shared: Weak<Shared>,
    changes: BoxStream<'static, Change>,
}

impl Stream for Watch {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Change>> {
        if let Some(shared) = self.shared.upgrade() {
            start(&shared);
        }
        self.changes.as_mut().poll_next(task)
    }
}

async fn subscribe(shared: Weak<Shared>) -> BoxStream<'static, Change> {
    let Some(shared) = shared.upgrade() else { return Box::pin(stream::empty()) };
    loop {
        let tried = shared.following.tried.notified();
        tokio::pin!(tried);
        tried.as_mut().enable();
        {
            let mut state = shared.following.lock();
            match state.phase.clone() {
                Phase::Idle | Phase::Starting => {}
                Phase::Up | Phase::Closed => return state.watchers.subscribe(),
                Phase::Down(error) => return state.watchers.subscribe_during(Some(error)),
            }
        }
        if Handle::try_current().is_err() {
            // Without a timer, somebody else's attempt has to end.
            tried.await;
        } else if timeout(shared.dialer.connect_timeout.saturating_mul(2), tried).await.is_err() {
            // Longer only if nothing drives the runtime in which somebody else has started to follow.
            let error = error(ErrorKind::Unavailable, "the server cannot be connected to in time");
            shared.following.down(&error);
        }
    }
}

/// Starts the task, unless there is one that runs.
fn start(shared: &Arc<Shared>) {
    let mut state = shared.following.lock();
    if matches!(state.phase, Phase::Closed) || state.is_followed {
        return;
    }
    let Ok(runtime) = Handle::try_current() else {
        let message = "this store needs a Tokio runtime: watch it from inside of one";
        state.phase = Phase::Down(error(ErrorKind::Unsupported, message));
        return;
    };
    if matches!(state.phase, Phase::Idle) {
        state.phase = Phase::Starting;
    }
    state.is_followed = true;
    state.tasks += 1;
    let number = state.tasks;
    // A runtime that is being shut down drops the task here and now, and its end locks the state.
    drop(state);
    let ended = Ended(Arc::clone(shared));
    let task = runtime.spawn(async move { follow(&ended.0).await });
    let mut state = shared.following.lock();
    if matches!(state.phase, Phase::Closed) {
        task.abort();
    } else if state.tasks == number {
        state.task = Some(task);
    }
}

async fn follow(shared: &Shared) {
    let mut backoff = Backoff::default();
    loop {
        // What was found out of the server before is over.
        futures_lite::future::poll_once(shared.dialer.moved.notified()).await;
        let since = Instant::now();
        if let Err(error) = follow_once(shared, &mut backoff).await {
            shared.following.down(&error);
            // One who takes connections and hangs up is not asked all the time.
            if since.elapsed() > LASTING {
                backoff.reset();
            }
            sleep(backoff.next()).await;
        }
    }
}

/// Follows until the connection is lost, or until there is another way to follow.
async fn follow_once(shared: &Shared, backoff: &mut Backoff) -> Result<()> {
    let inbox = Arc::new(Inbox::default());
    let live = shared.dialer.dial(Some(&inbox)).await?;
    if !live.traits.tracks() {
        drop(live);
        return poll(shared, backoff).await;
    }
    // A server that is still loading would have whoever loads now fail, and not tell when it has loaded.
    ask_whether_it_is_there(&live).await?;
    shared.following.up();
    hear(shared, &live, &inbox).await
}

/// Says that nobody follows any longer, when the task ends with its runtime.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        let error = error(ErrorKind::Unavailable, "the runtime that followed the changes has been shut down");
        self.0.following.end(&error, |state| state.is_followed = false);
    }
}

/// Passes on what the server tells, until the connection is lost.
async fn hear(shared: &Shared, live: &Live, inbox: &Inbox) -> Result<()> {
    let mut batch = Batch::new();
    loop {
        tokio::select! {
            () = inbox.told() => {}
            // The address may lead to another server by now, which this connection would never tell of.
            () = shared.dialer.moved.notified() => {
                return Err(error(ErrorKind::Unavailable, "the server is a replica, or was demoted"));
            }
            () = sleep(SILENCE) => {
                ask_whether_it_is_there(live).await?;
                continue;
            }
        }
        let told = inbox.take();
        if told.is_disconnected {
            return Err(error(ErrorKind::Unavailable, "the connection was lost"));
        }
        if let Some(cause) = told.resync {
            shared.following.tell(&Change::Resync { cause }).wake();
            continue;
        }
        let mut keys: VecDeque<_> =
            told.keys.into_iter().filter(|key| shared.keys.name(key).is_some()).collect();
        while !keys.is_empty() {
            let some: Vec<_> = keys.drain(..keys.len().min(batch.size())).collect();
            let answers = live.send_all(&gets(&some)).await;
            let answers = answers.map_err(|failure| of_driver(&failure, Asked::Read))?;
            batch.learn(&answers);
            for (key, answer) in some.iter().zip(answers) {
                let name = shared.keys.name(key).unwrap_or_default();
                shared.following.tell(&change(name, answer)?).wake();
            }
        }
    }
}

/// What a watcher is told of a key. An error of the server that will not pass is one of this record.
fn change(name: &[u8], answer: Value) -> Result<Change> {
    match Record::read(name, answer) {
        Ok(record) => Ok(record.change()),
        Err(error) if error.is_retryable() => Err(error),
        Err(error) => Ok(Change::Bad { name: shown(name), version: None, error }),
    }
}

async fn ask_whether_it_is_there(live: &Live) -> Result<()> {
    let asked = timeout(PATIENCE, live.send(&cmd("PING"))).await.unwrap_or_else(|_| Err(late()));
    match asked.map_err(|failure| of_driver(&failure, Asked::Read))? {
        Value::ServerError(failure) => match of_driver(&failure.into(), Asked::Read) {
            // Who may not ask is answered all the same.
            error if error.kind() == ErrorKind::PermissionDenied => Ok(()),
            error => Err(error),
        },
        _ => Ok(()),
    }
}
