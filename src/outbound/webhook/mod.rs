//! Webhooks: one signed POST to an address that an operator or a team chose.
//!
//! * Signed by the Standard Webhooks scheme; the id stays the same over all attempts, so that a receiver can drop repetitions.
//! * The address is checked ([`crate::outbound::address`]) and pinned: https, no redirects, no proxy, no second look-up.
//! * The answer's body is never read, and neither it nor the URL appears in an error: both may hold secrets of others.
//! * One attempt per call, bounded in time. What is to be sent next, and remembering it, is the caller's.

mod signature;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use url::{Host, Url};

pub use signature::{SigningSecret, SigningSecretError};

use crate::base::clock::{Clock, Timestamp};
use crate::base::ids::OutboxId;
use crate::domain::retry::{Failure, RetryRule, RetryVerdict};
use crate::outbound::address::{Lookup, is_public};

/// What may be called, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookPolicy {
    /// Whether plain http is allowed.
    pub allow_http: bool,
    /// Whether addresses that are not public are allowed: a receiver in the broker's own network.
    pub allow_private: bool,
    /// How long one attempt may take, the look-up included.
    pub timeout: Duration,
}

impl Default for WebhookPolicy {
    fn default() -> Self {
        Self { allow_http: false, allow_private: false, timeout: Duration::from_secs(10) }
    }
}

/// A message to send. It has no `Debug`: its URL may be a secret of the receiver.
pub struct WebhookDelivery {
    /// Its id, the same for each attempt.
    pub id: OutboxId,
    /// Where to.
    pub url: String,
    /// The receiver's secrets; several while they change. At least one.
    pub secrets: Vec<SigningSecret>,
    /// The body: JSON.
    pub body: String,
    /// How many attempts were made before.
    pub attempts: u32,
    /// When the first of them was made; `None`: this is the first.
    pub first_tried_at: Option<Timestamp>,
}

/// What came of an attempt.
#[derive(Debug)]
pub enum DeliveryOutcome {
    /// The receiver took it.
    Sent,
    /// Try again.
    Retry {
        /// After this wait.
        after: Duration,
        /// Why it failed.
        error: DeliveryError,
    },
    /// Never try again by itself.
    Dead(DeadReason),
}

/// Why a message is given up.
#[derive(Debug, thiserror::Error)]
pub enum DeadReason {
    /// Another attempt can't end better until somebody changes something.
    #[error(transparent)]
    Unsendable(DeliveryError),
    /// It failed too often or for too long.
    #[error("given up after {attempts} attempts; the last one: {last}")]
    GivenUp {
        /// How many.
        attempts: u32,
        /// Why the last one failed.
        #[source]
        last: DeliveryError,
    },
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The URL can't be used.
    #[error("the webhook's URL is not usable: it must be https://host/…, without a user and a password")]
    Url,
    /// Plain http.
    #[error("the webhook's URL is plain http; use https, or allow http for webhooks in the configuration")]
    PlainHttp,
    /// There is nothing to sign with.
    #[error("the webhook has no signing secret; set one")]
    NoSecret,
    /// The address is not a public one.
    #[error(
        "the webhook's host has the address {0}, which is not public; use a public host, or allow private addresses"
    )]
    Address(IpAddr),
    /// The receiver says that it does not exist any more.
    #[error("the receiver answered 410: it does not want webhooks any more; remove or change the webhook")]
    Gone,
    /// The receiver's name was not found.
    #[error("the webhook's host could not be looked up")]
    Lookup(#[source] Option<std::io::Error>),
    /// It took too long.
    #[error("the receiver did not answer in time")]
    Timeout,
    /// The request or its answer failed on the way.
    #[error("the request failed on its way")]
    Http(#[source] reqwest::Error),
    /// The receiver did not say 2xx.
    #[error("the receiver answered {status}")]
    Status {
        /// What it answered.
        status: u16,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
}

impl DeliveryError {
    /// Whether another attempt may end better by itself.
    fn may_pass(&self) -> bool {
        match self {
            Self::Url | Self::PlainHttp | Self::NoSecret | Self::Address(_) | Self::Gone => false,
            Self::Lookup(_) | Self::Timeout | Self::Http(_) | Self::Status { .. } => true,
        }
    }
}

/// Sends webhooks.
#[async_trait::async_trait]
pub trait WebhookSender: Send + Sync + 'static {
    /// Makes one attempt. `random` spreads the next one; uniform over all of `u64`. Dropping the future may leave the message sent.
    async fn deliver_once(&self, delivery: &WebhookDelivery, random: u64) -> DeliveryOutcome;
}

/// Sends over HTTP.
pub struct HttpWebhookSender {
    policy: WebhookPolicy,
    retry: RetryRule,
    lookup: Arc<dyn Lookup>,
    clock: Arc<dyn Clock>,
}

#[async_trait::async_trait]
impl WebhookSender for HttpWebhookSender {
    async fn deliver_once(&self, delivery: &WebhookDelivery, random: u64) -> DeliveryOutcome {
        let started = self.clock.now();
        let attempt = tokio::time::timeout(self.policy.timeout, self.post(delivery));
        match attempt.await.unwrap_or(Err(DeliveryError::Timeout)) {
            Ok(()) => DeliveryOutcome::Sent,
            Err(error) => self.judge(delivery, started, error, random),
        }
    }
}

impl HttpWebhookSender {
    /// A sender under a policy.
    pub fn new(policy: WebhookPolicy, retry: RetryRule, lookup: Arc<dyn Lookup>, clock: Arc<dyn Clock>) -> Self {
        Self { policy, retry, lookup, clock }
    }

    fn judge(
        &self,
        delivery: &WebhookDelivery,
        started: Timestamp,
        error: DeliveryError,
        random: u64,
    ) -> DeliveryOutcome {
        if !error.may_pass() {
            return DeliveryOutcome::Dead(DeadReason::Unsendable(error));
        }
        let asked_wait = match &error {
            DeliveryError::Status { retry_after, .. } => *retry_after,
            _ => None,
        };
        let attempts = delivery.attempts.saturating_add(1);
        let first_tried_at = delivery.first_tried_at.unwrap_or(started);
        let failure = Failure { attempts, first_tried_at, now: self.clock.now(), asked_wait };
        match self.retry.judge(&failure, random) {
            RetryVerdict::After(after) => DeliveryOutcome::Retry { after, error },
            RetryVerdict::TooManyAttempts | RetryVerdict::TooOld => {
                DeliveryOutcome::Dead(DeadReason::GivenUp { attempts, last: error })
            }
        }
    }

    async fn post(&self, delivery: &WebhookDelivery) -> Result<(), DeliveryError> {
        let url = self.checked_url(&delivery.url)?;
        if delivery.secrets.is_empty() {
            return Err(DeliveryError::NoSecret);
        }
        let addresses = self.checked_addresses(&url).await?;
        let client = pinned_client(&url, addresses, self.policy).await?;
        let (id, now) = (delivery.id.to_string(), self.clock.now());
        let answer = client
            .post(url)
            .header("webhook-signature", signature::signatures(&delivery.secrets, &id, now, &delivery.body))
            .header("webhook-id", id)
            .header("webhook-timestamp", now.secs())
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(delivery.body.clone())
            .send()
            .await
            .map_err(failed)?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            http::StatusCode::GONE => Err(DeliveryError::Gone),
            status => {
                Err(DeliveryError::Status { status: status.as_u16(), retry_after: retry_after(answer.headers()) })
            }
        }
    }

    fn checked_url(&self, text: &str) -> Result<Url, DeliveryError> {
        let url = Url::parse(text).map_err(|_| DeliveryError::Url)?;
        if !url.username().is_empty() || url.password().is_some() || !url.has_host() {
            return Err(DeliveryError::Url);
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.policy.allow_http => Ok(url),
            "http" => Err(DeliveryError::PlainHttp),
            _ => Err(DeliveryError::Url),
        }
    }

    /// All addresses of the URL's host, if every one of them may be called: a name with one bad address is refused as a whole.
    async fn checked_addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, DeliveryError> {
        let port = url.port_or_known_default().ok_or(DeliveryError::Url)?;
        let addresses = match url.host().ok_or(DeliveryError::Url)? {
            Host::Ipv4(address) => vec![SocketAddr::new(address.into(), port)],
            Host::Ipv6(address) => vec![SocketAddr::new(address.into(), port)],
            Host::Domain(name) => {
                self.lookup.addresses(name, port).await.map_err(|error| DeliveryError::Lookup(Some(error)))?
            }
        };
        let refused = |address: &&SocketAddr| !self.policy.allow_private && !is_public(address.ip());
        match addresses.iter().find(refused) {
            Some(address) => Err(DeliveryError::Address(address.ip())),
            None if addresses.is_empty() => Err(DeliveryError::Lookup(None)),
            None => Ok(addresses),
        }
    }
}

/// A client that can reach nothing but these addresses. Built apart from the runtime's threads, since it reads the machine's
/// certificates.
async fn pinned_client(
    url: &Url,
    addresses: Vec<SocketAddr>,
    policy: WebhookPolicy,
) -> Result<reqwest::Client, DeliveryError> {
    let host = url.host_str().ok_or(DeliveryError::Url)?.to_owned();
    let build = move || {
        reqwest::Client::builder()
            .resolve_to_addrs(&host, &addresses)
            .dns_resolver(Arc::new(NoLookup))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .https_only(!policy.allow_http)
            .timeout(policy.timeout)
            .user_agent(concat!("token-broker/", env!("CARGO_PKG_VERSION")))
            .build()
    };
    match tokio::task::spawn_blocking(build).await {
        Ok(client) => client.map_err(failed),
        Err(_) => Err(DeliveryError::Timeout),
    }
}

/// Finds nothing: a name that is not pinned must not be reached.
struct NoLookup;

impl reqwest::dns::Resolve for NoLookup {
    fn resolve(&self, _name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async { Err("only pinned names are looked up".into()) })
    }
}

fn failed(error: reqwest::Error) -> DeliveryError {
    if error.is_timeout() { DeliveryError::Timeout } else { DeliveryError::Http(error.without_url()) }
}

/// `Retry-After` in seconds. The form with a date is not read: it depends on the receiver's clock.
fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    let seconds = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Sends nothing and remembers it, for tests and demonstrations.
#[derive(Default)]
pub struct FakeWebhookSender {
    inner: Mutex<FakeState>,
}

#[derive(Default)]
struct FakeState {
    sent: Vec<SentWebhook>,
    next: VecDeque<DeliveryOutcome>,
}

/// What a fake was told to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentWebhook {
    /// The message's id.
    pub id: OutboxId,
    /// Where to.
    pub url: String,
    /// The body.
    pub body: String,
}

impl FakeWebhookSender {
    /// The outcome of the next attempt that has none yet; without one attempts succeed.
    pub fn answer_next(&self, outcome: DeliveryOutcome) {
        self.state().next.push_back(outcome);
    }

    /// Every attempt so far, also those that failed.
    pub fn attempts(&self) -> Vec<SentWebhook> {
        self.state().sent.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, FakeState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait::async_trait]
impl WebhookSender for FakeWebhookSender {
    async fn deliver_once(&self, delivery: &WebhookDelivery, _random: u64) -> DeliveryOutcome {
        let WebhookDelivery { id, url, body, .. } = delivery;
        let mut state = self.state();
        state.sent.push(SentWebhook { id: *id, url: url.clone(), body: body.clone() });
        state.next.pop_front().unwrap_or(DeliveryOutcome::Sent)
    }
}

#[cfg(test)]
mod tests;
