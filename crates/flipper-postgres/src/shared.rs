//! What the store and its task have in common: following, by notices of the server or by polling.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{Page, Result};
use flipper_follow::{Follow, Following};
use futures_lite::StreamExt;

use crate::list::list;
use crate::listen::{Dialer, listen};
use crate::server::Server;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) server: Server,
    pub(crate) dialer: Dialer,
    pub(crate) following: Following,
    pub(crate) poll_interval: Duration,
    pub(crate) polls_only: bool,
    /// Whether the server tells of changes, as far as that was found out.
    pub(crate) is_told: AtomicBool,
}

#[async_trait]
impl Follow for Shared {
    fn following(&self) -> &Following {
        &self.following
    }

    fn patience(&self) -> Duration {
        self.server.limit.saturating_mul(3)
    }

    async fn follow(self: Arc<Self>) -> Result<()> {
        let looked = self.server.look().await?;
        let is_told = looked.tells && !self.polls_only;
        self.is_told.store(is_told, Ordering::Relaxed);
        if is_told {
            return listen(&self, looked.number).await;
        }
        let listing = || list(Arc::clone(&self), Page::ALL).try_collect();
        self.following.poll(self.poll_interval, listing, || false).await
    }
}
