//! Takes the picture: what the collectors counted, what the broker's API says of loads and alerts, what the pools hold.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::app::demo::board::{Board, RowKey};
use crate::app::demo::pace::Pace;
use crate::app::demo::plan::{COLLECTIONS, Scene, TEAMS};
use crate::app::demo::view::{Level, Line, Picture};
use crate::app::demo::worker::Worker;
use crate::base::clock::Timestamp;
use crate::base::ids::{NetworkId, TeamId};
use crate::domain::networks::Owner;
use crate::domain::pool::Pool;
use crate::grpc::client::Client;
use crate::grpc::pb;
use crate::service::Broker;
use pb::alert_service_client::AlertServiceClient;
use pb::load_service_client::LoadServiceClient;

/// The span in which calls per second are counted.
const RATE_OVER: Duration = Duration::from_secs(2);

/// Takes pictures.
pub struct Photographer<'a> {
    broker: &'a Broker,
    client: Client,
    board: &'a Board,
    pace: Pace,
    whole: Duration,
    counted: Mutex<Vec<(Duration, BTreeMap<RowKey, u64>)>>,
}

/// The loads and the alerts, as the API tells them.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The loads, one per team.
    pub loads: Vec<pb::TeamLoad>,
    /// The alerts, newest first.
    pub alerts: Vec<pb::Alert>,
}

impl<'a> Photographer<'a> {
    /// For a demonstration that lasts `whole`.
    pub fn new(broker: &'a Broker, client: Client, board: &'a Board, pace: Pace, whole: Duration) -> Self {
        Self { broker, client, board, pace, whole, counted: Mutex::default() }
    }

    /// Asks the API. What can't be had is left out.
    pub async fn ask(&self) -> Told {
        let mut loads = Vec::new();
        for (team, _) in TEAMS {
            let request = pb::GetTeamLoadRequest { name: format!("teams/{team}/load"), network: String::new() };
            let answer = LoadServiceClient::new(self.client.clone()).get_team_load(request).await;
            loads.extend(answer.ok().and_then(|answer| answer.into_inner().team_load));
        }
        let request = pb::ListAlertsRequest { parent: "teams/-".to_owned(), page_size: 1000, ..Default::default() };
        let answer = AlertServiceClient::new(self.client.clone()).list_alerts(request).await;
        Told { loads, alerts: answer.map(|answer| answer.into_inner().alerts).unwrap_or_default() }
    }

    /// The picture of this moment, with the loads and alerts that were told last.
    pub fn take(&self, told: &Told, scene: Scene) -> Picture {
        let elapsed = self.pace.elapsed();
        let rows = self.board.rows();
        let rates = self.rates(elapsed, rows.iter().map(|(key, row)| (*key, row.ok)).collect());
        let mut keys: Vec<RowKey> = Vec::new();
        for plan in COLLECTIONS.iter().filter(|plan| plan.begins <= scene) {
            let key = Worker::row(plan);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys.sort_by_key(|key| TEAMS.iter().position(|(team, _)| *team == key.team));
        let line = |key: RowKey| {
            let row = rows.get(&key).cloned().unwrap_or_default();
            let load = load_of(told, key);
            let Credit { tokens, left, cap } = self.credit(key);
            Line {
                key,
                label: COLLECTIONS.iter().find(|plan| Worker::row(plan) == key).map_or(key.class, |plan| plan.label),
                tokens,
                left,
                cap,
                rate: rates.get(&key).copied().unwrap_or_default(),
                refused: row.throttled,
                waiting: row.waiting,
                ratio: load.and_then(ratio_of),
                level: load.map(|load| level_of(load.level())).unwrap_or_default(),
            }
        };
        let open = told.alerts.iter().filter(|alert| alert.clear_time.is_none());
        Picture {
            elapsed,
            whole: self.whole,
            speed: self.pace.speed(),
            lines: keys.into_iter().map(line).collect(),
            alerts: open.map(|alert| alert.message.clone()).collect(),
            events: self.board.events_after(0).0,
        }
    }

    /// Calls per second of each row over the last two seconds.
    fn rates(&self, elapsed: Duration, counts: BTreeMap<RowKey, u64>) -> BTreeMap<RowKey, f64> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.retain(|(at, _)| elapsed.saturating_sub(*at) <= RATE_OVER);
        let (since, before) = counted.first().cloned().unwrap_or_default();
        let span = elapsed.saturating_sub(since).as_secs_f64().max(1.0);
        let rate = |(key, count): (&RowKey, &u64)| {
            let more = count - before.get(key).copied().unwrap_or_default();
            (*key, more as f64 / span)
        };
        let rates = counts.iter().map(rate).collect();
        counted.push((elapsed, counts));
        rates
    }

    fn credit(&self, key: RowKey) -> Credit {
        let (Ok(team), Ok(network)) = (key.team.parse::<TeamId>(), key.network.parse::<NetworkId>()) else {
            return Credit::default();
        };
        let now = self.broker.now();
        self.broker.engine.look(&network, |pool| Credit::of(pool, &team, key.class, now)).unwrap_or_default()
    }
}

/// The live tokens of a team that serve a class, and the credit in the distinct buckets behind them.
#[derive(Debug, Clone, Copy, Default)]
struct Credit {
    tokens: usize,
    /// What is left now.
    left: u64,
    /// What there is in a whole window.
    cap: u64,
}

impl Credit {
    fn of(pool: &Pool, team: &TeamId, class: &str, now: Timestamp) -> Credit {
        let Some(class) = pool.network().class_index(class) else { return Credit::default() };
        let (mut credit, mut seen) = (Credit::default(), Vec::new());
        for (token, _, _, supplies) in pool.supply_of(team, now) {
            let drawn = pool.token_buckets(token);
            let of_class: Vec<_> = supplies.iter().filter(|supply| supply.class == class).collect();
            credit.tokens += usize::from(!of_class.is_empty());
            for supply in of_class {
                if seen.contains(&supply.bucket) {
                    continue;
                }
                seen.push(supply.bucket);
                let of_owner =
                    |owner: Owner| drawn.iter().find(|bucket| bucket.class == class && bucket.owner == owner);
                credit.cap += supply.cap;
                credit.left += of_owner(supply.owner).map_or(supply.cap, |bucket| bucket.left);
            }
        }
        credit
    }
}

/// The load of a row.
pub fn load_of(told: &Told, key: RowKey) -> Option<&pb::ClassLoad> {
    let team = told.loads.iter().find(|load| load.name == format!("teams/{}/load", key.team))?;
    let network = format!("networks/{}", key.network);
    team.classes.iter().find(|load| load.network == network && load.credit_class == key.class)
}

/// The ratio that the level follows.
pub fn ratio_of(load: &pb::ClassLoad) -> Option<f64> {
    load.spans.iter().find(|span| span.span == load.level_span).and_then(|span| span.ratio)
}

/// The level, as it is shown.
pub fn level_of(level: pb::LoadLevel) -> Level {
    match level {
        pb::LoadLevel::Unspecified | pb::LoadLevel::Ok => Level::Ok,
        pb::LoadLevel::High => Level::High,
        pb::LoadLevel::Critical => Level::Critical,
        pb::LoadLevel::NoTokens => Level::NoTokens,
    }
}
