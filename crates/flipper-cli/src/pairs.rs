//! `key=value`, as it is written on the command line.

use flipper::json::{Object, Value};
use flipper::{Condition, ContextBuf};

use crate::failure::Result;

/// A name with its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pair {
    /// What is before the first `=`.
    pub(crate) name: String,
    /// What is behind it: JSON, or else text.
    pub(crate) value: Value,
    /// Whether it is text that was not written as JSON.
    pub(crate) is_bare: bool,
}

/// Reads `key=value`.
pub(crate) fn pair(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some(("", _)) => Err("there is nothing before the `=`: write `key=value`".to_owned()),
        Some((name, value)) => {
            let (value, is_bare) = value_of(value);
            Ok(Pair { name: name.to_owned(), value, is_bare })
        }
        None => Err("write `key=value`".to_owned()),
    }
}

/// Reads the name of an attribute. An empty one is a slip, as of a variable that a script has forgotten to set: all users would be alike.
pub(crate) fn attribute(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("an attribute has a name".to_owned()) } else { Ok(text.to_owned()) }
}

/// Reads a value: JSON, or else text. Returns whether it is text that was not written as JSON.
pub(crate) fn value_of(text: &str) -> (Value, bool) {
    match Value::parse(text) {
        Ok(value) => (value, false),
        Err(_) => (text.into(), true),
    }
}

/// Makes a context; of a name that is there twice, the last value counts.
pub(crate) fn context(pairs: &[Pair]) -> ContextBuf<'_> {
    pairs.iter().map(|pair| (pair.name.as_str(), &pair.value)).collect()
}

/// Makes an object; of a key that is there twice, the last value counts.
pub(crate) fn object(pairs: &[Pair]) -> Object {
    let mut object = Object::default();
    for Pair { name, value, .. } in pairs {
        object.insert(name.as_str(), value.clone());
    }
    object
}

/// Makes a condition of checks in flipper-client's text form.
pub(crate) fn condition(pairs: &[Pair]) -> flipper::Result<Condition> {
    if let Some(Pair { name, .. }) = pairs.iter().find(|pair| pair.name.starts_with("__")) {
        let message = format!("`{name}` is no check: the attribute's name is missing before the `__`");
        return Err(flipper::Error::new(flipper::ErrorKind::InvalidInput, message));
    }
    let of_bare_text = pairs
        .iter()
        .find(|pair| pair.is_bare && (pair.name.ends_with("__in") || pair.name.ends_with("__not_in")));
    if let Some(Pair { name, value, .. }) = of_bare_text {
        // A bare text would be looked for in, where a list is nearly always meant.
        let message = format!(
            "`{name}` takes a list, such as '{name}=[\"a\", \"b\"]'; to look for a part of a text, write '{name}={value}'"
        );
        return Err(flipper::Error::new(flipper::ErrorKind::InvalidInput, message));
    }
    Condition::from_keywords(pairs.iter().map(|pair| (pair.name.as_str(), pair.value.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_json_or_else_text() {
        for (text, name, value) in [
            ("a=1", "a", "1"),
            ("a=true", "a", "true"),
            ("a=\"1\"", "a", "\"1\""),
            ("a=gold", "a", "\"gold\""),
            ("a=007", "a", "\"007\""),
            ("a=", "a", "\"\""),
            ("a=x=y", "a", "\"x=y\""),
            ("é a=[1, \"b\"]", "é a", "[1, \"b\"]"),
        ] {
            let read = pair(text).unwrap();
            assert_eq!((read.name.as_str(), read.value.to_json().as_str()), (name, value));
        }
        assert!(pair("a").is_err() && pair("=1").is_err());
    }

    #[test]
    fn a_condition_is_written_in_the_seeds_text_form() {
        let pairs: Vec<_> =
            ["is_admin=true", "number__gt=9000"].iter().map(|text| pair(text).unwrap()).collect();
        assert_eq!(condition(&pairs).unwrap().to_string(), "is_admin == true and number > 9000");
        let error = condition(&[pair("country__in=DE,FR").unwrap()]).unwrap_err();
        assert!(error.message().contains("'country__in=[\"a\", \"b\"]'"), "{error}");
        assert!(condition(&[pair("__gt=1").unwrap()]).unwrap_err().message().contains("name is missing"));
        assert!(condition(&[pair("text__in=\"part\"").unwrap()]).is_ok());
    }
}
