//! Reads a log.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flipper_core::events::Outcome;
use flipper_core::{Error, ErrorKind, Result, Timestamp};

use super::audit_log::unavailable;
use super::files::{Files, Part};
use super::line::LineKind;
use super::members::Members;
use super::scan::LONGEST;
use crate::record::{Record, Source};

/// One line of a log.
#[derive(Clone, Debug)]
pub struct Entry {
    text: String,
    seq: u64,
    time: Timestamp,
    kind: LineKind,
    record: Option<Record>,
    resolves: Option<u64>,
    flag: Option<String>,
}

impl Entry {
    fn read(text: String) -> Result<Self> {
        let members = Members::read(&text)?;
        let missing =
            |what: &str| Error::new(ErrorKind::Corrupt, format!("a line of the audit log has no {what}"));
        let kind = members
            .text("kind")
            .and_then(|word| LineKind::from_word(&word))
            .ok_or_else(|| missing("kind"))?;
        let time =
            members.text("time").and_then(|time| crate::time::read(&time)).ok_or_else(|| missing("time"))?;
        let seq = members.number("seq").ok_or_else(|| missing("number"))?;
        let record = match kind {
            LineKind::Change | LineKind::Intent | LineKind::Found => {
                Some(record(&members, kind, time).ok_or_else(|| missing("complete record of a change"))?)
            }
            _ => None,
        };
        let (resolves, flag) = (members.number("of"), members.text("flag"));
        Ok(Self { text, seq, time, kind, record, resolves, flag })
    }

    /// Returns its number in the log, from 1 on.
    pub fn number(&self) -> u64 {
        self.seq
    }

    /// Returns when it happened.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Returns what it is about.
    pub fn kind(&self) -> LineKind {
        self.kind
    }

    /// Returns the change, of lines that are about a flag.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// Returns the number of the line that has said that nobody can tell whether a change has happened, if this one says that it has.
    pub fn resolves(&self) -> Option<u64> {
        self.resolves
    }

    /// The flag that the line is about.
    pub(super) fn flag(&self) -> Option<&str> {
        self.flag.as_deref()
    }

    /// Returns the line as it is written, without its line break.
    pub fn as_json(&self) -> &str {
        &self.text
    }
}

fn record(members: &Members<'_>, kind: LineKind, time: Timestamp) -> Option<Record> {
    let is_found = kind == LineKind::Found;
    let word = |name, default: &str| members.text(name).or_else(|| is_found.then(|| default.to_owned()));
    let outcomes = [Outcome::Done, Outcome::NotReplicated, Outcome::Unknown, Outcome::NotDone];
    let outcome = word("outcome", "done")?;
    let events = members.raw("events").map_or_else(
        || is_found.then(|| vec!["found".to_owned()]),
        |events| serde_json::from_str(events).ok(),
    );
    Some(
        Record {
            time,
            flag: members.text("flag")?,
            events: events?,
            actor: members.text("actor"),
            source: Source::from_word(&word("source", "watch")?)?,
            attempt: members.number("attempt").and_then(|attempt| attempt.try_into().ok()).unwrap_or(1),
            outcome: outcomes.into_iter().find(|known| known.as_str() == outcome)?,
            before: members.embedded("before"),
            was_unreadable: members.raw("was_unreadable") == Some("true"),
            after: members.embedded("after"),
            difference: Vec::new(),
        }
        .with_difference(),
    )
}

/// Reads a log, or what it says of one flag or of a time.
///
/// It can be read while it is written. Nothing is checked: for that there is [`Verifier`](crate::Verifier).
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("audit.jsonl");
/// # drop(flipper_audit::AuditLog::open(&path)?);
/// use flipper_audit::History;
///
/// for entry in History::of(&path).entries()? {
///     println!("{}", entry?.as_json());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct History {
    path: PathBuf,
    pub(super) flag: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl History {
    /// Starts with the path of a log: that of the file that is written to.
    pub fn of(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), flag: None, since: None, until: None }
    }

    /// Chooses the lines that are about one flag.
    pub fn flag(self, name: impl Into<String>) -> Self {
        Self { flag: Some(name.into()), ..self }
    }

    /// Chooses the lines from a time on.
    pub fn since(self, time: Timestamp) -> Self {
        Self { since: Some(time), ..self }
    }

    /// Chooses the lines up to a time.
    pub fn until(self, time: Timestamp) -> Self {
        Self { until: Some(time), ..self }
    }

    /// Walks the lines in their order. A line that has no end yet is not among them.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no log, [`Unavailable`](ErrorKind::Unavailable) if a file cannot be read. In place of an entry also
    /// [`Corrupt`](ErrorKind::Corrupt), if a line is none; the next ones come all the same.
    pub fn entries(&self) -> Result<Entries> {
        self.entries_within(LONGEST)
    }

    fn entries_within(&self, longest: u64) -> Result<Entries> {
        let of_io = |error: io::Error| unavailable("read", &error);
        let files = Files::new(&self.path).and_then(|files| files.all()).map_err(of_io)?;
        let needle = self.flag.as_ref().map(|flag| {
            let mut needle = String::from("\"flag\":");
            crate::json::text(&mut needle, flag);
            needle
        });
        Ok(Entries { files: files.into(), now: None, needle, longest, line: 0, chosen: self.clone() })
    }
}

/// The lines of a [`History`], one by one.
#[derive(Debug)]
pub struct Entries {
    /// Those whose turn has not come.
    files: VecDeque<Part>,
    now: Option<(PathBuf, BufReader<File>)>,
    /// What a line about the flag has in it, so that the others need not be read.
    needle: Option<String>,
    /// No line has more bytes.
    longest: u64,
    line: u64,
    chosen: History,
}

impl Entries {
    fn next_line(&mut self) -> io::Result<Option<(PathBuf, Vec<u8>)>> {
        loop {
            let Some((path, file)) = &mut self.now else {
                let Some(next) = self.files.pop_front() else { return Ok(None) };
                self.now = Some(next.open().map(|(path, file)| (path, BufReader::new(file)))?);
                self.line = 0;
                continue;
            };
            let mut line = Vec::new();
            let read = file.take(self.longest).read_until(b'\n', &mut line)? as u64;
            if line.pop_if(|last| *last == b'\n').is_some() {
                self.line += 1;
                return Ok(Some((path.clone(), line)));
            }
            let path = path.clone();
            self.now = None;
            if read == self.longest {
                let message = format!(
                    "{}, line {}: it is longer than any line of an audit log, and what comes after it in the file is not read",
                    path.display(),
                    self.line + 1
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
    }

    fn is_chosen(&self, entry: &Entry) -> bool {
        let is_of_flag = match (&self.chosen.flag, entry.record()) {
            (Some(flag), Some(record)) => *flag == record.flag,
            // The line was chosen by its text.
            (Some(_), None) => entry.kind == LineKind::Resolved,
            (None, _) => true,
        };
        is_of_flag
            && self.chosen.since.is_none_or(|since| entry.time >= since)
            && self.chosen.until.is_none_or(|until| entry.time <= until)
    }
}

impl Iterator for Entries {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        loop {
            let (path, line) = match self.next_line() {
                Ok(line) => line?,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    let corrupt = Error::new(ErrorKind::Corrupt, error.to_string());
                    return Some(Err(corrupt.with_store("audit log").with_operation("read")));
                }
                Err(error) => {
                    (self.now, self.files) = (None, VecDeque::new());
                    return Some(Err(unavailable("read", &error)));
                }
            };
            let corrupt = |message: &str| {
                let message = format!("{}, line {}: {message}", path.display(), self.line);
                Err(Error::new(ErrorKind::Corrupt, message).with_store("audit log").with_operation("read"))
            };
            let Ok(text) = String::from_utf8(line) else {
                return Some(corrupt("this is no line of an audit log"));
            };
            if self.needle.as_ref().is_some_and(|needle| !text.contains(needle.as_str())) {
                continue;
            }
            match Entry::read(text) {
                Ok(entry) if self.is_chosen(&entry) => return Some(Ok(entry)),
                Ok(_) => {}
                Err(error) => return Some(corrupt(error.message())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_a_line_that_is_too_long_is_told_to_be_missing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        std::fs::write(
            directory.path().join("audit.jsonl.000001"),
            format!("{{}}\n{}\n{{}}\n", "x".repeat(100)),
        )
        .unwrap();
        std::fs::write(&path, "{}\n").unwrap();
        let told: Vec<_> = History::of(&path)
            .entries_within(50)
            .unwrap()
            .map(|entry| entry.unwrap_err().to_string())
            .collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(
            told[1].contains("000001, line 2: it is longer") && told[2].contains("audit.jsonl, line 1"),
            "{told:?}"
        );
    }
}
