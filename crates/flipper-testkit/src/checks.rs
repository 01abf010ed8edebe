//! What was asked of the flags of a test.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flipper_core::json::Object;
use flipper_core::{Checked, Reason};

/// One check of a flag, as [`TestFlags`](crate::TestFlags) remember it.
///
/// # Examples
///
/// ```
/// use flipper_core::{Reason, ctx};
/// use flipper_testkit::TestFlags;
///
/// let flags = TestFlags::new();
/// flags.local().is_enabled_or("SALE", &ctx! { user_id: 7 }, true);
/// let check = &flags.checks()[0];
/// assert_eq!(check.flag, "SALE");
/// assert_eq!(check.context.get("user_id"), Some(&7.into()));
/// assert_eq!((check.value, check.reason), (true, Some(Reason::NotFound)));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecordedCheck {
    /// The name that was asked for.
    pub flag: String,
    /// The context that it was asked for.
    pub context: Object,
    /// What counts if there is no such flag.
    pub default: bool,
    /// The answer.
    pub value: bool,
    /// What decided it; `None` if the name cannot be that of a flag.
    pub reason: Option<Reason>,
}

/// Remembers checks, and refuses those of flags that nobody has declared, if it is strict.
#[derive(Debug, Default)]
pub(crate) struct Checks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_strict: bool,
    declared: BTreeSet<String>,
    checks: Vec<RecordedCheck>,
    undeclared: BTreeSet<String>,
}

impl Checks {
    pub(crate) fn new(is_strict: bool) -> Self {
        Self(Mutex::new(State { is_strict, ..State::default() }))
    }

    /// Whoever panics does so without the lock, but for memory that is full.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn declare(&self, name: &str) {
        self.state().declared.insert(name.to_owned());
    }

    pub(crate) fn record(&self, check: &Checked<'_>) {
        let mut state = self.state();
        state.checks.push(RecordedCheck {
            flag: check.flag.to_owned(),
            context: check.context.into(),
            default: check.default,
            value: check.value(),
            reason: check.outcome.ok().map(|evaluation| evaluation.reason),
        });
        if state.is_strict && !state.declared.contains(check.flag) {
            state.undeclared.insert(check.flag.to_owned());
            let message = state.complaint();
            drop(state);
            panic!("{message}");
        }
    }

    pub(crate) fn all(&self) -> Vec<RecordedCheck> {
        self.state().checks.clone()
    }

    pub(crate) fn forget(&self) {
        self.state().checks.clear();
    }

    /// The flags that are declared and were not asked for.
    pub(crate) fn unchecked(&self) -> Vec<String> {
        let state = self.state();
        let asked: BTreeSet<&str> = state.checks.iter().map(|check| check.flag.as_str()).collect();
        state.declared.iter().filter(|name| !asked.contains(name.as_str())).cloned().collect()
    }

    pub(crate) fn take_undeclared(&self) -> Vec<String> {
        std::mem::take(&mut self.state().undeclared).into_iter().collect()
    }

    /// What is wrong, if flags were asked for that nobody has declared.
    pub(crate) fn complaint(&self) -> Option<String> {
        let state = self.state();
        (!state.undeclared.is_empty()).then(|| state.complaint())
    }
}

impl State {
    fn complaint(&self) -> String {
        format!(
            "flags were checked that the test does not declare: {:?}; it declares {:?}: `declare` or `set` what it is \
             about, or use `TestFlags::new`, which allow all",
            self.undeclared, self.declared
        )
    }
}
