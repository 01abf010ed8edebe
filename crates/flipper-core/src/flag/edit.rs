//! Edits: what is about the edit is replaced, everything else keeps its bytes.

use std::collections::HashMap;
use std::ops::Range;

use super::{Flag, read};
use crate::condition::has_unreadable_int;
use crate::json::{Document, Kind, MAX_DEPTH, Node, Object, Text, Value, into_string, separate, write_text};
use crate::{Bucketer, Condition, Error, ErrorKind, Result};

impl Flag {
    /// Switches the flag on or off.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) when the record would become longer than
    /// [`MAX_BYTES`](crate::json::MAX_BYTES); the flag is unchanged then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, Flag, FlagName, Percentage, Reason, Timestamp, ctx};
    /// # let mut flag = Flag::new(FlagName::new("CHECKOUT")?, Timestamp::from_secs(1_700_000_000));
    /// # flag.set_enabled(true)?;
    /// flag.set_enabled(false)?;
    /// assert!(!flag.is_enabled(&Context::EMPTY));
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn set_enabled(&mut self, is_enabled: bool) -> Result<()> {
        let constant = if is_enabled { "true" } else { "false" };
        self.splice(|fields| Ok(vec![(fields.is_enabled.span(), constant.to_owned())]))
    }

    /// Merges data of the application into what is stored with the flag.
    ///
    /// The merge is shallow: a key that is there already gets the new value whole, in its place; new keys come last;
    /// no key is removed.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) when the record holds something else than an object there, or would
    /// become longer than [`MAX_BYTES`](crate::json::MAX_BYTES) or deeper than [`MAX_DEPTH`](crate::json::MAX_DEPTH),
    /// and for an integer of more than 4,300 digits, with which Python could not read the flag any more. The flag is
    /// unchanged then.
    ///
    /// # Examples
    ///
    /// ```
    /// use flipper_core::{Flag, FlagName, Timestamp};
    /// use serde_json::json;
    ///
    /// let mut flag = Flag::new(FlagName::new("X")?, Timestamp::now());
    /// flag.merge_client_data([("owner", "horses")])?;
    /// flag.merge_client_data(json!({"ttl": 3600, "tags": ["beta"]}).as_object().unwrap())?;
    /// flag.merge_client_data([("ttl", 60)])?;
    /// assert_eq!(flag.client_data().to_json(), r#"{"owner": "horses", "tags": ["beta"], "ttl": 60}"#);
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn merge_client_data(&mut self, data: impl Into<Object>) -> Result<()> {
        let data = data.into();
        refuse_unreadable("client data", &data)?;
        self.splice(|fields| {
            let stored = match fields.client_data {
                Some(object) if object.kind() == Kind::Object => object,
                Some(falsy) if falsy.is_falsy() => {
                    return Ok(vec![(falsy.span(), Value::Object(data).to_json())]);
                }
                None => {
                    let member = format!("\"client_data\": {}", Value::Object(data).to_json());
                    return Ok(vec![append(fields.meta, &[member])]);
                }
                Some(other) => {
                    return Err(Error::invalid(format!(
                        "the record holds {} as client data: there is nothing to merge into",
                        other.type_name()
                    )));
                }
            };
            Ok(merged(stored, &data))
        })
    }

    /// Adds a condition after those that are there.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) when the record would become too long or too deep; the flag is
    /// unchanged then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, Flag, FlagName, Percentage, Reason, Timestamp, ctx};
    /// # let mut flag = Flag::new(FlagName::new("CHECKOUT")?, Timestamp::from_secs(1_700_000_000));
    /// # flag.set_enabled(true)?;
    /// flag.add_condition(&Condition::builder().eq("plan", "gold").build()?)?;
    /// assert!(!flag.is_enabled(&ctx! { plan: "lead" }));
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn add_condition(&mut self, condition: &Condition) -> Result<()> {
        self.splice(|fields| {
            Ok(vec![match fields.conditions {
                Some(list) if list.kind() == Kind::Array => append(list, &[conditions_text(&[condition])]),
                Some(empty) => (empty.span(), format!("[{}]", conditions_text(&[condition]))),
                None => {
                    append(fields.meta, &[format!("\"conditions\": [{}]", conditions_text(&[condition]))])
                }
            }])
        })
    }

    /// Replaces all conditions; with none, the flag has none.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) when the record would become too long or too deep; the flag is
    /// unchanged then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, Flag, FlagName, Percentage, Reason, Timestamp, ctx};
    /// # let mut flag = Flag::new(FlagName::new("CHECKOUT")?, Timestamp::from_secs(1_700_000_000));
    /// # flag.set_enabled(true)?;
    /// flag.set_conditions(&[Condition::builder().eq("plan", "gold").build()?])?;
    /// assert_eq!(flag.conditions().len(), 1);
    /// flag.set_conditions([])?;
    /// assert!(flag.conditions().is_empty());
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn set_conditions<'c>(&mut self, conditions: impl IntoIterator<Item = &'c Condition>) -> Result<()> {
        let conditions: Vec<_> = conditions.into_iter().collect();
        let list = format!("[{}]", conditions_text(&conditions));
        self.splice(|fields| Ok(vec![replace_or_append(fields.conditions, fields.meta, "conditions", list)]))
    }

    /// Replaces the bucketer.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) when the record would become too long or too deep; the flag is
    /// unchanged then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, Flag, FlagName, Percentage, Reason, Timestamp, ctx};
    /// # let mut flag = Flag::new(FlagName::new("CHECKOUT")?, Timestamp::from_secs(1_700_000_000));
    /// # flag.set_enabled(true)?;
    /// flag.set_bucketer(&Bucketer::percentage(Percentage::new(0.0)?))?;
    /// assert_eq!(flag.evaluate(&Context::EMPTY).reason, Reason::OutOfBucket);
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn set_bucketer(&mut self, bucketer: &Bucketer) -> Result<()> {
        let mut text = Vec::new();
        bucketer.write(&mut text);
        let text = into_string(text);
        self.splice(|fields| Ok(vec![replace_or_append(fields.bucketer, fields.meta, "bucketer", text)]))
    }

    /// Replaces members of the flag's metadata, as they are stored: `client_data`, `created_date`, `conditions`, `bucketer`, or those of
    /// a newer writer. What `meta` does not have stays as it is.
    ///
    /// This is for those who take metadata as a whole from elsewhere, such as a server. Applications have
    /// [`merge_client_data`](Self::merge_client_data), [`set_conditions`](Self::set_conditions) and
    /// [`set_bucketer`](Self::set_bucketer), which refuse what flipper-client could not evaluate.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) when the record could not be read any more, as with conditions that are no list, or would
    /// become too long or too deep, and for an integer of more than 4,300 digits; the flag is unchanged then.
    ///
    /// # Examples
    ///
    /// ```
    /// use flipper_core::{Flag, FlagName, Timestamp, json::Object};
    ///
    /// let mut flag = Flag::new(FlagName::new("X")?, Timestamp::from_secs(1));
    /// let mut meta = Object::default();
    /// meta.insert("created_date", 1_700_000_000);
    /// flag.merge_meta(&meta)?;
    /// assert_eq!(flag.created_date(), Some(1_700_000_000));
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn merge_meta(&mut self, meta: &Object) -> Result<()> {
        refuse_unreadable("meta", meta)?;
        self.splice(|fields| Ok(merged(fields.meta, meta)))
    }

    /// Replaces spans of the record and reads the result anew. On an error the flag is unchanged.
    fn splice(
        &mut self,
        edits: impl FnOnce(&read::Fields<'_>) -> Result<Vec<(Range<usize>, String)>>,
    ) -> Result<()> {
        let document = Document::parse(&self.text)?;
        let mut edits = edits(&read::Fields::of(document.root())?)?;
        edits.sort_by_key(|(span, _)| span.start);
        let mut text =
            String::with_capacity(self.text.len() + edits.iter().map(|(_, new)| new.len()).sum::<usize>());
        let mut kept = 0;
        for (span, new) in edits {
            text.push_str(&self.text[kept..span.start]);
            text.push_str(&new);
            kept = span.end;
        }
        text.push_str(&self.text[kept..]);
        *self = read::read(Some(self.name()), text.as_bytes()).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, format!("the edited flag: {}", error.message()))
        })?;
        Ok(())
    }
}

/// Refuses values that could not be read any more, by whomever.
fn refuse_unreadable(what: &str, object: &Object) -> Result<()> {
    for (key, value) in object.iter() {
        if value.is_deeper_than(MAX_DEPTH) {
            return Err(too_deep());
        }
        if has_unreadable_int(value) {
            return Err(Error::invalid(format!(
                "{what} {key:?}: an integer of more than 4,300 digits cannot be read by flipper-client"
            )));
        }
    }
    Ok(())
}

/// Edits that give members of an object other values, and put new ones behind those that are there.
fn merged(stored: Node<'_>, data: &Object) -> Vec<(Range<usize>, String)> {
    // Of a key that is there twice, the last value counts.
    let known: HashMap<_, _> = stored.members().map(|(key, value)| (key.string(), value)).collect();
    let mut edits = Vec::new();
    let mut added = Vec::new();
    for (key, value) in data.iter() {
        match known.get(key.as_wtf8()) {
            Some(old) => edits.push((old.span(), value.to_json())),
            None => added.push(format!("{}: {}", quoted(key), value.to_json())),
        }
    }
    if !added.is_empty() {
        edits.push(append(stored, &added));
    }
    edits
}

fn too_deep() -> Error {
    Error::invalid(format!("the edited flag: more than {MAX_DEPTH} arrays and objects in one another"))
}

/// An edit that puts members or elements behind those of an object or a list.
fn append(container: Node<'_>, new: &[String]) -> (Range<usize>, String) {
    let span = container.span();
    let separator = if container.is_falsy() { "" } else { ", " };
    // An empty container may have white space in it; what is new goes right before the bracket.
    (span.end - 1..span.end - 1, format!("{separator}{}", new.join(", ")))
}

fn replace_or_append(
    old: Option<Node<'_>>,
    meta: Node<'_>,
    key: &str,
    new: String,
) -> (Range<usize>, String) {
    match old {
        Some(old) => (old.span(), new),
        None => append(meta, &[format!("\"{key}\": {new}")]),
    }
}

fn quoted(key: &Text) -> String {
    let mut text = Vec::new();
    write_text(key.as_wtf8(), &mut text);
    into_string(text)
}

fn conditions_text(conditions: &[&Condition]) -> String {
    let mut text = Vec::new();
    for (at, condition) in conditions.iter().enumerate() {
        separate(at, &mut text);
        condition.write(&mut text);
    }
    into_string(text)
}
