//! What has changed between two states of a record.

use flipper_core::json::Value;

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
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            for (key, value) in before.iter() {
                push(path, &key.to_string_lossy());
                compare(path, Some(value), key.as_str().and_then(|key| after.get(key)), found);
                path.truncate(len);
            }
            for (key, value) in after.iter() {
                if key.as_str().is_none_or(|key| before.get(key).is_none()) {
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
        assert_eq!(found("1", "[1]"), [" 1 [1]"]);
        assert_eq!(found(r#"{"a": 1}"#, r#"{"a": 1.0}"#), ["/a 1 1.0"]);
    }
}
