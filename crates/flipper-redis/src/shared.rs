//! What the store, its streams and its task have in common.

use std::sync::Arc;
use std::time::Duration;

use flipper_follow::Following;
use tokio::task::JoinHandle;

use crate::dial::Dialer;
use crate::keys::Keys;
use crate::servers::Servers;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) keys: Keys,
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) servers: Servers,
    pub(crate) following: Following,
    pub(crate) poll_interval: Duration,
}

impl Shared {
    /// Ends everything. Returns the task that follows, which ends soon.
    pub(crate) fn close(&self) -> Option<JoinHandle<()>> {
        self.dialer.close();
        self.servers.close();
        self.following.close()
    }
}
