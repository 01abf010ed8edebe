//! Feature flags in Consul's key-value store, watched, and shared with Python's flipper-client.
//!
//! ```no_run
//! use flipper_consul::ConsulStore;
//! use flipper_core::{FeatureFlagClient, ctx};
//!
//! # async fn example() -> flipper_core::Result<()> {
//! let store = ConsulStore::connect("http://127.0.0.1:8500").await?;
//! let client = FeatureFlagClient::new(store);
//! client.create("MY_FEATURE").await?.enable().await?;
//!
//! // Answered from memory, which the watch keeps as the servers are.
//! let local = client.local()?;
//! assert!(local.is_enabled("MY_FEATURE", &ctx! { user_id: 7 }));
//! # Ok(()) }
//! ```
//!
//! # Where flags are
//!
//! A flag `X` is the value of the key `features/X`, in the bytes of flipper-client. Names may have slashes. Neighbours, as
//! `features-other/X`, are no flags. A key without a value that ends in a slash is a folder of Consul's user interface, and no flag.
//!
//! # What happens when
//!
//! | | |
//! |---|---|
//! | somebody edits a flag | a blocking query returns at once, and memory has it |
//! | an edit goes through the store | it is in memory when it returns, and nothing that is told late takes it back |
//! | the agent does not answer, or the servers have no leader | checks go on with the last state, which says that it is [stale](flipper_core::Freshness::Stale), within about 2 s; edits fail as [`Unavailable`], or as [`OutcomeUnknown`] if they may have happened |
//! | they are back | everything is read anew |
//! | all flags are gone at once | the last state stays in use, until there is a flag or [`accept_empty`] is called: somebody may have started an agent without its data, or taken the token's rights |
//! | a record cannot be read | its last good state stays in use; the others are live |
//!
//! All of this is [`flipper_mirror`]'s: see there for more.
//!
//! # Edits
//!
//! are compare-and-set by `/v1/txn` with the key's `ModifyIndex`, which is the record's version. Consul limits a transaction to 512 KiB, of which a record of
//! some 390,000 bytes fits: larger ones are refused before they are sent. An index that comes again after all data was lost cannot be told
//! apart. A write sets the key's `Flags` to 0.
//!
//! A token needs to read the whole prefix: `key_prefix "features/" { policy = "read" }`, or `write` to edit.
//!
//! # Limits of Consul
//!
//! Each change of any flag sends all of them to each watcher: a thousand flags are some 700 KiB. What has not changed is not parsed again. For more flags
//! than some ten thousand, take Redis. While there is no flag at all, each change of any key wakes the watch up.
//!
//! [`Unavailable`]: flipper_core::ErrorKind::Unavailable
//! [`OutcomeUnknown`]: flipper_core::ErrorKind::OutcomeUnknown
//! [`accept_empty`]: ConsulStore::accept_empty

mod address;
mod api;
mod builder;
mod environment;
mod error;
mod follow;
mod kv;
mod record;
mod store;
mod tls;
mod transaction;

pub use builder::{Consistency, ConsulStoreBuilder};
pub use store::ConsulStore;
