//! What is told to whom, and when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper_core::{Context, ErrorKind, Expect, FeatureFlagClient, Freshness, StaleCause, Store, Timestamp};
use flipper_memory::MemoryStore;
use flipper_replicated::{Difference, ReplicaEvent, ReplicatedStore};
use flipper_testkit::{Fault, FaultStore, Operation};
use futures_lite::StreamExt;

use super::{SOON, Trail, records};
use crate::fake::Fake;
use crate::records::{flag, name, number, put};

#[tokio::test]
async fn what_the_primary_has_written_is_told_and_nothing_else() {
    let primary = FaultStore::new(MemoryStore::new());
    let copy = Trail::default();
    let store = ReplicatedStore::builder(primary.clone()).replica("copy", copy.clone()).start().unwrap();
    put(&store, "X", 1).await;
    assert!(store.flush(SOON).await.is_empty());
    assert_eq!(number(&copy, "X").await, Some(1));
    // What has failed is told to nobody.
    primary.push(Operation::Put, Fault::Fail(ErrorKind::Unavailable));
    assert!(store.put(&flag("X", 2), Expect::Any).await.is_err());
    assert!(store.put(&flag("X", 3), Expect::Absent).await.is_err());
    assert!(store.flush(SOON).await.is_empty());
    assert_eq!(copy.of("X"), [Some(1)]);
    // Of what nobody knows, whatever is there: it had happened, or not.
    primary.push(Operation::Put, Fault::LostReply);
    assert_eq!(store.put(&flag("X", 4), Expect::Any).await.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert!(store.flush(SOON).await.is_empty());
    assert_eq!(number(&copy, "X").await, Some(4));
    primary.push(Operation::Delete, Fault::LostRequest);
    assert!(store.delete(name("X"), Expect::Any).await.is_err());
    assert!(store.flush(SOON).await.is_empty());
    assert_eq!(number(&copy, "X").await, Some(4));
    store.delete(name("X"), Expect::Any).await.unwrap();
    assert!(store.flush(SOON).await.is_empty());
    assert_eq!(number(&copy, "X").await, None);
    // A write that nobody waits for any longer.
    primary.push(Operation::Put, Fault::Delay(Duration::from_millis(50)));
    let dropped = tokio::time::timeout(Duration::from_millis(5), store.put(&flag("Y", 5), Expect::Any)).await;
    assert!(dropped.is_err());
    primary.get_ref().put(&flag("Y", 5), Expect::Any).await.unwrap();
    assert!(store.flush(SOON).await.is_empty());
    assert_eq!(number(&copy, "Y").await, Some(5));
}

#[tokio::test]
async fn several_changes_are_told_once_unless_every_state_is_wanted() {
    let (copy, trail) = (Trail::default(), Trail::default());
    let store = ReplicatedStore::builder(MemoryStore::new())
        .replica("copy", copy.clone())
        .replica_of_every_state("trail", trail.clone())
        .linger(Duration::from_millis(200))
        .start()
        .unwrap();
    for number in 1..=50 {
        put(&store, "X", number).await;
    }
    store.delete(name("X"), Expect::Any).await.unwrap();
    put(&store, "X", 51).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(store.flush(SOON).await.is_empty());
    assert_eq!(copy.of("X"), [Some(51)]);
    let expected: Vec<_> = (1..=50).map(Some).chain([None, Some(51)]).collect();
    assert_eq!(trail.of("X"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_arrives_in_the_order_in_which_the_primary_has_it() {
    let (primary, trail) = (Trail::default(), Trail::default());
    let store = ReplicatedStore::builder(primary.clone()).replica_of_every_state("trail", trail.clone());
    let store = Arc::new(store.start().unwrap());
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for of in 0..200 {
                let flag = flag(&format!("F{}", of % 3), writer * 1_000 + of);
                store.put(&flag, Expect::Any).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    assert!(store.flush(SOON).await.is_empty());
    for of in ["F0", "F1", "F2"] {
        assert!(trail.of(of) == primary.of(of), "{of}: {} of {}", trail.of(of).len(), primary.of(of).len());
    }
}

#[tokio::test]
async fn whoever_wants_to_waits_and_hears_who_has_failed() {
    let (good, bad) = (Trail::default(), FaultStore::new(MemoryStore::new()));
    let builder = ReplicatedStore::builder(MemoryStore::new())
        .replica("good", good.clone())
        .replica("bad", bad.clone())
        .linger(Duration::from_mins(1));
    let store = builder.synchronous(Duration::from_millis(300)).start().unwrap();
    let began = Instant::now();
    put(&store, "X", 1).await;
    // Nobody who waits waits for further changes.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!((number(&good, "X").await, number(&bad, "X").await), (Some(1), Some(1)));
    bad.push(Operation::Put, Fault::Delay(Duration::from_secs(1)));
    let error = store.put(&flag("X", 2), Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReplicated);
    assert!(error.message().contains("bad") && !error.message().contains("good"), "{error}");
    // It stands, and arrives.
    assert_eq!((number(&store, "X").await, number(&good, "X").await), (Some(2), Some(2)));
    assert!(store.wait_for("X", SOON).await.is_empty());
    assert_eq!(number(&bad, "X").await, Some(2));
    // Per call, where writes do not wait otherwise.
    for _ in 0..3 {
        bad.push(Operation::Put, Fault::Fail(ErrorKind::Unavailable));
    }
    let failures = {
        let _ = store.put(&flag("X", 3), Expect::Any).await;
        store.wait_for("X", Duration::from_millis(1)).await
    };
    assert!(failures.iter().all(|failure| failure.replica == "bad"), "{failures:?}");
    assert!(store.wait_for("X", SOON).await.is_empty());
}

#[tokio::test]
async fn what_a_replica_refuses_holds_up_nothing() {
    let picky = FaultStore::new(MemoryStore::new());
    let store = ReplicatedStore::builder(MemoryStore::new()).replica("picky", picky.clone());
    let store = store.synchronous(SOON).start().unwrap();
    let mut events = Box::pin(store.events());
    picky.push(Operation::Put, Fault::Fail(ErrorKind::InvalidInput));
    let error = store.put(&flag("X", 1), Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReplicated);
    put(&store, "Y", 1).await;
    let status = store.status().remove(0);
    assert_eq!((status.refused, status.queued), (1, 0));
    assert!(matches!(
        events.next().await,
        Some(ReplicaEvent::Refused { flag: Some(flag), .. }) if flag == "X"
    ));
    assert_eq!(store.verify("picky").await.unwrap(), [Difference::Missing { name: "X".to_owned() }]);
    put(&store, "X", 2).await;
    assert!(store.verify("picky").await.unwrap().is_empty());
}

#[tokio::test]
async fn how_a_replica_is_can_be_seen_and_heard() {
    let down = FaultStore::new(MemoryStore::new());
    let store = ReplicatedStore::builder(MemoryStore::new())
        .replica("down", down.clone())
        .behind_after(Duration::from_millis(100))
        .start()
        .unwrap();
    let mut events = Box::pin(store.events());
    for _ in 0..6 {
        down.push(Operation::Put, Fault::Fail(ErrorKind::Unavailable));
    }
    let before = Timestamp::now();
    put(&store, "X", 1).await;
    let event = events.next().await.unwrap();
    assert!(
        matches!(&event, ReplicaEvent::Behind { replica, error: Some(_), .. } if replica == "down"),
        "{event:?}"
    );
    let status = store.status().remove(0);
    assert!(status.is_behind && status.queued == 1 && status.lag > Duration::from_millis(100), "{status:?}");
    let (time, error) = status.last_error.unwrap();
    assert!(time >= before && error.kind() == ErrorKind::Unavailable && status.last_success.is_none());
    assert!(matches!(events.next().await, Some(ReplicaEvent::Recovered { .. })));
    let status = store.status().remove(0);
    assert!(!status.is_behind && status.queued == 0 && status.lag.is_zero() && status.last_success.is_some());
    assert_eq!(status.name, "down");
}

#[tokio::test]
async fn a_full_queue_ends_with_the_newest_states() {
    let (copy, trail) = (FaultStore::new(MemoryStore::new()), FaultStore::new(Trail::default()));
    copy.push(Operation::Put, Fault::Delay(Duration::from_millis(300)));
    trail.push(Operation::Put, Fault::Delay(Duration::from_millis(300)));
    let store = ReplicatedStore::builder(MemoryStore::new())
        .replica("copy", copy.clone())
        .replica_of_every_state("trail", trail.clone())
        .queue_capacity(10)
        .linger(Duration::ZERO)
        .start()
        .unwrap();
    put(&store, "FIRST", 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    for number in 1..=200 {
        put(&store, &format!("F{}", number % 40), number).await;
    }
    let status = store.status();
    assert!(status.iter().all(|status| status.dropped > 0 && status.queued <= 11), "{status:?}");
    assert!(store.flush(SOON).await.is_empty());
    let expected = records(store.get_ref()).await;
    assert_eq!(expected.len(), 41);
    assert_eq!(records(&copy).await, expected);
    assert_eq!(records(trail.get_ref()).await, expected);
}

#[tokio::test]
async fn differences_are_found_and_repaired() {
    let copy = Trail::default();
    let store = ReplicatedStore::builder(MemoryStore::new()).replica("copy", copy.clone()).start().unwrap();
    for of in ["A", "B", "C"] {
        put(&store, of, 1).await;
    }
    assert!(store.flush(SOON).await.is_empty());
    // Behind its back.
    put(&*copy.inner, "A", 7).await;
    copy.inner.delete(name("B"), Expect::Any).await.unwrap();
    put(&*copy.inner, "D", 7).await;
    let expected = [
        Difference::Different { name: "A".to_owned() },
        Difference::Missing { name: "B".to_owned() },
        Difference::Extra { name: "D".to_owned() },
    ];
    assert_eq!(store.verify("copy").await.unwrap(), expected);
    assert_eq!(store.resync("copy").await.unwrap(), expected);
    assert_eq!(store.verify("copy").await.unwrap(), []);
    assert_eq!(records(&copy).await, records(store.get_ref()).await);
    assert_eq!(store.verify("nobody").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_primary_that_has_lost_everything_takes_nothing_with_it() {
    let primary = Arc::new(MemoryStore::new());
    let copy = Trail::default();
    let store = ReplicatedStore::builder(Arc::clone(&primary)).replica("copy", copy.clone()).start().unwrap();
    for of in ["A", "B", "C"] {
        put(&store, of, 1).await;
    }
    assert!(store.flush(SOON).await.is_empty());
    for of in ["A", "B", "C"] {
        primary.delete(name(of), Expect::Any).await.unwrap();
    }
    let error = store.resync("copy").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("`restore`"), "{error}");
    assert_eq!(records(&copy).await.len(), 3);
    put(&*primary, "B", 2).await;
    assert_eq!(store.restore("copy").await.unwrap(), ["A", "C"]);
    assert_eq!(number(&*primary, "B").await, Some(2), "what is there stays");
}

#[tokio::test]
async fn checks_go_to_a_replica_while_the_primary_is_away() {
    let primary = Fake::new(false);
    primary.plant("X", true).await;
    let copy = MemoryStore::new();
    put(&copy, "OLD", 1).await;
    let copy = Fake::new(false);
    copy.plant("X", true).await;
    let store = ReplicatedStore::builder(primary.clone()).replica("copy", copy.clone()).failover_to("copy");
    let client = FeatureFlagClient::new(store.start().unwrap());
    assert_eq!(client.evaluate("X", &Context::EMPTY, false).await.unwrap().freshness, Freshness::Live);
    primary.0.fail_gets.store(u32::MAX, std::sync::atomic::Ordering::SeqCst);
    let before = Timestamp::now();
    for _ in 0..100 {
        let answer = client.evaluate("X", &Context::EMPTY, false).await.unwrap();
        assert!(answer.value);
        let Freshness::Stale { since, cause: StaleCause::Failover } = answer.freshness else {
            panic!("{:?}", answer.freshness)
        };
        assert!(since.as_micros() >= before.as_micros() - 20_000, "the clock has ticks");
    }
    // It was left alone meanwhile.
    let asked = primary.0.gets.load(std::sync::atomic::Ordering::SeqCst);
    assert!(asked < 20, "{asked}");
    // An edit starts from no copy.
    assert_eq!(client.disable("X").await.unwrap_err().kind(), ErrorKind::Unavailable);
    // Both away: the primary's error.
    copy.0.fail_gets.store(1, std::sync::atomic::Ordering::SeqCst);
    assert!(client.try_is_enabled("X", &Context::EMPTY).await.is_err());
    primary.0.fail_gets.store(0, std::sync::atomic::Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(client.evaluate("X", &Context::EMPTY, false).await.unwrap().freshness, Freshness::Live);
}

#[tokio::test]
async fn what_others_write_is_followed_if_asked_for() {
    let primary = Arc::new(MemoryStore::new());
    put(&*primary, "BEFORE", 1).await;
    let copy = Trail::default();
    let store = ReplicatedStore::builder(Arc::clone(&primary)).replica("copy", copy.clone()).follow_primary();
    let store = store.start().unwrap();
    let ends_alike = async |what: &str| {
        let deadline = Instant::now() + SOON;
        while records(&copy).await != records(&*primary).await {
            assert!(Instant::now() < deadline, "{what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    ends_alike("what was there").await;
    put(&*primary, "X", 1).await;
    put(&*primary, "X", 2).await;
    ends_alike("what was written").await;
    primary.delete(name("BEFORE"), Expect::Any).await.unwrap();
    ends_alike("what was deleted").await;
    assert_eq!(records(&copy).await.len(), 1);
    drop(store);
    let error = ReplicatedStore::builder(Trail::default()).follow_primary().start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn closing_tells_the_rest_and_says_what_is_left() {
    let copy = Trail::default();
    let store = ReplicatedStore::builder(MemoryStore::new())
        .replica("copy", copy.clone())
        .linger(Duration::from_mins(1))
        .start()
        .unwrap();
    put(&store, "X", 1).await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(number(&copy, "X").await, Some(1));

    let down = FaultStore::new(MemoryStore::new());
    for _ in 0..1_000 {
        down.push(Operation::Put, Fault::Fail(ErrorKind::Unavailable));
    }
    let builder = ReplicatedStore::builder(MemoryStore::new()).replica("down", down);
    let store = builder.drain_timeout(Duration::from_millis(200)).start().unwrap();
    for number in 0..9 {
        put(&store, &format!("F{number}"), 1).await;
    }
    let began = Instant::now();
    let error = store.close().await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(error.kind(), ErrorKind::NotReplicated);
    let message = error.message();
    assert!(
        message.contains("down: ") && message.contains("9 changes") && message.contains("4 more"),
        "{error}"
    );
    // Whoever waits afterwards is not left waiting.
    assert_eq!(store.wait_for("F0", SOON).await.len(), 1);
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let builder = || ReplicatedStore::builder(MemoryStore::new()).replica("a", MemoryStore::new());
    for (wrong, part) in [
        (builder().replica("a", MemoryStore::new()).start(), "two replicas"),
        (builder().failover_to("b").start(), "no replica \"b\""),
    ] {
        let error = wrong.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains(part), "{error}");
    }
}
