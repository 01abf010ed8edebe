//! Feature flags in S3, on the same objects as Python's flipper-client.
//!
//! ```no_run
//! use flipper_core::{FeatureFlagClient, ctx};
//! use flipper_s3::{S3Store, aws_sdk_s3};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // Or of `aws_config::load_defaults(BehaviorVersion::latest())`, or with an endpoint of your own: it is your client.
//! let config = aws_sdk_s3::Config::builder().region(aws_sdk_s3::config::Region::new("eu-west-1"));
//! # let config = config.behavior_version_latest();
//! let s3 = aws_sdk_s3::Client::from_conf(config.build());
//!
//! let client = FeatureFlagClient::new(S3Store::new(s3, "my-flipper-bucket"));
//! client.create("MY_FEATURE").await?.enable().await?;
//! assert!(client.is_enabled("MY_FEATURE", &ctx! { user_id: 7 }).await);
//! # Ok(()) }
//! ```
//!
//! The client is the caller's, and so are its region, endpoint, credentials, retries and encryption: this crate takes the SDK without its default
//! features. Most applications have `aws-config` in their own `Cargo.toml`, whose client speaks HTTPS; without it, `aws-sdk-s3` needs its feature
//! `default-https-client` there, or an HTTP client of your own.
//!
//! A request to S3 takes tens of milliseconds, so this is no store to be asked at each check. Put a `MirrorStore` before it, of
//! `flipper-mirror`: it keeps all flags in memory, and follows the bucket. Or keep a copy of another store's flags in it, to come back from
//! when that has lost its data: that is what the example `s3_backup` does.
//!
//! # Where flags are
//!
//! A flag `X` is the object `X` at the root of the bucket, in the bytes of flipper-client; with a [prefix](S3StoreBuilder::prefix), it is
//! the object whose key is the prefix and `X`. Every legal name is a key. An empty object whose key ends in a slash is a folder of a console, and
//! no flag. Whatever else is there is told as a record that cannot be read, and takes no flag down: a bucket, or a prefix, of its own is
//! better.
//!
//! # What happens when
//!
//! | | |
//! |---|---|
//! | somebody edits the same flag at the same time | one of the two finds that the object has changed (`If-Match`), reads it, and tries again |
//! | two create the same flag | one succeeds (`If-None-Match: *`) |
//! | an answer is lost | a write is [`OutcomeUnknown`], and the client finds out what has become of it. The SDK does not repeat it by itself: it would meet what it has written |
//! | S3 has too much to do | reads are repeated as the client is set to; a write that was turned away is sent up to four times, then it is [`Unavailable`] |
//! | the server does not know conditions | that is found out, logged, and told by [`capabilities`]: see below |
//! | the bucket is not there, or in another region | [`InvalidInput`], which says which |
//! | keys are wrong, have expired, or have too few rights, or the clock is wrong | [`PermissionDenied`] |
//! | an object cannot be read: it is no flag, larger than 16 MiB, encrypted, archived, denied | it is told as a bad record, and the others are listed; if that is so of all, the listing fails |
//!
//! # Servers without conditions
//!
//! S3 looks at the conditions of puts since 2024, and so do many servers that speak its protocol; others write whatever they are sent. The store
//! finds that out with its first put and its first deletion, which take two requests more. From a server that does
//! not look, what is expected is read just before each write, and a write by somebody else in between is lost:
//! [`capabilities`] says [`BestEffort`] then. Before anything is found out, it says [`Atomic`]; to know before the first write, and to know of
//! servers that look at `If-Match` and not at `If-None-Match`, call [`check_conditions`](S3Store::check_conditions).
//!
//! # What it costs
//!
//! | | requests |
//! |---|---|
//! | a read | `GET` |
//! | an edit | `GET`, `PUT` |
//! | a creation | `GET`, `GET`, `PUT`; without the second `GET` once it is known that the server looks |
//! | a deletion | `GET`, `GET`, `DELETE`: S3 does not tell whether there was something |
//! | a listing | a `LIST` for each thousand flags, a `GET` for each flag that is not as it was in the last complete listing; 32 at the same time unless [told](S3StoreBuilder::concurrency) |
//! | [`watch`], each [10 s](S3StoreBuilder::poll_interval) | a listing, however many watch |
//!
//! To spare requests, the store keeps in memory what the last complete listing had.
//!
//! # Rights
//!
//! `s3:GetObject`, `s3:PutObject` and `s3:DeleteObject` on the objects, and `s3:ListBucket` on the bucket, without which S3 denies to say that an
//! object is not there.
//!
//! # Limits
//!
//! A version is an ETag, which of most objects is a digest of the content: a record that was changed, and changed back, is in the state that
//! it was in. Of two who delete the same flag at the same moment, both may be told that it was they. A flipper-client that edits the same flag at the same time does not look at conditions, and may replace our edit. Writes do not keep
//! an object's metadata.
//!
//! [`OutcomeUnknown`]: flipper_core::ErrorKind::OutcomeUnknown
//! [`Unavailable`]: flipper_core::ErrorKind::Unavailable
//! [`InvalidInput`]: flipper_core::ErrorKind::InvalidInput
//! [`PermissionDenied`]: flipper_core::ErrorKind::PermissionDenied
//! [`capabilities`]: flipper_core::Store::capabilities
//! [`watch`]: flipper_core::Store::watch
//! [`BestEffort`]: flipper_core::CompareAndSet::BestEffort
//! [`Atomic`]: flipper_core::CompareAndSet::Atomic

mod api;
mod builder;
mod error;
mod list;
mod record;
mod shared;
mod store;
mod task;
mod wire;
mod write;

pub use aws_sdk_s3;
pub use builder::S3StoreBuilder;
pub use store::S3Store;
