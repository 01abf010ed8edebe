//! Checks that are counted.

use flipper_core::{
    Bucketer, Condition, Context, EvaluationCount, EvaluationMeter, FeatureFlagClient, Flag, FlagName,
    Percentage, Semantics, Store, ctx, release_thread,
};
use flipper_memory::MemoryStore;
use futures_lite::future::block_on;

fn metered() -> (EvaluationMeter, FeatureFlagClient) {
    let meter = EvaluationMeter::new();
    let client = FeatureFlagClient::builder(MemoryStore::new()).meter(meter.clone()).build();
    (meter, client)
}

/// The counts, in words: `X on enabled 3`.
fn words(meter: &EvaluationMeter) -> Vec<String> {
    let in_words = |count: EvaluationCount| {
        let value = if count.value { "on" } else { "off" };
        format!("{} {value} {} {}", count.flag, count.reason, count.count)
    };
    meter.counts().into_iter().map(in_words).collect()
}

#[test]
fn checks_are_counted_by_flag_answer_and_reason() {
    block_on(async {
        let (meter, client) = metered();
        let flag = client.create("X").await.unwrap();
        let local = client.local().unwrap();
        let handle = local.flag("X");
        local.is_enabled("X", &Context::EMPTY);
        flag.enable().await.unwrap();
        local.is_enabled("X", &Context::EMPTY);
        handle.is_enabled(&Context::EMPTY);
        client.is_enabled("X", &Context::EMPTY).await;
        flag.add_condition(&Condition::builder().eq("plan", "gold").build().unwrap()).await.unwrap();
        for plan in ["gold", "lead", "lead"] {
            handle.is_enabled(&ctx! { plan: plan });
        }
        local.is_enabled_or("NONE", &Context::EMPTY, true);
        assert_eq!(
            words(&meter),
            [
                "NONE on not_found 1",
                "X off check_failed 2",
                "X on conditions_met 1",
                "X off disabled 1",
                "X on enabled 3"
            ]
        );
    });
}

#[test]
fn no_check_is_lost_between_threads_while_somebody_reads() {
    const THREADS: usize = 8;
    const CHECKS: usize = 20_000;
    let (meter, client) = metered();
    let names: Vec<String> = (0..500).map(|at| format!("F{at}")).collect();
    block_on(async {
        for name in &names {
            client.create(name).await.unwrap().enable().await.unwrap();
        }
    });
    let local = client.local().unwrap();
    let total = |meter: &EvaluationMeter| meter.counts().iter().map(|count| count.count).sum::<u64>();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (local, names) = (&local, &names);
            scope.spawn(move || {
                for check in 0..CHECKS {
                    local.is_enabled(&names[(check * 7 + thread) % names.len()], &Context::EMPTY);
                }
            });
        }
        // Whoever reads meanwhile never sees less than before.
        let mut before = 0;
        while before < (THREADS * CHECKS) as u64 {
            let now = total(&meter);
            assert!(now >= before, "{now} after {before}");
            before = now;
            std::thread::yield_now();
        }
    });
    let counts = meter.counts();
    assert_eq!(counts.len(), names.len());
    assert_eq!(total(&meter), (THREADS * CHECKS) as u64, "also when the threads have ended");
    assert!(format!("{meter:?}").contains("threads: 0"), "{meter:?}");
}

#[test]
fn names_that_are_made_up_take_no_more_than_their_share() {
    let (meter, client) = metered();
    let local = client.local().unwrap();
    block_on(client.create("REAL")).unwrap();
    for at in 0..10_000 {
        local.is_enabled(&format!("made up {at}"), &Context::EMPTY);
    }
    local.is_enabled("REAL", &Context::EMPTY);
    let counts = meter.counts();
    let find = |flag: &str| counts.iter().find(|count| &*count.flag == flag).map(|count| count.count);
    assert_eq!(counts.len(), EvaluationMeter::MOST_ABSENT + 2);
    assert_eq!(find("(other)"), Some(10_000 - EvaluationMeter::MOST_ABSENT as u64));
    assert_eq!(find("REAL"), Some(1));
}

#[test]
fn names_that_are_too_long_for_a_flag_are_not_kept() {
    let (meter, client) = metered();
    let longest = "x".repeat(FlagName::MAX_LEN);
    for name in [&longest, &format!("{longest}x"), &"y".repeat(1 << 20)] {
        client.local().unwrap().is_enabled(name, &Context::EMPTY);
        block_on(client.is_enabled(name, &Context::EMPTY));
    }
    assert_eq!(
        words(&meter),
        [
            "(other) off error 2".to_owned(),
            "(other) off not_found 2".to_owned(),
            format!("{longest} off not_found 2")
        ]
    );
}

#[test]
fn threads_that_come_and_go_leave_neither_names_nor_memory() {
    const THREADS: usize = 1_000;
    let (meter, client) = metered();
    let local = client.local().unwrap();
    block_on(client.create("REAL")).unwrap();
    for thread in 0..THREADS {
        let local = &local;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                local.is_enabled("REAL", &Context::EMPTY);
                for name in 0..5 {
                    local.is_enabled(&format!("made up {thread} {name}"), &Context::EMPTY);
                }
            });
        });
    }
    // Nobody has asked for the counts meanwhile.
    let shown = format!("{meter:?}");
    let running: usize = shown.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap();
    assert!(running <= 64, "{shown}");
    let counts = meter.counts();
    let find = |flag: &str| counts.iter().find(|count| &*count.flag == flag).map(|count| count.count);
    assert_eq!(counts.len(), EvaluationMeter::MOST_ABSENT + 2);
    assert_eq!(find("REAL"), Some(THREADS as u64));
    assert_eq!(counts.iter().map(|count| count.count).sum::<u64>(), 6 * THREADS as u64, "and none is lost");
    assert_eq!(find("(other)"), Some((5 * THREADS - EvaluationMeter::MOST_ABSENT) as u64));
}

#[test]
fn clients_of_several_stores_are_counted_by_the_names_of_their_flags() {
    let meter = EvaluationMeter::new();
    let client = || FeatureFlagClient::builder(MemoryStore::new()).meter(meter.clone()).build();
    let (one, other) = (client(), client());
    for client in [&one, &other, &one] {
        let local = client.local().unwrap();
        local.is_enabled("A", &Context::EMPTY);
        local.is_enabled("B\"\n\\{}", &Context::EMPTY);
    }
    assert_eq!(words(&meter), ["A off not_found 3", "B\"\n\\{} off not_found 3"]);
}

#[test]
fn two_meters_in_one_thread_count_each_for_itself() {
    let ((one, first), (other, second)) = (metered(), metered());
    let (first, second) = (first.local().unwrap(), second.local().unwrap());
    for _ in 0..3 {
        first.is_enabled("A", &Context::EMPTY);
        second.is_enabled("A", &Context::EMPTY);
        second.is_enabled("B", &Context::EMPTY);
    }
    assert_eq!(words(&one), ["A off not_found 3"]);
    assert_eq!(words(&other), ["A off not_found 3", "B off not_found 3"]);
    // One that is gone leaves its place.
    drop((one, first));
    let (third, client) = metered();
    client.local().unwrap().is_enabled("C", &Context::EMPTY);
    assert_eq!(words(&third), ["C off not_found 1"]);
}

#[test]
fn what_is_counted_is_what_is_told_by_whatever_way() {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    type Tally = BTreeMap<(String, bool, String), u64>;
    for semantics in [Semantics::Documented, Semantics::FlipperClient] {
        let store = Arc::new(MemoryStore::new());
        let (quick, full) = (EvaluationMeter::new(), EvaluationMeter::new());
        let told = Arc::new(Mutex::new(0_u64));
        let count = Arc::clone(&told);
        let builder = || FeatureFlagClient::builder(Arc::clone(&store)).semantics(semantics).random(|| 0.25);
        let counted = builder().meter(quick.clone()).build();
        let both = builder().meter(full.clone()).on_check(move |_| *count.lock().unwrap() += 1).build();
        block_on(async {
            let half = || Percentage::new(0.5).unwrap();
            let gold = || Condition::builder().eq("plan", "gold").build().unwrap();
            for name in ["OFF", "ON", "SHARE", "NOBODY", "HASH", "TEST", "RULES", "ODD"] {
                counted.create(name).await.unwrap().enable().await.unwrap();
            }
            counted.disable("OFF").await.unwrap();
            counted.set_bucketer("SHARE", &Bucketer::percentage(half())).await.unwrap();
            counted
                .set_bucketer("NOBODY", &Bucketer::percentage(Percentage::new(0.1).unwrap()))
                .await
                .unwrap();
            counted.set_bucketer("HASH", &Bucketer::consistent_hash(half(), ["user_id"])).await.unwrap();
            counted.add_condition("TEST", &gold()).await.unwrap();
            counted
                .set_conditions("RULES", &[gold(), Condition::builder().gt("age", 17).build().unwrap()])
                .await
                .unwrap();
            let odd = r#"{"feature_name": "ODD", "is_enabled": true, "meta": {"created_date": 5, "client_data": {}, "conditions": [{"a": [{"variable": "a", "value": 1, "operator": "newer"}]}]}}"#;
            let flag = Flag::read(FlagName::new("ODD").unwrap(), odd.as_bytes()).unwrap();
            store.put(&flag, flipper_core::Expect::Any).await.unwrap();
            let mut checks = 0_u64;
            for client in [&counted, &both] {
                let local = client.local().unwrap();
                for name in
                    ["OFF", "ON", "SHARE", "NOBODY", "HASH", "TEST", "RULES", "ODD", "ABSENT", "not legal\n"]
                {
                    let handle = local.flag(name);
                    for user in 0..20 {
                        let plan = if user % 3 == 0 { "gold" } else { "lead" };
                        for context in [
                            ctx! {},
                            ctx! { plan: plan, user_id: user },
                            ctx! { age: "x", a: 1 },
                            ctx! { age: user, plan: plan },
                        ] {
                            for default in [false, true] {
                                let value = local.is_enabled_or(name, &context, default);
                                assert_eq!(handle.is_enabled_or(&context, default), value);
                                assert_eq!(client.is_enabled_or(name, &context, default).await, value);
                                assert_eq!(local.evaluate(name, &context, default).value, value);
                                checks += 4;
                            }
                        }
                    }
                }
            }
            let tally = |meter: &EvaluationMeter| -> Tally {
                let counts = meter.counts().into_iter();
                counts
                    .map(|count| ((count.flag.into(), count.value, count.reason.to_owned()), count.count))
                    .collect()
            };
            let total = |meter| tally(meter).values().sum::<u64>();
            assert_eq!(tally(&quick), tally(&full), "{semantics:?}");
            assert_eq!([total(&quick) * 2, total(&full) * 2, *told.lock().unwrap() * 2], [checks; 3]);
            assert!(
                tally(&quick).keys().any(|(_, _, reason)| reason == "unsupported"),
                "{:?}",
                tally(&quick)
            );
        });
    }
}

#[test]
fn a_thread_that_lets_go_of_its_flags_goes_on_counting() {
    let (meter, client) = metered();
    let local = client.local().unwrap();
    for _ in 0..3 {
        block_on(client.create_or_replace("X", true, flipper_core::json::Object::default())).unwrap();
        local.is_enabled("X", &Context::EMPTY);
        release_thread();
        local.is_enabled("X", &Context::EMPTY);
    }
    assert_eq!(words(&meter), ["X on enabled 6"]);
}

#[test]
fn a_thread_counts_what_is_checked_while_it_ends() {
    use std::cell::RefCell;

    thread_local!(static LAST: RefCell<Option<Last>> = const { RefCell::new(None) });
    struct Last(flipper_core::LocalClient);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.is_enabled("X", &Context::EMPTY);
            self.0.is_enabled("ABSENT", &Context::EMPTY);
        }
    }
    let (meter, client) = metered();
    block_on(client.create("X")).unwrap();
    let local = client.local().unwrap();
    let ending = std::thread::spawn(move || {
        // It is there before anything is counted, and so it is dropped after what is counted has gone.
        LAST.with(|last| *last.borrow_mut() = Some(Last(local.clone())));
        local.is_enabled("X", &Context::EMPTY);
        local.is_enabled("ABSENT", &Context::EMPTY);
    });
    ending.join().unwrap();
    assert_eq!(words(&meter), ["ABSENT off not_found 2", "X off disabled 2"]);
}

#[test]
fn a_thread_keeps_no_counters_for_a_snapshot_that_is_gone() {
    let threads = |meter: &EvaluationMeter| {
        let total = words(meter);
        assert_eq!(total, ["X off disabled 1"], "it has counted all the same");
        format!("{meter:?}")
    };
    for is_released in [false, true] {
        for is_replaced in [false, true] {
            let (meter, client) = metered();
            let make = || FeatureFlagClient::new(MemoryStore::new()).local().unwrap();
            let before = make();
            block_on(client.create("X")).unwrap();
            client.local().unwrap().is_enabled("X", &Context::EMPTY);
            if is_released {
                release_thread();
            }
            drop(client);
            // The first look at another one, be it in the place of that which is gone.
            let after = if is_replaced { make() } else { before };
            after.is_enabled("X", &Context::EMPTY);
            assert!(threads(&meter).contains("threads: 0"), "{is_released} {is_replaced}: {meter:?}");
        }
    }
}

#[test]
fn clients_of_one_store_may_be_counted_apart() {
    let store = std::sync::Arc::new(MemoryStore::new());
    let meters = [EvaluationMeter::new(), EvaluationMeter::new(), EvaluationMeter::new()];
    let locals = meters.each_ref().map(|meter| {
        let builder = FeatureFlagClient::builder(std::sync::Arc::clone(&store));
        builder.meter(meter.clone()).build().local().unwrap()
    });
    block_on(locals[0].client().create("X")).unwrap();
    for round in 0..6 {
        for (at, local) in locals.iter().enumerate() {
            if round % (at + 1) == 0 {
                local.is_enabled("X", &Context::EMPTY);
            }
        }
    }
    assert_eq!(
        meters.each_ref().map(words),
        [["X off disabled 6"], ["X off disabled 3"], ["X off disabled 2"]]
    );
}

#[test]
fn a_count_allocates_nothing_after_the_first() {
    let (_meter, client) = metered();
    let local = client.local().unwrap();
    block_on(client.create("X")).unwrap();
    let check = || {
        local.is_enabled("X", &Context::EMPTY);
        local.is_enabled("ABSENT", &Context::EMPTY);
    };
    check();
    let counted = allocation_counter::measure(|| (0..100).for_each(|_| check()));
    assert_eq!(counted.count_total, 0);
}
