//! Goes through lines, and finds the first that is not as it was written.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::chain::{Chain, Hash, Head};
use super::line::{Envelope, envelope};

/// A longer line is none of ours: two records of 16 MiB, which may take six times their length as a text, and what differs.
pub(super) const LONGEST: u64 = 512 << 20;

/// Says what is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DamageKind {
    /// It is no line of an audit log.
    NotALine,
    /// Its text is not the one that its hash was made of; or the key is another one.
    Altered,
    /// It does not follow the line before: lines were removed, inserted or put in another order here, or the line before was written anew.
    OutOfOrder,
    /// A file does not follow the file before: one is missing, was put in its place, or has another name.
    WrongFile,
    /// The file ends in the middle of the line, and another file follows.
    Torn,
    /// Lines are missing at the end: the log is shorter than it was known to be.
    CutOff,
    /// The line is not the one that was known to be here: the log was written anew.
    NotTheHead,
    /// The file was not made with a key, or with one that was not given.
    WrongChain,
}

impl DamageKind {
    /// Returns the kind as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotALine => "not_a_line",
            Self::Altered => "altered",
            Self::OutOfOrder => "out_of_order",
            Self::WrongFile => "wrong_file",
            Self::Torn => "torn",
            Self::CutOff => "cut_off",
            Self::NotTheHead => "not_the_head",
            Self::WrongChain => "wrong_chain",
        }
    }
}

/// The first thing that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The line within the file, from 1 on.
    pub line: u64,
    /// What is wrong.
    pub kind: DamageKind,
    /// The same in words.
    pub message: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, line {}: {}", self.file.display(), self.line, self.message)
    }
}

/// A place in a log up to which everything is right.
pub(super) struct Scan<'c> {
    pub(super) chain: &'c Chain,
    pub(super) head: Head,
}

/// How the end of a file is.
pub(super) struct End {
    /// How many lines it has.
    pub(super) lines: u64,
    /// How many bytes are in whole lines.
    pub(super) whole: u64,
    /// What comes after the last whole line.
    pub(super) torn: Vec<u8>,
}

impl Scan<'_> {
    /// Looks whether a line is the next one. `at` is its number within the file.
    pub(super) fn next(&mut self, file: &Path, at: u64, line: &[u8]) -> Result<(), Damage> {
        let damage = |kind, message: String| Damage { file: file.to_owned(), line: at, kind, message };
        let Some(Envelope { seq, previous, hash, hashed }) = envelope(line) else {
            return Err(damage(DamageKind::NotALine, "this is no line of an audit log".to_owned()));
        };
        // Whoever has altered a line without more leaves its hash.
        if self.chain.hash(hashed) != hash {
            let message = match self.chain {
                Chain::Plain => "it was altered: its text is not the one that its hash was made of",
                Chain::Keyed(_) => "it was altered, or the key is another one",
            };
            return Err(damage(DamageKind::Altered, message.to_owned()));
        }
        let expected = self.head.lines + 1;
        if seq != expected {
            let message = if seq > expected {
                format!(
                    "it has the number {seq} where {expected} is due: {} lines before it were removed",
                    seq - expected
                )
            } else {
                format!("it has the number {seq} where {expected} is due: it was inserted or moved")
            };
            return Err(damage(DamageKind::OutOfOrder, message));
        }
        if previous != self.head.hash {
            let message = if self.head.hash == Hash::NONE {
                "it is the first line, and follows another one".to_owned()
            } else {
                "it does not follow the line before, which was altered, removed or inserted".to_owned()
            };
            return Err(damage(DamageKind::OutOfOrder, message));
        }
        self.head = Head { lines: seq, hash };
        Ok(())
    }
}

/// Reads the lines of a file one by one, without their line breaks, until `see` has seen enough.
pub(super) fn lines<E>(
    file: File,
    mut see: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> io::Result<Result<End, E>> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut line, mut end) = (Vec::new(), End { lines: 0, whole: 0, torn: Vec::new() });
    loop {
        line.clear();
        let read = (&mut reader).take(LONGEST).read_until(b'\n', &mut line)? as u64;
        match line.split_last() {
            None => return Ok(Ok(end)),
            Some((b'\n', text)) => {
                if let Err(error) = see(end.lines + 1, text) {
                    return Ok(Err(error));
                }
                end.lines += 1;
                end.whole += read;
            }
            Some(_) if read == LONGEST => {
                // It is no line of ours; whoever sees it says so.
                if let Err(error) = see(end.lines + 1, &line) {
                    return Ok(Err(error));
                }
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
            }
            Some(_) => {
                end.torn = std::mem::take(&mut line);
                return Ok(Ok(end));
            }
        }
    }
}
