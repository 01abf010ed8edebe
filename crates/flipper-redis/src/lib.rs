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
//! # Redis Cluster
//!
//! With the feature `cluster`, `redis-cluster://host:port,host:port` names one or more servers of a cluster, from which the others are
//! learned. Flags are spread over all primaries by the slots of their keys.
//!
//! | | |
//! |---|---|
//! | a slot is moved | calls go where its keys are, also in the middle of the move. A listing comes to all primaries once, and once more if something has moved meanwhile, so that no flag is missed; of keys that move again and again it fails as [`Unavailable`] |
//! | a primary is away | calls for the flags that it has fail with [`Unavailable`], those for others go on. Listings fail: flags would be missing. Watchers are told that changes cannot be followed, of any flag |
//! | a replica takes its place | the next call goes there; whoever watches is told to load everything. What the replica did not have yet is lost, unless [`wait_for_replicas`] is set: with one replica for each primary and a count of 1, no write that was acknowledged is |
//! | a primary gives way and stays, or a new one joins | noticed within about a second, and followed |
//! | one that was cut off comes back | for a moment it may answer with what it knew. Writes that it takes there are not confirmed by replicas |
//!
//! All servers are reached in the same way but for their addresses, which the cluster tells: with the same user and password, and the same
//! encryption. With encryption, the cluster has to announce the names that are in its certificates
//! (`cluster-announce-hostname`, `cluster-preferred-endpoint-type hostname`); behind a NAT, the addresses by which it is reached
//! (`cluster-announce-ip`).
//!
//! # Redis Sentinel
//!
//! `redis-sentinel://user:password@host:port,host:port/primary/database` names sentinels (port 26379), and what they call the server.
//! They are asked at each connection, all at once, and most votes count; and every 750 ms while changes are followed. The server has to say that it
//! is a primary, and the sentinels, once it is reached, that it still is. When there is another one, connections to the one before are used no longer.
//! One that is cut off from the sentinels takes writes until they reach it again, which are lost then: only
//! [`wait_for_replicas`] tells. A store of which nobody watches the changes finds out when the server before hangs up, or refuses a write.
//!
//! # Permissions
//!
//! A user needs `+get +set +del +mget +scan ~features/*` and, so that no edit is lost, `+evalsha +eval`, or else `+watch +multi
//! +exec +discard`. To be told of changes it needs `+client|tracking` and `+ping`; without the first the store polls, and its
//! [`capabilities`] say so. A database other than 0 needs `+select`, and `WAIT` needs `+wait`. In a cluster, it also needs
//! `+cluster|slots +cluster|info +cluster|nodes +cluster|myid +asking`; by sentinels, `+role`, without which the server is not asked whether it is a primary,
//! and, at the sentinels, `+sentinel|get-master-addr-by-name`.
//!
//! # Runtime
//!
//! The store needs a Tokio runtime with I/O and time enabled, as `#[tokio::main]` has. Outside of one, calls are
//! [`Unsupported`].
//!
//! # Features
//!
//! * `cluster`: `redis-cluster://`.
//! * `tls-rustls`: `rediss://`, `rediss-cluster://` and `rediss-sentinel://`, with the certificates that the system trusts. The application's choice of a cryptography
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
