//! Where flipper-client would answer differently.

use super::explain::{on_or_off, ramp_of};
use super::{Evaluator, Reason, Semantics, hash};
use crate::percentage::buckets_in;
use crate::{Bucketer, Context, Flag, Timestamp};

/// Tells, in sentences, where flipper-client's answer differs from ours; `at` is the time and the number drawn.
pub(super) fn differences(
    frozen: &Evaluator<'_>,
    flag: &Flag,
    context: Context<'_>,
    answer: bool,
    at: (Timestamp, f64),
) -> Vec<String> {
    if let Err(error) = flag.rewritten_by_flipper_client(at.0) {
        return vec![format!("the flag cannot be read: {}", error.message())];
    }
    let mut notes = Vec::new();
    for name in ["self", "feature_name", "default"] {
        if context.find(name).is_some() {
            notes.push(format!("an attribute of the name `{name}` cannot be passed"));
        }
    }
    let python = frozen.with_semantics(Semantics::FlipperClient).decide(flag, context);
    match (python.value, python.reason) {
        (_, Reason::NotComparable { .. }) => notes.push("is_enabled raises TypeError".to_owned()),
        (None, _) => notes.push("is_enabled raises an exception".to_owned()),
        (Some(value), reason) if value != answer => {
            notes.push(format!("flipper-client 1.3.2 answers {}: {reason}", on_or_off(value)));
        }
        _ => {}
    }
    if matches!(python.reason, Reason::InBucket | Reason::OutOfBucket)
        && let Some(older) = answer_of_1_2_3(flag.bucketer(), context, at)
        && Some(older) != python.value
    {
        let why = "it counts the seconds of a ramp modulo one day";
        notes.push(format!("flipper-client 1.2.3 answers {}: {why}", on_or_off(older)));
    }
    notes
}

/// The one thing in which release 1.2.3 decides differently: the time of a ramp is in whole seconds, modulo one day.
fn answer_of_1_2_3(
    bucketer: &Bucketer,
    context: Context<'_>,
    (now, drawn): (Timestamp, f64),
) -> Option<bool> {
    let ramp = ramp_of(bucketer)?;
    let elapsed = ramp.elapsed_micros(now).unwrap_or(0).div_euclid(1_000_000).rem_euclid(86_400);
    let share = ramp.flipper_client_after(elapsed as f64);
    match bucketer {
        Bucketer::Percentage(_) => Some(share != 0.0 && drawn <= share),
        Bucketer::ConsistentHash(hash) => {
            let bucket = hash::bucket(hash, context, Semantics::FlipperClient).ok()?;
            Some(bucket < buckets_in(share))
        }
        _ => None,
    }
}
