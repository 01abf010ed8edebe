//! What lines say, read again.

use std::ops::Range;

use flipper_core::Result;
use flipper_core::json::Text;

use crate::json::embedded;

/// The members of a line.
pub(super) struct Members<'l> {
    text: &'l str,
    members: Vec<(Text, Range<usize>)>,
}

impl<'l> Members<'l> {
    pub(super) fn read(text: &'l str) -> Result<Self> {
        Ok(Self { text, members: flipper_core::json::members(text)? })
    }

    /// The text of a member, as it stands there.
    pub(super) fn raw(&self, name: &str) -> Option<&'l str> {
        let (_, span) = self.members.iter().find(|(member, _)| member.as_str() == Some(name))?;
        self.text.get(span.clone())
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.raw(name)?.parse().ok()
    }

    /// A record, or another value that is embedded.
    pub(super) fn embedded(&self, name: &str) -> Option<String> {
        embedded(self.raw(name)?)
    }
}

/// What the first line of a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Tells this log from all others.
    pub(super) log: String,
    /// The number of the file, from 1 on.
    pub(super) file: u64,
    /// The name of the file before.
    pub(super) after: Option<String>,
    /// How lines are hashed.
    pub(super) chain: String,
}

/// The format that is written, and the only one that is read.
const FORMAT: u64 = 1;

impl Header {
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let members = Members::read(std::str::from_utf8(line).ok()?).ok()?;
        (members.text("kind")? == "begin" && members.number("format")? == FORMAT).then_some(())?;
        Some(Self {
            log: members.text("log")?,
            file: members.number("file")?,
            after: members.text("after"),
            chain: members.text("chain")?,
        })
    }

    pub(super) fn write(&self, out: &mut String) {
        crate::json::member(out, "format", |out| out.push_str(&FORMAT.to_string()));
        crate::json::member(out, "log", |out| crate::json::text(out, &self.log));
        crate::json::member(out, "file", |out| out.push_str(&self.file.to_string()));
        let after = self.after.as_ref();
        crate::json::member(out, "after", |out| {
            crate::json::option(out, after, |out, name| crate::json::text(out, name));
        });
        crate::json::member(out, "chain", |out| crate::json::text(out, &self.chain));
    }
}
