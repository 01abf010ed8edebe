//! Comparisons, with Python's rules.
//!
//! The rules are those of the [expressions](https://docs.python.org/3/reference/expressions.html#value-comparisons)
//! `given == stored`, `given < stored` and `given in stored` on what `json.loads` returns.

use std::cmp::Ordering;

use crate::context::is_same;
use crate::json::{MAX_DEPTH, Number, Object, Value};
use crate::{Attribute, Operator};

/// Says that Python would raise a `TypeError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotComparable;

type Outcome<T = bool> = Result<T, NotComparable>;

/// Tells whether `given OPERATOR stored` holds.
#[inline(never)]
pub(crate) fn test(operator: Operator, given: &Attribute<'_>, stored: &Value) -> Outcome {
    match (operator, given, stored) {
        // What a list is for.
        (Operator::In, Attribute::Str(text), Value::Array(elements)) => Ok(has_text(elements, text)),
        (Operator::NotIn, Attribute::Str(text), Value::Array(elements)) => Ok(!has_text(elements, text)),
        _ => test_any(operator, View::from(*given), stored),
    }
}

fn has_text(elements: &[Value], text: &str) -> bool {
    elements.iter().any(
        |element| matches!(element, Value::String(element) if is_same(element.as_wtf8(), text.as_bytes())),
    )
}

fn test_any(operator: Operator, given: View<'_>, stored: &Value) -> Outcome {
    match operator {
        Operator::Eq => Ok(equal(given, View::of(stored), 0)),
        Operator::Ne => Ok(!equal(given, View::of(stored), 0)),
        Operator::Gt => order(given, View::of(stored)).map(|ordering| ordering == Some(Ordering::Greater)),
        Operator::Lt => order(given, View::of(stored)).map(|ordering| ordering == Some(Ordering::Less)),
        Operator::Gte => order(given, View::of(stored)).map(|ordering| ordering.is_some_and(Ordering::is_ge)),
        Operator::Lte => order(given, View::of(stored)).map(|ordering| ordering.is_some_and(Ordering::is_le)),
        Operator::In => member(given, stored),
        Operator::NotIn => member(given, stored).map(|is_member| !is_member),
    }
}

fn member(given: View<'_>, stored: &Value) -> Outcome {
    match (stored, given) {
        (Value::Array(elements), _) => Ok(elements.iter().any(|element| equal(given, View::of(element), 0))),
        (Value::String(text), View::Text(part)) => Ok(contains(text.as_wtf8(), part)),
        (Value::Object(_), View::List(_) | View::Map(_)) => Err(NotComparable),
        (Value::Object(object), View::Text(key)) => Ok(object.get_wtf8(key).is_some()),
        (Value::Object(_), _) => Ok(false),
        _ => Err(NotComparable),
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    match (str::from_utf8(text), str::from_utf8(part)) {
        // In linear time, whatever the two are.
        (Ok(text), Ok(part)) => text.contains(part),
        _ => part.is_empty() || text.windows(part.len()).any(|window| window == part),
    }
}

/// One value, wherever it is kept.
#[derive(Clone, Copy)]
enum View<'a> {
    Null,
    Number(Number<'a>),
    Text(&'a [u8]),
    List(ListView<'a>),
    Map(MapView<'a>),
}

#[derive(Clone, Copy)]
enum ListView<'a> {
    Attributes(&'a [Attribute<'a>]),
    Serde(&'a [serde_json::Value]),
    Own(&'a [Value]),
}

#[derive(Clone, Copy)]
enum MapView<'a> {
    Serde(&'a serde_json::Map<String, serde_json::Value>),
    Own(&'a Object),
}

impl<'a> View<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            // True and False are 1 and 0 to Python.
            Value::Bool(bool) => Self::Number(Number::Int((*bool).into())),
            Value::Int(int) => Self::Number(Number::Int((*int).into())),
            Value::BigInt(big) => Self::Number(Number::from_digits(big.as_str())),
            Value::Float(float) => Self::Number(Number::Float(*float)),
            Value::String(text) => Self::Text(text.as_wtf8()),
            Value::Array(elements) => Self::List(ListView::Own(elements)),
            Value::Object(object) => Self::Map(MapView::Own(object)),
        }
    }

    fn of_serde(value: &'a serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(bool) => Self::Number(Number::Int((*bool).into())),
            serde_json::Value::Number(number) => {
                let int = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
                Self::Number(match int {
                    Some(int) => Number::Int(int),
                    None => Number::Float(number.as_f64().unwrap_or(f64::NAN)),
                })
            }
            serde_json::Value::String(text) => Self::Text(text.as_bytes()),
            serde_json::Value::Array(elements) => Self::List(ListView::Serde(elements)),
            serde_json::Value::Object(map) => Self::Map(MapView::Serde(map)),
        }
    }
}

impl<'a> From<Attribute<'a>> for View<'a> {
    fn from(attribute: Attribute<'a>) -> Self {
        match attribute {
            Attribute::Null => Self::Null,
            Attribute::Bool(bool) => Self::Number(Number::Int(bool.into())),
            Attribute::Int(int) => Self::Number(Number::Int(int.into())),
            Attribute::UInt(int) => Self::Number(Number::Int(int.into())),
            Attribute::Float(float) => Self::Number(Number::Float(float)),
            Attribute::Str(text) => Self::Text(text.as_bytes()),
            Attribute::List(elements) => Self::List(ListView::Attributes(elements)),
            Attribute::Json(value) => Self::of_serde(value),
            Attribute::Value(value) => Self::of(value),
        }
    }
}

impl<'a> ListView<'a> {
    fn len(self) -> usize {
        match self {
            Self::Attributes(elements) => elements.len(),
            Self::Serde(elements) => elements.len(),
            Self::Own(elements) => elements.len(),
        }
    }

    fn get(self, at: usize) -> View<'a> {
        match self {
            Self::Attributes(elements) => elements[at].into(),
            Self::Serde(elements) => View::of_serde(&elements[at]),
            Self::Own(elements) => View::of(&elements[at]),
        }
    }
}

impl<'a> MapView<'a> {
    fn len(self) -> usize {
        match self {
            Self::Serde(map) => map.len(),
            Self::Own(object) => object.len(),
        }
    }

    fn get(self, key: &[u8]) -> Option<View<'a>> {
        match self {
            Self::Serde(map) => str::from_utf8(key).ok().and_then(|key| map.get(key)).map(View::of_serde),
            Self::Own(object) => object.get_wtf8(key).map(View::of),
        }
    }

    fn all(self, mut test: impl FnMut(&[u8], View<'a>) -> bool) -> bool {
        match self {
            Self::Serde(map) => map.iter().all(|(key, value)| test(key.as_bytes(), View::of_serde(value))),
            Self::Own(object) => object.iter().all(|(key, value)| test(key.as_wtf8(), View::of(value))),
        }
    }
}

/// Python's `==`. What an application nests deeper than a record may be equals nothing that is stored.
fn equal(a: View<'_>, b: View<'_>, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    match (a, b) {
        (View::Null, View::Null) => true,
        (View::Number(a), View::Number(b)) => a.compare(b) == Some(Ordering::Equal),
        (View::Text(a), View::Text(b)) => a == b,
        (View::List(a), View::List(b)) => {
            a.len() == b.len() && (0..a.len()).all(|at| equal(a.get(at), b.get(at), depth + 1))
        }
        (View::Map(a), View::Map(b)) => {
            a.len() == b.len()
                && a.all(|key, value| b.get(key).is_some_and(|other| equal(value, other, depth + 1)))
        }
        _ => false,
    }
}

/// Python's `<` and `>`; `None` where neither holds nor equality, which only NaN does.
fn order(a: View<'_>, b: View<'_>) -> Outcome<Option<Ordering>> {
    match (a, b) {
        (View::Number(a), View::Number(b)) => Ok(a.compare(b)),
        (View::Text(a), View::Text(b)) => Ok(Some(a.cmp(b))),
        (View::List(a), View::List(b)) => {
            let shorter = a.len().min(b.len());
            match (0..shorter).find(|at| !equal(a.get(*at), b.get(*at), 0)) {
                // The first elements that differ decide. They may be lists again: no deeper than a record.
                Some(at) => order(a.get(at), b.get(at)),
                None => Ok(Some(a.len().cmp(&b.len()))),
            }
        }
        _ => Err(NotComparable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, operator: Operator, stored: &str) -> Outcome {
        let (given, stored) = (Value::parse(given).unwrap(), Value::parse(stored).unwrap());
        test(operator, &Attribute::Value(&given), &stored)
    }

    #[test]
    fn numbers_and_booleans_are_equal_by_value() {
        for (a, b) in
            [("1", "true"), ("1.0", "1"), ("10000000000000000000000", "1e22"), ("[1, [true]]", "[1.0, [1]]")]
        {
            assert_eq!(check(a, Operator::Eq, b), Ok(true), "{a} == {b}");
        }
        for (a, b) in
            [("9007199254740993", "9007199254740992.0"), ("NaN", "NaN"), ("\"1\"", "1"), ("null", "false")]
        {
            assert_eq!(check(a, Operator::Ne, b), Ok(true), "{a} != {b}");
        }
    }

    #[test]
    fn the_order_of_members_does_not_matter_and_that_of_elements_does() {
        assert_eq!(check(r#"{"a": 1, "b": [2]}"#, Operator::Eq, r#"{"b": [2], "a": 1}"#), Ok(true));
        assert_eq!(check("[1, 2]", Operator::Eq, "[2, 1]"), Ok(false));
        assert_eq!(check(r#"{"a": 1}"#, Operator::Eq, r#"{"b": 1}"#), Ok(false));
    }

    #[test]
    fn order_needs_types_that_have_one() {
        assert_eq!(check("\"a\"", Operator::Gt, "1"), Err(NotComparable));
        assert_eq!(check("null", Operator::Lte, "null"), Err(NotComparable));
        assert_eq!(check("{}", Operator::Lt, "{}"), Err(NotComparable));
        assert_eq!(check("[1, \"a\"]", Operator::Lt, "[1, 2]"), Err(NotComparable));
        assert_eq!(check("[0, \"a\"]", Operator::Lt, "[1, 2]"), Ok(true));
        assert_eq!(check("[1]", Operator::Lt, "[1, 2]"), Ok(true));
        for operator in [Operator::Gt, Operator::Gte, Operator::Lt, Operator::Lte] {
            assert_eq!(check("NaN", operator, "1"), Ok(false));
        }
    }

    #[test]
    fn membership() {
        assert_eq!(check("1", Operator::In, "[true]"), Ok(true));
        assert_eq!(check("\"ell\"", Operator::In, "\"hello\""), Ok(true));
        assert_eq!(check("\"\"", Operator::In, "\"\""), Ok(true));
        assert_eq!(check("\"a\"", Operator::NotIn, r#"{"a": 1}"#), Ok(false));
        assert_eq!(check("1", Operator::In, "{}"), Ok(false));
        for (given, stored) in [("[]", "{}"), ("1", "\"1\""), ("1", "1"), ("null", "null")] {
            assert_eq!(check(given, Operator::NotIn, stored), Err(NotComparable));
        }
    }

    #[test]
    fn what_an_application_nests_too_deep_is_unequal_not_a_crash() {
        let mut given = serde_json::json!(1);
        for _ in 0..5_000 {
            given = serde_json::Value::Array(vec![given]);
        }
        let stored = Value::parse(&("[".repeat(200) + &"]".repeat(200))).unwrap();
        assert_eq!(test(Operator::Eq, &Attribute::Json(&given), &stored), Ok(false));
        assert!(test(Operator::Lt, &Attribute::Json(&given), &stored).is_ok());
        // Dropping it would recurse.
        while let serde_json::Value::Array(mut inner) = given {
            given = inner.pop().unwrap_or_default();
        }
    }
}
