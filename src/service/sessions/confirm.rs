//! A member proves once more who it is, before what would do most harm if its browser were left open.

use std::sync::Arc;
use std::time::Duration;

use crate::base::secret::Secret;
use crate::domain::member::Session;
use crate::service::Broker;
use crate::service::sessions::{Browser, SignInError, Stay};

/// A proof is good for so long.
pub(super) const FRESH: Duration = Duration::from_secs(15 * 60);

impl Broker {
    /// Whether it was proved lately whose a session is.
    pub fn is_fresh(&self, session: &Session) -> bool {
        self.now().since(session.authenticated_at) < FRESH
    }

    /// Takes a member's password as the proof. Tries are limited by session: those of strangers to sign in do not count here.
    pub async fn confirm_session(&self, stay: &Stay, password: Secret, browser: &Browser) -> Result<(), SignInError> {
        self.desk.check_address(browser).map_err(SignInError::TooOften)?;
        let tries = stay.session.id.to_string();
        self.desk.inside.check(&tries).map_err(SignInError::TooOften)?;
        let kept = self.store.find_password(stay.member.id).await?;
        if !self.desk.is_right(&Arc::new(password), kept).await.map_err(SignInError::TooOften)? {
            self.note_refusal(&stay.member, browser);
            return Err(SignInError::Wrong);
        }
        let detail = format!("session={}", stay.session.id);
        let audit = self.member_audit(&stay.caller(), "session.confirm", &stay.member, detail);
        self.store.authenticate_session(stay.session.id, self.now(), audit.into()).await?;
        self.desk.inside.give_back(&tries);
        Ok(())
    }
}
