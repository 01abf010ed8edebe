//! Redis Cluster: flags spread over several servers, of which each can be replaced by another one.

mod address;
mod follow;
mod listing;
mod nodes;
mod refresh;
mod route;
mod slot;
mod table;
mod view;

pub(crate) use follow::follow;
pub(crate) use listing::list;
pub(crate) use nodes::Cluster;
