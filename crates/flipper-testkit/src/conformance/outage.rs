use std::time::Duration;

use flipper_core::{ErrorKind, Expect, FeatureFlagClient, Page, Result, Store};

use super::{Outcome, flag, name, put, stored};
use crate::{Fault, FaultStore, Operation, Subject, collect};

/// A write whose answer is lost is found out to have happened, and is not made twice.
pub async fn a_lost_reply_is_found_out<S: Store>(subject: &Subject<S>) -> Outcome {
    for fault in [Fault::LostReply, Fault::LostRequest] {
        let store = subject.store().await;
        put(&*store, &flag("X", 0)).await;
        let faulty = FaultStore::new(store.clone());
        let client = FeatureFlagClient::new(faulty.clone());
        let condition = flipper_core::Condition::builder().eq("x", 1).build().unwrap();
        faulty.push(Operation::Put, fault.clone());
        client.add_condition("X", &condition).await.unwrap();
        let flag = store.get(name("X")).await.unwrap().expect("the flag").value;
        assert_eq!(flag.conditions(), [condition], "{fault:?}");
        faulty.push(Operation::Delete, fault);
        client.destroy("X").await.unwrap();
        assert_eq!(stored(&*store, "X").await, None);
    }
    Outcome::Proven
}

/// While the backend cannot be reached, every call fails in bounded time and says that it may be tried again.
pub async fn an_outage_is_told_in_bounded_time<S: Store>(subject: &Subject<S>) -> Outcome {
    let store = subject.store().await;
    put(&*store, &flag("X", 1)).await;
    if !subject.outage(&store).await {
        return Outcome::Absent("a way to make the backend unreachable");
    }
    let limit = Duration::from_secs(30);
    let get = tokio::time::timeout(limit, store.get(name("X"))).await.expect("get hangs");
    let writes: [Result<()>; 2] = [
        tokio::time::timeout(limit, store.put(&flag("X", 2), Expect::Any))
            .await
            .expect("put hangs")
            .map(drop),
        tokio::time::timeout(limit, store.delete(name("X"), Expect::Any))
            .await
            .expect("delete hangs")
            .map(drop),
    ];
    let listed = tokio::time::timeout(limit, collect(store.list(Page::ALL))).await.expect("list hangs");
    assert_eq!(get.expect_err("the backend is away").kind(), ErrorKind::Unavailable);
    for write in writes {
        let kind = write.expect_err("the backend is away").kind();
        assert!(matches!(kind, ErrorKind::Unavailable | ErrorKind::OutcomeUnknown), "{kind}");
    }
    match listed.last() {
        Some(Err(error)) => assert!(error.is_retryable(), "{error}"),
        other => panic!("a listing that is incomplete ends with an error, not with {other:?}"),
    }
    Outcome::Proven
}
