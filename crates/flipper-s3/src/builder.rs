//! Settings.

use std::fmt;
use std::time::Duration;

use aws_sdk_s3::Client;
use flipper_core::{ErrorKind, FlagName, Result};
use flipper_follow::Following;

use crate::api::Api;
use crate::error::error;
use crate::list::Seen;
use crate::shared::Shared;
use crate::store::S3Store;
use crate::write::Habits;

/// Chooses settings of an [`S3Store`].
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use flipper_s3::{S3Store, aws_sdk_s3};
///
/// # fn example(client: aws_sdk_s3::Client) -> flipper_core::Result<()> {
/// let store = S3Store::builder(client, "my-flipper-bucket")
///     .prefix("shop/flags/")
///     .poll_interval(Duration::from_secs(30))
///     .build()?;
/// # Ok(()) }
/// ```
#[must_use = "it does nothing before it is built"]
pub struct S3StoreBuilder {
    client: Client,
    bucket: String,
    prefix: String,
    page_size: usize,
    concurrency: usize,
    poll_interval: Duration,
    timeout: Duration,
}

impl fmt::Debug for S3StoreBuilder {
    /// Without the client: its address may have a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3StoreBuilder")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("page_size", &self.page_size)
            .field("concurrency", &self.concurrency)
            .field("poll_interval", &self.poll_interval)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The longest key of S3, in bytes.
const LONGEST_KEY: usize = 1_024;
/// What is longer than a year is a year: a timer has to be able to hold it.
const LONGEST: Duration = Duration::from_hours(365 * 24);
/// What is shorter would keep the server busy with us alone.
const SHORTEST_POLL: Duration = Duration::from_millis(10);
/// What S3 returns at most, whatever it is asked for.
const LARGEST_PAGE: usize = 1_000;

impl S3StoreBuilder {
    pub(crate) fn new(client: Client, bucket: String) -> Self {
        Self {
            client,
            bucket,
            prefix: String::new(),
            page_size: LARGEST_PAGE,
            concurrency: 32,
            poll_interval: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
        }
    }

    /// Chooses what the keys of flags begin with: a flag `X` is at the prefix and `X`, with nothing between them, so it mostly ends in a
    /// slash. Nothing unless told, as in flipper-client: then a flag's name is its key.
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Chooses how many keys to list by one request, from 1 to 1,000, which it is unless told.
    pub fn page_size(self, page_size: usize) -> Self {
        Self { page_size: page_size.clamp(1, LARGEST_PAGE), ..self }
    }

    /// Chooses how many objects to read at the same time in a listing, 32 unless told.
    pub fn concurrency(self, concurrency: usize) -> Self {
        Self { concurrency: concurrency.max(1), ..self }
    }

    /// Chooses how often to list all flags for those who [`watch`](flipper_core::Store::watch), 10 s unless told, less or more by up to a
    /// tenth, and no less than 10 ms.
    ///
    /// Each time costs one `LIST` request for each thousand flags, and one `GET` for each flag that has changed.
    pub fn poll_interval(self, interval: Duration) -> Self {
        Self { poll_interval: interval.clamp(SHORTEST_POLL, LONGEST), ..self }
    }

    /// Limits how long a request may take, with all of its attempts, 10 s unless told. A listing is many requests, and a write a few: the
    /// [crate](crate) tells how many.
    ///
    /// The client's own limits count as well.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: timeout.min(LONGEST), ..self }
    }

    /// Makes the store. The server is not asked.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](flipper_core::ErrorKind::InvalidInput) for a bucket without a name, and for a prefix that is too long for the
    /// longest name of a flag.
    pub fn build(self) -> Result<S3Store> {
        let invalid = |message: String| Err(error(ErrorKind::InvalidInput, message));
        if self.bucket.is_empty() {
            return invalid("a bucket's name cannot be empty".to_owned());
        }
        let longest = LONGEST_KEY - FlagName::MAX_LEN;
        if self.prefix.len() > longest {
            return invalid(format!(
                "the prefix has {} bytes, it can have {longest} at most",
                self.prefix.len()
            ));
        }
        Ok(self.into_store())
    }

    /// Makes the store of what is known to be right.
    pub(crate) fn into_store(self) -> S3Store {
        S3Store::of(Shared {
            api: Api { client: self.client, bucket: self.bucket, timeout: self.timeout },
            prefix: self.prefix,
            page_size: self.page_size,
            concurrency: self.concurrency,
            poll_interval: self.poll_interval,
            habits: Habits::default(),
            seen: Seen::default(),
            following: Following::new("s3"),
        })
    }
}
