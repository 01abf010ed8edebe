//! One connection.

use std::io;
use std::time::Duration;

use flipper_core::{Error, ErrorKind};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

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
    /// Connects to the first of the host's addresses that takes a connection, within its part of the time.
    pub(crate) async fn open(place: &Place, framing: Framing, limit: Duration) -> io::Result<Self> {
        let addresses: Vec<_> = lookup_host((place.host.as_str(), place.port)).await?.collect();
        let part = limit / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match timeout(part, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Self::of(stream, framing),
                Ok(Err(error)) => failed = error,
                Err(_) => failed = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(failed)
    }

    fn of(stream: TcpStream, framing: Framing) -> io::Result<Self> {
        // A call is one message, which waits for nothing.
        stream.set_nodelay(true)?;
        let inbox = Inbox::new(Some(framing));
        Ok(Self { stream, inbox, framing, buffer: Vec::new(), number: 0 })
    }

    /// Whether it can be used: the server has not hung up, and has said nothing that it was not asked.
    pub(crate) fn is_usable(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        // An answer too many would be taken for that to the next call.
        !self.inbox.has_begun() && matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
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
