use std::convert::Infallible;

use flipper_core::Condition;
use flipper_tower::GateLayer;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tower::{Layer, service_fn};

use super::{clients, http, listen};

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    Ok(Response::new(Full::new(body)))
}

#[tokio::test]
async fn a_service_of_hyper_is_gated() {
    for client in clients().await {
        let gate = GateLayer::new(&client, "ECHO").context(|request: &Request<Incoming>, context| {
            context.push("method", request.method().as_str());
        });
        let service = gate.status(StatusCode::FORBIDDEN).layer(service_fn(echo));
        let (listener, address) = listen().await;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(service.clone());
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });

        let send = async |request: reqwest::RequestBuilder| {
            let response = request.body("hello").send().await.unwrap();
            (response.status(), response.text().await.unwrap())
        };
        let url = format!("http://{address}/");
        let flag = client.create("ECHO").await.unwrap();
        assert_eq!(send(http().post(&url)).await, (StatusCode::FORBIDDEN, String::new()));
        flag.enable().await.unwrap();
        flag.add_condition(&Condition::builder().eq("method", "POST").build().unwrap()).await.unwrap();
        assert_eq!(send(http().post(&url)).await, (StatusCode::OK, "hello".to_owned()));
        assert_eq!(send(http().put(&url)).await, (StatusCode::FORBIDDEN, String::new()));
    }
}
