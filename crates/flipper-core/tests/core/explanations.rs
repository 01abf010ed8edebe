//! What `explain` tells.

use std::time::Duration;

use flipper_core::{
    Bucketer, CheckOutcome, Condition, Context, Evaluator, Explanation, Flag, Percentage, Reason, Semantics,
    Timestamp, ctx,
};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_600);

fn explain(flag: &Flag, context: &Context<'_>) -> Explanation {
    let (clock, random) = (|| NOW, || 0.3);
    Evaluator::new().with_clock(&clock).with_random(&random).explain(flag, context, false)
}

#[test]
fn tells_every_check_whether_it_was_needed_or_not() {
    let flag = super::stored(
        r#"[{"a": [{"variable": "a", "value": 5, "operator": "gt"}, {"variable": "a", "value": 1, "operator": "near"}]},
            {"b": [{"variable": "b", "value": "x", "operator": null}], "c": [{"variable": "c", "value": 1, "operator": "lt"}]},
            {"d": [{"variable": "d", "value": [1], "operator": "in"}]}, {}]"#,
        "null",
    );
    let explanation = explain(&flag, &ctx! { a: 9, b: "y", c: "z" });
    let outcomes: Vec<Vec<CheckOutcome>> = explanation
        .conditions
        .iter()
        .map(|condition| condition.checks.iter().map(|check| check.outcome).collect())
        .collect();
    assert_eq!(
        outcomes,
        [
            vec![CheckOutcome::Passed, CheckOutcome::Unknown],
            vec![CheckOutcome::Failed, CheckOutcome::NotComparable],
            vec![CheckOutcome::NotSupplied],
            vec![],
        ]
    );
    assert_eq!(explanation.evaluation.reason, Reason::CheckFailed { condition: 1, check: 0 });
    assert_eq!(
        explanation.to_string(),
        r#""X" is off: check 0 of condition 1 has failed
  condition 0: a > 5: passed, a is 9
  condition 0: a "near" 1: unknown operator, a is 9
  condition 1: b == "x": failed, b is "y"
  condition 1: c < 1: cannot be compared, failed, c is "z"
  condition 2: d in [1]: not supplied, passed over
  condition 3: has no checks
  evaluated at 1700000600 s from 1970, documented semantics
  in Python: the flag cannot be read: flipper-client raises InvalidSymbolError in the check `a "near" 1`
"#
    );
}

#[test]
fn tells_the_bucket_the_share_and_the_clock() {
    let mut flag = super::switched_on();
    flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5).unwrap(), ["user_id"])).unwrap();
    let explanation = explain(&flag, &ctx! { user_id: 2, plan: "gold" });
    let bucketer = explanation.bucketer.clone().unwrap();
    assert_eq!(bucketer.hashed.as_deref(), Some(r#"[["user_id", 2]]"#));
    assert_eq!(
        (bucketer.score, bucketer.share, bucketer.buckets, bucketer.is_in),
        (Some(0.94), Some(0.5), Some(51), Some(false))
    );
    assert_eq!(explanation.now, NOW);
    assert_eq!(
        explanation.to_string(),
        r#""X" is off: the bucketer does not let it in
  bucketer: ConsistentHashPercentageBucketer of [["user_id", 2]], score 0.94 > share 0.5 (51 of 100 buckets): out
  evaluated at 1700000600 s from 1970, documented semantics
"#
    );
}

#[test]
fn the_steps_fit_the_answer_even_where_it_is_random() {
    let mut flag = super::switched_on();
    flag.set_bucketer(&Bucketer::percentage(Percentage::new(0.5).unwrap())).unwrap();
    for _ in 0..200 {
        let explanation = flag.explain(&Context::EMPTY);
        let bucketer = explanation.bucketer.unwrap();
        assert_eq!(bucketer.is_in, Some(explanation.evaluation.value));
        assert_eq!(bucketer.score.unwrap() <= 0.5, explanation.evaluation.value);
    }
}

#[test]
fn tells_where_python_answers_differently() {
    // Any context bypasses the bucketer of a flag with a condition.
    let mut flag = super::switched_on();
    flag.add_condition(&Condition::builder().eq("is_admin", true).build().unwrap()).unwrap();
    flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5).unwrap(), ["user_id"])).unwrap();
    let told = explain(&flag, &ctx! { user_id: 2 }).python;
    assert_eq!(told, ["flipper-client 1.3.2 answers on: the conditions are met"]);
    assert!(explain(&flag, &ctx! { user_id: 1 }).python.is_empty(), "both are on");

    // A falling ramp is at its end at once.
    let start = Timestamp::from_secs(1_700_000_000);
    let falling = Percentage::linear_ramp(0.8, 0.2, Duration::from_mins(30), start).unwrap();
    flag.set_conditions([]).unwrap();
    flag.set_bucketer(&Bucketer::percentage(falling)).unwrap();
    let told = explain(&flag, &Context::EMPTY).python;
    assert_eq!(told[0], "flipper-client 1.3.2 answers off: the bucketer does not let it in");

    // Release 1.2.3 starts every ramp anew each day.
    let rising = Percentage::linear_ramp(0.0, 1.0, Duration::from_hours(24), start).unwrap();
    flag.set_bucketer(&Bucketer::percentage(rising)).unwrap();
    let (clock, random) = (|| Timestamp::from_secs(1_700_000_000 + 86_400), || 0.3);
    let told = Evaluator::new()
        .with_clock(&clock)
        .with_random(&random)
        .explain(&flag, &Context::EMPTY, false)
        .python;
    assert_eq!(told, ["flipper-client 1.2.3 answers off: it counts the seconds of a ramp modulo one day"]);

    let told = explain(&flag, &ctx! { default: 1 }).python;
    assert!(told[0].contains("`default` cannot be passed"), "{told:?}");

    flag.set_conditions(&[Condition::builder().gt("n", 5).build().unwrap()]).unwrap();
    assert_eq!(explain(&flag, &ctx! { n: "many" }).python, ["is_enabled raises TypeError"]);
}

#[test]
fn tells_the_semantics_and_a_disabled_flag() {
    let mut flag = super::switched_on();
    flag.set_enabled(false).unwrap();
    let explanation =
        Evaluator::new().with_semantics(Semantics::FlipperClient).explain(&flag, &Context::EMPTY, true);
    assert_eq!(explanation.evaluation.reason, Reason::Disabled);
    assert!(!explanation.evaluation.value);
    let shown = explanation.to_string();
    assert!(
        shown.contains("the flag is disabled: nothing else is asked")
            && shown.contains("flipper-client's semantics"),
        "{shown}"
    );
}
