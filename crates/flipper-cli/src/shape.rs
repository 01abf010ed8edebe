//! Flags as JSON, for programs.

use flipper::json::{Object, Value};
use flipper::{Check, Condition, Flag};

use crate::time::Moment;
use crate::words;

/// Makes an object of members in order.
pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(Object::from(members))
}

/// A flag as `show --json` prints it.
pub(crate) fn flag(flag: &Flag, moment: &Moment) -> Value {
    let Value::Object(meta) = flag.meta() else { return Value::Null };
    let share = flag.bucketer().as_percentage().and_then(|percentage| percentage.value_at(moment.now));
    let conditions: Vec<Value> = flag.conditions().iter().map(condition).collect();
    plain(object([
        ("name", flag.name().into()),
        ("is_enabled", flag.is_switched_on().into()),
        ("state", words::state(flag, moment).into()),
        ("share", share.into()),
        ("conditions", conditions.into()),
        ("bucketer", meta.get("bucketer").cloned().unwrap_or_else(no_bucketer)),
        ("client_data", flag.client_data()),
        ("created_date", flag.created_date().into()),
    ]))
}

/// A flag, or null.
pub(crate) fn optional(of: Option<&Flag>, moment: &Moment) -> Value {
    of.map_or(Value::Null, |of| flag(of, moment))
}

fn no_bucketer() -> Value {
    object([("type", "NoOpBucketer".into())])
}

fn condition(condition: &Condition) -> Value {
    condition.checks().iter().map(check).collect::<Vec<_>>().into()
}

fn check(check: &Check) -> Value {
    object([
        ("variable", Value::String(check.variable().clone())),
        ("operator", check.symbol().map(std::borrow::Cow::into_owned).into()),
        ("value", check.operand().clone()),
    ])
}

/// Replaces what JSON lacks: NaN and infinities by null.
pub(crate) fn plain(value: Value) -> Value {
    match value {
        Value::Float(float) if !float.is_finite() => Value::Null,
        Value::Array(elements) => Value::Array(elements.into_iter().map(plain).collect()),
        Value::Object(object) => {
            Value::Object(object.iter().map(|(key, value)| (key.clone(), plain(value.clone()))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use flipper::Timestamp;

    use super::*;

    #[test]
    fn a_flag_is_json_that_any_program_reads() {
        let record = r#"{"feature_name": "X", "is_enabled": true, "meta": {"created_date": 5,
            "client_data": {"odd": NaN, "big": 1208925819614629174706176, "ansi": "\u001b[31m\u202e"},
            "conditions": [{"a": [{"variable": "a", "value": -Infinity, "operator": "gt"}]}]}}"#;
        let read = Flag::from_json(record.as_bytes()).unwrap();
        let json = flag(&read, &Moment::utc(Timestamp::from_secs(5))).to_json();
        assert_eq!(
            json,
            r#"{"name": "X", "is_enabled": true, "state": "on if a > -Infinity; without it, for everybody", "share": null, "conditions": [[{"variable": "a", "operator": "gt", "value": null}]], "bucketer": {"type": "NoOpBucketer"}, "client_data": {"odd": null, "big": 1208925819614629174706176, "ansi": "\u001b[31m\u202e"}, "created_date": 5}"#
        );
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }
}
