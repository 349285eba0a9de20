//! What may be changed of a token is changed.

use std::collections::BTreeMap;

use crate::base::ids::{TeamId, TokenId};
use crate::domain::member::Action;
use crate::domain::networks::Purposes;
use crate::domain::token::{Token, TokenState, TransitionError};
use crate::service::Broker;
use crate::service::members::On;
use crate::service::requests::Attempt;
use crate::service::tokens::check::{check_facts, check_purposes};
use crate::service::tokens::{ATTEMPTS, Rejected, TokenError, TokenView, change_error, name_of};
use crate::store::{TokenChange, TokenChangeError};

/// What to change about a token; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateToken {
    /// A name for people.
    pub label: Option<String>,
    /// The member of the team who granted it.
    pub granted_by: Option<String>,
    /// The scopes that were granted.
    pub scopes: Option<Vec<String>>,
    /// What the person agreed to; empty: all that the scopes serve.
    pub purposes: Option<Purposes>,
    /// All facts anew.
    pub facts: Option<BTreeMap<String, u64>>,
    /// Single facts; `None` takes one away.
    pub single_facts: BTreeMap<String, Option<u64>>,
    /// How many leases may hold it at once; `Some(None)`: as configured.
    pub max_leases: Option<Option<u32>>,
    /// The owner's reserve; `Some(None)`: the team's again.
    pub reserve_percent: Option<Option<u8>>,
}

impl Broker {
    /// Changes a token. Leases that are active keep their credit.
    pub async fn update_token(
        &self,
        attempt: impl Into<Attempt<TokenView>>,
        team: &TeamId,
        id: TokenId,
        change: &UpdateToken,
    ) -> Result<TokenView, TokenError> {
        let attempt = attempt.into();
        let _changes = self.changes.token(id).await;
        for _ in 0..ATTEMPTS {
            let stored = self.stored_token(team, id).await?;
            self.must_permit(&attempt.caller, Action::ChangeToken, team, On::Token(&stored.token))?;
            let token = self.changed_token(&stored.token, change)?;
            self.must_be_agreed(&token).await?;
            let mut audit = self.audit(&attempt.caller, "token.update", name_of(team, id), detail_of(change));
            audit.team = Some(team.clone());
            let made = self.view_token(token.clone());
            let changed = self.store.change_token(TokenChange {
                expected_version: token.version,
                expected_state: token.state,
                token: token.clone(),
                secrets: None,
                trail: attempt.trail(audit, &made),
                revocation: None,
                alerts: Vec::new(),
            });
            match changed.await {
                Ok(_) => {
                    self.take_in(&token, stored.sealed_access);
                    return Ok(made);
                }
                Err(TokenChangeError::Changed { .. }) => {}
                Err(error) => return Err(change_error(team, error)),
            }
        }
        Err(TokenError::Contended(id))
    }

    fn changed_token(&self, before: &Token, change: &UpdateToken) -> Result<Token, TokenError> {
        if matches!(before.state, TokenState::Revoked { .. }) {
            return Err(TransitionError::Revoked.into());
        }
        let mut token = before.clone();
        token.label = change.label.clone().unwrap_or(token.label);
        token.granted_by = change.granted_by.clone().unwrap_or(token.granted_by);
        token.max_leases = change.max_leases.unwrap_or(token.max_leases);
        token.reserve_percent = change.reserve_percent.unwrap_or(token.reserve_percent);
        token.facts = change.facts.clone().unwrap_or(token.facts);
        for (fact, value) in &change.single_facts {
            match value {
                Some(value) => token.facts.insert(fact.clone(), *value),
                None => token.facts.remove(fact),
            };
        }
        let unknown = || Rejected::UnknownNetwork(token.network.to_string());
        let network = self.catalogue.network(token.network.as_str()).ok_or_else(unknown)?;
        check_facts(network, &token.facts)?;
        if change.scopes.is_some() || change.purposes.is_some() {
            let unknown = || Rejected::UnknownKind { network: token.network.to_string(), kind: token.kind.to_string() };
            let kind = network.kind(token.kind.as_str()).ok_or_else(unknown)?;
            if let Some(scopes) = &change.scopes {
                token.scopes = scopes.clone();
                token.closed.clear();
            }
            token.purposes = check_purposes(kind, &token.scopes, change.purposes.unwrap_or(token.purposes))?;
        }
        Ok(token)
    }
}

fn detail_of(change: &UpdateToken) -> String {
    let fields = [
        ("display_name", change.label.is_some()),
        ("granted_by", change.granted_by.is_some()),
        ("scopes", change.scopes.is_some()),
        ("purposes", change.purposes.is_some()),
        ("facts", change.facts.is_some() || !change.single_facts.is_empty()),
        ("max_concurrent_leases", change.max_leases.is_some()),
        ("reserve_percent", change.reserve_percent.is_some()),
    ];
    let changed: Vec<_> = fields.into_iter().filter(|(_, changed)| *changed).map(|(field, _)| field).collect();
    format!("fields={}", changed.join(","))
}
