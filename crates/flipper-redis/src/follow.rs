//! Following the changes of all writers, for any number of watchers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use flipper_core::store::{Diff, Wakers, Watchers};
use flipper_core::{BoxStream, Change, Error, ErrorKind, Page, Result, ResyncCause};
use futures_lite::{StreamExt, stream};
use redis::cmd;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::error::{Asked, error, of_driver};
use crate::inbox::Inbox;
use crate::link::Backoff;
use crate::list::{gets, list};
use crate::record::Record;
use crate::shared::Shared;
use crate::wire::Live;

/// How long nothing may be told before the server is asked whether it is still there: a connection can be dead for long
/// without either side noticing.
const SILENCE: Duration = Duration::from_secs(5);
/// How many changed keys are read at once.
const BATCH: usize = 128;

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
    fn up(&self) {
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

    fn down(&self, error: Error) {
        self.change(|state| match state.phase {
            Phase::Closed | Phase::Down(_) => Wakers::default(),
            Phase::Idle | Phase::Starting | Phase::Up => {
                log::warn!(target: "flipper::redis", "changes cannot be followed at present: {error}");
                state.phase = Phase::Down(error.clone());
                state.watchers.tell(&Change::Down { error })
            }
        });
        self.tried.notify_waiters();
    }

    fn tell(&self, change: &Change) {
        self.change(|state| state.watchers.tell(change));
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
    Box::pin(stream::once_future(subscribe(shared)).flatten())
}

async fn subscribe(shared: Weak<Shared>) -> BoxStream<'static, Change> {
    let Some(shared) = shared.upgrade() else { return Box::pin(stream::empty()) };
    start(&shared);
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
        tried.await;
    }
}

/// Starts the task, unless there is one that runs.
fn start(shared: &Arc<Shared>) {
    let mut state = shared.following.lock();
    if matches!(state.phase, Phase::Closed) || state.task.as_ref().is_some_and(|task| !task.is_finished()) {
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
    state.task = Some(runtime.spawn(follow(Arc::clone(shared))));
}

async fn follow(shared: Arc<Shared>) {
    let mut backoff = Backoff::default();
    let _ended = Ended(&shared.following);
    loop {
        let inbox = Arc::new(Inbox::default());
        let down = match shared.dialer.dial(Some(&inbox)).await {
            Ok(live) if live.traits.tracks() => {
                backoff.reset();
                shared.following.up();
                let lost = hear(&shared, &live, &inbox).await;
                Some(lost.err().unwrap_or_else(|| error(ErrorKind::Unavailable, "the connection was lost")))
            }
            Ok(live) => {
                drop(live);
                poll(&shared, &mut backoff).await.err()
            }
            Err(error) => Some(error),
        };
        if let Some(error) = down {
            shared.following.down(error);
            sleep(backoff.next()).await;
        }
    }
}

/// Says that nobody follows any longer, when the task ends with its runtime.
struct Ended<'f>(&'f Following);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0
            .down(error(ErrorKind::Unavailable, "the runtime that followed the changes has been shut down"));
    }
}

/// Passes on what the server tells, until the connection is lost.
async fn hear(shared: &Shared, live: &Live, inbox: &Inbox) -> Result<()> {
    loop {
        if timeout(SILENCE, inbox.told()).await.is_err() {
            live.send(&cmd("PING")).await.map_err(|failure| of_driver(&failure, Asked::Read))?;
            continue;
        }
        let told = inbox.take();
        if told.is_disconnected {
            return Ok(());
        }
        if let Some(cause) = told.resync {
            shared.following.tell(&Change::Resync { cause });
            continue;
        }
        let keys: Vec<_> = told.keys.into_iter().filter(|key| shared.keys.name(key).is_some()).collect();
        for keys in keys.chunks(BATCH) {
            let answers = live.send_all(&gets(keys)).await;
            let answers = answers.map_err(|failure| of_driver(&failure, Asked::Read))?;
            for (key, answer) in keys.iter().zip(answers) {
                let name = shared.keys.name(key).unwrap_or_default();
                shared.following.tell(&Record::read(name, answer)?.change());
            }
        }
    }
}

/// Lists again and again, until that fails, or the server turns out to be able to tell.
async fn poll(shared: &Shared, backoff: &mut Backoff) -> Result<()> {
    let mut diff: Option<Diff> = None;
    loop {
        let listed = list(&shared.link, &shared.keys, Page::ALL).try_collect::<_, _, Vec<_>>().await?;
        backoff.reset();
        if let Some(diff) = &mut diff {
            diff.next(listed).iter().for_each(|change| shared.following.tell(change));
        } else {
            diff.get_or_insert_default().next(listed);
            shared.following.up();
        }
        sleep(shared.poll_interval.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
        if !shared.dialer.must_poll() {
            return Ok(());
        }
    }
}
