//! A disk that is full, and a process that may open no more files: real ones, by limits of processes of their own.

use std::fs::{self, File};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flipper_audit::{AuditLog, Fsync, LineKind, Verifier};
use flipper_core::ErrorKind;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{changes, entries, logged, place};

const IN_CHILD: &str = "FLIPPER_AUDIT_TEST_IN_CHILD";

/// Runs a test in a process of its own, in which a write beyond a limit is an error and no signal.
fn in_child(test: &str, run: impl AsyncFnOnce()) {
    if std::env::var_os(IN_CHILD).is_some() {
        return futures_lite::future::block_on(run());
    }
    let mut child = Command::new("sh");
    child.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    let output = child.args(["--exact", test, "--nocapture"]).env(IN_CHILD, "1").output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}

fn limit(resource: Resource, limit: Option<u64>) {
    let maximum = getrlimit(resource).maximum;
    setrlimit(resource, Rlimit { current: limit, maximum }).unwrap();
}

#[test]
fn on_a_full_disk_each_line_is_whole_or_counted_and_the_log_goes_on_when_there_is_room() {
    in_child(
        "limits::on_a_full_disk_each_line_is_whole_or_counted_and_the_log_goes_on_when_there_is_room",
        async || {
            for room in [3_000, 3_001, 3_200, 3_555] {
                let (_directory, path) = place();
                let failures = Arc::new(AtomicU64::new(0));
                let seen = Arc::clone(&failures);
                let count = move |_: &flipper_core::Error| {
                    seen.fetch_add(1, Ordering::Relaxed);
                };
                let log = AuditLog::builder().on_failure(count).open(&path).unwrap();
                let client = logged(&log);
                limit(Resource::Fsize, Some(room));
                for number in 0..12 {
                    client.create(&format!("F{number}")).await.unwrap();
                }
                let (lost, len) = (log.stats().lost, fs::metadata(&path).unwrap().len());
                assert!((1..12).contains(&lost) && len <= room, "{lost} lost, {len} bytes");
                assert_eq!(failures.load(Ordering::Relaxed), lost);
                let found = Verifier::new(&path).head(log.head()).run().unwrap();
                assert!(found.is_intact() && found.torn_bytes == 0, "{found:?}");
                limit(Resource::Fsize, None);
                client.create("LATER").await.unwrap();
                // What says how many are missing may fit where a change does not.
                let told: u64 = entries(&path)
                    .iter()
                    .filter(|entry| entry.kind() == LineKind::Lost)
                    .map(|entry| {
                        serde_json::from_str::<serde_json::Value>(entry.as_json()).unwrap()["count"]
                            .as_u64()
                            .unwrap()
                    })
                    .sum();
                assert_eq!(told, lost);
                assert_eq!(changes(&path).len() as u64, 13 - lost);
                assert!(Verifier::new(&path).head(log.head()).run().unwrap().is_intact());
            }
        },
    );
}

#[test]
fn on_a_full_disk_a_veto_leaves_the_flags_as_they_are() {
    in_child("limits::on_a_full_disk_a_veto_leaves_the_flags_as_they_are", async || {
        // There is room for the announcement, or not even for that.
        for room in (400..1_500).step_by(100) {
            let (_directory, path) = place();
            let log = AuditLog::builder().veto(true).on_failure(|_| {}).open(&path).unwrap();
            let client = logged(&log);
            limit(Resource::Fsize, Some(room));
            let made = client.create("X").await.map(drop).map_err(|error| error.kind());
            limit(Resource::Fsize, None);
            let is_there = client.flag("X").await.is_ok();
            let kinds: Vec<_> = entries(&path).iter().skip(1).map(|entry| entry.kind().as_str()).collect();
            match made {
                Ok(()) => assert!(is_there && kinds.first() == Some(&"intent"), "{room}: {kinds:?}"),
                Err(kind) => {
                    assert!(!is_there && kind == ErrorKind::PermissionDenied, "{room}: {kind:?} {kinds:?}");
                    assert!(kinds.is_empty(), "{room}: {kinds:?}");
                }
            }
            client.create("Y").await.unwrap();
            assert!(Verifier::new(&path).head(log.head()).run().unwrap().is_intact());
        }
    });
}

#[test]
fn a_process_that_may_open_no_more_files_goes_on_with_its_log() {
    in_child("limits::a_process_that_may_open_no_more_files_goes_on_with_its_log", async || {
        let (_directory, path) = place();
        // Whatever flushes later keeps the full file open.
        let log = AuditLog::builder().fsync(Fsync::Every(Duration::from_hours(1))).rotate_at(1_000);
        let log = log.open(&path).unwrap();
        let client = logged(&log);
        limit(Resource::Nofile, Some(64));
        let mut others = Vec::new();
        for number in 0..40 {
            // None is left, one, two and so on.
            while let Ok(file) = File::open("/dev/null") {
                others.push(file);
            }
            others.truncate(others.len() - number % 4);
            client.create(&format!("F{number}")).await.unwrap();
        }
        others.clear();
        assert_eq!((changes(&path).len(), log.stats().lost), (40, 0));
        let found = Verifier::new(&path).head(log.head()).run().unwrap();
        assert!(found.is_intact() && found.files > 5, "{found:?}");
    });
}
