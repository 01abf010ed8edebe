//! Corrupt records and wrong calls: clear errors, no crashes.

use flipper_core::json::MAX_BYTES;
use flipper_core::{ErrorKind, Flag};

fn record(conditions: &str) -> String {
    format!(
        r#"{{"feature_name": "X", "is_enabled": true, "meta": {{"created_date": 1, "conditions": {conditions}}}}}"#
    )
}

#[test]
fn corrupt_records_say_what_and_where() {
    for (text, why) in [
        (String::new(), "found the end at line 1, column 1"),
        ("null".into(), "a flag is a JSON object, not null"),
        ("[1]".into(), "a flag is a JSON object, not an array"),
        (r#"{"feature_name": "X"}"#.into(), "`meta` is missing"),
        (r#"{"feature_name": "X", "meta": {"created_date": 1}}"#.into(), "`is_enabled` is missing"),
        (r#"{"is_enabled": true, "meta": {"created_date": 1}}"#.into(), "`feature_name` is missing"),
        (r#"{"feature_name": "X", "is_enabled": true, "meta": {}}"#.into(), "`meta.created_date` is missing"),
        (
            r#"{"feature_name": "X", "is_enabled": true, "meta": 7}"#.into(),
            "`meta` is an object, not a number",
        ),
        (record("null"), "`meta.conditions` is a list of conditions, not null"),
        (record(r#"{"x": 1}"#), "`meta.conditions` is a list of conditions, not an object"),
        (record("[{}, 5]"), "`meta.conditions[1]`: a condition is an object of checks, not a number"),
        (record(r#"[{"x": 5}]"#), r#"`meta.conditions[0]`: "x" is a list of checks, not a number"#),
        (record(r#"[{"x": [5]}]"#), r#"a check of "x" is an object, not a number"#),
        (record(r#"[{"x": [{"variable": "x", "operator": null}]}]"#), r#"a check of "x" has no `value`"#),
        (record(r#"[{"x": [{"variable": "x", "value": 1}]}]"#), r#"a check of "x" has no `operator`"#),
        (
            record(r#"[{"x": [{"variable": 1, "value": 1, "operator": null}]}]"#),
            "a variable is a text, not a number",
        ),
    ] {
        let error = Flag::from_json(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{text}");
        assert!(error.message().contains(why), "{text}: {error}");
    }
}

#[test]
fn bytes_that_are_no_text_are_an_error() {
    let mut bytes = record("[]").into_bytes();
    bytes[20] = 0xff;
    let error = Flag::from_json(&bytes).unwrap_err();
    assert!(error.message().contains("bytes that are not UTF-8 at line 1, column 21 (byte 20)"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn huge_and_deep_records_are_errors() {
    let deep = |depth: usize| record(&("[".repeat(depth) + &"]".repeat(depth)));
    for text in [deep(10_000), deep(1_000_000), "[".repeat(10_000), "{\"a\":".repeat(10_000)] {
        let error = Flag::from_json(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.message().contains("more than 200 arrays and objects"), "{error}");
    }
    let huge = record(&format!("\"{}\"", "x".repeat(100_000_000)));
    let error = Flag::from_json(huge.as_bytes()).unwrap_err();
    assert!(
        error.message().contains(&format!("more than the {MAX_BYTES} that a record may have")),
        "{error}"
    );
}
