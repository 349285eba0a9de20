//! Posts to addresses that somebody else chose: webhooks, chats, push services.
//!
//! * The address is checked ([`crate::outbound::address`]) and pinned: https, no redirects, no proxy, no second look-up.
//! * The answer's body is never read, and neither it nor the URL appears in an error: both may hold secrets of others.
//! * One attempt per call, bounded in time. What is to be sent next, and remembering it, is the caller's.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use url::{Host, Url};

use crate::outbound::address::{Lookup, is_public};
use crate::outbound::authorities::Authorities;

/// Something to post. It has no `Debug`: its URL may be a secret of the receiver.
pub struct Post {
    /// Where to.
    pub url: String,
    /// Headers beside those of every post.
    pub headers: Vec<(HeaderName, String)>,
    /// The type of the body (`application/json`).
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the address may be one that is not public, and plain http: a receiver in the broker's own network.
    pub allow_private: bool,
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The URL can't be used.
    #[error("the receiver's URL is not usable: it must be https://host/…, without a user and a password")]
    Url,
    /// Plain http.
    #[error("the receiver's URL is plain http; use https, or allow private receivers where operators set them")]
    PlainHttp,
    /// The address is not a public one.
    #[error(
        "the receiver's host has the address {0}, which is not public; use a public host, or allow private receivers where operators set them"
    )]
    Address(IpAddr),
    /// The port is none that messages go to.
    #[error(
        "messages go to the ports 443 and 8443 only, not to {0}; use one of these, or ask an operator to name the host with its port in alerts.private_hosts"
    )]
    Port(u16),
    /// The receiver says that it does not exist any more.
    #[error("the receiver answered {0}: it is not there any more; remove or change the destination")]
    Gone(u16),
    /// The receiver's name was not found.
    #[error("the receiver's host could not be looked up")]
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
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Url | Self::PlainHttp | Self::Address(_) | Self::Port(_) | Self::Gone(_) => false,
            Self::Lookup(_) | Self::Timeout | Self::Http(_) | Self::Status { .. } => true,
        }
    }

    /// How long the receiver asked to be left alone.
    pub fn asked_wait(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Posts.
#[async_trait::async_trait]
pub trait PostSender: Send + Sync + 'static {
    /// Makes one attempt. Dropping the future may leave it sent.
    async fn post(&self, post: &Post) -> Result<(), DeliveryError>;
}

/// Posts over HTTP.
pub struct HttpPost {
    timeout: Duration,
    lookup: Arc<dyn Lookup>,
    authorities: Authorities,
}

#[async_trait::async_trait]
impl PostSender for HttpPost {
    async fn post(&self, post: &Post) -> Result<(), DeliveryError> {
        tokio::time::timeout(self.timeout, self.attempt(post)).await.unwrap_or(Err(DeliveryError::Timeout))
    }
}

impl HttpPost {
    /// One attempt may take `timeout`, the look-up included. `authorities` are trusted beside those of the machine.
    pub fn new(timeout: Duration, lookup: Arc<dyn Lookup>, authorities: Authorities) -> Self {
        Self { timeout, lookup, authorities }
    }

    async fn attempt(&self, post: &Post) -> Result<(), DeliveryError> {
        let url = checked_url(&post.url, post.allow_private)?;
        let addresses = self.checked_addresses(&url, post.allow_private).await?;
        let client = self.pinned_client(&url, addresses, post.allow_private).await?;
        let mut headers = HeaderMap::new();
        for (name, value) in &post.headers {
            headers.insert(name, value.parse().map_err(|_| DeliveryError::Url)?);
        }
        let request = client.post(url).headers(headers).header(http::header::CONTENT_TYPE, post.content_type);
        let answer = request.body(post.body.clone()).send().await.map_err(failed)?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status @ http::StatusCode::GONE => Err(DeliveryError::Gone(status.as_u16())),
            status => {
                Err(DeliveryError::Status { status: status.as_u16(), retry_after: retry_after(answer.headers()) })
            }
        }
    }

    /// A client that can reach nothing but these addresses. Built apart from the runtime's threads, since it reads the machine's
    /// certificates.
    async fn pinned_client(
        &self,
        url: &Url,
        addresses: Vec<SocketAddr>,
        allow_http: bool,
    ) -> Result<reqwest::Client, DeliveryError> {
        let host = url.host_str().ok_or(DeliveryError::Url)?.to_owned();
        let (timeout, authorities) = (self.timeout, self.authorities.clone());
        let build = move || {
            authorities
                .trusted_by(reqwest::Client::builder())
                .resolve_to_addrs(&host, &addresses)
                .dns_resolver(Arc::new(NoLookup))
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .referer(false)
                .https_only(!allow_http)
                .timeout(timeout)
                .user_agent(concat!("token-broker/", env!("CARGO_PKG_VERSION")))
                .build()
        };
        match tokio::task::spawn_blocking(build).await {
            Ok(client) => client.map_err(failed),
            Err(_) => Err(DeliveryError::Timeout),
        }
    }

    /// All addresses of the URL's host, if every one of them may be called: a name with one bad address is refused as a whole.
    async fn checked_addresses(&self, url: &Url, allow_private: bool) -> Result<Vec<SocketAddr>, DeliveryError> {
        let port = url.port_or_known_default().ok_or(DeliveryError::Url)?;
        let addresses = match url.host().ok_or(DeliveryError::Url)? {
            Host::Ipv4(address) => vec![SocketAddr::new(address.into(), port)],
            Host::Ipv6(address) => vec![SocketAddr::new(address.into(), port)],
            Host::Domain(name) => {
                self.lookup.addresses(name, port).await.map_err(|error| DeliveryError::Lookup(Some(error)))?
            }
        };
        let refused = |address: &&SocketAddr| !allow_private && !is_public(address.ip());
        match addresses.iter().find(refused) {
            Some(address) => Err(DeliveryError::Address(address.ip())),
            None if addresses.is_empty() => Err(DeliveryError::Lookup(None)),
            None => Ok(addresses),
        }
    }
}

/// The URL, if it is one that may be called as far as its text tells.
pub fn checked_url(text: &str, allow_private: bool) -> Result<Url, DeliveryError> {
    let url = Url::parse(text).map_err(|_| DeliveryError::Url)?;
    if !url.username().is_empty() || url.password().is_some() || !url.has_host() {
        return Err(DeliveryError::Url);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if allow_private => Ok(url),
        "http" => Err(DeliveryError::PlainHttp),
        _ => Err(DeliveryError::Url),
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

/// Posts nothing and remembers it, for tests and demonstrations.
#[derive(Default)]
pub struct FakePost(Mutex<FakeState>);

#[derive(Default)]
struct FakeState {
    posted: Vec<Posted>,
    arrived: Vec<Posted>,
    next: VecDeque<DeliveryError>,
    is_down: bool,
}

/// What a fake was told to post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Where to.
    pub url: String,
    /// The headers.
    pub headers: Vec<(HeaderName, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl FakePost {
    /// Lets the next attempt fail that is not yet to.
    pub fn fail_next(&self, error: DeliveryError) {
        self.state().next.push_back(error);
    }

    /// From now on nobody answers, or everybody again, and nothing is yet to fail.
    pub fn be_down(&self, is_down: bool) {
        let mut state = self.state();
        state.is_down = is_down;
        state.next.clear();
    }

    /// What arrived so far.
    pub fn arrived(&self) -> Vec<Posted> {
        self.state().arrived.clone()
    }

    /// Every attempt so far, also those that failed.
    pub fn attempts(&self) -> Vec<Posted> {
        self.state().posted.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, FakeState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait::async_trait]
impl PostSender for FakePost {
    async fn post(&self, post: &Post) -> Result<(), DeliveryError> {
        let Post { url, headers, body, .. } = post;
        let mut state = self.state();
        let posted = Posted { url: url.clone(), headers: headers.clone(), body: body.clone() };
        state.posted.push(posted.clone());
        if state.is_down {
            return Err(DeliveryError::Timeout);
        }
        if let Some(error) = state.next.pop_front() {
            return Err(error);
        }
        state.arrived.push(posted);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
