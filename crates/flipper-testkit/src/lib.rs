//! Helps to test what uses flags, and proves that a store keeps flipper's contract.
//!
//! For applications:
//!
//! * [`TestFlags`] are the flags of one test: set in a line, isolated from those of all other tests, and they tell what was asked.
//! * [`Combinations`] run a test under each combination of flags, or under as few as have every pair.
//!
//! For those who write stores, or want to see one fail:
//!
//! * [`store_conformance!`] makes a test of each behaviour that the contract asks of a store.
//! * [`FaultStore`] makes any store fail in a way of your choice, [`RecordingStore`] tells what was asked of it.
//! * [`With`] keeps a directory or a proxy for as long as a store.
//! * [`ManualClock`] and [`FixedRandom`] make evaluations repeatable.
//! * [`EventRecorder`] keeps events, to compare them with those that are expected.
//! * With the feature `servers`: `RedisServer`, `RedisCluster`, `RedisSentinels`, `ConsulServer` and `PostgresServer` run real servers for a test, and `Proxy` disturbs what passes to and from it.
//!   With `s3-servers`: `S3Server` and `MotoServer`.
//!
//! A store proves itself in one line; `absent` counts the behaviours for which the subject lacks a hook:
//!
//! ```
//! use flipper_memory::MemoryStore;
//! use flipper_testkit::{Subject, store_conformance};
//!
//! store_conformance!(memory, Subject::new(|| async { MemoryStore::new() }), absent = 8);
//! ```
//!
//! This crate is for tests: what it asserts, it asserts by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "it is made for tests")]

mod checks;
mod combination;
mod combinations;
pub mod conformance;
#[cfg(feature = "servers")]
mod consul_server;
mod events;
mod fault;
#[cfg(feature = "s3-servers")]
mod moto_server;
mod pairs;
#[cfg(feature = "servers")]
mod pgbouncer;
#[cfg(feature = "servers")]
mod postgres_server;
#[cfg(feature = "servers")]
mod process;
#[cfg(feature = "servers")]
mod proxy;
mod record;
#[cfg(feature = "servers")]
mod redis_admin;
#[cfg(feature = "servers")]
mod redis_cluster;
#[cfg(feature = "servers")]
mod redis_sentinels;
#[cfg(feature = "servers")]
mod redis_server;
#[cfg(feature = "s3-servers")]
mod s3_objects;
#[cfg(feature = "s3-servers")]
mod s3_server;
mod sources;
mod stream;
mod subject;
mod test_flags;
mod with;

pub use checks::RecordedCheck;
pub use combination::Combination;
pub use combinations::Combinations;
#[cfg(feature = "servers")]
pub use consul_server::ConsulServer;
pub use events::{EventRecorder, RecordedEvent};
pub use fault::{Fault, FaultStore, Operation};
#[cfg(feature = "s3-servers")]
pub use moto_server::MotoServer;
#[cfg(feature = "servers")]
pub use pgbouncer::PgBouncer;
#[cfg(feature = "servers")]
pub use postgres_server::PostgresServer;
#[cfg(feature = "servers")]
pub use proxy::{Proxy, Weather};
pub use record::{Call, RecordingStore};
#[cfg(feature = "servers")]
pub use redis_cluster::RedisCluster;
#[cfg(feature = "servers")]
pub use redis_sentinels::RedisSentinels;
#[cfg(feature = "servers")]
pub use redis_server::RedisServer;
#[cfg(feature = "s3-servers")]
pub use s3_server::{S3Conditions, S3Failure, S3Server, s3_config};
pub use sources::{FixedRandom, ManualClock};
pub use stream::{collect, next};
pub use subject::Subject;
pub use test_flags::TestFlags;
pub use with::With;

#[doc(hidden)]
pub use tokio;
