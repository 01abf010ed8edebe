//! `check`.

use flipper::{Evaluation, Evaluator, Flag, Reason};

use super::read;
use crate::cli::{CheckArgs, ContextArgs};
use crate::failure::{Code, Failure, Result};
use crate::output::Role;
use crate::pairs;
use crate::run::Run;
use crate::shape::object;

pub(crate) async fn check(run: &mut Run, args: &CheckArgs) -> Result<Code> {
    let client = run.settings.open().await?;
    let flag = read(&client, &args.name).await?;
    let Evaluation { value, reason, .. } = evaluate(run, &flag, &args.context);
    let can_tell = reason != Reason::Unsupported;
    if run.out.is_json() && !args.quiet {
        let is_enabled = can_tell.then_some(value);
        let reason = reason.to_string();
        run.out.json(&object([
            ("flag", args.name.as_str().into()),
            ("is_enabled", is_enabled.into()),
            ("reason", reason.into()),
        ]))?;
    }
    if !can_tell {
        let message = format!(
            "nobody can tell whether {:?} is on: it depends on what this version does not know",
            args.name
        );
        return Err(Failure::error(message));
    }
    if !run.out.is_json() && !args.quiet {
        let (role, word) = if value { (Role::On, "on") } else { (Role::Off, "off") };
        let line = format!("{}: {reason}", run.out.paint(role, word));
        run.out.raw_line(&line)?;
    }
    Ok(if value { Code::Done } else { Code::Differs })
}

fn evaluate(run: &Run, flag: &Flag, args: &ContextArgs) -> Evaluation {
    let now = args.at.unwrap_or(run.moment.now);
    let clock = move || now;
    let context = pairs::context(&args.context);
    let evaluator = Evaluator::new().with_semantics(args.semantics.into()).with_clock(&clock);
    evaluator.evaluate(flag, &context.as_context(), false)
}
