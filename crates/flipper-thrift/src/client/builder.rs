//! Settings.

use std::time::Duration;

use flipper_core::{FlagName, Result};
use flipper_follow::Following;

use super::address::{self, Place};
use super::pool::{Limits, Pool};
use super::server::Server;
use super::shared::Shared;
use super::store::ThriftStore;
use crate::wire::Framing;

/// Chooses settings of a [`ThriftStore`].
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use flipper_thrift::ThriftStore;
///
/// # async fn example() -> flipper_core::Result<()> {
/// let store = ThriftStore::builder("flags.internal:9090")
///     .framed()
///     .timeout(Duration::from_millis(500))
///     .poll_interval(Duration::from_secs(5))
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "it connects only when it is told to"]
pub struct ThriftStoreBuilder {
    place: Result<(Place, Option<Framing>)>,
    framing: Option<Framing>,
    prefix: String,
    limits: Limits,
    poll_interval: Duration,
}

/// What is longer than a year is a year: a timer has to be able to hold it.
const LONGEST: Duration = Duration::from_hours(365 * 24);
/// What is shorter would keep the server busy with us alone.
const SHORTEST_POLL: Duration = Duration::from_millis(10);

impl ThriftStoreBuilder {
    pub(crate) fn new(address: &str) -> Self {
        Self {
            place: address::read(address),
            framing: None,
            prefix: String::new(),
            limits: Limits {
                connect: Duration::from_secs(2),
                call: Duration::from_secs(5),
                message: 64 << 20,
                connections: 8,
            },
            poll_interval: Duration::from_secs(10),
        }
    }

    /// Speaks the framed transport: each message behind its length. Buffered unless told here or in the address, as in flipper-client's
    /// documentation. A server understands one of them; [`ThriftServer`](crate::ThriftServer) both.
    pub fn framed(self) -> Self {
        Self { framing: Some(Framing::Framed), ..self }
    }

    /// Chooses what the names of all flags of this store begin with on the server: for several applications with one server. Nothing
    /// unless told. What does not begin with it is not seen.
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Limits how long the server may take to answer a call, 5 s unless told. An edit is several calls.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { limits: Limits { call: timeout.min(LONGEST), ..self.limits }, ..self }
    }

    /// Limits how long it may take to connect, 2 s unless told.
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        Self { limits: Limits { connect: timeout.min(LONGEST), ..self.limits }, ..self }
    }

    /// Chooses how many connections are used at most, 8 unless told, and at least one.
    ///
    /// A server that serves one connection after the other, such as Thrift's `TSimpleServer`, wants one: further ones would wait
    /// for the first to end.
    pub fn connections(self, count: usize) -> Self {
        Self { limits: Limits { connections: count.clamp(1, 1 << 16), ..self.limits }, ..self }
    }

    /// Limits how long an answer may be, in bytes: 64 MiB unless told. A listing is one answer.
    pub fn max_message(self, bytes: usize) -> Self {
        Self { limits: Limits { message: bytes.clamp(1 << 10, i32::MAX as usize), ..self.limits }, ..self }
    }

    /// Chooses how often to list all flags for those who [`watch`](flipper_core::Store::watch): 10 s unless told, less or more by up to a
    /// tenth, and no less than 10 ms.
    pub fn poll_interval(self, interval: Duration) -> Self {
        Self { poll_interval: interval.clamp(SHORTEST_POLL, LONGEST), ..self }
    }

    /// Makes the store, connects, and finds out what the server can do.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](flipper_core::ErrorKind::InvalidInput) for an address that cannot be read;
    /// [`Unsupported`](flipper_core::ErrorKind::Unsupported) outside of a Tokio runtime;
    /// [`Unavailable`](flipper_core::ErrorKind::Unavailable) if there is no server, it does not answer in time, or what answers is none.
    pub async fn connect(self) -> Result<ThriftStore> {
        let store = self.connect_lazy()?;
        store.describe().await.map_err(|error| error.with_operation("connect"))?;
        Ok(store)
    }

    /// Makes the store, and connects when it is used for the first time: for applications that have to start without their
    /// server. Until then, [`capabilities`](flipper_core::Store::capabilities) are those of the published service.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), for what can be told without a server.
    pub fn connect_lazy(self) -> Result<ThriftStore> {
        let (place, told) = self.place.map_err(|error| error.with_operation("connect"))?;
        if !self.prefix.is_empty() {
            FlagName::new(&self.prefix).map_err(|error| {
                error.with_store("thrift").map_message(|message| format!("the prefix: {message}"))
            })?;
        }
        let framing = self.framing.or(told).unwrap_or(Framing::Buffered);
        Ok(ThriftStore::of(Shared {
            server: Server::new(Pool::new(place, framing, self.limits), self.prefix),
            following: Following::new("thrift"),
            poll_interval: self.poll_interval,
            patience: self.limits.connect.saturating_add(self.limits.call),
        }))
    }
}
