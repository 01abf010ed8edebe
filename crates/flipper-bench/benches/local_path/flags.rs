//! Flags to check, and the floor.

use std::sync::Arc;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;
use flipper_core::{
    Bucketer, Condition, EvaluationMeter, FeatureFlagClient, Flag, FlagName, Freshness, LocalClient,
    Percentage, Snapshot, Timestamp, Version, Versioned,
};
use flipper_memory::MemoryStore;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// A flag that is off for every other name, at random.
pub fn plain(name: &str) -> Flag {
    let mut flag = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(1_700_000_000));
    flag.set_enabled(fastrand::bool()).unwrap();
    flag
}

pub fn with_conditions(name: &str, count: usize) -> Flag {
    let conditions = [
        Condition::builder().eq("plan", "gold"),
        Condition::builder().gt("age", 17),
        Condition::builder().ne("location", "city"),
        Condition::builder().is_in("horse_type", ["Stallion", "Mare"]),
        Condition::builder().eq("is_admin", true),
    ];
    let conditions = conditions.map(|condition| condition.build().unwrap());
    let mut flag = plain(name);
    flag.set_enabled(true).unwrap();
    flag.set_conditions(&conditions[..count]).unwrap();
    flag
}

pub fn with_bucketer(name: &str, bucketer: &Bucketer) -> Flag {
    let mut flag = plain(name);
    flag.set_enabled(true).unwrap();
    flag.set_bucketer(bucketer).unwrap();
    flag
}

pub fn half() -> Percentage {
    Percentage::new(0.5).unwrap()
}

pub fn record(flag: Flag) -> Versioned<Flag> {
    Versioned { value: flag, version: Version::from_u64(1) }
}

pub fn snapshot(names: &[Box<str>], flag: impl Fn(&str) -> Flag) -> Snapshot {
    let snapshot = Snapshot::new(Freshness::Live);
    snapshot.edit(|edit| edit.replace_all(names.iter().map(|name| record(flag(name)))));
    snapshot
}

/// A client of a memory store with a flag of each name, loaded from bytes as from any store.
pub fn client(names: &[Box<str>], flag: impl Fn(&str) -> Flag) -> LocalClient {
    loaded(&FeatureFlagClient::new(MemoryStore::new()), names, flag)
}

/// The same, and each check is counted.
pub fn metered(names: &[Box<str>], flag: impl Fn(&str) -> Flag) -> LocalClient {
    let meter = EvaluationMeter::new();
    loaded(&FeatureFlagClient::builder(MemoryStore::new()).meter(meter).build(), names, flag)
}

fn loaded(client: &FeatureFlagClient, names: &[Box<str>], flag: impl Fn(&str) -> Flag) -> LocalClient {
    let stored: Vec<_> = names.iter().map(|name| flag(name).as_json().to_owned()).collect();
    let read = |(name, stored): (&Box<str>, String)| {
        record(Flag::read(FlagName::new(name).unwrap(), stored.as_bytes()).unwrap())
    };
    let local = client.local().unwrap();
    local.snapshot().edit(|edit| edit.replace_all(names.iter().zip(stored).map(read)));
    local
}

type Map = HashMap<Box<str>, Arc<Flag>, FixedState>;

/// What no design can do without: a map that can be replaced, a reference to it that the thread keeps, a lookup, and a
/// look at the flag.
pub struct Floor(ArcSwap<Map>);

impl Floor {
    pub fn new(names: &[Box<str>]) -> Self {
        let map = names.iter().map(|name| (name.clone(), Arc::new(plain(name)))).collect();
        Self(ArcSwap::new(Arc::new(map)))
    }

    pub fn reader(&self) -> impl FnMut(&str) -> bool {
        let mut cache = Cache::new(&self.0);
        move |name| cache.load().get(name).is_some_and(|flag| flag.is_switched_on())
    }
}
