//! Ends that are told ahead: 7, 3 and 1 days before, and when it came.
//!
//! Only what no renewal turns back is told ahead. Of a token that is renewed by itself that is its refresh token's end and the end of the access to
//! data; the access token's own end counts only where its renewals fail, or are overdue. In its last day that is told when the end is near, whatever
//! the thresholds: most of these tokens live no longer than a day, and most failures pass.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::EventId;
use crate::domain::notice::{Clock, Event, Fact};
use crate::domain::token::{Clocks, RENEWAL_GRACE as GRACE, Token, TokenState, is_same_end};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How many days ahead an end is told, the farthest first.
const AHEAD: [u8; 3] = [7, 3, 1];
/// From so many failures in a row on, a renewal is in trouble.
const TROUBLE: u32 = 3;

/// When a token is looked at next, since something may have to be told of its end; `None`: never. Which of both holds follows from whether
/// it is renewed by itself, which only its keeper knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookAt {
    /// If it is renewed by itself.
    pub renewing: Option<Timestamp>,
    /// If nothing renews it.
    pub fixed: Option<Timestamp>,
}

/// When a token is looked at, counted from `now`: at once, if a threshold has passed that nobody was told of yet.
pub fn next_looks(token: &Token, now: Timestamp) -> LookAt {
    if matches!(token.state, TokenState::Invalid { .. } | TokenState::Revoked { .. }) {
        return LookAt { renewing: None, fixed: None };
    }
    let access = token.clocks.access_expires_at;
    let fixed = ends(token, access).map(|(_, end)| look_at(end, now)).min();
    // A renewal comes before it; whether it did is looked at when the time has come.
    let turned = access.into_iter().flat_map(moments).map(|moment| moment + GRACE).find(|moment| *moment > now);
    let renewing = ends(token, None).map(|(_, end)| look_at(end, now)).chain(turned).min();
    LookAt { renewing, fixed }
}

/// The moments at which something is to be told of an end.
fn moments(end: Timestamp) -> impl Iterator<Item = Timestamp> {
    AHEAD.map(|days| end - DAY * u32::from(days)).into_iter().chain([end])
}

/// The next look at an end that nothing turns back: now, if it is near already.
fn look_at(end: Timestamp, now: Timestamp) -> Timestamp {
    (end - DAY * u32::from(AHEAD[0])).max(now)
}

/// The ends that count, with the clocks that they are of.
fn ends(token: &Token, access: Option<Timestamp>) -> impl Iterator<Item = (Clock, Timestamp)> {
    let of = |clock, end: Option<Timestamp>| end.map(|end| (clock, end)).into_iter();
    of(Clock::Access, access)
        .chain(of(Clock::Refresh, token.clocks.refresh_expires_at))
        .chain(of(Clock::DataAccess, token.clocks.data_access_expires_at))
}

/// How it stands with a token that is renewed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewing {
    /// Renewals that failed in a row by now.
    pub failures: u32,
    /// When the next one is due.
    pub due_at: Option<Timestamp>,
    /// How long before its end people are told of failures.
    pub told_before: Duration,
}

impl Renewing {
    /// Whether renewals fail, and not only by chance.
    fn fail(self, end: Timestamp, now: Timestamp) -> bool {
        is_trouble(self.failures) || self.due_at.is_some_and(|due| due + GRACE <= now) || end + GRACE <= now
    }

    /// Whether an access token's end counts, though renewals should turn it back.
    fn lets_end(self, end: Timestamp, now: Timestamp) -> bool {
        self.fail(end, now) && (end > now + DAY || end <= now + self.told_before)
    }
}

/// Whether so many failures in a row are trouble: then the token is looked at.
pub fn is_trouble(failures: u32) -> bool {
    failures >= TROUBLE
}

/// What is to be told of a token's end now, and when to look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// The most urgent fact, if a threshold has passed.
    pub event: Option<Event>,
    /// When to look again; `None`: never, unless the token changes.
    pub next: Option<Timestamp>,
}

impl Expiry {
    /// Looks at a token. `renewing`: how it stands with its renewals; `None`: nothing renews it.
    pub fn of(token: &Token, renewing: Option<Renewing>, now: Timestamp) -> Expiry {
        if matches!(token.state, TokenState::Invalid { .. } | TokenState::Revoked { .. }) {
            return Expiry { event: None, next: None };
        }
        let access = token.clocks.access_expires_at;
        let counts = access.filter(|end| renewing.is_none_or(|renewing| renewing.lets_end(*end, now)));
        let nearest = ends(token, counts).min_by_key(|(_, end)| *end);
        let event = nearest.and_then(|(clock, end)| match renewing {
            Some(_) if clock == Clock::Access => Self::fact(token, Clock::Unrenewed, end, end + GRACE, now),
            _ => Self::fact(token, clock, end, end, now),
        });
        let later = |end: Timestamp| moments(end).find(|moment| *moment > now);
        let next = ends(token, access).filter_map(|(_, end)| later(end));
        let of_renewals = access.zip(renewing).into_iter().flat_map(|(end, renewing)| {
            let near = renewing.fail(end, now).then(|| end - renewing.told_before);
            near.into_iter().chain([end + GRACE]).filter(|moment| *moment > now)
        });
        Expiry { event, next: next.chain(of_renewals).min() }
    }

    fn fact(token: &Token, clock: Clock, end: Timestamp, told_at: Timestamp, now: Timestamp) -> Option<Event> {
        let (network, id) = (token.network.clone(), token.id);
        let (fact, name) = if told_at <= now {
            (Fact::TokenExpired { network, token: id }, "expired".to_owned())
        } else {
            let within_days = within(end, now)?;
            (
                Fact::TokenExpiring { network, token: id, clock, ends_at: end, within_days },
                format!("expiring/{within_days}d"),
            )
        };
        let dedup_key = format!("{id}/{name}/{}", name_of_end(&token.clocks, end));
        Some(Event { id: EventId::generate(), at: now, team: Some(token.team.clone()), fact, dedup_key })
    }
}

/// By what an end is known again. Where a grant's end is the access token's, too, it is known by the grant's, which each renewal leaves as it is.
pub(super) fn name_of_end(clocks: &Clocks, end: Timestamp) -> i64 {
    let named = [clocks.refresh_expires_at, clocks.data_access_expires_at].into_iter().flatten();
    named.into_iter().find(|other| is_same_end(*other, end)).unwrap_or(end).micros()
}

/// The smallest threshold that an end has passed; `None`: it is farther away than all, or it came.
pub(super) fn within(end: Timestamp, now: Timestamp) -> Option<u8> {
    let passed = |days: &&u8| end > now && end.since(now) <= DAY * u32::from(**days);
    AHEAD.iter().rev().find(passed).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::notice::tests::{NOW, token};
    use crate::domain::token::{Clocks, Reason};

    fn ending(clocks: Clocks) -> Token {
        Token { clocks, ..token(TokenState::Live) }
    }

    fn days(days: u32) -> Timestamp {
        NOW + DAY * days
    }

    const HOUR: Duration = Duration::from_secs(3600);

    /// Renewals of a token that lives for months, or for two hours.
    fn renewing(failures: u32, told_before: Duration) -> Option<Renewing> {
        Some(Renewing { failures, due_at: None, told_before })
    }

    /// Every fact of a token's end, in days from now, as a reconciler finds them that looks when it was told to.
    fn told(token: &Token, renewing: Option<Renewing>) -> Vec<(u64, String)> {
        let looks = next_looks(token, NOW);
        let mut next = if renewing.is_some() { looks.renewing } else { looks.fixed };
        let mut told = Vec::new();
        while let Some(now) = next {
            let found = Expiry::of(token, renewing, now);
            let name = |event: Event| event.dedup_key.split('/').skip(1).take(2).collect::<Vec<_>>().join("/");
            told.extend(found.event.map(|event| (now.since(NOW).as_secs() / 86_400, name(event))));
            assert!(found.next.is_none_or(|later| later > now));
            next = found.next;
        }
        told.dedup_by(|one, other| one.1 == other.1);
        told
    }

    #[test]
    fn an_end_is_told_7_3_and_1_days_ahead_and_when_it_came() {
        let access = ending(Clocks { access_expires_at: Some(days(60)), ..Clocks::default() });
        let names: Vec<_> = told(&access, None);
        let days: Vec<u64> = names.iter().map(|(day, _)| *day).collect();
        assert_eq!(days, [53, 57, 59, 60]);
        assert!(names[0].1.starts_with("expiring/7d") && names[3].1.starts_with("expired"), "{names:?}");
    }

    #[test]
    fn what_ends_soon_is_told_at_once_and_only_the_most_urgent() {
        let soon = ending(Clocks { access_expires_at: Some(days(2)), ..Clocks::default() });
        let told = told(&soon, None);
        assert_eq!(told.iter().map(|(day, _)| *day).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(told[0].1.starts_with("expiring/3d"), "{told:?}");
    }

    #[test]
    fn a_clock_that_renewals_turn_back_is_told_only_when_they_fail() {
        let access = ending(Clocks { access_expires_at: Some(days(60)), ..Clocks::default() });
        let of = |failures| told(&access, renewing(failures, DAY * 10)).into_iter().map(|(day, _)| day);
        assert_eq!(of(TROUBLE).collect::<Vec<_>>(), [53, 57, 59, 60]);
        assert_eq!(of(TROUBLE - 1).collect::<Vec<_>>(), [60], "that it is over is told however it came");
        let overdue = Renewing { failures: 0, due_at: Some(NOW), told_before: DAY * 10 };
        let told = Expiry::of(&access, Some(overdue), days(54)).event.unwrap();
        assert!(matches!(told.fact, Fact::TokenExpiring { clock: Clock::Unrenewed, within_days: 7, .. }));
    }

    #[test]
    fn failures_in_a_short_life_are_told_when_the_end_is_near() {
        let end = NOW + HOUR * 2;
        let short = ending(Clocks { access_expires_at: Some(end), ..Clocks::default() });
        let near = HOUR / 3;
        let found = Expiry::of(&short, renewing(TROUBLE, near), NOW + HOUR);
        assert_eq!((found.event, found.next), (None, Some(end - near)), "it may pass");
        let found = Expiry::of(&short, renewing(TROUBLE, near), end - near);
        assert!(
            matches!(found.event.unwrap().fact, Fact::TokenExpiring { clock: Clock::Unrenewed, ends_at, .. } if ends_at == end)
        );
        assert_eq!(found.next, Some(end));
        assert_eq!(Expiry::of(&short, renewing(TROUBLE, near), end), Expiry { event: None, next: Some(end + GRACE) });
        assert_eq!(Expiry::of(&short, renewing(TROUBLE - 1, near), end - near).event, None);
    }

    #[test]
    fn an_end_that_is_the_grants_too_is_known_by_it() {
        let clocks = |later: u64| Clocks {
            access_expires_at: Some(days(1) + Duration::from_secs(later)),
            refresh_expires_at: Some(days(1)),
            ..Clocks::default()
        };
        let key = |later| Expiry::of(&ending(clocks(later)), None, days(2)).event.unwrap().dedup_key;
        assert_eq!(key(0), key(90));
    }

    #[test]
    fn a_short_life_that_is_renewed_is_never_looked_at_before_its_end() {
        let hour = NOW + HOUR;
        let short = ending(Clocks { access_expires_at: Some(hour), ..Clocks::default() });
        assert_eq!(next_looks(&short, NOW).renewing, Some(hour + GRACE));
        let long =
            ending(Clocks { access_expires_at: Some(hour), refresh_expires_at: Some(days(365)), ..Clocks::default() });
        assert_eq!(next_looks(&long, NOW).renewing, Some(hour + GRACE));
        let found = Expiry::of(&long, renewing(0, HOUR / 6), hour);
        assert_eq!((found.event, found.next), (None, Some(hour + GRACE)));
    }

    #[test]
    fn the_refresh_tokens_end_and_that_of_the_data_are_nobodys_to_renew() {
        let clocks =
            Clocks { access_expires_at: Some(days(366)), refresh_expires_at: Some(days(365)), ..Clocks::default() };
        let renewed = told(&ending(clocks), renewing(0, DAY));
        assert_eq!(renewed.iter().map(|(day, _)| *day).collect::<Vec<_>>(), [358, 362, 364, 365]);
        let clocks = Clocks { data_access_expires_at: Some(days(90)), ..Clocks::default() };
        let found = Expiry::of(&ending(clocks), renewing(0, DAY), days(84)).event.unwrap();
        assert!(matches!(found.fact, Fact::TokenExpiring { clock: Clock::DataAccess, within_days: 7, .. }));
    }

    #[test]
    fn nothing_is_told_of_the_end_of_what_ended_before() {
        let clocks = Clocks { access_expires_at: Some(days(1)), ..Clocks::default() };
        let dead = Token { clocks, ..token(TokenState::Invalid { reason: Reason::PasswordChanged, since: NOW }) };
        assert_eq!(Expiry::of(&dead, None, NOW), Expiry { event: None, next: None });
        assert_eq!(next_looks(&dead, NOW), LookAt { renewing: None, fixed: None });
        let endless = ending(Clocks::default());
        assert_eq!(next_looks(&endless, NOW), LookAt { renewing: None, fixed: None });
    }
}
