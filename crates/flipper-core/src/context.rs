//! What a caller knows about one check.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use crate::json;

/// Holds what a caller knows about one check: names and values of attributes, in order, borrowed.
///
/// A context costs nothing to make: it is a slice on the caller's stack. Make it with [`ctx!`](crate::ctx), from an
/// array of pairs, or borrow it from a [`ContextBuf`]. Any name is allowed. Of a name that occurs twice, the last
/// value counts.
///
/// # Examples
///
/// ```
/// use flipper_core::{Attribute, Context, ctx};
///
/// let plan = String::from("gold");
/// let context = ctx! { user_id: 42, plan: &plan, "is admin": false };
/// assert_eq!(context.get("user_id"), Some(Attribute::Int(42)));
///
/// let pairs = [("user_id", Attribute::from(42))];
/// assert!(Context::new(&pairs).get("plan").is_none());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    // Public for `ctx!` alone: only a braced literal keeps the temporaries in it alive.
    #[doc(hidden)]
    pub pairs: &'a [(&'a str, Attribute<'a>)],
}

impl<'a> Context<'a> {
    /// Knows nothing.
    pub const EMPTY: Context<'static> = Context { pairs: &[] };

    /// Makes a context from pairs of name and value.
    pub const fn new(pairs: &'a [(&'a str, Attribute<'a>)]) -> Self {
        Self { pairs }
    }

    /// Returns whether nothing is known.
    pub const fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Returns the value of an attribute.
    pub fn get(&self, name: &str) -> Option<Attribute<'a>> {
        self.find(name).copied()
    }

    #[inline]
    pub(crate) fn find(&self, name: &str) -> Option<&'a Attribute<'a>> {
        self.find_wtf8(name.as_bytes())
    }

    #[inline]
    pub(crate) fn find_wtf8(&self, name: &[u8]) -> Option<&'a Attribute<'a>> {
        self.pairs.iter().rev().find(|(known, _)| is_same(known.as_bytes(), name)).map(|(_, value)| value)
    }

    /// Whether a later pair has the same name, so that this one does not count.
    pub(crate) fn is_shadowed(&self, at: usize) -> bool {
        let name = self.pairs[at].0;
        self.pairs[at + 1..].iter().any(|(later, _)| *later == name)
    }
}

/// Compares names. They are short, and a call to `memcmp` costs more than the comparison.
#[inline]
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    // The two ends, which may overlap.
    fn ends<const N: usize>(a: &[u8], b: &[u8]) -> bool {
        a.first_chunk::<N>() == b.first_chunk() && a.last_chunk::<N>() == b.last_chunk()
    }
    a.len() == b.len()
        && match a.len() {
            8..=16 => ends::<8>(a, b),
            4..8 => ends::<4>(a, b),
            2..4 => ends::<2>(a, b),
            0..2 => a.first() == b.first(),
            _ => a == b,
        }
}

impl<'a> From<&'a [(&'a str, Attribute<'a>)]> for Context<'a> {
    fn from(pairs: &'a [(&'a str, Attribute<'a>)]) -> Self {
        Self { pairs }
    }
}

impl<'a, const N: usize> From<&'a [(&'a str, Attribute<'a>); N]> for Context<'a> {
    fn from(pairs: &'a [(&'a str, Attribute<'a>); N]) -> Self {
        Self { pairs }
    }
}

/// Makes a [`Context`] on the stack from `name: value` pairs.
///
/// A name is an identifier, a string literal, or an expression in parentheses. A value is anything that converts
/// [into an `Attribute`](Attribute#trait-implementations): integers, floats, booleans, text, options, slices of
/// attributes, [`serde_json::Value`] by reference. An integer literal beyond 32 bits needs its type: `3_000_000_000_i64`.
///
/// # Examples
///
/// ```
/// use flipper_core::ctx;
///
/// let tags = serde_json::json!(["beta", "eu"]);
/// let name = "dynamic";
/// let context = ctx! { user_id: 42, "x-plan": "gold", tags: &tags, (name): None::<i64> };
/// assert!(context.get("dynamic").is_some());
/// assert!(ctx! { r#type: 1 }.get("type").is_some());
/// assert!(ctx! {}.is_empty());
/// ```
#[macro_export]
macro_rules! ctx {
    ($($name:tt : $value:expr),* $(,)?) => {
        $crate::Context {
            pairs: &[$((
                $crate::ctx!(@name $name),
                <$crate::Attribute<'_> as ::core::convert::From<_>>::from($value),
            )),*],
        }
    };
    (@name $name:ident) => { const { $crate::__name_of_identifier(::core::stringify!($name)) } };
    (@name $name:literal) => { $name };
    (@name ($name:expr)) => { $name };
}

/// Takes the mark off a raw identifier: `r#type` names `type`.
#[doc(hidden)]
pub const fn __name_of_identifier(identifier: &'static str) -> &'static str {
    match identifier.as_bytes() {
        [b'r', b'#', ..] => identifier.split_at(2).1,
        _ => identifier,
    }
}

/// Holds the value of one attribute, borrowed from the caller.
///
/// # Examples
///
/// ```
/// use flipper_core::{Attribute, ContextBuf};
///
/// let mut context = ContextBuf::new();
/// context.push("user_id", 7);
/// context.push("plan", "gold");
/// context.push("score", Attribute::Float(0.5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Attribute<'a> {
    /// Nothing; Python's `None`, JSON's `null`. Not the same as an attribute that is not supplied.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer beyond `i64`.
    UInt(u64),
    /// A float.
    Float(f64),
    /// Text.
    Str(&'a str),
    /// A list.
    List(&'a [Attribute<'a>]),
    /// Any JSON value of [`serde_json`].
    ///
    /// Its objects are in the order of `serde_json`'s map: sorted by key, unless some crate of the build switches on
    /// its feature `preserve_order`. Consistent hashing sees that order, where Python hashes the order of insertion. So
    /// hash single values, or give objects as [`Value`](Self::Value), whose order is yours.
    Json(&'a serde_json::Value),
    /// Any value of [Python's dialect](crate::json).
    Value(&'a json::Value),
}

macro_rules! from_ints {
    ($($int:ty),*) => {$(
        impl From<$int> for Attribute<'_> {
            #[inline]
            fn from(int: $int) -> Self {
                Self::Int(int.into())
            }
        }
    )*};
}

from_ints!(i8, i16, i32, i64, u8, u16, u32);

impl From<isize> for Attribute<'_> {
    fn from(int: isize) -> Self {
        Self::Int(int as i64)
    }
}

impl From<u64> for Attribute<'_> {
    #[inline]
    fn from(int: u64) -> Self {
        i64::try_from(int).map_or(Self::UInt(int), Self::Int)
    }
}

impl From<usize> for Attribute<'_> {
    #[inline]
    fn from(int: usize) -> Self {
        Self::from(int as u64)
    }
}

impl From<bool> for Attribute<'_> {
    #[inline]
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl From<f64> for Attribute<'_> {
    #[inline]
    fn from(float: f64) -> Self {
        Self::Float(float)
    }
}

impl<'a> From<&'a str> for Attribute<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        Self::Str(text)
    }
}

impl<'a> From<&'a String> for Attribute<'a> {
    #[inline]
    fn from(text: &'a String) -> Self {
        Self::Str(text)
    }
}

macro_rules! from_references {
    ($($type:ty),*) => {$(
        impl From<&$type> for Attribute<'_> {
            fn from(value: &$type) -> Self {
                Self::from(*value)
            }
        }
    )*};
}

// For the values of maps, which are borrowed.
from_references!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f64, bool);

impl<'a> From<&'a Cow<'_, str>> for Attribute<'a> {
    fn from(text: &'a Cow<'_, str>) -> Self {
        Self::Str(text)
    }
}

impl<'a> From<&&'a str> for Attribute<'a> {
    fn from(text: &&'a str) -> Self {
        Self::Str(text)
    }
}

impl<'a> From<&Attribute<'a>> for Attribute<'a> {
    fn from(attribute: &Attribute<'a>) -> Self {
        *attribute
    }
}

impl<'a> From<&'a [Attribute<'a>]> for Attribute<'a> {
    fn from(elements: &'a [Attribute<'a>]) -> Self {
        Self::List(elements)
    }
}

impl<'a, const N: usize> From<&'a [Attribute<'a>; N]> for Attribute<'a> {
    fn from(elements: &'a [Attribute<'a>; N]) -> Self {
        Self::List(elements)
    }
}

impl<'a> From<&'a serde_json::Value> for Attribute<'a> {
    fn from(value: &'a serde_json::Value) -> Self {
        Self::Json(value)
    }
}

impl<'a> From<&'a json::Value> for Attribute<'a> {
    fn from(value: &'a json::Value) -> Self {
        Self::Value(value)
    }
}

impl<'a, T: Into<Attribute<'a>>> From<Option<T>> for Attribute<'a> {
    /// `None` is [`Null`](Self::Null).
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Owns the pairs of a [`Context`] whose names are not known when the code is written.
///
/// # Examples
///
/// ```
/// use std::collections::HashMap;
/// use flipper_core::{Attribute, ContextBuf};
///
/// let headers = HashMap::from([("x-plan".to_owned(), "gold".to_owned())]);
/// let context = ContextBuf::from(&headers);
/// assert_eq!(context.as_context().get("x-plan"), Some(Attribute::Str("gold")));
///
/// let request = serde_json::json!({"user_id": 42, "tags": ["beta"]});
/// let context = ContextBuf::from(request.as_object().unwrap());
/// assert!(context.as_context().get("tags").is_some());
/// ```
#[derive(Clone, Debug, Default)]
pub struct ContextBuf<'a>(Vec<(&'a str, Attribute<'a>)>);

impl<'a> ContextBuf<'a> {
    /// Knows nothing yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds an attribute. It counts in place of an earlier one of the same name.
    pub fn push(&mut self, name: &'a str, value: impl Into<Attribute<'a>>) {
        self.0.push((name, value.into()));
    }

    /// Borrows the context.
    pub fn as_context(&self) -> Context<'_> {
        Context { pairs: &self.0 }
    }
}

impl<'a, V: Into<Attribute<'a>>> FromIterator<(&'a str, V)> for ContextBuf<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}

impl<'a, V: Into<Attribute<'a>>> Extend<(&'a str, V)> for ContextBuf<'a> {
    fn extend<I: IntoIterator<Item = (&'a str, V)>>(&mut self, pairs: I) {
        self.0.extend(pairs.into_iter().map(|(name, value)| (name, value.into())));
    }
}

impl<'a> From<&'a serde_json::Map<String, serde_json::Value>> for ContextBuf<'a> {
    fn from(map: &'a serde_json::Map<String, serde_json::Value>) -> Self {
        map.iter().map(|(name, value)| (name.as_str(), value)).collect()
    }
}

impl<'a, K, V, S> From<&'a HashMap<K, V, S>> for ContextBuf<'a>
where
    K: AsRef<str> + Eq + Hash,
    &'a V: Into<Attribute<'a>>,
    S: BuildHasher,
{
    fn from(map: &'a HashMap<K, V, S>) -> Self {
        map.iter().map(|(name, value)| (name.as_ref(), value)).collect()
    }
}

impl<'a, K: AsRef<str>, V> From<&'a BTreeMap<K, V>> for ContextBuf<'a>
where
    &'a V: Into<Attribute<'a>>,
{
    fn from(map: &'a BTreeMap<K, V>) -> Self {
        map.iter().map(|(name, value)| (name.as_ref(), value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_small_and_on_the_stack() {
        assert_eq!(size_of::<Attribute<'_>>(), 24);
        assert_eq!(size_of::<Context<'_>>(), 16);
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let context = ctx! { a: 1, b: 2, a: 3 };
        assert_eq!(context.get("a"), Some(Attribute::Int(3)));
        assert_eq!(context.get("b"), Some(Attribute::Int(2)));
    }

    #[test]
    fn integers_keep_their_value() {
        assert_eq!(Attribute::from(u64::MAX), Attribute::UInt(u64::MAX));
        assert_eq!(Attribute::from(7_u64), Attribute::Int(7));
        assert_eq!(Attribute::from(-1_isize), Attribute::Int(-1));
    }
}
