//! Who may do what: wrong keys, missing rights, on both servers.

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use flipper_core::{ErrorKind, Expect, Listed, Page, Store};
use flipper_s3::S3Store;
use flipper_s3::aws_sdk_s3::Client;
use flipper_s3::aws_sdk_s3::config::{Credentials, ProvideCredentials};
use flipper_testkit::{MotoServer, collect, s3_config};

use super::{BUCKET, fails, failure, flag, hasty, listing_fails, name, names, number, plant, put, server};

#[tokio::test]
async fn wrong_keys_are_denied_and_not_shown() {
    let server = server();
    let (access_key, _) = server.keys();
    for (access_key, secret_key) in [(access_key, "hunter2hunter2"), ("AKIANOBODY", "hunter2hunter2")] {
        let config = s3_config(&server.url(), access_key, secret_key);
        let config = config.credentials_provider(Credentials::new(
            access_key,
            secret_key,
            Some("session-hunter2".to_owned()),
            None,
            "tests",
        ));
        let store = hasty(Client::from_conf(config.build()));
        let error = fails(store.get(name("X"))).await;
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::PermissionDenied, false), "{error}");
        let listed = listing_fails(&store).await;
        assert_eq!(listed.kind(), ErrorKind::PermissionDenied);
        assert!(!format!("{error} {error:?} {listed:?} {store:?}").contains("hunter2"));
    }
}

/// Has no keys to give.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::ready(Err(CredentialsError::not_loaded("hunter2")))
    }
}

#[tokio::test]
async fn a_client_without_keys_is_told_so() {
    let server = server();
    let config = s3_config(&server.url(), "a", "b");
    let store = hasty(Client::from_conf(config.credentials_provider(Nobody).build()));
    for error in [fails(store.get(name("X"))).await, fails(store.put(&flag("X", 1), Expect::Any)).await] {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
        assert!(error.message().contains("no credentials"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn what_may_not_be_done_is_denied() {
    let server = server();
    let all = hasty(server.client());
    put(&all, "X", 1).await;
    let guest = hasty(server.guest());
    assert_eq!(number(&guest, "X").await, Some(1));
    server.deny("PutObject", None);
    server.deny("DeleteObject", None);
    let version = guest.get(name("X")).await.unwrap().unwrap().version;
    for expect in [Expect::Any, Expect::Matches(&version)] {
        assert_eq!(fails(guest.put(&flag("X", 2), expect)).await.kind(), ErrorKind::PermissionDenied);
        assert_eq!(fails(guest.delete(name("X"), expect)).await.kind(), ErrorKind::PermissionDenied);
    }
    assert_eq!(fails(guest.put(&flag("Y", 2), Expect::Absent)).await.kind(), ErrorKind::PermissionDenied);
    assert_eq!(names(&guest, Page::ALL).await, (vec!["X".to_owned()], vec![]));
    server.deny("ListObjectsV2", None);
    assert_eq!(listing_fails(&guest).await.kind(), ErrorKind::PermissionDenied);
    assert_eq!(number(&all, "X").await, Some(1), "nothing was written");
}

/// One object that may not be read takes no others down; but if none may be, there are no flags that could be known.
#[tokio::test]
async fn objects_that_may_not_be_read() {
    let server = server();
    let all = hasty(server.client());
    for of in ["A", "B", "C"] {
        put(&all, of, 1).await;
    }
    let guest = hasty(server.guest());
    server.deny("GetObject", Some("B"));
    assert_eq!(names(&guest, Page::ALL).await, (vec!["A".to_owned(), "C".to_owned()], vec!["B".to_owned()]));
    let listed = collect(guest.list(Page::ALL)).await;
    let Ok(Listed::Bad { version, error, .. }) = &listed[1] else { panic!("{listed:?}") };
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(version.as_ref(), Some(&all.get(name("B")).await.unwrap().unwrap().version));
    assert_eq!(fails(guest.get(name("B"))).await.kind(), ErrorKind::PermissionDenied);
    // Those that were read before are known as they were; whoever begins now knows nothing.
    server.deny("GetObject", None);
    assert_eq!(names(&guest, Page::ALL).await.0.len(), 2);
    assert_eq!(listing_fails(&hasty(server.guest())).await.kind(), ErrorKind::PermissionDenied);
}

/// As if they were encrypted with a key that has to be sent along.
#[tokio::test]
async fn objects_that_nobody_can_read_are_no_flags_to_be_off() {
    let server = server();
    let store = hasty(server.client());
    for of in ["A", "B"] {
        put(&store, of, 1).await;
    }
    server.fail("GetObject", 2, &failure(400, "InvalidRequest"));
    let listed = collect(store.list(Page::ALL)).await;
    assert_eq!(listed.len(), 3, "{listed:?}");
    assert!(
        listed[..2].iter().all(|item| matches!(item, Ok(Listed::Bad { .. }))) && listed[2].is_err(),
        "{listed:?}"
    );
    assert_eq!(names(&store, Page::ALL).await.0, ["A", "B"]);
}

#[tokio::test]
async fn moto_says_the_same() {
    let server = MotoServer::start();
    let (access_key, secret_key) = server.user(r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#);
    let client = |access_key: &str, secret_key: &str| {
        Client::from_conf(s3_config(&server.url(), access_key, secret_key).build())
    };
    let root = client(&access_key, &secret_key);
    root.create_bucket().bucket(BUCKET).send().await.unwrap();
    let all = S3Store::new(root.clone(), BUCKET);
    put(&all, "X", 1).await;
    plant(&root, BUCKET, "photo.jpg", b"\xff\xd8").await;
    assert_eq!(names(&all, Page::ALL).await, (vec!["X".to_owned()], vec!["photo.jpg".to_owned()]));

    let wrong = S3Store::new(client(&access_key, "hunter2"), BUCKET);
    let error = fails(wrong.get(name("X"))).await;
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    let nobody = S3Store::new(client("AKIANOBODYATALL00000", "hunter2"), BUCKET);
    assert_eq!(listing_fails(&nobody).await.kind(), ErrorKind::PermissionDenied);
    let nowhere = S3Store::new(root, "another-bucket");
    for error in [fails(nowhere.get(name("X"))).await, listing_fails(&nowhere).await] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }

    let (access_key, secret_key) =
        server.user(r#"{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}"#);
    let reader = S3Store::new(client(&access_key, &secret_key), BUCKET);
    assert_eq!(number(&reader, "X").await, Some(1));
    assert_eq!(names(&reader, Page::ALL).await.0, ["X"]);
    assert_eq!(fails(reader.put(&flag("X", 2), Expect::Any)).await.kind(), ErrorKind::PermissionDenied);
    assert_eq!(fails(reader.delete(name("X"), Expect::Any)).await.kind(), ErrorKind::PermissionDenied);
    assert_eq!(number(&all, "X").await, Some(1));
}
