//! The servers of a cluster, and which has which slot, as far as is known.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flipper_core::{Error, ErrorKind, Result};
use redis::Client;
use tokio::time::Instant;

use super::address::Address;
use super::refresh::Attempt;
use super::table::Table;
use crate::dial::{Dialer, Source};
use crate::error::error;
use crate::node::Node;
use crate::sentinel::client_at;
use crate::write::Replicas;

pub(crate) struct Cluster {
    /// How any of them is reached, but for its address.
    like: Client,
    /// Those that the caller has named.
    pub(super) seeds: Vec<Address>,
    pub(super) dialer: Arc<Dialer>,
    replicas: Option<Replicas>,
    state: Mutex<State>,
    /// How the servers were asked last which of them has which slot.
    pub(super) asking: Mutex<Option<Attempt>>,
}

#[derive(Default)]
struct State {
    nodes: HashMap<Address, Arc<Node>>,
    table: Option<Arc<Table>>,
}

impl Cluster {
    pub(crate) fn new(seeds: &[Client], dialer: Arc<Dialer>, replicas: Option<Replicas>) -> Result<Self> {
        let addresses = seeds.iter().map(|seed| Address::of(seed.get_connection_info().addr()));
        let (Some(like), Some(addresses)) = (seeds.first(), addresses.collect()) else {
            let message =
                "the servers of a Redis Cluster are reached by their hosts and ports, not by a socket";
            return Err(error(ErrorKind::InvalidInput, message));
        };
        Ok(Self {
            like: like.clone(),
            seeds: addresses,
            dialer,
            replicas,
            state: Mutex::default(),
            asking: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.dialer.check()
    }

    /// Finds out who has what, and reaches one of them.
    pub(crate) async fn connect(self: &Arc<Self>) -> Result<()> {
        self.refresh(Instant::now()).await.map(drop)
    }

    /// Closes all connections, once their calls have ended. The dialer is closed before.
    pub(crate) fn close(&self) {
        self.end_attempt();
        let state = std::mem::take(&mut *self.lock());
        for node in state.nodes.values() {
            node.close();
        }
    }

    /// What reads and writes at a server.
    pub(super) fn node(&self, address: &Address) -> Result<Arc<Node>> {
        self.check()?;
        let mut state = self.lock();
        if let Some(node) = state.nodes.get(address) {
            return Ok(Arc::clone(node));
        }
        let client = client_at(self.like.get_connection_info(), address.host.to_string(), address.port)?;
        let node = Arc::new(Node::new(self.dialer.to(Source::Client(Box::new(client))), self.replicas));
        node.dialer.expect_member(state.table.as_ref().and_then(|table| table.id_of(address)));
        state.nodes.insert(address.clone(), Arc::clone(&node));
        Ok(node)
    }

    /// Who has what, as far as is known.
    pub(super) fn table(&self) -> Option<Arc<Table>> {
        self.lock().table.clone()
    }

    /// Takes a table, and leaves servers that are none of this cluster's primaries any longer. Returns whether the primaries are others now.
    pub(super) fn learn(&self, table: &Arc<Table>) -> bool {
        let mut state = self.lock();
        let gone: Vec<_> = state
            .nodes
            .extract_if(|address, _| !table.primaries.contains(address) && !self.seeds.contains(address))
            .collect();
        for (address, node) in &state.nodes {
            node.dialer.expect_member(table.id_of(address));
        }
        let before = state.table.replace(Arc::clone(table));
        drop(state);
        // Unlocked: what ends with them may lock it.
        drop(gone);
        before.is_some_and(|before| !before.has_same_primaries(table))
    }

    /// Learns from an answer that a slot is elsewhere.
    pub(super) fn learn_of(&self, slot: u16, server: &Address) {
        let mut state = self.lock();
        let Some(table) = state.table.as_ref().filter(|table| table.primary_of(slot) != Some(server)) else {
            return;
        };
        let is_new = !table.primaries.contains(server);
        state.table = Some(Arc::new(table.with(slot, server)));
        drop(state);
        if is_new {
            self.dialer.moved.notify_one();
        }
    }
}

/// No server has a slot.
pub(super) fn unserved(slot: u16) -> Error {
    let message = format!("no server of the Redis Cluster has slot {slot}: it is incomplete at present");
    error(ErrorKind::Unavailable, message)
}

impl fmt::Debug for Cluster {
    /// Prints no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cluster of")?;
        for (number, seed) in self.seeds.iter().enumerate() {
            write!(f, "{}{seed}", if number == 0 { ' ' } else { ',' })?;
        }
        Ok(())
    }
}
