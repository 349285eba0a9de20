//! Calls of networks with what is signed when they are sent, and with the nonces that servers want in it (RFC 9449, sections 8 and 9).
//!
//! A server that wants another nonce has not looked at the request: it is sent once more with that one, and no more. To whoever asked it is one
//! request with one answer, so that a refresh token which was shown along with an old nonce was not used by that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::clock::Clock;
use crate::outbound::http::{NetworkAnswer, NetworkClient, NetworkRequest, NoAnswer};

/// Servers whose nonces are remembered. Of one that is forgotten the first request is sent twice.
const MOST_SERVERS: usize = 4096;
/// A longer text is no nonce, in bytes.
const LONGEST_NONCE: usize = 512;

/// Signs, then calls.
pub struct SigningClient {
    inner: Arc<dyn NetworkClient>,
    clock: Arc<dyn Clock>,
    /// The last nonce of each server, by its origin.
    nonces: Mutex<HashMap<String, String>>,
}

impl SigningClient {
    /// Calls through `inner`.
    pub fn new(inner: Arc<dyn NetworkClient>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, clock, nonces: Mutex::default() }
    }

    async fn attempt(&self, request: &NetworkRequest, server: &str) -> Result<(NetworkAnswer, bool), NoAnswer> {
        let nonce = self.nonces().get(server).cloned();
        let signed = request.signed(self.clock.now(), nonce.as_deref()).ok_or(NoAnswer::NotSent)?;
        let answer = self.inner.ask(&signed).await?;
        let given = self.keep_nonce(server, &answer);
        let again = given && asks_for_nonce(&answer);
        Ok((answer, again))
    }

    /// Remembers the nonce that came with an answer. Returns whether one came.
    fn keep_nonce(&self, server: &str, answer: &NetworkAnswer) -> bool {
        let is_nonce = |text: &&String| {
            (1..=LONGEST_NONCE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let given = answer.headers.iter().find(|(name, _)| name == "dpop-nonce").map(|(_, nonce)| nonce);
        let Some(nonce) = given.filter(is_nonce) else { return false };
        let mut nonces = self.nonces();
        if nonces.len() >= MOST_SERVERS && !nonces.contains_key(server) {
            nonces.clear();
        }
        nonces.insert(server.to_owned(), nonce.clone());
        true
    }

    fn nonces(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait::async_trait]
impl NetworkClient for SigningClient {
    async fn ask(&self, request: &NetworkRequest) -> Result<NetworkAnswer, NoAnswer> {
        if !request.is_signed() {
            return self.inner.ask(request).await;
        }
        let server = request.origin();
        match self.attempt(request, &server).await? {
            (_, true) => self.attempt(request, &server).await.map(|(answer, _)| answer),
            (answer, false) => Ok(answer),
        }
    }
}

/// Whether a server says that it wants another nonce, and nothing else: an authorization server in its body, another in its challenge.
fn asks_for_nonce(answer: &NetworkAnswer) -> bool {
    const WANTED: &str = "use_dpop_nonce";
    let in_body = || {
        let body = serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
        body.is_some_and(|body| body.get("error").and_then(serde_json::Value::as_str) == Some(WANTED))
    };
    let in_challenge = || {
        let mut challenges = answer.headers.iter().filter(|(name, _)| name == "www-authenticate");
        challenges.any(|(_, challenge)| challenge.contains(&format!("error=\"{WANTED}\"")))
    };
    matches!(answer.status, 400 | 401) && (in_body() || in_challenge())
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};
    use crate::base::secret::Secret;
    use crate::outbound::oauth::Bond;

    /// Answers with what it is given, and remembers the nonces of the proofs that it saw.
    #[derive(Default)]
    struct Server {
        answers: Mutex<Vec<NetworkAnswer>>,
        seen: Mutex<Vec<Option<String>>>,
    }

    #[async_trait::async_trait]
    impl NetworkClient for Server {
        async fn ask(&self, request: &NetworkRequest) -> Result<NetworkAnswer, NoAnswer> {
            use base64::Engine;
            let written = request.written();
            let proof = written.headers()["dpop"].to_str().unwrap();
            let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(proof.split('.').nth(1).unwrap());
            let claims: serde_json::Value = serde_json::from_slice(&claims.unwrap()).unwrap();
            self.seen.lock().unwrap().push(claims["nonce"].as_str().map(str::to_owned));
            Ok(self.answers.lock().unwrap().remove(0))
        }
    }

    fn answer(status: u16, nonce: Option<&str>, challenge: bool, body: &str) -> NetworkAnswer {
        let nonce = nonce.map(|nonce| ("dpop-nonce".to_owned(), nonce.to_owned()));
        let challenge = challenge.then(|| ("www-authenticate".to_owned(), "DPoP error=\"use_dpop_nonce\"".to_owned()));
        let body = Zeroizing::new(body.as_bytes().to_vec());
        NetworkAnswer { status, headers: nonce.into_iter().chain(challenge).collect(), body }
    }

    /// Makes requests of a server that answers so; the last status of each, and the nonces that the server saw.
    async fn asked(requests: usize, answers: Vec<NetworkAnswer>) -> (Vec<u16>, Vec<Option<String>>) {
        let server = Arc::new(Server { answers: Mutex::new(answers), ..Server::default() });
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_000)));
        let client = SigningClient::new(server.clone(), clock);
        let (bond, access) = (Bond::make().unwrap(), Secret::new("a".to_owned()));
        let mut statuses = Vec::new();
        for _ in 0..requests {
            let url = "https://pds.example/a";
            let request = NetworkRequest::read_with("https://net.example", url, &access, Some(&bond)).unwrap();
            statuses.push(client.ask(&request).await.ok().unwrap().status);
        }
        assert!(server.answers.lock().unwrap().is_empty(), "an answer was not asked for");
        let seen = server.seen.lock().unwrap().clone();
        (statuses, seen)
    }

    fn nonces(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| (!text.is_empty()).then(|| (*text).to_owned())).collect()
    }

    #[tokio::test]
    async fn a_nonce_is_asked_for_once_and_used_from_then_on() {
        let wanted = r#"{"error":"use_dpop_nonce"}"#;
        for first in [answer(400, Some("n1"), false, wanted), answer(401, Some("n1"), true, "{}")] {
            let answers = vec![first, answer(200, Some("n2"), false, "{}"), answer(200, None, false, "{}")];
            let (statuses, seen) = asked(2, answers).await;
            assert_eq!((statuses, seen), (vec![200, 200], nonces(&["", "n1", "n2"])));
        }
    }

    #[tokio::test]
    async fn a_server_that_never_has_enough_is_asked_twice() {
        let wanted = r#"{"error":"use_dpop_nonce"}"#;
        let answers = vec![answer(401, Some("n1"), false, wanted), answer(401, Some("n2"), false, wanted)];
        assert_eq!(asked(1, answers).await, (vec![401], nonces(&["", "n1"])));
    }

    #[tokio::test]
    async fn other_refusals_are_answers() {
        let long = "n".repeat(LONGEST_NONCE + 1);
        let wanted = r#"{"error":"use_dpop_nonce"}"#;
        for refusal in [
            answer(400, Some("n1"), false, r#"{"error":"invalid_grant"}"#),
            answer(400, None, false, wanted),
            answer(400, Some(&long), false, wanted),
            answer(500, Some("n1"), false, wanted),
        ] {
            let status = refusal.status;
            assert_eq!(asked(1, vec![refusal]).await, (vec![status], nonces(&[""])));
        }
    }
}
