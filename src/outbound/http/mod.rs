//! Calls of networks: one request, one answer.
//!
//! * No redirect is followed: a token must not travel to where an answer points.
//! * An attempt ends after 15 seconds. An answer of more than 64 KiB is not read.
//! * A host that somebody else named, such as the server on which an account lives, must have public addresses only, and TLS.
//! * Neither URL nor body appears in an error or a log: both hold secrets. An error says only whether the network may have acted on the
//!   request, since a refresh token that may have been used is treated otherwise than one that was not.
//!
//! What an answer means is for the rules to say; what follows from it, and remembering it, is the caller's.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::outbound::address::{Lookup, SystemLookup, is_public};
use crate::outbound::authorities::Authorities;
use crate::outbound::oauth::{Assertion, Bond, ProvedRequest, token_hash};

/// How long a request may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);
/// An answer is read up to this many bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The header of a proof of possession (RFC 9449, section 4.1).
const PROOF: HeaderName = HeaderName::from_static("dpop");

/// One request. It has no `Debug`: it holds secrets.
pub struct NetworkRequest {
    request: http::Request<Zeroizing<Vec<u8>>>,
    /// By which the app shows who it is.
    assertion: Option<Assertion>,
    /// The key that proves it, and what its access token is known by.
    proof: Option<(Arc<Bond>, Option<String>)>,
    /// Whether its host was named by somebody else than the catalogue: then it must be a public one.
    is_foreign: bool,
}

impl NetworkRequest {
    /// A request that was written by somebody else.
    pub(super) fn of(request: http::Request<Vec<u8>>) -> Self {
        Self { request: request.map(Zeroizing::new), assertion: None, proof: None, is_foreign: false }
    }

    /// Reads `url` with a token. `None` if `url` is none, or the token can't stand in a header.
    pub fn read(url: &str, token: &Secret) -> Option<Self> {
        Self::get(url, Some(authorization("Bearer", token)?))
    }

    /// Reads `url`, which is below the network's `base` as a rule, with a token that may be bound to a key.
    pub fn read_with(base: &str, url: &str, token: &Secret, bond: Option<&Arc<Bond>>) -> Option<Self> {
        let Some(held) = bond else { return Self::read(url, token) };
        let url = held.address(base, url);
        let request = Self::get(&url, Some(authorization("DPoP", token)?))?;
        Some(request.checked_unless_below(base).proved(bond, Some(token)))
    }

    /// Reads what everybody may, at an address that may be anybody's unless it is at the host of `known`.
    pub fn read_public(known: &str, url: &str) -> Option<Self> {
        Some(Self::get(url, None)?.checked_unless_below(known))
    }

    fn get(url: &str, authorization: Option<HeaderValue>) -> Option<Self> {
        let mut request = http::Request::get(url).header(ACCEPT, "application/json");
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        request.body(Vec::new()).ok().map(Self::of)
    }

    /// The request with what the network wants in the head of every request. What is no header is left out.
    pub fn carrying(mut self, headers: &BTreeMap<String, String>) -> Self {
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                self.request.headers_mut().insert(name, value);
            }
        }
        self
    }

    fn checked_unless_below(self, known: &str) -> Self {
        let origin = |url: &str| url::Url::parse(url).map(|url| url.origin()).ok();
        let is_foreign = origin(known).is_none() || origin(&self.request.uri().to_string()) != origin(known);
        Self { is_foreign, ..self }
    }

    /// The request with an app's assertion, if there is one, which is signed when it is sent.
    pub(super) fn asserted(self, assertion: Option<Assertion>) -> Self {
        Self { assertion, ..self }
    }

    /// The request with a proof by a key, if there is one, which is signed when it is sent. `access`: the token that it carries.
    pub(super) fn proved(self, bond: Option<&Arc<Bond>>, access: Option<&Secret>) -> Self {
        Self { proof: bond.map(|bond| (bond.clone(), access.map(token_hash))), ..self }
    }

    /// Whether something is signed when it is sent.
    pub(super) fn is_signed(&self) -> bool {
        self.assertion.is_some() || self.proof.is_some()
    }

    /// The scheme, host and port.
    pub(super) fn origin(&self) -> String {
        let url = url::Url::parse(&self.request.uri().to_string());
        url.map(|url| url.origin().ascii_serialization()).unwrap_or_default()
    }

    /// The request as it is sent `now`, with the nonce that its server gave last. `None` if the machine gives no random numbers.
    pub(super) fn signed(&self, now: Timestamp, nonce: Option<&str>) -> Option<Self> {
        let mut request = self.request.clone();
        if let Some(assertion) = &self.assertion {
            *request.body_mut() = Zeroizing::new(assertion.added_to(request.body(), now)?);
        }
        if let Some((bond, token_hash)) = &self.proof {
            let (method, url) = (request.method().clone(), request.uri().to_string());
            let proved = ProvedRequest { method: method.as_str(), url: &url, token_hash: token_hash.as_deref(), nonce };
            request.headers_mut().insert(PROOF, HeaderValue::from_str(&bond.prove(&proved, now)?).ok()?);
        }
        Some(Self { request, assertion: None, proof: None, is_foreign: self.is_foreign })
    }

    /// The request as it is sent, for tests.
    #[cfg(test)]
    pub(crate) fn written(&self) -> http::Request<Vec<u8>> {
        self.request.clone().map(|body| body.to_vec())
    }

    /// The request on one line, for tests: method, URL, `#` and the form, `!` and the authorization.
    #[cfg(test)]
    pub(crate) fn shown(&self) -> String {
        let (request, form) = (&self.request, String::from_utf8_lossy(self.request.body()));
        let form = if form.is_empty() { String::new() } else { format!(" #{form}") };
        let authorization = request.headers().get(AUTHORIZATION).map(|value| format!(" !{}", value.to_str().unwrap()));
        format!("{} {}{form}{}", request.method(), request.uri(), authorization.unwrap_or_default())
    }
}

fn authorization(scheme: &str, token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("{scheme} {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What a network answered. It has no `Debug`: it holds secrets.
pub struct NetworkAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Zeroizing<Vec<u8>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// No connection came about: the network knows nothing of the request.
    #[error("the network could not be reached")]
    NotSent,
    /// The request was sent, or a part of it: the network may have done what it asks for.
    #[error("the network did not answer")]
    Lost,
    /// There was an answer that can't be used: the network may have done what was asked for.
    #[error("the network answered more than 64 KiB")]
    TooLong,
}

/// Calls networks.
#[async_trait::async_trait]
pub trait NetworkClient: Send + Sync + 'static {
    /// Makes one request. Dropping the future may leave it made, and its answer lost: don't.
    async fn ask(&self, request: &NetworkRequest) -> Result<NetworkAnswer, NoAnswer>;
}

/// Calls over HTTP.
pub struct HttpClient {
    of_networks: reqwest::Client,
    /// Reaches public addresses only.
    of_anybody: reqwest::Client,
}

impl HttpClient {
    /// A client for all networks. Reads the machine's certificates, and trusts `authorities` beside them. Each request has a connection of its own: one that was left open, and
    /// that the network closes just then, would leave it unknown whether the request arrived.
    ///
    /// # Errors
    /// When TLS can't be set up on this machine.
    pub fn new(authorities: &Authorities) -> Result<Self, HttpSetupError> {
        let client = || {
            authorities
                .trusted_by(reqwest::Client::builder())
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .pool_max_idle_per_host(0)
                .no_proxy()
                .referer(false)
                .timeout(TIMEOUT)
                .user_agent(concat!("token-broker/", env!("CARGO_PKG_VERSION")))
        };
        let failed = |error: reqwest::Error| HttpSetupError(error.without_url());
        let of_networks = client().build().map_err(failed)?;
        let of_anybody = client().https_only(true).dns_resolver(Arc::new(PublicOnly)).build().map_err(failed)?;
        Ok(Self { of_networks, of_anybody })
    }
}

/// No client could be made.
#[derive(Debug, thiserror::Error)]
#[error(
    "the machine's certificates or TLS can't be used to call networks; install the package of certificate authorities"
)]
pub struct HttpSetupError(#[source] reqwest::Error);

#[async_trait::async_trait]
impl NetworkClient for HttpClient {
    async fn ask(&self, request: &NetworkRequest) -> Result<NetworkAnswer, NoAnswer> {
        let NetworkRequest { request, is_foreign, .. } = request;
        if *is_foreign && !may_be_public(request.uri()) {
            return Err(NoAnswer::NotSent);
        }
        let client = if *is_foreign { &self.of_anybody } else { &self.of_networks };
        let sent = client.request(request.method().clone(), request.uri().to_string());
        let sent = sent.headers(request.headers().clone()).body(request.body().to_vec());
        let mut answer = sent.send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        let headers = answer.headers().iter().filter_map(text).collect();
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = answer.chunk().await.map_err(|_| NoAnswer::Lost)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(NoAnswer::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(NetworkAnswer { status, headers, body })
    }
}

/// Whether a host that is written as an address is a public one. Names are looked at when they are looked up.
fn may_be_public(uri: &http::Uri) -> bool {
    match url::Url::parse(&uri.to_string()).ok().as_ref().and_then(url::Url::host) {
        Some(url::Host::Ipv4(address)) => is_public(address.into()),
        Some(url::Host::Ipv6(address)) => is_public(address.into()),
        Some(url::Host::Domain(_)) => true,
        None => false,
    }
}

/// Looks names up, and finds none that has an address which is not public.
struct PublicOnly;

impl reqwest::dns::Resolve for PublicOnly {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async move {
            let found = SystemLookup.addresses(name.as_str(), 0).await?;
            match found.iter().all(|address| is_public(address.ip())) {
                true => Ok(Box::new(found.into_iter()) as reqwest::dns::Addrs),
                false => Err("the name has an address that is not public".into()),
            }
        })
    }
}

fn failed(error: reqwest::Error) -> NoAnswer {
    if error.is_connect() || error.is_builder() { NoAnswer::NotSent } else { NoAnswer::Lost }
}

/// Calls nobody and answers what it was told to, for tests.
#[derive(Default)]
pub struct FakeClient(Mutex<FakeState>);

#[derive(Default)]
struct FakeState {
    asked: usize,
    last: String,
    next: VecDeque<Result<NetworkAnswer, NoAnswer>>,
}

impl FakeClient {
    /// The answer to the next request that has none yet. Without one nothing is reached.
    pub fn answer_next(&self, answer: Result<NetworkAnswer, NoAnswer>) {
        self.state().next.push_back(answer);
    }

    /// Takes back an answer that nobody has asked for yet, if there is one.
    pub fn take_next(&self) -> bool {
        self.state().next.pop_front().is_some()
    }

    /// How many requests were made.
    pub fn asked(&self) -> usize {
        self.state().asked
    }

    /// The address of the request that was made last; empty: none was.
    pub fn last_address(&self) -> String {
        self.state().last.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, FakeState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait::async_trait]
impl NetworkClient for FakeClient {
    async fn ask(&self, request: &NetworkRequest) -> Result<NetworkAnswer, NoAnswer> {
        let mut state = self.state();
        state.asked += 1;
        state.last = request.request.uri().to_string();
        state.next.pop_front().unwrap_or(Err(NoAnswer::NotSent))
    }
}

#[cfg(test)]
mod tests;
