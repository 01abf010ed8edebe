//! Settings.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use flipper_core::{Error, ErrorKind, Result};
use flipper_mirror::{MirrorStore, MirrorStoreBuilder};
use reqwest::header::{HeaderMap, HeaderValue};

use crate::address::Address;
use crate::api::Api;
use crate::error::error;
use crate::kv::{Kv, Shared};
use crate::store::ConsulStore;
use crate::tls::{Certificates, client};

/// Says which server may answer reads. See <https://developer.hashicorp.com/consul/api-docs/features/consistency>.
///
/// # Examples
///
/// ```
/// use flipper_consul::{Consistency, ConsulStore};
///
/// // Any server may answer, also while there is no leader.
/// let builder = ConsulStore::builder("http://127.0.0.1:8500").consistency(Consistency::Stale);
/// # let _ = builder;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Consistency {
    /// The leader, which in rare cases may have been replaced without knowing it.
    #[default]
    Default,
    /// The leader, once most servers have confirmed that it is.
    Consistent,
    /// Any server, also at a start without a leader, usually within 50 ms of it. Only the watch reads so; what an edit starts
    /// from comes from the leader, and while there is none, flags are stale.
    Stale,
}

impl Consistency {
    /// As the agent takes it.
    pub(crate) fn parameter(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Default => None,
            Self::Consistent => Some(("consistent", "true")),
            Self::Stale => Some(("stale", "true")),
        }
    }
}

/// Chooses settings of a [`ConsulStore`].
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use flipper_consul::ConsulStore;
///
/// # async fn example() -> flipper_core::Result<()> {
/// let store = ConsulStore::builder("http://127.0.0.1:8500")
///     .base_key("shop/features")
///     .token(std::env::var("FLAGS_TOKEN").unwrap_or_default())
///     .start_timeout(Duration::from_secs(3))
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[must_use = "it connects only when it is told to"]
pub struct ConsulStoreBuilder {
    address: Result<Address>,
    base_key: String,
    token: Option<String>,
    auth: Option<(String, String)>,
    datacenter: Option<String>,
    namespace: Option<String>,
    partition: Option<String>,
    consistency: Consistency,
    certificates: Certificates,
    timeout: Duration,
    connect_timeout: Duration,
    wait: Duration,
    heartbeat: Option<Duration>,
    largest_request: usize,
    start_timeout: Duration,
    emptied_from: usize,
    last_known_good: Option<PathBuf>,
}

/// What is longer than a year is a year: a timer has to be able to hold it.
const LONGEST: Duration = Duration::from_hours(365 * 24);
/// What is longer is shortened by the servers.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

impl ConsulStoreBuilder {
    pub(crate) fn new(address: &str) -> Self {
        Self {
            address: Address::parse(address),
            base_key: "features".to_owned(),
            token: None,
            auth: None,
            datacenter: None,
            namespace: None,
            partition: None,
            consistency: Consistency::Default,
            certificates: Certificates::default(),
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            wait: Duration::from_mins(5),
            heartbeat: Some(Duration::from_millis(750)),
            largest_request: 512 * 1024,
            start_timeout: Duration::from_secs(10),
            emptied_from: 2,
            last_known_good: None,
        }
    }

    /// Chooses the key below which flags are: a flag `X` is at `base_key/X`. `features` unless told, as in flipper-client.
    pub fn base_key(self, base_key: impl Into<String>) -> Self {
        Self { base_key: base_key.into(), ..self }
    }

    /// Gives the token by which rights are granted: `key_prefix "features/" { policy = "write" }`. It is sent in a header, and shown nowhere.
    pub fn token(self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()).filter(|token| !token.is_empty()), ..self }
    }

    /// Gives a user and a password, for a proxy before the agent that wants them. So does an address `http://user:password@host`.
    pub fn basic_auth(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { auth: Some((user.into(), password.into())), ..self }
    }

    /// Chooses a datacenter other than the agent's own.
    pub fn datacenter(self, datacenter: impl Into<String>) -> Self {
        Self { datacenter: Some(datacenter.into()), ..self }
    }

    /// Chooses a namespace, which Consul Enterprise has.
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        Self { namespace: Some(namespace.into()), ..self }
    }

    /// Chooses an admin partition, which Consul Enterprise has.
    pub fn partition(self, partition: impl Into<String>) -> Self {
        Self { partition: Some(partition.into()), ..self }
    }

    /// Chooses which server may answer reads, the leader unless told.
    pub fn consistency(self, consistency: Consistency) -> Self {
        Self { consistency, ..self }
    }

    /// Trusts these authorities, in PEM, and not those that the system trusts. Needs the feature `tls-rustls`.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.roots = Some(pem.into());
        self
    }

    /// Proves who we are by a certificate and its key, in PEM, one after the other. Needs the feature `tls-rustls`.
    pub fn identity(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.identity = Some(pem.into());
        self
    }

    /// Limits how long the agent may take to answer, 5 s unless told. Servers that look for a leader take some.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: timeout.min(LONGEST), ..self }
    }

    /// Limits how long it may take to connect, 2 s unless told.
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        Self { connect_timeout: timeout.min(LONGEST), ..self }
    }

    /// Chooses how long a question for changes may wait for one, 5 minutes unless told, and at most 10; less by up to a tenth.
    pub fn wait(self, wait: Duration) -> Self {
        Self { wait: wait.clamp(Duration::from_millis(10), LONGEST_WAIT), ..self }
    }

    /// Chooses how often to ask the agent whether it lives, while a question waits: every 750 ms unless told, never if `None`.
    ///
    /// It is a small question, which the agent answers by itself. Without it, an agent that hangs, and a cut network that nobody
    /// reports, are found out when the wait is over.
    pub fn heartbeat(self, interval: Option<Duration>) -> Self {
        let clamp = |interval: Duration| interval.clamp(Duration::from_millis(10), LONGEST);
        Self { heartbeat: interval.map(clamp), ..self }
    }

    /// Chooses the size in bytes from which on a request is refused before it is sent, 524,288 unless told: that of Consul's setting
    /// `txn_max_req_len`.
    pub fn largest_request(self, bytes: usize) -> Self {
        Self { largest_request: bytes, ..self }
    }

    /// Limits how long [`connect`](Self::connect) waits until all flags are there, 10 s unless told.
    pub fn start_timeout(self, timeout: Duration) -> Self {
        Self { start_timeout: timeout, ..self }
    }

    /// Chooses how many flags make it unbelievable that all of them are gone at once: see
    /// [`MirrorStoreBuilder::emptied_from`](flipper_mirror::MirrorStoreBuilder::emptied_from).
    pub fn emptied_from(self, count: usize) -> Self {
        Self { emptied_from: count, ..self }
    }

    /// Keeps the last known good state in a file, and answers with it until the agent does: see
    /// [`MirrorStoreBuilder::last_known_good`](flipper_mirror::MirrorStoreBuilder::last_known_good).
    pub fn last_known_good(self, path: impl Into<PathBuf>) -> Self {
        Self { last_known_good: Some(path.into()), ..self }
    }

    /// Makes the store, and waits until all flags are in memory.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) for settings that make no sense, [`Unsupported`](ErrorKind::Unsupported) for what needs a
    /// feature that is off, and what has kept the flags from being read for the
    /// [`start_timeout`](Self::start_timeout).
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the store.
    pub async fn connect(self) -> Result<ConsulStore> {
        self.mirror()?.start().await.map(ConsulStore::new)
    }

    /// Makes the store, without waiting: until all flags are in memory, checks answer their default.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), but for those of the agent.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn connect_lazy(self) -> Result<ConsulStore> {
        Ok(ConsulStore::new(self.mirror()?.start_unready()))
    }

    fn mirror(self) -> Result<MirrorStoreBuilder<Kv>> {
        let address = self.address?;
        let base_key = self.base_key.trim_end_matches('/');
        let is_legal =
            |segment: &str| !matches!(segment, "" | "." | "..") && !segment.contains(char::is_control);
        if !base_key.split('/').all(is_legal) {
            let message = "the base key is empty, or begins with a slash, or has a part that is empty, `.` or `..`: Consul rewrites such keys";
            return Err(error(ErrorKind::InvalidInput, message));
        }
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            headers.insert("x-consul-token", secret(token, "the token")?);
        }
        if let Some((user, password)) = self.auth.or_else(|| address.auth.clone()) {
            let encoded = base64::Engine::encode(
                &base64::engine::general_purpose::STANDARD,
                format!("{user}:{password}"),
            );
            headers.insert("authorization", secret(&format!("Basic {encoded}"), "user and password")?);
        }
        let api = Api {
            client: client(address.socket.clone(), self.connect_timeout, &self.certificates)?,
            shown: address.shown(),
            base: address.base,
            headers,
            datacenter: self.datacenter,
            namespace: self.namespace,
            partition: self.partition,
            consistency: self.consistency,
            timeout: self.timeout,
            largest_request: self.largest_request,
        };
        let prefix = format!("{base_key}/");
        let emptied_from = self.emptied_from.max(1);
        let shared = Shared::new(api, prefix, self.wait, self.heartbeat, emptied_from);
        // The watch tells everything each time: a regular load would find nothing else.
        let mirror = MirrorStore::builder(Kv::new(shared))
            .emptied_from(emptied_from)
            .reload_interval(LONGEST)
            .start_timeout(self.start_timeout);
        Ok(match self.last_known_good {
            Some(path) => mirror.last_known_good(path),
            None => mirror,
        })
    }
}

fn secret(text: &str, what: &str) -> Result<HeaderValue, Error> {
    let value = HeaderValue::from_str(text);
    let mut value =
        value.map_err(|_| error(ErrorKind::InvalidInput, format!("{what} cannot be sent in a header")))?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for ConsulStoreBuilder {
    /// Tells no token and no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsulStoreBuilder")
            .field("address", &self.address.as_ref().map(Address::shown))
            .field("base_key", &self.base_key)
            .field("has_token", &self.token.is_some())
            .field("datacenter", &self.datacenter)
            .field("namespace", &self.namespace)
            .field("partition", &self.partition)
            .field("consistency", &self.consistency)
            .finish_non_exhaustive()
    }
}
