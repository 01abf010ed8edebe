//! One way or the other: what flipper-client's decorator does.

use super::FeatureFlagClient;
use crate::Context;

/// Runs one of two closures, by whether a flag is on: what [`FeatureFlagClient::when`] returns.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_core::ctx;
///
/// # futures_lite::future::block_on(async {
/// # let client = FeatureFlagClient::new(MemoryStore::new());
/// # client.create("IMPROVED_HORSE_SOUNDS").await?.enable().await?;
/// let context = ctx! { is_horse_lover: true };
/// let sound = client.when("IMPROVED_HORSE_SOUNDS", &context).run(|| "Whinny", || "Neigh").await;
/// assert_eq!(sound, "Whinny");
///
/// let sound = client.when("IMPROVED_HORSE_SOUNDS", &context).run_async(async || "Whinny", async || "Neigh").await;
/// assert_eq!(sound, "Whinny");
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing runs until `run` or `run_async`"]
pub struct When<'c> {
    client: &'c FeatureFlagClient,
    name: &'c str,
    context: &'c Context<'c>,
    default: bool,
}

impl<'c> When<'c> {
    pub(super) fn new(client: &'c FeatureFlagClient, name: &'c str, context: &'c Context<'c>) -> Self {
        Self { client, name, context, default: false }
    }

    /// Chooses what counts if there is no such flag, or if nobody can tell; off unless told.
    pub fn or(mut self, default: bool) -> Self {
        self.default = default;
        self
    }

    /// Runs `on` if the flag is on, else `off`.
    pub async fn run<T>(self, on: impl FnOnce() -> T, off: impl FnOnce() -> T) -> T {
        if self.is_on().await { on() } else { off() }
    }

    /// Runs and awaits `on` if the flag is on, else `off`.
    pub async fn run_async<T>(self, on: impl AsyncFnOnce() -> T, off: impl AsyncFnOnce() -> T) -> T {
        if self.is_on().await { on().await } else { off().await }
    }

    async fn is_on(&self) -> bool {
        self.client.is_enabled_or(self.name, self.context, self.default).await
    }
}
