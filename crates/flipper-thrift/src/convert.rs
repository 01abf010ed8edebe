//! Flags from and to what the service has for them.
//!
//! The service takes a flag to pieces, some of which are JSON. How it is put together again where a piece is missing, is what
//! flipper-client's store makes of it.

use std::collections::{HashMap, HashSet};

use flipper_core::json::{Object, Value};
use flipper_core::{Error, ErrorKind, Flag, FlagName, Result};

use crate::wire::{Check, Conditions, Item, Meta};

/// Takes a flag to pieces.
///
/// # Errors
///
/// [`Unsupported`](ErrorKind::Unsupported) if it has something for which the service has no form.
pub(crate) fn item(name: &str, flag: &Flag) -> Result<Item> {
    Ok(Item {
        name: Some(name.as_bytes().to_vec()),
        is_enabled: Some(flag.is_switched_on()),
        meta: Some(meta(flag)?),
        ..Item::default()
    })
}

/// Takes what belongs to a flag to pieces. What is as in a new flag is left out.
pub(crate) fn meta(flag: &Flag) -> Result<Meta> {
    let [client_data, bucketer, created_date] = flag.stored_meta(["client_data", "bucketer", "created_date"]);
    let is_falsy = |text: &&str| matches!(*text, "null" | "false" | "0" | "\"\"" | "[]" | "{}");
    let is_no_op = matches!(flag.bucketer(), flipper_core::Bucketer::NoOp);
    Ok(Meta {
        created_date: created_date.and_then(|date| date.parse().ok()),
        client_data: Some(client_data.filter(|text| !is_falsy(text)).unwrap_or("{}").as_bytes().to_vec()),
        conditions: conditions(flag)?,
        bucketer: bucketer.filter(|_| !is_no_op).map(|text| text.as_bytes().to_vec()),
    })
}

/// The conditions as they are understood; `None` if there are none.
fn conditions(flag: &Flag) -> Result<Option<Conditions>> {
    let mut conditions = Conditions::new();
    for condition in flag.conditions() {
        let mut variables: Vec<(Vec<u8>, Vec<Check>)> = Vec::new();
        for check in condition.checks() {
            let Some(variable) = check.variable().as_str() else {
                let message =
                    "a condition is about a name that is no UTF-8, which the service cannot pass on";
                return Err(Error::new(ErrorKind::Unsupported, message));
            };
            let sent = Check {
                variable: Some(variable.as_bytes().to_vec()),
                value: Some(check.operand().to_json().into_bytes()),
                operator: Some(check.symbol().map(|symbol| symbol.as_bytes().to_vec())),
            };
            match variables.last_mut() {
                Some((last, checks)) if *last == variable.as_bytes() => checks.push(sent),
                _ => variables.push((variable.as_bytes().to_vec(), vec![sent])),
            }
        }
        conditions.push(variables);
    }
    Ok((!conditions.is_empty()).then_some(conditions))
}

/// Puts a flag together, as a record.
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if flipper-client could not read the item either.
pub(crate) fn flag(name: FlagName<'_>, item: &Item) -> Result<Flag> {
    let meta = item.meta.as_ref().ok_or_else(|| corrupt("the server has sent it without `meta`"))?;
    let switch = match item.is_enabled {
        Some(false) => "false",
        Some(true) => "true",
        // Which counts as on.
        None => "null",
    };
    let created_date = meta.created_date.map_or_else(|| "null".to_owned(), |date| date.to_string());
    let client_data = match &meta.client_data {
        None => "{}",
        Some(json) => checked("client_data", json)?,
    };
    let bucketer = match meta.bucketer.as_deref() {
        None => r#"{"type": "NoOpBucketer"}"#,
        Some(bucketer) => match checked("bucketer", bucketer)? {
            "null" => return Err(corrupt("its bucketer is null")),
            bucketer => bucketer,
        },
    };
    let conditions = conditions_json(meta.conditions.as_deref().unwrap_or_default()).map_err(corrupt)?;
    let name_json = Value::from(name.as_str());
    let record = format!(
        "{{\"feature_name\": {name_json}, \"is_enabled\": {switch}, \"meta\": {{\"client_data\": {client_data}, \
         \"created_date\": {created_date}, \"conditions\": {conditions}, \"bucketer\": {bucketer}}}}}"
    );
    Flag::read(name, record.as_bytes())
}

/// What a call of `SetMeta` changes in a record.
///
/// # Errors
///
/// [`InvalidInput`](ErrorKind::InvalidInput) if nobody could read the flag any more.
pub(crate) fn meta_object(meta: &Meta) -> Result<Object> {
    let invalid = |error: Error| Error::new(ErrorKind::InvalidInput, error.message().to_owned());
    let mut object = Object::default();
    let data = meta.client_data.as_deref().unwrap_or(b"{}");
    object.insert("client_data", parsed("client_data", data).map_err(invalid)?);
    if let Some(date) = meta.created_date {
        object.insert("created_date", date);
    }
    let conditions = conditions_json(meta.conditions.as_deref().unwrap_or_default());
    object.insert("conditions", conditions.map_err(|what| Error::new(ErrorKind::InvalidInput, what))?);
    let bucketer = meta.bucketer.as_deref().unwrap_or(br#"{"type": "NoOpBucketer"}"#);
    match parsed("bucketer", bucketer).map_err(invalid)? {
        Value::Null => return Err(Error::new(ErrorKind::InvalidInput, "a bucketer cannot be null")),
        bucketer => _ = object.insert("bucketer", bucketer),
    }
    Ok(object)
}

/// What a call of `Create` has as client data.
pub(crate) fn client_data(text: Option<&[u8]>) -> Result<Object> {
    let invalid = |message: String| Error::new(ErrorKind::InvalidInput, message);
    match parsed("client_data", text.unwrap_or(b"{}")).map_err(|error| invalid(error.message().to_owned()))? {
        Value::Object(data) => Ok(data),
        Value::Null => Ok(Object::default()),
        _ => Err(invalid("`client_data` is a JSON object".to_owned())),
    }
}

/// The conditions as they are stored.
///
/// flipper-client makes a condition of each check that it is sent. Here they stay together, unless two in one condition are the same but for
/// their value: of those, a stored condition keeps one. A condition without checks disappears, as it does there.
fn conditions_json(conditions: &[Vec<(Vec<u8>, Vec<Check>)>]) -> Result<Value, String> {
    let mut stored = Vec::new();
    for condition in conditions {
        let mut checks = Vec::new();
        for (key, of_variable) in condition {
            let key = utf8("the key of a condition", key)?;
            for check in of_variable {
                checks.push((key, check_json(check)?));
            }
        }
        let mut seen = HashSet::new();
        let is_ambiguous = !checks.iter().all(|(_, check)| seen.insert((check.variable, check.symbol)));
        if is_ambiguous {
            let alone = checks.iter().map(|check| condition_json(std::slice::from_ref(check)));
            stored.extend(alone);
        } else if !checks.is_empty() {
            stored.push(condition_json(&checks));
        }
    }
    Ok(Value::Array(stored))
}

/// One check of a condition.
struct Stored<'c> {
    variable: &'c str,
    value: Value,
    symbol: Option<&'c str>,
}

fn check_json(check: &Check) -> Result<Stored<'_>, String> {
    let lacks = |what: &str| format!("a check of a condition has no `{what}`");
    let operator = check.operator.as_ref().ok_or_else(|| lacks("operator"))?;
    Ok(Stored {
        variable: utf8("a variable", check.variable.as_deref().ok_or_else(|| lacks("variable"))?)?,
        value: parsed("the value of a check", check.value.as_deref().ok_or_else(|| lacks("value"))?)
            .map_err(|error| error.message().to_owned())?,
        symbol: operator.as_deref().map(|symbol| utf8("an operator", symbol)).transpose()?,
    })
}

fn condition_json(checks: &[(&str, Stored<'_>)]) -> Value {
    let mut lists: Vec<(&str, Vec<Value>)> = Vec::new();
    let mut places = HashMap::new();
    for (key, check) in checks {
        let mut stored = Object::default();
        stored.insert("variable", check.variable);
        stored.insert("value", check.value.clone());
        stored.insert("operator", check.symbol.map_or(Value::Null, Value::from));
        let at = *places.entry(*key).or_insert(lists.len());
        if at == lists.len() {
            lists.push((key, Vec::new()));
        }
        lists[at].1.push(Value::Object(stored));
    }
    Value::Object(lists.into_iter().collect())
}

fn utf8<'b>(what: &str, bytes: &'b [u8]) -> Result<&'b str, String> {
    std::str::from_utf8(bytes).map_err(|_| format!("{what} is no UTF-8"))
}

/// A piece of JSON, which has to be one by itself: put into a record, half of one could become part of another.
fn checked<'b>(what: &str, bytes: &'b [u8]) -> Result<&'b str> {
    parsed(what, bytes)?;
    Ok(utf8(what, bytes).map_err(corrupt)?.trim_ascii())
}

fn parsed(what: &str, bytes: &[u8]) -> Result<Value> {
    let text = utf8(what, bytes).map_err(corrupt)?;
    Value::parse(text).map_err(|error| corrupt(format!("`{what}` is no JSON: {}", error.message())))
}

fn corrupt(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}
