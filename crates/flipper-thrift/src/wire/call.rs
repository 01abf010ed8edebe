//! The methods of the service, and what they take.

use thrift::protocol::TType;

use super::item::Meta;
use super::message::{Fault, Header, Kind, Reader, Writer};
use super::version::WireVersion;

/// A call. Arguments that are left out have the values that are told in `thrift/feature_flag_store.thrift`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Create { name: Vec<u8>, is_enabled: Option<bool>, client_data: Option<Vec<u8>> },
    Get { name: Vec<u8>, with_record: bool },
    Set { name: Vec<u8>, is_enabled: Option<bool> },
    Delete { name: Vec<u8> },
    List { limit: Option<i64>, offset: i64, with_record: bool },
    SetMeta { name: Vec<u8>, meta: Meta },
    Put { name: Vec<u8>, record: Vec<u8>, expectation: Expectation },
    Remove { name: Vec<u8>, expectation: Expectation },
    Describe,
}

/// What has to be there for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    Anything,
    Nothing,
    Version(WireVersion),
    /// Something that only newer peers know.
    Unknown,
}

/// All arguments that any method has.
#[derive(Default)]
struct Arguments {
    name: Vec<u8>,
    is_enabled: Option<bool>,
    data: Option<Vec<u8>>,
    numbers: [Option<i64>; 2],
    with_record: bool,
    meta: Meta,
    expectation: Option<Expectation>,
}

impl Call {
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Create { .. } => "Create",
            Self::Get { .. } => "Get",
            Self::Set { .. } => "Set",
            Self::Delete { .. } => "Delete",
            Self::List { .. } => "List",
            Self::SetMeta { .. } => "SetMeta",
            Self::Put { .. } => "Put",
            Self::Remove { .. } => "Remove",
            Self::Describe => "Describe",
        }
    }

    /// Whether it may change something.
    pub(crate) fn is_write(&self) -> bool {
        !matches!(self, Self::Get { .. } | Self::List { .. } | Self::Describe)
    }

    /// Reads the arguments of a method; `None` if there is none of that name.
    pub(crate) fn read(method: &str, reader: &mut Reader<'_>) -> Result<Option<Self>, Fault> {
        let mut read = Arguments::default();
        reader.fields(|reader, id, of| {
            match (method, id, of) {
                ("List", 1 | 2, TType::I64) => read.numbers[id as usize - 1] = Some(reader.i64()?),
                ("List", ..) if (id, of) == (3, TType::Bool) => read.with_record = reader.bool()?,
                ("List" | "Describe", ..) => return Ok(false),
                (_, 1, TType::String) => read.name = reader.bytes()?,
                ("Get", 2, TType::Bool) => read.with_record = reader.bool()?,
                ("Create" | "Set", 2, TType::Bool) => read.is_enabled = Some(reader.bool()?),
                ("Create", 3, TType::String) | ("Put", 2, TType::String) => read.data = Some(reader.bytes()?),
                ("SetMeta", 2, TType::Struct) => read.meta = Meta::read(reader)?,
                ("Put", 3, TType::Struct) | ("Remove", 2, TType::Struct) => {
                    read.expectation = Some(Expectation::read(reader)?);
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let Arguments { name, is_enabled, data, numbers: [limit, offset], with_record, meta, expectation } =
            read;
        let expectation = expectation.unwrap_or(Expectation::Anything);
        Ok(Some(match method {
            "Create" => Self::Create { name, is_enabled, client_data: data },
            "Get" => Self::Get { name, with_record },
            "Set" => Self::Set { name, is_enabled },
            "Delete" => Self::Delete { name },
            "List" => Self::List { limit, offset: offset.unwrap_or(0), with_record },
            "SetMeta" => Self::SetMeta { name, meta },
            "Put" => Self::Put { name, record: data.unwrap_or_default(), expectation },
            "Remove" => Self::Remove { name, expectation },
            "Describe" => Self::Describe,
            _ => return Ok(None),
        }))
    }

    /// Writes the whole message.
    pub(crate) fn write(&self, number: i32, out: &mut Writer) {
        out.header(&Header { kind: Kind::Call, method: self.method(), number });
        out.fields(|out| match self {
            Self::Create { name, is_enabled, client_data } => {
                out.bytes_field(1, name);
                if let Some(is_enabled) = is_enabled {
                    out.bool_field(2, *is_enabled);
                }
                if let Some(data) = client_data {
                    out.bytes_field(3, data);
                }
            }
            Self::Get { name, with_record } => {
                out.bytes_field(1, name);
                if *with_record {
                    out.bool_field(2, true);
                }
            }
            Self::Set { name, is_enabled } => {
                out.bytes_field(1, name);
                if let Some(is_enabled) = is_enabled {
                    out.bool_field(2, *is_enabled);
                }
            }
            Self::Delete { name } => out.bytes_field(1, name),
            Self::List { limit, offset, with_record } => {
                if let Some(limit) = limit {
                    out.i64_field(1, *limit);
                }
                out.i64_field(2, *offset);
                if *with_record {
                    out.bool_field(3, true);
                }
            }
            Self::SetMeta { name, meta } => {
                out.bytes_field(1, name);
                out.begin_field(2, TType::Struct);
                meta.write(out);
            }
            Self::Put { name, record, expectation } => {
                out.bytes_field(1, name);
                out.bytes_field(2, record);
                expectation.write(3, out);
            }
            Self::Remove { name, expectation } => {
                out.bytes_field(1, name);
                expectation.write(2, out);
            }
            Self::Describe => {}
        });
    }
}

impl Expectation {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut expectation = Self::Anything;
        reader.fields(|reader, id, of| {
            match (id, of) {
                (1, TType::Bool) if reader.bool()? => expectation = Self::Nothing,
                (1, TType::Bool) => {}
                (2, TType::String) => expectation = Self::Version(WireVersion(reader.bytes()?)),
                _ => {
                    // To pass over it would be to expect less than was asked for.
                    expectation = Self::Unknown;
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        Ok(expectation)
    }

    fn write(&self, id: i16, out: &mut Writer) {
        match self {
            Self::Anything | Self::Unknown => {}
            Self::Nothing => out.struct_field(id, |out| out.bool_field(1, true)),
            Self::Version(version) => out.struct_field(id, |out| out.bytes_field(2, &version.0)),
        }
    }
}
