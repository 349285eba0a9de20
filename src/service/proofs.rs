//! Proofs of possession for those who lease a token that is bound to a key (RFC 9449): the key stays here, and signs for each call of a lease.
//!
//! * While such a token is leased its key is open in memory, so that a proof needs neither the store nor the vault. It is forgotten with the lease.
//! * A proof is for one call: its method and address, and the access token that the lease was given. It is signed for the servers where that token
//!   is used, and for no others.

use std::sync::Arc;

use dashmap::DashMap;
use url::Url;

use crate::base::clock::Timestamp;
use crate::base::ids::LeaseId;
use crate::base::secret::Secret;
use crate::domain::lease::LeaseState;
use crate::domain::networks::TokenKind;
use crate::outbound::oauth::{Bond, ProvedRequest, token_hash};
use crate::service::{Broker, Caller, LeaseCallError};
use crate::store::StoredToken;
use crate::vault::{OpenError, Place};

/// The keys of the tokens that are leased.
#[derive(Default)]
pub struct Proofs(DashMap<LeaseId, Arc<HeldKey>>);

struct HeldKey {
    bond: Arc<Bond>,
    token_hash: String,
    /// Where the network's API is called.
    base: String,
}

impl HeldKey {
    /// Where the token is used: the account's own server, or the network's.
    fn server(&self) -> &str {
        self.bond.server().unwrap_or(&self.base)
    }

    fn serves(&self, url: &Url) -> bool {
        let is_at = |server: &str| Url::parse(server).is_ok_and(|server| server.origin() == url.origin());
        is_at(&self.base) || is_at(self.server())
    }
}

/// A call that is to be proved.
#[derive(Debug, Clone)]
pub struct SignProof {
    /// The HTTP method, in capitals.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// The nonce that the server gave last; empty: none yet.
    pub nonce: String,
}

/// Why no proof was signed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProofError {
    /// The lease does not allow it.
    #[error(transparent)]
    Lease(#[from] LeaseCallError),
    /// Its credit may not be used any more.
    #[error("no call may be made with the lease since {0}; report it and ask for more calls, or acquire a new one")]
    TooLate(Timestamp),
    /// The token is bound to no key.
    #[error("the token of the lease '{0}' is bound to no key: its calls need no proof")]
    NotBound(LeaseId),
    /// The broker was started again.
    #[error(
        "the key for the lease '{0}' was forgotten when the broker was started again; release it and acquire a new one"
    )]
    Forgotten(LeaseId),
    /// The address is none, or another server's.
    #[error(
        "proofs are signed for {server} only, where the token of the lease is used; a proof for another server could be used against it"
    )]
    OtherServer {
        /// Where the token is used.
        server: String,
    },
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers; try again")]
    Random,
}

impl Proofs {
    /// Holds the key of a leased token. `base`: where the network's API is called. Returns where the token is used.
    pub(super) fn hold(&self, lease: LeaseId, bond: Arc<Bond>, access: &Secret, base: &str) -> String {
        let held = HeldKey { bond, token_hash: token_hash(access), base: base.to_owned() };
        let server = held.server().to_owned();
        self.0.insert(lease, Arc::new(held));
        server
    }

    /// Where the token of a lease is used, if it is bound to a key that is held.
    pub(super) fn server_of(&self, lease: LeaseId) -> Option<String> {
        self.0.get(&lease).map(|held| held.server().to_owned())
    }

    pub(super) fn forget(&self, lease: LeaseId) {
        self.0.remove(&lease);
    }

    /// How many keys are held.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.0.len()
    }
}

impl Broker {
    /// Signs a proof for one call of a lease. Memory only, unless it is refused.
    pub async fn sign_proof(&self, caller: &Caller, lease: LeaseId, ask: SignProof) -> Result<String, ProofError> {
        match self.proof(caller, lease, &ask) {
            Err(ProofError::Lease(error)) => Err(self.explain_missing(caller, error).await.into()),
            signed => signed,
        }
    }

    fn proof(&self, caller: &Caller, lease: LeaseId, ask: &SignProof) -> Result<String, ProofError> {
        let place = self.held_lease(caller, lease)?;
        let view = self.engine.lease(lease).ok_or(LeaseCallError::NotFound(lease))?;
        let now = self.now();
        if view.recalled {
            return Err(LeaseCallError::Ended { lease, state: LeaseState::Recalled }.into());
        }
        if view.use_by <= now {
            return Err(ProofError::TooLate(view.use_by));
        }
        let held = self.proofs.0.get(&lease).map(|held| held.value().clone()).ok_or_else(|| {
            let network = place.network();
            let kind = self.engine.look(&network.id, |pool| pool.kind_of(view.token)).flatten();
            let is_bound = kind.and_then(|kind| network.kinds.get(kind)).is_some_and(TokenKind::is_bound);
            if is_bound { ProofError::Forgotten(lease) } else { ProofError::NotBound(lease) }
        })?;
        let url = Url::parse(&ask.url).ok().filter(|url| url.username().is_empty() && url.password().is_none());
        let url = url.filter(|url| held.serves(url));
        let url = url.ok_or_else(|| ProofError::OtherServer { server: held.server().to_owned() })?;
        let request = ProvedRequest {
            method: &ask.method,
            url: url.as_str(),
            token_hash: Some(&held.token_hash),
            nonce: Some(ask.nonce.as_str()).filter(|nonce| !nonce.is_empty()),
        };
        held.bond.prove(&request, now).ok_or(ProofError::Random)
    }

    /// Forgets the keys of leases that have ended.
    pub(super) fn forget_keys(&self) {
        self.proofs.0.retain(|lease, _| self.engine.place(*lease).is_some());
    }

    /// The key that a stored token is bound to, if it is.
    pub(super) fn bond_of(&self, stored: &StoredToken) -> Result<Option<Arc<Bond>>, OpenError> {
        let Some(sealed) = &stored.sealed_key else { return Ok(None) };
        let token = &stored.token;
        let text = self.vault.open_sealed(&Place::of_token(&token.id, &token.team, token.version, "key"), sealed)?;
        let malformed = |_| OpenError::Malformed { table: "token", column: "key", team: token.team.clone() };
        Bond::read(&text).map(Some).map_err(malformed)
    }
}
