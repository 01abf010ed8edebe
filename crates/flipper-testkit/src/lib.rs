//! Proves that a store keeps flipper's contract, and helps to test what uses one.
//!
//! * [`store_conformance!`] makes a test of each behaviour that the contract asks of a store.
//! * [`FaultStore`] makes any store fail in a way of your choice, [`RecordingStore`] tells what was asked of it.
//! * [`ManualClock`] and [`FixedRandom`] make evaluations repeatable.
//! * [`EventRecorder`] keeps events, to compare them with those that are expected.
//!
//! A store proves itself in one line; `absent` counts the behaviours for which the subject lacks a hook:
//!
//! ```
//! use flipper_memory::MemoryStore;
//! use flipper_testkit::{Subject, store_conformance};
//!
//! store_conformance!(memory, Subject::new(|| async { MemoryStore::new() }), absent = 8);
//! ```
//!
//! This crate is for tests: what it asserts, it asserts by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "it is made for tests")]

pub mod conformance;
mod events;
mod fault;
mod record;
mod sources;
mod stream;
mod subject;

pub use events::{EventRecorder, RecordedEvent};
pub use fault::{Fault, FaultStore, Operation};
pub use record::{Call, RecordingStore};
pub use sources::{FixedRandom, ManualClock};
pub use stream::{collect, next};
pub use subject::Subject;

#[doc(hidden)]
pub use tokio;
