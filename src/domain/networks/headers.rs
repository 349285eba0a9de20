//! Usage headers: what a network says of its limits beside an answer.
//!
//! Headers are foreign text. What is malformed, contradicts itself or is longer than any honest value gives no reading;
//! numbers saturate; nothing here panics. What a reading does to the books is decided in `credit`. The dialects with
//! percentages are in `percent`, those with lists of policies in `policy`.

mod percent;
mod policy;
mod structured;
pub(super) mod time;

use super::model::{Dialect, HeaderRule, Network};
use crate::base::clock::Timestamp;
use crate::base::ids::ClassId;
use crate::domain::networks::Owner;

/// One statement of a network about one of its accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Whose account it speaks of.
    pub owner: Owner,
    /// Which window it speaks of; `None`: whichever there is.
    pub window: Option<std::time::Duration>,
    /// The class it speaks of; `None`: the classes that the call drew from.
    pub class: Option<ClassId>,
    /// The id of the profile it speaks of, where the header names one.
    pub object: Option<String>,
    /// What it says.
    pub usage: Usage,
    /// When the account comes back.
    pub resets_at: Option<Timestamp>,
}

/// What a usage header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Counts; each may be absent.
    Count {
        /// The limit.
        limit: Option<u64>,
        /// What is left of it.
        remaining: Option<u64>,
        /// What is used of it.
        used: Option<u64>,
    },
    /// Percent used, as sent; may exceed 100.
    Percent(u8),
    /// Nothing is left until `resets_at`.
    Blocked,
}

/// A header's value is read up to this many bytes. The longest honest one, a percent map of 32 objects, has a few
/// thousand.
const LONGEST_VALUE: usize = 32 * 1024;
/// At most this many readings come of one header.
const MOST_READINGS: usize = 64;

/// What the headers of an answer (names in lower case) say at `now`, in the order of the network's rules. Headers that
/// no rule of the network names are passed over.
pub fn read_usage(network: &Network, headers: &[(String, String)], now: Timestamp) -> Vec<Reading> {
    let mut readings = Vec::new();
    for rule in &network.headers {
        let look = Look { network, rule, headers, now };
        if let Some(found) = look.read() {
            readings.extend(found);
        }
    }
    readings
}

/// One rule, looked up in the headers of one answer.
struct Look<'a> {
    network: &'a Network,
    rule: &'a HeaderRule,
    headers: &'a [(String, String)],
    now: Timestamp,
}

/// The header is malformed, contradicts itself or is too long.
struct Unreadable;

impl<'a> Look<'a> {
    fn read(&self) -> Option<Vec<Reading>> {
        match self.rule.dialect {
            Dialect::PercentObject => percent::object(self),
            Dialect::PercentMap => percent::map(self),
            Dialect::TripleEpoch | Dialect::TripleSeconds | Dialect::TripleIso => self.triple(),
            Dialect::PolicyList | Dialect::IetfDraftOld => policy::list(self),
            Dialect::IetfDraft => policy::ietf(self),
            Dialect::RetryAfter => self.retry_after(),
        }
    }

    /// The header whose name is the rule's.
    fn whole(&self) -> Result<Option<&'a str>, Unreadable> {
        let name = self.family();
        self.one(|other| other == name)
    }

    /// The header whose name is the rule's, a dash and `part`.
    fn part(&self, part: &str) -> Result<Option<&'a str>, Unreadable> {
        let family = self.family();
        self.one(|other| other.strip_prefix(family).and_then(|rest| rest.strip_prefix('-')) == Some(part))
    }

    fn family(&self) -> &'a str {
        self.rule.name.trim_end_matches('-')
    }

    /// The one value under a name; two that differ contradict each other.
    fn one(&self, is_named: impl Fn(&str) -> bool) -> Result<Option<&'a str>, Unreadable> {
        let mut values = self.headers.iter().filter(|(name, _)| is_named(name)).map(|(_, value)| value.trim());
        let first = values.next();
        if first.is_some_and(|first| first.len() > LONGEST_VALUE || values.any(|other| other != first)) {
            return Err(Unreadable);
        }
        Ok(first)
    }

    /// A count, a fraction rounded down.
    fn count(&self, part: &str) -> Result<Option<u64>, Unreadable> {
        self.part(part)?.map(|text| time::number(text).map(|(whole, _)| whole).ok_or(Unreadable)).transpose()
    }

    /// A reset that can't be read, or not be believed, is left out: the counts beside it still say something.
    fn reset(&self) -> Result<Option<Timestamp>, Unreadable> {
        let Some(text) = self.part("reset")? else { return Ok(None) };
        let at = match self.rule.dialect {
            Dialect::TripleIso => time::iso(text).or_else(|| time::epoch_or_left(text, self.now)),
            _ => time::epoch_or_left(text, self.now),
        };
        Ok(at.filter(|at| time::is_believable(*at, self.now)))
    }

    fn triple(&self) -> Option<Vec<Reading>> {
        let (limit, remaining) = (self.count("limit").ok()?, self.count("remaining").ok()?);
        let used = self.part("used").ok()?.map(time::number);
        let used = match used {
            Some(None) => return None,
            Some(Some((whole, has_fraction))) => Some(whole.saturating_add(u64::from(has_fraction))),
            None => None,
        };
        let usage = counted(limit, remaining, used)?;
        Some(vec![self.reading(usage, self.reset().ok()?)])
    }

    fn retry_after(&self) -> Option<Vec<Reading>> {
        let wait = time::retry_after(self.whole().ok()??, Some(self.now))?;
        if wait.is_zero() {
            return None;
        }
        Some(vec![self.reading(Usage::Blocked, Some(self.now + wait))])
    }

    fn reading(&self, usage: Usage, resets_at: Option<Timestamp>) -> Reading {
        let HeaderRule { owner, window, class, .. } = self.rule;
        Reading { owner: *owner, window: *window, class: class.clone(), object: None, usage, resets_at }
    }
}

/// Counts that say something and do not contradict each other.
fn counted(limit: Option<u64>, remaining: Option<u64>, used: Option<u64>) -> Option<Usage> {
    let says_something = limit.is_some() || remaining.is_some() || used.is_some();
    let agrees = limit.zip(remaining).is_none_or(|(limit, remaining)| remaining <= limit);
    (says_something && agrees).then_some(Usage::Count { limit, remaining, used })
}

#[cfg(test)]
mod tests;
