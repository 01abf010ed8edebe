//! Keeps all flags of any store in memory, live: local reads for every backend.

mod builder;
mod follow;
mod image;
mod shared;
mod store;

pub use builder::MirrorStoreBuilder;
pub use store::MirrorStore;
