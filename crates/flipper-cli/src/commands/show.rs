//! `show`.

use flipper::json::Value;
use flipper::{Bucketer, Flag, Timestamp};

use super::read;
use crate::cli::ShowArgs;
use crate::failure::{Code, Result};
use crate::output::Role;
use crate::run::Run;
use crate::shape;
use crate::words::{state, who};

pub(crate) async fn show(run: &mut Run, args: &ShowArgs) -> Result<Code> {
    let client = run.settings.open().await?;
    let flag = read(&client, &args.name).await?;
    if args.raw && run.out.is_terminal() {
        run.out.lines(flag.as_json())?;
    } else if args.raw {
        run.out.bytes(flag.as_json().as_bytes())?;
        run.out.bytes(b"\n")?;
    } else if run.out.is_json() {
        let json = shape::flag(&flag, &run.moment);
        run.out.json(&json)?;
    } else {
        print(run, &flag)?;
    }
    Ok(Code::Done)
}

fn print(run: &mut Run, flag: &Flag) -> Result<()> {
    let name = run.out.paint(Role::Name, flag.name()).into_owned();
    run.out.raw_line(&name)?;
    let role = if flag.is_switched_on() { Role::On } else { Role::Off };
    let words = state(flag, &run.moment);
    let state = run.out.paint(role, &words).into_owned();
    run.out.raw_line(&format!("  state       {state}"))?;
    for (at, condition) in flag.conditions().iter().enumerate() {
        let heading = if at == 0 { "conditions" } else { "and" };
        run.out.line(format_args!("  {heading:<11} {condition}"))?;
    }
    if *flag.bucketer() != Bucketer::NoOp {
        let who = who(flag.bucketer(), &run.moment);
        let buckets = match flag.bucketer() {
            Bucketer::ConsistentHash(hash) => hash.percentage().buckets(run.moment.now),
            _ => None,
        };
        let buckets = buckets.map(|buckets| format!(" ({buckets} of 100 buckets)")).unwrap_or_default();
        run.out.line(format_args!("  bucketer    {who}{buckets}"))?;
    }
    if let Value::Object(data) = flag.client_data() {
        for (at, (key, value)) in data.iter().enumerate() {
            let heading = if at == 0 { "data" } else { "" };
            run.out.line(format_args!("  {heading:<11} {} = {value}", key.to_string_lossy()))?;
        }
    }
    if let Some(created) = flag.created_date() {
        let created = run.moment.show(Timestamp::from_secs(created));
        run.out.line(format_args!("  created     {created}"))?;
    }
    if let Some(stored) = flag.stored_name() {
        run.out.line(format_args!("  renamed     the record says that its name is {stored:?}"))?;
    }
    if let Err(error) = flag.rewritten_by_flipper_client(run.moment.now) {
        run.out.line(format_args!("  in Python   it cannot be read: {}", error.message()))?;
    }
    Ok(())
}
