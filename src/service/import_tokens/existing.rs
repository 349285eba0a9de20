//! Rows whose token the team holds already.

use super::{Candidate, Import, ImportError, Outcome, RowRejected};
use crate::base::ids::TokenId;
use crate::base::secret::Secret;
use crate::domain::token::{Token, TokenState};
use crate::service::tokens::{TokenError, name_of};
use crate::store::{SealedSecrets, StoredToken, TokenChange, TokenChangeError, TokenFilter};
use crate::vault::Place;

impl Import {
    /// Brings a token up to date with a row. One that was invalid lives again: its secrets are new. The caller holds the locks of
    /// all tokens.
    pub(super) async fn bring_up_to_date(&self, id: TokenId, candidate: &Candidate) -> Result<Outcome, ImportError> {
        let broker = &self.broker;
        let before = broker.stored_token(&self.begin.team, id).await?;
        if self.is_same(&before, candidate) {
            return Ok(Outcome::Unchanged(Some(id)));
        }
        if self.is_spent(&before, candidate).await? {
            return Ok(Outcome::Rejected(RowRejected::Spent(id)));
        }
        // An import brings nothing back that the person withdrew.
        let mut token = broker.kept_to_consent(merged(&before.token, &candidate.new.stored.token)).await?;
        let came = candidate.given.refresh.as_ref();
        let kept = broker.keep_refresh(&before, &mut token, came);
        let sealed = broker.seal_token(&token, &candidate.given.access, came.or(kept.as_ref()), None)?;
        let sealed = SealedSecrets { given_refresh: candidate.new.given_refresh, ..sealed };
        let SealedSecrets { access, .. } = sealed.clone();
        let detail = format!("comment=import {}", self.begin.import_id);
        let mut audit = broker.audit(&self.caller, "token.update", name_of(&token.team, id), detail);
        audit.team = Some(token.team.clone());
        let made = broker.store.change_token(TokenChange {
            expected_version: before.token.version,
            expected_state: before.token.state,
            token: token.clone(),
            secrets: Some(sealed),
            trail: audit.into(),
            revocation: None,
            alerts: Vec::new(),
        });
        match made.await {
            Ok(ended) => {
                broker.take_in(&token, access);
                broker.tell_dead_span(&token, ended);
                Ok(Outcome::Updated(Some(id)))
            }
            Err(TokenChangeError::Store(error)) => Err(error.into()),
            Err(_) => Err(TokenError::Contended(id).into()),
        }
    }

    /// Says what would come of the rows.
    pub(super) async fn foresee(
        &self,
        candidates: Vec<Candidate>,
        outcomes: &mut [Option<Outcome>],
    ) -> Result<(), ImportError> {
        for candidate in candidates {
            let outcome = match self.find_same_grant(&candidate.new.stored.token).await? {
                None => Outcome::Added(None),
                Some(id) if !self.begin.allow_existing => Outcome::Rejected(RowRejected::Exists(id)),
                Some(id) => {
                    let before = self.broker.stored_token(&self.begin.team, id).await?;
                    if self.is_same(&before, &candidate) {
                        Outcome::Unchanged(None)
                    } else if self.is_spent(&before, &candidate).await? {
                        Outcome::Rejected(RowRejected::Spent(id))
                    } else {
                        Outcome::Updated(None)
                    }
                }
            };
            outcomes[candidate.at] = Some(outcome);
        }
        Ok(())
    }

    /// Whether the row's refresh token was given before and is not the present one: the network has replaced it since, or somebody else
    /// gave a later one. To show it again would end the grant at many networks.
    async fn is_spent(&self, before: &StoredToken, candidate: &Candidate) -> Result<bool, ImportError> {
        let (Some(hash), Some(given)) = (candidate.new.given_refresh, &candidate.given.refresh) else {
            return Ok(false);
        };
        let is_present = self.opened(before, "refresh").is_some_and(|held| held.matches(given.expose().as_bytes()));
        Ok(!is_present && self.broker.store.was_given(before.token.id, hash).await?)
    }

    fn opened(&self, stored: &StoredToken, column: &'static str) -> Option<Secret> {
        let Token { id, team, version, .. } = &stored.token;
        let sealed = if column == "refresh" { stored.sealed_refresh.as_ref()? } else { &stored.sealed_access };
        self.broker.vault.open_sealed(&Place::of_token(id, team, *version, column), sealed).ok()
    }

    /// The token that stands for the same grant.
    async fn find_same_grant(&self, token: &Token) -> Result<Option<TokenId>, ImportError> {
        let filter = TokenFilter {
            network: Some(token.network.clone()),
            app: Some(token.app.clone()),
            kind: Some(token.kind.clone()),
            person: Some(token.person.clone()),
            not_states: &["revoked"],
            profile: token.profiles.first().cloned(),
            ..TokenFilter::default()
        };
        let found = self.broker.store.list_tokens(&self.begin.team, filter, 1_000).await?;
        Ok(found.into_iter().find(|other| other.profiles == token.profiles).map(|other| other.id))
    }

    fn is_same(&self, before: &StoredToken, candidate: &Candidate) -> bool {
        let (held, given) = (&before.token, &candidate.new.stored.token);
        let mut next = merged(held, given);
        let kept = self.broker.keep_refresh(before, &mut next, candidate.given.refresh.as_ref());
        let same_fields = next == Token { version: held.version + 1, ..held.clone() };
        let same = |column, given: &Secret| {
            self.opened(before, column).is_some_and(|held| held.matches(given.expose().as_bytes()))
        };
        let same_refresh = match (&before.sealed_refresh, &candidate.given.refresh) {
            (None, None) => true,
            (Some(_), Some(given)) => same("refresh", given),
            (Some(_), None) => kept.is_some(),
            (None, Some(_)) => false,
        };
        same_fields && same_refresh && same("access", &candidate.given.access)
    }
}

/// A token that is held, with what a row says of it and the version of its next secrets.
fn merged(held: &Token, given: &Token) -> Token {
    let state = match held.state {
        TokenState::Paused { .. } | TokenState::Live => held.state,
        TokenState::Suspect { .. } | TokenState::Invalid { .. } | TokenState::Revoked { .. } => TokenState::Live,
    };
    Token {
        id: held.id,
        state,
        clocks: given.clocks.keeping_ends(held.clocks),
        cooling_until: held.cooling_until,
        // New secrets lift no block.
        blocked_since: held.blocked_since,
        created_at: held.created_at,
        version: held.version + 1,
        ..given.clone()
    }
}
