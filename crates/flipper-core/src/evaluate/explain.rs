//! Every step of an evaluation, for people.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::{Decision, Evaluation, Evaluator, Reason, Semantics, compare, hash};
use crate::json::{into_string, shortened};
use crate::percentage::Share;
use crate::{Attribute, Bucketer, Check, Context, Flag, Freshness, Timestamp};

/// Tells every step of an evaluation. Print it, or look into it.
///
/// # Examples
///
/// ```
/// use flipper_core::{Bucketer, Condition, Flag, FlagName, Percentage, Timestamp, ctx};
///
/// let mut flag = Flag::new(FlagName::new("X")?, Timestamp::now());
/// flag.set_enabled(true)?;
/// flag.add_condition(&Condition::builder().eq("is_admin", true).build()?)?;
/// flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5)?, ["user_id"]))?;
/// let why = flag.explain(&ctx! { user_id: 2 });
/// assert!(!why.evaluation.value);
/// println!("{why}");
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The flag's name.
    pub flag: String,
    /// The answer and what decided it.
    pub evaluation: Evaluation,
    /// The semantics that were used.
    pub semantics: Semantics,
    /// Whether the flag is switched on. If not, nothing else is asked.
    pub is_switched_on: bool,
    /// What became of each check of each condition, whether it was needed for the answer or not.
    pub conditions: Vec<ConditionTrace>,
    /// What the bucketer says, whether it was asked or not; `None` if there is none.
    pub bucketer: Option<BucketTrace>,
    /// The time at which it was evaluated.
    pub now: Timestamp,
    /// Where flipper-client would answer differently, or not at all, in sentences.
    pub python: Vec<String>,
}

/// Tells what became of the checks of one condition.
///
/// # Examples
///
/// ```
/// use flipper_core::{Bucketer, Condition, Flag, FlagName, Percentage, Timestamp, ctx, CheckOutcome};
///
/// # let mut flag = Flag::new(FlagName::new("X")?, Timestamp::now());
/// # flag.set_enabled(true)?;
/// # flag.add_condition(&Condition::builder().eq("is_admin", true).build()?)?;
/// # flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5)?, ["user_id"]))?;
/// let why = flag.explain(&ctx! { user_id: 2 });
/// // The context says nothing of administrators.
/// assert_eq!(why.conditions[0].checks[0].outcome, CheckOutcome::NotSupplied);
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConditionTrace {
    /// The checks in order.
    pub checks: Vec<CheckTrace>,
}

/// Tells what became of one check.
///
/// # Examples
///
/// ```
/// use flipper_core::{Bucketer, Condition, Flag, FlagName, Percentage, Timestamp, ctx};
///
/// # let mut flag = Flag::new(FlagName::new("X")?, Timestamp::now());
/// # flag.set_enabled(true)?;
/// # flag.add_condition(&Condition::builder().eq("is_admin", true).build()?)?;
/// # flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5)?, ["user_id"]))?;
/// let why = flag.explain(&ctx! { user_id: 2 });
/// let trace = &why.conditions[0].checks[0];
/// assert_eq!(trace.check.to_string(), "is_admin == true");
/// assert_eq!(trace.given, None);
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CheckTrace {
    /// The check.
    pub check: Check,
    /// The attribute's value as JSON, if the context has it; of a long one, the beginning.
    pub given: Option<Arc<str>>,
    /// What came of it.
    pub outcome: CheckOutcome,
}

/// Says what came of a check.
///
/// # Examples
///
/// ```
/// use flipper_core::{Bucketer, Condition, Flag, FlagName, Percentage, Timestamp, ctx, CheckOutcome};
///
/// # let mut flag = Flag::new(FlagName::new("X")?, Timestamp::now());
/// # flag.set_enabled(true)?;
/// # flag.add_condition(&Condition::builder().eq("is_admin", true).build()?)?;
/// # flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5)?, ["user_id"]))?;
/// let why = flag.explain(&ctx! { user_id: 2 });
/// let outcome = why.conditions[0].checks[0].outcome;
/// assert!(!matches!(outcome, CheckOutcome::Failed | CheckOutcome::NotComparable));
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckOutcome {
    /// The comparison holds.
    Passed,
    /// The comparison does not hold.
    Failed,
    /// The context does not have the attribute: the check is passed over.
    NotSupplied,
    /// The two values cannot be compared: the check fails. flipper-client raises a `TypeError`.
    NotComparable,
    /// The operator is not known to this version.
    Unknown,
}

/// Tells what the bucketer says.
///
/// # Examples
///
/// ```
/// use flipper_core::{Bucketer, Condition, Flag, FlagName, Percentage, Timestamp, ctx};
///
/// # let mut flag = Flag::new(FlagName::new("X")?, Timestamp::now());
/// # flag.set_enabled(true)?;
/// # flag.add_condition(&Condition::builder().eq("is_admin", true).build()?)?;
/// # flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5)?, ["user_id"]))?;
/// let why = flag.explain(&ctx! { user_id: 2 });
/// let bucket = why.bucketer.expect("there is one");
/// assert_eq!(bucket.hashed.as_deref(), Some(r#"[["user_id", 2]]"#));
/// assert_eq!((bucket.score, bucket.is_in), (Some(0.94), Some(false)));
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BucketTrace {
    /// The type as it is stored.
    pub type_name: String,
    /// The text that was hashed, of a consistent hash.
    pub hashed: Option<String>,
    /// Whether the answer was the bucketer's: whether nothing before it had decided.
    pub is_asked: bool,
    /// What is compared with the share: bucket/100 of a consistent hash, the number drawn of a percentage.
    pub score: Option<f64>,
    /// The share at this time; `None` if this version cannot tell.
    pub share: Option<f64>,
    /// How many of the 100 buckets of a consistent hash get the flag at this time.
    pub buckets: Option<u8>,
    /// Whether the context is in; `None` if this version cannot tell.
    pub is_in: Option<bool>,
}

pub(super) fn explain(
    evaluator: &Evaluator<'_>,
    flag: &Flag,
    context: Context<'_>,
    default: bool,
) -> Explanation {
    // One time and one draw for everything, so that the steps fit the answer.
    let (now, drawn) = (evaluator.clock.now(), evaluator.random.draw());
    let (clock, random) = (move || now, move || drawn);
    let frozen = Evaluator { semantics: evaluator.semantics, clock: &clock, random: &random };
    let Decision { value, reason } = frozen.decide(flag, context);
    let answer = value.unwrap_or(default);
    let is_asked = frozen.decide_before_bucketer(flag, context).is_none();
    let bucketer = trace_bucketer(flag.bucketer(), is_asked, &frozen, context, (now, drawn));
    Explanation {
        flag: flag.name().to_owned(),
        evaluation: Evaluation { value: answer, reason, freshness: Freshness::Live },
        semantics: evaluator.semantics,
        is_switched_on: flag.is_switched_on(),
        conditions: trace_conditions(flag, context),
        bucketer,
        now,
        python: super::python::differences(&frozen, flag, context, answer, (now, drawn)),
    }
}

fn trace_conditions(flag: &Flag, context: Context<'_>) -> Vec<ConditionTrace> {
    let given: HashMap<&str, (&Attribute<'_>, Arc<str>)> =
        context.pairs.iter().map(|(name, value)| (*name, (value, json_of(value)))).collect();
    let trace = |check: &Check| {
        let given = check.variable().as_str().and_then(|name| given.get(name));
        let outcome = match (given, check.operator()) {
            (None, _) => CheckOutcome::NotSupplied,
            (_, None) => CheckOutcome::Unknown,
            (Some((given, _)), Some(operator)) => match compare::test(operator, given, check.operand()) {
                Ok(true) => CheckOutcome::Passed,
                Ok(false) => CheckOutcome::Failed,
                Err(compare::NotComparable) => CheckOutcome::NotComparable,
            },
        };
        CheckTrace { check: check.clone(), given: given.map(|(_, json)| Arc::clone(json)), outcome }
    };
    let conditions = flag.conditions().iter();
    conditions
        .map(|condition| ConditionTrace { checks: condition.checks().iter().map(trace).collect() })
        .collect()
}

fn json_of(attribute: &Attribute<'_>) -> Arc<str> {
    let mut out = Vec::new();
    if hash::write_attribute(attribute, 0, &mut out).is_err() {
        return "(nested too deep to show)".into();
    }
    shortened(&into_string(out)).into()
}

fn trace_bucketer(
    bucketer: &Bucketer,
    is_asked: bool,
    frozen: &Evaluator<'_>,
    context: Context<'_>,
    (now, drawn): (Timestamp, f64),
) -> Option<BucketTrace> {
    let decision = frozen.decide_by_bucketer(bucketer, context);
    let share = bucketer.as_percentage().and_then(|percentage| percentage.value_under(frozen.semantics, now));
    let mut trace = BucketTrace {
        type_name: String::new(),
        is_asked,
        hashed: None,
        score: None,
        share,
        buckets: None,
        is_in: decision.value,
    };
    match bucketer {
        Bucketer::NoOp => return None,
        Bucketer::Percentage(_) => {
            trace.type_name = "PercentageBucketer".into();
            trace.score = Some(drawn);
        }
        Bucketer::ConsistentHash(hash) => {
            trace.type_name = "ConsistentHashPercentageBucketer".into();
            let mut text = Vec::new();
            if hash::write_pairs(hash, context, frozen.semantics, &mut text).is_ok() {
                trace.hashed = Some(into_string(text));
            }
            let bucket = hash::bucket(hash, context, frozen.semantics).ok();
            trace.score = bucket.map(|bucket| f64::from(bucket) / 100.0);
            trace.buckets = share.map(crate::percentage::buckets_in);
        }
        Bucketer::Unknown(stored) => {
            trace.type_name = match stored {
                crate::json::Value::Object(object) => {
                    object.get("type").map(ToString::to_string).unwrap_or_default()
                }
                other => other.to_string(),
            };
        }
    }
    Some(trace)
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Evaluation { value, reason, .. } = self.evaluation;
        writeln!(f, "{:?} is {}: {reason}", self.flag, on_or_off(value))?;
        if !self.is_switched_on {
            writeln!(f, "  the flag is disabled: nothing else is asked")?;
        }
        for (at, condition) in self.conditions.iter().enumerate() {
            if condition.checks.is_empty() {
                writeln!(f, "  condition {at}: has no checks")?;
            }
            for CheckTrace { check, given, outcome } in &condition.checks {
                write!(f, "  condition {at}: {check}: {outcome}")?;
                match given {
                    Some(given) => writeln!(f, ", {} is {given}", check.variable())?,
                    None => writeln!(f)?,
                }
            }
        }
        if let Some(bucketer) = &self.bucketer {
            writeln!(f, "  bucketer{}: {bucketer}", if bucketer.is_asked { "" } else { " (not asked)" })?;
        }
        writeln!(
            f,
            "  evaluated at {} s from 1970, {} semantics",
            self.now.as_secs(),
            match self.semantics {
                Semantics::Documented => "documented",
                Semantics::FlipperClient => "flipper-client's",
            }
        )?;
        self.python.iter().try_for_each(|difference| writeln!(f, "  in Python: {difference}"))
    }
}

impl fmt::Display for CheckOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotSupplied => "not supplied, passed over",
            Self::NotComparable => "cannot be compared, failed",
            Self::Unknown => "unknown operator",
        })
    }
}

impl fmt::Display for BucketTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.type_name)?;
        if let Some(hashed) = &self.hashed {
            write!(f, " of {hashed}")?;
        }
        match (self.score, self.share) {
            (_, Some(0.0)) => f.write_str(", share 0 is nobody")?,
            (Some(score), Some(share)) => {
                let sign = if score <= share { "<=" } else { ">" };
                write!(f, ", score {score} {sign} share {share}")?;
            }
            (_, None) => write!(f, ", not known to this version")?,
            (None, Some(share)) => write!(f, ", share {share}, attributes cannot be hashed")?,
        }
        if let Some(buckets) = self.buckets {
            write!(f, " ({buckets} of 100 buckets)")?;
        }
        match self.is_in {
            Some(true) => f.write_str(": in"),
            Some(false) => f.write_str(": out"),
            None => f.write_str(": cannot tell"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is no such flag"),
            Self::Disabled => f.write_str("the flag is disabled"),
            Self::Enabled => f.write_str("the flag is enabled"),
            Self::ConditionsMet => f.write_str("the conditions are met"),
            Self::CheckFailed { condition, check } => {
                write!(f, "check {check} of condition {condition} has failed")
            }
            Self::NotComparable { condition, check } => {
                write!(f, "check {check} of condition {condition} compares what cannot be compared")
            }
            Self::InBucket => f.write_str("the bucketer lets it in"),
            Self::OutOfBucket => f.write_str("the bucketer does not let it in"),
            Self::Unsupported => {
                f.write_str("it depends on what this version does not know, so the default counts")
            }
        }
    }
}

pub(super) fn on_or_off(value: bool) -> &'static str {
    if value { "on" } else { "off" }
}

/// Whether a percentage is a ramp, whose value flipper-client computes differently.
pub(super) fn ramp_of(bucketer: &Bucketer) -> Option<&crate::percentage::Ramp> {
    match &bucketer.as_percentage()?.0 {
        Share::Ramp(ramp) => Some(ramp),
        _ => None,
    }
}
