//! Waiting for what a replica is told.

use std::borrow::Cow;
use std::time::Duration;

use flipper_core::{Error, ErrorKind};

use super::{Progress, Replica};

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'c> {
    /// All flags, without one.
    pub(crate) name: Option<&'c str>,
    /// Up to this one.
    pub(crate) number: u64,
}

impl Replica {
    /// Waits until a change was told, or says why it was not. With `fails`, also when anything has failed.
    pub(crate) async fn wait(&self, change: Change<'_>, fails: bool) -> Result<(), Error> {
        let _waiting = Waiting::begin(self);
        let before = self.lock().failures;
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            {
                let state = self.lock();
                if state.has_ended {
                    return Err(
                        state.not_yet("nothing is told any more: the store is closed, or its runtime")
                    );
                }
                if !state.queue.is_pending(change.name, change.number) {
                    let refused = match change.name {
                        Some(name) => state.refusals.get(name).or(state.refusal_of_all.as_ref()),
                        None => state.refusal_of_all.as_ref().or_else(|| state.refusals.values().next()),
                    };
                    return refused.map_or(Ok(()), |refusal| Err(refusal.error.clone()));
                }
                if fails && state.failures != before {
                    return Err(state.not_yet("it is tried further in the background"));
                }
            }
            told.await;
        }
    }

    /// Why a change was not told within a time.
    pub(crate) fn late(&self, limit: Duration) -> Error {
        self.lock().not_yet(format!("not within {limit:?}"))
    }
}

impl Progress {
    fn not_yet(&self, message: impl Into<Cow<'static, str>>) -> Error {
        let error = Error::new(ErrorKind::NotReplicated, message);
        match self.recent_error() {
            Some(cause) => {
                error.map_message(|message| format!("{message}: {cause}")).with_source(cause.clone())
            }
            None => error,
        }
    }
}

/// One who waits.
struct Waiting<'r>(&'r Replica);

impl<'r> Waiting<'r> {
    fn begin(replica: &'r Replica) -> Self {
        replica.lock().waiting += 1;
        replica.hurried.notify_waiters();
        Self(replica)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}
