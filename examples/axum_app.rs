//! A web application with its flags in Redis, mirrored: routes behind flags, flags in handlers, and a log of who has changed them.
//!
//! ```sh
//! docker compose up -d --wait redis            # or any other server; REDIS_URL says where, redis://127.0.0.1 unless it is set
//! cargo run --example axum_app -- serve        # on http://127.0.0.1:3000; Ctrl-C ends it
//! curl -H 'x-user: 7' http://127.0.0.1:3000/export
//! cargo run --example axum_app                 # by itself: it asks its own routes while flags change
//! ```

use std::error::Error;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::get;
use flipper::audit::{AuditLog, History, LineKind};
use flipper::tower::GateLayer;
use flipper::{Condition, ContextBuf, FeatureFlagClient, Flags, LocalClient, MirrorStore, RedisStore, ctx};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

#[derive(Flags, Clone, Copy, Debug, PartialEq)]
enum Feature {
    /// A banner on the first page.
    #[flag(name = "EXAMPLE_APP_BANNER", owner = "marketing", expires = "2027-01-06")]
    Banner,
    /// The search that ranks by sales. If it is off, the one before answers.
    #[flag(name = "EXAMPLE_APP_NEW_SEARCH", owner = "search", expires = "2027-06-30")]
    NewSearch,
    /// The export of orders, for those who try it out.
    #[flag(name = "EXAMPLE_APP_EXPORT", owner = "reports")]
    Export,
}

/// What all handlers have.
#[derive(Clone)]
struct App {
    flags: LocalClient,
}

async fn index(State(app): State<App>) -> &'static str {
    if Feature::Banner.is_enabled_local(&app.flags, &ctx! {}) { "Sale! Welcome." } else { "Welcome." }
}

async fn search() -> &'static str {
    "results, the old way"
}

async fn new_search() -> &'static str {
    "results, the new way"
}

async fn export() -> &'static str {
    "id;total"
}

/// Who asks. In earnest this comes from the session that an authentication has found, and never from what clients say of themselves.
fn user(request: &Request, context: &mut ContextBuf<'_>) {
    let user = request.headers().get("x-user").and_then(|user| user.to_str().ok());
    if let Some(id) = user.and_then(|user| user.parse::<u64>().ok()) {
        context.push("user_id", id);
    }
}

fn app(client: &FeatureFlagClient) -> flipper::Result<Router> {
    let new_search =
        get(new_search).layer(GateLayer::new(client, Feature::NewSearch).service(get(search).with_state(())));
    // Who is unknown is not in the context, and no condition about users concerns them: so they are sent elsewhere before.
    let export = get(export)
        .layer(GateLayer::new(client, Feature::Export).context(user))
        .layer(axum::middleware::map_request(known));
    Ok(Router::new()
        .route("/", get(index))
        .route("/search", new_search)
        .route("/export", export)
        .with_state(App { flags: client.local()? }))
}

/// Lets only those through who say who they are.
async fn known(request: Request) -> Result<Request, axum::http::StatusCode> {
    if request.headers().contains_key("x-user") {
        Ok(request)
    } else {
        Err(axum::http::StatusCode::UNAUTHORIZED)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    let client = FeatureFlagClient::new(MirrorStore::start(RedisStore::connect(&address).await?).await?);
    let audit = std::env::temp_dir().join(format!("axum-app-{}.jsonl", std::process::id()));
    AuditLog::builder().veto(true).open(&audit)?.subscribe_to(&client);
    Feature::create_missing(&client.as_actor("deployment")).await?;
    print!("{}", Feature::verify(&client).prefix("EXAMPLE_APP_").await?);

    let (stop, stopped) = oneshot::channel::<()>();
    if std::env::args().nth(1).as_deref() == Some("serve") {
        let listener = TcpListener::bind("127.0.0.1:3000").await?;
        println!("on http://{}; Ctrl-C ends it", listener.local_addr()?);
        let ctrl_c = async { _ = tokio::signal::ctrl_c().await };
        axum::serve(listener, app(&client)?).with_graceful_shutdown(ctrl_c).await?;
    } else {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = axum::serve(listener, app(&client)?);
        let server = server.with_graceful_shutdown(async { _ = stopped.await });
        let serving = tokio::spawn(async { server.await });
        show(&client.as_actor("marketing"), &url).await?;
        drop(stop);
        serving.await??;
        for flag in Feature::ALL {
            flag.get(&client).destroy().await?;
        }
        println!("who has changed what:");
        for entry in History::of(&audit).entries()? {
            let entry = entry?;
            if let (LineKind::Change, Some(record)) = (entry.kind(), entry.record()) {
                println!(
                    "  {}: {} by {}",
                    record.flag,
                    record.events.join(", "),
                    record.actor.as_deref().unwrap_or("nobody known")
                );
            }
        }
        std::fs::remove_file(&audit)?;
    }
    Ok(client.close().await?)
}

/// Asks the application while somebody changes flags.
async fn show(client: &FeatureFlagClient, url: &str) -> Result<(), Box<dyn Error>> {
    // Where other crates have it encrypt, the HTTP client wants a provider of cryptography, whether it does or not.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build()?;
    let ask = async |what: &str| -> Result<(), Box<dyn Error>> {
        println!("{what}:");
        for (path, user) in [("/", "7"), ("/search", "7"), ("/export", "7"), ("/export", "8")] {
            let response = http.get(format!("{url}{path}")).header("x-user", user).send().await?;
            let (status, body) = (response.status(), response.text().await?);
            println!("  {path} for {user}: {status} {body}");
        }
        Ok(())
    };
    ask("as it is created").await?;

    for flag in Feature::ALL {
        flag.get(client).enable().await?;
    }
    let for_one = Condition::builder().eq("user_id", 7).build()?;
    Feature::Export.get(client).set_conditions(&[for_one]).await?;
    // The edits are in Redis now, and arrive in the mirror a moment later.
    let local = client.local()?;
    let is_on = |flag: &Feature, user_id: u64| flag.is_enabled_local(&local, &ctx! { user_id: user_id });
    while !Feature::ALL.iter().all(|flag| is_on(flag, 7)) || is_on(&Feature::Export, 8) {
        tokio::time::sleep(std::time::Duration::from_micros(100)).await;
    }
    ask("all are on, the export for user 7").await
}
