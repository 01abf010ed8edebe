//! Feature flags in PostgreSQL, in the same table as Python's flipper-client: a row for each flag, its record as `bytea`.
//!
//! ```no_run
//! use flipper_core::{FeatureFlagClient, ctx};
//! use flipper_postgres::PostgresStore;
//!
//! # async fn example() -> flipper_core::Result<()> {
//! let store = PostgresStore::builder("postgres://shop:secret@db/shop").create_table().connect().await?;
//! let client = FeatureFlagClient::new(store);
//! client.create("MY_FEATURE").await?.enable().await?;
//! assert!(client.is_enabled("MY_FEATURE", &ctx! { user_id: 7 }).await);
//! # Ok(()) }
//! ```
//!
//! # What happens when
//!
//! | | |
//! |---|---|
//! | two edit a flag | each write is one statement, which compares the stored bytes and replaces them. Nobody's edit is lost |
//! | Python edits it too | our writes never replace what Python has written in between. Python's may replace ours: flipper-client reads, changes and writes without a look |
//! | anybody changes the table | watchers are told at once, by `LISTEN` and `NOTIFY`, if [`create_table`] has made the triggers for it; otherwise all flags are listed now and then |
//! | the table is replaced, or its triggers are switched off or on | that is noticed within a second or two, and watchers are told to load everything |
//! | the server is away | calls fail with [`Unavailable`] in bounded time. A write whose answer was lost is [`OutcomeUnknown`], which the client looks into |
//! | the server comes back, or has ended connections | the next call connects. A read whose connection has ended is made once more |
//! | an answer is late | the call fails, and its connection is not used again: an answer is never taken for another's |
//! | a call is dropped | a read ends. A write may happen, or not. The connection is closed if it was asked already, so that nobody waits behind that call |
//! | transactions are serializable by default | a write at which others were as well is made again, as long as an answer may take |
//! | the server is a standby | reads work, and changes are polled until it is a primary; writes fail with [`Unavailable`] |
//! | a record cannot be read, or is `NULL` | it is [`Corrupt`]; in a listing it is one item, and the others follow |
//! | `TRUNCATE` | watchers are told to load everything |
//!
//! # The table
//!
//! `feature_flags` with the columns `name` and `item`, unless [told](PostgresStoreBuilder::table): flipper-client has made it, or [`create_table`] does. A name
//! that is too long for the column (flipper-client makes it 40 characters long) is refused before anything is written. Names have to be `varchar` or `text` and the primary key (or unique), records `bytea`: another table is
//! refused. Rows without a name are nobody's. A user needs `SELECT`, `INSERT`, `UPDATE` and `DELETE` on it.
//!
//! The triggers fire always, also for rows that a subscription brings. As they send notices, a transaction that changes the table cannot be prepared for a two-phase commit:
//! that is a rule of the server. Partitioned tables, those with children, and views are polled.
//!
//! An address of several hosts has to say `target_session_attrs=read-write`, as what one server tells must not be read from another.
//!
//! # Poolers
//!
//! A pooler that gives each transaction another connection needs [`behind_pooler`](PostgresStoreBuilder::behind_pooler), as statements that are prepared on one are not there
//! on the next, or are somebody else's. Then changes are polled. That notices do not come through is noticed without it, and logged as a warning; what becomes of prepared statements is
//! not.
//!
//! # Encryption
//!
//! With the feature `tls-rustls`, `sslmode` in the address says whether a connection is encrypted, those for calls and the one for changes alike:
//!
//! | `sslmode` | |
//! |---|---|
//! | `disable` | never |
//! | `prefer`, the default | if the server can. Whoever is between can pretend that it cannot |
//! | `require` | always: a server that cannot is [`Unavailable`] |
//!
//! Where it is encrypted, the certificate has to be for the host in the address, and signed by an authority that the system trusts, or by one of
//! [those told](PostgresStoreBuilder::certificate_authorities). This is stricter than libpq: there, `prefer` and `require` take any certificate, and `prefer` goes on without encryption where
//! that has failed. Here, `require` means what libpq's `verify-full` does, which the address does not take, nor `verify-ca`, `allow` and `sslrootcert`. A server with a
//! certificate that nobody vouches for needs its own told, or `sslmode=disable`. The certificates are read when the store is made. Certificates of clients are not offered. Without the feature, nothing
//! is encrypted, and `require` is [`Unsupported`].
//!
//! # Runtime
//!
//! The store needs a Tokio runtime with I/O and time enabled, as `#[tokio::main]` has. Outside of one, calls are [`Unsupported`].
//!
//! # Features
//!
//! * `tls-rustls`: [encryption](#encryption).
//!
//! [`create_table`]: PostgresStoreBuilder::create_table
//! [`Unavailable`]: flipper_core::ErrorKind::Unavailable
//! [`OutcomeUnknown`]: flipper_core::ErrorKind::OutcomeUnknown
//! [`Unsupported`]: flipper_core::ErrorKind::Unsupported
//! [`Corrupt`]: flipper_core::ErrorKind::Corrupt

mod builder;
mod error;
mod list;
mod listen;
mod record;
mod server;
mod shared;
mod store;
mod table;
#[cfg(feature = "tls-rustls")]
mod tls;

pub use builder::PostgresStoreBuilder;
pub use store::PostgresStore;
pub use tokio_postgres;
