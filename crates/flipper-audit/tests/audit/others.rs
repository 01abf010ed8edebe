//! Changes by others, and changes of which nobody can tell whether they have happened.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flipper_audit::{AuditLog, LineKind, Verifier};
use flipper_core::{
    BoxStream, Capabilities, ErrorKind, Expect, FeatureFlagClient, Flag, FlagName, Listed, Page, Result,
    Store, Version, Versioned,
};
use flipper_memory::MemoryStore;
use flipper_testkit::{Fault, FaultStore, Operation};

use super::{changes, entries, place, quick};

/// Waits until the log has so many lines about changes.
async fn until(path: &Path, lines: usize) -> Vec<String> {
    let wait = async {
        loop {
            let changes = changes(path);
            if changes.len() >= lines {
                return changes;
            }
            pause().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("so many lines")
}

/// Between two looks at a file.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

fn kinds(path: &Path) -> Vec<LineKind> {
    entries(path).iter().map(flipper_audit::Entry::kind).collect()
}

fn follow(log: &AuditLog, store: &Arc<MemoryStore>) -> tokio::task::JoinHandle<Result<()>> {
    let (log, store) = (log.clone(), Arc::clone(store) as Arc<dyn Store>);
    tokio::spawn(async move { log.follow(store).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_do_is_recorded_as_theirs_and_ours_once() {
    let (_directory, path) = place();
    let store = Arc::new(MemoryStore::new());
    let (ours, theirs) = (FeatureFlagClient::new(store.clone()), FeatureFlagClient::new(store.clone()));
    theirs.create("OLD").await.unwrap();
    let log = quick().open(&path).unwrap();
    log.subscribe_to(&ours);
    let task = follow(&log, &store);
    while !kinds(&path).contains(&LineKind::Found) {
        pause().await;
    }
    theirs.create("X").await.unwrap();
    until(&path, 1).await;
    theirs.enable("OLD").await.unwrap();
    until(&path, 2).await;
    for _ in 0..50 {
        ours.enable("X").await.unwrap();
        ours.disable("X").await.unwrap();
    }
    theirs.destroy("OLD").await.unwrap();
    let lines = until(&path, 103).await;
    assert_eq!(lines[..2], ["create X watch done", "change OLD watch done"]);
    assert_eq!(lines.iter().filter(|line| line.contains("client")).count(), 100);
    assert_eq!(lines[102], "destroy OLD watch done");
    ours.close().await.unwrap();
    task.await.unwrap().unwrap();
    assert_eq!(changes(&path).len(), 103);
    assert!(Verifier::new(&path).head(log.head()).run().unwrap().is_intact());
}

#[tokio::test(flavor = "multi_thread")]
async fn under_both_at_once_each_line_starts_where_the_one_before_has_ended() {
    let (_directory, path) = place();
    let store = Arc::new(MemoryStore::new());
    let (ours, theirs) = (FeatureFlagClient::new(store.clone()), FeatureFlagClient::new(store.clone()));
    let log = quick().open(&path).unwrap();
    log.subscribe_to(&ours);
    let task = follow(&log, &store);
    ours.create("X").await.unwrap();
    let edits = |client: FeatureFlagClient, who: &'static str| {
        tokio::spawn(async move {
            for number in 0..300_u32 {
                client.update("X", |flag| flag.merge_client_data([(who, number)])).await.unwrap();
                if number % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        })
    };
    let (one, other) = (edits(ours.clone(), "ours"), edits(theirs, "theirs"));
    one.await.unwrap();
    other.await.unwrap();
    let last = ours.flag("X").await.unwrap();
    // What is told last is what is there.
    let wait = async {
        while entries(&path).last().unwrap().record().unwrap().after.as_deref() != Some(last.as_json()) {
            pause().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
    ours.close().await.unwrap();
    task.await.unwrap().unwrap();
    let (mut before, mut ours) = (None, 0);
    for entry in entries(&path).iter().filter(|entry| entry.kind() == LineKind::Change) {
        let record = entry.record().unwrap();
        assert_eq!(record.before, before, "line {}", entry.number());
        before.clone_from(&record.after);
        let is_ours = record.source == flipper_audit::Source::Client;
        ours += usize::from(is_ours);
        if is_ours && ours > 1 {
            assert_eq!(record.difference.len(), 1, "ours and nothing else: {}", entry.as_json());
        }
    }
    assert_eq!(ours, 301);
}

#[tokio::test]
async fn without_a_watch_an_edit_meets_what_others_have_done() {
    let (_directory, path) = place();
    let store = Arc::new(MemoryStore::new());
    let (ours, theirs) = (FeatureFlagClient::new(store.clone()), FeatureFlagClient::new(store.clone()));
    quick().open(&path).unwrap().subscribe_to(&ours);
    ours.create("X").await.unwrap();
    theirs.enable("X").await.unwrap();
    ours.destroy("X").await.unwrap();
    theirs.create("X").await.unwrap();
    ours.enable("X").await.unwrap();
    assert_eq!(
        changes(&path),
        [
            "create X client done",
            "change X read done",
            "destroy X client done",
            "create X read done",
            "enable X client done"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_while_nobody_looked_is_recorded_afterwards() {
    for redacts in [false, true] {
        let (_directory, path) = place();
        let store = Arc::new(MemoryStore::new());
        let client = FeatureFlagClient::new(store.clone());
        let builder = || if redacts { quick().redact(["token"]) } else { quick() };
        {
            let log = builder().open(&path).unwrap();
            log.subscribe_to(&client);
            for name in ["SAME", "CHANGED", "GONE"] {
                client.create_with(name, true, [("token", name)]).await.unwrap();
            }
            let emitter = Arc::new(flipper_core::events::EventEmitter::new());
            client.set_emitter(emitter);
        }
        client.disable("CHANGED").await.unwrap();
        client.destroy("GONE").await.unwrap();
        let log = builder().open(&path).unwrap();
        let task = follow(&log, &store);
        let lines = until(&path, 5).await;
        client.close().await.unwrap();
        task.await.unwrap().unwrap();
        assert_eq!(lines[3..], ["change CHANGED watch done", "destroy GONE watch done"]);
        assert_eq!(changes(&path).len(), 5);
    }
}

fn unsure() -> (FaultStore<MemoryStore>, FeatureFlagClient) {
    let store = FaultStore::new(MemoryStore::new());
    let client = FeatureFlagClient::builder(store.clone()).deadline(Duration::from_millis(200)).build();
    (store, client)
}

#[tokio::test]
async fn a_change_in_doubt_is_recorded_and_later_whether_it_has_happened() {
    for (fault, has_happened) in [(Fault::LostRequest, false), (Fault::LateWrite(0), true)] {
        let (_directory, path) = place();
        let (store, client) = unsure();
        quick().open(&path).unwrap().subscribe_to(&client);
        client.create("X").await.unwrap();
        // The answer is lost, and nobody waits for the read that would find out.
        store.push(Operation::Put, fault);
        store.push(Operation::Get, Fault::Delay(Duration::ZERO));
        store.push(Operation::Get, Fault::Hang);
        assert!(tokio::time::timeout(Duration::from_millis(50), client.enable("X")).await.is_err());
        assert_eq!(changes(&path), ["create X client done", "enable X client unknown"]);
        client.set_client_data("X", [("a", 1)]).await.unwrap();
        let expected: &[LineKind] = if has_happened {
            &[LineKind::Begin, LineKind::Change, LineKind::Change, LineKind::Resolved, LineKind::Change]
        } else {
            &[LineKind::Begin, LineKind::Change, LineKind::Change, LineKind::Change]
        };
        assert_eq!(kinds(&path), expected);
        if has_happened {
            assert_eq!(entries(&path)[3].resolves(), Some(3));
        }
    }
}

#[tokio::test]
async fn an_edit_that_nobody_waits_for_is_recorded_as_in_doubt() {
    let (_directory, path) = place();
    let (store, client) = unsure();
    quick().open(&path).unwrap().subscribe_to(&client);
    client.create("X").await.unwrap();
    store.push(Operation::Put, Fault::Hang);
    let given_up = tokio::time::timeout(Duration::from_millis(20), client.enable("X")).await;
    assert!(given_up.is_err());
    assert_eq!(changes(&path), ["create X client done", "enable X client unknown"]);
    let resolved_or_not = changes(&path);
    client.enable("X").await.unwrap();
    // It had not happened: nothing says that it has.
    assert_eq!(changes(&path)[..2], resolved_or_not);
    assert!(!kinds(&path).contains(&LineKind::Resolved));
}

/// A store that nobody can watch.
#[derive(Debug)]
struct Deaf(MemoryStore);

#[async_trait::async_trait]
impl Store for Deaf {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.0.get(name).await
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        self.0.put(flag, expect).await
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        self.0.delete(name, expect).await
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        self.0.list(page)
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_watched_says_so() {
    let (_directory, path) = place();
    let log = quick().open(&path).unwrap();
    let followed = log.follow(Arc::new(Deaf(MemoryStore::new()))).await;
    assert_eq!(followed.unwrap_err().kind(), ErrorKind::Unsupported);
}
