//! Threads that end, and checks that do.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use flipper_core::{Bucketer, Context, FeatureFlagClient, LocalClient, LocalFlag, Percentage, Snapshot};

use super::cases::{START, ruled};
use super::{Held, NONE, is_on, kept, live, local_of, poll_once, put, record, watch};

#[test]
fn threads_that_end_in_the_middle_of_traffic_leave_nothing() {
    let snapshot = live();
    let written = AtomicU64::new(0);
    put(&snapshot, "X", false, 0);
    let mut states = vec![watch(&snapshot, "X")];
    std::thread::scope(|scope| {
        let (snapshot, written) = (&snapshot, &written);
        let spawner = scope.spawn(move || {
            for number in 0..400_u64 {
                let reader = scope.spawn(move || {
                    let local = local_of(snapshot);
                    let handle = local.flag("X");
                    for _ in 0..number % 20 {
                        let before = written.load(Ordering::Acquire);
                        let version = snapshot.get("X").and_then(|found| found.version.as_u64()).unwrap();
                        assert!(version >= before, "{version} after {before} was written");
                        handle.is_enabled(&Context::EMPTY);
                        is_on(&local, "X");
                    }
                });
                if number % 3 == 0 {
                    reader.join().unwrap();
                }
            }
        });
        for version in 1.. {
            put(snapshot, "X", version % 2 == 1, version);
            written.store(version, Ordering::Release);
            states.push(watch(snapshot, "X"));
            if spawner.is_finished() {
                break;
            }
        }
        if let Err(panic) = spawner.join() {
            std::panic::resume_unwind(panic);
        }
    });
    // The scope has waited for what its threads run, and not for their ends.
    for _ in 0..600 {
        put(&snapshot, "X", false, u64::MAX);
        put(&snapshot, "X", true, u64::MAX);
        if kept(&states).is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{:?} of {} states are kept", kept(&states), states.len());
}

/// Checks flags when its thread ends.
struct ChecksAtEnd {
    local: LocalClient,
    handles: [LocalFlag; 3],
    answers: Sender<Vec<bool>>,
}

impl Drop for ChecksAtEnd {
    fn drop(&mut self) {
        let mut answers = Vec::new();
        for round in 0..2 {
            if round > 0 {
                flipper_core::release_thread();
            }
            for handle in &self.handles {
                answers.push(is_on(&self.local, handle.name()));
                answers.push(handle.is_enabled(&Context::EMPTY));
                answers.push(handle.evaluate(&Context::EMPTY, false).value);
                answers.push(poll_once(self.local.client().is_enabled(handle.name(), &Context::EMPTY)));
            }
        }
        self.answers.send(answers).unwrap();
    }
}

thread_local! {
    static FIRST: RefCell<Option<ChecksAtEnd>> = const { RefCell::new(None) };
    static SECOND: RefCell<Option<ChecksAtEnd>> = const { RefCell::new(None) };
}

/// A snapshot with a flag that is on, one that is off, and one that asks for a random number.
fn three_flags() -> Snapshot {
    let snapshot = live();
    let all = Bucketer::percentage(Percentage::new(1.0).unwrap());
    let chance = record(ruled("chance", &[], &all), 1);
    put(&snapshot, "on", true, 1);
    put(&snapshot, "off", false, 1);
    snapshot.edit(|edit| edit.put(chance));
    snapshot
}

#[test]
fn destructors_of_ending_threads_check_rightly_in_whatever_order_they_run() {
    let snapshot = three_flags();
    // Whether the thread has checked before its destructors are registered, between them, or never; and whether
    // something is written between its last check and its end.
    for (round, checks_at) in [&[0][..], &[1], &[2], &[0, 1, 2], &[]].into_iter().cycle().take(20).enumerate()
    {
        let old = watch(&snapshot, "on");
        let (answers, answered) = mpsc::channel();
        std::thread::scope(|scope| {
            let (snapshot, is_written) = (&snapshot, round >= 10);
            let thread = scope.spawn(move || {
                let local = local_of(snapshot);
                let checks_at_end = || ChecksAtEnd {
                    local: local.clone(),
                    handles: ["on", "off", "chance"].map(|name| local.flag(name)),
                    answers: answers.clone(),
                };
                let check = |at| assert!(!checks_at.contains(&at) || is_on(&local, "on"));
                check(0);
                FIRST.set(Some(checks_at_end()));
                check(1);
                SECOND.set(Some(checks_at_end()));
                check(2);
                if is_written {
                    // `on` and `off` change their places.
                    put(snapshot, "on", false, 2);
                    put(snapshot, "off", true, 2);
                }
            });
            thread.join().unwrap();
        });
        let (on, off) = (round < 10, round >= 10);
        let flags = [on, off, true].into_iter().flat_map(|is_on| [is_on; 4]);
        let expected: Vec<_> = flags.clone().chain(flags).collect();
        assert_eq!(answered.recv().unwrap(), expected, "{checks_at:?}");
        assert_eq!(answered.recv().unwrap(), expected, "{checks_at:?}");
        assert!(answered.recv().is_err(), "both have run");
        // What the destructors have seen is not kept for a thread that is no longer there.
        let seen = watch(&snapshot, "on");
        put(&snapshot, "on", false, 3);
        put(&snapshot, "off", false, 3);
        assert_eq!(kept(&[old, seen]), NONE, "{checks_at:?}");
        put(&snapshot, "on", true, 1);
    }
}

/// A client whose clock panics when it is told to, with a flag `RAMP` that asks it, and is on.
fn client_with_a_clock_that_panics() -> (Snapshot, LocalClient, Arc<AtomicBool>) {
    let snapshot = live();
    let ramp = Percentage::linear_ramp(0.0, 1.0, Duration::from_hours(1), START).unwrap();
    snapshot.edit(|edit| edit.put(record(ruled("RAMP", &[], &Bucketer::percentage(ramp)), 1)));
    put(&snapshot, "X", false, 1);
    let panics = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&panics);
    let clock = move || {
        assert!(!told.load(Ordering::SeqCst), "the clock is broken");
        START + Duration::from_hours(2)
    };
    let client = FeatureFlagClient::builder(Held::new(&snapshot)).clock(clock).random(|| 0.5).build();
    (snapshot, client.local().unwrap(), panics)
}

#[test]
fn a_check_that_panics_leaves_a_thread_that_checks_on() {
    let (snapshot, local, panics) = client_with_a_clock_that_panics();
    let (ramp, other) = (local.flag("RAMP"), local.flag("X"));
    let ways: [&dyn Fn() -> bool; 5] = [
        &|| is_on(&local, "RAMP"),
        &|| local.evaluate("RAMP", &Context::EMPTY, false).value,
        &|| ramp.is_enabled(&Context::EMPTY),
        &|| poll_once(local.client().is_enabled("RAMP", &Context::EMPTY)),
        &|| poll_once(local.client().evaluate("RAMP", &Context::EMPTY, false)).unwrap().value,
    ];
    let mut version = 1;
    for way in ways {
        // Both as the first check after a write, and as a later one.
        for is_first in [false, true] {
            if is_first {
                version += 1;
                put(&snapshot, "X", false, version);
            }
            let old = watch(&snapshot, "X");
            panics.store(true, Ordering::SeqCst);
            assert!(catch_unwind(AssertUnwindSafe(way)).is_err());
            panics.store(false, Ordering::SeqCst);
            assert!(way(), "the same check, of the same state");
            for is_enabled in [true, false] {
                version += 1;
                put(&snapshot, "X", is_enabled, version);
                assert_eq!(is_on(&local, "X"), is_enabled);
                assert_eq!(other.is_enabled(&Context::EMPTY), is_enabled);
                assert!(way());
            }
            put(&snapshot, "X", true, version);
            put(&snapshot, "X", false, version);
            assert_eq!(kept(&[old]), NONE, "what the check looked at is let go of");
        }
    }
}

#[test]
fn a_thread_that_dies_in_a_check_harms_no_other() {
    let (snapshot, local, panics) = client_with_a_clock_that_panics();
    let old = watch(&snapshot, "RAMP");
    panics.store(true, Ordering::SeqCst);
    let dies = {
        let local = local.clone();
        std::thread::spawn(move || is_on(&local, "RAMP"))
    };
    assert!(dies.join().is_err());
    panics.store(false, Ordering::SeqCst);
    assert!(is_on(&local, "RAMP"));
    snapshot.edit(|edit| edit.remove("RAMP"));
    assert!(!is_on(&local, "RAMP"));
    put(&snapshot, "X", true, 2);
    assert!(is_on(&local, "X"));
    assert_eq!(kept(&[old]), NONE);
}

#[test]
fn a_new_thread_sees_what_was_written_before_it_began() {
    let snapshot = live();
    let local = local_of(&snapshot);
    let handle = local.flag("X");
    for version in 1..300 {
        let is_enabled = version % 2 == 1;
        put(&snapshot, "X", is_enabled, version);
        std::thread::scope(|scope| {
            let seen = scope.spawn(|| (is_on(&local, "X"), handle.is_enabled(&Context::EMPTY)));
            assert_eq!(seen.join().unwrap(), (is_enabled, is_enabled));
        });
    }
}
