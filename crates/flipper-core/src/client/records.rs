//! Whole records, as stores know them, with the events of the client.

use super::FeatureFlagClient;
use super::change::{Change, Current, Plan, Target, client_data};
use crate::store::{Expect, Version};
use crate::{Error, ErrorKind, Flag, Result};

/// # Whole records
///
/// For those who serve a store to others, or move flags from one store to another: what [`Store`](crate::Store) does, with events, in
/// turn with all other edits of this client, and with the care that is taken of lost answers.
impl FeatureFlagClient {
    /// Writes a flag's record as it is, if the expectation holds, and returns the version that it has then.
    ///
    /// A flag that was not there, or could not be read, is announced as created; another one by the events of what differs. A record that is
    /// there already, byte for byte, is not written again.
    ///
    /// # Errors
    ///
    /// [`Conflict`](ErrorKind::Conflict) at once if the expectation does not hold; with [`Expect::Any`], if others kept changing the flag until
    /// the deadline. Otherwise those of all verbs, but for `NotFound` and `Corrupt`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// use flipper_core::{ErrorKind, Expect, Flag, FlagName, Timestamp};
    ///
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let flag = Flag::new(FlagName::new("X")?, Timestamp::now());
    /// client.put(&flag, Expect::Absent).await?;
    /// let error = client.put(&flag, Expect::Absent).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Conflict);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        let mut kept = None;
        let plan = |current: &Current| {
            expected(current, expect)?;
            let changes = match current {
                Current::Flag(found) if found.value.as_json() == flag.as_json() => {
                    kept = Some(found.version.clone());
                    return Ok(None);
                }
                Current::Flag(found) => Change::between(&found.value, flag),
                Current::Absent | Current::Corrupt(_) => {
                    vec![Change::Create { is_enabled: flag.is_switched_on(), client_data: client_data(flag) }]
                }
            };
            Ok(Some(Plan::put(flag.clone(), changes)))
        };
        let written = self.edit("put", flag.name(), plan).await?;
        written.or(kept).ok_or_else(|| Error::new(ErrorKind::Internal, "a write without a version"))
    }

    /// Deletes a flag's record if the expectation holds, and returns whether there was one.
    ///
    /// [`Expect::Matches`] on a flag that is not there is `Ok(false)`.
    ///
    /// # Errors
    ///
    /// [`Conflict`](ErrorKind::Conflict) as with [`put`](Self::put); [`InvalidInput`](ErrorKind::InvalidInput) for [`Expect::Absent`].
    /// Otherwise those of all verbs, but for `NotFound` and `Corrupt`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// use flipper_core::Expect;
    ///
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create("X").await?;
    /// assert!(client.delete("X", Expect::Any).await?);
    /// assert!(!client.delete("X", Expect::Any).await?);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn delete(&self, name: &str, expect: Expect<'_>) -> Result<bool> {
        let mut was_there = true;
        let plan = |current: &Current| match (current, expect) {
            (_, Expect::Absent) => {
                Err(Error::invalid("a flag that is to be deleted cannot be expected to be absent"))
            }
            (Current::Absent, _) => {
                was_there = false;
                Ok(None)
            }
            (Current::Flag(_) | Current::Corrupt(_), _) => {
                expected(current, expect)?;
                Ok(Some(Plan { target: Target::Delete, changes: vec![Change::Destroy] }))
            }
        };
        self.edit("delete", name, plan).await?;
        Ok(was_there)
    }
}

fn expected(current: &Current, expect: Expect<'_>) -> Result<()> {
    let holds = match expect {
        Expect::Any => true,
        Expect::Absent => matches!(current, Current::Absent),
        Expect::Matches(version) => current.version() == Some(version),
    };
    if holds { Ok(()) } else { Err(Error::new(ErrorKind::Conflict, "the flag is not in the expected state")) }
}
