//! `verify`.

use flipper::json::Value;
use flipper::{Bucketer, Condition, Flag, Listed, Page};
use futures_util::StreamExt as _;

use super::Pattern;
use super::probes::differences;
use crate::cli::VerifyArgs;
use crate::escape::{cut, shown};
use crate::failure::{Code, Result};
use crate::output::Role;
use crate::progress::Progress;
use crate::run::Run;
use crate::shape::object;

/// How much of a message is shown.
const MOST: usize = 300;

struct Problem {
    what: &'static str,
    message: String,
    context: Option<String>,
}

impl Problem {
    fn new(what: &'static str, message: impl Into<String>) -> Self {
        Self { what, message: message.into(), context: None }
    }
}

pub(crate) async fn verify(run: &mut Run, args: &VerifyArgs) -> Result<Code> {
    let client = run.settings.open().await?;
    let pattern = Pattern::new(args.pattern.as_deref());
    let progress = Progress::new("verified", None, run.out.is_json());
    let mut listing = client.store().list(Page::ALL);
    let (mut count, mut found) = (0_u64, 0_u64);
    while let Some(listed) = listing.next().await {
        let listed = listed?;
        if !pattern.matches_listed(&listed) {
            continue;
        }
        let (name, problems) = match listed {
            Listed::Flag(listed) => (listed.value.name().into(), problems(run, args, &listed.value)),
            Listed::Bad { name, error, .. } => (name, vec![Problem::new("unreadable", error.message())]),
            _ => continue,
        };
        count += 1;
        progress.add(1);
        if !problems.is_empty() {
            found += 1;
            progress
                .aside(|| problems.iter().try_for_each(|problem| tell(run, &name, problem)))
                .map_err(|failure| failure.knowing(Code::Differs))?;
        }
    }
    drop(progress);
    if !run.out.is_json() {
        run.out.line(format_args!("{count} flags verified, {found} with something to tell"))?;
    }
    Ok(if found == 0 { Code::Done } else { Code::Differs })
}

fn problems(run: &Run, args: &VerifyArgs, flag: &Flag) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(stored) = flag.stored_name() {
        problems.push(Problem::new("renamed", format!("the record says that its name is {stored:?}")));
    }
    for check in flag.conditions().iter().flat_map(Condition::checks) {
        if check.operator().is_none() {
            problems
                .push(Problem::new("unknown", format!("this version does not know the operator of {check}")));
        }
    }
    match flag.bucketer() {
        Bucketer::Unknown(_) => {
            problems.push(Problem::new("unknown", "this version does not know the bucketer"));
        }
        bucketer
            if bucketer.as_percentage().is_some_and(|share| share.value_at(run.moment.now).is_none()) =>
        {
            problems.push(Problem::new("unknown", "this version does not know the percentage"));
        }
        _ => {}
    }
    if !args.no_python {
        problems.extend(differences(flag, run.moment.now).into_iter().map(|difference| {
            let at =
                difference.time.map(|time| format!(", at {}", run.moment.show(time))).unwrap_or_default();
            Problem { what: "python", message: difference.message, context: Some(difference.context + &at) }
        }));
    }
    problems
}

fn tell(run: &mut Run, name: &str, problem: &Problem) -> Result<()> {
    let Problem { what, message, context } = problem;
    if run.out.is_json() {
        return run.out.json(&object([
            ("flag", name.into()),
            ("problem", (*what).into()),
            ("message", message.as_str().into()),
            ("context", context.as_deref().map_or(Value::Null, Into::into)),
        ]));
    }
    let told = match (*what, context) {
        ("unreadable", _) => format!("cannot be read: {message}"),
        ("python", Some(context)) => format!("in Python, for {context}: {message}"),
        _ => message.clone(),
    };
    let line = format!("{}: {}", run.out.paint(Role::Name, name), shown(&cut(&told, MOST)));
    run.out.raw_line(&line)
}
