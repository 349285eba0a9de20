//! A token that was granted in a browser is kept: as a new one, or as new secrets of the one that stands for the same grant.
//!
//! One grant of one team is one record, by whichever member it is given and however often. Another team that is given the same has a record
//! of its own, which draws from the same person's and profile's limits: the network keeps these by account, and so do the pools.

use std::sync::Arc;

use crate::base::ids::{EventId, MemberId, TokenId};
use crate::domain::connection::Connection;
use crate::domain::consent::Consent;
use crate::domain::networks::{Purposes, Renewal};
use crate::domain::notice::{Event, Fact};
use crate::domain::token::{Token, TokenState};
use crate::outbound::oauth::Bond;
use crate::service::connect::{ConnectError, name_of};
use crate::service::tokens::{ATTEMPTS, AddToken, TokenError, UNKNOWN_PERSON};
use crate::service::{Broker, Caller};
use crate::store::{
    NewToken, SealedSecrets, StoreError, StoredToken, TokenChange, TokenChangeError, TokenFilter, Trail,
};

/// A token that a connection makes.
pub(super) struct Wanted {
    /// What is known of it.
    pub token: AddToken,
    /// The profiles that it speaks for.
    pub profiles: Vec<String>,
    /// The key that it is bound to.
    pub bond: Option<Arc<Bond>>,
    /// The token that it heals.
    pub healed: Option<TokenId>,
}

/// What a token is kept with.
#[derive(Clone, Copy)]
struct Kept<'a> {
    connection: &'a Connection,
    given: &'a AddToken,
    bond: Option<&'a Bond>,
    agreed: &'a Consent,
}

impl Broker {
    /// Keeps a token with what its person agreed to, durably, then puts it into its pool. `granter`: the member who gave consent.
    pub(super) async fn keep_connected(
        &self,
        caller: &Caller,
        connection: &Connection,
        granter: Option<MemberId>,
        wanted: Wanted,
    ) -> Result<TokenId, ConnectError> {
        let mut stored = self.unsealed_token(&connection.team, &wanted.token)?;
        stored.token.profiles.clone_from(&wanted.profiles);
        if let (true, Some(profile)) = (wanted.token.person.is_empty(), wanted.profiles.first()) {
            // Persons who are not known are told apart by what they connect.
            stored.token.person = format!("{UNKNOWN_PERSON}{profile}");
        }
        let agreed = Consent {
            token: stored.token.id,
            at: stored.token.clocks.consented_at.unwrap_or_else(|| self.now()),
            purposes: stored.token.purposes,
            withdrawn: Purposes::default(),
            text_version: connection.text_version.clone(),
            member: granter,
        };
        let kept = Kept { connection, given: &wanted.token, bond: wanted.bond.as_deref(), agreed: &agreed };
        for _ in 0..ATTEMPTS {
            let held = match wanted.healed {
                Some(id) => Some(id),
                None => self.same_grant(&stored.token).await?,
            };
            let kept = match held {
                Some(id) => self.heal(caller, kept, id, &stored.token).await?,
                None => self.insert_connected(caller, kept, &stored).await?,
            };
            if let Some(id) = kept {
                return Ok(id);
            }
        }
        Err(ConnectError::Contended(connection.id))
    }

    /// The token of the team that stands for the same grant: of the same profiles, or, where the person's own token speaks for whatever
    /// was chosen, of the same person.
    async fn same_grant(&self, token: &Token) -> Result<Option<TokenId>, StoreError> {
        let filter = TokenFilter {
            network: Some(token.network.clone()),
            app: Some(token.app.clone()),
            kind: Some(token.kind.clone()),
            person: Some(token.person.clone()),
            not_states: &["revoked"],
            ..TokenFilter::default()
        };
        let held = self.store.list_tokens(&token.team, filter, 1_000).await?;
        let kind = self.catalogue.network(token.network.as_str()).and_then(|of| of.kind(token.kind.as_str()));
        let derived = kind.is_some_and(|kind| matches!(kind.renewal, Renewal::Derived { .. }));
        let mut same = held.iter().filter(|other| other.profiles == token.profiles);
        let of_person = || held.first().filter(|_| !derived);
        Ok(same.next().or_else(of_person).map(|other| other.id))
    }

    /// Gives a token the new secrets. `None`: it was changed meanwhile.
    async fn heal(
        &self,
        caller: &Caller,
        Kept { connection, given, bond, agreed }: Kept<'_>,
        id: TokenId,
        new: &Token,
    ) -> Result<Option<TokenId>, ConnectError> {
        let _changes = self.changes.token(id).await;
        let before = self.stored_token(&connection.team, id).await?.token;
        let token = healed(&before, new);
        let sealed = self.seal_token(&token, &given.access, given.refresh.as_ref(), bond)?;
        let access = sealed.access.clone();
        let given_refresh = given.refresh.as_ref().map(|refresh| self.refresh_hash(refresh));
        let mut audit = self.token_added(caller, &token);
        audit.action = "token.reconnect";
        audit.detail = format!("{} from={} {}", audit.detail, before.state.as_str(), kept_by(connection));
        // The person agreed anew, and to these purposes: what was withdrawn before is agreed to again where it is among them.
        let consent = Consent { token: id, ..agreed.clone() };
        let change = TokenChange {
            expected_version: before.version,
            expected_state: before.state,
            token: token.clone(),
            secrets: Some(SealedSecrets { given_refresh, ..sealed }),
            trail: Trail::from(audit).telling([self.connected_event(connection, &token, true)]),
            revocation: None,
            alerts: Vec::new(),
        };
        match self.store.change_consent(consent, change).await {
            Ok(ended) => {
                self.take_in(&token, access);
                self.tell_dead_span(&token, ended);
                Ok(Some(id))
            }
            Err(TokenChangeError::Changed { .. }) => Ok(None),
            Err(TokenChangeError::Store(error)) => Err(error.into()),
            Err(TokenChangeError::Duplicate) => Err(TokenError::Exists { team: token.team, token: id }.into()),
            Err(TokenChangeError::Revoked(_)) => Err(crate::domain::token::TransitionError::Revoked.into()),
            Err(TokenChangeError::NotFound(token)) => {
                Err(TokenError::NotFound { team: connection.team.clone(), token }.into())
            }
        }
    }

    /// Adds a token. `None`: one of the same grant came first.
    async fn insert_connected(
        &self,
        caller: &Caller,
        Kept { connection, given, bond, agreed }: Kept<'_>,
        new: &StoredToken,
    ) -> Result<Option<TokenId>, ConnectError> {
        let token = new.token.clone();
        let _changes = self.changes.token(token.id).await;
        let sealed = self.seal_token(&token, &given.access, given.refresh.as_ref(), bond)?;
        let mut audit = self.token_added(caller, &token);
        audit.action = "token.connect";
        audit.detail = format!("{} {}", audit.detail, kept_by(connection));
        let stored = sealed.stored_with(token);
        let given_refresh = given.refresh.as_ref().map(|refresh| self.refresh_hash(refresh));
        let trail = Trail::from(audit).telling([self.connected_event(connection, &stored.token, false)]);
        let kept = NewToken { stored: stored.clone(), given_refresh, consent: Some(agreed.clone()), trail };
        if !self.store.insert_tokens(vec![kept], None).await?.duplicates.is_empty() {
            return Ok(None);
        }
        self.take_in(&stored.token, stored.sealed_access);
        Ok(Some(stored.token.id))
    }

    /// That a token is connected; once for each connection, however often its end is repeated.
    fn connected_event(&self, connection: &Connection, token: &Token, healed: bool) -> Event {
        Event {
            id: EventId::generate(),
            at: self.now(),
            team: Some(token.team.clone()),
            fact: Fact::TokenConnected { network: token.network.clone(), token: token.id, healed },
            dedup_key: format!("{}/connected/{}", token.id, connection.id),
        }
    }
}

/// By what a token came, for the audit.
fn kept_by(connection: &Connection) -> String {
    format!("connection={} text={}", name_of(connection), connection.text_version)
}

/// A token with a new grant: what a person decided about it stays (its name, reserve, facts, whether it is paused), what the network and
/// the granting person decide is new.
fn healed(held: &Token, new: &Token) -> Token {
    let or_held = |new: &str, held: &str| if new.is_empty() { held.to_owned() } else { new.to_owned() };
    Token {
        id: held.id,
        label: or_held(&held.label, &new.label),
        granted_by: or_held(&new.granted_by, &held.granted_by),
        facts: held.facts.clone(),
        reserve_percent: held.reserve_percent,
        max_leases: held.max_leases,
        state: match held.state {
            TokenState::Paused { .. } => held.state,
            _ => TokenState::Live,
        },
        cooling_until: held.cooling_until,
        created_at: held.created_at,
        version: held.version + 1,
        ..new.clone()
    }
}
