//! The writer: what Python's `json.dumps` prints, into a buffer or straight into a hash.

use std::fmt::{self, Write as _};

use super::scan::first_special;
use super::text::CodePoints;
use super::{MAX_DEPTH, Value, python_float};

/// Takes the bytes of a text as they are made.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    #[inline]
    fn put_int(&mut self, int: i64) {
        self.put(itoa::Buffer::new().format(int).as_bytes());
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// What has been written is ASCII.
pub(crate) fn into_string(written: Vec<u8>) -> String {
    String::from_utf8(written).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Writes a value. What an application has nested deeper than a record may be is written as `null`, and said.
pub(crate) fn write_value(value: &Value, out: &mut impl Sink) -> Result<(), TooDeep> {
    write_value_at(value, 0, out)
}

fn write_value_at(value: &Value, depth: usize, out: &mut impl Sink) -> Result<(), TooDeep> {
    let mut outcome = Ok(());
    match value {
        Value::Array(_) | Value::Object(_) if depth >= MAX_DEPTH => {
            out.put(b"null");
            outcome = Err(TooDeep);
        }
        Value::Null => out.put(b"null"),
        Value::Bool(bool) => write_bool(*bool, out),
        Value::Int(int) => write_int(*int, out),
        Value::BigInt(big) => out.put(big.as_str().as_bytes()),
        Value::Float(float) => write_float(*float, out),
        Value::String(text) => write_text(text.as_wtf8(), out),
        Value::Array(elements) => {
            out.put(b"[");
            for (at, element) in elements.iter().enumerate() {
                separate(at, out);
                outcome = outcome.and(write_value_at(element, depth + 1, out));
            }
            out.put(b"]");
        }
        Value::Object(object) => {
            out.put(b"{");
            for (at, (key, value)) in object.iter().enumerate() {
                separate(at, out);
                write_text(key.as_wtf8(), out);
                out.put(b": ");
                outcome = outcome.and(write_value_at(value, depth + 1, out));
            }
            out.put(b"}");
        }
    }
    outcome
}

/// Takes what is formatted.
struct Formatted<'s, S>(&'s mut S);

impl<S: Sink> fmt::Write for Formatted<'_, S> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.put(text.as_bytes());
        Ok(())
    }
}

/// Says that a value is nested too deep to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooDeep;

/// Writes a value that an application gave, whose depth nothing has limited yet.
pub(crate) fn write_serde(value: &serde_json::Value, out: &mut impl Sink) -> Result<(), TooDeep> {
    write_serde_at(value, 0, out)
}

fn write_serde_at(value: &serde_json::Value, depth: usize, out: &mut impl Sink) -> Result<(), TooDeep> {
    use serde_json::Value;
    match value {
        Value::Array(_) | Value::Object(_) if depth >= MAX_DEPTH => return Err(TooDeep),
        Value::Null => out.put(b"null"),
        Value::Bool(bool) => write_bool(*bool, out),
        Value::Number(number) => {
            if let Some(int) = number.as_i64() {
                write_int(int, out);
            } else if let Some(int) = number.as_u64() {
                out.put(itoa::Buffer::new().format(int).as_bytes());
            } else if number.is_f64() {
                write_float(number.as_f64().unwrap_or(f64::NAN), out);
            } else {
                // An integer beyond 64 bits, which there is where the build has `arbitrary_precision`.
                let _ = write!(Formatted(out), "{number}");
            }
        }
        Value::String(text) => write_text(text.as_bytes(), out),
        Value::Array(elements) => {
            out.put(b"[");
            for (at, element) in elements.iter().enumerate() {
                separate(at, out);
                write_serde_at(element, depth + 1, out)?;
            }
            out.put(b"]");
        }
        Value::Object(object) => {
            out.put(b"{");
            for (at, (key, value)) in object.iter().enumerate() {
                separate(at, out);
                write_text(key.as_bytes(), out);
                out.put(b": ");
                write_serde_at(value, depth + 1, out)?;
            }
            out.put(b"}");
        }
    }
    Ok(())
}

#[inline]
pub(crate) fn separate(at: usize, out: &mut impl Sink) {
    if at > 0 {
        out.put(b", ");
    }
}

#[inline]
pub(crate) fn write_bool(bool: bool, out: &mut impl Sink) {
    out.put(if bool { b"true" } else { b"false" });
}

#[inline]
pub(crate) fn write_int(int: i64, out: &mut impl Sink) {
    out.put_int(int);
}

pub(crate) fn write_float(float: f64, out: &mut impl Sink) {
    out.put(python_float(float, &mut [0; 32]).as_bytes());
}

/// Writes WTF-8 as a string: ASCII only, with Python's choice of escapes.
pub(crate) fn write_text(text: &[u8], out: &mut impl Sink) {
    out.put(b"\"");
    let mut rest = text;
    loop {
        let plain = first_special::<true>(rest);
        out.put(&rest[..plain]);
        rest = &rest[plain..];
        let Some(&byte) = rest.first() else { break };
        rest = match byte {
            b'"' => escape(b"\\\"", rest, out),
            b'\\' => escape(b"\\\\", rest, out),
            b'\n' => escape(b"\\n", rest, out),
            b'\r' => escape(b"\\r", rest, out),
            b'\t' => escape(b"\\t", rest, out),
            0x08 => escape(b"\\b", rest, out),
            0x0c => escape(b"\\f", rest, out),
            _ => {
                let mut points = CodePoints(rest);
                match points.next() {
                    Some(point @ 0x1_0000..) => {
                        escape_unit(0xd800 + ((point - 0x1_0000) >> 10), out);
                        escape_unit(0xdc00 + (point & 0x3ff), out);
                    }
                    Some(point) => escape_unit(point, out),
                    None => break,
                }
                points.0
            }
        };
    }
    out.put(b"\"");
}

fn escape<'t>(escape: &[u8], rest: &'t [u8], out: &mut impl Sink) -> &'t [u8] {
    out.put(escape);
    &rest[1..]
}

fn escape_unit(unit: u32, out: &mut impl Sink) {
    let digit = |shift: u32| b"0123456789abcdef"[(unit >> shift & 0xf) as usize];
    out.put(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}
