//! A token is paused, resumed, revoked or declared invalid.

use crate::base::clock::Timestamp;
use crate::base::ids::{TeamId, TokenId};
use crate::domain::audit::AuditEvent;
use crate::domain::member::Action;
use crate::domain::notice::of_change;
use crate::domain::token::{Reason, Token, TokenState, TransitionError};
use crate::service::Broker;
use crate::service::collectors::comment_detail;
use crate::service::members::On;
use crate::service::requests::Attempt;
use crate::service::tokens::{ATTEMPTS, TokenError, TokenView, change_error, name_of};
use crate::store::{SealedSecrets, StoredToken, TokenChange, TokenChangeError};

/// One change of a token's state.
struct StateChange<'a> {
    attempt: Attempt<TokenView>,
    action: &'static str,
    permit: Action,
    comment: &'a str,
    /// Destroys the secrets.
    shreds: bool,
}

impl Broker {
    /// The token of that id, if it is the team's.
    pub(in crate::service) async fn stored_token(&self, team: &TeamId, id: TokenId) -> Result<StoredToken, TokenError> {
        let stored = self.store.find_token(id).await?.filter(|stored| stored.token.team == *team);
        stored.ok_or_else(|| TokenError::NotFound { team: team.clone(), token: id })
    }

    /// Takes a token out of use until it is resumed. Its leases are recalled. Twice is no error.
    pub async fn pause_token(
        &self,
        attempt: impl Into<Attempt<TokenView>>,
        team: &TeamId,
        id: TokenId,
        comment: &str,
    ) -> Result<TokenView, TokenError> {
        let change = StateChange {
            attempt: attempt.into(),
            action: "token.pause",
            permit: Action::Pause,
            comment,
            shreds: false,
        };
        self.change_state(team, id, change, TokenState::pause).await
    }

    /// Takes a paused token into use again. Resuming one that is not paused is no error.
    pub async fn resume_token(
        &self,
        attempt: impl Into<Attempt<TokenView>>,
        team: &TeamId,
        id: TokenId,
        comment: &str,
    ) -> Result<TokenView, TokenError> {
        let change = StateChange {
            attempt: attempt.into(),
            action: "token.resume",
            permit: Action::Pause,
            comment,
            shreds: false,
        };
        self.change_state(team, id, change, |state, _| state.resume()).await
    }

    /// Ends a token for good and destroys its secrets. Twice is no error.
    pub async fn revoke_token(
        &self,
        attempt: impl Into<Attempt<TokenView>>,
        team: &TeamId,
        id: TokenId,
        comment: &str,
    ) -> Result<TokenView, TokenError> {
        let change = StateChange {
            attempt: attempt.into(),
            action: "token.revoke",
            permit: Action::Revoke,
            comment,
            shreds: true,
        };
        self.change_state(team, id, change, |state, now| Ok(state.revoke(now))).await
    }

    /// Marks a token as invalid, for a reason that was learnt elsewhere. The first reason stays.
    pub async fn invalidate_token(
        &self,
        attempt: impl Into<Attempt<TokenView>>,
        team: &TeamId,
        id: TokenId,
        reason: Reason,
        comment: &str,
    ) -> Result<TokenView, TokenError> {
        let change = StateChange {
            attempt: attempt.into(),
            action: "token.invalidate",
            permit: Action::ChangeToken,
            comment,
            shreds: false,
        };
        let decide = |state: TokenState, now| match state {
            TokenState::Revoked { .. } => Err(TransitionError::Revoked),
            _ => Ok(state.invalidate(reason, now)),
        };
        self.change_state(team, id, change, decide).await
    }

    /// Decides the new state, and decides again if the token was changed meanwhile.
    async fn change_state(
        &self,
        team: &TeamId,
        id: TokenId,
        change: StateChange<'_>,
        decide: impl Fn(TokenState, Timestamp) -> Result<TokenState, TransitionError>,
    ) -> Result<TokenView, TokenError> {
        let _changes = self.changes.token(id).await;
        for _ in 0..ATTEMPTS {
            let stored = self.stored_token(team, id).await?;
            self.must_permit(&change.attempt.caller, change.permit, team, On::Token(&stored.token))?;
            let state = decide(stored.token.state, self.now())?;
            if state == stored.token.state {
                let found = self.view_token(stored.token);
                self.note_unchanged(&change.attempt, &found).await?;
                return Ok(found);
            }
            if state != TokenState::Live {
                self.engine.change_token_state(&stored.token.network, id, |present| {
                    decide(present, self.now()).unwrap_or(present)
                });
            }
            // Dated after the pool has stopped: no lease is opened later than its token's end.
            let state = decide(stored.token.state, self.now())?;
            match self.put_state(stored, state, &change, &decide).await {
                Ok(made) => return Ok(made),
                Err(TokenChangeError::Changed { .. }) => {}
                Err(error) => return Err(change_error(team, error)),
            }
        }
        Err(TokenError::Contended(id))
    }

    /// Changes the state in the store, then in the pool, which a stricter state has reached already. If the store says no, the pool goes
    /// back; if the store can't tell whether it was done, the stricter state stays.
    async fn put_state(
        &self,
        stored: StoredToken,
        state: TokenState,
        change: &StateChange<'_>,
        decide: &impl Fn(TokenState, Timestamp) -> Result<TokenState, TransitionError>,
    ) -> Result<TokenView, TokenChangeError> {
        let revocation = change.shreds.then(|| self.revocation_of(&stored));
        let before = stored.token;
        let token = Token { state, version: before.version + u32::from(change.shreds), ..before.clone() };
        let stops = state != TokenState::Live;
        let secrets = change.shreds.then(SealedSecrets::default);
        let made = self.view_token(token.clone());
        let changed = self.store.change_token(TokenChange {
            expected_version: before.version,
            expected_state: before.state,
            trail: change.attempt.trail(self.state_audit(&before, state, change), &made).telling(of_change(
                before.state,
                &token,
                self.now(),
            )),
            token: token.clone(),
            secrets,
            revocation,
            alerts: Vec::new(),
        });
        match changed.await {
            Ok(_) if change.shreds => {
                self.take_in(&token, Vec::new());
                Ok(made)
            }
            Ok(_) => {
                self.engine.change_token_state(&token.network, token.id, |present| {
                    decide(present, self.now()).unwrap_or(present)
                });
                Ok(made)
            }
            Err(error) => {
                let unknown = matches!(&error, TokenChangeError::Store(cause) if cause.is_final());
                if stops && !unknown {
                    let back =
                        |present: TokenState| if present.as_str() == state.as_str() { before.state } else { present };
                    self.engine.change_token_state(&token.network, token.id, back);
                }
                Err(error)
            }
        }
    }

    fn state_audit(&self, before: &Token, state: TokenState, change: &StateChange<'_>) -> AuditEvent {
        let reason = match state {
            TokenState::Invalid { reason, .. } => format!(" reason={}", reason.as_str()),
            _ => String::new(),
        };
        let comment = comment_detail(change.comment);
        let detail = format!("from={} to={}{reason} {comment}", before.state.as_str(), state.as_str());
        let subject = name_of(&before.team, before.id);
        let mut audit = self.audit(&change.attempt.caller, change.action, subject, detail.trim_end().to_owned());
        audit.team = Some(before.team.clone());
        audit
    }
}
