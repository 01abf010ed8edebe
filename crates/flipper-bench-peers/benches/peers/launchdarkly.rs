//! LaunchDarkly: the engine of its server-side SDK.
//!
//! The engine has no store of its own. It gets the leanest one there is: a map with a quick hash function, no lock, no
//! update, and the flag is handed over by reference.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use launchdarkly_server_sdk_evaluation::{
    Context, ContextBuilder, Flag, FlagValue, Segment, Store, evaluate,
};
use serde_json::{Value, json};

use crate::engine::{Engine, Rule};
use crate::inputs::{Visit, is_on};

pub const NAME: &str = "launchdarkly-server-sdk-evaluation";

/// A context must have a key, if a short one.
const KEY: &str = "u";

pub struct LaunchDarkly(Flags);

struct Flags(HashMap<String, Flag, FixedState>);

/// Asked for prerequisites and segments, which no flag here has.
impl Store for Flags {
    fn flag(&self, key: &str) -> Option<Flag> {
        self.0.get(key).cloned()
    }

    fn segment(&self, _key: &str) -> Option<Segment> {
        None
    }
}

impl LaunchDarkly {
    pub fn new(names: &[Box<str>], rule: Rule) -> Self {
        let read = |(at, name): (usize, &Box<str>)| {
            let flag = serde_json::from_value(stored(name, at, rule));
            (
                name.to_string(),
                flag.unwrap_or_else(|error| panic!("LaunchDarkly does not read its flag: {error}")),
            )
        };
        Self(Flags(names.iter().enumerate().map(read).collect()))
    }

    #[inline]
    fn check(&self, name: &str, context: &Context) -> bool {
        let Some(flag) = self.0.0.get(name) else { return false };
        evaluate(&self.0, flag, context, None).value.and_then(FlagValue::as_bool).unwrap_or(false)
    }
}

/// A flag whose first variation is true, as it is stored. Rules have no ids: the engine would copy them at each check.
fn stored(name: &str, at: usize, rule: Rule) -> Value {
    let clauses = [
        json!({"attribute": "plan", "op": "in", "values": ["gold"]}),
        json!({"attribute": "age", "op": "greaterThan", "values": [17]}),
        json!({"attribute": "location", "op": "in", "values": ["city"], "negate": true}),
        json!({"attribute": "horse_type", "op": "in", "values": ["Stallion", "Mare"]}),
        json!({"attribute": "is_admin", "op": "in", "values": [true]}),
    ];
    let rules = |clauses| json!([{"clauses": clauses, "variation": 0, "trackEvents": false}]);
    let half = json!([{"variation": 0, "weight": 50_000}, {"variation": 1, "weight": 50_000}]);
    let (is_on, rules, fallthrough) = match rule {
        Rule::Switch => (is_on(at), json!([]), json!({"variation": 0})),
        Rule::OneCondition => (true, rules(&clauses[..1]), json!({"variation": 1})),
        Rule::FiveConditions => (true, rules(&clauses[..]), json!({"variation": 1})),
        Rule::Sticky => (true, json!([]), json!({"rollout": {"variations": half}})),
        Rule::Random => panic!("LaunchDarkly has no rollout without a key"),
    };
    json!({
        "key": name,
        "version": 1,
        "on": is_on,
        "targets": [],
        "prerequisites": [],
        "rules": rules,
        "fallthrough": fallthrough,
        "offVariation": 1,
        "variations": [true, false],
        "clientSide": false,
        "salt": "salt",
    })
}

/// There is no other way to a context, and no way to say how many attributes there will be.
impl Engine for LaunchDarkly {
    #[inline]
    fn plain(&self, name: &str) -> bool {
        self.check(name, &ContextBuilder::new(KEY).build().unwrap())
    }

    #[inline]
    fn context(&self, name: &str, visit: &Visit<'_>) -> bool {
        let mut builder = ContextBuilder::new(visit.user_id);
        builder.set_string("plan", visit.plan).set_bool("is_admin", visit.is_admin);
        self.check(name, &builder.build().unwrap())
    }

    #[inline]
    fn one_condition(&self, name: &str, visit: &Visit<'_>) -> bool {
        let mut builder = ContextBuilder::new(KEY);
        builder.set_string("plan", visit.plan);
        self.check(name, &builder.build().unwrap())
    }

    #[inline]
    fn five_conditions(&self, name: &str, visit: &Visit<'_>) -> bool {
        let mut builder = ContextBuilder::new(KEY);
        builder
            .set_string("plan", visit.plan)
            .set_float("age", visit.age.into())
            .set_string("location", visit.location)
            .set_string("horse_type", visit.horse_type)
            .set_bool("is_admin", visit.is_admin);
        self.check(name, &builder.build().unwrap())
    }

    #[inline]
    fn sticky(&self, name: &str, visit: &Visit<'_>) -> bool {
        self.check(name, &ContextBuilder::new(visit.user_id).build().unwrap())
    }
}
