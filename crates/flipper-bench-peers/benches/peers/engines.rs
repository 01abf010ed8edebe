//! All engines, with the same flags.

use crate::engine::{Engine, Rule};
use crate::launchdarkly::{self, LaunchDarkly};
use crate::ours::{self, Ours};
use crate::unleash::{self, Unleash};

pub struct Engines {
    pub ours: Ours,
    pub unleash: Unleash,
    /// It does not know every rule.
    pub launchdarkly: Option<LaunchDarkly>,
}

impl Engines {
    pub fn new(names: &[Box<str>], rule: Rule) -> Self {
        let launchdarkly = (!matches!(rule, Rule::Random)).then(|| LaunchDarkly::new(names, rule));
        Self { ours: Ours::new(names, rule), unleash: Unleash::new(names, rule), launchdarkly }
    }

    fn each(&self) -> impl Iterator<Item = (&'static str, &dyn Engine)> {
        let launchdarkly = self.launchdarkly.as_ref().map(|flags| (launchdarkly::NAME, flags as &dyn Engine));
        [(ours::NAME, &self.ours as &dyn Engine), (unleash::NAME, &self.unleash)]
            .into_iter()
            .chain(launchdarkly)
    }

    /// Panics unless each engine answers as expected.
    pub fn expect(&self, what: &str, expected: bool, ask: impl Fn(&dyn Engine) -> bool) {
        for (engine, flags) in self.each() {
            assert_eq!(ask(flags), expected, "{engine} gives a wrong answer: {what}");
        }
    }

    /// Panics unless about half of a thousand answers of each engine are yes.
    pub fn expect_half(&self, what: &str, ask: impl Fn(&dyn Engine, usize) -> bool) {
        for (engine, flags) in self.each() {
            let yes = (0..1_000).filter(|&at| ask(flags, at)).count();
            assert!((400..=600).contains(&yes), "{engine} says yes {yes} times out of 1000: {what}");
        }
    }
}
