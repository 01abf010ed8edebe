//! flipper: the local path over a memory store.

use flipper_core::{
    Bucketer, Condition, Context, FeatureFlagClient, Flag, FlagName, LocalClient, Percentage, Timestamp,
    Version, Versioned, ctx,
};
use flipper_memory::MemoryStore;

use crate::engine::{Engine, Rule};
use crate::inputs::{Visit, is_on};

pub const NAME: &str = "flipper";

pub struct Ours(LocalClient);

impl Ours {
    /// Loads the flags from their bytes, as from any store.
    pub fn new(names: &[Box<str>], rule: Rule) -> Self {
        let stored: Vec<_> =
            (0..names.len()).map(|at| flag(&names[at], at, rule).as_json().to_owned()).collect();
        let read = |(name, stored): (&Box<str>, String)| Versioned {
            value: Flag::read(FlagName::new(name).unwrap(), stored.as_bytes()).unwrap(),
            version: Version::from_u64(1),
        };
        let local = FeatureFlagClient::new(MemoryStore::new()).local().unwrap();
        local.snapshot().edit(|edit| edit.replace_all(names.iter().zip(stored).map(read)));
        Self(local)
    }
}

fn flag(name: &str, at: usize, rule: Rule) -> Flag {
    let conditions = [
        Condition::builder().eq("plan", "gold"),
        Condition::builder().gt("age", 17),
        Condition::builder().ne("location", "city"),
        Condition::builder().is_in("horse_type", ["Stallion", "Mare"]),
        Condition::builder().eq("is_admin", true),
    ];
    let conditions = conditions.map(|condition| condition.build().unwrap());
    let half = Percentage::new(0.5).unwrap();
    let mut flag = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(1_700_000_000));
    flag.set_enabled(!matches!(rule, Rule::Switch) || is_on(at)).unwrap();
    match rule {
        Rule::Switch => {}
        Rule::OneCondition => flag.set_conditions(&conditions[..1]).unwrap(),
        Rule::FiveConditions => flag.set_conditions(&conditions).unwrap(),
        Rule::Sticky => flag.set_bucketer(&Bucketer::consistent_hash(half, ["user_id"])).unwrap(),
        Rule::Random => flag.set_bucketer(&Bucketer::percentage(half)).unwrap(),
    }
    flag
}

impl Engine for Ours {
    #[inline]
    fn plain(&self, name: &str) -> bool {
        self.0.is_enabled(name, &Context::EMPTY)
    }

    #[inline]
    fn context(&self, name: &str, visit: &Visit<'_>) -> bool {
        self.0.is_enabled(name, &ctx! { user_id: visit.user_id, plan: visit.plan, is_admin: visit.is_admin })
    }

    #[inline]
    fn one_condition(&self, name: &str, visit: &Visit<'_>) -> bool {
        self.0.is_enabled(name, &ctx! { plan: visit.plan })
    }

    #[inline]
    fn five_conditions(&self, name: &str, visit: &Visit<'_>) -> bool {
        let context = ctx! {
            plan: visit.plan,
            age: visit.age,
            location: visit.location,
            horse_type: visit.horse_type,
            is_admin: visit.is_admin,
        };
        self.0.is_enabled(name, &context)
    }

    #[inline]
    fn sticky(&self, name: &str, visit: &Visit<'_>) -> bool {
        self.0.is_enabled(name, &ctx! { user_id: visit.user_id })
    }
}
