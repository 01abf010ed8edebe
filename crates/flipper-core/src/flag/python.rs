//! What flipper-client makes of a record.

use std::collections::HashSet;

use super::{Flag, read};
use crate::condition::PYTHON_INT_DIGITS;
use crate::json::{self, Document, Kind, Node, Sink, Text, Value, into_string, write_int, write_value};
use crate::{Error, ErrorKind, Result, Timestamp};

impl Flag {
    /// Returns the bytes that flipper-client 1.3.2 would store if it read this flag and wrote it back at a time.
    ///
    /// Python drops the fields that it does not know, fills in those that are missing, and prints everything in its
    /// own format. The names of a whitelist come in the order of the record; in Python their order changes from
    /// process to process.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) when flipper-client cannot read the flag; the message names the
    /// exception that it raises and where.
    ///
    /// # Examples
    ///
    /// ```
    /// use flipper_core::{Flag, Timestamp};
    ///
    /// let flag = Flag::from_json(br#"{"is_enabled":1E2, "feature_name":"X", "owner":"me", "meta":{"created_date":1}}"#)?;
    /// assert_eq!(
    ///     flag.rewritten_by_flipper_client(Timestamp::now())?,
    ///     r#"{"feature_name": "X", "is_enabled": 100.0, "meta": {"client_data": {}, "created_date": 1, "conditions": [], "bucketer": {"type": "NoOpBucketer"}}}"#
    /// );
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn rewritten_by_flipper_client(&self, now: Timestamp) -> Result<String> {
        let document = Document::parse(self.as_json())?;
        if document.has_int_longer_than(PYTHON_INT_DIGITS) {
            return Err(raises("ValueError", "an integer of more than 4,300 digits"));
        }
        let fields = read::Fields::of(document.root())?;
        let mut out = Vec::with_capacity(self.as_json().len() + 64);
        out.put(b"{\"feature_name\": ");
        write_node(fields.name, &mut out);
        out.put(b", \"is_enabled\": ");
        write_node(fields.is_enabled, &mut out);
        out.put(b", \"meta\": {\"client_data\": ");
        match fields.client_data.filter(|data| !data.is_falsy()) {
            Some(data) => write_node(data, &mut out),
            None => out.put(b"{}"),
        }
        out.put(b", \"created_date\": ");
        write_node(fields.created_date, &mut out);
        out.put(b", \"conditions\": [");
        for (at, condition) in self.conditions().iter().enumerate() {
            json::separate(at, &mut out);
            for check in condition.checks() {
                let Some(operator) = check.operator() else {
                    return Err(raises(
                        "InvalidSymbolError",
                        &format!("in the check `{}`", json::shortened(&check.to_string())),
                    ));
                };
                if operator.symbol().is_none() && *check.variable() == "self" {
                    return Err(raises("TypeError", "for a check whose variable is `self`"));
                }
            }
            condition.write(&mut out);
        }
        out.put(b"], \"bucketer\": ");
        write_bucketer(fields.bucketer.filter(|bucketer| bucketer.kind() != Kind::Null), now, &mut out)?;
        out.put(b"}}");
        Ok(into_string(out))
    }
}

fn raises(exception: &str, what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("flipper-client raises {exception} {what}"))
}

fn write_node(node: Node<'_>, out: &mut impl Sink) {
    let _ = write_value(&Value::from_node(node), out);
}

fn write_bucketer(node: Option<Node<'_>>, now: Timestamp, out: &mut impl Sink) -> Result<()> {
    let Some(node) = node else {
        out.put(b"{\"type\": \"NoOpBucketer\"}");
        return Ok(());
    };
    let type_name = type_of(node, "InvalidBucketerTypeError", "the bucketer")?;
    match &*type_name {
        b"NoOpBucketer" => out.put(b"{\"type\": \"NoOpBucketer\"}"),
        b"PercentageBucketer" => {
            out.put(b"{\"type\": \"PercentageBucketer\", \"percentage\": ");
            write_percentage(node.get("percentage"), now, out)?;
            out.put(b"}");
        }
        b"ConsistentHashPercentageBucketer" => {
            out.put(b"{\"type\": \"ConsistentHashPercentageBucketer\", \"percentage\": ");
            write_percentage(node.get("percentage"), now, out)?;
            out.put(b", \"key_whitelist\": ");
            write_whitelist(node.get("key_whitelist"), out)?;
            out.put(b"}");
        }
        _ => {
            return Err(raises(
                "InvalidBucketerTypeError",
                &format!("for the type {}", json::show(&type_name)),
            ));
        }
    }
    Ok(())
}

fn write_percentage(node: Option<Node<'_>>, now: Timestamp, out: &mut impl Sink) -> Result<()> {
    let Some(node) = node.filter(|node| node.kind() != Kind::Null) else {
        out.put(b"{\"type\": \"Percentage\", \"value\": 1.0}");
        return Ok(());
    };
    // A missing type reaches the user as an error of the bucketer's type.
    let type_name = type_of(node, "InvalidBucketerTypeError", "the percentage")?;
    match &*type_name {
        b"Percentage" => {
            out.put(b"{\"type\": \"Percentage\", \"value\": ");
            write_or(node.get("value"), b"null", out);
        }
        b"LinearRampPercentage" => {
            out.put(b"{\"type\": \"LinearRampPercentage\", \"initial_value\": ");
            write_or(node.get("initial_value"), b"0.0", out);
            out.put(b", \"final_value\": ");
            write_or(node.get("final_value"), b"1.0", out);
            out.put(b", \"ramp_duration\": ");
            write_or(node.get("ramp_duration"), b"3600", out);
            out.put(b", \"initial_time\": ");
            let start = match node.get("initial_time").filter(|time| time.kind() != Kind::Null) {
                None => now,
                Some(time) => match read::read_time(time) {
                    Some(start) if crate::percentage::python_can_hold(start) => start,
                    _ => {
                        return Err(raises(
                            "an error",
                            &format!("for the initial_time {}", time.raw_start()),
                        ));
                    }
                },
            };
            write_int(start.as_secs(), out);
        }
        _ => {
            return Err(raises(
                "InvalidPercentageTypeError",
                &format!("for the type {}", json::show(&type_name)),
            ));
        }
    }
    out.put(b"}");
    Ok(())
}

fn write_or(node: Option<Node<'_>>, default: &[u8], out: &mut impl Sink) {
    match node {
        Some(node) => write_node(node, out),
        None => out.put(default),
    }
}

fn write_whitelist(node: Option<Node<'_>>, out: &mut impl Sink) -> Result<()> {
    let mut names = Vec::new();
    if let Some(node) = node {
        match node.kind() {
            Kind::Array => names.extend(node.elements().map(Value::from_node)),
            Kind::Object => {
                names.extend(node.members().map(|(key, _)| Value::String(Text::from_wtf8(key.string()))));
            }
            Kind::Plain | Kind::Escaped => {
                names.extend(read::characters(&node.string()).into_iter().map(Value::String));
            }
            _ => return Err(raises("TypeError", &format!("for the key_whitelist {}", node.raw_start()))),
        }
        if names.iter().any(|name| matches!(name, Value::Array(_) | Value::Object(_))) {
            return Err(raises("TypeError", "for a key_whitelist with lists or objects in it"));
        }
    }
    // Python makes a set of them.
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(set_key(name)));
    let _ = write_value(&Value::Array(names), out);
    Ok(())
}

/// A text that two elements of a Python set share exactly if they are equal: numbers and booleans are by value.
fn set_key(element: &Value) -> String {
    match element {
        Value::Bool(bool) => u8::from(*bool).to_string(),
        Value::Float(float) if *float == 0.0 => "0".to_owned(),
        Value::Float(float) if float.fract() == 0.0 => format!("{float:.0}"),
        other => other.to_json(),
    }
}

fn type_of<'d>(node: Node<'d>, exception: &str, what: &str) -> Result<std::borrow::Cow<'d, [u8]>> {
    if node.kind() != Kind::Object {
        return Err(raises("TypeError", &format!("where {what} is {}", node.type_name())));
    }
    match node.get("type") {
        Some(name) if name.is_string() => Ok(name.string()),
        Some(name) => Err(raises("an error", &format!("where the type of {what} is {}", name.raw_start()))),
        None => Err(raises(exception, &format!("where {what} has no type"))),
    }
}
