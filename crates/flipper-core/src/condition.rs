//! Conditions: what has to hold of a context.

use std::fmt;

use crate::check::Symbol;
use crate::json::{MAX_DEPTH, Ordered, Sink, Text, Value, separate, shortened, write_text};
use crate::{Check, Error, Operator, Result};

/// A record nests its conditions this much less deep than itself.
const MAX_OPERAND_DEPTH: usize = MAX_DEPTH - 6;

/// Separates a variable from its operator in the text form: `age__gte`.
pub(crate) const DELIMITER: &[u8] = b"__";

/// Holds one or more checks, all of which have to pass.
///
/// A flag may have several conditions, and all of them have to hold. A check whose variable the context does not
/// supply is passed over.
///
/// # Examples
///
/// With typed operators:
///
/// ```
/// use flipper_core::Condition;
///
/// let condition = Condition::builder()
///     .gt("number_of_horses_owned", 9000)
///     .ne("location", "city")
///     .is_in("horse_type", ["Stallion", "Mare"])
///     .build()?;
/// assert_eq!(
///     condition.to_string(),
///     r#"number_of_horses_owned > 9000 and location != "city" and horse_type in ["Stallion", "Mare"]"#
/// );
/// # Ok::<(), flipper_core::Error>(())
/// ```
///
/// In the text form of flipper-client, `variable` or `variable__operator`:
///
/// ```
/// use flipper_core::Condition;
///
/// let condition = Condition::from_keywords([("is_admin", true.into()), ("age__gte", 18.into())])?;
/// assert_eq!(condition.to_string(), "is_admin == true and age >= 18");
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    checks: Box<[Check]>,
}

impl Condition {
    /// Starts a condition without checks; add them, then [`build`](ConditionBuilder::build) it.
    pub fn builder() -> ConditionBuilder {
        ConditionBuilder { checks: Vec::new(), error: None }
    }

    /// Builds a condition from keywords as flipper-client takes them: `"variable"` for equality,
    /// `"variable__operator"` for one of `ne gt gte lt lte in not_in`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for an unknown operator, and for all that
    /// [`ConditionBuilder::build`] refuses.
    pub fn from_keywords<'k>(keywords: impl IntoIterator<Item = (&'k str, Value)>) -> Result<Self> {
        let mut builder = Self::builder();
        for (keyword, value) in keywords {
            builder = match split_keyword(keyword.as_bytes()) {
                (_, None) => builder.check(keyword, Operator::Eq, value),
                (variable, Some(symbol)) => {
                    let symbol = String::from_utf8_lossy(symbol);
                    match Operator::from_symbol(&symbol) {
                        Some(operator) => builder.check(&String::from_utf8_lossy(variable), operator, value),
                        None => {
                            return Err(Error::invalid(format!(
                                "`{keyword}`: `{symbol}` is not an operator; after `__` comes one of \
                                 ne, gt, gte, lt, lte, in, not_in"
                            )));
                        }
                    }
                }
            };
        }
        builder.build()
    }

    /// The reader's: what is stored may be what the builder would refuse.
    ///
    /// Checks of the same variable go together, at the place of the first, because that is how they are stored.
    pub(crate) fn from_checks(checks: Vec<Check>) -> Self {
        if checks.len() < 3 {
            return Self { checks: checks.into() };
        }
        let mut variables: Ordered<Text, Vec<Check>> = Ordered::with_capacity(checks.len());
        for check in checks {
            variables.entry_or_default(check.variable().clone()).push(check);
        }
        Self { checks: variables.into_entries().into_iter().flat_map(|(_, checks)| checks).collect() }
    }

    /// Returns the checks, those of the same variable together.
    #[inline]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Writes the condition as flipper-client stores it: variable to list of checks.
    pub(crate) fn write(&self, out: &mut impl Sink) {
        out.put(b"{");
        for (at, checks) in self.checks.chunk_by(|a, b| a.variable() == b.variable()).enumerate() {
            separate(at, out);
            write_text(checks[0].variable().as_wtf8(), out);
            out.put(b": [");
            for (at, check) in checks.iter().enumerate() {
                separate(at, out);
                check.write(out);
            }
            out.put(b"]");
        }
        out.put(b"}");
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.checks.is_empty() {
            return f.write_str("nothing");
        }
        for (at, check) in self.checks.iter().enumerate() {
            write!(f, "{}{check}", if at > 0 { " and " } else { "" })?;
        }
        Ok(())
    }
}

/// Collects the checks of a [`Condition`].
///
/// The first mistake is kept, and [`build`](Self::build) returns it.
///
/// # Examples
///
/// ```
/// use flipper_core::Condition;
///
/// let condition = Condition::builder().eq("is_admin", true).gte("age", 18).is_in("country", ["DE", "FR"]).build()?;
/// assert_eq!(condition.checks().len(), 3);
///
/// let error = Condition::builder().eq("user__id", 7).build().unwrap_err();
/// assert!(error.message().contains("separates variables from operators"));
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a condition is made by `build`"]
pub struct ConditionBuilder {
    checks: Vec<Check>,
    error: Option<Error>,
}

macro_rules! operators {
    ($($(#[$doc:meta])* $name:ident => $operator:ident),* $(,)?) => {$(
        $(#[$doc])*
        pub fn $name(self, variable: &str, value: impl Into<Value>) -> Self {
            self.check(variable, Operator::$operator, value)
        }
    )*};
}

impl ConditionBuilder {
    operators! {
        /// The attribute has to equal the value. Numbers are equal by value: `1`, `1.0` and `true` are.
        eq => Eq,
        /// The attribute has to differ from the value.
        ne => Ne,
        /// The attribute has to be greater than the value. Numbers order with numbers, text with text by code
        /// point, lists with lists.
        gt => Gt,
        /// The attribute has to be greater than or equal to the value.
        gte => Gte,
        /// The attribute has to be less than the value.
        lt => Lt,
        /// The attribute has to be less than or equal to the value.
        lte => Lte,
        /// The attribute has to equal an element of the list (or be part of the text, if the value is a text).
        is_in => In,
        /// The attribute must not equal an element of the list (or be part of the text, if the value is a text).
        is_not_in => NotIn,
    }

    /// Adds a check by its operator.
    pub fn check(mut self, variable: &str, operator: Operator, value: impl Into<Value>) -> Self {
        if self.error.is_none() {
            let check = Check::from_parts(variable.into(), Symbol::Known(operator), value.into());
            match self.refuse(variable, operator, check.operand()) {
                Some(why) => {
                    self.error =
                        Some(Error::invalid(format!("check `{}`: {why}", shortened(&check.to_string()))));
                }
                None => self.checks.push(check),
            }
        }
        self
    }

    /// Builds the condition.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), saying why, for everything that flipper-client would read
    /// differently or could not evaluate:
    ///
    /// * a variable that contains `__`, or ends in `_` before an operator: Python stores variable and operator
    ///   joined by `__` and would split the text elsewhere;
    /// * the variable `self`, which Python cannot pass as a keyword;
    /// * the same variable and operator twice in one condition, of which Python keeps the last: use two conditions;
    /// * `in` and `not_in` of something that has no members, ordering by something that has no order;
    /// * integers of more than 4,300 digits, which Python refuses to read, and values that are nested too deep;
    /// * a condition without checks.
    pub fn build(self) -> Result<Condition> {
        match self.error {
            Some(error) => Err(error),
            None if self.checks.is_empty() => Err(Error::invalid(
                "a condition needs at least one check: an empty one is never about anything",
            )),
            None => Ok(Condition::from_checks(self.checks)),
        }
    }

    fn refuse(&self, variable: &str, operator: Operator, operand: &Value) -> Option<String> {
        if variable.contains("__") {
            return Some(format!(
                "the variable {variable:?} contains `__`, which separates variables from operators where flags are stored"
            ));
        }
        if variable.ends_with('_') && operator != Operator::Eq {
            return Some(format!(
                "the variable {variable:?} ends in `_`: joined with an operator, flipper-client would split it elsewhere"
            ));
        }
        if variable == "self" {
            return Some("flipper-client cannot take an attribute of the name `self`".to_owned());
        }
        if self.checks.iter().any(|check| check.is_about(variable) && check.operator() == Some(operator)) {
            return Some(
                "the condition has this variable with this operator already, and flipper-client would keep only the \
                 last: use a second condition"
                    .to_owned(),
            );
        }
        match (operator, operand) {
            (Operator::In | Operator::NotIn, Value::Array(_) | Value::String(_) | Value::Object(_)) => {}
            (Operator::In | Operator::NotIn, _) => {
                return Some(format!("`{operator}` needs a list, not {}", operand.type_name()));
            }
            (Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte, Value::Null | Value::Object(_)) => {
                return Some(format!("nothing is greater or less than {}", operand.type_name()));
            }
            _ => {}
        }
        if operand.is_deeper_than(MAX_OPERAND_DEPTH) {
            return Some(format!(
                "it is nested deeper than the {MAX_OPERAND_DEPTH} levels that a record has room for"
            ));
        }
        has_unreadable_int(operand)
            .then(|| "an integer of more than 4,300 digits cannot be read by flipper-client".to_owned())
    }
}

/// The longest integer that Python reads
/// (<https://docs.python.org/3/library/stdtypes.html#int-max-str-digits>).
pub(crate) const PYTHON_INT_DIGITS: usize = 4300;

/// Whether there is an integer in it that Python cannot read.
pub(crate) fn has_unreadable_int(value: &Value) -> bool {
    match value {
        Value::BigInt(big) => big.as_str().trim_start_matches('-').len() > PYTHON_INT_DIGITS,
        Value::Array(elements) => elements.iter().any(has_unreadable_int),
        Value::Object(object) => object.iter().any(|(_, value)| has_unreadable_int(value)),
        _ => false,
    }
}

/// Splits a keyword as flipper-client does: `(variable, Some(symbol))` if `__` is in it exactly once, else all of it
/// is the variable.
pub(crate) fn split_keyword(keyword: &[u8]) -> (&[u8], Option<&[u8]>) {
    match find_delimiter(keyword) {
        Some(at) if find_delimiter(&keyword[at + 2..]).is_none() => {
            (&keyword[..at], Some(&keyword[at + 2..]))
        }
        _ => (keyword, None),
    }
}

pub(crate) fn find_delimiter(text: &[u8]) -> Option<usize> {
    text.windows(DELIMITER.len()).position(|window| window == DELIMITER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn keywords_split_only_at_a_single_delimiter() {
        for (keyword, variable, symbol) in [
            ("a", "a", None),
            ("a__gt", "a", Some("gt")),
            ("a__", "a", Some("")),
            ("__gt", "", Some("gt")),
            ("a___gt", "a", Some("_gt")),
            ("a____gt", "a____gt", None),
            ("a__b__gt", "a__b__gt", None),
        ] {
            let split = split_keyword(keyword.as_bytes());
            assert_eq!(split, (variable.as_bytes(), symbol.map(str::as_bytes)), "{keyword}");
        }
    }

    #[test]
    fn refuses_what_python_would_read_differently() {
        let huge = Value::parse(&"9".repeat(4301)).unwrap();
        for (builder, why) in [
            (Condition::builder().eq("user__id", 1), "contains `__`"),
            (Condition::builder().gt("x_", 1), "ends in `_`"),
            (Condition::builder().eq("self", 1), "`self`"),
            (Condition::builder().ne("x", 1).ne("x", 2), "use a second condition"),
            (Condition::builder().is_in("x", 5), "needs a list, not a number"),
            (Condition::builder().is_not_in("x", Value::Null), "needs a list, not null"),
            (Condition::builder().gt("x", Value::Null), "greater or less than null"),
            (Condition::builder().eq("x", vec![huge]), "4,300 digits"),
            (Condition::builder(), "at least one check"),
        ] {
            let error = builder.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(why), "{error}");
        }
    }

    #[test]
    fn refuses_unknown_operators_in_the_text_form() {
        let error = Condition::from_keywords([("user__id", 1.into())]).unwrap_err();
        assert!(error.message().contains("`id` is not an operator"), "{error}");
        let error = Condition::from_keywords([("a__b__gt", 1.into())]).unwrap_err();
        assert!(error.message().contains("contains `__`"), "{error}");
    }

    #[test]
    fn writes_variables_in_order_of_first_use() {
        let condition =
            Condition::builder().gt("x", 1).ne("y", "é").lt("x", 10).eq("x_", Value::Null).build().unwrap();
        let mut out = Vec::new();
        condition.write(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"x": [{"variable": "x", "value": 1, "operator": "gt"}, {"variable": "x", "value": 10, "operator": "lt"}], "y": [{"variable": "y", "value": "\u00e9", "operator": "ne"}], "x_": [{"variable": "x_", "value": null, "operator": null}]}"#
        );
    }
}
