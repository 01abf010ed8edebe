//! The store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Error, ErrorKind, Expect, Flag, FlagName, Listed, Page, Result, Store,
    Version, Versioned, Watching,
};
use futures_lite::StreamExt;
use redis::Client;
use redis::aio::ConnectionLike;

use crate::address::{self, Place};
use crate::builder::RedisStoreBuilder;
use crate::error::error;
use crate::record::Record;
use crate::shared::Shared;
use crate::write::{Edit, Outcome};

/// Keeps flags in Redis, as flipper-client does: a string at `base_key/name` for each.
///
/// All calls share one connection; following changes takes another one. It needs a Tokio runtime. Dropping the store ends
/// what runs in the background; [`close`](Store::close) also waits for it.
///
/// # Examples
///
/// ```no_run
/// use flipper_core::{FeatureFlagClient, ctx};
/// use flipper_redis::RedisStore;
///
/// # async fn example() -> flipper_core::Result<()> {
/// let client = FeatureFlagClient::new(RedisStore::connect("redis://127.0.0.1").await?);
/// client.create("MY_FEATURE").await?.enable().await?;
/// assert!(client.is_enabled("MY_FEATURE", &ctx! { user_id: 7 }).await);
/// # Ok(()) }
/// ```
pub struct RedisStore(Arc<Shared>);

impl RedisStore {
    /// Connects to a server with the default settings: see [`RedisStoreBuilder`].
    ///
    /// The address is `redis://user:password@host:port/database`, `rediss://…` with encryption (feature `tls-rustls`), or
    /// `unix:///path?db=0&user=me&pass=secret`. User, password, port (6379) and database (0) can be left out.
    /// `redis-cluster://user:password@host:port,host:port` is a Redis Cluster (feature `cluster`), of which one or more servers are named, and
    /// `redis-sentinel://user:password@host:port,host:port/primary/database?sentinel_user=me&sentinel_pass=secret` the server of that name
    /// that sentinels watch over; both also with `rediss-`.
    ///
    /// # Errors
    ///
    /// As [`RedisStoreBuilder::connect`].
    pub async fn connect(address: &str) -> Result<Self> {
        Self::builder(address).connect().await
    }

    /// Starts to choose settings for the server at an address.
    pub fn builder(address: &str) -> RedisStoreBuilder {
        RedisStoreBuilder::new(address::place(address))
    }

    /// Starts to choose settings for a server that the driver is told how to reach: with certificates of one's own, for
    /// instance. The time limits are those of the builder.
    pub fn builder_from_client(client: Client) -> RedisStoreBuilder {
        RedisStoreBuilder::new(address::checked(client).map(|client| Place::One(Box::new(client))))
    }

    /// Starts to choose settings for a connection that the caller has, and whose clones are the same connection: the
    /// driver's `MultiplexedConnection` or `ConnectionManager`.
    ///
    /// To make it again when it is lost is up to it. Since the store makes none of its own, changes are
    /// [polled](RedisStoreBuilder::poll_interval), and a user of the server whom it denies scripts cannot write.
    /// With [`wait_for_replicas`](RedisStoreBuilder::wait_for_replicas), whatever else uses the connection waits too.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use flipper_redis::{RedisStore, redis};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let connection = redis::Client::open("redis://127.0.0.1")?.get_multiplexed_async_connection().await?;
    /// let store = RedisStore::builder_from_connection(connection).connect().await?;
    /// # Ok(()) }
    /// ```
    pub fn builder_from_connection<C>(connection: C) -> RedisStoreBuilder
    where
        C: ConnectionLike + Clone + Send + Sync + 'static,
    {
        RedisStoreBuilder::new(Ok(Place::Connection(Arc::new(connection))))
    }

    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    async fn write(&self, name: FlagName<'_>, edit: Edit<'_>, expect: Expect<'_>) -> Result<Outcome> {
        // Whatever becomes of it.
        let _touch = self.0.following.touch(name);
        self.0.servers.write(&self.0.keys.of(name), edit, expect).await
    }
}

/// Says where an error comes from.
fn at(operation: &'static str, name: FlagName<'_>) -> impl Fn(Error) -> Error {
    move |error| error.with_operation(operation).with_flag(name.as_str())
}

#[async_trait]
impl Store for RedisStore {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        let answer = self.0.servers.read(self.0.keys.of(name).as_bytes()).await;
        let record = answer.and_then(|answer| Record::read(name.as_str().as_bytes(), answer));
        let read = record.and_then(Record::found).map_err(at("get", name));
        self.0.following.observe(name, &read);
        read
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        let name = FlagName::new(flag.name())?;
        match self.write(name, Edit::Put(flag.as_json()), expect).await {
            Ok(Outcome::Done) => Ok(flag.version_of_bytes()),
            Ok(Outcome::Missing) => Err(error(ErrorKind::Conflict, "the flag was deleted meanwhile")),
            Ok(Outcome::Differs) => Err(error(ErrorKind::Conflict, "the flag was changed meanwhile")),
            Err(error) => Err(error),
        }
        .map_err(at("put", name))
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        if let Expect::Absent = expect {
            let message = "a flag that is to be deleted cannot be expected to be absent";
            return Err(at("delete", name)(error(ErrorKind::InvalidInput, message)));
        }
        match self.write(name, Edit::Delete, expect).await {
            Ok(Outcome::Done) => Ok(true),
            Ok(Outcome::Missing) => Ok(false),
            Ok(Outcome::Differs) => Err(error(ErrorKind::Conflict, "the flag was changed meanwhile")),
            Err(error) => Err(error),
        }
        .map_err(at("delete", name))
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        let listed = self.0.following.observe_listing(page, self.0.servers.list(&self.0.keys, page));
        Box::pin(listed.map(|item| item.map_err(|error| error.with_operation("list"))))
    }

    fn capabilities(&self) -> Capabilities {
        let watch = if self.0.dialer.must_poll() { Watching::Polled } else { Watching::Pushed };
        Capabilities::CONDITIONAL_WRITES.with_watch(watch)
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        Some(flipper_follow::watch(&self.0))
    }

    async fn close(&self) -> Result<()> {
        if let Some(task) = self.0.close() {
            flipper_follow::ended(task).await;
        }
        Ok(())
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("server", &self.0.servers)
            .field("prefix", &self.0.keys.prefix())
            .finish_non_exhaustive()
    }
}
