//! What is answered when nobody can tell.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use flipper_core::{ErrorKind, FeatureFlagClient, Flags, Freshness};
use flipper_mirror::MirrorStore;
use flipper_redis::RedisStore;
use flipper_testkit::RedisServer;
use flipper_tower::GateLayer;
use http::{Request, Response, StatusCode};
use tower::{Layer, ServiceExt, service_fn};

async fn route(_: Request<()>) -> Result<Response<String>, String> {
    Ok(Response::new("here".to_owned()))
}

/// Asks a route whose default is on, and one whose default is off.
async fn ask(client: &FeatureFlagClient) -> (StatusCode, StatusCode) {
    let mut statuses = Vec::new();
    for default in [true, false] {
        let gate = GateLayer::new(client, "X").default_value(default).layer(service_fn(route));
        statuses.push(gate.oneshot(Request::new(())).await.unwrap().status());
    }
    (statuses[0], statuses[1])
}

#[tokio::test]
async fn while_the_store_is_down_the_default_answers_and_is_counted() {
    let mut server = RedisServer::start(&[]);
    let store = RedisStore::builder(&server.url()).timeout(Duration::from_millis(500));
    let client = FeatureFlagClient::new(store.connect().await.unwrap());
    let flag = client.create("X").await.unwrap();
    assert_eq!(ask(&client).await, (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    flag.enable().await.unwrap();
    assert_eq!(ask(&client).await, (StatusCode::OK, StatusCode::OK));

    server.kill();
    assert_eq!(client.failed_checks(), 0);
    assert_eq!(ask(&client).await, (StatusCode::OK, StatusCode::NOT_FOUND));
    assert_eq!(client.failed_checks(), 2);
}

#[derive(flipper_macros::Flags, Clone, Copy, Debug)]
#[flags(crate = flipper_core)]
enum Feature {
    #[flag(name = "X")]
    X,
}

#[tokio::test]
async fn a_store_that_is_down_does_not_pass_for_one_that_lacks_all_flags() {
    let mut server = RedisServer::start(&[]);
    let store = || RedisStore::builder(&server.url()).timeout(Duration::from_millis(500)).connect();
    let direct = FeatureFlagClient::new(store().await.unwrap());
    let mirrored = FeatureFlagClient::new(MirrorStore::start(store().await.unwrap()).await.unwrap());
    assert_eq!(Feature::verify(&direct).await.unwrap().missing, [Feature::X.definition()]);
    Feature::create_missing(&direct).await.unwrap();
    server.kill();
    for client in [direct, mirrored] {
        let error = Feature::verify(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, Some("verify")), "{error}");
        assert_eq!(Feature::create_missing(&client).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}

#[tokio::test]
async fn a_store_that_hangs_holds_a_request_up_for_its_time_limit_and_no_longer() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::builder(&server.url()).timeout(Duration::from_millis(100));
    let client = FeatureFlagClient::new(store.connect().await.unwrap());
    client.create("X").await.unwrap();
    server.pause();
    let answers = tokio::time::timeout(Duration::from_secs(10), ask(&client)).await;
    server.resume();
    assert_eq!(answers.unwrap(), (StatusCode::OK, StatusCode::NOT_FOUND));
    assert_eq!(client.failed_checks(), 2);
}

#[tokio::test]
async fn behind_a_mirror_an_outage_is_not_noticed() {
    let mut server = RedisServer::start(&[]);
    let store = MirrorStore::start(RedisStore::connect(&server.url()).await.unwrap()).await.unwrap();
    let client = FeatureFlagClient::new(store);
    client.create("X").await.unwrap().enable().await.unwrap();
    assert_eq!(ask(&client).await, (StatusCode::OK, StatusCode::OK));
    server.kill();
    while client.local().unwrap().freshness() == Freshness::Live {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(&client).await, (StatusCode::OK, StatusCode::OK));
    assert_eq!(client.failed_checks(), 0);
}

#[tokio::test]
async fn a_request_that_is_given_up_while_the_store_is_asked_reaches_no_route() {
    let server = RedisServer::start(&[]);
    let client = FeatureFlagClient::new(RedisStore::connect(&server.url()).await.unwrap());
    client.create("X").await.unwrap().enable().await.unwrap();
    let reached = Arc::new(Mutex::new(0));
    let count = Arc::clone(&reached);
    let gate = GateLayer::new(&client, "X").layer(service_fn(move |request| {
        *count.lock().unwrap() += 1;
        route(request)
    }));
    server.pause();
    let mut asked = Box::pin(gate.clone().oneshot(Request::new(())));
    assert!(
        std::future::poll_fn(|task| std::task::Poll::Ready(asked.as_mut().poll(task).is_pending())).await
    );
    drop(asked);
    server.resume();
    assert_eq!(gate.oneshot(Request::new(())).await.unwrap().status(), StatusCode::OK);
    assert_eq!(*reached.lock().unwrap(), 1);
}
