//! The rules of a flag, compiled to be run.

use std::sync::Arc;

use crate::bucketer::{ConsistentHash, Key};
use crate::json::Value;
use crate::percentage::{Ramp, Share};
use crate::{Bucketer, Check, Condition, Operator};

/// A piece of a flag's rules.
///
/// Steps stand side by side in one piece of memory, two to a line of the cache: an evaluation that follows a pointer for
/// each check waits for memory more than it works. What does not fit into a step is [`Slow`](Self::Slow), and the rules
/// are walked as they are stored. First come the checks of all conditions, then the bucketer, unless everybody is in.
#[derive(Debug)]
pub(crate) enum Step {
    Test(Test),
    /// The variable of the next test, if it is too long to be in there.
    Variable(Short<29>),
    /// An element of the list of the test before.
    Element(Operand),
    /// A fixed share for which a number is drawn.
    Share(f64),
    /// The beginning of a ramp, and what it rises per second. Its end is the next step.
    Ramp {
        initial: f64,
        slope: f64,
        start_micros: i64,
    },
    RampEnd(f64),
    /// How many of the 100 buckets are in. The attributes that are hashed follow.
    Hash(u8),
    /// `, ["name", ` as it is hashed.
    Key(Short<29>),
    /// Anything else.
    Slow,
}

const _: () = assert!(size_of::<Step>() <= 32);

#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) operator: Operator,
    /// Empty if the step before has it.
    pub(crate) variable: Short<13>,
    pub(crate) operand: Operand,
}

#[derive(Debug)]
pub(crate) enum Operand {
    Bool(bool),
    Int(i64),
    Text(Short<14>),
    /// So many elements follow.
    Elements(u32),
}

/// A text of few bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short<const N: usize> {
    len: u8,
    bytes: [u8; N],
}

impl<const N: usize> Short<N> {
    const EMPTY: Self = Self { len: 0, bytes: [0; N] };

    fn new(text: &[u8]) -> Option<Self> {
        let mut short = Self::EMPTY;
        short.bytes.get_mut(..text.len())?.copy_from_slice(text);
        short.len = text.len() as u8;
        Some(short)
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len).min(N)]
    }
}

/// A list of more elements is not copied.
const MOST_ELEMENTS: usize = 64;

/// Compiles conditions and a bucketer.
pub(super) fn compile(conditions: &[Condition], bucketer: &Bucketer) -> Arc<[Step]> {
    let checks = || conditions.iter().flat_map(Condition::checks);
    // Before anything is made that would be thrown away.
    if !checks().all(fits) {
        return [Step::Slow].into();
    }
    // Room for what most flags have.
    let mut steps = Vec::with_capacity(conditions.len() * 2 + 4);
    if checks().all(|check| push_check(check, &mut steps).is_some()) {
        push_bucketer(bucketer, &mut steps);
        steps.into()
    } else {
        [Step::Slow].into()
    }
}

/// Whether a check may become steps, by the type of its operand.
fn fits(check: &Check) -> bool {
    let is_list = matches!(check.operator(), Some(Operator::In | Operator::NotIn));
    match check.operand() {
        Value::Array(_) => is_list,
        Value::Bool(_) | Value::Int(_) | Value::String(_) => !is_list,
        _ => false,
    }
}

fn push_check(check: &Check, steps: &mut Vec<Step>) -> Option<()> {
    let operator = check.operator()?;
    let variable = check.variable().as_wtf8();
    let variable = match Short::new(variable) {
        Some(short) if !variable.is_empty() => short,
        _ => {
            steps.push(Step::Variable(Short::new(variable)?));
            Short::EMPTY
        }
    };
    let with = |operand| Step::Test(Test { operator, variable, operand });
    match (operator, check.operand()) {
        (Operator::In | Operator::NotIn, Value::Array(elements)) if elements.len() <= MOST_ELEMENTS => {
            steps.push(with(Operand::Elements(elements.len() as u32)));
            for element in elements {
                steps.push(Step::Element(match element {
                    Value::Int(int) => Operand::Int(*int),
                    Value::String(text) => Operand::Text(Short::new(text.as_wtf8())?),
                    _ => return None,
                }));
            }
        }
        (Operator::In | Operator::NotIn, _) => return None,
        (_, Value::Bool(bool)) => steps.push(with(Operand::Bool(*bool))),
        (_, Value::Int(int)) => steps.push(with(Operand::Int(*int))),
        (_, Value::String(text)) => steps.push(with(Operand::Text(Short::new(text.as_wtf8())?))),
        _ => return None,
    }
    Some(())
}

fn push_bucketer(bucketer: &Bucketer, steps: &mut Vec<Step>) {
    match bucketer {
        Bucketer::NoOp => {}
        Bucketer::Percentage(percentage) => match &percentage.0 {
            Share::Fixed(share) => steps.push(Step::Share(*share)),
            Share::Ramp(Ramp { initial, last, slope, duration, start: Some(start) }) if *duration > 0.0 => {
                let (initial, slope, start_micros) = (*initial, *slope, start.as_micros());
                steps.extend([Step::Ramp { initial, slope, start_micros }, Step::RampEnd(*last)]);
            }
            Share::Ramp(_) | Share::Unknown(_) => steps.push(Step::Slow),
        },
        Bucketer::ConsistentHash(hash) => {
            let before = steps.len();
            if push_hash(hash, steps).is_none() {
                steps.truncate(before);
                steps.push(Step::Slow);
            }
        }
        Bucketer::Unknown(_) => steps.push(Step::Slow),
    }
}

fn push_hash(hash: &ConsistentHash, steps: &mut Vec<Step>) -> Option<()> {
    // Nobody is nobody: that needs no hash, and is rare.
    steps.push(Step::Hash(hash.fixed_buckets.filter(|buckets| *buckets > 0)?));
    for Key { name, prefix } in hash.only_keys()? {
        let key = Short::new(prefix.as_wtf8())?;
        // The name is part of it, unless it had to be escaped.
        steps.push((name_of(&key) == name.as_wtf8()).then_some(Step::Key(key))?);
    }
    Some(())
}

/// The name in a [`Step::Key`].
#[inline]
pub(super) fn name_of(key: &Short<29>) -> &[u8] {
    let key = key.as_bytes();
    key.get(4..key.len().saturating_sub(3)).unwrap_or_default()
}
