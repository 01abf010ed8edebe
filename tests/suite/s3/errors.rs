//! What a server answers when it refuses, and what is made of it.

use std::time::{Duration, SystemTime};

use flipper_core::{Error, ErrorKind, Expect, Page, Store};
use flipper_s3::S3Store;
use flipper_s3::aws_sdk_s3::Client;
use flipper_s3::aws_sdk_s3::config::retry::RetryConfig;
use flipper_testkit::{collect, s3_config};

use super::{bucket, fails, failure, flag, hasty, listing_fails, name, number, put, server};

/// The errors of a read, a listing, a write and a deletion.
async fn all(store: &S3Store) -> [Error; 4] {
    [
        fails(store.get(name("X"))).await,
        listing_fails(store).await,
        fails(store.put(&flag("X", 2), Expect::Any)).await,
        fails(store.delete(name("X"), Expect::Any)).await,
    ]
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_no_empty_one() {
    let (server, _) = bucket();
    let store = S3Store::new(server.client(), "another-bucket");
    for error in all(&store).await {
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::InvalidInput, false), "{error}");
        assert!(error.message().contains("no such bucket"), "{error}");
    }
    let store = S3Store::new(server.client(), "Not_A_Bucket/..");
    for error in all(&store).await {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    assert_eq!(S3Store::builder(server.client(), "").build().unwrap_err().kind(), ErrorKind::InvalidInput);
    let long = S3Store::builder(server.client(), "flags").prefix("p".repeat(513)).build().unwrap_err();
    assert!(long.message().contains("512 at most"), "{long}");
}

#[tokio::test]
async fn each_code_has_its_kind() {
    let server = server();
    // One who does not wait long before asking again.
    let (access_key, secret_key) = server.keys();
    let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(1));
    let config = s3_config(&server.url(), access_key, secret_key).retry_config(retries);
    let store = hasty(Client::from_conf(config.build()));
    put(&store, "X", 1).await;
    let denied = (ErrorKind::PermissionDenied, false);
    let again = (ErrorKind::Unavailable, true);
    let input = (ErrorKind::InvalidInput, false);
    for (status, code, expected, says) in [
        (400, "ExpiredToken", denied, "expired"),
        (403, "InvalidAccessKeyId", denied, "credentials are wrong"),
        (403, "SignatureDoesNotMatch", denied, "credentials are wrong"),
        (403, "RequestTimeTooSkewed", denied, "clock"),
        (403, "AllAccessDisabled", denied, "do not allow"),
        (403, "SomethingNew", denied, "SomethingNew"),
        (503, "SlowDown", again, "too much to do"),
        (429, "TooManyRequests", again, "too much to do"),
        (429, "", again, "too much to do"),
        (409, "BucketNotReady", again, "BucketNotReady"),
        (400, "AuthorizationHeaderMalformed", input, "region"),
        (400, "IllegalLocationConstraintException", input, "region"),
        (404, "NoSuchBucket", input, "no such bucket"),
        (400, "EntityTooLarge", input, "EntityTooLarge"),
    ] {
        for operation in ["GetObject", "PutObject", "DeleteObject", "ListObjectsV2"] {
            server.fail(operation, 20, &failure(status, code));
        }
        for error in all(&store).await {
            assert_eq!((error.kind(), error.is_retryable()), expected, "{status} {code}: {error}");
            assert!(error.message().contains(says), "{status} {code}: {error}");
        }
        server.mend();
    }
    assert_eq!(number(&store, "X").await, Some(1), "nothing was written");
    // What may have happened, and what has not.
    for (status, code) in [(500, "InternalError"), (503, "ServiceUnavailable"), (502, ""), (504, "")] {
        server.fail("PutObject", 1, &failure(status, code));
        let error = fails(store.put(&flag("X", 1), Expect::Any)).await;
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
        server.fail("GetObject", 9, &failure(status, code));
        assert_eq!(fails(store.get(name("X"))).await.kind(), ErrorKind::Unavailable);
        server.mend();
    }
}

#[tokio::test]
async fn a_bucket_elsewhere_says_where() {
    let server = server();
    let store = hasty(server.client());
    let mut moved = failure(301, "PermanentRedirect");
    moved.headers.push(("x-amz-bucket-region", "eu-west-1".to_owned()));
    server.fail("GetObject", 9, &moved);
    let error = fails(store.get(name("X"))).await;
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::InvalidInput, false));
    assert!(error.message().contains("region eu-west-1"), "{error}");
}

#[tokio::test]
async fn a_read_that_fails_for_a_moment_is_repeated() {
    let server = server();
    // The SDK waits for a second or two in between.
    let store = S3Store::new(server.client(), super::BUCKET);
    put(&store, "X", 1).await;
    server.fail("GetObject", 2, &failure(500, "InternalError"));
    assert_eq!(number(&store, "X").await, Some(1));
    server.fail("ListObjectsV2", 2, &failure(503, "SlowDown"));
    assert_eq!(collect(store.list(Page::ALL)).await.len(), 1);
}

/// A client whose clock is wrong. What it signs, the server refuses; the SDK learns the server's time, and asks again.
#[tokio::test]
async fn a_clock_that_is_wrong_is_put_right() {
    #[derive(Debug)]
    struct Late;
    impl aws_smithy_async::time::TimeSource for Late {
        fn now(&self) -> SystemTime {
            SystemTime::now() - Duration::from_hours(7)
        }
    }
    let server = server();
    let (access_key, secret_key) = server.keys();
    let config = s3_config(&server.url(), access_key, secret_key).time_source(Late);
    let store = hasty(Client::from_conf(config.build()));
    put(&store, "X", 1).await;
    assert_eq!(number(&store, "X").await, Some(1));
    let config = s3_config(&server.url(), access_key, secret_key).time_source(Late);
    let store = hasty(Client::from_conf(config.disable_clock_skew_correction(true).build()));
    for error in all(&store).await {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(error.message().contains("clock"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_told() {
    let config = s3_config("http://127.0.0.1:9", "key", "secret");
    for error in all(&hasty(Client::from_conf(config.build()))).await {
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true), "{error:?}");
    }
}

#[test]
fn without_a_runtime_nothing_panics() {
    let config = s3_config("http://127.0.0.1:9", "key", "secret");
    let store = hasty(Client::from_conf(config.build()));
    let error = futures_lite::future::block_on(store.get(name("X"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("Tokio runtime"), "{error}");
}
