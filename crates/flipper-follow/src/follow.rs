//! One task that follows, for all who watch.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{BoxStream, Change, Error, ErrorKind, Result};
use futures_lite::{Stream, StreamExt, stream};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::backoff::Backoff;
use crate::following::{Following, Phase};

/// How long an attempt has to last to count as one that works.
const LASTING: Duration = Duration::from_secs(2);

/// Something whose changes can be followed.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use async_trait::async_trait;
/// use flipper_core::{Change, Result};
/// use flipper_follow::{Follow, Following};
///
/// /// A backend that tells of one change, and of nothing else.
/// struct Backend(Following);
///
/// #[async_trait]
/// impl Follow for Backend {
///     fn following(&self) -> &Following {
///         &self.0
///     }
///
///     fn patience(&self) -> Duration {
///         Duration::from_secs(5)
///     }
///
///     async fn follow(self: Arc<Self>) -> Result<()> {
///         // The subscription is active: nothing is missed from here on.
///         self.0.up();
///         self.0.tell(&Change::Touched { name: "X".into() });
///         std::future::pending().await
///     }
/// }
/// # let _ = Backend(Following::new("mine"));
/// ```
#[async_trait]
pub trait Follow: Send + Sync + 'static {
    /// Returns who watches.
    fn following(&self) -> &Following;

    /// Returns how long the first attempt may take, before those who watch are told that it does not work at present.
    fn patience(&self) -> Duration;

    /// Follows until that fails, or until there is another way to follow: then it is called again.
    ///
    /// It says [`up`](Following::up) once no change is missed from then on, and [tells](Following::tell) them; or it [polls](Following::poll).
    /// It is dropped, wherever it stands, when the store is closed.
    async fn follow(self: Arc<Self>) -> Result<()>;
}

/// Makes a stream of changes, as [`Store::watch`](flipper_core::Store::watch) returns it. It subscribes when it is looked at for the
/// first time, which has to be inside of a Tokio runtime, and ends when the store is [closed](Following::close) or dropped.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use flipper_core::Change;
/// use flipper_follow::{Following, watch};
/// use futures_lite::StreamExt;
///
/// # use std::time::Duration;
/// # use async_trait::async_trait;
/// # use flipper_core::Result;
/// # use flipper_follow::Follow;
/// # struct Backend(Following);
/// # #[async_trait]
/// # impl Follow for Backend {
/// #     fn following(&self) -> &Following { &self.0 }
/// #     fn patience(&self) -> Duration { Duration::from_secs(5) }
/// #     async fn follow(self: Arc<Self>) -> Result<()> { self.0.up(); std::future::pending().await }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
/// let backend = Arc::new(Backend(Following::new("mine")));
/// let mut changes = watch(&backend);
/// assert!(matches!(changes.next().await, Some(Change::Resync { .. })));
/// drop(backend);
/// # Ok(()) }
/// ```
pub fn watch<F: Follow>(followed: &Arc<F>) -> BoxStream<'static, Change> {
    let followed = Arc::downgrade(followed);
    let changes = stream::once_future(subscribe(Weak::clone(&followed))).flatten();
    Box::pin(Watch { followed, changes: Box::pin(changes) })
}

/// Waits, for a second at the most, until a task that was told to end has ended: that of a [closed](Following::close) store.
///
/// It ends by force, or with its runtime; one that nobody drives would not end. Outside of a runtime nothing is waited for.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use flipper_follow::{Following, ended, watch};
/// use futures_lite::StreamExt;
///
/// # use std::time::Duration;
/// # use async_trait::async_trait;
/// # use flipper_core::Result;
/// # use flipper_follow::Follow;
/// # struct Backend(Following);
/// # #[async_trait]
/// # impl Follow for Backend {
/// #     fn following(&self) -> &Following { &self.0 }
/// #     fn patience(&self) -> Duration { Duration::from_secs(5) }
/// #     async fn follow(self: Arc<Self>) -> Result<()> { self.0.up(); std::future::pending().await }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
/// # let backend = Arc::new(Backend(Following::new("mine")));
/// # watch(&backend).next().await;
/// // What the store's own `close` does.
/// if let Some(task) = backend.following().close() {
///     ended(task).await;
/// }
/// # Ok(()) }
/// ```
pub async fn ended(task: JoinHandle<()>) {
    if Handle::try_current().is_ok() {
        let _ = timeout(Duration::from_secs(1), task).await;
    }
}

/// One who watches, and who sees to it that somebody follows: the runtime that did may have ended.
struct Watch<F> {
    followed: Weak<F>,
    changes: BoxStream<'static, Change>,
}

impl<F: Follow> Stream for Watch<F> {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Change>> {
        if let Some(followed) = self.followed.upgrade() {
            start(&followed);
        }
        self.changes.as_mut().poll_next(task)
    }
}

async fn subscribe<F: Follow>(followed: Weak<F>) -> BoxStream<'static, Change> {
    let Some(followed) = followed.upgrade() else { return Box::pin(stream::empty()) };
    let following = followed.following();
    loop {
        let tried = following.tried.notified();
        tokio::pin!(tried);
        tried.as_mut().enable();
        {
            let mut state = following.lock();
            match state.phase.clone() {
                Phase::Idle | Phase::Starting => {}
                Phase::Up | Phase::Closed => return state.watchers.subscribe(),
                Phase::Down(error) => return state.watchers.subscribe_during(Some(error)),
            }
        }
        if Handle::try_current().is_err() {
            // Without a timer, somebody else's attempt has to end.
            tried.await;
        } else if timeout(followed.patience(), tried).await.is_err() {
            // Longer only if nothing drives the runtime in which somebody else has started to follow.
            let message = "the server cannot be asked in time";
            following.down(&error(following, ErrorKind::Unavailable, message));
        }
    }
}

/// Starts the task, unless there is one that runs.
fn start<F: Follow>(followed: &Arc<F>) {
    let following = followed.following();
    let mut state = following.lock();
    if matches!(state.phase, Phase::Closed) || state.is_followed {
        return;
    }
    let Ok(runtime) = Handle::try_current() else {
        let message = "this store needs a Tokio runtime: watch it from inside of one";
        state.phase = Phase::Down(error(following, ErrorKind::Unsupported, message));
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
    let ended = Ended(Arc::clone(followed));
    let task = runtime.spawn(async move { follow(&ended.0).await });
    let mut state = following.lock();
    if matches!(state.phase, Phase::Closed) {
        task.abort();
    } else if state.tasks == number {
        state.task = Some(task);
    }
}

async fn follow<F: Follow>(followed: &Arc<F>) {
    let mut backoff = Backoff::default();
    loop {
        let since = Instant::now();
        if let Err(error) = Arc::clone(followed).follow().await {
            followed.following().down(&error);
            // One who takes connections and hangs up is not asked all the time.
            if since.elapsed() > LASTING {
                backoff.reset();
            }
            sleep(backoff.next_wait()).await;
        }
    }
}

/// Says that nobody follows any longer, when the task ends with its runtime.
struct Ended<F: Follow>(Arc<F>);

impl<F: Follow> Drop for Ended<F> {
    fn drop(&mut self) {
        let following = self.0.following();
        let message = "the runtime that followed the changes has been shut down";
        following.end(&error(following, ErrorKind::Unavailable, message), |state| state.is_followed = false);
    }
}

fn error(following: &Following, kind: ErrorKind, message: &'static str) -> Error {
    Error::new(kind, message).with_store(following.store())
}
