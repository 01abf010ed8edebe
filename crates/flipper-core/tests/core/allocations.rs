//! Evaluating does not allocate.

use std::time::Duration;

use flipper_core::json::Value;
use flipper_core::{
    Attribute, Bucketer, Condition, Context, Evaluator, Flag, Percentage, Semantics, Timestamp, ctx,
};

/// Flags that reach every branch of an evaluation.
fn flags() -> Vec<Flag> {
    let fixed = Percentage::new(0.5).unwrap();
    let ramp = Percentage::linear_ramp(0.2, 0.8, Duration::from_hours(1), Timestamp::now()).unwrap();
    let conditions = [
        Condition::builder().eq("id", 7).ne("plan", "none").build().unwrap(),
        Condition::builder()
            .gte("id", Value::parse("-100000000000000000000000000000000000000000").unwrap())
            .build()
            .unwrap(),
        Condition::builder().lt("float", u64::MAX).gt("float", -1e300).build().unwrap(),
        Condition::builder().is_in("plan", ["gold", "silver"]).is_not_in("tags", vec!["x"]).build().unwrap(),
        Condition::builder().eq("json", serde_json::json!({"a": [1, {"b": null}]})).build().unwrap(),
        Condition::builder().gt("plan", 5).build().unwrap(),
    ];
    let bucketers = [
        Bucketer::NoOp,
        Bucketer::percentage(fixed.clone()),
        Bucketer::percentage(ramp.clone()),
        Bucketer::consistent_hash(fixed.clone(), ["id"]),
        Bucketer::consistent_hash(fixed, [""; 0]),
        Bucketer::consistent_hash(ramp, ["json", "float", "big"]),
    ];
    let mut flags = vec![super::stored("[]", r#"{"type": "Sticky"}"#), between()];
    for bucketer in &bucketers {
        for count in 0..=conditions.len() {
            let mut flag = super::switched_on();
            flag.set_bucketer(bucketer).unwrap();
            flag.set_conditions(&conditions[..count]).unwrap();
            flags.push(flag);
        }
    }
    flags
}

fn between() -> Flag {
    super::stored(r#"[{"id": [{"variable": "id", "value": 1, "operator": "between"}]}]"#, "null")
}

#[test]
fn no_evaluation_allocates() {
    let json = serde_json::json!({"a": [1, {"b": null}]});
    let long = "é😀".repeat(100);
    let big = Value::parse("123456789012345678901234567890123456789012345678901234567890").unwrap();
    let list = [Attribute::from("x"), Attribute::from(1.5)];
    let flags = flags();
    let mut evaluations = 0;
    for flag in &flags {
        for semantics in [Semantics::Documented, Semantics::FlipperClient] {
            let evaluator = Evaluator::new().with_semantics(semantics);
            // The generator of this thread is made once.
            flag.is_enabled(&Context::EMPTY);
            let counted = allocation_counter::measure(|| {
                for context in [
                    Context::EMPTY,
                    ctx! { id: 7 },
                    ctx! { id: 7, plan: "gold", float: 1.5 },
                    ctx! { plan: &long, tags: &list, json: &json, id: u64::MAX, float: 1e22, big: &big },
                    ctx! { id: &big, float: &big, id: 3, plan: None::<i64> },
                ] {
                    evaluator.evaluate(flag, &context, false);
                    evaluator.is_enabled(flag, &context, true);
                    evaluations += 2;
                }
            });
            assert_eq!(counted.count_total, 0, "{flag:?}");
        }
    }
    assert_eq!(evaluations, flags.len() * 2 * 5 * 2);
}

#[test]
fn the_counter_counts() {
    let counted = allocation_counter::measure(|| {
        between().explain(&ctx! { id: 7 });
    });
    assert!(counted.count_total > 0);
}
