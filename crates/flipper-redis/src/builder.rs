//! Settings.

use std::sync::Arc;
use std::time::Duration;

use flipper_core::Result;
use flipper_follow::Following;
use redis::Client;

use crate::address::Place;
#[cfg(feature = "cluster")]
use crate::cluster::Cluster;
use crate::dial::{Dialer, Limits, Source};
#[cfg(feature = "cluster")]
use crate::error::error;
use crate::keys::Keys;
use crate::node::Node;
use crate::sentinel::Sentinel;
use crate::servers::Servers;
use crate::shared::Shared;
use crate::store::RedisStore;
use crate::write::Replicas;

/// Chooses settings of a [`RedisStore`].
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use flipper_redis::RedisStore;
///
/// # async fn example() -> flipper_core::Result<()> {
/// let store = RedisStore::builder("redis://flags.internal:6379/2")
///     .base_key("shop/features")
///     .timeout(Duration::from_millis(500))
///     .wait_for_replicas(1, Duration::from_millis(100))
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "it connects only when it is told to"]
pub struct RedisStoreBuilder {
    place: Result<Place>,
    base_key: String,
    limits: Limits,
    poll_interval: Duration,
    polls_only: bool,
    replicas: Option<Replicas>,
}

/// What is longer than a year is a year: a timer has to be able to hold it.
const LONGEST: Duration = Duration::from_hours(365 * 24);
/// What is shorter would keep the server busy with us alone.
const SHORTEST_POLL: Duration = Duration::from_millis(10);

impl RedisStoreBuilder {
    pub(crate) fn new(place: Result<Place>) -> Self {
        Self {
            place,
            base_key: "features".to_owned(),
            limits: Limits { call: Duration::from_secs(2), connect: Duration::from_secs(2) },
            poll_interval: Duration::from_secs(10),
            polls_only: false,
            replicas: None,
        }
    }

    /// Chooses the key below which flags are: a flag `X` is at `base_key/X`. `features` unless told, as in flipper-client.
    pub fn base_key(self, base_key: impl Into<String>) -> Self {
        Self { base_key: base_key.into(), ..self }
    }

    /// Says that the server is one of a Redis Cluster (feature `cluster`), from which the others are learned, as `redis-cluster://`
    /// does: for a [client](RedisStore::builder_from_client) with certificates of one's own.
    ///
    /// All servers are reached in the same way but for their addresses: with the same user and password, encryption and certificates.
    #[cfg(feature = "cluster")]
    pub fn cluster(self) -> Self {
        let place = self.place.and_then(|place| match place {
            Place::One(client) => Ok(Place::Cluster(vec![*client])),
            Place::Cluster(seeds) => Ok(Place::Cluster(seeds)),
            Place::Connection(_) | Place::Sentinel(_) => {
                let message = "the servers of a Redis Cluster are reached by connections of the store, and without sentinels";
                Err(error(flipper_core::ErrorKind::InvalidInput, message))
            }
        });
        Self { place, ..self }
    }

    /// Limits how long the server may take to answer a command, 2 s unless told.
    ///
    /// A command that is late fails, and its connection is not used again. A listing is many commands.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { limits: Limits { call: timeout.min(LONGEST), ..self.limits }, ..self }
    }

    /// Limits how long it may take to connect, encryption and password included, 2 s unless told.
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        Self { limits: Limits { connect: timeout.min(LONGEST), ..self.limits }, ..self }
    }

    /// Chooses how often to list all flags for those who [`watch`](flipper_core::Store::watch), where the server cannot tell
    /// what changes: 10 s unless told, less or more by up to a tenth, and no less than 10 ms.
    pub fn poll_interval(self, interval: Duration) -> Self {
        Self { poll_interval: interval.clamp(SHORTEST_POLL, LONGEST), ..self }
    }

    /// Never asks the server to tell what changes, and speaks the second version of the protocol: for proxies that
    /// do not get along with the third.
    ///
    /// There, a connection that is lost is not noticed before it is used, so that the first write after that has an unknown
    /// outcome, which the client looks into.
    pub fn poll_only(self) -> Self {
        Self { polls_only: true, ..self }
    }

    /// Waits, after each write, until so many replicas have it, by Redis' `WAIT`. Not unless told.
    ///
    /// A write that they do not confirm within the limit fails with
    /// [`NotReplicated`](flipper_core::ErrorKind::NotReplicated): it stands, and a failover may lose it. Redis copies writes
    /// to replicas after it has answered, so that a failover can lose writes of the last moments; this makes it unlikely,
    /// and not impossible: the replica that takes over need not be one that has confirmed.
    pub fn wait_for_replicas(self, count: u32, limit: Duration) -> Self {
        Self { replicas: (count > 0).then_some(Replicas { count, limit: limit.min(LONGEST) }), ..self }
    }

    /// Makes the store, and connects.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](flipper_core::ErrorKind::InvalidInput) for an address that cannot be read, or a database that the
    /// server does not have; [`Unsupported`](flipper_core::ErrorKind::Unsupported) if the address needs a feature that is off,
    /// or outside of a Tokio runtime; [`PermissionDenied`](flipper_core::ErrorKind::PermissionDenied) for a wrong user or
    /// password; [`Unavailable`](flipper_core::ErrorKind::Unavailable) if there is no server, or it does not answer in time.
    pub async fn connect(self) -> Result<RedisStore> {
        let store = self.connect_lazy()?;
        store.shared().servers.connect().await.map_err(|error| error.with_operation("connect"))?;
        Ok(store)
    }

    /// Makes the store, and connects when it is used for the first time: for applications that have to start without their
    /// server.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), for what can be told without a server.
    pub fn connect_lazy(self) -> Result<RedisStore> {
        let keys = Keys::new(&self.base_key);
        let poll_interval = self.poll_interval;
        let (servers, dialer) = self.servers(&keys).map_err(|error| error.with_operation("connect"))?;
        Ok(RedisStore::new(Shared {
            keys,
            servers,
            dialer,
            following: Following::new("redis"),
            poll_interval,
        }))
    }

    fn servers(self, keys: &Keys) -> Result<(Servers, Arc<Dialer>)> {
        let dialer = |source| Dialer::new(source, keys.prefix(), self.limits, self.polls_only);
        let of_client = |client: &Client| dialer(Source::Client(Box::new(client.clone())));
        let dialer = match self.place? {
            Place::One(client) => of_client(&client),
            Place::Connection(connection) => dialer(Source::Connection(connection)),
            Place::Sentinel(watched) => {
                // They are closed with the store.
                let dialer = of_client(&watched.sentinels[0]);
                let sentinel = Sentinel::new(*watched, &dialer);
                dialer.to(Source::Sentinel(Arc::new(sentinel)))
            }
            #[cfg(feature = "cluster")]
            Place::Cluster(seeds) => {
                let dialer = Arc::new(of_client(&seeds[0]));
                let cluster = Cluster::new(&seeds, Arc::clone(&dialer), self.replicas)?;
                return Ok((Servers::Cluster(Arc::new(cluster)), dialer));
            }
        };
        let node = Node::new(dialer, self.replicas);
        let dialer = Arc::clone(&node.dialer);
        Ok((Servers::One(node), dialer))
    }
}
