//! What is done with the replicas of a store, apart from writing to them.

use std::sync::Arc;
use std::time::Duration;

use flipper_core::{Error, ErrorKind, Expect, FlagName, Listed, Page, Result, Store};
use flipper_follow::ended;
use futures_lite::StreamExt;

use crate::builder::LONGEST;
use crate::compare::{Extra, compare, repair};
use crate::replica::{Change, Replica};
use crate::status::{Difference, ReplicaFailure};
use crate::store::{ReplicatedStore, error};
use crate::tell::Trouble;

impl<P: Store> ReplicatedStore<P> {
    /// Waits until all replicas have what was written to a flag so far, for so long at the most; returns those that have not, and why.
    ///
    /// They are told all the same, as soon as that can be done.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// # use flipper_replicated::ReplicatedStore;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
    /// # let store = ReplicatedStore::builder(MemoryStore::new()).replica("copy", MemoryStore::new()).start()?;
    /// let store = Arc::new(store);
    /// let client = FeatureFlagClient::new(Arc::clone(&store));
    /// client.create("X").await?;
    /// for failure in store.wait_for("X", Duration::from_secs(1)).await {
    ///     eprintln!("{failure}");
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn wait_for(&self, name: &str, limit: Duration) -> Vec<ReplicaFailure> {
        self.settled(Some(name), &self.changes(), limit).await
    }

    /// Waits until all replicas have everything that was written so far, for so long at the most; returns those that have not, and why.
    pub async fn flush(&self, limit: Duration) -> Vec<ReplicaFailure> {
        self.settled(None, &self.changes(), limit).await
    }

    fn changes(&self) -> Vec<u64> {
        self.replicas.iter().map(|replica| replica.changes()).collect()
    }

    pub(crate) async fn settled(
        &self,
        name: Option<&str>,
        numbers: &[u64],
        limit: Duration,
    ) -> Vec<ReplicaFailure> {
        self.run();
        self.each(limit, |replica, at| replica.wait(Change { name, number: numbers[at] }, false)).await
    }

    /// Waits for all replicas at the same time.
    async fn each<'s, F>(
        &'s self,
        limit: Duration,
        wait: impl Fn(&'s Replica, usize) -> F,
    ) -> Vec<ReplicaFailure>
    where
        F: Future<Output = std::result::Result<(), Error>> + Send,
    {
        let limit = limit.min(LONGEST);
        let until = tokio::time::Instant::now() + limit;
        let mut waits: Vec<_> = Vec::new();
        for (at, replica) in self.replicas.iter().enumerate() {
            waits.push((replica, Box::pin(wait(replica, at)), None));
        }
        // All have begun to wait before the first one is waited for.
        for (_, wait, done) in &mut waits {
            *done = futures_lite::future::poll_once(wait.as_mut()).await;
        }
        let mut failures = Vec::new();
        for (replica, wait, done) in waits {
            let told = match done {
                Some(told) => told,
                None => {
                    tokio::time::timeout_at(until, wait).await.unwrap_or_else(|_| Err(replica.late(limit)))
                }
            };
            if let Err(error) = told {
                failures.push(ReplicaFailure { replica: replica.name.clone(), error });
            }
        }
        failures
    }

    /// Compares a replica with the primary, and returns what differs: all flags are listed in both, and those that differ are read once more.
    ///
    /// What the replica has yet to be told differs, too: [`flush`](Self::flush) before.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no such replica; those of the stores.
    pub async fn verify(&self, replica: &str) -> Result<Vec<Difference>> {
        let compared = compare(&*self.primary, self.named(replica)?).await;
        compared.map_err(|error| error.with_operation("verify"))
    }

    /// Makes a replica what the primary is, and returns what differed.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no such replica; [`Conflict`](ErrorKind::Conflict) if the primary has no flags at all and the replica
    /// has several, as after it has lost its data, or is being restored: see [`restore`](Self::restore). [`NotReplicated`](ErrorKind::NotReplicated) if the replica could
    /// not be told, or refuses some of it: what can be told is, in the background. Those of the stores.
    pub async fn resync(&self, replica: &str) -> Result<Vec<Difference>> {
        let replica = self.named(replica)?;
        self.run();
        let at = |error: Error| error.with_operation("resync");
        let differences = match repair(&*self.primary, replica, Extra::Deleted).await {
            Ok(differences) => differences,
            Err(Trouble::Again(error) | Trouble::Later(error) | Trouble::Never(error)) => {
                return Err(at(error));
            }
        };
        // By the task that tells everything else, so that nothing older is told after something newer.
        let told = replica.wait(Change { name: None, number: replica.changes() }, true).await;
        told.map_err(|cause| {
            let message = format!("replica {:?} does not have all of it: {cause}", replica.name);
            at(error(ErrorKind::NotReplicated, message).with_source(cause))
        })?;
        Ok(differences)
    }

    /// Gives the primary the flags of a replica that it lacks, and returns their names: after it has lost its data. What the primary has stays as
    /// it is; what the replica has yet to be told of, or has refused, is left out.
    ///
    /// Meanwhile, and after that if it has failed or its future was dropped, no replica loses a flag because the primary does not have it.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no such replica; those of the stores, after which a part may be done.
    pub async fn restore(&self, replica: &str) -> Result<Vec<String>> {
        let replica = self.named(replica)?;
        let mut restore = Restore::begin(&self.replicas);
        let restored = self.restore_from(replica).await.map_err(|error| error.with_operation("restore"));
        restore.is_done = restored.is_ok();
        restored
    }

    async fn restore_from(&self, replica: &Replica) -> Result<Vec<String>> {
        let mut restored = Vec::new();
        let mut listing = replica.store.list(Page::ALL);
        while let Some(listed) = listing.next().await {
            match listed? {
                Listed::Flag(found) => {
                    let name = FlagName::new(found.value.name())?;
                    // It may have been deleted since, and what it has yet to be told may be that.
                    if replica.lacks(name.as_str()) {
                        continue;
                    }
                    let Some(copy) = replica.store.get(name).await? else { continue };
                    match self.write(&copy.value, Expect::Absent).await {
                        Ok(_) => restored.push(name.as_str().to_owned()),
                        Err(error) if error.kind() == ErrorKind::Conflict => {}
                        Err(error) => return Err(error),
                    }
                }
                Listed::Bad { name, error, .. } => {
                    log::warn!(target: "flipper::replicated", "{name:?} is not restored: {error}");
                }
                _ => {}
            }
        }
        Ok(restored)
    }

    /// Waits until the replicas have everything, for so long at the most, ends what runs in the background, and returns which of them lack what. The
    /// stores stay open.
    ///
    /// Replicas that lack something have to be [resynced](Self::resync) when the store is started anew.
    pub async fn shutdown(&self, limit: Duration) -> Vec<ReplicaFailure> {
        let until = tokio::time::Instant::now() + limit.min(LONGEST);
        let mut late = self.flush(limit).await;
        // Others may go on writing for ever.
        if let Some(following) = self.end_following() {
            ended(following).await;
        }
        // What was written meanwhile is waited for as well.
        while late.is_empty() && !self.left().is_empty() && tokio::time::Instant::now() < until {
            late = self.flush(until - tokio::time::Instant::now()).await;
        }
        for task in self.end() {
            ended(task).await;
        }
        let left = self.left();
        for (replica, _) in &left {
            if !late.iter().any(|failure| failure.replica == *replica) {
                let error = error(ErrorKind::NotReplicated, "written too late to be told".to_owned());
                late.push(ReplicaFailure { replica: replica.clone(), error });
            }
        }
        // What was refused is told as it is, and what was late with what it is about.
        let of = |failure: ReplicaFailure| {
            let about = left.iter().find(|(replica, _)| *replica == failure.replica);
            match about {
                Some((_, what)) => ReplicaFailure {
                    error: failure.error.map_message(|message| format!("{what}: {message}")),
                    ..failure
                },
                None => failure,
            }
        };
        late.into_iter().map(of).collect()
    }

    /// What replicas have yet to be told.
    pub(crate) fn left(&self) -> Vec<(String, String)> {
        let incomplete = self.replicas.iter().filter(|replica| !replica.is_complete());
        incomplete.map(|replica| (replica.name.clone(), left(replica))).collect()
    }
}

/// A restore that is under way.
struct Restore<'r> {
    replicas: &'r [Arc<Replica>],
    is_done: bool,
}

impl<'r> Restore<'r> {
    fn begin(replicas: &'r [Arc<Replica>]) -> Self {
        for replica in replicas {
            replica.begin_restore();
        }
        Self { replicas, is_done: false }
    }
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        for replica in self.replicas {
            replica.end_restore(self.is_done);
        }
    }
}

/// How many names of flags an error shows.
const SHOWN: usize = 5;

/// What a replica has yet to be told, in words.
fn left(replica: &Replica) -> String {
    let (names, everything) = replica.left();
    if everything {
        return "everything is to be compared".to_owned();
    }
    let more = names.len().saturating_sub(SHOWN);
    let mut shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    match names.len() {
        0 => "some of it was refused".to_owned(),
        count => format!("{count} changes were not told, of {}", shown.join(", ")),
    }
}
