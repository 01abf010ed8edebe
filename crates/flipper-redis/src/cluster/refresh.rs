//! Asking the servers which of them has which slot.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use flipper_core::{Error, ErrorKind, Result};
use redis::Value;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout};

use super::address::Address;
use super::nodes::Cluster;
use super::table::Table;
use crate::error::{Asked, error, of_driver};
use crate::node::Node;
use crate::record::unexpected;

/// How many servers are asked at once.
const ASKED: usize = 6;
/// For how long the others may answer too, once one has: it may be one that has been cut off, and knows less.
const GRACE: Duration = Duration::from_millis(50);

/// An attempt to find out who has what, for whose end all callers wait.
#[derive(Debug)]
pub(super) struct Attempt {
    begun: Instant,
    outcome: Outcome,
    task: AbortHandle,
}

/// How an attempt has ended; `None` while it is under way.
type Outcome = watch::Receiver<Option<Result<Arc<Table>>>>;

impl Attempt {
    /// Whether somebody still sees to it: not once the runtime has ended that it was made in.
    fn is_under_way(&self) -> bool {
        self.outcome.borrow().is_none() && self.outcome.has_changed().is_ok()
    }

    fn has_ended(&self) -> bool {
        self.outcome.borrow().is_some()
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cluster {
    /// Asks who has what, unless that was asked since.
    pub(super) async fn refresh(self: &Arc<Self>, since: Instant) -> Result<Arc<Table>> {
        loop {
            self.check()?;
            let (begun, mut outcome) = self.attempt(since);
            let waited = timeout(self.patience(), outcome.wait_for(Option::is_some)).await;
            let waited = waited.map(|ended| ended.map(|ended| ended.clone()));
            match waited {
                // One that began before may not have seen what the caller wants to know.
                _ if waited.is_ok() && begun < since => {}
                Ok(Ok(Some(ended))) => return ended,
                // It stands still, or was ended with its runtime or the store.
                _ => {
                    self.give_up(&outcome);
                    return self.check().and_then(|()| Err(nobody()));
                }
            }
        }
    }

    /// Asks in the background, unless somebody does.
    pub(super) fn refresh_soon(self: &Arc<Self>) {
        if self.check().is_ok() {
            self.attempt(Instant::now());
        }
    }

    /// How long an attempt may take: it has limits of its own, and keeps them unless its runtime stands still.
    fn patience(&self) -> Duration {
        let connecting = self.dialer.connect_timeout.saturating_mul(2);
        connecting.saturating_add(self.dialer.timeout).saturating_add(GRACE.saturating_mul(2 * ASKED as u32))
    }

    /// The attempt that is under way, or has ended and was begun since; or else a new one. It goes on in the background: callers that
    /// give up, or that nobody looks at, do not hold up others.
    fn attempt(self: &Arc<Self>, since: Instant) -> (Instant, Outcome) {
        let mut last = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(attempt) = last.as_ref()
            && (attempt.is_under_way() || attempt.begun >= since && attempt.has_ended())
        {
            return (attempt.begun, attempt.outcome.clone());
        }
        let (sender, outcome) = watch::channel(None);
        let (cluster, begun) = (Arc::clone(self), Instant::now());
        let task = tokio::spawn(async move {
            let asked = cluster.ask_around().await.map(Arc::new);
            if let Ok(table) = &asked
                && cluster.learn(table)
            {
                cluster.dialer.moved.notify_one();
            }
            let _ = sender.send(Some(asked));
        });
        *last = Some(Attempt { begun, outcome: outcome.clone(), task: task.abort_handle() });
        (begun, outcome)
    }

    fn give_up(&self, stuck: &Outcome) {
        let mut last = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let stuck = last.take_if(|attempt| attempt.outcome.same_channel(stuck));
        drop(last);
        // Unlocked: what ends with it may lock it.
        drop(stuck);
    }

    /// Ends the attempt that is under way.
    pub(super) fn end_attempt(&self) {
        let last = self.asking.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(last);
    }

    /// Asks several servers, and returns what the one says of this cluster that knows of most changes.
    async fn ask_around(&self) -> Result<Table> {
        let mut candidates: Vec<Address> =
            self.table().map(|table| table.primaries.clone()).unwrap_or_default();
        fastrand::shuffle(&mut candidates);
        candidates.truncate(ASKED);
        let mut seeds = self.seeds.clone();
        fastrand::shuffle(&mut seeds);
        seeds.retain(|seed| !candidates.contains(seed));
        candidates.extend(seeds.into_iter().take(ASKED));

        let mut asked = JoinSet::new();
        for address in candidates {
            let node = self.node(&address)?;
            asked.spawn(async move { ask(&address, &node).await });
        }
        let known = self.table();
        let is_known = |table: &Table| known.as_ref().is_none_or(|known| known.is_akin(table));
        let (mut tables, mut failure) = (Vec::<Table>::new(), None::<Error>);
        loop {
            let next = async { asked.join_next().await };
            // One that tells of a cluster of others may have left this one: it counts if nobody else answers.
            let answer = if tables.iter().any(is_known) {
                timeout(GRACE, next).await.ok().flatten()
            } else {
                next.await
            };
            match answer {
                None => break,
                Some(Ok(Ok(table))) => tables.push(table),
                // One that says what is wrong rather than one that is not there.
                Some(Ok(Err(error))) => {
                    if failure.as_ref().is_none_or(Error::is_retryable) {
                        failure = Some(error);
                    }
                }
                Some(Err(_)) => {}
            }
        }
        // Of two clusters, neither their numbers of changes nor how they are says which is meant: most votes count, of those that answer
        // and of what was known.
        let votes = |table: &Table| {
            let akin = tables.iter().filter(|other| table.is_akin(other)).count();
            akin + usize::from(is_known(table))
        };
        let rank = |table: &Table| (votes(table), table.is_up, table.unserved().is_none(), table.epoch);
        let best = tables.iter().max_by_key(|table| rank(table)).cloned();
        best.ok_or_else(|| failure.unwrap_or_else(nobody))
    }
}

fn nobody() -> Error {
    error(ErrorKind::Unavailable, "no server of the Redis Cluster answers")
}

async fn ask(address: &Address, node: &Node) -> Result<Table> {
    let mut ask = redis::pipe();
    ask.cmd("CLUSTER").arg("SLOTS").cmd("CLUSTER").arg("INFO");
    let answers = node.link.live().await?.send_all(&ask).await;
    let answers = answers.map_err(|failure| of_driver(&failure, Asked::Read))?;
    let Ok([slots, info]) = <[Value; 2]>::try_from(answers) else { return Err(unexpected()) };
    let table = Table::read(address, slots, info);
    table.map_err(|error| error.map_message(|message| format!("{address}: {message}")))
}
