//! A second server that speaks S3: `moto`, of `PyPI`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::process::{Process, directory, free_port};
use crate::s3_objects::encoded;

/// Runs a `moto_server` on a free port of this machine, which checks signatures and rights. It is killed when this is dropped or
/// the process ends, however it does.
///
/// # Examples
///
/// ```no_run
/// use flipper_testkit::{MotoServer, s3_config};
///
/// let server = MotoServer::start();
/// let (access_key, secret_key) = server.user(r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#);
/// let config = s3_config(&server.url(), &access_key, &secret_key);
/// ```
#[derive(Debug)]
pub struct MotoServer {
    directory: PathBuf,
    port: u16,
    process: Option<Process>,
    users: AtomicU32,
}

impl MotoServer {
    /// Starts a server without any bucket.
    ///
    /// # Panics
    ///
    /// If there is no `moto_server`, or it does not start.
    pub fn start() -> Self {
        let (directory, port) = (directory(), free_port());
        let arguments = ["-H", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned);
        let how_to_get = "install it (pip install 'moto[server]')";
        let process = Process::start("moto_server", &arguments, &directory, how_to_get);
        let server = Self { directory, port, process: Some(process), users: AtomicU32::new(0) };
        let process = server.process.as_ref().expect("it was started");
        process.wait_until(|| server.post("/moto-api/seed?a=1", "", "").is_some());
        server
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Returns its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Makes a user with the rights of a statement, in JSON, and returns its access key and secret key.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub fn user(&self, statement: &str) -> (String, String) {
        // Whoever makes users is asked for nothing.
        self.check_signatures("Infinity");
        let name = format!("user{}", self.users.fetch_add(1, Ordering::Relaxed));
        self.ask(&format!("Action=CreateUser&UserName={name}"));
        let policy = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
        let policy = encoded(&policy);
        self.ask(&format!("Action=PutUserPolicy&UserName={name}&PolicyName=own&PolicyDocument={policy}"));
        let keys = self.ask(&format!("Action=CreateAccessKey&UserName={name}"));
        let of = |tag: &str| {
            let (_, rest) = keys.split_once(&format!("<{tag}>")).expect("a key");
            rest.split('<').next().unwrap_or_default().to_owned()
        };
        self.check_signatures("0");
        (of("AccessKeyId"), of("SecretAccessKey"))
    }

    /// Checks signatures after so many requests.
    fn check_signatures(&self, after: &str) {
        self.post("/moto-api/reset-auth", "", after).expect("an answer");
    }

    /// Asks for something that is about users.
    fn ask(&self, form: &str) -> String {
        let scope = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=x";
        let headers =
            format!("Authorization: {scope}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
        let answer = self.post("/", &headers, &format!("{form}&Version=2010-05-08")).expect("an answer");
        assert!(answer.contains("Response xmlns"), "{answer}");
        answer
    }

    fn post(&self, path: &str, headers: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address()).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: moto\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        )
        .ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        answer.starts_with("HTTP/1.1 200").then_some(answer)
    }
}

impl Drop for MotoServer {
    fn drop(&mut self) {
        drop(self.process.take());
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
