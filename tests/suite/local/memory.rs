//! What stays in memory: never more than one state for each thread, and nothing of what is gone.

use std::sync::{Arc, Weak, mpsc};

use flipper_core::{
    Context, Expect, FeatureFlagClient, Flag, FlagName, LocalClient, Snapshot, Store, Timestamp, Versioned,
    release_thread,
};
use flipper_memory::MemoryStore;
use futures_lite::future::block_on;

use super::{NONE, Turns, is_on, kept, live, local_of, net_bytes, record, watch};

const FLAGS: usize = 1000;

/// A record whose bytes are others in each version.
fn dated(name: &str, version: u64) -> Versioned<Flag> {
    let mut flag = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(version as i64));
    flag.set_enabled(true).unwrap();
    record(flag, version)
}

fn load(snapshot: &Snapshot, version: u64) {
    snapshot.edit(|edit| edit.replace_all((0..FLAGS).map(|at| dated(&format!("F{at}"), version))));
}

fn put_one(snapshot: &Snapshot, version: u64) {
    snapshot.edit(|edit| edit.put(dated("F0", version)));
}

/// How a thread that has slept lets go of what it kept.
#[derive(Clone, Copy, Debug, PartialEq)]
enum LetGo {
    Checks,
    Ends,
    Releases,
}

fn an_idle_thread_pins_one_state(write: fn(&Snapshot, u64), let_go: LetGo) {
    let snapshot = live();
    let size_of_all = net_bytes(|| load(&snapshot, 0));
    let (writer, idle) = Turns::pair();
    let local = local_of(&snapshot);
    let thread = std::thread::spawn(move || {
        assert!(is_on(&local, "F0"));
        assert!(idle.pass());
        // What is freed is counted where that happens.
        let freed = net_bytes(|| match let_go {
            LetGo::Checks => assert!(is_on(&local, "F0")),
            LetGo::Ends => {}
            LetGo::Releases => release_thread(),
        });
        if let_go != LetGo::Ends {
            idle.pass();
        }
        freed
    });
    assert!(writer.wait());

    let mut states = Vec::with_capacity(300);
    states.push(watch(&snapshot, "F0"));
    let grown = net_bytes(|| {
        for version in 1..=200 {
            write(&snapshot, version);
            states.push(watch(&snapshot, "F0"));
        }
    });
    assert_eq!(kept(&states), [0, 200], "what the idle thread saw, and what there is");
    assert!(grown < size_of_all * 5 / 4, "{grown} bytes more than {size_of_all}");

    if let_go == LetGo::Ends {
        writer.go_on();
        thread.join().unwrap();
        assert_eq!(kept(&states), [200]);
        return;
    }
    assert!(writer.pass());
    if let_go == LetGo::Releases {
        assert_eq!(kept(&states), [200]);
    }
    let grown = grown + net_bytes(|| put_one(&snapshot, 201));
    states.push(watch(&snapshot, "F0"));
    let seen: &[usize] = if let_go == LetGo::Checks { &[200, 201] } else { &[201] };
    assert_eq!(kept(&states), seen);
    writer.go_on();
    let left = grown + thread.join().unwrap();
    assert!(left < size_of_all / 4, "{left} bytes are left");
}

#[test]
fn an_idle_thread_pins_one_state_until_it_checks_again() {
    an_idle_thread_pins_one_state(load, LetGo::Checks);
    an_idle_thread_pins_one_state(put_one, LetGo::Checks);
}

#[test]
fn an_idle_thread_pins_one_state_until_it_ends() {
    an_idle_thread_pins_one_state(load, LetGo::Ends);
    an_idle_thread_pins_one_state(put_one, LetGo::Ends);
}

#[test]
fn an_idle_thread_pins_one_state_until_it_releases_it() {
    an_idle_thread_pins_one_state(load, LetGo::Releases);
    an_idle_thread_pins_one_state(put_one, LetGo::Releases);
}

#[test]
fn idle_threads_that_saw_different_states_pin_those_and_no_others() {
    let snapshot = live();
    load(&snapshot, 0);
    let mut states = vec![watch(&snapshot, "F0")];
    let mut sleepers = Vec::new();
    for version in 1..=60 {
        if version % 10 == 0 {
            let (waker, sleeper) = Turns::pair();
            let local = local_of(&snapshot);
            let thread = std::thread::spawn(move || {
                assert!(is_on(&local, "F0"));
                sleeper.pass();
            });
            assert!(waker.wait());
            sleepers.push((waker, thread));
        }
        load(&snapshot, version);
        states.push(watch(&snapshot, "F0"));
    }
    assert_eq!(kept(&states), [9, 19, 29, 39, 49, 59, 60]);
    for (waker, thread) in sleepers {
        waker.go_on();
        thread.join().unwrap();
    }
    put_one(&snapshot, 61);
    assert_eq!(kept(&states), NONE);
}

#[test]
fn a_thread_that_releases_what_it_keeps_checks_on() {
    let snapshot = live();
    put_one(&snapshot, 1);
    let local = local_of(&snapshot);
    let handle = local.flag("F0");
    for _ in 0..3 {
        assert!(is_on(&local, "F0") && handle.is_enabled(&Context::EMPTY));
        release_thread();
        release_thread();
    }
    snapshot.edit(|edit| edit.remove("F0"));
    assert!(!handle.is_enabled(&Context::EMPTY) && !is_on(&local, "F0"));
}

/// A store with a client, which is written and checked in every way.
fn a_client() -> LocalClient {
    let client = FeatureFlagClient::new(MemoryStore::new());
    block_on(async {
        client.create("X").await.unwrap().enable().await.unwrap();
        assert!(client.is_enabled("X", &Context::EMPTY).await);
    });
    client.local().unwrap()
}

/// Far less than a client has, a thousand times.
const HARDLY: i64 = 100_000;

#[test]
fn a_thousand_clients_that_come_and_go_leave_nothing() {
    let a_thousand = || {
        for _ in 0..1000 {
            let local = a_client();
            assert!(is_on(&local, "X") && local.flag("X").is_enabled(&Context::EMPTY));
        }
    };
    a_thousand();
    let left = net_bytes(a_thousand);
    assert!(left.abs() < HARDLY, "{left} bytes are left");
}

#[test]
fn a_thousand_clients_that_another_thread_has_checked_too_leave_nothing() {
    let (clients, others) = mpsc::channel::<LocalClient>();
    let (mine, back) = mpsc::channel();
    let other = std::thread::spawn(move || {
        let check = || {
            for number in 0..1000 {
                let local = others.recv().unwrap();
                assert!(is_on(&local, "X"));
                // Sometimes it is the other thread that lets go last.
                if number % 2 == 0 {
                    drop(local);
                    mine.send(None).unwrap();
                } else {
                    mine.send(Some(local)).unwrap();
                }
            }
        };
        check();
        // What one thread allocates, the other may free: only the sum of both counts.
        net_bytes(check)
    });
    let make = || {
        for _ in 0..1000 {
            let local = a_client();
            assert!(is_on(&local, "X"));
            clients.send(local).unwrap();
            drop(back.recv().unwrap());
        }
    };
    make();
    let mine = net_bytes(make);
    let others = other.join().unwrap();
    assert!((mine + others).abs() < HARDLY, "{mine} and {others} bytes are left");
}

#[test]
fn dropped_clients_free_their_flags_although_another_thread_has_checked_them() {
    let (clients, others) = mpsc::channel::<LocalClient>();
    let (mine, back) = mpsc::channel();
    let other = std::thread::spawn(move || {
        for local in others {
            assert!(is_on(&local, "F0"));
            drop(local);
            mine.send(()).unwrap();
        }
    });
    // All at once, so that each has a slot of its own.
    let locals: Vec<_> = (0..100).map(|_| a_client_of_f0()).collect();
    for local in &locals {
        clients.send(local.clone()).unwrap();
        back.recv().unwrap();
    }
    let records: Vec<Weak<_>> = locals.iter().map(|local| watch(local.snapshot(), "F0")).collect();
    drop(locals);
    // At the latest, the other thread lets go when it first sees something new.
    clients.send(a_client_of_f0()).unwrap();
    back.recv().unwrap();
    assert_eq!(kept(&records), NONE);
    drop(clients);
    other.join().unwrap();
}

fn a_client_of_f0() -> LocalClient {
    let snapshot = live();
    put_one(&snapshot, 1);
    local_of(&snapshot)
}

#[test]
fn to_load_equal_records_again_keeps_what_is_there() {
    let snapshot = live();
    let size_of_all = net_bytes(|| load(&snapshot, 1));
    let before = snapshot.get("F7").unwrap();
    release_thread();
    let grown = net_bytes(|| (0..20).for_each(|_| load(&snapshot, 1)));
    assert!(grown.abs() < size_of_all / 20, "{grown} bytes more than {size_of_all}");
    assert!(Arc::ptr_eq(&before, &snapshot.get("F7").unwrap()));
    assert_eq!(snapshot.len(), FLAGS);
}

#[test]
fn to_load_other_versions_of_equal_bytes_keeps_the_bytes() {
    let snapshot = live();
    let load = |version| {
        let version = flipper_core::Version::from_u64(version);
        snapshot.edit(|edit| edit.replace_all(versions_of(&version)));
    };
    let size_of_all = net_bytes(|| load(1));
    let text = snapshot.get("F7").unwrap().value.as_json().as_ptr();
    release_thread();
    let grown = net_bytes(|| (2..20).for_each(load));
    assert!(grown.abs() < size_of_all / 20, "{grown} bytes more than {size_of_all}");
    let after = snapshot.get("F7").unwrap();
    assert_eq!(after.version.as_u64(), Some(19));
    assert_eq!(after.value.as_json().as_ptr(), text, "the bytes that were there");
}

/// All flags with equal bytes, in a version.
fn versions_of(version: &flipper_core::Version) -> impl Iterator<Item = Versioned<Flag>> {
    (0..FLAGS).map(|at| Versioned { version: version.clone(), ..dated(&format!("F{at}"), 1) })
}

#[test]
fn a_put_says_whether_the_bytes_are_others() {
    let snapshot = live();
    let puts = |version, bytes| {
        let version = flipper_core::Version::from_u64(version);
        snapshot.edit(|edit| edit.put(Versioned { version, ..dated("X", bytes) }))
    };
    assert!(puts(1, 1));
    let first = snapshot.get("X").unwrap();
    assert!(!puts(1, 1), "the very same");
    assert!(Arc::ptr_eq(&first, &snapshot.get("X").unwrap()));
    assert!(!puts(2, 1), "another version of the same");
    let second = snapshot.get("X").unwrap();
    assert_eq!(second.version.as_u64(), Some(2));
    assert_eq!(first.value.as_json().as_ptr(), second.value.as_json().as_ptr());
    assert!(puts(2, 2), "other bytes");
    assert_eq!(snapshot.len(), 1);
}

#[test]
fn what_a_reload_has_replaced_is_freed_by_whoever_releases_it_without_another_write() {
    let snapshot = live();
    load(&snapshot, 0);
    let old = [watch(&snapshot, "F0"), watch(&snapshot, "F999")];
    let local = local_of(&snapshot);
    assert!(is_on(&local, "F0"));
    load(&snapshot, 1);
    assert!(is_on(&local, "F0"));
    assert_eq!(kept(&old), [0, 1], "a check frees nothing");
    release_thread();
    assert_eq!(kept(&old), NONE);
    assert!(is_on(&local, "F0"));
}

#[test]
fn to_load_equal_records_again_changes_nothing_for_those_who_read() {
    let snapshot = live();
    load(&snapshot, 0);
    let local = local_of(&snapshot);
    assert!(is_on(&local, "F0"));
    assert_eq!(net_bytes(|| load(&snapshot, 0)), 0);
    super::untouched("a check after an equal load", || assert!(is_on(&local, "F0")));
    // One more or one less is another state.
    snapshot.edit(|edit| edit.replace_all((0..FLAGS - 1).map(|at| dated(&format!("F{at}"), 0))));
    assert!(!is_on(&local, "F999"));
    load(&snapshot, 0);
    assert!(is_on(&local, "F999"));
}

#[test]
fn the_memory_store_keeps_equal_bytes_once() {
    let store = MemoryStore::new();
    let put = |flag: &Flag| block_on(Store::put(&store, flag, Expect::Any)).unwrap();
    let mut flag = dated("F0", 0).value;
    flag.merge_client_data([("text", "x".repeat(500_000))]).unwrap();
    put(&flag);
    let again = net_bytes(|| {
        put(&Flag::from_json(flag.as_json().as_bytes()).unwrap());
    });
    assert!(again < 10_000, "{again} bytes more");
}
