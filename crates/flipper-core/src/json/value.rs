//! The editable form.

use std::fmt;

use super::{BigInt, Document, Kind, Node, Text, into_string, write_value};
use crate::Result;

/// Holds any value of Python's JSON dialect.
///
/// `==` tells whether two values are the same JSON: `1` is not `1.0`, NaN is NaN, and the order of an object's
/// members counts. Comparing as Python does is the work of the operators of a [`Check`](crate::Check).
///
/// # Examples
///
/// ```
/// use flipper_core::json::Value;
///
/// let value = Value::from(vec!["Stallion", "Mare"]);
/// assert_eq!(value.to_string(), r#"["Stallion", "Mare"]"#);
/// assert_ne!(Value::from(1), Value::from(1.0));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Value {
    /// `null`, Python's `None`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer that fits into 64 bits.
    Int(i64),
    /// An integer that does not.
    BigInt(BigInt),
    /// A float, also NaN and infinite.
    Float(f64),
    /// A string.
    String(Text),
    /// An array, Python's `list`.
    Array(Vec<Value>),
    /// An object, Python's `dict`.
    Object(Object),
}

impl Value {
    /// Reads a text of Python's JSON dialect.
    ///
    /// Of a key that an object has twice, the last value counts, at the first place, as in Python.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) with line and column when it is not JSON, is longer than
    /// [`MAX_BYTES`](super::MAX_BYTES) or nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    pub fn parse(text: &str) -> Result<Self> {
        Document::parse(text).map(|document| Self::from_node(document.root()))
    }

    /// Recursion is bounded by the depth that the document was allowed.
    pub(crate) fn from_node(node: Node<'_>) -> Self {
        match node.kind() {
            Kind::Null => Self::Null,
            Kind::True => Self::Bool(true),
            Kind::False => Self::Bool(false),
            Kind::Int => match node.raw().parse() {
                Ok(int) => Self::Int(int),
                Err(_) => Self::BigInt(BigInt::from_digits(node.raw())),
            },
            Kind::Float => Self::Float(node.raw().parse().unwrap_or(f64::NAN)),
            Kind::Plain | Kind::Escaped => Self::String(Text::from_wtf8(node.string())),
            Kind::Array => {
                // Without its count a vector would be made for four elements, and most lists are short.
                let mut elements = Vec::with_capacity(node.elements().count());
                elements.extend(node.elements().map(Self::from_node));
                Self::Array(elements)
            }
            Kind::Object => Self::Object(Object::from_node(node)),
        }
    }

    /// Returns the string, unless it is something else or has a lone surrogate.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => text.as_str(),
            _ => None,
        }
    }

    /// Returns the nearest float of a number, or `None` if it is not one. An integer beyond all floats is infinite.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(int) => Some(*int as f64),
            Self::BigInt(big) => Some(big.to_f64()),
            Self::Float(float) => Some(*float),
            _ => None,
        }
    }

    /// Returns the value as Python's `json.dumps` prints it: ASCII, with `", "` and `": "` as separators.
    ///
    /// `Display` prints the same. Arrays and objects that are nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH), as no
    /// record has them and no edit takes them, are written as `null`.
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(256);
        // Where it is too deep there is a null.
        let _ = write_value(self, &mut out);
        into_string(out)
    }

    /// Whether arrays and objects are nested deeper than so many levels.
    pub(crate) fn is_deeper_than(&self, levels: usize) -> bool {
        let below = |value: &Self| value.is_deeper_than(levels - 1);
        match self {
            Self::Array(elements) => levels == 0 || elements.iter().any(below),
            Self::Object(object) => levels == 0 || object.iter().any(|(_, value)| below(value)),
            _ => false,
        }
    }

    /// Names the type, for messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::BigInt(_) | Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::BigInt(a), Self::BigInt(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Value {
    /// Prints the value as Python's `json.dumps` does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

/// Holds the members of a JSON object in order; each key once.
///
/// # Examples
///
/// ```
/// use flipper_core::json::Object;
///
/// let data = Object::from([("owner", "search"), ("ticket", "4711")]);
/// assert_eq!(data.get("owner"), Some(&"search".into()));
/// ```
#[derive(Clone, Default)]
pub struct Object {
    members: Vec<(Text, Value)>,
    /// The places of the members by key, of an object that is too large to be searched one by one.
    by_key: Option<Box<Index>>,
}

/// Behind one pointer, as few objects have it and every value is as large as the largest.
#[derive(Clone)]
struct Index(Vec<u32>);

const _: () = assert!(size_of::<Value>() <= 32);

/// From how many members on an object has an index.
const INDEX_FROM: usize = 24;

impl Object {
    fn from_node(node: Node<'_>) -> Self {
        let members = node.dict().into_iter();
        Self::from_entries(
            members.map(|(key, value)| (Text::from_wtf8(key), Value::from_node(value))).collect(),
        )
    }

    /// `entries` has each key once.
    pub(crate) fn from_entries(members: Vec<(Text, Value)>) -> Self {
        let by_key = (members.len() >= INDEX_FROM).then(|| {
            let mut by_key: Vec<_> = (0..members.len() as u32).collect();
            by_key.sort_unstable_by(|a, b| members[*a as usize].0.cmp(&members[*b as usize].0));
            Box::new(Index(by_key))
        });
        Self { members, by_key }
    }

    /// The place of a key among the members; else, where it would be in the index.
    fn find(&self, key: &[u8]) -> Result<usize, usize> {
        let Some(index) = &self.by_key else {
            return self.members.iter().position(|(name, _)| name.as_wtf8() == key).ok_or(0);
        };
        let found = index.0.binary_search_by(|at| self.members[*at as usize].0.as_wtf8().cmp(key));
        found.map(|at| index.0[at] as usize)
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.get_wtf8(key.as_bytes())
    }

    pub(crate) fn get_wtf8(&self, key: &[u8]) -> Option<&Value> {
        self.find(key).ok().map(|at| &self.members[at].1)
    }

    /// Sets a key, in its place if the object has it, else as the last member. Returns the value it had.
    pub fn insert(&mut self, key: impl Into<Text>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        match (self.find(key.as_wtf8()), &mut self.by_key) {
            (Ok(at), _) => return Some(std::mem::replace(&mut self.members[at].1, value)),
            (Err(place), Some(index)) => {
                index.0.insert(place, self.members.len() as u32);
                self.members.push((key, value));
            }
            (Err(_), None) => {
                self.members.push((key, value));
                *self = Self::from_entries(std::mem::take(&mut self.members));
            }
        }
        None
    }

    /// Walks the members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Text, &Value)> {
        self.members.iter().map(|(key, value)| (key, value))
    }

    /// Returns how many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.members == other.members
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_objects_find_their_members_by_an_index() {
        let mut object = Object::default();
        for round in 0..2 {
            for at in 0..200 {
                let old = object.insert(format!("k{}", at * 37 % 200), at + round);
                assert_eq!(old, (round == 1).then_some(Value::from(at)));
            }
        }
        assert_eq!(object.len(), 200);
        for at in 0..200 {
            assert_eq!(object.get(&format!("k{}", at * 37 % 200)), Some(&Value::from(at + 1)));
        }
        assert_eq!(object.get("k200"), None);
        let again = Value::parse(&Value::Object(object.clone()).to_json()).unwrap();
        assert_eq!(again, Value::Object(object));
    }
}
