//! Lines of JSON, written and read.

use serde::de::IgnoredAny;

/// Appends a member after another one.
pub(crate) fn member(out: &mut String, name: &str, value: impl FnOnce(&mut String)) {
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":");
    value(out);
}

pub(crate) fn text(out: &mut String, text: &str) {
    // A text has no reason to fail.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

pub(crate) fn option<T>(out: &mut String, value: Option<T>, write: impl FnOnce(&mut String, T)) {
    match value {
        Some(value) => write(out, value),
        None => out.push_str("null"),
    }
}

pub(crate) fn list<T>(out: &mut String, elements: &[T], write: impl Fn(&mut String, &T)) {
    out.push('[');
    for (at, element) in elements.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(out, element);
    }
    out.push(']');
}

/// Appends a value in Python's dialect of JSON: as it is, if that is JSON in one line, else as a text that holds it.
pub(crate) fn embed(out: &mut String, value: &str) {
    let is_json = !value.contains(['\n', '\r']) && serde_json::from_str::<IgnoredAny>(value).is_ok();
    // A text would be taken for one that holds the value.
    if is_json && !value.starts_with('"') {
        out.push_str(value);
    } else {
        text(out, value);
    }
}

/// [Embeds](embed) a value, as a text as well if it has more levels than it may have.
pub(crate) fn embed_within(out: &mut String, value: &str, levels: usize) {
    if levels_of(value) > levels { text(out, value) } else { embed(out, value) }
}

/// How many arrays and objects are in one another.
fn levels_of(value: &str) -> usize {
    let (mut level, mut most, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in value.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => {
                level += 1;
                most = most.max(level);
            }
            b']' | b'}' if !is_text => level = level.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// Takes a value that was [embedded](embed) out again; `None` if it is null, or no such thing.
#[cfg(feature = "log")]
pub(crate) fn embedded(value: &str) -> Option<String> {
    match value.as_bytes().first()? {
        b'"' => serde_json::from_str(value).ok(),
        b'n' => None,
        _ => Some(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_counted_and_not_what_is_in_texts() {
        for (value, levels) in [("5", 0), ("[]", 1), (r#"{"a[[": [{"b": "\"[{"}], "c": []}"#, 3)] {
            assert_eq!(levels_of(value), levels, "{value}");
        }
    }

    #[test]
    fn what_is_embedded_is_json_in_one_line_and_comes_back() {
        for value in [
            "{}",
            r#"{"a":   1E5, "b": [1e400]}"#,
            r#"{"a": NaN}"#,
            "{\n}",
            r#""text""#,
            "[\"\\ud800\"]",
            "5",
        ] {
            let mut out = String::new();
            embed(&mut out, value);
            assert!(!out.contains('\n') && serde_json::from_str::<IgnoredAny>(&out).is_ok(), "{out}");
            assert_eq!(embedded(&out).as_deref(), Some(value));
        }
    }
}
