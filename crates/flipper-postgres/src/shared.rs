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
use crate::server::{Looked, Server};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) server: Server,
    pub(crate) dialer: Dialer,
    pub(crate) following: Following,
    pub(crate) poll_interval: Duration,
    pub(crate) polls_only: bool,
    /// Whether the server tells of changes, as far as that was found out.
    pub(crate) is_told: AtomicBool,
    /// Whether notices do not come through, as behind a pooler that nobody has told of.
    pub(crate) is_deaf: AtomicBool,
}

impl Shared {
    /// Finds out what the table is, and whether its changes are told here.
    pub(crate) async fn look(&self) -> Result<Looked> {
        let looked = self.server.look().await?;
        let is_told = looked.tells && !self.polls_only && !self.is_deaf.load(Ordering::Relaxed);
        self.is_told.store(is_told, Ordering::Relaxed);
        Ok(looked)
    }
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
        let looked = self.look().await?;
        let is_told = || self.is_told.load(Ordering::Relaxed);
        if is_told() {
            return listen(&self, &looked).await;
        }
        // A standby may become a primary, and a table may get its triggers.
        let listing = || async {
            self.look().await?;
            list(Arc::clone(&self), Page::ALL).try_collect().await
        };
        self.following.poll(self.poll_interval, listing, is_told).await
    }
}
