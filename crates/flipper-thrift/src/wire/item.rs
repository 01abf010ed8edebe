//! Flags as the service has them.
//!
//! Every field may be missing. Texts are bytes here, so that one that is no UTF-8 spoils its own flag and no others.

use thrift::protocol::TType;

use super::message::{Fault, Reader, Writer};
use super::reply::Exception;
use super::version::WireVersion;

/// A flag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) is_enabled: Option<bool>,
    pub(crate) meta: Option<Meta>,
    /// The state of the record: of servers that have one.
    pub(crate) version: Option<WireVersion>,
    /// The record as it is stored: the same.
    pub(crate) record: Option<Vec<u8>>,
    /// Why the record cannot be read: the same.
    pub(crate) problem: Option<Exception>,
}

/// What belongs to a flag besides its name and its switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) created_date: Option<i64>,
    /// JSON.
    pub(crate) client_data: Option<Vec<u8>>,
    pub(crate) conditions: Option<Conditions>,
    /// JSON.
    pub(crate) bucketer: Option<Vec<u8>>,
}

/// Conditions: of each, its variables in order with their checks.
pub(crate) type Conditions = Vec<Condition>;

/// One of them: its variables, and the checks of each.
pub(crate) type Condition = Vec<(Vec<u8>, Vec<Check>)>;

/// One comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) variable: Option<Vec<u8>>,
    /// JSON.
    pub(crate) value: Option<Vec<u8>>,
    /// Without a symbol, it is equality.
    pub(crate) operator: Option<Option<Vec<u8>>>,
}

impl Item {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut item = Self::default();
        reader.fields(|reader, id, of| {
            match (id, of) {
                (1, TType::String) => item.name = Some(reader.bytes()?),
                (2, TType::Bool) => item.is_enabled = Some(reader.bool()?),
                (3, TType::Struct) => item.meta = Some(Meta::read(reader)?),
                (4, TType::String) => item.version = Some(WireVersion(reader.bytes()?)),
                (5, TType::String) => item.record = Some(reader.bytes()?),
                (6, TType::Struct) => item.problem = Some(Exception::read(reader)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(item)
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.fields(|out| {
            if let Some(name) = &self.name {
                out.bytes_field(1, name);
            }
            if let Some(is_enabled) = self.is_enabled {
                out.bool_field(2, is_enabled);
            }
            if let Some(meta) = &self.meta {
                out.begin_field(3, TType::Struct);
                meta.write(out);
            }
            if let Some(version) = &self.version {
                out.bytes_field(4, &version.0);
            }
            if let Some(record) = &self.record {
                out.bytes_field(5, record);
            }
            if let Some(problem) = &self.problem {
                out.begin_field(6, TType::Struct);
                problem.write(out);
            }
        });
    }
}

impl Meta {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut meta = Self::default();
        reader.fields(|reader, id, of| {
            match (id, of) {
                (1, TType::I64) => meta.created_date = Some(reader.i64()?),
                (2, TType::String) => meta.client_data = Some(reader.bytes()?),
                (3, TType::List) => meta.conditions = reader.list(TType::Map, read_condition)?,
                (4, TType::String) => meta.bucketer = Some(reader.bytes()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(meta)
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.fields(|out| {
            if let Some(date) = self.created_date {
                out.i64_field(1, date);
            }
            if let Some(data) = &self.client_data {
                out.bytes_field(2, data);
            }
            if let Some(conditions) = &self.conditions {
                out.begin_field(3, TType::List);
                out.begin_list(TType::Map, conditions.len());
                for condition in conditions {
                    write_condition(condition, out);
                }
            }
            if let Some(bucketer) = &self.bucketer {
                out.bytes_field(4, bucketer);
            }
        });
    }
}

fn read_condition(reader: &mut Reader<'_>) -> Result<Condition, Fault> {
    let checks = |reader: &mut Reader<'_>| {
        let checks = reader.list(TType::Struct, Check::read)?;
        // A list of something else: a check that nobody can read.
        Ok(checks.unwrap_or_else(|| vec![Check::default()]))
    };
    let condition = reader.map((TType::String, TType::List), Reader::bytes, checks)?;
    Ok(condition.unwrap_or_else(|| vec![(Vec::new(), vec![Check::default()])]))
}

fn write_condition(condition: &[(Vec<u8>, Vec<Check>)], out: &mut Writer) {
    out.begin_map((TType::String, TType::List), condition.len());
    for (variable, checks) in condition {
        out.bytes(variable);
        out.begin_list(TType::Struct, checks.len());
        for check in checks {
            check.write(out);
        }
    }
}

impl Check {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut check = Self::default();
        reader.fields(|reader, id, of| {
            match (id, of) {
                (1, TType::String) => check.variable = Some(reader.bytes()?),
                (2, TType::String) => check.value = Some(reader.bytes()?),
                (3, TType::Struct) => {
                    let mut symbol = None;
                    reader.fields(|reader, id, of| {
                        let is_symbol = (id, of) == (1, TType::String);
                        if is_symbol {
                            symbol = Some(reader.bytes()?);
                        }
                        Ok(is_symbol)
                    })?;
                    check.operator = Some(symbol);
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(check)
    }

    fn write(&self, out: &mut Writer) {
        out.fields(|out| {
            if let Some(variable) = &self.variable {
                out.bytes_field(1, variable);
            }
            if let Some(value) = &self.value {
                out.bytes_field(2, value);
            }
            if let Some(operator) = &self.operator {
                out.struct_field(3, |out| {
                    if let Some(symbol) = operator {
                        out.bytes_field(1, symbol);
                    }
                });
            }
        });
    }
}
