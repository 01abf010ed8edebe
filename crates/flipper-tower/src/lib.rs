//! Routes behind feature flags: a layer for [`tower`](https://docs.rs/tower), and so for axum, tonic, hyper and all else that
//! takes one.
//!
//! A request goes on to the route if the flag is on for it. Otherwise it is answered in the route's place: by a status
//! (404 unless told), by a redirect, by a function, or by another service.
//!
//! ```
//! use flipper_core::{Condition, FeatureFlagClient};
//! use flipper_memory::MemoryStore;
//! use flipper_tower::GateLayer;
//! use http::{Request, Response, StatusCode};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # fn main() -> flipper_core::Result<()> { flipper_testkit::tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let client = FeatureFlagClient::new(MemoryStore::new());
//! let flag = client.create("CHECKOUT").await?;
//! flag.enable().await?;
//! flag.add_condition(&Condition::builder().eq("plan", "gold").build()?).await?;
//!
//! let gate = GateLayer::new(&client, "CHECKOUT").context(|request: &Request<String>, context| {
//!     // What a request does not say is not in the context.
//!     if let Some(plan) = request.headers().get("x-plan").and_then(|plan| plan.to_str().ok()) {
//!         context.push("plan", plan);
//!     }
//! });
//! let checkout = service_fn(async |_: Request<String>| Ok::<_, String>(Response::new("the checkout".to_owned())));
//! let route = gate.layer(checkout);
//!
//! let request = |plan| Request::get("/checkout").header("x-plan", plan).body(String::new()).unwrap();
//! assert_eq!(route.clone().oneshot(request("gold")).await.unwrap().body(), "the checkout");
//! assert_eq!(route.oneshot(request("basic")).await.unwrap().status(), StatusCode::NOT_FOUND);
//! # Ok(()) }) }
//! ```
//!
//! In axum it is `get(handler).layer(gate)`, or `router.layer(gate)` for many routes at once; in tonic,
//! `gate.named_layer(GreeterServer::new(greeter))` for one service (by `tonic::service::LayerExt`), or
//! `Server::builder().layer(gate)` for all; in hyper, `TowerToHyperService::new(gate.layer(service))`.
//!
//! # What the context is made of
//!
//! Whatever the closure that [`context`](GateLayer::context) is given takes from the request: headers, the path, extensions that layers
//! before this one have put there. What clients send is what they want to be true: a condition on a header is met by whoever
//! sends it. Take who a user is from what an authentication before the gate has found out.
//!
//! # When nobody can tell
//!
//! A flag that is not there, or that cannot be asked for because the store is down, is not taken to be off: the
//! [default](GateLayer::default_value) answers, which is yours. For a [declared](flipper_core::Flags) flag it is the declared one, for
//! a flag that is named by a text it is off unless told. A check that could not ask is logged (target `flipper::checks`) and counted by
//! [`failed_checks`](flipper_core::FeatureFlagClient::failed_checks).
//!
//! # What a request costs
//!
//! With a store that has its flags in memory, a gate asks without waiting, and allocates only for a context. Any other store is
//! asked for each request; that waits, at the most, for the store's time limit of a read. So put a mirror before it.

mod context;
mod future;
mod gate;
mod layer;
mod otherwise;

pub use context::{Nothing, RequestContext};
pub use future::GateFuture;
pub use gate::Gate;
pub use layer::GateLayer;
pub use otherwise::{Otherwise, Redirect, Reroute, Respond, Status};
