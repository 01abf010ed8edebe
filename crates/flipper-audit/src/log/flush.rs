//! Flushes a file now and then.

use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::audit_log::{Report, unavailable};

/// When lines are flushed to the disk, so that they survive a crash of the machine. What a process has written survives its own death without that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fsync {
    /// Each line, before the verb returns. The default.
    #[default]
    Always,
    /// So long after the first line that was not flushed, by a thread.
    Every(Duration),
    /// When the system likes to, and when a file is full.
    Never,
}

/// A thread that flushes what was written a while ago.
#[derive(Debug)]
pub(super) struct Flusher(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    due: Option<Arc<File>>,
    is_closed: bool,
}

impl Flusher {
    pub(super) fn start(every: Duration, report: Report) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("flipper-audit".to_owned())
            .spawn(move || theirs.run(every, &report))?;
        Ok(Self(shared))
    }

    /// Says that a file is to be flushed.
    pub(super) fn is_due(&self, file: &Arc<File>) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.due.is_none() {
            state.due = Some(Arc::clone(file));
            self.0.changed.notify_one();
        } else {
            // One that is full was flushed when it was left.
            state.due = Some(Arc::clone(file));
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn run(&self, every: Duration, report: &Report) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let wait = self.changed.wait_while(state, |state| state.due.is_none() && !state.is_closed);
            state = wait.unwrap_or_else(PoisonError::into_inner);
            let wait = self.changed.wait_timeout_while(state, every, |state| !state.is_closed);
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
            let (due, is_closed) = (state.due.take(), state.is_closed);
            drop(state);
            if let Some(Err(error)) = due.map(|file| file.sync_data()) {
                report(&unavailable("flush", &error));
            }
            if is_closed {
                return;
            }
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }
}
