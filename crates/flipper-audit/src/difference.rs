//! What has changed between two states of a record.

use flipper_core::json::{Object, Text, Value};

/// One value that has changed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// Where it is, as a JSON pointer (RFC 6901): `/is_enabled`, `/meta/client_data/owner`.
    pub path: String,
    /// What it was; `None` if there was nothing.
    pub from: Option<Value>,
    /// What it is; `None` if there is nothing any more.
    pub to: Option<Value>,
}

/// A place that is named by more bytes is told as a whole. Each difference repeats the names of all that it is in, so that with long ones a short record would
/// have a difference without measure.
const LONGEST_PATH: usize = 1_024;

/// Compares two records, in the order of their members.
pub(crate) fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&mut String::new(), Some(before), Some(after), &mut found);
    found
}

/// Records are at most 200 levels deep.
fn compare(path: &mut String, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    let len = path.len();
    match (before, after) {
        (Some(before), Some(after)) if before == after => {}
        (before, after) if len > LONGEST_PATH => {
            found.push(Difference { path: path.clone(), from: before.cloned(), to: after.cloned() });
        }
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            for (key, value) in before.iter() {
                push(path, &key.to_string_lossy());
                compare(path, Some(value), member(after, key), found);
                path.truncate(len);
            }
            for (key, value) in after.iter() {
                if member(before, key).is_none() {
                    push(path, &key.to_string_lossy());
                    compare(path, None, Some(value), found);
                    path.truncate(len);
                }
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for at in 0..before.len().max(after.len()) {
                push(path, &at.to_string());
                compare(path, before.get(at), after.get(at), found);
                path.truncate(len);
            }
        }
        (before, after) => {
            found.push(Difference { path: path.clone(), from: before.cloned(), to: after.cloned() });
        }
    }
}

fn member<'o>(object: &'o Object, key: &Text) -> Option<&'o Value> {
    match key.as_str() {
        Some(key) => object.get(key),
        // With a half of a surrogate pair in it.
        None => object.iter().find(|(other, _)| *other == key).map(|(_, value)| value),
    }
}

fn push(path: &mut String, member: &str) {
    path.push('/');
    for char in member.chars() {
        match char {
            '~' => path.push_str("~0"),
            '/' => path.push_str("~1"),
            char => path.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(before: &str, after: &str) -> Vec<String> {
        let [before, after] = [before, after].map(|text| Value::parse(text).unwrap());
        let show = |value: Option<Value>| value.map_or_else(|| "-".to_owned(), |value| value.to_json());
        let differences = differences(&before, &after).into_iter();
        differences
            .map(|Difference { path, from, to }| format!("{path} {} {}", show(from), show(to)))
            .collect()
    }

    #[test]
    fn what_differs_is_named_by_its_place() {
        assert_eq!(
            found(
                r#"{"a": 1, "b": {"c": [1, 2], "d/~": 5}, "x": 0}"#,
                r#"{"a": 2, "b": {"c": [1, 3, 4]}, "x": 0, "n": NaN}"#
            ),
            ["/a 1 2", "/b/c/1 2 3", "/b/c/2 - 4", "/b/d~1~0 5 -", "/n - NaN"]
        );
        assert_eq!(found("{}", "{}"), [""; 0]);
        assert_eq!(found(r#"{"\ud800": 1, "a": 1}"#, r#"{"\ud800": 1, "a": 2}"#), ["/a 1 2"]);
        assert_eq!(found("1", "[1]"), [" 1 [1]"]);
        assert_eq!(found(r#"{"a": 1}"#, r#"{"a": 1.0}"#), ["/a 1 1.0"]);
    }

    #[test]
    fn what_differs_takes_no_more_than_its_share_whatever_it_is_called() {
        let record = |value: u32| {
            let members: Vec<_> = (0..1_000).map(|at| format!("\"{at}\": {value}")).collect();
            format!("{{\"{}\": {{{}}}}}", "k".repeat(10_000), members.join(", "))
        };
        let found = found(&record(1), &record(2));
        assert_eq!(found.len(), 1);
        assert!(found[0].len() < 50_000, "{}", found[0].len());
    }
}
