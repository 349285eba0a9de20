//! Alerts: when the token load is too high, and when demand meets no usable token.
//!
//! [`AlertState`] decides when an alert opens, worsens and clears; [`Alert`] is one opening, with a [`Detail`] that says in words
//! what is wrong and what to do; [`payload`] is what is sent of it. One alert is open per [`AlertKey`]; keeping and sending it is the
//! caller's.

mod in_words;
mod message;
mod state;

use std::fmt;

use serde::Serialize;

use crate::base::clock::Timestamp;
use crate::base::ids::AlertId;
use crate::domain::load::LoadKey;

pub use message::{Cause, Detail, LoadDetail, NoToken};
pub use state::{AlertRule, AlertState, Change, access_ratio};

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertKind {
    /// A team collects more than its tokens can carry.
    TokenLoadTooHigh,
    /// Demand meets no usable token.
    NoAccessTokens,
}

impl AlertKind {
    /// All kinds.
    pub const ALL: [AlertKind; 2] = [AlertKind::TokenLoadTooHigh, AlertKind::NoAccessTokens];

    /// The name used in SQL, metrics, logs and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            AlertKind::TokenLoadTooHigh => "token_load_too_high",
            AlertKind::NoAccessTokens => "no_access_tokens",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<AlertKind> {
        AlertKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Over the threshold: it still works, without room.
    Warning,
    /// Demand is not met.
    Critical,
}

impl Level {
    /// The name used in SQL, metrics, logs and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Warning => "warning",
            Level::Critical => "critical",
        }
    }

    /// The level of that name.
    pub fn from_name(name: &str) -> Option<Level> {
        [Level::Warning, Level::Critical].into_iter().find(|level| level.as_str() == name)
    }
}

/// What makes two alerts the same: at most one is open for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertKey {
    /// What it is about.
    pub kind: AlertKind,
    /// Whose, and of which credit.
    pub load: LoadKey,
}

/// `kind/team/network/class`.
impl fmt::Display for AlertKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.load)
    }
}

/// One opening of an alert, as the store keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// What it is about, and whose.
    pub key: AlertKey,
    /// How bad it is, or was when it cleared.
    pub level: Level,
    /// What people read: what is wrong and what to do.
    pub message: String,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When it cleared; `None`: it is open.
    pub cleared_at: Option<Timestamp>,
    /// Who took notice of it, and when.
    pub acknowledged: Option<Acknowledgement>,
    /// The figures behind the message.
    pub detail: Detail,
}

/// Somebody took notice of an alert, or of an incident for its team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// When.
    pub at: Timestamp,
    /// Who, as the audit names them.
    pub by: String,
    /// What they said of it; blank: nothing.
    pub comment: String,
}

/// An alert can't be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AcknowledgeError {
    /// It is over.
    #[error("the alert has cleared; there is nothing left to acknowledge")]
    Cleared,
}

impl Alert {
    /// A new opening.
    pub fn open(id: AlertId, key: AlertKey, level: Level, now: Timestamp, detail: Detail) -> Alert {
        let message = detail.message(&key);
        Alert { id, key, level, message, opened_at: now, cleared_at: None, acknowledged: None, detail }
    }

    /// Follows a change of the state after the opening. What was wrong stays readable after it cleared.
    pub fn follow(self, change: Change, now: Timestamp, detail: Detail) -> Alert {
        let level = match change {
            Change::Opened(level) => level,
            Change::Raised => Level::Critical,
            Change::Lowered => Level::Warning,
            Change::Cleared => return Alert { cleared_at: Some(now), ..self },
        };
        Alert { level, ..self.seen(detail) }
    }

    /// The alert with what is seen by now.
    pub fn seen(self, detail: Detail) -> Alert {
        Alert { message: detail.message(&self.key), detail, ..self }
    }

    /// Notes who took notice. The first one stays.
    pub fn acknowledge(self, by: String, comment: String, now: Timestamp) -> Result<Alert, AcknowledgeError> {
        if self.cleared_at.is_some() {
            return Err(AcknowledgeError::Cleared);
        }
        let first = self.acknowledged.clone().unwrap_or(Acknowledgement { at: now, by, comment });
        Ok(Alert { acknowledged: Some(first), ..self })
    }
}

/// The body that is sent about a change: `{"type":"<kind>.<change>","timestamp":…,"data":{…}}`, times as RFC 3339 in UTC.
pub fn payload(alert: &Alert, change: Change, now: Timestamp) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        r#type: String,
        timestamp: String,
        data: Data<'a>,
    }
    #[derive(Serialize)]
    struct Data<'a> {
        id: String,
        key: String,
        kind: &'static str,
        team: &'a str,
        network: &'a str,
        class: &'a str,
        level: &'static str,
        message: &'a str,
        opened_at: String,
        cleared_at: Option<String>,
        acknowledged_at: Option<String>,
        acknowledged_by: Option<&'a str>,
        acknowledge_comment: Option<&'a str>,
        detail: &'a Detail,
    }
    let acknowledged = alert.acknowledged.as_ref();
    let body = Body {
        r#type: format!("{}.{}", alert.key.kind.as_str(), change.as_str()),
        timestamp: now.to_string(),
        data: Data {
            id: alert.id.to_string(),
            key: alert.key.to_string(),
            kind: alert.key.kind.as_str(),
            team: alert.key.load.team.as_str(),
            network: alert.key.load.network.as_str(),
            class: alert.key.load.class.as_str(),
            level: alert.level.as_str(),
            message: &alert.message,
            opened_at: alert.opened_at.to_string(),
            cleared_at: alert.cleared_at.map(|at| at.to_string()),
            acknowledged_at: acknowledged.map(|noted| noted.at.to_string()),
            acknowledged_by: acknowledged.map(|noted| noted.by.as_str()),
            acknowledge_comment: acknowledged.map(|noted| noted.comment.as_str()).filter(|comment| !comment.is_empty()),
            detail: &alert.detail,
        },
    };
    serde_json::to_string(&body).expect("the body has only text, finite numbers and string keys")
}

#[cfg(test)]
mod tests {
    use super::message::tests::{key, too_high};
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_secs(minutes * 60)
    }

    #[test]
    fn the_payload_holds_the_alert() {
        let alert =
            Alert::open(AlertId::from_u128(1), key(AlertKind::TokenLoadTooHigh), Level::Critical, at(1), too_high());
        let alert = alert.acknowledge("members/ann".to_owned(), String::new(), at(2)).unwrap();
        let alert = alert.follow(Change::Cleared, at(3), too_high());
        let body: serde_json::Value = serde_json::from_str(&payload(&alert, Change::Cleared, at(3))).unwrap();
        assert_eq!(body["type"], "token_load_too_high.cleared");
        assert_eq!(body["timestamp"], "1970-01-01T00:03:00Z");
        let data = &body["data"];
        assert_eq!(data["key"], "token_load_too_high/acme/x/search");
        assert_eq!(data["level"], "critical");
        assert_eq!(data["opened_at"], "1970-01-01T00:01:00Z");
        assert_eq!(data["cleared_at"], "1970-01-01T00:03:00Z");
        assert_eq!(data["acknowledged_by"], "members/ann");
        assert_eq!(data["detail"]["load"]["ratio"], 2.4);
        assert_eq!(data["detail"]["load"]["advice"]["tokens"], 4);
        assert_eq!(data["detail"]["load"]["causes"][0]["collection"], "brand");
        assert_eq!(alert.acknowledge("members/bob".to_owned(), String::new(), at(4)), Err(AcknowledgeError::Cleared));
    }

    #[test]
    fn the_first_acknowledgement_stays() {
        let alert =
            Alert::open(AlertId::from_u128(1), key(AlertKind::NoAccessTokens), Level::Critical, at(1), too_high());
        let twice = alert.acknowledge("ann".to_owned(), "seen".to_owned(), at(2)).unwrap();
        let twice = twice.acknowledge("bob".to_owned(), String::new(), at(3)).unwrap();
        assert_eq!(
            twice.acknowledged,
            Some(Acknowledgement { at: at(2), by: "ann".to_owned(), comment: "seen".to_owned() })
        );
    }
}
