//! The keys, as a store whose every read asks the agent. What is before it keeps them in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Error, ErrorKind, Expect, Flag, FlagName, Listed, Page, Result, Store,
    Version, Versioned, Watching,
};
use futures_lite::{StreamExt, stream};
use reqwest::StatusCode;
use tokio::sync::watch;

use crate::api::{Api, Tree};
use crate::builder::Consistency;
use crate::error::{Asked, error, no_consul, of_status, unquoted};
use crate::follow::Follow;
use crate::record::{encode, entries};
use crate::transaction::Kv as Op;

/// What all that speaks to the agent has in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) api: Api,
    /// What the keys of all flags begin with, a slash at its end.
    pub(crate) prefix: String,
    pub(crate) wait: Duration,
    pub(crate) heartbeat: Option<Duration>,
    /// How many keys have to be gone at once to be asked for.
    pub(crate) emptied_from: usize,
    /// The highest index that a write of ours has come to.
    written: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        api: Api,
        prefix: String,
        wait: Duration,
        heartbeat: Option<Duration>,
        emptied_from: usize,
    ) -> Self {
        Self { api, prefix, wait, heartbeat, emptied_from, written: AtomicU64::new(0) }
    }

    /// Reads all keys, with all that we have written.
    async fn tree(&self) -> Result<Tree> {
        let read = async |consistency| self.api.tree(&self.prefix, consistency, None).await;
        let mut tree = read(self.api.consistency).await?;
        if self.api.consistency == Consistency::Stale && tree.index < self.written.load(Ordering::Acquire) {
            // This server is behind.
            tree = read(Consistency::Default).await?;
        }
        if tree.is_empty() {
            self.api.check_rights(&self.prefix).await?;
        }
        Ok(tree)
    }
}

#[derive(Debug)]
pub(crate) struct Kv {
    shared: Arc<Shared>,
    is_closed: watch::Sender<bool>,
}

/// What a write has come to, before it is known what that means.
enum Written {
    At(u64),
    Missing,
    Refused(String),
    Unreadable,
}

impl Kv {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared), is_closed: watch::Sender::new(false) }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.shared.prefix)
    }

    async fn write(&self, operations: Vec<Op<'_>>) -> Result<Written> {
        // The first may read, to find out whether there is something.
        let reads_first = operations[0].verb == "get";
        let written = self
            .shared
            .api
            .transact(operations, Asked::Write, |answer| match answer.outcome() {
                Ok(entries) => entries.last().map_or(Written::Unreadable, |entry| Written::At(entry.index)),
                Err(refusals) => {
                    let first = &refusals[0];
                    if reads_first && first.operation == 0 && is_missing(&first.what) {
                        Written::Missing
                    } else {
                        Written::Refused(first.what.to_string())
                    }
                }
            })
            .await?;
        if let Written::At(index) = written {
            self.shared.written.fetch_max(index, Ordering::AcqRel);
        }
        Ok(written)
    }

    /// What is refused: because the key is at another index, or for any other reason.
    fn failed(&self, what: &str, expect: Expect<'_>) -> Error {
        if !matches!(expect, Expect::Any) && unquoted(what).contains("index is stale") {
            return error(
                ErrorKind::Conflict,
                "the flag has changed, or there is none, or there is one already",
            );
        }
        self.refused(what, Asked::Write)
    }

    fn refused(&self, what: &str, asked: Asked) -> Error {
        of_status(StatusCode::INTERNAL_SERVER_ERROR, &self.shared.api.said(what), asked)
    }
}

fn is_missing(what: &str) -> bool {
    unquoted(what).contains("doesn't exist")
}

/// Whether a key is itself in the path of a URL, where Consul rewrites or refuses some.
fn is_addressable(key: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    key.bytes().all(is_plain) && !key.split('/').any(|segment| matches!(segment, "" | "." | ".."))
}

#[async_trait]
impl Store for Kv {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        let (key, name) = (self.key(name.as_str()), name.as_str());
        let get = vec![Op { verb: "get", key: &key, ..Op::default() }];
        let read = self.shared.api.transact(get, Asked::Read, |answer| match answer.outcome() {
            Ok(entries) => match entries.first() {
                Some(entry) if entry.is_folder() => Ok(None),
                Some(entry) => entry.read(name).map(Some),
                // A token that may write and not read is answered with nothing.
                None => Err(error(ErrorKind::PermissionDenied, "the token may not read the key")),
            },
            Err(refusals) if is_missing(&refusals[0].what) => Ok(None),
            Err(refusals) => Err(self.refused(&refusals[0].what, Asked::Read)),
        });
        let found = read.await.and_then(|read| read)?;
        if found.is_none() {
            let key = if is_addressable(&key) { &key } else { &self.shared.prefix };
            self.shared.api.check_rights(key).await?;
        }
        Ok(found)
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        let name = FlagName::new(flag.name())?;
        let key = self.key(name.as_str());
        let (verb, index) = match expect {
            Expect::Any => ("set", None),
            Expect::Absent => ("cas", Some(0)),
            Expect::Matches(version) => ("cas", Some(index_of(version)?)),
            _ => return Err(unknown_expectation()),
        };
        let put = vec![Op { verb, key: &key, value: Some(encode(flag)), index, ..Op::default() }];
        match self.write(put).await {
            Ok(Written::At(index)) => Ok(Version::from_u64(index)),
            Ok(Written::Refused(what)) => Err(self.failed(&what, expect)),
            Ok(_) => Err(no_consul(Asked::Write)),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        let key = self.key(name.as_str());
        let delete = match expect {
            Expect::Any => Op { verb: "delete", key: &key, ..Op::default() },
            Expect::Matches(version) => {
                Op { verb: "delete-cas", key: &key, index: Some(index_of(version)?), ..Op::default() }
            }
            Expect::Absent => {
                let message = "to delete what is expected to be absent makes no sense";
                return Err(error(ErrorKind::InvalidInput, message));
            }
            _ => return Err(unknown_expectation()),
        };
        // Both at once. A deletion alone does not tell whether there was something.
        let get = Op { verb: "get", key: &key, ..Op::default() };
        match self.write(vec![get, delete]).await {
            Ok(Written::At(_) | Written::Unreadable) => Ok(true),
            Ok(Written::Missing) => Ok(false),
            Ok(Written::Refused(what)) => Err(self.failed(&what, expect)),
            Err(error) => Err(error),
        }
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        let listed = async move {
            let shared = &self.shared;
            let read = shared.tree().await;
            let read = read.and_then(|tree| {
                let entries = entries(&tree.body).map_err(|_| no_consul(Asked::Read))?;
                let flags = entries.iter().filter(|entry| !entry.is_folder());
                let names = flags.filter_map(|entry| Some((entry.key.strip_prefix(&*shared.prefix)?, entry)));
                let listed = names.skip(page.offset).take(page.limit.unwrap_or(usize::MAX));
                Ok(listed.map(|(name, entry)| Ok(entry.listed(name))).collect::<Vec<_>>())
            });
            flipper_core::store::iter(read.unwrap_or_else(|error| vec![Err(error)]))
        };
        Box::pin(stream::once_future(listed).flatten())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::CONDITIONAL_WRITES.with_watch(Watching::Pushed)
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        let follow = Follow::new(Arc::clone(&self.shared), self.is_closed.subscribe());
        Some(Box::pin(stream::unfold(follow, async |mut follow| Some((follow.next().await?, follow)))))
    }

    async fn close(&self) -> Result<()> {
        self.is_closed.send_replace(true);
        Ok(())
    }
}

fn index_of(version: &Version) -> Result<u64> {
    // An index of 0 would create; there is no such one.
    version.as_u64().filter(|index| *index > 0).ok_or_else(|| {
        error(ErrorKind::InvalidInput, "the version is of another store: those of Consul are its indexes")
    })
}

fn unknown_expectation() -> Error {
    error(ErrorKind::Unsupported, "an expectation that this store does not know")
}
