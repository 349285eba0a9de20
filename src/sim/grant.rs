//! Grants of a simulated network: what persons agreed to, and how tokens are issued, renewed and given up.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use rand::RngExt;
use rand::rngs::StdRng;

use super::possession::Unproved;
use super::simulation::Simulation;
use super::token::{Denial, Registered, TokenSpec};
use crate::base::clock::Timestamp;
use crate::base::ids::{KindId, NetworkId};
use crate::domain::networks::{Renewal, Rotation, TokenKind};

/// Why a grant is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The app did not show who it is.
    Client,
    /// The code or the refresh token is not accepted.
    Grant,
    /// There is no such type of grant.
    Type,
    /// Something is missing.
    Request(&'static str),
    /// A key is not proved.
    Proof(Unproved),
    /// The token that should renew itself is dead.
    Dead(Denial),
}

/// What a person agreed to.
#[derive(Debug, Clone)]
pub(super) struct Consent {
    pub(super) kind: KindId,
    pub(super) app: String,
    pub(super) person: String,
    pub(super) scopes: Vec<String>,
    /// Scopes that were asked for and not given.
    pub(super) declined: Vec<String>,
    /// The challenge of PKCE.
    pub(super) challenge: Option<String>,
    /// Whether it is said to be a hash (S256).
    pub(super) is_hashed: bool,
    /// Where the code was sent.
    pub(super) redirect_uri: String,
    /// The thumbprint of the key that it was asked for with.
    pub(super) key: Option<String>,
}

/// What is shown for a code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    /// The code.
    pub(super) code: &'a str,
    /// Who shows it.
    pub(super) app: &'a str,
    /// Where it came.
    pub(super) redirect_uri: Option<&'a str>,
    /// What answers the challenge.
    pub(super) verifier: Option<&'a str>,
    /// The thumbprint of the key that proves it.
    pub(super) key: Option<&'a str>,
}

/// What is issued for a grant.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    pub(super) token: TokenSpec,
    /// How long the refresh token will work, if nobody uses it; `None`: there is none, or no end of it.
    pub(super) refresh_life: Option<Duration>,
}

impl Issued {
    fn of(kind: &TokenKind, token: &Registered, now: Timestamp) -> Self {
        let ends = refresh_ends(kind, token).filter(|_| token.spec.refresh_secret.is_some());
        Self { token: token.spec.clone(), refresh_life: ends.map(|end| end.since(now)) }
    }
}

/// When the refresh token of a grant ends; `None`: not by time.
fn refresh_ends(kind: &TokenKind, token: &Registered) -> Option<Timestamp> {
    let since = if kind.refresh_slides { token.renewed_at } else { token.granted_at };
    kind.refresh_validity.map(|life| since + life)
}

/// A first token that must be exchanged for a long-lived one lives so long.
const SHORT_LIVED: Duration = Duration::from_secs(3600);

impl Simulation {
    /// A person agrees; the code can be redeemed once, within `life`.
    pub(super) fn consent(&self, network: &NetworkId, consent: Consent, life: Duration) -> String {
        let ends = self.now() + life;
        self.with_state(network, |state| {
            let code = made_up("code", &mut state.random);
            state.codes.insert(code.clone(), (consent, ends));
            code
        })
        .unwrap_or_default()
    }

    /// Issues a token for a code.
    pub(super) fn redeem(&self, network: &NetworkId, kind: &TokenKind, shown: &Shown<'_>) -> Result<Issued, Refused> {
        let now = self.now();
        let spec = self.with_state(network, |state| {
            let (consent, ends) = state.codes.remove(shown.code).ok_or(Refused::Grant)?;
            let verified = match (&consent.challenge, shown.verifier) {
                (Some(challenge), Some(verifier)) => answers(verifier, challenge, consent.is_hashed),
                (None, None) => true,
                // A verifier without a challenge is as wrong as the other way round (RFC 9700, section 4.8.2).
                (Some(_), None) | (None, Some(_)) => false,
            };
            let same = consent.app == shown.app
                && Some(&*consent.redirect_uri) == shown.redirect_uri
                && consent.key.as_deref() == shown.key;
            if ends <= now || !verified || !same || consent.kind != kind.id {
                return Err(Refused::Grant);
            }
            state.declined.insert(consent.person.clone(), consent.declined);
            let exchanged = kind.oauth.as_ref().is_some_and(|oauth| oauth.exchange_url.is_some());
            let life = if exchanged { Some(SHORT_LIVED) } else { kind.access_validity };
            Ok(TokenSpec {
                secret: made_up("token", &mut state.random),
                kind: consent.kind,
                app: consent.app,
                profiles: vec![consent.person.replace("person", "profile")],
                person: consent.person,
                facts: state.tokens.values().next().map(|other| other.spec.facts.clone()).unwrap_or_default(),
                refresh_secret: may_refresh(kind, &consent.scopes).then(|| made_up("refresh", &mut state.random)),
                scopes: consent.scopes,
                key: consent.key,
                expires_at: life.map(|life| now + life),
            })
        });
        let spec = spec.unwrap_or(Err(Refused::Grant))?;
        self.add_token(network, spec.clone()).map_err(|_| Refused::Grant)?;
        Ok(Issued::of(kind, &Registered::new(spec, now), now))
    }

    /// The scopes that a person was asked for last and did not give.
    pub(super) fn declined(&self, network: &NetworkId, person: &str) -> Vec<String> {
        self.with_state(network, |state| state.declined.get(person).cloned()).flatten().unwrap_or_default()
    }

    /// Renews with a refresh token, which may be bound to a key. One that works once and is used again ends the whole grant.
    pub(super) fn refresh(
        &self,
        network: &NetworkId,
        kind: &TokenKind,
        refresh: &str,
        key: Option<&str>,
    ) -> Result<Issued, Refused> {
        let Renewal::RefreshToken { rotation, .. } = kind.renewal else { return Err(Refused::Type) };
        let now = self.now();
        let renewed = self.with_state(network, |state| {
            if let Some(reused) = state.tokens.values_mut().find(|token| token.spent.contains(refresh)) {
                if rotation == Rotation::SingleUse {
                    reused.dead = reused.dead.or(Some(Denial::TokenRevoked));
                }
                return Err(Refused::Grant);
            }
            let held = |token: &&Registered| token.spec.refresh_secret.as_deref() == Some(refresh);
            let token = state.tokens.values().find(held).ok_or(Refused::Grant)?;
            let lives = refresh_ends(kind, token).is_none_or(|end| end > now);
            let dead = token.dead.is_some_and(|denial| denial != Denial::TokenExpired);
            if token.spec.key.as_deref() != key {
                return Err(Refused::Proof(Unproved::Wrong("the token is bound to another key")));
            }
            if !lives || dead || state.locked.contains(&token.spec.person) {
                return Err(Refused::Grant);
            }
            let old = token.spec.secret.clone();
            let mut token = state.tokens.remove(&old).ok_or(Refused::Grant)?;
            token.spec.secret = made_up("token", &mut state.random);
            token.spec.expires_at = kind.access_validity.map(|life| now + life);
            token.dead = None;
            token.renewed_at = now;
            if rotation != Rotation::Static {
                token.spent.extend(token.spec.refresh_secret.take());
                token.spec.refresh_secret = Some(made_up("refresh", &mut state.random));
            }
            let issued = Issued::of(kind, &token, now);
            state.tokens.insert(token.spec.secret.clone(), token);
            Ok(issued)
        });
        renewed.unwrap_or(Err(Refused::Grant))
    }

    /// Renews a token with itself, which must be alive and at least `min_age` old.
    pub(super) fn prolong(
        &self,
        network: &NetworkId,
        kind: &TokenKind,
        secret: &str,
        min_age: Duration,
    ) -> Result<Issued, Refused> {
        let now = self.now();
        let renewed = self.with_state(network, |state| {
            let token = state.tokens.get(secret).ok_or(Refused::Dead(Denial::TokenUnknown))?;
            if let Some(denial) = token.refused(now) {
                return Err(Refused::Dead(denial));
            }
            if token.renewed_at + min_age > now {
                return Err(Refused::Request("the token is too young to be renewed"));
            }
            let mut token = state.tokens.remove(secret).ok_or(Refused::Dead(Denial::TokenUnknown))?;
            token.spec.secret = made_up("token", &mut state.random);
            token.spec.expires_at = kind.access_validity.map(|life| now + life);
            token.renewed_at = now;
            let issued = Issued::of(kind, &token, now);
            state.tokens.insert(token.spec.secret.clone(), token);
            Ok(issued)
        });
        renewed.unwrap_or(Err(Refused::Dead(Denial::TokenUnknown)))
    }

    /// Gives up the token of this secret or refresh token; with `whole_grant` all tokens of its person. An unknown one is given up
    /// already (RFC 7009, section 2.2).
    pub(super) fn revoke(&self, network: &NetworkId, token: &str, whole_grant: bool) {
        self.with_state(network, |state| {
            let named =
                |one: &Registered| one.spec.secret == token || one.spec.refresh_secret.as_deref() == Some(token);
            let Some(person) = state.tokens.values().find(|one| named(one)).map(|one| one.spec.person.clone()) else {
                return;
            };
            for one in state.tokens.values_mut().filter(|one| named(one) || (whole_grant && one.spec.person == person))
            {
                one.dead = one.dead.or(Some(Denial::TokenRevoked));
            }
        });
    }

    /// The token of this secret, if calls with it are not refused for it.
    pub(super) fn alive(&self, network: &NetworkId, secret: &str) -> Option<TokenSpec> {
        let now = self.now();
        self.with_state(network, |state| {
            let token = state.tokens.get(secret).filter(|token| token.refused(now).is_none())?;
            Some(token.spec.clone())
        })?
    }
}

/// A secret that opens nothing.
pub(super) fn made_up(what: &str, random: &mut StdRng) -> String {
    format!("sim-{what}-{:016x}{:016x}", random.random::<u64>(), random.random::<u64>())
}

/// Whether a grant of these scopes comes with a refresh token.
pub(super) fn may_refresh(kind: &TokenKind, scopes: &[String]) -> bool {
    match &kind.renewal {
        Renewal::RefreshToken { needs_scope: Some(needed), .. } => scopes.contains(needed),
        Renewal::RefreshToken { needs_scope: None, .. } => true,
        Renewal::SelfRenewing { .. } | Renewal::Derived { .. } | Renewal::Nothing => false,
    }
}

/// Whether a verifier answers a challenge of PKCE (RFC 7636, section 4.6); plain only where the challenge is not said to be a hash.
fn answers(verifier: &str, challenge: &str, is_hashed: bool) -> bool {
    use base64::Engine as _;
    let hashed = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    hashed == challenge || (!is_hashed && verifier == challenge)
}
