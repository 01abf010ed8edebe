//! What is told of each check, to those who want to know.

use std::fmt;

use super::Inner;
use super::local::Found;
use crate::evaluate::{Decision, UNSUPPORTED, decide, in_or_out, run_hash};
use crate::snapshot::{Bucket, Seed, State, Verdict};
use crate::{Context, Error, Evaluation, Freshness, Reason, Result, Semantics, Snapshot};

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
    /// A hash of the name, always the same for one client and its clones, and not to be foreseen by others: to find what
    /// is kept of a flag without hashing its name once more. Other clients have other hashes.
    pub key: u64,
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

/// Whom checks are told to, and what makes keys of names where no snapshot does.
pub(super) struct OnCheck {
    tell: Box<dyn Fn(&Checked<'_>) + Send + Sync>,
    seed: Seed,
}

impl OnCheck {
    pub(super) fn new(tell: impl Fn(&Checked<'_>) + Send + Sync + 'static) -> Self {
        Self { tell: Box::new(tell), seed: Seed::random() }
    }

    /// Tells another one as well, after this one.
    pub(super) fn and(self, other: impl Fn(&Checked<'_>) + Send + Sync + 'static) -> Self {
        Self::new(move |check| {
            (self.tell)(check);
            other(check);
        })
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
            let key = match &self.snapshot {
                Some(snapshot) => snapshot.hash(flag),
                None => on_check.seed.hash(flag.as_bytes()),
            };
            (on_check.tell)(&Checked { flag, key, context: *context, default, outcome });
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

    /// Checks by other semantics than the documented ones, or for somebody who is told what decides. What is absent is
    /// for the caller to tell.
    #[inline(never)]
    pub(super) fn check_in_full(
        &self,
        snapshot: &Snapshot,
        hash: u64,
        flag: &str,
        context: &Context<'_>,
        default: bool,
    ) -> Found {
        let look = |found: Option<&Bucket>, state: &State| match found {
            Some(bucket) => Ok((self.decide_bucket(bucket, context), state.freshness_of(flag))),
            None if state.freshness == Freshness::NeverLoaded => Err(Found::NeverLoaded),
            None => Err(Found::Absent),
        };
        let found = snapshot.find_again(hash, flag, look).unwrap_or_else(|| snapshot.find(hash, flag, look));
        let (decision, freshness) = match found {
            Ok(found) => found,
            Err(found) => return found,
        };
        let value = decision.value.unwrap_or(default);
        // Not while the snapshot is looked at: who is told may check and edit.
        if let Some(on_check) = &self.on_check {
            let outcome = Ok(Evaluation::new(value, decision.reason, freshness));
            (on_check.tell)(&Checked { flag, key: hash, context: *context, default, outcome });
        }
        if value { Found::On } else { Found::Off }
    }

    /// Decides by the verdict that is known of a flag, where that tells the reason as well.
    #[inline(always)]
    fn decide_bucket(&self, bucket: &Bucket, context: &Context<'_>) -> Decision {
        let evaluator = self.evaluator();
        let flag = &bucket.record().value;
        if self.semantics != Semantics::Documented {
            return evaluator.decide(flag, *context);
        }
        match bucket.verdict() {
            Verdict::Off => decide(false, Reason::Disabled),
            Verdict::On => decide(true, Reason::Enabled),
            Verdict::Share => in_or_out(evaluator.draws(bucket.share())),
            Verdict::Test => evaluator.decide_test(bucket.program(), flag, *context),
            Verdict::Hash => run_hash(bucket.program(), *context).map_or(UNSUPPORTED, in_or_out),
            Verdict::Rules => evaluator.decide(flag, *context),
        }
    }
}

impl fmt::Debug for OnCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnCheck")
    }
}
