//! Listings of all servers: one after the other, and once more where keys were moved meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;

use flipper_core::{BoxStream, ErrorKind, Listed, Page, Result};

use super::address::Address;
use super::nodes::Cluster;
use super::view::{View, is_complete};
use crate::error::error;
use crate::keys::Keys;
use crate::list::{Batches, Lister, stream_of};
use crate::servers::Servers;

/// How often all servers are scanned, at most.
const ROUNDS: usize = 8;

pub(crate) fn list<'s>(
    servers: &'s Servers,
    cluster: &'s Arc<Cluster>,
    keys: &'s Keys,
    page: Page,
) -> BoxStream<'s, Result<Listed>> {
    stream_of(async move {
        let view = cluster.view().await?;
        let mut left: VecDeque<_> = view.primaries.keys().cloned().collect();
        let first = left.pop_front().unwrap_or_else(|| cluster.seeds[0].clone());
        let live = cluster.node(&first)?.link.live().await?;
        Ok(Rounds { cluster, lister: Lister::new(live, servers, keys, page), left, views: vec![view] })
    })
}

struct Rounds<'s> {
    cluster: &'s Arc<Cluster>,
    lister: Lister<'s>,
    /// Those whose turn comes in this round.
    left: VecDeque<Address>,
    /// What was seen before the first round, and after each.
    views: Vec<View>,
}

impl Batches for Rounds<'_> {
    async fn next(&mut self) -> Result<Option<Vec<Result<Listed>>>> {
        loop {
            if let Some(records) = self.lister.next().await? {
                return Ok(Some(records));
            }
            if self.lister.is_full() {
                return Ok(None);
            }
            if self.left.is_empty() {
                let view = self.cluster.view().await?;
                self.left = view.primaries.keys().cloned().collect();
                self.views.push(view);
                if is_complete(&self.views) {
                    return Ok(None);
                }
                if self.views.len() > ROUNDS {
                    let message = "keys of the Redis Cluster are moved from server to server faster than they can be listed";
                    return Err(error(ErrorKind::Unavailable, message));
                }
            }
            if let Some(address) = self.left.pop_front() {
                self.lister.turn_to(self.cluster.node(&address)?.link.live().await?);
            }
        }
    }
}
