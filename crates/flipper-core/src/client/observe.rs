//! Who wants to know of every check.

use std::fmt;

use super::Inner;
use super::local::Found;
use crate::evaluate::{Decision, UNSUPPORTED, decide, in_or_out, run_hash};
use crate::snapshot::{Bucket, Seed, State, Verdict};
use crate::{Context, Evaluation, Freshness, Reason, Semantics, Snapshot};

/// Is told of every check of a client: what was asked, and what the answer was.
///
/// This is for counting. It is called in the thread of the check, before that returns, and what it takes the check takes longer: it has to be quick, must
/// not wait, and must not panic. A client without an observer pays nothing for it.
///
/// # Examples
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use flipper_core::{Context, EvaluationObserver, FeatureFlagClient, Observed};
///
/// #[derive(Default)]
/// struct Count(AtomicU64);
///
/// impl EvaluationObserver for Count {
///     fn on_evaluation(&self, _: &Observed<'_>) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
///
/// # futures_lite::future::block_on(async {
/// let count = Arc::new(Count::default());
/// let client = FeatureFlagClient::builder(MemoryStore::new()).observer(Arc::clone(&count)).build();
/// client.is_enabled("X", &Context::EMPTY).await;
/// assert_eq!(count.0.load(Ordering::Relaxed), 1);
/// # });
/// ```
pub trait EvaluationObserver: Send + Sync {
    /// A flag was checked.
    fn on_evaluation(&self, observed: &Observed<'_>);
}

impl<O: EvaluationObserver + ?Sized> EvaluationObserver for std::sync::Arc<O> {
    #[inline]
    fn on_evaluation(&self, observed: &Observed<'_>) {
        (**self).on_evaluation(observed);
    }
}

/// One check, as an [`EvaluationObserver`] is told of it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Observed<'o> {
    /// The name that was asked for, which need be no flag's.
    pub flag: &'o str,
    /// A hash of the name, always the same for one client, and not to be foreseen by others: to find what is kept of a flag without hashing its name
    /// once more. Clients have different ones.
    pub key: u64,
    /// The answer.
    pub value: bool,
    /// What decided it; `None` if the store could not be asked, and the default was answered.
    pub reason: Option<Reason>,
}

/// An observer, and what makes keys where no snapshot does.
pub(super) struct Observing {
    observer: Box<dyn EvaluationObserver>,
    seed: Seed,
}

impl Observing {
    pub(super) fn new(observer: impl EvaluationObserver + 'static) -> Self {
        Self { observer: Box::new(observer), seed: Seed::random() }
    }

    #[inline]
    pub(super) fn tell(&self, key: u64, flag: &str, value: bool, reason: Option<Reason>) {
        self.observer.on_evaluation(&Observed { flag, key, value, reason });
    }
}

impl Inner {
    /// Tells an answer, if somebody wants to know.
    #[inline]
    pub(super) fn observe(&self, flag: &str, value: bool, reason: Option<Reason>) {
        if let Some(observing) = &self.observing {
            let key = match &self.snapshot {
                Some(snapshot) => snapshot.hash(flag),
                None => observing.seed.hash(flag.as_bytes()),
            };
            observing.tell(key, flag, value, reason);
        }
    }

    /// As [`check`](Self::check), with the reason, which the observer is told if there is such a flag.
    #[inline(never)]
    pub(super) fn check_observed(
        &self,
        observing: &Observing,
        snapshot: &Snapshot,
        hash: u64,
        name: &str,
        context: &Context<'_>,
        default: bool,
    ) -> Found {
        let look = |found: Option<&Bucket>, state: &State| match found {
            Some(bucket) => Ok(self.decide_bucket(bucket, context)),
            None if state.freshness == Freshness::NeverLoaded => Err(Found::NeverLoaded),
            None => Err(Found::Absent),
        };
        let decided =
            snapshot.find_again(hash, name, look).unwrap_or_else(|| snapshot.find(hash, name, look));
        match decided {
            Ok(Decision { value, reason }) => {
                let value = value.unwrap_or(default);
                observing.tell(hash, name, value, Some(reason));
                if value { Found::On } else { Found::Off }
            }
            Err(found) => found,
        }
    }

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

    #[inline]
    pub(super) fn observe_evaluation(&self, flag: &str, evaluation: &Evaluation) {
        self.observe(flag, evaluation.value, Some(evaluation.reason));
    }
}

impl fmt::Debug for Observing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observing")
    }
}
