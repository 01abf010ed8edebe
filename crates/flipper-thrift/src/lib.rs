//! Feature flags behind Thrift: a store that uses anybody's `FeatureFlagStore` service, and a server that puts any store behind one.
//!
//! The service is that of flipper-client, whose `ThriftRPCFeatureFlagStore` uses the same servers. Its definition, field by field, is
//! `thrift/feature_flag_store.thrift`.
//!
//! ```
//! use flipper_core::{FeatureFlagClient, ctx};
//! use flipper_memory::MemoryStore;
//! use flipper_thrift::{ThriftServer, ThriftStore};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
//! // A service that owns the flags: in memory here, in earnest in any store.
//! let flags = FeatureFlagClient::new(MemoryStore::new());
//! let server = ThriftServer::new(flags).address("127.0.0.1:0").start().await?;
//!
//! // An application somewhere else.
//! let store = ThriftStore::connect(&server.local_address().to_string()).await?;
//! let client = FeatureFlagClient::new(store);
//! client.create("MY_FEATURE").await?.enable().await?;
//! assert!(client.is_enabled("MY_FEATURE", &ctx! { user_id: 7 }).await);
//! # Ok(()) }
//! ```
//!
//! A check is a call to the server. To check without waiting, put a `MirrorStore` of `flipper-mirror` before the store: it keeps all flags in
//! memory, and asks for the list of them every [ten seconds](ThriftStoreBuilder::poll_interval).
//!
//! # Servers
//!
//! The published service has flags in parts: a switch, and what belongs to it, by a call each. [`ThriftServer`] has a few methods and fields
//! more, by which a record is read and written whole, under a condition. The store finds out which of both it speaks to, when it connects and from
//! what it is answered later, and says so in its [`capabilities`]:
//!
//! | | server of the published service | with the additions |
//! |---|---|---|
//! | two edit the same flag at the same time | one of the edits can be lost ([`BestEffort`]) | one is made again, on top of the other ([`Atomic`], if the server's own store is) |
//! | a write | a read, and one to three calls: a flag is switched off before its rules change, if it is to be off, and on after they have changed, if it is to be on, so that nobody meets one on and half built | one call |
//! | an answer is lost | [`OutcomeUnknown`], which the client looks into | the same |
//! | what newer writers have put into a record | is lost with the next edit | is kept |
//! | a record that cannot be read | what the server makes of it | is told, with its version |
//!
//! What is missing in what a server sends is as flipper-client has it: a flag without a switch is on, one without `client_data` has `{}`, one
//! without conditions or bucketer has none. One without `meta`, or with JSON that is none, cannot be read.
//!
//! # A server for any store
//!
//! [`ThriftServer`] serves buffered and framed peers at one port, listens on this machine only unless it is [told](ThriftServer::address), and
//! sees to it that no peer can disturb another: everything that a message says of its length is compared with a limit before memory is
//! taken for it, slow peers are hung up on, and there is a bound to [connections](ThriftServer::connections) and
//! [memory](ThriftServer::memory). At the most, it takes 128 KiB for each connection and the memory that is set, besides what its own store takes
//! for the calls that are under way: some 380 MiB with the default settings, and a few MiB in daily use.
//!
//! | flipper-client calls | what happens |
//! |---|---|
//! | `Create` | the flag is created or replaced |
//! | `Set` of a flag that is not there | off: it is created; on: `NOT_FOUND`, since it was deleted after flipper-client has looked, and would be on without its conditions |
//! | `SetMeta` | conditions, bucketer, date and data are replaced; what newer writers have put into the record stays |
//! | `Delete` of a flag that is not there | nothing |
//! | `List` | records that flipper-client could not read are left out, and logged: it would fail as a whole |
//! | `Get` while the store cannot be asked | what the store has in memory, if it is a mirror, a cache or a file |
//!
//! # Security
//!
//! **Thrift knows no users, no passwords and no encryption.** Whoever reaches the port can change flags, unless the server is
//! [read-only](ThriftServer::read_only). Put something before it that knows who is there: a service mesh or a proxy (Envoy, `stunnel`, `nginx` with `stream`)
//! with mutual TLS, a tunnel of `WireGuard` or SSH, or at least a network of its own. Where the application itself ends TLS, it hands the stream to
//! [`serve_stream`](ThriftServer::serve_stream), with the name that the certificate gives as the actor.
//!
//! # Generated code
//!
//! The message layout of both peers is written by hand here, over the protocol types of the `thrift` crate. What Thrift's compiler generates for Rust is
//! wrong for this service: it takes every argument for required, and refuses flipper-client's `List` without a limit and calls without the additions;
//! and it sorts maps, where the order of a condition's variables has to stay. Those who generate code for other purposes find that the code of the
//! compiler 0.17 (that of Debian 12) builds with the crates 0.17 and 0.25; that the crate 0.17 sends a frame in two pieces, for the second of which the
//! system waits some 40 ms; and that the crate's servers take no limit to messages. In other languages, the definition can be compiled as it is.
//!
//! To prove a server of your own, run the suite on it: `FLIPPER_THRIFT_SERVER=host:9090 cargo test -p flipper-tests other_servers::yours`, in a clone of this
//! project.
//!
//! [`capabilities`]: flipper_core::Store::capabilities
//! [`BestEffort`]: flipper_core::CompareAndSet::BestEffort
//! [`Atomic`]: flipper_core::CompareAndSet::Atomic
//! [`OutcomeUnknown`]: flipper_core::ErrorKind::OutcomeUnknown

mod client;
mod convert;
mod error;
mod server;
mod wire;

pub use client::{ThriftStore, ThriftStoreBuilder};
pub use server::{RunningThriftServer, ThriftServer};
