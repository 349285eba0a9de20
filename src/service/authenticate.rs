//! Who shows this key?

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

use crate::domain::key::ApiKey;
use crate::domain::team::{Key, KeyHolder};
use crate::service::directory::KnownKey;
use crate::service::{Broker, Caller};

/// The key is no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticateError {
    /// There is none.
    #[error("the call carries no key; send the metadata 'authorization: Bearer tbk_…'")]
    Missing,
    /// It is malformed, unknown or revoked. Which of these is not told.
    #[error("the key is malformed, unknown or revoked; ask an operator for a new one")]
    Invalid,
}

impl Broker {
    /// Tells who shows a key, given the value of `authorization`. An unknown key takes as long as a known one with a wrong secret.
    pub fn authenticate(&self, authorization: Option<&str>) -> Result<Caller, AuthenticateError> {
        let text = authorization.ok_or(AuthenticateError::Missing)?;
        let text = text.strip_prefix("Bearer ").or_else(|| text.strip_prefix("bearer ")).unwrap_or(text);
        let shown = ApiKey::parse(text.trim()).map_err(|_| AuthenticateError::Invalid)?;
        let known = self.directory.known_key(shown.id()).filter(|known| known.key.revoked_at.is_none());
        let known = self.prove(&shown, known.as_deref()).ok_or(AuthenticateError::Invalid)?;
        self.caller_of(&known.key)
    }

    /// Looks again at who calls: the same caller as it is registered now, or the error if its key does not work any more.
    pub fn reauthenticate(&self, caller: &Caller) -> Result<Caller, AuthenticateError> {
        let key = match caller {
            Caller::Broker => return Ok(Caller::Broker),
            Caller::Operator { key, .. } => Some(*key),
            Caller::Collector { key, .. } => *key,
        };
        match (key, caller.collector()) {
            (Some(key), _) => {
                let key = self.directory.key(key).filter(|key| key.revoked_at.is_none());
                let key = key.ok_or(AuthenticateError::Invalid)?;
                self.caller_of(&key)
            }
            (None, Some(collector)) => {
                let collector = self.directory.collector(collector.id).ok_or(AuthenticateError::Invalid)?;
                Ok(Caller::Collector { collector, key: None })
            }
            (None, None) => Err(AuthenticateError::Invalid),
        }
    }

    /// The key, if the shown secret is its own. The keyed hash is computed once per key and secret; later the digest of the
    /// proven secret is compared.
    fn prove<'a>(&self, shown: &ApiKey, known: Option<&'a KnownKey>) -> Option<&'a KnownKey> {
        let digest = digest(&SHA256, shown.secret());
        let proven = known.and_then(|known| known.proven.get());
        if proven.is_some_and(|proven| verify_slices_are_equal(proven, digest.as_ref()).is_ok()) {
            return known;
        }
        let stored = known.map(|known| &known.key.hash);
        let known = known.filter(|_| self.vault.verify_key(shown.id(), shown.secret(), stored));
        if known.is_none() && stored.is_none() {
            self.vault.verify_key(shown.id(), shown.secret(), None);
        }
        let known = known?;
        let _ = known.proven.set(digest.as_ref().try_into().expect("SHA-256 gives 32 bytes"));
        Some(known)
    }

    fn caller_of(&self, key: &Key) -> Result<Caller, AuthenticateError> {
        match &key.holder {
            KeyHolder::Operator(role) => Ok(Caller::Operator { role: *role, key: key.id }),
            KeyHolder::Collector(_, id) => {
                let collector = self.directory.collector(*id).ok_or(AuthenticateError::Invalid)?;
                Ok(Caller::Collector { collector, key: Some(key.id) })
            }
        }
    }
}
