//! Following the changes of all writers: told by the server, or polled.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{Change, ErrorKind, Page, Result};
use flipper_follow::{Follow, Following};
use futures_lite::StreamExt;
use redis::{Value, cmd};
use tokio::time::{sleep, timeout};

use crate::error::{Asked, error, late, of_driver};
use crate::inbox::Inbox;
use crate::list::{Batch, gets, list};
use crate::record::{Record, shown};
use crate::shared::Shared;
use crate::wire::Live;

/// How long nothing may be told before the server is asked whether it is still there: a connection can be dead for long
/// without either side noticing.
const SILENCE: Duration = Duration::from_millis(750);
/// How long it may take to answer that, at most: together it is found out within two seconds.
const PATIENCE: Duration = Duration::from_secs(1);

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
        let inbox = Arc::new(Inbox::default());
        let live = self.dialer.dial(Some(&inbox)).await?;
        if !live.traits.tracks() {
            drop(live);
            let list = || list(&self.link, &self.keys, Page::ALL).try_collect();
            return self.following.poll(self.poll_interval, list, || !self.dialer.must_poll()).await;
        }
        // A server that is still loading would have whoever loads now fail, and not tell when it has loaded.
        ask_whether_it_is_there(&live).await?;
        self.following.up();
        hear(&self, &live, &inbox).await
    }
}

/// Passes on what the server tells, until the connection is lost.
async fn hear(shared: &Shared, live: &Live, inbox: &Inbox) -> Result<()> {
    let mut batch = Batch::new();
    loop {
        tokio::select! {
            () = inbox.told() => {}
            // The address may lead to another server by now, which this connection would never tell of.
            () = shared.dialer.moved.notified() => {
                return Err(error(ErrorKind::Unavailable, "the server is a replica, or was demoted"));
            }
            () = sleep(SILENCE) => {
                ask_whether_it_is_there(live).await?;
                continue;
            }
        }
        let told = inbox.take();
        if told.is_disconnected {
            return Err(error(ErrorKind::Unavailable, "the connection was lost"));
        }
        if let Some(cause) = told.resync {
            shared.following.tell(&Change::Resync { cause });
            continue;
        }
        let mut keys: VecDeque<_> =
            told.keys.into_iter().filter(|key| shared.keys.name(key).is_some()).collect();
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
fn change(name: &[u8], answer: Value) -> Result<Change> {
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
