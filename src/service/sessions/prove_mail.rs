//! A member asks for another mail address, and proves that it is its own: by a link that is sent there and nowhere else. Until then nothing
//! changes, since tokens are known by the addresses of who granted them.

use std::time::Duration;

use aws_lc_rs::rand::fill;
use zeroize::Zeroizing;

use crate::base::ids::{MemberId, OutboxId, TeamId};
use crate::base::secret::Secret;
use crate::domain::member::{Action, LinkKind, MailAddress, Member};
use crate::domain::notice::{Words, html, plain};
use crate::outbound::mail::Mail;
use crate::service::members::{MemberError, On, change_error};
use crate::service::sessions::Browser;
use crate::service::{Broker, Caller};
use crate::store::{Invitation, InvitationChange, MemberChange, StoreError};
use crate::text::Text;

/// How long the link can be used.
const LASTS: Duration = Duration::from_secs(24 * 3600);
const PROOF: &str = "proof of a mail address";
/// Members of one address that are looked at.
const TEAMS: u32 = 100;

/// What a link would prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailToProve {
    /// The member, with the address that it has.
    pub member: Member,
    /// The address that would become its.
    pub mail: MailAddress,
    /// The team's name for people.
    pub team_name: String,
}

/// Why a member has no other address.
#[derive(Debug, thiserror::Error)]
pub enum ProveMailError {
    /// The link is none that can be used.
    #[error(
        "this link can't be used any more: it was used or replaced, or is older than 24 hours; ask for the address once more on your \
         page in Members"
    )]
    Link,
    /// No link can be sent.
    #[error(
        "a new mail address is proved by a link that is sent to it, and this broker sends no mail; an owner of the team or an operator \
         can change the address"
    )]
    NoMail,
    /// The mail server did not take the link.
    #[error("the link could not be sent ({0}), so the address stays as it was; check the new one, then try again")]
    NotSent(String),
    /// It was tried too often.
    #[error("there were too many tries; wait {} s, then try again", .0.as_secs().max(1))]
    TooOften(Duration),
    /// The member could not be changed.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// The process is about to stop.
    #[error("the broker is about to stop; try again shortly")]
    Stopping,
}

impl From<StoreError> for ProveMailError {
    fn from(error: StoreError) -> Self {
        Self::Member(error.into())
    }
}

impl Broker {
    /// Sends a link to the address that a member asks for; with it the address becomes its. The link takes the place of any other one of the
    /// member. It is done to its end, also if the browser goes away.
    pub async fn ask_for_mail(
        &self,
        caller: &Caller,
        team: &TeamId,
        id: MemberId,
        mail: MailAddress,
    ) -> Result<(), ProveMailError> {
        let (broker, caller, team) = (self.clone(), caller.clone(), team.clone());
        let work = async move { broker.try_ask_for_mail(&caller, &team, id, mail).await };
        self.finish(work).await.unwrap_or(Err(ProveMailError::Stopping))
    }

    async fn try_ask_for_mail(
        &self,
        caller: &Caller,
        team: &TeamId,
        id: MemberId,
        mail: MailAddress,
    ) -> Result<(), ProveMailError> {
        let before = self.stored_member(team, id).await?;
        self.must_permit(caller, Action::ChangeMember, team, On::Member(id)).map_err(MemberError::from)?;
        if !self.sends_links() {
            return Err(ProveMailError::NoMail);
        }
        self.desk.inside.check(&id.to_string()).map_err(ProveMailError::TooOften)?;
        let taken = self.store.members_by_mail(mail.key(), TEAMS).await?;
        if let Some(other) = taken.into_iter().find(|other| other.team == *team && other.id != id) {
            return Err(MemberError::MailTaken { team: team.clone(), member: other.id }.into());
        }
        let mut secret = Zeroizing::new([0_u8; 32]);
        fill(secret.as_mut_slice()).map_err(|_| MemberError::Random)?;
        let now = self.now();
        let (hash, asked) = (self.mail_proof(&secret), Some(mail.clone()));
        let invitation = Invitation { member: id, hash, mail: asked, made_at: now, expires_at: now + LASTS };
        let member = Member { version: before.version + 1, ..before };
        let audit = self.member_audit(caller, "member.ask_for_mail", &member, format!("mail={mail}"));
        let change = MemberChange {
            invitation: InvitationChange::Put(invitation),
            ..MemberChange::of(member.clone(), audit.into())
        };
        self.store.change_member(change).await.map_err(|error| change_error(&member, error))?;
        let proof = LinkKind::Mail.text(&secret);
        let link = self.config.http.link(&format!("/mail?proof={}", proof.expose()));
        let text = Text::english();
        let words = [Words::of_mail_to_prove(text, member.mail.as_str(), link)];
        let subject = words[0].subject.clone();
        let sent = Mail {
            id: OutboxId::generate().to_string(),
            to: mail.to_string(),
            at: now,
            text: plain(text, &words, 0, None),
            html: html(text, &subject, &words, 0, None),
            subject,
            settings: None,
        };
        self.send_mail(&sent).await.map_err(ProveMailError::NotSent)
    }

    /// What a link would prove. Looking at it does not use it up: mail readers look at links, too.
    pub async fn look_at_mail(&self, secret: &Secret, browser: &Browser) -> Result<MailToProve, ProveMailError> {
        self.desk.check_address(browser).map_err(ProveMailError::TooOften)?;
        let secret = LinkKind::Mail.read(secret.expose()).ok_or(ProveMailError::Link)?;
        let found = self.store.invitation_by_hash(self.mail_proof(&secret)).await?;
        let found = found.filter(|invitation| self.now() < invitation.expires_at).ok_or(ProveMailError::Link)?;
        let mail = found.mail.ok_or(ProveMailError::Link)?;
        let member = self.store.find_member(found.member).await?.filter(Member::is_active);
        let member = member.ok_or(ProveMailError::Link)?;
        let team_name = self.team_name(&member.team).ok_or(ProveMailError::Link)?;
        Ok(MailToProve { member, mail, team_name })
    }

    /// Makes the address that a link proves the member's, which signs in again with it. The link is used up.
    pub async fn prove_mail(&self, secret: &Secret, browser: &Browser) -> Result<MailToProve, ProveMailError> {
        let proved = self.look_at_mail(secret, browser).await?;
        let MailToProve { member: before, mail, .. } = &proved;
        let member = Member { mail: mail.clone(), version: before.version + 1, ..before.clone() };
        let detail = format!("mail={mail} mail_before={}", before.mail);
        let audit = self.member_audit(&Caller::Broker, "member.prove_mail", &member, detail);
        let change = MemberChange {
            invitation: InvitationChange::End,
            ends_sessions: true,
            ..MemberChange::of(member, audit.into())
        };
        match self.store.change_member(change).await {
            Ok(()) => Ok(proved),
            Err(crate::store::MemberChangeError::Changed) => Err(ProveMailError::Link),
            Err(error) => Err(change_error(before, error).into()),
        }
    }

    fn mail_proof(&self, secret: &[u8; 32]) -> [u8; 32] {
        self.vault.mac_key(PROOF).sign(&[secret])
    }
}
