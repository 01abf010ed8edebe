use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Path, Request};
use axum::middleware::{Next, from_fn};
use axum::routing::{get, post};
use flipper_core::{Bucketer, Condition, FeatureFlagClient, Flags, Percentage};
use flipper_testkit::TestFlags;
use flipper_tower::GateLayer;
use http::StatusCode;

use super::{clients, http, listen};

#[derive(flipper_macros::Flags, Clone, Copy)]
#[flags(crate = flipper_core)]
enum Feature {
    #[flag(name = "ON_BY_DEFAULT", default = true)]
    OnByDefault,
}

#[derive(Clone)]
struct User {
    id: u64,
}

/// What an authentication before the gates does.
async fn authenticate(mut request: Request, next: Next) -> axum::response::Response {
    let id = request.headers().get("authorization").and_then(|id| id.to_str().ok()?.parse().ok());
    if let Some(id) = id {
        request.extensions_mut().insert(User { id });
    }
    next.run(request).await
}

fn app(client: &FeatureFlagClient) -> Router {
    let gate = GateLayer::new(client, "X");
    let by_user = gate.clone().context(|request: &Request, context| {
        if let Some(user) = request.extensions().get::<User>() {
            context.push("user_id", user.id);
        }
        context.push("path", request.uri().path());
    });
    Router::new()
        .route("/plain", get(async || "new").layer(gate.clone()))
        .route("/status", get(async || "new").layer(gate.clone().status(StatusCode::SERVICE_UNAVAILABLE)))
        .route("/redirect", get(async || "new").layer(gate.clone().redirect("/old?from=new").unwrap()))
        .route("/old", get(async || "old"))
        .route(
            "/service",
            get(async || "new").layer(gate.clone().service(get(async || "old").with_state(()))),
        )
        .route(
            "/respond",
            post(async |body: String| format!("new: {body}")).layer(gate.respond(|request: Request| {
                axum::response::Response::new(format!("old: {}", request.method()).into())
            })),
        )
        .route("/users/{id}", get(async |Path(id): Path<u64>| format!("user {id}")).layer(by_user.clone()))
        .nest(
            "/nested",
            Router::new().route("/a", get(async || "a")).route("/b", get(async || "b")).layer(by_user),
        )
        .route("/default", get(async || "new").layer(GateLayer::new(client, Feature::OnByDefault)))
        .layer(from_fn(authenticate))
}

async fn serve(client: &FeatureFlagClient) -> SocketAddr {
    let (listener, address) = listen().await;
    let app = app(client);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn get_as(address: SocketAddr, path: &str, user: Option<u64>) -> (StatusCode, String) {
    let mut request = http().get(format!("http://{address}{path}"));
    if let Some(user) = user {
        request = request.header("authorization", user.to_string());
    }
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

fn is(status: StatusCode, body: &str) -> (StatusCode, String) {
    (status, body.to_owned())
}

#[tokio::test]
async fn a_route_is_there_while_its_flag_is_on() {
    for client in clients().await {
        let address = serve(&client).await;
        let flag = client.create("X").await.unwrap();
        for _ in 0..2 {
            assert_eq!(get_as(address, "/plain", None).await, is(StatusCode::NOT_FOUND, ""));
            flag.enable().await.unwrap();
            assert_eq!(get_as(address, "/plain", None).await, is(StatusCode::OK, "new"));
            flag.disable().await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_answers_in_the_place_of_a_route_is_chosen() {
    for client in clients().await {
        let address = serve(&client).await;
        let post = async |path: &str| {
            let url = format!("http://{address}{path}");
            http().post(url).body("hello").send().await.unwrap().text().await.unwrap()
        };
        assert_eq!(get_as(address, "/status", None).await, is(StatusCode::SERVICE_UNAVAILABLE, ""));
        assert_eq!(get_as(address, "/service", None).await, is(StatusCode::OK, "old"));
        assert_eq!(post("/respond").await, "old: POST");
        let response = http().get(format!("http://{address}/redirect")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(response.headers()["location"], "/old?from=new");
        let followed = reqwest::Client::builder().no_proxy().build().unwrap();
        let followed = followed.get(format!("http://{address}/redirect")).send().await.unwrap();
        assert_eq!(followed.text().await.unwrap(), "old");

        client.create("X").await.unwrap().enable().await.unwrap();
        for path in ["/status", "/service", "/redirect"] {
            assert_eq!(get_as(address, path, None).await, is(StatusCode::OK, "new"));
        }
        assert_eq!(post("/respond").await, "new: hello");
    }
}

#[tokio::test]
async fn the_context_is_taken_from_the_request() {
    for client in clients().await {
        let address = serve(&client).await;
        let flag = client.create("X").await.unwrap();
        flag.enable().await.unwrap();
        let condition = Condition::builder().eq("user_id", 7).eq("path", "/users/1").build().unwrap();
        flag.set_conditions(&[condition]).await.unwrap();
        assert_eq!(get_as(address, "/users/1", Some(7)).await, is(StatusCode::OK, "user 1"));
        assert_eq!(get_as(address, "/users/2", Some(7)).await, is(StatusCode::NOT_FOUND, ""));
        assert_eq!(get_as(address, "/users/1", Some(8)).await, is(StatusCode::NOT_FOUND, ""));

        flag.set_conditions(&[Condition::builder().eq("user_id", 7).build().unwrap()]).await.unwrap();
        for path in ["/nested/a", "/nested/b"] {
            assert_eq!(get_as(address, path, Some(7)).await.0, StatusCode::OK);
            assert_eq!(get_as(address, path, Some(8)).await.0, StatusCode::NOT_FOUND);
        }
        assert_eq!(get_as(address, "/nested/c", Some(7)).await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_share_of_the_users_is_let_in_and_always_the_same() {
    for client in clients().await {
        let address = serve(&client).await;
        let flag = client.create("X").await.unwrap();
        flag.enable().await.unwrap();
        let half = Percentage::new(0.5).unwrap();
        flag.set_bucketer(&Bucketer::consistent_hash(half, ["user_id"])).await.unwrap();
        for user in 1..20 {
            let expected = client.is_enabled("X", &flipper_core::ctx! { user_id: user }).await;
            for _ in 0..2 {
                let (status, _) = get_as(address, "/users/1", Some(user)).await;
                assert_eq!(status == StatusCode::OK, expected, "user {user}");
            }
        }
    }
}

#[tokio::test]
async fn a_flag_that_is_not_there_has_its_declared_default() {
    for client in clients().await {
        let address = serve(&client).await;
        assert_eq!(get_as(address, "/default", None).await, is(StatusCode::OK, "new"));
        assert_eq!(get_as(address, "/plain", None).await.0, StatusCode::NOT_FOUND);
        Feature::create_missing(&client).await.unwrap();
        client.disable("ON_BY_DEFAULT").await.unwrap();
        assert_eq!(get_as(address, "/default", None).await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn an_application_is_tested_with_flags_of_the_test() {
    let flags = TestFlags::strict();
    flags.declare(Feature::OnByDefault);
    flags.set("X", true);
    let address = serve(flags.client()).await;
    assert_eq!(get_as(address, "/users/1", Some(7)).await, is(StatusCode::OK, "user 1"));
    let without = flags.with_flag_async("X", false, async || get_as(address, "/plain", None).await).await;
    assert_eq!(without.0, StatusCode::NOT_FOUND);
    let checks = flags.checks();
    assert_eq!(checks.len(), 2);
    assert_eq!(checks[0].context.get("user_id"), Some(&7.into()));
    assert_eq!(flags.unchecked(), ["ON_BY_DEFAULT"]);
}

#[test]
fn a_location_that_no_header_can_have_or_that_leads_back_is_refused() {
    let flags = TestFlags::new();
    let error = GateLayer::new(flags.client(), "X").redirect("/a\r\nset-cookie: b").unwrap_err();
    assert_eq!(error.kind(), flipper_core::ErrorKind::InvalidInput);
    assert!(error.message().contains(r#""/a\r\nset-cookie: b" cannot be a location"#), "{error}");

    // That is the route itself, which would redirect again.
    let error = GateLayer::new(flags.client(), "X").redirect("").unwrap_err();
    assert_eq!(error.kind(), flipper_core::ErrorKind::InvalidInput);
    assert!(error.message().contains("back to the route"), "{error}");
}
