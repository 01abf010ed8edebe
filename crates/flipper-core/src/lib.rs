//! The feature-flag model of flipper: stored bytes, conditions, bucketers and evaluation.
//!
//! A [`Flag`] is read from the bytes that Python's flipper-client stores, checked against a [`Context`], explained,
//! and edited without losing what other writers have put into it. There is no I/O here and no runtime: stores bring
//! theirs.
//!
//! ```
//! use flipper_core::{Flag, ctx};
//!
//! let stored = br#"{"feature_name": "HORSE_SOUNDS", "is_enabled": true, "meta": {"client_data": {},
//!     "created_date": 1700000000, "conditions": [], "bucketer": {"type": "ConsistentHashPercentageBucketer",
//!     "percentage": {"type": "Percentage", "value": 0.5}, "key_whitelist": ["user_id"]}}}"#;
//! let flag = Flag::from_json(stored)?;
//!
//! assert!(flag.is_enabled(&ctx! { user_id: 1 }));
//! assert!(!flag.is_enabled(&ctx! { user_id: 2 }));
//! println!("{}", flag.explain(&ctx! { user_id: 2 }));
//! # Ok::<(), flipper_core::Error>(())
//! ```
//!
//! # How a flag is evaluated
//!
//! 1. There is no such flag: the caller's default.
//! 2. The flag is not enabled: off.
//! 3. Some condition is about an attribute that the context has: on if every such check passes, else off.
//! 4. There is a bucketer: its answer.
//! 5. Otherwise: on.
//!
//! What this version does not know (an operator, a bucketer or a percentage of a newer writer) is kept as it is
//! stored. It matters only where the answer depends on it; there the caller's default counts, never a silent "off".
//! Evaluating never panics, blocks or allocates.
//!
//! [`Semantics`] tells where flipper-client's code differs from this, and how to get its answers bit for bit.

mod bucketer;
mod check;
mod client;
mod clock;
mod condition;
mod context;
mod error;
mod evaluate;
pub mod events;
mod flag;
mod flags;
mod freshness;
pub mod json;
mod meter;
mod name;
mod operator;

mod percentage;
mod random;
mod snapshot;
pub mod store;

pub use bucketer::{Bucketer, ConsistentHash};
pub use check::Check;
pub use client::{
    Checked, ClientBuilder, FeatureFlag, FeatureFlagClient, Listing, LocalClient, LocalFlag, When,
};
pub use clock::{Clock, SystemClock, Timestamp};
pub use condition::{Condition, ConditionBuilder};
#[doc(hidden)]
pub use context::__name_of_identifier;
pub use context::{Attribute, Context, ContextBuf};
pub use error::{Error, ErrorKind, Result};
pub use evaluate::{
    BucketTrace, CheckOutcome, CheckTrace, ConditionTrace, Evaluation, Evaluator, Explanation, Reason,
    Semantics,
};
pub use flag::Flag;
#[doc(hidden)]
pub use flags::gate as __gate;
pub use flags::{AsFlag, Date, FlagDefinition, Flags, Verification, Verify};
pub use freshness::{Freshness, StaleCause};
pub use meter::{EvaluationCount, EvaluationMeter};
pub use name::FlagName;
pub use operator::Operator;
pub use percentage::{LinearRamp, Percentage};
pub use random::{Random, ThreadRandom};
pub use snapshot::{Snapshot, SnapshotEdit, release_thread};
pub use store::{
    BoxStream, Capabilities, Change, CompareAndSet, Expect, Known, Listed, Page, Peek, ResyncCause, Store,
    Version, Versioned, Watching,
};
