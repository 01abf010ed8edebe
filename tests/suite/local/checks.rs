//! What a check costs: nothing that the allocator would see.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flipper_core::{
    Context, FeatureFlagClient, Freshness, LocalClient, Semantics, Snapshot, StaleCause, Timestamp,
};

use super::cases::{flags, snapshot_of, with_contexts};
use super::{Held, Turns, flag, live, local_of, poll_once, put, record, untouched};

/// All ways to check a flag.
fn check_every_way(
    local: &LocalClient,
    flag: &flipper_core::LocalFlag,
    context: &Context<'_>,
    default: bool,
) -> [bool; 6] {
    let (client, name) = (local.client(), flag.name());
    [
        local.is_enabled_or(name, context, default),
        local.evaluate(name, context, default).value,
        flag.is_enabled_or(context, default),
        flag.evaluate(context, default).value,
        poll_once(client.is_enabled_or(name, context, default)),
        poll_once(client.evaluate(name, context, default)).unwrap().value,
    ]
}

#[test]
fn the_counter_sees_allocations_and_frees() {
    let boxed = black_box(Box::new(5));
    assert_eq!(allocation_counter::measure(|| drop(boxed)).count_current, -1);
    assert_eq!(allocation_counter::measure(|| drop(black_box(Box::new(5)))).count_total, 1);
}

#[test]
fn no_check_of_any_kind_allocates_or_frees() {
    let flags = flags();
    for semantics in [Semantics::Documented, Semantics::FlipperClient] {
        let snapshot = snapshot_of(&flags);
        let client = FeatureFlagClient::builder(Held::new(&snapshot)).semantics(semantics).build();
        let local = client.local().unwrap();
        // The first check of a thread makes room for what the thread keeps, and so does its first drawing of a number.
        flipper_core::Random::draw(&flipper_core::ThreadRandom);
        local.is_enabled("X", &Context::EMPTY);
        let handles: Vec<_> = flags
            .iter()
            .map(flipper_core::Flag::name)
            .chain(["absent"])
            .map(|name| local.flag(name))
            .collect();
        let mut checks = 0;
        for handle in &handles {
            with_contexts(&mut |context| {
                untouched((handle, context, semantics), || {
                    for default in [false, true] {
                        checks += check_every_way(&local, handle, context, default).len();
                    }
                });
            });
        }
        assert_eq!(checks, handles.len() * 12 * 2 * 6);
    }
}

#[test]
fn other_reads_of_a_snapshot_do_not_allocate_or_free_either() {
    let snapshot = live();
    put(&snapshot, "X", true, 1);
    let local = local_of(&snapshot);
    local.is_enabled("X", &Context::EMPTY);
    untouched("reads", || {
        assert_eq!((snapshot.len(), snapshot.is_empty(), snapshot.freshness()), (1, false, Freshness::Live));
        assert_eq!(local.freshness(), Freshness::Live);
        assert!(snapshot.get("X").is_some() && snapshot.get("Y").is_none());
        snapshot.peek("X", &mut |peek| assert!(matches!(peek, flipper_core::Peek::Hit { .. })));
    });
}

/// Writes of all kinds; each leaves `X` on or off by the number's oddness.
fn write(snapshot: &Snapshot, number: u64) {
    let is_enabled = number % 2 == 1;
    snapshot.edit(|edit| {
        edit.put(record(flag("X", is_enabled), number));
        match number % 5 {
            0 => edit.replace_all([record(flag("X", is_enabled), number)]),
            1 => {
                for at in 0..600 {
                    edit.put(record(flag(&format!("F{at}"), true), number));
                }
            }
            2 => _ = edit.remove("F7"),
            3 => {
                let since = Timestamp::from_secs(number as i64);
                edit.set_freshness(Freshness::Stale { since, cause: StaleCause::Unavailable });
            }
            _ => edit.set_freshness(Freshness::Live),
        }
    });
}

#[test]
fn the_first_check_after_a_write_leaves_allocating_and_freeing_to_the_writer() {
    let snapshot = live();
    write(&snapshot, 0);
    let (reader, writer) = Turns::pair();
    std::thread::scope(|scope| {
        let snapshot = &snapshot;
        scope.spawn(move || {
            assert!(writer.wait());
            for number in 1.. {
                write(snapshot, number);
                if !writer.pass() {
                    break;
                }
            }
        });
        scope.spawn(move || {
            let local = local_of(snapshot);
            let handle = local.flag("X");
            assert!(!handle.is_enabled(&Context::EMPTY));
            for number in 1..400 {
                assert!(reader.pass());
                let mut value = None;
                // Each of the ways is the first one in its turn.
                untouched(number, || {
                    value = Some(match number % 7 {
                        0 => local.is_enabled("X", &Context::EMPTY),
                        1 => local.evaluate("X", &Context::EMPTY, false).value,
                        2 => handle.is_enabled(&Context::EMPTY),
                        3 => handle.evaluate(&Context::EMPTY, false).value,
                        4 => poll_once(local.client().is_enabled("X", &Context::EMPTY)),
                        5 => snapshot.get("X").is_some_and(|found| found.value.is_switched_on()),
                        _ => !snapshot.is_empty() && local.is_enabled("X", &Context::EMPTY),
                    });
                });
                assert_eq!(value, Some(number % 2 == 1), "after write {number}");
            }
        });
    });
}

#[test]
fn checks_in_the_middle_of_writes_leave_allocating_and_freeing_to_the_writer() {
    let snapshot = live();
    write(&snapshot, 1);
    let is_done = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let local = local_of(&snapshot);
                    let handle = local.flag("X");
                    handle.is_enabled(&Context::EMPTY);
                    untouched("checks beside writes", || {
                        for _ in 0..20_000 {
                            check_every_way(&local, &handle, &Context::EMPTY, false);
                        }
                    });
                })
            })
            .collect();
        scope.spawn(|| {
            for number in 2.. {
                write(&snapshot, number);
                if is_done.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        let ended: Vec<_> = readers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        is_done.store(true, Ordering::SeqCst);
        assert!(ended.iter().all(Result::is_ok));
    });
}
