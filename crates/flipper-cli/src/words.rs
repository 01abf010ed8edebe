//! The state of a flag, in words.

use std::fmt::Write as _;

use flipper::{Bucketer, Condition, Flag, LinearRamp, Percentage};

use crate::time::Moment;

/// Tells for whom a flag is on: `on for 10 % by user_id, ramping to 100 % until 14:00 UTC`.
pub(crate) fn state(flag: &Flag, moment: &Moment) -> String {
    if !flag.is_switched_on() {
        return "off".to_owned();
    }
    let bucketer = who(flag.bucketer(), moment);
    let Some(conditions) = conditions(flag.conditions()) else { return format!("on {bucketer}") };
    let mut checks = flag.conditions().iter().flat_map(Condition::checks);
    let first = checks.next().map(flipper::Check::variable);
    let without = if checks.all(|check| Some(check.variable()) == first) { "it" } else { "these" };
    format!("on if {conditions}; without {without}, {bucketer}")
}

/// Tells what has to hold; `None` for no conditions.
pub(crate) fn conditions(conditions: &[Condition]) -> Option<String> {
    let shown: Vec<_> = conditions.iter().map(ToString::to_string).collect();
    (!shown.is_empty()).then(|| shown.join(" and "))
}

/// Tells who gets a flag, where no condition decides: `for everybody`, `for 10 % by user_id`.
pub(crate) fn who(bucketer: &Bucketer, moment: &Moment) -> String {
    let Some(percentage) = bucketer.as_percentage() else {
        return match bucketer {
            Bucketer::NoOp => "for everybody".to_owned(),
            _ => "as a bucketer decides that this version does not know".to_owned(),
        };
    };
    let of_whom = match bucketer {
        Bucketer::ConsistentHash(hash) => {
            let names: Vec<_> = hash.key_whitelist().map(|name| name.to_string_lossy()).collect();
            match names.as_slice() {
                [] => " by all attributes".to_owned(),
                names => format!(" by {}", names.join(", ")),
            }
        }
        _ => " of the checks".to_owned(),
    };
    let Some(share) = percentage.value_at(moment.now) else {
        return format!("for a share{of_whom} that this version does not know");
    };
    format!("for {}{of_whom}{}", percent(share), ramping(percentage, moment))
}

/// Tells where a ramp goes, until it is there.
fn ramping(percentage: &Percentage, moment: &Moment) -> String {
    let Some(ramp) = percentage.as_ramp() else { return String::new() };
    let LinearRamp { last, start, .. } = ramp;
    let Some(start) = start else { return format!(", by a ramp to {} that has no start", percent(last)) };
    let end = ramp.end();
    if end.is_some_and(|end| end <= moment.now) {
        return String::new();
    }
    let mut words = format!(", ramping to {}", percent(last));
    // Writing to a `String` does not fail.
    if start > moment.now {
        let _ = write!(words, " from {}", moment.show(start));
    }
    match end {
        Some(end) => {
            let _ = write!(words, " until {}", moment.show(end));
        }
        None => words.push_str(" without an end"),
    }
    words
}

/// Shows a share as a percentage, with two digits behind the point at the most.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.005 {
        return "less than 0.01 %".to_owned();
    }
    let digits = format!("{percent:.2}");
    format!("{} %", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// Reads a share: `10%`, `10 %` or `0.1`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is no share: write `10%` or `0.1`, between 0% and 100%");
    let share = match text.strip_suffix('%') {
        // Not a division by 100, which would make another number of `33.3%` than `0.333` is.
        Some(percent) => format!("{}e-2", percent.trim_end()).parse().map_err(|_| wrong())?,
        None => text.parse().map_err(|_| wrong())?,
    };
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use flipper::{FlagName, Timestamp};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn state_of(edit: impl FnOnce(&mut Flag) -> flipper::Result<()>) -> String {
        let mut flag = Flag::new(FlagName::new("X").unwrap(), NOW);
        flag.set_enabled(true).unwrap();
        edit(&mut flag).unwrap();
        state(&flag, &Moment::utc(NOW))
    }

    fn ramp(from: f64, to: f64, minutes: u64, start: Timestamp) -> Bucketer {
        let ramp = Percentage::linear_ramp(from, to, Duration::from_secs(minutes * 60), start).unwrap();
        Bucketer::consistent_hash(ramp, ["user_id"])
    }

    #[test]
    fn the_state_is_told_in_words() {
        assert_eq!(state_of(|flag| flag.set_enabled(false)), "off");
        assert_eq!(state_of(|_| Ok(())), "on for everybody");
        let tenth = || Percentage::new(0.1).unwrap();
        assert_eq!(
            state_of(|flag| flag.set_bucketer(&Bucketer::percentage(tenth()))),
            "on for 10 % of the checks"
        );
        assert_eq!(
            state_of(|flag| flag.set_bucketer(&Bucketer::consistent_hash(tenth(), ["b", "a"]))),
            "on for 10 % by a, b"
        );
        let admin = Condition::from_keywords([("is_admin", true.into())]).unwrap();
        assert_eq!(
            state_of(|flag| flag.add_condition(&admin)),
            "on if is_admin == true; without it, for everybody"
        );
        let age = Condition::from_keywords([("age__gte", 18.into())]).unwrap();
        assert_eq!(
            state_of(|flag| {
                flag.set_conditions([&admin, &age])?;
                flag.set_bucketer(&Bucketer::consistent_hash(tenth(), ["user_id"]))
            }),
            "on if is_admin == true and age >= 18; without these, for 10 % by user_id"
        );
    }

    #[test]
    fn a_ramp_tells_where_it_goes_until_it_is_there() {
        let hour = Duration::from_hours(1);
        for (start, state) in [
            (NOW + hour, "on for 20 % by user_id, ramping to 80 % from 23:13 UTC until 2023-11-15 00:13 UTC"),
            (NOW, "on for 20 % by user_id, ramping to 80 % until 23:13 UTC"),
            (Timestamp::from_secs(NOW.as_secs() - 3600), "on for 80 % by user_id"),
        ] {
            assert_eq!(state_of(|flag| flag.set_bucketer(&ramp(0.2, 0.8, 60, start))), state);
        }
    }

    #[test]
    fn what_is_not_known_is_told() {
        let state_of = |bucketer: &str| {
            let record = format!(
                r#"{{"feature_name": "X", "is_enabled": true, "meta": {{"created_date": 1, "bucketer": {bucketer}}}}}"#
            );
            state(&Flag::from_json(record.as_bytes()).unwrap(), &Moment::utc(NOW))
        };
        assert!(state_of(r#"{"type": "Moon"}"#).ends_with("that this version does not know"));
        assert_eq!(
            state_of(r#"{"type": "PercentageBucketer", "percentage": {"type": "Moon"}}"#),
            "on for a share of the checks that this version does not know"
        );
        assert_eq!(
            state_of(
                r#"{"type": "PercentageBucketer", "percentage": {"type": "LinearRampPercentage", "initial_value": 0,
                    "final_value": 0.5, "ramp_duration": 60, "initial_time": null}}"#
            ),
            "on for 0 % of the checks, by a ramp to 50 % that has no start"
        );
    }

    #[test]
    fn shares_are_percentages_or_fractions() {
        assert_eq!(share("10%"), Ok(0.1));
        assert_eq!(share("33.3 %"), Ok(0.333));
        assert_eq!(share("0.5"), Ok(0.5));
        for wrong in ["10", "-1%", "101%", "x", "", "%", "NaN", "inf"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
        assert_eq!(percent(1.0 / 3.0), "33.33 %");
        assert_eq!(percent(0.1), "10 %");
        assert_eq!(percent(0.000_01), "less than 0.01 %");
        assert_eq!(percent(0.0), "0 %");
    }
}
