//! The server, by a pool of connections.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::{Object, Pool, PoolError, TimeoutType};
use flipper_core::{ErrorKind, Expect, Flag, FlagName, Result, Version, Versioned};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::error::{Again, Asked, again, error, late, of_driver};
use crate::record::{self, column};
use crate::table::Statements;

/// A server, and the statements for it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) pool: Pool,
    pub(crate) statements: Statements,
    pub(crate) limit: Duration,
    /// Whether statements are prepared once for each connection.
    pub(crate) is_prepared: bool,
    /// How long a name may be, in characters: 0 if that is not known, below that if there is no limit.
    pub(crate) longest_name: AtomicI64,
}

/// What is known of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Its number, by which its channel is called.
    pub(crate) number: i64,
    /// Whether changes are told.
    pub(crate) tells: bool,
    /// What tells them: another one after each time that it was switched off.
    triggers: String,
    longest_name: Option<i32>,
}

impl Looked {
    /// Where its changes are told.
    pub(crate) fn channel(&self) -> String {
        format!("flipper_{}", self.number)
    }

    /// Reads what the statement has found out.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a table that cannot hold flags.
    pub(crate) fn of(rows: &[Row]) -> Result<Self> {
        let refused = |message: &'static str| Err(error(ErrorKind::InvalidInput, message));
        let Some(row) = rows.first() else {
            return refused("there is no such table: `create_table` makes it");
        };
        match (column(row, 2)?, column(row, 3)?) {
            (None, _) => return refused("the table has no such column of names: `name` unless told"),
            (_, None) => return refused("the table has no such column of records: `item` unless told"),
            (Some(false), _) => return refused("the column of names has to be `varchar` or `text`"),
            (_, Some(false)) => return refused("the column of records has to be `bytea`"),
            (Some(true), Some(true)) => {}
        }
        if !column::<bool>(row, 4)? {
            return refused("the column of names has to be the PRIMARY KEY, or UNIQUE");
        }
        Ok(Self {
            number: column(row, 0)?,
            longest_name: column(row, 1)?,
            tells: column(row, 5)?,
            triggers: column(row, 6)?,
        })
    }
}

/// A connection that goes back to the pool only when what was asked is answered: whoever has it next would wait for that.
struct Lent(Option<Object>);

impl Lent {
    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}

type Parameters<'p> = &'p [(&'p (dyn ToSql + Sync), Type)];

impl Server {
    pub(crate) async fn connection(&self) -> Result<Object> {
        if Handle::try_current().is_err() {
            let message = "this store needs a Tokio runtime: use it from inside of one";
            return Err(error(ErrorKind::Unsupported, message));
        }
        self.pool.get().await.map_err(|failure| match failure {
            PoolError::Backend(failure) => of_driver(&failure, Asked::Read),
            PoolError::Closed => error(ErrorKind::Unavailable, "the store has been closed"),
            PoolError::Timeout(TimeoutType::Wait) => {
                error(ErrorKind::Unavailable, "all connections are in use: allow more")
            }
            PoolError::Timeout(_) => error(ErrorKind::Unavailable, "the server takes no connection in time"),
            _ => error(ErrorKind::Internal, "the pool of connections has failed"),
        })
    }

    /// Asks, within the limit; once more, if the connection has ended and nothing is written, or what was prepared is out of date; and again within the
    /// limit, as long as others are at the same rows in transactions that the server keeps apart. A connection on which an answer is late, or of a call that
    /// is dropped, is not used again.
    pub(crate) async fn ask(
        &self,
        statement: &str,
        parameters: Parameters<'_>,
        asked: Asked,
    ) -> Result<Vec<Row>> {
        let began = Instant::now();
        let mut is_first = true;
        loop {
            let lent = Lent(self.connection().await?.into());
            let Some(connection) = &lent.0 else { continue };
            let answered = timeout(self.limit, self.ask_on(connection, statement, parameters, asked)).await;
            let (failure, asked) = match answered {
                Ok(Ok(rows)) => {
                    lent.give_back();
                    return Ok(rows);
                }
                Ok(Err(failure)) => failure,
                Err(_) => return Err(late(self.limit, asked)),
            };
            let again = again(&failure, asked);
            if again != Again::Elsewhere {
                lent.give_back();
            }
            match again {
                Again::Conflict if began.elapsed() < self.limit => {}
                Again::Prepare if is_first => {
                    self.pool.manager().statement_caches.clear();
                    is_first = false;
                }
                Again::Elsewhere if is_first => is_first = false,
                _ => return Err(of_driver(&failure, asked)),
            }
        }
    }

    /// Asks on a connection; says of what has failed whether it was a write.
    async fn ask_on(
        &self,
        connection: &Object,
        statement: &str,
        parameters: Parameters<'_>,
        asked: Asked,
    ) -> std::result::Result<Vec<Row>, (tokio_postgres::Error, Asked)> {
        if !self.is_prepared {
            return connection.query_typed(statement, parameters).await.map_err(|failure| (failure, asked));
        }
        let types: Vec<_> = parameters.iter().map(|(_, of)| of.clone()).collect();
        // Nothing is written by that.
        let prepared = connection.prepare_typed_cached(statement, &types).await;
        let prepared = prepared.map_err(|failure| (failure, Asked::Read))?;
        let values: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
        connection.query(&prepared, &values).await.map_err(|failure| (failure, asked))
    }

    /// Writes, within the limit; returns how many rows were written.
    async fn write(&self, statement: &str, parameters: Parameters<'_>) -> Result<u64> {
        // Rows are asked for, as the driver has no count for statements that are not prepared.
        let statement = format!("{statement} RETURNING 1");
        self.ask(&statement, parameters, Asked::Write).await.map(|rows| rows.len() as u64)
    }

    /// Finds out what the table is.
    pub(crate) async fn look(&self) -> Result<Looked> {
        let rows = self.ask(&self.statements.look, &[], Asked::Read).await?;
        let looked = Looked::of(&rows)?;
        self.longest_name.store(looked.longest_name.map_or(-1, i64::from), Ordering::Relaxed);
        Ok(looked)
    }

    /// Makes the table.
    pub(crate) async fn migrate(&self) -> Result<()> {
        let connection = self.connection().await?;
        let made = timeout(self.limit, connection.batch_execute(&self.statements.migrate)).await;
        match made {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => {
                // In the middle of a transaction.
                drop(Object::take(connection));
                Err(of_driver(&failure, Asked::Write))
            }
            Err(_) => {
                drop(Object::take(connection));
                Err(late(self.limit, Asked::Write))
            }
        }
    }

    /// Refuses a name that is too long for the column, before anything is written.
    async fn fits(&self, name: FlagName<'_>) -> Result<()> {
        if self.longest_name.load(Ordering::Relaxed) == 0 {
            self.look().await?;
        }
        let length = name.as_str().chars().count();
        let is_too_long = || (1..length as i64).contains(&self.longest_name.load(Ordering::Relaxed));
        if is_too_long() {
            // Somebody may have made room.
            self.look().await?;
        }
        if is_too_long() {
            let longest = self.longest_name.load(Ordering::Relaxed);
            let message = format!(
                "the name has {length} characters, and the table's column takes {longest}: \
                 `ALTER TABLE … ALTER COLUMN … TYPE varchar(512)` makes room"
            );
            return Err(error(ErrorKind::InvalidInput, message));
        }
        Ok(())
    }

    pub(crate) async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        let rows = self.ask(&self.statements.get, &[(&name.as_str(), Type::VARCHAR)], Asked::Read).await?;
        rows.first().map(|row| record::read(name.as_str(), column(row, 0)?)).transpose()
    }

    pub(crate) async fn put(&self, name: FlagName<'_>, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        self.fits(name).await?;
        let (text, record) = (name.as_str(), flag.as_json().as_bytes());
        let both: [(&(dyn ToSql + Sync), Type); 2] = [(&text, Type::VARCHAR), (&record, Type::BYTEA)];
        let written = match expect {
            Expect::Any => self.write(&self.statements.put, &both).await?,
            Expect::Absent => self.write(&self.statements.create, &both).await?,
            Expect::Matches(version) => {
                let Some(before) = version.as_bytes() else { return Err(conflict()) };
                let [name, record] = both;
                self.write(&self.statements.replace, &[name, record, (&before, Type::BYTEA)]).await?
            }
            _ => return Err(unknown_expectation()),
        };
        if written == 1 { Ok(flag.version_of_bytes()) } else { Err(conflict()) }
    }

    pub(crate) async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        let text = name.as_str();
        match expect {
            Expect::Any => {
                let deleted = self.write(&self.statements.delete, &[(&text, Type::VARCHAR)]).await?;
                Ok(deleted == 1)
            }
            Expect::Matches(version) => {
                let before = version.as_bytes().unwrap_or_default();
                let both: Parameters<'_> = &[(&text, Type::VARCHAR), (&before, Type::BYTEA)];
                let rows = self.ask(&self.statements.delete_if, both, Asked::Write).await?;
                let Some(row) = rows.first() else { return Ok(false) };
                match (column(row, 0)?, column(row, 1)?) {
                    (true, _) => Ok(true),
                    (false, true) => Err(conflict()),
                    (false, false) => Ok(false),
                }
            }
            Expect::Absent => {
                let message = "a flag that is to be deleted cannot be expected to be absent";
                Err(error(ErrorKind::InvalidInput, message))
            }
            _ => Err(unknown_expectation()),
        }
    }
}

fn conflict() -> flipper_core::Error {
    error(ErrorKind::Conflict, "the flag is not in the expected state")
}

fn unknown_expectation() -> flipper_core::Error {
    error(ErrorKind::Unsupported, "this store does not know such an expectation")
}
