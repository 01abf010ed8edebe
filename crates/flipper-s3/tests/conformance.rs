//! The store keeps the contract on two servers, behind a proxy that takes them away.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use flipper_s3::S3Store;
use flipper_s3::aws_sdk_s3::Client;
use flipper_testkit::{MotoServer, Proxy, S3Server, Subject, Weather, With, s3_config, store_conformance};

/// A server, and who may do everything on it.
#[derive(Debug)]
struct Server {
    address: std::net::SocketAddr,
    access_key: String,
    secret_key: String,
}

impl Server {
    fn client(&self, address: std::net::SocketAddr) -> Client {
        Client::from_conf(s3_config(&format!("http://{address}"), &self.access_key, &self.secret_key).build())
    }
}

/// The servers of all tests here: each has a bucket of its own.
fn inside() -> &'static Server {
    static SERVER: OnceLock<(S3Server, Server)> = OnceLock::new();
    let (_, server) = SERVER.get_or_init(|| {
        let server = S3Server::start();
        let (access_key, secret_key) = server.keys();
        let keys = Server {
            address: server.address(),
            access_key: access_key.into(),
            secret_key: secret_key.into(),
        };
        (server, keys)
    });
    server
}

fn moto() -> &'static Server {
    static SERVER: OnceLock<(MotoServer, Server)> = OnceLock::new();
    let (_, server) = SERVER.get_or_init(|| {
        let server = MotoServer::start();
        // Whoever it is: of a key such as `a%2Fb`, it does not understand the signature.
        let (access_key, secret_key) = ("any".into(), "any".into());
        let keys = Server { address: server.address(), access_key, secret_key };
        (server, keys)
    });
    server
}

/// A store behind a proxy of its own.
type Placed = With<S3Store, Place>;

#[derive(Debug)]
struct Place {
    server: &'static Server,
    bucket: String,
    prefix: &'static str,
    proxy: Proxy,
}

async fn store(server: &'static Server, prefix: &'static str) -> Placed {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let bucket = format!("suite-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    server.client(server.address).create_bucket().bucket(&bucket).send().await.unwrap();
    store_at(server, bucket, prefix).await
}

async fn store_at(server: &'static Server, bucket: String, prefix: &'static str) -> Placed {
    let proxy = Proxy::start(server.address).await.unwrap();
    let builder = S3Store::builder(server.client(proxy.address()), &bucket).prefix(prefix);
    let store =
        builder.poll_interval(Duration::from_millis(20)).timeout(Duration::from_secs(5)).build().unwrap();
    With::new(store, Place { server, bucket, prefix, proxy })
}

fn subject(server: fn() -> &'static Server, prefix: &'static str) -> Subject<Placed> {
    Subject::new(move || store(server(), prefix))
        .with_sibling(|store| async move {
            let place = store.companion();
            Arc::new(store_at(place.server, place.bucket.clone(), place.prefix).await)
        })
        .with_plant(|store, name, bytes| async move {
            let place = store.companion();
            let put = place.server.client(place.server.address).put_object().bucket(&place.bucket);
            put.key(format!("{}{name}", place.prefix)).body(bytes.into()).send().await.unwrap();
        })
        .with_outage(|store| async move {
            store.companion().proxy.set(Weather::HangUp);
            store.companion().proxy.cut();
        })
}

store_conformance!(s3s, subject(inside, ""), absent = 2);
store_conformance!(moto_server, subject(moto, "some/flags+ü /"), absent = 2);
