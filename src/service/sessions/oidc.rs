//! A member signs in at an OpenID Connect provider.
//!
//! A try is kept in memory for ten minutes, under the hash of its state, and is taken out by the first answer: whatever comes a second time
//! is unknown. It belongs to the browser that began it, by a cookie.
//!
//! A person is a member if one is bound to the provider's id of the person. Else, at the first sign-in, by the mail address, if the provider
//! says that it is verified: a member with that address who is bound to nobody yet is bound to this person, in the transaction in which one
//! that was invited joins. From then on the address says nothing any more: neither a change of it here or there, nor another person with the
//! same address, leads to that member.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use url::Url;

use crate::base::ids::TeamId;
use crate::base::secret::Secret;
use crate::config::Oidc;
use crate::domain::member::{Identity, MailAddress, Member, MemberState};
use crate::outbound::oidc::{OidcError, OidcPerson, OidcProvider, OidcTry};
use crate::service::sessions::confirm::FRESH;
use crate::service::sessions::waiting::{Waiting, random};
use crate::service::sessions::{Browser, SignInError, StartedSession};
use crate::service::{Broker, Caller};
use crate::store::{InvitationChange, MemberChange, MemberChangeError, StoreError};

/// Members of one identity or address that are looked at.
const TEAMS: u32 = 32;
/// The longest name that is taken from the provider, in characters.
const NAME: usize = 128;

/// What signing in by a provider needs.
pub(super) struct OidcDesk {
    provider: OidcProvider,
    tries: Waiting<Try>,
}

/// A browser that is at the provider.
struct Try {
    browser: [u8; 32],
    nonce: Secret,
    verifier: Secret,
    team: Option<TeamId>,
    next: String,
}

/// A browser that is sent to the provider.
pub struct SentToSignIn {
    /// Where.
    pub url: Url,
    /// What it is known by when it comes back.
    pub browser: Secret,
}

/// What a browser brings back from the provider.
#[derive(Default)]
pub struct OidcAnswer {
    /// The code.
    pub code: Option<Secret>,
    /// The state that was sent.
    pub state: String,
    /// The error, where there is no code.
    pub error: Option<String>,
    /// Who answers (RFC 9207).
    pub issuer: Option<String>,
}

/// Why nobody was signed in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OidcSignInError {
    /// No provider is set.
    #[error("members sign in with their mail address and password here")]
    NotSetUp,
    /// The answer is none to a try of this browser.
    #[error(
        "this belongs to no sign-in that was begun in this browser, was used already, or came too late; sign in again"
    )]
    Unknown,
    /// The person, or the provider, said no.
    #[error("you were not signed in there; sign in again, or with your password")]
    Denied,
    /// Something about the provider.
    #[error(transparent)]
    Provider(#[from] OidcError),
    /// The provider does not say that the mail address is the person's.
    #[error(
        "the sign-in service does not say that your mail address is verified, so it can't be known which member you are; have it verified there, \
         or ask an owner of your team for a link to sign in with a password"
    )]
    Unverified,
    /// Nobody of the address is a member.
    #[error(
        "nobody with your mail address is a member of a team here; ask an owner of your team to invite you with that address"
    )]
    NoMember,
    /// The member of that address is another person's.
    #[error(
        "the member with your mail address is bound to another account of the sign-in service; sign in there with that one, or ask an owner of your \
         team"
    )]
    BoundToAnother,
    /// The person is in several teams.
    #[error("you are a member of several teams; say which one")]
    WhichTeam(Vec<TeamId>),
    /// As by password.
    #[error(transparent)]
    SignIn(#[from] SignInError),
}

impl From<StoreError> for OidcSignInError {
    fn from(error: StoreError) -> Self {
        Self::SignIn(error.into())
    }
}

impl OidcDesk {
    pub(super) fn new(settings: Oidc) -> Self {
        Self { provider: OidcProvider::new(settings), tries: Waiting::default() }
    }
}

impl Broker {
    /// Sends a browser to the provider. `next`: the page that it wanted; `proves`: the person must have shown there lately who it is.
    pub async fn begin_oidc(
        &self,
        browser: &Browser,
        team: Option<TeamId>,
        next: &str,
        proves: bool,
    ) -> Result<SentToSignIn, OidcSignInError> {
        let desk = self.desk.oidc.as_ref().ok_or(OidcSignInError::NotSetUp)?;
        self.desk.check_address(browser).map_err(SignInError::TooOften)?;
        let (state, nonce, verifier, known) = (random()?, random()?, random()?, random()?);
        let redirect_uri = self.oidc_redirect();
        let (now, network) = (self.now(), self.renewals.network());
        let of = OidcTry { redirect_uri: &redirect_uri, nonce: &nonce, verifier: &verifier };
        let url = desk.provider.sign_in_url(network, now, &state, proves.then_some(FRESH), &of).await?;
        let begun = Try { browser: self.oidc_hash(known.expose()), nonce, verifier, team, next: next.to_owned() };
        desk.tries.keep(self.oidc_hash(state.expose()), begun, now)?;
        Ok(SentToSignIn { url, browser: known })
    }

    /// Signs in whom a browser brings back, and says which page it wanted. It is done to its end, also if the browser goes away.
    pub async fn finish_oidc(
        &self,
        browser: Browser,
        known: String,
        answer: OidcAnswer,
    ) -> Result<(StartedSession, String), OidcSignInError> {
        let broker = self.clone();
        let done = self.finish(async move { broker.try_finish_oidc(&browser, &known, answer).await });
        done.await.unwrap_or(Err(SignInError::Stopping.into()))
    }

    async fn try_finish_oidc(
        &self,
        browser: &Browser,
        known: &str,
        answer: OidcAnswer,
    ) -> Result<(StartedSession, String), OidcSignInError> {
        let desk = self.desk.oidc.as_ref().ok_or(OidcSignInError::NotSetUp)?;
        self.desk.check_address(browser).map_err(SignInError::TooOften)?;
        let taken = desk.tries.take(&self.oidc_hash(&answer.state), self.now());
        // It is used up, also by a browser that is not its own.
        let is_own = |begun: &Try| verify_slices_are_equal(&begun.browser, &self.oidc_hash(known)).is_ok();
        let begun = taken.filter(is_own).ok_or(OidcSignInError::Unknown)?;
        let issuer = desk.provider.issuer().to_owned();
        if answer.issuer.is_some_and(|said| said != issuer) {
            return Err(OidcError::NotBelieved("it comes from somebody else".to_owned()).into());
        }
        let code = answer.code.filter(|_| answer.error.is_none()).ok_or(OidcSignInError::Denied)?;
        let redirect_uri = self.oidc_redirect();
        let of = OidcTry { redirect_uri: &redirect_uri, nonce: &begun.nonce, verifier: &begun.verifier };
        let person = desk.provider.redeem(self.renewals.network(), self.now(), &code, &of).await;
        let person = person.inspect_err(|error| tracing::warn!(%error, "a sign-in by OpenID Connect was refused"))?;
        let identity = Identity { issuer, subject: person.subject.clone() };
        let member = self.member_behind(identity, &person, begun.team.as_ref()).await?;
        // A provider that knows the browser lets it in without asking for anything: that proves nothing of who sits there.
        let now = self.now();
        let proved_at = person.authenticated_at.map_or(now - FRESH, |at| at.min(now));
        let started =
            self.begin_session(member, browser, proved_at, "session.begin").await?.ok_or(OidcSignInError::Unknown)?;
        Ok((started, begun.next))
    }

    /// The member that a person is; bound to it from now on, if it was not.
    async fn member_behind(
        &self,
        identity: Identity,
        person: &OidcPerson,
        team: Option<&TeamId>,
    ) -> Result<Member, OidcSignInError> {
        let meant = |member: &Member| team.is_none_or(|team| member.team == *team);
        let bound = self.store.members_of_identity(identity.clone(), TEAMS).await?;
        let bound: Vec<Member> = bound.into_iter().filter(|member| member.is_active() && meant(member)).collect();
        if !bound.is_empty() {
            return one_of(bound);
        }
        let mail = person.mail.as_ref().and_then(|mail| mail.parse::<MailAddress>().ok());
        let Some(mail) = mail.filter(|_| person.is_verified) else { return Err(OidcSignInError::Unverified) };
        let found = self.store.members_by_mail(mail.key(), TEAMS).await?;
        let found: Vec<Member> = found.into_iter().filter(meant).collect();
        if found.is_empty() {
            return Err(OidcSignInError::NoMember);
        }
        let mut free = Vec::new();
        for member in found {
            if self.store.find_identity(member.id).await?.is_none() {
                free.push(member);
            }
        }
        if free.is_empty() {
            return Err(OidcSignInError::BoundToAnother);
        }
        self.bind(one_of(free)?, identity, person).await
    }

    async fn bind(&self, before: Member, identity: Identity, person: &OidcPerson) -> Result<Member, OidcSignInError> {
        let mut member = Member { version: before.version + 1, ..before.clone() };
        let (invitation, action) = match before.state {
            MemberState::Invited => (InvitationChange::End, "member.join"),
            _ => (InvitationChange::Keep, "member.bind"),
        };
        if before.state == MemberState::Invited {
            member.state = MemberState::Active { since: self.now() };
        }
        if member.display_name.is_empty() {
            member.display_name = person.name.chars().filter(|c| !c.is_control()).take(NAME).collect();
        }
        let audit = self.member_audit(&Caller::Broker, action, &member, format!("issuer={}", identity.issuer));
        let change =
            MemberChange { invitation, identity: Some(identity), ..MemberChange::of(member.clone(), audit.into()) };
        match self.store.change_member(change).await {
            Ok(()) => Ok(member),
            Err(MemberChangeError::Store(StoreError::Conflict { .. }) | MemberChangeError::Changed) => {
                Err(OidcSignInError::Unknown)
            }
            Err(MemberChangeError::Store(error)) => Err(error.into()),
            Err(MemberChangeError::MailTaken(_) | MemberChangeError::LastOwner) => Err(OidcSignInError::NoMember),
        }
    }

    fn oidc_redirect(&self) -> String {
        self.config.http.link("/sign-in/oidc/callback")
    }

    fn oidc_hash(&self, text: &str) -> [u8; 32] {
        self.vault.mac_key("sign-in by OpenID Connect").sign(&[text.as_bytes()])
    }
}

fn one_of(mut members: Vec<Member>) -> Result<Member, OidcSignInError> {
    if members.len() > 1 {
        return Err(OidcSignInError::WhichTeam(members.into_iter().map(|member| member.team).collect()));
    }
    members.pop().ok_or(OidcSignInError::NoMember)
}
