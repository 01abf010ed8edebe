//! Whether a flag is on.

mod compare;
mod explain;
mod hash;
mod program;
mod python;
mod run;

pub use explain::{BucketTrace, CheckOutcome, CheckTrace, ConditionTrace, Explanation};

pub(crate) use program::{Program, Shape};
pub(crate) use run::run_hash;

use compare::NotComparable;

use crate::json::TooDeep;
use crate::percentage::buckets_in;
use crate::{
    Bucketer, Clock, Condition, Context, Flag, Freshness, Percentage, Random, SystemClock, ThreadRandom,
    Timestamp,
};

/// Chooses between what is documented and what flipper-client does, where the two differ.
///
/// | | `Documented` | `FlipperClient` |
/// |---|---|---|
/// | a context that no condition is about | goes to the bucketer | is on, without asking the bucketer |
/// | a ramp that falls | falls, and stays at its final share | is at its final share at once, and then below it |
/// | a ramp before its start | has its initial share | has less, or is at its end |
/// | an attribute named `randomizer` | is an attribute as any other | is left out of hashes; with a percentage bucketer, nobody can tell |
/// | an attribute named `self` | is an attribute as any other | nobody can tell: Python cannot pass it |
///
/// Where nobody can tell, the answer is the default, with [`Reason::Unsupported`].
///
/// Choose [`FlipperClient`](Self::FlipperClient) while Python services evaluate the same flags.
///
/// # Examples
///
/// ```
/// use flipper_core::{Bucketer, Condition, Evaluator, Flag, FlagName, Percentage, Semantics, Timestamp, ctx};
///
/// let mut flag = Flag::new(FlagName::new("X")?, Timestamp::now());
/// flag.set_enabled(true)?;
/// flag.add_condition(&Condition::builder().eq("is_admin", true).build()?)?;
/// flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5)?, ["user_id"]))?;
///
/// // No condition is about users, and user 2 is in bucket 94.
/// let python = Evaluator::new().with_semantics(Semantics::FlipperClient);
/// assert!(!Evaluator::new().evaluate(&flag, &ctx! { user_id: 2 }, false).value);
/// assert!(python.evaluate(&flag, &ctx! { user_id: 2 }, false).value);
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Semantics {
    /// What the documentation says.
    #[default]
    Documented,
    /// What flipper-client 1.3.2 does, bit for bit.
    FlipperClient,
}

/// Says what decided an evaluation.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{Context, Reason};
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// client.create("X").await?;
/// let answer = client.evaluate("X", &Context::EMPTY, true).await?;
/// assert_eq!(answer.reason, Reason::Disabled);
/// println!("{}", answer.reason);
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// There is no such flag: the caller's default.
    NotFound,
    /// The flag is disabled: off.
    Disabled,
    /// The flag is enabled, and neither a condition nor a bucketer has a say: on.
    Enabled,
    /// Every check that the context is about has passed: on.
    ConditionsMet,
    /// A check has failed: off. Conditions count from 0, and so do the checks of a condition; from 65,535 on, they are
    /// all 65,535.
    CheckFailed {
        /// Which condition.
        condition: u16,
        /// Which of its checks.
        check: u16,
    },
    /// A check compares what cannot be compared, such as a number with a text: off.
    NotComparable {
        /// Which condition.
        condition: u16,
        /// Which of its checks.
        check: u16,
    },
    /// The bucketer has let the context in: on.
    InBucket,
    /// The bucketer has not let the context in: off.
    OutOfBucket,
    /// The answer depends on a part of the flag that this version does not know (an operator, a percentage, a
    /// bucketer of a newer writer), or on a value that cannot be hashed: the caller's default.
    Unsupported,
}

/// What decides on an enabled flag.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) conditions: Box<[Condition]>,
    pub(crate) bucketer: Bucketer,
    /// The same, to be run.
    pub(crate) program: Program,
}

impl Rules {
    pub(crate) fn new(conditions: Box<[Condition]>, bucketer: Bucketer) -> Self {
        let program = program::compile(&conditions, &bucketer);
        Self { conditions, bucketer, program }
    }
}

/// Holds an answer and what decided it.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{Context, Freshness, Reason};
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let answer = client.evaluate("X", &Context::EMPTY, true).await?;
/// assert!(answer.value, "the default");
/// assert_eq!((answer.reason, answer.freshness), (Reason::NotFound, Freshness::Live));
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// Whether the flag is on.
    pub value: bool,
    /// What decided it.
    pub reason: Reason,
    /// How old the flag is that was asked. A flag in hand is always [`Live`](Freshness::Live).
    pub freshness: Freshness,
}

impl Evaluation {
    /// Makes an evaluation, for a layer that answers without a flag in hand.
    pub const fn new(value: bool, reason: Reason, freshness: Freshness) -> Self {
        Self { value, reason, freshness }
    }
}

/// What the rules of a flag say, before a default fills in where they say nothing. It fits into a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// `None`: the answer depends on what this version does not know.
    pub(crate) value: Option<bool>,
    pub(crate) reason: Reason,
}

/// A place in a list, as a reason gives it.
fn number(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}

pub(crate) const fn decide(value: bool, reason: Reason) -> Decision {
    Decision { value: Some(value), reason }
}

pub(crate) fn in_or_out(is_in: bool) -> Decision {
    decide(is_in, if is_in { Reason::InBucket } else { Reason::OutOfBucket })
}

pub(crate) const UNSUPPORTED: Decision = Decision { value: None, reason: Reason::Unsupported };

/// Evaluates flags, with a choice of semantics, clock and randomness.
///
/// [`Flag::is_enabled`] uses the default one: documented semantics, the system's clock, a generator per thread. An
/// evaluator borrows what it uses, and costs nothing to make. Evaluating never panics, blocks or allocates.
///
/// # Examples
///
/// ```
/// use flipper_core::{Bucketer, Context, Evaluator, Flag, FlagName, Percentage, Semantics, Timestamp};
///
/// let mut flag = Flag::new(FlagName::new("X")?, Timestamp::now());
/// flag.set_enabled(true)?;
/// flag.set_bucketer(&Bucketer::percentage(Percentage::new(0.3)?))?;
///
/// let drawn = || 0.2;
/// let evaluator = Evaluator::new().with_semantics(Semantics::FlipperClient).with_random(&drawn);
/// assert!(evaluator.evaluate(&flag, &Context::EMPTY, false).value);
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Evaluator<'e> {
    pub(crate) semantics: Semantics,
    pub(crate) clock: &'e dyn Clock,
    pub(crate) random: &'e dyn Random,
}

impl<'e> Evaluator<'e> {
    /// Makes the default evaluator.
    pub const fn new() -> Self {
        Self { semantics: Semantics::Documented, clock: &SystemClock, random: &ThreadRandom }
    }

    /// Chooses the semantics.
    pub const fn with_semantics(self, semantics: Semantics) -> Self {
        Self { semantics, ..self }
    }

    /// Chooses the clock, which only ramps and [`explain`](Self::explain) ask.
    pub const fn with_clock(self, clock: &'e dyn Clock) -> Self {
        Self { clock, ..self }
    }

    /// Chooses the source of randomness, which only percentage bucketers and [`explain`](Self::explain) ask.
    pub const fn with_random(self, random: &'e dyn Random) -> Self {
        Self { random, ..self }
    }

    /// Returns whether a flag is on for a context, and why. `default` is the answer where this version cannot tell.
    pub fn evaluate(&self, flag: &Flag, context: &Context<'_>, default: bool) -> Evaluation {
        let Decision { value, reason } = self.decide(flag, *context);
        Evaluation { value: value.unwrap_or(default), reason, freshness: Freshness::Live }
    }

    /// Returns whether a flag is on for a context. `default` is the answer where this version cannot tell.
    ///
    /// This is the value of [`evaluate`](Self::evaluate), for less.
    #[inline]
    pub fn is_enabled(&self, flag: &Flag, context: &Context<'_>, default: bool) -> bool {
        let value = match (flag.is_switched_on(), flag.rules()) {
            (false, _) => Some(false),
            (true, Some(rules)) if self.semantics == Semantics::Documented => {
                self.run(&rules.program, flag, *context)
            }
            (true, _) => self.decide(flag, *context).value,
        };
        value.unwrap_or(default)
    }

    /// Returns whether a flag is on for a context, and every step of the way. Costs many times what
    /// [`evaluate`](Self::evaluate) does: for people, not for hot paths.
    pub fn explain(&self, flag: &Flag, context: &Context<'_>, default: bool) -> Explanation {
        explain::explain(self, flag, *context, default)
    }

    /// Decides by the rules as they are stored.
    pub(crate) fn decide(&self, flag: &Flag, context: Context<'_>) -> Decision {
        match self.decide_before_bucketer(flag, context) {
            Some(decision) => decision,
            None => self.decide_by_bucketer(flag.bucketer(), context),
        }
    }

    /// What is decided without the bucketer; `None` if it has to be asked.
    fn decide_before_bucketer(&self, flag: &Flag, context: Context<'_>) -> Option<Decision> {
        if !flag.is_switched_on() {
            return Some(decide(false, Reason::Disabled));
        }
        if self.cannot_pass(context) {
            return Some(UNSUPPORTED);
        }
        if !flag.conditions().is_empty()
            && !context.is_empty()
            && let Some(decision) = self.decide_by_conditions(flag.conditions(), context)
        {
            return Some(decision);
        }
        match flag.bucketer() {
            Bucketer::NoOp => Some(decide(true, Reason::Enabled)),
            _ => None,
        }
    }

    /// Walks the checks in flipper-client's order: conditions, then attributes as they were given, then checks. The
    /// value does not depend on the order; which check is named as the reason does.
    fn decide_by_conditions(&self, conditions: &[Condition], context: Context<'_>) -> Option<Decision> {
        let (mut is_about, mut is_unknown) = (false, false);
        for (condition_at, condition) in conditions.iter().enumerate() {
            for (at, (name, given)) in context.pairs.iter().enumerate() {
                for (check_at, check) in condition.checks().iter().enumerate() {
                    if !check.is_about(name) || context.is_shadowed(at) {
                        continue;
                    }
                    is_about = true;
                    let Some(operator) = check.operator() else {
                        is_unknown = true;
                        continue;
                    };
                    let operand = check.operand();
                    let (condition, check) = (number(condition_at), number(check_at));
                    match compare::test(operator, given, operand) {
                        Ok(true) => {}
                        Ok(false) => return Some(decide(false, Reason::CheckFailed { condition, check })),
                        Err(NotComparable) => {
                            return Some(decide(false, Reason::NotComparable { condition, check }));
                        }
                    }
                }
            }
        }
        if is_unknown {
            return Some(UNSUPPORTED);
        }
        match self.semantics {
            _ if is_about => Some(decide(true, Reason::ConditionsMet)),
            Semantics::Documented => None,
            // Any attribute at all decides by the conditions, of which none fails.
            Semantics::FlipperClient => Some(decide(true, Reason::ConditionsMet)),
        }
    }

    /// Whether Python could not even be asked: there is no way to pass an attribute of this name.
    fn cannot_pass(&self, context: Context<'_>) -> bool {
        self.semantics == Semantics::FlipperClient && context.find("self").is_some()
    }

    fn decide_by_bucketer(&self, bucketer: &Bucketer, context: Context<'_>) -> Decision {
        match bucketer {
            Bucketer::NoOp => in_or_out(true),
            Bucketer::Percentage(percentage) => self.decide_by_chance(percentage, context),
            Bucketer::ConsistentHash(hash) => {
                match hash.fixed_buckets.or_else(|| self.share(&hash.percentage).map(buckets_in)) {
                    None => UNSUPPORTED,
                    // Nobody is nobody, even where the attributes cannot be hashed.
                    Some(0) => in_or_out(false),
                    Some(buckets) => match hash::bucket(hash, context, self.semantics) {
                        Ok(bucket) => in_or_out(bucket < buckets),
                        Err(TooDeep) => UNSUPPORTED,
                    },
                }
            }
            Bucketer::Unknown(_) => UNSUPPORTED,
        }
    }

    fn decide_by_chance(&self, percentage: &Percentage, context: Context<'_>) -> Decision {
        match self.share(percentage) {
            None => UNSUPPORTED,
            Some(0.0) => in_or_out(false),
            // flipper-client takes the attribute for its source of randomness, and fails to call it.
            Some(_) if self.semantics == Semantics::FlipperClient && context.find("randomizer").is_some() => {
                UNSUPPORTED
            }
            Some(share) => in_or_out(self.random.draw() <= share),
        }
    }

    fn share(&self, percentage: &Percentage) -> Option<f64> {
        // A fixed share needs no clock.
        let now = if percentage.is_ramp() { self.clock.now() } else { Timestamp::from_secs(0) };
        percentage.value_under(self.semantics, now)
    }
}

impl Default for Evaluator<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Evaluator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evaluator").field("semantics", &self.semantics).finish_non_exhaustive()
    }
}
