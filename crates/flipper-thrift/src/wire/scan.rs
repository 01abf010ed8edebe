//! Finding the end of a message that says nothing of its length.

use super::message::{Fault, fault};

/// How deep structs and containers may be in one another. The service itself needs six levels.
const MAX_DEPTH: usize = 32;

/// Walks over a message as its bytes arrive, and finds where it ends. It allocates nothing but its own few levels, whatever
/// lengths and counts the message states.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// The next byte to be looked at; behind what has arrived if that is in the middle of something of known length.
    position: usize,
    levels: Vec<Level>,
    has_begun: bool,
}

#[derive(Clone, Copy, Debug)]
enum Level {
    Struct,
    /// So many more elements, of these types in turn.
    Elements {
        types: [u8; 2],
        left: u64,
    },
}

/// A type of Thrift, as the binary protocol has it.
mod types {
    pub(super) const STOP: u8 = 0;
    pub(super) const STRING: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
    pub(super) const MAP: u8 = 13;
    pub(super) const SET: u8 = 14;
    pub(super) const LIST: u8 = 15;
}

/// How long a value is that has always the same length.
fn fixed_length(of: u8) -> Option<usize> {
    match of {
        2 | 3 => Some(1),
        6 => Some(2),
        8 => Some(4),
        4 | 10 => Some(8),
        16 => Some(16),
        _ => None,
    }
}

impl Scanner {
    /// Goes on with what has arrived, from the beginning of the message, and returns where the message ends, once it is all there.
    pub(crate) fn advance(&mut self, arrived: &[u8], limit: usize) -> Result<Option<usize>, Fault> {
        if !self.has_begun {
            let Some(header) = header(arrived)? else { return Ok(None) };
            self.position = header;
            self.has_begun = true;
            self.levels.push(Level::Struct);
        }
        while let Some(level) = self.levels.last_mut() {
            // Before anything is kept in memory for it.
            if self.position > limit {
                return Err(Fault::too_large(limit));
            }
            let Some(rest) = arrived.get(self.position..) else { return Ok(None) };
            let of = match level {
                Level::Struct => match *rest {
                    [types::STOP, ..] => {
                        self.position += 1;
                        self.levels.pop();
                        continue;
                    }
                    [of, _, _, ..] => {
                        let Some(length) = value(of, &rest[3..])? else { return Ok(None) };
                        self.position += 3;
                        (of, length)
                    }
                    _ => return Ok(None),
                },
                Level::Elements { left: 0, .. } => {
                    self.levels.pop();
                    continue;
                }
                Level::Elements { types, left } => {
                    let of = types[(*left % 2) as usize];
                    let Some(length) = value(of, rest)? else { return Ok(None) };
                    *left -= 1;
                    (of, length)
                }
            };
            self.position = self.position.saturating_add(of.1.bytes);
            if let Some(below) = of.1.below {
                if self.levels.len() == MAX_DEPTH {
                    return Err(fault("it is nested deeper than any message of this service"));
                }
                self.levels.push(below);
            }
        }
        if self.position > limit {
            return Err(Fault::too_large(limit));
        }
        Ok((self.position <= arrived.len()).then_some(self.position))
    }

    /// How many bytes are needed at least.
    pub(crate) fn needed(&self) -> usize {
        self.position
    }
}

/// A value, as far as its beginning tells.
struct Extent {
    bytes: usize,
    below: Option<Level>,
}

/// How long a value is; `None` if too little of it has arrived to tell.
fn value(of: u8, rest: &[u8]) -> Result<Option<Extent>, Fault> {
    let whole = |bytes| Ok(Some(Extent { bytes, below: None }));
    if let Some(bytes) = fixed_length(of) {
        return whole(bytes);
    }
    let length = |at: usize| {
        let bytes = rest.get(at..at + 4)?;
        Some(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    match of {
        types::STRUCT => Ok(Some(Extent { bytes: 0, below: Some(Level::Struct) })),
        types::STRING => match length(0) {
            None => Ok(None),
            Some(length) => whole(4 + unsigned(length)?),
        },
        types::LIST | types::SET => match (rest.first(), length(1)) {
            (Some(of), Some(count)) => Ok(Some(elements(5, [*of, *of], unsigned(count)? as u64))),
            _ => Ok(None),
        },
        types::MAP => match (rest.first(), rest.get(1), length(2)) {
            // Counted down, so that an even rest is a key.
            (Some(key), Some(value), Some(count)) => {
                Ok(Some(elements(6, [*key, *value], unsigned(count)? as u64 * 2)))
            }
            _ => Ok(None),
        },
        _ => Err(fault("it has a value of a type that Thrift does not know")),
    }
}

fn elements(bytes: usize, types: [u8; 2], left: u64) -> Extent {
    if let (Some(first), Some(second)) = (fixed_length(types[0]), fixed_length(types[1])) {
        let each = (first + second) as u64;
        let all = usize::try_from(left * each / 2).unwrap_or(usize::MAX);
        return Extent { bytes: bytes.saturating_add(all), below: None };
    }
    Extent { bytes, below: Some(Level::Elements { types, left }) }
}

fn unsigned(length: i32) -> Result<usize, Fault> {
    usize::try_from(length).map_err(|_| fault("it has a length below zero"))
}

/// How long the beginning of a message is, up to its arguments.
fn header(arrived: &[u8]) -> Result<Option<usize>, Fault> {
    let [a, b, c, d, ..] = *arrived else { return Ok(None) };
    if a & 0x80 == 0 {
        // Without a version: the length of the name, the name, the kind, the number.
        return Ok(Some(4 + named(i32::from_be_bytes([a, b, c, d]))? + 1 + 4));
    }
    if [a, b] != [0x80, 0x01] {
        return Err(fault("it is not in the first version of the binary protocol"));
    }
    let Some(length) = arrived.get(4..8) else { return Ok(None) };
    Ok(Some(8 + named(i32::from_be_bytes([length[0], length[1], length[2], length[3]]))? + 4))
}

/// The length of a method's name.
fn named(length: i32) -> Result<usize, Fault> {
    match usize::try_from(length) {
        Ok(length) if length <= 256 => Ok(length),
        _ => Err(fault("it does not begin with the name of a method")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call of `Get` whose arguments are these bytes.
    fn message(arguments: &[u8]) -> Vec<u8> {
        [&[0x80, 1, 0, 1, 0, 0, 0, 3][..], b"Get", &[0; 4], arguments].concat()
    }

    /// The end, found when all is there at once, and byte by byte.
    fn end(message: &[u8]) -> Result<Option<usize>, Fault> {
        let at_once = Scanner::default().advance(message, 1 << 20);
        let mut slow = Scanner::default();
        let mut found = Ok(None);
        for arrived in 0..=message.len() {
            found = slow.advance(&message[..arrived], 1 << 20);
            if !matches!(found, Ok(None)) {
                break;
            }
        }
        assert_eq!(format!("{at_once:?}"), format!("{found:?}"));
        at_once
    }

    #[test]
    fn messages_end_where_their_arguments_do() {
        let text = [11, 0, 1, 0, 0, 0, 1, b'X'];
        let numbers = [15, 0, 2, 8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0];
        let texts = [15, 0, 2, 11, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, b'Y'];
        let map = [13, 0, 3, 11, 12, 0, 0, 0, 2, 0, 0, 0, 1, b'a', 0, 0, 0, 0, 0, 2, 0, 1, 1, 0];
        let nothing = [13, 0, 4, 0, 0, 0, 0, 0, 0, 14, 0, 5, 0, 0, 0, 0, 0];
        for arguments in [&[][..], &text, &numbers, &texts, &map, &nothing] {
            let whole = message(&[arguments, &[0]].concat());
            assert_eq!(end(&whole).unwrap(), Some(whole.len()), "{arguments:?}");
            assert_eq!(end(&[&whole[..], b"more"].concat()).unwrap(), Some(whole.len()));
            assert_eq!(end(&whole[..whole.len() - 1]).unwrap(), None);
        }
        let unversioned = [&[0, 0, 0, 3][..], b"Get", &[1, 0, 0, 0, 0, 0]].concat();
        assert_eq!(end(&unversioned).unwrap(), Some(unversioned.len()));
    }

    #[test]
    fn what_is_too_large_or_no_message_is_told_before_it_arrives() {
        for (arguments, wrong) in [
            (&[11, 0, 1, 0x7f, 0xff, 0xff, 0xff][..], "more than"),
            (&[15, 0, 1, 10, 0x7f, 0xff, 0xff, 0xff], "more than"),
            (&[11, 0, 1, 0xff, 0xff, 0xff, 0xff], "below zero"),
            (&[1, 0, 1], "does not know"),
            (&[15, 0, 1, 0, 0, 0, 0, 1], "does not know"),
            (&[12, 0, 1].repeat(40), "deeper"),
        ] {
            let fault = end(&message(arguments)).unwrap_err();
            assert!(fault.to_string().contains(wrong), "{fault:?}");
        }
        assert!(end(b"GET / HTTP/1.1\r\n").unwrap_err().to_string().contains("name of a method"));
        assert!(end(&[0x80, 2, 0, 1]).unwrap_err().to_string().contains("first version"));
    }
}
