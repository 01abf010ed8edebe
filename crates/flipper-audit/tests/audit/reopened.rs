//! Logs that are opened again, also after a crash.

use std::fs;
use std::io::Write;
use std::time::Duration;

use flipper_audit::{AuditLog, Fsync, LineKind, Verifier};
use flipper_core::ErrorKind;

use super::{changes, entries, logged, place, quick};

#[tokio::test]
async fn a_log_goes_on_where_it_was_left() {
    let (_directory, path) = place();
    for round in 0..50 {
        let later = Fsync::Every(Duration::from_millis(1));
        let log = quick().fsync(later).rotate_at(2_000).open(&path).unwrap();
        logged(&log).create(&format!("F{round}")).await.unwrap();
    }
    let expected: Vec<_> = (0..50).map(|round| format!("create F{round} client done")).collect();
    assert_eq!(changes(&path), expected);
    assert!(Verifier::new(&path).run().unwrap().is_intact());
}

#[tokio::test]
async fn a_line_that_is_half_written_is_cut_off_and_that_is_recorded() {
    let (_directory, path) = place();
    drop(quick().open(&path).unwrap());
    let first = fs::read(&path).unwrap();
    logged(&quick().open(&path).unwrap()).create("X").await.unwrap();
    let whole = fs::read(&path).unwrap();
    // Also in the middle of the first line of all.
    for len in (1..first.len()).step_by(7).chain((first.len() + 1..whole.len()).step_by(13)) {
        fs::write(&path, &whole[..len]).unwrap();
        let torn = len - if len > first.len() { first.len() } else { 0 };
        assert_eq!(Verifier::new(&path).run().unwrap().torn_bytes, torn as u64);
        let log = quick().open(&path).unwrap();
        let kinds: Vec<_> = entries(&path).iter().map(flipper_audit::Entry::kind).collect();
        assert_eq!(kinds, [LineKind::Begin, LineKind::Recovered], "{len}");
        assert!(entries(&path)[1].as_json().contains(&format!("\"torn_bytes\":{torn},")));
        assert!(Verifier::new(&path).head(log.head()).run().unwrap().is_intact());
    }
}

#[tokio::test]
async fn a_file_that_was_moved_away_before_the_next_was_begun_is_gone_on_from() {
    let (_directory, path) = place();
    logged(&quick().open(&path).unwrap()).create("X").await.unwrap();
    for begun in [false, true] {
        let number = if begun { 2 } else { 1 };
        fs::rename(&path, path.with_file_name(format!("audit.jsonl.{number:06}"))).unwrap();
        if begun {
            fs::write(&path, "").unwrap();
        }
        let log = quick().open(&path).unwrap();
        logged(&log).create("Y").await.unwrap();
        let found = Verifier::new(&path).head(log.head()).run().unwrap();
        assert!(found.is_intact() && found.files == number + 1, "{found:?}");
    }
    assert_eq!(changes(&path).len(), 3);
}

#[test]
fn a_log_has_one_writer() {
    let (_directory, path) = place();
    let first = AuditLog::open(&path).unwrap();
    let error = AuditLog::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("one writer"), "{error}");
    drop(first);
    AuditLog::open(&path).unwrap();
}

#[test]
fn a_log_that_was_altered_is_not_gone_on_with() {
    let (_directory, path) = place();
    drop(AuditLog::open(&path).unwrap());
    let whole = fs::read_to_string(&path).unwrap();
    for altered in
        [whole.replace("\"file\":1", "\"file\":2"), format!("{whole}{{}}\n"), "not a log\n".to_owned()]
    {
        fs::write(&path, &altered).unwrap();
        let error = AuditLog::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.message().contains("line "), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), altered, "it is left as it is");
    }
}

#[test]
fn a_log_is_opened_with_its_own_key_only() {
    let (_directory, path) = place();
    drop(quick().key("one").open(&path).unwrap());
    assert_eq!(quick().open(&path).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(quick().key("two").open(&path).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(quick().key("").open(&path).unwrap_err().kind(), ErrorKind::InvalidInput);
    let shown = format!("{:?} {:?}", quick().key("s3cret"), quick().key("one").open(&path).unwrap());
    assert!(!shown.contains("s3cret") && !shown.contains("115, 51"), "{shown}");
}

#[test]
fn what_stands_in_the_way_is_named() {
    let (directory, path) = place();
    assert_eq!(AuditLog::open("/").unwrap_err().kind(), ErrorKind::InvalidInput);
    let error = AuditLog::open(directory.path().join("none/audit.jsonl")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("none/audit.jsonl"), "{error}");
    fs::create_dir(&path).unwrap();
    assert!(AuditLog::open(&path).is_err());
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_a_log() {
    use std::os::unix::fs::PermissionsExt;
    let (_directory, path) = place();
    drop(AuditLog::open(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn bytes_after_the_last_line_do_not_end_up_in_the_next() {
    let (_directory, path) = place();
    drop(quick().open(&path).unwrap());
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&[0; 4096]).unwrap();
    let log = quick().open(&path).unwrap();
    logged(&log).create("X").await.unwrap();
    assert_eq!(changes(&path), ["create X client done"]);
    assert!(Verifier::new(&path).head(log.head()).run().unwrap().is_intact());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_read_and_verified_while_it_is_written_and_its_files_are_moved_away() {
    let (_directory, path) = place();
    let log = quick().rotate_at(1_500).open(&path).unwrap();
    let client = logged(&log);
    client.create("X").await.unwrap();
    let writing = tokio::spawn(async move {
        for _ in 0..300 {
            client.enable("X").await.unwrap();
            client.disable("X").await.unwrap();
        }
    });
    while !writing.is_finished() {
        let head = log.head();
        let found = Verifier::new(&path).head(head).run().unwrap();
        assert!(found.is_intact(), "{found:?}");
        let numbers: Vec<_> = entries(&path).iter().map(flipper_audit::Entry::number).collect();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
        assert!(numbers.len() as u64 >= head.lines());
    }
    writing.await.unwrap();
    // There may be more files than a process may have open.
    let (files, lines) =
        (fs::read_dir(path.parent().unwrap()).unwrap().count(), flipper_audit::History::of(&path).entries());
    let open = fs::read_dir("/dev/fd").unwrap().filter_map(Result::ok);
    let ours = open
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter(|file| file.starts_with(path.parent().unwrap()));
    assert!(files > 100 && ours.count() < 10 && lines.is_ok());
}

#[cfg(unix)]
#[tokio::test]
async fn a_log_has_one_writer_by_whatever_name_and_without_its_lock() {
    let (directory, path) = place();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link.jsonl");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    // Also if there is no file yet.
    let log = quick().rotate_at(1).open(&link).unwrap();
    for name in [&path, &link] {
        assert!(quick().open(name).unwrap_err().message().contains("one writer"));
    }
    fs::remove_file(directory.path().join(".audit.jsonl.lock")).unwrap();
    for name in ["A", "B"] {
        let error = quick().open(&path).unwrap_err();
        assert!(error.kind() == ErrorKind::Unavailable && error.message().contains("one writer"), "{error}");
        // Nor when another file was begun.
        logged(&log).create(name).await.unwrap();
    }
    // All files are beside the one that the link leads to.
    assert_eq!(Verifier::new(&link).head(log.head()).run().unwrap().files, 3);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    drop(log);
    quick().open(&link).unwrap();
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused() {
    let (_directory, path) = place();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    for path in [path.as_path(), std::path::Path::new("/dev/null")] {
        let error = quick().open(path).unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.message().contains("writer"), "{error}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_removed_or_replaced_under_its_writer_takes_no_more_lines() {
    for is_replaced in [false, true] {
        let (directory, path) = place();
        let log = quick().veto(true).on_failure(|_| {}).open(&path).unwrap();
        let client = logged(&log);
        client.create("A").await.unwrap();
        if is_replaced {
            let other = directory.path().join("other");
            fs::copy(&path, &other).unwrap();
            fs::rename(&other, &path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        let error = client.create("B").await.unwrap_err();
        assert!(error.message().contains("was removed or replaced"), "{error}");
    }
    // One that has another name is written to, and not moved away in the place of the one that has its name.
    let (directory, path) = place();
    let log = quick().rotate_at(1_000).open(&path).unwrap();
    let client = logged(&log);
    let moved = directory.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    fs::write(&path, "somebody's").unwrap();
    for name in ["A", "B", "C"] {
        client.create(name).await.unwrap();
    }
    assert_eq!((fs::read(&path).unwrap(), log.stats().lost), (b"somebody's".to_vec(), 0));
    assert_eq!(changes(&moved).len(), 3);
}
