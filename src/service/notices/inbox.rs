//! A member's notices in the app: the events of its team, as the member chose to see them, and which of them it has read.

use crate::base::ids::{EventId, MemberId, TeamId};
use crate::domain::audit::AuditEvent;
use crate::domain::member::Member;
use crate::domain::notice::{Channel, Event, NoticeSettings, SettingsError, Words};
use crate::domain::token::{EXPIRING_WITHIN, Status, Token};
use crate::service::Broker;
use crate::service::members::MemberError;
use crate::service::requests::Attempt;
use crate::service::tokens::TokenView;
use crate::store::{StoreError, TokenFilter};

/// Events read at once while those that the member does not see are left out.
const CHUNK: u32 = 200;
/// The most events that are looked at for one page.
const MOST_LOOKED_AT: usize = 2000;
/// The most tokens that are told to be at risk.
const MOST_AT_RISK: usize = 1000;
/// Tokens read at once.
const TOKENS: u32 = 1000;

/// A notice in the app.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Whose it is.
    pub member: MemberId,
    /// What happened.
    pub event: Event,
    /// What it says.
    pub words: Words,
    /// Whether the member has read it.
    pub read: bool,
    /// Why it does not hold any more; `None`: it does.
    pub over: Option<String>,
}

/// A page of notices.
#[derive(Debug, Clone, PartialEq)]
pub struct NoticePage {
    /// The notices, the newest first.
    pub notices: Vec<Notice>,
    /// Where the next page begins; `None`: this was the last.
    pub before: Option<EventId>,
}

/// What a member chose, with whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenSettings {
    /// The team.
    pub team: TeamId,
    /// The member.
    pub member: MemberId,
    /// What it chose.
    pub settings: NoticeSettings,
}

/// Why nothing was done about notices.
#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// There is no such member, or the caller may not.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// The settings can't be.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a member has read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarkRead {
    /// Everything up to this event.
    pub through: Option<EventId>,
    /// These.
    pub events: Vec<EventId>,
}

impl Broker {
    /// A member's notices from before `before` (`None`: the newest), the newest first. A page may be short though there are more.
    pub async fn list_notices(
        &self,
        team: &TeamId,
        member: MemberId,
        before: Option<EventId>,
        limit: usize,
    ) -> Result<NoticePage, NoticeError> {
        let member = self.stored_member(team, member).await?;
        let settings = self.store.notice_settings(member.id).await?;
        let (mut page, mut before, mut looked_at) = (Vec::new(), before, 0);
        loop {
            let events = self.store.list_events(team, before, CHUNK).await?;
            let last = events.len() < CHUNK as usize;
            looked_at += events.len();
            for event in events {
                before = Some(event.id);
                page.extend(self.seen(&member, &settings, event).await?);
                if page.len() == limit {
                    return self.read_page(&member, page, before).await;
                }
            }
            if last || looked_at >= MOST_LOOKED_AT {
                return self.read_page(&member, page, before.filter(|_| !last)).await;
            }
        }
    }

    /// The notice of an event, if the member sees it in the app.
    async fn seen(
        &self,
        member: &Member,
        settings: &NoticeSettings,
        event: Event,
    ) -> Result<Option<Notice>, StoreError> {
        let held = self.known(event).await?;
        let tokens = held.token.iter().map(|token| (token.id, token.clone())).collect();
        if !self.hears(member, settings, Channel::InApp, &held.event, &tokens) {
            return Ok(None);
        }
        let words = self.words(&held, &member.time_zone.zone());
        let over = self.holds(&held).err().map(|untrue| untrue.to_string());
        Ok(Some(Notice { member: member.id, event: held.event, words, read: false, over }))
    }

    /// The notice of an event, as a member sees it that watches; `None`: it does not see it.
    pub async fn notice_of(
        &self,
        team: &TeamId,
        member: MemberId,
        event: &Event,
    ) -> Result<Option<Notice>, NoticeError> {
        let member = self.stored_member(team, member).await?;
        let settings = self.store.notice_settings(member.id).await?;
        Ok(self.seen(&member, &settings, event.clone()).await?)
    }

    async fn read_page(
        &self,
        member: &Member,
        mut notices: Vec<Notice>,
        before: Option<EventId>,
    ) -> Result<NoticePage, NoticeError> {
        let events: Vec<EventId> = notices.iter().map(|notice| notice.event.id).collect();
        let marks = self.store.read_marks(member.id, &events).await?;
        notices.iter_mut().for_each(|notice| notice.read = marks.has(notice.event.id));
        Ok(NoticePage { notices, before })
    }

    /// Notes what a member has read.
    pub async fn mark_notices_read(&self, team: &TeamId, member: MemberId, read: MarkRead) -> Result<(), NoticeError> {
        let member = self.stored_member(team, member).await?;
        Ok(self.store.mark_read(member.id, read.through, read.events, self.now()).await?)
    }

    /// What a member chose to hear.
    pub async fn notice_settings(&self, team: &TeamId, member: MemberId) -> Result<NoticeSettings, NoticeError> {
        let member = self.stored_member(team, member).await?;
        Ok(self.store.notice_settings(member.id).await?)
    }

    /// Puts what a member chooses to hear in the place of what it chose before.
    pub async fn put_notice_settings(
        &self,
        attempt: impl Into<Attempt<ChosenSettings>>,
        team: &TeamId,
        member: MemberId,
        settings: NoticeSettings,
    ) -> Result<ChosenSettings, NoticeError> {
        let attempt = attempt.into();
        let member = self.stored_member(team, member).await?;
        let settings = settings.checked()?;
        let detail = format!("choices={} quiet={}", settings.choices.len(), settings.quiet.is_some());
        let audit = self.audit(&attempt.caller, "notice.settings", member.name(), detail);
        let audit = AuditEvent { team: Some(team.clone()), ..audit };
        let chosen = ChosenSettings { team: team.clone(), member: member.id, settings };
        let trail = attempt.trail(audit, &chosen);
        self.store.put_notice_settings(member.id, chosen.settings.clone(), trail).await?;
        Ok(chosen)
    }

    /// The tokens that a member granted and that have ended or will within 7 days, at most 1000: what it is asked to mend when it signs in.
    /// The most urgent first.
    pub async fn tokens_at_risk(&self, team: &TeamId, member: MemberId) -> Result<Vec<TokenView>, NoticeError> {
        let member = self.stored_member(team, member).await?;
        let now = self.now();
        let dead = TokenFilter { state: Some("invalid"), ..TokenFilter::default() };
        let ending = TokenFilter {
            not_states: Some(("invalid", "revoked")),
            ends_before: Some(now + EXPIRING_WITHIN),
            ..TokenFilter::default()
        };
        let mut at_risk = self.granted_tokens(&member, dead).await?;
        for token in self.granted_tokens(&member, ending).await? {
            let Some(stored) = self.store.find_token(token.id).await? else { continue };
            if self.expiry_of(&stored).event.is_some() {
                at_risk.push(stored.token);
            }
        }
        at_risk.sort_by_key(|token| (token.status(now) != Status::Expired, token.ends_at(), token.id));
        at_risk.truncate(MOST_AT_RISK);
        Ok(at_risk.into_iter().map(|token| self.view_token(token)).collect())
    }

    /// The tokens of a filter that a member granted.
    async fn granted_tokens(&self, member: &Member, mut filter: TokenFilter) -> Result<Vec<Token>, StoreError> {
        let mut granted = Vec::new();
        while granted.len() < MOST_AT_RISK {
            let tokens = self.store.list_tokens(&member.team, filter.clone(), TOKENS).await?;
            let last = tokens.len() < TOKENS as usize;
            filter.after = tokens.last().map(|token| token.id);
            granted.extend(tokens.into_iter().filter(|token| member.granted(token)));
            if last {
                break;
            }
        }
        Ok(granted)
    }
}
