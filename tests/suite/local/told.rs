//! Checks that somebody is told of.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock};

use flipper_core::{
    Bucketer, Checked, Condition, Context, FeatureFlagClient, LocalClient, Percentage, Reason, Semantics, ctx,
};
use flipper_memory::MemoryStore;
use flipper_testkit::{Fault, FaultStore, Operation};

type Seen = (String, u64, bool, Option<Reason>);

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Seen>>>);

impl Told {
    fn tell(&self) -> impl Fn(&Checked<'_>) + Send + Sync + 'static {
        let told = Arc::clone(&self.0);
        move |check| {
            let reason = check.outcome.ok().map(|evaluation| evaluation.reason);
            told.lock().unwrap().push((check.flag.to_owned(), check.key, check.value(), reason));
        }
    }

    fn take(&self) -> Vec<(String, bool, Option<Reason>)> {
        let seen = std::mem::take(&mut *self.0.lock().unwrap());
        seen.into_iter().map(|(flag, _, value, reason)| (flag, value, reason)).collect()
    }
}

/// Flags of every kind that the local path treats in its own way.
async fn flags(client: &FeatureFlagClient) -> Vec<&'static str> {
    let condition = |value: &str| Condition::builder().eq("plan", value).build().unwrap();
    let half = || Percentage::new(0.5).unwrap();
    let names = [
        "OFF",
        "ON",
        "TEST",
        "TESTS",
        "SHARE",
        "NOBODY",
        "HASH",
        "BOTH",
        "NO_CHECKS",
        "FLOAT",
        "TWO_CONDITIONS",
    ];
    for name in names {
        client.create_with(name, name != "OFF", flipper_core::json::Object::default()).await.unwrap();
    }
    client.add_condition("TEST", &condition("gold")).await.unwrap();
    let tests = Condition::builder().eq("plan", "gold").gt("age", 17).build().unwrap();
    client.add_condition("TESTS", &tests).await.unwrap();
    client.set_bucketer("SHARE", &Bucketer::percentage(half())).await.unwrap();
    client.set_bucketer("NOBODY", &Bucketer::percentage(Percentage::new(0.0).unwrap())).await.unwrap();
    client.set_bucketer("HASH", &Bucketer::consistent_hash(half(), ["user_id"])).await.unwrap();
    client.set_bucketer("BOTH", &Bucketer::consistent_hash(half(), ["user_id"])).await.unwrap();
    client.add_condition("BOTH", &condition("gold")).await.unwrap();
    client.add_condition("FLOAT", &Condition::builder().gt("age", 17.5).build().unwrap()).await.unwrap();
    client.set_conditions("TWO_CONDITIONS", &[condition("gold"), condition("lead")]).await.unwrap();
    names.to_vec()
}

async fn check_all(semantics: Semantics) {
    let told = Told::default();
    let client = FeatureFlagClient::builder(MemoryStore::new())
        .semantics(semantics)
        .random(|| 0.25)
        .on_check(told.tell())
        .build();
    let names = flags(&client).await;
    let local: LocalClient = client.local().unwrap();
    for name in names.into_iter().chain(["ABSENT"]) {
        let handle = local.flag(name);
        for context in [
            ctx! {},
            ctx! { plan: "gold" },
            ctx! { plan: "lead", age: 20 },
            ctx! { plan: "gold", age: 20, user_id: 1 },
            ctx! { user_id: 2 },
            ctx! { plan: 5, age: "x", self: 1 },
        ] {
            for default in [false, true] {
                let expected = local.evaluate(name, &context, default);
                let (value, reason) = (expected.value, Some(expected.reason));
                assert_eq!(told.take(), [(name.to_owned(), value, reason)], "evaluate");
                let is = |what: &str, answer: bool| {
                    assert_eq!(answer, value, "{what} {name} {context:?}");
                    assert_eq!(told.take(), [(name.to_owned(), value, reason)], "{what} {name} {context:?}");
                };
                is("by name", local.is_enabled_or(name, &context, default));
                is("by handle", handle.is_enabled_or(&context, default));
                is("by handle again", handle.is_enabled_or(&context, default));
                is("evaluated by handle", handle.evaluate(&context, default).value);
                is("awaited", client.is_enabled_or(name, &context, default).await);
                is("evaluated", client.evaluate(name, &context, default).await.unwrap().value);
                is("by its flag", client.get(name).is_enabled_or(&context, default).await);
            }
        }
    }
}

#[tokio::test]
async fn every_way_to_check_is_told_once_with_the_answer_and_its_reason() {
    check_all(Semantics::Documented).await;
}

#[tokio::test]
async fn so_it_is_under_the_semantics_of_flipper_client() {
    check_all(Semantics::FlipperClient).await;
}

#[tokio::test]
async fn a_store_that_has_to_be_asked_is_told_of_as_well_and_its_errors_without_a_reason() {
    let told = Told::default();
    let store = FaultStore::new(MemoryStore::new());
    let client = FeatureFlagClient::builder(store.clone()).on_check(told.tell()).build();
    client.create("X").await.unwrap();
    assert!(!client.is_enabled("X", &Context::EMPTY).await);
    assert!(client.is_enabled_or("Y", &Context::EMPTY, true).await);
    store.push(Operation::Get, Fault::Fail(flipper_core::ErrorKind::Unavailable));
    assert!(client.is_enabled_or("X", &Context::EMPTY, true).await);
    let expected =
        [("X", false, Some(Reason::Disabled)), ("Y", true, Some(Reason::NotFound)), ("X", true, None)];
    assert_eq!(told.take(), expected.map(|(flag, value, reason)| (flag.to_owned(), value, reason)));
    store.push(Operation::Get, Fault::Fail(flipper_core::ErrorKind::Unavailable));
    client.try_is_enabled("X", &Context::EMPTY).await.unwrap_err();
    assert_eq!(told.take(), [("X".to_owned(), false, None)]);
    // Nor is an illegal name any flag's.
    assert!(client.is_enabled_or("", &Context::EMPTY, true).await);
    assert_eq!(told.take(), [(String::new(), true, None)]);
}

#[tokio::test]
async fn a_key_is_a_names_own_and_stays_the_same() {
    let told = Told::default();
    let client = FeatureFlagClient::builder(MemoryStore::new()).on_check(told.tell()).build();
    let local = client.local().unwrap();
    for _ in 0..2 {
        for name in ["A", "B"] {
            local.is_enabled(name, &Context::EMPTY);
            client.is_enabled(name, &Context::EMPTY).await;
            client.create_or_replace(name, true, flipper_core::json::Object::default()).await.unwrap();
            local.flag(name).is_enabled(&Context::EMPTY);
        }
    }
    let seen = std::mem::take(&mut *told.0.lock().unwrap());
    let keys = |of: &str| -> HashSet<u64> {
        seen.iter().filter(|(flag, ..)| flag == of).map(|(_, key, ..)| *key).collect()
    };
    assert_eq!((keys("A").len(), keys("B").len()), (1, 1));
    assert_ne!(keys("A"), keys("B"));
}

#[test]
fn who_is_told_may_check_and_edit_by_the_same_client() {
    super::in_time(|| {
        let local = Arc::new(OnceLock::<LocalClient>::new());
        let asks = Arc::clone(&local);
        let client = FeatureFlagClient::builder(MemoryStore::new())
            .on_check(move |check| {
                if check.flag == "X" {
                    let local = asks.get().unwrap();
                    assert!(local.is_enabled("Y", &Context::EMPTY));
                    futures_lite::future::block_on(local.client().disable("Y")).unwrap();
                    assert!(!local.is_enabled("Y", &Context::EMPTY));
                }
            })
            .build();
        for name in ["X", "Y"] {
            futures_lite::future::block_on(async {
                client.create(name).await.unwrap().enable().await.unwrap();
            });
        }
        let local = local.get_or_init(|| client.local().unwrap());
        assert!(local.is_enabled("X", &Context::EMPTY));
        assert!(!local.is_enabled("Y", &Context::EMPTY));
    });
}

#[tokio::test]
async fn all_are_told_in_the_order_in_which_they_came() {
    let (first, order) = (Told::default(), Arc::new(Mutex::new(Vec::new())));
    let note = |who: &'static str| {
        let order = Arc::clone(&order);
        move |_: &Checked<'_>| order.lock().unwrap().push(who)
    };
    let builder = FeatureFlagClient::builder(MemoryStore::new());
    let client = builder.on_check(note("a")).on_check(first.tell()).on_check(note("b")).build();
    client.local().unwrap().is_enabled("X", &Context::EMPTY);
    client.is_enabled("X", &Context::EMPTY).await;
    assert_eq!(*order.lock().unwrap(), ["a", "b", "a", "b"]);
    assert_eq!(first.take().len(), 2);
}
