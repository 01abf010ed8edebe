//! Following the changes of all writers: told by the server, or polled.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{Change, ErrorKind, Page, Result, ResyncCause};
use flipper_follow::{Follow, Following};
use futures_lite::StreamExt;
use redis::{Value, cmd};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::dial::Source;
use crate::error::{Asked, error, late, of_driver};
use crate::inbox::Inbox;
use crate::keys::Keys;
use crate::list::{Batch, gets};
use crate::node::Node;
use crate::record::{Record, shown};
use crate::servers::Servers;
use crate::shared::Shared;
use crate::wire::Live;

/// How long nothing may be told before the server is asked whether it is still there: a connection can be dead for long
/// without either side noticing.
pub(crate) const SILENCE: Duration = Duration::from_millis(750);
/// How long it may take to answer that, at most: together it is found out within two seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

#[async_trait]
impl Follow for Shared {
    fn following(&self) -> &Following {
        &self.following
    }

    fn patience(&self) -> Duration {
        self.dialer.connect_timeout.saturating_mul(2)
    }

    async fn follow(self: Arc<Self>) -> Result<()> {
        // What was found out of the server before is over.
        futures_lite::future::poll_once(self.dialer.moved.notified()).await;
        let heard = match &self.servers {
            Servers::One(node) => hear(&self, node).await?,
            #[cfg(feature = "cluster")]
            Servers::Cluster(cluster) => crate::cluster::follow(&self, cluster).await?,
        };
        if heard.is_some() {
            return Ok(());
        }
        let list = || self.servers.list(&self.keys, Page::ALL).try_collect();
        self.following.poll(self.poll_interval, list, || !self.dialer.must_poll()).await
    }
}

/// What a server has told since the last look.
pub(crate) enum Told {
    /// These keys have changed.
    Keys(Vec<Vec<u8>>),
    /// Anything may have.
    Everything(ResyncCause),
}

impl Told {
    pub(crate) fn of(inbox: &Inbox, keys: &Keys) -> Result<Self> {
        let told = inbox.take();
        if told.is_disconnected {
            return Err(error(ErrorKind::Unavailable, "the connection was lost"));
        }
        Ok(match told.resync {
            Some(cause) => Self::Everything(cause),
            None => Self::Keys(told.keys.into_iter().filter(|key| keys.name(key).is_some()).collect()),
        })
    }
}

/// Passes on what the server tells, until the connection is lost. `None` if it cannot tell.
async fn hear(shared: &Shared, node: &Node) -> Result<Option<()>> {
    let sentinel = match &node.dialer.source {
        Source::Sentinel(sentinel) => Some(sentinel),
        _ => None,
    };
    let mut ask_sentinels = interval(SILENCE);
    ask_sentinels.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let inbox = Arc::new(Inbox::default());
    let live = &node.dialer.dial(Some(&inbox)).await?;
    if !live.traits.tracks() {
        return Ok(None);
    }
    // A server that is still loading would have whoever loads now fail, and not tell when it has loaded.
    ask_whether_it_is_there(live).await?;
    shared.following.up();
    let mut batch = Batch::new();
    loop {
        tokio::select! {
            () = inbox.told() => {}
            // The address may lead to another server by now, which this connection would never tell of.
            () = shared.dialer.moved.notified() => {
                return Err(error(ErrorKind::Unavailable, "the server is a replica, or was demoted"));
            }
            // The server before may not know that there is another one, and go on telling.
            _ = ask_sentinels.tick(), if sentinel.is_some() => {
                if let Some(sentinel) = sentinel {
                    // Who does not answer now is asked again soon.
                    let _ = node.dialer.place(sentinel, PATIENCE).await;
                }
                if !node.dialer.leads_to(live) {
                    return Err(error(ErrorKind::Unavailable, "the sentinels name another server by now"));
                }
                ask_whether_it_is_there(live).await?;
                continue;
            }
            () = sleep(SILENCE) => {
                ask_whether_it_is_there(live).await?;
                continue;
            }
        }
        let mut keys = match Told::of(&inbox, &shared.keys)? {
            Told::Keys(keys) => VecDeque::from(keys),
            Told::Everything(cause) => {
                shared.following.tell(&Change::Resync { cause });
                continue;
            }
        };
        while !keys.is_empty() {
            let some: Vec<_> = keys.drain(..keys.len().min(batch.size())).collect();
            let answers = live.send_all(&gets(&some)).await;
            let answers = answers.map_err(|failure| of_driver(&failure, Asked::Read))?;
            batch.learn(&answers);
            for (key, answer) in some.iter().zip(answers) {
                let name = shared.keys.name(key).unwrap_or_default();
                shared.following.tell(&change(name, answer)?);
            }
        }
    }
}

/// What a watcher is told of a key. An error of the server that will not pass is one of this record.
pub(crate) fn change(name: &[u8], answer: Value) -> Result<Change> {
    match Record::read(name, answer) {
        Ok(record) => Ok(record.change()),
        Err(error) if error.is_retryable() => Err(error),
        Err(error) => Ok(Change::Bad { name: shown(name), version: None, error }),
    }
}

async fn ask_whether_it_is_there(live: &Live) -> Result<()> {
    let asked = timeout(PATIENCE, live.send(&cmd("PING"))).await.unwrap_or_else(|_| Err(late()));
    match asked.map_err(|failure| of_driver(&failure, Asked::Read))? {
        Value::ServerError(failure) => match of_driver(&failure.into(), Asked::Read) {
            // Who may not ask is answered all the same.
            error if error.kind() == ErrorKind::PermissionDenied => Ok(()),
            error => Err(error),
        },
        _ => Ok(()),
    }
}
