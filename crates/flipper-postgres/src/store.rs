//! The store.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Error, Expect, Flag, FlagName, Listed, Page, Result, Store, Version,
    Versioned, Watching,
};
use futures_lite::StreamExt;
use tokio_postgres::Config;

use crate::builder::PostgresStoreBuilder;
use crate::list::list;
use crate::server::Server;
use crate::shared::Shared;

/// Keeps flags in a table of PostgreSQL, as flipper-client does: a row for each. See the [crate](crate) for what happens when.
///
/// It needs a Tokio runtime, with its timers and I/O. Dropping the store ends what runs in the background and closes the connections;
/// [`close`](Store::close) also waits for it.
///
/// # Examples
///
/// ```no_run
/// use flipper_core::{FeatureFlagClient, ctx};
/// use flipper_postgres::PostgresStore;
///
/// # async fn example() -> flipper_core::Result<()> {
/// let store = PostgresStore::builder("postgres://user:password@localhost/shop").create_table().connect().await?;
/// let client = FeatureFlagClient::new(store);
/// client.create("MY_FEATURE").await?.enable().await?;
/// assert!(client.is_enabled("MY_FEATURE", &ctx! { user_id: 7 }).await);
/// # Ok(()) }
/// ```
pub struct PostgresStore(Arc<Shared>);

impl PostgresStore {
    /// Connects to a server with the default settings, where the table has to be: `postgres://user:password@host:port/database`, or
    /// `host=… user=… dbname=…`.
    ///
    /// # Errors
    ///
    /// Those of [`PostgresStoreBuilder::connect`].
    pub async fn connect(address: &str) -> Result<Self> {
        Self::builder(address).connect().await
    }

    /// Starts to choose settings, of an address.
    pub fn builder(address: &str) -> PostgresStoreBuilder {
        PostgresStoreBuilder::new(address)
    }

    /// Starts to choose settings, of the driver's own.
    pub fn builder_from_config(config: Config) -> PostgresStoreBuilder {
        PostgresStoreBuilder::of(Ok(config))
    }

    pub(crate) fn of(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    pub(crate) fn server(&self) -> &Server {
        &self.0.server
    }

    pub(crate) async fn look(&self) -> Result<()> {
        self.0.look().await.map(|_| ())
    }
}

/// Says where an error comes from.
fn at(operation: &'static str, name: FlagName<'_>) -> impl Fn(Error) -> Error {
    move |error| error.with_operation(operation).with_flag(name.as_str())
}

#[async_trait]
impl Store for PostgresStore {
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
        let listed = self.0.following.observe_listing(page, list(Arc::clone(&self.0), page));
        Box::pin(listed.map(|item| item.map_err(|error| error.with_operation("list"))))
    }

    fn capabilities(&self) -> Capabilities {
        let is_told = self.0.is_told.load(Ordering::Relaxed);
        let watch = if is_told { Watching::Pushed } else { Watching::Polled };
        Capabilities::CONDITIONAL_WRITES.with_watch(watch)
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

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.0.following.close();
        self.0.server.pool.close();
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("get", &self.0.server.statements.get).finish_non_exhaustive()
    }
}
