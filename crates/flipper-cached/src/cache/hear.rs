//! What the store's watch tells.

use flipper_core::{Change, Error, Timestamp, Version};

use super::Cache;

impl Cache {
    /// Takes what the store's watch tells.
    pub(crate) fn hear(&self, change: &Change, now: Timestamp) {
        match change {
            Change::Put(found) => self.hear_of(found.value.name(), Some(&found.version)),
            Change::Deleted { name, .. } => self.hear_of(name, None),
            Change::Touched { name } | Change::Bad { name, .. } => self.outdate(&mut self.lock(), name),
            Change::Down { error } => self.set_unfollowed(error, now),
            // `Resync`, and what is not known.
            _ => {
                self.unfollowed.clear();
                self.outdate_all();
            }
        }
    }

    pub(crate) fn set_unfollowed(&self, error: &Error, now: Timestamp) {
        self.unfollowed.set(error, now);
    }

    fn hear_of(&self, name: &str, version: Option<&Version>) {
        let mut state = self.lock();
        state.happened(name);
        // What is told of a write of ours is known.
        self.doubt(name, version);
    }
}
