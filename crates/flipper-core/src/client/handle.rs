//! A flag by name, with the verbs of the client.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::FeatureFlagClient;
use crate::json::Object;
use crate::{Bucketer, Condition, Context, Evaluation, Explanation, Flag, Result};

/// Names one flag of a client, whether it exists or not: what [`FeatureFlagClient::get`] and
/// [`FeatureFlagClient::create`] return.
///
/// Each method is the client's of the same name, and fails as that does.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_core::Context;
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let flag = client.get("X");
/// assert!(!flag.exists().await?);
///
/// let flag = client.create("X").await?;
/// flag.enable().await?;
/// assert!(flag.is_enabled(&Context::EMPTY).await);
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone)]
pub struct FeatureFlag {
    client: FeatureFlagClient,
    name: Arc<str>,
}

impl FeatureFlag {
    pub(super) fn new(client: FeatureFlagClient, name: &str) -> Self {
        Self { client, name: name.into() }
    }

    /// Returns the flag's name.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// assert_eq!(client.get("CHECKOUT").name(), "CHECKOUT");
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the client.
    pub fn client(&self) -> &FeatureFlagClient {
        &self.client
    }

    /// As [`FeatureFlagClient::is_enabled`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let flag = client.create("CHECKOUT").await?;
    /// assert!(!flag.is_enabled(&ctx! { user_id: 7 }).await);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn is_enabled(&self, context: &Context<'_>) -> bool {
        self.client.is_enabled(&self.name, context).await
    }

    /// As [`FeatureFlagClient::is_enabled_or`].
    pub async fn is_enabled_or(&self, context: &Context<'_>, default: bool) -> bool {
        self.client.is_enabled_or(&self.name, context, default).await
    }

    /// As [`FeatureFlagClient::try_is_enabled`].
    ///
    /// # Errors
    ///
    /// The client's.
    pub async fn try_is_enabled(&self, context: &Context<'_>) -> Result<bool> {
        self.client.try_is_enabled(&self.name, context).await
    }

    /// As [`FeatureFlagClient::evaluate`].
    ///
    /// # Errors
    ///
    /// The client's.
    pub async fn evaluate(&self, context: &Context<'_>, default: bool) -> Result<Evaluation> {
        self.client.evaluate(&self.name, context, default).await
    }

    /// As [`FeatureFlagClient::explain`].
    ///
    /// # Errors
    ///
    /// The client's.
    pub async fn explain(&self, context: &Context<'_>) -> Result<Explanation> {
        self.client.explain(&self.name, context).await
    }

    /// As [`FeatureFlagClient::exists`].
    ///
    /// # Errors
    ///
    /// The client's.
    pub async fn exists(&self) -> Result<bool> {
        self.client.exists(&self.name).await
    }

    /// As [`FeatureFlagClient::enable`].
    ///
    /// # Errors
    ///
    /// The client's.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let flag = client.create("CHECKOUT").await?;
    /// flag.enable().await?;
    /// assert!(flag.is_enabled(&Context::EMPTY).await);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn enable(&self) -> Result<()> {
        self.client.enable(&self.name).await
    }

    /// As [`FeatureFlagClient::disable`].
    ///
    /// # Errors
    ///
    /// The client's.
    pub async fn disable(&self) -> Result<()> {
        self.client.disable(&self.name).await
    }

    /// As [`FeatureFlagClient::destroy`].
    ///
    /// # Errors
    ///
    /// The client's.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let flag = client.create("CHECKOUT").await?;
    /// flag.destroy().await?;
    /// assert!(!flag.exists().await?);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn destroy(&self) -> Result<()> {
        self.client.destroy(&self.name).await
    }

    /// As [`FeatureFlagClient::set_client_data`].
    ///
    /// # Errors
    ///
    /// The client's.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let flag = client.create("CHECKOUT").await?;
    /// flag.set_client_data([("owner", "payments")]).await?;
    /// assert_eq!(flag.get_client_data().await?["owner"], "payments");
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn set_client_data(&self, data: impl Into<Object>) -> Result<()> {
        self.client.set_client_data(&self.name, data).await
    }

    /// As [`FeatureFlagClient::get_client_data`].
    ///
    /// # Errors
    ///
    /// The client's.
    pub async fn get_client_data(&self) -> Result<Map<String, Value>> {
        self.client.get_client_data(&self.name).await
    }

    /// As [`FeatureFlagClient::get_meta`].
    ///
    /// # Errors
    ///
    /// The client's.
    pub async fn get_meta(&self) -> Result<Value> {
        self.client.get_meta(&self.name).await
    }

    /// As [`FeatureFlagClient::add_condition`].
    ///
    /// # Errors
    ///
    /// The client's.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, ErrorKind, FeatureFlagClient, Percentage, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let flag = client.create("CHECKOUT").await?;
    /// flag.add_condition(&Condition::builder().eq("plan", "gold").build()?).await?;
    /// flag.enable().await?;
    /// assert!(flag.is_enabled(&ctx! { plan: "gold" }).await);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn add_condition(&self, condition: &Condition) -> Result<()> {
        self.client.add_condition(&self.name, condition).await
    }

    /// As [`FeatureFlagClient::set_conditions`].
    ///
    /// # Errors
    ///
    /// The client's.
    pub async fn set_conditions(&self, conditions: &[Condition]) -> Result<()> {
        self.client.set_conditions(&self.name, conditions).await
    }

    /// As [`FeatureFlagClient::set_bucketer`].
    ///
    /// # Errors
    ///
    /// The client's.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, ErrorKind, FeatureFlagClient, Percentage, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let flag = client.create("CHECKOUT").await?;
    /// flag.enable().await?;
    /// flag.set_bucketer(&Bucketer::percentage(Percentage::new(0.0)?)).await?;
    /// assert!(!flag.is_enabled(&Context::EMPTY).await);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn set_bucketer(&self, bucketer: &Bucketer) -> Result<()> {
        self.client.set_bucketer(&self.name, bucketer).await
    }

    /// As [`FeatureFlagClient::update`].
    ///
    /// # Errors
    ///
    /// The client's.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let flag = client.create("CHECKOUT").await?;
    /// // One write, and the events of both.
    /// flag.update(|flag| {
    ///     flag.set_enabled(true)?;
    ///     flag.merge_client_data([("owner", "payments")])
    /// })
    /// .await?;
    /// assert!(flag.is_enabled(&Context::EMPTY).await);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn update<E>(&self, edit: E) -> Result<()>
    where
        E: FnMut(&mut Flag) -> Result<()> + Send,
    {
        self.client.update(&self.name, edit).await
    }
}

impl fmt::Debug for FeatureFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FeatureFlag").field(&self.name).finish()
    }
}
