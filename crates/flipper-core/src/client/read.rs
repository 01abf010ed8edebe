//! Checks and reads.

use std::sync::atomic::Ordering;

use serde_json::{Map, Value};

use super::change::client_data;
use super::edit::is_of_a_record;
use super::local::Found;
use super::{FeatureFlag, FeatureFlagClient, Listing, When};
use crate::store::{Page, Peek, Versioned};
use crate::{Context, Error, ErrorKind, Evaluation, Explanation, Flag, FlagName, Freshness, Reason, Result};

impl FeatureFlagClient {
    /// Returns whether a flag is on for a context; off if there is no such flag.
    ///
    /// This never fails: if the store cannot be asked, the flag cannot be read or the name is illegal, the answer is
    /// off, a warning is logged (target `flipper::checks`) and [`failed_checks`](Self::failed_checks) counts. Use
    /// [`is_enabled_or`](Self::is_enabled_or) where off is not the safe side, and
    /// [`try_is_enabled`](Self::try_is_enabled) to see the error.
    ///
    /// On a store that has its flags in memory, the future is ready at once, and nothing is allocated. Any other takes as
    /// long as the store's own time limit for a read at most.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create("CHECKOUT").await?.enable().await?;
    /// assert!(client.is_enabled("CHECKOUT", &ctx! { user_id: 7 }).await);
    /// assert!(!client.is_enabled("CHEKCOUT", &ctx! { user_id: 7 }).await);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn is_enabled(&self, name: &str, context: &Context<'_>) -> bool {
        self.is_enabled_or(name, context, false).await
    }

    /// Returns whether a flag is on for a context, or `default` if there is no such flag or nobody can tell. Else as
    /// [`is_enabled`](Self::is_enabled).
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// // Where nobody has created it yet, the old behaviour goes on.
    /// assert!(client.is_enabled_or("OLD_CHECKOUT", &Context::EMPTY, true).await);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn is_enabled_or(&self, name: &str, context: &Context<'_>, default: bool) -> bool {
        if let Some(value) = self.peek_value(name, context, default) {
            return value;
        }
        // On the heap, so that the future of a check that need not wait stays small.
        match Box::pin(self.ask(name, context, default)).await {
            Ok(evaluation) => evaluation.value,
            Err(error) => {
                self.inner.failed_checks.fetch_add(1, Ordering::Relaxed);
                log::warn!(target: "flipper::checks", "{name:?} could not be checked, and is {default} by default: {error}");
                default
            }
        }
    }

    /// Returns whether a flag is on for a context; off if there is no such flag.
    ///
    /// # Errors
    ///
    /// Those of the store, and [`InvalidInput`](ErrorKind::InvalidInput) for an illegal name.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, ErrorKind, FeatureFlagClient, Percentage, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// assert!(!client.try_is_enabled("CHECKOUT", &Context::EMPTY).await?);
    /// let error = client.try_is_enabled("not\nlegal", &Context::EMPTY).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn try_is_enabled(&self, name: &str, context: &Context<'_>) -> Result<bool> {
        self.evaluate(name, context, false).await.map(|evaluation| evaluation.value)
    }

    /// Returns whether a flag is on for a context, what decided it, and how old the flag is that was asked. `default`
    /// is the answer if there is no such flag, or if it depends on what this version does not know.
    ///
    /// # Errors
    ///
    /// As [`try_is_enabled`](Self::try_is_enabled).
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// use flipper_core::{Freshness, Reason};
    ///
    /// client.create("CHECKOUT").await?.enable().await?;
    /// let evaluation = client.evaluate("CHECKOUT", &Context::EMPTY, false).await?;
    /// assert_eq!((evaluation.value, evaluation.reason), (true, Reason::Enabled));
    /// assert_eq!(evaluation.freshness, Freshness::Live);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn evaluate(&self, name: &str, context: &Context<'_>, default: bool) -> Result<Evaluation> {
        match self.peek(name, context, default) {
            Some(evaluation) => Ok(evaluation),
            None => Box::pin(self.ask(name, context, default)).await,
        }
    }

    /// Explains whether a flag is on for a context, step by step.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no such flag, else as [`try_is_enabled`](Self::try_is_enabled).
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
    /// let explanation = client.explain("CHECKOUT", &ctx! { plan: "lead" }).await?;
    /// assert!(explanation.to_string().contains("plan == \"gold\": failed, plan is \"lead\""));
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn explain(&self, name: &str, context: &Context<'_>) -> Result<Explanation> {
        let flag = self.read("explain", name).await?.value;
        Ok(self.inner.evaluator().explain(&flag, context, false))
    }

    /// Runs one of two closures, by whether a flag is on for a context: see [`When`].
    pub fn when<'c>(&'c self, name: &'c str, context: &'c Context<'c>) -> When<'c> {
        When::new(self, name, context)
    }

    /// Returns a handle to a flag, whether there is one or not.
    pub fn get(&self, name: &str) -> FeatureFlag {
        FeatureFlag::new(self.clone(), name)
    }

    /// Returns whether there is a flag of a name. One that cannot be read is there.
    ///
    /// # Errors
    ///
    /// As [`try_is_enabled`](Self::try_is_enabled).
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create("CHECKOUT").await?;
    /// assert!(client.exists("CHECKOUT").await? && !client.exists("CHEKCOUT").await?);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn exists(&self, name: &str) -> Result<bool> {
        let found = match FlagName::new(name) {
            Ok(name) => self.inner.store.get(name).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => Ok(found.is_some()),
            Err(error) if is_of_a_record(&error) => Ok(true),
            Err(error) => Err(error.or_operation("exists").or_flag(name)),
        }
    }

    /// Lists the flags of the store, in its own order: at most `limit`, after passing over `offset`.
    ///
    /// A flag that cannot be read is an error of kind [`Corrupt`](ErrorKind::Corrupt) in its place, and the listing
    /// goes on. Any other error is the last item, and means that the listing is incomplete.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// for name in ["A", "B", "C"] {
    ///     client.create(name).await?;
    /// }
    /// let mut flags = client.list(Some(2), 1);
    /// let mut names = Vec::new();
    /// while let Some(flag) = flags.next().await {
    ///     names.push(flag?.name().to_owned());
    /// }
    /// assert_eq!(names, ["B", "C"]);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn list(&self, limit: Option<usize>, offset: usize) -> Listing<'_> {
        Listing::new(self, Page { limit, offset })
    }

    /// Returns what applications have stored with a flag.
    ///
    /// What [`serde_json`] cannot hold is converted: see [`json::Value`](crate::json::Value). [`flag`](Self::flag)
    /// gives it as it is stored.
    ///
    /// # Errors
    ///
    /// As [`explain`](Self::explain).
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create_with("CHECKOUT", false, [("owner", "payments")]).await?;
    /// assert_eq!(client.get_client_data("CHECKOUT").await?["owner"], "payments");
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn get_client_data(&self, name: &str) -> Result<Map<String, Value>> {
        let flag = self.read("get_client_data", name).await?.value;
        Ok((&client_data(&flag)).into())
    }

    /// Returns all metadata of a flag: client data, date of creation, conditions and bucketer.
    ///
    /// # Errors
    ///
    /// As [`explain`](Self::explain).
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create("CHECKOUT").await?;
    /// let meta = client.get_meta("CHECKOUT").await?;
    /// assert!(meta["created_date"].is_i64());
    /// assert_eq!(meta["bucketer"]["type"], "NoOpBucketer");
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn get_meta(&self, name: &str) -> Result<Value> {
        Ok((&self.read("get_meta", name).await?.value.meta()).into())
    }

    /// Returns a flag as it is stored.
    ///
    /// # Errors
    ///
    /// As [`explain`](Self::explain).
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create("CHECKOUT").await?;
    /// assert!(client.flag("CHECKOUT").await?.as_json().starts_with("{\"feature_name\": \"CHECKOUT\""));
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub async fn flag(&self, name: &str) -> Result<Flag> {
        Ok(self.read("flag", name).await?.value)
    }

    /// Returns how many checks this client and its clones could not ask the store for.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.is_enabled("not\nlegal", &Context::EMPTY).await;
    /// assert_eq!(client.failed_checks(), 1);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn failed_checks(&self) -> u64 {
        self.inner.failed_checks.load(Ordering::Relaxed)
    }

    /// Checks what the store has in memory; `None` if it has to be asked.
    #[inline]
    fn peek_value(&self, name: &str, context: &Context<'_>, default: bool) -> Option<bool> {
        let Some(snapshot) = &self.inner.snapshot else {
            return self.peek(name, context, default).map(|evaluation| evaluation.value);
        };
        match self.inner.check(snapshot, snapshot.hash(name), name, context, default) {
            found @ (Found::Off | Found::On) => Some(found == Found::On),
            Found::Absent => FlagName::new(name).is_ok().then(|| {
                self.inner.tell_absent(name, context, default, || snapshot.freshness_of(name));
                default
            }),
            Found::NeverLoaded => None,
        }
    }

    /// Evaluates what the store has in memory; `None` if it has to be asked.
    fn peek(&self, name: &str, context: &Context<'_>, default: bool) -> Option<Evaluation> {
        let evaluation = self.peek_evaluation(name, context, default)?;
        self.inner.tell(name, context, default, Ok(evaluation));
        Some(evaluation)
    }

    fn peek_evaluation(&self, name: &str, context: &Context<'_>, default: bool) -> Option<Evaluation> {
        if let Some(snapshot) = &self.inner.snapshot {
            let found = self.inner.evaluate(snapshot, snapshot.hash(name), name, context, default);
            return found.map_or_else(|freshness| absent(name, default, freshness), Some);
        }
        let mut seen = None;
        self.inner.store.peek(name, &mut |peek| {
            seen = match peek {
                Peek::Hit { flag, freshness } => {
                    Some(Evaluation { freshness, ..self.inner.evaluator().evaluate(flag, context, default) })
                }
                Peek::KnownAbsent { freshness } => absent(name, default, freshness),
                Peek::Ask => None,
            };
        });
        seen
    }

    async fn ask(&self, name: &str, context: &Context<'_>, default: bool) -> Result<Evaluation> {
        let evaluation = self.ask_store(name, context, default).await;
        self.inner.tell(name, context, default, evaluation.as_ref().copied());
        evaluation
    }

    async fn ask_store(&self, name: &str, context: &Context<'_>, default: bool) -> Result<Evaluation> {
        let known = match FlagName::new(name) {
            Ok(name) => self.inner.store.look_up(name).await,
            Err(error) => Err(error),
        };
        let known = known.map_err(|error| error.or_operation("check").or_flag(name))?;
        Ok(match known.flag {
            Some(flag) => {
                let evaluation = self.inner.evaluator().evaluate(&flag, context, default);
                Evaluation { freshness: known.freshness, ..evaluation }
            }
            None => Evaluation::new(default, Reason::NotFound, known.freshness),
        })
    }

    async fn find(&self, operation: &'static str, name: &str) -> Result<Option<Versioned<Flag>>> {
        let found = match FlagName::new(name) {
            Ok(name) => self.inner.store.get(name).await,
            Err(error) => Err(error),
        };
        found.map_err(|error| error.or_operation(operation).or_flag(name))
    }

    async fn read(&self, operation: &'static str, name: &str) -> Result<Versioned<Flag>> {
        self.find(operation, name).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "there is no such flag").with_operation(operation).with_flag(name)
        })
    }
}

/// The answer for a flag that memory does not have; `None` if the store has to be asked.
#[cold]
fn absent(name: &str, default: bool, freshness: Freshness) -> Option<Evaluation> {
    // An illegal name is no flag that is not there: asking says so.
    let is_known = freshness != Freshness::NeverLoaded && FlagName::new(name).is_ok();
    is_known.then(|| Evaluation::new(default, Reason::NotFound, freshness))
}
