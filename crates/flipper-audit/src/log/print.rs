//! What a command line prints.

use std::io::{self, Write};

use flipper_core::{Context, Result, Semantics, Timestamp};

use super::history::{Entry, History};
use super::line::LineKind;
use super::verify::{Verification, Verifier};
use crate::record::Record;

/// Prints the lines of a log for people: when, what, who, and what differs.
///
/// # Errors
///
/// Those of [`History::entries`], and those of the output, as [`Unavailable`](flipper_core::ErrorKind::Unavailable). What was printed before stays.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("audit.jsonl");
/// # drop(flipper_audit::AuditLog::open(&path)?);
/// use flipper_audit::{History, print};
///
/// print::show(&History::of(&path), &mut std::io::stdout())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn show(history: &History, out: &mut dyn Write) -> Result<()> {
    for entry in history.entries()? {
        show_entry(&entry?, out).map_err(|error| of_output(&error))?;
    }
    Ok(())
}

/// Prints the lines of a log as they are written.
///
/// # Errors
///
/// As [`show`].
pub fn show_json(history: &History, out: &mut dyn Write) -> Result<()> {
    for entry in history.entries()? {
        writeln!(out, "{}", entry?.as_json()).map_err(|error| of_output(&error))?;
    }
    Ok(())
}

/// Verifies a log, prints what was found, and returns it: whether it [is intact](Verification::is_intact) is the status of the process.
///
/// # Errors
///
/// Those of [`Verifier::run`], and those of the output.
pub fn verify(verifier: &Verifier, out: &mut dyn Write) -> Result<Verification> {
    let found = verifier.run()?;
    print_verification(&found, out).map_err(|error| of_output(&error))?;
    Ok(found)
}

/// Prints what a flag was at a time, and what it said to a context.
///
/// # Errors
///
/// Those of [`History::state_at`], and those of the output.
pub fn at(
    history: &History,
    flag: &str,
    time: Timestamp,
    context: &Context<'_>,
    semantics: Semantics,
    out: &mut dyn Write,
) -> Result<()> {
    let state = history.state_at(flag, time)?;
    let mut print = || {
        let since = crate::time::write(state.since);
        if state.since > time {
            writeln!(
                out,
                "{flag:?}, as it was before line {} of {since}, where the log begins to tell of it",
                state.line
            )?;
        } else {
            writeln!(out, "{flag:?}, as it was since line {} of {since}", state.line)?;
        }
        match state.explain(context, semantics) {
            Some(explanation) => writeln!(out, "{explanation}")?,
            None => writeln!(out, "there was no such flag")?,
        }
        match &state.or {
            None => Ok(()),
            Some(Some(flag)) => {
                writeln!(out, "or, as nobody could tell whether a change had happened: {}", flag.as_json())
            }
            Some(None) => {
                writeln!(out, "or there was none, as nobody could tell whether it had been deleted")
            }
        }
    };
    print().map_err(|error| of_output(&error))
}

fn of_output(error: &io::Error) -> flipper_core::Error {
    super::audit_log::unavailable("print", error)
}

fn print_verification(found: &Verification, out: &mut dyn Write) -> io::Result<()> {
    let Verification { files, head, torn_bytes, damage } = found;
    if let Some(damage) = damage {
        writeln!(out, "{damage}")?;
        return writeln!(out, "all is well up to line {} of the log: head {head}", head.lines());
    }
    writeln!(out, "{} lines in {files} files, all as they were written", head.lines())?;
    if *torn_bytes > 0 {
        writeln!(out, "{torn_bytes} bytes of a line that has no end come after them")?;
    }
    writeln!(out, "head {head}")
}

fn show_entry(entry: &Entry, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{}  #{}  ", crate::time::write(entry.time()), entry.number())?;
    match (entry.kind(), entry.record()) {
        (LineKind::Found, Some(record)) => writeln!(out, "{:?} was there", record.flag),
        (kind, Some(record)) => show_record(kind, record, out),
        (LineKind::Begin, None) => writeln!(out, "a file begins"),
        (LineKind::Lost, None) => {
            writeln!(out, "lines are missing here, which could not be written: {}", entry.as_json())
        }
        (LineKind::Recovered, None) => writeln!(out, "the line before was cut off, as it was half written"),
        (_, None) => match entry.resolves() {
            Some(line) => writeln!(out, "the change of line {line} had happened"),
            None => writeln!(out, "{}", entry.as_json()),
        },
    }
}

fn show_record(kind: LineKind, record: &Record, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{:?}  {}", record.flag, record.events.join(", "))?;
    match &record.actor {
        Some(actor) => write!(out, " by {actor:?}")?,
        None if record.source != crate::record::Source::Client => write!(out, " by somebody else")?,
        None => {}
    }
    if kind == LineKind::Intent {
        return writeln!(out, ", announced");
    }
    if !record.is_done() || record.outcome != flipper_core::events::Outcome::Done {
        write!(out, ": {}", record.outcome.as_str().replace('_', " "))?;
    }
    writeln!(out)?;
    for difference in &record.difference {
        let show = |value: &Option<flipper_core::json::Value>| {
            value.as_ref().map_or_else(|| "nothing".to_owned(), flipper_core::json::Value::to_json)
        };
        let path = difference.path.escape_debug();
        writeln!(out, "    {path}: {} -> {}", show(&difference.from), show(&difference.to))?;
    }
    Ok(())
}
