//! The rules of a flag, compiled to bytes that are run.

use std::sync::Arc;

use crate::bucketer::{ConsistentHash, Key};
use crate::json::Value;
use crate::percentage::{Ramp, Share};
use crate::{Bucketer, Check, Condition, Operator};

/// Rules, compiled: the tests of all conditions, then the bucketer, unless everybody is in.
///
/// They lie side by side in as few bytes as they need, because an evaluation waits for memory more than it works. Of most
/// flags, they are one or two lines of the cache. What has no form here is [`SLOW`], and the rules are walked as they are
/// stored. Numbers are little-endian.
///
/// | bytes | |
/// |---|---|
/// | a kind below [`SHARE`] and an [`Is`], the lengths of the variable (1 byte) and of the operand (2), and both | a test |
/// | [`SHARE`], a double | a fixed share for which a number is drawn |
/// | [`RAMP`], initial share, slope per second, final share (doubles), start in microseconds | a share that moves |
/// | [`HASH`], how many of the 100 buckets are in; of each attribute that is hashed the length of `, ["name", ` (1 byte) and that | |
/// | [`SLOW`] | anything else |
pub(crate) type Program = Arc<[u8]>;

/// What the operand of a test is. In the first byte, times 8.
pub(super) const BOOL: u8 = 0;
pub(super) const INT: u8 = 1;
pub(super) const TEXT: u8 = 2;
/// A list of integers.
pub(super) const INTS: u8 = 3;
/// A list of texts, each after its length in one byte.
pub(super) const TEXTS: u8 = 4;

pub(super) const SHARE: u8 = 0x80;
pub(super) const RAMP: u8 = 0x81;
pub(super) const HASH: u8 = 0x82;
pub(super) const SLOW: u8 = 0x83;

/// Which results of a comparison pass a test: three bits.
#[derive(Clone, Copy)]
pub(super) struct Is(u8);

impl Is {
    const LESS: u8 = 0b001;
    const EQUAL: u8 = 0b010;
    const GREATER: u8 = 0b100;

    fn of(operator: Operator) -> Self {
        Self(match operator {
            // An element of a list is equal, and the others are not.
            Operator::Eq | Operator::In => Self::EQUAL,
            Operator::Ne | Operator::NotIn => Self::LESS | Self::GREATER,
            Operator::Gt => Self::GREATER,
            Operator::Gte => Self::GREATER | Self::EQUAL,
            Operator::Lt => Self::LESS,
            Operator::Lte => Self::LESS | Self::EQUAL,
        })
    }

    #[inline]
    pub(super) fn passed_by(self, ordering: std::cmp::Ordering) -> bool {
        // Less is -1, equal 0, and greater 1.
        self.0 >> (ordering as i8 + 1) & 1 != 0
    }

    /// Where it is only known whether two are equal.
    #[inline]
    pub(super) fn passed_by_equal(self, is_equal: bool) -> bool {
        (self.0 & Self::EQUAL != 0) == is_equal
    }

    /// Whether equality is all that matters.
    #[inline]
    pub(super) fn is_about_equality(self) -> bool {
        self.0 == Self::EQUAL || self.0 == Self::LESS | Self::GREATER
    }
}

/// A test of an attribute.
pub(super) struct Test<'p> {
    pub(super) variable: &'p [u8],
    pub(super) kind: u8,
    pub(super) is: Is,
    pub(super) operand: &'p [u8],
}

impl<'p> Test<'p> {
    /// Splits the first test off a program; `None` where the tests end.
    #[inline(always)]
    pub(super) fn split_off(program: &'p [u8]) -> Option<(Self, &'p [u8])> {
        let ([first, variable, low, high], rest) = program.split_first_chunk()?;
        if *first >= SHARE {
            return None;
        }
        let (variable, rest) = rest.split_at_checked((*variable).into())?;
        let (operand, rest) = rest.split_at_checked(u16::from_le_bytes([*low, *high]).into())?;
        Some((Self { variable, kind: first >> 3, is: Is(first & 7), operand }, rest))
    }

    fn push(&self, program: &mut Vec<u8>) -> Option<()> {
        let [low, high] = u16::try_from(self.operand.len()).ok()?.to_le_bytes();
        program.extend([self.kind << 3 | self.is.0, u8::try_from(self.variable.len()).ok()?, low, high]);
        program.extend(self.variable);
        program.extend(self.operand);
        Some(())
    }
}

/// What a program consists of. The most frequent shapes are run without what a loop over tests takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One test, and no more.
    Test,
    /// No test, and a share.
    Share,
    /// No test, and a hash.
    Hash,
    Any,
}

impl Shape {
    pub(crate) fn of(program: &[u8]) -> Self {
        match (program, Test::split_off(program)) {
            (_, Some((_, []))) => Self::Test,
            ([SHARE, ..], _) => Self::Share,
            ([HASH, ..], _) => Self::Hash,
            _ => Self::Any,
        }
    }
}

/// The share at the beginning of a program.
pub(super) fn fixed_share(program: &[u8]) -> Option<f64> {
    match program {
        [SHARE, share @ ..] => share.try_into().ok().map(f64::from_le_bytes),
        _ => None,
    }
}

/// A list of more elements is not copied.
const MOST_ELEMENTS: usize = 64;

/// Compiles conditions and a bucketer.
pub(super) fn compile(conditions: &[Condition], bucketer: &Bucketer) -> Program {
    // Room for what most flags have.
    let mut program = Vec::with_capacity(conditions.len() * 24 + 40);
    let mut checks = conditions.iter().flat_map(Condition::checks);
    if checks.all(|check| push_check(check, &mut program).is_some()) {
        push_bucketer(bucketer, &mut program);
        program.into()
    } else {
        [SLOW].into()
    }
}

fn push_check(check: &Check, program: &mut Vec<u8>) -> Option<()> {
    let operator = check.operator()?;
    let mut push = |kind, operand: &[u8]| {
        let variable = check.variable().as_wtf8();
        Test { variable, kind, is: Is::of(operator), operand }.push(program)
    };
    let is_list = matches!(operator, Operator::In | Operator::NotIn);
    match check.operand() {
        Value::Array(elements) if is_list && elements.len() <= MOST_ELEMENTS => {
            let mut operand = Vec::with_capacity(elements.len() * 8);
            let is_ints = matches!(elements.first(), Some(Value::Int(_)));
            for element in elements {
                match element {
                    Value::Int(int) if is_ints => operand.extend(int.to_le_bytes()),
                    Value::String(text) if !is_ints => push_short(text.as_wtf8(), &mut operand)?,
                    _ => return None,
                }
            }
            push(if is_ints { INTS } else { TEXTS }, &operand)
        }
        Value::Bool(bool) if !is_list => push(BOOL, &[u8::from(*bool)]),
        Value::Int(int) if !is_list => push(INT, &int.to_le_bytes()),
        Value::String(text) if !is_list => push(TEXT, text.as_wtf8()),
        _ => None,
    }
}

fn push_short(text: &[u8], program: &mut Vec<u8>) -> Option<()> {
    program.push(u8::try_from(text.len()).ok()?);
    program.extend(text);
    Some(())
}

/// Splits a text off that [`push_short`] has pushed; `None` at the end.
#[inline(always)]
pub(super) fn split_off_short(texts: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = texts.split_first()?;
    rest.split_at_checked((*len).into())
}

fn push_bucketer(bucketer: &Bucketer, program: &mut Vec<u8>) {
    let before = program.len();
    let is_pushed = match bucketer {
        Bucketer::NoOp => Some(()),
        Bucketer::Percentage(percentage) => push_share(&percentage.0, program),
        Bucketer::ConsistentHash(hash) => push_hash(hash, program),
        Bucketer::Unknown(_) => None,
    };
    if is_pushed.is_none() {
        // The tests before are as good as ever: most contexts may not get here.
        program.truncate(before);
        program.push(SLOW);
    }
}

fn push_share(share: &Share, program: &mut Vec<u8>) -> Option<()> {
    match share {
        Share::Fixed(share) => {
            program.push(SHARE);
            program.extend(share.to_le_bytes());
        }
        Share::Ramp(Ramp { initial, last, slope, duration, start: Some(start) }) if *duration > 0.0 => {
            program.push(RAMP);
            program.extend([initial, slope, last].into_iter().flat_map(|double| double.to_le_bytes()));
            program.extend(start.as_micros().to_le_bytes());
        }
        Share::Ramp(_) | Share::Unknown(_) => return None,
    }
    Some(())
}

fn push_hash(hash: &ConsistentHash, program: &mut Vec<u8>) -> Option<()> {
    // Nobody is nobody: that needs no hash, and is rare.
    program.extend([HASH, hash.fixed_buckets.filter(|buckets| *buckets > 0)?]);
    for Key { name, prefix } in hash.only_keys()? {
        // The name is part of it, unless it had to be escaped.
        (name_of(prefix.as_wtf8()) == name.as_wtf8()).then_some(())?;
        push_short(prefix.as_wtf8(), program)?;
    }
    Some(())
}

/// The name in `, ["name", `.
#[inline]
pub(super) fn name_of(key: &[u8]) -> &[u8] {
    key.get(4..key.len().saturating_sub(3)).unwrap_or_default()
}
