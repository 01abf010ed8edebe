//! How edits end, for those who have to know of every write: once, and also where nobody can tell.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use flipper_core::events::{Edit, EventType, Handled, Outcome, Phase, Subscriber};
use flipper_core::{ErrorKind, FeatureFlagClient, Timestamp};
use flipper_memory::MemoryStore;
use flipper_testkit::{Fault, FaultStore, Operation};

use super::{VERBS, Verb};

const NAME: &str = "X";

/// What it was told: the number of the attempt, and how the edit has ended; `None` before the write.
#[derive(Default)]
struct Ends(Mutex<Vec<(u32, Option<Outcome>)>>, Mutex<Vec<String>>);

impl Ends {
    fn of(client: &FeatureFlagClient) -> Arc<Self> {
        let ends = Arc::new(Self::default());
        client.events().register_subscriber(ends.clone());
        ends
    }

    fn take(&self) -> Vec<(u32, Option<Outcome>)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn outcomes(&self) -> Vec<Outcome> {
        self.take().into_iter().filter_map(|(_, outcome)| outcome).collect()
    }

    fn see(&self, edit: &Edit<'_>, outcome: Option<Outcome>) {
        self.0.lock().unwrap().push((edit.attempt, outcome));
        let events = edit.changes.iter().map(|change| change.event_type(Phase::After).to_string());
        *self.1.lock().unwrap() = events.collect();
    }
}

impl Subscriber for Ends {
    fn on_pre_edit(&self, edit: &Edit<'_>) -> Handled {
        self.see(edit, None);
        Ok(())
    }

    fn on_post_edit(&self, edit: &Edit<'_>, outcome: Outcome) -> Handled {
        self.see(edit, Some(outcome));
        Ok(())
    }
}

async fn setting(verb: Verb) -> (FaultStore<MemoryStore>, FeatureFlagClient, Arc<Ends>) {
    let store = FaultStore::new(MemoryStore::new());
    let client = FeatureFlagClient::builder(store.clone()).deadline(Duration::from_millis(300)).build();
    if verb != Verb::Create {
        client.create_with(NAME, verb == Verb::Disable, flipper_core::json::Object::default()).await.unwrap();
    }
    let ends = Ends::of(&client);
    (store, client, ends)
}

fn write_of(verb: Verb) -> Operation {
    if verb == Verb::Destroy { Operation::Delete } else { Operation::Put }
}

#[tokio::test]
async fn every_verb_tells_its_write_and_its_end_once() {
    for verb in VERBS {
        let (_, client, ends) = setting(verb).await;
        verb.run(&client, NAME).await.unwrap();
        assert_eq!(ends.take(), [(1, None), (1, Some(Outcome::Done))], "{verb:?}");
    }
}

#[tokio::test]
async fn an_edit_of_several_aspects_is_one() {
    let (_, client, ends) = setting(Verb::Update).await;
    let edit = client.update(NAME, |flag| {
        flag.set_enabled(true)?;
        flag.add_condition(&super::condition())
    });
    edit.await.unwrap();
    assert_eq!(ends.outcomes(), [Outcome::Done]);
    assert_eq!(*ends.1.lock().unwrap(), ["post_enable", "post_add_condition"]);
}

#[tokio::test]
async fn each_attempt_is_told_and_the_end_once() {
    let (store, client, ends) = setting(Verb::Enable).await;
    store.push(Operation::Put, Fault::LostRace);
    client.enable(NAME).await.unwrap();
    assert_eq!(ends.take(), [(1, None), (2, None), (2, Some(Outcome::Done))]);
}

#[tokio::test]
async fn every_fault_of_every_verb_has_the_outcome_that_the_caller_is_told() {
    for verb in VERBS {
        for fault in [
            Fault::LostReply,
            Fault::LostRequest,
            Fault::LostReplyThenRace,
            Fault::LateWrite(1),
            Fault::Hang,
            Fault::LostRace,
            Fault::Fail(ErrorKind::Unavailable),
            Fault::Fail(ErrorKind::PermissionDenied),
            Fault::Fail(ErrorKind::NotReplicated),
        ] {
            let (store, client, ends) = setting(verb).await;
            store.push(write_of(verb), fault.clone());
            let expected = match verb.run(&client, NAME).await {
                Ok(()) => Outcome::Done,
                Err(error) => match error.kind() {
                    ErrorKind::OutcomeUnknown => Outcome::Unknown,
                    ErrorKind::NotReplicated => Outcome::NotReplicated,
                    _ => Outcome::NotDone,
                },
            };
            assert_eq!(ends.outcomes(), [expected], "{verb:?}, {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_veto_before_anybody_was_told_tells_nobody() {
    let (_, client, ends) = setting(Verb::Enable).await;
    client.events().on(EventType::PreEnable, |_| Err("no"));
    assert_eq!(client.enable(NAME).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(ends.take(), []);
}

#[tokio::test]
async fn a_veto_of_the_write_ends_the_edit_for_who_was_told_before() {
    struct Never;
    impl Subscriber for Never {
        fn on_pre_edit(&self, _: &Edit<'_>) -> Handled {
            Err("never".into())
        }
    }
    let (store, client, ends) = setting(Verb::Enable).await;
    client.events().register_subscriber(Arc::new(Never));
    let error = client.enable(NAME).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.message().contains("never"), "{error}");
    assert_eq!(ends.take(), [(1, None), (1, Some(Outcome::NotDone))]);
    assert!(!client.flag(NAME).await.unwrap().is_switched_on());
    drop(store);
}

#[tokio::test]
async fn a_panic_in_a_subscriber_is_a_veto_before_and_nothing_after() {
    struct Panics(Phase);
    impl Subscriber for Panics {
        fn on_pre_edit(&self, _: &Edit<'_>) -> Handled {
            assert_eq!(self.0, Phase::After, "told to panic");
            Ok(())
        }

        fn on_post_edit(&self, _: &Edit<'_>, _: Outcome) -> Handled {
            panic!("told to panic")
        }
    }
    for (phase, expected) in [(Phase::Before, Outcome::NotDone), (Phase::After, Outcome::Done)] {
        let (_, client, ends) = setting(Verb::Enable).await;
        client.events().register_subscriber(Arc::new(Panics(phase)));
        assert_eq!(client.enable(NAME).await.is_ok(), phase == Phase::After);
        assert_eq!(ends.outcomes(), [expected]);
    }
}

#[tokio::test]
async fn an_edit_that_nobody_waits_for_any_longer_may_have_happened() {
    let (store, client, ends) = setting(Verb::Enable).await;
    store.push(Operation::Put, Fault::Hang);
    let edit = tokio::time::timeout(Duration::from_millis(50), client.enable(NAME));
    assert!(edit.await.is_err());
    assert_eq!(ends.take(), [(1, None), (1, Some(Outcome::Unknown))]);
    // Nor does the flag stay locked.
    client.enable(NAME).await.unwrap();
    assert_eq!(ends.outcomes(), [Outcome::Done]);
}

#[tokio::test]
async fn a_subscriber_cannot_edit_the_flag_whose_edit_it_is_told_of() {
    struct Edits(FeatureFlagClient, Mutex<Vec<ErrorKind>>);
    impl Subscriber for Edits {
        fn on_post_edit(&self, _: &Edit<'_>, _: Outcome) -> Handled {
            let error = futures_lite::future::block_on(self.0.disable(NAME)).unwrap_err();
            self.1.lock().unwrap().push(error.kind());
            Ok(())
        }
    }
    let (_, client, _) = setting(Verb::Enable).await;
    let edits = Arc::new(Edits(client.clone(), Mutex::default()));
    client.events().register_subscriber(edits.clone());
    client.enable(NAME).await.unwrap();
    assert_eq!(*edits.1.lock().unwrap(), [ErrorKind::InvalidInput]);
}

/// Keeps when edits were made.
#[derive(Default)]
struct Times(Mutex<Vec<Timestamp>>);

impl Subscriber for Times {
    fn on_pre_edit(&self, edit: &Edit<'_>) -> Handled {
        self.0.lock().unwrap().push(edit.time);
        Ok(())
    }
}

#[tokio::test]
async fn no_edit_is_told_to_be_older_than_the_call_that_made_it() {
    let client = FeatureFlagClient::new(MemoryStore::new());
    let times = Arc::new(Times::default());
    client.events().register_subscriber(times.clone());
    client.create(NAME).await.unwrap();
    for _ in 0..1_000 {
        let before = Timestamp::now();
        client.enable(NAME).await.unwrap();
        let told = *times.0.lock().unwrap().last().unwrap();
        assert!(told >= before, "{told:?} is before {before:?}");
        client.disable(NAME).await.unwrap();
    }
}
