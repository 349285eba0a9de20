//! The way to the simulated networks. It judges single flight: who shows which refresh token when.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use zeroize::Zeroizing;

use crate::outbound::http::{NetworkAnswer, NetworkClient, NetworkRequest, NoAnswer};
use crate::sim::{Simulation, Unwired};

/// Calls the simulated networks, and keeps books of it.
pub struct Wire {
    networks: Unwired,
    books: Mutex<Books>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Requests of any kind.
    pub asked: u64,
    /// Renewals that were answered well.
    pub renewed: u64,
    /// Checks of tokens.
    pub checked: u64,
    /// Refresh tokens that were shown again because nobody knew what came of it.
    pub shown_again: u64,
}

#[derive(Default)]
struct Books {
    counts: Counts,
    at_once: HashSet<u64>,
    /// Shown, and not answered well yet.
    unanswered: HashSet<u64>,
    /// Answered well with another one.
    over: HashSet<u64>,
    /// Tokens and refresh tokens that arrived.
    arrived: HashSet<u64>,
}

/// A secret as the books know it: there are millions.
fn mark(secret: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    secret.hash(&mut hasher);
    hasher.finish()
}

impl Wire {
    /// To the networks of a simulation, as if they were behind `address`.
    pub fn new(simulation: Arc<Simulation>, address: SocketAddr) -> Self {
        Self { networks: Unwired::new(simulation, address), books: Mutex::default() }
    }

    /// What was asked for so far.
    pub fn counts(&self) -> Counts {
        self.books.lock().unwrap().counts
    }

    /// Whether a token or refresh token that a network gave arrived at the broker.
    pub fn has_arrived(&self, secret: &str) -> bool {
        self.books.lock().unwrap().arrived.contains(&mark(secret))
    }

    fn show(&self, refresh: Option<&String>) {
        let mut books = self.books.lock().unwrap();
        books.counts.asked += 1;
        let Some(refresh) = refresh.map(|refresh| mark(refresh)) else { return };
        assert!(books.at_once.insert(refresh), "a refresh token is shown by two at once");
        assert!(!books.over.contains(&refresh), "a refresh token is shown again after its answer came");
        books.counts.shown_again += u64::from(books.unanswered.contains(&refresh));
    }

    fn answered(&self, refresh: Option<&String>, answer: Option<&NetworkAnswer>) {
        let mut books = self.books.lock().unwrap();
        let given = answer.and_then(|answer| serde_json::from_slice::<serde_json::Value>(&answer.body).ok());
        let given = given.filter(|body| body.get("access_token").is_some());
        let secret = |name: &str| given.as_ref().and_then(|body| body.get(name)).and_then(serde_json::Value::as_str);
        books.arrived.extend(["access_token", "refresh_token"].into_iter().filter_map(secret).map(mark));
        let Some(shown) = refresh.map(|refresh| mark(refresh)) else { return };
        books.at_once.remove(&shown);
        if answer.is_some_and(wants_nonce) {
            // The network has not looked at it.
            return;
        }
        if given.is_none() {
            books.unanswered.insert(shown);
            return;
        }
        books.counts.renewed += 1;
        books.unanswered.remove(&shown);
        if secret("refresh_token").is_some_and(|next| mark(next) != shown) {
            books.over.insert(shown);
        }
    }
}

/// Whether the network wants another nonce, and has looked at nothing else.
fn wants_nonce(answer: &NetworkAnswer) -> bool {
    let body = serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
    body.is_some_and(|body| body["error"] == "use_dpop_nonce")
}

#[async_trait::async_trait]
impl NetworkClient for Wire {
    async fn ask(&self, request: &NetworkRequest) -> Result<NetworkAnswer, NoAnswer> {
        let request = request.written();
        let form: HashMap<String, String> = url::form_urlencoded::parse(request.body()).into_owned().collect();
        let refreshes = form.get("grant_type").is_some_and(|grant| grant == "refresh_token");
        let refresh = form.get("refresh_token").filter(|_| refreshes);
        let renews =
            form.contains_key("grant_type") || request.uri().query().unwrap_or_default().contains("grant_type=");
        self.show(refresh);
        // Others may ask while this one is on its way.
        tokio::task::yield_now().await;
        let answer = self.networks.answer(request).await.map(|response| NetworkAnswer {
            status: response.status().as_u16(),
            headers: response
                .headers()
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned()))
                .collect(),
            body: Zeroizing::new(response.body().to_vec()),
        });
        tokio::task::yield_now().await;
        let counts = !renews && !answer.as_ref().is_some_and(wants_nonce);
        self.books.lock().unwrap().counts.checked += u64::from(counts);
        self.answered(refresh, answer.as_ref());
        answer.ok_or(NoAnswer::Lost)
    }
}
