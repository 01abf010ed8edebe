//! Keeps all flags of any store in memory, live: local reads for every backend.
//!
//! ```
//! use flipper_core::{FeatureFlagClient, ctx};
//! use flipper_memory::MemoryStore;
//! use flipper_mirror::MirrorStore;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
//! // In earnest, a store that is reached over a network.
//! let client = FeatureFlagClient::new(MirrorStore::start(MemoryStore::new()).await?);
//! client.create("MY_FEATURE").await?.enable().await?;
//!
//! let local = client.local()?;
//! assert!(local.is_enabled("MY_FEATURE", &ctx! { user_id: 7 }));
//! # Ok(()) }
//! ```
//!
//! # What happens when
//!
//! | | |
//! |---|---|
//! | somebody edits a flag | the store's [`watch`] tells, and the flag is as it is now; without a watch, the next load finds it |
//! | an edit goes through the mirror | it is in memory when it returns, and nothing that is told late takes it back |
//! | the store is away | checks go on with the last state, which says that it is [stale](flipper_core::Freshness::Stale), and since when; writes fail as those of the store do |
//! | it is back | everything is loaded anew, and the state is [live](flipper_core::Freshness::Live) again |
//! | it is back without its flags | their last state stays in use, stale because [emptied], until there is a flag again, or [`accept_empty`] is called |
//! | the store is away at the start | [`start`](MirrorStoreBuilder::start) fails with the cause; with a [last known good state](MirrorStoreBuilder::last_known_good), that answers |
//! | a record cannot be read | its last good state stays in use; what is evaluated of it says so, and the other flags are live |
//! | a listing lacks a flag | the flag goes once reading it says so too |
//! | the store's watch misses something | a load every few minutes finds it |
//!
//! [`watch`]: flipper_core::Store::watch
//! [`accept_empty`]: MirrorStore::accept_empty
//! [emptied]: flipper_core::StaleCause::Emptied

mod backup;
mod builder;
mod follow;
mod image;
mod shared;
mod store;

pub use builder::MirrorStoreBuilder;
pub use store::MirrorStore;
