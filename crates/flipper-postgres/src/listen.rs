//! Changes that the server tells: on a connection of its own.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flipper_core::{Change, ErrorKind, FlagName, Result, ResyncCause};
use futures_lite::future;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Socket};

use crate::error::{Asked, error, late, of_driver};
use crate::shared::Shared;

/// A connection that is silent for so long is asked whether it is alive, and has a second to answer.
const SILENCE: Duration = Duration::from_millis(750);
const ANSWER: Duration = Duration::from_secs(1);

/// How many names wait to be read; beyond that, everything is loaded anew.
const CAPACITY: usize = 1_024;

/// How to connect, beside the pool.
pub(crate) struct Dialer {
    pub(crate) config: Config,
    pub(crate) limit: Duration,
    #[cfg(feature = "tls-rustls")]
    pub(crate) tls: Option<tokio_postgres_rustls::MakeRustlsConnect>,
}

impl std::fmt::Debug for Dialer {
    /// Without the settings, which have a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// What was told and not yet read.
#[derive(Debug, Default)]
struct Inbox {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    names: VecDeque<String>,
    /// More was told than there is room for, or that everything has changed.
    everything: Option<ResyncCause>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, payload: &str) {
        let mut state = self.lock();
        if payload.is_empty() {
            state.everything = Some(ResyncCause::Server);
        } else if state.names.len() >= CAPACITY {
            state.everything = Some(ResyncCause::Overflow);
        } else if state.names.back().is_none_or(|last| last != payload) {
            state.names.push_back(payload.to_owned());
        }
        if state.everything.is_some() {
            state.names.clear();
        }
        drop(state);
        self.arrived.notify_one();
    }
}

/// Follows until the connection is lost.
pub(crate) async fn listen(shared: &Shared, table: i64) -> Result<()> {
    #[cfg(feature = "tls-rustls")]
    if let Some(tls) = &shared.dialer.tls {
        return listen_with(shared, table, tls.clone()).await;
    }
    listen_with(shared, table, NoTls).await
}

async fn listen_with<T>(shared: &Shared, table: i64, tls: T) -> Result<()>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send,
{
    let limit = shared.dialer.limit;
    let connected = timeout(limit, shared.dialer.config.connect(tls)).await;
    let (client, connection) = connected
        .map_err(|_| late(limit, Asked::Read))?
        .map_err(|failure| of_driver(&failure, Asked::Read))?;
    let inbox = Inbox::default();
    // Whichever ends first ends both.
    future::or(drive(connection, &inbox), tell(shared, &client, table, &inbox)).await
}

/// Takes what the server says.
async fn drive<S, T>(mut connection: Connection<S, T>, inbox: &Inbox) -> Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        match std::future::poll_fn(|task| connection.poll_message(task)).await {
            Some(Ok(AsyncMessage::Notification(notice))) => inbox.add(notice.payload()),
            Some(Ok(_)) => {}
            Some(Err(failure)) => return Err(of_driver(&failure, Asked::Read)),
            None => return Err(error(ErrorKind::Unavailable, "the server has closed the connection")),
        }
    }
}

/// Reads what has changed, and tells it.
async fn tell(shared: &Shared, client: &Client, table: i64, inbox: &Inbox) -> Result<()> {
    let asked = timeout(shared.server.limit, client.batch_execute(&format!("LISTEN flipper_{table}"))).await;
    asked
        .map_err(|_| late(shared.server.limit, Asked::Read))?
        .map_err(|failure| of_driver(&failure, Asked::Read))?;
    // Nothing is missed from here on.
    shared.following.up();
    loop {
        let next = {
            let mut state = inbox.lock();
            match state.everything.take() {
                Some(cause) => Next::Everything(cause),
                None => state.names.pop_front().map_or(Next::Nothing, Next::Flag),
            }
        };
        match next {
            Next::Everything(cause) => shared.following.tell(&Change::Resync { cause }),
            Next::Flag(name) => shared.following.tell(&read(shared, name).await),
            Next::Nothing if timeout(SILENCE, inbox.arrived.notified()).await.is_err() => {
                let alive = timeout(ANSWER, client.simple_query("")).await;
                alive
                    .map_err(|_| late(ANSWER, Asked::Read))?
                    .map_err(|failure| of_driver(&failure, Asked::Read))?;
            }
            Next::Nothing => {}
        }
    }
}

enum Next {
    Everything(ResyncCause),
    Flag(String),
    Nothing,
}

/// What a flag is by now.
async fn read(shared: &Shared, name: String) -> Change {
    let Ok(legal) = FlagName::new(&name) else { return Change::Touched { name: name.into() } };
    match shared.server.get(legal).await {
        Ok(Some(found)) => Change::Put(found),
        Ok(None) => Change::Deleted { name: name.into(), version: None },
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            Change::Bad { name: name.into(), version: error.version().cloned(), error }
        }
        Err(_) => Change::Touched { name: name.into() },
    }
}
