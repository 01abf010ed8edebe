//! Unknown is not off: what a newer writer has added matters only where the answer depends on it.

use flipper_core::{Condition, Context, Evaluator, Flag, Reason, Semantics, ctx};

/// The answers with the defaults `false` and `true`, and the reason.
fn answers(flag: &Flag, context: &Context<'_>) -> (bool, bool, Reason) {
    let evaluator = Evaluator::new();
    let off = evaluator.evaluate(flag, context, false);
    let on = evaluator.evaluate(flag, context, true);
    assert_eq!(off.reason, on.reason);
    assert_eq!(evaluator.is_enabled(flag, context, true), on.value);
    (off.value, on.value, off.reason)
}

const UNSUPPORTED: (bool, bool, Reason) = (false, true, Reason::Unsupported);

fn between() -> Flag {
    let check =
        |symbol: &str, value: u32| format!(r#"{{"variable": "x", "value": {value}, "operator": {symbol}}}"#);
    super::stored(
        &format!(r#"[{{"x": [{}, {}]}}]"#, check("\"between\"", 1), check("\"lt\"", 9)),
        r#"{"type": "NoOpBucketer"}"#,
    )
}

#[test]
fn an_unknown_operator_gives_the_default_unless_a_known_check_fails() {
    let flag = between();
    assert_eq!(answers(&flag, &ctx! { x: 5 }), UNSUPPORTED);
    let failed = Reason::CheckFailed { condition: 0, check: 1 };
    assert_eq!(answers(&flag, &ctx! { x: 10 }), (false, false, failed));
    let not_comparable = Reason::NotComparable { condition: 0, check: 1 };
    assert_eq!(answers(&flag, &ctx! { x: "a" }), (false, false, not_comparable));
    assert_eq!(answers(&flag, &ctx! { y: 1 }), (true, true, Reason::Enabled), "the check is not about it");
    assert_eq!(answers(&flag, &Context::EMPTY), (true, true, Reason::Enabled));
}

#[test]
fn a_disabled_flag_is_off_whatever_it_has() {
    let mut flag = between();
    flag.set_enabled(false).unwrap();
    assert_eq!(answers(&flag, &ctx! { x: 5 }), (false, false, Reason::Disabled));
}

#[test]
fn unknown_bucketers_and_percentages_give_the_default_where_they_are_asked() {
    for bucketer in [
        r#"{"type": "Sticky"}"#,
        r#"{"kind": "NoOpBucketer"}"#,
        r#"{"type": 5}"#,
        "[]",
        r#"{"type": "PercentageBucketer", "percentage": {"type": "Sine"}}"#,
        r#"{"type": "PercentageBucketer", "percentage": 0.5}"#,
        r#"{"type": "PercentageBucketer", "percentage": {"type": "Percentage", "value": "0.5"}}"#,
        r#"{"type": "PercentageBucketer", "percentage": {"type": "LinearRampPercentage", "initial_time": "now"}}"#,
        r#"{"type": "ConsistentHashPercentageBucketer", "key_whitelist": null}"#,
    ] {
        let mut flag = super::stored("[]", bucketer);
        assert_eq!(answers(&flag, &ctx! { x: 5 }), UNSUPPORTED, "{bucketer}");
        flag.add_condition(&Condition::builder().eq("x", 5).build().unwrap()).unwrap();
        assert_eq!(answers(&flag, &ctx! { x: 5 }), (true, true, Reason::ConditionsMet), "{bucketer}");
        assert_eq!(answers(&flag, &ctx! { y: 5 }), UNSUPPORTED, "{bucketer}");
        let mut repaired = flag.clone();
        repaired.set_bucketer(&flipper_core::Bucketer::NoOp).unwrap();
        assert_eq!(answers(&repaired, &ctx! { y: 5 }), (true, true, Reason::Enabled));
    }
}

#[test]
fn values_that_cannot_be_hashed_give_the_default() {
    let flag = super::stored(
        "[]",
        r#"{"type": "ConsistentHashPercentageBucketer", "percentage": {"type": "Percentage", "value": 0.5}}"#,
    );
    let mut deep = serde_json::json!(1);
    for _ in 0..300 {
        deep = serde_json::json!([deep]);
    }
    assert_eq!(answers(&flag, &ctx! { deep: &deep }), UNSUPPORTED);
}

#[test]
fn only_the_constant_false_switches_off() {
    for (value, is_on) in
        [("true", true), ("false", false), ("null", true), ("0", true), ("\"\"", true), ("\"no\"", true)]
    {
        let text =
            format!(r#"{{"feature_name": "X", "is_enabled": {value}, "meta": {{"created_date": 1}}}}"#);
        let flag = Flag::from_json(text.as_bytes()).unwrap();
        assert_eq!((flag.is_switched_on(), flag.is_enabled(&Context::EMPTY)), (is_on, is_on), "{value}");
    }
}

#[test]
fn semantics_differ_where_it_is_documented_and_nowhere_else() {
    let mut flag = super::stored(
        r#"[{"is_admin": [{"variable": "is_admin", "value": true, "operator": null}]}]"#,
        r#"{"type": "PercentageBucketer", "percentage": {"type": "Percentage", "value": 0}}"#,
    );
    let python = Evaluator::new().with_semantics(Semantics::FlipperClient);
    for (context, documented, flipper_client) in [
        (Context::EMPTY, Reason::OutOfBucket, Reason::OutOfBucket),
        (ctx! { user_id: 2 }, Reason::OutOfBucket, Reason::ConditionsMet),
        (ctx! { user_id: 2, is_admin: true }, Reason::ConditionsMet, Reason::ConditionsMet),
    ] {
        assert_eq!(flag.evaluate(&context).reason, documented);
        assert_eq!(python.evaluate(&flag, &context, false).reason, flipper_client);
    }
    flag.set_conditions([]).unwrap();
    assert_eq!(python.evaluate(&flag, &ctx! { user_id: 2 }, false).reason, Reason::OutOfBucket);
}
