//! Who watches, and what is known of whether that works at present.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flipper_core::store::{Wakers, Watchers};
use flipper_core::{Change, Error, ResyncCause};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::poll::Polled;

/// Tells those who watch what changes, and keeps whether that works at present. A store has one.
///
/// # Examples
///
/// ```
/// use flipper_core::Change;
/// use flipper_follow::Following;
///
/// let following = Following::new("mine");
/// assert_eq!(following.store(), "mine");
/// // To all who watch: nobody yet.
/// following.tell(&Change::Touched { name: "X".into() });
/// ```
#[derive(Debug)]
pub struct Following {
    store: &'static str,
    state: Mutex<State>,
    /// Wakes those who wait for the first attempt to end.
    pub(crate) tried: Notify,
    pub(crate) polled: Polled,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) watchers: Watchers,
    pub(crate) phase: Phase,
    pub(crate) task: Option<JoinHandle<()>>,
    /// Whether there is a task that has not ended.
    pub(crate) is_followed: bool,
    /// How many there have been.
    pub(crate) tasks: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) enum Phase {
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
    /// Makes one of nobody yet. Errors and logs name the store, in lower case: `"redis"`.
    pub fn new(store: &'static str) -> Self {
        Self { store, state: Mutex::default(), tried: Notify::new(), polled: Polled::default() }
    }

    /// Returns the store's name.
    pub fn store(&self) -> &'static str {
        self.store
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes whom it concerns when it is unlocked.
    fn change(&self, change: impl FnOnce(&mut State) -> Wakers) {
        let mut state = self.lock();
        let wakers = change(&mut state);
        drop(state);
        wakers.wake();
    }

    /// Says that from now on no change is missed. After an outage, that is told as a [`Change::Resync`].
    pub fn up(&self) {
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

    /// Says that changes cannot be followed at present.
    pub(crate) fn down(&self, error: &Error) {
        self.end(error, |_| {});
    }

    /// Says that nobody follows at present, and changes the state with that.
    pub(crate) fn end(&self, error: &Error, change: impl FnOnce(&mut State)) {
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
            log::warn!(target: "flipper::follow", "changes cannot be followed at present: {error}");
        }
    }

    /// Tells a change, and returns whom to wake.
    pub(crate) fn told(&self, change: &Change) -> Wakers {
        self.lock().watchers.tell(change)
    }

    /// Tells a change to all who watch.
    pub fn tell(&self, change: &Change) {
        self.told(change).wake();
    }

    /// Ends all watches and the task that follows, and returns it: it ends soon.
    pub fn close(&self) -> Option<JoinHandle<()>> {
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

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("watchers", &self.watchers)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
