//! It is said which profiles are meant, and the tokens come into the team's pool.

use crate::base::clock::Timestamp;
use crate::base::ids::{ConnectionId, TeamId};
use crate::base::secret::Secret;
use crate::domain::connection::{Connection, Found, Profile, StageError, consent_of};
use crate::domain::networks::{Purposes, Renewal, TokenKind};
use crate::domain::token::Clocks;
use crate::service::Broker;
use crate::service::connect::redeem::Grant;
use crate::service::connect::{ConnectError, Visitor, keep::Wanted};
use crate::service::requests::Attempt;
use crate::service::tokens::AddToken;
use crate::store::StoredConnection;

impl Broker {
    /// Keeps the tokens of the chosen profiles; of a kind that speaks for the account itself, none is named.
    ///
    /// `text_version`: the text that the person agreed to, as the caller knows it.
    ///
    /// The tokens are kept together with the end of the connection, or none of them is: who ends it at the same time ends all of it.
    pub async fn complete_connection(
        &self,
        attempt: impl Into<Attempt<Connection>>,
        team: &TeamId,
        id: ConnectionId,
        profiles: &[String],
        text_version: &str,
    ) -> Result<Connection, ConnectError> {
        let attempt = attempt.into();
        let stored = self.stored_connection(team, id).await?;
        stored.connection.found(self.now())?;
        if stored.connection.text_version != text_version {
            return Err(ConnectError::OtherText { agreed: stored.connection.text_version });
        }
        self.complete(attempt, stored, profiles).await
    }

    /// As [`Broker::complete_connection`], by the browser that gave consent.
    pub async fn choose_profiles(
        &self,
        id: ConnectionId,
        visitor: &Visitor,
        profiles: Vec<String>,
    ) -> Result<Connection, ConnectError> {
        let stored = self.connection_in(id, visitor).await?;
        let (broker, caller) = (self.clone(), visitor.caller());
        let work = async move { broker.complete(Attempt::from(&caller), stored, &profiles).await };
        self.finish(work).await.unwrap_or(Err(ConnectError::Contended(id)))
    }

    async fn complete(
        &self,
        attempt: Attempt<Connection>,
        stored: StoredConnection,
        profiles: &[String],
    ) -> Result<Connection, ConnectError> {
        let connection = &stored.connection;
        let found = connection.found(self.now())?;
        self.must_not_have_left(connection).await?;
        let chosen = found.chosen(profiles)?;
        let unreadable =
            || ConnectError::Sealed("it was written by another version; start the connection again".to_owned());
        let grant = Grant::read(&self.open_for(&stored)?).ok_or_else(unreadable)?;
        if self.was_taken_back(connection, &found.person, &grant).await? {
            return Err(StageError::Ended("cancelled").into());
        }
        let wanted = self.wanted_tokens(connection, found, &chosen, &grant)?;
        let granter = self.member_of(connection).await?;
        let id = granter.as_ref().map(|member| member.id);
        if let Some(member) = granter {
            let account = (&connection.network, &*found.person);
            self.learn_account(&attempt.caller, member, account, connection.id).await?;
        }
        self.keep_connected(&attempt, &stored, id, &wanted).await
    }

    /// The tokens that a choice makes: one for each profile that has a token of its own, else one that speaks for all of them. The one that
    /// others are derived from is the last.
    fn wanted_tokens(
        &self,
        connection: &Connection,
        found: &Found,
        chosen: &[&Profile],
        grant: &Grant,
    ) -> Result<Vec<Wanted>, ConnectError> {
        let gone = || ConnectError::Sealed("its network left the catalogue".to_owned());
        let network = self.catalogue.network(connection.network.as_str()).ok_or_else(gone)?;
        let kind = network.kind(connection.kind.as_str()).ok_or_else(gone)?;
        let (granted, _) = consent_of(network, kind).map_err(|_| gone())?;
        let token = |of: &TokenKind, access: &str, label: &str| AddToken {
            network: network.id.to_string(),
            kind: of.id.to_string(),
            app: Some(connection.app.to_string()),
            person: found.person.clone(),
            profile: String::new(),
            label: label.to_owned(),
            granted_by: connection.granter.granted_by(),
            scopes: found.scopes.clone(),
            purposes: connection.purposes,
            facts: std::collections::BTreeMap::new(),
            max_leases: None,
            reserve_percent: None,
            clocks: clocks(of, grant),
            access: Secret::new(access.to_owned()),
            refresh: None,
        };
        if !matches!(kind.renewal, Renewal::Derived { .. }) {
            let label = chosen.first().map_or(&found.name, |profile| &profile.name);
            let mut one = token(kind, &grant.access, label);
            // A kind that is not renewed by one has no use for it.
            let is_used = matches!(kind.renewal, Renewal::RefreshToken { .. });
            one.refresh = grant.refresh.clone().filter(|_| is_used).map(Secret::new);
            return Ok(vec![Wanted {
                token: one,
                profiles: chosen.iter().map(|one| one.id.clone()).collect(),
                bond: grant.bond(),
            }]);
        }
        let own = |profile: &&Profile| {
            let access = grant.of_profiles.get(&profile.id)?;
            let one = token(kind, access, &profile.name);
            Some(Wanted { token: one, profiles: vec![profile.id.clone()], bond: None })
        };
        let mut wanted: Vec<_> = chosen.iter().filter_map(own).collect();
        if self.config.connections.keep_user_tokens {
            let mut parent = token(granted, &grant.access, &found.name);
            // It is kept to derive from: for no purpose of collecting.
            parent.purposes = derives(granted);
            wanted.push(Wanted { token: parent, profiles: Vec::new(), bond: grant.bond() });
        }
        Ok(wanted)
    }
}

/// The purposes of a token that is kept to derive others from.
fn derives(granted: &TokenKind) -> Purposes {
    use crate::domain::networks::Purpose;
    let kept = [Purpose::ListPages, Purpose::Validate];
    kept.into_iter().filter(|purpose| granted.scopes_for(*purpose).is_some()).collect()
}

fn clocks(kind: &TokenKind, grant: &Grant) -> Clocks {
    let derived = matches!(kind.renewal, Renewal::Derived { .. });
    let consented = Timestamp::from_micros(grant.consented_us);
    Clocks {
        access_expires_at: grant.access_ends_us.filter(|_| !derived).map(Timestamp::from_micros),
        refresh_expires_at: grant.refresh_ends_us.filter(|_| !derived).map(Timestamp::from_micros),
        data_access_expires_at: kind.data_access_validity.map(|life| consented + life),
        consented_at: Some(consented),
        refresh_end_fixed: grant.refresh_end_fixed && !derived,
    }
}
