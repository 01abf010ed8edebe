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

#[derive(Debug, Default)]
struct Table(Mutex<(u64, BTreeMap<String, (u64, Vec<u8>)>)>);

impl Table {
    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<String, (u64, Vec<u8>)>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record that cannot be read is an error that has the record's version.
fn read(name: &str, (version, bytes): &(u64, Vec<u8>)) -> Result<Versioned<Flag>> {
    let version = Version::from_u64(*version);
    match Flag::read(FlagName::new(name)?, bytes) {
        Ok(value) => Ok(Versioned { value, version }),
        Err(error) => Err(error.with_store("table").with_version(version)),
    }
}

fn check(found: Option<&(u64, Vec<u8>)>, expect: Expect<'_>) -> Result<()> {
    let is_met = match expect {
        Expect::Any => true,
        Expect::Absent => found.is_none(),
        Expect::Matches(version) => found.is_some_and(|(found, _)| version.as_u64() == Some(*found)),
        _ => false,
    };
    let conflict = || Error::new(ErrorKind::Conflict, "the flag is not as expected").with_store("table");
    if is_met { Ok(()) } else { Err(conflict()) }
}

#[async_trait]
impl Store for Table {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.lock().1.get(name.as_str()).map(|record| read(name.as_str(), record)).transpose()
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        FlagName::new(flag.name())?;
        let (last, records) = &mut *self.lock();
        check(records.get(flag.name()), expect)?;
        *last += 1;
        records.insert(flag.name().to_owned(), (*last, flag.as_json().as_bytes().to_vec()));
        Ok(Version::from_u64(*last))
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        if matches!(expect, Expect::Absent) {
            return Err(Error::new(ErrorKind::InvalidInput, "nothing to delete").with_store("table"));
        }
        let records = &mut self.lock().1;
        let Some(found) = records.get(name.as_str()) else { return Ok(false) };
        check(Some(found), expect)?;
        Ok(records.remove(name.as_str()).is_some())
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        let items: Vec<_> = self
            .lock()
            .1
            .iter()
            .skip(page.offset)
            .take(page.limit.unwrap_or(usize::MAX))
            .map(listed)
            .collect();
        Box::pin(flipper::store::iter(items))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::CONDITIONAL_WRITES
    }
}

fn listed((name, record): (&String, &(u64, Vec<u8>))) -> Result<Listed> {
    Ok(match read(name, record) {
        Ok(found) => Listed::Flag(found),
        Err(error) => Listed::Bad { name: name.as_str().into(), version: error.version().cloned(), error },
    })
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

    use super::Table;

    // It neither watches nor has local reads, and the suite is not told how to open it twice or to spoil a record.
    store_conformance!(table, Subject::new(|| async { Table::default() }), absent = 14);
}
