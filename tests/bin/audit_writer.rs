//! Changes flags in memory and writes them into an audit log, without end: to be killed.
//!
//!     audit-writer LOG
//!
//! Prints the number of each line of the log that is about a change, once it is written.

use std::io::Write;

use flipper_audit::{AuditLog, Fsync};
use flipper_core::{Error, ErrorKind, FeatureFlagClient, Result};
use flipper_memory::MemoryStore;

#[tokio::main]
async fn main() -> Result<()> {
    let missing = || Error::new(ErrorKind::InvalidInput, "audit-writer LOG");
    let path = std::env::args().nth(1).ok_or_else(missing)?;
    let log = AuditLog::builder().fsync(Fsync::Never).rotate_at(100_000).open(path)?;
    let client = FeatureFlagClient::new(MemoryStore::new());
    log.subscribe_to(&client);
    for number in 0_u64.. {
        // Long enough to be caught half written.
        let filler = "x".repeat(fastrand::usize(..5_000));
        client.create_or_replace(&format!("F{}", number % 10), true, [("filler", filler)]).await?;
        println!("{}", log.head().lines());
        let _ = std::io::stdout().flush();
    }
    Ok(())
}
