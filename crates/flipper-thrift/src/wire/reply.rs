//! What methods answer.

use flipper_core::Error;
use thrift::protocol::TType;

use super::code::Code;
use super::item::Item;
use super::message::{Fault, Header, Kind, Reader, Writer, fault};
use super::version::WireVersion;

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Nothing,
    Item(Box<Item>),
    Items(Vec<Item>),
    /// The version that was written.
    Version(WireVersion),
    WasThere(bool),
    Description(Description),
    /// That the server has no such method.
    UnknownMethod,
    /// The service's own exception.
    Failed(Exception),
    /// An exception of the server's, from below the service.
    Broken(String),
}

/// What a server can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) puts_atomically: bool,
    pub(crate) removes_atomically: bool,
    pub(crate) is_read_only: bool,
    /// The longest message that it takes, in bytes.
    pub(crate) longest: Option<i64>,
}

/// The service's exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) code: Code,
    pub(crate) message: Vec<u8>,
    /// The state of a record that cannot be read.
    pub(crate) version: Option<WireVersion>,
}

impl Exception {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        // Without a code, it is none that anybody knows.
        let mut exception = Self { code: Code(-1), message: Vec::new(), version: None };
        reader.fields(|reader, id, of| {
            match (id, of) {
                (1, TType::I32) => exception.code = Code(reader.i32()?),
                (2, TType::String) => exception.message = reader.bytes()?,
                (3, TType::String) => exception.version = Some(WireVersion(reader.bytes()?)),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(exception)
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.fields(|out| {
            out.i32_field(1, self.code.0);
            out.bytes_field(2, &self.message);
            if let Some(version) = &self.version {
                out.bytes_field(3, &version.0);
            }
        });
    }
}

impl From<&Error> for Exception {
    /// What went wrong, and no more: causes are for the server's own log.
    fn from(error: &Error) -> Self {
        Self {
            code: Code::of(error.kind()),
            message: error.message().as_bytes().to_vec(),
            version: error.version().map(WireVersion::alone),
        }
    }
}

/// Kinds of exceptions from below the service
/// (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-rpc.md#response-struct>).
mod below {
    pub(super) const UNKNOWN_METHOD: i32 = 1;
    pub(super) const INTERNAL_ERROR: i32 = 6;
    pub(super) const PROTOCOL_ERROR: i32 = 7;
}

/// Reads an answer to a method whose header was read.
pub(crate) fn read_reply(header: &Header<'_>, reader: &mut Reader<'_>) -> Result<Reply, Fault> {
    match header.kind {
        Kind::Reply => read_result(header.method, reader),
        Kind::Exception => {
            let (mut kind, mut message) = (0, Vec::new());
            reader.fields(|reader, id, of| {
                match (id, of) {
                    (1, TType::String) => message = reader.bytes()?,
                    (2, TType::I32) => kind = reader.i32()?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
            if kind == below::UNKNOWN_METHOD {
                return Ok(Reply::UnknownMethod);
            }
            Ok(Reply::Broken(super::message::shown(&message)))
        }
        Kind::Call | Kind::OneWay => Err(fault("it is no answer")),
    }
}

fn read_result(method: &str, reader: &mut Reader<'_>) -> Result<Reply, Fault> {
    let returns_nothing = matches!(method, "Set" | "Delete" | "SetMeta");
    let mut reply = returns_nothing.then_some(Reply::Nothing);
    reader.fields(|reader, id, of| {
        reply = Some(match (id, of, method) {
            (1, TType::Struct, _) => Reply::Failed(Exception::read(reader)?),
            (0, TType::Struct, "Get" | "Create") => Reply::Item(Box::new(Item::read(reader)?)),
            (0, TType::List, "List") => match reader.list(TType::Struct, Item::read)? {
                Some(items) => Reply::Items(items),
                None => return Ok(true),
            },
            (0, TType::String, "Put") => Reply::Version(WireVersion(reader.bytes()?)),
            (0, TType::Bool, "Remove") => Reply::WasThere(reader.bool()?),
            (0, TType::Struct, "Describe") => Reply::Description(Description::read(reader)?),
            _ => return Ok(false),
        });
        Ok(true)
    })?;
    reply.ok_or_else(|| fault("it has neither a result nor an exception"))
}

/// Writes a whole message: an answer to a call.
pub(crate) fn write_reply(method: &str, number: i32, reply: &Reply, out: &mut Writer) {
    let (kind, below) = match reply {
        Reply::UnknownMethod => (Kind::Exception, Some(below::UNKNOWN_METHOD)),
        Reply::Broken(_) => (Kind::Exception, Some(below::PROTOCOL_ERROR)),
        _ => (Kind::Reply, None),
    };
    out.header(&Header { kind, method, number });
    out.fields(|out| match reply {
        Reply::Nothing => {}
        Reply::Item(item) => {
            out.begin_field(0, TType::Struct);
            item.write(out);
        }
        Reply::Items(items) => {
            out.begin_field(0, TType::List);
            out.begin_list(TType::Struct, items.len());
            for item in items {
                item.write(out);
            }
        }
        Reply::Version(version) => out.bytes_field(0, &version.0),
        Reply::WasThere(was_there) => out.bool_field(0, *was_there),
        Reply::Description(description) => out.struct_field(0, |out| description.write(out)),
        Reply::Failed(exception) => {
            out.begin_field(1, TType::Struct);
            exception.write(out);
        }
        Reply::UnknownMethod => {
            out.bytes_field(1, b"the service has no such method");
            out.i32_field(2, below.unwrap_or(below::INTERNAL_ERROR));
        }
        Reply::Broken(message) => {
            out.bytes_field(1, message.as_bytes());
            out.i32_field(2, below.unwrap_or(below::INTERNAL_ERROR));
        }
    });
}

/// Begins an answer to `List` whose items are written one by one; returns where their number is to be written.
pub(crate) fn begin_list(number: i32, out: &mut Writer) -> usize {
    out.header(&Header { kind: Kind::Reply, method: "List", number });
    out.begin_struct();
    out.begin_field(0, TType::List);
    out.begin_list(TType::Struct, 0);
    out.len() - 4
}

/// Ends it.
pub(crate) fn end_list(count: usize, at: usize, out: &mut Writer) {
    out.patch(at, count as i32);
    out.end_struct();
}

impl Description {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut description = Self::default();
        reader.fields(|reader, id, of| {
            match (id, of) {
                (1, TType::Bool) => description.puts_atomically = reader.bool()?,
                (2, TType::Bool) => description.removes_atomically = reader.bool()?,
                (3, TType::Bool) => description.is_read_only = reader.bool()?,
                (4, TType::I64) => description.longest = Some(reader.i64()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(description)
    }

    fn write(&self, out: &mut Writer) {
        out.bool_field(1, self.puts_atomically);
        out.bool_field(2, self.removes_atomically);
        out.bool_field(3, self.is_read_only);
        if let Some(longest) = self.longest {
            out.i64_field(4, longest);
        }
    }
}
