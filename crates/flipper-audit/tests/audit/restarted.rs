//! What a process finds that follows a store after another one has ended, of which there is the log.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flipper_audit::{AuditLogBuilder, Entry, History, LineKind, Source, Verifier};
use flipper_core::events::EventEmitter;
use flipper_core::{ErrorKind, Expect, FeatureFlagClient, Flag, FlagName, Store, Timestamp};
use flipper_memory::MemoryStore;
use flipper_testkit::{Fault, FaultStore, ManualClock, Operation};

use super::{entries, place, quick};

/// Opens the log anew, follows a store until all flags were compared, and returns the lines of that.
async fn restarted(builder: AuditLogBuilder, path: &Path, store: Arc<MemoryStore>) -> Vec<Entry> {
    let old = entries(path).len();
    let log = builder.open(path).unwrap();
    let client = FeatureFlagClient::new(store.clone());
    let follower = log.clone();
    let following = store.clone();
    let follow = tokio::spawn(async move { follower.follow(following).await });
    let is_over = async {
        // It is told after all that was there.
        client.create("LAST").await.unwrap();
        while !entries(path).iter().any(|entry| entry.record().is_some_and(|record| record.flag == "LAST")) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        client.destroy("LAST").await.unwrap();
        let is_gone = |entry: &Entry| {
            entry.record().is_some_and(|record| record.flag == "LAST" && record.after.is_none())
        };
        while !entries(path).iter().any(is_gone) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), is_over).await.unwrap();
    client.close().await.unwrap();
    follow.await.unwrap().unwrap();
    let is_about_last = |entry: &Entry| entry.as_json().contains("\"LAST\"");
    entries(path).into_iter().skip(old).filter(|entry| !is_about_last(entry)).collect()
}

/// The same flags in a store that is not closed.
async fn copy(store: &dyn Store, names: &[&str]) -> Arc<MemoryStore> {
    let copy = Arc::new(MemoryStore::new());
    for name in names {
        let found = store.get(FlagName::new(name).unwrap()).await.unwrap().unwrap();
        copy.put(&found.value, Expect::Any).await.unwrap();
    }
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_in_doubt_that_has_happened_is_no_change_by_somebody_else() {
    // With a veto there is an announcement as well.
    for vetoes in [false, true] {
        let (_directory, path) = place();
        let store = FaultStore::new(MemoryStore::new());
        let client = FeatureFlagClient::new(store.clone());
        {
            quick().veto(vetoes).open(&path).unwrap().subscribe_to(&client);
            client.create("X").await.unwrap();
            store.push(Operation::Put, Fault::LostReply);
            store.push(Operation::Get, Fault::Delay(Duration::ZERO));
            store.push(Operation::Get, Fault::Hang);
            assert!(tokio::time::timeout(Duration::from_millis(100), client.enable("X")).await.is_err());
            client.set_emitter(Arc::new(EventEmitter::new()));
        }
        let line = entries(&path).last().unwrap().number();
        assert!(!History::of(&path).state_at("X", Timestamp::now()).unwrap().is_certain());
        let found = restarted(quick(), &path, copy(&store, &["X"]).await).await;
        assert_eq!(found.iter().map(Entry::resolves).collect::<Vec<_>>(), [Some(line)], "{found:?}");
        let now = History::of(&path).state_at("X", Timestamp::now()).unwrap();
        assert!(now.is_certain() && now.flag.unwrap().is_switched_on());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_announced_by_a_process_that_died_is_resolved_or_leaves_no_doubt_for_ever() {
    for is_made in [true, false] {
        let (_directory, path) = place();
        let store = MemoryStore::new();
        let client = FeatureFlagClient::new(copy(&store, &[]).await);
        {
            quick().veto(true).open(&path).unwrap().subscribe_to(&client);
            client.create("X").await.unwrap();
            client.enable("X").await.unwrap();
            client.set_emitter(Arc::new(EventEmitter::new()));
        }
        // It has died before it could write the line after the change.
        let text = std::fs::read_to_string(&path).unwrap();
        let whole = text.trim_end().rfind('\n').unwrap() + 1;
        std::fs::write(&path, &text[..whole]).unwrap();
        let line = entries(&path).last().unwrap().number();
        if !is_made {
            // Somebody else has changed it in its place.
            client.set_client_data("X", [("by", "others")]).await.unwrap();
            client.disable("X").await.unwrap();
        }
        let found = restarted(quick(), &path, copy(&**client.store(), &["X"]).await).await;
        let now = History::of(&path).state_at("X", Timestamp::now()).unwrap();
        if is_made {
            assert_eq!(found.iter().map(Entry::resolves).collect::<Vec<_>>(), [Some(line)], "{found:?}");
        } else {
            let sources: Vec<_> = found.iter().map(|entry| entry.record().unwrap().source).collect();
            assert_eq!(sources, [Source::Watch], "{found:?}");
        }
        assert!(now.is_certain() && now.flag.unwrap().is_switched_on() == is_made);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_as_it_was_is_not_recorded_again() {
    let (_directory, path) = place();
    let store = Arc::new(MemoryStore::new());
    // With spaces around, over two lines, and with what is no JSON elsewhere.
    for (name, record) in [
        (
            "X",
            r#" {"feature_name": "X", "is_enabled": false, "meta": {"created_date": 1, "client_data": {"token": 1}}} "#,
        ),
        (
            "Y",
            "{\"feature_name\": \"Y\",\n\"is_enabled\": true, \"meta\": {\"created_date\": NaN, \"client_data\": {}}}",
        ),
    ] {
        assert_eq!(Flag::from_json(record.as_bytes()).unwrap().name(), name);
        store.put(&Flag::from_json(record.as_bytes()).unwrap(), Expect::Any).await.unwrap();
    }
    drop(quick().open(&path).unwrap());
    let again = copy(&*store, &["X", "Y"]).await;
    let found = restarted(quick(), &path, copy(&*store, &["X", "Y"]).await).await;
    assert!(found.len() == 2 && found.iter().all(|entry| entry.kind() == LineKind::Found), "{found:?}");
    // Nor if more is redacted than was.
    for builder in [quick(), quick().redact(["token"])] {
        let found = restarted(builder, &path, copy(&*again, &["X", "Y"]).await).await;
        assert!(found.is_empty(), "{found:?}");
    }
}

#[tokio::test]
async fn what_could_not_be_read_is_not_told_to_have_been_what_came_after_it() {
    let (_directory, path) = place();
    let clock = ManualClock::new(Timestamp::from_secs(20));
    let store = FaultStore::new(MemoryStore::new());
    let client = FeatureFlagClient::builder(store.clone()).clock(clock.clone()).build();
    quick().open(&path).unwrap().subscribe_to(&client);
    store.push(Operation::Get, Fault::Fail(ErrorKind::Corrupt));
    client.create_or_replace("X", true, [("a", 1)]).await.unwrap();
    clock.set(Timestamp::from_secs(30));
    client.disable("X").await.unwrap();
    let at = |seconds| History::of(&path).state_at("X", Timestamp::from_secs(seconds));
    let error = at(10).unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.message().contains("could not be read"), "{error}");
    assert!(
        at(20).unwrap().flag.unwrap().is_switched_on() && !at(30).unwrap().flag.unwrap().is_switched_on()
    );
}

#[tokio::test]
async fn with_a_clock_that_is_set_back_lines_count_in_their_order() {
    let (_directory, path) = place();
    let clock = ManualClock::new(Timestamp::from_secs(100));
    let client = FeatureFlagClient::builder(MemoryStore::new()).clock(clock.clone()).build();
    let log = quick().rotate_at(1).open(&path).unwrap();
    log.subscribe_to(&client);
    client.create("X").await.unwrap();
    // At one time as well.
    client.enable("X").await.unwrap();
    client.disable("X").await.unwrap();
    clock.set(Timestamp::from_secs(50));
    client.enable("X").await.unwrap();
    let is_on = |seconds| {
        History::of(&path)
            .state_at("X", Timestamp::from_secs(seconds))
            .unwrap()
            .flag
            .unwrap()
            .is_switched_on()
    };
    assert_eq!([is_on(50), is_on(99), is_on(100), is_on(200)], [true; 4]);
    assert_eq!(History::of(&path).state_at("X", Timestamp::from_secs(49)).unwrap().flag, None);
    clock.set(Timestamp::from_secs(60));
    client.disable("X").await.unwrap();
    assert_eq!([is_on(59), is_on(60), is_on(100)], [true, false, false]);
    assert!(Verifier::new(&path).head(log.head()).run().unwrap().is_intact());
}
