//! Values, flags and contexts for the property tests.

use flipper_core::json::{Object, Value};
use flipper_core::{Bucketer, Condition, Flag, FlagName, Operator, Percentage, Timestamp};
use proptest::prelude::*;

/// Any value, a few levels deep.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3_i64..12).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9]{1,60}".prop_map(|digits| Value::parse(&format!("-1{digits}")).unwrap()),
        any::<String>().prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
        // Around the lengths up to which texts are kept in place.
        "a{12,16}|a{20,24}".prop_map(Value::from),
        // Lone surrogates.
        (0xd800_u32..0xe000).prop_map(|unit| Value::parse(&format!("\"a\\u{unit:04x}\"")).unwrap()),
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Object>())),
        ]
    })
}

pub(crate) fn variable() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-d]", 1 => "[a-z_]{0,6}", 1 => "a{12,15}|a{20,31}", 1 => any::<String>()]
}

pub(crate) fn condition() -> impl Strategy<Value = Condition> {
    let check = (variable(), prop::sample::select(Operator::ALL.to_vec()), value());
    // What the builder refuses is left out.
    prop::collection::vec(check, 1..4).prop_filter_map("refused", |checks| {
        let builder =
            checks.into_iter().fold(Condition::builder(), |builder, (variable, operator, value)| {
                builder.check(&variable, operator, value)
            });
        builder.build().ok()
    })
}

pub(crate) fn percentage() -> impl Strategy<Value = Percentage> {
    prop_oneof![
        (0.0..=1.0).prop_map(|share| Percentage::new(share).unwrap()),
        (0.0..=1.0, 0.0..=1.0, 0_u64..200_000_000, -2_000_000_000_i64..4_000_000_000).prop_map(
            |(initial, last, millis, start)| {
                let duration = std::time::Duration::from_millis(millis);
                Percentage::linear_ramp(initial, last, duration, Timestamp::from_secs(start)).unwrap()
            }
        ),
    ]
}

pub(crate) fn bucketer() -> impl Strategy<Value = Bucketer> {
    prop_oneof![
        Just(Bucketer::NoOp),
        percentage().prop_map(Bucketer::percentage),
        (percentage(), prop::collection::vec(variable(), 0..3))
            .prop_map(|(percentage, names)| Bucketer::consistent_hash(percentage, names)),
    ]
}

pub(crate) fn flag() -> impl Strategy<Value = Flag> {
    (any::<bool>(), prop::collection::vec(condition(), 0..4), bucketer()).prop_map(
        |(is_enabled, conditions, bucketer)| {
            let mut flag = Flag::new(FlagName::new("X").unwrap(), Timestamp::from_secs(1));
            flag.set_enabled(is_enabled).unwrap();
            flag.set_conditions(&conditions).unwrap();
            flag.set_bucketer(&bucketer).unwrap();
            flag
        },
    )
}

/// A value that is small enough to be met.
fn small() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0_i64..4).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "[a-c]".prop_map(Value::from),
        Just(Value::from("a".repeat(15))),
        prop::collection::vec((0_i64..4).prop_map(Value::from), 0..3).prop_map(Value::Array),
        prop::collection::vec("[a-c]".prop_map(Value::from), 0..70).prop_map(Value::Array),
        Just(Value::from(vec![Value::from(1), Value::from("a"), Value::from(true), Value::Null])),
    ]
}

/// Checks and attributes of few names and values, so that most of them meet.
pub(crate) fn likely() -> impl Strategy<Value = (Flag, Vec<(String, Value)>)> {
    let name = || prop_oneof![4 => "[ab]", 1 => Just("b".repeat(13)), 1 => Just("b".repeat(14)), 1 => Just("b".repeat(40))];
    let check = (name(), prop::sample::select(Operator::ALL.to_vec()), small());
    let condition = prop::collection::vec(check, 1..3).prop_filter_map("refused", |checks| {
        let add = |builder: flipper_core::ConditionBuilder,
                   (variable, operator, value): (String, _, Value)| {
            builder.check(&variable, operator, value)
        };
        checks.into_iter().fold(Condition::builder(), add).build().ok()
    });
    let attributes = prop::collection::vec((name(), small()), 0..4);
    (prop::collection::vec(condition, 0..3), bucketer(), attributes).prop_map(
        |(conditions, bucketer, attributes)| {
            let mut flag = Flag::new(FlagName::new("X").unwrap(), Timestamp::from_secs(1));
            flag.set_enabled(true).unwrap();
            flag.set_conditions(&conditions).unwrap();
            flag.set_bucketer(&bucketer).unwrap();
            (flag, attributes)
        },
    )
}

pub(crate) fn attributes() -> impl Strategy<Value = Vec<(String, Value)>> {
    prop::collection::vec((variable(), value()), 0..4)
}
