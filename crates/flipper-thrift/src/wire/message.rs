//! Messages, read and written by the protocol types of the `thrift` crate.

use std::fmt;

use thrift::TConfiguration;
use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TFieldIdentifier, TInputProtocol, TListIdentifier,
    TMapIdentifier, TOutputProtocol, TStructIdentifier, TType,
};

/// How messages are told apart on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// One after the other: what Thrift calls the buffered transport.
    Buffered,
    /// Each behind its length.
    Framed,
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    message: std::borrow::Cow<'static, str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// It is none of the binary protocol.
    Malformed,
    TooLarge,
    /// There is no memory for it at present.
    Busy,
}

pub(crate) fn fault(message: &'static str) -> Fault {
    Fault { kind: FaultKind::Malformed, message: message.into() }
}

impl Fault {
    pub(crate) fn too_large(limit: usize) -> Self {
        Self { kind: FaultKind::TooLarge, message: format!("it has more than {limit} bytes").into() }
    }

    pub(crate) fn busy() -> Self {
        let message = "too many large messages are under way";
        Self { kind: FaultKind::Busy, message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<thrift::Error> for Fault {
    fn from(error: thrift::Error) -> Self {
        // What the crate says may repeat what was sent.
        match error {
            thrift::Error::Transport(_) => fault("it ends too early"),
            _ => fault("it is not as the binary protocol has it"),
        }
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    Reply,
    Exception,
    OneWay,
}

/// How a message begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header<'m> {
    pub(crate) kind: Kind,
    pub(crate) method: &'m str,
    pub(crate) number: i32,
}

/// Reads a message that is all there.
pub(crate) struct Reader<'m> {
    from: TBinaryInputProtocol<&'m [u8]>,
    /// How many elements of lists and maps there may be yet, and how many there were.
    left: usize,
    elements: usize,
}

/// The least that an element of any list or map of this service takes on the wire, by far: checks have 21 bytes, items more. In memory, each takes up to
/// some 200, also one that has nothing in it, and one byte on the wire.
const LEAST_ELEMENT: usize = 16;

impl<'m> Reader<'m> {
    pub(crate) fn new(message: &'m [u8]) -> Self {
        // No text and no list is longer than the message that it is in, which is there already.
        let limit = Some(message.len());
        let config = TConfiguration::builder()
            .max_message_size(limit)
            .max_frame_size(limit)
            .max_string_size(limit)
            .max_container_size(limit)
            .build();
        let from = TBinaryInputProtocol::with_config(message, false, config.unwrap_or_default());
        Self { from, left: message.len() / LEAST_ELEMENT + 64, elements: 0 }
    }

    /// How many elements lists and maps had so far.
    pub(crate) fn elements(&self) -> usize {
        self.elements
    }

    /// Counts an element that is about to be read.
    fn element(&mut self) -> Result<(), Fault> {
        self.elements += 1;
        self.left =
            self.left.checked_sub(1).ok_or_else(|| fault("it has more elements than what is in them"))?;
        Ok(())
    }

    /// Reads how the message begins: with a version, as all peers of today write it, or without one.
    pub(crate) fn header(&mut self) -> Result<Header<'m>, Fault> {
        let first = self.from.read_i32()?;
        let (method, kind) = if first < 0 {
            if first as u32 >> 16 != VERSION as u32 >> 16 {
                return Err(fault("it is not in the first version of the binary protocol"));
            }
            let length = self.from.read_i32()?;
            (self.text(length)?, first as u8)
        } else {
            (self.text(first)?, self.from.read_byte()?)
        };
        let kind = match kind {
            1 => Kind::Call,
            2 => Kind::Reply,
            3 => Kind::Exception,
            4 => Kind::OneWay,
            _ => return Err(fault("it is neither a call nor an answer")),
        };
        Ok(Header { kind, method, number: self.from.read_i32()? })
    }

    /// A text in its place.
    fn text(&mut self, length: i32) -> Result<&'m str, Fault> {
        let rest = self.from.transport;
        let length = usize::try_from(length).ok().filter(|length| *length <= rest.len());
        let (text, rest) = rest.split_at(length.ok_or_else(|| fault("it ends too early"))?);
        self.from.transport = rest;
        std::str::from_utf8(text).map_err(|_| fault("the name of its method is no UTF-8"))
    }

    /// Reads a struct, field by field. A field that `read` does not take (it says `false`) is passed over, as one of another type than
    /// it expects, or of a newer peer.
    pub(crate) fn fields(
        &mut self,
        mut read: impl FnMut(&mut Self, i16, TType) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        self.from.read_struct_begin()?;
        loop {
            let field = self.from.read_field_begin()?;
            if field.field_type == TType::Stop {
                break;
            }
            if !read(self, field.id.unwrap_or_default(), field.field_type)? {
                self.from.skip(field.field_type)?;
            }
            self.from.read_field_end()?;
        }
        Ok(self.from.read_struct_end()?)
    }

    /// Reads a list of which each element is read by `read`; `None`, if it has elements of another type.
    pub(crate) fn list<T>(
        &mut self,
        of: TType,
        mut read: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Option<Vec<T>>, Fault> {
        let list = self.from.read_list_begin()?;
        if list.element_type != of && list.size > 0 {
            for _ in 0..list.size {
                self.from.skip(list.element_type)?;
            }
            self.from.read_list_end()?;
            return Ok(None);
        }
        // Not made as long as it says: each element has to be there.
        let mut elements = Vec::new();
        for _ in 0..list.size {
            self.element()?;
            elements.push(read(self)?);
        }
        self.from.read_list_end()?;
        Ok(Some(elements))
    }

    /// As [`list`](Self::list), of a map, in the order in which it comes.
    pub(crate) fn map<K, V>(
        &mut self,
        of: (TType, TType),
        mut key: impl FnMut(&mut Self) -> Result<K, Fault>,
        mut value: impl FnMut(&mut Self) -> Result<V, Fault>,
    ) -> Result<Option<Vec<(K, V)>>, Fault> {
        let map = self.from.read_map_begin()?;
        let (Some(key_type), Some(value_type)) = (map.key_type, map.value_type) else { return Ok(None) };
        if (key_type, value_type) != of && map.size > 0 {
            for _ in 0..map.size {
                self.from.skip(key_type)?;
                self.from.skip(value_type)?;
            }
            self.from.read_map_end()?;
            return Ok(None);
        }
        let mut entries = Vec::new();
        for _ in 0..map.size {
            self.element()?;
            let read = key(self)?;
            entries.push((read, value(self)?));
        }
        self.from.read_map_end()?;
        Ok(Some(entries))
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, Fault> {
        Ok(self.from.read_bytes()?)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, Fault> {
        Ok(self.from.read_bool()?)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Fault> {
        Ok(self.from.read_i32()?)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Fault> {
        Ok(self.from.read_i64()?)
    }
}

/// Writes a message into memory, behind its length where there are frames.
pub(crate) struct Writer {
    out: TBinaryOutputProtocol<Vec<u8>>,
    framing: Framing,
}

/// What a message begins with, together with its kind
/// (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-binary-protocol.md#message>).
const VERSION: i32 = 0x8001_0000_u32 as i32;

/// Writing into memory does not fail, and what is written here is in the order that the protocol asks for.
const WRITES: &str = "a message is written in order";

impl Writer {
    /// Begins in a buffer that may have been used before, so that its memory serves again.
    pub(crate) fn new(mut buffer: Vec<u8>, framing: Framing) -> Self {
        buffer.clear();
        if framing == Framing::Framed {
            buffer.extend([0; 4]);
        }
        Self { out: TBinaryOutputProtocol::new(buffer, true), framing }
    }

    /// Returns the message.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut buffer = self.out.transport;
        if self.framing == Framing::Framed {
            let length = (buffer.len() - 4) as u32;
            buffer[..4].copy_from_slice(&length.to_be_bytes());
        }
        buffer
    }

    /// Throws away what was written, for another message in its place.
    pub(crate) fn restart(self) -> Self {
        Self::new(self.out.transport, self.framing)
    }

    pub(crate) fn len(&self) -> usize {
        self.out.transport.len()
    }

    /// Writes over what is there already.
    pub(crate) fn patch(&mut self, at: usize, number: i32) {
        self.out.transport[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }

    fn write(&mut self, write: impl FnOnce(&mut TBinaryOutputProtocol<Vec<u8>>) -> thrift::Result<()>) {
        if let Err(error) = write(&mut self.out) {
            log::error!(target: "flipper::thrift", "{WRITES}: {error}");
        }
    }

    pub(crate) fn header(&mut self, header: &Header<'_>) {
        let kind = match header.kind {
            Kind::Call => 1,
            Kind::Reply => 2,
            Kind::Exception => 3,
            Kind::OneWay => 4,
        };
        self.write(|out| out.write_i32(VERSION | kind));
        self.bytes(header.method.as_bytes());
        self.write(|out| out.write_i32(header.number));
    }

    /// Writes a struct whose fields are written by `fields`.
    pub(crate) fn fields(&mut self, fields: impl FnOnce(&mut Self)) {
        self.begin_struct();
        fields(self);
        self.end_struct();
    }

    pub(crate) fn begin_struct(&mut self) {
        self.write(|out| out.write_struct_begin(&TStructIdentifier::new("")));
    }

    pub(crate) fn end_struct(&mut self) {
        self.write(TBinaryOutputProtocol::write_field_stop);
        self.write(TBinaryOutputProtocol::write_struct_end);
    }

    pub(crate) fn begin_field(&mut self, id: i16, of: TType) {
        let field = TFieldIdentifier { name: None, field_type: of, id: Some(id) };
        self.write(|out| out.write_field_begin(&field));
    }

    pub(crate) fn bytes_field(&mut self, id: i16, value: &[u8]) {
        self.begin_field(id, TType::String);
        self.bytes(value);
    }

    pub(crate) fn bool_field(&mut self, id: i16, value: bool) {
        self.begin_field(id, TType::Bool);
        self.write(|out| out.write_bool(value));
    }

    pub(crate) fn i32_field(&mut self, id: i16, value: i32) {
        self.begin_field(id, TType::I32);
        self.write(|out| out.write_i32(value));
    }

    pub(crate) fn i64_field(&mut self, id: i16, value: i64) {
        self.begin_field(id, TType::I64);
        self.write(|out| out.write_i64(value));
    }

    pub(crate) fn struct_field(&mut self, id: i16, fields: impl FnOnce(&mut Self)) {
        self.begin_field(id, TType::Struct);
        self.fields(fields);
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.write(|out| out.write_bytes(value));
    }

    pub(crate) fn begin_list(&mut self, of: TType, length: usize) {
        self.write(|out| out.write_list_begin(&TListIdentifier::new(of, length as i32)));
    }

    pub(crate) fn begin_map(&mut self, of: (TType, TType), length: usize) {
        self.write(|out| out.write_map_begin(&TMapIdentifier::new(of.0, of.1, length as i32)));
    }
}

/// What a peer has sent, as far as it can be shown: short, and without what would disturb a terminal.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().take(100).flat_map(char::escape_debug).collect()
}
