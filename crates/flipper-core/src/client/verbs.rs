//! The verbs that change flags.

use super::change::{Change, Current, Plan, Target, client_data};
use super::{FeatureFlag, FeatureFlagClient};
use crate::json::Object;
use crate::{Bucketer, Condition, Error, ErrorKind, Flag, FlagName, Result};

/// # Errors
///
/// All verbs that change a flag fail with
///
/// * [`NotFound`](ErrorKind::NotFound) if there is no such flag, before any event;
/// * [`InvalidInput`](ErrorKind::InvalidInput) for an illegal name, for what the record cannot hold, and in a handler of
///   an event of the same flag;
/// * [`PermissionDenied`](ErrorKind::PermissionDenied) if a handler vetoes, or the store refuses;
/// * [`Conflict`](ErrorKind::Conflict) if others kept changing the flag until the deadline;
/// * [`OutcomeUnknown`](ErrorKind::OutcomeUnknown) if the answer to the write was lost, and reading could not tell
///   whether it has happened; the edit is never made twice. On a store whose versions are the records themselves, a
///   record that somebody has brought back to its bytes of before cannot be told from one that was never written;
/// * [`Unavailable`](ErrorKind::Unavailable) if the store cannot be asked: nothing has changed;
/// * [`Corrupt`](ErrorKind::Corrupt) if the record cannot be read. [`destroy`](Self::destroy) and
///   [`create_or_replace`](Self::create_or_replace) work all the same.
///
/// # Cancellation
///
/// Dropping the future of such a verb leaves it open whether the change happens. If it does, nobody is told by an event.
impl FeatureFlagClient {
    /// Creates a flag, switched off, and returns a handle to it.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if there is a flag of this name, before any event; and those of all
    /// verbs.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, ErrorKind, FeatureFlagClient, Percentage, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let flag = client.create("CHECKOUT").await?;
    /// assert!(!flag.is_enabled(&Context::EMPTY).await);
    /// assert_eq!(client.create("CHECKOUT").await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn create(&self, name: &str) -> Result<FeatureFlag> {
        self.create_with(name, false, Object::default()).await
    }

    /// Creates a flag that is switched on or off, with client data, and returns a handle to it.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create_with("CHECKOUT", true, [("owner", "payments")]).await?;
    /// assert!(client.is_enabled("CHECKOUT", &Context::EMPTY).await);
    /// assert_eq!(client.get_client_data("CHECKOUT").await?["owner"], "payments");
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn create_with(
        &self,
        name: &str,
        is_enabled: bool,
        client_data: impl Into<Object>,
    ) -> Result<FeatureFlag> {
        let client_data = client_data.into();
        let plan = |current: &Current| match current {
            Current::Absent => self.plan_create(name, is_enabled, &client_data).map(Some),
            Current::Flag(_) | Current::Corrupt(_) => {
                Err(Error::new(ErrorKind::AlreadyExists, "there is a flag of this name already"))
            }
        };
        self.edit("create", name, plan).await?;
        Ok(self.get(name))
    }

    /// Creates a flag, or replaces the one that is there by a new one: without its conditions, its bucketer and its
    /// client data. This is what flipper-client's `create` does.
    ///
    /// # Errors
    ///
    /// Those of all verbs, but for `NotFound` and `Corrupt`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create_with("CHECKOUT", false, [("owner", "payments")]).await?;
    /// client.create_or_replace("CHECKOUT", true, [("team", "shop")]).await?;
    /// assert!(client.get_client_data("CHECKOUT").await?.get("owner").is_none());
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn create_or_replace(
        &self,
        name: &str,
        is_enabled: bool,
        client_data: impl Into<Object>,
    ) -> Result<FeatureFlag> {
        let client_data = client_data.into();
        self.edit("create_or_replace", name, |_| self.plan_create(name, is_enabled, &client_data).map(Some))
            .await?;
        Ok(self.get(name))
    }

    fn plan_create(&self, name: &str, is_enabled: bool, client_data: &Object) -> Result<Plan> {
        let mut flag = Flag::new(FlagName::new(name)?, self.inner.clock.exact_now());
        flag.set_enabled(is_enabled)?;
        flag.merge_client_data(client_data)?;
        Ok(Plan::put(flag, vec![Change::Create { is_enabled, client_data: client_data.clone() }]))
    }

    /// Switches a flag on.
    ///
    /// # Errors
    ///
    /// Those of all verbs.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, ErrorKind, FeatureFlagClient, Percentage, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create("CHECKOUT").await?;
    /// client.enable("CHECKOUT").await?;
    /// assert!(client.is_enabled("CHECKOUT", &Context::EMPTY).await);
    /// assert_eq!(client.enable("CHEKCOUT").await.unwrap_err().kind(), ErrorKind::NotFound);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn enable(&self, name: &str) -> Result<()> {
        self.switch("enable", name, true).await
    }

    /// Switches a flag off.
    ///
    /// # Errors
    ///
    /// Those of all verbs.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create_with("CHECKOUT", true, [("owner", "payments")]).await?;
    /// client.disable("CHECKOUT").await?;
    /// assert!(!client.is_enabled("CHECKOUT", &Context::EMPTY).await);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn disable(&self, name: &str) -> Result<()> {
        self.switch("disable", name, false).await
    }

    async fn switch(&self, operation: &'static str, name: &str, is_on: bool) -> Result<()> {
        let edit = |flag: &mut Flag| {
            flag.set_enabled(is_on)?;
            Ok(Change::switched(is_on))
        };
        self.edit_flag(operation, name, edit).await
    }

    /// Deletes a flag.
    ///
    /// # Errors
    ///
    /// Those of all verbs, but for `Corrupt`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create("CHECKOUT").await?;
    /// client.destroy("CHECKOUT").await?;
    /// assert!(!client.exists("CHECKOUT").await?);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn destroy(&self, name: &str) -> Result<()> {
        let plan = |current: &Current| match current {
            Current::Absent => current.flag().map(|_| None),
            Current::Flag(_) | Current::Corrupt(_) => {
                Ok(Some(Plan { target: Target::Delete, changes: vec![Change::Destroy] }))
            }
        };
        self.edit("destroy", name, plan).await.map(drop)
    }

    /// Merges data into what applications have stored with a flag.
    ///
    /// The merge is shallow: a key that is there gets the new value whole; no key is removed. The event carries all
    /// data as they are after the merge.
    ///
    /// # Errors
    ///
    /// Those of all verbs.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create_with("CHECKOUT", false, [("owner", "payments")]).await?;
    /// client.set_client_data("CHECKOUT", [("ticket", "SHOP-7")]).await?;
    /// assert_eq!(client.get_client_data("CHECKOUT").await?.len(), 2);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn set_client_data(&self, name: &str, data: impl Into<Object>) -> Result<()> {
        let data = data.into();
        let edit = |flag: &mut Flag| {
            flag.merge_client_data(&data)?;
            Ok(Change::SetClientData(client_data(flag)))
        };
        self.edit_flag("set_client_data", name, edit).await
    }

    /// Adds a condition to a flag, after those that it has.
    ///
    /// # Errors
    ///
    /// Those of all verbs.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, ErrorKind, FeatureFlagClient, Percentage, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create("CHECKOUT").await?.enable().await?;
    /// client.add_condition("CHECKOUT", &Condition::builder().eq("plan", "gold").build()?).await?;
    /// assert!(client.is_enabled("CHECKOUT", &ctx! { plan: "gold" }).await);
    /// assert!(!client.is_enabled("CHECKOUT", &ctx! { plan: "lead" }).await);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn add_condition(&self, name: &str, condition: &Condition) -> Result<()> {
        let edit = |flag: &mut Flag| {
            flag.add_condition(condition)?;
            Ok(Change::AddCondition(condition.clone()))
        };
        self.edit_flag("add_condition", name, edit).await
    }

    /// Replaces all conditions of a flag.
    ///
    /// # Errors
    ///
    /// Those of all verbs.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, ErrorKind, FeatureFlagClient, Percentage, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create("CHECKOUT").await?.enable().await?;
    /// let gold = Condition::builder().eq("plan", "gold").build()?;
    /// client.set_conditions("CHECKOUT", &[gold]).await?;
    /// // For all, again.
    /// client.set_conditions("CHECKOUT", &[]).await?;
    /// assert!(client.is_enabled("CHECKOUT", &ctx! { plan: "lead" }).await);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn set_conditions(&self, name: &str, conditions: &[Condition]) -> Result<()> {
        let edit = |flag: &mut Flag| {
            flag.set_conditions(conditions)?;
            Ok(Change::SetConditions(conditions.to_vec()))
        };
        self.edit_flag("set_conditions", name, edit).await
    }

    /// Replaces the bucketer of a flag.
    ///
    /// # Errors
    ///
    /// Those of all verbs.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, ErrorKind, FeatureFlagClient, Percentage, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create("CHECKOUT").await?.enable().await?;
    /// // A tenth of the users, always the same ones.
    /// let tenth = Bucketer::consistent_hash(Percentage::new(0.1)?, ["user_id"]);
    /// client.set_bucketer("CHECKOUT", &tenth).await?;
    /// let users = 0..1_000;
    /// let mut on = 0;
    /// for user_id in users {
    ///     on += u32::from(client.is_enabled("CHECKOUT", &ctx! { user_id: user_id }).await);
    /// }
    /// assert!((50..150).contains(&on));
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn set_bucketer(&self, name: &str, bucketer: &Bucketer) -> Result<()> {
        let edit = |flag: &mut Flag| {
            flag.set_bucketer(bucketer)?;
            Ok(Change::SetBucketer(bucketer.clone()))
        };
        self.edit_flag("set_bucketer", name, edit).await
    }

    /// Edits a flag in several ways by one write.
    ///
    /// `edit` may be called several times, each time with the flag as it is then; only the last result is written. Each
    /// aspect that it changes (the switch, conditions, client data, the bucketer) is announced by its pair of events. A change of
    /// something else in the record is announced as one of the client data; if nothing changes, nothing is written.
    ///
    /// # Errors
    ///
    /// Those of all verbs, and those of `edit`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// use flipper_core::{Bucketer, Context, Percentage};
    ///
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create("X").await?;
    /// client
    ///     .update("X", |flag| {
    ///         flag.set_bucketer(&Bucketer::percentage(Percentage::new(1.0)?))?;
    ///         flag.set_enabled(true)
    ///     })
    ///     .await?;
    /// assert!(client.is_enabled("X", &Context::EMPTY).await);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn update<E>(&self, name: &str, mut edit: E) -> Result<()>
    where
        E: FnMut(&mut Flag) -> Result<()> + Send,
    {
        let plan = move |current: &Current| {
            let before = current.flag()?;
            let mut after = before.clone();
            edit(&mut after)?;
            if after.name() != before.name() {
                return Err(Error::invalid(format!(
                    "an edit cannot put the flag {:?} in its place",
                    after.name()
                )));
            }
            let changes = Change::between(before, &after);
            Ok((!changes.is_empty()).then(|| Plan::put(after, changes)))
        };
        self.edit("update", name, plan).await.map(drop)
    }

    /// Edits a flag that is there in one way.
    async fn edit_flag<E>(&self, operation: &'static str, name: &str, edit: E) -> Result<()>
    where
        E: Fn(&mut Flag) -> Result<Change> + Send + Sync,
    {
        let plan = |current: &Current| {
            let mut flag = current.flag()?.clone();
            let change = edit(&mut flag)?;
            Ok(Some(Plan::put(flag, vec![change])))
        };
        self.edit(operation, name, plan).await.map(drop)
    }
}
