//! Whether a log is as it was written.

use std::io;
use std::path::{Path, PathBuf};

use flipper_core::Result;

use super::audit_log::unavailable;
use super::chain::{Chain, Head};
use super::files::Files;
use super::line::envelope;
use super::members::Header;
use super::scan::{Damage, DamageKind, Scan, lines};
use super::writer::NotOpened;

/// What [`Verifier::run`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// How many files were read.
    pub files: usize,
    /// The head after the last line that is right.
    pub head: Head,
    /// How many bytes of a line that has no end come after the last one: a write that is under way, or that a crash has cut short. When the log is
    /// opened again, they are cut off, and that is recorded.
    pub torn_bytes: u64,
    /// The first thing that is wrong, if anything is.
    pub damage: Option<Damage>,
}

impl Verification {
    /// Returns whether nothing is wrong.
    pub fn is_intact(&self) -> bool {
        self.damage.is_none()
    }
}

/// Finds the first line of a log that was altered, removed, inserted or cut off: over all of its files, in little memory.
///
/// What can be found out depends on what is known:
///
/// * *Without a key and a head*, what somebody has changed who did not compute the hashes anew. A log that is cut off after a whole line, or
///   written anew as a whole, looks like any other.
/// * *With a [head](Self::head)* that was kept elsewhere, also that: up to the line that the head names.
/// * *With a [key](Self::key)*, also what somebody has changed who can compute hashes and has not the key. To cut off the end takes no key: for that
///   there is the head.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("audit.jsonl");
/// use flipper_audit::{AuditLog, Verifier};
///
/// let log = AuditLog::open(&path)?;
/// let head = log.head();
/// drop(log);
/// assert!(Verifier::new(&path).head(head).run()?.is_intact());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    path: PathBuf,
    chain: Chain,
    head: Option<Head>,
    start: Option<Head>,
}

impl Verifier {
    /// Starts with the path of a log: that of the file that is written to, which need not be there if there are full ones.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), chain: Chain::Plain, head: None, start: None }
    }

    /// States the key with which the log was made. A log that was made without one is [not accepted](DamageKind::WrongChain) then.
    pub fn key(self, key: impl Into<Vec<u8>>) -> Self {
        Self { chain: Chain::Keyed(key.into().into()), ..self }
    }

    /// States a head that the log is known to have had. It may have grown since.
    pub fn head(self, head: Head) -> Self {
        Self { head: Some(head), ..self }
    }

    /// States the head before the first line that is still there, if the oldest files were removed on purpose.
    pub fn start(self, head: Head) -> Self {
        Self { start: Some(head), ..self }
    }

    /// Reads the log.
    ///
    /// # Errors
    ///
    /// [`NotFound`](flipper_core::ErrorKind::NotFound) if there is no log, [`Unavailable`](flipper_core::ErrorKind::Unavailable) if a file cannot be read,
    /// [`InvalidInput`](flipper_core::ErrorKind::InvalidInput) if the head is of a line before the [start](Self::start).
    /// That something is wrong with the log is no error, but what was found.
    pub fn run(&self) -> Result<Verification> {
        self.read().map_err(|error| unavailable("verify", &error))
    }

    fn read(&self) -> io::Result<Verification> {
        let files = Files::new(&self.path)?;
        let all = files.all()?;
        let (count, mut last_path) = (all.len(), PathBuf::new());
        let mut known = Known { head: self.head, log: None, before: None };
        let mut scan = Scan { chain: &self.chain, head: self.start.unwrap_or(Head::START) };
        // No line would be compared with it, and the log be said to be right all the same.
        if self.head.is_some_and(|head| head.lines <= scan.head.lines && head != scan.head) {
            let message = "the head is of a line before those that are verified, so that nothing can be compared with it: state one that is known from later";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut found = Verification { files: 0, head: scan.head, torn_bytes: 0, damage: None };
        let mut last = 0;
        for (at, source) in all.into_iter().enumerate() {
            let is_last = at + 1 == count;
            let (path, file) = source.open()?;
            let end = lines(file, |at, line| {
                if at == 1 {
                    known.begin(&files, &path, line, &self.chain, self.start.is_some())?;
                }
                scan.next(&path, at, line)?;
                known.is_met_by(scan.head, &path, at)
            })?;
            found.files += 1;
            found.head = scan.head;
            match end {
                Ok(end) if end.torn.is_empty() => last = end.lines,
                Ok(end) if is_last => {
                    (last, found.torn_bytes) = (end.lines, end.torn.len() as u64);
                }
                Ok(end) => {
                    let message = "the file ends in the middle of this line".to_owned();
                    found.damage =
                        Some(Damage { file: path, line: end.lines + 1, kind: DamageKind::Torn, message });
                    return Ok(found);
                }
                Err(damage) => {
                    found.damage = Some(damage);
                    return Ok(found);
                }
            }
            last_path = path;
        }
        if let Some(head) = self.head.filter(|head| head.lines > scan.head.lines) {
            let message = format!(
                "the log ends with the line of number {}, and is known to have had {}: {} are cut off",
                scan.head.lines,
                head.lines,
                head.lines - scan.head.lines
            );
            found.damage =
                Some(Damage { file: last_path, line: last + 1, kind: DamageKind::CutOff, message });
        }
        Ok(found)
    }
}

/// What is known of the log, from elsewhere and from the files before.
struct Known {
    head: Option<Head>,
    log: Option<String>,
    before: Option<(u64, PathBuf)>,
}

impl Known {
    /// Looks at the first line of a file.
    fn begin(
        &mut self,
        files: &Files,
        path: &Path,
        line: &[u8],
        chain: &Chain,
        may_start_later: bool,
    ) -> Result<(), Damage> {
        let damage = |kind, message: String| Damage { file: path.to_owned(), line: 1, kind, message };
        let header = match first_line(path, line, chain) {
            Ok((header, _)) => header,
            Err(NotOpened::Damaged(damage)) => return Err(damage),
            Err(NotOpened::WrongKey(message)) => return Err(damage(DamageKind::WrongChain, message)),
            // It is not asked for anything else.
            Err(_) => {
                return Err(damage(DamageKind::NotALine, "this is no first line of an audit log".to_owned()));
            }
        };
        let wrong = |message: String| Err(damage(DamageKind::WrongFile, message));
        if *path != files.active && *path != files.numbered(header.file) {
            return wrong(format!("the file was written as number {}, and has another name", header.file));
        }
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        match &self.before {
            Some((number, before)) if header.file != number + 1 || header.after != name(before) => {
                return wrong(format!(
                    "the file was begun after {}, and comes after {}",
                    header.after.as_deref().unwrap_or("none"),
                    before.display()
                ));
            }
            None if header.file != 1 && !may_start_later => {
                return wrong(format!(
                    "the file was begun after {}, which is missing",
                    header.after.as_deref().unwrap_or("others")
                ));
            }
            _ => {}
        }
        if self.log.as_ref().is_some_and(|log| *log != header.log) {
            return wrong("the file is of another log".to_owned());
        }
        (self.log, self.before) = (Some(header.log), Some((header.file, path.to_owned())));
        Ok(())
    }

    /// Looks whether the line that is known is the one that is there.
    fn is_met_by(&self, head: Head, file: &Path, line: u64) -> Result<(), Damage> {
        match self.head {
            Some(known) if known.lines == head.lines && known.hash != head.hash => Err(Damage {
                file: file.to_owned(),
                line,
                kind: DamageKind::NotTheHead,
                message:
                    "it is not the line that was known to be here: it, or a line before, was written anew"
                        .to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// Reads the first line of a file, and begins to go through it from there.
pub(super) fn first_line<'c>(
    path: &Path,
    line: &[u8],
    chain: &'c Chain,
) -> Result<(Header, Scan<'c>), NotOpened> {
    let (Some(header), Some(envelope)) = (Header::read(line), envelope(line)) else {
        return Err(NotOpened::Damaged(Damage {
            file: path.to_owned(),
            line: 1,
            kind: DamageKind::NotALine,
            message: "this is no first line of an audit log of this version".to_owned(),
        }));
    };
    if header.chain != chain.name() {
        return Err(NotOpened::WrongKey(match chain {
            Chain::Plain => "the log was made with a key: it takes that key to read it on".to_owned(),
            Chain::Keyed(_) => "the log was made without a key, and a key was given".to_owned(),
        }));
    }
    let head = Head { lines: envelope.seq.saturating_sub(1), hash: envelope.previous };
    Ok((header, Scan { chain, head }))
}

#[cfg(test)]
mod tests {
    use flipper_core::ErrorKind;

    use super::*;
    use crate::AuditLog;

    #[test]
    fn a_head_with_which_no_line_can_be_compared_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let log = AuditLog::open(&path).unwrap();
        let head = log.head();
        drop(log);
        let other = Head { lines: head.lines, hash: Chain::Plain.hash(b"another line") };
        let refused = |verifier: Verifier| verifier.run().unwrap_err().kind();
        assert_eq!(refused(Verifier::new(&path).head(Head { lines: 0, ..other })), ErrorKind::InvalidInput);
        // The oldest files were removed, and with them the line of the head.
        std::fs::write(&path, "").unwrap();
        assert!(Verifier::new(&path).start(head).head(head).run().unwrap().is_intact());
        assert_eq!(refused(Verifier::new(&path).start(head).head(other)), ErrorKind::InvalidInput);
        assert_eq!(refused(Verifier::new(&path).start(head).head(Head::START)), ErrorKind::InvalidInput);
    }
}
