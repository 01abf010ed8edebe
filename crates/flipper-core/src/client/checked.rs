//! What is told of each check, to those who want to know.

use super::Inner;
use crate::{Context, Error, Evaluation, Freshness, Reason, Result};

/// Whom checks are told to.
pub(super) type OnCheck = Box<dyn Fn(&Checked<'_>) + Send + Sync>;

/// One check of a flag, as [`ClientBuilder::on_check`](super::ClientBuilder::on_check) tells it.
///
/// # Examples
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use std::sync::{Arc, Mutex};
/// use flipper_core::{Checked, FeatureFlagClient, Reason, ctx};
///
/// # futures_lite::future::block_on(async {
/// let absent = Arc::new(Mutex::new(Vec::new()));
/// let list = Arc::clone(&absent);
/// let note_absent = move |check: &Checked<'_>| {
///     if check.outcome.is_ok_and(|evaluation| evaluation.reason == Reason::NotFound) {
///         list.lock().unwrap().push(check.flag.to_owned());
///     }
/// };
/// let client = FeatureFlagClient::builder(MemoryStore::new()).on_check(note_absent).build();
/// client.is_enabled("CHEKCOUT", &ctx! {}).await;
/// assert_eq!(*absent.lock().unwrap(), ["CHEKCOUT"]);
/// # });
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Checked<'a> {
    /// The name that was asked for, whether there is such a flag or not.
    pub flag: &'a str,
    /// The context that it was asked for.
    pub context: Context<'a>,
    /// What counts if there is no such flag, or if nobody can tell.
    pub default: bool,
    /// The answer and what decided it, or why the store could not be asked.
    pub outcome: Result<Evaluation, &'a Error>,
}

impl Checked<'_> {
    /// Returns the answer that the caller gets: the default, if the store could not be asked.
    pub fn value(&self) -> bool {
        self.outcome.map_or(self.default, |evaluation| evaluation.value)
    }
}

impl Inner {
    #[inline]
    pub(super) fn tell(
        &self,
        flag: &str,
        context: &Context<'_>,
        default: bool,
        outcome: Result<Evaluation, &Error>,
    ) {
        if let Some(on_check) = &self.on_check {
            on_check(&Checked { flag, context: *context, default, outcome });
        }
    }

    /// Tells of a flag that is not there.
    #[inline]
    pub(super) fn tell_absent(
        &self,
        flag: &str,
        context: &Context<'_>,
        default: bool,
        freshness: impl FnOnce() -> Freshness,
    ) {
        if self.on_check.is_some() {
            let evaluation = Evaluation::new(default, Reason::NotFound, freshness());
            self.tell(flag, context, default, Ok(evaluation));
        }
    }
}
