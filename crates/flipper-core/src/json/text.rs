//! Strings as Python holds them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Holds a string as Python does: Unicode code points, among them surrogates that have lost their partner.
///
/// Such lone surrogates cannot be in a Rust `str`, but a stored record may have them (`"\ud800"`), and what
/// others wrote has to survive. Almost every text is a plain `str`; [`as_str`](Self::as_str) gives it.
///
/// Ordering is by code point, as in Python.
///
/// # Examples
///
/// ```
/// use flipper_core::json::{Text, Value};
///
/// assert_eq!(Text::from("näme").as_str(), Some("näme"));
///
/// let Value::String(lone) = Value::parse(r#""\ud800""#)? else { unreachable!() };
/// assert_eq!(lone.as_str(), None);
/// assert_eq!(lone.to_string_lossy(), "\u{fffd}");
/// # Ok::<(), flipper_core::Error>(())
/// ```
// The bytes are WTF-8 (https://simonsapin.github.io/wtf-8/): UTF-8 that also encodes lone surrogates. Its byte
// order is the order of code points.
#[derive(Clone)]
pub struct Text(Repr);

/// Short texts are kept in place: names and operands are short, and a check that has to follow a pointer to each of them
/// waits for memory most of its time.
#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Box<[u8]>),
}

/// As much as fits into the place of three words.
const INLINE: usize = 22;

const _: () = assert!(size_of::<Text>() <= 24);

impl Text {
    pub(crate) fn from_wtf8(text: impl AsRef<[u8]> + Into<Box<[u8]>>) -> Self {
        let short = text.as_ref();
        let mut bytes = [0; INLINE];
        match bytes.get_mut(..short.len()) {
            Some(inline) => {
                inline.copy_from_slice(short);
                Self(Repr::Inline { len: short.len() as u8, bytes })
            }
            None => Self(Repr::Heap(text.into())),
        }
    }

    #[inline]
    pub(crate) fn as_wtf8(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len).min(INLINE)],
            Repr::Heap(bytes) => bytes,
        }
    }

    /// Returns the text, or `None` if it has a lone surrogate.
    pub fn as_str(&self) -> Option<&str> {
        str::from_utf8(self.as_wtf8()).ok()
    }

    /// Returns the text with U+FFFD in place of every lone surrogate.
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        wtf8_lossy(self.as_wtf8())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::from_wtf8(text.as_bytes())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from_wtf8(text.into_bytes())
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::from("")
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_wtf8() == other.as_wtf8()
    }
}

impl Eq for Text {}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_wtf8().cmp(other.as_wtf8())
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_wtf8().hash(state);
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_wtf8() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl fmt::Display for Text {
    /// Prints the text with U+FFFD in place of every lone surrogate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_string_lossy())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string_lossy(), f)
    }
}

/// Replaces lone surrogates by U+FFFD.
pub(crate) fn wtf8_lossy(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let code_points =
        CodePoints(bytes).map(|point| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER));
    Cow::Owned(code_points.collect())
}

/// Walks the code points of WTF-8.
pub(crate) struct CodePoints<'a>(pub(crate) &'a [u8]);

impl Iterator for CodePoints<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (&first, _) = self.0.split_first()?;
        let (len, high) = match first {
            0..0x80 => (1, u32::from(first)),
            0x80..0xe0 => (2, u32::from(first & 0x1f)),
            0xe0..0xf0 => (3, u32::from(first & 0x0f)),
            _ => (4, u32::from(first & 0x07)),
        };
        let (this, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(this[1..].iter().fold(high, |point, byte| point << 6 | u32::from(byte & 0x3f)))
    }
}

/// Appends one code point, which may be a surrogate, as WTF-8.
pub(crate) fn push_code_point(out: &mut Vec<u8>, point: u32) {
    if let Some(char) = char::from_u32(point) {
        out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        out.extend_from_slice(&[
            0xe0 | (point >> 12) as u8,
            0x80 | (point >> 6 & 0x3f) as u8,
            0x80 | (point & 0x3f) as u8,
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_points_round_trip_surrogates_included() {
        let points =
            [0, 0x41, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xd800, 0xdfff, 0xe000, 0xffff, 0x10000, 0x10_ffff];
        let mut bytes = Vec::new();
        for point in points {
            push_code_point(&mut bytes, point);
        }
        assert_eq!(CodePoints(&bytes).collect::<Vec<_>>(), points);
    }

    #[test]
    fn orders_by_code_point_not_by_utf16() {
        let mut lone = Vec::new();
        push_code_point(&mut lone, 0xdfff);
        let ascending = [Text::from_wtf8(lone), "\u{e000}".into(), "\u{ff5e}".into(), "\u{1f600}".into()];
        assert!(ascending.is_sorted());
    }
}
