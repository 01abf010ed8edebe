use flipper_core::{Condition, FeatureFlagClient};
use flipper_tower::GateLayer;
use http::Request;
use tonic::body::Body;
use tonic::service::LayerExt;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::health_reporter;

use super::{clients, listen};

/// A server whose health service is behind a flag: that service alone, or with all others.
async fn serve(client: &FeatureFlagClient, is_for_all: bool) -> HealthClient<Channel> {
    let (listener, address) = listen().await;
    let gate = GateLayer::new(client, "HEALTH")
        .context(|request: &Request<Body>, context| {
            if let Some(tenant) = request.headers().get("tenant").and_then(|tenant| tenant.to_str().ok()) {
                context.push("tenant", tenant);
            }
        })
        .respond(|_: Request<Body>| Status::unimplemented("not yet for you").into_http::<Body>());
    let (_, health) = health_reporter();
    let incoming = TcpIncoming::from(listener);
    if is_for_all {
        let server = Server::builder().layer(gate).add_service(health);
        tokio::spawn(server.serve_with_incoming(incoming));
    } else {
        let server = Server::builder().add_service(gate.named_layer(health));
        tokio::spawn(server.serve_with_incoming(incoming));
    }
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    HealthClient::new(channel)
}

async fn check(health: &mut HealthClient<Channel>, tenant: &'static str) -> Result<i32, (Code, String)> {
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    request.metadata_mut().insert("tenant", tenant.parse().unwrap());
    let answer = health.check(request).await;
    answer
        .map(|answer| answer.into_inner().status)
        .map_err(|status| (status.code(), status.message().to_owned()))
}

#[tokio::test]
async fn a_service_of_tonic_is_gated_with_a_status_that_its_clients_understand() {
    const SERVING: i32 = 1;
    for client in clients().await {
        let flag = client.create("HEALTH").await.unwrap();
        for is_for_all in [false, true] {
            flag.disable().await.unwrap();
            flag.set_conditions(&[]).await.unwrap();
            let mut health = serve(&client, is_for_all).await;
            let off = Err((Code::Unimplemented, "not yet for you".to_owned()));
            assert_eq!(check(&mut health, "a").await, off);
            flag.enable().await.unwrap();
            assert_eq!(check(&mut health, "a").await, Ok(SERVING));
            flag.set_conditions(&[Condition::builder().eq("tenant", "a").build().unwrap()]).await.unwrap();
            assert_eq!(check(&mut health, "a").await, Ok(SERVING));
            assert_eq!(check(&mut health, "b").await, off);
        }
    }
}

#[tokio::test]
async fn a_gate_that_is_told_nothing_is_a_method_that_is_not_there() {
    for client in clients().await {
        let (listener, address) = listen().await;
        let (_, health) = health_reporter();
        let gate = GateLayer::new(&client, "HEALTH");
        let server = Server::builder().add_service(gate.named_layer(health));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        let mut health = HealthClient::new(channel);
        assert_eq!(check(&mut health, "a").await.unwrap_err().0, Code::Unimplemented);
        let stream = health.watch(HealthCheckRequest::default()).await;
        let first = match stream {
            Ok(stream) => stream.into_inner().message().await,
            Err(status) => Err(status),
        };
        assert_eq!(first.unwrap_err().code(), Code::Unimplemented);
    }
}
