//! The store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Error, Expect, Flag, FlagName, Listed, Page, Result, Store, Version,
    Versioned, Watching, store,
};
use futures_lite::{StreamExt, stream};

use super::builder::ThriftStoreBuilder;
use super::shared::Shared;

/// Keeps flags behind a server of the `FeatureFlagStore` service: any that is right, in whatever language. See the [crate](crate) for what
/// servers can do.
///
/// It needs a Tokio runtime, with its timers and I/O. A call has a connection for itself, out of at most [eight](ThriftStoreBuilder::connections)
/// that are kept. Dropping the store ends what runs in the background and closes the connections; [`close`](Store::close) also waits for it.
///
/// # Examples
///
/// ```
/// use flipper_core::{FeatureFlagClient, ctx};
/// use flipper_memory::MemoryStore;
/// use flipper_thrift::{ThriftServer, ThriftStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
/// // Somewhere else.
/// let flags = FeatureFlagClient::new(MemoryStore::new());
/// let server = ThriftServer::new(flags).address("127.0.0.1:0").start().await?;
///
/// let store = ThriftStore::connect(&server.local_address().to_string()).await?;
/// let client = FeatureFlagClient::new(store);
/// client.create("MY_FEATURE").await?.enable().await?;
/// assert!(client.is_enabled("MY_FEATURE", &ctx! { user_id: 7 }).await);
/// # Ok(()) }
/// ```
pub struct ThriftStore(Arc<Shared>);

impl ThriftStore {
    /// Connects to a server with the default settings: `host`, `host:port` or `thrift://host:port?transport=framed`. The port is 9090
    /// unless told, the transport buffered.
    ///
    /// # Errors
    ///
    /// Those of [`ThriftStoreBuilder::connect`].
    pub async fn connect(address: &str) -> Result<Self> {
        Self::builder(address).connect().await
    }

    /// Starts to choose settings.
    pub fn builder(address: &str) -> ThriftStoreBuilder {
        ThriftStoreBuilder::new(address)
    }

    pub(crate) fn of(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    pub(crate) async fn describe(&self) -> Result<()> {
        self.0.server.describe().await
    }
}

/// Says where an error comes from.
fn at(operation: &'static str, name: FlagName<'_>) -> impl Fn(Error) -> Error {
    move |error| error.with_store("thrift").with_operation(operation).with_flag(name.as_str())
}

#[async_trait]
impl Store for ThriftStore {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        let read = self.0.server.get(name).await.map_err(at("get", name));
        self.0.following.observe(name, &read);
        read
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        let name = FlagName::new(flag.name())?;
        // Whatever becomes of it.
        let _touch = self.0.following.touch(name);
        self.0.server.put(name, flag, expect).await.map_err(at("put", name))
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        let _touch = self.0.following.touch(name);
        self.0.server.delete(name, expect).await.map_err(at("delete", name))
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        let listing = stream::once_future(async move {
            let items: Vec<Result<Listed>> = match self.0.server.list(page).await {
                Ok(listed) => listed.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error.with_store("thrift").with_operation("list"))],
            };
            store::iter(items)
        });
        self.0.following.observe_listing(page, Box::pin(listing.flatten()))
    }

    fn capabilities(&self) -> Capabilities {
        self.0.server.capabilities().with_watch(Watching::Polled)
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        Some(flipper_follow::watch(&self.0))
    }

    async fn close(&self) -> Result<()> {
        self.0.server.pool.close();
        if let Some(task) = self.0.following.close() {
            flipper_follow::ended(task).await;
        }
        Ok(())
    }
}

impl Drop for ThriftStore {
    fn drop(&mut self) {
        self.0.server.pool.close();
        self.0.following.close();
    }
}

impl fmt::Debug for ThriftStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThriftStore")
            .field("server", &self.0.server.pool.place)
            .field("prefix", &self.0.server.prefix)
            .finish_non_exhaustive()
    }
}
