//! Power loss, as near as a process can come to it: the broker is killed at each of its fsyncs in turn, while collectors lease and
//! top up and an operator adds and revokes. What was acknowledged must be there after the restart (rule 5), nothing may be
//! granted twice (rule 1), and a revoked token is never leased again (rule 6).
//!
//! `CRASH_POINTS` says how many fsyncs are tried, as `200` or `120-210`; the default is small.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use token_broker::grpc::pb::{self, ErrorReason};
use tonic::Status;
use tonic_types::StatusExt;

use crate::support::{Api, Broker, Launch, Refused, cli, make_collector, make_team, person_token, run_bounded};

const TINY: &str = include_str!("tiny.toml");
/// What the network's limits leave after the owner's reserve of a tenth: per person's account, and for the app.
const PER_PERSON: i32 = 36;
const PER_APP: i32 = 270;
const COLLECTORS: usize = 4;
const TOKENS: usize = 5;
const DEFAULT_POINTS: u32 = 8;

/// A lease as its collector knows it.
#[derive(Debug, Default)]
struct Held {
    token: String,
    granted: i32,
    /// Calls that were made, and those of them that the broker was told of.
    made: i32,
    told: i32,
    sequence: i64,
    /// The last report was sent: whatever became of it, no more calls are made.
    given_back: bool,
}

impl Held {
    /// Calls that the network may see: those made, and until the lease is given back all that were granted.
    fn may_be_used(&self) -> i32 {
        if self.given_back { self.made } else { self.granted }
    }

    /// Makes one more call if one is left. Returns the number of the next report and what it must tell.
    fn make_call(&mut self) -> (i64, pb::CallCounts) {
        self.made += (self.granted - self.made).min(1);
        self.sequence += 1;
        (self.sequence, pb::CallCounts { ok: self.made - self.told, ..Default::default() })
    }
}

/// What was acknowledged.
#[derive(Default)]
struct Ledger {
    leases: BTreeMap<String, Held>,
    tokens: BTreeSet<String>,
    revoked: BTreeSet<String>,
}

impl Ledger {
    fn used_by_token(&self) -> BTreeMap<&str, i32> {
        let mut used = BTreeMap::new();
        for held in self.leases.values() {
            *used.entry(held.token.as_str()).or_default() += held.may_be_used();
        }
        used
    }

    /// Whether a person's account, or the app's, has given all that it may.
    fn has_reached_a_limit(&self) -> bool {
        let used = self.used_by_token();
        used.values().any(|calls| *calls == PER_PERSON) || used.values().sum::<i32>() == PER_APP
    }

    fn check_limits(&self, point: u32, when: &str) {
        let used = self.used_by_token();
        for (token, calls) in &used {
            assert!(*calls <= PER_PERSON, "fsync {point}, {when}: {calls} calls on {token}, {PER_PERSON} are allowed");
        }
        let all: i32 = used.values().sum();
        assert!(all <= PER_APP, "fsync {point}, {when}: {all} calls of the app, {PER_APP} are allowed: {used:?}");
    }
}

type Shared = Arc<Mutex<Ledger>>;

/// The broker has gone, or is going.
struct Gone;

/// An answer, a refusal, or the end of the connection.
fn answered<T>(result: Result<tonic::Response<T>, Status>) -> Result<Result<T, Refused>, Gone> {
    match result {
        Ok(answer) => Ok(Ok(answer.into_inner())),
        Err(status) if status.get_error_details().error_info().is_some() => Ok(Err(status.into())),
        Err(_) => Err(Gone),
    }
}

fn wanted(calls: i32, min_calls: i32, wait: Duration) -> pb::AcquireLeaseRequest {
    pb::AcquireLeaseRequest {
        team: "teams/acme".to_owned(),
        network: "networks/tiny".to_owned(),
        operation: "posts.list".to_owned(),
        calls,
        min_calls,
        purpose: pb::Purpose::CollectContent.into(),
        wait: Some(prost_types::Duration::try_from(wait).unwrap()),
        ..Default::default()
    }
}

/// Leases, tops up and gives back without an end. A fifth of the leases is kept.
async fn collect(api: Api, number: usize, ledger: Shared) -> Gone {
    for step in number.. {
        let life = lease_life(&api, step, &ledger).await;
        if life.is_err() {
            return Gone;
        }
    }
    unreachable!("the numbers don't end")
}

async fn lease_life(api: &Api, step: usize, ledger: &Shared) -> Result<(), Gone> {
    let revoked = ledger.lock().unwrap().revoked.clone();
    let request = wanted(1 + i32::try_from(step % 4).unwrap(), 1, Duration::from_millis(50));
    let Ok(answer) = answered(api.leases().acquire_lease(request).await)? else { return Ok(()) };
    let lease = answer.lease.unwrap();
    let name = lease.name;
    assert!(!revoked.contains(&lease.token), "{} was leased after its revocation was acknowledged", lease.token);
    let held = Held { token: lease.token, granted: lease.calls_granted, ..Held::default() };
    ledger.lock().unwrap().leases.insert(name.clone(), held);
    if step.is_multiple_of(2) {
        report(api, &name, ledger).await?;
    }
    if !step.is_multiple_of(5) {
        give_back(api, &name, ledger).await?;
    }
    Ok(())
}

/// Makes a call, reports it and asks for two more. A report that is refused, since its token was revoked meanwhile, is made
/// good by the last one.
async fn report(api: &Api, name: &str, ledger: &Shared) -> Result<(), Gone> {
    let (sequence, calls) = with_lease(ledger, name, Held::make_call);
    let request = pb::ReportUsageRequest {
        lease: name.to_owned(),
        sequence,
        calls: Some(calls),
        want_calls: 2,
        ..Default::default()
    };
    if let Ok(answer) = answered(api.leases().report_usage(request).await)? {
        with_lease(ledger, name, |held| {
            held.told = held.made;
            held.granted += answer.calls_granted;
        });
    }
    Ok(())
}

/// Makes one more call if one is left, and gives the lease back.
async fn give_back(api: &Api, name: &str, ledger: &Shared) -> Result<(), Gone> {
    let (sequence, calls) = with_lease(ledger, name, |held| {
        held.given_back = true;
        held.make_call()
    });
    let request =
        pb::ReleaseLeaseRequest { lease: name.to_owned(), sequence, calls: Some(calls), ..Default::default() };
    let released = answered(api.leases().release_lease(request).await)?;
    released.unwrap_or_else(|refused| panic!("the last report of {name} was refused: {refused:?}"));
    Ok(())
}

fn with_lease<T>(ledger: &Shared, name: &str, work: impl FnOnce(&mut Held) -> T) -> T {
    work(ledger.lock().unwrap().leases.get_mut(name).expect("it was noted when it was given"))
}

/// Adds tokens and revokes each third of them, without an end: there is always something to make durable.
async fn operate(api: Api, ledger: Shared) -> Gone {
    for number in 0.. {
        let request = tiny_token(&format!("later-{number}"));
        let Ok(answer) = answered(api.tokens().add_token(request).await) else { return Gone };
        let name = answer.unwrap().token.unwrap().name;
        ledger.lock().unwrap().tokens.insert(name.clone());
        if number % 3 == 0 {
            let request = pb::RevokeTokenRequest { name: name.clone(), ..Default::default() };
            let Ok(answer) = answered(api.tokens().revoke_token(request).await) else { return Gone };
            answer.unwrap();
            ledger.lock().unwrap().revoked.insert(name);
        }
    }
    unreachable!("the numbers don't end")
}

fn tiny_token(person: &str) -> pb::AddTokenRequest {
    let mut request = person_token("tiny", person);
    request.secrets.as_mut().unwrap().refresh_token.clear();
    request
}

/// A stopped store with a team, a collector and tokens, from which each crash begins.
struct Template {
    home: tempfile::TempDir,
    admin_key: String,
    collector_key: String,
}

impl Template {
    async fn make() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("catalogue")).unwrap();
        std::fs::write(home.path().join("catalogue/tiny.toml"), TINY).unwrap();
        let mut template = Self { home, admin_key: String::new(), collector_key: String::new() };
        let broker = template.launch(&template.home.path().join("data")).start();
        template.admin_key = broker.first_key();
        let admin = Api::connect(&broker, &template.admin_key).await;
        make_team(&admin, "acme").await;
        template.collector_key = make_collector(&admin, "teams/acme", "crawler").await.1;
        for at in 0..TOKENS {
            admin.add_token(tiny_token(&format!("person-{at}"))).await.unwrap();
        }
        assert!(broker.stop().status.success());
        template
    }

    fn launch(&self, data: &Path) -> Launch {
        Launch::new(data).set("CATALOGUE__DIR", self.home.path().join("catalogue").display())
    }

    /// A copy of the store.
    fn copy(&self, name: &str) -> PathBuf {
        let copy = self.home.path().join(name);
        std::fs::create_dir(&copy).unwrap();
        for file in std::fs::read_dir(self.home.path().join("data")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
        copy
    }

    /// What the doctor says of a stopped store: nothing is broken.
    fn examine(&self, data: &Path, point: u32) {
        let mut doctor = cli(self.home.path());
        doctor.arg("doctor").arg("--data-dir").arg(data);
        doctor.env("TOKEN_BROKER__CATALOGUE__DIR", self.home.path().join("catalogue"));
        let looked = run_bounded(&mut doctor, b"");
        assert!(looked.status.success(), "fsync {point}: {}", looked.text());
        assert!(looked.stdout.contains("fine"), "the doctor has looked: {}", looked.stdout);
    }

    /// Runs until the kill at the `point`th fsync. Returns what was acknowledged before it.
    async fn crash(&self, data: &Path, point: u32) -> Ledger {
        let ledger = Shared::default();
        let ended = match self.launch(data).kill_at_fsync(point).try_start() {
            Err(ended) => ended,
            Ok(mut broker) => {
                self.work(&broker, &ledger).await;
                broker.end()
            }
        };
        assert_eq!(ended.status.signal(), Some(9), "fsync {point}: killed, not ended: {}", ended.text());
        std::mem::take(&mut *ledger.lock().unwrap())
    }

    async fn work(&self, broker: &Broker, ledger: &Shared) {
        let Some(admin) = Api::try_connect(broker, &self.admin_key).await else { return };
        let Some(collector) = Api::try_connect(broker, &self.collector_key).await else { return };
        let collectors = (0..COLLECTORS).map(|at| collect(collector.clone(), at, ledger.clone()));
        let all = async { tokio::join!(join_all(collectors), operate(admin, ledger.clone())) };
        tokio::time::timeout(Duration::from_secs(300), all).await.expect("the broker is killed long before");
    }

    /// Starts the broker again and holds it to what was acknowledged. Returns whether a limit was reached.
    async fn check(&self, data: &Path, point: u32, mut ledger: Ledger) -> bool {
        self.examine(data, point);
        let broker = self.launch(data).start();
        let admin = Api::connect(&broker, &self.admin_key).await;
        let collector = Api::connect(&broker, &self.collector_key).await;
        check_kept(&admin, point, &ledger).await;
        drain(&collector, &mut ledger).await;
        ledger.check_limits(point, "after the restart");
        for token in &ledger.revoked {
            assert_eq!(admin.token(token).await.unwrap().state(), pb::TokenState::Revoked, "fsync {point}: {token}");
        }
        use_what_is_held(&collector, point, &ledger).await;
        assert!(broker.stop().status.success());
        self.examine(data, point);
        ledger.has_reached_a_limit()
    }
}

/// Every lease and token that was acknowledged is there, and each lease is in the audit.
async fn check_kept(admin: &Api, point: u32, ledger: &Ledger) {
    let audited: BTreeSet<_> = admin.audit("lease.").await.into_iter().map(|event| event.resource).collect();
    for (name, held) in &ledger.leases {
        let lease = admin.lease(name).await.unwrap_or_else(|refused| panic!("fsync {point}: {name}: {refused:?}"));
        assert_eq!(lease.token, held.token, "fsync {point}: {name}");
        assert!(audited.contains(name), "fsync {point}: {name} is not in the audit");
    }
    let tokens: BTreeSet<_> = admin.list_tokens("teams/acme").await.into_iter().map(|token| token.name).collect();
    for token in &ledger.tokens {
        assert!(tokens.contains(token), "fsync {point}: {token} was acknowledged and is gone");
    }
}

/// Takes all that is left, as leases that are kept.
async fn drain(collector: &Api, ledger: &mut Ledger) {
    loop {
        match collector.acquire(wanted(7, 1, Duration::ZERO)).await {
            Ok(lease) => {
                assert!(!ledger.revoked.contains(&lease.token), "{} was revoked before the crash", lease.token);
                let held = Held { token: lease.token, granted: lease.calls_granted, ..Held::default() };
                ledger.leases.insert(lease.name, held);
            }
            Err(refused) => {
                let used_up = [ErrorReason::LimitedUntil, ErrorReason::Busy, ErrorReason::TooManyLeases];
                assert!(used_up.contains(&refused.reason), "{refused:?}");
                return;
            }
        }
    }
}

/// Leases that their collector did not give back go on: they take their last report.
async fn use_what_is_held(collector: &Api, point: u32, ledger: &Ledger) {
    for (name, held) in
        ledger.leases.iter().filter(|(_, held)| !held.given_back && !ledger.revoked.contains(&held.token))
    {
        let calls = Some(pb::CallCounts { ok: held.granted - held.told, ..Default::default() });
        let sequence = held.sequence + 1;
        let request = pb::ReleaseLeaseRequest { lease: name.clone(), sequence, calls, ..Default::default() };
        let released = collector.release(request).await;
        released.unwrap_or_else(|refused| panic!("fsync {point}: {name} {held:?}: {refused:?}"));
    }
}

fn crash_points() -> Vec<u32> {
    let number =
        |text: &str| text.parse::<u32>().expect("CRASH_POINTS is a number, or a first and a last one: 120-210");
    match std::env::var_os("CRASH_POINTS").and_then(|text| text.into_string().ok()) {
        Some(text) => match text.split_once('-') {
            Some((first, last)) => (number(first)..=number(last)).collect(),
            None => (1..=number(&text)).collect(),
        },
        // A few far apart, where credit has run out and tokens were revoked.
        None => (1..=DEFAULT_POINTS).chain([25, 60]).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill_at_every_fsync() {
    let template = Template::make().await;
    let (mut leases, mut revoked, mut reached) = (0, 0, 0);
    for point in crash_points() {
        let data = template.copy(&format!("crash-{point}"));
        let ledger = template.crash(&data, point).await;
        ledger.check_limits(point, "before the restart");
        leases += ledger.leases.len();
        revoked += ledger.revoked.len();
        reached += u32::from(template.check(&data, point, ledger).await);
        std::fs::remove_dir_all(&data).unwrap();
    }
    println!(
        "before the kills {leases} leases and {revoked} revocations were acknowledged; {reached} limits were reached after"
    );
    assert!(leases > 0 && revoked > 0, "the kills came before anything was acknowledged");
    assert!(reached > 0, "no limit was ever reached");
}
