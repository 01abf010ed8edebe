//! Making connections.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
#[cfg(feature = "cluster")]
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flipper_core::{Error, ErrorKind, Result};
use redis::{
    AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, PushKind, RedisError, RedisResult, Value,
};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::error::{Asked, error, late, of_driver, of_server_without};
use crate::inbox::Inbox;
use crate::sentinel::{self, Sentinel};
use crate::wire::{CallersConnection, Live, Traits, Wire};

/// Where connections come from.
#[derive(Clone)]
pub(crate) enum Source {
    Client(Box<Client>),
    /// There is one, which the caller has made.
    Connection(Arc<dyn CallersConnection>),
    /// Others know where the server is.
    Sentinel(Arc<Sentinel>),
}

impl fmt::Debug for Source {
    /// Prints no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(client) => {
                let info = client.get_connection_info();
                write!(f, "{}/{}", info.addr(), info.redis_settings().db())
            }
            Self::Connection(_) => f.write_str("a connection of the caller"),
            Self::Sentinel(sentinel) => sentinel.fmt(f),
        }
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) call: Duration,
    pub(crate) connect: Duration,
}

/// Makes connections. Clones share what is known of the store's servers, and whether it was closed.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    pub(crate) source: Source,
    /// The prefix of the keys that are followed.
    pub(crate) prefix: Box<str>,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    /// Whether changes are to be polled, whatever the server can do.
    pub(crate) polls_only: bool,
    /// Whether the server was last seen to be unable to tell changes.
    polls: Arc<AtomicBool>,
    is_closed: Arc<AtomicBool>,
    /// Told when a server turns out to be a replica.
    pub(crate) moved: Arc<Notify>,
    /// How often the address has come to lead to another server.
    generation: Arc<AtomicU64>,
    /// What the server is called in its cluster, as far as is known.
    #[cfg(feature = "cluster")]
    member: Arc<Mutex<Option<Box<str>>>>,
}

impl Dialer {
    pub(crate) fn new(source: Source, prefix: &str, limits: Limits, polls_only: bool) -> Self {
        let polls = polls_only || matches!(source, Source::Connection(_));
        Self {
            source,
            prefix: prefix.into(),
            timeout: limits.call,
            connect_timeout: limits.connect,
            polls_only,
            polls: Arc::new(AtomicBool::new(polls)),
            is_closed: Arc::default(),
            moved: Arc::default(),
            generation: Arc::default(),
            #[cfg(feature = "cluster")]
            member: Arc::default(),
        }
    }

    /// Makes connections of the same store from elsewhere.
    pub(crate) fn to(&self, source: Source) -> Self {
        Self {
            source,
            #[cfg(feature = "cluster")]
            member: Arc::default(),
            ..self.clone()
        }
    }

    /// Makes connections to a server that has no flags, but belongs to the store.
    pub(crate) fn aside(&self, client: Client) -> Self {
        let source = Source::Client(Box::new(client));
        Self { polls_only: true, polls: Arc::default(), moved: Arc::default(), ..self.to(source) }
    }

    /// Where the sentinels say that the server is. If it is elsewhere by now, connections to the one before are used no longer.
    pub(crate) async fn place(&self, sentinel: &Sentinel, limit: Duration) -> Result<(String, u16)> {
        let place = sentinel.primary(limit).await?;
        if sentinel.is_elsewhere(&place) {
            self.generation.fetch_add(1, Ordering::Relaxed);
        }
        Ok(place)
    }

    pub(crate) fn leads_to(&self, live: &Live) -> bool {
        live.generation == self.generation.load(Ordering::Relaxed)
    }

    /// Whether changes have to be polled, as far as is known.
    pub(crate) fn must_poll(&self) -> bool {
        self.polls.load(Ordering::Relaxed)
    }

    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// Whether calls can be made at all.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(error(ErrorKind::Unavailable, "the store was closed").with_retryable(false));
        }
        if Handle::try_current().is_err() {
            let message = "this store needs a Tokio runtime: call it from inside of one";
            return Err(error(ErrorKind::Unsupported, message));
        }
        Ok(())
    }

    /// Makes a connection. With an inbox, the server tells changes to it, if it can.
    pub(crate) async fn dial(&self, inbox: Option<&Arc<Inbox>>) -> Result<Live> {
        self.check()?;
        let live = match &self.source {
            Source::Client(client) => {
                let live = self.reach_in(self.connect_timeout, client, inbox).await?;
                #[cfg(feature = "cluster")]
                self.check_member(client, &live).await?;
                live
            }
            Source::Connection(connection) => {
                return Ok(self.live(Wire::Callers(Arc::clone(connection)), Arc::new(Traits::new())));
            }
            Source::Sentinel(sentinel) => {
                // To ask them, to connect, and to ask them again.
                let limit = self.connect_timeout / 3;
                let client = sentinel.client(self.place(sentinel, limit).await?)?;
                let live = self.reach_in(limit, &client, inbox).await?;
                sentinel::check_role(&live).await?;
                // One that was cut off, and comes back, does not know at once that it is the primary no longer.
                self.place(sentinel, limit).await?;
                if !self.leads_to(&live) {
                    return Err(error(
                        ErrorKind::Unavailable,
                        "the server has just lost its place in a failover",
                    ));
                }
                live
            }
        };
        self.polls.store(!live.traits.tracks(), Ordering::Relaxed);
        Ok(live)
    }

    /// Says what the server is called in its cluster: connections to another one at its address are not used from now on.
    #[cfg(feature = "cluster")]
    pub(crate) fn expect_member(&self, id: Option<&str>) {
        let mut member = self.member.lock().unwrap_or_else(PoisonError::into_inner);
        if member.as_deref() != id {
            *member = id.map(Into::into);
        }
    }

    /// An address that a server of a cluster has left may be somebody else's by now, who has none of its flags.
    #[cfg(feature = "cluster")]
    async fn check_member(&self, client: &Client, live: &Live) -> Result<()> {
        let Some(expected) = self.member.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return Ok(());
        };
        let mut ask = redis::cmd("CLUSTER");
        ask.arg("MYID");
        let answer = timeout(self.connect_timeout, live.send(&ask)).await.unwrap_or_else(|_| Err(late()));
        let answer = match answer.and_then(Value::extract_error) {
            Ok(answer) => answer,
            Err(failure) => {
                let error = of_driver(&failure, Asked::Read);
                match error.kind() {
                    // Who may not ask does without.
                    ErrorKind::PermissionDenied => return Ok(()),
                    ErrorKind::Unavailable => return Err(error),
                    _ => Value::Nil,
                }
            }
        };
        if crate::record::bytes(answer).is_ok_and(|id| id == expected.as_bytes()) {
            return Ok(());
        }
        let address = client.get_connection_info().addr();
        let message =
            format!("{address}: another server is here by now, in the place of one of the Redis Cluster");
        Err(error(ErrorKind::Unavailable, message))
    }

    fn live(&self, wire: Wire, traits: Arc<Traits>) -> Live {
        Live {
            wire,
            traits,
            timeout: self.timeout,
            moved: Arc::clone(&self.moved),
            generation: self.generation.load(Ordering::Relaxed),
            asks: false,
        }
    }

    async fn reach_in(&self, limit: Duration, client: &Client, inbox: Option<&Arc<Inbox>>) -> Result<Live> {
        let reached = timeout(limit, self.reach(client, inbox)).await.unwrap_or_else(|_| Err(late()));
        reached.map_err(|failure| without_secrets(client, &failure))
    }

    async fn reach(&self, client: &Client, inbox: Option<&Arc<Inbox>>) -> RedisResult<Live> {
        if self.polls_only {
            return self.reach_older(client).await;
        }
        let failure = match self.reach_newer(client, inbox).await {
            // Redis before 6, and proxies: they say so, or hang up.
            Err(failure) if may_be_older(&failure) => failure,
            reached => return reached,
        };
        let older = self.reach_older(client).await?;
        if failure.is_connection_dropped()
            // It may have hung up because it was being restarted.
            && let Ok(newer) = {
                // What the first one was told last is nothing to the next.
                inbox.map(|inbox| inbox.take());
                self.reach_newer(client, inbox).await
            }
        {
            return Ok(newer);
        }
        Ok(older)
    }

    /// Connects by the third version of the protocol, and asks to be told which keys change.
    async fn reach_newer(&self, client: &Client, inbox: Option<&Arc<Inbox>>) -> RedisResult<Live> {
        let info = client.get_connection_info().clone();
        let database = info.redis_settings().db();
        let mut settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_db(0);
        if settings.username().is_some() && settings.password().is_none() {
            // One who needs no password. Without any, the driver would connect as somebody else.
            settings = settings.set_password("");
        }
        let traits = Arc::new(Traits::new());
        // The driver keeps it for as long as it reads.
        let (reading, inbox) = (Reading(Arc::clone(&traits)), inbox.cloned());
        let is_told = inbox.is_some();
        let config = config().set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                reading.0.lose();
            }
            if let Some(inbox) = &inbox {
                inbox.put(push);
            }
            Ok::<_, Infallible>(())
        });
        let client = Client::open(info.set_redis_settings(settings))?;
        let wire = Wire::Own(client.get_multiplexed_async_connection_with_config(&config).await?);
        let live = self.live(wire, traits);
        Self::select(&live, database).await?;
        if self.asks_to_track(&live, is_told).await? {
            live.traits.set_tracks();
        }
        Ok(live)
    }

    /// Connects by the second version of the protocol.
    async fn reach_older(&self, client: &Client) -> RedisResult<Live> {
        let info = client.get_connection_info().clone();
        let settings = info.redis_settings().clone();
        // The driver would translate all errors of these steps to one.
        let plain = redis::RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2);
        let client = Client::open(info.set_redis_settings(plain))?;
        let wire = Wire::Own(client.get_multiplexed_async_connection_with_config(&config()).await?);
        let live = self.live(wire, Arc::new(Traits::new()));
        if settings.username().is_some() || settings.password().is_some() {
            let password = settings.password().unwrap_or_default();
            let mut auth = redis::cmd("AUTH");
            auth.arg(settings.username()).arg(password);
            let mut answer = live.send(&auth).await?;
            // Before release 6, there were no users.
            if matches!(&answer, Value::ServerError(error)
                if error.details().is_some_and(|detail| detail.starts_with("wrong number of arguments")))
            {
                answer = live.send(redis::cmd("AUTH").arg(password)).await?;
            }
            answer.extract_error()?;
        }
        Self::select(&live, settings.db()).await?;
        // A server that wants a password says so only now.
        match live.send(&redis::cmd("PING")).await? {
            Value::ServerError(error) if error.code() == "NOAUTH" => Err(error.into()),
            _ => Ok(live),
        }
    }

    async fn select(live: &Live, database: i64) -> RedisResult<()> {
        if database != 0 {
            live.send(redis::cmd("SELECT").arg(database)).await?.extract_error()?;
        }
        Ok(())
    }

    /// Asks the server to tell which keys change, and returns whether it will.
    async fn asks_to_track(&self, live: &Live, goes_on: bool) -> RedisResult<bool> {
        let mut commands = redis::pipe();
        commands.cmd("CLIENT").arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(&*self.prefix);
        if !goes_on {
            commands.cmd("CLIENT").arg("TRACKING").arg("OFF");
        }
        let answers = live.send_all(&commands).await?;
        Ok(matches!(answers.first(), Some(Value::Okay)))
    }
}

/// Says that a connection is lost when the driver's task ends without a word, as it does with its runtime.
struct Reading(Arc<Traits>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.lose();
    }
}

/// The driver's settings. Time limits are ours.
fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(1_024)
}

/// Whether the server or proxy may be one that does not know the third version of the protocol, or what goes with it.
fn may_be_older(failure: &RedisError) -> bool {
    let is_unknown =
        matches!(of_driver(failure, Asked::Read).kind(), ErrorKind::Unsupported | ErrorKind::Internal);
    is_unknown || failure.is_connection_dropped() && !failure.is_connection_refusal()
}

/// What a failure to connect means: whoever repeats the password, we do not.
fn without_secrets(client: &Client, failure: &RedisError) -> Error {
    let info = client.get_connection_info();
    let error = match failure.code() {
        Some(code) => of_server_without(code, failure.detail(), info.redis_settings().password()),
        None => of_driver(failure, Asked::Read),
    };
    error.map_message(|message| format!("{}: {message}", info.addr()))
}
