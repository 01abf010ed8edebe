//! What the server makes of the conditions of writes, and how that is found out.

use std::time::Duration;

use flipper_core::{Capabilities, CompareAndSet, ErrorKind, Expect, FeatureFlagClient, Page, Store};
use flipper_s3::S3Store;
use flipper_testkit::{S3Conditions, S3Server};

use super::{bucket, fails, failure, flag, hasty, name, names, number, put, server};

/// How many requests of each kind a call takes: reads, writes, deletions.
async fn requests<T>(server: &S3Server, call: impl Future<Output = T>) -> ([usize; 3], T) {
    let count = || ["GetObject", "PutObject", "DeleteObject"].map(|operation| server.count(operation));
    let before = count();
    let done = call.await;
    let after = count();
    ([after[0] - before[0], after[1] - before[1], after[2] - before[2]], done)
}

fn habits(capabilities: Capabilities) -> [bool; 2] {
    [capabilities.conditional_put, capabilities.conditional_delete].map(|set| set == CompareAndSet::Atomic)
}

#[tokio::test]
async fn once_it_is_known_a_write_is_one_request() {
    let server = server();
    let store = hasty(server.client());
    let create = async |of| store.put(&flag(of, 1), Expect::Absent).await.unwrap();
    let replace =
        async |of, number, version| store.put(&flag(of, number), Expect::Matches(&version)).await.unwrap();
    let delete = async |of, version| store.delete(name(of), Expect::Matches(&version)).await.unwrap();
    // Looked at before, and tried under a condition that cannot hold.
    let (first, x) = requests(&server, create("X")).await;
    let (second, y) = requests(&server, create("Y")).await;
    // That nothing was refused says nothing: it is looked at until something is.
    assert_eq!([first, second], [[1, 2, 0], [1, 1, 0]]);
    let (first, x) = requests(&server, replace("X", 2, x)).await;
    let (second, x) = requests(&server, replace("X", 3, x)).await;
    assert_eq!([first, second], [[1, 2, 0], [0, 1, 0]]);
    // S3 does not tell whether there was something: that is looked at each time.
    let (first, was_there) = requests(&server, delete("X", x)).await;
    assert!(was_there);
    let (second, was_there) = requests(&server, delete("Y", y)).await;
    assert!(was_there);
    assert_eq!([first, second], [[1, 0, 2], [1, 0, 1]]);
    assert_eq!(habits(store.check_conditions().await.unwrap()), [true, true]);
    assert_eq!(requests(&server, create("Z")).await.0, [0, 1, 0]);
}

#[tokio::test]
async fn a_server_that_does_not_look_is_found_out_by_the_first_write() {
    use S3Conditions::{Honour, Ignore, Reject};
    for bad in [Ignore, Reject] {
        let (good, short) = ([true, true], [false, true]);
        // Who ignores `If-None-Match` alone is found out by an object of its own only; who rejects `If-Match`, when it is used.
        let (create, replace) = match bad {
            Reject => ([short; 3], [good, short, short]),
            _ => ([good; 3], [short; 3]),
        };
        for (habit, known) in [
            ([bad, Honour, Honour], create),
            ([Honour, bad, Honour], replace),
            ([bad, bad, Honour], [short; 3]),
            ([Honour, Honour, bad], [[true, true], [true, true], [true, false]]),
        ] {
            let server = server();
            server.set_conditions(habit[0], habit[1], habit[2]);
            let store = hasty(server.client());
            let one = store.put(&flag("X", 1), Expect::Absent).await.unwrap();
            let after_create = habits(store.capabilities());
            let two = store.put(&flag("X", 2), Expect::Matches(&one)).await.unwrap();
            let after_replace = habits(store.capabilities());
            // What does not hold is seen all the same, if nobody else writes at that moment.
            for expect in [Expect::Absent, Expect::Matches(&one)] {
                assert_eq!(
                    fails(store.put(&flag("X", 3), expect)).await.kind(),
                    ErrorKind::Conflict,
                    "{habit:?}"
                );
            }
            let stale = store.delete(name("X"), Expect::Matches(&one));
            assert_eq!(fails(stale).await.kind(), ErrorKind::Conflict, "{habit:?}");
            assert_eq!(number(&store, "X").await, Some(2), "{habit:?}");
            assert!(store.delete(name("X"), Expect::Matches(&two)).await.unwrap());
            assert!(!store.delete(name("X"), Expect::Matches(&two)).await.unwrap());
            assert_eq!(number(&store, "X").await, None);
            let back = flag("X", 4);
            assert_eq!(
                fails(store.put(&back, Expect::Matches(&two))).await.kind(),
                ErrorKind::Conflict,
                "{habit:?}: nothing comes back"
            );
            let after_delete = habits(store.capabilities());
            assert_eq!([after_create, after_replace, after_delete], known, "{habit:?}");
        }
    }
}

/// A proxy that cannot do something for a moment, or a server that cannot do something else.
#[tokio::test]
async fn that_something_cannot_be_done_is_not_held_against_the_server() {
    let server = server();
    for (code, times) in [("", 1), ("NotImplemented", 1), ("NotImplemented", 2), ("NotImplemented", 4)] {
        let store = hasty(server.client());
        server.fail("PutObject", times, &failure(501, code));
        let created = store.put(&flag("X", 1), Expect::Absent).await;
        assert_eq!(created.is_ok(), code == "NotImplemented" && times < 4, "{code} {times}: {created:?}");
        server.mend();
        assert_eq!(habits(store.capabilities()), [true, true], "{code} {times}");
        store.delete(name("X"), Expect::Any).await.unwrap();
    }
    // And if it has looked as if it were so: the next write of that kind tells.
    let fresh = hasty(server.client());
    server.fail("PutObject", 3, &failure(501, "NotImplemented"));
    let x = fresh.put(&flag("X", 1), Expect::Absent).await.unwrap();
    assert_eq!(habits(fresh.capabilities()), [false, true]);
    fresh.put(&flag("Y", 1), Expect::Absent).await.unwrap();
    assert_eq!(habits(fresh.capabilities()), [true, true]);
    server.fail("PutObject", 2, &failure(501, "NotImplemented"));
    let x = fresh.put(&flag("X", 2), Expect::Matches(&x)).await.unwrap();
    assert_eq!(habits(fresh.capabilities()), [false, true]);
    let x = fresh.put(&flag("X", 2), Expect::Matches(&x)).await.unwrap();
    assert_eq!(habits(fresh.capabilities()), [true, true]);
    server.hold("PutObject", Duration::from_millis(100));
    let (one, two, n, m) = (flag("X", 3), flag("X", 4), flag("N", 1), flag("N", 2));
    let written = tokio::join!(
        fresh.put(&one, Expect::Matches(&x)),
        fresh.put(&two, Expect::Matches(&x)),
        fresh.put(&n, Expect::Absent),
        fresh.put(&m, Expect::Absent)
    );
    assert!(written.0.is_ok() != written.1.is_ok() && written.2.is_ok() != written.3.is_ok(), "{written:?}");
}

/// Whoever knows `If-None-Match` alone creates safely, whatever it makes of the other.
#[tokio::test]
async fn creations_need_nothing_but_their_own_condition() {
    for other in [S3Conditions::Ignore, S3Conditions::Reject] {
        let server = server();
        server.set_conditions(S3Conditions::Honour, other, S3Conditions::Honour);
        let (one, two) = (hasty(server.client()), hasty(server.client()));
        server.hold("PutObject", Duration::from_millis(50));
        for of in ["A", "B", "C"] {
            let (first, second) = (flag(of, 1), flag(of, 2));
            let done = tokio::join!(one.put(&first, Expect::Absent), two.put(&second, Expect::Absent));
            assert!(done.0.is_ok() != done.1.is_ok(), "{other:?} {of}: {done:?}");
        }
    }
}

/// What somebody has deleted meanwhile says nothing of the server.
#[tokio::test]
async fn a_deletion_of_nothing_teaches_nothing() {
    let server = server();
    server.set_conditions(S3Conditions::Ignore, S3Conditions::Ignore, S3Conditions::Ignore);
    let store = hasty(server.client());
    let version = put(&store, "X", 1).await;
    server.fail("DeleteObject", 1, &failure(404, "NoSuchKey"));
    assert!(!store.delete(name("X"), Expect::Matches(&version)).await.unwrap());
    assert!(store.delete(name("X"), Expect::Matches(&version)).await.unwrap());
    assert_eq!(habits(store.capabilities()), [true, false]);
}

#[tokio::test]
async fn names_of_spaces_are_kept_in_any_bucket() {
    let server = S3Server::start();
    // What stands for such a name until it is signed.
    server.create_bucket("flipper-stand-in");
    let store = S3Store::new(server.client(), "flipper-stand-in");
    for (number, of) in [" ", "  ", "\u{3000}", "flipper-stand-in"].into_iter().enumerate() {
        put(&store, of, number as i64).await;
    }
    for (number, of) in [" ", "  ", "\u{3000}", "flipper-stand-in"].into_iter().enumerate() {
        assert_eq!(super::number(&store, of).await, Some(number as i64), "{of:?}");
    }
    assert_eq!(names(&store, Page::ALL).await.0.len(), 4);
}

#[tokio::test]
async fn it_is_found_out_by_an_object_of_its_own_too() {
    use S3Conditions::{Honour, Ignore, Reject};
    for (habit, known) in [
        ([Honour, Honour, Honour], [true, true]),
        ([Ignore, Honour, Honour], [false, true]),
        ([Honour, Reject, Honour], [false, true]),
        ([Honour, Honour, Ignore], [true, false]),
        ([Reject, Ignore, Reject], [false, false]),
    ] {
        let server = server();
        server.set_conditions(habit[0], habit[1], habit[2]);
        let store = hasty(server.client());
        assert_eq!(habits(store.check_conditions().await.unwrap()), known, "{habit:?}");
        assert_eq!(names(&store, Page::ALL).await, (vec![], vec![]), "{habit:?}: it is gone");
        if known == [true, true] {
            let (count, _) = requests(&server, store.put(&flag("X", 1), Expect::Absent)).await;
            assert_eq!(count, [0, 1, 0]);
        }
    }
}

#[tokio::test]
async fn a_check_that_fails_tells_why_and_leaves_nothing() {
    let server = server();
    let store = hasty(server.client());
    // Each of its requests, but for that which takes the object away again.
    for (operation, skip) in [("PutObject", 0), ("PutObject", 1), ("PutObject", 2), ("DeleteObject", 0)] {
        server.fail_after(operation, skip, 9, &failure(500, "InternalError"));
        let error = fails(async {
            let checked = store.check_conditions().await;
            server.mend();
            checked
        });
        assert_eq!(error.await.kind(), ErrorKind::OutcomeUnknown, "{operation} {skip}");
        let left = names(&store, Page::ALL).await.0;
        // Where nothing can be deleted, it stays; it is a flag that is off, which harms nobody.
        assert_eq!(left.len(), usize::from(operation == "DeleteObject"), "{left:?}");
        assert!(left.iter().all(|name| name.starts_with("flipper-check-")));
    }
}

#[tokio::test]
async fn a_server_that_begins_to_look_is_trusted_again() {
    use S3Conditions::{Honour, Ignore};
    let server = server();
    server.set_conditions(Ignore, Ignore, Ignore);
    let store = hasty(server.client());
    assert_eq!(habits(store.check_conditions().await.unwrap()), [false, false]);
    server.set_conditions(Honour, Honour, Honour);
    let version = put(&store, "X", 1).await;
    let version = store.put(&flag("X", 2), Expect::Matches(&version)).await.unwrap();
    assert!(store.delete(name("X"), Expect::Matches(&version)).await.unwrap());
    // Until something is refused, nobody knows of creations.
    assert_eq!(habits(store.capabilities()), [false, true]);
    assert_eq!(habits(store.check_conditions().await.unwrap()), [true, true]);
}

/// The SDK would send it once more, which meets what was written.
#[tokio::test]
async fn an_answer_that_is_lost_never_becomes_a_conflict() {
    let server = server();
    let store = hasty(server.client());
    store.check_conditions().await.unwrap();
    let mut lost = failure(500, "InternalError");
    lost.is_done = true;
    server.fail("PutObject", 1, &lost);
    let (count, error) = requests(&server, fails(store.put(&flag("X", 1), Expect::Absent))).await;
    assert_eq!((count, error.kind()), ([0, 1, 0], ErrorKind::OutcomeUnknown), "{error}");
    assert_eq!(number(&store, "X").await, Some(1));
    let client = FeatureFlagClient::new(store);
    server.fail("PutObject", 1, &lost);
    client.create("Y").await.unwrap();
    server.fail("PutObject", 1, &lost);
    client.enable("Y").await.unwrap();
    assert!(client.is_enabled("Y", &flipper_core::Context::EMPTY).await);
    server.fail("DeleteObject", 1, &lost);
    client.destroy("Y").await.unwrap();
    assert!(!client.exists("Y").await.unwrap());
    // It was lost before it has come to anything.
    server.fail("PutObject", 1, &failure(503, "ServiceUnavailable"));
    client.disable("X").await.unwrap();
}

#[tokio::test]
async fn who_is_turned_away_tries_again() {
    let server = server();
    let store = hasty(server.client());
    store.check_conditions().await.unwrap();
    server.fail("PutObject", 3, &failure(503, "SlowDown"));
    store.put(&flag("X", 1), Expect::Absent).await.unwrap();
    server.fail("PutObject", 4, &failure(503, "SlowDown"));
    let error = fails(store.put(&flag("X", 2), Expect::Any)).await;
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true), "{error}");
    assert_eq!(number(&store, "X").await, Some(1));
    // Somebody else writes the same object: S3 says so, and wants to be asked again.
    server.fail("PutObject", 1, &failure(409, "ConditionalRequestConflict"));
    let error = fails(store.put(&flag("X", 2), Expect::Any)).await;
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Conflict, true), "{error}");
    server.fail("PutObject", 2, &failure(409, "ConditionalRequestConflict"));
    FeatureFlagClient::new(store).enable("X").await.unwrap();
}

#[tokio::test]
async fn versions_of_other_stores_are_refused() {
    let (server, bucket) = bucket();
    let store = S3Store::new(server.client(), bucket);
    put(&store, "X", 1).await;
    for version in [
        flipper_core::Version::from_u64(7),
        flipper_core::Version::from_bytes(*b"a\r\nx-amz-acl: public-read"),
        flipper_core::Version::from_bytes(*b"\xff"),
    ] {
        let expect = Expect::Matches(&version);
        assert_eq!(fails(store.put(&flag("X", 2), expect)).await.kind(), ErrorKind::InvalidInput);
        assert_eq!(fails(store.delete(name("X"), expect)).await.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(number(&store, "X").await, Some(1));
}
