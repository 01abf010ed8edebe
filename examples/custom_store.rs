//! A store of your own: what it takes, and the suite that proves it. `cargo test --example custom_store`.
//!
//! It keeps records in a map, as a database would keep them in a table: name, bytes, version.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use flipper::{
    BoxStream, Capabilities, Error, ErrorKind, Expect, FeatureFlagClient, Flag, FlagName, Listed, Page,
    Result, Store, Version, Versioned, ctx,
};

/// Keeps flags in a table.
#[derive(Debug, Default)]
struct Table(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    by_name: BTreeMap<String, Row>,
    last_version: u64,
}

#[derive(Debug)]
struct Row {
    version: u64,
    bytes: Vec<u8>,
}

impl Table {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record that cannot be read is an error that has the record's version.
fn read(name: &str, row: &Row) -> Result<Versioned<Flag>> {
    let version = Version::from_u64(row.version);
    match Flag::read(FlagName::new(name)?, &row.bytes) {
        Ok(value) => Ok(Versioned { value, version }),
        Err(error) => Err(error.with_store("table").with_version(version)),
    }
}

fn check(found: Option<&Row>, expect: Expect<'_>) -> Result<()> {
    let is_met = match expect {
        Expect::Any => true,
        Expect::Absent => found.is_none(),
        Expect::Matches(version) => found.is_some_and(|row| version.as_u64() == Some(row.version)),
        _ => false,
    };
    let conflict = || Error::new(ErrorKind::Conflict, "the flag is not as expected").with_store("table");
    if is_met { Ok(()) } else { Err(conflict()) }
}

#[async_trait]
impl Store for Table {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.rows().by_name.get(name.as_str()).map(|row| read(name.as_str(), row)).transpose()
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        FlagName::new(flag.name())?;
        let mut rows = self.rows();
        check(rows.by_name.get(flag.name()), expect)?;
        rows.last_version += 1;
        let version = rows.last_version;
        let row = Row { version, bytes: flag.as_json().as_bytes().to_vec() };
        rows.by_name.insert(flag.name().to_owned(), row);
        Ok(Version::from_u64(version))
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        if matches!(expect, Expect::Absent) {
            return Err(Error::new(ErrorKind::InvalidInput, "nothing to delete").with_store("table"));
        }
        let mut rows = self.rows();
        let Some(row) = rows.by_name.get(name.as_str()) else { return Ok(false) };
        check(Some(row), expect)?;
        Ok(rows.by_name.remove(name.as_str()).is_some())
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        let rows = self.rows();
        let page = rows.by_name.iter().skip(page.offset).take(page.limit.unwrap_or(usize::MAX));
        Box::pin(flipper::store::iter(page.map(listed).map(Ok).collect::<Vec<_>>()))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::CONDITIONAL_WRITES
    }
}

fn listed((name, row): (&String, &Row)) -> Listed {
    match read(name, row) {
        Ok(found) => Listed::Flag(found),
        Err(error) => Listed::Bad { name: name.as_str().into(), version: error.version().cloned(), error },
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let client = FeatureFlagClient::new(Table::default());
    client.create("X").await?.enable().await?;
    println!("{}", client.explain("X", &ctx! {}).await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use flipper_testkit::{Subject, store_conformance};

    use super::{Row, Table};

    /// Puts any bytes into the table, as a careless writer does.
    fn spoil(table: &Table, name: String, bytes: Vec<u8>) {
        let mut rows = table.rows();
        rows.last_version += 1;
        let version = rows.last_version;
        rows.by_name.insert(name, Row { version, bytes });
    }

    // It neither watches nor has local reads; every handle is on the same data, and nothing can take it away.
    store_conformance!(
        table,
        Subject::new(|| async { Table::default() })
            .with_sibling(|table| async { table })
            .with_plant(|table, name, bytes| async move { spoil(&table, name, bytes) }),
        absent = 12
    );
}
