//! What stands at the beginning and at the end of every line.

use flipper_core::Timestamp;

use super::chain::{Chain, Hash, Head};
use crate::json;

/// Says what a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LineKind {
    /// The first line of a file, which names the file before it.
    Begin,
    /// A flag was changed, or may have been.
    Change,
    /// A flag is about to be changed.
    Intent,
    /// A flag was there when somebody looked for the first time.
    Found,
    /// A change of which nobody could tell whether it has happened has happened.
    Resolved,
    /// Records could not be written.
    Lost,
    /// The last line was half written, as after a crash, and was cut off.
    Recovered,
}

impl LineKind {
    const ALL: [Self; 7] =
        [Self::Begin, Self::Change, Self::Intent, Self::Found, Self::Resolved, Self::Lost, Self::Recovered];

    /// Returns the kind as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Change => "change",
            Self::Intent => "intent",
            Self::Found => "found",
            Self::Resolved => "resolved",
            Self::Lost => "lost",
            Self::Recovered => "recovered",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

const BEFORE_PREVIOUS: &str = ",\"prev\":\"";
const BEFORE_HASH: &str = "\",\"hash\":\"";
const END: &str = "\"}";

/// How long the end of a line is, from the hash of the line before on.
const TAIL: usize = BEFORE_PREVIOUS.len() + BEFORE_HASH.len() + END.len() + 2 * Hash::LEN;

/// Makes the line that comes after `head`, with its line break, and tells the head that the log then has.
pub(super) fn line(
    head: Head,
    chain: &Chain,
    kind: LineKind,
    time: Timestamp,
    members: impl FnOnce(&mut String),
) -> (String, Head) {
    let lines = head.lines + 1;
    let mut line = format!("{{\"seq\":{lines}");
    json::member(&mut line, "time", |out| json::text(out, &crate::time::write(time)));
    json::member(&mut line, "kind", |out| json::text(out, kind.as_str()));
    members(&mut line);
    line.push_str(BEFORE_PREVIOUS);
    line.push_str(&head.hash.to_string());
    let hash = chain.hash(line.as_bytes());
    line.push_str(BEFORE_HASH);
    line.push_str(&hash.to_string());
    line.push_str(END);
    line.push('\n');
    (line, Head { lines, hash })
}

/// What every line says, without what it is about.
pub(super) struct Envelope<'l> {
    pub(super) seq: u64,
    pub(super) previous: Hash,
    pub(super) hash: Hash,
    /// What is hashed.
    pub(super) hashed: &'l [u8],
}

/// Reads a line, without its line break; `None` if it is none that was written here.
pub(super) fn envelope(line: &[u8]) -> Option<Envelope<'_>> {
    let rest = line.strip_prefix(b"{\"seq\":")?;
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let seq = std::str::from_utf8(&rest[..digits]).ok()?;
    // A number has one way to be written.
    if seq.starts_with('0') {
        return None;
    }
    let tail_at = line.len().checked_sub(TAIL)?;
    let tail = line[tail_at..].strip_prefix(BEFORE_PREVIOUS.as_bytes())?;
    let (previous, tail) = tail.split_at_checked(Hash::LEN)?;
    let (hash, tail) = tail.strip_prefix(BEFORE_HASH.as_bytes())?.split_at_checked(Hash::LEN)?;
    if tail != END.as_bytes() || !rest[digits..].starts_with(b",\"time\":") {
        return None;
    }
    Some(Envelope {
        seq: seq.parse().ok()?,
        previous: Hash::parse(previous)?,
        hash: Hash::parse(hash)?,
        hashed: &line[..tail_at + BEFORE_PREVIOUS.len() + Hash::LEN],
    })
}
