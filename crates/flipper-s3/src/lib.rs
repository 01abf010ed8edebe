//! Feature flags in S3, on the same objects as Python's flipper-client.

mod api;
mod builder;
mod error;
mod list;
mod record;
mod shared;
mod store;
mod write;

pub use aws_sdk_s3;
pub use builder::S3StoreBuilder;
pub use store::S3Store;
