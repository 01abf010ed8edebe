//! Unleash: its engine behind every SDK, Yggdrasil.
//!
//! What is asked is `is_enabled`, the engine's plain question: it takes a context that owns its texts, in maps of the standard
//! library. Bindings for other languages have a second way in, `check_enabled`, which takes references.

use std::collections::HashMap;

use unleash_types::client_features::{ClientFeature, Constraint, Context, Operator, Strategy};
use unleash_yggdrasil::{ClientFeatures, EngineState};

use crate::engine::{Engine, Rule};
use crate::inputs::{Visit, is_on};

pub const NAME: &str = "unleash-yggdrasil";

pub struct Unleash(EngineState);

impl Unleash {
    pub fn new(names: &[Box<str>], rule: Rule) -> Self {
        let feature = |(at, name): (usize, &Box<str>)| ClientFeature {
            name: name.to_string(),
            enabled: !matches!(rule, Rule::Switch) || is_on(at),
            strategies: Some(vec![strategy(rule)]),
            ..ClientFeature::default()
        };
        let features = names.iter().enumerate().map(feature).collect();
        let engine = EngineState::default();
        let features = ClientFeatures { version: 2, features, segments: None, query: None, meta: None };
        if let Some(warnings) = engine.apply_client_features(features) {
            panic!("Unleash does not understand its flags: {:?}", warnings.first());
        }
        Self(engine)
    }

    #[inline]
    fn check<const N: usize>(&self, name: &str, user_id: Option<&str>, pairs: [(&str, &str); N]) -> bool {
        let properties = (N > 0).then(|| {
            let mut properties = HashMap::with_capacity(N);
            properties.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
            properties
        });
        let context = Context { user_id: user_id.map(str::to_owned), properties, ..Context::default() };
        self.0.is_enabled(name, &context, &None)
    }
}

fn strategy(rule: Rule) -> Strategy {
    // Values of attributes are text here, and a list of one is what Unleash has for equality.
    let constraints = [
        constraint("plan", Operator::In, &["gold"]),
        Constraint { value: Some("17".into()), ..constraint("age", Operator::NumGt, &[]) },
        constraint("location", Operator::NotIn, &["city"]),
        constraint("horse_type", Operator::In, &["Stallion", "Mare"]),
        constraint("is_admin", Operator::In, &["true"]),
    ];
    match rule {
        // As every flag that is on for everybody has it.
        Rule::Switch => strategy_of("default", &[], &[]),
        Rule::OneCondition => strategy_of("default", &constraints[..1], &[]),
        Rule::FiveConditions => strategy_of("default", &constraints, &[]),
        Rule::Sticky => strategy_of("flexibleRollout", &[], &[("rollout", "50"), ("stickiness", "userId")]),
        // Quicker than `flexibleRollout` with random stickiness, which hashes the number that it has drawn.
        Rule::Random => strategy_of("gradualRolloutRandom", &[], &[("percentage", "50")]),
    }
}

fn constraint(name: &str, operator: Operator, values: &[&str]) -> Constraint {
    Constraint {
        context_name: name.into(),
        operator,
        case_insensitive: false,
        inverted: false,
        values: Some(values.iter().map(ToString::to_string).collect()),
        value: None,
    }
}

fn strategy_of(name: &str, constraints: &[Constraint], parameters: &[(&str, &str)]) -> Strategy {
    let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    Strategy {
        name: name.into(),
        sort_order: None,
        segments: None,
        constraints: Some(constraints.to_vec()),
        parameters: Some(parameters.iter().map(owned).collect()),
        variants: None,
    }
}

#[inline]
fn text(truth: bool) -> &'static str {
    if truth { "true" } else { "false" }
}

impl Engine for Unleash {
    #[inline]
    fn plain(&self, name: &str) -> bool {
        self.check(name, None, [])
    }

    #[inline]
    fn context(&self, name: &str, visit: &Visit<'_>) -> bool {
        self.check(name, Some(visit.user_id), [("plan", visit.plan), ("is_admin", text(visit.is_admin))])
    }

    #[inline]
    fn one_condition(&self, name: &str, visit: &Visit<'_>) -> bool {
        self.check(name, None, [("plan", visit.plan)])
    }

    #[inline]
    fn five_conditions(&self, name: &str, visit: &Visit<'_>) -> bool {
        let pairs = [
            ("plan", visit.plan),
            ("age", visit.age_text),
            ("location", visit.location),
            ("horse_type", visit.horse_type),
            ("is_admin", text(visit.is_admin)),
        ];
        self.check(name, None, pairs)
    }

    #[inline]
    fn sticky(&self, name: &str, visit: &Visit<'_>) -> bool {
        self.check(name, Some(visit.user_id), [])
    }
}
