//! A server that speaks S3, signatures included.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::s3_objects::{Control, Objects};

/// Runs an S3 server inside of this process, in a thread of its own, on a free port of this machine and a directory of its own. It ends when
/// this is dropped.
///
/// The wire, its signatures and the objects are `s3s` and `s3s-fs`; writes look at their conditions, as S3's do, and can be told not to.
///
/// # Examples
///
/// ```
/// use flipper_testkit::S3Server;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = S3Server::start();
/// server.create_bucket("flags");
/// let put = server.client().put_object().bucket("flags").key("X").body(b"{}".to_vec().into());
/// put.send().await?;
/// assert_eq!(server.count("PutObject"), 1);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    root: PathBuf,
    control: Arc<Control>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _directory: TempDir,
}

/// What a server makes of the conditions of a kind of write.
///
/// # Examples
///
/// ```
/// use flipper_testkit::{S3Conditions, S3Server};
///
/// // One that writes whatever it is sent.
/// let server = S3Server::start();
/// server.set_conditions(S3Conditions::Ignore, S3Conditions::Ignore, S3Conditions::Ignore);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum S3Conditions {
    /// It looks at them, as S3 does.
    #[default]
    Honour,
    /// It does not.
    Ignore,
    /// It writes nothing that has one.
    Reject,
}

/// How a server fails, instead of doing what it is asked.
///
/// # Examples
///
/// ```
/// use flipper_testkit::{S3Failure, S3Server};
///
/// let server = S3Server::start();
/// let busy = S3Failure { status: 503, code: "SlowDown".to_owned(), ..S3Failure::default() };
/// // The next two reads.
/// server.fail("GetObject", 2, &busy);
/// ```
#[derive(Clone, Debug, Default)]
pub struct S3Failure {
    /// The status, such as 503.
    pub status: u16,
    /// The code, such as `SlowDown`.
    pub code: String,
    /// What it says.
    pub message: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Whether it does what it is asked, and fails after that.
    pub is_done: bool,
}

/// Who may do everything.
pub(crate) const ACCESS_KEY: &str = "AKIAFLIPPERTESTS";
pub(crate) const SECRET_KEY: &str = "secret/of+the/tests";
/// Who may do what [`S3Server::deny`] has not denied.
const GUEST: &str = "AKIAFLIPPERGUEST";

impl S3Server {
    /// Starts a server without any bucket.
    ///
    /// # Panics
    ///
    /// If it cannot listen.
    pub fn start() -> Self {
        let directory = TempDir::with_prefix("flipper-s3-").expect("a directory");
        let control = Arc::new(Control::default());
        let mut service = S3ServiceBuilder::new(Objects::new(directory.path(), Arc::clone(&control)));
        let mut users = SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY);
        users.register(GUEST.to_owned(), SECRET_KEY.into());
        service.set_auth(users);
        let service = service.build();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let (end, mut ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("a listener");
                let http = auto::Builder::new(TokioExecutor::new());
                loop {
                    let accepted = tokio::select! {
                        _ = &mut ended => return,
                        accepted = listener.accept() => accepted,
                    };
                    let Ok((socket, _)) = accepted else { continue };
                    let _ = socket.set_nodelay(true);
                    let served = http.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
                    tokio::spawn(async move {
                        // That of a client that has hung up.
                        let _ = served.await;
                    });
                }
            });
        });
        let root = directory.path().to_owned();
        Self { address, root, control, end: Some(end), thread: Some(thread), _directory: directory }
    }

    /// Makes an empty bucket.
    ///
    /// # Panics
    ///
    /// If there is one of that name.
    pub fn create_bucket(&self, name: &str) {
        std::fs::create_dir(self.root.join(name)).expect("a bucket");
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the keys, access and secret, of one who may do everything.
    pub fn keys(&self) -> (&'static str, &'static str) {
        (ACCESS_KEY, SECRET_KEY)
    }

    /// Makes a client of one who may do everything.
    pub fn client(&self) -> Client {
        Client::from_conf(s3_config(&self.url(), ACCESS_KEY, SECRET_KEY).build())
    }

    /// Makes a client of one who may do what was not [denied](Self::deny).
    pub fn guest(&self) -> Client {
        Client::from_conf(s3_config(&self.url(), GUEST, SECRET_KEY).build())
    }

    /// Denies the guest an operation, such as `GetObject`, from now on; of one key, or of all.
    pub fn deny(&self, operation: &'static str, key: Option<&str>) {
        self.control.lock().denied.push((GUEST, operation, key.map(str::to_owned)));
    }

    /// Chooses what is made of the conditions of writes: `If-None-Match` of puts, `If-Match` of puts, `If-Match` of deletions.
    pub fn set_conditions(&self, create: S3Conditions, replace: S3Conditions, delete: S3Conditions) {
        let mut control = self.control.lock();
        (control.create, control.replace, control.delete) = (create, replace, delete);
    }

    /// Fails the next so many requests of an operation, such as `PutObject`.
    pub fn fail(&self, operation: &'static str, times: usize, failure: &S3Failure) {
        self.fail_after(operation, 0, times, failure);
    }

    /// As [`fail`](Self::fail), after so many that do not fail.
    pub fn fail_after(&self, operation: &'static str, passed: usize, times: usize, failure: &S3Failure) {
        let outcomes = std::iter::repeat_n(None, passed).chain(std::iter::repeat_n(Some(failure), times));
        self.control.lock().outcomes.extend(outcomes.map(|outcome| (operation, outcome.cloned())));
    }

    /// Answers an operation so much later, from now on, and [counts](Self::most_at_once) anew.
    pub fn hold(&self, operation: &'static str, time: Duration) {
        let mut control = self.control.lock();
        control.holds.insert(operation, time);
        control.most_at_once.remove(operation);
    }

    /// Returns how many requests of an operation were under way at the same time, at most.
    pub fn most_at_once(&self, operation: &str) -> usize {
        self.control.lock().most_at_once.get(operation).copied().unwrap_or_default()
    }

    /// Forgets failures that are still to come.
    pub fn mend(&self) {
        self.control.lock().outcomes.clear();
    }

    /// Returns how often an operation, such as `GetObject`, was asked for.
    pub fn count(&self, operation: &str) -> usize {
        self.control.lock().counts.get(operation).copied().unwrap_or_default()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts the settings of a client of the server at an address, without encryption and with the bucket's name in the path.
///
/// # Examples
///
/// ```
/// use flipper_testkit::{S3Server, s3_config};
///
/// let server = S3Server::start();
/// let (access_key, secret_key) = server.keys();
/// let client = aws_sdk_s3::Client::from_conf(s3_config(&server.url(), access_key, secret_key).build());
/// # let _ = client;
/// ```
pub fn s3_config(url: &str, access_key: &str, secret_key: &str) -> aws_sdk_s3::config::Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .force_path_style(true)
        .credentials_provider(Credentials::new(access_key, secret_key, None, None, "tests"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
}
