//! Changes that the server tells: on a connection of its own.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flipper_core::{Change, ErrorKind, FlagName, Result, ResyncCause};
use futures_lite::future;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Socket};

use crate::error::{Asked, error, late, of_driver};
use crate::server::Looked;
use crate::shared::Shared;

/// How often a connection is asked whether it is alive and the table the same; it has a second to answer.
const SILENCE: Duration = Duration::from_millis(750);
const ANSWER: Duration = Duration::from_secs(1);

/// What is told only to hear it: no flag has such a name.
const PROBE: &str = "\n";

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
    /// Whether anything has come at all.
    has_heard: bool,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, payload: &str) {
        let mut state = self.lock();
        state.has_heard = true;
        if payload.is_empty() {
            state.everything = Some(ResyncCause::Server);
        } else if state.names.len() >= CAPACITY {
            state.everything = Some(ResyncCause::Overflow);
        } else if payload != PROBE && state.names.back().is_none_or(|last| last != payload) {
            state.names.push_back(payload.to_owned());
        }
        if state.everything.is_some() {
            state.names.clear();
        }
        drop(state);
        self.arrived.notify_one();
    }
}

/// Follows until the connection is lost, or the table or what tells of it is another; not at all, where notices do not come through.
pub(crate) async fn listen(shared: &Shared, table: &Looked) -> Result<()> {
    #[cfg(feature = "tls-rustls")]
    if let Some(tls) = &shared.dialer.tls {
        return listen_with(shared, table, tls.clone()).await;
    }
    listen_with(shared, table, NoTls).await
}

async fn listen_with<T>(shared: &Shared, table: &Looked, tls: T) -> Result<()>
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
async fn tell(shared: &Shared, client: &Client, table: &Looked, inbox: &Inbox) -> Result<()> {
    let (limit, channel) = (shared.server.limit, table.channel());
    let asked = timeout(limit, client.batch_execute(&format!("LISTEN {channel}"))).await;
    asked.map_err(|_| late(limit, Asked::Read))?.map_err(|failure| of_driver(&failure, Asked::Read))?;
    if !hears(shared, client, table, inbox).await? {
        log::warn!(target: "flipper::postgres", "notices of changes do not come through, so they are polled: is there a pooler? `behind_pooler` is for that");
        shared.is_deaf.store(true, Ordering::Relaxed);
        return Ok(());
    }
    // Nothing is missed from here on.
    shared.following.up();
    let mut checked = Instant::now();
    loop {
        if checked.elapsed() >= SILENCE {
            check(shared, client, table, ANSWER).await?;
            checked = Instant::now();
        }
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
            Next::Nothing => {
                let _ = timeout(SILENCE, inbox.arrived.notified()).await;
            }
        }
    }
}

/// Whether notices come through: the session that listens may be handed on by somebody between. Also that the table is the one that was looked at, now that
/// it is listened to.
async fn hears(shared: &Shared, client: &Client, table: &Looked, inbox: &Inbox) -> Result<bool> {
    let both: &[_] = &[(&table.channel() as _, Type::TEXT), (&PROBE as _, Type::TEXT)];
    shared.server.ask("SELECT pg_notify($1, $2)", both, Asked::Read).await?;
    let heard = async {
        while !inbox.lock().has_heard {
            inbox.arrived.notified().await;
        }
    };
    let _ = timeout(SILENCE, heard).await;
    // An answer comes after the notices that there are: one who has answered and told nothing does not tell.
    check(shared, client, table, shared.server.limit).await?;
    Ok(inbox.lock().has_heard)
}

/// Finds out whether the connection is alive, and the table the one that tells.
async fn check(shared: &Shared, client: &Client, table: &Looked, limit: Duration) -> Result<()> {
    let asked = timeout(limit, client.query_typed(&shared.server.statements.look, &[])).await;
    let rows = asked.map_err(|_| late(limit, Asked::Read))?;
    let looked = Looked::of(&rows.map_err(|failure| of_driver(&failure, Asked::Read))?)?;
    if looked == *table {
        return Ok(());
    }
    Err(error(
        ErrorKind::Unavailable,
        "the table or its triggers have been replaced, so all flags are read anew",
    ))
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
