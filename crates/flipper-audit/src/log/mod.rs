//! The audit log, and what reads and verifies it.

mod audit_log;
mod builder;
mod chain;
mod files;
mod flush;
mod follow;
mod history;
mod known;
mod line;
mod members;
mod output;
mod scan;
mod state;
mod verify;
mod writer;

pub use audit_log::{AuditLog, AuditStats};
pub use builder::AuditLogBuilder;
pub use chain::Head;
pub use flush::Fsync;
pub use history::{Entries, Entry, History};
pub use line::LineKind;
pub use scan::{Damage, DamageKind};
pub use state::StateAt;
pub use verify::{Verification, Verifier};
