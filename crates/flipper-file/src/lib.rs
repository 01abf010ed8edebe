//! Feature flags in one JSON file: flipper's embedded, durable store.
//!
//! No server, and the flags survive restarts. The file can live in Git, be edited by hand and be mounted from a
//! configuration map; any number of processes can read and write it at once.
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("flags.json");
//! use flipper_core::{Context, FeatureFlagClient};
//! use flipper_file::FileStore;
//!
//! # futures_lite::future::block_on(async {
//! let client = FeatureFlagClient::new(FileStore::open(&path)?);
//! client.create("MY_FEATURE").await?.enable().await?;
//!
//! let local = client.local()?;
//! assert!(local.is_enabled("MY_FEATURE", &Context::EMPTY));
//! # Ok::<(), flipper_core::Error>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Format
//!
//! One JSON object in UTF-8, a member for each flag, sorted by name. A value is an item as flipper-client stores it:
//!
//! ```json
//! {
//!   "MY_FEATURE": {
//!     "feature_name": "MY_FEATURE",
//!     "is_enabled": true,
//!     "meta": {
//!       "client_data": {},
//!       "created_date": 1700000000,
//!       "conditions": [],
//!       "bucketer": {
//!         "type": "NoOpBucketer"
//!       }
//!     }
//!   }
//! }
//! ```
//!
//! A write replaces the text of its flag and leaves the text of all others as it is. What was not laid out over lines by
//! flipper-client's writer or by this one comes back byte for byte: an item whose own line breaks matter is a string that
//! holds its bytes.
//!
//! # What happens when
//!
//! | | |
//! |---|---|
//! | a write | goes to `.NAME.new`, is flushed to the disk, takes the file's mode and owner (0600 for a new file) and its place, and the directory is flushed; extended attributes are not kept |
//! | the file is in Git | so may its lock be, which is empty: put `.*.lock` into `.gitignore` |
//! | two writers | one after the other, by a lock on `.NAME.lock`, which stays; its holder may die at any time, and it may be deleted |
//! | an editor saves | the file is read again at once; with a mistake in it, the last good state stays in use, the log and [`watch`] say where it is, and writes are refused until it is mended |
//! | one flag cannot be read | its last good state stays in use, and says in its freshness that it is that; [`get`] and [`list`] tell line and column, and the flag can be replaced or deleted |
//! | the file is deleted | the last state stays in use, and writes are refused, until it is back; `{}` is a file without flags |
//! | the file is a link | what it leads to is read, followed and replaced; the link stays |
//! | an editor saves while a write is under way | the write begins again from what was saved: on Linux at the last moment too, elsewhere up to the rename. An editor knows no lock: if it saves what it read before, it undoes what was written since |
//! | the file is a mount of its own, as by Docker's `-v file:file` | it can be read, and followed by looking; writes are refused, as it cannot be replaced: mount its directory |
//!
//! Versions are the record's bytes: a flag that is changed and changed back is the same one. The file is kept in memory, once
//! as text and once as flags. It may have 4 GiB, and a record 16 MiB.
//!
//! [`watch`]: flipper_core::Store::watch
//! [`get`]: flipper_core::Store::get
//! [`list`]: flipper_core::Store::list

mod content;
mod disk;
mod edit;
mod follow;
mod layout;
mod place;
mod shared;
mod store;

pub use store::{FileStore, FileStoreBuilder};
