//! From and to what applications have.

use super::{MAX_DEPTH, Object, Text, Value};
use crate::{Attribute, Context};

macro_rules! from_ints {
    ($($int:ty),*) => {$(
        impl From<$int> for Value {
            fn from(int: $int) -> Self {
                Self::Int(int.into())
            }
        }
    )*};
}

from_ints!(i8, i16, i32, i64, u8, u16, u32);

impl From<u64> for Value {
    fn from(int: u64) -> Self {
        i64::try_from(int)
            .map_or_else(|_| Self::BigInt(super::BigInt::from_digits(&int.to_string())), Self::Int)
    }
}

impl From<isize> for Value {
    fn from(int: isize) -> Self {
        Self::Int(int as i64)
    }
}

impl From<usize> for Value {
    fn from(int: usize) -> Self {
        Self::from(int as u64)
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::Float(float)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::String(text.as_str().into())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    /// `None` is `null`.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(elements: Vec<T>) -> Self {
        Self::Array(elements.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self> + Clone> From<&[T]> for Value {
    fn from(elements: &[T]) -> Self {
        Self::Array(elements.iter().cloned().map(Into::into).collect())
    }
}

impl<T: Into<Self>, const N: usize> From<[T; N]> for Value {
    fn from(elements: [T; N]) -> Self {
        Self::Array(elements.into_iter().map(Into::into).collect())
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl<K: Into<Text>, V: Into<Value>> FromIterator<(K, V)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(members: I) -> Self {
        let mut dict = super::Ordered::with_capacity(0);
        for (key, value) in members {
            dict.insert(key.into(), value.into());
        }
        Self::from_entries(dict.into_entries())
    }
}

impl From<Attribute<'_>> for Value {
    /// Copies what the caller has lent.
    fn from(attribute: Attribute<'_>) -> Self {
        match attribute {
            Attribute::Null => Self::Null,
            Attribute::Bool(bool) => Self::Bool(bool),
            Attribute::Int(int) => Self::Int(int),
            Attribute::UInt(int) => int.into(),
            Attribute::Float(float) => Self::Float(float),
            Attribute::Str(text) => text.into(),
            Attribute::List(elements) => elements.into(),
            Attribute::Json(value) => value.into(),
            Attribute::Value(value) => value.clone(),
        }
    }
}

impl From<Context<'_>> for Object {
    /// Copies what the caller has lent. Of a name that occurs twice, the last value counts.
    fn from(context: Context<'_>) -> Self {
        context.pairs.iter().map(|(name, value)| (*name, *value)).collect()
    }
}

impl From<&serde_json::Value> for Value {
    /// Converts without loss, but for depth: below [`MAX_DEPTH`](super::MAX_DEPTH) levels and one more everything is
    /// `null`. No record may be that deep, so whatever takes the value refuses it all the same.
    fn from(value: &serde_json::Value) -> Self {
        from_serde(value, MAX_DEPTH + 1)
    }
}

fn from_serde(value: &serde_json::Value, levels: usize) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(bool) => Value::Bool(*bool),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(int), ..) => Value::Int(int),
            (_, Some(int), _) => int.into(),
            // Where the build has `arbitrary_precision`, an integer may be of any size.
            _ if !number.is_f64() => Value::BigInt(super::BigInt::from_digits(&number.to_string())),
            (.., float) => Value::Float(float.unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => text.into(),
        _ if levels == 0 => Value::Null,
        serde_json::Value::Array(elements) => {
            Value::Array(elements.iter().map(|element| from_serde(element, levels - 1)).collect())
        }
        serde_json::Value::Object(members) => Value::Object(from_members(members, levels - 1)),
    }
}

fn from_members(members: &serde_json::Map<String, serde_json::Value>, levels: usize) -> Object {
    members.iter().map(|(key, value)| (key.as_str(), from_serde(value, levels))).collect()
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        Self::from(&value)
    }
}

impl From<&serde_json::Map<String, serde_json::Value>> for Object {
    fn from(members: &serde_json::Map<String, serde_json::Value>) -> Self {
        from_members(members, MAX_DEPTH)
    }
}

impl From<serde_json::Map<String, serde_json::Value>> for Object {
    fn from(members: serde_json::Map<String, serde_json::Value>) -> Self {
        Self::from(&members)
    }
}

impl From<&Object> for Object {
    fn from(object: &Object) -> Self {
        object.clone()
    }
}

impl<K: Into<Text>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Object {
    fn from(members: [(K, V); N]) -> Self {
        members.into_iter().collect()
    }
}

impl From<&Value> for serde_json::Value {
    /// Converts what [`serde_json`] can hold. It has no place for some things: an integer beyond 64 bits becomes
    /// the nearest float, NaN and infinities become `null`, a lone surrogate becomes U+FFFD. Use [`Value`] itself
    /// where that matters.
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Int(int) => (*int).into(),
            Value::BigInt(big) => {
                big.as_str().parse::<u64>().map_or_else(|_| big.to_f64().into(), Into::into)
            }
            Value::Float(float) => (*float).into(),
            Value::String(text) => Self::String(text.to_string_lossy().into_owned()),
            Value::Array(elements) => Self::Array(elements.iter().map(Into::into).collect()),
            Value::Object(object) => Self::Object(object.into()),
        }
    }
}

impl From<&Object> for serde_json::Map<String, serde_json::Value> {
    fn from(object: &Object) -> Self {
        object.iter().map(|(key, value)| (key.to_string_lossy().into_owned(), value.into())).collect()
    }
}
