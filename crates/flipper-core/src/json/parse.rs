//! The reader: one pass over a text that checks the whole grammar and allocates one vector.
//!
//! The grammar is that of Python's `json.loads`: RFC 8259, and the bare constants `NaN`, `Infinity`, `-Infinity`.

use std::borrow::Cow;

use super::MAX_DEPTH;
use super::scan::first_special;
use super::tape::{Entry, Kind, shortened};
use crate::{Error, Result};

/// Reads a text whose length has been checked.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>> {
    let mut parser = Parser::new(text, MAX_DEPTH);
    match parser.document() {
        Ok(()) => Ok(parser.entries),
        Err(what) => Err(syntax_error(text, parser.at, &what)),
    }
}

/// As [`parse`], of an object that holds many records: an error says in which.
pub(super) fn parse_many(text: &str) -> Result<Vec<Entry>> {
    let mut parser = Parser::new(text, MAX_DEPTH + 1);
    match parser.document() {
        Ok(()) => Ok(parser.entries),
        Err(what) => {
            let name = parser.last_name().map(|name| format!("{what} in {}", shortened(name)));
            Err(syntax_error(text, parser.at, &name.unwrap_or_else(|| what.into_owned())))
        }
    }
}

pub(super) fn syntax_error(text: &str, at: usize, what: &str) -> Error {
    Error::corrupt(format!("not JSON: {what} at {} (byte {at})", place(text, at)))
}

/// Tells a place in a text as editors count: `line 2, column 7`. Both count from 1, and columns are characters.
///
/// `at` is in bytes; beyond the text, the place is its end.
///
/// ```
/// assert_eq!(flipper_core::json::place("a\né b", 5), "line 2, column 3");
/// ```
pub fn place(text: &str, at: usize) -> String {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before.split(|byte| *byte == b'\n').count();
    let line_start = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let column = String::from_utf8_lossy(line_start).chars().count() + 1;
    format!("line {line}, column {column}")
}

/// What is wrong at the parser's position.
type Wrong = Cow<'static, str>;

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
    max_depth: usize,
    entries: Vec<Entry>,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, max_depth: usize) -> Self {
        let entries = Vec::with_capacity(text.len() / 8 + 1);
        Self { text: text.as_bytes(), at: 0, max_depth, entries }
    }

    /// The last name of the outermost object, as it is written, quotes included.
    fn last_name(&self) -> Option<&'t str> {
        let (mut name, mut at) = (None, 1);
        while let Some(key) = self.entries.get(at) {
            name = Some(key);
            let Some(value) = self.entries.get(at + 1) else { break };
            let is_open = matches!(value.kind, Kind::Object | Kind::Array) && value.end == value.start;
            if is_open {
                break;
            }
            at = value.next as usize;
        }
        let name = name.filter(|_| self.entries[0].kind == Kind::Object)?;
        str::from_utf8(&self.text[name.start as usize - 1..=name.end as usize]).ok()
    }

    fn document(&mut self) -> Result<(), Wrong> {
        // Containers under way, innermost last. A stack of our own: recursion would let a record choose its depth.
        let mut open = [0_u32; MAX_DEPTH + 1];
        let mut depth = 0;
        self.skip_space();
        'value: loop {
            match self.peek() {
                Some(start @ (b'{' | b'[')) => {
                    if depth == self.max_depth {
                        return Err(format!("more than {MAX_DEPTH} arrays and objects in one another").into());
                    }
                    let kind = if start == b'{' { Kind::Object } else { Kind::Array };
                    open[depth] = self.entries.len() as u32;
                    depth += 1;
                    self.push(kind, self.at, self.at);
                    self.at += 1;
                    self.skip_space();
                    if self.peek() != Some(if start == b'{' { b'}' } else { b']' }) {
                        if start == b'{' {
                            self.key()?;
                        }
                        continue 'value;
                    }
                }
                Some(b'"') => self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal("true", Kind::True)?,
                Some(b'f') => self.literal("false", Kind::False)?,
                Some(b'n') => self.literal("null", Kind::Null)?,
                Some(b'N') => self.literal("NaN", Kind::Float)?,
                Some(b'I') => self.literal("Infinity", Kind::Float)?,
                _ => return Err(self.unexpected("a value")),
            }
            // After a value: more of what surrounds it, or its end.
            loop {
                self.skip_space();
                let Some(container) = depth.checked_sub(1).map(|top| open[top] as usize) else {
                    return if self.at == self.text.len() { Ok(()) } else { Err(self.unexpected("the end")) };
                };
                let is_object = self.entries[container].kind == Kind::Object;
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        self.skip_space();
                        if is_object {
                            self.key()?;
                        }
                        continue 'value;
                    }
                    Some(b'}') if is_object => {}
                    Some(b']') if !is_object => {}
                    _ => return Err(self.unexpected(if is_object { "`,` or `}`" } else { "`,` or `]`" })),
                }
                self.at += 1;
                depth -= 1;
                self.entries[container].end = self.at as u32;
                self.entries[container].next = self.entries.len() as u32;
            }
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        let next = self.entries.len() as u32 + 1;
        self.entries.push(Entry { kind, start: start as u32, end: end as u32, next });
    }

    fn key(&mut self) -> Result<(), Wrong> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in double quotes"));
        }
        self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("`:`"));
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    fn string(&mut self) -> Result<(), Wrong> {
        let start = self.at + 1;
        self.at = start;
        let mut kind = Kind::Plain;
        loop {
            self.at += first_special::<false>(&self.text[self.at..]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    kind = Kind::Escaped;
                    match self.text.get(self.at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
                        Some(b'u') if hex4(self.text, self.at + 2).is_some() => self.at += 6,
                        _ => return Err("an escape that JSON does not have".into()),
                    }
                }
                Some(_) => return Err("a control character in a string".into()),
                None => return Err("a string without its end".into()),
            }
        }
        self.push(kind, start, self.at);
        self.at += 1;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Wrong> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
            if self.peek() == Some(b'I') {
                self.literal("Infinity", Kind::Float)?;
                if let Some(entry) = self.entries.last_mut() {
                    entry.start = start as u32;
                }
                return Ok(());
            }
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.skip_digits(),
            _ => return Err(self.unexpected("a digit")),
        }
        let mut kind = Kind::Int;
        if self.peek() == Some(b'.') && self.text.get(self.at + 1).is_some_and(u8::is_ascii_digit) {
            kind = Kind::Float;
            self.at += 1;
            self.skip_digits();
        }
        if let Some(b'e' | b'E') = self.peek() {
            let sign = usize::from(matches!(self.text.get(self.at + 1), Some(b'+' | b'-')));
            if self.text.get(self.at + 1 + sign).is_some_and(u8::is_ascii_digit) {
                kind = Kind::Float;
                self.at += 1 + sign;
                self.skip_digits();
            }
        }
        self.push(kind, start, self.at);
        Ok(())
    }

    fn skip_digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    fn literal(&mut self, literal: &'static str, kind: Kind) -> Result<(), Wrong> {
        if !self.text[self.at..].starts_with(literal.as_bytes()) {
            return Err(self.unexpected("a value"));
        }
        self.push(kind, self.at, self.at + literal.len());
        self.at += literal.len();
        Ok(())
    }

    #[cold]
    fn unexpected(&self, wanted: &str) -> Wrong {
        let rest = String::from_utf8_lossy(&self.text[self.at..self.text.len().min(self.at + 4)]);
        match rest.chars().next() {
            Some(found) => format!("expected {wanted}, found {found:?}").into(),
            None => format!("expected {wanted}, found the end").into(),
        }
    }
}

pub(super) fn hex4(text: &[u8], at: usize) -> Option<u32> {
    text.get(at..at + 4)?.iter().try_fold(0, |value, byte| Some(value << 4 | char::from(*byte).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use crate::ErrorKind;
    use crate::json::{MAX_BYTES, Value};

    #[test]
    fn accepts_what_python_accepts() {
        for (text, written) in [
            (" \t\r\n[1 ,2]\n", "[1, 2]"),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("1E5", "100000.0"),
            ("1e400", "Infinity"),
            ("[NaN,Infinity,-Infinity]", "[NaN, Infinity, -Infinity]"),
            (r#""\/\u00E9\ud83d\ude00\ud83d""#, r#""/\u00e9\ud83d\ude00\ud83d""#),
            ("\"\u{7f}é\"", r#""\u007f\u00e9""#),
            (r#"{"a": 1, "b": 2, "a": 3}"#, r#"{"a": 3, "b": 2}"#),
        ] {
            assert_eq!(Value::parse(text).unwrap().to_string(), written);
        }
    }

    #[test]
    fn refuses_what_python_refuses_and_says_where() {
        for (text, why) in [
            ("", "expected a value, found the end at line 1, column 1 (byte 0)"),
            ("{\n \"a\": tru}", "expected a value, found 't' at line 2, column 7 (byte 8)"),
            ("[1,]", "expected a value, found ']'"),
            ("{\"a\":1,}", "expected a key in double quotes, found '}'"),
            ("{a:1}", "expected a key in double quotes, found 'a'"),
            ("{\"a\" 1}", "expected `:`, found '1'"),
            ("[1 2]", "expected `,` or `]`, found '2'"),
            ("{\"a\":1]", "expected `,` or `}`, found ']'"),
            ("01", "expected the end, found '1'"),
            ("1.", "expected the end, found '.'"),
            ("1e+", "expected the end, found 'e'"),
            ("-", "expected a digit, found the end"),
            ("-NaN", "expected a digit, found 'N'"),
            ("\u{feff}1", "expected a value, found '\\u{feff}'"),
            ("\"a\nb\"", "a control character in a string"),
            (r#""\x""#, "an escape that JSON does not have"),
            (r#""\u12g4""#, "an escape that JSON does not have"),
            ("\"abc", "a string without its end"),
        ] {
            let error = Value::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.message().contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn depth_and_size_are_errors_not_crashes() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Value::parse(&nested(200)).is_ok());
        for depth in [201, 10_000, 1_000_000] {
            let error = Value::parse(&nested(depth)).unwrap_err();
            assert!(error.message().contains("more than 200 arrays and objects"), "{error}");
        }
        let error = Value::parse(&format!("\"{}\"", "x".repeat(MAX_BYTES))).unwrap_err();
        assert!(error.message().contains("more than the 16777216 that a record may have"), "{error}");
    }
}
