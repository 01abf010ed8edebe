//! What `tracing` is told.
#![cfg(feature = "tracing")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use flipper_audit::{TracedStore, TracingSubscriber};
use flipper_core::{Context, ErrorKind, FeatureFlagClient};
use flipper_memory::MemoryStore;
use flipper_testkit::{Fault, FaultStore, Operation, Subject, store_conformance};
use tracing_subscriber::fmt::format::FmtSpan;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs something, and returns the lines that a subscriber has printed.
fn told(run: impl Future<Output = ()>) -> Vec<String> {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tracing::subscriber::with_default(subscriber, || runtime.block_on(run));
    let text = String::from_utf8(std::mem::take(&mut *lines.0.lock().unwrap())).unwrap();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn edits_are_told_with_who_what_and_how_they_have_ended() {
    let lines = told(async {
        let store = FaultStore::new(MemoryStore::new());
        let client = FeatureFlagClient::new(store.clone());
        client.events().register_subscriber(Arc::new(TracingSubscriber));
        let alice = client.as_actor("alice");
        alice.create("X").await.unwrap();
        store.push(Operation::Put, Fault::Fail(ErrorKind::Unavailable));
        alice.enable("X").await.unwrap_err();
        store.push(Operation::Put, Fault::LostReplyThenRace);
        alice.enable("X").await.unwrap_err();
        store.push(Operation::Put, Fault::Fail(ErrorKind::NotReplicated));
        client
            .update("X", |flag| {
                flag.set_enabled(false)?;
                flag.merge_client_data([("a", 1)])
            })
            .await
            .unwrap_err();
    });
    let expected = [
        r#"INFO flipper::edits: a flag was changed flag="X" events=create actor="alice" attempt=1 outcome="done""#,
        r#"DEBUG flipper::edits: a flag was not changed flag="X" events=enable actor="alice" attempt=1 outcome="not_done""#,
        r#"WARN flipper::edits: a flag may have been changed: nobody can tell flag="X" events=enable actor="alice" attempt=1 outcome="unknown""#,
        r#"WARN flipper::edits: a flag was changed, and the change is not replicated flag="X" events=disable+set_client_data attempt=1 outcome="not_replicated""#,
    ];
    assert_eq!(lines, expected);
}

#[test]
fn calls_of_a_store_are_spans_and_their_errors_events_within() {
    let lines = told(async {
        let store = FaultStore::new(MemoryStore::new());
        let client = FeatureFlagClient::new(TracedStore::new("redis", store.clone()));
        client.create("X").await.unwrap();
        assert!(!client.is_enabled("X", &Context::EMPTY).await);
        store.push(Operation::Put, Fault::Fail(ErrorKind::Conflict));
        client.enable("X").await.unwrap();
        store.push(Operation::Put, Fault::Fail(ErrorKind::Unavailable));
        client.disable("X").await.unwrap_err();
        let mut flags = client.list(None, 0);
        assert!(futures_lite::StreamExt::next(&mut flags).await.is_some());
    });
    let spans: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("close"))
        .map(|line| line.split("}:").next().unwrap().to_owned())
        .collect();
    let span = |operation: &str| format!(r#"DEBUG store{{store="redis" operation="{operation}" flag="X""#);
    let mut expected: Vec<_> =
        ["get", "put", "look_up", "get", "put", "get", "put", "get", "put"].map(span).into_iter().collect();
    expected.push(r#"DEBUG store{store="redis" operation="list""#.to_owned());
    assert_eq!(spans, expected);
    let errors: Vec<_> = lines.iter().filter(|line| line.contains("the call has failed")).collect();
    assert_eq!(errors.len(), 2, "{lines:?}");
    assert!(errors[0].starts_with("DEBUG store{") && errors[0].contains("kind=conflict"), "{}", errors[0]);
    assert!(errors[1].starts_with("WARN store{") && errors[1].contains("kind=unavailable"), "{}", errors[1]);
}

store_conformance!(
    traced,
    Subject::new(|| async { TracedStore::new("memory", MemoryStore::new()) }),
    absent = 8
);
