//! The comparisons that a check can make.

use std::fmt;

/// Names a comparison of a check: `given OP stored`.
///
/// They are flipper-client's eight, with Python's rules: numbers and booleans compare by exact value, whatever their
/// size and type; text compares with text by code point; lists compare with lists; everything is equal or not to
/// everything. A comparison that makes no sense, such as a number greater than a text, fails its check.
///
/// # Examples
///
/// ```
/// use flipper_core::{Condition, Operator};
///
/// let condition = Condition::builder().check("country", Operator::In, ["DE", "FR"]).build()?;
/// assert_eq!(condition.to_string(), r#"country in ["DE", "FR"]"#);
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operator {
    /// Equality; has no symbol.
    Eq,
    /// `ne`: not equal.
    Ne,
    /// `gt`: greater than.
    Gt,
    /// `gte`: greater than or equal.
    Gte,
    /// `lt`: less than.
    Lt,
    /// `lte`: less than or equal.
    Lte,
    /// `in`: equal to an element of a list, part of a text, or key of an object.
    In,
    /// `not_in`: the opposite of `in`.
    NotIn,
}

impl Operator {
    /// All operators, in the order of their definition.
    pub const ALL: &'static [Self] =
        &[Self::Eq, Self::Ne, Self::Gt, Self::Gte, Self::Lt, Self::Lte, Self::In, Self::NotIn];

    /// Returns the symbol as it is stored and written after `__`; `None` for equality.
    ///
    /// ```
    /// use flipper_core::Operator;
    ///
    /// assert_eq!(Operator::NotIn.symbol(), Some("not_in"));
    /// assert_eq!(Operator::Eq.symbol(), None);
    /// ```
    pub fn symbol(self) -> Option<&'static str> {
        match self {
            Self::Eq => None,
            Self::Ne => Some("ne"),
            Self::Gt => Some("gt"),
            Self::Gte => Some("gte"),
            Self::Lt => Some("lt"),
            Self::Lte => Some("lte"),
            Self::In => Some("in"),
            Self::NotIn => Some("not_in"),
        }
    }

    /// Returns the operator of a symbol. Equality has none, so no text gives it.
    pub fn from_symbol(symbol: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operator| operator.symbol() == Some(symbol))
    }
}

impl fmt::Display for Operator {
    /// Prints the operator as an expression would have it: `==`, `>=`, `not in`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Gt => ">",
            Self::Gte => ">=",
            Self::Lt => "<",
            Self::Lte => "<=",
            Self::In => "in",
            Self::NotIn => "not in",
        })
    }
}
