//! A token is added: checked, sealed, durable, then in its pool.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::ids::{AppId, KindId, NetworkId, TeamId, TokenId};
use crate::base::secret::Secret;
use crate::domain::audit::AuditEvent;
use crate::domain::networks::{Network, Purposes};
use crate::domain::renewal::{due_at, is_refreshed, is_replaced_by_use, stays_refreshable};
use crate::domain::token::{Clocks, Token, TokenState};
use crate::outbound::oauth::Bond;
use crate::service::apps::default_app;
use crate::service::luck::luck;
use crate::service::requests::Attempt;
use crate::service::sealing::{stored, unstored};
use crate::service::tokens::check::{check_clocks, check_facts, check_purposes};
use crate::service::tokens::{RefreshHolder, Rejected, TokenError, TokenView, UNKNOWN_PERSON, name_of};
use crate::service::{Broker, Caller};
use crate::store::{NewToken, SealedSecrets, StoreError, StoredRenewal, StoredToken};
use crate::vault::Place;

/// A token to add. Lengths and ranges are checked by the transport.
pub struct AddToken {
    /// The network's id.
    pub network: String,
    /// The kind at the network.
    pub kind: String,
    /// The app; `None`: `default`.
    pub app: Option<String>,
    /// The granting person's id at the network; empty: not known.
    pub person: String,
    /// The profile it speaks for; empty: none.
    pub profile: String,
    /// A name for people.
    pub label: String,
    /// The member of the team who granted it; empty: not known.
    pub granted_by: String,
    /// The scopes that were granted.
    pub scopes: Vec<String>,
    /// What the person agreed to; empty: all that the scopes serve.
    pub purposes: Purposes,
    /// Facts that limits are worked out from.
    pub facts: BTreeMap<String, u64>,
    /// How many leases may hold it at once; `None`: as configured.
    pub max_leases: Option<u32>,
    /// The owner's reserve in percent; `None`: the team's.
    pub reserve_percent: Option<u8>,
    /// Its clocks.
    pub clocks: Clocks,
    /// The access token.
    pub access: Secret,
    /// What else must be kept: the refresh token, or the token secret of OAuth 1.0a. No kind has both.
    pub refresh: Option<Secret>,
}

/// A token that was checked.
struct Checked {
    network: Arc<Network>,
    kind: KindId,
    app: AppId,
    purposes: Purposes,
    refreshed: bool,
}

impl Broker {
    /// Adds a token. When this returns it is sealed and durable, and may be leased.
    pub async fn add_token(
        &self,
        attempt: impl Into<Attempt<TokenView>>,
        team: &TeamId,
        ask: AddToken,
    ) -> Result<TokenView, TokenError> {
        let attempt = attempt.into();
        self.directory.team(team).ok_or_else(|| TokenError::TeamNotFound(team.clone()))?;
        self.ensure_data_key(team).await?;
        let stored = self.new_token(team, &ask)?;
        let token = stored.token.clone();
        let _changes = self.changes.token(token.id).await;
        // Its app may have been deleted while the lock was waited for.
        self.checked_app(team, &token.network, Some(token.app.as_str()))?;
        let made = self.view_token(token.clone());
        let trail = attempt.trail(self.token_added(&attempt.caller, &token), &made);
        let given_refresh = ask.refresh.as_ref().map(|refresh| self.refresh_hash(refresh));
        let _given = self.changes.given_refresh.lock().await;
        self.must_hold_alone(&token, given_refresh).await?;
        let new = NewToken { stored: stored.clone(), given_refresh, consent: None, trail };
        let inserted = self.store.insert_tokens(vec![new], None).await?;
        if let Some(duplicate) = inserted.duplicates.first() {
            let existing = duplicate.existing.unwrap_or(token.id);
            return Err(TokenError::Exists { team: team.clone(), token: existing });
        }
        self.take_in(&token, stored.sealed_access);
        Ok(made)
    }

    /// Takes a token in as it is durable now: its pool leases it with these secrets, and its next renewal is looked for.
    pub(in crate::service) fn take_in(&self, token: &Token, access: Vec<u8>) {
        self.engine.put_token(token, self.team_reserve(&token.team), access);
        self.renewals.changed(token);
    }

    /// The token that is given, checked and sealed, with an id of its own. The team has a data key.
    pub(in crate::service) fn new_token(&self, team: &TeamId, ask: &AddToken) -> Result<StoredToken, TokenError> {
        let StoredToken { token, .. } = self.given_token(team, ask)?;
        let sealed = self.seal_token(&token, &ask.access, ask.refresh.as_ref(), None)?;
        Ok(sealed.stored_with(token))
    }

    /// The token that is given with its secrets, checked, without them. Of a kind that is bound to a key none can be given: its key was made by
    /// another client, and never leaves that.
    pub(in crate::service) fn given_token(&self, team: &TeamId, ask: &AddToken) -> Result<StoredToken, Rejected> {
        let kind = self.catalogue.network(&ask.network).and_then(|network| network.kind(&ask.kind));
        match kind {
            Some(kind) if kind.is_bound() => Err(Rejected::BoundToAKey(kind.id.to_string())),
            _ => self.unsealed_token(team, ask),
        }
    }

    /// The token that is given, checked, without its secrets.
    pub(in crate::service) fn unsealed_token(&self, team: &TeamId, ask: &AddToken) -> Result<StoredToken, Rejected> {
        let Checked { network, kind, app, purposes, refreshed } = self.checked(team, ask)?;
        let token = Token {
            id: TokenId::generate(),
            team: team.clone(),
            network: network.id.clone(),
            app,
            kind,
            person: self.person_of(ask),
            profiles: Some(ask.profile.clone()).filter(|profile| !profile.is_empty()).into_iter().collect(),
            label: ask.label.clone(),
            granted_by: ask.granted_by.clone(),
            scopes: ask.scopes.clone(),
            purposes,
            facts: ask.facts.clone(),
            reserve_percent: ask.reserve_percent,
            max_leases: ask.max_leases,
            state: TokenState::Live,
            clocks: ask.clocks,
            refreshed,
            cooling_until: None,
            closed: BTreeMap::new(),
            blocked_since: None,
            created_at: self.now(),
            version: 1,
        };
        let renewal = StoredRenewal::default();
        Ok(StoredToken { token, sealed_access: Vec::new(), sealed_refresh: None, sealed_key: None, renewal })
    }

    /// The audit event of a token's keeping.
    pub(in crate::service) fn token_added(&self, caller: &Caller, token: &Token) -> AuditEvent {
        let detail = format!("network={} kind={} app={}", token.network, token.kind, token.app);
        let mut audit = self.audit(caller, "token.add", name_of(&token.team, token.id), detail);
        audit.team = Some(token.team.clone());
        audit
    }

    /// Seals the secrets of a token for its present version, and says when they are to be renewed.
    pub(in crate::service) fn seal_token(
        &self,
        token: &Token,
        access: &Secret,
        refresh: Option<&Secret>,
        bond: Option<&Bond>,
    ) -> Result<SealedSecrets, TokenError> {
        let seal = |column, secret: &Secret| {
            let place = Place::of_token(&token.id, &token.team, token.version, column);
            self.vault.seal(&place, secret.expose().as_bytes())
        };
        let refresh = refresh.map(|secret| seal("refresh", secret)).transpose()?;
        let key = bond.map(|bond| seal("key", &bond.text())).transpose()?;
        let network = self.catalogue.network(token.network.as_str());
        let kind = network.and_then(|of| of.kind(token.kind.as_str()));
        let derived = network.map(|network| network.derived_from(&token.kind)).unwrap_or_default();
        let due = |kind| due_at(kind, token, refresh.is_some(), self.now(), luck());
        let renew_at = kind.and_then(due);
        Ok(SealedSecrets { access: seal("access", access)?, refresh, key, given_refresh: None, renew_at, derived })
    }

    /// Refuses a refresh token that another token has: the one that uses it first would end the other.
    pub(in crate::service) async fn must_hold_alone(
        &self,
        token: &Token,
        given: Option<[u8; 32]>,
    ) -> Result<(), TokenError> {
        match given.filter(|_| self.must_be_sole(token)) {
            None => Ok(()),
            Some(hash) => {
                self.refresh_holder(token, hash).await?.map_or(Ok(()), |held| Err(TokenError::RefreshHeld(held)))
            }
        }
    }

    /// Whether no other token may have the same refresh token.
    pub(in crate::service) fn must_be_sole(&self, token: &Token) -> bool {
        let network = self.catalogue.network(token.network.as_str());
        network.and_then(|network| network.kind(token.kind.as_str())).is_some_and(is_replaced_by_use)
    }

    /// For what other grant of the same app a refresh token was given already, by its keyed hash.
    pub(in crate::service) async fn refresh_holder(
        &self,
        token: &Token,
        hash: [u8; 32],
    ) -> Result<Option<RefreshHolder>, StoreError> {
        let held = self.store.find_given(token, hash).await?;
        Ok(held.map(|(team, held)| match team == token.team {
            true => RefreshHolder::Token { team, token: held },
            false => RefreshHolder::AnotherTeam,
        }))
    }

    /// Lets the refresh token that is held stay, with its end, where the secrets that make the token `new` came without one; returns it. `None`:
    /// one came, or there is none that is worth keeping.
    pub(in crate::service) fn keep_refresh(
        &self,
        held: &StoredToken,
        new: &mut Token,
        came: Option<&Secret>,
    ) -> Option<Secret> {
        let sealed = held.sealed_refresh.as_ref().filter(|_| came.is_none())?;
        let kind = self.catalogue.network(new.network.as_str())?.kind(new.kind.as_str())?;
        let may_be_used = held.renewal.begun_at.is_some();
        if !stays_refreshable(kind, &held.token, may_be_used, new, self.now()) {
            return None;
        }
        let Token { id, team, version, .. } = &held.token;
        let kept = self.vault.open_sealed(&Place::of_token(id, team, *version, "refresh"), sealed).ok()?;
        new.refreshed = true;
        if new.clocks.refresh_expires_at.is_none() {
            let Clocks { refresh_expires_at, refresh_end_fixed, .. } = held.token.clocks;
            new.clocks = Clocks { refresh_expires_at, refresh_end_fixed, ..new.clocks };
        }
        Some(kept)
    }

    /// The keyed hash by which a refresh token that was given is known again.
    pub(in crate::service) fn refresh_hash(&self, refresh: &Secret) -> [u8; 32] {
        self.vault.mac_key("given refresh token").sign(&[refresh.expose().as_bytes()])
    }

    /// Makes the team's data key, if it has none: durable first, then in use. One at a time.
    pub(in crate::service) async fn ensure_data_key(&self, team: &TeamId) -> Result<(), TokenError> {
        if self.vault.data_key_for(team).is_some() {
            return Ok(());
        }
        let _one_at_a_time = self.changes.data_keys.lock().await;
        if self.vault.data_key_for(team).is_some() {
            return Ok(());
        }
        let known =
            self.store.list_data_keys().await?.into_iter().filter(|key| key.team == *team).map(|key| key.id).max();
        let made = self.vault.new_data_key(team, known);
        match self.store.insert_data_key(stored(&made, self.now())).await {
            Ok(()) => self.vault.install(made)?,
            // Another process made one, or the team is gone.
            Err(StoreError::Conflict { .. }) => self.read_data_keys(team).await?,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn read_data_keys(&self, team: &TeamId) -> Result<(), TokenError> {
        for key in self.store.list_data_keys().await?.into_iter().filter(|key| key.team == *team) {
            self.vault.install(unstored(key))?;
        }
        match self.vault.data_key_for(team) {
            Some(_) => Ok(()),
            None => Err(TokenError::TeamNotFound(team.clone())),
        }
    }

    fn checked(&self, team: &TeamId, ask: &AddToken) -> Result<Checked, Rejected> {
        let unknown = || Rejected::UnknownNetwork(ask.network.clone());
        let network = self.catalogue.network(&ask.network).cloned().ok_or_else(unknown)?;
        let unknown = || Rejected::UnknownKind { network: ask.network.clone(), kind: ask.kind.clone() };
        let kind = network.kind(&ask.kind).ok_or_else(unknown)?;
        let app = self.checked_app(team, &network.id, ask.app.as_deref())?;
        let purposes = check_purposes(kind, &ask.scopes, ask.purposes)?;
        check_facts(&network, &ask.facts)?;
        check_clocks(&ask.clocks, self.now())?;
        let refreshed = is_refreshed(kind, ask.refresh.is_some());
        let kind = kind.id.clone();
        Ok(Checked { network, kind, app, purposes, refreshed })
    }

    /// The app that is meant. That of another team is as good as none.
    pub(in crate::service) fn checked_app(
        &self,
        team: &TeamId,
        network: &NetworkId,
        app: Option<&str>,
    ) -> Result<AppId, Rejected> {
        let Some(name) = app else { return Ok(default_app()) };
        let serves = |app: &AppId| self.stored_app(network, app).is_ok_and(|stored| stored.app.serves(team));
        let known = name.parse().ok().filter(serves);
        known.ok_or_else(|| Rejected::AppNotFound { network: network.to_string(), app: name.to_owned() })
    }

    /// Who granted it. A person who is not known is told apart by the profile, else by the token itself, so that tokens of unknown
    /// persons are neither taken for one grant nor made to share one person's limits.
    fn person_of(&self, ask: &AddToken) -> String {
        if !ask.person.is_empty() {
            return ask.person.clone();
        }
        if !ask.profile.is_empty() {
            return format!("{UNKNOWN_PERSON}{}", ask.profile);
        }
        let hash = self.vault.mac_key("token fingerprint").sign(&[ask.access.expose().as_bytes()]);
        let id = u128::from_be_bytes(*hash.first_chunk().expect("a hash has 32 bytes"));
        format!("{UNKNOWN_PERSON}{UNKNOWN_PERSON}{id:032x}")
    }
}
