//! Follows a backend for any number of watchers: for those who write a [`Store`](flipper_core::Store) that is reached over a network.
//!
//! A store that is told of changes, or that has to [poll](Following::poll) for them, says [how](Follow::follow); this crate does the
//! rest: one task for all who [`watch`], started when somebody watches, and anew when the runtime that it ran in has ended; attempts after
//! a failure, further and further apart; and what a watch promises: nothing is missed after the first item, an outage is told, a
//! slow watcher holds up nobody.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use async_trait::async_trait;
//! use flipper_core::{BoxStream, Change, Page, Result, Store};
//! use flipper_follow::{Follow, Following, watch};
//! use flipper_memory::MemoryStore;
//! use futures_lite::StreamExt;
//!
//! /// A backend that does not tell.
//! struct Backend { flags: MemoryStore, following: Following }
//!
//! #[async_trait]
//! impl Follow for Backend {
//!     fn following(&self) -> &Following { &self.following }
//!
//!     fn patience(&self) -> Duration { Duration::from_secs(5) }
//!
//!     async fn follow(self: Arc<Self>) -> Result<()> {
//!         let list = || self.flags.list(Page::ALL).try_collect();
//!         self.following.poll(Duration::from_secs(10), list, || false).await
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let backend = Arc::new(Backend { flags: MemoryStore::new(), following: Following::new("mine") });
//! // What the store's own `watch` returns.
//! let mut changes: BoxStream<'static, Change> = watch(&backend);
//! assert!(matches!(changes.next().await, Some(Change::Resync { .. })));
//! // When the store is closed or dropped.
//! backend.following.close();
//! assert!(changes.next().await.is_none());
//! # }
//! ```

mod backoff;
mod follow;
mod following;
mod poll;

pub use backoff::Backoff;
pub use follow::{Follow, ended, watch};
pub use following::Following;
pub use poll::Touch;
