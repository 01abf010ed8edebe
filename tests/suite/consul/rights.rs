//! Tokens: what one may not do is denied, and an unknown one turns nothing off.

use flipper_core::{ErrorKind, Expect, FeatureFlagClient, Freshness, StaleCause, Store};
use flipper_testkit::ConsulServer;
use serde_json::{Value as Json, json};

use super::*;

/// A server that lets nobody do anything without a token, and somebody who may do everything.
pub(crate) async fn guarded(default: &str) -> (ConsulServer, Cli) {
    let acl = format!(
        "acl {{ enabled = true\n default_policy = \"{default}\"\n enable_token_persistence = true }}"
    );
    let server = ConsulServer::start(&[&acl]);
    let cli = bootstrap(&server).await;
    (server, cli)
}

/// Takes the right to do everything, which the first who asks gets.
pub(super) async fn bootstrap(server: &ConsulServer) -> Cli {
    let cli = Cli::new(server);
    for _ in 0..200 {
        let (status, text) = cli.try_ask(Method::PUT, &["acl", "bootstrap"], &[], Vec::new()).await.unwrap();
        if status.is_success() {
            let token: Json = serde_json::from_str(&text).unwrap();
            return Cli { token: token["SecretID"].as_str().unwrap().to_owned(), ..cli };
        }
        // The servers may not have settled yet.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no token");
}

/// Makes a token for some rules, or one with a secret that it is to have.
pub(crate) async fn token(cli: &Cli, rules: &str, secret: Option<&str>) -> (String, String) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("policy-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let policy = json!({"Name": name, "Rules": rules});
    cli.ask(Method::PUT, &["acl", "policy"], &[], policy.to_string().into()).await;
    let mut wanted = json!({"Policies": [{"Name": name}]});
    if let Some(secret) = secret {
        wanted["SecretID"] = json!(secret);
    }
    let made = cli.ask(Method::PUT, &["acl", "token"], &[], wanted.to_string().into()).await;
    let made: Json = serde_json::from_str(&made).unwrap();
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    (text("SecretID"), text("AccessorID"))
}

pub(crate) const WRITE: &str = "key_prefix \"features/\" { policy = \"write\" }";

#[tokio::test]
async fn each_token_may_do_what_it_may() {
    let (server, root) = guarded("deny").await;
    let (writer, _) = token(&root, WRITE, None).await;
    let (reader, _) = token(&root, "key_prefix \"features/\" { policy = \"read\" }", None).await;
    let (stranger, _) = token(&root, "key_prefix \"other/\" { policy = \"write\" }", None).await;
    let with = |token: &str| hasty(&server.url()).token(token).start_timeout(Duration::from_secs(1));

    let client = FeatureFlagClient::new(with(&writer).connect().await.unwrap());
    client.create("X").await.unwrap().enable().await.unwrap();

    let store = with(&reader).connect().await.unwrap();
    until("read", SOON, || is_on(&store, "X") == Some(true)).await;
    let client = FeatureFlagClient::new(store);
    for error in [client.disable("X").await.unwrap_err(), client.destroy("X").await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    }
    assert!(client.try_is_enabled("X", &Context::EMPTY).await.unwrap());

    // Nothing that one may see is not the same as nothing.
    for token in [&*stranger, "", "11111111-2222-3333-4444-555555555555"] {
        let error = with(token).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(!format!("{error:?}").contains("11111111"), "{error:?}");
        let store = with(token).connect_lazy().unwrap();
        let name = flipper_core::FlagName::new("X").unwrap();
        assert_eq!(store.get(name).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
        let flag = crate::mirror::storm::state("X", 0);
        assert_eq!(store.put(&flag, Expect::Any).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_turns_nothing_off() {
    let (server, root) = guarded("deny").await;
    let (secret, accessor) = token(&root, WRITE, None).await;
    // Nobody tells of a revocation while a question waits.
    let store =
        hasty(&server.url()).token(&*secret).wait(Duration::from_millis(500)).connect().await.unwrap();
    for name in ["X", "Y"] {
        root.set(&format!("features/{name}"), record(true)).await;
    }
    until("two", SOON, || snapshot(&store).len() == 2).await;
    root.ask(Method::DELETE, &["acl", "token", &accessor], &[], Vec::new()).await;
    let is_denied =
        || matches!(store.freshness(), Freshness::Stale { cause: StaleCause::PermissionDenied, .. });
    until("denied", SOON, is_denied).await;
    assert_eq!((is_on(&store, "X"), is_on(&store, "Y")), (Some(true), Some(true)));
    token(&root, WRITE, Some(&secret)).await;
    until("live", SOON, || store.freshness() == Freshness::Live).await;
    root.set("features/X", record(false)).await;
    until("seen", SOON, || is_on(&store, "X") == Some(false)).await;
}
