//! A server whose place Redis Sentinel knows, also after a failover.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flipper_core::{Error, ErrorKind, Result};
use redis::{Client, ConnectionAddr, ConnectionInfo, Value, cmd};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::dial::Dialer;
use crate::error::{Asked, error, late, of_driver};
use crate::link::Link;
use crate::record::{bytes, unexpected};
use crate::wire::Live;

/// Where a server is, and how it is reached there.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) sentinels: Vec<Client>,
    /// What the sentinels call it.
    pub(crate) service: Box<str>,
    /// How to reach it, but for its address.
    pub(crate) server: ConnectionInfo,
}

/// Asks the sentinels where the server is.
pub(crate) struct Sentinel {
    watched: Watched,
    links: Vec<Link>,
    /// Where it was when somebody connected to it last.
    last: Mutex<Option<(String, u16)>>,
}

impl Sentinel {
    pub(crate) fn new(watched: Watched, dialer: &Dialer) -> Self {
        let link = |client: &Client| Link::new(dialer.aside(client.clone()).into());
        Self { links: watched.sentinels.iter().map(link).collect(), watched, last: Mutex::default() }
    }

    /// Where the primary is, as most of those say that answer.
    pub(crate) async fn primary(&self, limit: Duration) -> Result<(String, u16)> {
        let mut ask = cmd("SENTINEL");
        ask.arg("get-master-addr-by-name").arg(&*self.watched.service);
        let mut asked = JoinSet::new();
        for link in &self.links {
            let (link, ask) = (link.clone(), ask.clone());
            asked.spawn(async move { place(link.read(&ask, false).await?) });
        }
        let (mut votes, mut failure) = (HashMap::<_, usize>::new(), None);
        let counted = timeout(limit, async {
            while let Some(answer) = asked.join_next().await {
                match answer {
                    Ok(Ok(place)) => {
                        let is_known = place.is_some();
                        let count = votes.entry(place).or_default();
                        *count += 1;
                        if is_known && *count > self.links.len() / 2 {
                            break;
                        }
                    }
                    Ok(Err(error)) => failure = Some(error),
                    Err(_) => {}
                }
            }
        });
        let is_late = counted.await.is_err();
        // One that knows no such server, as after it has lost its settings, has no say against one that does, nor for one that is away.
        let most = votes.into_iter().max_by_key(|(place, count)| (place.is_some(), *count));
        match (most, failure) {
            (Some((Some(place), _)), _) => Ok(place),
            (Some((None, _)), None) if !is_late => {
                let message = format!("the sentinels know no primary called `{}`", self.watched.service);
                Err(error(ErrorKind::InvalidInput, message))
            }
            (_, Some(error)) if !is_late => {
                Err(error.map_message(|message| format!("a sentinel: {message}")))
            }
            _ => {
                let late = of_driver(&late(), Asked::Read);
                Err(late.map_message(|message| format!("the sentinels: {message}")))
            }
        }
    }

    /// Whether it is not where it was when this was asked last.
    pub(crate) fn is_elsewhere(&self, place: &(String, u16)) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.replace(place.clone()).is_some_and(|last| last != *place)
    }

    /// How to reach the server there.
    pub(crate) fn client(&self, (host, port): (String, u16)) -> Result<Client> {
        client_at(&self.watched.server, host, port)
    }

    pub(crate) fn close(&self) {
        self.links.iter().for_each(Link::close);
    }
}

impl fmt::Debug for Sentinel {
    /// Prints no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of sentinels", self.watched.service)?;
        for (number, sentinel) in self.watched.sentinels.iter().enumerate() {
            let separator = if number == 0 { ' ' } else { ',' };
            write!(f, "{separator}{}", sentinel.get_connection_info().addr())?;
        }
        Ok(())
    }
}

/// The same way to another server: same user, password, database, encryption and certificates.
pub(crate) fn client_at(like: &ConnectionInfo, host: String, port: u16) -> Result<Client> {
    let place = match like.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host, port),
    };
    Client::open(like.clone().set_addr(place)).map_err(|failure| of_driver(&failure, Asked::Read))
}

/// What a sentinel has answered; `None` if it knows no such server.
fn place(answer: Value) -> Result<Option<(String, u16)>> {
    match answer {
        Value::Nil => Ok(None),
        Value::Array(place) => {
            let Ok([host, port]) = <[Value; 2]>::try_from(place) else { return Err(unexpected()) };
            let text = |value| String::from_utf8(bytes(value)?).map_err(|_| unexpected());
            Ok(Some((text(host)?, text(port)?.parse().map_err(|_| unexpected())?)))
        }
        Value::ServerError(failure) => {
            let error = of_driver(&failure.into(), Asked::Read);
            match error.kind() {
                ErrorKind::Unsupported => {
                    Err(error.map_message(|message| format!("{message}; is it one of Redis Sentinel?")))
                }
                _ => Err(error),
            }
        }
        _ => Err(unexpected()),
    }
}

/// The sentinels may name, for a moment, a server that is no primary any longer, or not yet.
pub(crate) async fn check_role(live: &Live) -> Result<(), Error> {
    let role = live.send(&cmd("ROLE")).await.map_err(|failure| of_driver(&failure, Asked::Read))?;
    // Who may not ask finds out when the server refuses a write.
    match role {
        Value::Array(role) if !matches!(role.first(), Some(Value::BulkString(role)) if role == b"master") => {
            let message = "the server that the sentinels name is a replica; a failover is under way";
            Err(error(ErrorKind::Unavailable, message))
        }
        _ => Ok(()),
    }
}
