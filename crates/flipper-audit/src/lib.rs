//! Who changed which feature flag, when and how.

#[cfg(any(feature = "log", feature = "sink"))]
mod difference;
#[cfg(any(feature = "log", feature = "sink"))]
mod json;
#[cfg(feature = "log")]
mod log;
#[cfg(any(feature = "log", feature = "sink"))]
mod record;
#[cfg(any(feature = "log", feature = "sink"))]
mod redact;
#[cfg(any(feature = "log", feature = "sink"))]
mod time;

#[cfg(any(feature = "log", feature = "sink"))]
pub use difference::Difference;
#[cfg(feature = "log")]
pub use log::{
    AuditLog, AuditLogBuilder, AuditStats, Damage, DamageKind, Entries, Entry, Fsync, Head, History,
    LineKind, StateAt, Verification, Verifier, print,
};
#[cfg(any(feature = "log", feature = "sink"))]
pub use record::{Record, Source};
