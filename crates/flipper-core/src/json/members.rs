//! Many records in one text.

use std::ops::Range;

use super::Text;
use super::tape::{Document, Kind};
use crate::{Error, Result};

/// Splits an object into its members: each name, and where its value stands in the text.
///
/// This is for a file that holds many records: it may be up to 4 GiB long, where a record is limited to
/// [`MAX_BYTES`](super::MAX_BYTES), and one level deeper than a record. All of the text is checked to be JSON. A name that stands twice comes twice.
///
/// # Errors
///
/// [`Corrupt`](crate::ErrorKind::Corrupt) if the text is no JSON object, saying in which line and column, and
/// after which name.
///
/// # Examples
///
/// ```
/// use flipper_core::json;
///
/// let text = r#"{"A": {"n": 1}, "B": [2]}"#;
/// let members = json::members(text)?;
/// assert_eq!(members[1].0.as_str(), Some("B"));
/// assert_eq!(&text[members[1].1.clone()], "[2]");
///
/// let error = json::members("{\n  \"A\": tru }").unwrap_err();
/// assert!(error.message().contains("expected a value, found 't' in \"A\" at line 2, column 8"));
/// # Ok::<(), flipper_core::Error>(())
/// ```
pub fn members(text: &str) -> Result<Vec<(Text, Range<usize>)>> {
    let document = Document::parse_long(text)?;
    let root = document.root();
    if root.kind() != Kind::Object {
        return Err(Error::corrupt(format!("a JSON object is expected, not {}", root.type_name())));
    }
    Ok(root.members().map(|(name, value)| (Text::from_wtf8(&*name.string()), value.span())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_may_be_as_deep_as_by_itself() {
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Document::parse(&deep(200)).is_ok() && Document::parse(&deep(201)).is_err());
        assert!(members(&format!("{{\"a\": {}}}", deep(200))).is_ok());
        assert!(members(&format!("{{\"a\": {}}}", deep(201))).is_err());
    }

    #[test]
    fn mistakes_are_told_with_the_member_that_they_are_in() {
        for (text, wrong) in [
            ("", "expected a value, found the end at line 1"),
            ("[1, x]", "expected a value, found 'x' at line 1"),
            ("{x}", "expected a key in double quotes, found 'x' at line 1"),
            ("{\"a\"}", "expected `:`, found '}' in \"a\""),
            ("{\"a\": {\"b\": [1, {\"c\": x", "found 'x' in \"a\""),
            ("{\"a\": {\"b\": [1]}, \"é\": [{}, {}], \"d\" x", "expected `:`, found 'x' in \"d\""),
            ("{\"a\": {\"b\": [1]}, \"é\": [{}, {}] x", "found 'x' in \"é\""),
            ("{\"a\": 1, \"b\": 2} x", "expected the end, found 'x' in \"b\""),
        ] {
            let error = members(text).unwrap_err();
            assert!(error.message().contains(wrong), "{text}: {error}");
        }
    }
}
