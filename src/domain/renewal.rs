//! Renewals: when a token is renewed, what an answer makes of it, and what follows where there is none.
//!
//! Three families (the catalogue says which): a separate refresh token, which works also after the access token died; an access
//! token that renews itself, but only while it lives; and nothing to renew. A renewal is begun durably before the network is asked, so
//! that it is known after a crash that a refresh token may have been used. Only what a network says itself ends a token: never a
//! time-out, a server's error, a limit or a page for people.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::domain::evidence::{Blame, Evidence, Source};
use crate::domain::networks::{ClientAuth, ErrorClass, Renewal, Rotation, TokenKind, TokenReply};
use crate::domain::retry::{Failure as Attempt, RetryRule, RetryVerdict, scaled};
use crate::domain::token::{Clocks, EXPIRING_WITHIN, Reason, Token, TokenState};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The shortest lead, the time that is left when a token is renewed: a network that is down for so long ends no token.
const SHORTEST_LEAD: Duration = Duration::from_secs(10 * 60);
/// The longest lead: a token that lives for a year is not renewed months before its end.
const LONGEST_LEAD: Duration = Duration::from_secs(20 * 24 * 3600);
/// Secrets are at least so old when they are renewed by the schedule, or two thirds of what is left of them, where that is less, but a minute. A
/// network that gives a grant shorter and shorter lives towards its end is not asked faster and faster.
const SHORTEST_AGE: Duration = Duration::from_secs(5 * 60);
/// Renewals of tokens that were granted together are spread over this part of the lead.
const SPREAD: u32 = 4;
/// A refresh token that works once, and may have been used, is tried again so long before the access token ends.
const LAST_CALL: Duration = Duration::from_secs(10 * 60);
/// The longest that a network can make us wait.
const LONGEST_WAIT: Duration = DAY;

/// Whether a token of this kind and state is worth asking for. `refreshable`: its refresh token is here.
///
/// One that is paused or in doubt is renewed, too. One whose access token is not accepted any more may live again by its refresh token.
/// Clients of OAuth 1.0a are not supported.
pub fn is_renewable(kind: &TokenKind, state: TokenState, refreshable: bool) -> bool {
    if kind.oauth.as_ref().is_none_or(|oauth| oauth.client_auth == ClientAuth::OAuth1) {
        return false;
    }
    let by_refresh_token = match kind.renewal {
        Renewal::RefreshToken { .. } if refreshable => true,
        Renewal::SelfRenewing { .. } => false,
        Renewal::RefreshToken { .. } | Renewal::Derived { .. } | Renewal::Nothing => return false,
    };
    match state {
        TokenState::Live | TokenState::Suspect { .. } | TokenState::Paused { .. } => true,
        TokenState::Invalid { .. } => by_refresh_token && !is_past_renewal(kind, state),
        TokenState::Revoked { .. } => false,
    }
}

/// Whether no renewal helps a token of this kind and state, whatever is here of it.
pub const fn is_past_renewal(kind: &TokenKind, state: TokenState) -> bool {
    match state {
        TokenState::Live | TokenState::Suspect { .. } | TokenState::Paused { .. } => false,
        TokenState::Invalid { reason: Reason::Expired | Reason::NotAccepted, .. } => false,
        TokenState::Invalid { .. } => !matches!(kind.renewal, Renewal::Derived { .. }),
        TokenState::Revoked { .. } => true,
    }
}

/// Whether the access token of this kind is renewed by a refresh token, if that is held (`refreshable`).
pub fn is_refreshed(kind: &TokenKind, refreshable: bool) -> bool {
    matches!(kind.renewal, Renewal::RefreshToken { .. }) && is_renewable(kind, TokenState::Live, refreshable)
}

/// Whether a token is derived from another, and may be so anew: with new secrets of that one a person agreed again, or the network went on.
pub fn is_derived_anew(kind: &TokenKind, state: TokenState) -> bool {
    matches!(kind.renewal, Renewal::Derived { .. }) && !matches!(state, TokenState::Revoked { .. })
}

/// Whether a renewal is of use to a token: there can be one, and no end that it leaves as it is has come or comes within
/// [`EXPIRING_WITHIN`]. Where it is of none, only connecting again helps. That the refresh token of a kind that has one is here is assumed.
///
/// A renewal moves the access token's end, and that of a refresh token which lives on by being used; never that of a grant of a fixed life,
/// nor that of the access to data, which both count from when the person agreed or was last active.
pub fn is_mended_by_renewal(kind: &TokenKind, token: &Token, now: Timestamp) -> bool {
    if !is_renewable(kind, token.state, true) && !is_derived_anew(kind, token.state) {
        return false;
    }
    let clocks = token.clocks;
    let came = |end: &Timestamp| *end <= now;
    let by_itself = matches!(kind.renewal, Renewal::SelfRenewing { .. });
    let too_late =
        clocks.refresh_expires_at.filter(came).or(clocks.access_expires_at.filter(|end| by_itself && came(end)));
    let unmoved = [clocks.data_access_expires_at, clocks.refresh_expires_at.filter(|_| !slides(kind, clocks))];
    too_late.is_none() && unmoved.into_iter().flatten().all(|end| end > now + EXPIRING_WITHIN)
}

/// When secrets that came here `now` are to be renewed; `None`: never, since nothing ends them or there is nothing to renew them by.
///
/// The lead is a third of what is left of the access token's life, between ten minutes and 20 days, and at most two thirds of it.
/// `luck`, uniform over all of `u64`, makes it up to a quarter longer. Where no end is known, the life that the network documents is
/// taken as just begun. Without that, a refresh token that lives on by being used is used in time. One that ends before the access token
/// is used before its own end.
pub fn due_at(kind: &TokenKind, token: &Token, refreshable: bool, now: Timestamp, luck: u64) -> Option<Timestamp> {
    if !is_renewable(kind, token.state, refreshable) {
        return None;
    }
    let documented = kind.access_validity.map(|life| now + life);
    let sliding = token.clocks.refresh_expires_at.filter(|_| refreshable && slides(kind, token.clocks));
    let before_access = token.clocks.refresh_expires_at.filter(|end| refreshable && *end > now);
    let access = token.clocks.access_expires_at.or(documented);
    let end = access.map(|end| before_access.map_or(end, |other| other.min(end))).or(sliding)?;
    if end <= now {
        return Some(now);
    }
    let left = end.since(now);
    let lead = shortest_lead(left);
    let lead = (lead + scaled(lead / SPREAD, luck)).min(left * 2 / 3);
    let age = SHORTEST_AGE.min(left * 2 / 3).max(MINUTE);
    Some((end - lead).max(now + age).max(old_enough(kind, end, now)))
}

fn shortest_lead(life: Duration) -> Duration {
    (life / 3).clamp(SHORTEST_LEAD, LONGEST_LEAD).min(life * 2 / 3)
}

/// How long before its end people are told that a token of this kind can't be renewed: when half of the time is gone that the schedule leaves
/// for trouble. What passes before that is nobody's business; what lasts so long may well outlive the token.
pub fn told_before_end(kind: &TokenKind) -> Duration {
    kind.access_validity.map_or(HOUR, shortest_lead) / 2
}

/// From when on a network renews a token of the self-renewing family. One that ends soon is old enough, whenever it came here.
fn old_enough(kind: &TokenKind, end: Timestamp, now: Timestamp) -> Timestamp {
    let Renewal::SelfRenewing { min_age, .. } = kind.renewal else { return now };
    let issued = kind.access_validity.map_or(now, |life| (end - life).min(now));
    // A minute more, since the network's clock may differ.
    issued + min_age + MINUTE
}

/// How long the access token of a reply lives: as the network says there, but never longer than it documents; `None`: nothing ends it.
/// What is told too long would be renewed too late, and what is told too short only too early.
pub fn access_life(kind: &TokenKind, reply: &TokenReply) -> Option<Duration> {
    [reply.access_life, kind.access_validity].into_iter().flatten().min()
}

/// How long a refresh token lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshLife {
    /// From the reply on.
    pub lasts: Duration,
    /// Whether its end stays where it is, though those of its kind live on by being used.
    pub is_fixed: bool,
}

/// How long the refresh token of a reply lives: as the network says there, but never longer than it documents; `None`: nothing is known that
/// ends it. What is told of a token that stays, and lives on by being used, is the end of the grant: Google tells it of those alone that have one.
pub fn refresh_life(kind: &TokenKind, reply: &TokenReply) -> Option<RefreshLife> {
    let lasts = [reply.refresh_life, kind.refresh_validity].into_iter().flatten().min()?;
    let is_fixed = kind.refresh_slides && stays(kind) && reply.refresh_life.is_some();
    Some(RefreshLife { lasts, is_fixed })
}

/// Whether using the refresh token moves its end.
pub const fn slides(kind: &TokenKind, clocks: Clocks) -> bool {
    kind.refresh_slides && !clocks.refresh_end_fixed
}

/// The token that a reply makes. Its version is one higher. A refresh token that did not come with the reply stays as it is, and so
/// do clocks that it tells nothing of, ends that it tells again, scopes, and whatever a person decided.
pub fn renewed(kind: &TokenKind, before: &Token, reply: &TokenReply, asked_at: Timestamp) -> Token {
    let mut token = before.clone();
    token.version += 1;
    token.refreshed = is_refreshed(kind, true);
    token.clocks.access_expires_at = access_life(kind, reply).map(|life| asked_at + life);
    let slid = before.clocks.refresh_expires_at.is_some() && slides(kind, before.clocks);
    if let Some(life) = refresh_life(kind, reply).filter(|_| reply.refresh_life.is_some() || slid) {
        token.clocks.refresh_expires_at = Some(asked_at + life.lasts);
        token.clocks.refresh_end_fixed = life.is_fixed;
    }
    token.clocks = token.clocks.keeping_ends(before.clocks);
    token.state = match before.state {
        TokenState::Suspect { .. } | TokenState::Invalid { reason: Reason::Expired | Reason::NotAccepted, .. } => {
            TokenState::Live
        }
        TokenState::Invalid { .. } if is_derived_anew(kind, before.state) => TokenState::Live,
        other => other,
    };
    token
}

/// Whether the refresh token that is `held` stays where new secrets of the token, which make it `new`, came without one: networks give it
/// once, and leave it out when the same person agrees again. It does not where it is another's, where the grant is known to be over, or where it
/// works once and `may_be_used`; one that is bound to a key is lost with the key.
pub fn stays_refreshable(kind: &TokenKind, held: &Token, may_be_used: bool, new: &Token, now: Timestamp) -> bool {
    let is_same = held.app == new.app && held.kind == new.kind && held.person == new.person;
    let is_over = held.clocks.refresh_expires_at.is_some_and(|end| end <= now);
    let is_usable = is_renewable(kind, held.state, true) && !kind.is_bound() && !(may_be_used && works_once(kind));
    is_same && is_usable && !is_over
}

/// How a renewal failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The request did not leave, or was refused before it was looked at: nothing was renewed.
    NotDone(ErrorClass, Option<Duration>),
    /// Nobody knows whether the network renewed it.
    Unknown,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Ask again then.
    Again(Timestamp),
    /// The network will never renew it.
    Dead(Reason),
}

/// What follows from a failure, the one of that number (from 1) in a row. `luck` is uniform over all of `u64`.
pub fn after_failure(
    kind: &TokenKind,
    token: &Token,
    failure: Failure,
    failures: u32,
    now: Timestamp,
    luck: u64,
) -> Verdict {
    let soon = now + backoff(failures, luck);
    match failure {
        Failure::Unknown => Verdict::Again(deferred_to(kind, token).map_or(soon, |later| later.max(soon))),
        Failure::NotDone(class, asked) => match Evidence::of(class, source(kind)) {
            Evidence::Ended(reason) => Verdict::Dead(reason),
            Evidence::Doubt if !works(token, now) => Verdict::Dead(Reason::RefreshRejected),
            Evidence::AppRefused | Evidence::PermissionLost | Evidence::Request => {
                Verdict::Again(for_a_person(now, luck))
            }
            _ => Verdict::Again(soon.max(now + asked.unwrap_or_default().min(LONGEST_WAIT))),
        },
    }
}

/// What follows where others of the app were refused alike, and none was renewed since: the app is to blame. The token is not ended by
/// it, unless it was refused so often that it would be believed of anybody.
pub fn unless_shared(verdict: Verdict, blame: Blame, failures: u32, now: Timestamp, luck: u64) -> Verdict {
    match verdict {
        Verdict::Dead(_) if blame == Blame::Shared && failures < BELIEVED_AFTER => {
            Verdict::Again(for_a_person(now, luck))
        }
        other => other,
    }
}

/// What a failure is evidence of.
pub fn evidence_of(kind: &TokenKind, failure: Failure) -> Evidence {
    match failure {
        Failure::NotDone(class, _) => Evidence::of(class, source(kind)),
        Failure::Unknown => Evidence::Nothing,
    }
}

/// Another second changes nothing about what an operator or the person must do.
fn for_a_person(now: Timestamp, luck: u64) -> Timestamp {
    now + MOST_BACKOFF / 2 + scaled(MOST_BACKOFF / 2, luck)
}

/// Until when a token whose renewal may have been done waits before its refresh token is shown again; `None`: not at all.
///
/// A refresh token that works once must not be shown twice while the access token serves: if the network did renew, the second use
/// ends the whole grant. So the access token is used as long as it works, and the refresh token is tried once more shortly before its
/// end. What stays may be shown again at any time, and what rotates, at once: networks leave a short grace for lost answers.
pub fn deferred_to(kind: &TokenKind, token: &Token) -> Option<Timestamp> {
    let serves = matches!(token.state, TokenState::Live | TokenState::Suspect { .. } | TokenState::Paused { .. });
    token.clocks.access_expires_at.filter(|_| works_once(kind) && serves).map(|end| end - LAST_CALL)
}

/// Until when a token whose last renewal has no known answer is renewed for nobody, not for a person either; `None`: it may be at once.
/// `due_at`: when the schedule shows its refresh token again, or the end of the claim of whoever shows it at the moment.
pub fn unanswered_until(kind: &TokenKind, token: &Token, due_at: Option<Timestamp>) -> Option<Timestamp> {
    works_once(kind).then(|| deferred_to(kind, token).max(due_at)).flatten()
}

/// Whether using the refresh token of a token replaces it: no other token may have the same one, since what one of them uses the other one loses.
pub fn is_replaced_by_use(kind: &TokenKind) -> bool {
    matches!(kind.renewal, Renewal::RefreshToken { rotation: Rotation::SingleUse | Rotation::Rotating, .. })
}

/// Whether a refresh token stays the same when it is used.
fn stays(kind: &TokenKind) -> bool {
    matches!(kind.renewal, Renewal::RefreshToken { rotation: Rotation::Static, .. })
}

fn works_once(kind: &TokenKind) -> bool {
    matches!(kind.renewal, Renewal::RefreshToken { rotation: Rotation::SingleUse, .. })
}

fn source(kind: &TokenKind) -> Source {
    if matches!(kind.renewal, Renewal::RefreshToken { .. }) { Source::Refresh } else { Source::SelfRenewal }
}

/// Whether the access token works, as far as is known. An answer that may mean a dead grant is believed where it does not.
fn works(token: &Token, now: Timestamp) -> bool {
    let in_use = matches!(token.state, TokenState::Live | TokenState::Suspect { .. } | TokenState::Paused { .. });
    in_use && token.clocks.access_expires_at.is_none_or(|end| end > now)
}

/// So many refusals in a row, over about half an hour, are believed whoever else is refused.
const BELIEVED_AFTER: u32 = 4;
const MOST_BACKOFF: Duration = Duration::from_secs(15 * 60);

/// Full jitter below 1 s, doubled with each failure up to 15 minutes.
fn backoff(failures: u32, luck: u64) -> Duration {
    let rule = RetryRule {
        first: Duration::from_secs(1),
        factor: 2,
        cap: MOST_BACKOFF,
        attempts: u32::MAX,
        within: MOST_BACKOFF,
    };
    let attempt = Attempt {
        attempts: failures.max(1),
        first_tried_at: Timestamp::EPOCH,
        now: Timestamp::EPOCH,
        asked_wait: None,
    };
    match rule.judge(&attempt, luck) {
        RetryVerdict::After(wait) => wait,
        RetryVerdict::TooManyAttempts | RetryVerdict::TooOld => MOST_BACKOFF,
    }
}

#[cfg(test)]
mod tests;
