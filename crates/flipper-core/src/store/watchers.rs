//! Who follows a store.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::{BoxStream, Change, ResyncCause};
use crate::Error;

/// How many changes wait for a watcher, at most. Then they are dropped, and it is told to load everything.
const CAPACITY: usize = 1024;

#[derive(Default)]
struct Queue {
    changes: VecDeque<Change>,
    waker: Option<Waker>,
    is_closed: bool,
}

type Shared = Mutex<Queue>;

fn lock(shared: &Shared) -> MutexGuard<'_, Queue> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells changes to those who watch a store: for stores that see all changes themselves.
///
/// Each watcher has a bounded queue of its own, 1,024 changes long, so that a slow one holds up nobody: what does not fit
/// is dropped, and the watcher is told to load everything. Dropping this ends all streams.
///
/// # Examples
///
/// ```
/// use flipper_core::Change;
/// use flipper_core::store::Watchers;
/// use futures_lite::{StreamExt, future};
///
/// let mut watchers = Watchers::default();
/// let mut watch = watchers.subscribe();
/// // Under the lock that orders the store's writes; the wakers wake when it has been given back.
/// let wakers = watchers.tell(&Change::Deleted { name: "X".into(), version: None });
/// wakers.wake();
/// watchers.close().wake();
///
/// assert!(matches!(future::block_on(watch.next()), Some(Change::Resync { .. })));
/// assert!(matches!(future::block_on(watch.next()), Some(Change::Deleted { .. })));
/// assert!(future::block_on(watch.next()).is_none());
/// ```
#[derive(Default)]
pub struct Watchers {
    queues: Vec<Weak<Shared>>,
    is_closed: bool,
}

impl Watchers {
    /// Makes a stream of changes, which begins with [`Change::Resync`]. Once closed, it ends there.
    pub fn subscribe(&mut self) -> BoxStream<'static, Change> {
        self.subscribe_during(None)
    }

    /// As [`subscribe`](Self::subscribe), at a time when the store cannot be followed: after the first item comes
    /// [`Change::Down`] with that error.
    pub fn subscribe_during(&mut self, down: Option<Error>) -> BoxStream<'static, Change> {
        let mut queue = Queue { is_closed: self.is_closed, ..Queue::default() };
        queue.changes.push_back(Change::Resync { cause: ResyncCause::Started });
        queue.changes.extend(down.map(|error| Change::Down { error }));
        let shared = Arc::new(Mutex::new(queue));
        self.queues.retain(|watcher| watcher.strong_count() > 0);
        self.queues.push(Arc::downgrade(&shared));
        Box::pin(Watch(shared))
    }

    /// Tells all watchers, and returns whom to wake once the store is unlocked: a waker is somebody else's code.
    pub fn tell(&mut self, change: &Change) -> Wakers {
        let mut wakers = Vec::new();
        self.queues.retain(|watcher| {
            let Some(shared) = watcher.upgrade() else { return false };
            let mut queue = lock(&shared);
            queue.changes.push_back(change.clone());
            if queue.changes.len() > CAPACITY {
                // That the store is down is nothing that a load would tell.
                let last = queue
                    .changes
                    .iter()
                    .rev()
                    .find(|change| matches!(change, Change::Down { .. } | Change::Resync { .. }));
                let down = last.filter(|last| matches!(last, Change::Down { .. })).cloned();
                queue.changes.clear();
                queue.changes.push_back(Change::Resync { cause: ResyncCause::Overflow });
                queue.changes.extend(down);
            }
            wakers.extend(queue.waker.take());
            true
        });
        Wakers(wakers)
    }

    /// Tells nothing, and returns all who wait for something: to have them look again at what their stream depends on.
    pub fn rouse(&mut self) -> Wakers {
        let queues = self.queues.iter().filter_map(Weak::upgrade);
        Wakers(queues.filter_map(|shared| lock(&shared).waker.take()).collect())
    }

    /// Ends all streams, once what they have been told is read, and those that are made later.
    pub fn close(&mut self) -> Wakers {
        self.is_closed = true;
        let mut wakers = Vec::new();
        for shared in self.queues.drain(..).filter_map(|watcher| watcher.upgrade()) {
            let mut queue = lock(&shared);
            queue.is_closed = true;
            wakers.extend(queue.waker.take());
        }
        Wakers(wakers)
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        self.close().wake();
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers").field("watchers", &self.queues.len()).finish_non_exhaustive()
    }
}

/// Whom to wake.
///
/// # Examples
///
/// ```
/// use flipper_core::Change;
/// use flipper_core::store::Watchers;
///
/// let mut watchers = Watchers::default();
/// let wakers = watchers.tell(&Change::Deleted { name: "X".into(), version: None });
/// // Once the lock of the store has been given back.
/// wakers.wake();
/// ```
#[derive(Debug, Default)]
#[must_use = "whoever waits for a change has to be woken"]
pub struct Wakers(Vec<Waker>);

impl Wakers {
    /// Takes those of another change too.
    pub fn add(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Wakes them.
    pub fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

/// The changes, as one watcher sees them.
struct Watch(Arc<Shared>);

impl Stream for Watch {
    type Item = Change;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Change>> {
        let mut queue = lock(&self.0);
        match queue.changes.pop_front() {
            Some(change) => Poll::Ready(Some(change)),
            None if queue.is_closed => Poll::Ready(None),
            None => {
                queue.waker = Some(task.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn read(watch: &mut BoxStream<'static, Change>) -> Vec<&'static str> {
        let mut read = Vec::new();
        while let Poll::Ready(Some(change)) =
            watch.as_mut().poll_next(&mut Context::from_waker(Waker::noop()))
        {
            read.push(match change {
                Change::Resync { cause: ResyncCause::Started } => "started",
                Change::Resync { cause: ResyncCause::Overflow } => "overflow",
                Change::Down { .. } => "down",
                _ => "change",
            });
        }
        read
    }

    #[test]
    fn that_a_store_is_down_is_not_forgotten() {
        let error = || Error::new(ErrorKind::Unavailable, "away");
        let touched = Change::Touched { name: "X".into() };
        let mut watchers = Watchers::default();
        let mut watch = watchers.subscribe();
        for _ in 0..CAPACITY * 3 / 2 {
            watchers.tell(&touched).wake();
        }
        watchers.tell(&Change::Down { error: error() }).wake();
        for _ in 0..CAPACITY - 100 {
            watchers.tell(&touched).wake();
        }
        let seen = read(&mut watch);
        assert_eq!(seen[..3], ["overflow", "down", "change"]);
        assert!(seen.len() <= CAPACITY);
        assert_eq!(read(&mut watchers.subscribe_during(Some(error()))), ["started", "down"]);
    }
}
