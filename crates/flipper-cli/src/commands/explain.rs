//! `explain`.

use flipper::json::Value;
use flipper::{BucketTrace, CheckTrace, Evaluation, Evaluator, Explanation, Reason, Semantics};

use super::read;
use crate::cli::ExplainArgs;
use crate::failure::{Code, Result};
use crate::pairs;
use crate::run::Run;
use crate::shape::{object, plain};
use crate::words::state;

pub(crate) async fn explain(run: &mut Run, args: &ExplainArgs) -> Result<Code> {
    let client = run.settings.open().await?;
    let flag = read(&client, &args.name).await?;
    let now = args.context.at.unwrap_or(run.moment.now);
    let clock = move || now;
    let context = pairs::context(&args.context.context);
    let evaluator = Evaluator::new().with_semantics(args.context.semantics.into()).with_clock(&clock);
    let explanation = evaluator.explain(&flag, &context.as_context(), false);
    if run.out.is_json() {
        run.out.json(&plain(json(&explanation)))?;
        return Ok(Code::Done);
    }
    for line in lines(&explanation, &run.moment.show(now)) {
        run.out.line(line)?;
    }
    let state = state(&flag, &run.moment.at(now));
    run.out.line(format_args!("  the flag is {state}"))?;
    Ok(Code::Done)
}

/// What is told, line by line: no name that is stored can add a line of its own. The library's text has the time in seconds, which
/// nobody reads at night.
pub(super) fn lines(explanation: &Explanation, time: &str) -> Vec<String> {
    let Evaluation { value, reason, .. } = explanation.evaluation;
    let flag = &explanation.flag;
    let mut lines = vec![match reason {
        Reason::Unsupported => {
            format!("nobody can tell whether {flag:?} is on: it depends on what this version does not know")
        }
        _ => format!("{flag:?} is {}: {reason}", if value { "on" } else { "off" }),
    }];
    if !explanation.is_switched_on {
        lines.push("  the flag is disabled: nothing else is asked".to_owned());
    }
    for (at, condition) in explanation.conditions.iter().enumerate() {
        if condition.checks.is_empty() {
            lines.push(format!("  condition {at}: has no checks"));
        }
        for CheckTrace { check, given, outcome, .. } in &condition.checks {
            let given =
                given.as_ref().map(|given| format!(", {} is {given}", check.variable())).unwrap_or_default();
            lines.push(format!("  condition {at}: {check}: {outcome}{given}"));
        }
    }
    if let Some(bucketer) = &explanation.bucketer {
        let asked = if bucketer.is_asked { "" } else { " (not asked)" };
        lines.push(format!("  bucketer{asked}: {bucketer}"));
    }
    let semantics = match explanation.semantics {
        Semantics::FlipperClient => "flipper-client's",
        _ => "documented",
    };
    lines.push(format!("  evaluated at {time}, {semantics} semantics"));
    lines.extend(explanation.python.iter().map(|difference| format!("  in Python: {difference}")));
    lines
}

pub(super) fn json(explanation: &Explanation) -> Value {
    let can_tell = explanation.evaluation.reason != Reason::Unsupported;
    let conditions: Vec<Vec<Value>> = explanation
        .conditions
        .iter()
        .map(|condition| {
            let checks = condition.checks.iter().map(|trace| {
                object([
                    ("check", trace.check.to_string().into()),
                    ("given", trace.given.as_deref().into()),
                    ("outcome", trace.outcome.to_string().into()),
                ])
            });
            checks.collect()
        })
        .collect();
    object([
        ("flag", explanation.flag.as_str().into()),
        ("is_enabled", can_tell.then_some(explanation.evaluation.value).into()),
        ("reason", explanation.evaluation.reason.to_string().into()),
        (
            "semantics",
            match explanation.semantics {
                Semantics::FlipperClient => "flipper-client",
                _ => "documented",
            }
            .into(),
        ),
        ("is_switched_on", explanation.is_switched_on.into()),
        ("conditions", conditions.into()),
        ("bucketer", explanation.bucketer.as_ref().map_or(Value::Null, bucketer)),
        ("time", explanation.now.as_secs().into()),
        ("python", explanation.python.clone().into()),
    ])
}

fn bucketer(trace: &BucketTrace) -> Value {
    object([
        ("type", trace.type_name.as_str().into()),
        ("is_asked", trace.is_asked.into()),
        ("hashed", trace.hashed.as_deref().into()),
        ("score", trace.score.into()),
        ("share", trace.share.into()),
        ("buckets", trace.buckets.into()),
        ("is_in", trace.is_in.into()),
    ])
}
