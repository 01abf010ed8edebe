//! Finding the server that has a key, and following it when it moves.

use std::sync::Arc;

use flipper_core::{Error, ErrorKind, Expect, Result};
use redis::{Value, cmd};
use tokio::time::Instant;

use super::address::Address;
use super::nodes::{Cluster, unserved};
use super::slot::slot;
use crate::error::{Asked, error, of_driver};
use crate::node::Node;
use crate::redirect::Redirect;
use crate::write::{Edit, Outcome};

/// How often one call is sent on to another server.
const HOPS: usize = 8;

/// One call's way to the server that has its key.
struct Route<'c> {
    cluster: &'c Arc<Cluster>,
    slot: u16,
    since: Instant,
    address: Address,
    node: Arc<Node>,
    /// Whether the key may be on its way to this server.
    asks: bool,
    hops: usize,
    has_refreshed: bool,
}

impl Cluster {
    pub(crate) async fn read(self: &Arc<Self>, key: &[u8]) -> Result<Value> {
        let mut get = cmd("GET");
        get.arg(key);
        let mut route = self.route(key).await?;
        loop {
            let answer = match route.node.link.read(&get, route.asks).await {
                Ok(Value::ServerError(failure)) => match of_driver(&failure.clone().into(), Asked::Read) {
                    error if route.is_worth_a_try(&error) => Err(error),
                    _ => Ok(Value::ServerError(failure)),
                },
                answer => answer,
            };
            match answer {
                Err(error) => route.go_on(error).await?,
                answer => return answer,
            }
        }
    }

    pub(crate) async fn write(
        self: &Arc<Self>,
        key: &str,
        edit: Edit<'_>,
        expect: Expect<'_>,
    ) -> Result<Outcome> {
        let mut route = self.route(key.as_bytes()).await?;
        loop {
            let node = &route.node;
            match node.writer.write(&node.link, key, edit, expect, route.asks).await {
                Err(error) => route.go_on(error).await?,
                written => return written,
            }
        }
    }

    async fn route(self: &Arc<Self>, key: &[u8]) -> Result<Route<'_>> {
        let (slot, since) = (slot(key), Instant::now());
        let table = match self.table() {
            Some(table) if table.primary_of(slot).is_some() => table,
            _ => self.refresh(since).await?,
        };
        let address = table.primary_of(slot).ok_or_else(|| unserved(slot))?.clone();
        let node = self.node(&address)?;
        Ok(Route { cluster: self, slot, since, address, node, asks: false, hops: 0, has_refreshed: false })
    }
}

impl Route<'_> {
    /// Whether another server may answer what this one has not. Nothing has happened here.
    fn is_worth_a_try(&self, error: &Error) -> bool {
        Redirect::of(error).is_some() || error.kind() == ErrorKind::Unavailable && !self.has_refreshed
    }

    /// Finds where to go on after an error, or returns it.
    async fn go_on(&mut self, error: Error) -> Result<()> {
        if !self.is_worth_a_try(&error) {
            return Err(error);
        }
        if let Some(redirect) = Redirect::of(&error) {
            return self.follow(redirect);
        }
        // Another one may have taken its place.
        self.has_refreshed = true;
        let Ok(table) = self.cluster.refresh(self.since).await else { return Err(error) };
        match table.primary_of(self.slot) {
            Some(address) if *address != self.address || self.asks => self.turn_to(address.clone(), false),
            _ => Err(error),
        }
    }

    fn follow(&mut self, redirect: &Redirect) -> Result<()> {
        self.hops += 1;
        if self.hops > HOPS {
            let message = format!("the servers of the Redis Cluster send slot {} to each other", self.slot);
            return Err(error(ErrorKind::Unavailable, message));
        }
        let address = self.address.says(&redirect.host, redirect.port);
        if !redirect.is_ask {
            // It is that of this call's key, whatever the server says.
            self.cluster.learn_of(self.slot, &address);
            self.cluster.refresh_soon();
        }
        self.turn_to(address, redirect.is_ask)
    }

    fn turn_to(&mut self, address: Address, asks: bool) -> Result<()> {
        self.node = self.cluster.node(&address)?;
        (self.address, self.asks) = (address, asks);
        Ok(())
    }
}
