//! What layers of tower promise to one another.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::Poll;

use flipper_core::{ContextBuf, ctx};
use flipper_testkit::TestFlags;
use flipper_tower::{GateLayer, Otherwise, RequestContext};
use tokio::sync::Semaphore;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};

use super::clients;

/// A service of numbers, that takes as many at once as it has permits, and panics if it is called without having been ready.
#[tokio::test]
async fn a_service_is_called_only_when_it_was_ready() {
    for client in clients().await {
        client.create("X").await.unwrap().enable().await.unwrap();
        let double = service_fn(async |number: u32| Ok::<_, Infallible>(number * 2));
        let gate = GateLayer::new(&client, "X").respond(|number: u32| number);
        let mut gate = gate.layer(ConcurrencyLimit::new(double, 1));
        for number in 0..20 {
            assert_eq!(gate.ready().await.unwrap().call(number).await, Ok(number * 2));
        }
        client.disable("X").await.unwrap();
        for number in 0..20 {
            assert_eq!(gate.ready().await.unwrap().call(number).await, Ok(number));
        }
    }
}

#[tokio::test]
async fn a_gate_is_ready_when_both_of_its_services_are() {
    let flags = TestFlags::new();
    let service = || service_fn(async |number: u32| Ok::<_, Infallible>(number));
    for (on, off) in [(1, 0), (0, 1), (1, 1)] {
        let limited =
            |permits| ConcurrencyLimit::with_semaphore(service(), Arc::new(Semaphore::new(permits)));
        let mut gate = GateLayer::new(flags.client(), "X").service(limited(off)).layer(limited(on));
        let is_ready =
            std::future::poll_fn(|task| Poll::Ready(Service::<u32>::poll_ready(&mut gate, task).is_ready()))
                .await;
        assert_eq!(is_ready, on + off == 2);
    }
}

#[tokio::test]
async fn errors_of_both_services_are_passed_on() {
    for client in clients().await {
        let new = service_fn(async |number: u32| Err::<u32, _>(format!("new {number}")));
        let old = service_fn(async |number: u32| Err::<u32, _>(format!("old {number}")));
        let gate = GateLayer::new(&client, "X").service(old).layer(new);
        assert_eq!(gate.clone().oneshot(1).await, Err("old 1".to_owned()));
        client.create("X").await.unwrap().enable().await.unwrap();
        assert_eq!(gate.oneshot(2).await, Err("new 2".to_owned()));
    }
}

#[derive(Clone)]
struct Own;

impl RequestContext<(u64, String)> for Own {
    fn fill<'r>(&self, request: &'r (u64, String), context: &mut ContextBuf<'r>) {
        context.push("id", request.0);
        context.push("name", &request.1);
        // The later one counts, on every path.
        context.push("id", request.0 + 1);
    }
}

impl Otherwise<(u64, String), String, Infallible> for Own {
    type Future = std::future::Ready<Result<String, Infallible>>;

    fn call(&mut self, request: (u64, String)) -> Self::Future {
        std::future::ready(Ok(format!("not {}", request.1)))
    }
}

#[tokio::test]
async fn contexts_and_answers_are_given_by_types_as_well() {
    for client in clients().await {
        let flag = client.create("X").await.unwrap();
        flag.enable().await.unwrap();
        let condition = flipper_core::Condition::builder().eq("id", 8).eq("name", "é").build().unwrap();
        flag.add_condition(&condition).await.unwrap();
        assert!(client.is_enabled("X", &ctx! { id: 8, name: "é" }).await);
        let service = service_fn(async |request: (u64, String)| Ok::<_, Infallible>(request.1));
        let gate = GateLayer::new(&client, "X").context_by(Own).otherwise(Own).layer(service);
        assert_eq!(gate.clone().oneshot((7, "é".to_owned())).await.unwrap(), "é");
        assert_eq!(gate.clone().oneshot((8, "é".to_owned())).await.unwrap(), "not é");
        assert_eq!(gate.oneshot((7, "e".to_owned())).await.unwrap(), "not e");
    }
}

#[test]
fn what_a_gate_shows_of_itself_is_the_flag() {
    let flags = TestFlags::new();
    let layer = GateLayer::new(flags.client(), "CHECKOUT");
    assert_eq!(format!("{layer:?}"), r#"GateLayer { flag: "CHECKOUT", .. }"#);
    let gate = layer.layer(7);
    assert_eq!(format!("{gate:?}"), r#"Gate { flag: "CHECKOUT", inner: 7, .. }"#);
    assert_eq!(*gate.get_ref(), 7);
}
