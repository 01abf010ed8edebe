//! What is told of each check, to those who want to know.

use super::Inner;
use super::local::Found;
use crate::evaluate::{Decision, UNSUPPORTED, decide, in_or_out, run_hash};
use crate::meter::{Kind, ThreadCounts};
use crate::snapshot::{Bucket, State, Verdict};
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

/// Whom checks are told to.
pub(super) type OnCheck = Box<dyn Fn(&Checked<'_>) + Send + Sync>;

/// What a check in memory needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// A verdict is all: the semantics are the documented ones, and nobody is told.
    Verdict,
    /// The same, and it is counted.
    Count,
    /// What has decided.
    Reason,
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
        if self.is_told() {
            let key = match &self.snapshot {
                Some(snapshot) => snapshot.hash(flag),
                None => self.seed.hash(flag.as_bytes()),
            };
            self.tell_hashed(key, flag, context, default, outcome);
        }
    }

    #[inline(never)]
    fn tell_hashed(
        &self,
        key: u64,
        flag: &str,
        context: &Context<'_>,
        default: bool,
        outcome: Result<Evaluation, &Error>,
    ) {
        if let Some(meter) = &self.meter {
            meter.count(key, flag, Kind::of_outcome(&outcome, default));
        }
        if let Some(on_check) = &self.on_check {
            on_check(&Checked { flag, key, context: *context, default, outcome });
        }
    }

    /// Whether anybody wants to know of checks.
    #[inline]
    fn is_told(&self) -> bool {
        self.on_check.is_some() || self.meter.is_some()
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
        if self.is_told() {
            let evaluation = Evaluation::new(default, Reason::NotFound, freshness());
            self.tell(flag, context, default, Ok(evaluation));
        }
    }

    /// Checks by other semantics than the documented ones, or for somebody who is told what decides. What is absent is
    /// for the caller to tell.
    #[inline(never)]
    pub(super) fn check_reason(
        &self,
        snapshot: &Snapshot,
        hash: u64,
        flag: &str,
        context: &Context<'_>,
        default: bool,
    ) -> Found {
        let found = snapshot.find(hash, flag, |found, state| match found {
            Some(bucket) => Ok((self.decide_bucket(bucket, context), state.freshness_of(flag))),
            None => Err(Found::none(state)),
        });
        let (decision, freshness) = match found {
            Ok(found) => found,
            Err(found) => return found,
        };
        let value = decision.value.unwrap_or(default);
        // Not while the snapshot is looked at: who is told may check and edit.
        if self.is_told() {
            self.tell_hashed(
                hash,
                flag,
                context,
                default,
                Ok(Evaluation::new(value, decision.reason, freshness)),
            );
        }
        Found::of(value)
    }

    /// Checks by a verdict, and counts it. What is absent is for the caller to tell.
    #[inline]
    pub(super) fn check_counted(
        &self,
        snapshot: &Snapshot,
        hash: u64,
        flag: &str,
        context: &Context<'_>,
        default: bool,
    ) -> Found {
        let look = |found: Option<&Bucket>, state: &State, counts: Option<&ThreadCounts>| match found {
            Some(bucket) => {
                let (found, kind) = self.look_counted(bucket, context, default);
                (found, kind, counts.is_some_and(|counts| counts.count_again(self.meter_id, hash, kind)))
            }
            None => (Found::none(state), Kind::switched(false), true),
        };
        match snapshot.find_again_and_count(hash, flag, look) {
            Some((found, _, true)) => found,
            Some((found, kind, false)) => {
                self.count_first(snapshot, hash, flag, kind);
                found
            }
            None => self.check_counted_anew(snapshot, hash, flag, context, default),
        }
    }

    #[cold]
    #[inline(never)]
    fn check_counted_anew(
        &self,
        snapshot: &Snapshot,
        hash: u64,
        flag: &str,
        context: &Context<'_>,
        default: bool,
    ) -> Found {
        let found = snapshot.find(hash, flag, |found, state| match found {
            Some(bucket) => Ok(self.look_counted(bucket, context, default)),
            None => Err(Found::none(state)),
        });
        match found {
            Ok((found, kind)) => {
                self.count_first(snapshot, hash, flag, kind);
                found
            }
            Err(found) => found,
        }
    }

    #[cold]
    #[inline(never)]
    fn count_first(&self, snapshot: &Snapshot, hash: u64, flag: &str, kind: Kind) {
        if let Some(meter) = &self.meter {
            snapshot.count(meter, hash, flag, kind);
        }
    }

    #[inline(always)]
    fn look_counted(&self, bucket: &Bucket, context: &Context<'_>, default: bool) -> (Found, Kind) {
        // As for a check that is not counted, on and off are no branch.
        if bucket.verdict() <= Verdict::On {
            let is_on = bucket.verdict() == Verdict::On;
            return (Found::of(is_on), Kind::switched(is_on));
        }
        self.decide_counted(bucket, context, default)
    }

    // In one place: the rest has registers enough without it.
    #[inline(never)]
    fn decide_counted(&self, bucket: &Bucket, context: &Context<'_>, default: bool) -> (Found, Kind) {
        let Decision { value, reason } = self.decide_bucket(bucket, context);
        let value = value.unwrap_or(default);
        (Found::of(value), Kind::of(value, reason))
    }

    /// Decides by the verdict that is known of a flag, where that tells the reason as well.
    #[inline]
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
