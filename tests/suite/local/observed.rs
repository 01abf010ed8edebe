//! Checks that somebody wants to know of.

use std::sync::{Arc, Mutex};

use flipper_core::{
    Bucketer, Condition, Context, EvaluationObserver, FeatureFlagClient, LocalClient, Observed, Percentage,
    Reason, Semantics, ctx,
};
use flipper_memory::MemoryStore;
use flipper_testkit::{Fault, FaultStore, Operation};

type Seen = (String, u64, bool, Option<Reason>);

#[derive(Clone, Default)]
struct Observer(Arc<Mutex<Vec<Seen>>>);

impl EvaluationObserver for Observer {
    fn on_evaluation(&self, observed: &Observed<'_>) {
        self.0.lock().unwrap().push((
            observed.flag.to_owned(),
            observed.key,
            observed.value,
            observed.reason,
        ));
    }
}

impl Observer {
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
    let observer = Observer::default();
    let client = FeatureFlagClient::builder(MemoryStore::new())
        .semantics(semantics)
        .random(|| 0.25)
        .observer(observer.clone())
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
                assert_eq!(observer.take(), [(name.to_owned(), value, reason)], "evaluate");
                let is = |what: &str, answer: bool| {
                    assert_eq!(answer, value, "{what} {name} {context:?}");
                    assert_eq!(
                        observer.take(),
                        [(name.to_owned(), value, reason)],
                        "{what} {name} {context:?}"
                    );
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
    let observer = Observer::default();
    let store = FaultStore::new(MemoryStore::new());
    let client = FeatureFlagClient::builder(store.clone()).observer(observer.clone()).build();
    client.create("X").await.unwrap();
    assert!(!client.is_enabled("X", &Context::EMPTY).await);
    assert!(client.is_enabled_or("Y", &Context::EMPTY, true).await);
    store.push(Operation::Get, Fault::Fail(flipper_core::ErrorKind::Unavailable));
    assert!(client.is_enabled_or("X", &Context::EMPTY, true).await);
    let expected =
        [("X", false, Some(Reason::Disabled)), ("Y", true, Some(Reason::NotFound)), ("X", true, None)];
    assert_eq!(observer.take(), expected.map(|(flag, value, reason)| (flag.to_owned(), value, reason)));
    // Where the caller gets the error there is no answer.
    store.push(Operation::Get, Fault::Fail(flipper_core::ErrorKind::Unavailable));
    client.try_is_enabled("X", &Context::EMPTY).await.unwrap_err();
    assert_eq!(observer.take(), []);
    // Nor is an illegal name any flag's.
    assert!(client.is_enabled_or("", &Context::EMPTY, true).await);
    assert_eq!(observer.take(), [(String::new(), true, None)]);
}

#[tokio::test]
async fn a_key_is_a_names_own_and_stays_the_same() {
    let observer = Observer::default();
    let client = FeatureFlagClient::builder(MemoryStore::new()).observer(observer.clone()).build();
    let local = client.local().unwrap();
    for _ in 0..2 {
        for name in ["A", "B"] {
            local.is_enabled(name, &Context::EMPTY);
            client.is_enabled(name, &Context::EMPTY).await;
            client.create_or_replace(name, true, flipper_core::json::Object::default()).await.unwrap();
            local.flag(name).is_enabled(&Context::EMPTY);
        }
    }
    let seen = std::mem::take(&mut *observer.0.lock().unwrap());
    let keys = |of: &str| -> std::collections::HashSet<u64> {
        seen.iter().filter(|(flag, ..)| flag == of).map(|(_, key, ..)| *key).collect()
    };
    assert_eq!((keys("A").len(), keys("B").len()), (1, 1));
    assert_ne!(keys("A"), keys("B"));
}

#[test]
fn an_observer_may_check_flags_itself() {
    struct Asks(Mutex<Option<LocalClient>>);
    impl EvaluationObserver for Asks {
        fn on_evaluation(&self, _: &Observed<'_>) {
            if let Some(local) = self.0.lock().unwrap().take() {
                assert!(!local.is_enabled("Y", &Context::EMPTY));
            }
        }
    }
    let asks = Arc::new(Asks(Mutex::default()));
    let client = FeatureFlagClient::builder(MemoryStore::new()).observer(asks.clone()).build();
    let local = client.local().unwrap();
    *asks.0.lock().unwrap() = Some(local.clone());
    assert!(!local.is_enabled("X", &Context::EMPTY));
    assert!(asks.0.lock().unwrap().is_none(), "it was asked");
}
