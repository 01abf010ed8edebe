//! Where flags are: on one server, or spread over those of a cluster.

use std::fmt;
#[cfg(feature = "cluster")]
use std::sync::Arc;

use flipper_core::{BoxStream, Expect, Listed, Page, Result};
use redis::{Value, cmd};

#[cfg(feature = "cluster")]
use crate::cluster::Cluster;
use crate::keys::Keys;
use crate::list::list;
use crate::node::Node;
use crate::write::{Edit, Outcome};

pub(crate) enum Servers {
    One(Node),
    #[cfg(feature = "cluster")]
    Cluster(Arc<Cluster>),
}

impl Servers {
    /// Reads a key: what the server answers, an error included, is `Ok`.
    pub(crate) async fn read(&self, key: &[u8]) -> Result<Value> {
        match self {
            Self::One(node) => node.link.read(cmd("GET").arg(key), false).await,
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.read(key).await,
        }
    }

    pub(crate) async fn write(&self, key: &str, edit: Edit<'_>, expect: Expect<'_>) -> Result<Outcome> {
        match self {
            Self::One(node) => node.writer.write(&node.link, key, edit, expect, false).await,
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.write(key, edit, expect).await,
        }
    }

    pub(crate) fn list<'s>(&'s self, keys: &'s Keys, page: Page) -> BoxStream<'s, Result<Listed>> {
        match self {
            Self::One(node) => list(self, node, keys, page),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => crate::cluster::list(self, cluster, keys, page),
        }
    }

    /// Whether keys are spread over several servers.
    pub(crate) fn are_many(&self) -> bool {
        !matches!(self, Self::One(_))
    }

    /// Whether calls can be made at all.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::One(node) => node.dialer.check(),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.check(),
        }
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> Result<()> {
        match self {
            Self::One(node) => node.link.live().await.map(drop),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.connect().await,
        }
    }

    pub(crate) fn close(&self) {
        match self {
            Self::One(node) => node.close(),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.close(),
        }
    }
}

impl fmt::Debug for Servers {
    /// Prints no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(node) => node.dialer.source.fmt(f),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.fmt(f),
        }
    }
}
