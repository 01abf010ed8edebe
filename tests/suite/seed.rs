//! The examples of flipper-client's README, one by one. Where its own library answers otherwise, or where the text
//! and the example contradict each other, the test is named for the corrected answer; `DESIGN.md` lists those.

use std::time::Duration;

use flipper_core::{
    Bucketer, Condition, Context, Evaluator, Flag, FlagName, Operator, Percentage, Timestamp, ctx,
};
use serde_json::json;

fn created() -> Flag {
    Flag::new(FlagName::new("HOMEPAGE_AB_TEST").unwrap(), Timestamp::from_secs(1_700_000_000))
}

fn enabled() -> Flag {
    let mut flag = created();
    flag.set_enabled(true).unwrap();
    flag
}

/// The share of 10,000 checks that are on.
fn share_on(flag: &Flag, context: &Context<'_>) -> f64 {
    (0..10_000).filter(|_| flag.is_enabled(context)).count() as f64 / 10_000.0
}

#[test]
fn quickstart_create_enable_check() {
    let mut flag = created();
    assert!(!flag.is_enabled(&Context::EMPTY));
    flag.set_enabled(true).unwrap();
    assert!(flag.is_enabled(&Context::EMPTY));
    flag.set_enabled(false).unwrap();
    assert!(!flag.is_enabled(&Context::EMPTY));
}

#[test]
fn is_enabled_takes_attributes_that_no_condition_is_about() {
    assert!(enabled().is_enabled(&ctx! { is_horse_lover: true }));
}

#[test]
fn set_client_data_merges() {
    let mut flag = enabled();
    flag.merge_client_data(json!({"ttl": 3600}).as_object().unwrap()).unwrap();
    flag.merge_client_data(json!({"creator": "adambom"}).as_object().unwrap()).unwrap();
    assert_eq!(flag.client_data().to_json(), r#"{"ttl": 3600, "creator": "adambom"}"#);
}

#[test]
fn get_meta_has_the_client_data_and_what_the_system_has_set() {
    let mut flag = enabled();
    flag.merge_client_data(json!({"ttl": 3600}).as_object().unwrap()).unwrap();
    assert_eq!(
        flag.meta().to_json(),
        r#"{"client_data": {"ttl": 3600}, "created_date": 1700000000, "conditions": [], "bucketer": {"type": "NoOpBucketer"}}"#
    );
}

/// The README says so right after `create`; a flag is on only once it is enabled.
#[test]
fn corrected_add_condition_answers_once_the_flag_is_enabled() {
    let mut flag = created();
    flag.add_condition(&Condition::builder().eq("is_administrator", true).build().unwrap()).unwrap();
    assert!(!flag.is_enabled(&ctx! { is_administrator: true }));
    flag.set_enabled(true).unwrap();
    assert!(flag.is_enabled(&ctx! { is_administrator: true }));
    assert!(!flag.is_enabled(&ctx! { is_administrator: false }));
}

#[test]
fn corrected_set_bucketer_answers_once_the_flag_is_enabled() {
    let mut flag = created();
    flag.set_bucketer(&Bucketer::percentage(Percentage::new(0.1).unwrap())).unwrap();
    assert_eq!(share_on(&flag, &Context::EMPTY), 0.0);
    flag.set_enabled(true).unwrap();
    let share = share_on(&flag, &Context::EMPTY);
    assert!((0.08..0.12).contains(&share), "{share}");
}

/// `is_enabled(horse_type__in=[...])`: a suffix belongs into a condition. In a call it is part of a name.
#[test]
fn corrected_a_suffix_in_a_call_is_just_a_name() {
    let mut flag = enabled();
    flag.add_condition(
        &Condition::builder().eq("is_horse_lover", true).is_in("horse_type", ["Pony"]).build().unwrap(),
    )
    .unwrap();
    let list = json!(["Stallion", "Mare"]);
    assert!(flag.is_enabled(&ctx! { is_horse_lover: true, horse_type__in: &list }));
    assert!(!flag.is_enabled(&ctx! { is_horse_lover: true, horse_type: "Mare" }));
}

#[test]
fn conditions_of_the_readme() {
    let mut flag = enabled();
    flag.add_condition(&Condition::from_keywords([("is_horse_lover", true.into())]).unwrap()).unwrap();
    let both = [("number_of_horses_owned__gt", 9000.into()), ("location__ne", "city".into())];
    flag.add_condition(&Condition::from_keywords(both).unwrap()).unwrap();
    assert!(flag.is_enabled(&Context::EMPTY));
    assert!(flag.is_enabled(&ctx! { is_horse_lover: true }));
    assert!(!flag.is_enabled(&ctx! { is_horse_lover: true, number_of_horses_owned: 8000 }));
    assert!(!flag.is_enabled(&ctx! { location: "city" }));
}

#[test]
fn operators_of_the_readme() {
    for (keyword, operand, passes, fails) in [
        ("x__gt", json!(5), json!(6), json!(5)),
        ("x__gte", json!(5), json!(5), json!(4)),
        ("x__lt", json!(5), json!(4), json!(5)),
        ("x__lte", json!(5), json!(5), json!(6)),
        ("x__ne", json!(5), json!(4), json!(5)),
        ("x__in", json!(["a", "b"]), json!("a"), json!("c")),
        ("x__not_in", json!(["a", "b"]), json!("c"), json!("a")),
        ("x", json!("a"), json!("a"), json!("b")),
    ] {
        let mut flag = enabled();
        flag.add_condition(&Condition::from_keywords([(keyword, operand.into())]).unwrap()).unwrap();
        assert!(flag.is_enabled(&ctx! { x: &passes }), "{keyword}");
        assert!(!flag.is_enabled(&ctx! { x: &fails }), "{keyword}");
    }
    assert_eq!(Operator::ALL.len(), 8);
}

#[test]
fn random_assignment_is_a_coin() {
    let mut flag = enabled();
    flag.set_bucketer(&Bucketer::percentage(Percentage::new(0.5).unwrap())).unwrap();
    let share = share_on(&flag, &Context::EMPTY);
    assert!((0.47..0.53).contains(&share), "{share}");
}

fn half_by_user() -> Flag {
    let mut flag = enabled();
    flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5).unwrap(), ["user_id"])).unwrap();
    flag
}

#[test]
fn consistent_assignment_of_users_1_and_2() {
    let flag = half_by_user();
    let score = |user_id: i64| flag.explain(&ctx! { user_id: user_id }).bucketer.unwrap().score;
    assert_eq!((score(1), score(2)), (Some(0.48), Some(0.94)));
    for _ in 0..100 {
        assert!(flag.is_enabled(&ctx! { user_id: 1 }));
        assert!(!flag.is_enabled(&ctx! { user_id: 2 }));
    }
}

/// The prose reduces the hash to "0-100"; it is 0 to 99, and a share of 0.5 is 51 of these 100 buckets.
#[test]
fn corrected_half_is_51_buckets_of_100() {
    let now = Timestamp::now();
    assert_eq!(Percentage::new(0.5).unwrap().buckets(now), Some(51));
    let flag = half_by_user();
    let on = (0..100_000).filter(|user_id| flag.is_enabled(&ctx! { user_id: *user_id })).count();
    assert!((50_500..51_500).contains(&on), "{on} of 100,000 users");
}

/// All four answers of the README; flipper-client's code answers the first with `True`.
#[test]
fn conditions_take_precedence_over_the_bucketer_where_they_are_about_the_context() {
    let mut flag = half_by_user();
    flag.add_condition(&Condition::builder().eq("is_admin", true).build().unwrap()).unwrap();
    assert!(!flag.is_enabled(&ctx! { user_id: 2 }));
    assert!(flag.is_enabled(&ctx! { user_id: 2, is_admin: true }));
    assert!(flag.is_enabled(&ctx! { user_id: 1 }));
    assert!(!flag.is_enabled(&ctx! { user_id: 1, is_admin: false }));
}

#[test]
fn key_whitelist_ignores_other_attributes() {
    assert!(half_by_user().is_enabled(&ctx! { user_id: 1, number_of_horses_owned: 9001 }));
}

/// The README defines the condition of its whitelist example and forgets to add it. Added, it decides.
#[test]
fn corrected_the_condition_of_the_whitelist_example_decides_once_added() {
    let mut flag = half_by_user();
    flag.add_condition(&Condition::builder().lt("number_of_horses_owned", 9000).build().unwrap()).unwrap();
    assert!(!flag.is_enabled(&ctx! { user_id: 1, number_of_horses_owned: 9001 }));
    assert!(flag.is_enabled(&ctx! { user_id: 2, number_of_horses_owned: 1 }));
}

/// The README has about 0, 33, 67 and 100 % for a ramp from 20 % to 80 %.
#[test]
fn corrected_a_ramp_from_20_to_80_percent_is_20_40_60_80() {
    let start = Timestamp::from_secs(1_700_000_000);
    let ramp = Percentage::linear_ramp(0.2, 0.8, Duration::from_mins(30), start).unwrap();
    let mut flag = enabled();
    flag.set_bucketer(&Bucketer::percentage(ramp.clone())).unwrap();
    for (minutes, share) in [(0, 0.2), (10, 0.4), (20, 0.6), (30, 0.8), (60, 0.8)] {
        let now = start + Duration::from_mins(minutes);
        assert!((ramp.value_at(now).unwrap() - share).abs() < 1e-9);
        let clock = move || now;
        let is_on = |drawn: f64| {
            let random = move || drawn;
            Evaluator::new().with_clock(&clock).with_random(&random).is_enabled(&flag, &Context::EMPTY, false)
        };
        assert!(is_on(share - 0.01) && !is_on(share + 0.01), "after {minutes} minutes");
    }
}

#[test]
fn ramps_may_decrease_and_work_with_consistent_hashing() {
    let start = Timestamp::from_secs(1_700_000_000);
    let ramp = Percentage::linear_ramp(1.0, 0.0, Duration::from_mins(30), start).unwrap();
    let mut flag = enabled();
    flag.set_bucketer(&Bucketer::consistent_hash(ramp, ["user_id"])).unwrap();
    let on_after = |minutes: u64| {
        let clock = move || start + Duration::from_mins(minutes);
        let evaluator = Evaluator::new().with_clock(&clock);
        (0..1_000)
            .filter(|user_id| evaluator.is_enabled(&flag, &ctx! { user_id: *user_id }, false))
            .collect::<Vec<i32>>()
    };
    let (all, half, none) = (on_after(0), on_after(15), on_after(30));
    assert_eq!((all.len(), none.len()), (1_000, 0));
    assert!((450..550).contains(&half.len()), "{} of 1,000", half.len());
    assert!(on_after(20).iter().all(|user_id| half.contains(user_id)), "who is out stays out");
}
