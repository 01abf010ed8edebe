//! What checks in memory answer, and where they stop being possible.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flipper_core::{
    Context, ErrorKind, FeatureFlagClient, Flag, FlagName, Freshness, Reason, Snapshot, StaleCause,
    Timestamp, Versioned,
};
use flipper_memory::MemoryStore;
use flipper_testkit::{FaultStore, RecordingStore};
use futures_lite::future::block_on;

use super::cases::stored;
use super::{Held, flag, is_on, live, local_of, poll_once, put, record};

fn both() -> [Arc<MemoryStore>; 2] {
    let store = Arc::new(MemoryStore::new());
    [Arc::clone(&store), store]
}

#[test]
fn a_store_without_a_snapshot_has_no_local_client() {
    let client = FeatureFlagClient::new(FaultStore::new(MemoryStore::new()));
    let error = client.local().unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unsupported, Some("local")));
    let client = FeatureFlagClient::new(RecordingStore::new(MemoryStore::new()));
    assert!(client.local().is_ok(), "what wraps a store has its snapshot");
}

#[test]
fn a_flag_that_is_not_there_is_the_default() {
    let local = local_of(&live());
    let handle = local.flag("X");
    for default in [false, true] {
        assert_eq!(local.is_enabled_or("X", &Context::EMPTY, default), default);
        assert_eq!(handle.is_enabled_or(&Context::EMPTY, default), default);
        let evaluation = local.evaluate("X", &Context::EMPTY, default);
        assert_eq!((evaluation.value, evaluation.reason), (default, Reason::NotFound));
        assert_eq!(evaluation.freshness, Freshness::Live);
        assert_eq!(handle.evaluate(&Context::EMPTY, default), evaluation);
    }
    assert!(!is_on(&local, "X") && !handle.is_enabled(&Context::EMPTY));
    assert_eq!(local.client().failed_checks(), 0, "it is known that it is not there");
}

#[test]
fn evaluations_say_what_decided() {
    let snapshot = live();
    let local = local_of(&snapshot);
    put(&snapshot, "on", true, 1);
    put(&snapshot, "off", false, 1);
    let unknown = stored("unknown", true, "[]", r#"{"type": "Sticky"}"#);
    snapshot.edit(|edit| edit.put(record(unknown, 1)));
    for (name, default, value, reason) in [
        ("on", false, true, Reason::Enabled),
        ("off", true, false, Reason::Disabled),
        ("unknown", false, false, Reason::Unsupported),
        ("unknown", true, true, Reason::Unsupported),
        ("absent", true, true, Reason::NotFound),
    ] {
        let evaluation = local.evaluate(name, &Context::EMPTY, default);
        assert_eq!((evaluation.value, evaluation.reason), (value, reason), "{name}");
        assert_eq!(local.flag(name).evaluate(&Context::EMPTY, default), evaluation);
        assert_eq!(poll_once(local.client().evaluate(name, &Context::EMPTY, default)).unwrap(), evaluation);
    }
}

#[test]
fn until_a_store_was_read_checks_in_memory_are_the_default_and_count_as_failed() {
    let snapshot = Snapshot::new(Freshness::NeverLoaded);
    let mut store = Held::new(&snapshot);
    store.source = Some(flag("X", true));
    let store = Arc::new(store);
    let client = FeatureFlagClient::new(Arc::clone(&store));
    let local = client.local().unwrap();
    let handle = local.flag("X");
    assert_eq!(local.freshness(), Freshness::NeverLoaded);
    let mut failed = 0;
    for default in [false, true, false] {
        assert_eq!(local.is_enabled_or("X", &Context::EMPTY, default), default);
        assert_eq!(handle.is_enabled_or(&Context::EMPTY, default), default);
        assert_eq!(handle.is_enabled_or(&Context::EMPTY, default), default);
        let evaluation = local.evaluate("X", &Context::EMPTY, default);
        assert_eq!((evaluation.value, evaluation.freshness), (default, Freshness::NeverLoaded));
        failed += 4;
        assert_eq!(client.failed_checks(), failed, "each of them");
    }
    assert_eq!(store.gets.load(Ordering::SeqCst), 0);

    // Who can wait asks the store.
    assert!(block_on(client.is_enabled("X", &Context::EMPTY)));
    assert!(block_on(client.is_enabled_or("Y", &Context::EMPTY, true)));
    assert_eq!(block_on(client.evaluate("X", &Context::EMPTY, false)).unwrap().reason, Reason::Enabled);
    assert_eq!((store.gets.load(Ordering::SeqCst), client.failed_checks()), (3, failed));

    // A flag that is there already counts, whatever else is not.
    put(&snapshot, "X", true, 1);
    assert!(is_on(&local, "X") && handle.is_enabled(&Context::EMPTY));
    assert!(!is_on(&local, "Y"));
    assert_eq!(client.failed_checks(), failed + 1, "of Y alone");

    // And once it was read, everything does.
    snapshot.edit(|edit| edit.set_freshness(Freshness::Live));
    assert!(!is_on(&local, "Y"));
    assert!(handle.is_enabled(&Context::EMPTY) && !block_on(client.is_enabled("Y", &Context::EMPTY)));
    assert_eq!((store.gets.load(Ordering::SeqCst), client.failed_checks()), (3, failed + 1));
}

#[test]
fn a_stale_state_answers_and_says_so() {
    let [store, _] = both();
    let client = FeatureFlagClient::new(store);
    let local = client.local().unwrap();
    let handle = local.flag("X");
    block_on(async {
        client.create("X").await.unwrap().enable().await.unwrap();
        assert!(handle.is_enabled(&Context::EMPTY));
        client.close().await.unwrap();
    });
    for name in ["X", "Y"] {
        let evaluation = local.evaluate(name, &Context::EMPTY, false);
        assert_eq!(evaluation.value, name == "X");
        assert!(matches!(evaluation.freshness, Freshness::Stale { cause: StaleCause::Unavailable, .. }));
    }
    assert!(matches!(local.freshness(), Freshness::Stale { .. }));
    assert!(matches!(handle.evaluate(&Context::EMPTY, false).freshness, Freshness::Stale { .. }));
    assert!(handle.is_enabled(&Context::EMPTY) && is_on(&local, "X"));
    assert_eq!(client.failed_checks(), 0);
}

#[test]
fn one_flag_may_be_older_than_the_others() {
    let snapshot = Snapshot::new(Freshness::Live);
    let corrupt = Freshness::Stale { since: Timestamp::from_secs(1), cause: StaleCause::Corrupt };
    let record = |name| {
        let flag = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(1));
        Versioned { version: flag.version_of_bytes(), value: flag }
    };
    let of = |name| snapshot.freshness_of(name);
    snapshot.edit(|edit| {
        edit.replace_all([record("X"), record("Y")]);
        edit.mark("X", corrupt);
        edit.mark("NEVER_SEEN", corrupt);
    });
    assert_eq!([of("X"), of("Y"), of("NEVER_SEEN")], [corrupt, Freshness::Live, corrupt]);
    let seen = std::cell::Cell::new(None);
    snapshot.peek("X", &mut |peek| {
        if let flipper_core::Peek::Hit { freshness, .. } = peek {
            seen.set(Some(freshness));
        }
    });
    assert_eq!((seen.get(), snapshot.freshness()), (Some(corrupt), Freshness::Live));
    // While nothing is fresh, that is what counts.
    let stale = Freshness::Stale { since: Timestamp::from_secs(2), cause: StaleCause::Unavailable };
    snapshot.edit(|edit| edit.set_freshness(stale));
    assert_eq!(of("X"), stale);
    snapshot.edit(|edit| edit.set_freshness(Freshness::Live));
    // The same bytes again are fresh all the same.
    snapshot.edit(|edit| edit.put(record("X")));
    assert_eq!(of("X"), Freshness::Live);
    snapshot.edit(|edit| edit.remove("NEVER_SEEN"));
    assert_eq!(of("NEVER_SEEN"), Freshness::Live);
    snapshot.edit(|edit| edit.mark("Y", corrupt));
    snapshot.edit(|edit| edit.replace_all([record("Y")]));
    assert_eq!(of("Y"), Freshness::Live);
}

#[test]
fn a_handle_follows_its_flag_from_before_it_is_created_until_after_it_is_gone() {
    let [mine, others] = both();
    let (client, other) = (FeatureFlagClient::new(mine), FeatureFlagClient::new(others));
    let local = client.local().unwrap();
    let handle = local.flag("X");
    assert_eq!(handle.name(), "X");
    let sees = |is_there: bool, is_enabled: bool| {
        for default in [false, true] {
            let expected = if is_there { is_enabled } else { default };
            assert_eq!(handle.is_enabled_or(&Context::EMPTY, default), expected);
            assert_eq!(local.is_enabled_or("X", &Context::EMPTY, default), expected);
        }
        assert_eq!(handle.evaluate(&Context::EMPTY, false).reason == Reason::NotFound, !is_there);
    };
    block_on(async {
        // Whoever of the two clients of the store it is that writes.
        for by in [&client, &other, &client] {
            sees(false, false);
            by.create("X").await.unwrap();
            sees(true, false);
            by.enable("X").await.unwrap();
            sees(true, true);
            by.create("Y").await.unwrap();
            sees(true, true);
            by.disable("X").await.unwrap();
            sees(true, false);
            by.enable("X").await.unwrap();
            by.destroy("X").await.unwrap();
            sees(false, false);
            by.destroy("Y").await.unwrap();
        }
    });
}

#[test]
fn an_edit_that_panics_changes_nothing() {
    let snapshot = live();
    let local = local_of(&snapshot);
    let handle = local.flag("X");
    put(&snapshot, "X", true, 1);
    put(&snapshot, "Y", true, 1);
    assert!(handle.is_enabled(&Context::EMPTY));
    let (x, y) = (snapshot.get("X").unwrap(), snapshot.get("Y").unwrap());
    for breaks_at in 0..5 {
        let edit = || {
            snapshot.edit(|edit| {
                for step in 0..=breaks_at {
                    match step {
                        0 => _ = edit.put(record(flag("X", false), 2)),
                        1 => assert!(edit.remove("Y")),
                        2 => edit.set_freshness(Freshness::NeverLoaded),
                        3 => edit.replace_all([record(flag("Z", true), 2)]),
                        _ => edit.replace_all((0..9).map(|at| {
                            assert!(at < 5, "the flags cannot be made");
                            record(flag(&format!("F{at}"), true), 3)
                        })),
                    }
                }
                panic!("after step {breaks_at}");
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(edit)).is_err());
        assert!(Arc::ptr_eq(&snapshot.get("X").unwrap(), &x) && Arc::ptr_eq(&snapshot.get("Y").unwrap(), &y));
        assert_eq!((snapshot.len(), snapshot.records().len()), (2, 2));
        assert_eq!(snapshot.freshness(), Freshness::Live);
        assert!(handle.is_enabled(&Context::EMPTY) && !is_on(&local, "Z"));
    }
    put(&snapshot, "X", false, 2);
    assert!(!handle.is_enabled(&Context::EMPTY), "the next edit is as any other");
}

#[test]
fn an_edit_without_changes_makes_no_new_state() {
    let snapshot = live();
    put(&snapshot, "X", true, 1);
    put(&snapshot, "Y", true, 1);
    let x = snapshot.get("X").unwrap();
    // A state of its own would have a reference of its own while this thread keeps the one before.
    let references = Arc::strong_count(&x);
    let again: Arc<Versioned<Flag>> = Arc::new(record(flag("X", true), 1));
    let counted = allocation_counter::measure(|| {
        snapshot.edit(|edit| {
            assert!(!edit.put(again));
            assert!(!edit.put(Arc::clone(edit.get("Y").unwrap())));
            assert!(!edit.remove("Z"));
            edit.set_freshness(Freshness::Live);
        });
        snapshot.edit(|_| {});
    });
    assert_eq!(counted.count_total, 0, "nothing was copied");
    assert_eq!(Arc::strong_count(&x), references);
    put(&snapshot, "Y", true, 2);
    assert_eq!(Arc::strong_count(&x), references + 1, "as the copy of a state that has changed has");
}

#[test]
fn reads_within_an_edit_see_the_state_before_it() {
    let snapshot = live();
    let local = local_of(&snapshot);
    let handle = local.flag("X");
    put(&snapshot, "X", false, 1);
    snapshot.edit(|edit| {
        edit.put(record(flag("X", true), 2));
        assert!(edit.get("X").unwrap().value.is_switched_on());
        assert!(!is_on(&local, "X") && !handle.is_enabled(&Context::EMPTY));
        assert!(!snapshot.get("X").unwrap().value.is_switched_on());
        assert_eq!(snapshot.records()[0].version.as_u64(), Some(1));
    });
    assert!(is_on(&local, "X") && handle.is_enabled(&Context::EMPTY));
}

#[test]
fn a_local_client_keeps_the_store_and_its_settings() {
    let [store, _] = both();
    let weak = Arc::downgrade(&store);
    let client = FeatureFlagClient::new(store).as_actor("alice");
    let local = client.local().unwrap();
    drop(client);
    assert!(weak.upgrade().is_some());
    assert_eq!(local.client().actor(), Some("alice"));
    let handle = local.flag("X");
    block_on(local.client().create("X")).unwrap();
    block_on(local.client().enable("X")).unwrap();
    drop(local);
    assert!(handle.is_enabled(&Context::EMPTY), "a handle does too");
    drop(handle);
    assert!(weak.upgrade().is_none());
}

#[test]
fn only_the_freshness_may_change() {
    let snapshot = live();
    let local = local_of(&snapshot);
    put(&snapshot, "X", true, 1);
    let (handle, before) = (local.flag("X"), snapshot.get("X").unwrap());
    for secs in 0..50 {
        let freshness =
            Freshness::Stale { since: Timestamp::from_secs(secs), cause: StaleCause::LastKnownGood };
        snapshot.edit(|edit| edit.set_freshness(freshness));
        assert_eq!(handle.evaluate(&Context::EMPTY, false).freshness, freshness);
        assert!(handle.is_enabled(&Context::EMPTY));
        assert!(Arc::ptr_eq(&before, &snapshot.get("X").unwrap()));
    }
}
