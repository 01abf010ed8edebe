//! What comes from a store, made harmless to a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes what a terminal would obey, or not show: control characters, marks of direction, characters without width. `\u{1b}` is
/// how they come.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    // Most texts: no need to look at their characters.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => escaped.push_str("\\n"),
            '\t' => escaped.push_str("\\t"),
            '\r' => escaped.push_str("\\r"),
            c if is_harmful(c) => {
                // Writing to a `String` does not fail.
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// As [`shown`], of many lines: line breaks stay.
pub(crate) fn shown_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(shown).collect();
    lines.join("\n")
}

/// Cuts a text that is longer than so many characters, and says so by an ellipsis.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
        None => Cow::Borrowed(text),
    }
}

fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        for (text, expected) in [
            ("NEW_SEARCH", "NEW_SEARCH"),
            ("checkout/é 🐎", "checkout/é 🐎"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
            ("\u{9b}2J\u{7f}\0", "\\u{9b}2J\\u{7f}\\u{0}"),
            ("user\u{202e}nimda", "user\\u{202e}nimda"),
            ("a\u{200b}b\u{2066}c", "a\\u{200b}b\\u{2066}c"),
        ] {
            assert_eq!(shown(text), expected);
        }
        assert_eq!(shown_lines("a\u{7}\nb"), "a\\u{7}\nb");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äöü…");
    }
}
