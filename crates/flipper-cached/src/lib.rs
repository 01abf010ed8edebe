//! Keeps the flags that were checked last in memory, around any store: for sets that are too large to mirror.
//!
//! ```
//! use std::time::Duration;
//!
//! use flipper_cached::CachedStore;
//! use flipper_core::{FeatureFlagClient, ctx};
//! use flipper_memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
//! // In earnest, a store that is reached over a network.
//! let store = MemoryStore::new();
//! let client = FeatureFlagClient::new(CachedStore::builder(store).size(5_000).ttl(Duration::from_secs(30)).build());
//! client.create("MY_FEATURE").await?.enable().await?;
//!
//! assert!(client.is_enabled("MY_FEATURE", &ctx! { user_id: 7 }).await);
//! # Ok(()) }
//! ```
//!
//! # What happens when
//!
//! | | |
//! |---|---|
//! | a flag is checked again | memory answers, until its time to live is over: 15 minutes unless told, less by up to a tenth, so that flags that were read together are not read again together |
//! | a flag is checked in the last fifth of that time | memory answers, and it is read again in the background: flags that are checked often never wait |
//! | many check a flag that memory does not have | the store is asked once, also if the first of them is cancelled |
//! | there is no such flag | that is kept too, for 10 s unless told |
//! | somebody else edits a flag | a store that can be watched tells, and the flag is read again; any other is believed for the time to live |
//! | the watch is interrupted | memory answers, stale, and for a minute at the most; then the flag is read again |
//! | an edit goes through the cache | the next check sees it |
//! | the store is away | flags whose time is over go on to answer, [stale](flipper_core::Freshness::Stale), for a day unless told; nobody waits for the store, which is asked once a second whether it is back |
//! | a record can no longer be read | its last good state answers, stale too |
//! | memory holds as many flags as it may | the one that has not been checked for the longest time goes |
//!
//! Checks that cannot be answered from memory are what is cached. Everything else asks the store: [`get`], listings, edits.
//!
//! [`get`]: flipper_core::Store::get

mod builder;
mod cache;
mod clock;
mod entry;
mod follow;
mod load;
mod refresh;
mod stats;
mod store;
mod trouble;

pub use builder::CachedStoreBuilder;
pub use stats::CacheStats;
pub use store::CachedStore;
