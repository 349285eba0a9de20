//! Who shows this key, or this certificate?

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

use crate::base::ids::KeyId;
use crate::domain::certificate::CertificateName;
use crate::domain::key::ApiKey;
use crate::domain::team::{Key, KeyHolder};
use crate::service::caller::Shown;
use crate::service::directory::{CertificateHolder, KnownKey};
use crate::service::{Broker, Caller};

/// What was shown is no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticateError {
    /// There is nothing.
    #[error("the call carries no key; send the metadata 'authorization: Bearer tbk_…'")]
    Missing,
    /// The key is malformed, unknown, revoked or past its time. Which of these is not told.
    #[error("the key is malformed, unknown, revoked or past its time; ask an operator for a new one")]
    Invalid,
    /// The certificate stands for nobody, or for several.
    #[error(
        "the client certificate's names belong to no collector and no operator, or to several; ask an operator to register one of them"
    )]
    Certificate,
}

impl Broker {
    /// Tells who shows a key, given the value of `authorization`. An unknown key takes as long as a known one with a wrong secret.
    pub fn authenticate(&self, authorization: Option<&str>) -> Result<Caller, AuthenticateError> {
        let text = authorization.ok_or(AuthenticateError::Missing)?;
        let text = text.strip_prefix("Bearer ").or_else(|| text.strip_prefix("bearer ")).unwrap_or(text);
        let shown = ApiKey::parse(text.trim()).map_err(|_| AuthenticateError::Invalid)?;
        let known = self.directory.known_key(shown.id()).filter(|known| known.key.works(self.now()));
        let known = self.prove(&shown, known.as_deref()).ok_or(AuthenticateError::Invalid)?;
        self.holder_of(&known.key)
    }

    /// Tells who shows a certificate that the client authority has signed, by all of its names: those of them that are registered
    /// must all belong to one collector or operator.
    pub fn authenticate_certificate(&self, names: &[String]) -> Result<Caller, AuthenticateError> {
        let names = names.iter().filter_map(|name| name.parse::<CertificateName>().ok());
        let mut registered = names.filter_map(|name| Some((self.directory.certificate(&name)?, name)));
        let (holder, name) = registered.next().ok_or(AuthenticateError::Certificate)?;
        if registered.any(|(other, _)| other != holder) {
            return Err(AuthenticateError::Certificate);
        }
        self.certificate_holder(holder, name).ok_or(AuthenticateError::Certificate)
    }

    /// Looks again at who calls: the same caller as it is registered now, or the error if what it showed does not work any more.
    pub fn reauthenticate(&self, caller: &Caller) -> Result<Caller, AuthenticateError> {
        match caller {
            Caller::Broker => Ok(Caller::Broker),
            // Sessions have streams of their own, if any: none of the API's.
            Caller::Member { .. } => Err(AuthenticateError::Invalid),
            Caller::Operator { key, .. } | Caller::Collector { shown: Shown::Key(key), .. } => {
                self.key_holder(*key).ok_or(AuthenticateError::Invalid)
            }
            Caller::Collector { collector, shown: Shown::Certificate(name) } => {
                let holder = self.directory.certificate(name);
                let holder = holder.filter(|holder| *holder == CertificateHolder::Collector(collector.id));
                let same = holder.and_then(|holder| self.certificate_holder(holder, name.clone()));
                same.ok_or(AuthenticateError::Certificate)
            }
        }
    }

    fn certificate_holder(&self, holder: CertificateHolder, name: CertificateName) -> Option<Caller> {
        match holder {
            CertificateHolder::Operator(key) => self.key_holder(key),
            CertificateHolder::Collector(id) => {
                let collector = self.directory.collector(id)?;
                Some(Caller::Collector { collector, shown: Shown::Certificate(name) })
            }
        }
    }

    fn key_holder(&self, key: KeyId) -> Option<Caller> {
        let key = self.directory.key(key).filter(|key| key.works(self.now()))?;
        self.holder_of(&key).ok()
    }

    /// The key, if the shown secret is its own. The keyed hash is computed once per key and secret; later the digest of the
    /// proven secret is compared.
    fn prove<'a>(&self, shown: &ApiKey, known: Option<&'a KnownKey>) -> Option<&'a KnownKey> {
        let digest = digest(&SHA256, shown.secret());
        let proven = known.and_then(|known| known.proven.get());
        if proven.is_some_and(|proven| verify_slices_are_equal(proven, digest.as_ref()).is_ok()) {
            return known;
        }
        let stored = known.and_then(|known| known.key.hash());
        let proven = self.vault.verify_key(shown.id(), shown.secret(), stored);
        let known = known.filter(|_| proven)?;
        let _ = known.proven.set(digest.as_ref().try_into().expect("SHA-256 gives 32 bytes"));
        Some(known)
    }

    fn holder_of(&self, key: &Key) -> Result<Caller, AuthenticateError> {
        match &key.holder {
            KeyHolder::Operator(role) => Ok(Caller::Operator { role: *role, key: key.id }),
            KeyHolder::Collector(_, id) => {
                let collector = self.directory.collector(*id).ok_or(AuthenticateError::Invalid)?;
                Ok(Caller::Collector { collector, shown: Shown::Key(key.id) })
            }
        }
    }
}
