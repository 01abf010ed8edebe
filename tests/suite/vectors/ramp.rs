use flipper_core::{Bucketer, Flag, Percentage, Semantics};

use super::{Case, agree, for_each};

fn percentage(case: &Case) -> Result<Percentage, String> {
    let text = format!(
        r#"{{"feature_name": "f", "is_enabled": true, "meta": {{"created_date": 1, "bucketer": {{"type": "PercentageBucketer", "percentage": {}}}}}}}"#,
        case.text("percentage_json")
    );
    let flag = Flag::from_json(text.as_bytes()).map_err(|error| error.to_string())?;
    match flag.bucketer() {
        Bucketer::Percentage(percentage) => Ok(percentage.clone()),
        other => Err(format!("not a percentage: {other:?}")),
    }
}

#[test]
fn ramp() {
    for_each("ramp.jsonl", |case| {
        let percentage = percentage(case)?;
        let value = percentage.value_under(Semantics::FlipperClient, case.now());
        if case.has("error") {
            return agree("value", value, None);
        }
        let value = value.ok_or("no value")?;
        agree("bits", format!("{:016x}", value.to_bits()), case.text("bits").to_owned())?;
        agree("equals zero", value == 0.0, case.bool("equals_zero"))?;
        let in_bucket = case.0["in_bucket"].as_object().ok_or("no buckets")?;
        for (score, is_in) in in_bucket {
            let score: f64 = score.parse().map_err(|_| "a score is a number")?;
            agree("in bucket", score <= value, is_in.as_bool().unwrap_or_default())?;
        }
        Ok(())
    });
}

#[test]
fn ramp_as_documented() {
    for_each("ramp.jsonl", |case| {
        if case.has("error") {
            return Ok(());
        }
        let percentage = percentage(case)?;
        let python =
            f64::from_bits(u64::from_str_radix(case.text("bits"), 16).map_err(|error| error.to_string())?);
        let value = percentage.value_at(case.now()).ok_or("no value")?;
        // From the start of a ramp that does not fall on, the two are the same double.
        if case.tag() == "increasing" && python >= 0.0 {
            agree("bits", value.to_bits(), python.to_bits())?;
        }
        Ok(())
    });
}
