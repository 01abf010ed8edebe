//! A write that is under way in the primary.

use std::sync::Arc;

use flipper_core::{ErrorKind, Result};

use crate::queue::State;
use crate::replica::Replica;

/// A write that is under way in the primary.
pub(crate) struct Write<'w> {
    replicas: &'w [Arc<Replica>],
    name: &'w str,
    began: Vec<u64>,
    is_over: bool,
}

impl<'w> Write<'w> {
    pub(crate) fn begin(replicas: &'w [Arc<Replica>], name: &'w str) -> Self {
        let began = replicas.iter().map(|replica| replica.begin_write(name)).collect();
        Self { replicas, name, began, is_over: false }
    }

    /// Tells the replicas what has come of it; returns the numbers of the change.
    pub(crate) fn end<T>(mut self, written: &Result<T>, state: impl Fn(&T) -> State) -> Vec<u64> {
        self.is_over = true;
        let state = match written {
            Ok(value) => Some(state(value)),
            // It stands, or may have happened: whatever is there is told.
            Err(error) if matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::NotReplicated) => {
                Some(State::Unknown)
            }
            Err(_) => None,
        };
        self.add(state.as_ref())
    }

    fn add(&self, state: Option<&State>) -> Vec<u64> {
        let end = |(replica, began): (&Arc<Replica>, &u64)| replica.end_write(self.name, *began, state);
        self.replicas.iter().zip(&self.began).map(end).collect()
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            // Nobody waits for it any longer, and it may have happened, or happen yet.
            self.add(Some(&State::Unknown));
        }
    }
}
