//! Clients that tell each check.

use std::sync::{Arc, Mutex};

use flipper_core::json::Object;
use flipper_core::{
    Bucketer, Condition, Error, ErrorKind, FeatureFlagClient, Flag, FlagName, Freshness, Percentage, Reason,
    Semantics, Store, Timestamp, ctx,
};
use flipper_memory::MemoryStore;
use futures_lite::future::block_on;

type Told = Arc<Mutex<Vec<(String, String, bool, Result<Reason, ErrorKind>)>>>;

fn told_client(store: impl Store, semantics: Semantics) -> (FeatureFlagClient, Told) {
    let told = Told::default();
    let list = Arc::clone(&told);
    let builder = FeatureFlagClient::builder(store).semantics(semantics).random(|| 0.5);
    let client = builder.on_check(move |check| {
        let context = flipper_core::json::Value::from(Object::from(check.context)).to_string();
        let outcome = check.outcome.map(|evaluation| evaluation.reason).map_err(Error::kind);
        list.lock().unwrap().push((check.flag.to_owned(), context, check.value(), outcome));
    });
    (client.build(), told)
}

/// Flags that reach every branch of a check in memory.
async fn flags(client: &FeatureFlagClient) -> Vec<(&'static str, bool, Reason)> {
    for name in ["OFF", "ON", "SHARE", "HASH", "TEST", "RULES"] {
        client.create(name).await.unwrap().enable().await.unwrap();
    }
    client.disable("OFF").await.unwrap();
    client.set_bucketer("SHARE", &Bucketer::percentage(Percentage::new(0.1).unwrap())).await.unwrap();
    let hash = Bucketer::consistent_hash(Percentage::new(1.0).unwrap(), ["user"]);
    client.set_bucketer("HASH", &hash).await.unwrap();
    client.set_bucketer("RULES", &hash).await.unwrap();
    let condition = Condition::builder().eq("user", 8).build().unwrap();
    client.add_condition("TEST", &condition).await.unwrap();
    client.add_condition("RULES", &condition).await.unwrap();
    let failed = Reason::CheckFailed { condition: 0, check: 0 };
    vec![
        ("OFF", false, Reason::Disabled),
        ("ON", true, Reason::Enabled),
        ("SHARE", false, Reason::OutOfBucket),
        ("HASH", true, Reason::InBucket),
        ("TEST", false, failed),
        ("RULES", false, failed),
        ("ABSENT", true, Reason::NotFound),
    ]
}

#[test]
fn each_check_is_told_once_however_it_is_made() {
    block_on(async {
        for semantics in [Semantics::Documented, Semantics::FlipperClient] {
            let (client, told) = told_client(MemoryStore::new(), semantics);
            let local = client.local().unwrap();
            let context = ctx! { user: 7 };
            for (name, value, reason) in flags(&client).await {
                let handle = local.flag(name);
                assert_eq!(client.is_enabled_or(name, &context, true).await, value);
                assert_eq!(client.evaluate(name, &context, true).await.unwrap().reason, reason);
                assert_eq!(local.is_enabled_or(name, &context, true), value);
                assert_eq!(local.evaluate(name, &context, true).value, value);
                assert_eq!(handle.is_enabled_or(&context, true), value);
                // Again, when the handle has seen the flag.
                assert_eq!(handle.is_enabled_or(&context, true), value);
                assert_eq!(handle.evaluate(&context, true).reason, reason);
                client.when(name, &context).or(true).run(|| (), || ()).await;

                let told = std::mem::take(&mut *told.lock().unwrap());
                let check = (name.to_owned(), r#"{"user": 7}"#.to_owned(), value, Ok(reason));
                assert_eq!(told, vec![check; 8], "{name}");
            }
        }
    });
}

#[test]
fn a_check_that_fails_is_told_with_its_error() {
    block_on(async {
        let (client, told) = told_client(MemoryStore::new(), Semantics::Documented);
        assert!(client.is_enabled_or("illegal\n", &ctx! {}, true).await);
        assert!(client.try_is_enabled("illegal\n", &ctx! {}).await.is_err());
        let told = told.lock().unwrap();
        let check = |value| {
            ("illegal\n".to_owned(), "{}".to_owned(), value, Err::<Reason, _>(ErrorKind::InvalidInput))
        };
        assert_eq!(*told, [check(true), check(false)]);
    });
}

#[test]
fn who_is_told_may_check_and_edit_other_flags() {
    block_on(async {
        let other = FeatureFlagClient::new(MemoryStore::new());
        let counter = other.clone();
        let client = FeatureFlagClient::builder(MemoryStore::new())
            .on_check(move |check| {
                assert!(!counter.local().unwrap().is_enabled(check.flag, &ctx! {}));
                let flag = Flag::new(FlagName::new(check.flag).unwrap(), Timestamp::from_secs(0));
                block_on(counter.store().put(&flag, flipper_core::Expect::Any)).unwrap();
            })
            .build();
        client.create("X").await.unwrap();
        client.local().unwrap().is_enabled("X", &ctx! {});
        assert!(other.exists("X").await.unwrap());
    });
}

#[test]
fn a_stale_store_is_told_as_one() {
    block_on(async {
        let stale = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&stale);
        let client = FeatureFlagClient::builder(MemoryStore::new())
            .on_check(move |check| list.lock().unwrap().push(check.outcome.unwrap().freshness))
            .build();
        client.create("X").await.unwrap();
        client.close().await.unwrap();
        let local = client.local().unwrap();
        for name in ["X", "ABSENT"] {
            local.is_enabled(name, &ctx! {});
            client.is_enabled(name, &ctx! {}).await;
        }
        let stale = stale.lock().unwrap();
        assert_eq!(stale.len(), 4);
        assert!(stale.iter().all(|freshness| matches!(freshness, Freshness::Stale { .. })), "{stale:?}");
    });
}
