//! The flags of a test: isolated, strict, and telling what was asked.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::time::Duration;

use flipper_core::{Bucketer, Condition, Context, Flags, Percentage, Reason, Timestamp, ctx};
use flipper_testkit::TestFlags;
use flipper_testkit::tokio;
use flipper_testkit::tokio::runtime::{Builder, Runtime};

#[derive(flipper_macros::Flags, Clone, Copy, Debug, PartialEq)]
#[flags(crate = flipper_core)]
enum Feature {
    #[flag(name = "SALE")]
    Sale,
    #[flag(name = "RATES", default = true, expires = "2023-11-14")]
    Rates,
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn is_on(flags: &TestFlags, name: &str) -> bool {
    flags.local().is_enabled(name, &Context::EMPTY)
}

/// What a panic says.
fn panic_of(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    *panic.downcast::<String>().unwrap()
}

#[test]
fn flags_are_set_and_removed() {
    let flags = TestFlags::new();
    assert!(!is_on(&flags, "X"));
    flags.set("X", true);
    assert!(is_on(&flags, "X"));
    assert!(runtime().block_on(flags.client().is_enabled("X", &Context::EMPTY)));
    flags.set("X", false);
    assert!(!flags.local().is_enabled_or("X", &Context::EMPTY, true));
    flags.remove("X");
    assert!(flags.local().is_enabled_or("X", &Context::EMPTY, true));
    flags.remove("X");
}

#[test]
fn a_flag_that_is_set_loses_its_conditions_and_gets_them_back() {
    let flags = TestFlags::new();
    runtime().block_on(async {
        let flag = flags.client().create("X").await.unwrap();
        flag.enable().await.unwrap();
        flag.add_condition(&Condition::builder().eq("user", 7).build().unwrap()).await.unwrap();
    });
    let is_on = |user| flags.local().is_enabled("X", &ctx! { user: user });
    assert!(is_on(7) && !is_on(8));
    flags.with_flag("X", true, || assert!(is_on(7) && is_on(8)));
    assert!(is_on(7) && !is_on(8));
}

#[test]
fn a_flag_is_what_it_was_after_a_panic_and_a_cancellation() {
    let flags = TestFlags::new();
    flags.set("X", true);
    let panic = catch_unwind(AssertUnwindSafe(|| flags.with_flag("X", false, || panic!("within"))));
    assert!(panic.is_err());
    assert!(is_on(&flags, "X"));

    let mut waiting =
        Box::pin(flags.with_flag_async("ABSENT", true, async || std::future::pending::<()>().await));
    runtime().block_on(std::future::poll_fn(|task| {
        assert!(waiting.as_mut().poll(task).is_pending());
        std::task::Poll::Ready(())
    }));
    assert!(is_on(&flags, "ABSENT"));
    drop(waiting);
    assert!(flags.local().is_enabled_or("ABSENT", &Context::EMPTY, true), "it is absent again, and not off");
}

#[test]
fn overrides_nest() {
    let flags = TestFlags::new();
    flags.with_flag("A", true, || {
        flags.with_flag("B", true, || {
            flags.with_flag("A", false, || assert!(!is_on(&flags, "A") && is_on(&flags, "B")));
            assert!(is_on(&flags, "A") && is_on(&flags, "B"));
        });
        assert!(is_on(&flags, "A") && !is_on(&flags, "B"));
    });
    assert!(!is_on(&flags, "A"));
}

#[test]
fn closing_the_store_does_not_spoil_the_end_of_an_override() {
    let flags = TestFlags::new();
    runtime().block_on(flags.with_flag_async("X", true, async || flags.client().close().await)).unwrap();
}

#[test]
fn time_and_randomness_stand_still_until_told() {
    let flags = TestFlags::new();
    let start = Timestamp::from_secs(1_700_000_000);
    runtime().block_on(async {
        for (name, percentage) in [
            ("RAMP", Percentage::linear_ramp(0.0, 1.0, Duration::from_secs(100), start).unwrap()),
            ("SHARE", Percentage::new(0.5).unwrap()),
        ] {
            let flag = flags.client().create(name).await.unwrap();
            flag.enable().await.unwrap();
            flag.set_bucketer(&Bucketer::percentage(percentage)).await.unwrap();
        }
    });
    assert!(is_on(&flags, "SHARE"), "0.5 is not more than a half");
    flags.random().set(0.51);
    assert!(!is_on(&flags, "SHARE"));
    flags.random().set(0.5);
    assert!(!is_on(&flags, "RAMP"));
    flags.clock().advance(Duration::from_secs(50));
    assert!(is_on(&flags, "RAMP"));
    flags.clock().set(start);
    assert!(!is_on(&flags, "RAMP"));
}

#[test]
fn checks_are_remembered_with_their_contexts_and_answers() {
    let flags = TestFlags::new();
    flags.set("X", true);
    flags.set("NEVER_ASKED", true);
    runtime().block_on(async {
        flags.client().is_enabled("X", &ctx! { user: 7, plan: "gold" }).await;
    });
    flags.clone().local().flag("ABSENT").is_enabled_or(&ctx! {}, true);
    flags.local().is_enabled("X", &ctx! {});

    let checks = flags.checks();
    assert_eq!(checks.iter().map(|check| check.flag.as_str()).collect::<Vec<_>>(), ["X", "ABSENT", "X"]);
    assert_eq!(checks[0].context.get("user"), Some(&7.into()));
    assert_eq!(checks[0].context.get("plan"), Some(&"gold".into()));
    assert_eq!((checks[0].value, checks[0].reason), (true, Some(Reason::Enabled)));
    assert_eq!((checks[1].value, checks[1].default, checks[1].reason), (true, true, Some(Reason::NotFound)));
    assert_eq!(flags.checks_of("X").len(), 2);
    assert_eq!(flags.unchecked(), ["NEVER_ASKED"]);
    flags.clear_checks();
    assert_eq!(flags.checks(), []);
    assert_eq!(flags.unchecked(), ["NEVER_ASKED", "X"]);
}

#[test]
fn a_strict_test_fails_at_the_check_of_a_flag_that_it_does_not_declare() {
    let flags = TestFlags::strict();
    flags.set("SALE", true);
    flags.declare("RATES");
    assert!(is_on(&flags, "SALE"));
    assert!(!is_on(&flags, "RATES"));
    let handle = flags.local().flag("SLAE");
    let whats: [&dyn Fn(); 4] = [
        &|| _ = is_on(&flags, "SLAE"),
        &|| _ = handle.is_enabled(&Context::EMPTY),
        &|| _ = runtime().block_on(flags.client().is_enabled("SLAE", &Context::EMPTY)),
        &|| _ = runtime().block_on(flags.client().evaluate("SLAE", &Context::EMPTY, true)),
    ];
    for what in whats {
        let message = panic_of(what);
        assert!(
            message.contains(r#"does not declare: {"SLAE"}; it declares {"RATES", "SALE"}"#),
            "{message}"
        );
    }
    assert_eq!(flags.take_undeclared(), ["SLAE"]);
    assert!(is_on(&flags, "SALE"), "the rest goes on");
}

#[test]
fn a_flag_that_is_there_is_declared_only_if_it_was_set_or_declared() {
    let flags = TestFlags::strict();
    runtime().block_on(async { flags.client().create("X").await.unwrap().enable().await.unwrap() });
    assert!(panic_of(|| _ = is_on(&flags, "X")).contains("\"X\""));
    flags.declare("X");
    assert!(is_on(&flags, "X"));
    assert_eq!(flags.take_undeclared(), ["X"]);
}

#[test]
fn what_a_task_has_checked_unseen_fails_a_strict_test_at_its_end() {
    let flags = TestFlags::strict();
    let local = flags.local().clone();
    assert!(std::thread::spawn(move || local.is_enabled("HIDDEN", &Context::EMPTY)).join().is_err());
    let clone = flags.clone();
    for flags in [flags, clone] {
        let message = panic_of(|| drop(flags));
        assert!(message.contains("HIDDEN"), "{message}");
    }
}

#[test]
fn a_strict_test_fails_though_a_task_keeps_its_flags_until_the_runtime_ends() {
    let flags = TestFlags::strict();
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let kept = flags.clone();
    let (asked, answer) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let client = kept.client().clone();
        let check = tokio::spawn(async move { client.is_enabled("HIDDEN", &Context::EMPTY).await });
        asked.send(check.await.is_err()).unwrap();
        std::future::pending::<()>().await;
        drop(kept);
    });
    assert!(answer.recv().unwrap());
    // As at the end of a test, which sees no panic of the runtime's.
    let message = panic_of(|| drop(flags));
    assert!(message.contains("HIDDEN"), "{message}");
    drop(runtime);
}

#[test]
fn a_strict_test_that_fails_already_does_not_abort_when_its_flags_are_dropped() {
    let message = panic_of(|| {
        let flags = TestFlags::strict();
        flags.with_flag("X", true, || flags.with_flag("Y", true, || is_on(&flags.clone(), "HIDDEN")));
    });
    assert!(message.contains("HIDDEN"), "{message}");
}

#[test]
fn declared_flags_have_their_defaults_until_they_are_set() {
    let flags = TestFlags::of::<Feature>();
    let local = flags.local();
    assert!(Feature::Rates.is_enabled_local(local, &ctx! {}));
    assert!(!Feature::Sale.is_enabled_local(local, &ctx! {}));
    flags.with_flag(Feature::Rates, false, || assert!(!Feature::Rates.is_enabled_local(local, &ctx! {})));
    assert!(Feature::Rates.local(local).is_enabled(&ctx! {}));
    assert_eq!(flags.checks_of(Feature::Rates).len(), 3);

    // The clock of the test tells what has expired.
    runtime().block_on(async {
        assert!(Feature::verify(flags.client()).await.unwrap().expired.is_empty());
        flags.clock().advance(Duration::from_hours(2));
        assert_eq!(Feature::verify(flags.client()).await.unwrap().expired, [Feature::Rates.definition()]);
    });
}

#[test]
fn sixty_four_tests_at_once_do_not_meet() {
    const TESTS: u64 = 64;
    let start = Barrier::new(TESTS as usize);
    std::thread::scope(|threads| {
        for test in 0..TESTS {
            let start = &start;
            threads.spawn(move || {
                let flags = TestFlags::strict();
                let mine = format!("FLAG_{test}");
                let is_even = test % 2 == 0;
                flags.set("SHARED_NAME", is_even);
                flags.set(&mine, true);
                flags.random().set(test as f64 / TESTS as f64);
                start.wait();
                for round in 0..200 {
                    flags.clock().set(Timestamp::from_secs((test * 1_000 + round) as i64));
                    assert_eq!(is_on(&flags, "SHARED_NAME"), is_even);
                    let value = flags.with_flag(&mine, round % 2 == 0, || is_on(&flags, &mine));
                    assert_eq!(value, round % 2 == 0);
                    assert!(flags.local().is_enabled(&mine, &ctx! { test: test }));
                }
                let checks = flags.checks();
                assert_eq!(checks.len(), 600);
                assert!(checks.iter().all(|check| check.flag == mine || check.flag == "SHARED_NAME"));
                let contexts = checks.iter().filter_map(|check| check.context.get("test"));
                assert_eq!(contexts.filter(|found| **found == test.into()).count(), 200);
                assert_eq!(flipper_core::Random::draw(flags.random()), test as f64 / TESTS as f64);
                assert_eq!(flags.unchecked(), Vec::<String>::new());
            });
        }
    });
}

#[test]
fn sixty_four_tests_at_once_as_tasks_do_not_meet() {
    let runtime = Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async {
        let tests = (0..64_u64).map(|test| {
            tokio::spawn(async move {
                let flags = TestFlags::strict();
                flags.set("X", test % 2 == 0);
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                    let client = flags.client();
                    assert_eq!(client.is_enabled("X", &ctx! { test: test }).await, test % 2 == 0);
                }
                assert!(flags.checks().iter().all(|check| check.context.get("test") == Some(&test.into())));
                flags.checks().len()
            })
        });
        for test in tests.collect::<Vec<_>>() {
            assert_eq!(test.await.unwrap(), 50);
        }
    });
}
