//! How much memory all connections together may take for large messages.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::wire::Fault;

/// What each connection has for itself.
pub(crate) const OWN: usize = 128 << 10;

/// In what pieces memory is counted.
const PIECE: usize = 1 << 10;

/// The memory for messages that are larger than what each connection has for itself.
#[derive(Clone, Debug)]
pub(crate) struct Memory(Arc<Semaphore>);

/// The part of it that one connection has at present.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / PIECE).min(u32::MAX as usize))))
    }

    pub(crate) fn share(&self) -> Share {
        Share { memory: Arc::clone(&self.0), held: None }
    }
}

impl Share {
    /// Has at least so much, and gives back what is too much by far. It does not wait: those who have a part would wait for one another.
    pub(crate) fn cover(&mut self, bytes: usize) -> Result<(), Fault> {
        let wanted = bytes.saturating_sub(OWN).div_ceil(PIECE);
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if wanted == 0 {
            self.held = None;
        } else if wanted > held {
            // More than is needed now, so that a message that grows does not ask each time.
            let more = [wanted - held + wanted / 4, wanted - held].into_iter().find_map(|more| {
                let more = u32::try_from(more).ok()?;
                Arc::clone(&self.memory).try_acquire_many_owned(more).ok()
            });
            let more = more.ok_or_else(Fault::busy)?;
            match &mut self.held {
                Some(held) => held.merge(more),
                None => self.held = Some(more),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let memory = Memory::new(1 << 20);
        let (mut one, mut other) = (memory.share(), memory.share());
        one.cover(OWN).unwrap();
        assert_eq!(memory.0.available_permits(), 1024);
        one.cover(OWN + (900 << 10)).unwrap();
        assert!(other.cover(OWN + (200 << 10)).is_err());
        other.cover(OWN + (100 << 10)).unwrap();
        one.cover(OWN).unwrap();
        other.cover(OWN + (900 << 10)).unwrap();
        drop((one, other));
        assert_eq!(memory.0.available_permits(), 1024);
    }
}
