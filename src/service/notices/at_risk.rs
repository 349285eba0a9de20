//! What a member can mend: the tokens that it may renew and that do not work, not for everything, or soon will not, and those that lack what
//! their network requires or soon will.

use crate::base::clock::Timestamp;
use crate::base::ids::{MemberId, TeamId, TokenId};
use crate::domain::member::{Action, Member, Standing, may};
use crate::domain::reach::{lacks_required, required_before};
use crate::domain::token::{EXPIRING_WITHIN, Token, TokenState};
use crate::service::Broker;
use crate::service::notices::NoticeError;
use crate::service::tokens::TokenView;
use crate::store::{AtRisk, RiskPlace, StoreError, StoredToken, TokenFilter, Whose};

/// Tokens read at once, while those that renewals take care of are left out.
const CHUNK: u32 = 200;
/// The most tokens that are looked at for one page by when they end.
const MOST_LOOKED_AT: usize = 2000;
/// The most tokens that are looked at for one page by what they were granted, which no index knows.
const MOST_GRANTS: usize = 10_000;

/// A page of tokens at risk.
#[derive(Debug, Clone)]
pub struct AtRiskPage {
    /// The tokens: those that do not work, lack a permission or are blocked first, then those that end soonest, then those that only lack what
    /// their network requires.
    pub tokens: Vec<TokenView>,
    /// Where the next page begins; `None`: this was the last.
    pub after: Option<RiskPlace>,
}

impl Broker {
    /// The tokens that a member may renew, by its role and what it stands to them as, and that have ended, lack a permission, are blocked, or will
    /// end within 7 days and no renewal turns that back, or whose grant lacks what their network requires by then; from after `after`. A page
    /// may be short though there are more.
    pub async fn tokens_at_risk(
        &self,
        team: &TeamId,
        member: MemberId,
        after: Option<RiskPlace>,
        limit: usize,
    ) -> Result<AtRiskPage, NoticeError> {
        let member = self.stored_member(team, member).await?;
        let before = self.now() + EXPIRING_WITHIN;
        // Those that only lack something have their places behind every end.
        let (mut tokens, after) = match after {
            Some(place) if place.at == Timestamp::NEVER => (Vec::new(), Some(place.token)),
            _ => {
                let ending = self.tokens_ending(&member, before, after, limit).await?;
                if ending.after.is_some() {
                    return Ok(ending);
                }
                (ending.tokens, None)
            }
        };
        let lacking = self.tokens_lacking(&member, before, after, limit - tokens.len()).await?;
        tokens.extend(lacking.tokens);
        Ok(AtRiskPage { tokens, after: lacking.after })
    }

    /// Those that do not work, not for everything, or end before `before`.
    async fn tokens_ending(
        &self,
        member: &Member,
        before: Timestamp,
        after: Option<RiskPlace>,
        limit: usize,
    ) -> Result<AtRiskPage, StoreError> {
        let (team, whose) = (member.team.clone(), self.renewable_by(member));
        let mut wanted = AtRisk { team, whose, before, after, limit: CHUNK };
        let (mut tokens, mut looked_at) = (Vec::new(), 0);
        loop {
            let found = self.store.list_at_risk(wanted.clone()).await?;
            let last = found.len() < CHUNK as usize;
            looked_at += found.len();
            for (place, stored) in found {
                wanted.after = Some(place);
                let at_risk =
                    stored.filter(|stored| self.is_at_risk(stored) || self.lacks_required(&stored.token, before));
                tokens.extend(at_risk.map(|stored| self.view_token(stored.token)));
                if tokens.len() == limit {
                    return Ok(AtRiskPage { tokens, after: wanted.after });
                }
            }
            if last || looked_at >= MOST_LOOKED_AT {
                return Ok(AtRiskPage { tokens, after: wanted.after.filter(|_| !last) });
            }
        }
    }

    /// Those that work, end later, and lack what their network requires before `before`. The catalogue alone knows that: where it says nothing,
    /// none is looked at.
    async fn tokens_lacking(
        &self,
        member: &Member,
        before: Timestamp,
        after: Option<TokenId>,
        limit: usize,
    ) -> Result<AtRiskPage, StoreError> {
        let mut requiring = self.catalogue.iter().filter(|network| required_before(network, before).next().is_some());
        let Some(first) = requiring.next() else { return Ok(AtRiskPage { tokens: Vec::new(), after: None }) };
        let network = requiring.next().is_none().then(|| first.id.clone());
        let mut wanted = TokenFilter { network, not_states: &["invalid", "revoked"], after, ..TokenFilter::default() };
        let (mut tokens, mut looked_at) = (Vec::new(), 0);
        loop {
            let found = self.store.list_tokens(&member.team, wanted.clone(), CHUNK).await?;
            let last = found.len() < CHUNK as usize;
            looked_at += found.len();
            let place = |after: Option<TokenId>| after.map(|token| RiskPlace { at: Timestamp::NEVER, token });
            for token in found {
                wanted.after = Some(token.id);
                if !is_hurt_or_ends(&token, before)
                    && self.lacks_required(&token, before)
                    && self.may_renew(member, &token)
                {
                    tokens.push(self.view_token(token));
                }
                if tokens.len() == limit {
                    return Ok(AtRiskPage { tokens, after: place(wanted.after) });
                }
            }
            if last || looked_at >= MOST_GRANTS {
                return Ok(AtRiskPage { tokens, after: place(wanted.after).filter(|_| !last) });
            }
        }
    }

    fn lacks_required(&self, token: &Token, before: Timestamp) -> bool {
        let network = self.catalogue.network(token.network.as_str());
        network.is_some_and(|network| lacks_required(network, token, before))
    }

    /// Whether a member may renew a token.
    fn may_renew(&self, member: &Member, token: &Token) -> bool {
        let may = |standing| may(member.role, Action::Renew, standing);
        may(Standing::Other)
            || member.granted(token)
            || (may(Standing::Profile) && self.directory.is_of_profiles(member.id, token))
    }

    /// The tokens that a member may renew.
    fn renewable_by(&self, member: &Member) -> Whose {
        if may(member.role, Action::Renew, Standing::Other) {
            return Whose::Anybodys;
        }
        let profiles = self.directory.profiles_of(&member.team, member.id);
        let profiles = profiles.into_iter().filter(|_| may(member.role, Action::Renew, Standing::Profile));
        let profiles = profiles.map(|profile| (profile.network.clone(), profile.id.clone())).collect();
        Whose::Of { grantors: member.grantors(), profiles }
    }

    fn is_at_risk(&self, stored: &StoredToken) -> bool {
        let StoredToken { token, .. } = stored;
        is_hurt(token) || self.expiry_of(stored).event.is_some()
    }
}

/// Whether a token does not work, or not for everything.
fn is_hurt(token: &Token) -> bool {
    matches!(token.state, TokenState::Invalid { .. }) || !token.closed.is_empty() || token.blocked_since.is_some()
}

/// Whether the store knows that a token is hurt, or ends before `before`, though a renewal may turn that back.
fn is_hurt_or_ends(token: &Token, before: Timestamp) -> bool {
    let clocks = &token.clocks;
    let ends = [clocks.access_expires_at, clocks.refresh_expires_at, clocks.data_access_expires_at];
    is_hurt(token) || ends.into_iter().flatten().any(|end| end < before)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::base::clock::ManualClock;
    use crate::config::Config;
    use crate::domain::member::{MemberState, Role};
    use crate::domain::networks::Catalogue;
    use crate::domain::token::{Clocks, Reason};
    use crate::service::Caller;
    use crate::service::testing::{START, TestBroker, x_token};
    use crate::service::tokens::AddToken;
    use crate::store::MemberChange;

    const DAY: Duration = Duration::from_secs(86_400);

    /// A broker whose X requires one more scope from that day on, and a team.
    async fn requiring(from: Option<Timestamp>) -> (TestBroker, TeamId) {
        let from = from.map(|from| format!("from = \"{}\"\n", &from.to_string()[..10])).unwrap_or_default();
        let required = format!(
            "\n[[requirements]]\nkinds = [\"user\"]\nscopes = [\"new.read\"]\nabout = \"All of it.\"\nverified = \"documented\"\n{from}"
        );
        let text = format!("{}{required}", Catalogue::built_in("x.toml").unwrap());
        let catalogue = Catalogue::load(&[("x.toml".to_owned(), text)]).unwrap();
        let test = TestBroker::start_among(catalogue, Config::default(), Arc::new(ManualClock::at(START))).await;
        let team = test.team("acme").await;
        (test, team)
    }

    async fn member(test: &TestBroker, team: &TeamId, n: u128, role: Role) -> MemberId {
        let member = Member {
            id: MemberId::from_u128(n),
            team: team.clone(),
            display_name: String::new(),
            mail: format!("member{n}@example.com").parse().unwrap(),
            role,
            time_zone: "Europe/Vienna".parse().unwrap(),
            language: "en".parse().unwrap(),
            state: MemberState::Active { since: START },
            persons: BTreeMap::new(),
            created_at: START,
            version: 1,
        };
        let trail = test.broker.audit(&Caller::Broker, "member.join", member.name(), String::new()).into();
        test.broker.store.insert_member(MemberChange::of(member.clone(), trail)).await.unwrap();
        member.id
    }

    /// All that is at risk for a member, in pages of one.
    async fn at_risk(test: &TestBroker, team: &TeamId, member: MemberId) -> Vec<TokenId> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = test.broker.tokens_at_risk(team, member, after, 1).await.unwrap();
            found.extend(page.tokens.iter().map(|view| view.token.id));
            match page.after {
                Some(next) => after = Some(next),
                None => return found,
            }
        }
    }

    async fn add(test: &TestBroker, team: &TeamId, given: AddToken) -> TokenId {
        test.broker.add_token(&test.admin, team, given).await.unwrap().token.id
    }

    #[tokio::test]
    async fn what_a_network_requires_within_a_week_is_at_risk() {
        for (from, listed) in [
            (None, true),
            (Some(START - DAY * 5), true),
            (Some(START + DAY * 5), true),
            (Some(START + DAY * 30), false),
        ] {
            let (test, team) = requiring(from).await;
            let owner = member(&test, &team, 1, Role::Owner).await;
            let lacking = add(&test, &team, x_token("ann")).await;
            let scopes = [x_token("bea").scopes, vec!["new.read".to_owned()]].concat();
            add(&test, &team, AddToken { scopes, ..x_token("bea") }).await;
            let expected = if listed { vec![lacking] } else { Vec::new() };
            assert_eq!(at_risk(&test, &team, owner).await, expected, "{from:?}");
            test.clock.advance(DAY * 25);
            assert_eq!(at_risk(&test, &team, owner).await, [lacking], "{from:?}");
            test.stop().await;
        }
    }

    #[tokio::test]
    async fn what_lacks_something_comes_once_behind_what_ends_and_to_whom_it_concerns() {
        let (test, team) = requiring(None).await;
        let owner = member(&test, &team, 1, Role::Owner).await;
        let granter = member(&test, &team, 2, Role::Member).await;
        let first =
            add(&test, &team, AddToken { granted_by: "member2@example.com".to_owned(), ..x_token("ann") }).await;
        let second = add(&test, &team, x_token("bea")).await;
        let clocks = Clocks { access_expires_at: Some(START + DAY), ..Clocks::default() };
        let ending = add(&test, &team, AddToken { clocks, ..x_token("cat") }).await;
        let dead = add(&test, &team, x_token("dan")).await;
        test.broker.invalidate_token(&test.admin, &team, dead, Reason::PasswordChanged, "").await.unwrap();
        let revoked = add(&test, &team, x_token("eve")).await;
        test.broker.revoke_token(&test.admin, &team, revoked, "").await.unwrap();
        assert_eq!(at_risk(&test, &team, owner).await, [dead, ending, first, second]);
        assert_eq!(at_risk(&test, &team, granter).await, [first]);
        test.stop().await;
    }
}
