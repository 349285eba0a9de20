//! Tokens are shown and listed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{IncidentId, KindId, NetworkId, TeamId, TokenId};
use crate::domain::pool::BucketView;
use crate::domain::probe::LastCheck;
use crate::domain::reach::{NeedsReconnecting, RetentionClock, needs_reconnecting, retention_clocks};
use crate::domain::renewal::is_mended_by_renewal;
use crate::domain::token::{EXPIRING_WITHIN, RENEWAL_GRACE, Reason, Status, Token, TokenState};
use crate::service::Broker;
use crate::service::tokens::{Rejected, TokenError, UNKNOWN_PERSON};
use crate::store::{EndsWhen, StoreError, TokenFilter};

/// An end that has come is before this much after now.
const TICK: Duration = Duration::from_micros(1);

/// How a token's state is shown: with what only its clocks and its pool know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownState {
    /// It may be leased.
    Live,
    /// It rests until a known time.
    Cooling,
    /// An answer was ambiguous; one probe decides.
    Suspect,
    /// A person switched it off.
    Paused,
    /// Its time is over.
    Expired,
    /// The network refused it.
    Invalid,
    /// It was revoked.
    Revoked,
}

/// What a token is to people at a glance. One of these holds of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Light {
    /// Its time is over, or it does not work any more.
    Dead,
    /// It ends within [`EXPIRING_WITHIN`].
    Expiring,
    /// It works, and its end is far.
    Valid,
    /// It works, and has no end.
    NoExpiry,
    /// A person switched it off.
    Paused,
    /// It was given back.
    Revoked,
}

impl Light {
    /// All of them, what asks for action first.
    pub const ALL: [Light; 6] =
        [Light::Dead, Light::Expiring, Light::Valid, Light::NoExpiry, Light::Paused, Light::Revoked];

    /// The name used in addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Light::Dead => "dead",
            Light::Expiring => "expiring",
            Light::Valid => "valid",
            Light::NoExpiry => "no_expiry",
            Light::Paused => "paused",
            Light::Revoked => "revoked",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Light> {
        Light::ALL.into_iter().find(|light| light.as_str() == name)
    }

    /// What a token is at `now`.
    pub fn of(token: &Token, now: Timestamp) -> Light {
        match (token.state, token.status(now)) {
            (TokenState::Revoked { .. }, _) => Light::Revoked,
            (TokenState::Paused { .. }, _) => Light::Paused,
            (_, Status::Expired) => Light::Dead,
            (_, Status::Expiring) => Light::Expiring,
            (_, Status::Valid) => Light::Valid,
            (_, Status::NoExpiry) => Light::NoExpiry,
        }
    }
}

/// A token with what its pool knows of it.
#[derive(Debug, Clone)]
pub struct TokenView {
    /// The token. A person who is not known is empty.
    pub token: Token,
    /// How its state is shown.
    pub state: ShownState,
    /// How its validity is shown.
    pub status: Status,
    /// It rests until then.
    pub cooling_until: Option<Timestamp>,
    /// The open incident for which it rests.
    pub rests_for: Option<IncidentId>,
    /// Leases on it.
    pub active_leases: usize,
    /// It works, but a person must connect it again: the most pressing reason.
    pub needs_reconnecting: Option<NeedsReconnecting>,
    /// No renewal is of use: only its person can mend it, or keep it from ending soon.
    pub connect_again: bool,
    /// What the terms of its network ask for, and by when, unless it is valid again.
    pub retention: Vec<RetentionClock>,
    /// The last check of it, where one token is shown.
    pub check: Option<LastCheck>,
}

/// Which tokens to list. What is set must hold.
#[derive(Debug, Clone, Default)]
pub struct TokenListFilter {
    /// Of this team; `None`: of all.
    pub team: Option<TeamId>,
    /// Of this network.
    pub network: Option<NetworkId>,
    /// Of this kind.
    pub kind: Option<KindId>,
    /// Of this status.
    pub status: Option<Status>,
    /// Speaking for this profile.
    pub profile: Option<String>,
    /// In this state.
    pub state: Option<ShownState>,
    /// Only those that work and that a person must connect again.
    pub needs_reconnecting: bool,
    /// What they are at a glance. Not together with a status or a state.
    pub light: Option<Light>,
    /// Not those that were given back.
    pub held: bool,
    /// With this text in the label, the person, the granter, or the profiles and their names.
    pub text: Option<String>,
}

impl Broker {
    /// One token, with the books of its buckets.
    pub async fn show_token(&self, team: &TeamId, id: TokenId) -> Result<(TokenView, Vec<BucketView>), TokenError> {
        let token = self.stored_token(team, id).await?.token;
        let buckets = self.books_of(&token);
        let check = self.store.find_check(id).await?;
        Ok((TokenView { check, ..self.view_token(token) }, buckets))
    }

    /// Those of these tokens that the team has.
    pub async fn find_tokens(
        &self,
        team: &TeamId,
        ids: &[TokenId],
    ) -> Result<BTreeMap<TokenId, TokenView>, StoreError> {
        let found = self.store.find_tokens(ids).await?.into_iter().filter(|token| token.team == *team);
        Ok(found.map(|token| (token.id, self.view_token(token))).collect())
    }

    /// The books of a token's buckets, as its pool keeps them.
    pub fn books_of(&self, token: &Token) -> Vec<BucketView> {
        self.engine.look(&token.network, |pool| pool.token_buckets(token.id)).unwrap_or_default()
    }

    /// At most `limit` tokens after `after` (the last one of the page before), and whether there are more: team by team, each team's
    /// in the order in which they were added.
    pub async fn list_tokens(
        &self,
        filter: &TokenListFilter,
        after: Option<(TeamId, TokenId)>,
        limit: u32,
    ) -> Result<(Vec<TokenView>, bool), TokenError> {
        if let Some(network) = &filter.network
            && self.catalogue.network(network.as_str()).is_none()
        {
            return Err(Rejected::UnknownNetwork(network.to_string()).into());
        }
        let teams = match &filter.team {
            Some(team) => vec![self.directory.team(team).ok_or_else(|| TokenError::TeamNotFound(team.clone()))?],
            None => self.directory.teams(),
        };
        let wanted = limit as usize + 1;
        let mut found = Vec::new();
        for team in teams.iter().filter(|team| after.as_ref().is_none_or(|(last, _)| team.id >= *last)) {
            let after = after.as_ref().filter(|(last, _)| *last == team.id).map(|(_, token)| *token);
            self.list_of_team(&team.id, filter, after, wanted, &mut found).await?;
            if found.len() >= wanted {
                break;
            }
        }
        let more = found.len() >= wanted;
        found.truncate(limit as usize);
        Ok((found, more))
    }

    /// How many tokens of a team, as `filter` wants them whatever their light, are what at a glance.
    pub async fn count_lights(
        &self,
        team: &TeamId,
        filter: &TokenListFilter,
    ) -> Result<BTreeMap<Light, u64>, StoreError> {
        let mut counts: BTreeMap<Light, u64> = Light::ALL.into_iter().map(|light| (light, 0)).collect();
        let all = TokenListFilter { light: None, held: false, ..filter.clone() };
        let over = self.now() + TICK;
        for part in self.store_filters(&all) {
            for (state, ends, count) in self.store.count_by_end(team, part, (over, over + EXPIRING_WITHIN)).await? {
                *counts.entry(light_of(&state, ends)).or_default() += count;
            }
        }
        Ok(counts)
    }

    /// Reads on until there are `wanted`, or no more.
    async fn list_of_team(
        &self,
        team: &TeamId,
        filter: &TokenListFilter,
        mut after: Option<TokenId>,
        wanted: usize,
        found: &mut Vec<TokenView>,
    ) -> Result<(), StoreError> {
        let parts = self.store_filters(filter);
        let batch = u32::try_from(wanted).unwrap_or(u32::MAX);
        while found.len() < wanted {
            let mut tokens = Vec::new();
            let mut complete_to = None;
            for part in &parts {
                let part = TokenFilter { after, ..part.clone() };
                let read = self.store.list_tokens(team, part, batch).await?;
                if read.len() == batch as usize {
                    // Of this part there may be more, behind its last one: no other part is believed any further.
                    let last = read.last().map(|token| token.id);
                    complete_to = complete_to.map_or(last, |known: TokenId| last.map(|last| last.min(known)));
                }
                tokens.extend(read);
            }
            tokens.retain(|token| complete_to.is_none_or(|last| token.id <= last));
            tokens.sort_by_key(|token| token.id);
            let fits = |view: &TokenView| {
                filter.state.is_none_or(|state| view.state == state)
                    && filter.status.is_none_or(|status| view.status == status)
                    && (!filter.needs_reconnecting || view.needs_reconnecting.is_some())
            };
            found.extend(tokens.into_iter().map(|token| self.view_token(token)).filter(fits));
            match complete_to {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// The filter as the store can judge it: parts that exclude each other. What is left to judge is judged on what was read.
    fn store_filters(&self, filter: &TokenListFilter) -> Vec<TokenFilter> {
        let over = self.now() + TICK;
        let base = TokenFilter {
            overdue_before: Some(over - RENEWAL_GRACE),
            network: filter.network.clone(),
            kind: filter.kind.clone(),
            profile: filter.profile.clone(),
            text: filter.text.clone(),
            not_states: if filter.held { &["revoked"] } else { &[] },
            ..TokenFilter::default()
        };
        let of_state = |state| TokenFilter { state: Some(state), ..base.clone() };
        let soon = over + EXPIRING_WITHIN;
        let alive = TokenFilter { not_states: &["invalid", "revoked"], ..base.clone() };
        let at_work = TokenFilter { not_states: &["invalid", "revoked", "paused"], ..base.clone() };
        match filter.light {
            None => {}
            Some(Light::Revoked) => return vec![of_state("revoked")],
            Some(Light::Paused) => return vec![of_state("paused")],
            Some(Light::Dead) => return vec![of_state("invalid"), TokenFilter { ends_before: Some(over), ..at_work }],
            Some(Light::Expiring) => {
                return vec![TokenFilter { ends_from: Some(over), ends_before: Some(soon), ..at_work }];
            }
            Some(Light::Valid) => return vec![TokenFilter { ends_from: Some(soon), ..at_work }],
            Some(Light::NoExpiry) => return vec![TokenFilter { endless: Some(true), ..at_work }],
        }
        match (filter.state, filter.status) {
            (Some(ShownState::Live | ShownState::Cooling), _) => vec![of_state("live")],
            (Some(ShownState::Suspect), _) => vec![of_state("suspect")],
            (Some(ShownState::Paused), _) => vec![of_state("paused")],
            (Some(ShownState::Invalid), _) => vec![of_state("invalid")],
            (Some(ShownState::Revoked), _) => vec![of_state("revoked")],
            (Some(ShownState::Expired), _) => {
                let ended = |state| TokenFilter { ends_before: Some(over), ..of_state(state) };
                vec![of_state("invalid"), ended("live"), ended("suspect")]
            }
            (None, Some(Status::Expired)) => {
                let ended = TokenFilter { ends_before: Some(over), ..alive };
                vec![of_state("invalid"), of_state("revoked"), ended]
            }
            (None, Some(Status::Expiring)) => {
                vec![TokenFilter { ends_from: Some(over), ends_before: Some(soon), ..alive }]
            }
            (None, Some(Status::Valid)) => vec![TokenFilter { ends_from: Some(soon), ..alive }],
            (None, Some(Status::NoExpiry)) => vec![TokenFilter { endless: Some(true), ..alive }],
            (None, None) => vec![base],
        }
    }

    /// A token with what its pool knows of it.
    pub(in crate::service) fn view_token(&self, mut token: Token) -> TokenView {
        let now = self.now();
        let held = self.engine.look(&token.network, |pool| pool.token(token.id)).flatten();
        let cooling = held.and_then(|held| held.cooling_until).max(token.cooling_until).filter(|until| *until > now);
        if token.person.starts_with(UNKNOWN_PERSON) {
            token.person.clear();
        }
        let network = self.catalogue.network(token.network.as_str());
        let kind = network.and_then(|network| network.kind(token.kind.as_str()));
        let needs_reconnecting =
            network.and_then(|network| needs_reconnecting(network, &token, now).into_iter().next());
        let is_renewed = kind.is_some_and(|kind| is_mended_by_renewal(kind, &token, now));
        let rests = held.is_some_and(|held| held.rests);
        TokenView {
            rests_for: self.incident_of_resting(&token).filter(|_| rests),
            connect_again: needs_reconnecting.is_some() || !is_renewed,
            needs_reconnecting,
            retention: network.map(|network| retention_clocks(network, &token, now)).unwrap_or_default(),
            state: shown_state(&token, cooling, now),
            status: token.status(now),
            cooling_until: cooling,
            active_leases: held.map_or(0, |held| held.leases),
            check: None,
            token,
        }
    }
}

/// What tokens of a state that end then are at a glance.
fn light_of(state: &str, ends: EndsWhen) -> Light {
    match (state, ends) {
        ("revoked", _) => Light::Revoked,
        ("paused", _) => Light::Paused,
        ("invalid", _) | (_, EndsWhen::BeforeNear) => Light::Dead,
        (_, EndsWhen::BeforeFar) => Light::Expiring,
        (_, EndsWhen::Later) => Light::Valid,
        (_, EndsWhen::Never) => Light::NoExpiry,
    }
}

fn shown_state(token: &Token, cooling: Option<Timestamp>, now: Timestamp) -> ShownState {
    match token.state {
        TokenState::Revoked { .. } => ShownState::Revoked,
        TokenState::Invalid { reason: Reason::Expired, .. } => ShownState::Expired,
        TokenState::Invalid { .. } => ShownState::Invalid,
        TokenState::Paused { .. } => ShownState::Paused,
        _ if token.ended_by(now).is_some_and(|end| end <= now) => ShownState::Expired,
        TokenState::Suspect { .. } => ShownState::Suspect,
        TokenState::Live if cooling.is_some() => ShownState::Cooling,
        TokenState::Live => ShownState::Live,
    }
}
