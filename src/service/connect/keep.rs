//! A token that was granted in a browser is kept: as a new one, or as new secrets of the one that stands for the same grant.
//!
//! One grant of one team is one record, by whichever member it is given and however often. Another team that is given the same has a record
//! of its own, which draws from the same person's and profile's limits: the network keeps these by account, and so do the pools.

use std::sync::Arc;

use crate::base::ids::{EventId, KindId, MemberId, TokenId};
use crate::domain::connection::{Connection, Stage};
use crate::domain::consent::Consent;
use crate::domain::networks::{Purposes, Renewal};
use crate::domain::notice::{Event, Fact};
use crate::domain::token::{Token, TokenState, TransitionError};
use crate::outbound::oauth::Bond;
use crate::service::connect::{ConnectError, name_of};
use crate::service::requests::Attempt;
use crate::service::tokens::{ATTEMPTS, AddToken, TokenError, UNKNOWN_PERSON};
use crate::service::{Broker, Caller};
use crate::store::{
    ConnectedToken, ConnectionStep, KeepError, NewToken, SealedSecrets, StoreError, StoredConnection, StoredToken,
    TokenChange, TokenChangeError, TokenFilter, Trail,
};

/// A token that a connection makes.
pub(super) struct Wanted {
    /// What is known of it.
    pub token: AddToken,
    /// The profiles that it speaks for.
    pub profiles: Vec<String>,
    /// The key that it is bound to.
    pub bond: Option<Arc<Bond>>,
}

/// A token that a connection makes, as it would be if the team did not hold it.
struct Made<'a> {
    wanted: &'a Wanted,
    new: StoredToken,
    agreed: Consent,
}

/// A token that is about to be kept, and what is taken into memory once it is.
struct Keeping {
    token: Token,
    access: Vec<u8>,
    kept: ConnectedToken,
}

impl Broker {
    /// Ends a connection with its tokens, each with what its person agreed to: durably and all at once, then they are put into their pools.
    /// `granter`: the member who gave consent.
    pub(super) async fn keep_connected(
        &self,
        attempt: &Attempt<Connection>,
        stored: &StoredConnection,
        granter: Option<MemberId>,
        wanted: &[Wanted],
    ) -> Result<Connection, ConnectError> {
        let (connection, caller) = (&stored.connection, &attempt.caller);
        let made = wanted.iter().map(|wanted| self.made(connection, granter, wanted)).collect::<Result<Vec<_>, _>>()?;
        for _ in 0..ATTEMPTS {
            let held = self.held_tokens(connection, &made).await?;
            let ids: Vec<TokenId> =
                made.iter().zip(&held).map(|(one, held)| held.unwrap_or(one.new.token.id)).collect();
            let _changes = self.changes.several_tokens(&ids).await;
            let _given = self.changes.given_refresh.lock().await;
            let mut keeping = Vec::with_capacity(made.len());
            // The one that others are derived from comes first: it makes those due that the team holds already.
            for (one, held) in made.iter().zip(held).rev() {
                keeping.push(match held {
                    Some(id) => self.healing(caller, connection, one, id).await?,
                    None => self.adding(caller, connection, one).await?,
                });
            }
            let next = connection.clone().connect(ids, self.now());
            let audit = self.connection_audit(caller, "connection.complete", &next);
            let trail = attempt.trail(audit, &next);
            let settled = StoredConnection { connection: next.clone(), sealed: None, ..stored.clone() };
            let step = ConnectionStep { stored: settled, gives_back: None, trail };
            let (tokens, taken): (Vec<_>, Vec<_>) =
                keeping.into_iter().map(|one| (one.kept, (one.token, one.access))).unzip();
            match self.store.keep_connected(step, tokens).await {
                Ok(ended) => {
                    for ((token, access), ended) in taken.into_iter().zip(ended) {
                        self.take_in(&token, access);
                        self.tell_dead_span(&token, ended);
                    }
                    return Ok(next);
                }
                // What was decided on changed meanwhile: it is decided anew.
                Err(KeepError::Held | KeepError::Token(TokenChangeError::Changed { .. })) => {}
                Err(KeepError::Connection) => break,
                Err(KeepError::Token(error)) => return Err(self.not_kept(error, connection, &made).await),
            }
        }
        Err(ConnectError::Contended(connection.id))
    }

    fn made<'a>(
        &self,
        connection: &Connection,
        granter: Option<MemberId>,
        wanted: &'a Wanted,
    ) -> Result<Made<'a>, ConnectError> {
        let mut new = self.unsealed_token(&connection.team, &wanted.token)?;
        new.token.profiles.clone_from(&wanted.profiles);
        if let (true, Some(profile)) = (wanted.token.person.is_empty(), wanted.profiles.first()) {
            // Persons who are not known are told apart by what they connect.
            new.token.person = format!("{UNKNOWN_PERSON}{profile}");
        }
        let agreed = Consent {
            token: new.token.id,
            at: new.token.clocks.consented_at.unwrap_or_else(|| self.now()),
            purposes: new.token.purposes,
            withdrawn: Purposes::default(),
            text_version: connection.text_version.clone(),
            member: granter,
        };
        Ok(Made { wanted, new, agreed })
    }

    /// For each token the one that the team holds in its place. That which is to be healed takes the place of its own profiles, else the first.
    async fn held_tokens(
        &self,
        connection: &Connection,
        made: &[Made<'_>],
    ) -> Result<Vec<Option<TokenId>>, ConnectError> {
        let mut held = Vec::with_capacity(made.len());
        for one in made {
            held.push(self.same_grant(connection, &one.new.token).await?);
        }
        if connection.token.is_some()
            && !held.contains(&connection.token)
            && let Some(first) = held.first_mut()
        {
            *first = connection.token;
        }
        Ok(held)
    }

    /// The token of the team that stands for the same grant: of the same profiles, or, where the person's own token speaks for whatever
    /// was chosen, of the same person.
    async fn same_grant(&self, connection: &Connection, token: &Token) -> Result<Option<TokenId>, StoreError> {
        let held = self.held_of(connection, &token.kind, &token.person).await?;
        let kind = self.catalogue.network(token.network.as_str()).and_then(|of| of.kind(token.kind.as_str()));
        let derived = kind.is_some_and(|kind| matches!(kind.renewal, Renewal::Derived { .. }));
        let mut same = held.iter().filter(|other| other.profiles == token.profiles);
        let of_person = || held.first().filter(|_| !derived);
        if let Some(held) = same.next().or_else(of_person) {
            return Ok(Some(held.id));
        }
        // A grant whose person was not told yet is known by what was connected with it.
        for profile in &token.profiles {
            let held = self.held_of(connection, &token.kind, &format!("{UNKNOWN_PERSON}{profile}")).await?;
            if let Some(held) = held.first() {
                return Ok(Some(held.id));
            }
        }
        Ok(None)
    }

    /// The tokens of a person that the team holds of the connection's app.
    async fn held_of(&self, connection: &Connection, kind: &KindId, person: &str) -> Result<Vec<Token>, StoreError> {
        let filter = TokenFilter {
            network: Some(connection.network.clone()),
            app: Some(connection.app.clone()),
            kind: Some(kind.clone()),
            person: Some(person.to_owned()),
            not_states: &["revoked"],
            ..TokenFilter::default()
        };
        self.store.list_tokens(&connection.team, filter, 1_000).await
    }

    /// The profiles that stay connected whatever is chosen: those that the token that would be healed speaks for, where the person can act for
    /// them still.
    pub async fn profiles_that_stay(&self, connection: &Connection) -> Result<Vec<String>, ConnectError> {
        let Stage::Choosing(found) = &connection.stage else { return Ok(Vec::new()) };
        let held = match connection.token {
            Some(id) => self.store.find_token(id).await?.map(|held| held.token),
            None if found.person.is_empty() => None,
            None => self.held_of(connection, &connection.kind, &found.person).await?.into_iter().next(),
        };
        Ok(held.map(|held| self.staying(connection, &held)).unwrap_or_default())
    }

    fn staying(&self, connection: &Connection, held: &Token) -> Vec<String> {
        let network = self.catalogue.network(connection.network.as_str());
        let kind = network.and_then(|network| network.kind(held.kind.as_str()));
        // A token of a profile of its own speaks for that one.
        let of_many = kind.is_some_and(|kind| !matches!(kind.renewal, Renewal::Derived { .. }));
        match &connection.stage {
            Stage::Choosing(found) if of_many => found.staying(&held.profiles),
            _ => Vec::new(),
        }
    }

    /// A token that is held, with its new secrets.
    async fn healing(
        &self,
        caller: &Caller,
        connection: &Connection,
        Made { wanted, new, agreed }: &Made<'_>,
        id: TokenId,
    ) -> Result<Keeping, ConnectError> {
        let given = &wanted.token;
        let stored = self.stored_token(&connection.team, id).await?;
        let mut token = healed(&stored.token, &new.token);
        let kept = self.keep_refresh(&stored, &mut token, given.refresh.as_ref());
        let before = stored.token;
        let staying = self.staying(connection, &before);
        token.profiles.extend(staying.into_iter().filter(|id| !new.token.profiles.contains(id)));
        let refresh = given.refresh.as_ref().or(kept.as_ref());
        let sealed = self.seal_token(&token, &given.access, refresh, wanted.bond.as_deref())?;
        let access = sealed.access.clone();
        let given_refresh = given.refresh.as_ref().map(|refresh| self.refresh_hash(refresh));
        self.must_hold_alone(&token, given_refresh).await?;
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
        Ok(Keeping { token, access, kept: ConnectedToken::Healed(Box::new(change), consent) })
    }

    /// A token that is new.
    async fn adding(
        &self,
        caller: &Caller,
        connection: &Connection,
        Made { wanted, new, agreed }: &Made<'_>,
    ) -> Result<Keeping, ConnectError> {
        let (given, token) = (&wanted.token, new.token.clone());
        let sealed = self.seal_token(&token, &given.access, given.refresh.as_ref(), wanted.bond.as_deref())?;
        let access = sealed.access.clone();
        let mut audit = self.token_added(caller, &token);
        audit.action = "token.connect";
        audit.detail = format!("{} {}", audit.detail, kept_by(connection));
        let given_refresh = given.refresh.as_ref().map(|refresh| self.refresh_hash(refresh));
        self.must_hold_alone(&token, given_refresh).await?;
        let trail = Trail::from(audit).telling([self.connected_event(connection, &token, false)]);
        let stored = sealed.stored_with(token.clone());
        let kept = NewToken { stored, given_refresh, consent: Some(agreed.clone()), trail };
        Ok(Keeping { token, access, kept: ConnectedToken::New(Box::new(kept)) })
    }

    /// Why a token that was to be healed was not.
    async fn not_kept(&self, error: TokenChangeError, connection: &Connection, made: &[Made<'_>]) -> ConnectError {
        let team = connection.team.clone();
        match error {
            TokenChangeError::Duplicate => self.held_already(connection, made).await.unwrap_or_else(|error| error),
            TokenChangeError::Store(error) => error.into(),
            TokenChangeError::Revoked(_) => TransitionError::Revoked.into(),
            TokenChangeError::NotFound(token) => TokenError::NotFound { team, token }.into(),
            TokenChangeError::Changed { token, .. } => TokenError::Contended(token).into(),
        }
    }

    /// Whoever gave consent has another token of the same profile: it names that one.
    async fn held_already(&self, connection: &Connection, made: &[Made<'_>]) -> Result<ConnectError, ConnectError> {
        for one in made {
            let other = self.same_grant(connection, &one.new.token).await?;
            if let Some(token) = other.filter(|id| Some(*id) != connection.token) {
                return Ok(TokenError::Exists { team: connection.team.clone(), token }.into());
            }
        }
        Ok(ConnectError::Contended(connection.id))
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
        // New secrets lift no block.
        blocked_since: held.blocked_since,
        created_at: held.created_at,
        version: held.version + 1,
        ..new.clone()
    }
}
