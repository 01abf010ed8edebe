//! A store of feature flags with copies in any number of other stores: a Redis with a file to come back from, and a bucket to keep for good.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use flipper_core::FeatureFlagClient;
//! use flipper_memory::MemoryStore;
//! use flipper_replicated::ReplicatedStore;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
//! let store = ReplicatedStore::builder(MemoryStore::new())
//!     .replica("file", MemoryStore::new())
//!     .replica("bucket", MemoryStore::new())
//!     .start()?;
//! let store = Arc::new(store);
//! let client = FeatureFlagClient::new(Arc::clone(&store));
//! client.create("CHECKOUT").await?.enable().await?;
//!
//! // Once that matters.
//! for failure in store.wait_for("CHECKOUT", Duration::from_secs(1)).await {
//!     eprintln!("{failure}");
//! }
//! # Ok(()) }
//! ```
//!
//! # What happens when
//!
//! | | |
//! |---|---|
//! | a flag is read, checked, listed or watched | the primary is asked, and nobody else |
//! | a flag is written | the primary is written to; if that has worked, or may have, the replicas are told in the background |
//! | the primary refuses, or cannot be reached | nothing is replicated |
//! | a replica cannot be reached | what it has yet to be told waits, for as long as it takes; [`status`] tells, and [`events`] when it falls behind and when it has everything again |
//! | more waits than the [queue](ReplicatedStoreBuilder::queue_capacity) takes | older states of a flag are left out; if each is the newest of its flag, everything is compared once the replica is back |
//! | a replica refuses a record for good | it is left out, told by [`events`] and to all who wait for the flag, and holds up no others |
//! | a replica takes all flags but one | that one is tried again after the others, for as long as it takes |
//! | the answer to a write is lost | the primary is read, and what it has is told; if the write takes effect after that, it is told with the flag's next change, by [`resync`], or by [following](ReplicatedStoreBuilder::follow_primary) |
//! | several processes write the same primary | each tells the replicas what it has written, and then reads the primary once more: whoever is the last to write to a replica has read the primary after that, so that the replica ends with what the primary has |
//! | somebody writes the primary without telling | the replicas are not told, unless the primary is [followed](ReplicatedStoreBuilder::follow_primary) |
//! | the process is killed | what was not told is not told: [`resync`] when it starts again |
//! | the primary has lost its data | no comparison deletes in a replica what the primary has lost, also when it has flags again; [`restore`] brings them back, and [`resync`], once the primary has a flag, deletes them |
//! | the primary is away | edits fail; checks fail too, unless a replica [answers](ReplicatedStoreBuilder::failover_to) in its place |
//!
//! # To wait or not to wait
//!
//! By default a write returns when the primary has it. [`synchronous`](ReplicatedStoreBuilder::synchronous) has each write wait for all replicas;
//! [`wait_for`](ReplicatedStore::wait_for) waits for one flag, and [`flush`](ReplicatedStore::flush) for everything. Whoever waits is told which replicas have not
//! got it in time, and why; the primary's write stands, and they are told later.
//!
//! flipper-client's replicated store has a parameter `asynch`, which does the opposite of what is documented; its replicas keep no order, and what goes wrong
//! in one is seen by nobody.
//!
//! # A trail of changes
//!
//! A [replica of every state](ReplicatedStoreBuilder::replica_of_every_state) is told each state that this process has written, in order, where others are told
//! the last one. It is for a store that keeps what it is told, such as a bucket with versions.
//!
//! # What it costs
//!
//! A write costs what it costs in the primary, and a place in each replica's queue. In the background, for each flag that has changed within the
//! [linger](ReplicatedStoreBuilder::linger), each replica costs a write to it and a read of the primary. The queue holds the states themselves, which share their memory.
//!
//! [`status`]: ReplicatedStore::status
//! [`events`]: ReplicatedStore::events
//! [`resync`]: ReplicatedStore::resync
//! [`restore`]: ReplicatedStore::restore

mod builder;
mod compare;
mod failover;
mod follow;
mod maintain;
mod queue;
mod replica;
mod status;
mod store;
mod tell;
mod write;

pub use builder::ReplicatedStoreBuilder;
pub use status::{Difference, ReplicaEvent, ReplicaFailure, ReplicaStatus};
pub use store::ReplicatedStore;
