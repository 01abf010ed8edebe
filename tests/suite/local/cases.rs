//! Flags and contexts that reach every branch of a check.

use std::time::Duration;

use flipper_core::json::Value;
use flipper_core::{
    Attribute, Bucketer, Condition, Context, Flag, FlagName, Percentage, Snapshot, Timestamp, ctx,
};

use super::record;

/// When ramps begin that are under way at [`NOW`].
pub(super) const START: Timestamp = Timestamp::from_secs(1_700_000_000);
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_700_001_800);

pub(super) fn conditions() -> Vec<Condition> {
    vec![
        Condition::builder().eq("id", 7).ne("plan", "none").build().unwrap(),
        Condition::builder()
            .gte("id", Value::parse("-100000000000000000000000000000000000000000").unwrap())
            .build()
            .unwrap(),
        Condition::builder().lt("float", u64::MAX).gt("float", -1e300).build().unwrap(),
        Condition::builder().is_in("plan", ["gold", "silver"]).is_not_in("tags", vec!["x"]).build().unwrap(),
        Condition::builder().is_in("id", (0..40).collect::<Vec<_>>()).build().unwrap(),
        Condition::builder().eq("json", serde_json::json!({"a": [1, {"b": null}]})).build().unwrap(),
        // Not comparable with a text.
        Condition::builder().gt("plan", 5).build().unwrap(),
        Condition::builder().ne("plan", "none").lte("float", 1.5).build().unwrap(),
    ]
}

pub(super) fn bucketers() -> Vec<Bucketer> {
    let fixed = Percentage::new(0.5).unwrap();
    let ramp = Percentage::linear_ramp(0.2, 0.8, Duration::from_hours(1), START).unwrap();
    let falling = Percentage::linear_ramp(0.8, 0.2, Duration::from_hours(1), START).unwrap();
    vec![
        Bucketer::NoOp,
        Bucketer::percentage(fixed.clone()),
        Bucketer::percentage(Percentage::new(0.0).unwrap()),
        Bucketer::percentage(Percentage::new(1.0).unwrap()),
        Bucketer::percentage(ramp.clone()),
        Bucketer::percentage(falling.clone()),
        Bucketer::consistent_hash(fixed.clone(), ["id"]),
        Bucketer::consistent_hash(fixed, [""; 0]),
        Bucketer::consistent_hash(ramp, ["json", "float", "big"]),
        Bucketer::consistent_hash(falling, ["randomizer", "plan"]),
    ]
}

/// Reads a flag with parts as they are stored.
pub(super) fn stored(name: &str, is_enabled: bool, conditions: &str, bucketer: &str) -> Flag {
    let text = format!(
        r#"{{"feature_name": "{name}", "is_enabled": {is_enabled}, "meta": {{"client_data": {{}}, "created_date": 1700000000, "conditions": {conditions}, "bucketer": {bucketer}}}}}"#
    );
    Flag::from_json(text.as_bytes()).unwrap()
}

/// Makes a flag that is on, with these conditions and this bucketer.
pub(super) fn ruled(name: &str, conditions: &[Condition], bucketer: &Bucketer) -> Flag {
    let mut flag = Flag::new(FlagName::new(name).unwrap(), START);
    flag.set_enabled(true).unwrap();
    flag.set_conditions(conditions).unwrap();
    flag.set_bucketer(bucketer).unwrap();
    flag
}

/// A flag of each kind.
pub(super) fn flags() -> Vec<Flag> {
    let between = r#"[{"id": [{"variable": "id", "value": 1, "operator": "between"}]}]"#;
    // Nobody can make it here, and another writer may.
    let of_self = r#"[{"self": [{"variable": "self", "value": 1, "operator": "eq"}]}]"#;
    let mut flags = vec![
        stored("of self", true, of_self, "null"),
        super::flag("off", false),
        super::flag("on", true),
        super::flag(&"long".repeat(20), true),
        stored("unknown bucketer", true, "[]", r#"{"type": "Sticky"}"#),
        stored("unknown operator", true, between, "null"),
        stored("unknown but off", false, between, r#"{"type": "Sticky"}"#),
    ];
    let conditions = conditions();
    for (at, bucketer) in bucketers().iter().enumerate() {
        for count in 0..=conditions.len() {
            flags.push(ruled(&format!("bucketer {at}, first {count}"), &conditions[..count], bucketer));
        }
        for (only, condition) in conditions.iter().enumerate() {
            let condition = std::slice::from_ref(condition);
            flags.push(ruled(&format!("bucketer {at}, only {only}"), condition, bucketer));
        }
    }
    flags
}

/// A snapshot of flags.
pub(super) fn snapshot_of(flags: &[Flag]) -> Snapshot {
    let snapshot = super::live();
    snapshot.edit(|edit| edit.replace_all(flags.iter().map(|flag| record(flag.clone(), 1))));
    snapshot
}

/// Calls something with a context of each kind.
pub(super) fn with_contexts(see: &mut dyn FnMut(&Context<'_>)) {
    let json = serde_json::json!({"a": [1, {"b": null}]});
    let long = "é😀".repeat(100);
    let big = Value::parse("123456789012345678901234567890123456789012345678901234567890").unwrap();
    let list = [Attribute::from("x"), Attribute::from(1.5)];
    for context in [
        Context::EMPTY,
        ctx! { id: 7 },
        ctx! { id: 8, plan: "none" },
        ctx! { id: 39, plan: "silver" },
        ctx! { id: 40, plan: 6 },
        ctx! { id: 7, plan: "gold", float: 1.5 },
        ctx! { plan: &long, tags: &list, json: &json, id: u64::MAX, float: 1e22, big: &big },
        ctx! { id: &big, float: &big, id: 3, plan: None::<i64> },
        ctx! { "self": 1 },
        ctx! { "self": 2, id: 7, plan: "gold" },
        ctx! { "randomizer": 0.5, plan: "gold" },
        ctx! { nobody_asks: true },
    ] {
        see(&context);
    }
}
