//! `audit`.

use std::ffi::OsString;
use std::path::Path;

use flipper::audit::{Entry, History, LineKind, Record, Source, StateAt, Verification, Verifier};
use flipper::events::Outcome;
use flipper::json::Value;
use flipper::{Error, ErrorKind, Timestamp};

use super::explain;
use crate::changes::changes;
use crate::cli::{AuditAction, AuditArgs, AuditAtArgs, AuditShowArgs, AuditVerifyArgs};
use crate::escape::{cut, shown};
use crate::failure::{Code, Failure, Result};
use crate::output::{Role, note};
use crate::pairs;
use crate::run::Run;
use crate::shape::{object, optional, plain};
use crate::time::Moment;
use crate::words::state;

/// How much of a line is shown of which nothing is known.
const MOST: usize = 200;

pub(crate) fn audit(run: &mut Run, args: &AuditArgs) -> Result<Code> {
    match &args.action {
        AuditAction::Show(args) => show(run, args),
        AuditAction::Verify(args) => verify(run, args),
        AuditAction::At(args) => at(run, args),
    }
}

/// An error about the log itself. That a log is not there is not that a flag is not there.
fn of_log(path: &Path, error: &Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => Failure::error(format!("{}: there is no audit log", path.display())),
        ErrorKind::Corrupt => Failure::error(error.message()),
        _ => Failure::error(format!("{}: {}", path.display(), error.message())),
    }
}

fn show(run: &mut Run, args: &AuditShowArgs) -> Result<Code> {
    let mut history = History::of(&args.file);
    if let Some(flag) = &args.flag {
        history = history.flag(flag);
    }
    if let Some(since) = args.since {
        history = history.since(since);
    }
    if let Some(until) = args.until {
        history = history.until(until);
    }
    let mut code = Code::Done;
    for entry in history.entries().map_err(|error| of_log(&args.file, &error))? {
        match entry {
            Ok(entry) if run.out.is_json() => {
                let line = Value::parse(entry.as_json()).map_err(Failure::Flags)?;
                run.out.json(&plain(line))?;
            }
            Ok(entry) => {
                let line = format!(
                    "{}  {}",
                    run.out.paint(
                        Role::Off,
                        &format!("{}  #{}", run.moment.exact(entry.time()), entry.number())
                    ),
                    told(run, &entry)
                );
                run.out.raw_line(&line)?;
            }
            Err(error) => {
                note(of_log(&args.file, &error));
                code = Code::Error;
            }
        }
    }
    Ok(code)
}

/// What a line tells, escaped.
fn told(run: &Run, entry: &Entry) -> String {
    let Some(record) = entry.record() else {
        let text = match (entry.kind(), entry.resolves()) {
            (LineKind::Begin, _) => "a file begins".to_owned(),
            (LineKind::Recovered, _) => "the line before was half written, and was cut off".to_owned(),
            (LineKind::Lost, _) => {
                format!("lines are missing here, which could not be written: {}", cut(entry.as_json(), MOST))
            }
            (_, Some(line)) => format!("the change of line #{line} had happened"),
            _ => cut(entry.as_json(), MOST).into_owned(),
        };
        return shown(&text).into_owned();
    };
    let moment = run.moment.at(entry.time());
    let what = match entry.kind() {
        LineKind::Found => match record.flag_after() {
            Some(flag) => format!("was there, {}", state(&flag, &moment)),
            None => "was there, and could not be read".to_owned(),
        },
        kind => {
            let announced = if kind == LineKind::Intent { "announced: " } else { "" };
            format!("{announced}{}{}{}", changed(record, &moment), by(record), ended(kind, record))
        }
    };
    format!("{}: {}", run.out.paint(Role::Name, &record.flag), shown(&what))
}

/// What has changed, in the words of `watch`.
fn changed(record: &Record, moment: &Moment) -> String {
    let (before, after) = (record.flag_before(), record.flag_after());
    let is_known = before.is_some() == record.before.is_some() && after.is_some() == record.after.is_some();
    let mut told = changes(before.as_ref(), after.as_ref(), moment);
    if told.is_empty() || !is_known || record.was_unreadable {
        // Nothing has changed, or one of the records is none of a flag.
        told = vec![record.events.join(", ")];
    }
    if record.was_unreadable {
        told.push("before, it could not be read".to_owned());
    }
    told.join("; ")
}

fn by(record: &Record) -> String {
    match &record.actor {
        Some(actor) => format!(", by {actor}"),
        None if record.source == Source::Client => String::new(),
        None => ", by somebody else".to_owned(),
    }
}

fn ended(kind: LineKind, record: &Record) -> &'static str {
    match record.outcome {
        _ if kind == LineKind::Intent => "",
        Outcome::Done => "",
        Outcome::NotDone => " (it was not made)",
        Outcome::NotReplicated => " (it is made, and fewer copies have it than were asked for)",
        _ => " (nobody could tell whether it was made)",
    }
}

fn verify(run: &mut Run, args: &AuditVerifyArgs) -> Result<Code> {
    let mut verifier = Verifier::new(&args.file);
    if let Some(head) = args.head {
        verifier = verifier.head(head);
    }
    if let Some(start) = args.start {
        verifier = verifier.start(start);
    }
    if let Some(key) = key(args)? {
        verifier = verifier.key(key);
    }
    let found = verifier.run().map_err(|error| of_log(&args.file, &error))?;
    let code = if found.is_intact() { Code::Done } else { Code::Differs };
    tell(run, &found).map_err(|failure| failure.knowing(code))?;
    Ok(code)
}

fn key(args: &AuditVerifyArgs) -> Result<Option<Vec<u8>>> {
    let Some(path) = &args.key_file else {
        // Not `var`: a key need not be a text, and one that is passed over is a log that anybody may have written.
        let key = std::env::var_os("FLIPPER_AUDIT_KEY").filter(|key| !key.is_empty());
        return Ok(key.map(OsString::into_encoded_bytes));
    };
    let mut key = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
    let line_break = [b"\r\n".as_slice(), b"\n"].into_iter().find(|end| key.ends_with(end));
    key.truncate(key.len() - line_break.map_or(0, <[u8]>::len));
    if key.is_empty() {
        return Err(Failure::error(format!("{}: there is no key in the file", path.display())));
    }
    Ok(Some(key))
}

fn tell(run: &mut Run, found: &Verification) -> Result<()> {
    let Verification { files, head, torn_bytes, damage, .. } = found;
    if run.out.is_json() {
        let damage = damage.as_ref().map(|damage| {
            object([
                ("file", damage.file.to_string_lossy().into_owned().into()),
                ("line", number(damage.line)),
                ("kind", damage.kind.as_str().into()),
                ("message", damage.message.clone().into()),
            ])
        });
        return run.out.json(&object([
            ("is_intact", found.is_intact().into()),
            ("files", number(*files as u64)),
            ("lines", number(head.lines())),
            ("head", head.to_string().into()),
            ("torn_bytes", number(*torn_bytes)),
            ("damage", damage.unwrap_or(Value::Null)),
        ]));
    }
    if let Some(damage) = damage {
        let damage = run.out.paint(Role::Bad, &damage.to_string()).into_owned();
        run.out.raw_line(&damage)?;
        run.out.line(format_args!("all is well up to line #{}", head.lines()))?;
    } else {
        run.out.line(format_args!("{} lines in {files} files, all as they were written", head.lines()))?;
        if *torn_bytes > 0 {
            run.out.line(format_args!("{torn_bytes} bytes of a line that has no end come after them"))?;
        }
    }
    run.out.line(format_args!("head {head}"))
}

fn at(run: &mut Run, args: &AuditAtArgs) -> Result<Code> {
    let time = args.context.at.unwrap_or(run.moment.now);
    let then = History::of(&args.file).state_at(&args.name, time).map_err(|error| match error.flag() {
        Some(_) => Failure::Flags(error),
        None => of_log(&args.file, &error),
    })?;
    let context = pairs::context(&args.context.context);
    let explanation = then.explain(&context.as_context(), args.context.semantics.into());
    let code = if then.flag.is_some() { Code::Done } else { Code::NotFound };
    let moment = run.moment.at(time);
    if run.out.is_json() {
        let or = then.or.as_ref().map(|flag| object([("flag", optional(flag.as_ref(), &moment))]));
        run.out.json(&plain(object([
            ("flag", optional(then.flag.as_ref(), &moment)),
            ("line", number(then.line)),
            ("since", then.since.as_secs().into()),
            ("explanation", explanation.as_ref().map_or(Value::Null, explain::json)),
            ("or", or.unwrap_or(Value::Null)),
        ])))?;
        return Ok(code);
    }
    run.out.line(since(&then, time, &args.name, &run.moment))?;
    match (&explanation, &then.flag) {
        (Some(explanation), Some(flag)) => {
            for line in explain::lines(explanation, &run.moment.exact(time)) {
                run.out.line(line)?;
            }
            run.out.line(format_args!("  the flag was {}", state(flag, &moment)))?;
        }
        _ => run.out.line("there was no such flag")?,
    }
    match &then.or {
        None => {}
        Some(None) => run.out.line("or there was none: nobody could tell whether it had been deleted")?,
        Some(Some(flag)) => run.out.line(format_args!(
            "or it was {}: nobody could tell whether a change had happened",
            state(flag, &moment)
        ))?,
    }
    Ok(code)
}

fn since(then: &StateAt, time: Timestamp, name: &str, moment: &Moment) -> String {
    let (line, since) = (then.line, moment.exact(then.since));
    if then.since > time {
        format!("{name:?}, as it was before line #{line} of {since}, the first that tells of it")
    } else {
        format!("{name:?}, as it was since line #{line} of {since}")
    }
}

fn number(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}
