//! One address for every store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flipper_core::{FeatureFlagClient, Result, Store};

use crate::address::Address;
use crate::settings::{LONGEST, Settings};
use crate::{stores, wrapper};

/// Opens the store at an address, and returns a client of it: what [`OpenOptions`] do without any.
///
/// | address | store |
/// |---|---|
/// | `memory:` | an empty store in memory, another one at each call |
/// | `file:///path` | a JSON file. Reading it for the first time blocks for a moment; the first write makes it, unless it is required |
/// | `redis://user:password@host:6379/database` | Redis; `rediss://…` with encryption (feature `tls-rustls`); `valkey://…` and `valkeys://…` are the same; `unix:///path?db=0&user=me&pass=secret` by a socket |
/// | `redis-cluster://user:password@host:7000,host:7001` | Redis Cluster, of which one or more servers are named (feature `cluster`); `rediss-cluster://…` with encryption |
/// | `redis-sentinel://user:password@host:26379,host:26379/primary/database` | the Redis that sentinels watch over under that name, with `?sentinel_user=me&sentinel_pass=secret` for themselves; `rediss-sentinel://…` with encryption |
/// | `consul://:token@host:8500/base/key` | Consul, where token and base key can be left out; `consul+https://…` with encryption. Waits until all flags are in memory |
/// | `postgres://user:password@host:5432/database` | PostgreSQL, also as `postgresql://…`, with libpq's parameters: `sslmode=require` |
/// | `s3://bucket/base/key` | a bucket of S3, where the base key can be left out (feature `aws-config`). Region and credentials are those that AWS's own programs find: in the environment, a profile, a token for a role, the container, the machine |
/// | `thrift://host:9090` | a server of the `FeatureFlagStore` service; `?transport=framed` for one with frames |
///
/// The server has to be there, with the database, table or bucket; that of S3 is asked for a listing of one object. The exception is a mirror with a
/// last known good state.
///
/// # Parameters
///
/// They stand behind a `?`, with `&` between them. What addresses cannot hold is written as in `%20`. Times are in seconds, fractions allowed. A switch is on
/// as `name` or `name=true`, and off as `name=false`. Each can be there once.
///
/// | parameter | of | |
/// |---|---|---|
/// | `base_key` | Redis, Consul, S3 | flags are at `base_key/NAME`; `features` unless told, and the root of a bucket of S3. In Consul and S3, the path says the same |
/// | `prefix` | S3, Thrift | what keys or names begin with, with nothing between it and the flag's name |
/// | `table`, `schema` | PostgreSQL | where the flags are, `feature_flags` unless told, in the first schema that has it |
/// | `create_table` | PostgreSQL | makes the table and its triggers, unless they are there |
/// | `require_file` | file | fails if there is no file, instead of beginning without flags |
/// | `timeout` | all but memory | how long an answer may take: 2 s for Redis, 5 s for Consul, PostgreSQL and Thrift, 10 s for S3; how long a write waits for others of the same file, 10 s |
/// | `connect_timeout` | Redis, Consul, PostgreSQL, S3, Thrift | how long it may take to connect: 2 s, 5 s for PostgreSQL, 3.1 s for S3 |
/// | `poll_interval` | all but memory and Consul | how often to list all flags where changes are not told: 10 s; how often to look at the file, 1 s |
/// | `poll_only` | file, Redis | never asks to be told of changes |
/// | `connections` | PostgreSQL, Thrift | how many there are at most, 8 unless told |
/// | `behind_pooler` | PostgreSQL | for `PgBouncer` and the like: prepares nothing, and polls |
/// | `replicas`, `replica_timeout` | Redis | how many replicas have to confirm each write, and how long they have for it, 1 s unless told |
/// | `datacenter`, `namespace`, `partition` | Consul | where the keys are |
/// | `consistency` | Consul | which server may answer: `default`, `consistent` or `stale` |
/// | `region` | S3 | that of the bucket; `us-east-1` for servers other than AWS's, unless the environment or the profile says another one |
/// | `endpoint` | S3 | a server other than AWS's, such as `http://127.0.0.1:9000` |
/// | `path_style` | S3 | the bucket's name stands in the path and not before the host, as many other servers want it |
/// | `profile` | S3 | a profile of AWS's configuration other than that of `AWS_PROFILE` |
/// | `mirror` | all | all flags in memory, live: a `MirrorStore` (feature `mirror`) |
/// | `last_known_good` | all mirrors but of memory and file | a file with the last state, to start from while the server is away. The server need not be there then |
/// | `start_timeout` | the same | how long to wait for all flags at the start, 10 s unless told |
/// | `cache`, `ttl` | all | how many of the flags that were checked last are kept, and for how long: a `CachedStore` (feature `cached`) |
///
/// Memory, file and Consul have all flags in memory as they are: there, `mirror` and `cache` change nothing.
///
/// Secrets stand before the `@`, or in the parameters that the stores themselves have for them. [`redacted`](crate::redacted) shows an address without.
///
/// # Errors
///
/// [`InvalidInput`](flipper_core::ErrorKind::InvalidInput) for an address that has no scheme or an unknown one; for a parameter that is unknown, there twice, or
/// has a wrong value; and for credentials in an address of S3. [`Unsupported`](flipper_core::ErrorKind::Unsupported) for a feature that is off, and outside of a
/// Tokio runtime for all but memory and file. And what opening the store itself gives. The message says what to write or to enable. What is wrong with an address
/// repeats nothing of it but its scheme, and the names of parameters that are known: the rest may hold a password.
///
/// # Examples
///
/// ```
/// # fn main() -> flipper::Result<()> { futures_lite::future::block_on(async {
/// let client = flipper::open("memory:").await?;
/// client.create("X").await?;
/// assert!(client.exists("X").await?);
///
/// let error = flipper::open("memroy:").await.unwrap_err();
/// assert!(error.message().contains("`memroy:` is no scheme that flipper knows: there is `memory:`"));
/// # Ok(()) }) }
/// ```
///
/// ```no_run
/// # async fn example() -> flipper::Result<()> {
/// // All flags in memory, from a Redis that may be away when the process starts.
/// let client = flipper::open("redis://:secret@db?mirror&last_known_good=/var/lib/app/flags.good&timeout=0.5").await?;
/// # Ok(()) }
/// ```
pub async fn open(address: &str) -> Result<FeatureFlagClient> {
    OpenOptions::new().open(address).await
}

/// Chooses settings for whatever store an address is of: for applications that are told the address, and know what they want of it.
///
/// They are defaults: what the address says counts more. What the store has no such setting for is left out, so that the same code opens a Redis in production
/// and `memory:` in a test; the parameters of an address, of which somebody has thought with that store in mind, are an error there.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use flipper::OpenOptions;
///
/// # fn main() -> flipper::Result<()> { futures_lite::future::block_on(async {
/// let options = OpenOptions::new().base_key("shop/features").timeout(Duration::from_millis(500));
///
/// # let address = "memory:";
/// let client = options.open(address).await?;
/// client.create("X").await?;
///
/// // The store alone, to list it or to watch it, or for a client with other settings.
/// let store = options.open_store(address).await?;
/// assert!(store.capabilities().whole_records);
/// # Ok(()) }) }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it opens nothing before it is told what"]
pub struct OpenOptions {
    settings: Settings,
}

impl OpenOptions {
    /// Starts with nothing chosen: each store has its defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses the key below which flags are, in Redis, Consul and S3: a flag `X` is at `base_key/X`. An address of Consul or S3 with a path has its own.
    pub fn base_key(mut self, base_key: impl Into<String>) -> Self {
        self.settings.base_key = Some(base_key.into());
        self
    }

    /// Chooses the table of PostgreSQL.
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.settings.table = Some(table.into());
        self
    }

    /// Makes the table of PostgreSQL and its triggers, unless they are there.
    pub fn create_table(mut self) -> Self {
        self.settings.create_table = Some(true);
        self
    }

    /// Limits how long an answer may take. A year at most.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout.min(LONGEST));
        self
    }

    /// Limits how long it may take to connect. A year at most.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = Some(timeout.min(LONGEST));
        self
    }

    /// Chooses how often to ask for changes where they are not told. A year at most.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.settings.poll_interval = Some(interval.min(LONGEST));
        self
    }

    /// Keeps all flags in memory, unless the store does so by itself. An address with `mirror=false` or `cache=…` has none.
    #[cfg(feature = "mirror")]
    pub fn mirror(mut self) -> Self {
        self.settings.mirror = Some(true);
        (self.settings.cache, self.settings.ttl) = (None, None);
        self
    }

    /// Keeps the last known good state of a mirror, or of Consul, in a file, to start from while the server is away.
    pub fn last_known_good(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.last_known_good = Some(path.into());
        self
    }

    /// Limits how long to wait for all flags of a mirror, or of Consul, at the start. A year at most.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.settings.start_timeout = Some(timeout.min(LONGEST));
        self
    }

    /// Keeps so many of the flags that were checked last, unless the store has all of them in memory. An address with `cache=0` or `mirror` has no
    /// cache. Takes the place of [`mirror`](Self::mirror).
    #[cfg(feature = "cached")]
    pub fn cache(mut self, flags: usize) -> Self {
        self.settings.cache = Some(flags);
        self.settings.mirror = None;
        self
    }

    /// Chooses for how long a cache believes a flag. A year at most.
    #[cfg(feature = "cached")]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.ttl = Some(ttl.min(LONGEST));
        self
    }

    #[cfg(all(test, feature = "redis", feature = "mirror", feature = "cached"))]
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Opens the store at an address, and returns a client of it.
    ///
    /// # Errors
    ///
    /// Those of [`open`].
    pub async fn open(&self, address: &str) -> Result<FeatureFlagClient> {
        let address = Address::read(address, &self.settings)?;
        let store = stores::open(&address).await?;
        wrapper::around(store, &address.settings).await
    }

    /// Opens the store at an address, with what is around it.
    ///
    /// A client with semantics, clock or deadline of your choice is made of it by [`FeatureFlagClient::builder`].
    ///
    /// # Errors
    ///
    /// Those of [`open`].
    pub async fn open_store(&self, address: &str) -> Result<Arc<dyn Store>> {
        let client = self.open(address).await?;
        Ok(Arc::clone(client.store()))
    }
}
