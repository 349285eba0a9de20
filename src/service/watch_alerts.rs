//! Opens, worsens and clears alerts, from what was last seen of loads and of refusals.
//!
//! A reconciler: it looks at everything, writes what has changed, and tells of it once that is durable. What can't be written is tried again
//! with the next look, since the state moves on only after the write. Where all tokens of a class are gone, that is the one alert; the load
//! then has no figure to speak of.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::AlertId;
use crate::domain::alert::{
    self, Alert, AlertKey, AlertKind, AlertRule, AlertState, Change, Detail, LoadDetail, access_ratio,
};
use crate::domain::load::{LoadKey, Ratio};
use crate::domain::pool::NoToken;
use crate::domain::token::Reason;
use crate::service::Broker;
use crate::service::alerts::{alert_of, audit_of, event_of, row_of};
use crate::service::team_load::{ClassLoad, LoadLevel, Loads};
use crate::store::{AlertFilter, StoreError, Trail};
use crate::telemetry::AlertRow;

/// A request without a usable token is demand for this long, unless a token becomes usable before.
const REFUSAL_COUNTS_FOR: Duration = AlertRule::usual(AlertKind::NoAccessTokens).clear_hold;

/// The state of each alert. As many as teams times credit classes at most.
#[derive(Debug, Default)]
pub struct Book(HashMap<AlertKey, Entry>);

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    state: AlertState,
    open: Option<AlertId>,
    acknowledged: bool,
    refused: Option<Refused>,
}

/// A request that found no usable token.
#[derive(Debug, Clone, Copy)]
struct Refused {
    at: Timestamp,
    why: alert::NoToken,
    /// The team's live tokens then; `None`: not known.
    live: Option<u32>,
    /// Whether one cause ended its tokens, which is told token by token.
    lost: bool,
}

/// What is seen of one key.
struct Seen<'a> {
    key: AlertKey,
    ratio: Ratio,
    load: Option<&'a ClassLoad>,
}

impl Book {
    /// Somebody took notice of the open alert.
    pub(super) fn acknowledged(&mut self, key: &AlertKey) {
        if let Some(entry) = self.0.get_mut(key) {
            entry.acknowledged = true;
        }
    }

    /// The open alerts by kind and by whether somebody took notice.
    pub(super) fn counts(&self) -> Vec<AlertRow> {
        let mut counts = BTreeMap::new();
        for kind in AlertKind::ALL {
            counts.insert((kind.as_str(), "open"), 0);
            counts.insert((kind.as_str(), "acknowledged"), 0);
        }
        for (key, entry) in self.0.iter().filter(|(_, entry)| entry.open.is_some()) {
            let state = if entry.acknowledged { "acknowledged" } else { "open" };
            *counts.entry((key.kind.as_str(), state)).or_default() += 1;
        }
        counts.into_iter().map(|((kind, state), count)| AlertRow { kind, state, count }).collect()
    }

    fn note(&mut self, load: LoadKey, refused: Refused) {
        let key = AlertKey { kind: AlertKind::NoAccessTokens, load };
        self.0.entry(key).or_default().refused = Some(refused);
    }
}

impl Broker {
    /// Takes up the alerts that were open when an earlier run ended.
    pub(super) async fn restore_alerts(&self) -> Result<(), StoreError> {
        let now = self.now();
        let open = self.open_alerts(None).await?;
        let mut book = self.watch.book.lock().await;
        for alert in open {
            let refused = match alert.detail {
                Detail::Access(why) => Some(Refused { at: now, why, live: None, lost: false }),
                Detail::Load(_) => None,
            };
            let entry = Entry {
                state: AlertState::opened(alert.level),
                open: Some(alert.id),
                acknowledged: alert.acknowledged.is_some(),
                refused,
            };
            book.0.insert(alert.key, entry);
        }
        Ok(())
    }

    /// Brings the alerts in line with what was last seen. Returns how many changed.
    pub async fn watch_alerts(&self, loads: &Loads) -> Result<usize, StoreError> {
        let mut book = self.watch.book.lock().await;
        let now = self.now();
        let classes: HashMap<&LoadKey, &ClassLoad> =
            loads.teams.values().flat_map(|team| &team.classes).map(|class| (&class.key, class)).collect();
        for (load, why) in self.engine.take_without_token() {
            let live = classes.get(&load).map_or(0, |class| class.load().tokens);
            let lost = matches!(why, NoToken::Dead(reason) if reason.hits_many());
            let why = self.reason(&load, why);
            book.note(load, Refused { at: now, why, live: Some(live), lost });
        }
        let (mut changed, mut failure) = (0, None);
        for seen in observations(&book, &classes, now) {
            let mut entry = book.0.get(&seen.key).copied().unwrap_or_default();
            // Of tokens that rest for an incident, which was told, nothing is learnt.
            if entry.open.is_none() && self.incidents.rests(&seen.key.load.network, &seen.key.load.team) {
                continue;
            }
            let (after, change) = entry.state.observe(seen.ratio, now, &self.rule(seen.key.kind));
            if let Some(change) = change {
                if let Err(error) = self.carry_change(&seen, &mut entry, change, now).await {
                    failure = Some(error);
                    continue;
                }
                changed += 1;
            }
            entry.state = after;
            book.0.insert(seen.key, entry);
        }
        self.metrics.set_alerts(&book.counts());
        failure.map_or(Ok(changed), Err)
    }

    /// When an alert opens and clears.
    fn rule(&self, kind: AlertKind) -> AlertRule {
        let load = &self.config.load;
        let usual = AlertRule::usual(kind);
        match kind {
            AlertKind::TokenLoadTooHigh => AlertRule {
                threshold: load.open_at,
                hold: load.hold,
                // The advice aims at this ratio: to come to it is to clear the alert.
                clear_threshold: load.clear_at + 1e-6,
                clear_hold: load.hold,
                critical: load.open_at.max(1.0),
                rearm: Duration::ZERO,
            },
            // How long demand must be gone is in what counts as demand.
            AlertKind::NoAccessTokens => {
                AlertRule { hold: usual.hold.min(load.hold), clear_hold: Duration::ZERO, ..usual }
            }
        }
    }

    /// Makes a change durable, then tells of it.
    async fn carry_change(
        &self,
        seen: &Seen<'_>,
        entry: &mut Entry,
        change: Change,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match entry.open {
            None => self.open(seen, entry, change, now).await,
            Some(id) => self.follow(seen, entry, id, change, now).await,
        }
    }

    async fn open(&self, seen: &Seen<'_>, entry: &mut Entry, change: Change, now: Timestamp) -> Result<(), StoreError> {
        let (Change::Opened(level), Some(detail)) = (change, self.detail(seen, entry, now)) else { return Ok(()) };
        let alert = Alert::open(AlertId::generate(), seen.key.clone(), level, now, detail);
        let lost = entry.refused.is_some_and(|refused| refused.lost);
        let event = (!lost).then(|| event_of(&alert, change, now));
        let trail = Trail::from(audit_of(&alert, change, now)).telling(event);
        if self.store.open_alert(row_of(&alert), Some(trail)).await? {
            entry.open = Some(alert.id);
            entry.acknowledged = false;
            self.tell(alert, change);
        } else if let Some(known) = self.open_alert_of(&seen.key).await? {
            entry.open = Some(known.id);
            entry.acknowledged = known.acknowledged.is_some();
        }
        Ok(())
    }

    async fn open_alert_of(&self, key: &AlertKey) -> Result<Option<Alert>, StoreError> {
        let LoadKey { team, network, class } = &key.load;
        let filter = AlertFilter {
            team: Some(team.clone()),
            network: Some(network.clone()),
            kind: Some(key.kind.as_str().to_owned()),
            open: Some(true),
            before: None,
        };
        let open = self.store.list_alerts(filter, 1000).await?;
        Ok(open.into_iter().filter_map(alert_of).find(|alert| alert.key.load.class == *class))
    }

    async fn follow(
        &self,
        seen: &Seen<'_>,
        entry: &mut Entry,
        id: AlertId,
        change: Change,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if change == Change::Cleared {
            entry.open = None;
        }
        let stored = self.store.find_alert(id).await?.and_then(alert_of);
        let Some(stored) = stored.filter(|alert| alert.cleared_at.is_none()) else { return Ok(()) };
        let detail = self.detail(seen, entry, now).unwrap_or_else(|| stored.detail.clone());
        let alert = stored.follow(change, now, detail);
        let quiet = alert.acknowledged.is_some() && change != Change::Cleared;
        let event = (!quiet).then(|| event_of(&alert, change, now));
        let trail = Trail::from(audit_of(&alert, change, now)).telling(event);
        self.store.update_alert(row_of(&alert), Some(trail)).await?;
        self.tell(alert, change);
        Ok(())
    }

    fn tell(&self, alert: Alert, change: Change) {
        let LoadKey { team, network, class } = &alert.key.load;
        let kind = alert.key.kind.as_str();
        match change {
            Change::Cleared => {
                tracing::info!(%team, %network, %class, kind, alert = %alert.id, "alert cleared: {}", alert.message);
            }
            _ => {
                let level = alert.level.as_str();
                tracing::warn!(%team, %network, %class, kind, level, alert = %alert.id, "{}", alert.message);
            }
        }
        self.watch.tell_alert(alert);
    }

    /// The figures behind an alert; `None` where nothing is seen any more.
    fn detail(&self, seen: &Seen<'_>, entry: &Entry, now: Timestamp) -> Option<Detail> {
        match seen.key.kind {
            AlertKind::NoAccessTokens => entry.refused.map(|refused| Detail::Access(refused.why)),
            AlertKind::TokenLoadTooHigh => seen.load.map(|class| self.load_detail(class, now)),
        }
    }

    /// The figures of a load, with what would help.
    pub(super) fn load_detail(&self, class: &ClassLoad, now: Timestamp) -> Detail {
        let (span, load) = (class.judged, class.load());
        let advice = self.advice(&class.key, class.supply.as_deref(), (class.demand_to_come(), span), now);
        let causes = self.causes(&class.key, span);
        let growing = class.growing().map(|load| load.ratio);
        Detail::Load(LoadDetail::new(span, load, growing, advice, &causes))
    }

    /// The reason as people are told it.
    fn reason(&self, load: &LoadKey, why: NoToken) -> alert::NoToken {
        let has_any = || {
            let teams = self.engine.look(&load.network, |pool| pool.teams().contains(&load.team));
            teams.unwrap_or_default()
        };
        match why {
            NoToken::None if has_any() => alert::NoToken::NoneForProfile,
            NoToken::None => alert::NoToken::NoneConnected,
            NoToken::Purpose => alert::NoToken::NoneForPurpose,
            NoToken::PermissionLost => alert::NoToken::PermissionLost,
            NoToken::Blocked => alert::NoToken::AllBlocked,
            NoToken::Paused => alert::NoToken::AllPaused,
            NoToken::Dead(Reason::Expired) => alert::NoToken::AllExpired,
            NoToken::Dead(_) => alert::NoToken::AllInvalid,
        }
    }
}

/// What is seen of every key that there is something to see of.
fn observations<'a>(book: &Book, classes: &HashMap<&LoadKey, &'a ClassLoad>, now: Timestamp) -> Vec<Seen<'a>> {
    let of_load = |class: &&'a ClassLoad| {
        let key = AlertKey { kind: AlertKind::TokenLoadTooHigh, load: class.key.clone() };
        // What was not watched since the last start opens no alert, and clears none.
        let is_open = book.0.get(&key).is_some_and(|entry| entry.open.is_some());
        let ratio = if is_open { class.if_it_goes_on } else { class.load().ratio };
        Seen { key, ratio, load: Some(*class) }
    };
    let measured = classes.values().filter(|class| class.level != LoadLevel::NoTokens);
    let mut seen: Vec<Seen<'a>> = measured.map(of_load).collect();
    for (key, entry) in &book.0 {
        let class = classes.get(&key.load).copied();
        match key.kind {
            AlertKind::TokenLoadTooHigh if class.is_none() => {
                seen.push(Seen { key: key.clone(), ratio: Ratio::Of(0.0), load: None });
            }
            AlertKind::TokenLoadTooHigh => {}
            AlertKind::NoAccessTokens => {
                let live = class.map_or(0, |class| class.load().tokens);
                let wants = entry.refused.is_some_and(|refused| {
                    let healed = refused.live.is_some_and(|before| live > before);
                    !healed && now.since(refused.at) < REFUSAL_COUNTS_FOR
                });
                seen.push(Seen { key: key.clone(), ratio: access_ratio(wants), load: class });
            }
        }
    }
    seen
}
