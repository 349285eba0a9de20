//! Members of teams, and the invitations by which they join.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{MemberId, TeamId};
use crate::domain::member::{Departure, Identity, MailAddress, Member, MemberState, Role};
use crate::store::connection::{ConnectionStep, take_step};
use crate::store::database::Database;
use crate::store::departure::put_departure;
use crate::store::idempotency::insert_trail;
use crate::store::session::END_ALL;
use crate::store::sql::{Row, Tx, Value, first, json, values};
use crate::store::{StoreError, Trail};

/// A link by which a member joins, sets a new password, or proves a new mail address. The link's secret is never kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Whose it is.
    pub member: MemberId,
    /// The keyed hash of the link's secret.
    pub hash: [u8; 32],
    /// The address that it proves, and that becomes the member's; `None`: it joins, or sets a new password.
    pub mail: Option<MailAddress>,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// What becomes of a member's invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvitationChange {
    /// It stays as it is.
    Keep,
    /// This one takes the place of the one before.
    Put(Invitation),
    /// There is none any more.
    End,
}

/// A change of a member, decided on what was read.
#[derive(Debug, Clone)]
pub struct MemberChange {
    /// The member as it shall be; its version is one higher than what was read.
    pub member: Member,
    /// What becomes of its invitation.
    pub invitation: InvitationChange,
    /// The hash of its new password; `None`: it keeps the one it has.
    pub password: Option<String>,
    /// Whether all of its sessions end.
    pub ends_sessions: bool,
    /// By whom it is known from then on; `None`: as before. [`StoreError::Conflict`] if it is known by another one.
    pub identity: Option<Identity>,
    /// Its leaving, which begins with the change.
    pub departure: Option<Departure>,
    /// Connections that end with it; [`MemberChangeError::Changed`] if one of them was changed since it was read.
    pub ends_connections: Vec<ConnectionStep>,
    /// What the change leaves beside itself.
    pub trail: Trail,
}

impl MemberChange {
    /// A change of what is known of the member alone.
    pub fn of(member: Member, trail: Trail) -> Self {
        Self {
            member,
            invitation: InvitationChange::Keep,
            password: None,
            ends_sessions: false,
            identity: None,
            departure: None,
            ends_connections: Vec::new(),
            trail,
        }
    }
}

/// Why a member was not written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MemberChangeError {
    /// Another member of the team has the address.
    #[error("another member of the team has this mail address")]
    MailTaken(MemberId),
    /// The team would have no active owner any more.
    #[error("the team would have no owner any more")]
    LastOwner,
    /// It, or what changes with it, was changed since it was read, or is not there.
    #[error("the member was changed meanwhile; read again, then decide")]
    Changed,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which members are wanted.
#[derive(Debug, Clone, Default)]
pub struct MemberFilter {
    /// In this state, by its name.
    pub state: Option<&'static str>,
    /// After this one: the last of the page before.
    pub after: Option<MemberId>,
}

/// What is kept of members.
#[async_trait]
pub trait MemberStore: Send + Sync {
    /// Adds a member with its invitation.
    async fn insert_member(&self, change: MemberChange) -> Result<(), MemberChangeError>;
    /// Changes a member, if it is as it was read, and the team keeps an active owner if it has one.
    async fn change_member(&self, change: MemberChange) -> Result<(), MemberChangeError>;
    /// The member of that id.
    async fn find_member(&self, member: MemberId) -> Result<Option<Member>, StoreError>;
    /// At most `limit` members of a team, by id: in the order in which they were invited.
    async fn list_members(&self, team: &TeamId, filter: MemberFilter, limit: u32) -> Result<Vec<Member>, StoreError>;
    /// At most `limit` members of any team, who have not left, with this address ([`MailAddress::key`]).
    async fn members_by_mail(&self, mail_key: &str, limit: u32) -> Result<Vec<Member>, StoreError>;
    /// The invitation of a member.
    async fn find_invitation(&self, member: MemberId) -> Result<Option<Invitation>, StoreError>;
    /// The hash of a member's password; `None`: it has none.
    async fn find_password(&self, member: MemberId) -> Result<Option<String>, StoreError>;
    /// At most `limit` members of any team who are known by that identity, whoever left too.
    async fn members_of_identity(&self, identity: Identity, limit: u32) -> Result<Vec<Member>, StoreError>;
    /// By whom a member is known; `None`: by nobody.
    async fn find_identity(&self, member: MemberId) -> Result<Option<Identity>, StoreError>;
    /// The invitation with that hash, whether its time is over or not.
    async fn invitation_by_hash(&self, hash: [u8; 32]) -> Result<Option<Invitation>, StoreError>;
}

macro_rules! select_members {
    ($rest:literal) => {
        concat!(
            "SELECT id, team, display_name, mail, role, time_zone, language, state, state_since_us, persons, created_at_us, version
             FROM member ",
            $rest
        )
    };
}

const INSERT_MEMBER: &str =
    "INSERT INTO member (display_name, mail, mail_key, role, time_zone, language, state, state_since_us,
        persons, version, id, team, created_at_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
const UPDATE_MEMBER: &str = "UPDATE member SET display_name = $1, mail = $2, mail_key = $3, role = $4, time_zone = $5,
        language = $6, state = $7, state_since_us = $8, persons = $9, version = $10
    WHERE id = $11 AND team = $12 AND version = $10 - 1";
const MEMBERS_OF_IDENTITY: &str = select_members!(
    "WHERE id IN (SELECT member FROM identity WHERE issuer = $1 AND subject = $2) ORDER BY team LIMIT $3"
);
const FIND_IDENTITY: &str = "SELECT issuer, subject FROM identity WHERE member = $1";
const BIND_IDENTITY: &str = "INSERT INTO identity (issuer, subject, member, bound_at_us) VALUES ($1, $2, $3, $4)";
const WHO_HAS_MAIL: &str =
    "SELECT id FROM member WHERE team = $1 AND mail_key = $2 AND state <> 'left' AND id <> $3 LIMIT 1";
const COUNT_OWNERS: &str = "SELECT COUNT(*) FROM member WHERE team = $1 AND role = 'owner' AND state = 'active'";
const FIND_MEMBER: &str = select_members!("WHERE id = $1");
const LIST_MEMBERS: &str =
    select_members!("WHERE team = $1 AND id > $2 AND ($3 IS NULL OR state = $3) ORDER BY id LIMIT $4");
const MEMBERS_BY_MAIL: &str = select_members!("WHERE mail_key = $1 AND state <> 'left' ORDER BY team LIMIT $2");

const PUT_INVITATION: &str =
    "INSERT INTO invitation (member, hash, mail, made_at_us, expires_at_us) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (member) DO UPDATE SET hash = excluded.hash, mail = excluded.mail, made_at_us = excluded.made_at_us,
        expires_at_us = excluded.expires_at_us";
const END_INVITATION: &str = "DELETE FROM invitation WHERE member = $1";
const FIND_INVITATION: &str = "SELECT member, hash, mail, made_at_us, expires_at_us FROM invitation WHERE member = $1";
const INVITATION_BY_HASH: &str = "SELECT member, hash, mail, made_at_us, expires_at_us FROM invitation WHERE hash = $1";

const PUT_PASSWORD: &str = "INSERT INTO password (member, hash, changed_at_us) VALUES ($1, $2, $3)
    ON CONFLICT (member) DO UPDATE SET hash = excluded.hash, changed_at_us = excluded.changed_at_us";
const FIND_PASSWORD: &str = "SELECT hash FROM password WHERE member = $1";
/// A browser of who left is not told of anything any more.
const END_PUSH: &str = "DELETE FROM push_subscription WHERE team = $1 AND member = $2";
const END_PASSWORD: &str = "DELETE FROM password WHERE member = $1";

#[async_trait]
impl<D: Database> MemberStore for D {
    async fn insert_member(&self, change: MemberChange) -> Result<(), MemberChangeError> {
        self.write(move |tx| {
            Box::pin(async move {
                let member = &change.member;
                must_be_free(tx, member).await?;
                let mut values = values_of(member);
                values.push(member.created_at.into());
                tx.execute(INSERT_MEMBER, values).await?;
                finish(tx, &change).await
            })
        })
        .await
    }

    async fn change_member(&self, change: MemberChange) -> Result<(), MemberChangeError> {
        self.write(move |tx| {
            Box::pin(async move {
                let member = &change.member;
                if !member.has_left() {
                    must_be_free(tx, member).await?;
                }
                let owners = count_owners(tx, &member.team).await?;
                if tx.execute(UPDATE_MEMBER, values_of(member)).await? == 0 {
                    return Err(MemberChangeError::Changed);
                }
                if owners > 0 && count_owners(tx, &member.team).await? == 0 {
                    return Err(MemberChangeError::LastOwner);
                }
                finish(tx, &change).await
            })
        })
        .await
    }

    async fn find_member(&self, id: MemberId) -> Result<Option<Member>, StoreError> {
        Ok(list(self, FIND_MEMBER, values![id], member).await?.pop())
    }

    async fn list_members(&self, team: &TeamId, filter: MemberFilter, limit: u32) -> Result<Vec<Member>, StoreError> {
        let after = filter.after.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
        list(self, LIST_MEMBERS, values![team, after, filter.state, limit], member).await
    }

    async fn members_by_mail(&self, mail_key: &str, limit: u32) -> Result<Vec<Member>, StoreError> {
        list(self, MEMBERS_BY_MAIL, values![mail_key, limit], member).await
    }

    async fn find_invitation(&self, member: MemberId) -> Result<Option<Invitation>, StoreError> {
        Ok(list(self, FIND_INVITATION, values![member], invitation).await?.pop())
    }

    async fn find_password(&self, member: MemberId) -> Result<Option<String>, StoreError> {
        let read = |mut row: Row| row.text();
        Ok(list(self, FIND_PASSWORD, values![member], read).await?.pop())
    }

    async fn members_of_identity(&self, identity: Identity, limit: u32) -> Result<Vec<Member>, StoreError> {
        let Identity { issuer, subject } = identity;
        list(self, MEMBERS_OF_IDENTITY, values![&*issuer, &*subject, limit], member).await
    }

    async fn find_identity(&self, member: MemberId) -> Result<Option<Identity>, StoreError> {
        let read = |mut row: Row| Ok(Identity { issuer: row.text()?, subject: row.text()? });
        Ok(list(self, FIND_IDENTITY, values![member], read).await?.pop())
    }

    async fn invitation_by_hash(&self, hash: [u8; 32]) -> Result<Option<Invitation>, StoreError> {
        Ok(list(self, INVITATION_BY_HASH, values![&hash[..]], invitation).await?.pop())
    }
}

async fn must_be_free(tx: &mut dyn Tx, member: &Member) -> Result<(), MemberChangeError> {
    let found = first(tx, WHO_HAS_MAIL, values![&member.team, member.mail.key(), member.id]).await?;
    match found {
        Some(mut row) => Err(MemberChangeError::MailTaken(row.id(MemberId::from_slice)?)),
        None => Ok(()),
    }
}

async fn count_owners(tx: &mut dyn Tx, team: &TeamId) -> Result<u64, StoreError> {
    first(tx, COUNT_OWNERS, values![team]).await?.map_or(Ok(0), |mut row| row.count())
}

/// What follows from a member that was written, in the same transaction.
async fn finish(tx: &mut dyn Tx, change: &MemberChange) -> Result<(), MemberChangeError> {
    match &change.invitation {
        InvitationChange::Keep => {}
        InvitationChange::Put(Invitation { member, hash, mail, made_at, expires_at }) => {
            let mail = mail.as_ref().map(MailAddress::as_str);
            tx.execute(PUT_INVITATION, values![*member, &hash[..], mail, *made_at, *expires_at]).await?;
        }
        InvitationChange::End => {
            tx.execute(END_INVITATION, values![change.member.id]).await?;
        }
    }
    let id = change.member.id;
    if let Some(hash) = &change.password {
        tx.execute(PUT_PASSWORD, values![id, &**hash, change.trail.audit.at]).await?;
    }
    if let Some(Identity { issuer, subject }) = &change.identity {
        tx.execute(BIND_IDENTITY, values![&**issuer, &**subject, id, change.trail.audit.at]).await?;
    }
    if change.ends_sessions {
        tx.execute(END_ALL, values![id]).await?;
    }
    if change.member.has_left() {
        tx.execute(END_PASSWORD, values![id]).await?;
        tx.execute(END_PUSH, values![&change.member.team, id]).await?;
    }
    if let Some(departure) = &change.departure {
        put_departure(tx, departure).await?;
    }
    for step in &change.ends_connections {
        if !take_step(tx, step).await? {
            return Err(MemberChangeError::Changed);
        }
    }
    Ok(insert_trail(tx, &change.trail).await?)
}

async fn list<T: Send + 'static>(
    database: &impl Database,
    sql: &'static str,
    values: Vec<Value>,
    read: fn(Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    database.read(move |tx| Box::pin(async move { tx.rows(sql, values).await?.into_iter().map(read).collect() })).await
}

/// All but the time at which it was made.
fn values_of(member: &Member) -> Vec<Value> {
    let since = match member.state {
        MemberState::Invited => None,
        MemberState::Active { since } | MemberState::Left { since } => Some(since),
    };
    values![
        &*member.display_name,
        member.mail.as_str(),
        member.mail.key(),
        member.role.as_str(),
        member.time_zone.as_str(),
        member.language.as_str(),
        member.state.as_str(),
        since,
        json(&member.persons),
        member.version,
        member.id,
        &member.team,
    ]
}

/// Reads the columns of a member.
pub(crate) fn member(mut row: Row) -> Result<Member, StoreError> {
    let (id, team, display_name) = (row.id(MemberId::from_slice)?, row.slug()?, row.text()?);
    let mail: MailAddress = row.slug()?;
    let role = Role::from_name(&row.text()?).ok_or_else(|| StoreError::corrupt("a role that is none"))?;
    let (time_zone, language) = (row.slug()?, row.slug()?);
    let state = state(&row.text()?, row.maybe_time()?)?;
    let (persons, created_at, version) = (row.json()?, row.time()?, row.count()?);
    Ok(Member { id, team, display_name, mail, role, time_zone, language, state, persons, created_at, version })
}

fn state(name: &str, since: Option<Timestamp>) -> Result<MemberState, StoreError> {
    match (name, since) {
        ("invited", None) => Ok(MemberState::Invited),
        ("active", Some(since)) => Ok(MemberState::Active { since }),
        ("left", Some(since)) => Ok(MemberState::Left { since }),
        _ => Err(StoreError::corrupt("a member in no proper state")),
    }
}

fn invitation(mut row: Row) -> Result<Invitation, StoreError> {
    Ok(Invitation {
        member: row.id(MemberId::from_slice)?,
        hash: row.blob()?.try_into().map_err(|_| StoreError::corrupt("a hash that is not 32 bytes"))?,
        mail: row.maybe_slug()?,
        made_at: row.time()?,
        expires_at: row.time()?,
    })
}
