//! Token endpoints of networks: one request, one answer.
//!
//! * No redirect is followed: a token must not travel to where an answer points.
//! * An attempt ends after 15 seconds. An answer of more than 64 KiB is not read.
//! * Neither URL nor body appears in an error or a log: both hold secrets. An error says only whether the network may have acted on the
//!   request, since a refresh token that may have been used is treated otherwise than one that was not.
//!
//! What an answer means is for the rules to say; what follows from it, and remembering it, is the caller's.

mod request;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use zeroize::Zeroizing;

pub use request::{Client, Credential, TokenRequest};

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// An answer is read up to this many bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// What a token endpoint answered. It has no `Debug`: it holds secrets.
pub struct EndpointAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Zeroizing<Vec<u8>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No connection came about: the network knows nothing of the request.
    #[error("the token endpoint could not be reached")]
    NotSent,
    /// The request was sent, or a part of it: the network may have done what it asks for.
    #[error("the token endpoint did not answer")]
    NoAnswer,
    /// There was an answer that can't be used: the network may have done what was asked for.
    #[error("the token endpoint answered more than 64 KiB")]
    TooLong,
}

/// Asks token endpoints.
#[async_trait::async_trait]
pub trait TokenEndpoint: Send + Sync + 'static {
    /// Makes one request. Dropping the future may leave it made, and its answer lost: don't.
    async fn ask(&self, request: &TokenRequest) -> Result<EndpointAnswer, EndpointError>;
}

/// Asks over HTTP.
pub struct HttpTokenEndpoint(reqwest::Client);

impl HttpTokenEndpoint {
    /// A client for all networks. Reads the machine's certificates. Each request has a connection of its own: one that was left open, and
    /// that the network closes just then, would leave it unknown whether the request arrived.
    ///
    /// # Errors
    /// When TLS can't be set up on this machine.
    pub fn new() -> Result<Self, EndpointSetupError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .no_proxy()
            .referer(false)
            .timeout(TIMEOUT)
            .user_agent(concat!("token-broker/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map(Self).map_err(|error| EndpointSetupError(error.without_url()))
    }
}

/// No client could be made.
#[derive(Debug, thiserror::Error)]
#[error(
    "the machine's certificates or TLS can't be used to call networks; install the package of certificate authorities"
)]
pub struct EndpointSetupError(#[source] reqwest::Error);

#[async_trait::async_trait]
impl TokenEndpoint for HttpTokenEndpoint {
    async fn ask(&self, request: &TokenRequest) -> Result<EndpointAnswer, EndpointError> {
        let mut answer = self.built(request).send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        let headers = answer.headers().iter().filter_map(text).collect();
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = answer.chunk().await.map_err(|_| EndpointError::NoAnswer)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(EndpointError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(EndpointAnswer { status, headers, body })
    }
}

impl HttpTokenEndpoint {
    fn built(&self, request: &TokenRequest) -> reqwest::RequestBuilder {
        let url = match &request.query {
            Some(query) => format!("{}?{}", request.url, query.expose()),
            None => request.url.clone(),
        };
        let mut built = if request.is_get { self.0.get(url) } else { self.0.post(url) };
        built = built.header(http::header::ACCEPT, "application/json");
        if let Some(authorization) = &request.authorization {
            built = built.header(http::header::AUTHORIZATION, authorization.expose());
        }
        match &request.form {
            Some(form) => built
                .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.expose().to_owned()),
            None => built,
        }
    }
}

fn failed(error: reqwest::Error) -> EndpointError {
    if error.is_connect() || error.is_builder() { EndpointError::NotSent } else { EndpointError::NoAnswer }
}

/// Asks nobody and answers what it was told to, for tests.
#[derive(Default)]
pub struct FakeTokenEndpoint(Mutex<FakeState>);

#[derive(Default)]
struct FakeState {
    asked: usize,
    next: VecDeque<Result<EndpointAnswer, EndpointError>>,
}

impl FakeTokenEndpoint {
    /// The answer to the next request that has none yet. Without one nothing is reached.
    pub fn answer_next(&self, answer: Result<EndpointAnswer, EndpointError>) {
        self.state().next.push_back(answer);
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
impl TokenEndpoint for FakeTokenEndpoint {
    async fn ask(&self, _request: &TokenRequest) -> Result<EndpointAnswer, EndpointError> {
        let mut state = self.state();
        state.asked += 1;
        state.next.pop_front().unwrap_or(Err(EndpointError::NotSent))
    }
}

#[cfg(test)]
mod tests;
