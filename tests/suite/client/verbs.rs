use flipper_core::{Bucketer, Percentage, Timestamp};
use flipper_core::{
    Condition, Context, ErrorKind, FeatureFlagClient, Flag, Freshness, Page, StaleCause, Store, ctx,
};
use flipper_memory::MemoryStore;
use flipper_testkit::{Call, EventRecorder, FixedRandom, ManualClock, RecordingStore};
use serde_json::json;

use super::{VERBS, Verb, condition, object};

fn client() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryStore::new())
}

#[tokio::test]
async fn the_api_of_the_seed() {
    let client = client();
    let flag = client.create_with("X", false, object(&json!({"creator": "adambom"}))).await.unwrap();
    assert_eq!(flag.name(), "X");
    assert!(client.exists("X").await.unwrap() && !client.exists("Y").await.unwrap());
    assert!(!flag.is_enabled(&Context::EMPTY).await);
    flag.enable().await.unwrap();
    assert!(client.is_enabled("X", &Context::EMPTY).await);
    flag.add_condition(&condition()).await.unwrap();
    assert!(!flag.is_enabled(&ctx! { n: 5 }).await && flag.is_enabled(&ctx! { n: 6 }).await);
    flag.set_conditions(&[]).await.unwrap();
    flag.set_client_data(object(&json!({"ttl": 3600}))).await.unwrap();
    assert_eq!(flag.get_client_data().await.unwrap(), *object(&json!({"creator": "adambom", "ttl": 3600})));
    let meta = flag.get_meta().await.unwrap();
    assert_eq!(meta["bucketer"], json!({"type": "NoOpBucketer"}));
    assert!(meta["created_date"].is_i64());
    flag.disable().await.unwrap();
    assert!(!flag.is_enabled(&Context::EMPTY).await);
    flag.destroy().await.unwrap();
    assert!(!flag.exists().await.unwrap() && !flag.is_enabled(&Context::EMPTY).await);
    assert!(
        client.is_enabled_or("X", &Context::EMPTY, true).await,
        "the default of a flag that is not there"
    );
}

#[tokio::test]
async fn create_never_replaces_and_create_or_replace_does() {
    let client = client();
    client.create("X").await.unwrap().add_condition(&condition()).await.unwrap();
    let recorder = EventRecorder::of(&client);
    let error = client.create("X").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(recorder.take().is_empty(), "before any event");
    client.create_or_replace("X", true, object(&json!({"new": 1}))).await.unwrap();
    let flag = client.flag("X").await.unwrap();
    assert!(flag.is_switched_on() && flag.conditions().is_empty());
    assert_eq!(flag.client_data().to_json(), r#"{"new": 1}"#);
}

#[tokio::test]
async fn a_missing_flag_is_not_found_before_any_event() {
    let client = client();
    let recorder = EventRecorder::of(&client);
    for verb in VERBS {
        if matches!(verb, Verb::Create | Verb::CreateOrReplace) {
            continue;
        }
        let error = verb.run(&client, "X").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{verb:?}");
        assert_eq!(error.flag(), Some("X"));
        assert!(error.operation().is_some());
    }
    for error in [
        client.get_client_data("X").await.unwrap_err(),
        client.get_meta("X").await.unwrap_err(),
        client.explain("X", &Context::EMPTY).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    assert!(recorder.take().is_empty());
}

#[tokio::test]
async fn illegal_names_are_invalid_input_and_a_check_of_one_is_the_default() {
    let client = client();
    for name in ["", "a\0b"] {
        for verb in VERBS {
            assert_eq!(
                verb.run(&client, name).await.unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{verb:?}"
            );
        }
        assert!(!client.is_enabled(name, &Context::EMPTY).await);
        assert!(client.is_enabled_or(name, &Context::EMPTY, true).await);
        let error = client.try_is_enabled(name, &Context::EMPTY).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(client.failed_checks(), 4);
}

#[tokio::test]
async fn an_edit_cannot_put_another_flag_in_its_place() {
    let client = client();
    client.create("X").await.unwrap();
    client.create("Y").await.unwrap();
    let other = client.flag("Y").await.unwrap();
    let error = client
        .update("X", |flag| {
            *flag = other.clone();
            flag.set_enabled(true)
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!client.is_enabled("Y", &Context::EMPTY).await);
}

#[tokio::test]
async fn wakers_and_watchers_are_told_outside_of_the_stores_lock() {
    struct Asks(std::sync::Arc<MemoryStore>, std::sync::atomic::AtomicBool);
    impl std::task::Wake for Asks {
        fn wake(self: std::sync::Arc<Self>) {
            // It would wait for ever if the store were locked.
            self.0.peek("X", &mut |_| self.1.store(true, std::sync::atomic::Ordering::SeqCst));
        }
    }
    let store = std::sync::Arc::new(MemoryStore::new());
    let asks = std::sync::Arc::new(Asks(store.clone(), false.into()));
    let waker = std::task::Waker::from(asks.clone());
    let mut task = std::task::Context::from_waker(&waker);
    let mut changes = store.watch().unwrap();
    assert!(changes.as_mut().poll_next(&mut task).is_ready());
    assert!(changes.as_mut().poll_next(&mut task).is_pending());
    FeatureFlagClient::new(store).create("X").await.unwrap();
    assert!(asks.1.load(std::sync::atomic::Ordering::SeqCst));
}

#[tokio::test]
async fn an_edit_is_one_read_and_one_write() {
    let store = RecordingStore::new(MemoryStore::new());
    let client = FeatureFlagClient::new(store.clone());
    client.create("X").await.unwrap();
    assert_eq!(store.take(), [Call::Get("X".into()), Call::Put("X".into())]);
    for verb in VERBS {
        if matches!(verb, Verb::Create | Verb::Destroy) {
            continue;
        }
        verb.run(&client, "X").await.unwrap();
        assert_eq!(store.take(), [Call::Get("X".into()), Call::Put("X".into())], "{verb:?}");
    }
    client.destroy("X").await.unwrap();
    assert_eq!(store.take(), [Call::Get("X".into()), Call::Delete("X".into())]);
    client.is_enabled("X", &Context::EMPTY).await;
    assert!(store.take().is_empty(), "a check of a store that has its flags in memory asks nothing");
}

#[tokio::test]
async fn update_writes_once_and_announces_each_aspect() {
    use flipper_core::events::EventType::*;
    let client = client();
    client.create("X").await.unwrap();
    let recorder = EventRecorder::of(&client);
    client
        .update("X", |flag| {
            flag.set_enabled(true)?;
            flag.add_condition(&condition())?;
            flag.merge_client_data(object(&json!({"k": 1})))?;
            flag.set_bucketer(&Bucketer::percentage(Percentage::new(0.1)?))
        })
        .await
        .unwrap();
    recorder.expect(&[
        (PreEnable, "X"),
        (PreAddCondition, "X"),
        (PreSetClientData, "X"),
        (PreSetBucketer, "X"),
        (PostEnable, "X"),
        (PostAddCondition, "X"),
        (PostSetClientData, "X"),
        (PostSetBucketer, "X"),
    ]);
    client.update("X", |_| Ok(())).await.unwrap();
    recorder.expect(&[]);
    let error = client.update("X", |_| Err(flipper_core::Error::new(ErrorKind::InvalidInput, "mine"))).await;
    assert_eq!(error.unwrap_err().message(), "mine");
    recorder.expect(&[]);
}

#[tokio::test]
async fn listings_give_handles_and_go_on_after_bad_records() {
    let client = client();
    for name in ["a", "b", "c"] {
        client.create(name).await.unwrap().enable().await.unwrap();
    }
    let mut flags = client.list(Some(2), 1);
    let mut names = Vec::new();
    while let Some(flag) = flags.next().await {
        let flag = flag.unwrap();
        assert!(flag.is_enabled(&Context::EMPTY).await);
        names.push(flag.name().to_owned());
    }
    assert_eq!(names, ["b", "c"]);
}

#[tokio::test]
async fn clock_and_randomness_are_the_clients() {
    let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
    let random = FixedRandom::new(0.5);
    let (clocked, drawn) = (clock.clone(), random.clone());
    let client = FeatureFlagClient::builder(MemoryStore::new()).clock(clocked).random(drawn).build();
    let flag = client.create_with("X", true, object(&json!({}))).await.unwrap();
    assert_eq!(flag.get_meta().await.unwrap()["created_date"], 1_700_000_000);
    let ramp = Percentage::linear_ramp(
        0.0,
        1.0,
        std::time::Duration::from_secs(100),
        Timestamp::from_secs(1_700_000_000),
    );
    flag.set_bucketer(&Bucketer::percentage(ramp.unwrap())).await.unwrap();
    assert!(!flag.is_enabled(&Context::EMPTY).await);
    clock.advance(std::time::Duration::from_mins(1));
    assert!(flag.is_enabled(&Context::EMPTY).await);
    random.set(0.7);
    assert!(!flag.is_enabled(&Context::EMPTY).await);
}

#[tokio::test]
async fn when_runs_one_way_or_the_other() {
    let client = client();
    let context = ctx! { n: 1 };
    assert_eq!(client.when("X", &context).run(|| "on", || "off").await, "off");
    assert_eq!(client.when("X", &context).or(true).run(|| "on", || "off").await, "on");
    client.create("X").await.unwrap().enable().await.unwrap();
    let words = ["on".to_owned(), "off".to_owned()];
    let borrowed = client.when("X", &context).run_async(async || &words[0], async || &words[1]).await;
    assert_eq!(borrowed, "on");
}

#[test]
fn a_check_on_the_memory_store_is_one_poll_without_an_allocation() {
    let client = client();
    futures_lite::future::block_on(async {
        let flag = client.create_with("X", true, object(&json!({}))).await.unwrap();
        flag.add_condition(&Condition::builder().eq("is_admin", true).build().unwrap()).await.unwrap();
        flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5).unwrap(), ["user_id"]))
            .await
            .unwrap();
    });
    // The first check of a thread makes room for what the thread keeps.
    futures_lite::future::block_on(client.is_enabled("X", &Context::EMPTY));
    let counted = allocation_counter::measure(|| {
        for (name, context, expected) in
            [("X", ctx! { user_id: 1 }, true), ("X", ctx! { is_admin: false }, false), ("Y", ctx! {}, false)]
        {
            let mut check = std::pin::pin!(client.is_enabled(name, &context));
            let mut task = std::task::Context::from_waker(std::task::Waker::noop());
            assert_eq!(check.as_mut().poll(&mut task), std::task::Poll::Ready(expected));
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[tokio::test]
async fn closing_is_for_all_clones_and_checks_go_on_from_the_last_state() {
    let client = client();
    client.create("X").await.unwrap().enable().await.unwrap();
    let clone = client.as_actor("alice");
    client.close().await.unwrap();
    assert_eq!(clone.enable("X").await.unwrap_err().kind(), ErrorKind::Unavailable);
    let evaluation = clone.evaluate("X", &Context::EMPTY, false).await.unwrap();
    assert!(evaluation.value);
    assert!(matches!(evaluation.freshness, Freshness::Stale { cause: StaleCause::Unavailable, .. }));
    assert_eq!(client.failed_checks(), 0);
}

fn is_send_and_sync<T: Send + Sync>(_: &T) {}

fn is_send<T: Send>(_: T) {}

#[tokio::test]
async fn a_store_can_be_shared_and_is_object_safe() {
    let store: std::sync::Arc<dyn Store> = std::sync::Arc::new(MemoryStore::new());
    let (a, b) = (FeatureFlagClient::new(store.clone()), FeatureFlagClient::new(store.clone()));
    a.create("X").await.unwrap();
    b.enable("X").await.unwrap();
    assert!(a.is_enabled("X", &Context::EMPTY).await);
    assert_eq!(flipper_testkit::collect(store.list(Page::ALL)).await.len(), 1);
    is_send_and_sync(&a);
    let context = ctx! { n: 1 };
    is_send(a.is_enabled("X", &context));
    is_send(a.enable("X"));
    is_send(a.update("X", |flag: &mut Flag| flag.set_enabled(false)));
}
