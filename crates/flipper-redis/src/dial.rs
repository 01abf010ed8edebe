//! Making connections.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flipper_core::{Error, ErrorKind, Result};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, PushKind, RedisError, RedisResult, Value,
};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::error::{Asked, error, late, of_driver};
use crate::inbox::Inbox;
use crate::wire::{CallersConnection, Live, Traits, Wire};

/// Where connections come from.
#[derive(Clone)]
pub(crate) enum Source {
    Client(Box<Client>),
    /// There is one, which the caller has made.
    Connection(Arc<dyn CallersConnection>),
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
        }
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) call: Duration,
    pub(crate) connect: Duration,
}

/// Makes connections.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) source: Source,
    /// The prefix of the keys that are followed.
    pub(crate) prefix: Box<str>,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    /// Whether changes are to be polled, whatever the server can do.
    pub(crate) polls_only: bool,
    /// Whether the server was last seen to be unable to tell changes.
    polls: AtomicBool,
    is_closed: AtomicBool,
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
            polls: AtomicBool::new(polls),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Makes a connection. With an inbox, the server tells changes to it, if it can.
    pub(crate) async fn dial(&self, inbox: Option<&Arc<Inbox>>) -> Result<Live> {
        self.check()?;
        let dialed = timeout(self.connect_timeout, self.dial_unlimited(inbox)).await;
        dialed.unwrap_or_else(|_| Err(late())).map_err(|failure| of_dialing(&failure))
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

    async fn dial_unlimited(&self, inbox: Option<&Arc<Inbox>>) -> RedisResult<Live> {
        let traits = Arc::new(Traits::default());
        let live = |wire| Live { wire, traits: Arc::clone(&traits), timeout: self.timeout };
        let client = match &self.source {
            Source::Client(client) => client,
            Source::Connection(connection) => {
                self.polls.store(true, Ordering::Relaxed);
                return Ok(live(Wire::Callers(Arc::clone(connection))));
            }
        };
        let newer = if self.polls_only {
            None
        } else {
            match self.connect(client, Some((inbox, &traits))).await {
                Ok(connection) => Some(connection),
                // Redis before 6, and proxies: they say so, or hang up.
                Err(failure) if may_be_older(&failure) => None,
                Err(failure) => return Err(failure),
            }
        };
        let live = match newer {
            Some(connection) => {
                let live = live(Wire::Own(connection));
                if self.asks_to_track(&live, inbox.is_some()).await? {
                    traits.set_tracks();
                }
                live
            }
            None => live(Wire::Own(self.connect(client, None).await?)),
        };
        self.polls.store(!traits.tracks(), Ordering::Relaxed);
        Ok(live)
    }

    /// Connects, by the third version of the protocol if somebody takes what it pushes.
    async fn connect(
        &self,
        client: &Client,
        pushed: Option<(Option<&Arc<Inbox>>, &Arc<Traits>)>,
    ) -> RedisResult<MultiplexedConnection> {
        let info = client.get_connection_info().clone();
        let version = if pushed.is_some() { ProtocolVersion::RESP3 } else { ProtocolVersion::RESP2 };
        let mut settings = info.redis_settings().clone().set_protocol(version);
        if settings.username().is_some() && settings.password().is_none() {
            // One who needs no password. Without any, the driver would connect as somebody else.
            settings = settings.set_password("");
        }
        let client = Client::open(info.set_redis_settings(settings))?;
        // Time limits are ours.
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(1_024);
        if let Some((inbox, traits)) = pushed {
            let (inbox, traits) = (inbox.cloned(), Arc::clone(traits));
            config = config.set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    traits.lose();
                }
                if let Some(inbox) = &inbox {
                    inbox.put(push);
                }
                Ok::<_, std::convert::Infallible>(())
            });
        }
        client.get_multiplexed_async_connection_with_config(&config).await
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

/// Whether the server or proxy may be one that does not know the third version of the protocol.
fn may_be_older(failure: &RedisError) -> bool {
    let is_unknown = of_driver(failure, Asked::Read).kind() == ErrorKind::Unsupported;
    is_unknown || failure.is_connection_dropped() && !failure.is_connection_refusal()
}

/// What a failure to connect means: what was wrong with the password must not be repeated, whoever says it.
fn of_dialing(failure: &RedisError) -> Error {
    match (failure.code(), failure.detail()) {
        // The driver's own words for a failed `SELECT`.
        (Some("ERR"), Some(detail)) if detail.contains("DB index") => {
            crate::error::of_server("ERR", Some(detail))
        }
        _ => of_driver(failure, Asked::Read),
    }
}
