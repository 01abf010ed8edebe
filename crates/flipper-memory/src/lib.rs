//! Feature flags in memory: flipper's store for tests and development, and its reference implementation.
//!
//! ```
//! use flipper_core::{Context, FeatureFlagClient};
//! use flipper_memory::MemoryStore;
//!
//! # futures_lite::future::block_on(async {
//! let client = FeatureFlagClient::new(MemoryStore::new());
//! client.create("MY_FEATURE").await?;
//! client.enable("MY_FEATURE").await?;
//! assert!(client.is_enabled("MY_FEATURE", &Context::EMPTY).await);
//! # Ok::<(), flipper_core::Error>(()) })?;
//! # Ok::<(), flipper_core::Error>(())
//! ```

mod store;

pub use store::MemoryStore;
