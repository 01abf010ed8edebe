//! Feature flags in Redis, on the same keys and in the same bytes as Python's flipper-client.
//!
//! ```no_run
//! use flipper_core::{FeatureFlagClient, ctx};
//! use flipper_redis::RedisStore;
//!
//! # async fn example() -> flipper_core::Result<()> {
//! let client = FeatureFlagClient::new(RedisStore::connect("redis://127.0.0.1").await?);
//! client.create("MY_FEATURE").await?.enable().await?;
//! assert!(client.is_enabled("MY_FEATURE", &ctx! { user_id: 7 }).await);
//! # Ok(()) }
//! ```
//!
//! # What happens when
//!
//! | | |
//! |---|---|
//! | two edit a flag | each write compares the stored bytes and replaces them in one step, by a script of the server; where an ACL denies scripts, by `WATCH` and `MULTI`. Nobody's edit is lost |
//! | Python edits it too | our writes never replace what Python has written in between. Python's may replace ours: flipper-client reads, changes and writes without a look |
//! | the server is away | calls fail with [`Unavailable`] in bounded time, and for a moment after a failed attempt to connect at once. A write whose answer was lost is [`OutcomeUnknown`], which the client looks into |
//! | the server comes back | the next call connects; whoever watches is told to load everything |
//! | there is a failover | the next call connects anew. Redis acknowledges writes before its replicas have them: those of the last moments can be lost, unless [`wait_for_replicas`] is set |
//! | the memory is full, or the disk | writes fail with [`Unavailable`], reads go on |
//! | a key expires, or is evicted | the flag is gone, and watchers are told. Give a store that keeps flags the policy `noeviction` |
//! | a record cannot be read | it is [`Corrupt`], also if it is empty or no string at all; in a listing it is one item, and the others follow |
//! | `FLUSHALL` | watchers are told to load everything, not that each flag was deleted |
//!
//! # Permissions
//!
//! A user needs `+get +set +del +mget +scan ~features/*` and, so that no edit is lost, `+evalsha +eval`, or else `+watch +multi
//! +exec +discard`. To be told of changes it needs `+client|tracking` and `+ping`; without the first the store polls, and its
//! [`capabilities`] say so. A database other than 0 needs `+select`, and `WAIT` needs `+wait`.
//!
//! # Runtime
//!
//! The store needs a Tokio runtime with I/O and time enabled, as `#[tokio::main]` has. Outside of one, calls are
//! [`Unsupported`].
//!
//! # Features
//!
//! * `tls-rustls`: `rediss://`, with the certificates that the system trusts. The application's choice of a cryptography
//!   provider for `rustls` is respected; without one, `ring` is chosen. For certificates of your own, see
//!   [`RedisStore::builder_from_client`].
//!
//! [`Unavailable`]: flipper_core::ErrorKind::Unavailable
//! [`OutcomeUnknown`]: flipper_core::ErrorKind::OutcomeUnknown
//! [`Unsupported`]: flipper_core::ErrorKind::Unsupported
//! [`Corrupt`]: flipper_core::ErrorKind::Corrupt
//! [`capabilities`]: flipper_core::Store::capabilities
//! [`wait_for_replicas`]: RedisStoreBuilder::wait_for_replicas

mod address;
mod builder;
#[cfg(feature = "cluster")]
mod cluster;
mod dial;
mod error;
mod follow;
mod inbox;
mod keys;
mod link;
mod list;
mod node;
mod record;
mod redirect;
mod sentinel;
mod servers;
mod shared;
mod store;
mod transaction;
mod wire;
mod write;

pub use builder::RedisStoreBuilder;
pub use redis;
pub use store::RedisStore;
