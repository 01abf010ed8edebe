//! The audit log: complete, in order, and not to be tampered with unnoticed.
#![cfg(feature = "log")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod clients;
mod failures;
#[cfg(unix)]
mod limits;
mod many;
mod others;
mod past;
mod records;
mod reopened;
mod restarted;
mod tampering;

use std::path::{Path, PathBuf};

use flipper_audit::{AuditLog, AuditLogBuilder, Entry, Fsync, History, LineKind};
use flipper_core::FeatureFlagClient;
use flipper_memory::MemoryStore;
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    (directory, path)
}

/// What most tests want: the disk is not what they are about.
fn quick() -> AuditLogBuilder {
    AuditLog::builder().fsync(Fsync::Never)
}

/// A client of a store in memory, with a log.
fn logged(log: &AuditLog) -> FeatureFlagClient {
    let client = FeatureFlagClient::new(MemoryStore::new());
    log.subscribe_to(&client);
    client
}

fn entries(path: &Path) -> Vec<Entry> {
    History::of(path).entries().unwrap().collect::<Result<_, _>>().unwrap()
}

/// The lines about changes, in words: `create X`.
fn changes(path: &Path) -> Vec<String> {
    let entries = entries(path).into_iter().filter(|entry| entry.kind() == LineKind::Change);
    let in_words = |entry: Entry| {
        let record = entry.record().unwrap();
        format!("{} {} {} {}", record.events.join("+"), record.flag, record.source, record.outcome)
    };
    entries.map(in_words).collect()
}
