//! Tokens: grants that people gave, with their states and clocks.
//!
//! `live → suspect → live | invalid`, `live ⇄ paused`, and from any of them to `expired`, `invalid` or `revoked`. A token that is
//! revoked stays so; one that is expired or invalid lives again only by being connected anew.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, KindId, NetworkId, OperationId, TeamId, TokenId};
use crate::domain::networks::Purposes;

/// A grant held by the broker. Its secrets are kept apart, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// The team that owns it.
    pub team: TeamId,
    /// The network that issued it.
    pub network: NetworkId,
    /// The app through which it was granted.
    pub app: AppId,
    /// Its kind at the network.
    pub kind: KindId,
    /// The granting person's id at the network; several tokens of one person share that person's limits.
    pub person: String,
    /// The ids of the profiles it speaks for.
    pub profiles: Vec<String>,
    /// A name for people.
    pub label: String,
    /// The member of the team who granted it, as the team names them; empty: not known.
    pub granted_by: String,
    /// The scopes that were granted.
    pub scopes: Vec<String>,
    /// What the person agreed to.
    pub purposes: Purposes,
    /// Facts that limits are computed from (`engaged_users`).
    pub facts: BTreeMap<String, u64>,
    /// The owner's reserve in percent of each limit; `None`: the team's, else the network's.
    pub reserve_percent: Option<u8>,
    /// How many leases may hold it at once; `None`: as configured.
    pub max_leases: Option<u32>,
    /// Whether and why it may be leased.
    pub state: TokenState,
    /// Its clocks.
    pub clocks: Clocks,
    /// Whether its access token is renewed by a refresh token that is held here.
    pub refreshed: bool,
    /// It must not be used before this time.
    pub cooling_until: Option<Timestamp>,
    /// Operations that the network refused it for want of a permission, each since when. All others work. Connecting again, or stating
    /// its scopes anew, opens them.
    pub closed: BTreeMap<OperationId, Timestamp>,
    /// Since when its network blocks the account for abuse of its rules; `None`: it does not. A call that is served ends it.
    pub blocked_since: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
    /// Raised by one with each change of its secrets; bound into their sealing.
    pub version: u32,
}

/// The times at which a token, or a part of what it permits, ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clocks {
    /// The access token's end.
    pub access_expires_at: Option<Timestamp>,
    /// The refresh token's end.
    pub refresh_expires_at: Option<Timestamp>,
    /// The end of access to data, counted from when the person was last active.
    pub data_access_expires_at: Option<Timestamp>,
    /// When the person agreed.
    pub consented_at: Option<Timestamp>,
    /// Whether the network told the refresh token's end, and the token stays: using it does not move that end.
    pub refresh_end_fixed: bool,
}

/// Ends that are told with less than this between them are one: clocks differ, and answers take their time.
const SAME_END_WITHIN: Duration = Duration::from_secs(120);

/// Whether two ends are the same one, told at different times.
pub fn is_same_end(one: Timestamp, other: Timestamp) -> bool {
    one.since(other).max(other.since(one)) < SAME_END_WITHIN
}

impl Clocks {
    /// These clocks, in which an end that was known `before` stays as it was known. A network that tells the remaining life moves the end a
    /// little each time it is asked, and people are told of it once.
    pub fn keeping_ends(self, before: Clocks) -> Clocks {
        let kept = |told: Option<Timestamp>, known: Option<Timestamp>| match (told, known) {
            (Some(told), Some(known)) if is_same_end(told, known) => Some(known),
            (told, _) => told,
        };
        let refresh_expires_at = kept(self.refresh_expires_at, before.refresh_expires_at);
        Clocks {
            access_expires_at: kept(self.access_expires_at, before.access_expires_at),
            refresh_expires_at,
            data_access_expires_at: kept(self.data_access_expires_at, before.data_access_expires_at),
            consented_at: self.consented_at,
            refresh_end_fixed: self.refresh_end_fixed
                || (before.refresh_end_fixed && refresh_expires_at == before.refresh_expires_at),
        }
    }
}

/// Whether a token may be leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// It may.
    Live,
    /// An ambiguous error was reported; one probe decides.
    Suspect {
        /// Since when.
        since: Timestamp,
    },
    /// A person switched it off for a while.
    Paused {
        /// Since when.
        since: Timestamp,
    },
    /// It does not work any more, for this reason.
    Invalid {
        /// Why.
        reason: Reason,
        /// Since when.
        since: Timestamp,
    },
    /// It was given back; it never lives again.
    Revoked {
        /// Since when.
        since: Timestamp,
    },
}

/// Why a token does not work any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its time is over.
    Expired,
    /// The person changed the password.
    PasswordChanged,
    /// The person lost a permission or role, or it was withdrawn.
    PermissionLost,
    /// The person removed the app.
    RevokedByPerson,
    /// The person is blocked, locked or must act at the network.
    PersonBlocked,
    /// The network disabled the app.
    AppDisabled,
    /// The network reset its tokens.
    PlatformReset,
    /// The network refused to renew it.
    RefreshRejected,
    /// The network does not accept it, again and again, and does not say why.
    NotAccepted,
    /// Its stored secret was changed outside the broker, or its key is damaged: it does not open any more.
    SecretDamaged,
}

impl Reason {
    /// Whether it is one cause that ends many tokens at once.
    pub const fn hits_many(self) -> bool {
        matches!(self, Reason::PlatformReset | Reason::AppDisabled)
    }

    /// All reasons.
    pub const ALL: [Reason; 10] = [
        Reason::Expired,
        Reason::PasswordChanged,
        Reason::PermissionLost,
        Reason::RevokedByPerson,
        Reason::PersonBlocked,
        Reason::AppDisabled,
        Reason::PlatformReset,
        Reason::RefreshRejected,
        Reason::NotAccepted,
        Reason::SecretDamaged,
    ];

    /// The name used in SQL and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Expired => "expired",
            Reason::PasswordChanged => "password_changed",
            Reason::PermissionLost => "permission_lost",
            Reason::RevokedByPerson => "revoked_by_person",
            Reason::PersonBlocked => "person_blocked",
            Reason::AppDisabled => "app_disabled",
            Reason::PlatformReset => "platform_reset",
            Reason::RefreshRejected => "refresh_rejected",
            Reason::NotAccepted => "not_accepted",
            Reason::SecretDamaged => "secret_damaged",
        }
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// What was found out about a token by using it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// An error that may mean its end.
    Doubtful,
    /// A call was served.
    Working,
    /// The network said that it does not work any more, or refused it again when it was in doubt.
    Dead(Reason),
    /// It works, but a permission for this operation is missing: its place in the catalogue's entry of the network.
    Closed(u16),
    /// The network blocks the account for a while.
    Blocked,
    /// A call was served, and the account is blocked no more.
    Unblocked,
}

/// A change that the token's state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    /// The token was revoked.
    #[error("the token was revoked and can't be used again; connect the account anew")]
    Revoked,
    /// The token does not work any more.
    #[error("the token is invalid ({}); connect the account anew", .0.as_str())]
    Invalid(Reason),
}

impl TokenState {
    /// The name used in SQL, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            TokenState::Live => "live",
            TokenState::Suspect { .. } => "suspect",
            TokenState::Paused { .. } => "paused",
            TokenState::Invalid { .. } => "invalid",
            TokenState::Revoked { .. } => "revoked",
        }
    }

    /// Switches off for a while. Pausing a paused token changes nothing.
    pub fn pause(self, now: Timestamp) -> Result<TokenState, TransitionError> {
        match self {
            TokenState::Live | TokenState::Suspect { .. } => Ok(TokenState::Paused { since: now }),
            TokenState::Paused { .. } => Ok(self),
            TokenState::Invalid { reason, .. } => Err(TransitionError::Invalid(reason)),
            TokenState::Revoked { .. } => Err(TransitionError::Revoked),
        }
    }

    /// Switches on again. Resuming a live token changes nothing; a suspect one stays suspect.
    pub fn resume(self) -> Result<TokenState, TransitionError> {
        match self {
            TokenState::Paused { .. } => Ok(TokenState::Live),
            TokenState::Live | TokenState::Suspect { .. } => Ok(self),
            TokenState::Invalid { reason, .. } => Err(TransitionError::Invalid(reason)),
            TokenState::Revoked { .. } => Err(TransitionError::Revoked),
        }
    }

    /// An ambiguous error was seen. Only a live token becomes suspect.
    pub fn doubt(self, now: Timestamp) -> TokenState {
        match self {
            TokenState::Live => TokenState::Suspect { since: now },
            other => other,
        }
    }

    /// A call proved that it works. Only a suspect token is changed.
    pub fn trust(self) -> TokenState {
        match self {
            TokenState::Suspect { .. } => TokenState::Live,
            other => other,
        }
    }

    /// It does not work any more. The first reason stays, and a revoked token stays revoked.
    pub fn invalidate(self, reason: Reason, now: Timestamp) -> TokenState {
        match self {
            TokenState::Invalid { .. } | TokenState::Revoked { .. } => self,
            _ => TokenState::Invalid { reason, since: now },
        }
    }

    /// The state after something was found out. It never undoes what a person decided.
    pub fn after(self, finding: Finding, now: Timestamp) -> TokenState {
        match finding {
            Finding::Doubtful => self.doubt(now),
            Finding::Working => self.trust(),
            Finding::Dead(reason) => self.invalidate(reason, now),
            Finding::Closed(_) | Finding::Blocked | Finding::Unblocked => self,
        }
    }

    /// It was given back. Final; revoking twice changes nothing.
    pub fn revoke(self, now: Timestamp) -> TokenState {
        match self {
            TokenState::Revoked { .. } => self,
            _ => TokenState::Revoked { since: now },
        }
    }
}

/// How a token's life is shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Expired, invalid or revoked.
    Expired,
    /// Its first clock ends within seven days.
    Expiring,
    /// It works.
    Valid,
    /// It works, and no clock will end it.
    NoExpiry,
}

/// What renews itself is called expired only so long after its access token's end: until then it is tried again.
pub const RENEWAL_GRACE: Duration = Duration::from_secs(3600);

/// How long before its end a token is shown as expiring.
pub const EXPIRING_WITHIN: Duration = Duration::from_secs(7 * 24 * 3600);

impl Token {
    /// When the first clock that a renewal can't turn back ends: the refresh token's if it is known, else the access token's,
    /// and never later than the end of access to data. While it works, a token that is refreshed has no end by its access token.
    pub fn ends_at(&self) -> Option<Timestamp> {
        if self.is_prolonged() { self.clocks.data_access_expires_at } else { self.serves_until() }
    }

    /// The same, as it stands `now`: an access token's end that no renewal has turned back in time is one.
    pub fn ended_by(&self, now: Timestamp) -> Option<Timestamp> {
        let overdue = self.clocks.access_expires_at.is_some_and(|end| end + RENEWAL_GRACE <= now);
        if overdue { self.serves_until() } else { self.ends_at() }
    }

    /// Whether renewals turn its end back again and again.
    fn is_prolonged(&self) -> bool {
        let works = matches!(self.state, TokenState::Live | TokenState::Suspect { .. } | TokenState::Paused { .. });
        self.refreshed && works && self.clocks.refresh_expires_at.is_none()
    }

    /// Until when what is held serves, if the network renews nothing more.
    pub fn serves_until(&self) -> Option<Timestamp> {
        let grant = self.clocks.refresh_expires_at.or(self.clocks.access_expires_at);
        [grant, self.clocks.data_access_expires_at].into_iter().flatten().min()
    }

    /// Its status for people.
    pub fn status(&self, now: Timestamp) -> Status {
        if matches!(self.state, TokenState::Invalid { .. } | TokenState::Revoked { .. }) {
            return Status::Expired;
        }
        match self.ended_by(now) {
            None => Status::NoExpiry,
            Some(end) if end <= now => Status::Expired,
            Some(end) if end <= now + EXPIRING_WITHIN => Status::Expiring,
            Some(_) => Status::Valid,
        }
    }

    /// Whether its access token can be used at `now`, as far as its state and clocks tell.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        let alive = |clock: Option<Timestamp>| clock.is_none_or(|end| end > now);
        self.state == TokenState::Live
            && alive(self.clocks.access_expires_at)
            && alive(self.clocks.data_access_expires_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    #[test]
    fn revoked_is_final() {
        let revoked = TokenState::Live.revoke(NOW);
        assert_eq!(revoked.pause(NOW), Err(TransitionError::Revoked));
        assert_eq!(revoked.resume(), Err(TransitionError::Revoked));
        assert_eq!(revoked.invalidate(Reason::Expired, NOW), revoked);
        assert_eq!(revoked.doubt(NOW).trust(), revoked);
    }

    #[test]
    fn the_first_reason_stays() {
        let invalid = TokenState::Live.invalidate(Reason::PasswordChanged, NOW);
        assert_eq!(invalid.invalidate(Reason::Expired, NOW), invalid);
        assert_eq!(invalid.resume(), Err(TransitionError::Invalid(Reason::PasswordChanged)));
    }

    #[test]
    fn a_doubt_is_settled_by_trust_or_a_reason() {
        let suspect = TokenState::Live.doubt(NOW);
        assert_eq!(suspect.trust(), TokenState::Live);
        assert_eq!(suspect.resume(), Ok(suspect));
        assert!(matches!(suspect.invalidate(Reason::Expired, NOW), TokenState::Invalid { .. }));
    }

    #[test]
    fn a_finding_undoes_no_decision_of_a_person() {
        let paused = TokenState::Live.pause(NOW).unwrap();
        let revoked = TokenState::Live.revoke(NOW);
        for finding in [Finding::Doubtful, Finding::Working, Finding::Closed(0), Finding::Blocked, Finding::Unblocked] {
            assert_eq!((paused.after(finding, NOW), revoked.after(finding, NOW)), (paused, revoked), "{finding:?}");
        }
        let dead = Finding::Dead(Reason::Expired);
        assert!(matches!(paused.after(dead, NOW), TokenState::Invalid { .. }));
        assert_eq!(revoked.after(dead, NOW), revoked);
    }

    #[test]
    fn a_token_that_is_refreshed_has_no_end_of_its_own_while_it_works() {
        let at = |seconds| Some(NOW + Duration::from_secs(seconds));
        let invalid = TokenState::Live.invalidate(Reason::RefreshRejected, NOW);
        let cases = [
            (true, TokenState::Live, (at(60), None, None), None, Status::NoExpiry),
            (true, TokenState::Live.pause(NOW).unwrap(), (at(60), None, None), None, Status::NoExpiry),
            (true, TokenState::Live, (at(60), at(90), None), at(90), Status::Expiring),
            (true, TokenState::Live, (at(60), None, at(99)), at(99), Status::Expiring),
            (false, TokenState::Live, (at(60), None, None), at(60), Status::Expiring),
            (true, invalid, (at(60), None, None), at(60), Status::Expired),
        ];
        for (refreshed, state, (access, refresh, data), ends_at, status) in cases {
            let clocks = Clocks {
                access_expires_at: access,
                refresh_expires_at: refresh,
                data_access_expires_at: data,
                ..Clocks::default()
            };
            let token = Token { state, clocks, refreshed, ..crate::domain::notice::tests::token(state) };
            assert_eq!((token.ends_at(), token.status(NOW)), (ends_at, status), "{state:?} {clocks:?}");
            let overdue = NOW + Duration::from_secs(60) + RENEWAL_GRACE;
            assert_eq!(token.status(overdue), Status::Expired, "{state:?} {clocks:?}");
        }
    }

    #[test]
    fn every_reason_has_its_own_name() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.as_str()), Some(reason));
        }
    }
}
