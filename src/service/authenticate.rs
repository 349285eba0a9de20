//! Who shows this key?

use crate::domain::key::ApiKey;
use crate::domain::team::KeyHolder;
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
    /// Tells who shows a key, given the value of `authorization`. An unknown key takes as long as a known one.
    pub fn authenticate(&self, authorization: Option<&str>) -> Result<Caller, AuthenticateError> {
        let text = authorization.ok_or(AuthenticateError::Missing)?;
        let text = text.strip_prefix("Bearer ").or_else(|| text.strip_prefix("bearer ")).unwrap_or(text);
        let shown = ApiKey::parse(text.trim()).map_err(|_| AuthenticateError::Invalid)?;
        let kept = self.directory.key(shown.id()).filter(|key| key.revoked_at.is_none());
        let proven = self.vault.verify_key(shown.id(), shown.secret(), kept.as_ref().map(|key| &key.hash));
        let key = kept.filter(|_| proven).ok_or(AuthenticateError::Invalid)?;
        match &key.holder {
            KeyHolder::Operator(role) => Ok(Caller::Operator { role: *role, key: key.id }),
            KeyHolder::Collector(_, id) => {
                let collector = self.directory.collector(*id).ok_or(AuthenticateError::Invalid)?;
                Ok(Caller::Collector { collector, key: Some(key.id) })
            }
        }
    }
}
