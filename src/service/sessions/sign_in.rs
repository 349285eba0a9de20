//! A member signs in with mail address and password.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{MemberId, TeamId};
use crate::base::secret::Secret;
use crate::domain::member::{MailAddress, Member, MemberState, Session, SessionOf, origin_of};
use crate::domain::team::Team;
use crate::service::members::MemberError;
use crate::service::sessions::TeamChoice;
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
    /// The team by its id or its name, as it was typed; blank: not said.
    pub team: String,
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

/// What came of a right password.
pub enum SignedIn {
    /// The person is signed in.
    Begun(Box<StartedSession>),
    /// It is right in several teams: the person says which one is meant.
    WhichTeam(TeamChoice),
}

/// Why nobody was signed in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SignInError {
    /// Address and password don't belong together, or not in the team that was named; of an address in several teams, if none was named, not in the
    /// one that it joined first.
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
    /// Nobody of this browser is asked for a team any more, or not for this one.
    #[error("which team was meant was said too late, or once before; sign in again")]
    NotChosen,
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
    pub async fn sign_in(&self, ask: SignIn) -> Result<SignedIn, SignInError> {
        let broker = self.clone();
        self.finish(async move { broker.try_sign_in(ask).await }).await.unwrap_or(Err(SignInError::Stopping))
    }

    async fn try_sign_in(&self, ask: SignIn) -> Result<SignedIn, SignInError> {
        let SignIn { mail, team, password, browser } = ask;
        let address = mail.trim().parse::<MailAddress>().ok();
        let key = address.as_ref().map_or_else(String::new, |address| address.key().to_owned());
        let tries = self.desk.check_mail(&key, &browser).map_err(SignInError::TooOften)?;
        let password = Arc::new(password);
        for _ in 0..JUDGEMENTS {
            match <[_; 1]>::try_from(self.proved(&key, team.trim(), &password, &browser).await?) {
                Ok([(only, _)]) => {
                    if let Some(begun) = self.begin_session(only, &browser, self.now(), "session.begin").await? {
                        self.desk.pairs.give_back(&tries);
                        return Ok(SignedIn::Begun(Box::new(begun)));
                    }
                }
                Err(several) => {
                    self.desk.pairs.give_back(&tries);
                    return self.ask_which_team(several).map(SignedIn::WhichTeam);
                }
            }
        }
        Err(SignInError::Wrong)
    }

    /// The memberships of that mail address whose password it is, with the hashes that it is right for: one at least.
    async fn proved(
        &self,
        mail_key: &str,
        team: &str,
        password: &Arc<Secret>,
        browser: &Browser,
    ) -> Result<Vec<(Member, Option<String>)>, SignInError> {
        let mut meant = self.who_may_be_meant(mail_key, team).await?.into_iter();
        let first = meant.next();
        // Also where there is no member: neither the time nor the work tells. Nor do they tell of how many there are: one decides.
        let whose = first.as_ref().map_or(NOBODY, |member| member.id);
        let kept = self.store.find_password(whose).await?;
        let right = self.desk.is_right(password, kept.clone()).await.map_err(SignInError::TooOften)?;
        let Some(first) = first else { return Err(SignInError::Wrong) };
        if !right {
            self.note_refusal(&first, browser);
            return Err(SignInError::Wrong);
        }
        let mut proved = vec![(first, kept)];
        for other in meant {
            let kept = self.store.find_password(other.id).await?;
            if self.desk.is_right(password, kept.clone()).await.map_err(SignInError::TooOften)? {
                proved.push((other, kept));
            }
        }
        Ok(proved)
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

    /// The active members with that address, of a team that is called so if one is named; first who joined first.
    async fn who_may_be_meant(&self, mail_key: &str, team: &str) -> Result<Vec<Member>, StoreError> {
        let named = team.to_lowercase();
        let is_named = |team: &TeamId| {
            let is_its_name = |team: Arc<Team>| team.display_name.to_lowercase() == named;
            named.is_empty() || team.as_str() == named || self.directory.team(team).is_some_and(is_its_name)
        };
        let joined_at = |member: &Member| match member.state {
            MemberState::Active { since } if is_named(&member.team) => Some(since),
            _ => None,
        };
        let found = self.store.members_by_mail(mail_key, TEAMS).await?.into_iter();
        let mut meant: Vec<_> = found.filter_map(|member| Some((joined_at(&member)?, member))).collect();
        meant.sort_by_key(|(joined_at, _)| *joined_at);
        Ok(meant.into_iter().map(|(_, member)| member).collect())
    }

    /// Begins a session of a member who proved who it is. Its secret is new: no session goes on under an old one. `None`: the member was changed
    /// since it was read, so that its password may be another one, and its sessions ended.
    pub(super) async fn begin_session(
        &self,
        member: Member,
        browser: &Browser,
        proved_at: Timestamp,
        action: &'static str,
    ) -> Result<Option<StartedSession>, SignInError> {
        let (session, secret) = self.new_session(SessionOf::Member(member.id), browser, proved_at)?;
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
