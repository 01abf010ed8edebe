//! What a flag was at a time.

use std::time::Duration;

use flipper_audit::{History, Verifier};
use flipper_core::{Condition, ErrorKind, FeatureFlagClient, Semantics, Timestamp, ctx};
use flipper_memory::MemoryStore;
use flipper_testkit::{Fault, FaultStore, ManualClock, Operation};

use super::{place, quick};

const START: i64 = 1_700_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(START + seconds)
}

/// A flag is created at 10, enabled at 20, gets a condition at 30, and is deleted at 40.
async fn life(path: &std::path::Path) -> FeatureFlagClient {
    let clock = ManualClock::new(at(10));
    let client = FeatureFlagClient::builder(MemoryStore::new()).clock(clock.clone()).build();
    quick().rotate_at(2_000).open(path).unwrap().subscribe_to(&client);
    let alice = client.as_actor("alice");
    alice.create("X").await.unwrap();
    clock.set(at(20));
    alice.enable("X").await.unwrap();
    clock.set(at(30));
    alice.add_condition("X", &Condition::builder().eq("plan", "gold").build().unwrap()).await.unwrap();
    clock.set(at(40));
    alice.destroy("X").await.unwrap();
    client
}

#[tokio::test]
async fn the_past_is_told_as_it_was() {
    let (_directory, path) = place();
    let _client = life(&path).await;
    let history = History::of(&path);
    let is_on = |seconds, plan: &str| {
        let state = history.state_at("X", at(seconds)).unwrap();
        assert!(state.is_certain());
        state
            .explain(&ctx! { plan: plan }, Semantics::Documented)
            .map(|explanation| explanation.evaluation.value)
    };
    assert_eq!(is_on(9, "gold"), None, "before it was created");
    assert_eq!([is_on(10, "gold"), is_on(19, "gold")], [Some(false); 2]);
    assert_eq!([is_on(20, "lead"), is_on(29, "lead")], [Some(true); 2]);
    assert_eq!([is_on(30, "lead"), is_on(39, "gold")], [Some(false), Some(true)]);
    assert_eq!(is_on(40, "gold"), None);
    assert_eq!(history.state_at("Y", at(20)).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(History::of("/none/x").state_at("X", at(20)).unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_change_in_doubt_leaves_two_possible_pasts() {
    let (_directory, path) = place();
    let clock = ManualClock::new(at(10));
    let store = FaultStore::new(MemoryStore::new());
    let client = FeatureFlagClient::builder(store.clone()).clock(clock.clone()).build();
    quick().open(&path).unwrap().subscribe_to(&client);
    client.create("X").await.unwrap();
    clock.set(at(20));
    store.push(Operation::Put, Fault::Hang);
    assert!(tokio::time::timeout(Duration::from_millis(20), client.enable("X")).await.is_err());
    clock.set(at(30));
    client.enable("X").await.unwrap();
    let history = History::of(&path);
    let state = |seconds| history.state_at("X", at(seconds)).unwrap();
    assert!(state(19).is_certain() && state(30).is_certain());
    let doubt = state(20);
    let is_on = |flag: &Option<flipper_core::Flag>| flag.as_ref().map(flipper_core::Flag::is_switched_on);
    assert_eq!((is_on(&doubt.flag), doubt.or.as_ref().map(is_on)), (Some(false), Some(Some(true))));
}

#[tokio::test]
async fn lines_are_chosen_by_flag_and_time() {
    let (_directory, path) = place();
    life(&path).await.create("Y").await.unwrap();
    let count = |history: History| {
        history.entries().unwrap().map(Result::unwrap).filter(|entry| entry.record().is_some()).count()
    };
    assert_eq!(count(History::of(&path)), 5);
    assert_eq!(count(History::of(&path).flag("X")), 4);
    assert_eq!(count(History::of(&path).flag("X").since(at(20)).until(at(30))), 2);
    assert_eq!(count(History::of(&path).flag("Z")), 0);
}

#[tokio::test]
async fn names_of_flags_and_actors_are_not_taken_for_anything_else() {
    let (_directory, path) = place();
    let client = FeatureFlagClient::new(MemoryStore::new());
    quick().open(&path).unwrap().subscribe_to(&client);
    let names = ["a\"b", "\u{202e}x", "é\u{2028}", "\",\"hash\":\"", "x\",\"flag\":\"y"];
    for name in names {
        client.as_actor(format!("{name}\u{1b}[31m\r\n")).create(name).await.unwrap();
    }
    for name in names {
        let entries: Vec<_> = History::of(&path).flag(name).entries().unwrap().map(Result::unwrap).collect();
        assert_eq!(entries.len(), 1, "{name:?}");
        assert_eq!(entries[0].record().unwrap().actor.as_deref(), Some(&*format!("{name}\u{1b}[31m\r\n")));
    }
    assert!(Verifier::new(&path).run().unwrap().is_intact());
}
