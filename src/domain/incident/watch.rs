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
//! An outage must have lasted for half a minute, with nobody served. So must a refusal of the app, but that without the wait.
//!
//! Nothing is found where only one or two persons are: there the tokens' own rules decide.

use std::collections::HashMap;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::domain::incident::IncidentKind;

/// The span that is looked at: an incident is found within it, or is none.
const SPAN: Duration = Duration::from_secs(60);
/// How long a network must have failed everybody.
const OUTAGE: Duration = Duration::from_secs(30);
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
    AppRefused,
    /// The network failed.
    Failed,
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
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    symptom: Symptom,
    first: Timestamp,
    last: Timestamp,
}

impl Watch {
    /// A person's token was served. A failure of the network or the app is over for it.
    pub fn work(&mut self, person: u32, now: Timestamp) {
        if self.served.len() >= REMEMBERED {
            self.served.retain(|_, at| now.since(*at) < SPAN);
        }
        if self.served.len() < REMEMBERED || self.served.contains_key(&person) {
            self.served.insert(person, now);
        }
        if self.failed.get(&person).is_some_and(|seen| seen.symptom != Symptom::Lost) {
            self.failed.remove(&person);
        }
    }

    /// A person's token failed, in an app with tokens of so many persons. Says whether that makes an incident.
    pub fn fail(&mut self, person: u32, symptom: Symptom, persons: usize, now: Timestamp) -> Option<Detected> {
        self.forget(now);
        let full = self.failed.len() >= REMEMBERED;
        match self.failed.get_mut(&person) {
            Some(seen) if seen.symptom == symptom => seen.last = now,
            Some(seen) => *seen = Seen { symptom, first: seen.first, last: now },
            None if full => {}
            None => {
                self.failed.insert(person, Seen { symptom, first: now, last: now });
            }
        }
        let apps = self.failures(Symptom::AppRefused);
        let lost = self.failures(Symptom::Lost);
        if apps.persons >= few(persons) && apps.persons >= lost.persons && self.served_since(apps.first) == 0 {
            return Some(apps.as_kind(IncidentKind::AppDisabled));
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

    /// Whether nothing failed lately.
    pub fn is_over(&mut self, now: Timestamp) -> bool {
        self.forget(now);
        self.failed.is_empty()
    }

    fn forget(&mut self, now: Timestamp) {
        self.failed.retain(|_, seen| now.since(seen.last) < SPAN);
        self.served.retain(|_, at| now.since(*at) < SPAN);
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

/// So many persons are not lost within a minute by chance.
fn few(persons: usize) -> usize {
    (persons / 2).clamp(3, 5)
}

/// So many persons are far more than a pool of this size loses in a minute, whoever else is served.
fn unusual(persons: usize) -> usize {
    let usual = (persons as u64).saturating_mul(TIMES * SPAN.as_secs()).div_ceil(LIFE.as_secs());
    usize::try_from(usual).unwrap_or(usize::MAX).clamp(MANY, REMEMBERED)
}
