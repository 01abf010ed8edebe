//! The store.

use std::fmt;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Expect, Flag, FlagName, Freshness, Known, Listed, Page, Peek, Result,
    Snapshot, Store, Version, Versioned,
};
use flipper_mirror::MirrorStore;
use futures_lite::Stream;

use crate::builder::ConsulStoreBuilder;
use crate::environment;
use crate::kv::Kv;

/// Keeps flags in Consul, and all of them in memory: see the [crate](crate) for what happens when.
///
/// # Examples
///
/// ```no_run
/// use flipper_consul::ConsulStore;
/// use flipper_core::{FeatureFlagClient, ctx};
///
/// # async fn example() -> flipper_core::Result<()> {
/// let client = FeatureFlagClient::new(ConsulStore::connect("http://127.0.0.1:8500").await?);
/// assert!(client.local()?.is_enabled("MY_FEATURE", &ctx! { user_id: 7 }));
/// # Ok(()) }
/// ```
pub struct ConsulStore {
    mirror: MirrorStore<Kv>,
}

impl ConsulStore {
    pub(crate) fn new(mirror: MirrorStore<Kv>) -> Self {
        Self { mirror }
    }

    /// Makes a store with the default settings, of the agent at `http://host:8500`, `https://host:8501`, `unix:///path` or
    /// `host:8500`, and waits until all flags are in memory.
    ///
    /// # Errors
    ///
    /// As [`ConsulStoreBuilder::connect`].
    pub async fn connect(address: &str) -> Result<Self> {
        Self::builder(address).connect().await
    }

    /// Starts to choose settings.
    pub fn builder(address: &str) -> ConsulStoreBuilder {
        ConsulStoreBuilder::new(address)
    }

    /// Starts with the settings that the environment has for Consul's own programs: `CONSUL_HTTP_ADDR`, `CONSUL_HTTP_TOKEN`,
    /// `CONSUL_HTTP_TOKEN_FILE`, `CONSUL_HTTP_AUTH`, `CONSUL_HTTP_SSL`, `CONSUL_CACERT`, `CONSUL_CLIENT_CERT`, `CONSUL_CLIENT_KEY`,
    /// `CONSUL_NAMESPACE` and `CONSUL_PARTITION`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](flipper_core::ErrorKind::InvalidInput) for a variable that makes no sense or names a file that cannot be read.
    pub fn builder_from_environment() -> Result<ConsulStoreBuilder> {
        environment::builder(|name| std::env::var(name).ok())
    }

    /// Waits until all flags are in memory.
    pub async fn ready(&self) {
        self.mirror.ready().await;
    }

    /// Returns how old the flags are.
    pub fn freshness(&self) -> Freshness {
        self.mirror.freshness()
    }

    /// Follows how old the flags are: what it is now, and then each change.
    pub fn freshness_changes(&self) -> impl Stream<Item = Freshness> + Send + use<> {
        self.mirror.freshness_changes()
    }

    /// Takes Consul at its word that there are no flags any more: see [`MirrorStore::accept_empty`].
    pub fn accept_empty(&self) {
        self.mirror.accept_empty();
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for ConsulStore {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.mirror.get(name).await
    }

    async fn look_up(&self, name: FlagName<'_>) -> Result<Known> {
        self.mirror.look_up(name).await
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        self.mirror.put(flag, expect).await
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        self.mirror.delete(name, expect).await
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        self.mirror.list(page)
    }

    fn capabilities(&self) -> Capabilities {
        self.mirror.capabilities()
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        self.mirror.watch()
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        self.mirror.snapshot()
    }

    fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        self.mirror.peek(name, see);
    }

    async fn close(&self) -> Result<()> {
        self.mirror.close().await
    }
}

impl fmt::Debug for ConsulStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.mirror.get_ref().shared();
        f.debug_struct("ConsulStore")
            .field("agent", &shared.api)
            .field("prefix", &shared.prefix)
            .field("freshness", &self.freshness())
            .finish_non_exhaustive()
    }
}
