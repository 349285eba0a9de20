//! Members: the people of a team, what they are to it, and what each may do.
//!
//! `invited → active → left`. Who left never comes back as the same member: a new invitation makes a new one, so that the audit names one
//! person by one id. A team that has an active owner keeps one: the store refuses the change that would take the last.

mod departure;
mod grantor;
mod link;
mod mail;
mod may;
mod password;
mod session;

pub use departure::{Departure, LeftToken};
pub use grantor::grantor;
pub use link::LinkKind;
pub use mail::{MailAddress, MailAddressError};
pub use may::{Action, Standing, may};
pub use password::{LONGEST, PasswordRefused, SHORTEST, judge_password};
pub use session::{Session, SessionLimits, SessionOf, agent_of, origin_of};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;

use crate::base::clock::Timestamp;
use crate::base::ids::{MemberId, NetworkId, TeamId};

/// A person of a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// Its team.
    pub team: TeamId,
    /// Its name for people.
    pub display_name: String,
    /// Where mail reaches it; one member of a team has it, whoever left apart.
    pub mail: MailAddress,
    /// What it is to the team.
    pub role: Role,
    /// The time zone in which times are told to it.
    pub time_zone: ZoneName,
    /// The language in which it is written to.
    pub language: LanguageTag,
    /// Whether it belongs to the team now.
    pub state: MemberState,
    /// The person's own accounts: its ids by network, learnt when it connects them.
    pub persons: BTreeMap<NetworkId, BTreeSet<String>>,
    /// When it was invited first.
    pub created_at: Timestamp,
    /// Raised by one with each change.
    pub version: u32,
}

/// A person as an OpenID Connect provider knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What the provider calls itself.
    pub issuer: String,
    /// The provider's id of the person, which never changes.
    pub subject: String,
}

/// What a member is to its team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Connects accounts, and looks after those.
    Member,
    /// Looks after all tokens and profiles of the team.
    Manager,
    /// Everything of the team, its members too.
    Owner,
}

/// Whether a member belongs to the team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// It was asked to join, and may do nothing yet.
    Invited,
    /// It belongs to the team.
    Active {
        /// Since when.
        since: Timestamp,
    },
    /// It belongs to it no more.
    Left {
        /// Since when.
        since: Timestamp,
    },
}

/// A change that a member's state or place does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// It left.
    #[error("this member has left the team; invite the person anew")]
    Left,
    /// There is nothing to accept: it belongs to the team already.
    #[error("this member belongs to the team already; sign in")]
    Active,
}

impl Role {
    /// All roles, the highest first.
    pub const ALL: [Role; 3] = [Role::Owner, Role::Manager, Role::Member];

    /// The name used in SQL, the audit and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Manager => "manager",
            Role::Member => "member",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// Whether who has this role may give `other` to somebody: an owner any, a manager that of a member.
    pub const fn may_give(self, other: Role) -> bool {
        match self {
            Role::Owner => true,
            Role::Manager => matches!(other, Role::Member),
            Role::Member => false,
        }
    }
}

impl MemberState {
    /// The name used in SQL and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            MemberState::Invited => "invited",
            MemberState::Active { .. } => "active",
            MemberState::Left { .. } => "left",
        }
    }

    /// Joins the team.
    pub fn join(self, now: Timestamp) -> Result<MemberState, MembershipError> {
        match self {
            MemberState::Invited => Ok(MemberState::Active { since: now }),
            MemberState::Active { .. } => Err(MembershipError::Active),
            MemberState::Left { .. } => Err(MembershipError::Left),
        }
    }

    /// Leaves the team. Leaving twice changes nothing.
    pub fn leave(self, now: Timestamp) -> MemberState {
        match self {
            MemberState::Left { .. } => self,
            MemberState::Invited | MemberState::Active { .. } => MemberState::Left { since: now },
        }
    }
}

impl Member {
    /// Its resource name.
    pub fn name(&self) -> String {
        format!("teams/{}/members/{}", self.team, self.id)
    }

    /// What people call it: its name, else its mail address.
    pub fn name_for_people(&self) -> &str {
        if self.display_name.is_empty() { self.mail.as_str() } else { &self.display_name }
    }

    /// Whether it belongs to the team now.
    pub const fn is_active(&self) -> bool {
        matches!(self.state, MemberState::Active { .. })
    }

    /// Whether it left.
    pub const fn has_left(&self) -> bool {
        matches!(self.state, MemberState::Left { .. })
    }

    /// Whether an account at a network is its own.
    pub fn has_account(&self, network: &NetworkId, person: &str) -> bool {
        self.persons.get(network).is_some_and(|persons| persons.contains(person))
    }
}

/// The text is no name of a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a name of the IANA time zone database, such as 'Europe/Vienna'")]
pub struct ZoneNameError;

/// The name of a time zone of the IANA database (`Europe/Vienna`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneName(String);

impl ZoneName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its rules.
    pub fn zone(&self) -> TimeZone {
        TimeZone::get(&self.0).unwrap_or(TimeZone::UTC)
    }
}

impl Default for ZoneName {
    fn default() -> Self {
        Self("UTC".to_owned())
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ZoneName {
    type Err = ZoneNameError;

    fn from_str(text: &str) -> Result<Self, ZoneNameError> {
        let zone = TimeZone::get(text).map_err(|_| ZoneNameError)?;
        zone.iana_name().map(|name| Self(name.to_owned())).ok_or(ZoneNameError)
    }
}

/// The text is no language tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a language tag, such as 'en' or 'pt-BR'")]
pub struct LanguageTagError;

/// A language tag (RFC 5646: `en`, `pt-BR`): its language and what may follow, at most 35 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanguageTag(String);

impl LanguageTag {
    const MOST: usize = 35;

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LanguageTag {
    fn default() -> Self {
        Self("en".to_owned())
    }
}

impl fmt::Display for LanguageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LanguageTag {
    type Err = LanguageTagError;

    fn from_str(text: &str) -> Result<Self, LanguageTagError> {
        let mut parts = text.split('-');
        let language = parts.next().unwrap_or_default();
        let well_made = (2..=3).contains(&language.len()) && language.chars().all(|c| c.is_ascii_alphabetic());
        let follows = |part: &str| (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric());
        match well_made && text.len() <= Self::MOST && parts.all(follows) {
            true => Ok(Self(text.to_owned())),
            false => Err(LanguageTagError),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::base::ids::TokenId;
    use crate::domain::networks::Purposes;
    use crate::domain::token::{Clocks, Token, TokenState};

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    /// An active member of `acme`.
    pub(crate) fn member(id: u128, role: Role) -> Member {
        Member {
            id: MemberId::from_u128(id),
            team: "acme".parse().unwrap(),
            display_name: format!("Member {id}"),
            mail: format!("member{id}@example.com").parse().unwrap(),
            role,
            time_zone: ZoneName::default(),
            language: LanguageTag::default(),
            state: MemberState::Active { since: Timestamp::EPOCH },
            persons: BTreeMap::new(),
            created_at: Timestamp::EPOCH,
            version: 1,
        }
    }

    #[test]
    fn who_left_never_joins_again() {
        let joined = MemberState::Invited.join(NOW).unwrap();
        assert_eq!(joined.join(NOW), Err(MembershipError::Active));
        let left = joined.leave(NOW);
        assert_eq!(left.join(NOW), Err(MembershipError::Left));
        assert_eq!(left.leave(Timestamp::from_secs(2_000)), left, "the first time stays");
    }

    #[test]
    fn nobody_gives_a_role_above_what_the_own_allows() {
        let given: Vec<_> = Role::ALL.map(|role| Role::ALL.map(|other| role.may_give(other))).into();
        assert_eq!(given, [[true; 3], [false, false, true], [false; 3]]);
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.as_str()), Some(role));
        }
    }

    #[test]
    fn time_zones_and_languages_are_known_ones() {
        assert_eq!("europe/vienna".parse::<ZoneName>().unwrap().as_str(), "Europe/Vienna");
        for bad in ["", "Mars/Olympus", "../etc/passwd", "Europe/Vienna\n"] {
            assert!(bad.parse::<ZoneName>().is_err(), "{bad:?}");
        }
        for good in ["en", "pt-BR", "zh-Hant-TW", "gsw"] {
            assert_eq!(good.parse::<LanguageTag>().unwrap().as_str(), good);
        }
        for bad in ["", "e", "english", "en_US", "en-", "en-\n", &format!("en{}", "-abcdefgh".repeat(4))] {
            assert!(bad.parse::<LanguageTag>().is_err(), "{bad:?}");
        }
    }

    /// A token of `acme` that nobody is said to have granted.
    pub(crate) fn token() -> Token {
        Token {
            id: TokenId::from_u128(1),
            team: "acme".parse().unwrap(),
            network: "x".parse().unwrap(),
            app: "default".parse().unwrap(),
            kind: "user".parse().unwrap(),
            person: "12".to_owned(),
            profiles: Vec::new(),
            label: String::new(),
            granted_by: String::new(),
            scopes: Vec::new(),
            purposes: Purposes::default(),
            facts: BTreeMap::new(),
            reserve_percent: None,
            max_leases: None,
            state: TokenState::Live,
            clocks: Clocks::default(),
            cooling_until: None,
            refreshed: false,
            closed: BTreeMap::new(),
            blocked_since: None,
            created_at: Timestamp::EPOCH,
            version: 1,
        }
    }

    #[test]
    fn a_token_is_its_own_by_id_address_or_account() {
        let ada =
            Member { persons: [("x".parse().unwrap(), ["77".to_owned()].into())].into(), ..member(1, Role::Member) };
        let token = token();
        let said = |granted_by: String| Token { granted_by, ..token.clone() };
        assert!(ada.granted(&said(ada.id.to_string())) && ada.granted(&said(ada.name())));
        assert!(ada.granted(&said("Member1@EXAMPLE.com".to_owned())));
        assert!(ada.granted(&Token { person: "77".to_owned(), ..said(String::new()) }));
        assert!(
            !ada.granted(&Token { person: "77".to_owned(), ..said("bob".to_owned()) }),
            "it was granted by another"
        );
        assert!(!ada.granted(&said(String::new())) && !ada.granted(&said("member2@example.com".to_owned())));
        let elsewhere = Token { team: "zenith".parse().unwrap(), person: "77".to_owned(), ..said(ada.id.to_string()) };
        assert!(!ada.granted(&elsewhere), "nothing crosses teams");
        let other_network =
            Token { network: "youtube".parse().unwrap(), person: "77".to_owned(), ..said(String::new()) };
        assert!(!ada.granted(&other_network));
    }
}
