//! Writers that are killed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use flipper_audit::{AuditLog, Fsync, Verifier};

/// How often a writer is killed; `scripts/soak` asks for more.
fn kills() -> u64 {
    std::env::var("FLIPPER_AUDIT_KILLS").map_or(50, |kills| kills.parse().expect("a number of kills"))
}

#[test]
fn a_writer_that_is_killed_leaves_a_log_that_verifies_up_to_its_last_whole_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let mut head = AuditLog::open(&path).unwrap().head();
    let mut torn = 0;
    for round in 0..kills() {
        let mut command = Command::new(env!("CARGO_BIN_EXE_audit-writer"));
        let mut writer = command.arg(&path).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let first = lines.next().expect("a change").unwrap();
        std::thread::sleep(Duration::from_micros(fastrand::u64(0..20_000)));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let told: u64 = lines.map_while(Result::ok).last().unwrap_or(first).parse().expect("a whole line");

        // As it was left, and with what was known before.
        let found = Verifier::new(&path).head(head).run().unwrap();
        assert!(found.is_intact(), "round {round}: {:?}", found.damage);
        assert!(
            found.head.lines() >= told,
            "line {told} was told to be written, and there are {}",
            found.head.lines()
        );
        torn += u64::from(found.torn_bytes > 0);
        // It may have been killed when the file before was moved away, and this one not begun.
        let is_begun = std::fs::read(&path).is_ok_and(|content| content.contains(&b'\n'));
        // And as it is gone on with.
        head = AuditLog::builder().fsync(Fsync::Never).rotate_at(100_000).open(&path).unwrap().head();
        let recovered = u64::from(found.torn_bytes > 0) + u64::from(!is_begun);
        assert_eq!(head.lines(), found.head.lines() + recovered);
    }
    println!("{} lines, {torn} of {} writers were killed in the middle of one", head.lines(), kills());
    assert!(Verifier::new(&path).head(head).run().unwrap().is_intact());
}
