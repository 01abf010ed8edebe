//! One edit of a flag at a time, within a client.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_lock::{Mutex as AsyncMutex, MutexGuardArc};

/// The locks of the flags that are being edited. A flag that nobody edits has none.
#[derive(Debug, Default)]
pub(super) struct Locks {
    locks: Mutex<HashMap<Box<str>, Arc<AsyncMutex<()>>>>,
}

/// The right to edit one flag. Dropping it lets the next one in.
pub(super) struct Guard<'l> {
    locks: &'l Locks,
    name: Box<str>,
    // Taken out before the entry is looked at, so that the count there is right.
    held: Option<MutexGuardArc<()>>,
}

impl Locks {
    /// Waits for the right to edit a flag. Nobody waits for ever while others come and go.
    pub(super) async fn lock(&self, name: &str) -> Guard<'_> {
        // Made before waiting, and dropped after the lock's own reference: whoever gives up waiting cleans up as well.
        let mut guard = Guard { locks: self, name: name.into(), held: None };
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            match locks.get(name) {
                Some(lock) => Arc::clone(lock),
                None => Arc::clone(locks.entry(name.into()).or_default()),
            }
        };
        guard.held = Some(lock.lock_arc().await);
        drop(lock);
        guard
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        drop(self.held.take());
        let mut locks = self.locks.locks.lock().unwrap_or_else(PoisonError::into_inner);
        // One reference is the map's own. New ones are only made under this lock.
        if locks.get(&self.name).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.name);
        }
    }
}

thread_local! {
    /// The flags whose handlers run in this thread: the client's address, and the name.
    static IN_HANDLERS: RefCell<Vec<(usize, Box<str>)>> = const { RefCell::new(Vec::new()) };
}

/// Marks that handlers of a flag run in this thread, as long as it lives.
pub(super) struct InHandlers(());

impl InHandlers {
    pub(super) fn enter(client: usize, name: &str) -> Self {
        IN_HANDLERS.with_borrow_mut(|flags| flags.push((client, name.into())));
        Self(())
    }

    /// Whether this thread is in a handler of the flag, so that waiting for the flag would wait for ever.
    pub(super) fn is_in(client: usize, name: &str) -> bool {
        IN_HANDLERS.with_borrow(|flags| flags.iter().any(|(of, flag)| *of == client && **flag == *name))
    }
}

impl Drop for InHandlers {
    fn drop(&mut self) {
        IN_HANDLERS.with_borrow_mut(|flags| {
            flags.pop();
        });
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn locks_of_flags_that_nobody_edits_are_gone() {
        let locks = Locks::default();
        let mut task = Context::from_waker(Waker::noop());
        for gives_up_before_release in [false, true] {
            let mut held = None;
            if let Poll::Ready(guard) = pin!(locks.lock("X")).poll(&mut task) {
                held = Some(guard);
            }
            assert!(held.is_some(), "nobody else holds it");
            {
                let mut waiting = pin!(locks.lock("X"));
                assert!(waiting.as_mut().poll(&mut task).is_pending());
                if !gives_up_before_release {
                    // It is told that it is its turn, and never looks.
                    held = None;
                }
            }
            drop(held);
            assert!(locks.locks.lock().unwrap().is_empty());
        }
    }
}
