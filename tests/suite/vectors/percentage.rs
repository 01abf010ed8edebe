use flipper_core::Reason;

use super::{agree, for_each};

#[test]
fn percentage() {
    for_each("percentage.jsonl", |case| {
        let flag = case.flag().map_err(|error| error.to_string())?;
        let kwargs = case.kwargs();
        let drawn = case.0["random"].as_f64().ok_or("no number drawn")?;
        let random = move || drawn;
        let evaluation = case.evaluate(&flag, &kwargs.context().as_context(), &random);
        if case.has("error") {
            agree("value", evaluation.value, false)?;
            return agree("reason", evaluation.reason, Reason::Unsupported);
        }
        agree("value", evaluation.value, case.bool("expect"))
    });
}
