//! For which contexts flipper-client answers differently: found by trying.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use flipper::json::Value;
use flipper::{
    Attribute, Bucketer, Check, Condition, ContextBuf, Evaluator, Flag, LinearRamp, Reason, Timestamp,
};

/// How many checks are tried.
const MOST_CHECKS: usize = 50;

/// How many users are tried on a ramp: enough to have some in each of its parts.
const USERS: i64 = 100;

/// How many users are tried to find one whom a bucketer leaves out: of one bucket among 100, there is one among so many.
const MOST_USERS: i64 = 2_000;

/// A draw that only a share of all checks lets in.
const HIGHEST: f64 = 1.0 - f64::EPSILON;

/// A sentence, and the context for which it was found.
pub(super) struct Difference {
    pub(super) message: String,
    pub(super) context: String,
    /// The time, if it is another one than now.
    pub(super) time: Option<Timestamp>,
}

/// Tries a flag with contexts that its rules name, and others, before, in and after its ramp. Each kind of difference is told once.
pub(super) fn differences(flag: &Flag, now: Timestamp) -> Vec<Difference> {
    let ramp = flag.bucketer().as_percentage().and_then(flipper::Percentage::as_ramp);
    let mut contexts = contexts(flag, ramp.is_some());
    contexts.extend(outsider(flag, now));
    let draws: &[f64] = match (flag.bucketer(), ramp) {
        (Bucketer::Percentage(_), Some(_)) => &[0.05, 0.3, 0.5, 0.7, 0.95, HIGHEST],
        _ => &[0.5, HIGHEST],
    };
    let mut found: Vec<Difference> = Vec::new();
    for time in times(now, ramp.as_ref()) {
        let clock = move || time;
        for draw in draws {
            let random = move || *draw;
            let evaluator = Evaluator::new().with_clock(&clock).with_random(&random);
            for pairs in &contexts {
                let context: ContextBuf<'_> =
                    pairs.iter().map(|(name, value)| (&**name, Attribute::from(value))).collect();
                for message in evaluator.explain(flag, &context.as_context(), false).python {
                    if !found.iter().any(|known| known.message == message) {
                        let time = (time != now).then_some(time);
                        found.push(Difference { message, context: shown(pairs), time });
                    }
                }
            }
        }
    }
    found
}

type Pairs = Vec<(String, Value)>;

fn shown(pairs: &Pairs) -> String {
    if pairs.is_empty() {
        return "no attributes".to_owned();
    }
    let shown: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    shown.join(" ")
}

fn contexts(flag: &Flag, has_ramp: bool) -> Vec<Pairs> {
    let mut contexts = vec![Vec::new(), vec![(unnamed(flag), 1.into())]];
    let checks: Vec<&Check> =
        flag.conditions().iter().flat_map(Condition::checks).take(MOST_CHECKS).collect();
    let mut all = Pairs::new();
    for check in checks {
        let name = check.variable().to_string_lossy().into_owned();
        let values = values(check.operand());
        if let Some(first) = values.first()
            && !all.iter().any(|(known, _)| *known == name)
        {
            all.push((name.clone(), first.clone()));
        }
        contexts.extend(values.into_iter().map(|value| vec![(name.clone(), value)]));
    }
    if all.len() > 1 {
        contexts.push(all);
    }
    if let Bucketer::ConsistentHash(hash) = flag.bucketer() {
        let mut names: Vec<_> =
            hash.key_whitelist().map(|name| name.to_string_lossy().into_owned()).collect();
        if names.is_empty() {
            names.push(unnamed(flag));
        }
        let users = if has_ramp { USERS } else { 2 };
        contexts
            .extend((0..users).map(|user| names.iter().map(|name| (name.clone(), user.into())).collect()));
    }
    contexts
}

/// A user whom the bucketer leaves out, as far as no condition is about them: flipper-client does not ask it then. With a large share
/// there are few.
fn outsider(flag: &Flag, now: Timestamp) -> Option<Pairs> {
    let Bucketer::ConsistentHash(hash) = flag.bucketer() else { return None };
    if flag.conditions().is_empty() || hash.percentage().buckets(now) == Some(100) {
        return None;
    }
    let mut names: Vec<_> = hash.key_whitelist().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.is_empty() {
        names.push(unnamed(flag));
    }
    names.retain(|name| !is_named(flag, name));
    if names.is_empty() {
        // All are in one bucket.
        return None;
    }
    let clock = move || now;
    let evaluator = Evaluator::new().with_clock(&clock);
    (0..MOST_USERS).map(|user| names.iter().map(|name| (name.clone(), user.into())).collect()).find(
        |pairs: &Pairs| {
            let context: ContextBuf<'_> =
                pairs.iter().map(|(name, value)| (&**name, Attribute::from(value))).collect();
            let evaluation = evaluator.evaluate(flag, &context.as_context(), true);
            evaluation.reason == Reason::OutOfBucket
        },
    )
}

fn is_named(flag: &Flag, name: &str) -> bool {
    flag.conditions().iter().flat_map(Condition::checks).any(|check| *check.variable() == *name)
}

/// An attribute that no condition is about.
fn unnamed(flag: &Flag) -> String {
    let mut name = "other".to_owned();
    while is_named(flag, &name) {
        name.push('_');
    }
    name
}

/// Values that may pass a check, and others that may fail it.
fn values(operand: &Value) -> Vec<Value> {
    match operand {
        Value::Bool(is) => vec![(*is).into(), (!is).into()],
        Value::Int(int) => vec![(*int).into(), int.saturating_sub(1).into(), int.saturating_add(1).into()],
        Value::Float(float) => vec![(*float).into(), (float - 1.0).into(), (float + 1.0).into()],
        Value::Array(elements) => {
            let mut values: Vec<_> = elements.iter().take(2).cloned().collect();
            // One more of the same type, which the list most likely has not.
            values.extend(elements.first().and_then(|first| self::values(first).pop()));
            values
        }
        Value::String(text) => vec![operand.clone(), format!("{}x", text.to_string_lossy()).into()],
        other => vec![other.clone()],
    }
}

fn times(now: Timestamp, ramp: Option<&LinearRamp>) -> Vec<Timestamp> {
    let mut times = vec![now];
    if let Some(LinearRamp { start: Some(start), duration, .. }) = ramp {
        times.push(Timestamp::from_micros(start.as_micros().saturating_sub(3_600_000_000)));
        for part in [0.0, 0.25, 0.5, 0.75, 1.5] {
            let Ok(elapsed) = Duration::try_from_secs_f64(duration * part) else { continue };
            times.push(*start + elapsed);
        }
    }
    times
}

/// A clock that can be set.
#[derive(Default)]
pub(super) struct Set(AtomicI64);

impl Set {
    pub(super) fn to(&self, time: Timestamp) {
        self.0.store(time.as_micros(), Ordering::Relaxed);
    }
}

impl flipper::Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use flipper::{FlagName, Percentage};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn told(edit: impl FnOnce(&mut Flag) -> flipper::Result<()>) -> Vec<String> {
        let mut flag = Flag::new(FlagName::new("X").unwrap(), NOW);
        flag.set_enabled(true).unwrap();
        edit(&mut flag).unwrap();
        let found = differences(&flag, NOW);
        found.into_iter().map(|found| format!("{}: {}", found.context, found.message)).collect()
    }

    fn ramp(from: f64, to: f64, hours: u64) -> Percentage {
        Percentage::linear_ramp(from, to, Duration::from_secs(hours * 3600), NOW).unwrap()
    }

    #[test]
    fn a_flag_that_both_answer_alike_has_nothing_to_tell() {
        let nothing: [&str; 0] = [];
        assert_eq!(told(|_| Ok(())), nothing);
        assert_eq!(
            told(|flag| flag.add_condition(&Condition::builder().gt("age", 18).is_in("x", ["a"]).build()?)),
            nothing
        );
        assert_eq!(
            told(|flag| flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5)?, ["user_id"]))),
            nothing
        );
    }

    #[test]
    fn conditions_beside_a_bucketer_are_found() {
        let told = told(|flag| {
            flag.add_condition(&Condition::builder().eq("is_admin", true).build()?)?;
            flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.0)?, ["user_id"]))
        });
        assert_eq!(told, ["other=1: flipper-client 1.3.2 answers on: the conditions are met"]);
    }

    #[test]
    fn conditions_beside_a_bucketer_that_leaves_few_out_are_found() {
        let with = |bucketer: Bucketer| {
            told(|flag| {
                flag.add_condition(&Condition::builder().eq("is_admin", true).build()?)?;
                flag.set_bucketer(&bucketer)
            })
        };
        let share = |share| Percentage::new(share).unwrap();
        for percent in [60, 90, 97, 98] {
            let share = || share(f64::from(percent) / 100.0);
            for bucketer in [
                Bucketer::percentage(share()),
                Bucketer::consistent_hash(share(), ["user_id"]),
                Bucketer::consistent_hash(share(), ["user_id", "is_admin"]),
                Bucketer::consistent_hash(share(), [""; 0]),
            ] {
                let told = with(bucketer.clone());
                assert!(
                    matches!(&told[..], [told] if told.ends_with("1.3.2 answers on: the conditions are met")),
                    "{percent} %, {bucketer:?}: {told:?}"
                );
            }
        }
        // Everybody, and those of one bucket, which is in.
        let nothing: [&str; 0] = [];
        for bucketer in [
            Bucketer::percentage(share(1.0)),
            Bucketer::consistent_hash(share(1.0), ["user_id"]),
            Bucketer::consistent_hash(share(0.99), ["user_id"]),
            Bucketer::consistent_hash(share(0.5), ["is_admin"]),
        ] {
            assert_eq!(with(bucketer), nothing);
        }
    }

    #[test]
    fn ramps_that_fall_and_those_before_their_start_are_found() {
        let falling =
            told(|flag| flag.set_bucketer(&Bucketer::consistent_hash(ramp(0.8, 0.2, 1), ["user_id"])));
        assert!(falling.iter().any(|told| told.contains("1.3.2 answers off")), "{falling:?}");
        let rising = told(|flag| flag.set_bucketer(&Bucketer::percentage(ramp(0.2, 0.8, 1))));
        assert!(rising.iter().any(|told| told.contains("1.3.2 answers off")), "{rising:?}");
    }

    #[test]
    fn ramps_of_more_than_a_day_are_found_for_the_older_release() {
        let long =
            told(|flag| flag.set_bucketer(&Bucketer::consistent_hash(ramp(0.0, 1.0, 240), ["user_id"])));
        assert!(long.iter().any(|told| told.contains("flipper-client 1.2.3")), "{long:?}");
    }

    #[test]
    fn a_record_that_python_cannot_read_is_found() {
        let record = r#"{"feature_name": "X", "is_enabled": true, "meta": {"created_date": 1, "bucketer": {"type": "Moon"}}}"#;
        let found = differences(&Flag::from_json(record.as_bytes()).unwrap(), NOW);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("cannot be read"), "{}", found[0].message);
    }
}
