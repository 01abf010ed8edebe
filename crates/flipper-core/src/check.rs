//! Checks: one comparison each.

use std::borrow::Cow;
use std::fmt;

use crate::Operator;
use crate::context::is_same;
use crate::json::{Sink, Text, Value, write_text, write_value};

/// Compares one variable of the context with a value.
///
/// # Examples
///
/// ```
/// use flipper_core::{Condition, Operator};
///
/// let condition = Condition::builder().gt("number", 9000).build()?;
/// let check = &condition.checks()[0];
/// assert_eq!(check.operator(), Some(Operator::Gt));
/// assert_eq!(check.to_string(), "number > 9000");
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    variable: Text,
    symbol: Symbol,
    operand: Value,
}

/// What stands for the operator in a stored check.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Symbol {
    Known(Operator),
    /// What a newer writer, or a careless one, has put there.
    Unknown(Value),
}

impl Check {
    pub(crate) fn from_parts(variable: Text, symbol: Symbol, operand: Value) -> Self {
        Self { variable, symbol, operand }
    }

    /// Returns the name of the attribute that the check looks at.
    pub fn variable(&self) -> &Text {
        &self.variable
    }

    #[inline]
    pub(crate) fn is_about(&self, name: &str) -> bool {
        is_same(self.variable.as_wtf8(), name.as_bytes())
    }

    /// Returns the operator, or `None` for one that this version does not know.
    #[inline]
    pub fn operator(&self) -> Option<Operator> {
        match self.symbol {
            Symbol::Known(operator) => Some(operator),
            Symbol::Unknown(_) => None,
        }
    }

    /// Returns the operator's symbol as it is stored: `None` for equality, else `"gt"`, `"in"`, or a text that this
    /// version does not know.
    pub fn symbol(&self) -> Option<Cow<'_, str>> {
        match &self.symbol {
            Symbol::Known(operator) => operator.symbol().map(Into::into),
            Symbol::Unknown(Value::String(text)) => Some(text.to_string_lossy()),
            Symbol::Unknown(other) => Some(other.to_string().into()),
        }
    }

    /// Returns the value that the attribute is compared with.
    #[inline]
    pub fn operand(&self) -> &Value {
        &self.operand
    }

    pub(crate) fn write(&self, out: &mut impl Sink) {
        out.put(b"{\"variable\": ");
        write_text(self.variable.as_wtf8(), out);
        out.put(b", \"value\": ");
        // The builder and the reader have seen to it that it is not too deep.
        let _ = write_value(&self.operand, out);
        out.put(b", \"operator\": ");
        match &self.symbol {
            Symbol::Known(operator) => match operator.symbol() {
                Some(symbol) => write_text(symbol.as_bytes(), out),
                None => out.put(b"null"),
            },
            Symbol::Unknown(symbol) => {
                let _ = write_value(symbol, out);
            }
        }
        out.put(b"}");
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.symbol {
            Symbol::Known(operator) => write!(f, "{} {operator} {}", self.variable, self.operand),
            Symbol::Unknown(symbol) => write!(f, "{} {symbol} {}", self.variable, self.operand),
        }
    }
}
