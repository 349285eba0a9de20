//! What is learnt when a member connects an account: that the account is its own, and what it agreed to.

use crate::base::ids::{MemberId, TeamId, TokenId};
use crate::domain::consent::Consent;
use crate::domain::member::{MailAddress, Member};
use crate::domain::networks::Purposes;
use crate::domain::token::Token;
use crate::service::members::{ATTEMPTS, MemberError, change_error};
use crate::service::tokens::{TokenError, UNKNOWN_PERSON, name_of};
use crate::service::{Broker, Caller};
use crate::store::{MemberChange, MemberChangeError, StoreError};

impl Broker {
    /// Notes that a person connected the account of a token, and agreed to the token's purposes in the words of `text_version`. Where the token
    /// says which member granted it, the account is that member's from then on. Doing it again notes a further agreement.
    pub async fn note_connected(
        &self,
        caller: &Caller,
        team: &TeamId,
        id: TokenId,
        text_version: &str,
    ) -> Result<(), TokenError> {
        let token = self.stored_token(team, id).await?.token;
        let member = self.granter_of(&token).await?;
        let consent = Consent {
            token: id,
            at: self.now(),
            purposes: token.purposes,
            withdrawn: Purposes::default(),
            text_version: text_version.to_owned(),
            member: member.as_ref().map(|member| member.id),
        };
        let mut audit = self.audit(caller, "consent.give", name_of(team, id), format!("text={text_version}"));
        audit.team = Some(team.clone());
        self.store.note_consent(consent, audit.into()).await?;
        match member {
            Some(member) => self.learn_account(caller, member, &token).await,
            None => Ok(()),
        }
    }

    /// The active member who granted a token, as the token says by id, name or mail address.
    async fn granter_of(&self, token: &Token) -> Result<Option<Member>, StoreError> {
        let says = token.granted_by.as_str();
        let id = says.rsplit('/').next().unwrap_or(says).parse::<MemberId>();
        let found = match (id, says.parse::<MailAddress>()) {
            (Ok(id), _) => self.store.find_member(id).await?.into_iter().collect(),
            (Err(_), Ok(mail)) => self.store.members_by_mail(mail.key(), 100).await?,
            (Err(_), Err(_)) => Vec::new(),
        };
        Ok(found.into_iter().find(|member| member.is_active() && member.granted(token)))
    }

    async fn learn_account(&self, caller: &Caller, mut before: Member, token: &Token) -> Result<(), TokenError> {
        for _ in 0..ATTEMPTS {
            if token.person.starts_with(UNKNOWN_PERSON) || before.has_account(&token.network, &token.person) {
                return Ok(());
            }
            let mut member = Member { version: before.version + 1, ..before.clone() };
            member.persons.entry(token.network.clone()).or_default().insert(token.person.clone());
            let detail = format!("network={} token={}", token.network, token.id);
            let audit = self.member_audit(caller, "member.account", &member, detail);
            match self.store.change_member(MemberChange::of(member, audit.into())).await {
                Ok(()) => return Ok(()),
                Err(MemberChangeError::Changed) => {}
                Err(error) => return Err(account_error(token.id, change_error(&before, error))),
            }
            let Some(now) = self.store.find_member(before.id).await?.filter(Member::is_active) else { return Ok(()) };
            before = now;
        }
        Err(TokenError::Contended(token.id))
    }
}

fn account_error(token: TokenId, error: MemberError) -> TokenError {
    match error {
        MemberError::Store(error) => TokenError::Store(error),
        _ => TokenError::Contended(token),
    }
}
