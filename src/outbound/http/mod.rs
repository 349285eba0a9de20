//! Calls of networks: one request, one answer.
//!
//! * No redirect is followed: a token must not travel to where an answer points.
//! * An attempt ends after 15 seconds. An answer of more than 64 KiB is not read.
//! * Neither URL nor body appears in an error or a log: both hold secrets. An error says only whether the network may have acted on the
//!   request, since a refresh token that may have been used is treated otherwise than one that was not.
//!
//! What an answer means is for the rules to say; what follows from it, and remembering it, is the caller's.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use zeroize::Zeroizing;

use crate::base::secret::Secret;

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// An answer is read up to this many bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// One request. It has no `Debug`: it holds secrets.
pub struct NetworkRequest(http::Request<Zeroizing<Vec<u8>>>);

impl NetworkRequest {
    /// A request that was written by somebody else.
    pub(super) fn of(request: http::Request<Vec<u8>>) -> Self {
        Self(request.map(Zeroizing::new))
    }

    /// Reads `url` with a token. `None` if `url` is none, or the token can't stand in a header.
    pub fn read(url: &str, token: &Secret) -> Option<Self> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
        bearer.set_sensitive(true);
        let request = http::Request::get(url).header(ACCEPT, "application/json").header(AUTHORIZATION, bearer);
        request.body(Zeroizing::default()).ok().map(Self)
    }

    /// The request as it is sent, for tests.
    #[cfg(test)]
    pub(crate) fn written(&self) -> http::Request<Vec<u8>> {
        self.0.clone().map(|body| body.to_vec())
    }

    /// The request on one line, for tests: method, URL, `#` and the form, `!` and the authorization.
    #[cfg(test)]
    pub(crate) fn shown(&self) -> String {
        let (request, form) = (&self.0, String::from_utf8_lossy(self.0.body()));
        let form = if form.is_empty() { String::new() } else { format!(" #{form}") };
        let authorization = request.headers().get(AUTHORIZATION).map(|value| format!(" !{}", value.to_str().unwrap()));
        format!("{} {}{form}{}", request.method(), request.uri(), authorization.unwrap_or_default())
    }
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
pub struct HttpClient(reqwest::Client);

impl HttpClient {
    /// A client for all networks. Reads the machine's certificates. Each request has a connection of its own: one that was left open, and
    /// that the network closes just then, would leave it unknown whether the request arrived.
    ///
    /// # Errors
    /// When TLS can't be set up on this machine.
    pub fn new() -> Result<Self, HttpSetupError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .no_proxy()
            .referer(false)
            .timeout(TIMEOUT)
            .user_agent(concat!("token-broker/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map(Self).map_err(|error| HttpSetupError(error.without_url()))
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
        let NetworkRequest(request) = request;
        let sent = self.0.request(request.method().clone(), request.uri().to_string());
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

fn failed(error: reqwest::Error) -> NoAnswer {
    if error.is_connect() || error.is_builder() { NoAnswer::NotSent } else { NoAnswer::Lost }
}

/// Calls nobody and answers what it was told to, for tests.
#[derive(Default)]
pub struct FakeClient(Mutex<FakeState>);

#[derive(Default)]
struct FakeState {
    asked: usize,
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

    fn state(&self) -> std::sync::MutexGuard<'_, FakeState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait::async_trait]
impl NetworkClient for FakeClient {
    async fn ask(&self, _request: &NetworkRequest) -> Result<NetworkAnswer, NoAnswer> {
        let mut state = self.state();
        state.asked += 1;
        state.next.pop_front().unwrap_or(Err(NoAnswer::NotSent))
    }
}

#[cfg(test)]
mod tests;
