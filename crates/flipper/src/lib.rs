//! Feature flags for applications that own their flags.
//!
//! ```
//! # fn main() -> flipper::Result<()> { futures_lite::future::block_on(async {
//! use flipper::{Bucketer, Condition, FeatureFlagClient, MemoryStore, Percentage, ctx};
//!
//! let client = FeatureFlagClient::new(MemoryStore::new());
//! let flag = client.create("CHECKOUT").await?;
//! flag.enable().await?;
//! flag.add_condition(&Condition::builder().eq("is_admin", true).build()?).await?;
//! flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5)?, ["user_id"])).await?;
//!
//! assert!(client.is_enabled("CHECKOUT", &ctx! { user_id: 1 }).await);
//! assert!(!client.is_enabled("CHECKOUT", &ctx! { user_id: 2 }).await);
//! assert!(client.is_enabled("CHECKOUT", &ctx! { user_id: 2, is_admin: true }).await);
//! # Ok(()) }) }
//! ```
//!
//! This crate gathers the others: the client and the flag model of `flipper-core`, and a store for each feature.
//!
//! | feature | store | address for [`open`] |
//! |---|---|---|
//! | `memory` (default) | `MemoryStore`: for tests and development | `memory:` |
//! | `file` | `FileStore`: one JSON file, durable and followed | `file:///path` |
//! | `redis` | `RedisStore`: Redis, shared with flipper-client | `redis://host`, `unix:///path`, `redis-sentinel://host,host/primary` |
//! | `cluster` | the same: Redis Cluster | `redis-cluster://host,host` |
//! | `consul` | `ConsulStore`: Consul, watched into memory, shared with flipper-client | `consul://host:8500` |
//! | `postgres` | `PostgresStore`: a table of PostgreSQL, shared with flipper-client | `postgres://user:password@host/database` |
//! | `s3` | `S3Store`: a bucket of S3, shared with flipper-client | none: it takes a client of your own |
//! | `aws-config` | the same, with region, credentials and encryption as AWS's own programs have them | `s3://bucket` |
//! | `thrift` | `ThriftStore`: anybody's `FeatureFlagStore` service, shared with flipper-client; `ThriftServer`: such a service before any store | `thrift://host:9090` |
//!
//! `mirror` adds `MirrorStore`, which keeps all flags of any store in memory, live; `cached` adds `CachedStore`, which keeps those that
//! were checked last: `redis://host?mirror`, `redis://host?cache=5000&ttl=30`; `replicated` adds `ReplicatedStore`, which keeps copies in other stores.
//! `audit` adds the audit log, `audit-tracing`, `audit-metrics` and `audit-webhook` what traces, measures and tells changes and checks: see `audit`.
//! `tls-rustls` adds encryption: `rediss://host`, `consul+https://host`, `postgres://host?sslmode=require`.
//!
//! [`open`] has all addresses and their parameters; [`OpenOptions`] chooses defaults for them in code, and gives the store without a client; [`redacted`] shows
//! an address without its secrets.
//!
//! `macros` adds `#[derive(Flags)]`, which declares flags once with their owners, expiry dates and defaults, and `#[flipper::feature]`, which
//! puts one function or another behind a flag. `tower` adds the module `tower`, with a layer that puts routes behind one.

pub mod guide;

mod address;
#[cfg(feature = "consul")]
mod consul;
mod open;
mod parameter;
mod redact;
#[cfg(any(feature = "aws-config", feature = "cached", feature = "consul", feature = "mirror"))]
mod runtime;
#[cfg(feature = "aws-config")]
mod s3;
mod scheme;
#[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "not all stores need all of it"))]
mod settings;
#[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "not all stores need all of it"))]
mod stores;
mod wrapper;

/// The audit log, and what traces, measures and tells changes and checks: features `audit`, `audit-tracing`, `audit-metrics`, `audit-webhook`.
#[cfg(any(
    feature = "audit",
    feature = "audit-tracing",
    feature = "audit-metrics",
    feature = "audit-webhook"
))]
pub use flipper_audit as audit;
#[cfg(feature = "cached")]
pub use flipper_cached::{CacheStats, CachedStore, CachedStoreBuilder};
#[cfg(feature = "consul")]
pub use flipper_consul::{Consistency, ConsulStore, ConsulStoreBuilder};
pub use flipper_core::*;
#[cfg(feature = "file")]
pub use flipper_file::{FileStore, FileStoreBuilder};
#[cfg(feature = "macros")]
pub use flipper_macros::{Flags, feature};
#[cfg(feature = "memory")]
pub use flipper_memory::MemoryStore;
#[cfg(feature = "mirror")]
pub use flipper_mirror::{MirrorStore, MirrorStoreBuilder};
#[cfg(feature = "postgres")]
pub use flipper_postgres::{PostgresStore, PostgresStoreBuilder};
#[cfg(feature = "redis")]
pub use flipper_redis::{RedisStore, RedisStoreBuilder};
#[cfg(feature = "replicated")]
pub use flipper_replicated::{
    Difference, ReplicaEvent, ReplicaFailure, ReplicaStatus, ReplicatedStore, ReplicatedStoreBuilder,
};
#[cfg(feature = "s3")]
pub use flipper_s3::{S3Store, S3StoreBuilder, aws_sdk_s3};
#[cfg(feature = "thrift")]
pub use flipper_thrift::{RunningThriftServer, ThriftServer, ThriftStore, ThriftStoreBuilder};
/// Routes behind flags, for axum, tonic, hyper and whatever else takes a layer of tower: the crate `flipper-tower`.
#[cfg(feature = "tower")]
pub use flipper_tower as tower;
pub use open::{OpenOptions, open};
pub use redact::redacted;
