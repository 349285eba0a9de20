//! Operators sign in to their pages with their key. The browser gets a session of the key and never keeps the key itself; the session ends
//! with the key at the latest.

use std::sync::Arc;

use crate::base::ids::KeyId;
use crate::base::secret::Secret;
use crate::domain::member::{Session, SessionOf};
use crate::domain::team::{Key, KeyHolder, OperatorRole};
use crate::service::sessions::{Browser, SignInError};
use crate::service::{Broker, Caller};
use crate::store::StoreError;

/// An operator who is signed in.
#[derive(Debug, Clone)]
pub struct OperatorStay {
    /// The key that it showed.
    pub key: Arc<Key>,
    /// What it may do.
    pub role: OperatorRole,
    /// The session.
    pub session: Session,
}

impl OperatorStay {
    /// The operator as it calls.
    pub fn caller(&self) -> Caller {
        Caller::Operator { role: self.role, key: self.key.id }
    }
}

impl Broker {
    /// Signs an operator in by the text of its key; returns the secret for the browser. Tries are limited as those of members.
    pub async fn sign_in_operator(&self, key: Secret, browser: &Browser) -> Result<Secret, SignInError> {
        let (caller, key) = self.operator_showing(&key, browser)?;
        let (session, secret) = self.new_session(SessionOf::Operator(key), browser, self.now())?;
        let detail = format!("session={} origin={}", session.id, session.origin);
        let audit = self.audit(&caller, "session.begin", format!("keys/{key}"), detail);
        self.store.insert_session(session, None, audit.into()).await?;
        Ok(secret)
    }

    /// The operator who is signed in with that secret; `None`: none. Notes the use.
    pub async fn find_operator_stay(&self, secret: &str) -> Result<Option<OperatorStay>, StoreError> {
        let stay = self.look_at_operator_stay(secret).await?;
        if let Some(stay) = &stay {
            self.note_use(&stay.session).await?;
        }
        Ok(stay)
    }

    /// As [`Broker::find_operator_stay`], for what a page that is merely open does by itself.
    pub async fn look_at_operator_stay(&self, secret: &str) -> Result<Option<OperatorStay>, StoreError> {
        let Some(session) = self.lasting_session(secret).await? else { return Ok(None) };
        let SessionOf::Operator(key) = session.whose else { return Ok(None) };
        let key = self.directory.key(key).filter(|key| key.works(self.now()));
        Ok(key.and_then(|key| match key.holder {
            KeyHolder::Operator(role) => Some(OperatorStay { role, key, session }),
            KeyHolder::Collector(..) => None,
        }))
    }

    /// Takes the text of an operator's key as the proof that it is still the same who sits there.
    pub async fn confirm_operator(
        &self,
        stay: &OperatorStay,
        key: Secret,
        browser: &Browser,
    ) -> Result<(), SignInError> {
        let (_, shown) = self.operator_showing(&key, browser)?;
        if shown != stay.key.id {
            return Err(SignInError::WrongKey);
        }
        let (subject, detail) = (format!("keys/{shown}"), format!("session={}", stay.session.id));
        let audit = self.audit(&stay.caller(), "session.confirm", subject, detail);
        Ok(self.store.authenticate_session(stay.session.id, self.now(), audit.into()).await?)
    }

    /// Ends an operator's session. One that has ended is no error.
    pub async fn end_operator_session(&self, stay: &OperatorStay) -> Result<(), StoreError> {
        let (subject, detail) = (format!("keys/{}", stay.key.id), format!("session={}", stay.session.id));
        let audit = self.audit(&stay.caller(), "session.end", subject, detail);
        match self.store.end_session(stay.session.whose, stay.session.id, audit.into()).await {
            Err(StoreError::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    fn operator_showing(&self, key: &Secret, browser: &Browser) -> Result<(Caller, KeyId), SignInError> {
        self.desk.check_address(browser).map_err(SignInError::TooOften)?;
        match self.authenticate(Some(key.expose())) {
            Ok(caller @ Caller::Operator { key, .. }) => Ok((caller, key)),
            Ok(_) | Err(_) => Err(SignInError::WrongKey),
        }
    }
}
