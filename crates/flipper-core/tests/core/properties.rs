//! What holds for every value, flag and context.

use flipper_core::json::Value;
use flipper_core::{Attribute, ContextBuf, Evaluator, Flag, Percentage, Reason, Semantics, Timestamp};
use proptest::prelude::*;

use super::strategies::{attributes, bucketer, condition, flag, likely, percentage, value};

/// As an application passes it.
fn attribute(value: &Value) -> Attribute<'_> {
    match value {
        Value::Bool(bool) => Attribute::Bool(*bool),
        Value::Int(int) => Attribute::Int(*int),
        Value::String(text) => text.as_str().map_or(Attribute::Value(value), Attribute::Str),
        other => Attribute::Value(other),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn what_is_written_reads_back_as_it_was(value in value()) {
        let text = value.to_json();
        prop_assert!(text.is_ascii());
        let again = Value::parse(&text).unwrap();
        prop_assert_eq!(&again, &value);
        prop_assert_eq!(again.to_json(), text);
    }

    #[test]
    fn flags_read_back_as_they_were(flag in flag()) {
        let again = Flag::from_json(flag.as_json().as_bytes()).unwrap();
        prop_assert_eq!(again.conditions(), flag.conditions());
        prop_assert_eq!(again.bucketer(), flag.bucketer());
        prop_assert_eq!(again.is_switched_on(), flag.is_switched_on());
        // flipper-client keeps it as it is, but for the order of the whitelist.
        let rewritten = flag.rewritten_by_flipper_client(Timestamp::from_secs(0)).unwrap();
        prop_assert_eq!(Flag::from_json(rewritten.as_bytes()).unwrap(), again);
    }

    #[test]
    fn edits_do_what_they_say_to_any_record(flag in flag(), data in value(), bucketer in bucketer(), added in condition()) {
        // Something foreign beside what is known.
        let foreign = format!("{{\"owner\": {}, {}", data.to_json(), &flag.as_json()[1..]);
        let mut edited = Flag::from_json(foreign.as_bytes()).unwrap();
        edited.set_enabled(!flag.is_switched_on()).unwrap();
        edited.set_bucketer(&bucketer).unwrap();
        edited.add_condition(&added).unwrap();
        prop_assert_eq!(edited.is_switched_on(), !flag.is_switched_on());
        prop_assert_eq!(edited.bucketer(), &bucketer);
        let (last, before) = edited.conditions().split_last().unwrap();
        prop_assert_eq!(last, &added);
        prop_assert_eq!(before, flag.conditions());
        let owner = format!("{{\"owner\": {}, ", data.to_json());
        prop_assert!(edited.as_json().starts_with(&owner), "{} in {}", owner, edited.as_json());
    }

    #[test]
    fn evaluating_never_panics_and_explains_itself(flag in flag(), attributes in attributes(), now: i64, drawn in 0.0..1.0) {
        let context: ContextBuf<'_> = attributes.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let context = context.as_context();
        let (clock, random) = (move || Timestamp::from_micros(now), move || drawn);
        for semantics in [Semantics::Documented, Semantics::FlipperClient] {
            let evaluator = Evaluator::new().with_semantics(semantics).with_clock(&clock).with_random(&random);
            let evaluation = evaluator.evaluate(&flag, &context, false);
            prop_assert_eq!(evaluation, evaluator.evaluate(&flag, &context, false));
            prop_assert_eq!(evaluation.value, evaluator.is_enabled(&flag, &context, false));
            let explanation = evaluator.explain(&flag, &context, false);
            prop_assert_eq!(explanation.evaluation, evaluation);
            prop_assert!(!explanation.to_string().is_empty());
            match evaluation.reason {
                Reason::Enabled | Reason::ConditionsMet | Reason::InBucket => prop_assert!(evaluation.value),
                reason => prop_assert!(!evaluation.value, "{:?}", reason),
            }
        }
    }

    #[test]
    fn a_check_is_on_exactly_when_its_evaluation_is((flag, attributes) in likely(), now in 0_i64..2_000_000_000, drawn in 0.0..1.0) {
        let context: ContextBuf<'_> =
            attributes.iter().map(|(name, value)| (name.as_str(), attribute(value))).collect();
        let context = context.as_context();
        let (clock, random) = (move || Timestamp::from_secs(now), move || drawn);
        for semantics in [Semantics::Documented, Semantics::FlipperClient] {
            let evaluator = Evaluator::new().with_semantics(semantics).with_clock(&clock).with_random(&random);
            for default in [false, true] {
                let evaluation = evaluator.evaluate(&flag, &context, default);
                prop_assert_eq!(evaluation.value, evaluator.is_enabled(&flag, &context, default), "{:?}", evaluation);
            }
        }
    }

    #[test]
    fn attributes_in_another_order_give_the_same_answer(flag in flag(), attributes in attributes()) {
        // Of a name that comes twice only the last counts, so order matters then.
        let mut names: Vec<_> = attributes.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        prop_assume!(names.len() == attributes.len());
        let forward: ContextBuf<'_> = attributes.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let backward: ContextBuf<'_> = attributes.iter().rev().map(|(name, value)| (name.as_str(), value)).collect();
        let (clock, random) = (|| Timestamp::from_secs(5), || 0.5);
        let evaluator = Evaluator::new().with_clock(&clock).with_random(&random);
        let evaluate = |context: &ContextBuf<'_>| evaluator.is_enabled(&flag, &context.as_context(), false);
        prop_assert_eq!(evaluate(&forward), evaluate(&backward));
    }

    #[test]
    fn ramps_stay_within_their_bounds_and_go_one_way(
        initial in 0.0..=1.0, last in 0.0..=1.0, millis in 0_u64..200_000_000,
        start in -2_000_000_000_i64..4_000_000_000, mut times: [i64; 8],
    ) {
        let duration = std::time::Duration::from_millis(millis);
        let ramp = Percentage::linear_ramp(initial, last, duration, Timestamp::from_secs(start)).unwrap();
        // Half of the times near the ramp.
        for time in &mut times[..4] {
            *time = start * 1_000_000 + *time % (millis as i64 * 1_500 + 1_000);
        }
        times.sort_unstable();
        let shares: Vec<f64> = times.iter().map(|time| ramp.value_at(Timestamp::from_micros(*time)).unwrap()).collect();
        for share in &shares {
            prop_assert!((f64::min(initial, last)..=f64::max(initial, last)).contains(share));
        }
        let is_monotonic = if initial <= last { shares.is_sorted() } else { shares.iter().rev().is_sorted() };
        prop_assert!(is_monotonic, "{:?}", shares);
    }

    #[test]
    fn more_share_is_more_buckets(percentage in percentage(), now: i64) {
        let now = Timestamp::from_micros(now);
        let buckets = percentage.buckets(now).unwrap();
        let share = percentage.value_at(now).unwrap();
        let expected = (0..100).filter(|bucket| share != 0.0 && f64::from(*bucket) / 100.0 <= share).count();
        prop_assert_eq!(usize::from(buckets), expected);
    }
}
