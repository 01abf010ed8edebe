//! The store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use flipper_core::{
    BoxStream, Capabilities, Change, Error, ErrorKind, Expect, Flag, FlagName, Listed, Page, Result, Store,
    Timestamp, Version, Versioned, Watching,
};
use futures_lite::StreamExt;

use crate::api::When;
use crate::builder::S3StoreBuilder;
use crate::error::{Failure, error};
use crate::list::list;
use crate::record;
use crate::shared::Shared;
use crate::write::{of_read, of_write};

/// Keeps flags in a bucket of S3, as flipper-client does: an object for each. See the [crate](crate) for what it costs.
///
/// It needs a Tokio runtime, with its timers. Dropping the store ends what runs in the background; [`close`](Store::close) also waits for it.
///
/// # Examples
///
/// ```no_run
/// use flipper_core::{FeatureFlagClient, ctx};
/// use flipper_s3::{S3Store, aws_sdk_s3};
///
/// # async fn example(s3: aws_sdk_s3::Client) -> flipper_core::Result<()> {
/// let client = FeatureFlagClient::new(S3Store::new(s3, "my-flipper-bucket"));
/// client.create("MY_FEATURE").await?.enable().await?;
/// assert!(client.is_enabled("MY_FEATURE", &ctx! { user_id: 7 }).await);
/// # Ok(()) }
/// ```
pub struct S3Store(Arc<Shared>);

impl S3Store {
    /// Makes a store with the default settings, whose flags are at the root of a bucket. The server is not asked.
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        Self::builder(client, bucket).into_store()
    }

    /// Starts to choose settings.
    pub fn builder(client: Client, bucket: impl Into<String>) -> S3StoreBuilder {
        S3StoreBuilder::new(client, bucket.into())
    }

    pub(crate) fn of(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Finds out whether the server looks at the conditions of writes, by an object that is made for that and deleted again; and returns
    /// what the store can do.
    ///
    /// The object is a flag that is off, whose name begins with `flipper-check-`: others may see it for a moment, and for good if the process dies, or
    /// the future is dropped, meanwhile. Without this, the store finds out by its first writes, of which each takes two requests more.
    ///
    /// # Errors
    ///
    /// As any write. What could not be found out is found out later.
    pub async fn check_conditions(&self) -> Result<Capabilities> {
        let name = format!("flipper-check-{:016x}", fastrand::u64(..));
        let name = FlagName::new(&name)?;
        let flag = Flag::new(name, Timestamp::now());
        let checked = self.0.habits.check(&self.0.api, &self.key(name), flag.as_json()).await;
        checked.map_err(|error| error.with_operation("check"))?;
        Ok(self.capabilities())
    }

    fn key(&self, name: FlagName<'_>) -> String {
        format!("{}{name}", self.0.prefix)
    }

    async fn read(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        match self.0.api.get(&self.key(name)).await.map_err(of_read)? {
            Some(object) => record::read(name.as_str(), object).map(Some),
            None => Ok(None),
        }
    }

    async fn write(&self, name: FlagName<'_>, body: &str, expect: Expect<'_>) -> Result<Version> {
        let (shared, key) = (&*self.0, self.key(name));
        let etag = match expect {
            Expect::Any => shared.api.put(&key, body, When::Always).await.map_err(of_write),
            Expect::Absent => shared.habits.create(&shared.api, &key, body).await,
            Expect::Matches(version) => {
                shared.habits.replace(&shared.api, &key, body, record::etag(version)?).await
            }
            _ => Err(unknown_expectation()),
        };
        etag.map(|etag| record::version(&etag))
    }

    async fn remove(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        let (shared, key) = (&*self.0, self.key(name));
        match expect {
            Expect::Any => {
                // S3 does not tell whether there was one.
                let is_there = match shared.api.get(&key).await {
                    // Whatever it is.
                    Err(Failure::Unreadable(_)) => true,
                    read => read.map_err(of_read)?.is_some(),
                };
                if is_there {
                    shared.api.delete(&key, When::Always).await.map_err(of_write)?;
                }
                Ok(is_there)
            }
            Expect::Matches(version) => shared.habits.delete(&shared.api, &key, record::etag(version)?).await,
            Expect::Absent => {
                let message = "a flag that is to be deleted cannot be expected to be absent";
                Err(error(ErrorKind::InvalidInput, message))
            }
            _ => Err(unknown_expectation()),
        }
    }
}

fn unknown_expectation() -> Error {
    error(ErrorKind::Unsupported, "this store does not know such an expectation")
}

/// Says where an error comes from.
fn at(operation: &'static str, name: FlagName<'_>) -> impl Fn(Error) -> Error {
    move |error| error.with_operation(operation).with_flag(name.as_str())
}

#[async_trait]
impl Store for S3Store {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        let read = self.read(name).await.map_err(at("get", name));
        self.0.following.observe(name, &read);
        read
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        let name = FlagName::new(flag.name())?;
        // Whatever becomes of it.
        let _touch = self.0.following.touch(name);
        self.write(name, flag.as_json(), expect).await.map_err(at("put", name))
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        let _touch = self.0.following.touch(name);
        self.remove(name, expect).await.map_err(at("delete", name))
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        let listed = self.0.following.observe_listing(page, list(Arc::clone(&self.0), page));
        Box::pin(listed.map(|item| item.map_err(|error| error.with_operation("list"))))
    }

    fn capabilities(&self) -> Capabilities {
        let (put, delete) = self.0.habits.known();
        Capabilities::CONDITIONAL_WRITES.with_conditional_writes(put, delete).with_watch(Watching::Polled)
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        Some(flipper_follow::watch(&self.0))
    }

    async fn close(&self) -> Result<()> {
        if let Some(task) = self.0.following.close() {
            flipper_follow::ended(task).await;
        }
        Ok(())
    }
}

impl Drop for S3Store {
    fn drop(&mut self) {
        self.0.following.close();
    }
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store")
            .field("bucket", &self.0.api.bucket)
            .field("prefix", &self.0.prefix)
            .finish_non_exhaustive()
    }
}
