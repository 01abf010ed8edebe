//! What cannot be written.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use flipper_audit::{AuditLog, Verifier};
use flipper_core::{ErrorKind, FeatureFlagClient};
use flipper_memory::MemoryStore;
use flipper_testkit::{Fault, FaultStore, Operation};

use super::{changes, logged, place, quick};

/// A writer that fails when it is told to, after it has taken a part of what it was given.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Sheet>>);

#[derive(Default)]
struct Sheet {
    written: Vec<u8>,
    /// How much it takes yet; `None` if there is no end.
    room: Option<usize>,
    is_not_flushed: bool,
}

impl Paper {
    fn room(&self, bytes: Option<usize>) {
        self.0.lock().unwrap().room = bytes;
    }

    /// The lines, in words, and whether they are in order and the last one has an end.
    fn read(&self) -> Vec<String> {
        let (_directory, path) = place();
        std::fs::write(&path, &self.0.lock().unwrap().written).unwrap();
        let found = Verifier::new(&path).run().unwrap();
        assert!(found.is_intact() && found.torn_bytes == 0, "{found:?}");
        let entries = super::entries(&path).into_iter().skip(1);
        let in_words = |entry: flipper_audit::Entry| match entry.record() {
            Some(record) => format!("{} {} {}", entry.kind().as_str(), record.flag, record.outcome),
            None => entry.kind().as_str().to_owned(),
        };
        entries.map(in_words).collect()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sheet = self.0.lock().unwrap();
        let taken = bytes.len().min(sheet.room.unwrap_or(usize::MAX));
        if taken == 0 {
            return Err(io::Error::other("no paper"));
        }
        if let Some(room) = &mut sheet.room {
            *room -= taken;
        }
        sheet.written.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.0.lock().unwrap().is_not_flushed { Err(io::Error::other("wet paper")) } else { Ok(()) }
    }
}

#[tokio::test]
async fn what_could_not_be_written_is_reported_and_counted_in_the_log() {
    let (paper, failures) = (Paper::default(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&failures);
    let log = AuditLog::builder().on_failure(move |error| seen.lock().unwrap().push(error.to_string()));
    let log = log.to_writer(paper.clone()).unwrap();
    let client = logged(&log);
    paper.room(Some(0));
    client.create("A").await.unwrap();
    client.create("B").await.unwrap();
    assert_eq!((failures.lock().unwrap().len(), log.stats().lost), (2, 2));
    assert!(failures.lock().unwrap()[0].contains("no paper"));
    paper.room(None);
    client.create("C").await.unwrap();
    assert_eq!(paper.read(), ["lost", "change C done"]);
    let text = String::from_utf8(paper.0.lock().unwrap().written.clone()).unwrap();
    assert!(text.contains("\"kind\":\"lost\",\"count\":2"), "{text}");
}

#[tokio::test]
async fn a_line_that_was_taken_in_part_is_completed_before_the_next() {
    for room in [1, 100, 300] {
        let paper = Paper::default();
        let client = logged(&AuditLog::builder().on_failure(|_| {}).to_writer(paper.clone()).unwrap());
        paper.room(Some(room));
        client.create("A").await.unwrap();
        paper.room(None);
        client.create("B").await.unwrap();
        assert_eq!(paper.read(), ["change A done", "change B done"], "and nothing is told to be lost");
    }
}

#[tokio::test]
async fn with_a_veto_nothing_is_changed_that_cannot_be_written_down() {
    let paper = Paper::default();
    let log = AuditLog::builder().veto(true).on_failure(|_| {}).to_writer(paper.clone()).unwrap();
    let client = logged(&log);
    client.create("A").await.unwrap();
    paper.room(Some(0));
    let error = client.enable("A").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(
        error.message().contains("the audit log cannot be written") && error.message().contains("no paper"),
        "{error}"
    );
    assert!(!client.flag("A").await.unwrap().is_switched_on());
    paper.room(None);
    client.enable("A").await.unwrap();
    assert_eq!(paper.read(), ["intent A unknown", "change A done", "intent A unknown", "change A done"]);
    assert_eq!(log.stats().lost, 0, "no change is missing");
}

#[tokio::test]
async fn what_was_announced_and_not_made_is_told_to_be_over() {
    let paper = Paper::default();
    let store = FaultStore::new(MemoryStore::new());
    let client = FeatureFlagClient::new(store.clone());
    AuditLog::builder().veto(true).to_writer(paper.clone()).unwrap().subscribe_to(&client);
    store.push(Operation::Put, Fault::Fail(ErrorKind::Unavailable));
    client.create("A").await.unwrap_err();
    assert_eq!(paper.read(), ["intent A unknown", "change A not_done"]);
}

#[tokio::test]
async fn without_a_veto_what_was_not_made_is_no_line() {
    let (_directory, path) = place();
    let store = FaultStore::new(MemoryStore::new());
    let client = FeatureFlagClient::new(store.clone());
    quick().open(&path).unwrap().subscribe_to(&client);
    store.push(Operation::Put, Fault::Fail(ErrorKind::Unavailable));
    client.create("A").await.unwrap_err();
    client.create("A").await.unwrap();
    client.create("A").await.unwrap_err();
    assert_eq!(changes(&path), ["create A client done"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_moved_away_goes_on() {
    let (_directory, path) = place();
    let log = quick().rotate_at(1).open(&path).unwrap();
    let client = logged(&log);
    std::fs::create_dir(path.with_file_name("audit.jsonl.000001")).unwrap();
    client.create("A").await.unwrap();
    assert_eq!(log.stats().lost, 0);
    std::fs::remove_dir(path.with_file_name("audit.jsonl.000001")).unwrap();
    client.create("B").await.unwrap();
    assert_eq!(changes(&path).len(), 2);
    let found = Verifier::new(&path).head(log.head()).run().unwrap();
    assert!(found.is_intact() && found.files == 2, "{found:?}");
}

#[tokio::test]
async fn redacted_values_are_nowhere() {
    let (_directory, path) = place();
    let client = logged(&quick().redact(["token"]).open(&path).unwrap());
    let data = |token: &str| {
        let mut data = flipper_core::json::Object::default();
        data.insert("token", token);
        data
    };
    client.create_with("A", true, data("s3cret")).await.unwrap();
    client.set_client_data("A", data("s3cret2")).await.unwrap();
    client.destroy("A").await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("s3cret") && text.matches("[redacted]").count() == 4, "{text}");
    assert_eq!(changes(&path).len(), 3);
}

#[tokio::test]
async fn an_announcement_that_is_there_and_cannot_be_relied_on_is_told_to_be_over() {
    for is_partly_there in [true, false] {
        let paper = Paper::default();
        let log = AuditLog::builder().veto(true).on_failure(|_| {}).to_writer(paper.clone()).unwrap();
        let client = logged(&log);
        client.create("A").await.unwrap();
        paper.room(is_partly_there.then_some(10));
        paper.0.lock().unwrap().is_not_flushed = !is_partly_there;
        client.enable("A").await.unwrap_err();
        paper.room(None);
        paper.0.lock().unwrap().is_not_flushed = false;
        client.create("B").await.unwrap();
        let lines = paper.read();
        assert_eq!(lines.iter().filter(|line| *line == "intent A unknown").count(), 2, "{lines:?}");
        let is_over = lines.iter().any(|line| line == "change A not_done");
        // The end cannot be written either while there is no room, and counts as lost.
        assert!(is_over || lines.contains(&"lost".to_owned()), "{lines:?}");
        assert_eq!((is_over, log.stats().lost), (!is_partly_there, u64::from(is_partly_there)));
    }
}

#[tokio::test]
async fn who_is_told_of_a_failure_and_panics_leaves_the_log_as_it_is() {
    let paper = Paper::default();
    let log = AuditLog::builder().on_failure(|_| panic!("of who is told")).to_writer(paper.clone()).unwrap();
    let store = Arc::new(MemoryStore::new());
    let client = FeatureFlagClient::new(store.clone());
    log.subscribe_to(&client);
    paper.room(Some(0));
    client.create("A").await.unwrap();
    paper.room(None);
    FeatureFlagClient::new(store.clone()).enable("A").await.unwrap();
    // An edit that seemed to be under way would be waited for.
    let follow = log.follow(store);
    let seen = async {
        while paper.read().is_empty() {
            tokio::task::yield_now().await;
        }
        client.close().await.unwrap();
    };
    let both = async { tokio::join!(follow, seen).0 };
    tokio::time::timeout(std::time::Duration::from_secs(10), both).await.unwrap().unwrap();
    assert_eq!(paper.read(), ["lost", "change A done"]);
}
