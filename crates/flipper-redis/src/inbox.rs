//! What the server has told, until somebody looks.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flipper_core::ResyncCause;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::Notify;

/// How many keys wait at most. Then everything has to be loaded.
const CAPACITY: usize = 10_000;

/// Takes what the server pushes, without ever holding up the connection.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    told: Mutex<Told>,
    notify: Notify,
}

/// What was told since the last look.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The keys that have changed, each once, in the order in which they were told first.
    pub(crate) keys: Vec<Vec<u8>>,
    waiting: HashSet<Vec<u8>>,
    /// Anything may have changed, and why.
    pub(crate) resync: Option<ResyncCause>,
    pub(crate) is_disconnected: bool,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, push: PushInfo) {
        let mut told = self.lock();
        match push.kind {
            PushKind::Disconnection => told.is_disconnected = true,
            PushKind::Invalidate => match push.data.into_iter().next() {
                Some(Value::Array(keys)) => keys.into_iter().for_each(|key| told.add(key)),
                // `FLUSHALL`, `FLUSHDB`, or a server that no longer knows what it has told.
                _ => told.load_all(ResyncCause::Server),
            },
            _ => return,
        }
        drop(told);
        self.notify.notify_one();
    }

    /// Waits until something was told since the last look.
    pub(crate) async fn told(&self) {
        self.notify.notified().await;
    }

    pub(crate) fn take(&self) -> Told {
        std::mem::take(&mut self.lock())
    }
}

impl Told {
    fn add(&mut self, key: Value) {
        let Value::BulkString(key) = key else { return self.load_all(ResyncCause::Server) };
        if self.resync.is_some() || self.waiting.contains(&key) {
            return;
        }
        if self.keys.len() == CAPACITY {
            return self.load_all(ResyncCause::Overflow);
        }
        self.waiting.insert(key.clone());
        self.keys.push(key);
    }

    fn load_all(&mut self, cause: ResyncCause) {
        self.resync = Some(cause);
        // Whoever loads everything later sees them too.
        self.keys.clear();
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(data: Value) -> PushInfo {
        PushInfo { kind: PushKind::Invalidate, data: vec![data] }
    }

    fn keys(numbers: std::ops::Range<usize>) -> Value {
        Value::Array(numbers.map(|number| Value::BulkString(number.to_string().into_bytes())).collect())
    }

    #[test]
    fn a_key_waits_once_and_in_order() {
        let inbox = Inbox::default();
        inbox.put(push(keys(0..2)));
        inbox.put(push(keys(1..3)));
        assert_eq!(inbox.take().keys, [b"0", b"1", b"2"]);
        inbox.put(push(keys(1..2)));
        assert_eq!(inbox.take().keys, [b"1"]);
    }

    #[test]
    fn more_than_fits_is_to_load_everything() {
        let inbox = Inbox::default();
        inbox.put(push(keys(0..CAPACITY)));
        assert_eq!(inbox.take().resync, None);
        inbox.put(push(keys(0..CAPACITY + 1)));
        inbox.put(push(keys(0..5)));
        let told = inbox.take();
        assert_eq!((told.resync, told.keys.len()), (Some(ResyncCause::Overflow), 0));
        inbox.put(push(Value::Nil));
        assert_eq!(inbox.take().resync, Some(ResyncCause::Server));
    }
}
