//! Watchers: each has a bounded queue of its own, so that a slow one holds up nobody.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use flipper_core::{Change, Flag, ResyncCause, Version, Versioned};
use futures_core::Stream;

/// How many changes wait for a watcher, at most. Then they are dropped, and it is told to load everything.
pub(crate) const CAPACITY: usize = 1024;

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

/// All watchers of a store. Dropping it ends their streams.
#[derive(Default)]
pub(crate) struct Watchers(Vec<Weak<Shared>>);

/// The changes, as one watcher sees them.
pub(crate) struct Watch(Arc<Shared>);

/// What a watcher is told.
pub(crate) enum Told<'f> {
    Put(&'f Flag, &'f Version),
    Deleted(&'f str),
}

impl Watchers {
    pub(crate) fn subscribe(&mut self) -> Watch {
        let mut queue = Queue::default();
        queue.changes.push_back(Change::Resync { cause: ResyncCause::Started });
        let shared = Arc::new(Mutex::new(queue));
        self.0.retain(|watcher| watcher.strong_count() > 0);
        self.0.push(Arc::downgrade(&shared));
        Watch(shared)
    }

    /// Tells all watchers, and returns whom to wake once the store is unlocked: a waker is somebody else's code.
    pub(crate) fn tell(&mut self, told: &Told<'_>) -> Wakers {
        let mut wakers = Vec::new();
        self.0.retain(|watcher| {
            let Some(shared) = watcher.upgrade() else { return false };
            let mut queue = lock(&shared);
            if queue.changes.len() >= CAPACITY {
                queue.changes.clear();
                queue.changes.push_back(Change::Resync { cause: ResyncCause::Overflow });
            } else {
                queue.changes.push_back(match told {
                    Told::Put(flag, version) => {
                        Change::Put(Versioned { value: (*flag).clone(), version: (*version).clone() })
                    }
                    Told::Deleted(name) => Change::Deleted { name: (*name).into(), version: None },
                });
            }
            wakers.extend(queue.waker.take());
            true
        });
        Wakers(wakers)
    }

    pub(crate) fn close(&mut self) -> Wakers {
        let mut wakers = Vec::new();
        for shared in self.0.drain(..).filter_map(|watcher| watcher.upgrade()) {
            let mut queue = lock(&shared);
            queue.is_closed = true;
            wakers.extend(queue.waker.take());
        }
        Wakers(wakers)
    }
}

/// Whom to wake.
#[must_use]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(crate) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        self.close().wake();
    }
}

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
