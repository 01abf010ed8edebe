//! Settings.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use flipper_core::{Error, ErrorKind, Result};
use flipper_follow::Following;
use tokio::runtime::Handle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use crate::error::{cause, error};
use crate::listen::Dialer;
use crate::server::Server;
use crate::shared::Shared;
use crate::store::PostgresStore;
use crate::table::Table;

/// Chooses settings of a [`PostgresStore`].
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use flipper_postgres::PostgresStore;
///
/// # async fn example() -> flipper_core::Result<()> {
/// let store = PostgresStore::builder("postgres://shop:secret@db.internal/shop")
///     .schema("flags")
///     .table("feature_flags")
///     .create_table()
///     .timeout(Duration::from_secs(1))
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[must_use = "it connects only when it is told to"]
pub struct PostgresStoreBuilder {
    config: Result<Config>,
    table: Table,
    creates: bool,
    connections: usize,
    limit: Duration,
    connect_limit: Duration,
    poll_interval: Duration,
    polls_only: bool,
    is_prepared: bool,
    #[cfg(feature = "tls-rustls")]
    authorities: Option<Vec<u8>>,
}

/// What is longer than a year is a year: a timer has to be able to hold it.
const LONGEST: Duration = Duration::from_hours(365 * 24);
/// What is shorter would keep the server busy with us alone.
const SHORTEST_POLL: Duration = Duration::from_millis(10);

/// What is wrong with an address.
fn unreadable(failure: &tokio_postgres::Error) -> &'static str {
    let said = cause(failure);
    if said == "invalid value for option `sslmode`" {
        return "`sslmode` is `disable`, `prefer` or `require`: whoever is encrypted with is verified as libpq does by `verify-full`, \
                so `sslmode=require` is what to write for that";
    }
    if ["sslrootcert", "sslcert", "sslkey"].iter().any(|option| said == format!("unknown option `{option}`"))
    {
        return "certificates are no part of an address: `certificate_authorities` of the builder takes those of whom to trust";
    }
    "the address cannot be read: write `postgres://user:password@host:5432/database`, where `@ : / ? # %` in a user or \
     password are `%40 %3A %2F %3F %23 %25`, or `host=… user=… dbname=…`"
}

impl PostgresStoreBuilder {
    pub(crate) fn new(address: &str) -> Self {
        // What is wrong with it is told without repeating it: it may hold a password.
        let config = address.parse().map_err(|failure| error(ErrorKind::InvalidInput, unreadable(&failure)));
        Self::of(config)
    }

    pub(crate) fn of(config: Result<Config>) -> Self {
        Self {
            config,
            table: Table::default(),
            creates: false,
            connections: 8,
            limit: Duration::from_secs(5),
            connect_limit: Duration::from_secs(5),
            poll_interval: Duration::from_secs(10),
            polls_only: false,
            is_prepared: true,
            #[cfg(feature = "tls-rustls")]
            authorities: None,
        }
    }

    /// Chooses the schema of the table: the first of the connection's `search_path` that has it, unless told.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.table.schema = Some(schema.into());
        self
    }

    /// Chooses the table: `feature_flags` unless told, as in flipper-client. It is taken as it is, upper case and quotes included.
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table.name = table.into();
        self
    }

    /// Chooses the columns of names and of records: `name` and `item` unless told, as in flipper-client.
    pub fn columns(mut self, name: impl Into<String>, item: impl Into<String>) -> Self {
        self.table.name_column = name.into();
        self.table.item_column = item.into();
        self
    }

    /// Makes the table when the store connects, unless it is there, and triggers that tell of changes by whomever: with them, changes are seen at once,
    /// and without them by polling. A table that flipper-client has made gets the triggers too.
    ///
    /// That needs the right to create in the schema, and to own the table; and none, where everything is there.
    pub fn create_table(self) -> Self {
        Self { creates: true, ..self }
    }

    /// Chooses how many connections there are at most, 8 unless told, and at least one; and one more for those who
    /// [`watch`](flipper_core::Store::watch).
    pub fn connections(self, count: usize) -> Self {
        Self { connections: count.max(1), ..self }
    }

    /// Limits how long the server may take to answer, 5 s unless told. A connection on which an answer is late is not used again.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { limit: timeout.min(LONGEST), ..self }
    }

    /// Limits how long it may take to connect, and to wait for a connection, 5 s unless told.
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        Self { connect_limit: timeout.min(LONGEST), ..self }
    }

    /// Chooses how often to list all flags for those who [`watch`](flipper_core::Store::watch), where the server does not tell: 10 s unless told, less
    /// or more by up to a tenth, and no less than 10 ms.
    pub fn poll_interval(self, interval: Duration) -> Self {
        Self { poll_interval: interval.clamp(SHORTEST_POLL, LONGEST), ..self }
    }

    /// Prepares no statements, and is told of no changes: for poolers such as `PgBouncer` that give each transaction another connection. They must not do without it.
    pub fn behind_pooler(self) -> Self {
        Self { polls_only: true, is_prepared: false, ..self }
    }

    /// Trusts these authorities in place of the system's, in PEM. See the [crate](crate#encryption) for when connections are encrypted.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use flipper_postgres::PostgresStore;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = PostgresStore::builder("postgres://shop:secret@db.internal/shop?sslmode=require")
    ///     .certificate_authorities(std::fs::read("/etc/ssl/internal-ca.pem")?)
    ///     .connect()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "tls-rustls")]
    pub fn certificate_authorities(self, pem: impl Into<Vec<u8>>) -> Self {
        Self { authorities: Some(pem.into()), ..self }
    }

    /// Makes the store, connects, and finds out what the table is; makes it, if that was [asked for](Self::create_table).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) for an address that cannot be read, a database that is not there, a table or columns that are not;
    /// [`Unsupported`](ErrorKind::Unsupported) if encryption is asked for and the feature `tls-rustls` is off, or outside of a Tokio runtime;
    /// [`PermissionDenied`](ErrorKind::PermissionDenied) for a wrong user or password, or too few rights;
    /// [`Unavailable`](ErrorKind::Unavailable) if there is no server, or it does not answer in time.
    pub async fn connect(self) -> Result<PostgresStore> {
        let creates = self.creates;
        let store = self.make()?;
        let at = |error: Error| error.with_operation("connect");
        if creates {
            store.server().migrate().await.map_err(at)?;
        }
        store.look().await.map_err(at)?;
        Ok(store)
    }

    /// Makes the store, and connects when it is used for the first time: for applications that have to start without their server.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), for what can be told without a server; and [`InvalidInput`](ErrorKind::InvalidInput) if the table is to be made, which
    /// cannot wait.
    pub fn connect_lazy(self) -> Result<PostgresStore> {
        if self.creates {
            let message = "a table is made when the store connects: use `connect`";
            return Err(error(ErrorKind::InvalidInput, message).with_operation("connect"));
        }
        self.make()
    }

    fn make(self) -> Result<PostgresStore> {
        let at = |error: Error| error.with_operation("connect");
        let mut config = self.config.map_err(at)?;
        config.connect_timeout(self.connect_limit);
        if config.get_application_name().is_none() {
            config.application_name("flipper");
        }
        if Handle::try_current().is_err() {
            let message = "this store needs a Tokio runtime: connect from inside of one";
            return Err(at(error(ErrorKind::Unsupported, message)));
        }
        let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        #[cfg(feature = "tls-rustls")]
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            mode => match crate::tls::connector(self.authorities.as_deref()) {
                // Where encryption is not asked for, it is no reason to fail.
                Err(_) if mode == SslMode::Prefer && self.authorities.is_none() => None,
                connector => Some(connector.map_err(at)?),
            },
        };
        #[cfg(feature = "tls-rustls")]
        let manager = match &tls {
            Some(tls) => Manager::from_config(config.clone(), tls.clone(), manager_config),
            None => Manager::from_config(config.clone(), NoTls, manager_config),
        };
        #[cfg(not(feature = "tls-rustls"))]
        let manager = {
            if config.get_ssl_mode() == SslMode::Require {
                let message = "`sslmode=require` needs the feature `tls-rustls` of the crate flipper, or flipper-postgres";
                return Err(at(error(ErrorKind::Unsupported, message)));
            }
            Manager::from_config(config.clone(), NoTls, manager_config)
        };
        let pool = Pool::builder(manager)
            .max_size(self.connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(self.connect_limit))
            .create_timeout(Some(self.connect_limit))
            .recycle_timeout(Some(self.connect_limit))
            .build()
            .map_err(|_| at(error(ErrorKind::Internal, "the pool of connections cannot be made")))?;
        Ok(PostgresStore::of(Shared {
            server: Server {
                pool,
                statements: self.table.statements(),
                limit: self.limit,
                is_prepared: self.is_prepared,
                longest_name: AtomicI64::new(0),
            },
            dialer: Dialer {
                config,
                limit: self.connect_limit,
                #[cfg(feature = "tls-rustls")]
                tls,
            },
            following: Following::new("postgres"),
            poll_interval: self.poll_interval,
            polls_only: self.polls_only,
            is_told: AtomicBool::new(!self.polls_only),
            is_deaf: AtomicBool::new(false),
        }))
    }
}

impl fmt::Debug for PostgresStoreBuilder {
    /// Without the address, which has a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStoreBuilder")
            .field("table", &self.table)
            .field("creates", &self.creates)
            .field("connections", &self.connections)
            .field("limit", &self.limit)
            .field("poll_interval", &self.poll_interval)
            .finish_non_exhaustive()
    }
}
