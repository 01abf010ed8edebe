//! What the store and its task have in common.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{Page, Result};
use flipper_follow::{Follow, Following};

use super::server::Server;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) server: Server,
    pub(crate) following: Following,
    pub(crate) poll_interval: Duration,
    pub(crate) patience: Duration,
}

#[async_trait]
impl Follow for Shared {
    fn following(&self) -> &Following {
        &self.following
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    async fn follow(self: Arc<Self>) -> Result<()> {
        let listing = || self.server.list(Page::ALL);
        self.following.poll(self.poll_interval, listing, || false).await
    }
}
