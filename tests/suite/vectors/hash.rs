use flipper_core::{Reason, Timestamp};

use super::{agree, for_each, no_draw};

#[test]
fn hash() {
    for_each("hash.jsonl", |case| {
        let flag = case.flag().map_err(|error| error.to_string())?;
        let kwargs = case.kwargs();
        let context = kwargs.context();
        let evaluation = case.evaluate(&flag, &context.as_context(), &no_draw);
        let now = case.now();
        let clock = move || now;
        let zero = || 0.0;
        let explanation = super::evaluator(&clock, &zero).explain(&flag, &context.as_context(), false);
        let bucketer = explanation.bucketer.ok_or("no bucketer")?;
        agree("text", bucketer.hashed.as_deref(), case.0["hashed"].as_str())?;
        let score = case.0["score"].as_f64().map(|score| score / 100.0);
        agree("score", bucketer.score, score)?;
        if case.has("error") {
            return agree("reason", evaluation.reason, Reason::Unsupported);
        }
        agree("value", evaluation.value, case.bool("expect"))?;
        agree("explained", bucketer.is_in, Some(case.bool("expect")))?;
        if case.has("expect_123") {
            let told = explanation.python.iter().any(|note| note.contains("flipper-client 1.2.3"));
            agree("difference of 1.2.3 told", told, case.bool("expect_123") != case.bool("expect"))?;
        }
        agree("rewrites", flag.rewritten_by_flipper_client(Timestamp::now()).is_ok(), true)
    });
}
