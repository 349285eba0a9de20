//! A year in the life of many tokens over all networks, in virtual time: a whole broker on a real store, the simulated networks, and people
//! who change passwords, hear of what they must do, and do it late or never.
//!
//! Three judges look on. The networks (`wire`) see every refresh token that is shown: never by two at once, and never again once its answer
//! has arrived. `people` knows the truth of each token: what can live must live. `told` compares everything that is told with that truth: each end at 7, 3
//! and 1 days and when it came, exactly once, that a grant must be given again once for each cause, that trouble is over once for each trouble that was
//! told, and nothing that is not so. Networks fail, and forget access tokens before their time. No moment of the clock is a whole second, one network
//! requires a scope that nobody granted, and the broker is stopped and started anew on its store once in a while.
//!
//! `YEAR_TOKENS` (two of each kind; of more there are fewer of the kinds that live for hours), `YEAR_DAYS` (30) and `YEAR_SEED` (1) set the size; a failure names seed and day. The seed decides what the
//! world does; the broker has its own luck. Kinds that are signed as in OAuth 1.0a are left out: nothing renews or checks them. Kinds that are bound to
//! a key are connected in a browser, since they can't be added.

mod people;
mod told;
mod wire;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use people::{Account, People};
use told::{Ears, Told};
use wire::Wire;

use crate::base::clock::{Clock, ManualClock, Timestamp};
use crate::base::ids::{NetworkId, TeamId};
use crate::base::secret::Secret;
use crate::config::Config;
use crate::domain::incident::Incident;
use crate::domain::networks::Catalogue;
use crate::domain::notice::{DestinationKind, Kind};
use crate::service::apps::{UpdateApp, default_app};
use crate::service::notices::CreateDestination;
use crate::service::testing::{START, TestBroker, World, catalogue_with, set_client_key};
use crate::sim::{NetworkFault, Simulation};
use crate::store::IncidentFilter;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How often the broker looks. Its own clock would let it look each second.
const STEP: Duration = Duration::from_secs(600);
/// So long after a network's trouble its tokens must have recovered.
const RECOVERY: Duration = Duration::from_secs(24 * 3600);
/// The broker is started anew after so many steps: five days, at another time of the day each.
const RESTART: u32 = 6 * 24 * 5 + 7;
/// This network newly requires a scope, which nobody grants.
const REQUIRING: &str = "x";
const REQUIREMENT: &str = r#"
[[requirements]]
scopes = ["new.read"]
about = "Posts are read with it."
verified = "documented"
"#;
/// Tokens of a team: its messages never list less than they tell.
const TOKENS_OF_A_TEAM: usize = 10;

/// So many faults end a year early.
const MOST_WRONG: usize = 25;

#[derive(Debug, Clone, Copy)]
struct Size {
    tokens: usize,
    days: u32,
    seed: u64,
}

impl Size {
    fn of_environment() -> Self {
        Self { tokens: number("YEAR_TOKENS", 0), days: number("YEAR_DAYS", 30), seed: number("YEAR_SEED", 1) }
    }
}

#[expect(clippy::disallowed_methods, reason = "the size of a proof comes from the environment")]
fn number<T: std::str::FromStr>(name: &str, usual: T) -> T {
    std::env::var(name).map_or(usual, |text| text.parse().ok().unwrap_or_else(|| panic!("{name} is a number")))
}

/// A broker in its world.
struct Year {
    size: Size,
    test: TestBroker,
    clock: Arc<ManualClock>,
    simulation: Arc<Simulation>,
    wire: Arc<Wire>,
    ears: Arc<Ears>,
    people: People,
    told: Told,
    teams: Vec<TeamId>,
    steps: u32,
    /// What the broker did wrong, by whom and what it concerns: the year goes on, since one fault may hide others.
    wrong: BTreeMap<(String, String), String>,
}

impl Year {
    async fn begin(size: Size) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let simulated = Catalogue::embedded();
        let simulation = Arc::new(Simulation::new(simulated.iter().cloned(), clock.clone(), size.seed).unwrap());
        let address = ([127, 0, 0, 1], 1).into();
        let wire = Arc::new(Wire::new(simulation.clone(), address));
        let more = |network: &NetworkId| if network.as_str() == REQUIRING { REQUIREMENT } else { "" };
        let world = World { catalogue: catalogue_with(&simulation, address, more), endpoint: wire.clone() };
        let mut config = Config::default();
        // As many in one look as would be in ten minutes of looks.
        (config.renewals.per_second, config.renewals.network_per_second) = (1_000, 10_000);
        (config.renewals.in_flight, config.probes.in_flight) = (16, 16);
        let test = TestBroker::start_in(world, config, clock.clone()).await;
        let ears = Arc::new(Ears::default());
        test.broker.notices.post_through(ears.clone());
        let people = People::of(&simulated, size);
        let told = Told::default();
        let (teams, steps, wrong) = (Vec::new(), 0, BTreeMap::new());
        let mut year = Self { size, test, clock, simulation, wire, ears, people, told, teams, steps, wrong };
        year.open_teams().await;
        year
    }

    async fn open_teams(&mut self) {
        let broker = &self.test.broker;
        for network in broker.catalogue.iter() {
            if network.takes_client_keys() {
                set_client_key(&self.test, &self.simulation, &network.id).await;
                continue;
            }
            let client = UpdateApp {
                client_id: Some("app".to_owned()),
                client_secret: Some(Some(Secret::new("client-secret".to_owned()))),
                ..UpdateApp::default()
            };
            broker.update_app(&self.test.admin, &network.id, &default_app(), client).await.unwrap();
        }
        for nth in 0..self.people.len().div_ceil(TOKENS_OF_A_TEAM) {
            let team = self.test.team(&format!("team-{nth}")).await;
            let ask = CreateDestination {
                team: team.clone(),
                display_name: String::new(),
                kind: DestinationKind::Webhook,
                target: Secret::new(format!("https://hooks.example/{team}")),
                secrets: vec![Secret::new(format!("whsec_{}", "c2VjcmV0LW9mLXRoZS1yZWNlaXZlci1vZi1hbGw="))],
                events: Some(Kind::ALL.into_iter().collect()),
            };
            broker.create_destination(&self.test.admin, ask).await.unwrap();
            self.teams.push(team);
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn place(&self) -> String {
        let day = self.now().since(START).as_secs() / DAY.as_secs();
        format!("day {day} with YEAR_SEED={} YEAR_TOKENS={}", self.size.seed, self.people.len())
    }

    /// The broker stops and starts again on its store, as for a new version.
    async fn restarted(self) -> Self {
        let test = self.test.restart().await;
        test.broker.notices.post_through(self.ears.clone());
        Self { test, ..self }
    }

    /// The world moves, then the broker.
    async fn step(&mut self) {
        self.steps += 1;
        self.clock.set(START + STEP * self.steps + uneven(self.steps));
        let now = self.now();
        for (network, fault) in self.people.faults(now) {
            self.simulation.inject(&NetworkFault { network, fault }).unwrap();
        }
        self.people.live(&self.test, &self.teams, &self.simulation).await;
        self.work().await;
        let said = self.ears.take();
        let troubled = self.troubled().await;
        for notice in said {
            if let Err(why) = self.told.hear(&notice, now, &self.people, (&self.simulation, &self.wire), &troubled) {
                let whom =
                    notice.token.and_then(|token| self.people.of_token(token)).map(|account| account.person.clone());
                self.blame(whom.unwrap_or_default(), why, format!("{notice:?}"));
            }
            self.people.hear(&notice, now);
        }
        if now.since(START).as_secs().is_multiple_of(DAY.as_secs()) {
            self.look_at_everybody(&troubled).await;
            self.test.broker.prune().await.unwrap();
        }
    }

    async fn work(&self) {
        let broker = &self.test.broker;
        broker.renew_due().await.unwrap();
        broker.renewals.idle().await;
        broker.probe_due().await.unwrap();
        broker.probes.idle().await;
        broker.watch_incidents().await.unwrap();
        if self.now().since(START).as_secs().is_multiple_of(HOUR.as_secs()) {
            broker.watch_tokens().await.unwrap();
        }
        broker.look_at_expiries().await.unwrap();
        broker.tell_events().await.unwrap();
        broker.deliver_due().await.unwrap();
    }

    /// Networks with trouble of their own now or lately, or with an incident.
    async fn troubled(&mut self) -> Vec<NetworkId> {
        let open = IncidentFilter { open: Some(true), ..IncidentFilter::default() };
        let open = self.test.broker.store.list_incidents(open, 100).await.unwrap();
        let now = self.now();
        for incident in &open {
            let Incident { network, progress, .. } = incident;
            let lives = |account: &&Account| {
                account.network.id == *network && account.truth(&self.simulation, &self.wire, now).can_live
            };
            let old = progress.opened_at + RECOVERY <= now && self.people.is_well(network, now);
            if old && self.people.joined().any(|account| lives(&account)) {
                self.blame(
                    network.to_string(),
                    "has an incident that does not end".to_owned(),
                    format!("{incident:?}"),
                );
            }
        }
        let incidents: Vec<NetworkId> = open.into_iter().map(|incident| incident.network).collect();
        self.people.note_trouble(&incidents, now);
        self.people.troubled(now)
    }

    /// What can live lives, for the network, for the broker and for its people.
    async fn look_at_everybody(&mut self, troubled: &[NetworkId]) {
        let now = self.now();
        let mut wrong = Vec::new();
        for account in self.people.joined() {
            if troubled.contains(&account.network.id) || account.was_forgotten(now) {
                continue;
            }
            let truth = account.truth(&self.simulation, &self.wire, now);
            let stored = self.test.broker.store.find_token(account.token.unwrap()).await.unwrap().unwrap();
            let state = stored.token.state;
            let mut fault = |what| {
                wrong.push((account.person.clone(), what, format!("{state:?} {truth:?} {:?}", account.kind().id)))
            };
            if truth.can_live {
                let held = account.opened(&self.test.broker, &stored);
                if !self.simulation.is_alive(&account.network.id, &held) {
                    fault("can live and does not");
                }
                if state.as_str() != "live" {
                    fault("is buried alive");
                }
                if self.told.is_feared(account, now) {
                    fault("works again, and nobody was told so");
                }
            } else {
                let known = truth.ended_at.is_some_and(|ended| ended + 2 * DAY < now);
                let believed = state.as_str() == "live" && stored.token.ended_by(now).is_none_or(|end| end > now);
                // Where there is neither a check nor an end, nothing but its use tells.
                let kind = account.kind();
                let is_checked = kind.is_probed() || (account.refreshes && kind.access_validity.is_some());
                if known && believed && is_checked {
                    fault("is dead unseen");
                }
            }
        }
        for (whom, what, how) in wrong {
            self.blame(whom, what.to_owned(), how);
        }
    }

    /// Notes the first fault of its kind that concerns somebody. Many say that the year is not worth living on.
    fn blame(&mut self, whom: String, what: String, how: String) {
        let place = self.place();
        if let Entry::Vacant(first) = self.wrong.entry((whom, what)) {
            let (whom, what) = first.key();
            eprintln!("{place}: {whom}: {what}: {how}");
            first.insert(format!("{place}: {how}"));
        }
        assert!(self.wrong.len() < MOST_WRONG, "{:#?}", self.wrong);
    }
}

/// The part of a second by which a step is late: another one for each step.
fn uneven(step: u32) -> Duration {
    Duration::from_micros(u64::from(step) * 7_919 % 1_000_000)
}

#[tokio::test]
async fn a_year_of_tokens_over_all_networks() {
    let size = Size::of_environment();
    let mut year = Year::begin(size).await;
    let end = START + DAY * size.days;
    while year.now() < end {
        year.step().await;
        if year.steps.is_multiple_of(RESTART) {
            year = year.restarted().await;
        }
    }
    let asked = year.wire.counts();
    let missed = year.told.missed(&year.people, end);
    assert!(missed.is_empty(), "{}: not told: {missed:#?}; wrong: {:#?}", year.place(), year.wrong);
    assert!(year.wrong.is_empty(), "{:#?}", year.wrong);
    println!(
        "{} tokens, {} days, seed {}: {asked:?}; {:?}; {:?}",
        year.people.len(),
        size.days,
        size.seed,
        year.people.counts(),
        year.told.counts()
    );
    assert!(asked.renewed > 0 && year.told.ends() > 0);
    // Each token once a day, a little more often where something was wrong.
    let days = year.people.len() as u64 * u64::from(size.days);
    assert!(asked.checked < days * 2, "{asked:?} in {days} days of tokens");
    year.test.stop().await;
}
