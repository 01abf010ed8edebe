//! From stored bytes to a flag that is ready to evaluate.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Flag, Name};
use crate::bucketer::ConsistentHash;
use crate::check::Symbol;
use crate::condition::{DELIMITER, find_delimiter, split_keyword};
use crate::evaluate::Rules;
use crate::json::{Document, Kind, Node, Ordered, Text, Value, show, wtf8_lossy};
use crate::percentage::{Ramp, Share, python_can_hold};
use crate::{Bucketer, Check, Condition, Error, Operator, Percentage, Result, Timestamp};

pub(super) fn read(name: Option<&str>, stored: &[u8]) -> Result<Flag> {
    let document = Document::parse_bytes(stored)?;
    let text = document.text();
    let fields = Fields::of(document.root())?;
    let name = match name {
        Some(name) => Name::new(name, text, fields.name.content()),
        None => Name::new(&name_of(fields.name), text, fields.name.content()),
    };
    let rules = fields.rules()?;
    Ok(Flag { name, text: text.into(), is_enabled: fields.is_enabled.kind() != Kind::False, rules })
}

/// The name that a record states: a text, or the JSON of what it has instead.
pub(super) fn name_of(node: Node<'_>) -> String {
    if node.is_string() { wtf8_lossy(&node.string()).into_owned() } else { node.raw().to_owned() }
}

/// The parts of a record, the required ones present.
pub(super) struct Fields<'d> {
    pub(super) name: Node<'d>,
    pub(super) is_enabled: Node<'d>,
    pub(super) meta: Node<'d>,
    pub(super) client_data: Option<Node<'d>>,
    pub(super) created_date: Node<'d>,
    pub(super) conditions: Option<Node<'d>>,
    pub(super) bucketer: Option<Node<'d>>,
}

impl<'d> Fields<'d> {
    pub(super) fn of(root: Node<'d>) -> Result<Self> {
        if root.kind() != Kind::Object {
            return Err(Error::corrupt(format!("a flag is a JSON object, not {}", root.type_name())));
        }
        let (mut name, mut is_enabled, mut meta) = (None, None, None);
        for (key, value) in root.members() {
            match &*key.string() {
                b"feature_name" => name = Some(value),
                b"is_enabled" => is_enabled = Some(value),
                b"meta" => meta = Some(value),
                _ => {}
            }
        }
        let meta = meta.ok_or_else(|| missing("meta"))?;
        if meta.kind() != Kind::Object {
            return Err(Error::corrupt(format!("`meta` is an object, not {}", meta.type_name())));
        }
        let (mut client_data, mut created_date, mut conditions, mut bucketer) = (None, None, None, None);
        for (key, value) in meta.members() {
            match &*key.string() {
                b"client_data" => client_data = Some(value),
                b"created_date" => created_date = Some(value),
                b"conditions" => conditions = Some(value),
                b"bucketer" => bucketer = Some(value),
                _ => {}
            }
        }
        Ok(Self {
            name: name.ok_or_else(|| missing("feature_name"))?,
            is_enabled: is_enabled.ok_or_else(|| missing("is_enabled"))?,
            meta,
            client_data,
            created_date: created_date.ok_or_else(|| missing("meta.created_date"))?,
            conditions,
            bucketer,
        })
    }

    fn rules(&self) -> Result<Option<Arc<Rules>>> {
        let conditions = self.read_conditions()?;
        let bucketer = self.bucketer.map_or(Bucketer::NoOp, read_bucketer);
        let is_plain = conditions.is_empty() && matches!(bucketer, Bucketer::NoOp);
        Ok((!is_plain).then(|| Arc::new(Rules::new(conditions, bucketer))))
    }

    pub(super) fn read_conditions(&self) -> Result<Box<[Condition]>> {
        match self.conditions {
            None => Ok(Box::default()),
            Some(list) if list.kind() == Kind::Array => {
                let mut scratch = Ordered::with_capacity(4);
                list.elements().enumerate().map(|(at, node)| read_condition(node, at, &mut scratch)).collect()
            }
            Some(empty) if iterates_as_nothing(empty) => Ok(Box::default()),
            Some(other) => Err(Error::corrupt(format!(
                "`meta.conditions` is a list of conditions, not {}",
                other.type_name()
            ))),
        }
    }
}

/// Where a list is expected, Python iterates over an empty text or object too, and finds nothing.
fn iterates_as_nothing(node: Node<'_>) -> bool {
    node.is_falsy() && (node.is_string() || node.kind() == Kind::Object)
}

fn missing(path: &str) -> Error {
    Error::corrupt(format!("`{path}` is missing"))
}

/// The checks of a condition while they are read: variable and operator, and where the value is.
type Checks<'d> = Ordered<(Cow<'d, [u8]>, OperatorKey<'d>), Node<'d>>;

fn read_condition<'d>(node: Node<'d>, at: usize, scratch: &mut Checks<'d>) -> Result<Condition> {
    let wrong = |what: String| Error::corrupt(format!("`meta.conditions[{at}]`: {what}"));
    if node.kind() != Kind::Object {
        return Err(wrong(format!("a condition is an object of checks, not {}", node.type_name())));
    }
    let mut members = node.members();
    match (members.next(), members.next()) {
        (Some((key, list)), None) => read_checks(&key.string(), list, scratch).map_err(wrong)?,
        _ => {
            for (key, list) in node.dict() {
                read_checks(&key, list, scratch).map_err(wrong)?;
            }
        }
    }
    let checks = scratch.drain().map(|((variable, operator), value)| {
        let symbol = match operator {
            OperatorKey::Known(operator) => Symbol::Known(operator),
            OperatorKey::Unknown(symbol) => Symbol::Unknown(Value::String(Text::from_wtf8(symbol))),
            OperatorKey::NoText(json) => Symbol::Unknown(Value::parse(json).unwrap_or_default()),
        };
        Check::from_parts(Text::from_wtf8(variable), symbol, Value::from_node(value))
    });
    Ok(Condition::from_checks(checks.collect()))
}

/// The operator of a check, to tell whether two checks of a condition are the same but for their value.
#[derive(Clone, PartialEq, Eq, Hash)]
enum OperatorKey<'d> {
    Known(Operator),
    Unknown(Vec<u8>),
    /// Something else than a text or null, as JSON.
    NoText(&'d str),
}

/// Reads the checks that stand under one key of a condition. The key itself does not matter: flipper-client regroups
/// the checks by their variables. Of checks that are the same but for their value, it keeps the last value at the
/// first place.
fn read_checks<'d>(key: &[u8], list: Node<'d>, checks: &mut Checks<'d>) -> Result<(), String> {
    if list.kind() != Kind::Array && !iterates_as_nothing(list) {
        return Err(format!("{} is a list of checks, not {}", show(key), list.type_name()));
    }
    for check in list.elements() {
        if check.kind() != Kind::Object {
            return Err(format!("a check of {} is an object, not {}", show(key), check.type_name()));
        }
        let (mut variable, mut value, mut operator) = (None, None, None);
        for (name, part) in check.members() {
            match &*name.string() {
                b"variable" => variable = Some(part),
                b"value" => value = Some(part),
                b"operator" => operator = Some(part),
                _ => {}
            }
        }
        let missing = |name: &str| format!("a check of {} has no `{name}`", show(key));
        let variable = variable.ok_or_else(|| missing("variable"))?;
        let value = value.ok_or_else(|| missing("value"))?;
        let operator = operator.ok_or_else(|| missing("operator"))?;
        if !variable.is_string() {
            return Err(format!("a variable is a text, not {}", variable.type_name()));
        }
        checks.insert(interpret(variable.string(), operator), value);
    }
    Ok(())
}

/// Reads variable and operator as flipper-client does: joined by `__`, and split again at the only `__` in it.
fn interpret<'d>(variable: Cow<'d, [u8]>, operator: Node<'d>) -> (Cow<'d, [u8]>, OperatorKey<'d>) {
    let symbol = match operator.kind() {
        Kind::Null => None,
        _ if operator.is_string() => Some(operator.string()),
        _ => return (variable, OperatorKey::NoText(operator.raw())),
    };
    if find_delimiter(&variable).is_none() {
        // Almost always the halves come back as they were.
        match symbol.as_deref().map(known_operator) {
            None => return (variable, OperatorKey::Known(Operator::Eq)),
            Some(Some(operator)) if !variable.ends_with(b"_") => {
                return (variable, OperatorKey::Known(operator));
            }
            _ => {}
        }
    }
    let mut keyword = variable.into_owned();
    if let Some(symbol) = symbol {
        keyword.extend_from_slice(DELIMITER);
        keyword.extend_from_slice(&symbol);
    }
    match split_keyword(&keyword) {
        (_, None) => (keyword.into(), OperatorKey::Known(Operator::Eq)),
        (variable, Some(symbol)) => {
            let unknown = || OperatorKey::Unknown(symbol.to_vec());
            (variable.to_vec().into(), known_operator(symbol).map_or_else(unknown, OperatorKey::Known))
        }
    }
}

fn known_operator(symbol: &[u8]) -> Option<Operator> {
    str::from_utf8(symbol).ok().and_then(Operator::from_symbol)
}

/// Reads a bucketer; what is not understood is `Unknown`, never an error: the record may be a newer writer's.
pub(super) fn read_bucketer(node: Node<'_>) -> Bucketer {
    if node.kind() == Kind::Null {
        return Bucketer::NoOp;
    }
    let unknown = || Bucketer::Unknown(Value::from_node(node));
    let Some(type_name) = node.get("type").filter(|name| name.is_string()) else { return unknown() };
    match &*type_name.string() {
        b"NoOpBucketer" => Bucketer::NoOp,
        b"PercentageBucketer" => Bucketer::Percentage(read_percentage(node.get("percentage"))),
        b"ConsistentHashPercentageBucketer" => {
            let percentage = read_percentage(node.get("percentage"));
            match read_whitelist(node.get("key_whitelist")) {
                Some((names, no_names)) => {
                    Bucketer::ConsistentHash(ConsistentHash::new(percentage, names, no_names))
                }
                None => unknown(),
            }
        }
        _ => unknown(),
    }
}

/// The names of a whitelist, and what in it is no name. Python makes a set of whatever is there.
fn read_whitelist(node: Option<Node<'_>>) -> Option<(Vec<Text>, Vec<Value>)> {
    let Some(node) = node else { return Some((Vec::new(), Vec::new())) };
    match node.kind() {
        Kind::Array => {
            // A set cannot hold lists and objects.
            if node.elements().any(|name| matches!(name.kind(), Kind::Array | Kind::Object)) {
                return None;
            }
            let names = node.elements().filter(|name| name.is_string());
            let no_names = node.elements().filter(|name| !name.is_string());
            Some((
                names.map(|name| Text::from_wtf8(name.string())).collect(),
                no_names.map(Value::from_node).collect(),
            ))
        }
        Kind::Object => {
            Some((node.members().map(|(key, _)| Text::from_wtf8(key.string())).collect(), Vec::new()))
        }
        // A text is the set of its characters.
        Kind::Plain | Kind::Escaped => Some((characters(&node.string()), Vec::new())),
        _ => None,
    }
}

pub(super) fn characters(text: &[u8]) -> Vec<Text> {
    let mut names = Vec::new();
    let mut points = crate::json::CodePoints(text);
    let mut rest = text;
    while points.next().is_some() {
        let (character, after) = rest.split_at(rest.len() - points.0.len());
        names.push(Text::from_wtf8(character));
        rest = after;
    }
    names
}

fn read_percentage(node: Option<Node<'_>>) -> Percentage {
    let Some(node) = node.filter(|node| node.kind() != Kind::Null) else {
        return Percentage(Share::Fixed(1.0));
    };
    let unknown = || Percentage(Share::Unknown(Value::from_node(node)));
    let Some(type_name) = node.get("type").filter(|name| name.is_string()) else { return unknown() };
    let share = match &*type_name.string() {
        b"Percentage" => node.get("value").and_then(number).map(Share::Fixed),
        b"LinearRampPercentage" => read_ramp(node).map(Share::Ramp),
        _ => None,
    };
    share.map_or_else(unknown, Percentage)
}

fn read_ramp(node: Node<'_>) -> Option<Ramp> {
    let field = |name: &str, default: f64| node.get(name).map_or(Some(default), number);
    let integer = |name: &str| match node.get(name)?.kind() {
        Kind::Int => node.get(name)?.raw().parse::<i128>().ok(),
        Kind::True => Some(1),
        Kind::False => Some(0),
        _ => None,
    };
    let start = match node.get("initial_time") {
        None => None,
        Some(null) if null.kind() == Kind::Null => None,
        // A start that Python cannot hold makes a percentage that nobody can use.
        Some(time) => Some(read_time(time).filter(|time| python_can_hold(*time))?),
    };
    let duration = field("ramp_duration", 3600.0)?;
    let last = field("final_value", 1.0)?;
    if duration == 0.0 {
        // A ramp without a duration is at its end; nobody looks at its initial value.
        return Some(Ramp::new((last, last), 0.0, duration, start));
    }
    let initial = field("initial_value", 0.0)?;
    let integers = integer("final_value").zip(integer("initial_value"));
    // Python computes with integers exactly, and fails to make floats of those that are beyond all floats.
    let is_beyond = |name: &str, value: f64| {
        value.is_infinite() && node.get(name).is_some_and(|node| node.kind() == Kind::Int)
    };
    if is_beyond("initial_value", initial)
        || is_beyond("final_value", last)
        || is_beyond("ramp_duration", duration) && integers.is_none()
    {
        return None;
    }
    let rise = integers
        .and_then(|(last, initial)| last.checked_sub(initial))
        .map_or(last - initial, |rise| rise as f64);
    Some(Ramp::new((initial, last), rise, duration, start))
}

/// A number as a share; a boolean is one. An integer beyond all floats is infinite, which compares as it does.
fn number(node: Node<'_>) -> Option<f64> {
    match node.kind() {
        Kind::True => Some(1.0),
        Kind::False => Some(0.0),
        Kind::Int | Kind::Float => Some(node.raw().parse().unwrap_or(f64::NAN)),
        _ => None,
    }
}

/// Seconds to a time, as Python's `datetime.fromtimestamp` rounds them: to microseconds, half to even.
pub(super) fn read_time(node: Node<'_>) -> Option<Timestamp> {
    if let Ok(secs) = node.raw().parse::<i64>() {
        return Some(Timestamp::from_secs(secs));
    }
    let secs = number(node).filter(|secs| !secs.is_nan())?;
    let micros = (secs.fract() * 1e6).round_ties_even() as i64;
    Some(Timestamp::from_micros((secs.trunc() as i64).saturating_mul(1_000_000).saturating_add(micros)))
}
