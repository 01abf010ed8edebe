//! Running compiled rules.

use std::iter;

use super::program::{
    BOOL, HASH, INT, INTS, RAMP, SHARE, TEXT, TEXTS, Test, fixed_share, name_of, split_off_short,
};
use super::{Decision, Evaluator, decide, hash};
use crate::context::is_same;
use crate::percentage::Ramp;
use crate::{Attribute, Context, Flag, Reason, Semantics, Timestamp};

impl Evaluator<'_> {
    /// Returns whether an enabled flag is on, under documented semantics: the value of [`decide`](Self::decide), without
    /// a reason and in less time. `None` where this version cannot tell.
    #[inline(never)]
    pub(crate) fn run(&self, mut program: &[u8], flag: &Flag, context: Context<'_>) -> Option<bool> {
        let mut is_about = false;
        while let Some((test, rest)) = Test::split_off(program) {
            program = rest;
            let Some(given) = find(context, test.variable) else { continue };
            is_about = true;
            match test.passes(given) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => return self.decide(flag, context).value,
            }
        }
        match program {
            _ if is_about => Some(true),
            [] => Some(true),
            [SHARE, ..] => Some(self.draws(fixed_share(program)?)),
            [RAMP, ramp @ ..] => Some(self.draws(self.share_of(ramp)?)),
            [HASH, ..] => run_hash(program, context),
            _ => self.decide(flag, context).value,
        }
    }

    /// As [`run`](Self::run), of a program that is one test: without what a loop takes.
    #[inline(never)]
    pub(crate) fn run_test(&self, program: &[u8], flag: &Flag, context: Context<'_>) -> Option<bool> {
        let (test, _) = Test::split_off(program)?;
        match find(context, test.variable) {
            Some(given) => test.passes(given).or_else(|| self.decide(flag, context).value),
            None => Some(true),
        }
    }

    /// As [`run_test`](Self::run_test), with the reason.
    #[inline(never)]
    pub(crate) fn decide_test(&self, program: &[u8], flag: &Flag, context: Context<'_>) -> Decision {
        let Some((test, _)) = Test::split_off(program) else { return self.decide(flag, context) };
        let Some(given) = find(context, test.variable) else { return decide(true, Reason::Enabled) };
        match test.passes(given) {
            Some(true) => decide(true, Reason::ConditionsMet),
            // Conditions without checks are in no program, and count.
            Some(false) if flag.conditions().len() == 1 => {
                decide(false, Reason::CheckFailed { condition: 0, check: 0 })
            }
            _ => self.decide(flag, context),
        }
    }

    /// Whether a number that is drawn lets a context in. A share of nobody needs none.
    #[inline]
    pub(crate) fn draws(&self, share: f64) -> bool {
        share != 0.0 && self.random.draw() <= share
    }

    fn share_of(&self, ramp: &[u8]) -> Option<f64> {
        let (numbers, []) = ramp.as_chunks() else { return None };
        let [initial, slope, last, start] = numbers else { return None };
        let [initial, slope, last] = [initial, slope, last].map(|double| f64::from_le_bytes(*double));
        let start = Timestamp::from_micros(i64::from_le_bytes(*start));
        Some(Ramp::on_the_way((initial, last), slope, self.clock.now().secs_since(start)))
    }
}

/// As [`run`](Evaluator::run), of a program that is a hash: whether that lets a context in. It needs much of the stack.
#[inline(never)]
pub(crate) fn run_hash(program: &[u8], context: Context<'_>) -> Option<bool> {
    let [HASH, buckets, keys @ ..] = program else { return None };
    let mut keys = keys;
    let keys = iter::from_fn(|| {
        let (key, rest) = split_off_short(keys)?;
        keys = rest;
        Some((name_of(key), key))
    });
    let bucket = hash::bucket_of(keys, context, Semantics::Documented).ok()?;
    Some(bucket < *buckets)
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

impl Test<'_> {
    /// `None` for types whose comparison is not as simple.
    #[inline(always)]
    fn passes(&self, given: &Attribute<'_>) -> Option<bool> {
        let Self { kind, is, operand, .. } = *self;
        Some(match (given, kind) {
            (Attribute::Int(given), INT) => is.passed_by(given.cmp(&int(operand)?)),
            (Attribute::Bool(given), BOOL) => is.passed_by(u8::from(*given).cmp(operand.first()?)),
            (Attribute::Str(given), TEXT) if is.is_about_equality() => {
                is.passed_by_equal(is_same(given.as_bytes(), operand))
            }
            (Attribute::Str(given), TEXT) => is.passed_by(given.as_bytes().cmp(operand)),
            (Attribute::Str(given), TEXTS) => is.passed_by_equal(is_among(given.as_bytes(), operand)),
            (Attribute::Int(given), INTS) => {
                let (ints, _) = operand.as_chunks();
                is.passed_by_equal(ints.contains(&given.to_le_bytes()))
            }
            (Attribute::Str(_), INTS) | (Attribute::Int(_), TEXTS) => is.passed_by_equal(false),
            _ => return None,
        })
    }
}

fn int(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_le_bytes)
}

fn is_among(given: &[u8], mut texts: &[u8]) -> bool {
    while let Some((text, rest)) = split_off_short(texts) {
        if is_same(given, text) {
            return true;
        }
        texts = rest;
    }
    false
}
