//! Asking the servers which of them has which slot.

use std::sync::Arc;
use std::time::Duration;

use flipper_core::{Error, ErrorKind, Result};
use redis::Value;
use tokio::task::JoinSet;
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

impl Cluster {
    /// Asks who has what, unless that was asked since.
    pub(super) async fn refresh(self: &Arc<Self>, since: Instant) -> Result<Arc<Table>> {
        self.check()?;
        let _turn = self.refreshing.lock().await;
        if let Some((table, asked)) = self.table()
            && asked >= since
        {
            return Ok(table);
        }
        let asked = Instant::now();
        let table = Arc::new(self.ask_around().await?);
        if self.learn(&table, asked) {
            self.dialer.moved.notify_one();
        }
        Ok(table)
    }

    /// Asks in the background, unless somebody does.
    pub(super) fn refresh_soon(self: &Arc<Self>) {
        if self.refreshing.try_lock().is_ok() {
            let (cluster, now) = (Arc::clone(self), Instant::now());
            tokio::spawn(async move { cluster.refresh(now).await.map(drop) });
        }
    }

    /// Asks several servers, and returns what the one says that knows of most changes.
    async fn ask_around(&self) -> Result<Table> {
        let mut candidates: Vec<Address> =
            self.table().map(|(table, _)| table.primaries.clone()).unwrap_or_default();
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
        let (mut best, mut failure) = (None::<Table>, None::<Error>);
        loop {
            let next = async { asked.join_next().await };
            let answer = match &best {
                Some(_) => timeout(GRACE, next).await.ok().flatten(),
                None => next.await,
            };
            match answer {
                None => break,
                Some(Ok(Ok(table))) => {
                    let rank = |table: &Table| (table.is_up, table.unserved().is_none(), table.epoch);
                    if best.as_ref().is_none_or(|best| rank(best) < rank(&table)) {
                        best = Some(table);
                    }
                }
                // One that says what is wrong rather than one that is not there.
                Some(Ok(Err(error))) => {
                    if failure.as_ref().is_none_or(Error::is_retryable) {
                        failure = Some(error);
                    }
                }
                Some(Err(_)) => {}
            }
        }
        let nobody = || error(ErrorKind::Unavailable, "no server of the Redis Cluster answers");
        best.ok_or_else(|| failure.unwrap_or_else(nobody))
    }
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
