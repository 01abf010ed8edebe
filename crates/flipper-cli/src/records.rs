//! Files of flags: one record after the other, or a JSON array of them.

use std::io::{BufRead, BufReader, Read};

use flipper::json::{self, Value};
use flipper::{Flag, FlagName};

/// The longest item: a record, and what is around it.
const MOST: usize = json::MAX_BYTES + (1 << 16);

/// Writes a flag as [`Records`] reads it: the record as it is stored, and its name, which may be another one than the record says.
pub(crate) fn line(flag: &Flag) -> String {
    format!("{{\"name\": {}, \"record\": {}}}\n", Value::from(flag.name()).to_json(), flag.as_json())
}

/// Reads flags from a text, one by one, without keeping more of it than one.
pub(crate) struct Records<R> {
    bytes: BufReader<R>,
    /// Of the next byte, from 1 on.
    line: usize,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// Nothing has been read.
    Start,
    /// Between items that stand one after the other.
    Sequence,
    /// Right behind the bracket of an array.
    ArrayStart,
    /// Behind an item of an array.
    Array,
    /// Nothing but white space may come.
    End,
    /// Something was wrong.
    Failed,
}

impl<R: Read> Records<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { bytes: BufReader::with_capacity(64 << 10, source), line: 1, stage: Stage::Start }
    }

    /// The next byte that is no white space, which is left there.
    fn next_byte(&mut self) -> Result<Option<u8>, String> {
        loop {
            let buffer = self.bytes.fill_buf().map_err(|error| error.to_string())?;
            let Some(byte) = buffer.first().copied() else { return Ok(None) };
            match byte {
                b' ' | b'\t' | b'\r' => self.bytes.consume(1),
                b'\n' => {
                    self.line += 1;
                    self.bytes.consume(1);
                }
                // A mark of the byte order, as some editors put it there.
                0xef if self.stage == Stage::Start && buffer.starts_with(b"\xef\xbb\xbf") => {
                    self.bytes.consume(3);
                }
                byte => return Ok(Some(byte)),
            }
        }
    }

    /// Goes to the next item; whether there is one.
    fn seek(&mut self) -> Result<bool, String> {
        loop {
            let byte = self.next_byte()?;
            match (self.stage, byte) {
                (Stage::Start, Some(b'[')) => {
                    self.bytes.consume(1);
                    self.stage = Stage::ArrayStart;
                }
                (Stage::Start | Stage::Sequence, Some(b'{')) => {
                    self.stage = Stage::Sequence;
                    return Ok(true);
                }
                (Stage::Start | Stage::Sequence | Stage::End, None) => return Ok(false),
                (Stage::ArrayStart, Some(b'{')) => {
                    self.stage = Stage::Array;
                    return Ok(true);
                }
                (Stage::ArrayStart | Stage::Array, Some(b']')) => {
                    self.bytes.consume(1);
                    self.stage = Stage::End;
                }
                (Stage::Array, Some(b',')) => {
                    self.bytes.consume(1);
                    if self.next_byte()? == Some(b'{') {
                        return Ok(true);
                    }
                    return Err("a record is expected behind the comma".to_owned());
                }
                (Stage::Array, Some(_)) => {
                    return Err("a comma or `]` is expected between records".to_owned());
                }
                (Stage::ArrayStart | Stage::Array, None) => return Err("the array does not end".to_owned()),
                (Stage::End, Some(_)) => return Err("nothing is expected behind the array".to_owned()),
                _ => return Err("a record is expected, which begins with `{`".to_owned()),
            }
        }
    }

    /// The text of an item, up to the brace that ends it. Whether it is JSON is for others to say.
    fn item(&mut self) -> Result<String, String> {
        let (mut item, mut depth) = (Vec::new(), 0_usize);
        let (mut is_text, mut is_escaped) = (false, false);
        loop {
            let buffer = self.bytes.fill_buf().map_err(|error| error.to_string())?;
            if buffer.is_empty() {
                return Err("the record does not end".to_owned());
            }
            let mut taken = 0;
            let mut is_done = false;
            for byte in buffer {
                taken += 1;
                match *byte {
                    b'\n' => self.line += 1,
                    _ if is_escaped => is_escaped = false,
                    b'\\' if is_text => is_escaped = true,
                    b'"' => is_text = !is_text,
                    _ if is_text => {}
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        is_done = depth == 0;
                    }
                    _ => {}
                }
                if is_done {
                    break;
                }
            }
            item.extend_from_slice(&buffer[..taken]);
            self.bytes.consume(taken);
            if item.len() > MOST {
                return Err(format!("a record has more than {} MiB", json::MAX_BYTES >> 20));
            }
            if is_done {
                return String::from_utf8(item).map_err(|_| "a record is no text in UTF-8".to_owned());
            }
        }
    }

    /// Reads an item; what is wrong within one does not keep the next from being read.
    fn read(&mut self) -> Option<Result<Flag, String>> {
        let broken = |records: &mut Self, line, wrong: String| {
            records.stage = Stage::Failed;
            Some(Err(told(line, &wrong)))
        };
        match self.seek() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(wrong) => return broken(self, self.line, wrong),
        }
        // Where the item begins, which is where to look.
        let line = self.line;
        match self.item() {
            Ok(item) => Some(flag(&item).map_err(|wrong| told(line, &wrong))),
            Err(wrong) => broken(self, line, wrong),
        }
    }
}

fn told(line: usize, wrong: &str) -> String {
    format!("line {line}: {wrong}")
}

/// Makes a flag of an item.
fn flag(item: &str) -> Result<Flag, String> {
    let members = json::members(item).map_err(|error| error.message().to_owned())?;
    let member = |name: &str| {
        members.iter().rev().find(|(known, _)| *known == *name).map(|(_, span)| &item[span.clone()])
    };
    let flag = match member("record") {
        // A record has no such member, but a later writer may add one.
        Some(record) if member("meta").is_none() => {
            let name = member("name").ok_or("a `record` needs a `name` beside it")?;
            let name = Value::parse(name).map_err(|error| error.message().to_owned())?;
            let name = name.as_str().ok_or("the `name` is no text")?;
            let name = FlagName::new(name).map_err(|error| error.message().to_owned())?;
            Flag::read(name, record.as_bytes())
        }
        _ => Flag::from_json(item.as_bytes()),
    };
    let flag = flag.map_err(|error| error.message().to_owned())?;
    FlagName::new(flag.name()).map_err(|error| error.message().to_owned())?;
    Ok(flag)
}

impl<R: Read> Iterator for Records<R> {
    /// A flag, or what is wrong and in which line.
    type Item = Result<Flag, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.stage == Stage::Failed { None } else { self.read() }
    }
}

#[cfg(test)]
mod tests {
    use flipper::Timestamp;

    use super::*;

    fn record(name: &str) -> Flag {
        Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(5))
    }

    fn names(text: &str) -> Vec<String> {
        Records::new(text.as_bytes())
            .map(|read| read.map_or_else(|wrong| wrong, |flag| flag.name().to_owned()))
            .collect()
    }

    #[test]
    fn lines_arrays_and_records_alone_are_read() {
        let (a, b) = (record("a {\"}"), record("b"));
        for text in [
            format!("{}{}", line(&a), line(&b)),
            format!("\u{feff}{}\n\n{}", a.as_json(), b.as_json()),
            format!(" [{},\n{}] \n", a.as_json(), line(&b)),
        ] {
            assert_eq!(names(&text), ["a {\"}", "b"], "{text}");
        }
        assert!(names("").is_empty() && names(" [ ] ").is_empty());
    }

    #[test]
    fn a_record_comes_back_byte_for_byte() {
        let odd =
            "{\"is_enabled\":1E2,\n \"meta\":{\"created_date\":1,\"x\":NaN},\"feature_name\":\"other\"}";
        let flag = Flag::read(FlagName::new("key").unwrap(), odd.as_bytes()).unwrap();
        let read: Vec<_> = Records::new(line(&flag).as_bytes()).collect::<Result<_, _>>().unwrap();
        assert_eq!((read[0].name(), read[0].as_json()), ("key", odd));
    }

    #[test]
    fn a_mistake_in_one_record_does_not_hide_those_in_others() {
        let good = record("a").as_json().to_owned();
        let told = names(&format!("{{}}\n{good}\n{{\"x\": 1}}"));
        assert!(
            told[0].starts_with("line 1: ") && told[1] == "a" && told[2].starts_with("line 3: "),
            "{told:?}"
        );
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let good = record("a").as_json().to_owned();
        for (text, wrong) in [
            ("x", "line 1: a record is expected"),
            ("{", "line 1: the record does not end"),
            (&format!("{good}\n\n{{}}"), "line 3: "),
            (&format!("{good}\n5"), "line 2: a record is expected"),
            (&format!("[{good}"), "line 1: the array does not end"),
            (&format!("[{good}\n{good}]"), "line 2: a comma"),
            (&format!("[{good},]"), "behind the comma"),
            (&format!("[{good}]\n5"), "line 2: nothing is expected"),
            (&good.replace("\"a\"", "\"a\\nb\""), "control characters"),
            ("{\"record\": {}}", "needs a `name`"),
            ("{\"record\": {}, \"name\": 5}", "no text"),
            ("{\"record\": {}, \"name\": \"x\"}", "line 1: "),
        ] {
            let told = names(text);
            assert!(told.iter().any(|told| told.contains(wrong)), "{text}: {told:?}");
        }
    }
}
