//! A sink that posts to a URL.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::{Error, ErrorKind, Result};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};

use super::Sink;
use crate::Record;

/// Posts each change to a URL, as JSON: [`Record::to_json`].
///
/// What is not taken is sent again, unless the server says that it never will be: after errors of the network, 408, 425, 429 and those from 500 on, with waits that double from 200 ms to 30 s, with jitter, or as
/// long as `Retry-After` says, for as many attempts as are allowed. A change may be posted twice, if an answer was lost: what is posted carries the time, the flag and the attempt.
/// Redirects are not followed.
///
/// While it waits, changes gather in the [queue](crate::SinkQueue) before it.
///
/// # Examples
///
/// ```no_run
/// use flipper_audit::{SinkQueue, Webhook};
/// use flipper_core::FeatureFlagClient;
/// use flipper_memory::MemoryStore;
///
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let webhook = Webhook::builder("http://hooks.internal/flags").header("authorization", "Bearer s3cret").build()?;
/// SinkQueue::builder().redact(["email"]).start(webhook)?.subscribe_to(&client);
/// # Ok::<(), flipper_core::Error>(())
/// ```
pub struct Webhook {
    client: Client,
    url: Url,
    headers: HeaderMap,
    timeout: Duration,
    attempts: u32,
}

/// Chooses how a [`Webhook`] works.
#[must_use = "a webhook is made by `build`"]
pub struct WebhookBuilder {
    url: String,
    headers: Vec<(String, String)>,
    timeout: Duration,
    attempts: u32,
    client: Option<Client>,
}

/// The first wait between attempts, which doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl WebhookBuilder {
    /// Adds a header, such as one that says who sends. Its value is not shown anywhere.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Chooses how long an attempt may take; 10 s unless told.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Chooses how often a change is sent at the most; 8 times unless told, and once at the least.
    pub fn attempts(self, attempts: u32) -> Self {
        Self { attempts: attempts.max(1), ..self }
    }

    /// Gives a client of `reqwest`, for authorities of your own, proxies and the rest. Unless told, `https` trusts whom the system trusts. Headers and the limit of time are still those that are stated
    /// here. Whether redirects are followed is the client's: build it with `redirect(Policy::none())`, or headers and changes may be sent elsewhere.
    pub fn client(self, client: Client) -> Self {
        Self { client: Some(client), ..self }
    }

    /// Makes the webhook. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) if the URL or a header is none.
    pub fn build(self) -> Result<Webhook> {
        let invalid = |message: String| Error::new(ErrorKind::InvalidInput, message).with_store("webhook");
        let url: Url =
            self.url.parse().map_err(|_| invalid("the URL of the webhook cannot be read".to_owned()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid(format!("a webhook has an http or https URL, not {}", url.scheme())));
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in self.headers {
            let header: HeaderName =
                name.parse().map_err(|_| invalid(format!("{name:?} is no name of a header")))?;
            let mut value: HeaderValue =
                value.parse().map_err(|_| invalid(format!("the value of the header {name:?} is none")))?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        let client = match self.client {
            Some(client) => client,
            None => client()
                .map_err(|error| invalid(format!("no client for the webhook: {}", error.without_url())))?,
        };
        Ok(Webhook { client, url, headers, timeout: self.timeout, attempts: self.attempts })
    }
}

fn client() -> reqwest::Result<Client> {
    // Without a provider of cryptography in the process there can be no client, and one that is there stays.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    Client::builder().redirect(reqwest::redirect::Policy::none()).build()
}

impl Webhook {
    /// Starts a webhook that posts to a URL.
    pub fn builder(url: impl Into<String>) -> WebhookBuilder {
        WebhookBuilder {
            url: url.into(),
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            attempts: 8,
            client: None,
        }
    }

    /// Sends a change once. If it was not taken, whether it may be later, and when.
    async fn post(&self, body: &str) -> Result<(), NotTaken> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).timeout(self.timeout);
        let response = request.body(body.to_owned()).send().await;
        // Neither the URL, which may have a secret in it, nor what the server says is shown.
        let response = response.map_err(|error| NotTaken {
            error: Error::new(ErrorKind::Unavailable, format!("no answer: {}", error.without_url())),
            may_be_later: true,
            wait: None,
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let may_be_later = status.is_server_error()
            || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS]
                .contains(&status);
        let wait =
            response.headers().get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        let kind = if may_be_later { ErrorKind::Unavailable } else { ErrorKind::PermissionDenied };
        let error = Error::new(kind, format!("the server answers {}", status.as_u16()));
        Err(NotTaken { error, may_be_later, wait: wait.map(Duration::from_secs) })
    }
}

struct NotTaken {
    error: Error,
    may_be_later: bool,
    wait: Option<Duration>,
}

#[async_trait]
impl Sink for Webhook {
    async fn send(&mut self, record: &Record) -> Result<()> {
        let body = record.to_json();
        let mut wait = FIRST_WAIT;
        let mut attempt = 1;
        loop {
            match self.post(&body).await {
                Ok(()) => return Ok(()),
                Err(not_taken) if !not_taken.may_be_later || attempt >= self.attempts => {
                    let told =
                        not_taken.error.with_store("webhook").with_operation("post").with_flag(&*record.flag);
                    return Err(told.map_message(|message| format!("{message}, after {attempt} attempts")));
                }
                Err(not_taken) => {
                    let jittered = wait.mul_f64(0.5 + fastrand::f64());
                    tokio::time::sleep(not_taken.wait.unwrap_or(jittered).min(LONGEST_WAIT)).await;
                }
            }
            wait = (wait * 2).min(LONGEST_WAIT);
            attempt += 1;
        }
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("host", &self.url.host_str())
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WebhookBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookBuilder")
            .field("timeout", &self.timeout)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
