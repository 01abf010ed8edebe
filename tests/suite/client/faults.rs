//! Every fault × every verb: a documented outcome, and never an edit that is made twice.

use std::time::Duration;

use flipper_core::events::Phase;
use flipper_core::{ErrorKind, Expect, FeatureFlagClient, Flag, FlagName, Store, Timestamp};
use flipper_memory::MemoryStore;
use flipper_testkit::{EventRecorder, Fault, FaultStore, Operation};

use super::{VERBS, Verb, condition};

const NAME: &str = "X";

async fn setting(verb: Verb) -> (FaultStore<MemoryStore>, FeatureFlagClient) {
    setting_with_deadline(verb, Duration::from_millis(600)).await
}

async fn setting_with_deadline(
    verb: Verb,
    deadline: Duration,
) -> (FaultStore<MemoryStore>, FeatureFlagClient) {
    let store = FaultStore::new(MemoryStore::new());
    let client = FeatureFlagClient::builder(store.clone()).deadline(deadline).build();
    if verb != Verb::Create {
        let mut flag = Flag::new(FlagName::new(NAME).unwrap(), Timestamp::from_secs(1));
        // Something to do for every verb.
        flag.set_enabled(verb == Verb::Disable).unwrap();
        store.get_ref().put(&flag, Expect::Absent).await.unwrap();
    }
    (store, client)
}

async fn stored(store: &FaultStore<MemoryStore>) -> Option<Flag> {
    store.get_ref().get(FlagName::new(NAME).unwrap()).await.unwrap().map(|found| found.value)
}

/// Whether the edit has been made, exactly once.
fn is_made_once(verb: Verb, flag: Option<&Flag>) -> bool {
    let Some(flag) = flag else { return verb == Verb::Destroy };
    let data = flag.client_data().to_json();
    match verb {
        Verb::Create => true,
        Verb::CreateOrReplace => data.contains("\"new\": 1"),
        Verb::Enable => flag.is_switched_on(),
        Verb::Disable => !flag.is_switched_on(),
        Verb::Destroy => false,
        Verb::SetClientData => data.contains("\"k\": 1"),
        Verb::AddCondition | Verb::Update => flag.conditions() == [condition()],
        Verb::SetConditions => flag.conditions() == [condition(), condition()],
        Verb::SetBucketer => flag.bucketer().as_percentage().is_some(),
    }
}

/// How often a verb has said that it is done.
fn done(recorder: &EventRecorder) -> usize {
    recorder.take().iter().filter(|event| event.event_type.phase() == Phase::After).count()
}

fn write_of(verb: Verb) -> Operation {
    if verb == Verb::Destroy { Operation::Delete } else { Operation::Put }
}

#[tokio::test]
async fn what_goes_wrong_for_a_while_is_made_good() {
    for verb in VERBS {
        for fault in [
            Fault::Delay(Duration::from_millis(20)),
            Fault::LostReply,
            Fault::LostRequest,
            Fault::LostRace,
            Fault::Fail(ErrorKind::Conflict),
        ] {
            let (store, client) = setting(verb).await;
            let recorder = EventRecorder::of(&client);
            store.push(write_of(verb), fault.clone());
            let outcome = verb.run(&client, NAME).await;
            if verb == Verb::Create && fault == Fault::LostRace {
                // Somebody else has created it first.
                assert_eq!(outcome.unwrap_err().kind(), ErrorKind::AlreadyExists);
                assert!(stored(&store).await.unwrap().client_data().to_json().contains("foreign"));
                assert_eq!(done(&recorder), 0);
                continue;
            }
            outcome.unwrap_or_else(|error| panic!("{verb:?} with {fault:?}: {error}"));
            let flag = stored(&store).await;
            assert!(is_made_once(verb, flag.as_ref()), "{verb:?} with {fault:?}: {flag:?}");
            assert_eq!(done(&recorder), 1, "{verb:?} with {fault:?}");
            assert_eq!(store.pending(), 0);
            let keeps_others = fault == Fault::LostRace
                && !matches!(verb, Verb::Create | Verb::CreateOrReplace | Verb::Destroy);
            if keeps_others {
                assert!(
                    flag.unwrap().client_data().to_json().contains("foreign"),
                    "{verb:?} has undone another edit"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_write_that_lands_late_is_made_once() {
    for verb in VERBS {
        for reads in 0..4 {
            let (store, client) = setting(verb).await;
            let recorder = EventRecorder::of(&client);
            store.push(write_of(verb), Fault::LateWrite(reads));
            verb.run(&client, NAME)
                .await
                .unwrap_or_else(|error| panic!("{verb:?} after {reads} reads: {error}"));
            // The late write may still be on its way.
            for _ in 0..6 {
                let _ = store.get(FlagName::new(NAME).unwrap()).await;
            }
            assert!(is_made_once(verb, stored(&store).await.as_ref()), "{verb:?} after {reads} reads");
            assert_eq!(done(&recorder), 1, "{verb:?} after {reads} reads");
        }
    }
}

#[tokio::test]
async fn where_nobody_can_tell_the_outcome_is_unknown_and_nothing_is_made_twice() {
    for verb in VERBS {
        let (store, client) = setting(verb).await;
        let recorder = EventRecorder::of(&client);
        store.push(write_of(verb), Fault::LostReplyThenRace);
        let error = verb.run(&client, NAME).await.expect_err("somebody else has written on top");
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{verb:?}");
        assert!(!error.is_retryable());
        let flag = stored(&store).await;
        // What somebody else has created after a deletion is still there.
        assert_eq!(is_made_once(verb, flag.as_ref()), verb != Verb::Destroy, "{verb:?}");
        assert!(flag.unwrap().client_data().to_json().contains("foreign"), "{verb:?}");
        assert_eq!(done(&recorder), 0, "{verb:?}: nobody is told of what nobody knows");
    }
}

#[tokio::test]
async fn a_failure_after_a_lost_answer_is_an_unknown_outcome() {
    for verb in VERBS {
        // The first write is lost, and may land; then the store goes away, or a handler changes its mind.
        let (store, client) = setting(verb).await;
        store.push(write_of(verb), Fault::LostRequest);
        store.push(write_of(verb), Fault::Fail(ErrorKind::Unavailable));
        let error = verb.run(&client, NAME).await.expect_err("the store has gone away");
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{verb:?}");
        assert!(std::error::Error::source(&error).is_some());

        let (store, client) = setting(verb).await;
        for event in flipper_core::events::EventType::ALL.iter().copied() {
            if event.phase() == Phase::Before {
                client.events().on(event, |event| if event.attempt > 1 { Err("no more") } else { Ok(()) });
            }
        }
        store.push(write_of(verb), Fault::LostRequest);
        let error = verb.run(&client, NAME).await.expect_err("the second attempt is vetoed");
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{verb:?}");
    }
}

#[tokio::test]
async fn reads_are_repeated_while_a_lost_write_is_looked_for() {
    for verb in VERBS {
        let (store, client) = setting(verb).await;
        let recorder = EventRecorder::of(&client);
        store.push(write_of(verb), Fault::LostReply);
        // The first read is the edit's own; the next two look for the write.
        store.push(Operation::Get, Fault::Delay(Duration::ZERO));
        store.push(Operation::Get, Fault::Fail(ErrorKind::Unavailable));
        store.push(Operation::Get, Fault::Fail(ErrorKind::Unavailable));
        verb.run(&client, NAME).await.unwrap_or_else(|error| panic!("{verb:?}: {error}"));
        assert_eq!(store.pending(), 0);
        assert!(is_made_once(verb, stored(&store).await.as_ref()), "{verb:?}");
        let attempts: Vec<_> = recorder.take().iter().map(|event| event.attempt).collect();
        assert!(attempts.iter().all(|attempt| *attempt == 1), "{verb:?}: {attempts:?}");
    }
}

#[tokio::test]
async fn a_store_that_is_down_changes_nothing_and_says_so() {
    for verb in VERBS {
        for operation in [Operation::Get, write_of(verb)] {
            for kind in [ErrorKind::Unavailable, ErrorKind::PermissionDenied, ErrorKind::InvalidInput] {
                let (store, client) = setting(verb).await;
                let before = stored(&store).await;
                let recorder = EventRecorder::of(&client);
                store.push(operation, Fault::Fail(kind));
                let error = verb.run(&client, NAME).await.expect_err("the store fails");
                assert_eq!(error.kind(), kind, "{verb:?}, {operation:?}");
                assert_eq!(error.flag(), Some(NAME));
                assert_eq!(stored(&store).await, before);
                assert_eq!(done(&recorder), 0);
            }
        }
    }
}

#[tokio::test]
async fn a_store_that_hangs_is_given_up_at_the_deadline() {
    for verb in VERBS {
        let deadline = Duration::from_millis(100);
        let (store, client) = setting_with_deadline(verb, deadline).await;
        store.push(Operation::Get, Fault::Hang);
        let error = verb.run(&client, NAME).await.expect_err("the store hangs");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{verb:?}: nothing was written");
        let (store, client) = setting_with_deadline(verb, deadline).await;
        store.push(write_of(verb), Fault::Hang);
        let error = verb.run(&client, NAME).await.expect_err("the store hangs");
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{verb:?}: the write may be under way");
        // Nothing is left locked.
        let again = verb.run(&client, NAME).await;
        assert!(again.is_ok(), "{verb:?}: {again:?}");
    }
}

#[tokio::test]
async fn a_stale_read_is_a_conflict_that_is_repeated() {
    for verb in VERBS {
        if matches!(verb, Verb::Create | Verb::Destroy) {
            continue;
        }
        let (store, client) = setting(verb).await;
        // The read before the last change, which the next read will give again.
        store.get(FlagName::new(NAME).unwrap()).await.unwrap();
        let mut newer = stored(&store).await.unwrap();
        newer.merge_client_data(serde_json::json!({"newer": true}).as_object().unwrap()).unwrap();
        store.get_ref().put(&newer, Expect::Any).await.unwrap();
        store.push(Operation::Get, Fault::StaleRead);
        verb.run(&client, NAME).await.unwrap();
        let flag = stored(&store).await.unwrap();
        assert!(is_made_once(verb, Some(&flag)), "{verb:?}");
        if verb != Verb::CreateOrReplace {
            assert!(flag.client_data().to_json().contains("newer"), "{verb:?} has undone another edit");
        }
    }
}

#[tokio::test]
async fn endless_conflicts_end_at_the_deadline() {
    let (store, client) = setting(Verb::Enable).await;
    for _ in 0..10_000 {
        store.push(Operation::Put, Fault::Fail(ErrorKind::Conflict));
    }
    let start = std::time::Instant::now();
    assert_eq!(client.enable(NAME).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert!((Duration::from_millis(500)..Duration::from_secs(3)).contains(&start.elapsed()));
    assert!(store.pending() > 9_000, "it waits between attempts");
}
