//! Messages as they arrive.

use std::ops::Range;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::message::{Fault, Framing, Header, Reader, fault};
use super::scan::Scanner;

/// How much is read at once, and kept for the next message.
const CHUNK: usize = 16 << 10;

/// What has arrived on a connection and is not yet used.
#[derive(Debug)]
pub(crate) struct Inbox {
    arrived: Vec<u8>,
    /// Where the message begins that is looked at.
    start: usize,
    /// `None` until the first bytes of the first message tell.
    framing: Option<Framing>,
    scanner: Scanner,
    /// Where the message ends that was found.
    end: usize,
}

/// Why there is no message.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The connection has ended.
    Ended,
    Lost(std::io::Error),
    Fault(Fault),
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Inbox {
    pub(crate) fn new(framing: Option<Framing>) -> Self {
        Self { arrived: Vec::new(), start: 0, framing, scanner: Scanner::default(), end: 0 }
    }

    /// How messages are told apart, once it is known.
    pub(crate) fn framing(&self) -> Option<Framing> {
        self.framing
    }

    /// Whether a part of a message has arrived.
    pub(crate) fn has_begun(&self) -> bool {
        self.arrived.len() > self.start.max(self.end)
    }

    /// How much memory it holds.
    pub(crate) fn capacity(&self) -> usize {
        self.arrived.capacity()
    }

    /// The message that was found, once it is all there.
    pub(crate) fn message(&self, at: Range<usize>) -> &[u8] {
        &self.arrived[at]
    }

    /// Throws away the message that was found, and memory that is no longer needed.
    pub(crate) fn next(&mut self) {
        self.start = self.end;
        self.scanner = Scanner::default();
        // What is moved is less than what was used, so that many messages that have arrived together are moved seldom.
        if self.start > self.arrived.len() / 2 {
            self.arrived.drain(..self.start);
            (self.start, self.end) = (0, 0);
            if self.arrived.len() < CHUNK && self.arrived.capacity() > 4 * CHUNK {
                self.arrived.shrink_to(CHUNK);
            }
        }
    }

    /// What has arrived of the message that is looked at.
    fn rest(&self) -> &[u8] {
        &self.arrived[self.start..]
    }

    /// How that message begins, if so much has arrived.
    pub(crate) fn header(&self) -> Option<Header<'_>> {
        let skipped = if self.framing? == Framing::Framed { 4 } else { 0 };
        Reader::new(self.rest().get(skipped..)?).header().ok()
    }

    /// Looks for a whole message in what has arrived.
    pub(crate) fn find(&mut self, limit: usize) -> Result<Option<Range<usize>>, Fault> {
        let Some(framing) = self.recognised() else { return Ok(None) };
        let found = match framing {
            Framing::Buffered => {
                let end = self.scanner.advance(&self.arrived[self.start..], limit)?;
                end.map(|end| self.start..self.start + end)
            }
            Framing::Framed => {
                let Some(length) = self.frame(limit)? else { return Ok(None) };
                let begin = self.start + 4;
                (self.arrived.len() >= begin + length).then_some(begin..begin + length)
            }
        };
        if let Some(at) = &found {
            self.end = at.end;
        }
        Ok(found)
    }

    /// The length of the frame, checked before anything is kept in memory for it.
    fn frame(&self, limit: usize) -> Result<Option<usize>, Fault> {
        let [a, b, c, d, ..] = *self.rest() else { return Ok(None) };
        let length = usize::try_from(i32::from_be_bytes([a, b, c, d]))
            .map_err(|_| fault("its frame has a length below zero"))?;
        if length > limit {
            return Err(Fault::too_large(limit));
        }
        Ok(Some(length))
    }

    /// Tells the framing by the first bytes: a frame begins with its length, in front of what an unframed message begins with.
    fn recognised(&mut self) -> Option<Framing> {
        if self.framing.is_none() {
            self.framing = match *self.rest() {
                [0x80, ..] => Some(Framing::Buffered),
                // The version follows the length, or the length of a name does, whose first byte is no letter.
                [_, _, _, _, 0x80 | 0, ..] => Some(Framing::Framed),
                [_, _, _, _, _, ..] => Some(Framing::Buffered),
                _ => return None,
            };
        }
        self.framing
    }

    /// Reads what is there, and waits for it. Nothing is lost if it is dropped.
    ///
    /// It never makes room for more than has arrived already, a chunk aside, whatever a message says of its length.
    pub(crate) async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<(), Unread> {
        let wanted = match self.framing {
            Some(Framing::Framed) => self.frame(usize::MAX).ok().flatten().map_or(0, |length| 4 + length),
            _ => self.scanner.needed(),
        };
        let arrived = self.rest().len();
        let missing = wanted.saturating_sub(arrived);
        self.arrived.reserve(missing.clamp(CHUNK / 4, CHUNK + arrived));
        match stream.read_buf(&mut self.arrived).await {
            Ok(0) => Err(Unread::Ended),
            Ok(_) => Ok(()),
            Err(error) => Err(Unread::Lost(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Vec<u8> {
        [&[0x80, 1, 0, 1, 0, 0, 0, 3][..], b"Get", &[0; 4], &[11, 0, 1, 0, 0, 0, 1, b'X', 0]].concat()
    }

    fn unversioned() -> Vec<u8> {
        [&[0, 0, 0, 3][..], b"Get", &[1, 0, 0, 0, 0], &[11, 0, 1, 0, 0, 0, 1, b'X', 0]].concat()
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&(message.len() as u32).to_be_bytes(), message].concat()
    }

    #[tokio::test]
    async fn framing_is_told_by_the_first_bytes() {
        for (sent, of, framing) in [
            (message(), message(), Framing::Buffered),
            (framed(&message()), message(), Framing::Framed),
            (unversioned(), unversioned(), Framing::Buffered),
            (framed(&unversioned()), unversioned(), Framing::Framed),
        ] {
            // Two at once, and in pieces of each length.
            let twice = sent.repeat(2);
            for piece in 1..twice.len() {
                let mut inbox = Inbox::new(None);
                let mut found = 0;
                for piece in twice.chunks(piece) {
                    inbox.read(&mut &*piece).await.unwrap();
                    while let Some(at) = inbox.find(1 << 20).unwrap() {
                        assert_eq!(inbox.message(at), of);
                        found += 1;
                        inbox.next();
                    }
                }
                assert_eq!((found, inbox.framing(), inbox.has_begun()), (2, Some(framing), false));
            }
        }
    }

    #[tokio::test]
    async fn many_messages_that_arrive_together_are_seldom_moved() {
        let sent = message().repeat(10_000);
        let mut inbox = Inbox::new(None);
        inbox.arrived.reserve(sent.len());
        inbox.read(&mut &*sent).await.unwrap();
        let (mut found, mut moves) = (0, 0);
        while let Some(at) = inbox.find(1 << 20).unwrap() {
            assert_eq!(inbox.message(at), message());
            inbox.next();
            found += 1;
            moves += usize::from(inbox.start == 0);
        }
        assert_eq!((found, inbox.has_begun()), (10_000, false));
        assert!(moves < 20, "{moves}");
        assert!(inbox.capacity() <= 4 * CHUNK);
    }

    #[tokio::test]
    async fn a_length_makes_no_room() {
        let mut frame = vec![0x3f, 0xff, 0xff, 0xff, 0x80];
        let mut text = [&message()[..18], &[0x3f, 0xff, 0xff, 0xff]].concat();
        for sent in [&mut frame, &mut text] {
            sent.resize(40_000, 0);
            let mut inbox = Inbox::new(None);
            let mut rest = &**sent;
            while !rest.is_empty() {
                inbox.read(&mut rest).await.unwrap();
                assert!(inbox.find(1 << 31).unwrap().is_none());
            }
            assert!(inbox.capacity() <= 2 * (40_000 + CHUNK), "{}", inbox.capacity());
            assert!(inbox.find(1 << 20).is_err());
        }
    }
}
