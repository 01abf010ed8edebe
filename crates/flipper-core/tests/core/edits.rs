//! What others wrote survives: read, edit, write.

use flipper_core::json::{Object, Value};
use flipper_core::{Bucketer, Condition, ErrorKind, Flag, FlagName, Percentage, Timestamp};
use serde_json::json;

/// A record with something of everything that another writer may have put there.
const FOREIGN: &str = r#" {"owner":"é\ud800", "is_enabled" : true,"feature_name":"X","n":[1E5,1e400,NaN,-Infinity,1208925819614629174706176,-0.0,1.50],
  "meta": {"bucketer": {"type": "Sticky", "by": ["a"]}, "a": 1, "a": 2, "created_date": 1.0e9,
    "conditions": [{"x": [{"variable": "x", "value": 1, "operator": "between", "to": 5}]} ],
    "client_data": {"z": 1, "a": {"k": [ ]}, "z": 2.0} } }
"#;

#[test]
fn an_edit_changes_what_it_is_about_and_no_other_byte() {
    let mut flag = Flag::from_json(FOREIGN.as_bytes()).unwrap();
    assert_eq!(flag.as_json(), FOREIGN);

    flag.set_enabled(false).unwrap();
    let expected = FOREIGN.replacen(r#""is_enabled" : true"#, r#""is_enabled" : false"#, 1);
    assert_eq!(flag.as_json(), expected);

    flag.merge_client_data(json!({"a": null, "new": "ü"}).as_object().unwrap()).unwrap();
    let expected =
        expected.replacen(r#""a": {"k": [ ]}, "z": 2.0}"#, r#""a": null, "z": 2.0, "new": "\u00fc"}"#, 1);
    assert_eq!(flag.as_json(), expected);

    flag.merge_client_data(json!({"z": 3}).as_object().unwrap()).unwrap();
    let expected = expected.replacen(r#""z": 2.0"#, r#""z": 3"#, 1);
    assert_eq!(flag.as_json(), expected, "of a key that is there twice, the last one counts");

    flag.add_condition(&Condition::builder().eq("y", true).build().unwrap()).unwrap();
    let expected = expected.replacen(
        r#""to": 5}]} ]"#,
        r#""to": 5}]} , {"y": [{"variable": "y", "value": true, "operator": null}]}]"#,
        1,
    );
    assert_eq!(flag.as_json(), expected);

    flag.set_bucketer(&Bucketer::NoOp).unwrap();
    let expected = expected.replacen(r#"{"type": "Sticky", "by": ["a"]}"#, r#"{"type": "NoOpBucketer"}"#, 1);
    assert_eq!(flag.as_json(), expected);

    flag.set_conditions([]).unwrap();
    assert!(
        flag.conditions().is_empty() && flag.as_json().contains(r#""conditions": [],"#),
        "{}",
        flag.as_json()
    );
}

#[test]
fn what_is_missing_is_added() {
    let bare = r#"{"feature_name": "X", "is_enabled": true, "meta": {"created_date": 1}}"#;
    let mut flag = Flag::from_json(bare.as_bytes()).unwrap();
    assert_eq!(flag.client_data(), Value::Object(Object::default()));
    flag.add_condition(&Condition::builder().eq("y", 1).build().unwrap()).unwrap();
    flag.set_bucketer(&Bucketer::percentage(Percentage::new(0.5).unwrap())).unwrap();
    flag.merge_client_data(json!({"k": 1}).as_object().unwrap()).unwrap();
    assert_eq!(
        flag.as_json(),
        r#"{"feature_name": "X", "is_enabled": true, "meta": {"created_date": 1, "conditions": [{"y": [{"variable": "y", "value": 1, "operator": null}]}], "bucketer": {"type": "PercentageBucketer", "percentage": {"type": "Percentage", "value": 0.5}}, "client_data": {"k": 1}}}"#
    );
}

#[test]
fn falsy_client_data_is_replaced_and_other_kinds_are_refused() {
    for falsy in ["null", "0", "\"\"", "[]", "false"] {
        let text = format!(
            r#"{{"feature_name": "X", "is_enabled": true, "meta": {{"client_data": {falsy}, "created_date": 1}}}}"#
        );
        let mut flag = Flag::from_json(text.as_bytes()).unwrap();
        flag.merge_client_data(json!({"k": 1}).as_object().unwrap()).unwrap();
        assert_eq!(flag.as_json(), text.replacen(falsy, r#"{"k": 1}"#, 1));
    }
    let text =
        r#"{"feature_name": "X", "is_enabled": true, "meta": {"client_data": "mine", "created_date": 1}}"#;
    let mut flag = Flag::from_json(text.as_bytes()).unwrap();
    let error = flag.merge_client_data(json!({"k": 1}).as_object().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("a string as client data"), "{error}");
    assert_eq!(flag.as_json(), text);
}

#[test]
fn an_edit_that_would_make_the_record_unreadable_leaves_it_alone() {
    let mut flag = super::switched_on();
    let before = flag.clone();
    let mut deep = json!(1);
    for _ in 0..250 {
        deep = json!([deep]);
    }
    let error = flag.merge_client_data(json!({"deep": deep}).as_object().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("more than 200"), "{error}");
    let huge = "x".repeat(flipper_core::json::MAX_BYTES);
    assert_eq!(
        flag.merge_client_data(json!({"k": huge}).as_object().unwrap()).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(flag, before);
}

#[test]
fn values_that_serde_json_cannot_hold_are_merged_too() {
    let mut flag = super::switched_on();
    let data = Value::parse(r#"{"nan": NaN, "big": 1208925819614629174706176, "lone": "\ud800"}"#).unwrap();
    let Value::Object(data) = data else { panic!("an object") };
    flag.merge_client_data(&data).unwrap();
    assert_eq!(
        flag.client_data().to_json(),
        r#"{"nan": NaN, "big": 1208925819614629174706176, "lone": "\ud800"}"#
    );
}

#[test]
fn the_key_is_the_name() {
    let text = br#"{"feature_name": "old", "is_enabled": true, "meta": {"created_date": 1}}"#;
    let mut flag = Flag::read(FlagName::new("new").unwrap(), text).unwrap();
    assert_eq!((flag.name(), flag.stored_name().as_deref()), ("new", Some("old")));
    flag.set_enabled(false).unwrap();
    assert_eq!((flag.name(), flag.stored_name().as_deref()), ("new", Some("old")), "an edit renames nothing");
    let error = Flag::read(FlagName::new("new").unwrap(), b"{").unwrap_err();
    assert_eq!((error.kind(), error.flag()), (ErrorKind::Corrupt, Some("new")));
}

#[test]
fn names_that_no_store_takes_can_still_be_read() {
    for (name, ours) in [("\"\"", ""), (r#""\u0000""#, "\0"), ("5", "5"), ("null", "null")] {
        let text =
            format!(r#"{{"feature_name": {name}, "is_enabled": true, "meta": {{"created_date": 1}}}}"#);
        assert_eq!(Flag::from_json(text.as_bytes()).unwrap().name(), ours);
    }
}

#[test]
fn conditions_and_bucketers_of_one_flag_can_be_given_to_another() {
    let conditions = r#"[{"x": [{"variable": "x", "value": 1, "operator": "between"}, {"variable": "x", "value": 2, "operator": 0}]}]"#;
    let bucketer = r#"{"type": "ConsistentHashPercentageBucketer", "percentage": {"type": "Sine", "hz": 5}, "key_whitelist": [null, "a"]}"#;
    let from = super::stored(conditions, bucketer);
    let mut to = super::switched_on();
    to.set_conditions(from.conditions()).unwrap();
    to.set_bucketer(from.bucketer()).unwrap();
    assert_eq!(to.conditions(), from.conditions());
    assert_eq!(to.bucketer(), from.bucketer());
    assert!(
        to.as_json().contains(r#""operator": "between"}"#)
            && to.as_json().contains(r#"{"type": "Sine", "hz": 5}"#)
    );
}

#[test]
fn a_ramp_that_starts_within_a_second_is_given_on_as_it_is() {
    for start in ["1700000000.5", "1700000000.1234567", "-5.9", "253402300799.99997", "0.000001"] {
        let from = super::stored(
            "[]",
            &format!(
                r#"{{"type": "PercentageBucketer", "percentage": {{"type": "LinearRampPercentage", "initial_time": {start}}}}}"#
            ),
        );
        let mut to = super::switched_on();
        to.set_bucketer(from.bucketer()).unwrap();
        assert_eq!(to.bucketer(), from.bucketer(), "{start}");
    }
}

#[test]
fn a_new_flag_is_what_flipper_client_writes() {
    let flag = Flag::new(FlagName::new("é/\"").unwrap(), Timestamp::from_micros(1_700_000_000_999_999));
    let expected = r#"{"feature_name": "\u00e9/\"", "is_enabled": false, "meta": {"client_data": {}, "created_date": 1700000000, "conditions": [], "bucketer": {"type": "NoOpBucketer"}}}"#;
    assert_eq!(flag.as_json(), expected);
    assert_eq!(flag, Flag::from_json(expected.as_bytes()).unwrap());
    assert_eq!(flag.created_date(), Some(1_700_000_000));
    assert_eq!(flag.rewritten_by_flipper_client(Timestamp::now()).unwrap(), expected);
}
