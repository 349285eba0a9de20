//! A network resets every token of an app while all of them are leased: the tokens of some teams, each reported dead by its holder. Each team has an
//! owner, and a member who granted its tokens; its collectors go on asking. After half an hour an operator calls the tokens lost.
//!
//! `RESET_TOKENS` says how many there are (1,200: more than the engine writes at once). At 100,000 it takes minutes, and the process may not grow by
//! it: one test at a time, then.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;

use super::*;
use crate::base::ids::{LeaseId, MemberId};
use crate::config::{Config, Heard, MailTo};
use crate::domain::member::{Member, MemberState, Role};
use crate::outbound::mail::FakeMail;
use crate::service::AcquireLease;
use crate::service::apps::{TopUpBudget, UpdateApp, default_app};
use crate::store::{MemberChange, NewToken};

/// A company's teams: few messages tell everybody.
const FEW_TEAMS: usize = 5;
/// The teams of many companies, whose people are to hear it each from us.
const MANY_TEAMS: usize = 60;
/// Tokens written, leased or reported at once.
const BATCH: usize = 1_000;
/// From so many tokens on the process's growth is judged: below, what a test process takes and gives back is more than that of the tokens.
const JUDGED_FROM: usize = 100_000;
/// By how much it may grow then, in MiB: the store's connections fill their caches (16 MiB each), and what is worked off 500 at a time leaves some
/// behind. That is 1.3 KiB for each token: keeping the event of each, its message and its answer would be more.
const MAY_GROW_BY: u64 = 128;
/// By how much it may grow in MiB while the tokens rest: that lasts as long as the network wants.
const MAY_GROW_AT_REST_BY: u64 = 32;
/// How often the background looks at all tokens before it happens: evaluating their loads needs some memory, too, and takes it in the first rounds.
const LOOKS_BEFORE: usize = 10;
/// Messages that one receiver may get in the first hour.
const MOST_FOR_ONE: usize = 4;
/// Messages that all receivers whom a team's tokens concern may get in the first hour: its people and the operators.
const MOST_FOR_A_TEAM: usize = 7;
/// Messages in the first hour where few teams hold all the tokens.
const MOST_FOR_FEW_TEAMS: usize = 20;
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
    mails: Arc<FakeMail>,
    teams: Vec<TeamId>,
    /// One collector of each team.
    collectors: Vec<Caller>,
    held: Vec<LeaseId>,
}

/// The address of the `n`th team's owner, or of its member who granted its tokens.
fn address(n: usize, role: Role) -> String {
    format!("{}-{n}@example.com", role.as_str())
}

impl Reset {
    /// So many tokens, each with a lease on it and a renewal that is due within the hour.
    async fn of(tokens: usize, of_teams: usize) -> Self {
        let mut config = Config::default();
        config.alerts.mails.push(MailTo { address: "ops@example.com".to_owned(), events: Heard::All });
        config.http.public_url = Some("https://tokens.example.com".parse().unwrap());
        let test = TestBroker::start_with(config).await;
        let mails = Arc::new(FakeMail::default());
        test.broker.notices.mail_by(mails.clone());
        let (broker, network) = (test.broker.clone(), "x".parse::<NetworkId>().unwrap());
        let client = UpdateApp { client_id: Some("ours".to_owned()), ..UpdateApp::default() };
        broker.update_app(&test.admin, &network, &default_app(), client).await.unwrap();
        let units = i64::try_from(tokens * 200).unwrap();
        let more = TopUpBudget { network, app: default_app(), class: "post_reads".to_owned(), units };
        broker.top_up_budget(&test.admin, more).await.unwrap();
        let (mut teams, mut collectors) = (Vec::new(), Vec::new());
        for nth in 0..of_teams {
            let team = test.team(&format!("team-{nth}")).await;
            broker.ensure_data_key(&team).await.unwrap();
            let collector = test.collector(&team, "collector").await;
            collectors.push(test.caller(collector.id));
            teams.push(team);
        }
        let mut reset = Self { test, mails, teams, collectors, held: Vec::new() };
        for nth in 0..of_teams {
            reset.join(nth, Role::Owner).await;
            reset.join(nth, Role::Member).await;
        }
        for first in (0..tokens).step_by(BATCH) {
            let batch = first..(first + BATCH).min(tokens);
            reset.add(batch.clone()).await;
            let leases = batch.map(|nth| {
                let profile = Some(profile(nth));
                let wanted = AcquireLease { profile, ..ask(&reset.teams[nth % of_teams], 1) };
                broker.acquire_lease(&reset.test.admin, wanted)
            });
            let leases = join_all(leases).await.into_iter().map(|leased| leased.unwrap().lease);
            reset.held.extend(leases.collect::<Vec<_>>());
        }
        reset
    }

    /// A member of the `n`th team, as it is once it has joined.
    async fn join(&self, n: usize, role: Role) {
        let (broker, now) = (&self.test.broker, self.test.clock.now());
        let member = Member {
            id: MemberId::generate(),
            team: self.teams[n].clone(),
            display_name: String::new(),
            mail: address(n, role).parse().unwrap(),
            role,
            time_zone: "UTC".parse().unwrap(),
            language: "en".parse().unwrap(),
            state: MemberState::Active { since: now },
            persons: BTreeMap::new(),
            created_at: now,
            version: 1,
        };
        let trail = broker.audit(&Caller::Broker, "member.join", member.name(), String::new()).into();
        broker.store.insert_member(MemberChange::of(member, trail)).await.unwrap();
    }

    async fn add(&self, batch: std::ops::Range<usize>) {
        let (broker, of_teams) = (&self.test.broker, self.teams.len());
        let access_expires_at = Some(self.test.clock.now() + 3600 * SECOND);
        let new = |nth: usize| {
            let clocks = Clocks { access_expires_at, ..Clocks::default() };
            let granted_by = address(nth % of_teams, Role::Member);
            let given = AddToken { clocks, profile: profile(nth), granted_by, ..x_token(&format!("person-{nth}")) };
            let stored = broker.new_token(&self.teams[nth % of_teams], &given).unwrap();
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

    /// Each team's collector asks for a call; a canary's is refused as all were.
    async fn ask_for_calls(&self) {
        for (team, caller) in self.teams.iter().zip(&self.collectors) {
            if let Ok(leased) = self.test.broker.acquire_lease(caller, ask(team, 1)).await {
                let body = br#"{"title":"Unauthorized","status":401}"#.to_vec();
                let answer = Some(Answered { status: 401, body, ..Answered::default() });
                let last = ReportUsage { sequence: 1, used: 1, answer, ..ReportUsage::default() };
                self.test.broker.release_lease(caller, leased.lease, Some(last)).await.unwrap();
            }
        }
    }

    /// What is done in the background.
    async fn look(&self) {
        let broker = &self.test.broker;
        broker.watch_incidents().await.unwrap();
        broker.watch_loads().await.unwrap();
        broker.renew_due().await.unwrap();
        broker.renewals.idle().await;
        broker.tell_events().await.unwrap();
        broker.deliver_due().await.unwrap();
    }

    /// Collectors ask, and the background works, until then. Returns the most memory that there was, in MiB.
    async fn live_until(&self, end: Timestamp) -> u64 {
        let mut most = 0;
        while self.test.clock.now() < end {
            self.test.clock.advance(20 * SECOND);
            self.ask_for_calls().await;
            self.look().await;
            most = most.max(resident_mib());
        }
        most
    }

    /// What each receiver was mailed so far, by its address.
    fn mailed(&self) -> BTreeMap<String, Vec<String>> {
        let mut mailed = BTreeMap::<_, Vec<_>>::new();
        for mail in self.mails.sent() {
            mailed.entry(mail.to).or_default().push(mail.subject);
        }
        mailed
    }

    /// The facts that a team was told.
    async fn facts(&self, team: &TeamId) -> Vec<Fact> {
        let (mut facts, mut before) = (Vec::new(), None);
        loop {
            let events = self.test.broker.store.list_events(team, before, 10_000).await.unwrap();
            let Some(last) = events.last() else { return facts };
            before = Some(last.id);
            facts.extend(events.into_iter().map(|event| event.fact));
        }
    }
}

#[tokio::test]
async fn a_reset_of_every_token_of_few_teams_is_one_incident_few_messages_and_no_renewal() {
    let mails = every_token_is_reset(tokens(), FEW_TEAMS).await;
    assert!(mails <= MOST_FOR_FEW_TEAMS, "{mails}");
}

#[tokio::test]
async fn a_reset_of_every_token_of_many_teams_is_one_incident_few_messages_each_and_no_renewal() {
    every_token_is_reset(tokens(), MANY_TEAMS).await;
}

/// Returns how many messages there were in the first hour.
async fn every_token_is_reset(tokens: usize, teams: usize) -> usize {
    let reset = Reset::of(tokens, teams).await;
    for _ in 0..LOOKS_BEFORE {
        reset.look().await;
    }
    let (began, before) = (reset.test.clock.now(), resident_mib());
    for leases in reset.held.chunks(tokens.div_ceil(FOUND_OUT_IN)) {
        reset.test.clock.advance(SECOND);
        for leases in leases.chunks(BATCH) {
            reset.report(leases).await;
        }
        reset.look().await;
    }
    let reported = resident_mib();
    let resting = reset.live_until(began + 1800 * SECOND).await;
    let broker = &reset.test.broker;
    let found = broker.list_incidents(&reset.test.admin, IncidentFilter::default(), 10).await.unwrap();
    let [view] = &found[..] else { panic!("{found:?}") };
    assert!(view.incident.progress.opened_at <= began + 60 * SECOND, "{view:?}");
    assert_eq!(view.incident.closed, None);
    let hit: u64 = view.teams.iter().map(|(_, hit)| hit).sum();
    assert_eq!((view.teams.len(), hit), (teams, tokens as u64));
    for team in &reset.teams {
        let facts = reset.facts(team).await;
        let opened = facts.iter().filter(|fact| matches!(fact, Fact::IncidentOpened { .. })).count();
        let single = facts.iter().filter(|fact| fact.token().is_some()).count();
        assert_eq!((opened, single), (1, 0), "{team}: {facts:?}");
    }
    broker.close_incident(&reset.test.admin, view.incident.id, Outcome::Lost, "the network says so").await.unwrap();
    let lost = reset.live_until(began + 3600 * SECOND).await;
    let found = broker.list_incidents(&reset.test.admin, IncidentFilter::default(), 10).await.unwrap();
    assert_eq!(found.len(), 1, "collectors that ask on find no second one: {found:?}");
    broker.engine.write_back().await.unwrap();
    assert_eq!(broker.store.open_leases(reset.test.clock.now()).await.unwrap(), []);
    assert_eq!(reset.test.endpoint.asked(), 0, "no refresh token was shown");
    let per_team = reset.facts(&reset.teams[0]).await;
    let told = per_team.iter().filter(|fact| fact.lost_with_many() == Some(Reason::PlatformReset)).count();
    assert_eq!(told, tokens.div_ceil(teams), "each token that is lost is a fact");
    let mailed = reset.mailed();
    let mails = mailed.values().map(Vec::len).sum::<usize>();
    let most = reported.max(resting).max(lost);
    println!(
        "{tokens} tokens of {teams} teams: {before} MiB before, {reported} after all reports, {resting} at most while they rested, {lost} after they were lost; {mails} mails"
    );
    assert_eq!(
        mailed.len(),
        2 * teams + 1,
        "operators, owners, and who granted tokens: {:?}",
        mailed.iter().take(3).collect::<Vec<_>>()
    );
    for (to, subjects) in &mailed {
        assert!(subjects.len() <= MOST_FOR_ONE, "{to}: {subjects:?}");
    }
    let of = |to: &str| mailed.get(to).cloned().unwrap_or_default();
    for nth in 0..teams {
        let (owner, granter) = (of(&address(nth, Role::Owner)), of(&address(nth, Role::Member)));
        let one_about_tokens = |subjects: &[String]| {
            subjects.iter().filter(|subject| subject.contains("X tokens do not work any more")).count() == 1
        };
        assert!(granter.len() == 1 && one_about_tokens(&granter), "{granter:?}");
        assert!(owner.len() == 2 && one_about_tokens(&owner), "that it began, and what is lost: {owner:?}");
        let all = owner.len() + granter.len() + of("ops@example.com").len();
        assert!(all <= MOST_FOR_A_TEAM, "{all}");
    }
    if tokens >= JUDGED_FROM {
        assert!(
            resting <= reported + MAY_GROW_AT_REST_BY,
            "{reported} MiB after all reports, {resting} while they rested"
        );
        assert!(most <= before + MAY_GROW_BY, "{before} MiB before, {most} at most");
    }
    reset.test.stop().await;
    mails
}
