//! A member signs in with mail address and password.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::{MemberId, TeamId};
use crate::base::secret::Secret;
use crate::domain::member::{MailAddress, Member, Session, SessionOf, origin_of};
use crate::service::members::MemberError;
use crate::service::{Broker, Caller};
use crate::store::StoreError;

/// Teams of one address that are looked at.
const TEAMS: u32 = 32;
/// How often somebody is judged anew whose member was changed while that was done.
const JUDGEMENTS: usize = 3;
/// No member has this id.
const NOBODY: MemberId = MemberId::from_u128(0);

/// Who asks, as far as the connection tells.
#[derive(Debug, Clone)]
pub struct Browser {
    /// Where it is.
    pub address: IpAddr,
    /// What it calls itself.
    pub agent: String,
}

/// A try to sign in.
pub struct SignIn {
    /// The mail address, as it was typed.
    pub mail: String,
    /// The team, where the address belongs to members of several.
    pub team: Option<TeamId>,
    /// The password.
    pub password: Secret,
    /// Who asks.
    pub browser: Browser,
}

/// A session that began, with its secret for the browser.
pub struct StartedSession {
    /// The session.
    pub session: Session,
    /// Whose it is.
    pub member: Member,
    /// What the browser keeps.
    pub secret: Secret,
}

/// Why nobody was signed in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SignInError {
    /// Address and password don't belong together, or the address is in several teams and none was named.
    #[error(
        "this mail address and this password don't belong together; check both, and name your team if you are in several. If you \
         forgot the password, ask an owner of your team for a new link"
    )]
    Wrong,
    /// What was shown is no key of an operator, or not the one that signed in.
    #[error(
        "this is no operator's key that works; check that all of it was pasted. An operator who may change things makes one with \
         `token-broker key create --role reader`"
    )]
    WrongKey,
    /// It was tried too often.
    #[error("there were too many tries; wait {} s, then try again", .0.as_secs().max(1))]
    TooOften(Duration),
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers, so nobody can sign in; check the machine")]
    Random,
    /// The process is about to stop.
    #[error("the broker is about to stop; try again shortly")]
    Stopping,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Broker {
    /// Signs a member in. It is done to its end, also if the browser goes away.
    pub async fn sign_in(&self, ask: SignIn) -> Result<StartedSession, SignInError> {
        let broker = self.clone();
        self.finish(async move { broker.try_sign_in(ask).await }).await.unwrap_or(Err(SignInError::Stopping))
    }

    async fn try_sign_in(&self, ask: SignIn) -> Result<StartedSession, SignInError> {
        let SignIn { mail, team, password, browser } = ask;
        let address = mail.trim().parse::<MailAddress>().ok();
        let key = address.as_ref().map_or_else(String::new, |address| address.key().to_owned());
        let tries = self.desk.check_mail(&key, &browser).map_err(SignInError::TooOften)?;
        let password = Arc::new(password);
        for _ in 0..JUDGEMENTS {
            let member = self.whose(&key, team.as_ref()).await?;
            // Also where there is no member: neither the time nor the work tells.
            let whose = member.as_ref().map_or(NOBODY, |member| member.id);
            let kept = self.store.find_password(whose).await?;
            let right = self.desk.is_right(password.clone(), kept).await.map_err(SignInError::TooOften)?;
            let Some(member) = member else { return Err(SignInError::Wrong) };
            if !right {
                self.note_refusal(&member, &browser);
                return Err(SignInError::Wrong);
            }
            if let Some(begun) = self.begin_session(member, &browser, "session.begin").await? {
                self.desk.pairs.forget(&tries);
                return Ok(begun);
            }
        }
        Err(SignInError::Wrong)
    }

    /// Notes that a member was refused, behind the answer, which would else come later than that to an address without a member.
    pub(super) fn note_refusal(&self, member: &Member, browser: &Browser) {
        let detail = format!("origin={}", origin_of(browser.address));
        let audit = self.member_audit(&Caller::Broker, "session.refuse", member, detail);
        let store = self.store.clone();
        self.tasks.spawn("note a refused sign-in", async move {
            if let Err(error) = store.append_audit(vec![audit]).await {
                tracing::warn!(%error, "a refused sign-in could not be audited");
            }
        });
    }

    /// The one active member with that address, of the team if one is named.
    async fn whose(&self, mail_key: &str, team: Option<&TeamId>) -> Result<Option<Member>, StoreError> {
        let found = self.store.members_by_mail(mail_key, TEAMS).await?;
        let meant = |member: &Member| member.is_active() && team.is_none_or(|team| member.team == *team);
        let mut meant = found.into_iter().filter(meant);
        Ok(meant.next().filter(|_| meant.next().is_none()))
    }

    /// Begins a session of a member who proved who it is. Its secret is new: no session goes on under an old one. `None`: the member was changed
    /// since it was read, so that its password may be another one, and its sessions ended.
    pub(super) async fn begin_session(
        &self,
        member: Member,
        browser: &Browser,
        action: &'static str,
    ) -> Result<Option<StartedSession>, SignInError> {
        let (session, secret) = self.new_session(SessionOf::Member(member.id), browser)?;
        let caller = Caller::Member { member: member.clone().into(), session: session.id };
        let detail = format!("session={} origin={}", session.id, session.origin);
        let audit = self.member_audit(&caller, action, &member, detail);
        let began = self.store.insert_session(session.clone(), Some(member.version), audit.into()).await?;
        Ok(began.then_some(StartedSession { session, member, secret }))
    }
}

impl From<SignInError> for MemberError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Store(error) => MemberError::Store(error),
            SignInError::Random => MemberError::Random,
            _ => MemberError::Store(StoreError::Closed),
        }
    }
}
