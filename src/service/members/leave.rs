//! A member leaves its team: one action, done to its end.
//!
//! It begins with one transaction, in which the member is out: it left, its sessions, link and password are gone, the connections that it began go no further, and the
//! leaving is noted. What
//! follows is done step by step, each step noted before it is done and harmless if it is done again: its tokens are revoked or handed on, its
//! profiles let go, and the keys that it made revoked, or listed as to be replaced. Whatever crash comes in between, the background goes on from the note.

use std::collections::BTreeMap;

use crate::base::ids::{MemberId, TeamId, TokenId};
use crate::domain::member::{Action, Departure, LeftToken, Member};
use crate::domain::profile::Profile;
use crate::domain::token::Token;
use crate::service::collectors::comment_detail;
use crate::service::keys::KeyError;
use crate::service::members::{ATTEMPTS, MemberError, On, change_error};
use crate::service::requests::Attempt;
use crate::service::revoke::StoredRevocation;
use crate::service::tokens::{TokenError, UpdateToken};
use crate::service::{Broker, Caller};
use crate::store::{InvitationChange, MemberChange, MemberChangeError, MemberFilter, StoreError, TokenFilter};
use crate::text::Sentence;

/// What is read at once of tokens and members.
const CHUNK: u32 = 1_000;
/// Leavings that are taken up in one run of the background.
const AT_ONCE: u32 = 100;
const WHY: &str = "its member left the team";

/// How a member is taken out of its team.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoveMember {
    /// Why, for the audit.
    pub comment: String,
    /// Whether the keys that it made go on, and are listed as to be replaced; else they are revoked with the rest: it has seen them.
    pub keep_keys: bool,
}

/// A leaving, with the team that the member left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepartureView {
    /// The team.
    pub team: TeamId,
    /// What was done.
    pub departure: Departure,
    /// What became of giving its tokens back at their networks, of those that were to be told.
    pub revocations: BTreeMap<TokenId, StoredRevocation>,
}

impl Broker {
    /// Takes a member out of its team: its sessions, its link and the connections that it began end, its tokens are revoked, or handed on to
    /// another member whose account it is, too, its profiles are let go, and the keys that it made are revoked unless they are to go on. For one
    /// who left it finishes that, and returns the report again.
    pub async fn remove_member(
        &self,
        attempt: impl Into<Attempt<DepartureView>>,
        team: &TeamId,
        id: MemberId,
        how: &RemoveMember,
    ) -> Result<DepartureView, MemberError> {
        let attempt = attempt.into();
        let member = self.stored_member(team, id).await?;
        self.must_permit(&attempt.caller, Action::Remove, team, On::Member(id))?;
        if !member.has_left() {
            self.begin_departure(&attempt.caller, member, how).await?;
        }
        let done = self.view_departure(team, self.finish_departure(id).await?).await?;
        self.note_unchanged(&attempt, &done).await?;
        Ok(done)
    }

    /// What was done when a member left.
    pub async fn show_departure(&self, team: &TeamId, id: MemberId) -> Result<DepartureView, MemberError> {
        let member = self.stored_member(team, id).await?;
        let departure = self.store.find_departure(member.id).await?.ok_or(MemberError::NotLeft(id))?;
        self.view_departure(&member.team, departure).await
    }

    async fn view_departure(&self, team: &TeamId, departure: Departure) -> Result<DepartureView, MemberError> {
        let mut revocations = BTreeMap::new();
        for left in departure.tokens.iter().filter(|left| left.heir.is_none()) {
            if let Some(revocation) = self.store.find_revocation(left.token).await? {
                revocations.insert(left.token, revocation);
            }
        }
        Ok(DepartureView { team: team.clone(), departure, revocations })
    }

    /// Goes on with leavings that were not finished.
    pub(in crate::service) async fn finish_departures(&self) -> Result<Sentence, StoreError> {
        let open = self.store.open_departures(AT_ONCE).await?;
        for departure in &open {
            match self.finish_departure(departure.member).await {
                Ok(_) => {}
                Err(MemberError::Store(error)) => return Err(error),
                Err(error) => {
                    tracing::warn!(member = %departure.member, %error, "a member's leaving could not be finished; it is tried again");
                }
            }
        }
        Ok(Sentence::new("ran-leavings").with("count", open.len()))
    }

    async fn begin_departure(
        &self,
        caller: &Caller,
        mut before: Member,
        how: &RemoveMember,
    ) -> Result<(), MemberError> {
        for _ in 0..ATTEMPTS {
            let now = self.now();
            let sessions = self.store.list_sessions(before.id, None, CHUNK).await?.len() as u64;
            let invited = self.store.find_invitation(before.id).await?.is_some();
            let member = Member { state: before.state.leave(now), version: before.version + 1, ..before.clone() };
            let audit = self.member_audit(caller, "member.leave", &member, comment_detail(&how.comment));
            let ends_connections = self.connections_to_end(caller, before.id, CHUNK).await?;
            let change = MemberChange {
                invitation: InvitationChange::End,
                ends_sessions: true,
                departure: Some(Departure {
                    revokes_keys: !how.keep_keys,
                    connections: ends_connections.iter().map(|step| step.stored.connection.id).collect(),
                    ..Departure::begin(member.id, now, sessions, invited)
                }),
                ends_connections,
                ..MemberChange::of(member, audit.into())
            };
            match self.store.change_member(change).await {
                Ok(()) => return Ok(()),
                Err(MemberChangeError::Changed) => before = self.stored_member(&before.team, before.id).await?,
                Err(error) => return Err(change_error(&before, error)),
            }
            if before.has_left() {
                return Ok(());
            }
        }
        Err(MemberError::Contended(before.id))
    }

    async fn finish_departure(&self, id: MemberId) -> Result<Departure, MemberError> {
        let _one_at_a_time = self.changes.departures.lock().await;
        let mut departure = self.store.find_departure(id).await?.ok_or(MemberError::NotLeft(id))?;
        if departure.finished_at.is_some() {
            return Ok(departure);
        }
        let member = self.store.find_member(id).await?.ok_or(MemberError::NotLeft(id))?;
        for left in departure.tokens.clone() {
            self.let_go(&member, left).await?;
        }
        while let Some(left) = self.next_left(&member, &departure).await? {
            departure.tokens.push(left);
            self.store.put_departure(departure.clone(), None).await?;
            self.let_go(&member, left).await?;
        }
        for profile in self.directory.profiles_of(&member.team, id) {
            let name = (profile.network.clone(), profile.id.clone());
            if !departure.profiles.contains(&name) {
                departure.profiles.push(name);
                self.store.put_departure(departure.clone(), None).await?;
            }
            self.put_profile(&Attempt::from(&Caller::Broker), profile.without(id)).await?;
        }
        self.settle_keys(&member, &mut departure).await?;
        departure.finished_at = Some(self.now());
        let audit = self.member_audit(&Caller::Broker, "member.left", &member, detail_of(&departure));
        self.store.put_departure(departure.clone(), Some(audit.into())).await?;
        Ok(departure)
    }

    /// A token of the member that is not in the report yet, and what becomes of it.
    async fn next_left(&self, member: &Member, departure: &Departure) -> Result<Option<LeftToken>, MemberError> {
        let mut after: Option<TokenId> = None;
        loop {
            let filter = TokenFilter { not_states: &["revoked"], after, ..TokenFilter::default() };
            let tokens = self.store.list_tokens(&member.team, filter, CHUNK).await?;
            let Some(last) = tokens.last() else { return Ok(None) };
            after = Some(last.id);
            let is_new = |token: &&Token| !departure.tokens.iter().any(|left| left.token == token.id);
            if let Some(token) = tokens.iter().filter(is_new).find(|token| member.granted(token)) {
                return Ok(Some(LeftToken { token: token.id, heir: self.heir_of(token).await? }));
            }
        }
    }

    /// Another member whose account the token speaks for, too.
    async fn heir_of(&self, token: &Token) -> Result<Option<MemberId>, MemberError> {
        let mut after = None;
        loop {
            let filter = MemberFilter { state: Some("active"), after };
            let members = self.store.list_members(&token.team, filter, CHUNK).await?;
            let Some(last) = members.last() else { return Ok(None) };
            after = Some(last.id);
            if let Some(heir) = members.iter().find(|member| member.has_account(&token.network, &token.person)) {
                return Ok(Some(heir.id));
            }
        }
    }

    /// Hands a token on, or revokes it. Doing it again changes nothing.
    async fn let_go(&self, member: &Member, left: LeftToken) -> Result<(), MemberError> {
        let (team, by) = (&member.team, &Caller::Broker);
        let done = match left.heir {
            Some(heir) => {
                let change = UpdateToken { granted_by: Some(heir.to_string()), ..UpdateToken::default() };
                self.update_token(by, team, left.token, &change).await
            }
            None => self.revoke_token(by, team, left.token, WHY).await,
        };
        match done {
            Ok(_) | Err(TokenError::NotFound { .. } | TokenError::State(_)) => Ok(()),
            Err(TokenError::Store(error)) => Err(error.into()),
            Err(_) => Err(MemberError::Contended(member.id)),
        }
    }

    /// Revokes the keys that the member made, unless they are to go on; then they are noted as to be replaced. Doing it again changes nothing.
    async fn settle_keys(&self, member: &Member, departure: &mut Departure) -> Result<(), MemberError> {
        for key in self.keys_made_by(member.id) {
            let ended_before = key.revoked_at.is_some_and(|at| at < departure.begun_at);
            if ended_before || (key.revoked_at.is_none() && !key.works(self.now())) {
                continue;
            }
            if !departure.revokes_keys {
                departure.keys.push(key.id);
                continue;
            }
            match self.revoke_key(&Caller::Broker, key.id, WHY).await {
                Ok(_) | Err(KeyError::NotFound(_)) => departure.revoked_keys.push(key.id),
                Err(KeyError::Store(error)) => return Err(error.into()),
                Err(_) => return Err(MemberError::Contended(member.id)),
            }
        }
        Ok(())
    }
}

fn detail_of(departure: &Departure) -> String {
    let (handed_on, revoked) = departure.counts();
    format!(
        "sessions={} connections={} tokens_revoked={revoked} tokens_handed_on={handed_on} profiles={} keys={} keys_revoked={}",
        departure.sessions,
        departure.connections.len(),
        departure.profiles.len(),
        departure.keys.len(),
        departure.revoked_keys.len()
    )
}

/// What a profile is without a member.
impl Profile {
    fn without(&self, member: MemberId) -> Profile {
        let mut profile = self.clone();
        profile.owner = profile.owner.filter(|owner| *owner != member);
        profile.admins.remove(&member);
        profile
    }
}
