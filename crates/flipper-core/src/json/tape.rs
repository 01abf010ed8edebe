//! A text as a flat list of nodes, which everything that reads records walks.
//!
//! What is ready to evaluate, what is to be edited and what only a few members are wanted of are all read from these
//! nodes, so that there is one parser.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::parse::{hex4, parse, parse_many, syntax_error};
use super::text::{push_code_point, wtf8_lossy};
use super::{MAX_BYTES, Ordered};
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    True,
    False,
    Int,
    /// A number with a fraction or an exponent, or one of `NaN`, `Infinity`, `-Infinity`.
    Float,
    /// A string without escapes: its bytes are its text.
    Plain,
    /// A string with escapes.
    Escaped,
    Array,
    Object,
}

/// One value, or one key of an object.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// The span in the text; of a string, what is between the quotes.
    pub(super) start: u32,
    pub(super) end: u32,
    /// The entry after this one and all that it contains.
    pub(super) next: u32,
}

/// A text and its nodes.
pub(crate) struct Document<'t> {
    text: &'t str,
    entries: Vec<Entry>,
}

/// One value in a [`Document`].
#[derive(Clone, Copy)]
pub(crate) struct Node<'d> {
    document: &'d Document<'d>,
    at: u32,
}

impl<'t> Document<'t> {
    /// Reads a text of at most [`MAX_BYTES`] bytes.
    pub(crate) fn parse(text: &'t str) -> Result<Self> {
        if text.len() > MAX_BYTES {
            return Err(Error::corrupt(format!(
                "the text has {} bytes, more than the {MAX_BYTES} that a record may have",
                text.len()
            )));
        }
        parse(text).map(|entries| Self { text, entries })
    }

    /// Reads a text of many records, as long as places in it can be told.
    pub(super) fn parse_long(text: &'t str) -> Result<Self> {
        match u32::try_from(text.len()) {
            Ok(_) => parse_many(text).map(|entries| Self { text, entries }),
            Err(_) => Err(Error::corrupt(format!("the text has {} bytes, more than 4 GiB", text.len()))),
        }
    }

    /// Reads bytes, which must be UTF-8.
    pub(crate) fn parse_bytes(bytes: &'t [u8]) -> Result<Self> {
        match str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(error) => {
                let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                Err(syntax_error(&valid, error.valid_up_to(), "bytes that are not UTF-8").with_source(error))
            }
        }
    }

    pub(crate) fn root(&self) -> Node<'_> {
        Node { document: self, at: 0 }
    }

    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    pub(crate) fn has_int_longer_than(&self, digits: usize) -> bool {
        let is_longer = |entry: &Entry| {
            let sign = usize::from(self.text.as_bytes()[entry.start as usize] == b'-');
            (entry.end - entry.start) as usize - sign > digits
        };
        self.entries.iter().any(|entry| entry.kind == Kind::Int && is_longer(entry))
    }
}

impl<'d> Node<'d> {
    fn entry(self) -> Entry {
        self.document.entries[self.at as usize]
    }

    pub(crate) fn kind(self) -> Kind {
        self.entry().kind
    }

    /// Where the value stands in the text, quotes included.
    pub(crate) fn span(self) -> Range<usize> {
        let content = self.content();
        let quote = usize::from(self.is_string());
        content.start - quote..content.end + quote
    }

    /// The same without the quotes of a string.
    pub(crate) fn content(self) -> Range<usize> {
        let entry = self.entry();
        entry.start as usize..entry.end as usize
    }

    /// The value as it is written in the text.
    pub(crate) fn raw(self) -> &'d str {
        &self.document.text[self.span()]
    }

    /// The beginning of the value as it is written, for messages.
    pub(crate) fn raw_start(self) -> Cow<'d, str> {
        shortened(self.raw())
    }

    pub(crate) fn is_string(self) -> bool {
        matches!(self.kind(), Kind::Plain | Kind::Escaped)
    }

    /// The content of a string as WTF-8; of anything else, its text.
    pub(crate) fn string(self) -> Cow<'d, [u8]> {
        let entry = self.entry();
        let inner = &self.document.text.as_bytes()[entry.start as usize..entry.end as usize];
        if entry.kind == Kind::Escaped { Cow::Owned(unescape(inner)) } else { Cow::Borrowed(inner) }
    }

    /// The elements of an array; nothing for anything else.
    pub(crate) fn elements(self) -> impl Iterator<Item = Node<'d>> {
        let (mut at, end) = self.children(Kind::Array);
        std::iter::from_fn(move || {
            let node = (at < end).then_some(Node { document: self.document, at })?;
            at = node.entry().next;
            Some(node)
        })
    }

    /// The members of an object as they are written, keys that come twice twice; nothing for anything else.
    pub(crate) fn members(self) -> impl Iterator<Item = (Node<'d>, Node<'d>)> {
        let (mut at, end) = self.children(Kind::Object);
        std::iter::from_fn(move || {
            let key = (at < end).then_some(Node { document: self.document, at })?;
            let value = Node { document: self.document, at: at + 1 };
            at = value.entry().next;
            Some((key, value))
        })
    }

    /// The members of an object as Python sees them: of a key that comes twice the last value, at the first place.
    pub(crate) fn dict(self) -> Vec<(Cow<'d, [u8]>, Node<'d>)> {
        let mut dict = Ordered::with_capacity(4);
        for (key, value) in self.members() {
            dict.insert(key.string(), value);
        }
        dict.into_entries()
    }

    /// The value of a key of an object, the last one if it comes twice.
    pub(crate) fn get(self, key: &str) -> Option<Node<'d>> {
        self.members().filter(|(name, _)| *name.string() == *key.as_bytes()).last().map(|(_, value)| value)
    }

    fn children(self, kind: Kind) -> (u32, u32) {
        let entry = self.entry();
        if entry.kind == kind { (self.at + 1, entry.next) } else { (0, 0) }
    }

    /// Names the type for an error message.
    pub(crate) fn type_name(self) -> &'static str {
        match self.kind() {
            Kind::Null => "null",
            Kind::True | Kind::False => "a boolean",
            Kind::Int | Kind::Float => "a number",
            Kind::Plain | Kind::Escaped => "a string",
            Kind::Array => "an array",
            Kind::Object => "an object",
        }
    }

    /// Whether Python's `bool()` of it is false: null, false, zero, and everything empty.
    pub(crate) fn is_falsy(self) -> bool {
        match self.kind() {
            Kind::Null | Kind::False => true,
            Kind::True => false,
            Kind::Int | Kind::Float => self.raw().parse::<f64>().is_ok_and(|number| number == 0.0),
            Kind::Plain | Kind::Escaped => self.span().len() == 2,
            Kind::Array | Kind::Object => self.entry().next == self.at + 1,
        }
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.raw())
    }
}

/// Resolves the escapes of a string whose grammar has been checked.
fn unescape(inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        let (point, len) = match rest.get(at + 1) {
            Some(b'u') => {
                let high = hex4(rest, at + 2).unwrap_or(0xfffd);
                let low = if rest.get(at + 6..at + 8) == Some(b"\\u") { hex4(rest, at + 8) } else { None };
                match (high, low) {
                    (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) => {
                        (0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00), 12)
                    }
                    _ => (high, 6),
                }
            }
            Some(b'b') => (0x08, 2),
            Some(b'f') => (0x0c, 2),
            Some(b'n') => (0x0a, 2),
            Some(b'r') => (0x0d, 2),
            Some(b't') => (0x09, 2),
            Some(other) => (u32::from(*other), 2),
            None => break,
        };
        push_code_point(&mut out, point);
        rest = &rest[at + len..];
    }
    out.extend_from_slice(rest);
    out
}

/// Shows a name in an error message or a path; of a long one, the beginning.
pub(crate) fn show(bytes: &[u8]) -> String {
    format!("{:?}", shortened(&wtf8_lossy(bytes)))
}

/// The first 200 characters of a text, and a sign that there are more.
pub(crate) fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(200) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}
