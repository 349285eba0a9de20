//! What a person agreed to: shown, and withdrawn.

use crate::base::ids::{MemberId, TeamId, TokenId};
use crate::domain::consent::Consent;
use crate::domain::member::Action;
use crate::domain::networks::{Purpose, Purposes};
use crate::domain::token::{Token, TokenState, TransitionError};
use crate::service::collectors::comment_detail;
use crate::service::members::On;
use crate::service::requests::Attempt;
use crate::service::tokens::{ATTEMPTS, TokenError, change_error, name_of};
use crate::service::{Broker, Caller};
use crate::store::{StoreError, TokenChange, TokenChangeError};

/// Records of one token that are shown.
const SHOWN: u32 = 100;

/// What the person behind a token agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentView {
    /// The token's team.
    pub team: TeamId,
    /// What holds now.
    pub now: Consent,
    /// Everything that was agreed to and withdrawn, the newest first; empty where an operator stated the purposes with the token.
    pub history: Vec<Consent>,
}

impl Broker {
    /// What the person behind a token agreed to.
    pub async fn show_consent(&self, team: &TeamId, id: TokenId) -> Result<ConsentView, TokenError> {
        let token = self.stored_token(team, id).await?.token;
        Ok(self.consent_of(&token).await?)
    }

    /// Takes purposes back. From then on no lease is given for them; leases that are held for them are recalled. What was not agreed to can't
    /// be withdrawn, and is no error.
    pub async fn withdraw_consent(
        &self,
        attempt: impl Into<Attempt<ConsentView>>,
        (team, id): (&TeamId, TokenId),
        purposes: Purposes,
        comment: &str,
    ) -> Result<ConsentView, TokenError> {
        let attempt = attempt.into();
        let _changes = self.changes.token(id).await;
        for _ in 0..ATTEMPTS {
            let stored = self.stored_token(team, id).await?;
            self.must_permit(&attempt.caller, Action::ChangeConsent, team, On::Token(&stored.token))?;
            if matches!(stored.token.state, TokenState::Revoked { .. }) {
                return Err(TransitionError::Revoked.into());
            }
            let before = self.consent_of(&stored.token).await?;
            let after = before.now.withdraw(purposes, self.now(), member_of(&attempt.caller));
            if after.withdrawn == Purposes::default() {
                self.note_unchanged(&attempt, &before).await?;
                return Ok(before);
            }
            let token = Token { purposes: within(stored.token.purposes, after.purposes), ..stored.token.clone() };
            let made = ConsentView {
                team: team.clone(),
                history: [std::slice::from_ref(&after), &*before.history].concat(),
                now: after.clone(),
            };
            let detail = format!("withdrawn={} {}", names(after.withdrawn), comment_detail(comment));
            let mut audit =
                self.audit(&attempt.caller, "consent.withdraw", name_of(team, id), detail.trim_end().to_owned());
            audit.team = Some(team.clone());
            let change = TokenChange {
                expected_version: token.version,
                expected_state: token.state,
                token: token.clone(),
                secrets: None,
                trail: attempt.trail(audit, &made),
                revocation: None,
                alerts: Vec::new(),
            };
            // In the pool first: no lease is opened for what is withdrawn once this is acknowledged.
            self.take_in(&token, stored.sealed_access.clone());
            match self.store.change_consent(after.clone(), change).await {
                Ok(_) => {
                    let gone = after.withdrawn;
                    self.engine.recall_leases(|lease| lease.token == id && gone.contains(lease.purpose));
                    return Ok(made);
                }
                Err(error) => {
                    self.take_in(&stored.token, stored.sealed_access);
                    if !matches!(error, TokenChangeError::Changed { .. }) {
                        return Err(change_error(team, error));
                    }
                }
            }
        }
        Err(TokenError::Contended(id))
    }

    /// What a token's person agreed to: as recorded, else as was stated with the token.
    async fn consent_of(&self, token: &Token) -> Result<ConsentView, StoreError> {
        let history = self.store.list_consents(token.id, SHOWN).await?;
        let stated = || Consent {
            token: token.id,
            at: token.clocks.consented_at.unwrap_or(token.created_at),
            purposes: token.purposes,
            withdrawn: Purposes::default(),
            text_version: String::new(),
            member: None,
        };
        Ok(ConsentView { team: token.team.clone(), now: history.first().cloned().unwrap_or_else(stated), history })
    }

    /// A token with those of its purposes that its person agreed to, where that was recorded.
    pub(in crate::service) async fn kept_to_consent(&self, token: Token) -> Result<Token, StoreError> {
        let last = self.store.list_consents(token.id, 1).await?.pop();
        let purposes = last.map_or(token.purposes, |consent| within(token.purposes, consent.purposes));
        Ok(Token { purposes, ..token })
    }

    /// Requires that a token's purposes stay within what its person agreed to, where that was recorded.
    pub(in crate::service) async fn must_be_agreed(&self, token: &Token) -> Result<(), TokenError> {
        let last = self.store.list_consents(token.id, 1).await?.pop();
        match last {
            Some(consent) if !consent.covers(token.purposes) => {
                let beyond = Purposes::from_bits(token.purposes.bits() & !consent.purposes.bits());
                Err(TokenError::NotAgreed(names(beyond)))
            }
            _ => Ok(()),
        }
    }
}

fn member_of(caller: &Caller) -> Option<MemberId> {
    match caller {
        Caller::Member { member, .. } => Some(member.id),
        _ => None,
    }
}

fn within(purposes: Purposes, agreed: Purposes) -> Purposes {
    Purposes::from_bits(purposes.bits() & agreed.bits())
}

fn names(purposes: Purposes) -> String {
    purposes.iter().map(Purpose::as_str).collect::<Vec<_>>().join(",")
}
