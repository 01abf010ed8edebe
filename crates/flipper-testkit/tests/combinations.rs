//! Tests under combinations of flags.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use flipper_core::{Context, Flags};
use flipper_testkit::tokio::runtime::Builder;
use flipper_testkit::{Combination, Combinations, TestFlags, tokio};

#[derive(flipper_macros::Flags, Clone, Copy)]
#[flags(crate = flipper_core)]
enum Feature {
    #[flag(name = "A", default = true)]
    A,
    #[flag(name = "B")]
    B,
    #[flag(name = "C")]
    C,
}

/// What a test sees of its flags.
fn seen(flags: &TestFlags, names: &[String]) -> Vec<bool> {
    names.iter().map(|name| flags.local().is_enabled(name, &Context::EMPTY)).collect()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("FLAG_{at}")).collect()
}

/// Asserts that each pair of flags was seen with each pair of values.
fn assert_every_pair(runs: &[Vec<bool>], flags: usize) {
    for a in 0..flags {
        for b in 0..a {
            let pairs: BTreeSet<_> = runs.iter().map(|run| (run[a], run[b])).collect();
            assert_eq!(pairs.len(), 4, "flags {a} and {b} of {flags}: {pairs:?}");
        }
    }
}

#[test]
fn pairwise_runs_visit_every_pair_of_flags_with_every_pair_of_values() {
    for (count, most_runs) in [(1, 2), (2, 4), (3, 5), (4, 6), (7, 7), (10, 7), (15, 8), (35, 9), (60, 11)] {
        let names = names(count);
        let runs = RefCell::new(Vec::new());
        Combinations::pairwise(&names).strict().run(|flags| runs.borrow_mut().push(seen(&flags, &names)));
        let runs = runs.into_inner();
        assert_every_pair(&runs, count);
        assert!(runs.len() <= most_runs, "{} runs for {count} flags", runs.len());
        assert_eq!(runs[0], vec![false; count]);
        assert!(runs.contains(&vec![true; count]));
    }
}

#[test]
fn pairwise_runs_are_few() {
    for (flags, runs) in [(10, 7), (35, 9), (126, 11)] {
        assert_eq!(Combinations::pairwise(names(flags)).iter().len(), runs, "{flags} flags");
    }
}

#[test]
fn pairwise_runs_of_futures_visit_every_pair_too() {
    let names = names(12);
    let runs = RefCell::new(Vec::new());
    let test = async |flags: TestFlags| {
        let mut run = Vec::new();
        for name in &names {
            tokio::task::yield_now().await;
            run.push(flags.client().is_enabled(name, &Context::EMPTY).await);
        }
        runs.borrow_mut().push(run);
    };
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(Combinations::pairwise(&names).run_async(test));
    assert_every_pair(&runs.borrow(), 12);
}

#[test]
fn all_runs_are_all_combinations() {
    let runs = RefCell::new(HashSet::new());
    let names = names(5);
    Combinations::all(&names).run(|flags| assert!(runs.borrow_mut().insert(seen(&flags, &names))));
    assert_eq!(runs.into_inner().len(), 32);
}

#[test]
fn combinations_tell_what_they_are() {
    let combinations = Combinations::all(Feature::ALL.iter().copied());
    let all: Vec<Combination> = combinations.iter().collect();
    assert_eq!(all.len(), 8);
    assert_eq!(all[0].to_string(), "A off, B off, C off");
    assert_eq!(all[7].to_string(), "A on, B on, C on");
    assert_eq!(all[1].get(Feature::A), Some(true));
    assert_eq!(all[1].get(Feature::B), Some(false));
    assert_eq!(all[1].get("D"), None);
    assert_eq!(all[1].iter().collect::<Vec<_>>(), [("A", true), ("B", false), ("C", false)]);
    combinations.run(|flags| {
        let local = flags.local();
        let on =
            Feature::ALL.iter().map(|flag| flag.is_enabled_local(local, &Context::EMPTY)).collect::<Vec<_>>();
        assert!(
            combinations
                .iter()
                .any(|combination| combination.iter().map(|(_, is_on)| is_on).eq(on.iter().copied()))
        );
    });
}

#[test]
fn strict_runs_fail_on_other_flags_and_lenient_ones_do_not() {
    let other = |flags: TestFlags| _ = flags.local().is_enabled("OTHER", &Context::EMPTY);
    Combinations::all(["A"]).run(other);
    assert!(catch_unwind(|| Combinations::all(["A"]).strict().run(other)).is_err());
}

#[test]
fn a_run_that_fails_is_the_last() {
    let runs = RefCell::new(0);
    let failing = AssertUnwindSafe(|| {
        Combinations::all(["A", "B"]).run(|flags| {
            *runs.borrow_mut() += 1;
            assert!(!flags.local().is_enabled("B", &Context::EMPTY), "B is broken");
        });
    });
    assert!(catch_unwind(failing).is_err());
    assert_eq!(runs.into_inner(), 3, "off off, on off, off on");
}

/// Runs one test of this file in a process of its own, in which it is to fail, and returns what that prints.
fn fails(test: &str) -> Option<String> {
    const IS_TO_FAIL: &str = "FLIPPER_TEST_IS_TO_FAIL";
    if std::env::var_os(IS_TO_FAIL).is_some() {
        return None;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", test, "--nocapture"]).env(IS_TO_FAIL, "1").output().unwrap();
    assert!(!output.status.success());
    Some(String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_run_that_fails_tells_its_combination() {
    let Some(told) = fails("a_run_that_fails_tells_its_combination") else {
        return Combinations::all(["A", "B"]).run(|flags| {
            assert!(!flags.local().is_enabled("B", &Context::EMPTY), "B is broken");
        });
    };
    assert!(told.contains("B is broken") && told.contains("the test failed with A off, B on\n"), "{told}");
}

#[test]
fn a_run_of_a_future_that_fails_tells_its_combination() {
    let Some(told) = fails("a_run_of_a_future_that_fails_tells_its_combination") else {
        let runtime = Builder::new_multi_thread().build().unwrap();
        let test = async |flags: TestFlags| {
            tokio::task::yield_now().await;
            let unseen = tokio::spawn(async move { flags.local().is_enabled("C", &Context::EMPTY) });
            assert!(unseen.await.is_err());
            panic!("C is not declared");
        };
        let run = async move { Combinations::pairwise(["A", "B"]).strict().run_async(test).await };
        return runtime.block_on(async { tokio::spawn(run).await.unwrap() });
    };
    assert!(told.contains("the test failed with A off, B off\n"), "{told}");
}

#[test]
fn too_many_flags_and_flags_that_are_there_twice_are_refused() {
    let message = |run: fn() -> Combinations| *catch_unwind(run).unwrap_err().downcast::<String>().unwrap();
    assert!(message(|| Combinations::all(names(17))).contains("17 flags are too many: at most 16"));
    assert!(message(|| Combinations::pairwise(["A", "B", "A"])).contains("\"A\" is there twice"));
    assert!(message(|| Combinations::all(["A", "A"])).contains("\"A\" is there twice"));
    assert!(message(|| Combinations::all(names(64))).contains("64 flags are too many"));
    for none in [Combinations::pairwise(names(0)), Combinations::all(names(0))] {
        assert_eq!(none.iter().map(|combination| combination.to_string()).collect::<Vec<_>>(), [""]);
    }
}
