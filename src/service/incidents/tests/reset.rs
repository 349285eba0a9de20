//! A network resets every token of an app while all of them are leased: 60 teams' tokens, each reported dead by its holder.
//!
//! `RESET_TOKENS` says how many there are (1,200: more than the engine writes at once). At 100,000 it takes minutes, and says by how much the process
//! grew.

use futures_util::future::join_all;

use super::*;
use crate::base::ids::LeaseId;
use crate::config::{Config, Heard, MailTo};
use crate::service::AcquireLease;
use crate::service::apps::{TopUpBudget, UpdateApp, default_app};
use crate::store::{NewToken, OutboxState};

const TEAMS: usize = 60;
/// Tokens written, leased or reported at once.
const BATCH: usize = 1_000;
/// How long the holders take to find out, in seconds.
const FOUND_OUT_IN: usize = 30;

#[expect(clippy::disallowed_methods, reason = "the size of a proof comes from the environment")]
fn tokens() -> usize {
    std::env::var("RESET_TOKENS").map_or(1_200, |text| text.parse().expect("RESET_TOKENS is a number"))
}

/// The process's resident memory in MiB (Linux).
fn resident_mib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default() * 4096 / (1024 * 1024)
}

fn profile(nth: usize) -> String {
    format!("profile-{nth}")
}

struct Reset {
    test: TestBroker,
    teams: Vec<TeamId>,
    held: Vec<LeaseId>,
}

impl Reset {
    /// So many tokens, each with a lease on it and a renewal that is due within the hour.
    async fn of(tokens: usize) -> Self {
        let mut config = Config::default();
        config.alerts.mails.push(MailTo { address: "ops@example.com".to_owned(), events: Heard::All });
        let test = TestBroker::start_with(config).await;
        let (broker, network) = (test.broker.clone(), "x".parse::<NetworkId>().unwrap());
        let client = UpdateApp { client_id: Some("ours".to_owned()), ..UpdateApp::default() };
        broker.update_app(&test.admin, &network, &default_app(), client).await.unwrap();
        let units = i64::try_from(tokens * 200).unwrap();
        let more = TopUpBudget { network, app: default_app(), class: "post_reads".to_owned(), units };
        broker.top_up_budget(&test.admin, more).await.unwrap();
        let mut teams = Vec::new();
        for nth in 0..TEAMS {
            let team = test.team(&format!("team-{nth}")).await;
            broker.ensure_data_key(&team).await.unwrap();
            teams.push(team);
        }
        let mut reset = Self { test, teams, held: Vec::new() };
        for first in (0..tokens).step_by(BATCH) {
            let batch = first..(first + BATCH).min(tokens);
            reset.add(batch.clone()).await;
            let leases = batch.map(|nth| {
                let profile = Some(profile(nth));
                let wanted = AcquireLease { profile, ..ask(&reset.teams[nth % TEAMS], 1) };
                broker.acquire_lease(&reset.test.admin, wanted)
            });
            let leases = join_all(leases).await.into_iter().map(|leased| leased.unwrap().lease);
            reset.held.extend(leases.collect::<Vec<_>>());
        }
        reset
    }

    async fn add(&self, batch: std::ops::Range<usize>) {
        let broker = &self.test.broker;
        let access_expires_at = Some(self.test.clock.now() + 3600 * SECOND);
        let new = |nth: usize| {
            let clocks = Clocks { access_expires_at, ..Clocks::default() };
            let given = AddToken { clocks, profile: profile(nth), ..x_token(&format!("person-{nth}")) };
            let stored = broker.new_token(&self.teams[nth % TEAMS], &given).unwrap();
            let trail = broker.token_added(&self.test.admin, &stored.token).into();
            NewToken { stored, given_refresh: None, consent: None, trail }
        };
        let rows: Vec<_> = batch.map(new).collect();
        broker.store.insert_tokens(rows.clone(), None).await.unwrap();
        for NewToken { stored, .. } in rows {
            broker.engine.put_token(&stored.token, None, stored.sealed_access);
        }
    }

    /// What each holder tells of its token.
    async fn report(&self, leases: &[LeaseId]) {
        let (broker, admin) = (&self.test.broker, &self.test.admin);
        let report = |lease: &LeaseId| {
            let body = br#"{"title":"Unauthorized","status":401}"#.to_vec();
            let answer = Some(Answered { status: 401, body, ..Answered::default() });
            let last = ReportUsage { sequence: 1, used: 1, answer, ..ReportUsage::default() };
            broker.release_lease(admin, *lease, Some(last))
        };
        for done in join_all(leases.iter().map(report)).await {
            done.unwrap();
        }
    }

    /// What is done in the background.
    async fn look(&self) {
        self.test.broker.watch_incidents().await.unwrap();
        self.test.broker.renew_due().await.unwrap();
        self.test.broker.renewals.idle().await;
        self.test.broker.tell_events().await.unwrap();
    }
}

#[tokio::test]
async fn a_reset_of_every_token_is_one_incident_one_message_each_and_no_renewal() {
    let tokens = tokens();
    let reset = Reset::of(tokens).await;
    let (began, before) = (reset.test.clock.now(), resident_mib());
    for leases in reset.held.chunks(tokens.div_ceil(FOUND_OUT_IN)) {
        reset.test.clock.advance(SECOND);
        for leases in leases.chunks(BATCH) {
            reset.report(leases).await;
        }
        reset.look().await;
    }
    let (reported, mut most) = (resident_mib(), 0);
    while reset.test.clock.now() < began + 3600 * SECOND {
        reset.test.clock.advance(20 * SECOND);
        reset.look().await;
        most = most.max(resident_mib());
    }
    let broker = &reset.test.broker;
    broker.engine.write_back().await.unwrap();
    assert_eq!(broker.store.open_leases(reset.test.clock.now()).await.unwrap(), []);
    let found = broker.list_incidents(&reset.test.admin, IncidentFilter::default(), 10).await.unwrap();
    let [view] = &found[..] else { panic!("{found:?}") };
    assert!(view.incident.progress.opened_at <= began + 60 * SECOND, "{view:?}");
    assert_eq!(view.incident.closed, None);
    let hit: u64 = view.teams.iter().map(|(_, hit)| hit).sum();
    assert_eq!((view.teams.len(), hit), (TEAMS, tokens as u64));
    assert_eq!(reset.test.endpoint.asked(), 0, "no refresh token was shown");
    let mails = broker.store.list_outbox(OutboxState::Pending, None, 1_000).await.unwrap();
    assert_eq!(mails.iter().map(|mail| mail.events.len()).collect::<Vec<_>>(), [1], "one mail, to the operators");
    for team in &reset.teams {
        let told = broker.store.list_events(team, None, 1_000).await.unwrap();
        assert!(matches!(&told[..], [event] if matches!(event.fact, Fact::IncidentOpened { .. })), "{team}: {told:?}");
    }
    println!(
        "{tokens} tokens: {before} MiB before, {reported} MiB after all reports, {most} MiB at most in the hour after them"
    );
    reset.test.stop().await;
}
