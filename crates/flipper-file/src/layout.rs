//! How an item stands in the file.
//!
//! An item as flipper-client writes it is laid out over lines, two spaces to a level, so that people can read, compare and
//! merge it; reading joins the lines again, in flipper-client's spacing. Everything else comes back byte for byte as
//! well: an item in somebody else's spacing is kept on its line, and one whose own lines or outer spaces would be lost
//! is a string that holds its bytes.

use std::borrow::Cow;
use std::iter::Peekable;

use flipper_core::Result;
use flipper_core::json::{self, Value};

/// The text of an item in the file, where `level` objects are open.
pub(crate) fn lay_out(item: &str, level: usize) -> String {
    if item.starts_with('"') || item.trim() != item {
        Value::from(item).to_json()
    } else if joined(item) == item {
        // Of many small elements deep inside, the spaces would be most of the file.
        over_lines(item, level, item.len() * 4 + 1024).unwrap_or_else(|| item.to_owned())
    } else if item.contains('\n') {
        Value::from(item).to_json()
    } else {
        item.to_owned()
    }
}

/// The item that a value in the file is.
pub(crate) fn item(value: &str) -> Result<Cow<'_, str>> {
    if value.starts_with('"') {
        let text = Value::parse(value)?;
        // A lone surrogate is no text, and an item with one is no item.
        Ok(Cow::Owned(text.as_str().unwrap_or_default().to_owned()))
    } else if value.contains('\n') {
        Ok(Cow::Owned(joined(value)))
    } else {
        Ok(Cow::Borrowed(value))
    }
}

/// The name of a flag, as a key. Readable, so only what must be is escaped.
pub(crate) fn key(name: &json::Text) -> String {
    match name.as_str().filter(|name| !name.contains(char::is_control)) {
        Some(name) => format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")),
        None => Value::String(name.clone()).to_json(),
    }
}

/// A JSON text in flipper-client's spacing.
fn joined(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for token in tokens(text) {
        joined.push_str(token);
        if let "," | ":" = token {
            joined.push(' ');
        }
    }
    joined
}

/// A JSON text with a line for each member and element; `None` if it has more than so many bytes then.
fn over_lines(text: &str, mut level: usize, most: usize) -> Option<String> {
    fn line(out: &mut String, level: usize) {
        out.push('\n');
        (0..level).for_each(|_| out.push_str("  "));
    }
    let mut out = String::with_capacity(text.len() * 2);
    let mut tokens = tokens(text);
    while let Some(token) = tokens.next() {
        if out.len() > most {
            return None;
        }
        match token {
            "{" | "[" => {
                out.push_str(token);
                if let Some(end) = tokens.next_if(|next| matches!(*next, "}" | "]")) {
                    out.push_str(end);
                } else {
                    level += 1;
                    line(&mut out, level);
                }
            }
            "}" | "]" => {
                level = level.saturating_sub(1);
                line(&mut out, level);
                out.push_str(token);
            }
            "," => {
                out.push(',');
                line(&mut out, level);
            }
            ":" => out.push_str(": "),
            _ => out.push_str(token),
        }
    }
    Some(out)
}

/// The tokens of a text that is JSON, without the spaces between them.
fn tokens(text: &str) -> Peekable<impl Iterator<Item = &str>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        let len = match rest.as_bytes().first()? {
            b'"' => string_len(rest.as_bytes()),
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            _ => rest.find(['{', '}', '[', ']', ',', ':', ' ', '\t', '\n', '\r']).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(len);
        rest = after;
        Some(token)
    })
    .peekable()
}

/// The length of the string that a text begins with, quotes included.
fn string_len(text: &[u8]) -> usize {
    let mut at = 1;
    loop {
        match text.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') => return at + 1,
            Some(_) => at += 1,
            None => return text.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn round_trips(item_text: &str) -> String {
        let laid_out = lay_out(item_text, 1);
        assert_eq!(item(&laid_out).unwrap(), item_text);
        // In a file, as one of its members.
        let file = format!("{{\n  \"X\": {laid_out}\n}}\n");
        let members = json::members(&file).unwrap();
        assert_eq!(item(&file[members[0].1.clone()]).unwrap(), item_text);
        laid_out
    }

    #[test]
    fn what_flipper_client_writes_is_laid_out_over_lines() {
        let laid_out =
            round_trips(r#"{"a": [], "b": {}, "c": [1, {"d": "e, f: [\"\\"}], "n": NaN, "é": -0.0}"#);
        let expected = r#"{
    "a": [],
    "b": {},
    "c": [
      1,
      {
        "d": "e, f: [\"\\"
      }
    ],
    "n": NaN,
    "é": -0.0
  }"#;
        assert_eq!(laid_out, expected);
    }

    #[test]
    fn other_spacing_comes_back_as_it_was() {
        assert_eq!(round_trips(r#"{"a":1,"b" : [ ]}"#), r#"{"a":1,"b" : [ ]}"#);
        assert!(round_trips("{\"a\": 1,\n \"b\": 2}").starts_with('"'));
        assert!(round_trips(" {\"a\": 1}\n").starts_with('"'));
        assert!(round_trips("{\"a\": 1} ").starts_with('"'));
    }

    #[test]
    fn what_would_be_mostly_spaces_stays_on_its_line() {
        let deep = format!("{{\"a\": {}{}{}}}", "[".repeat(150), "1, ".repeat(1000) + "1", "]".repeat(150));
        assert_eq!(round_trips(&deep), deep);
    }

    #[test]
    fn names_stand_as_they_are_read() {
        for (name, expected) in
            [("é😀", "\"é😀\""), ("a\"b\\", r#""a\"b\\""#), ("a\u{7f}\n", r#""a\u007f\n""#)]
        {
            let key = key(&name.into());
            assert_eq!(key, expected);
            assert_eq!(Value::parse(&key).unwrap().as_str(), Some(name));
        }
    }

    /// A JSON text with spaces wherever they may be, or as flipper-client writes it.
    fn any_json(random: &mut fastrand::Rng, spaces: &[&str], depth: u32) -> String {
        let space = |random: &mut fastrand::Rng| (*random.choice(spaces).unwrap()).to_owned();
        let string = |random: &mut fastrand::Rng| {
            let pieces =
                ["a", " ", "é", "\\\"", "\\\\", "\\u00e9", "\\ud800", "{", "]", ", ", ": ", "\\n", "😀"];
            let text: String = (0..random.usize(..6)).map(|_| random.choice(pieces).unwrap()).collect();
            format!("\"{text}\"")
        };
        let text = match random.u8(..if depth < 4 { 8 } else { 5 }) {
            0 => "null".to_owned(),
            1 => "-1.5e+3".to_owned(),
            2 => "NaN".to_owned(),
            3 => random.i64(..).to_string(),
            4 => string(random),
            5 | 6 => {
                let members: Vec<_> = (0..random.usize(..4))
                    .map(|_| {
                        let (key, value) = (string(random), any_json(random, spaces, depth + 1));
                        format!("{}{key}{}:{value}", space(random), space(random))
                    })
                    .collect();
                let inside = if members.is_empty() { space(random) } else { members.join(",") };
                format!("{{{inside}}}")
            }
            _ => {
                let elements: Vec<_> =
                    (0..random.usize(..4)).map(|_| any_json(random, spaces, depth + 1)).collect();
                let inside = if elements.is_empty() { space(random) } else { elements.join(",") };
                format!("[{inside}]")
            }
        };
        format!("{}{text}{}", space(random), space(random))
    }

    #[test]
    fn whatever_is_json_round_trips() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..20_000 {
            let spaces: &[&str] = random.choice([&[""][..], &["", " "], &["", " ", "\n", "\r\n\t"]]).unwrap();
            let text = any_json(&mut random, spaces, 0);
            assert!(Value::parse(&text).is_ok(), "{text}");
            round_trips(&text);
            let line = joined(&text);
            assert_eq!(joined(&over_lines(&line, 1, usize::MAX).unwrap()), line);
            round_trips(&line);
        }
    }
}
