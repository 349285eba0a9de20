//! Profiles as a team looks after them: who is told of one, who administers it here, and who can renew its token at the network.

use std::collections::BTreeSet;

use crate::base::clock::Timestamp;
use crate::base::ids::{MemberId, NetworkId, TeamId};
use crate::domain::member::{Action, Member, Standing, may};
use crate::domain::token::{Reason, Token, TokenState};

/// A page, account or channel of a team. The network knows it by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The team.
    pub team: TeamId,
    /// The network.
    pub network: NetworkId,
    /// Its id at the network.
    pub id: String,
    /// Its name for people; may be empty.
    pub display_name: String,
    /// Who is told of it; `None`: nobody was named.
    pub owner: Option<MemberId>,
    /// Members who look after its tokens as after their own.
    pub admins: BTreeSet<MemberId>,
}

impl Profile {
    /// One of which nothing was said.
    pub fn unnamed(team: TeamId, network: NetworkId, id: String) -> Self {
        Self { team, network, id, display_name: String::new(), owner: None, admins: BTreeSet::new() }
    }

    /// Whether a member looks after it: its owner and its admins do.
    pub fn is_of(&self, member: MemberId) -> bool {
        self.owner == Some(member) || self.admins.contains(&member)
    }

    /// Who is told of it: the owner who was named, else who granted the oldest of its `tokens` that works at `now`.
    pub fn owner_or_granter<'a>(&self, members: &'a [Member], tokens: &[Token], now: Timestamp) -> Option<&'a Member> {
        let active = |id: MemberId| members.iter().find(|member| member.id == id && member.is_active());
        self.owner.and_then(active).or_else(|| {
            let working = tokens.iter().filter(|token| works(token, now));
            working
                .min_by_key(|token| token.id)
                .and_then(|token| members.iter().find(|member| member.is_active() && member.granted(token)))
        })
    }
}

/// Whether a member can renew a profile's token at the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CanRenew {
    /// It can: it did, and it works.
    Yes,
    /// The evidence does not tell.
    Unknown,
    /// It can't any more.
    No,
}

/// What tells whether a member can renew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It holds a token of the profile that works.
    HoldsToken,
    /// The network said that its permission on the profile was lost.
    LostPermission,
    /// The network said that the person is blocked, locked, or must act there.
    PersonBlocked,
    /// It held a token of the profile, which ended for a reason that says nothing about permissions.
    HeldToken,
    /// It is named here as the profile's owner or admin.
    NamedHere,
    /// It has an account at the network.
    HasAccount,
    /// Nothing is known.
    Nothing,
}

/// Whether a member can renew a token of `profile` at the network, and why that is thought at `now`. `tokens`: those that speak for the
/// profile, whatever their state.
pub fn can_renew(member: &Member, profile: &Profile, tokens: &[Token], now: Timestamp) -> (CanRenew, Evidence) {
    let own: Vec<&Token> = tokens.iter().filter(|token| member.granted(token)).collect();
    if own.iter().any(|token| works(token, now)) {
        return (CanRenew::Yes, Evidence::HoldsToken);
    }
    // Of several that ended, the last one tells how it stands.
    let ended = own.iter().filter_map(|token| ended(token, now)).max_by_key(|(since, _)| *since);
    match ended {
        Some((_, Some(Reason::PermissionLost))) => (CanRenew::No, Evidence::LostPermission),
        Some((_, Some(Reason::PersonBlocked))) => (CanRenew::No, Evidence::PersonBlocked),
        Some(_) => (CanRenew::Unknown, Evidence::HeldToken),
        None if profile.is_of(member.id) => (CanRenew::Unknown, Evidence::NamedHere),
        None if member.persons.contains_key(&profile.network) => (CanRenew::Unknown, Evidence::HasAccount),
        None => (CanRenew::Unknown, Evidence::Nothing),
    }
}

/// Whether a member may renew a token of `profile` here, by its role.
pub fn may_renew(member: &Member, profile: &Profile, tokens: &[Token]) -> bool {
    let standing = match tokens.iter().any(|token| member.granted(token)) {
        true => Standing::Own,
        false if profile.is_of(member.id) => Standing::Profile,
        false => Standing::Other,
    };
    member.is_active() && may(member.role, Action::Renew, standing)
}

fn works(token: &Token, now: Timestamp) -> bool {
    ended(token, now).is_none()
}

/// Since when a token works no more, and why as far as that is known: an end by its clocks is written in no state.
fn ended(token: &Token, now: Timestamp) -> Option<(Timestamp, Option<Reason>)> {
    match token.state {
        TokenState::Invalid { reason, since } => Some((since, Some(reason))),
        TokenState::Revoked { since } => Some((since, None)),
        TokenState::Live | TokenState::Suspect { .. } | TokenState::Paused { .. } => {
            token.ends_at().filter(|end| *end <= now).map(|end| (end, Some(Reason::Expired)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TokenId;
    use crate::domain::member::{
        Role,
        tests::{member, token},
    };
    use crate::domain::token::Clocks;

    const NOW: Timestamp = Timestamp::from_secs(100);

    /// A token whose clock ends at that time.
    fn until(end: i64, token: Token) -> Token {
        let clocks = Clocks { access_expires_at: Some(Timestamp::from_secs(end)), ..Clocks::default() };
        Token { clocks, ..token }
    }

    fn profile() -> Profile {
        Profile::unnamed("acme".parse().unwrap(), "x".parse().unwrap(), "p1".to_owned())
    }

    fn of(number: u128, member: &Member, state: TokenState) -> Token {
        Token { id: TokenId::from_u128(number), granted_by: member.id.to_string(), state, ..token() }
    }

    fn invalid(reason: Reason, at: i64) -> TokenState {
        TokenState::Invalid { reason, since: Timestamp::from_secs(at) }
    }

    #[test]
    fn the_evidence_decides_who_can_renew() {
        let ada = member(1, Role::Member);
        let bob = member(2, Role::Member);
        let with_account = Member { persons: [("x".parse().unwrap(), ["9".to_owned()].into())].into(), ..ada.clone() };
        let named = Profile { admins: [ada.id].into(), ..profile() };
        let since = Timestamp::from_secs(5);
        let lost = invalid(Reason::PermissionLost, 5);
        let cases: Vec<(&Member, Profile, Vec<Token>, CanRenew, Evidence)> = vec![
            (&ada, profile(), vec![], CanRenew::Unknown, Evidence::Nothing),
            (&ada, profile(), vec![of(1, &bob, TokenState::Live)], CanRenew::Unknown, Evidence::Nothing),
            (&with_account, profile(), vec![], CanRenew::Unknown, Evidence::HasAccount),
            (&ada, named.clone(), vec![], CanRenew::Unknown, Evidence::NamedHere),
            (&ada, profile(), vec![of(1, &ada, TokenState::Live)], CanRenew::Yes, Evidence::HoldsToken),
            (&ada, profile(), vec![of(1, &ada, TokenState::Paused { since })], CanRenew::Yes, Evidence::HoldsToken),
            (&ada, profile(), vec![of(1, &ada, lost)], CanRenew::No, Evidence::LostPermission),
            (&ada, named, vec![of(1, &ada, lost)], CanRenew::No, Evidence::LostPermission),
            (
                &ada,
                profile(),
                vec![of(1, &ada, invalid(Reason::PersonBlocked, 5))],
                CanRenew::No,
                Evidence::PersonBlocked,
            ),
            (&ada, profile(), vec![of(1, &ada, invalid(Reason::Expired, 5))], CanRenew::Unknown, Evidence::HeldToken),
            (&ada, profile(), vec![of(1, &ada, TokenState::Revoked { since })], CanRenew::Unknown, Evidence::HeldToken),
            (&ada, profile(), vec![until(101, of(1, &ada, TokenState::Live))], CanRenew::Yes, Evidence::HoldsToken),
            (&ada, profile(), vec![until(100, of(1, &ada, TokenState::Live))], CanRenew::Unknown, Evidence::HeldToken),
            (
                &ada,
                profile(),
                vec![
                    until(50, of(1, &ada, TokenState::Paused { since })),
                    of(2, &ada, invalid(Reason::PersonBlocked, 60)),
                ],
                CanRenew::No,
                Evidence::PersonBlocked,
            ),
            (
                &ada,
                profile(),
                vec![of(1, &ada, lost), of(2, &ada, TokenState::Live)],
                CanRenew::Yes,
                Evidence::HoldsToken,
            ),
            (
                &ada,
                profile(),
                vec![of(1, &ada, lost), of(2, &ada, invalid(Reason::Expired, 9))],
                CanRenew::Unknown,
                Evidence::HeldToken,
            ),
            (
                &ada,
                profile(),
                vec![of(1, &ada, invalid(Reason::Expired, 2)), of(2, &ada, lost)],
                CanRenew::No,
                Evidence::LostPermission,
            ),
        ];
        for (member, profile, tokens, can, evidence) in cases {
            let states: Vec<_> = tokens.iter().map(|token| token.state).collect();
            assert_eq!(can_renew(member, &profile, &tokens, NOW), (can, evidence), "{states:?}");
        }
    }

    #[test]
    fn who_may_renew_follows_role_and_profile() {
        let (owner, ada) = (member(1, Role::Owner), member(2, Role::Member));
        let named = Profile { owner: Some(ada.id), ..profile() };
        assert!(may_renew(&owner, &profile(), &[]) && !may_renew(&ada, &profile(), &[]));
        assert!(may_renew(&ada, &named, &[]) && may_renew(&ada, &profile(), &[of(1, &ada, TokenState::Live)]));
    }

    #[test]
    fn who_connected_a_profile_is_told_unless_another_is_named() {
        let members = [member(1, Role::Owner), member(2, Role::Member)];
        let tokens = [of(2, &members[0], TokenState::Live), of(1, &members[1], TokenState::Live)];
        let told = |profile: Profile, tokens: &[Token]| {
            profile.owner_or_granter(&members, tokens, NOW).map(|member| member.id)
        };
        assert_eq!(told(profile(), &tokens), Some(members[1].id), "the first who connected it, of two");
        assert_eq!(told(Profile { owner: Some(members[0].id), ..profile() }, &tokens), Some(members[0].id));
        assert_eq!(told(Profile { owner: Some(MemberId::from_u128(9)), ..profile() }, &tokens), Some(members[1].id));
        assert_eq!(told(profile(), &[of(1, &members[1], invalid(Reason::Expired, 1))]), None);
        let over = [until(99, tokens[1].clone()), tokens[0].clone()];
        assert_eq!(told(profile(), &over), Some(members[0].id), "one whose time is over counts no more");
    }
}
