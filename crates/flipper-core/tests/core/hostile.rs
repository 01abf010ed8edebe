//! Records and contexts that are made to cost more than they are worth, or to break something.
//!
//! Each of these took minutes, gigabytes or the stack before it was mended. There is no time in the tests: what is
//! quadratic again makes them hang.

use flipper_core::json::{Object, Value};
use flipper_core::{
    Attribute, Bucketer, Condition, ContextBuf, ErrorKind, Evaluator, Flag, Percentage, Semantics, Timestamp,
    ctx,
};

use super::{stored, switched_on};

#[test]
fn records_with_a_hundred_thousand_of_something() {
    let checks: Vec<_> =
        (0..100_000).map(|at| format!(r#"{{"variable": "v{at}", "value": 1, "operator": "gt"}}"#)).collect();
    let keys: Vec<_> = (0..100_000).map(|at| format!(r#""v{at}": []"#)).collect();
    let names: Vec<_> = (0..100_000).map(|at| format!("\"v{at}\"")).collect();
    let bucketer =
        format!(r#"{{"type": "ConsistentHashPercentageBucketer", "key_whitelist": [{}]}}"#, names.join(","));
    for flag in [
        stored(&format!(r#"[{{"x": [{}]}}]"#, checks.join(",")), "null"),
        stored(&format!("[{{{}}}]", keys.join(",")), "null"),
        stored("[]", &bucketer),
    ] {
        assert!(flag.rewritten_by_flipper_client(Timestamp::now()).is_ok());
        assert!(flag.is_enabled(&ctx! { v5: 2, v99999: 3 }));
    }
}

#[test]
fn objects_with_forty_thousand_members() {
    let text: Vec<_> = (0..40_000).map(|at| format!("\"k{at}\": {at}")).collect();
    let text = format!("{{{}}}", text.join(", "));
    let value = Value::parse(&text).unwrap();
    let given: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut flag = switched_on();
    flag.add_condition(&Condition::builder().eq("o", value.clone()).build().unwrap()).unwrap();
    assert!(flag.is_enabled(&ctx! { o: &given }));
    assert!(flag.is_enabled(&ctx! { o: &value }));

    let Value::Object(data) = value else { panic!("an object") };
    flag.merge_client_data(&data).unwrap();
    flag.merge_client_data(&data).unwrap();
    assert_eq!(flag.client_data(), Value::Object(data));
}

#[test]
fn contexts_with_twenty_thousand_attributes_are_hashed_in_order() {
    let mut flag = switched_on();
    flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5).unwrap(), [""; 0])).unwrap();
    for count in [1, 63, 64, 65, 128, 129, 1_000, 20_000] {
        // Neither sorted nor in reverse; each name twice, of which the last counts.
        let names: Vec<_> = (0..count).map(|at| format!("n{}", at * 7_919 % count)).collect();
        let pairs =
            names.iter().map(|name| (name.as_str(), 1)).chain(names.iter().map(|name| (name.as_str(), 2)));
        let context: ContextBuf<'_> = pairs.collect();
        flag.is_enabled(&context.as_context());
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let expected: Vec<_> = sorted.iter().map(|name| format!("[\"{name}\", 2]")).collect();
        let hashed = flag.explain(&context.as_context()).bucketer.unwrap().hashed.unwrap();
        assert_eq!(hashed, format!("[{}]", expected.join(", ")), "{count} attributes");
    }
}

#[test]
fn long_texts_in_texts() {
    let mut flag = switched_on();
    flag.add_condition(&Condition::builder().is_in("x", "a".repeat(1_000_000)).build().unwrap()).unwrap();
    let part = "a".repeat(500_000);
    assert!(flag.is_enabled(&ctx! { x: &part }));
    let other = part + "b";
    assert!(!flag.is_enabled(&ctx! { x: &other }));
}

#[test]
fn explanations_of_many_checks_of_a_long_attribute_stay_small() {
    let checks: Vec<_> = (0..20_000)
        .map(|at| format!(r#"{{"x": [{{"variable": "x", "value": {at}, "operator": "ne"}}]}}"#))
        .collect();
    let flag = stored(&format!("[{}]", checks.join(",")), "null");
    let long = "x".repeat(1_000_000);
    let shown = flag.explain(&ctx! { x: &long }).to_string();
    assert!(shown.len() < 10_000_000, "{} bytes", shown.len());
    assert!(shown.contains("xxx…"));
}

/// A value that is nested deeper than the stack would bear. It is not dropped, which would recurse as well.
fn deep() -> &'static Value {
    let mut value = Value::from(1);
    for _ in 0..100_000 {
        value = Value::Array(vec![value]);
    }
    Box::leak(Box::new(value))
}

#[test]
fn values_that_are_nested_a_hundred_thousand_deep() {
    let deep = deep();
    let mut flag = switched_on();
    let before = flag.clone();
    flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5).unwrap(), ["x"])).unwrap();
    let evaluation = flag.evaluate(&ctx! { x: deep });
    assert_eq!(evaluation.reason, flipper_core::Reason::Unsupported);
    assert!(!flag.explain(&ctx! { x: deep }).to_string().is_empty());
    assert!(deep.to_json().contains("[null]"));

    let mut flag = before.clone();
    let mut data = Object::default();
    data.insert("k", 1);
    flag.merge_client_data(&data).unwrap();
    let serde: &'static serde_json::Value =
        Box::leak(Box::new((0..100_000).fold(1.into(), |value, _| serde_json::Value::Array(vec![value]))));
    assert_eq!(flag.evaluate(&ctx! { x: serde }).reason, flipper_core::Reason::Enabled);
    // A map cannot borrow, and must not be dropped.
    let mut map = std::mem::ManuallyDrop::new(serde_json::Map::new());
    let owned: serde_json::Value =
        (0..100_000).fold(1.into(), |value, _| serde_json::Value::Array(vec![value]));
    map.insert("deep".to_owned(), owned);
    assert_eq!(flag.merge_client_data(&*map).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn depth_limits_are_the_same_however_a_value_is_given() {
    for (levels, is_legal) in [(200, true), (201, false)] {
        let own = Value::parse(&("[".repeat(200) + &"]".repeat(200))).unwrap();
        let own = if levels == 201 { Value::Array(vec![own]) } else { own };
        let serde = (0..levels - 1).fold(serde_json::json!([]), |value, _| serde_json::json!([value]));
        let mut flag = switched_on();
        flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(1.0).unwrap(), ["x"])).unwrap();
        assert_eq!(flag.is_enabled(&ctx! { x: &own }), is_legal);
        assert_eq!(flag.is_enabled(&ctx! { x: &serde }), is_legal);
    }
}

#[test]
fn lists_are_kept_without_spare_room() {
    let lists = "[1],".repeat(200_000);
    let text = format!("[{lists}1]");
    let counted = allocation_counter::measure(|| {
        std::hint::black_box(Value::parse(&text).unwrap());
    });
    assert!(counted.bytes_max < 40 * text.len() as u64, "{} bytes for {}", counted.bytes_max, text.len());
}

#[test]
fn switching_off_never_fails_in_silence() {
    let bare = r#"{"feature_name": "X", "is_enabled": 0, "meta": {"created_date": 1}}"#;
    let padding = " ".repeat(flipper_core::json::MAX_BYTES - bare.len());
    let mut flag = Flag::from_json((bare.to_owned() + &padding).as_bytes()).unwrap();
    let error = flag.set_enabled(false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(flag.is_switched_on());
}

#[test]
fn what_python_could_not_read_any_more_is_refused() {
    let mut flag = switched_on();
    let Value::Object(data) = Value::parse(&format!("{{\"k\": [{}]}}", "9".repeat(4_301))).unwrap() else {
        panic!("an object")
    };
    let error = flag.merge_client_data(&data).unwrap_err();
    assert!(error.message().contains("4,300 digits"), "{error}");

    for secs in [-62_135_596_800, -62_135_510_401, 253_402_300_799] {
        let start = Timestamp::from_secs(secs);
        assert!(Percentage::linear_ramp(0.0, 1.0, std::time::Duration::from_secs(1), start).is_err());
    }
}

#[test]
fn integers_beyond_all_floats_are_shares_as_in_python() {
    let huge = "1".to_owned() + &"0".repeat(400);
    let python = Evaluator::new().with_semantics(Semantics::FlipperClient);
    for (percentage, is_on) in [
        (format!(r#"{{"type": "Percentage", "value": {huge}}}"#), true),
        (format!(r#"{{"type": "Percentage", "value": -{huge}}}"#), false),
        (format!(r#"{{"type": "LinearRampPercentage", "final_value": {huge}, "ramp_duration": 0}}"#), true),
        (
            format!(
                r#"{{"type": "LinearRampPercentage", "initial_value": 0, "final_value": 1, "ramp_duration": {huge}, "initial_time": 5}}"#
            ),
            false,
        ),
        // 1 - -9007199254740993 is not the difference of the two nearest doubles.
        (
            format!(
                r#"{{"type": "LinearRampPercentage", "initial_value": -9007199254740993, "final_value": 1, "ramp_duration": 1, "initial_time": {}}}"#,
                1_700_000_000 - 1
            ),
            true,
        ),
    ] {
        let flag = stored("[]", &format!(r#"{{"type": "PercentageBucketer", "percentage": {percentage}}}"#));
        let (clock, random) = (|| Timestamp::from_secs(1_700_000_000), || 0.5);
        let evaluation = python.with_clock(&clock).with_random(&random).evaluate(&flag, &ctx! {}, false);
        assert_eq!(
            (evaluation.value, evaluation.reason == flipper_core::Reason::Unsupported),
            (is_on, false),
            "{percentage}"
        );
    }
}

#[test]
fn a_whitelist_is_a_set_of_values() {
    let flag = stored(
        "[]",
        r#"{"type": "ConsistentHashPercentageBucketer", "key_whitelist": [1, 1.0, true, -0.0, 0, false, "1", 10000000000000000000000, 1e22, "1"]}"#,
    );
    let rewritten = flag.rewritten_by_flipper_client(Timestamp::now()).unwrap();
    assert!(rewritten.contains(r#""key_whitelist": [1, -0.0, "1", 10000000000000000000000]"#), "{rewritten}");
}

mod without_a_prelude {
    #![no_implicit_prelude]

    #[allow(unused_macros, reason = "it must not be used")]
    macro_rules! stringify {
        ($name:tt) => {
            "wrong"
        };
    }

    #[test]
    fn contexts_are_made_whatever_is_in_scope() {
        let context = ::flipper_core::ctx! { r#type: 1, "b": true, (::core::concat!("c", "d")): 1.5 };
        for name in ["type", "b", "cd"] {
            ::core::assert!(context.get(name).is_some(), "{}", name);
        }
    }
}

#[test]
fn attributes_take_what_maps_have() {
    let cow = std::borrow::Cow::Borrowed("x");
    assert_eq!(Attribute::from(&cow), Attribute::Str("x"));
    assert_eq!(Attribute::from(&7_usize), Attribute::Int(7));
}
