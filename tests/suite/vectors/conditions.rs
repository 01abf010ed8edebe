use flipper_core::{ErrorKind, Reason};

use super::{agree, for_each, no_draw};

#[test]
fn conditions() {
    for_each("conditions.jsonl", |case| {
        let flag = case.flag();
        if case.has("load_error") {
            // What Python cannot read is an error here too, or it is kept and answers the default.
            return match flag {
                Err(error) => agree("kind", error.kind(), ErrorKind::Corrupt),
                Ok(flag) => {
                    agree("rewrite", flag.rewritten_by_flipper_client(case.now()).is_err(), true)?;
                    let kwargs = case.kwargs();
                    let reason = case.evaluate(&flag, &kwargs.context().as_context(), &no_draw).reason;
                    let is_asked = !kwargs.context().as_context().is_empty() && flag.is_switched_on();
                    if is_asked { agree("reason", reason, Reason::Unsupported) } else { Ok(()) }
                }
            };
        }
        let flag = flag.map_err(|error| error.to_string())?;
        let kwargs = case.kwargs();
        let evaluation = case.evaluate(&flag, &kwargs.context().as_context(), &no_draw);
        if case.has("error") {
            let raised = matches!(evaluation.reason, Reason::NotComparable { .. } | Reason::Unsupported);
            agree("raises", raised, true)?;
            return agree("value", evaluation.value, false);
        }
        let raised = matches!(evaluation.reason, Reason::NotComparable { .. } | Reason::Unsupported);
        agree("raises", raised, false)?;
        agree("value", evaluation.value, case.bool("expect"))
    });
}
