//! Notices of members: what each chose to hear, and what it has read.
//!
//! A member's list of notices is not kept: it is the team's events, seen with the member's settings. Only what was read is: everything up to one
//! event, and single ones after it.

use std::collections::HashSet;

use async_trait::async_trait;

use crate::base::ids::{EventId, MemberId, TeamId};
use crate::domain::member::Member;
use crate::domain::notice::NoticeSettings;
use crate::store::database::Database;
use crate::store::idempotency::insert_trail;
use crate::store::member::member;
use crate::store::sql::{ManyRows, Row, first, json, values};
use crate::store::{StoreError, Trail};

/// What a member has read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadMarks {
    /// Everything up to this event.
    pub through: Option<EventId>,
    /// These after it.
    pub single: HashSet<EventId>,
}

impl ReadMarks {
    /// Whether an event was read.
    pub fn has(&self, event: EventId) -> bool {
        self.through.is_some_and(|through| event <= through) || self.single.contains(&event)
    }
}

/// What is kept of members' notices.
#[async_trait]
pub trait NoticeStore: Send + Sync {
    /// What a member chose; the default where it chose nothing.
    async fn notice_settings(&self, member: MemberId) -> Result<NoticeSettings, StoreError>;
    /// Puts what a member chose in the place of what it chose `before`; [`StoreError::Conflict`]: it is something else by now.
    async fn put_notice_settings(
        &self,
        member: MemberId,
        before: NoticeSettings,
        settings: NoticeSettings,
        trail: Trail,
    ) -> Result<(), StoreError>;
    /// At most `limit` active members of a team after `after`, by id, with what they chose.
    async fn list_hearers(
        &self,
        team: &TeamId,
        after: Option<MemberId>,
        limit: u32,
    ) -> Result<Vec<(Member, NoticeSettings)>, StoreError>;
    /// What a member has read, as far as it concerns these events.
    async fn read_marks(&self, member: MemberId, events: &[EventId]) -> Result<ReadMarks, StoreError>;
    /// Which members of a team have read an event.
    async fn readers_of(&self, team: &TeamId, event: EventId) -> Result<HashSet<MemberId>, StoreError>;
    /// Notes that a member read events: these, and everything up to `through`.
    async fn mark_read(
        &self,
        member: MemberId,
        through: Option<EventId>,
        events: Vec<EventId>,
        trail: Trail,
    ) -> Result<(), StoreError>;
}

const FIND_SETTINGS: &str = "SELECT settings FROM notice_settings WHERE member = $1";
const PUT_SETTINGS: &str = "INSERT INTO notice_settings (member, settings) VALUES ($1, $2)
    ON CONFLICT (member) DO UPDATE SET settings = excluded.settings WHERE notice_settings.settings = $3";
const LIST_HEARERS: &str =
    "SELECT COALESCE(s.settings, '{\"choices\":[],\"quiet\":null}'), m.id, m.team, m.display_name, m.mail, m.role,
        m.time_zone, m.language, m.state, m.state_since_us, m.persons, m.created_at_us, m.version
    FROM member AS m LEFT JOIN notice_settings AS s ON s.member = m.id
    WHERE m.team = $1 AND m.id > $2 AND m.state = 'active' ORDER BY m.id LIMIT $3";
const FIND_THROUGH: &str = "SELECT through FROM notice_reader WHERE member = $1";
static FIND_SINGLE: ManyRows =
    ManyRows::new("SELECT event FROM notice_mark WHERE (member, event) IN (SELECT column1, column2 FROM", 2, ")");
const READERS: &str = "SELECT id FROM member WHERE team = $1 AND (
    EXISTS (SELECT 1 FROM notice_reader WHERE notice_reader.member = member.id AND through >= $2)
    OR EXISTS (SELECT 1 FROM notice_mark WHERE notice_mark.member = member.id AND event = $2))";
const PUT_THROUGH: &str = "INSERT INTO notice_reader (member, through) VALUES ($1, $2)
    ON CONFLICT (member) DO UPDATE SET through = excluded.through WHERE excluded.through > notice_reader.through";
const DELETE_BELOW: &str = "DELETE FROM notice_mark WHERE member = $1 AND event <= $2";
static PUT_SINGLE: ManyRows =
    ManyRows::insert("notice_mark (member, event, read_at_us)", 3, "ON CONFLICT (member, event) DO NOTHING");

#[async_trait]
impl<D: Database> NoticeStore for D {
    async fn notice_settings(&self, member: MemberId) -> Result<NoticeSettings, StoreError> {
        self.read(move |tx| {
            Box::pin(async move {
                let found = first(tx, FIND_SETTINGS, values![member]).await?;
                found.map_or(Ok(NoticeSettings::default()), |mut row| row.json())
            })
        })
        .await
    }

    async fn put_notice_settings(
        &self,
        member: MemberId,
        before: NoticeSettings,
        settings: NoticeSettings,
        trail: Trail,
    ) -> Result<(), StoreError> {
        let values = values![member, json(&settings), json(&before)];
        self.write(move |tx| {
            Box::pin(async move {
                if tx.execute(PUT_SETTINGS, values).await? == 0 {
                    return Err(StoreError::Conflict { what: "settings that were changed meanwhile".to_owned() });
                }
                insert_trail(tx, &trail).await
            })
        })
        .await
    }

    async fn list_hearers(
        &self,
        team: &TeamId,
        after: Option<MemberId>,
        limit: u32,
    ) -> Result<Vec<(Member, NoticeSettings)>, StoreError> {
        let values = values![team, after.unwrap_or(MemberId::from_u128(0)), limit];
        self.read(move |tx| {
            Box::pin(async move {
                let rows = tx.rows(LIST_HEARERS, values).await?;
                rows.into_iter().map(|mut row| row.json().and_then(|settings| Ok((member(row)?, settings)))).collect()
            })
        })
        .await
    }

    async fn read_marks(&self, member: MemberId, events: &[EventId]) -> Result<ReadMarks, StoreError> {
        let events: Vec<_> = events.iter().map(|event| values![member, *event]).collect();
        self.read(move |tx| {
            Box::pin(async move {
                let through = first(tx, FIND_THROUGH, values![member]).await?;
                let through = through.map(|mut row| row.id(EventId::from_slice)).transpose()?;
                let single = if events.is_empty() { Vec::new() } else { FIND_SINGLE.rows(tx, events).await? };
                let single = single.into_iter().map(|mut row| row.id(EventId::from_slice)).collect::<Result<_, _>>()?;
                Ok(ReadMarks { through, single })
            })
        })
        .await
    }

    async fn readers_of(&self, team: &TeamId, event: EventId) -> Result<HashSet<MemberId>, StoreError> {
        let values = values![team, event];
        let reader = |mut row: Row| row.id(MemberId::from_slice);
        self.read(move |tx| Box::pin(async move { tx.rows(READERS, values).await?.into_iter().map(reader).collect() }))
            .await
    }

    async fn mark_read(
        &self,
        member: MemberId,
        through: Option<EventId>,
        events: Vec<EventId>,
        trail: Trail,
    ) -> Result<(), StoreError> {
        let now = trail.audit.at;
        self.write(move |tx| {
            Box::pin(async move {
                PUT_SINGLE.execute(tx, events.into_iter().map(|event| values![member, event, now]).collect()).await?;
                if let Some(through) = through {
                    tx.execute(PUT_THROUGH, values![member, through]).await?;
                    tx.execute(DELETE_BELOW, values![member, through]).await?;
                }
                insert_trail(tx, &trail).await
            })
        })
        .await
    }
}
