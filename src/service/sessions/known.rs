//! Sessions that go on: known by their secret, listed, ended.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::fill;
use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::ids::{MemberId, SessionId, TeamId};
use crate::base::secret::Secret;
use crate::domain::member::{Action, LinkKind, Member, Session, SessionOf, agent_of, origin_of};
use crate::service::members::{MemberError, On};
use crate::service::requests::Attempt;
use crate::service::sessions::{Browser, SignInError};
use crate::service::{Broker, Caller};
use crate::store::StoreError;

const LABEL: &str = "session";
/// The use of a session is noted at most once in this time.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// A member who is signed in.
#[derive(Debug, Clone)]
pub struct Stay {
    /// The member, as it is now.
    pub member: Arc<Member>,
    /// The session.
    pub session: Session,
}

/// A session with when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// The session.
    pub session: Session,
    /// When it ends, if it is not used again.
    pub ends_at: Timestamp,
}

impl Stay {
    /// The member as it calls.
    pub fn caller(&self) -> Caller {
        Caller::Member { member: self.member.clone(), session: self.session.id }
    }
}

impl Broker {
    /// The member who is signed in with that secret; `None`: none. Notes the use.
    pub async fn find_stay(&self, secret: &str) -> Result<Option<Stay>, StoreError> {
        let stay = self.look_at_stay(secret).await?;
        if let Some(stay) = &stay {
            self.note_use(&stay.session).await?;
        }
        Ok(stay)
    }

    /// As [`Broker::find_stay`], for what a page that is merely open does by itself: it is no use of the session, and does not prolong it.
    pub async fn look_at_stay(&self, secret: &str) -> Result<Option<Stay>, StoreError> {
        let Some(session) = self.lasting_session(secret).await? else { return Ok(None) };
        let SessionOf::Member(member) = session.whose else { return Ok(None) };
        let member = self.store.find_member(member).await?.filter(Member::is_active);
        Ok(member.map(|member| Stay { member: Arc::new(member), session }))
    }

    /// Whether a member or an operator is signed in with that secret. It is no use of the session.
    pub async fn is_signed_in(&self, secret: &str) -> Result<bool, StoreError> {
        Ok(self.look_at_stay(secret).await?.is_some() || self.look_at_operator_stay(secret).await?.is_some())
    }

    /// Notes that somebody uses a session, which prolongs it.
    pub(super) async fn note_use(&self, session: &Session) -> Result<(), StoreError> {
        let now = self.now();
        if now.since(session.seen_at) < NOTED_EVERY {
            return Ok(());
        }
        self.store.touch_session(session.id, now).await
    }

    /// The session with that secret, while it lasts.
    pub(super) async fn lasting_session(&self, secret: &str) -> Result<Option<Session>, StoreError> {
        let Some(secret) = LinkKind::Session.read(secret) else { return Ok(None) };
        let found = self.store.session_by_hash(self.session_hash(&secret)).await?;
        let (limits, now) = (self.desk.limits(), self.now());
        Ok(found.filter(|session| session.lasts(limits, now)))
    }

    /// A session that begins now, with its secret for the browser. `proved_at`: when it was proved whose it is.
    pub(super) fn new_session(
        &self,
        whose: SessionOf,
        browser: &Browser,
        proved_at: Timestamp,
    ) -> Result<(Session, Secret), SignInError> {
        let mut secret = Zeroizing::new([0_u8; 32]);
        fill(secret.as_mut_slice()).map_err(|_| SignInError::Random)?;
        let now = self.now();
        let session = Session {
            id: SessionId::generate(),
            whose,
            hash: self.session_hash(&secret),
            created_at: now,
            seen_at: now,
            authenticated_at: proved_at,
            agent: agent_of(&browser.agent),
            origin: origin_of(browser.address),
        };
        Ok((session, LinkKind::Session.text(&secret)))
    }

    fn session_hash(&self, secret: &[u8; 32]) -> [u8; 32] {
        self.vault.mac_key(LABEL).sign(&[secret])
    }

    /// At most `limit` sessions of a member that go on, the newest first, older than `before` (the last one of the page before), and
    /// where the next page begins.
    pub async fn list_sessions(
        &self,
        caller: &Caller,
        (team, member): (&TeamId, MemberId),
        before: Option<SessionId>,
        limit: u32,
    ) -> Result<(Vec<SessionView>, Option<SessionId>), MemberError> {
        let member = self.stored_member(team, member).await?;
        self.must_permit_sessions(caller, &member, true)?;
        let (limits, now) = (self.desk.limits(), self.now());
        let mut found = self.store.list_sessions(member.id, before, limit.saturating_add(1)).await?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next = found.last().filter(|_| more).map(|session| session.id);
        let lasting = found.into_iter().filter(|session| session.lasts(limits, now));
        Ok((lasting.map(|session| SessionView { ends_at: session.ends_at(limits), session }).collect(), next))
    }

    /// Ends a session of a member at once. One that has ended is no error.
    pub async fn end_session(
        &self,
        attempt: impl Into<Attempt<()>>,
        team: &TeamId,
        member: MemberId,
        session: SessionId,
    ) -> Result<(), MemberError> {
        let attempt = attempt.into();
        let member = self.stored_member(team, member).await?;
        self.must_permit_sessions(&attempt.caller, &member, false)?;
        let audit = self.member_audit(&attempt.caller, "session.end", &member, format!("session={session}"));
        match self.store.end_session(SessionOf::Member(member.id), session, attempt.trail(audit, &())).await {
            Err(StoreError::NotFound { .. }) => Ok(self.note_unchanged(&attempt, &()).await?),
            other => Ok(other?),
        }
    }

    /// Deletes at most `limit` sessions whose time is over; how many.
    pub(in crate::service) async fn prune_sessions(&self, limit: u32) -> Result<u64, StoreError> {
        let (limits, now) = (self.desk.limits(), self.now());
        self.store.prune_sessions(now - limits.whole, now - limits.idle, limit).await
    }

    fn must_permit_sessions(&self, caller: &Caller, member: &Member, looks: bool) -> Result<(), MemberError> {
        if looks && caller.must_be_operator().is_ok() {
            return Ok(());
        }
        Ok(self.must_permit(caller, Action::Sessions, &member.team, On::Member(member.id))?)
    }
}
