//! The detector: who of an app was refused in the last minute, and who was served.
//!
//! It counts persons, since one person who changes a password may end many tokens. Two rules, of which one suffices:
//!
//! * **Most of those seen**: so many persons as no chance brings together ([`few`]: five, in a pool of less than ten half of it, but
//!   three), and more than were served in the same minute. Serves small pools. If each token is lost once in 30 days, a pool of 100 loses
//!   five persons in one minute by chance once in 10⁹ years.
//! * **Far more than usual**: twenty persons, and ten times as many as a pool of this size loses in a minute if each of its tokens is lost
//!   once in 30 days. Serves large pools, where a part is reset and the others work: 232 of 1,000,000 in a minute, where 23 are usual.
//!
//! An outage must have lasted for half a minute, with nobody served.
//!
//! A refusal of the app must have hit so many persons, too, with nobody served between, but may take an hour for it; where some were refused
//! and others served in turn, nobody may have been served for a minute. What one operation alone
//! is refused with may be for want of an access level; so it must be two of them, or a call that every app may make. Where only one
//! or two persons are, it is all of them, for half a minute at least.
//!
//! Nothing else is found where only one or two persons are: there the tokens' own rules decide.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::domain::incident::IncidentKind;

/// The span that is looked at: an incident is found within it, or is none.
const SPAN: Duration = Duration::from_secs(60);
/// How long a network must have failed everybody, or refused an app of one or two persons.
const OUTAGE: Duration = Duration::from_secs(30);
/// How long a refusal of an app is remembered that nothing disproved.
const SPEAKS_FOR: Duration = Duration::from_secs(3600);
/// The least number of persons where others are served.
const MANY: usize = 20;
/// How many times as many as usual.
const TIMES: u64 = 10;
/// A token is lost once in this time, by the most restless users; more would be found too easily, fewer too late.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// The most persons that are remembered of a kind.
const REMEMBERED: usize = 1024;

/// How a person's token failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symptom {
    /// It has ended, or is in doubt.
    Lost,
    /// The app was refused with it.
    AppRefused(Asked),
    /// The network failed.
    Failed,
}

/// What an app was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asked {
    /// An operation, by its place in the catalogue. It may be one that this app may not call.
    Operation(u16),
    /// What every app may do: a renewal, or the broker's own check of a token.
    Basic,
}

/// An incident was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detected {
    /// What it looks like.
    pub kind: IncidentKind,
    /// When the first of the failures was seen.
    pub started_at: Timestamp,
    /// How many persons' tokens failed like this.
    pub persons: u32,
}

/// The last minute of one app.
#[derive(Debug, Default)]
pub struct Watch {
    failed: HashMap<u32, Seen>,
    served: HashMap<u32, Timestamp>,
    refusals: AppRefusals,
    /// When a served call disproved refusals of the app last.
    disproved_at: Option<Timestamp>,
}

/// Refusals of the app since a call was served last.
#[derive(Debug, Default)]
struct AppRefusals {
    persons: HashSet<u32>,
    asked: HashSet<Asked>,
    /// When the first and the last of them were seen.
    seen: Option<(Timestamp, Timestamp)>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    symptom: Symptom,
    first: Timestamp,
    last: Timestamp,
}

impl Watch {
    /// A person's token was served. A failure of the network is over for it, and a refusal of the app for all.
    pub fn work(&mut self, person: u32, now: Timestamp) {
        if self.served.len() >= REMEMBERED {
            self.served.retain(|_, at| now.since(*at) < SPAN);
        }
        if self.served.len() < REMEMBERED || self.served.contains_key(&person) {
            self.served.insert(person, now);
        }
        if self.refusals.seen.is_some() {
            (self.refusals, self.disproved_at) = (AppRefusals::default(), Some(now));
        }
        if self.failed.get(&person).is_some_and(|seen| seen.symptom != Symptom::Lost) {
            self.failed.remove(&person);
        }
    }

    /// A person's token failed, in an app with tokens of so many persons. Says whether that makes an incident.
    pub fn fail(&mut self, person: u32, symptom: Symptom, persons: usize, now: Timestamp) -> Option<Detected> {
        self.forget(now);
        if let Symptom::AppRefused(asked) = symptom {
            self.failed.remove(&person);
            self.refusals.note(person, asked, now);
        } else {
            self.refusals.persons.remove(&person);
            self.note(person, symptom, now);
        }
        let lost = self.failures(Symptom::Lost);
        let of_app = self.refusals.of_the_app(persons, now).filter(|of_app| of_app.persons >= lost.persons);
        if let Some(of_app) = of_app.filter(|_| self.disproved_at.is_none()) {
            return Some(of_app.as_kind(IncidentKind::AppDisabled));
        }
        let most = lost.persons >= few(persons) && lost.persons > self.served_since(now - SPAN);
        if most || lost.persons >= unusual(persons) {
            return Some(lost.as_kind(IncidentKind::NetworkReset));
        }
        let down = self.failures(Symptom::Failed);
        let lasts = now.since(down.first) >= OUTAGE;
        let is_outage = lasts && down.persons >= few(persons) && self.served_since(down.first) == 0;
        is_outage.then(|| down.as_kind(IncidentKind::ProviderOutage))
    }

    /// When the app was refused last, if no call was served since.
    pub fn app_refused_at(&self) -> Option<Timestamp> {
        self.refusals.seen.map(|(_, last)| last)
    }

    fn note(&mut self, person: u32, symptom: Symptom, now: Timestamp) {
        let full = self.failed.len() >= REMEMBERED;
        match self.failed.get_mut(&person) {
            Some(seen) if seen.symptom == symptom => seen.last = now,
            Some(seen) => *seen = Seen { symptom, first: seen.first, last: now },
            None if full => {}
            None => {
                self.failed.insert(person, Seen { symptom, first: now, last: now });
            }
        }
    }

    /// Whether nothing failed lately.
    pub fn is_over(&mut self, now: Timestamp) -> bool {
        self.forget(now);
        self.failed.is_empty() && self.refusals.seen.is_none() && self.disproved_at.is_none()
    }

    fn forget(&mut self, now: Timestamp) {
        self.failed.retain(|_, seen| now.since(seen.last) < SPAN);
        self.served.retain(|_, at| now.since(*at) < SPAN);
        if self.refusals.seen.is_some_and(|(_, last)| now.since(last) >= SPEAKS_FOR) {
            self.refusals = AppRefusals::default();
        }
        self.disproved_at.take_if(|at| now.since(*at) >= SPAN);
    }

    fn served_since(&self, since: Timestamp) -> usize {
        self.served.values().filter(|at| **at >= since).count()
    }

    fn failures(&self, symptom: Symptom) -> Failures {
        let alike = self.failed.values().filter(|seen| seen.symptom == symptom);
        alike.fold(Failures { persons: 0, first: Timestamp::NEVER }, |all, seen| Failures {
            persons: all.persons + 1,
            first: all.first.min(seen.first),
        })
    }
}

impl AppRefusals {
    fn note(&mut self, person: u32, asked: Asked, now: Timestamp) {
        let first = self.seen.map_or(now, |(first, _)| first);
        self.seen = Some((first, now));
        if self.persons.len() < REMEMBERED {
            self.persons.insert(person);
        }
        if self.asked.len() < 2 || asked == Asked::Basic {
            self.asked.insert(asked);
        }
    }

    /// Whom they hit, if that is not for one operation, and in an app with tokens of so many persons no chance.
    fn of_the_app(&self, persons: usize, now: Timestamp) -> Option<Failures> {
        let (first, _) = self.seen?;
        let of_all = self.asked.len() > 1 || self.asked.contains(&Asked::Basic);
        let lasts = persons >= few(persons) || now.since(first) >= OUTAGE;
        let hit = self.persons.len();
        (of_all && lasts && hit >= enough(persons)).then_some(Failures { persons: hit, first })
    }
}

/// The persons that failed alike.
#[derive(Debug, Clone, Copy)]
struct Failures {
    persons: usize,
    first: Timestamp,
}

impl Failures {
    fn as_kind(self, kind: IncidentKind) -> Detected {
        Detected { kind, started_at: self.first, persons: u32::try_from(self.persons).unwrap_or(u32::MAX) }
    }
}

/// So many persons are refused alike by no chance: [`few`], or all where there are fewer.
pub fn enough(persons: usize) -> usize {
    few(persons).min(persons.max(1))
}

/// So many persons are not lost within a minute by chance.
fn few(persons: usize) -> usize {
    (persons / 2).clamp(3, 5)
}

/// So many persons are far more than a pool of this size loses in a minute, whoever else is served.
fn unusual(persons: usize) -> usize {
    let usual = (persons as u64).saturating_mul(TIMES * SPAN.as_secs()).div_ceil(LIFE.as_secs());
    usize::try_from(usual).unwrap_or(usize::MAX).clamp(MANY, REMEMBERED)
}
