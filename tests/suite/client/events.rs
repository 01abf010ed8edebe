use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flipper_core::events::{
    BoxError, Emitter, Event, EventType, Handled, Listener, ListenerId, Payload, Subscriber,
};
use flipper_core::{Context, ErrorKind, Expect, FeatureFlagClient, Store};
use flipper_memory::MemoryStore;
use flipper_testkit::EventRecorder;
use serde_json::json;

use super::{VERBS, Verb, object};

fn client() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryStore::new())
}

#[tokio::test]
async fn every_verb_has_its_pair_with_its_payload() {
    use EventType::*;
    let client = client();
    let recorder = EventRecorder::of(&client);
    for (verb, pre, post) in [
        (Verb::Create, PreCreate, PostCreate),
        (Verb::CreateOrReplace, PreCreate, PostCreate),
        (Verb::Enable, PreEnable, PostEnable),
        (Verb::Disable, PreDisable, PostDisable),
        (Verb::SetClientData, PreSetClientData, PostSetClientData),
        (Verb::AddCondition, PreAddCondition, PostAddCondition),
        (Verb::SetConditions, PreSetConditions, PostSetConditions),
        (Verb::SetBucketer, PreSetBucketer, PostSetBucketer),
        (Verb::Destroy, PreDestroy, PostDestroy),
    ] {
        verb.run(&client.as_actor("alice"), "X").await.unwrap();
        let events = recorder.take();
        let seen: Vec<_> = events.iter().map(|event| event.event_type).collect();
        assert_eq!(seen, [pre, post], "{verb:?}");
        assert_eq!(events[0].after, events[1].after);
        assert_eq!(events[0].actor.as_deref(), Some("alice"));
        assert_eq!(events[0].after.is_none(), verb == Verb::Destroy);
        assert_eq!(events[0].before.is_none(), verb == Verb::Create);
        assert_eq!(events[0].attempt, 1);
    }
}

#[tokio::test]
async fn payloads_are_the_seeds() {
    let client = client();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for event_type in EventType::ALL.iter().copied() {
        let seen = Arc::clone(&seen);
        client
            .events()
            .on(event_type, move |event| seen.lock().unwrap().push(format!("{:?}", event.payload)));
    }
    client.create_with("X", true, object(&json!({"creator": "adambom"}))).await.unwrap();
    client.set_client_data("X", object(&json!({"ttl": 1}))).await.unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen[0].contains("is_enabled: true") && seen[0].contains("creator"), "{}", seen[0]);
    assert!(seen[2].contains("creator") && seen[2].contains("ttl"), "the merged data: {}", seen[2]);
}

#[tokio::test]
async fn a_veto_stops_later_handlers_and_the_write() {
    let client = client();
    client.create("X").await.unwrap();
    let called = Arc::new(AtomicUsize::new(0));
    let id = client.events().on(EventType::PreEnable, |_| Err("not on a Friday"));
    let later = Arc::clone(&called);
    client.events().on(EventType::PreEnable, move |_| {
        later.fetch_add(1, Ordering::SeqCst);
    });
    let before = client.flag("X").await.unwrap();
    let error = client.enable("X").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.message().contains("pre_enable") && error.message().contains("not on a Friday"), "{error}");
    assert_eq!(client.flag("X").await.unwrap(), before);
    assert_eq!(called.load(Ordering::SeqCst), 0);
    // Nothing is left locked.
    assert!(client.events().remove_listener(id));
    assert!(!client.events().remove_listener(id));
    client.enable("X").await.unwrap();
    assert_eq!(called.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn panics_are_contained_before_as_a_veto_and_after_without_effect() {
    let client = client();
    client.create("X").await.unwrap();
    let panics = client.events().on(EventType::PreEnable, |_| -> () { panic!("of its own") });
    let error = client.enable("X").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.message().contains("of its own"), "{error}");
    client.events().remove_listener(panics);

    let recorder = EventRecorder::default();
    client.events().on(EventType::PostEnable, |_| -> () { panic!("after the write") });
    client.events().on(EventType::PostEnable, |_| Err("after the write"));
    let after = EventRecorder::of(&client);
    client.enable("X").await.unwrap();
    assert!(client.is_enabled("X", &Context::EMPTY).await);
    assert_eq!(after.take().len(), 2, "later handlers are called");
    drop(recorder);
    client.disable("X").await.unwrap();
}

#[tokio::test]
async fn once_is_once_and_subscribers_count_once() {
    #[derive(Default)]
    struct Counter(AtomicUsize);
    impl Subscriber for Counter {
        fn on_post_enable(&self, _: &Event<'_>) -> Handled {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }
    let client = client();
    client.create("X").await.unwrap();
    let once = Arc::new(AtomicUsize::new(0));
    let calls = Arc::clone(&once);
    client.events().once(EventType::PostEnable, move |_| {
        calls.fetch_add(1, Ordering::SeqCst);
    });
    let counter = Arc::new(Counter::default());
    let subscriber: Arc<dyn Subscriber> = counter.clone();
    assert!(client.events().register_subscriber(subscriber.clone()));
    assert!(!client.events().register_subscriber(subscriber.clone()));
    for _ in 0..3 {
        client.enable("X").await.unwrap();
    }
    assert_eq!((once.load(Ordering::SeqCst), counter.0.load(Ordering::SeqCst)), (1, 3));
    assert!(client.events().remove_subscriber(&subscriber));
    assert!(!client.events().remove_subscriber(&subscriber));
    client.enable("X").await.unwrap();
    assert_eq!(counter.0.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn handlers_come_in_the_order_of_registration() {
    struct Named(&'static str, Arc<Mutex<Vec<&'static str>>>);
    impl Subscriber for Named {
        fn on_post_create(&self, _: &Event<'_>) -> Handled {
            self.1.lock().unwrap().push(self.0);
            Ok(())
        }
    }
    let client = client();
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str| {
        let order = Arc::clone(&order);
        move |_: &Event<'_>| order.lock().unwrap().push(name)
    };
    client.events().on(EventType::PostCreate, note("first"));
    client.events().register_subscriber(Arc::new(Named("second", Arc::clone(&order))));
    client.events().on(EventType::PostCreate, note("third"));
    client.create("X").await.unwrap();
    assert_eq!(*order.lock().unwrap(), ["first", "second", "third"]);
}

#[tokio::test]
async fn the_emitter_can_be_replaced() {
    struct Only(Mutex<Vec<EventType>>);
    impl Emitter for Only {
        fn emit(&self, event: &Event<'_>) -> Result<(), BoxError> {
            self.0.lock().unwrap().push(event.event_type());
            if matches!(event.payload, Payload::Disable) {
                panic!("a broken emitter")
            }
            Ok(())
        }
        fn add_listener(&self, _: EventType, _: Listener, _: bool) -> ListenerId {
            unimplemented!("nobody registers")
        }
        fn remove_listener(&self, _: ListenerId) -> bool {
            false
        }
        fn register_subscriber(&self, _: Arc<dyn Subscriber>) -> bool {
            false
        }
        fn remove_subscriber(&self, _: &Arc<dyn Subscriber>) -> bool {
            false
        }
    }
    let client = client();
    let only = Arc::new(Only(Mutex::default()));
    client.as_actor("a clone").set_emitter(only.clone());
    client.create("X").await.unwrap();
    assert_eq!(*only.0.lock().unwrap(), [EventType::PreCreate, EventType::PostCreate]);
    assert_eq!(client.disable("X").await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    client.enable("X").await.unwrap();
}

#[tokio::test]
async fn a_handler_that_edits_its_own_flag_is_refused_and_another_flag_is_not() {
    let client = client();
    client.create("X").await.unwrap();
    client.create("Y").await.unwrap();
    let outcome = Arc::new(Mutex::new(Vec::new()));
    let (inner, seen) = (client.clone(), Arc::clone(&outcome));
    client.events().on(EventType::PostEnable, move |event| {
        if event.flag == "X" {
            let own = futures_lite::future::block_on(inner.disable("X"));
            let other = futures_lite::future::block_on(inner.enable("Y"));
            seen.lock().unwrap().push((own.map_err(|error| error.kind()), other.is_ok()));
        }
    });
    client.enable("X").await.unwrap();
    assert_eq!(*outcome.lock().unwrap(), [(Err(ErrorKind::InvalidInput), true)]);
    assert!(client.is_enabled("X", &Context::EMPTY).await && client.is_enabled("Y", &Context::EMPTY).await);
    client.disable("X").await.unwrap();
}

#[tokio::test]
async fn before_runs_for_every_attempt_with_what_it_would_replace() {
    let store = flipper_testkit::FaultStore::new(MemoryStore::new());
    let client = FeatureFlagClient::new(store.clone());
    client.create("X").await.unwrap();
    let recorder = EventRecorder::of(&client);
    store.push(flipper_testkit::Operation::Put, flipper_testkit::Fault::LostRace);
    client.enable("X").await.unwrap();
    let events = recorder.take();
    let seen: Vec<_> = events.iter().map(|event| (event.event_type, event.attempt)).collect();
    assert_eq!(seen, [(EventType::PreEnable, 1), (EventType::PreEnable, 2), (EventType::PostEnable, 2)]);
    assert!(!events[0].before.as_ref().unwrap().contains("foreign"));
    assert!(events[1].before.as_ref().unwrap().contains("foreign"));
    assert!(events[2].after.as_ref().unwrap().contains("foreign"), "the other edit is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_handler_holds_up_its_flag_until_the_deadline_and_no_other() {
    let store = Arc::new(MemoryStore::new());
    let client = FeatureFlagClient::builder(store.clone()).deadline(Duration::from_millis(300)).build();
    client.create("X").await.unwrap();
    client.create("Y").await.unwrap();
    let (release, stuck) = std::sync::mpsc::channel::<()>();
    let stuck = Mutex::new(stuck);
    let (entered, mut has_entered) = tokio::sync::mpsc::unbounded_channel();
    client.events().once(EventType::PostEnable, move |_| {
        entered.send(()).unwrap();
        stuck.lock().unwrap().recv().unwrap();
    });
    let holder = tokio::spawn({
        let client = client.clone();
        async move { client.enable("X").await }
    });
    has_entered.recv().await.unwrap();
    let error = client.disable("X").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("another edit"), "{error}");
    client.enable("Y").await.unwrap();
    assert!(client.is_enabled("X", &Context::EMPTY).await, "checks go on");
    release.send(()).unwrap();
    holder.await.unwrap().unwrap();
    client.disable("X").await.unwrap();
}

#[tokio::test]
async fn a_corrupt_flag_can_be_destroyed_and_replaced() {
    // The memory store cannot hold a corrupt record, so a wrapper says that it is one.
    let store = flipper_testkit::FaultStore::new(MemoryStore::new());
    let client = FeatureFlagClient::new(store.clone());
    let corrupt =
        || store.push(flipper_testkit::Operation::Get, flipper_testkit::Fault::Fail(ErrorKind::Corrupt));
    for verb in VERBS {
        store.get_ref().put(&flag("X"), Expect::Any).await.unwrap();
        corrupt();
        let outcome = verb.run(&client, "X").await.map_err(|error| error.kind());
        match verb {
            Verb::Destroy | Verb::CreateOrReplace => assert_eq!(outcome, Ok(()), "{verb:?}"),
            Verb::Create => assert_eq!(outcome, Err(ErrorKind::AlreadyExists)),
            _ => assert_eq!(outcome, Err(ErrorKind::Corrupt), "{verb:?}"),
        }
    }
    store.get_ref().put(&flag("X"), Expect::Any).await.unwrap();
    corrupt();
    assert!(client.exists("X").await.unwrap());
    corrupt();
    assert!(client.is_enabled_or("X", &Context::EMPTY, true).await, "unknown is not off");
    assert_eq!(client.failed_checks(), 1);
}

fn flag(name: &str) -> flipper_core::Flag {
    flipper_core::Flag::new(flipper_core::FlagName::new(name).unwrap(), flipper_core::Timestamp::from_secs(1))
}

#[tokio::test]
async fn handlers_may_own_what_comes_back_when_it_is_dropped() {
    /// Removes another listener, or asks for the emitter, when it is dropped.
    struct Comeback(FeatureFlagClient, ListenerId);
    impl Drop for Comeback {
        fn drop(&mut self) {
            self.0.events().remove_listener(self.1);
        }
    }
    let client = client();
    let other = client.events().on(EventType::PostEnable, |_| {});
    let comeback = Comeback(client.clone(), other);
    let id = client.events().on(EventType::PostEnable, move |_| {
        let _ = &comeback;
    });
    assert!(client.events().remove_listener(id));
    assert!(!client.events().remove_listener(other), "it was removed by the drop");

    let comeback = Comeback(client.clone(), other);
    client.events().on(EventType::PostEnable, move |_| {
        let _ = &comeback;
    });
    client.set_emitter(Arc::new(flipper_core::events::EventEmitter::new()));
    let new = client.events().on(EventType::PostEnable, |_| {});
    assert!(!client.events().remove_listener(id), "a name of the old emitter");
    assert!(client.events().remove_listener(new));
}

#[tokio::test]
async fn a_write_is_not_begun_after_the_deadline() {
    let store = flipper_testkit::RecordingStore::new(MemoryStore::new());
    let client = FeatureFlagClient::builder(store.clone()).deadline(Duration::from_millis(50)).build();
    client.create("X").await.unwrap();
    store.take();
    client.events().on(EventType::PreEnable, |_| std::thread::sleep(Duration::from_millis(80)));
    let error = client.enable("X").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "nothing was written: {error}");
    assert_eq!(store.take(), [flipper_testkit::Call::Get("X".into())]);
}

#[tokio::test]
async fn an_error_whose_text_panics_stops_nobody() {
    #[derive(Debug)]
    struct Bad;
    impl std::fmt::Display for Bad {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no text")
        }
    }
    impl std::error::Error for Bad {}
    struct Loud;
    impl log::Log for Loud {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            let _ = record.args().to_string();
        }
        fn flush(&self) {}
    }
    let _ = log::set_logger(&Loud);
    log::set_max_level(log::LevelFilter::Error);
    let client = client();
    client.create("X").await.unwrap();
    client.events().on(EventType::PostEnable, |_| Err(Bad));
    let after = EventRecorder::of(&client);
    client.enable("X").await.unwrap();
    assert_eq!(after.take().len(), 2);
}
