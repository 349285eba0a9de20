//! What a simulated network checks of keys: proofs of possession and their nonces (RFC 9449), assertions of clients (RFC 7523) and the documents
//! that clients tell of themselves. Written from the standards; nothing is shared with those who sign.
//!
//! Times are judged by the simulation's clock: at a higher speed a proof is too old before it arrives.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::http_answer::HttpAnswer;
use crate::base::clock::Timestamp;

/// A nonce is handed out for so long, and taken for twice that.
const NONCE_LIFE: Duration = Duration::from_secs(180);
/// A proof may be so old, or lie so far in the future.
const PROOF_AGE: Duration = Duration::from_secs(60);
/// An assertion may hold so long at most.
const ASSERTION_LIFE: Duration = Duration::from_secs(300);

/// Why a proof, an assertion or a document is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unproved {
    /// Another nonce is wanted: nothing else was looked at.
    Nonce,
    /// Something is wrong with it.
    Wrong(&'static str),
}

/// A client as it tells of itself at its client id.
#[derive(Debug, Clone)]
pub(super) struct KnownClient {
    keys: Vec<Value>,
    pub(super) redirect_uris: Vec<String>,
    pub(super) scopes: Vec<String>,
}

/// What a network remembers of keys.
#[derive(Debug, Default)]
pub(super) struct Possession {
    seed: u64,
    /// Ids of proofs and assertions that were taken, until they are too old anyway.
    seen: BTreeMap<String, Timestamp>,
    /// Clients by their ids.
    clients: BTreeMap<String, KnownClient>,
    /// What was pushed, by the names that were given out; the key that proved it; until when.
    pub(super) pushed: BTreeMap<String, Pushed>,
}

/// What is asked of a person, pushed before.
#[derive(Debug, Clone)]
pub(super) struct Pushed {
    pub(super) parameters: Vec<(String, String)>,
    pub(super) key: Option<String>,
    pub(super) until: Timestamp,
}

/// What a proof is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    /// The header `DPoP`.
    pub(super) proof: Option<&'a str>,
    pub(super) method: &'a str,
    /// Without query.
    pub(super) url: &'a str,
    /// The access token, at a resource server.
    pub(super) token: Option<&'a str>,
}

impl Possession {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// The nonce that is handed out now.
    pub(super) fn nonce(&self, now: Timestamp) -> String {
        self.nonce_of(period(now))
    }

    fn nonce_of(&self, period: i64) -> String {
        let text = format!("nonce {} {period}", self.seed);
        URL_SAFE_NO_PAD.encode(&digest(&SHA256, text.as_bytes()).as_ref()[..16])
    }

    /// Checks a proof; the thumbprint of the key that made it.
    pub(super) fn check_proof(&mut self, request: &Request<'_>, now: Timestamp) -> Result<String, Unproved> {
        let wrong = |why| Err(Unproved::Wrong(why));
        let Some(proof) = request.proof else { return wrong("a proof is missing") };
        let Some(token) = Token::read(proof) else { return wrong("the proof is no JWT") };
        if token.header["typ"] != "dpop+jwt" || token.header["alg"] != "ES256" {
            return wrong("the proof is of another type");
        }
        let jwk = &token.header["jwk"];
        if jwk.get("d").is_some() {
            return wrong("the proof holds a private key");
        }
        if !token.is_signed_by(jwk) {
            return wrong("the proof is not signed by its key");
        }
        let claims = &token.claims;
        let fresh = [period(now), period(now) - 1].map(|period| json!(self.nonce_of(period)));
        if !fresh.contains(&claims["nonce"]) {
            return Err(Unproved::Nonce);
        }
        if claims["htm"] != request.method || claims["htu"] != request.url {
            return wrong("the proof is for another request");
        }
        let made = claims["iat"].as_i64().map(Timestamp::from_secs);
        if made.is_none_or(|made| made + PROOF_AGE < now || made > now + PROOF_AGE) {
            return wrong("the proof is too old, or of the future");
        }
        let hash = request.token.map(|token| json!(URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()))));
        if claims.get("ath") != hash.as_ref() {
            return wrong("the proof is for another access token");
        }
        self.take_once(claims, now, PROOF_AGE * 2)?;
        thumbprint(jwk).ok_or(Unproved::Wrong("the proof's key is none"))
    }

    /// Checks who a client shows to be.
    pub(super) fn check_assertion(
        &mut self,
        assertion: &str,
        client_id: &str,
        issuer: &str,
        now: Timestamp,
    ) -> Result<(), Unproved> {
        let wrong = |why| Err(Unproved::Wrong(why));
        let Some(client) = self.clients.get(client_id) else { return wrong("the client is not known") };
        let Some(token) = Token::read(assertion) else { return wrong("the assertion is no JWT") };
        let named = client.keys.iter().find(|key| key["kid"] == token.header["kid"] && key["kid"].is_string());
        if token.header["alg"] != "ES256" || !named.is_some_and(|key| token.is_signed_by(key)) {
            return wrong("the assertion is not signed by a key of the client");
        }
        let claims = token.claims;
        if claims["iss"] != client_id || claims["sub"] != client_id {
            return wrong("the assertion is of another client");
        }
        if claims["aud"] != issuer {
            return wrong("the assertion is for another server");
        }
        let ends = claims["exp"].as_i64().map(Timestamp::from_secs);
        if ends.is_none_or(|ends| ends <= now || ends > now + ASSERTION_LIFE) {
            return wrong("the assertion's time is over, or too long");
        }
        self.take_once(&claims, now, ASSERTION_LIFE)
    }

    fn take_once(&mut self, claims: &Value, now: Timestamp, kept: Duration) -> Result<(), Unproved> {
        self.seen.retain(|_, until| *until > now);
        let id = claims["jti"].as_str().filter(|id| id.len() >= 16).ok_or(Unproved::Wrong("it has no id"))?;
        match self.seen.insert(id.to_owned(), now + kept) {
            None => Ok(()),
            Some(_) => Err(Unproved::Wrong("it was used before")),
        }
    }

    /// Takes in what a client tells of itself.
    ///
    /// # Errors
    /// What is wrong with the document, by the rules of the AT Protocol's profile of OAuth.
    pub(super) fn know_client(&mut self, document: &Value) -> Result<(), &'static str> {
        let texts = |name: &str| -> Vec<String> {
            let list = document[name].as_array().into_iter().flatten();
            list.filter_map(|one| one.as_str().map(str::to_owned)).collect()
        };
        let id = document["client_id"].as_str().ok_or("client_id is missing")?;
        let is_told = [
            (
                document["token_endpoint_auth_method"] == "private_key_jwt",
                "token_endpoint_auth_method must be private_key_jwt",
            ),
            (document["token_endpoint_auth_signing_alg"] == "ES256", "token_endpoint_auth_signing_alg must be ES256"),
            (document["dpop_bound_access_tokens"] == true, "dpop_bound_access_tokens must be true"),
            (texts("response_types").contains(&"code".to_owned()), "response_types must hold code"),
            (texts("grant_types").contains(&"refresh_token".to_owned()), "grant_types must hold refresh_token"),
            (
                texts("grant_types").contains(&"authorization_code".to_owned()),
                "grant_types must hold authorization_code",
            ),
        ];
        if let Some((_, missing)) = is_told.into_iter().find(|(told, _)| !told) {
            return Err(missing);
        }
        let scopes: Vec<String> =
            document["scope"].as_str().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let keys = document["jwks"]["keys"].as_array().cloned().unwrap_or_default();
        if keys.is_empty() || keys.iter().any(|key| key.get("d").is_some() || thumbprint(key).is_none()) {
            return Err("jwks must hold public keys on P-256, and no private one");
        }
        let redirect_uris = texts("redirect_uris");
        self.clients.insert(id.to_owned(), KnownClient { keys, redirect_uris, scopes });
        Ok(())
    }

    pub(super) fn client(&self, id: &str) -> Option<&KnownClient> {
        self.clients.get(id)
    }
}

fn period(now: Timestamp) -> i64 {
    now.secs().div_euclid(i64::try_from(NONCE_LIFE.as_secs()).unwrap_or(i64::MAX))
}

/// How a resource server says what is wrong (RFC 9449, sections 7.1 and 9).
pub(super) fn refused_call(unproved: Unproved) -> HttpAnswer {
    let (error, why) = match unproved {
        Unproved::Nonce => ("use_dpop_nonce", "Resource server requires nonce in DPoP proof"),
        Unproved::Wrong(why) => ("invalid_dpop_proof", why),
    };
    let challenge = format!("DPoP algs=\"ES256\", error=\"{error}\", error_description=\"{why}\"");
    let headers = vec![("www-authenticate".to_owned(), challenge)];
    HttpAnswer::json(401, headers, &json!({ "error": error, "message": why }))
}

/// A JWT in compact form.
struct Token<'a> {
    header: Value,
    claims: Value,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let part = |text: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok();
        Some(Self {
            header: part(header)?,
            claims: part(claims)?,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    fn is_signed_by(&self, jwk: &Value) -> bool {
        let Some(point) = point(jwk) else { return false };
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(self.signed.as_bytes(), &self.signature).is_ok()
    }
}

fn point(jwk: &Value) -> Option<Vec<u8>> {
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok().filter(|bytes| bytes.len() == 32);
    let is_p256 = jwk["kty"] == "EC" && jwk["crv"] == "P-256";
    let (x, y) = (coordinate("x")?, coordinate("y")?);
    is_p256.then(|| [vec![4], x, y].concat())
}

/// RFC 7638.
fn thumbprint(jwk: &Value) -> Option<String> {
    point(jwk)?;
    let needed = json!({ "crv": "P-256", "kty": "EC", "x": jwk["x"], "y": jwk["y"] });
    Some(URL_SAFE_NO_PAD.encode(digest(&SHA256, needed.to_string().as_bytes())))
}

#[cfg(test)]
mod tests;
