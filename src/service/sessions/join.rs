//! A person follows a link: joins a team, or sets a new password.

use std::time::Duration;

use crate::base::ids::TeamId;
use crate::base::secret::Secret;
use crate::domain::member::{LinkKind, Member, MemberState, PasswordRefused, judge_password};
use crate::service::members::{MemberError, change_error};
use crate::service::sessions::{Browser, SignInError, StartedSession};
use crate::service::{Broker, Caller};
use crate::store::{Invitation, InvitationChange, MemberChange, StoreError};
use crate::vault::{BreachedPasswordsError, HashError};

/// What a link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitedTo {
    /// The member.
    pub member: Member,
    /// The team's name for people.
    pub team_name: String,
}

/// A person who joins.
pub struct Join {
    /// What the link carries.
    pub secret: Secret,
    /// The password that the person chose.
    pub password: Secret,
    /// The person's name; empty: as it is.
    pub display_name: String,
    /// Who asks.
    pub browser: Browser,
}

/// Why nobody joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The link is none that can be used.
    #[error(
        "this link can't be used any more: it was used, replaced, withdrawn, or is older than 7 days; ask for a new one"
    )]
    Link,
    /// The password is not taken.
    #[error(transparent)]
    Password(#[from] PasswordRefused),
    /// It was tried too often.
    #[error("there were too many tries; wait {} s, then try again", .0.as_secs().max(1))]
    TooOften(Duration),
    /// It can't be seen whether the password was leaked.
    #[error(transparent)]
    BreachedPasswords(#[from] BreachedPasswordsError),
    /// The password can't be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The member could not be changed.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// The process is about to stop.
    #[error("the broker is about to stop; try again shortly")]
    Stopping,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Broker {
    /// What a link is for. Looking at it does not use it up: mail readers look at links, too.
    pub async fn look_at_invitation(&self, secret: &Secret, browser: &Browser) -> Result<InvitedTo, JoinError> {
        self.desk.check_address(browser).map_err(JoinError::TooOften)?;
        self.invited_to(secret).await
    }

    async fn invited_to(&self, secret: &Secret) -> Result<InvitedTo, JoinError> {
        let secret = LinkKind::Invitation.read(secret.expose()).ok_or(JoinError::Link)?;
        let found = self.store.invitation_by_hash(self.invitation_hash(&secret)).await?;
        let works = |invitation: &Invitation| invitation.mail.is_none() && self.now() < invitation.expires_at;
        let invitation = found.filter(works).ok_or(JoinError::Link)?;
        let member = self.store.find_member(invitation.member).await?.filter(|member| !member.has_left());
        let member = member.ok_or(JoinError::Link)?;
        let team_name = self.team_name(&member.team).ok_or(JoinError::Link)?;
        Ok(InvitedTo { team_name, member })
    }

    /// What people call a team, if there is one of that id.
    pub(super) fn team_name(&self, id: &TeamId) -> Option<String> {
        let team = self.directory.team(id)?;
        let named = Some(team.display_name.clone()).filter(|name| !name.is_empty());
        Some(named.unwrap_or_else(|| team.id.to_string()))
    }

    /// Joins a team, or sets a new password, and signs the person in. The link is used up, and all other sessions of the member end. It
    /// is done to its end, also if the browser goes away.
    pub async fn join(&self, ask: Join) -> Result<StartedSession, JoinError> {
        let broker = self.clone();
        self.finish(async move { broker.try_join(ask).await }).await.unwrap_or(Err(JoinError::Stopping))
    }

    async fn try_join(&self, ask: Join) -> Result<StartedSession, JoinError> {
        let Join { secret, password, display_name, browser } = ask;
        let InvitedTo { member: before, team_name } = self.look_at_invitation(&secret, &browser).await?;
        let known = [before.mail.as_str(), before.mail.local_part(), &before.display_name, &display_name, &team_name];
        let about: Vec<&str> = known.into_iter().chain([before.team.as_str()]).collect();
        judge_password(password.expose(), &about)?;
        let breached = self.desk.breached.clone();
        let hash = self.desk.hash(move |hasher| match breached.map(|list| list.has(&password)).transpose()? {
            Some(true) => Err(PasswordRefused::Breached.into()),
            Some(false) | None => Ok::<_, JoinError>(hasher.hash(&password)?),
        });
        let hash = hash.await.map_err(JoinError::TooOften)??;
        let mut member = Member { version: before.version + 1, ..before.clone() };
        let (state, action) = match before.state {
            MemberState::Invited => (MemberState::Active { since: self.now() }, "member.join"),
            other => (other, "member.set_password"),
        };
        member.state = state;
        if !display_name.is_empty() {
            member.display_name = display_name;
        }
        let audit = self.member_audit(&Caller::Broker, action, &member, String::new());
        let change = MemberChange {
            invitation: InvitationChange::End,
            password: Some(hash),
            ends_sessions: true,
            ..MemberChange::of(member.clone(), audit.into())
        };
        // Of two who follow one link at once, the store lets one through.
        match self.store.change_member(change).await {
            Ok(()) => {}
            Err(crate::store::MemberChangeError::Changed) => return Err(JoinError::Link),
            Err(error) => return Err(change_error(&before, error).into()),
        }
        let begun = self.begin_session(member, &browser, self.now(), "session.begin").await;
        let begun = begun.map_err(|error: SignInError| JoinError::Member(error.into()))?;
        begun.ok_or(JoinError::Member(MemberError::Contended(before.id)))
    }
}
