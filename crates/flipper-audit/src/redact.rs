//! What is not to be shown.

use std::collections::HashSet;
use std::sync::Arc;

use flipper_core::Flag;
use flipper_core::json::{Object, Value};

/// What stands in the place of a value.
const REDACTED: &str = "[redacted]";

/// Hides values of client data, by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redaction(Arc<HashSet<Box<str>>>);

impl Redaction {
    pub(crate) fn new<K: Into<Box<str>>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self(Arc::new(keys.into_iter().map(Into::into).collect()))
    }

    /// The text of a record, without what is hidden.
    ///
    /// Without anything to hide, these are the stored bytes. Else the record is written anew, so that nothing is left of
    /// members that stand twice.
    pub(crate) fn shown(&self, flag: &Flag) -> String {
        if self.0.is_empty() {
            return flag.as_json().to_owned();
        }
        match Value::parse(flag.as_json()) {
            Ok(Value::Object(mut record)) => {
                if let Some(Value::Object(meta)) = record.get("meta") {
                    let mut meta = meta.clone();
                    if let Some(data) = meta.get("client_data") {
                        let data = self.hide(data);
                        meta.insert("client_data", data);
                    }
                    record.insert("meta", Value::Object(meta));
                }
                Value::Object(record).to_json()
            }
            // No flag is such a text.
            _ => "null".to_owned(),
        }
    }

    fn hide(&self, value: &Value) -> Value {
        match value {
            Value::Array(elements) => {
                Value::Array(elements.iter().map(|element| self.hide(element)).collect())
            }
            Value::Object(object) => {
                let mut shown = Object::default();
                for (key, value) in object.iter() {
                    let is_hidden = key.as_str().is_some_and(|key| self.0.contains(key));
                    shown.insert(key.clone(), if is_hidden { REDACTED.into() } else { self.hide(value) });
                }
                Value::Object(shown)
            }
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(data: &str) -> Flag {
        let record = format!(
            r#"{{"feature_name": "X", "is_enabled": true, "meta": {{"created_date": 1, "client_data": {data}}}}}"#
        );
        Flag::from_json(record.as_bytes()).unwrap()
    }

    #[test]
    fn keys_are_hidden_at_any_depth() {
        let redaction = Redaction::new(["email", "token"]);
        let shown = redaction.shown(&flag(
            r#"{"email": "a@b", "owner": {"token": {"deep": "s3cret"}, "name": "x"}, "list": [{"email": 5}]}"#,
        ));
        assert!(!shown.contains("a@b") && !shown.contains("s3cret") && !shown.contains('5'), "{shown}");
        assert!(shown.contains(r#""name": "x""#) && shown.matches(REDACTED).count() == 3, "{shown}");
    }

    #[test]
    fn a_member_that_stands_twice_hides_nothing_from_the_hiding() {
        let flag = Flag::from_json(
            br#"{"feature_name": "X", "is_enabled": true, "meta": {"created_date": 1, "client_data": {"token": "s3cret"},
                "client_data": {"a": 1}, "token": "of no client data"}}"#,
        );
        let shown = Redaction::new(["token"]).shown(&flag.unwrap());
        assert!(!shown.contains("s3cret") && shown.contains("of no client data"), "{shown}");
    }

    #[test]
    fn with_nothing_to_hide_the_bytes_are_the_stored_ones() {
        let flag = flag(r#"{"a":   1E5}"#);
        assert_eq!(Redaction::default().shown(&flag), flag.as_json());
    }
}
