//! What the store, its streams and its task have in common.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{Page, Result};
use flipper_follow::{Follow, Following};
use futures_lite::StreamExt;

use crate::api::Api;
use crate::list::{Seen, list};
use crate::write::Habits;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) api: Api,
    /// What the keys of all flags begin with.
    pub(crate) prefix: String,
    pub(crate) page_size: usize,
    pub(crate) concurrency: usize,
    pub(crate) poll_interval: Duration,
    pub(crate) habits: Habits,
    pub(crate) seen: Seen,
    pub(crate) following: Following,
}

#[async_trait]
impl Follow for Shared {
    fn following(&self) -> &Following {
        &self.following
    }

    fn patience(&self) -> Duration {
        // A listing is many requests, and each object is read by the first one.
        self.api.timeout.saturating_mul(6)
    }

    async fn follow(self: Arc<Self>) -> Result<()> {
        let listing = || list(Arc::clone(&self), Page::ALL).try_collect();
        self.following.poll(self.poll_interval, listing, || false).await
    }
}
