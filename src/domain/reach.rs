//! What a token's trouble means for people and for what was collected: that it must be connected again, how long it was dead, and when
//! collected data must be deleted.
//!
//! All of it is worked out of the token, the catalogue and the time; only dead spans are kept.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::domain::networks::{Duty, Network, Requirement, Verified};
use crate::domain::notice::{Need, RetentionStage};
use crate::domain::renewal::slides;
use crate::domain::token::{Reason, Token, TokenState};
use crate::text::{InWords, Sentence};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long before its end a grant that can't be prolonged asks for its person.
const GRANT_ENDS_WITHIN: Duration = Duration::from_secs(30 * 24 * 3600);

/// A token works, but a person must connect it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeedsReconnecting {
    /// The network's name for people.
    pub network: String,
    /// Why.
    pub need: Need,
    /// Until when it goes on as it is; `None`: not known.
    pub by: Option<Timestamp>,
    /// Whence on, if it is a permission that is missing.
    since: Option<Timestamp>,
}

impl InWords for NeedsReconnecting {
    fn in_words(&self) -> Sentence {
        self.need.in_words(&self.network)
    }
}

impl NeedsReconnecting {
    /// By what it is known again: what people agreed to, the cause, and the day until when. Renewals change none of them.
    pub fn key(&self, token: &Token) -> String {
        let consent = token.clocks.consented_at.unwrap_or(token.created_at).micros();
        let day = self.by.map_or_else(|| "-".to_owned(), |by| (by.micros() / DAY.as_micros() as i64).to_string());
        let cause = match &self.need {
            Need::Permission { .. } => format!("permission {}", self.since.unwrap_or(Timestamp::EPOCH).micros()),
            Need::Scopes { scopes, .. } => format!("scopes {}", scopes.join(" ")),
            Need::GrantEnds => "grant ends".to_owned(),
        };
        format!("{}/needs_reconnecting/{consent}/{cause}/{day}", token.id)
    }
}

/// Why a person must connect a token again that is not dead, the most pressing first: a permission was lost; or its network newly requires
/// what was not granted, or its grant ends soon and no renewal prolongs it, whichever comes first.
pub fn needs_reconnecting(network: &Network, token: &Token, now: Timestamp) -> Vec<NeedsReconnecting> {
    if matches!(token.state, TokenState::Invalid { .. } | TokenState::Revoked { .. }) {
        return Vec::new();
    }
    lost_permission(network, token).into_iter().chain(needed_ahead(network, token, now)).collect()
}

/// Losses of permissions that begin within so much time of each other are told as one: mostly one role was lost.
const LOST_TOGETHER: Duration = DAY;

/// A permission that the network says is missing. What is lost later, after a day or after it was given back, is another matter.
pub fn lost_permission(network: &Network, token: &Token) -> Option<NeedsReconnecting> {
    let last = *token.closed.values().max()?;
    let first = token.closed.values().filter(|since| **since + LOST_TOGETHER > last).min()?;
    let need = Need::Permission { operations: token.closed.keys().cloned().collect() };
    Some(NeedsReconnecting { network: network.display_name.clone(), need, by: None, since: Some(*first) })
}

fn needed_ahead(network: &Network, token: &Token, now: Timestamp) -> Option<NeedsReconnecting> {
    let required = network.requirements.iter().filter(|rule| rule.concerns(&token.kind));
    let missing = required.filter_map(|rule| {
        let scopes: Vec<_> = rule.scopes.iter().filter(|scope| !token.scopes.contains(scope)).cloned().collect();
        let is_needed = !scopes.is_empty();
        let need = Need::Scopes { scopes, about: rule.about.clone() };
        let network = network.display_name.clone();
        is_needed.then_some(NeedsReconnecting { network, need, by: rule.from, since: None })
    });
    let all = missing.chain(grant_ends(network, token, now));
    all.min_by_key(|needs| needs.by.unwrap_or(Timestamp::NEVER))
}

/// Whether a network requires before `before`, or on a day that is not known, what the grant of a token lacks.
pub fn lacks_required(network: &Network, token: &Token, before: Timestamp) -> bool {
    let lacks = |rule: &Requirement| rule.scopes.iter().any(|scope| !token.scopes.contains(scope));
    required_before(network, before).any(|rule| rule.concerns(&token.kind) && lacks(rule))
}

/// What a network newly requires of grants before `before`, or on a day that is not known.
pub fn required_before(network: &Network, before: Timestamp) -> impl Iterator<Item = &Requirement> {
    network.requirements.iter().filter(move |rule| rule.from.is_none_or(|from| from < before))
}

/// The end of a grant that no renewal prolongs.
fn grant_ends(network: &Network, token: &Token, now: Timestamp) -> Option<NeedsReconnecting> {
    let kind = network.kind(token.kind.as_str())?;
    let end = token.clocks.refresh_expires_at.filter(|_| !slides(kind, token.clocks))?;
    (end <= now + GRANT_ENDS_WITHIN).then(|| NeedsReconnecting {
        network: network.display_name.clone(),
        need: Need::GrantEnds,
        by: Some(end),
        since: None,
    })
}

/// A span in which a token was dead, and after which it was healed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadSpan {
    /// When it died.
    pub from: Timestamp,
    /// When it was healed.
    pub until: Timestamp,
    /// Why it was dead.
    pub reason: Reason,
}

impl DeadSpan {
    /// The span that new secrets end; `None`: the token was not dead, or still is. `ends_at`: when the secrets before them ended by their clocks.
    pub fn ended(before: TokenState, ends_at: Option<Timestamp>, after: TokenState, at: Timestamp) -> Option<Self> {
        if matches!(after, TokenState::Invalid { .. } | TokenState::Revoked { .. }) {
            return None;
        }
        let over = ends_at.filter(|end| *end < at);
        let (from, reason) = match (before, over) {
            (TokenState::Revoked { .. }, _) => return None,
            (TokenState::Invalid { since, reason }, over) => (over.map_or(since, |end| end.min(since)), reason),
            (_, Some(end)) => (end, Reason::Expired),
            (_, None) => return None,
        };
        Some(Self { from, until: at, reason })
    }

    /// How long it was.
    pub fn length(&self) -> Duration {
        self.until.since(self.from)
    }
}

/// How far back a network's operations reach, compared with a dead span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// All of the span can be fetched, by every operation whose reach is known.
    Whole,
    /// This operation reaches back so far only: what lies before is lost to it.
    Short {
        /// The operation.
        operation: String,
        /// How far it reaches back.
        reaches: Duration,
    },
    /// How far the network's operations reach back is not known.
    Unknown,
}

/// Whether what was missed in a dead span can be fetched: the operation that reaches back the least is told.
pub fn reach(network: &Network, span: &DeadSpan, now: Timestamp) -> Reach {
    let shortest = network.history.iter().min_by_key(|rule| rule.reaches);
    match shortest {
        None => Reach::Unknown,
        Some(rule) if now.since(span.from) > rule.reaches => {
            Reach::Short { operation: rule.operation.to_string(), reaches: rule.reaches }
        }
        Some(_) => Reach::Whole,
    }
}

/// Collected data must be deleted, or the account authorised anew, unless the token is valid again in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionClock {
    /// The rule, for people.
    pub rule: String,
    /// What must be done.
    pub duty: Duty,
    /// When the token was last valid.
    pub started_at: Timestamp,
    /// When the time is over.
    pub deadline: Timestamp,
    /// How sure the rule is.
    pub verified: Verified,
}

impl RetentionClock {
    /// How far it has run.
    pub fn stage(&self, now: Timestamp) -> RetentionStage {
        match self.deadline {
            deadline if deadline <= now => RetentionStage::Over,
            deadline if deadline <= now + DAY => RetentionStage::OneDay,
            deadline if deadline <= now + 3 * DAY => RetentionStage::ThreeDays,
            _ => RetentionStage::Started,
        }
    }
}

/// The clocks that run since a token was last valid, the first to end first.
pub fn retention_clocks(network: &Network, token: &Token, now: Timestamp) -> Vec<RetentionClock> {
    let lost = match token.state {
        TokenState::Invalid { since, .. } => token.serves_until().map_or(since, |end| end.min(since)),
        TokenState::Revoked { .. } => return Vec::new(),
        _ => match token.serves_until() {
            Some(end) if end <= now => end,
            _ => return Vec::new(),
        },
    };
    let rules = network.retention.iter().filter(|rule| rule.since_loss);
    let clock = |rule: &crate::domain::networks::Retention| {
        let (text, duty, deadline) = (rule.rule.clone(), rule.duty, lost + rule.after?);
        Some(RetentionClock { rule: text, duty, started_at: lost, deadline, verified: rule.verified })
    };
    let mut clocks: Vec<_> = rules.filter_map(clock).collect();
    clocks.sort_by_key(|clock| clock.deadline);
    clocks
}

#[cfg(test)]
mod tests;
