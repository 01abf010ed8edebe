//! What is in a row.

use flipper_core::{Error, ErrorKind, Flag, FlagName, Listed, Result, Version, Versioned};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::error::error;

/// A column, which is of another type where the table was made for something else.
pub(crate) fn column<'r, T: FromSql<'r>>(row: &'r Row, number: usize) -> Result<T> {
    row.try_get(number).map_err(|_| {
        let message = "the columns of the table are of other types: names have to be `varchar` or `text`, records `bytea`";
        error(ErrorKind::InvalidInput, message)
    })
}

/// Reads a record as the flag of a name, which may be no legal one. `NULL` is none, and has the version of an empty record.
pub(crate) fn read(name: &str, record: Option<&[u8]>) -> Result<Versioned<Flag>> {
    let read = match (FlagName::new(name), record) {
        (Ok(name), Some(record)) => Flag::read(name, record),
        (Ok(_), None) => Err(Error::new(ErrorKind::Corrupt, "the record is NULL")),
        (Err(illegal), _) => Err(Error::new(ErrorKind::Corrupt, illegal.message().to_owned())),
    };
    match read {
        Ok(value) => Ok(Versioned { version: value.version_of_bytes(), value }),
        Err(error) => {
            let version = Version::from_bytes(record.unwrap_or_default());
            Err(error.with_store("postgres").with_flag(name).with_version(version))
        }
    }
}

/// What a listing tells of a row with a name and a record.
pub(crate) fn listed(row: &Row) -> Result<Listed> {
    let name: &str = column(row, 0)?;
    Ok(match read(name, column(row, 1)?) {
        Ok(found) => Listed::Flag(found),
        Err(error) => Listed::Bad { name: name.into(), version: error.version().cloned(), error },
    })
}
