//! One connection.

use flipper_core::{Error, ErrorKind};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::address::Place;
use crate::error::{Failure, error};
use crate::wire::{Call, Framing, Inbox, Reader, Reply, Unread, Writer, fault, read_reply};

/// A connection on which one call is made after the other.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    inbox: Inbox,
    framing: Framing,
    buffer: Vec<u8>,
    number: i32,
}

/// What is kept of the memory of a call.
const KEPT: usize = 64 << 10;

impl Connection {
    pub(crate) async fn open(place: &Place, framing: Framing) -> std::io::Result<Self> {
        let stream = TcpStream::connect((place.host.as_str(), place.port)).await?;
        // A call is one message, which waits for nothing.
        stream.set_nodelay(true)?;
        let inbox = Inbox::new(Some(framing));
        Ok(Self { stream, inbox, framing, buffer: Vec::new(), number: 0 })
    }

    /// Whether it can be used: the server has not hung up, and has said nothing that it was not asked.
    pub(crate) fn is_usable(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Makes a call. After a failure, or if this is dropped before its end, the connection is of no use.
    pub(crate) async fn call(&mut self, call: &Call, place: &Place, limit: usize) -> Result<Reply, Failure> {
        self.number = self.number.wrapping_add(1);
        let mut out = Writer::new(std::mem::take(&mut self.buffer), self.framing);
        call.write(self.number, &mut out);
        let message = out.finish();
        let sent = self.stream.write_all(&message).await;
        self.buffer = message;
        self.buffer.truncate(KEPT);
        self.buffer.shrink_to(KEPT);
        let answered = match sent {
            Ok(()) => self.answer(call, limit).await,
            Err(io) => Err(Unread::Lost(io)),
        };
        answered.map_err(|unread| {
            let has_hung_up = !self.inbox.has_begun() && !matches!(unread, Unread::Fault(_));
            Failure::NoAnswer { error: of_unread(&unread, place), has_hung_up }
        })
    }

    async fn answer(&mut self, call: &Call, limit: usize) -> Result<Reply, Unread> {
        let at = loop {
            if let Some(at) = self.inbox.find(limit)? {
                break at;
            }
            self.inbox.read(&mut self.stream).await?;
        };
        let mut reader = Reader::new(self.inbox.message(at));
        let header = reader.header()?;
        // Some servers answer 0, as flipper-client sends no other number.
        if header.method != call.method() || header.number != self.number && header.number != 0 {
            return Err(Unread::Fault(fault("it is about another call")));
        }
        let reply = read_reply(&header, &mut reader)?;
        self.inbox.next();
        Ok(reply)
    }
}

fn of_unread(unread: &Unread, place: &Place) -> Error {
    match unread {
        Unread::Ended => error(ErrorKind::Unavailable, format!("{place} has hung up without an answer")),
        Unread::Lost(io) => {
            error(ErrorKind::Unavailable, format!("the connection to {place} was lost: {}", io.kind()))
        }
        Unread::Fault(fault) => {
            let message = format!(
                "the answer of {place} cannot be read: {fault}; the store speaks Thrift's binary protocol, buffered unless it is \
                 told that the server is framed"
            );
            error(ErrorKind::Unavailable, message).with_retryable(false)
        }
    }
}
