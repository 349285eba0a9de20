//! A member's notices in the app: the events of its team, as the member chose to see them, and which of them it has read.

use crate::base::ids::{EventId, MemberId, TeamId};
use crate::domain::audit::AuditEvent;
use crate::domain::member::Member;
use crate::domain::notice::{Channel, Choice, Event, NoticeSettings, QuietHours, SettingsError, Untrue, Words};
use crate::service::Broker;
use crate::service::members::MemberError;
use crate::service::requests::Attempt;
use crate::store::StoreError;

/// Events read at once while those that the member does not see are left out.
const CHUNK: u32 = 200;
/// The most events that are looked at for one page.
const MOST_LOOKED_AT: usize = 2000;

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
    pub over: Option<Untrue>,
}

/// A page of notices.
#[derive(Debug, Clone, PartialEq)]
pub struct NoticePage {
    /// The notices, the newest first.
    pub notices: Vec<Notice>,
    /// Where the next page begins; `None`: this was the last.
    pub before: Option<EventId>,
}

/// What a member changes about what it hears.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateSettings {
    /// All choices.
    pub choices: Option<Vec<Choice>>,
    /// When it is not disturbed.
    pub quiet: Option<Option<QuietHours>>,
    /// Whether the dialog after the sign-in is left out.
    pub hides_dialog: Option<bool>,
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
    /// There is no such notice.
    #[error("this member has no notice '{0}'; see the list of its notices")]
    NotFound(EventId),
    /// The settings are changed by somebody else.
    #[error("the settings are being changed by somebody else; try again shortly")]
    Contended,
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

/// A member has read these of its notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticesRead;

impl Broker {
    /// A member's notices from before `before` (`None`: the newest), the newest first; `unread`: only those that it has not read. A page may
    /// be short though there are more.
    pub async fn list_notices(
        &self,
        team: &TeamId,
        member: MemberId,
        unread: bool,
        before: Option<EventId>,
        limit: usize,
    ) -> Result<NoticePage, NoticeError> {
        let member = self.stored_member(team, member).await?;
        let settings = self.store.notice_settings(member.id).await?;
        let (mut notices, mut before, mut looked_at) = (Vec::new(), before, 0);
        loop {
            let events = self.store.list_events(team, before, CHUNK).await?;
            let last = events.len() < CHUNK as usize;
            looked_at += events.len();
            let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
            let marks = self.store.read_marks(member.id, &ids).await?;
            for event in events {
                before = Some(event.id);
                let read = marks.has(event.id);
                if !(unread && read) {
                    let seen = self.seen(&member, &settings, event).await?;
                    notices.extend(seen.map(|notice| Notice { read, ..notice }));
                }
                if notices.len() == limit {
                    return Ok(NoticePage { notices, before });
                }
            }
            if last || looked_at >= MOST_LOOKED_AT {
                return Ok(NoticePage { notices, before: before.filter(|_| !last) });
            }
        }
    }

    /// How many notices a member has not read, up to `most`. No events are looked at behind that up to which it has read everything, nor more
    /// than a page of notices may cost, since every open page asks.
    pub async fn count_unread(&self, member: &Member, most: usize) -> Result<usize, NoticeError> {
        let settings = self.store.notice_settings(member.id).await?;
        let (mut unread, mut before, mut looked_at) = (0, None, 0);
        loop {
            let events = self.store.list_events(&member.team, before, CHUNK).await?;
            let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
            let marks = self.store.read_marks(member.id, &ids).await?;
            looked_at += events.len();
            before = ids.last().copied();
            let all_read = before.is_none_or(|last| marks.through.is_some_and(|through| last <= through));
            let last = ids.len() < CHUNK as usize || all_read || looked_at >= MOST_LOOKED_AT;
            for event in events.into_iter().filter(|event| !marks.has(event.id)) {
                unread += usize::from(self.seen(member, &settings, event).await?.is_some());
                if unread == most {
                    return Ok(unread);
                }
            }
            if last {
                return Ok(unread);
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
        let over = self.holds(&held).err();
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

    /// Notes what a member has read: notices of its team.
    pub async fn mark_notices_read(
        &self,
        attempt: impl Into<Attempt<NoticesRead>>,
        team: &TeamId,
        member: MemberId,
        read: MarkRead,
    ) -> Result<NoticesRead, NoticeError> {
        let attempt = attempt.into();
        let member = self.stored_member(team, member).await?;
        let named: Vec<EventId> = read.events.iter().copied().chain(read.through).collect();
        let found = self.store.find_events(&named).await?;
        let is_there = |id: &EventId| found.iter().any(|event| event.id == *id && event.team.as_ref() == Some(team));
        if let Some(unknown) = named.iter().find(|id| !is_there(id)) {
            return Err(NoticeError::NotFound(*unknown));
        }
        let detail = format!("notices={} through={}", read.events.len(), read.through.is_some());
        let audit = self.audit(&attempt.caller, "notice.read", member.name(), detail);
        let trail = attempt.trail(AuditEvent { team: Some(team.clone()), ..audit }, &NoticesRead);
        self.store.mark_read(member.id, read.through, read.events, trail).await?;
        Ok(NoticesRead)
    }

    /// What a member chose to hear.
    pub async fn notice_settings(&self, team: &TeamId, member: MemberId) -> Result<NoticeSettings, NoticeError> {
        let member = self.stored_member(team, member).await?;
        Ok(self.store.notice_settings(member.id).await?)
    }

    /// Changes what a member hears.
    pub async fn update_notice_settings(
        &self,
        attempt: impl Into<Attempt<ChosenSettings>>,
        team: &TeamId,
        member: MemberId,
        change: UpdateSettings,
    ) -> Result<ChosenSettings, NoticeError> {
        let attempt = attempt.into();
        let member = self.stored_member(team, member).await?;
        let before = self.store.notice_settings(member.id).await?;
        let choices = change.choices.unwrap_or_else(|| before.choices.clone());
        let quiet = change.quiet.unwrap_or(before.quiet);
        let hides_dialog = change.hides_dialog.unwrap_or(before.hides_dialog);
        let settings = NoticeSettings { choices, quiet, hides_dialog }.checked()?;
        let detail = format!("choices={} quiet={}", settings.choices.len(), settings.quiet.is_some());
        let audit = self.audit(&attempt.caller, "notice.settings", member.name(), detail);
        let audit = AuditEvent { team: Some(team.clone()), ..audit };
        let chosen = ChosenSettings { team: team.clone(), member: member.id, settings };
        let trail = attempt.trail(audit, &chosen);
        match self.store.put_notice_settings(member.id, before, chosen.settings.clone(), trail).await {
            Ok(()) => Ok(chosen),
            Err(StoreError::Conflict { .. }) => Err(NoticeError::Contended),
            Err(error) => Err(error.into()),
        }
    }
}
