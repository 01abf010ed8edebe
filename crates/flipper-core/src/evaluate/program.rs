//! The rules of a flag, laid out to be run.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use super::compare::{self, NotComparable};
use super::{Decision, Reason, UNSUPPORTED, decide};
use crate::context::is_same;
use crate::json::{Text, Value};
use crate::{Attribute, Bucketer, Condition, Context, Operator, Semantics};

/// What decides on an enabled flag: its bucketer, and all checks of all conditions side by side.
///
/// It is one piece of memory, because an evaluation that follows a pointer for each check waits for memory more than it
/// works.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Rules<T: ?Sized = [Test]> {
    pub(crate) bucketer: Bucketer,
    /// The conditions to look at, once somebody does. To be run, they are tests.
    pub(crate) conditions: OnceLock<Box<[Condition]>>,
    /// A condition may have no checks.
    has_conditions: bool,
    /// The tests, if they are too many to be kept in place.
    rest: Box<[Test]>,
    tests: T,
}

/// A check, compiled.
#[derive(Debug)]
pub(crate) struct Test {
    variable: Text,
    operand: Value,
    /// `None` for one that this version does not know.
    operator: Option<Operator>,
    /// Places, as reasons give them.
    condition: u16,
    check: u16,
}

const _: () = assert!(size_of::<Test>() == 64);

impl Rules {
    pub(crate) fn new(conditions: Box<[Condition]>, bucketer: Bucketer) -> Arc<Self> {
        let has_conditions = !conditions.is_empty();
        let tests = conditions.into_iter().enumerate().flat_map(|(condition, checks)| {
            checks.into_checks().into_iter().enumerate().map(move |(check, compared)| {
                let operator = compared.operator();
                let (variable, operand) = compared.into_parts();
                Test { variable, operand, operator, condition: number(condition), check: number(check) }
            })
        });
        let tests: Vec<Test> = tests.collect();
        let rules =
            Rules { bucketer, conditions: OnceLock::new(), has_conditions, rest: Box::default(), tests: [] };
        match tests.len() {
            1 => rules.in_place::<1>(tests),
            2 => rules.in_place::<2>(tests),
            3 => rules.in_place::<3>(tests),
            4 => rules.in_place::<4>(tests),
            5 => rules.in_place::<5>(tests),
            6 => rules.in_place::<6>(tests),
            7 => rules.in_place::<7>(tests),
            8 => rules.in_place::<8>(tests),
            _ => rules.in_place::<0>(tests),
        }
    }

    #[inline]
    pub(crate) fn has_conditions(&self) -> bool {
        self.has_conditions
    }

    #[inline]
    fn tests(&self) -> &[Test] {
        if self.tests.is_empty() { &self.rest } else { &self.tests }
    }

    /// Runs the checks; `None` if none of them is about the context, and the bucketer has the say.
    ///
    /// The reason names the check that fails first in flipper-client's order: conditions, then attributes as they were
    /// given, then checks. The value does not depend on the order.
    #[inline(always)]
    pub(crate) fn run_checks(&self, context: Context<'_>, semantics: Semantics) -> Option<Decision> {
        let (mut is_about, mut is_unknown) = (false, false);
        for (at, test) in self.tests().iter().enumerate() {
            let Some(given) = test.find(context) else { continue };
            is_about = true;
            match test.operator.map(|operator| test.passes(operator, given)) {
                Some(Ok(true)) => {}
                Some(_) => return Some(self.first_failure(at, context)),
                None => is_unknown = true,
            }
        }
        match semantics {
            _ if is_unknown => Some(UNSUPPORTED),
            _ if is_about => Some(decide(true, Reason::ConditionsMet)),
            Semantics::Documented => None,
            // Any attribute at all decides by the conditions, of which none fails.
            Semantics::FlipperClient if !self.has_conditions || context.is_empty() => None,
            Semantics::FlipperClient => Some(decide(true, Reason::ConditionsMet)),
        }
    }

    /// Which check of a condition, one of whose checks has failed, has failed first.
    #[cold]
    #[inline(never)]
    fn first_failure(&self, from: usize, context: Context<'_>) -> Decision {
        let condition = self.tests()[from].condition;
        let mut first = None;
        for test in self.tests()[from..].iter().take_while(|test| test.condition == condition) {
            let (Some(at), Some(operator)) = (test.position(context), test.operator) else { continue };
            let reason = match test.passes(operator, &context.pairs[at].1) {
                Ok(true) => continue,
                Ok(false) => Reason::CheckFailed { condition, check: test.check },
                Err(NotComparable) => Reason::NotComparable { condition, check: test.check },
            };
            if first.is_none_or(|(earlier, _)| at < earlier) {
                first = Some((at, reason));
            }
        }
        decide(false, first.map_or(Reason::ConditionsMet, |(_, reason)| reason))
    }
}

fn number(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}

impl Rules<[Test; 0]> {
    /// Puts the tests in place: only where their number is known to the compiler can they stand there.
    fn in_place<const N: usize>(self, tests: Vec<Test>) -> Arc<Rules> {
        match <[Test; N]>::try_from(tests) {
            Ok(tests) => {
                let Self { bucketer, conditions, has_conditions, rest, .. } = self;
                Arc::new(Rules { bucketer, conditions, has_conditions, rest, tests })
            }
            Err(tests) => Arc::new(Self { rest: tests.into(), ..self }),
        }
    }
}

impl Test {
    /// The attribute that the test is about: the last of its name.
    #[inline(always)]
    fn find<'c>(&self, context: Context<'c>) -> Option<&'c Attribute<'c>> {
        let variable = self.variable.as_wtf8();
        for (name, given) in context.pairs.iter().rev() {
            if is_same(name.as_bytes(), variable) {
                return Some(given);
            }
        }
        None
    }

    /// Where that attribute stands.
    fn position(&self, context: Context<'_>) -> Option<usize> {
        context.pairs.iter().rposition(|(name, _)| is_same(name.as_bytes(), self.variable.as_wtf8()))
    }

    #[inline(always)]
    fn passes(&self, operator: Operator, given: &Attribute<'_>) -> Result<bool, NotComparable> {
        let ordering = match (given, &self.operand) {
            (Attribute::Int(a), Value::Int(b)) => a.cmp(b),
            (Attribute::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Attribute::Str(a), Value::String(b)) => match operator {
                Operator::Eq => return Ok(is_same(a.as_bytes(), b.as_wtf8())),
                Operator::Ne => return Ok(!is_same(a.as_bytes(), b.as_wtf8())),
                _ => a.as_bytes().cmp(b.as_wtf8()),
            },
            _ => return compare::test(operator, given, &self.operand),
        };
        match operator {
            Operator::Eq => Ok(ordering == Ordering::Equal),
            Operator::Ne => Ok(ordering != Ordering::Equal),
            Operator::Gt => Ok(ordering == Ordering::Greater),
            Operator::Gte => Ok(ordering != Ordering::Less),
            Operator::Lt => Ok(ordering == Ordering::Less),
            Operator::Lte => Ok(ordering != Ordering::Greater),
            Operator::In | Operator::NotIn => compare::test(operator, given, &self.operand),
        }
    }
}
