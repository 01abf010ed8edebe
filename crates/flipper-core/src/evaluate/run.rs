//! Running compiled rules.

use std::cmp::Ordering;

use super::steps::{Operand, Step, Test, name_of};
use super::{Evaluator, hash};
use crate::context::is_same;
use crate::percentage::Ramp;
use crate::{Attribute, Context, Flag, Operator, Semantics, Timestamp};

impl Evaluator<'_> {
    /// Returns whether an enabled flag is on, under documented semantics: the value of [`decide`](Self::decide), without
    /// a reason and in less time. `None` where this version cannot tell.
    #[inline(always)]
    pub(crate) fn run(&self, steps: &[Step], flag: &Flag, context: Context<'_>) -> Option<bool> {
        match steps {
            // The most frequent rules, without what a loop over steps takes.
            [Step::Test(test)] => self.run_alone(test, flag, context),
            [Step::Hash(buckets), keys @ ..] => is_in(*buckets, keys, context),
            _ => self.run_all(steps, flag, context),
        }
    }

    #[inline(never)]
    fn run_alone(&self, test: &Test, flag: &Flag, context: Context<'_>) -> Option<bool> {
        match find(context, test.variable.as_bytes()) {
            Some(given) => test.passes(given, &[]).or_else(|| self.decide(flag, context).value),
            None => Some(true),
        }
    }

    #[inline(never)]
    fn run_all(&self, steps: &[Step], flag: &Flag, context: Context<'_>) -> Option<bool> {
        let mut rest = steps;
        let mut is_about = false;
        let mut long_variable: &[u8] = b"";
        loop {
            match rest {
                [Step::Test(test), after @ ..] => {
                    let variable = match test.variable.as_bytes() {
                        [] => long_variable,
                        variable => variable,
                    };
                    let (elements, after) = match test.operand {
                        Operand::Elements(count) => after.split_at_checked(count as usize)?,
                        _ => after.split_at(0),
                    };
                    rest = after;
                    let Some(given) = find(context, variable) else { continue };
                    is_about = true;
                    match test.passes(given, elements) {
                        Some(true) => {}
                        Some(false) => return Some(false),
                        None => return self.decide(flag, context).value,
                    }
                }
                [Step::Variable(variable), after @ ..] => {
                    long_variable = variable.as_bytes();
                    rest = after;
                }
                _ if is_about => return Some(true),
                [] => return Some(true),
                [Step::Share(share), ..] => return Some(self.draws(*share)),
                [Step::Ramp { initial, slope, start_micros }, Step::RampEnd(last), ..] => {
                    let elapsed = self.clock.now().secs_since(Timestamp::from_micros(*start_micros));
                    return Some(self.draws(Ramp::on_the_way((*initial, *last), *slope, elapsed)));
                }
                [Step::Hash(buckets), keys @ ..] => return is_in(*buckets, keys, context),
                _ => return self.decide(flag, context).value,
            }
        }
    }

    /// Whether a number that is drawn lets a context in. A share of nobody needs none.
    #[inline]
    pub(crate) fn draws(&self, share: f64) -> bool {
        share != 0.0 && self.random.draw() <= share
    }
}

/// Whether the hash of some attributes lets a context in. Apart, as it needs much of the stack.
#[inline(never)]
fn is_in(buckets: u8, keys: &[Step], context: Context<'_>) -> Option<bool> {
    let keys = keys.iter().filter_map(|step| match step {
        Step::Key(key) => Some((name_of(key), key.as_bytes())),
        _ => None,
    });
    let bucket = hash::bucket_of(keys, context, Semantics::Documented).ok()?;
    Some(bucket < buckets)
}

/// The last attribute of a name.
#[inline(always)]
fn find<'c>(context: Context<'c>, variable: &[u8]) -> Option<&'c Attribute<'c>> {
    for (name, given) in context.pairs.iter().rev() {
        if is_same(name.as_bytes(), variable) {
            return Some(given);
        }
    }
    None
}

impl Test {
    /// `None` for types whose comparison is not as simple.
    #[inline(always)]
    fn passes(&self, given: &Attribute<'_>, elements: &[Step]) -> Option<bool> {
        let ordering = match (given, &self.operand) {
            (Attribute::Int(given), Operand::Int(operand)) => given.cmp(operand),
            (Attribute::Bool(given), Operand::Bool(operand)) => given.cmp(operand),
            (Attribute::Str(given), Operand::Text(operand)) => match self.operator {
                Operator::Eq => return Some(is_same(given.as_bytes(), operand.as_bytes())),
                Operator::Ne => return Some(!is_same(given.as_bytes(), operand.as_bytes())),
                _ => given.as_bytes().cmp(operand.as_bytes()),
            },
            (Attribute::Str(given), Operand::Elements(_)) => {
                let is_it = |step: &Step| match step {
                    Step::Element(Operand::Text(text)) => is_same(given.as_bytes(), text.as_bytes()),
                    _ => false,
                };
                return Some(elements.iter().any(is_it) == (self.operator == Operator::In));
            }
            (Attribute::Int(given), Operand::Elements(_)) => {
                let is_it = |step: &Step| matches!(step, Step::Element(Operand::Int(int)) if int == given);
                return Some(elements.iter().any(is_it) == (self.operator == Operator::In));
            }
            _ => return None,
        };
        match self.operator {
            Operator::Eq => Some(ordering == Ordering::Equal),
            Operator::Ne => Some(ordering != Ordering::Equal),
            Operator::Gt => Some(ordering == Ordering::Greater),
            Operator::Gte => Some(ordering != Ordering::Less),
            Operator::Lt => Some(ordering == Ordering::Less),
            Operator::Lte => Some(ordering != Ordering::Greater),
            Operator::In | Operator::NotIn => None,
        }
    }
}
