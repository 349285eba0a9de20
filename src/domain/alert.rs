//! Alerts: when the token load is too high, and when demand meets no usable token.
//!
//! The rule is `(state, observation, now, rule) → (state, change)`: an alert opens once its condition has held for a time, clears once a
//! lower condition has held for a time, and can open again. Between the two thresholds nothing changes, so a noisy ratio does
//! not make an alert flap. One alert is open per [`AlertKey`]; keeping and sending it is the caller's.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::ids::AlertId;
use crate::domain::load::{Advice, Load, LoadKey, Ratio, Span};

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

/// When an alert opens, worsens and clears.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlertRule {
    /// It opens at this ratio or above …
    pub threshold: f64,
    /// … held for this long.
    pub hold: Duration,
    /// It clears below this ratio, which is at most `threshold` …
    pub clear_threshold: f64,
    /// … held for this long.
    pub clear_hold: Duration,
    /// It is critical at this ratio or above, held as above.
    pub critical: f64,
    /// Once cleared it may open again after this time at the earliest.
    pub rearm: Duration,
}

impl AlertRule {
    /// The usual rule for a kind.
    pub const fn usual(kind: AlertKind) -> AlertRule {
        const MINUTE: u64 = 60;
        match kind {
            AlertKind::TokenLoadTooHigh => AlertRule {
                threshold: 0.9,
                hold: Duration::from_secs(5 * MINUTE),
                clear_threshold: 0.8,
                clear_hold: Duration::from_secs(10 * MINUTE),
                critical: 1.0,
                rearm: Duration::from_secs(10 * MINUTE),
            },
            AlertKind::NoAccessTokens => AlertRule {
                threshold: 1.0,
                hold: Duration::from_secs(MINUTE),
                clear_threshold: 1.0,
                clear_hold: Duration::from_secs(5 * MINUTE),
                critical: 1.0,
                rearm: Duration::ZERO,
            },
        }
    }
}

/// A condition that must hold for a time before it counts, and be gone for a time before it counts as gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Latch {
    on: bool,
    /// Since when the opposite of `on` has held without a break.
    turning_since: Option<Timestamp>,
}

impl Latch {
    /// `turns` is whether the opposite of the present position holds. Returns the next position.
    fn step(self, turns: bool, hold: Duration, now: Timestamp) -> Latch {
        if !turns {
            return Latch { turning_since: None, ..self };
        }
        let since = self.turning_since.unwrap_or(now);
        if now.since(since) >= hold {
            return Latch { on: !self.on, turning_since: None };
        }
        Latch { turning_since: Some(since), ..self }
    }
}

/// What is remembered between two observations of one [`AlertKey`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AlertState {
    open: Latch,
    critical: Latch,
    /// When it last cleared.
    cleared_at: Option<Timestamp>,
}

impl AlertState {
    /// The state after a restart, when the store holds an open alert of this level.
    pub const fn opened(level: Level) -> AlertState {
        AlertState {
            open: Latch { on: true, turning_since: None },
            critical: match level {
                Level::Critical => Latch { on: true, turning_since: None },
                Level::Warning => Latch { on: false, turning_since: None },
            },
            cleared_at: None,
        }
    }

    /// The level, if the alert is open.
    pub const fn level(&self) -> Option<Level> {
        match (self.open.on, self.critical.on) {
            (false, _) => None,
            (true, false) => Some(Level::Warning),
            (true, true) => Some(Level::Critical),
        }
    }

    /// Takes an observation in. The observations of a key come in the order of their times, at a pace well below the rule's times.
    pub fn observe(self, seen: Ratio, now: Timestamp, rule: &AlertRule) -> (AlertState, Option<Change>) {
        let before = self.level();
        let resting = self.cleared_at.is_some_and(|cleared| now.since(cleared) < rule.rearm);
        let open = match self.open.on {
            false => self.open.step(seen.reaches(rule.threshold) && !resting, rule.hold, now),
            true => self.open.step(!seen.reaches(rule.clear_threshold), rule.clear_hold, now),
        };
        let critical = match self.critical.on {
            false => self.critical.step(seen.reaches(rule.critical), rule.hold, now),
            true => self.critical.step(!seen.reaches(rule.critical), rule.clear_hold, now),
        };
        let cleared_at = if self.open.on && !open.on { Some(now) } else { self.cleared_at };
        let after = AlertState { open, critical, cleared_at };
        (after, Change::between(before, after.level()))
    }
}

/// What an observation of usable tokens means for [`AlertKind::NoAccessTokens`].
pub fn access_ratio(demand_meets_no_token: bool) -> Ratio {
    if demand_meets_no_token { Ratio::NoSupply } else { Ratio::Of(0.0) }
}

/// What happened to an alert, told to people once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It opened.
    Opened(Level),
    /// It became critical.
    Raised,
    /// It is a warning only.
    Lowered,
    /// It is over.
    Cleared,
}

impl Change {
    fn between(before: Option<Level>, after: Option<Level>) -> Option<Change> {
        match (before, after) {
            (None, Some(level)) => Some(Change::Opened(level)),
            (Some(_), None) => Some(Change::Cleared),
            (Some(Level::Warning), Some(Level::Critical)) => Some(Change::Raised),
            (Some(Level::Critical), Some(Level::Warning)) => Some(Change::Lowered),
            _ => None,
        }
    }

    /// The name used in logs and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Change::Opened(_) => "opened",
            Change::Raised => "raised",
            Change::Lowered => "lowered",
            Change::Cleared => "cleared",
        }
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

/// Somebody took notice of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// When.
    pub at: Timestamp,
    /// Who, as the audit names them.
    pub by: String,
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
        Alert { level, message: detail.message(&self.key), detail, ..self }
    }

    /// Notes who took notice. The first one stays.
    pub fn acknowledge(self, by: String, now: Timestamp) -> Result<Alert, AcknowledgeError> {
        if self.cleared_at.is_some() {
            return Err(AcknowledgeError::Cleared);
        }
        let first = self.acknowledged.clone().unwrap_or(Acknowledgement { at: now, by });
        Ok(Alert { acknowledged: Some(first), ..self })
    }
}

/// The figures behind an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Of [`AlertKind::TokenLoadTooHigh`].
    Load(LoadDetail),
    /// Of [`AlertKind::NoAccessTokens`].
    Access(NoToken),
}

/// Why the load is too high.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadDetail {
    /// The network's name for people.
    pub network_name: String,
    /// The span it was measured over.
    pub span: Span,
    /// Demand divided by supply.
    pub ratio: Ratio,
    /// Credit asked for over the span.
    pub demand: f64,
    /// Credit the tokens can give over the span.
    pub supply: f64,
    /// The live tokens.
    pub tokens: u32,
    /// What to do.
    pub advice: Advice,
    /// The collections that ask for most, with their share of the demand.
    pub causes: Vec<(String, f64)>,
}

impl LoadDetail {
    /// How many collections an alert names.
    pub const MOST_CAUSES: usize = 5;

    /// Puts the figures together.
    pub fn new(
        network_name: &str,
        span: Span,
        load: &Load,
        advice: Advice,
        causes: &[(std::sync::Arc<str>, f64)],
    ) -> Self {
        let named = |(name, share): &(std::sync::Arc<str>, f64)| (name.to_string(), *share);
        LoadDetail {
            network_name: network_name.to_owned(),
            span,
            ratio: load.ratio,
            demand: load.demand,
            supply: load.supply,
            tokens: load.tokens,
            advice,
            causes: causes.iter().take(Self::MOST_CAUSES).map(named).collect(),
        }
    }
}

/// Why demand meets no usable token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoToken {
    /// The team never connected one.
    NoneConnected,
    /// The time of all is over.
    AllExpired,
    /// None works any more: expired, refused, withdrawn.
    AllInvalid,
    /// All were switched off.
    AllPaused,
    /// None is of a kind that may make the call.
    NoneOfKind,
    /// None was agreed for the purpose.
    NoneForPurpose,
    /// None has the scopes that are needed.
    NoneWithScopes,
    /// None speaks for the profile that was asked for.
    NoneForProfile,
}

impl NoToken {
    /// All reasons.
    pub const ALL: [NoToken; 8] = [
        NoToken::NoneConnected,
        NoToken::AllExpired,
        NoToken::AllInvalid,
        NoToken::AllPaused,
        NoToken::NoneOfKind,
        NoToken::NoneForPurpose,
        NoToken::NoneWithScopes,
        NoToken::NoneForProfile,
    ];

    /// What is wrong and what a person should do.
    const fn text(self) -> &'static str {
        match self {
            NoToken::NoneConnected => "it has none connected; a member should connect an account",
            NoToken::AllExpired => "all of them have expired; the members who granted them should reconnect",
            NoToken::AllInvalid => "none of them works any more; the members who granted them should reconnect",
            NoToken::AllPaused => "all of them are paused; a manager should resume one",
            NoToken::NoneOfKind => {
                "none is of a kind that may make this call; a member should connect one of that kind"
            }
            NoToken::NoneForPurpose => "none was agreed for this purpose; a member should reconnect and agree to it",
            NoToken::NoneWithScopes => {
                "none has the permissions this call needs; a member should reconnect and grant them"
            }
            NoToken::NoneForProfile => {
                "none speaks for the profile that is asked for; somebody who manages the profile should connect it"
            }
        }
    }
}

impl Detail {
    /// What people read.
    pub fn message(&self, key: &AlertKey) -> String {
        let LoadKey { team, network, class } = &key.load;
        match self {
            Detail::Access(reason) => {
                format!("Team {team} has no usable {network} token for {class}: {}.", reason.text())
            }
            Detail::Load(load) => {
                let figures = format!(
                    "The token load of team {team} on {network} ({class}) is too high: {}. In {}, {:.0} credits are asked for and {} can give {:.0}.",
                    load.ratio,
                    load.span.words(),
                    load.demand,
                    tokens(load.tokens),
                    load.supply,
                );
                let advice = sentence(&load.advice.text(&load.network_name).to_string());
                format!("{figures} {advice}{}", causes(&load.causes))
            }
        }
    }
}

fn tokens(count: u32) -> String {
    match count {
        0 => "no token".to_owned(),
        1 => "1 token".to_owned(),
        _ => format!("{count} tokens"),
    }
}

fn causes(causes: &[(String, f64)]) -> String {
    if causes.is_empty() {
        return String::new();
    }
    let named: Vec<String> = causes.iter().map(|(name, share)| format!("{name} {:.0} %", share * 100.0)).collect();
    format!(" Most is asked for by {}.", named.join(", "))
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
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
            detail: &alert.detail,
        },
    };
    serde_json::to_string(&body).expect("the body has only text, finite numbers and string keys")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::load::Newcomer;
    use proptest::prelude::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_secs(minutes * 60)
    }

    fn rule() -> AlertRule {
        AlertRule::usual(AlertKind::TokenLoadTooHigh)
    }

    /// Observes once a minute and returns the changes with their minutes.
    fn run(ratios: impl IntoIterator<Item = f64>) -> Vec<(i64, Change)> {
        let (mut state, mut changes) = (AlertState::default(), Vec::new());
        for (minute, ratio) in ratios.into_iter().enumerate() {
            let (next, change) = state.observe(Ratio::Of(ratio), at(minute as i64), &rule());
            changes.extend(change.map(|change| (minute as i64, change)));
            state = next;
        }
        changes
    }

    fn minutes(ratio: f64, count: usize) -> impl Iterator<Item = f64> + Clone {
        std::iter::repeat_n(ratio, count)
    }

    #[test]
    fn opens_after_the_hold_and_clears_after_its_own() {
        let ratios = minutes(0.95, 10).chain(minutes(0.85, 30)).chain(minutes(0.5, 20));
        assert_eq!(run(ratios), [(5, Change::Opened(Level::Warning)), (50, Change::Cleared)]);
    }

    #[test]
    fn a_short_peak_opens_nothing() {
        assert_eq!(run(minutes(5.0, 5).chain(minutes(0.1, 1)).cycle().take(600)), []);
    }

    #[test]
    fn opens_again_after_it_cleared() {
        let one = minutes(1.5, 30).chain(minutes(0.1, 30));
        let opened = Change::Opened(Level::Critical);
        let changes = run(one.clone().chain(one));
        assert_eq!(changes, [(5, opened), (40, Change::Cleared), (65, opened), (100, Change::Cleared)]);
    }

    #[test]
    fn becomes_critical_and_a_warning_again() {
        let ratios = minutes(0.95, 10).chain(minutes(1.2, 10)).chain(minutes(0.95, 20));
        let expected = [(5, Change::Opened(Level::Warning)), (15, Change::Raised), (30, Change::Lowered)];
        assert_eq!(run(ratios), expected);
    }

    #[test]
    fn an_open_alert_of_the_store_is_not_opened_twice() {
        let mut state = AlertState::opened(Level::Critical);
        for minute in 0..30 {
            let (next, change) = state.observe(Ratio::NoSupply, at(minute), &rule());
            assert_eq!(change, None);
            state = next;
        }
        assert_eq!(state.level(), Some(Level::Critical));
    }

    #[test]
    fn missing_tokens_are_critical() {
        let usual = AlertRule::usual(AlertKind::NoAccessTokens);
        let (state, change) = AlertState::default().observe(access_ratio(true), at(0), &usual);
        assert_eq!(change, None);
        let (state, change) = state.observe(access_ratio(true), at(1), &usual);
        assert_eq!(change, Some(Change::Opened(Level::Critical)));
        let (state, _) = state.observe(access_ratio(false), at(2), &usual);
        assert_eq!(state.observe(access_ratio(false), at(7), &usual).1, Some(Change::Cleared));
    }

    fn key(kind: AlertKind) -> AlertKey {
        let load =
            LoadKey { team: "acme".parse().unwrap(), network: "x".parse().unwrap(), class: "search".parse().unwrap() };
        AlertKey { kind, load }
    }

    fn too_high() -> Detail {
        let advice = Advice::AddTokens { tokens: 4, newcomer: Newcomer::Anybody, reaches: Ratio::Of(0.8) };
        let causes = [("brand".into(), 0.75), ("pages".into(), 0.25)];
        Detail::Load(LoadDetail::new("x", Span::Hour, &Load::new(4800.0, 2000.0, 2), advice, &causes))
    }

    #[test]
    fn the_message_says_what_is_wrong_and_what_to_do() {
        assert_eq!(
            too_high().message(&key(AlertKind::TokenLoadTooHigh)),
            "The token load of team acme on x (search) is too high: 2.4. In 1 hour, 4800 credits are asked for and 2 tokens can \
             give 2000. 4 more x tokens bring the load to 0.8. Most is asked for by brand 75 %, pages 25 %."
        );
        for reason in NoToken::ALL {
            let message = Detail::Access(reason).message(&key(AlertKind::NoAccessTokens));
            assert!(message.starts_with("Team acme has no usable x token for search: "), "{message}");
            assert!(message.contains("should"), "{message}");
        }
    }

    #[test]
    fn the_payload_holds_the_alert() {
        let alert =
            Alert::open(AlertId::from_u128(1), key(AlertKind::TokenLoadTooHigh), Level::Critical, at(1), too_high());
        let alert = alert.acknowledge("members/ann".to_owned(), at(2)).unwrap();
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
        assert_eq!(data["detail"]["load"]["advice"]["tokens"], 4);
        assert_eq!(alert.acknowledge("members/bob".to_owned(), at(4)), Err(AcknowledgeError::Cleared));
    }

    #[test]
    fn details_survive_the_store() {
        for detail in [too_high(), Detail::Access(NoToken::AllExpired)] {
            let text = serde_json::to_string(&detail).unwrap();
            assert_eq!(serde_json::from_str::<Detail>(&text).unwrap(), detail);
        }
    }

    #[test]
    fn the_first_acknowledgement_stays() {
        let alert =
            Alert::open(AlertId::from_u128(1), key(AlertKind::NoAccessTokens), Level::Critical, at(1), too_high());
        let twice = alert.acknowledge("ann".to_owned(), at(2)).unwrap().acknowledge("bob".to_owned(), at(3)).unwrap();
        assert_eq!(twice.acknowledged, Some(Acknowledgement { at: at(2), by: "ann".to_owned() }));
    }

    proptest! {
        /// Noise that stays within the hysteresis on one side never turns an alert over.
        #[test]
        fn noise_does_not_flap(noise in prop::collection::vec(0.8_f64..0.899, 1..300)) {
            let lead = minutes(0.95, 6);
            let changes = run(lead.chain(noise.iter().copied()));
            prop_assert_eq!(changes, [(5, Change::Opened(Level::Warning))]);
            prop_assert_eq!(run(noise.iter().copied()), []);
        }

        /// Whatever is seen: openings and clearings alternate, each only after its condition held, never closer than the rule's times.
        #[test]
        fn every_change_was_held_for(ratios in prop::collection::vec(0.0_f64..1.4, 0..400)) {
            let ratios: Vec<f64> = ratios.iter().enumerate().map(|(at, ratio)| if at / 40 % 2 == 0 { ratio + 0.7 } else { ratio * 0.7 }).collect();
            let (mut open, mut cleared) = (None, None::<i64>);
            for (minute, change) in run(ratios.iter().copied()) {
                let held = |count: i64| &ratios[(minute - count) as usize..=minute as usize];
                match change {
                    Change::Opened(level) => {
                        prop_assert_eq!(open, None);
                        prop_assert!(held(5).iter().all(|ratio| *ratio >= 0.9));
                        prop_assert!(cleared.is_none_or(|cleared| minute - cleared >= 15));
                        open = Some(level);
                    }
                    Change::Cleared => {
                        prop_assert!(open.take().is_some());
                        prop_assert!(held(10).iter().all(|ratio| *ratio < 0.8));
                        cleared = Some(minute);
                    }
                    Change::Raised => {
                        prop_assert_eq!(open, Some(Level::Warning));
                        prop_assert!(held(5).iter().all(|ratio| *ratio >= 1.0));
                        open = Some(Level::Critical);
                    }
                    Change::Lowered => {
                        prop_assert_eq!(open, Some(Level::Critical));
                        prop_assert!(held(10).iter().all(|ratio| *ratio < 1.0));
                        open = Some(Level::Warning);
                    }
                }
            }
        }
    }
}
