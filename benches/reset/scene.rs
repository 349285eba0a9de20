//! A broker with tokens that are all leased, the network that issued them, the teams' people, and a clock that is led.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use token_broker::base::clock::{Clock, ManualClock, Timestamp};
use token_broker::base::ids::{AppId, LeaseId, MemberId, NetworkId, TeamId};
use token_broker::base::secret::Secret;
use token_broker::base::tasks::Tasks;
use token_broker::config::{Config, Heard, MailSecurity, MailTo};
use token_broker::domain::member::{Member, MemberState, Role};
use token_broker::domain::networks::{Catalogue, Network};
use token_broker::domain::renewal::due_at;
use token_broker::domain::token::{Clocks, Token};
use token_broker::service::apps::{TopUpBudget, UpdateApp};
use token_broker::service::teams::CreateTeam;
use token_broker::service::{AcquireLease, Answered, Broker, Caller, LeasedToken, ReportUsage, Started};
use token_broker::sim::{CallRequest, Fault, HttpAnswer, NetworkFault, Simulation, TokenSpec, redirected, serve_on};
use token_broker::store::{MemberChange, NewToken, OutboxState, SqliteOptions, SqliteStore, Store};
use token_broker::telemetry::Metrics;
use tokio::net::TcpListener;

use crate::ground::lease::{SEARCH, ask};
use crate::ground::stored::{add_tokens, give_data_key, sealed};
use crate::ground::{mix, token_of};
use crate::mail::Mails;

pub const SECOND: Duration = Duration::from_secs(1);
pub const TEAMS: usize = 5;
/// When it begins.
const START: Timestamp = Timestamp::from_secs(1_800_000_000);
/// How long access tokens live: their renewals come due while an incident would be open.
pub const LIFE: Duration = Duration::from_secs(2400);
/// Tokens written, leased or reported at once.
const BATCH: usize = 1_000;
/// The network's file in the catalogue.
const FILE: (&str, &str) = ("x.toml", include_str!("../../src/domain/networks/catalogue/x.toml"));
/// What the background does again and again that has to do with a reset, and how often, on the broker's clock. Messages are sent in real time.
const WORK: [(&str, Duration); 6] = [
    ("incidents", SECOND),
    ("renewals", SECOND),
    ("tell", SECOND),
    ("deliver", Duration::ZERO),
    ("loads", Duration::from_secs(5)),
    ("probes", Duration::from_secs(5)),
];

/// The network and the mail server, outside of the broker.
pub struct Outside {
    network: Arc<Network>,
    simulation: Arc<Simulation>,
    address: SocketAddr,
    pub mails: Mails,
    mail_server: SocketAddr,
    clock: Arc<ManualClock>,
}

impl Outside {
    /// X with so many persons' tokens, served until `tasks` stop.
    pub async fn serve(persons: usize, tasks: &Tasks) -> anyhow::Result<Self> {
        let network = Catalogue::embedded().network("x").context("the catalogue has it")?.clone();
        let clock = Arc::new(ManualClock::at(START));
        let simulation = Arc::new(Simulation::new([network.clone()], clock.clone(), 1)?);
        let kind = "user".parse()?;
        for number in 0..persons {
            let mut spec = TokenSpec::of_kind(&network, &kind, &access(number), &format!("person-{number}"));
            spec.profiles = vec![profile(number)];
            spec.refresh_secret = Some(refresh(number));
            spec.expires_at = Some(START + LIFE);
            simulation.add_token(&network.id, spec)?;
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = serve_on(listener, simulation.clone(), tasks)?;
        let (mails, mail_server) = Mails::serve(tasks).await?;
        Ok(Self { network, simulation, address, mails, mail_server, clock })
    }

    /// The network resets every token.
    pub fn reset(&self) -> anyhow::Result<()> {
        let order = NetworkFault { network: self.network.id.clone(), fault: Fault::ResetTokens };
        Ok(self.simulation.inject(&order)?)
    }

    /// Calls that the network refused for their token.
    pub fn refused(&self) -> u64 {
        self.simulation.report().networks.iter().map(|of| of.token_refused).sum()
    }

    /// What the network answers to a call with a secret, as a holder reports it.
    fn call(&self, secret: &str) -> anyhow::Result<ReportUsage> {
        let (network, operation) = (&self.network, SEARCH.parse()?);
        let request = CallRequest {
            network: &network.id,
            secret,
            operation: Some(&operation),
            profile: None,
            key: "",
            address: "127.0.0.1",
        };
        let operation = network.operations.iter().find(|known| known.id == operation);
        let answer = HttpAnswer::of(network, operation, &self.simulation.call(&request)?);
        let HttpAnswer { status, headers, body, .. } = answer.context("no reply is lost")?;
        let served = u64::from(status == 200);
        let answer = Some(Answered { status, headers, body: body.into_bytes(), received_at: None });
        Ok(ReportUsage { sequence: 1, used: 1, served, answer, ..ReportUsage::default() })
    }
}

fn access(number: usize) -> String {
    format!("access-{number:0100}")
}

fn refresh(number: usize) -> String {
    format!("refresh-{number:0100}")
}

fn profile(number: usize) -> String {
    format!("profile-{number}")
}

/// The address of the `n`th team's owner, or of its member who granted its tokens.
fn address(n: usize, role: Role) -> String {
    format!("{}-{n}@example.com", role.as_str())
}

/// A lease, and the secret that its holder calls with.
pub struct Held {
    lease: LeaseId,
    secret: Secret,
}

impl From<LeasedToken> for Held {
    fn from(leased: LeasedToken) -> Self {
        Self { lease: leased.lease, secret: leased.access_token }
    }
}

/// The broker, among all that.
pub struct Scene<'o> {
    pub broker: Broker,
    outside: &'o Outside,
    teams: Vec<TeamId>,
    tasks: Tasks,
}

impl<'o> Scene<'o> {
    /// A broker that works in the background, with the teams, their people and the network's first `tokens` tokens.
    pub async fn start(dir: &Path, outside: &'o Outside, tokens: usize) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = outside.clock.clone();
        let mut config = Config::default();
        dir.clone_into(&mut config.store.dir);
        config.alerts.mails.push(MailTo { address: "ops@example.com".to_owned(), events: Heard::All });
        config.http.public_url = Some("https://tokens.example.com".parse()?);
        config.mail.host = outside.mail_server.ip().to_string();
        (config.mail.port, config.mail.security) = (outside.mail_server.port(), MailSecurity::Plain);
        config.mail.from = "broker@example.com".to_owned();
        let tasks = Tasks::default();
        let store = SqliteStore::open(SqliteOptions::new(dir), clock.clone()).await?;
        let (store, metrics): (Arc<dyn Store>, _) = (Arc::new(store), Metrics::new(&config.metrics));
        let text = redirected(&outside.network, FILE.1, outside.address);
        let catalogue = Catalogue::load(&[(FILE.0.to_owned(), text)])?;
        let Started { broker, .. } = Broker::start(config, catalogue, store, clock, metrics, &tasks).await?;
        let teams = (0..TEAMS).map(|n| Ok(format!("team-{n}").parse()?)).collect::<anyhow::Result<_>>()?;
        let scene = Self { broker, outside, teams, tasks };
        scene.set_up_app(tokens).await?;
        scene.set_up_teams().await?;
        for first in (0..tokens).step_by(BATCH) {
            let rows = (first..(first + BATCH).min(tokens)).map(|number| scene.new_token(number));
            add_tokens(&scene.broker, rows.collect::<anyhow::Result<_>>()?).await?;
        }
        scene.broker.start_background(&scene.tasks);
        scene.pass(Duration::from_secs(5)).await?;
        Ok(scene)
    }

    async fn set_up_app(&self, tokens: usize) -> anyhow::Result<()> {
        let (network, app) = self.app()?;
        let client = UpdateApp {
            client_id: Some("app".to_owned()),
            client_secret: Some(Some(Secret::new("secret-of-the-app".to_owned()))),
            ..UpdateApp::default()
        };
        self.broker.update_app(&Caller::Broker, &network, &app, client).await?;
        // Twice what a call of each is charged with.
        let units = i64::try_from(tokens * 200)?;
        let more = TopUpBudget { network, app, class: "post_reads".to_owned(), units };
        self.broker.top_up_budget(&Caller::Broker, more).await?;
        Ok(())
    }

    fn app(&self) -> anyhow::Result<(NetworkId, AppId)> {
        Ok((self.outside.network.id.clone(), "default".parse()?))
    }

    /// Each team has an owner, and a member who granted its tokens.
    async fn set_up_teams(&self) -> anyhow::Result<()> {
        for (n, team) in self.teams.iter().enumerate() {
            let ask = CreateTeam { id: team.clone(), display_name: String::new(), weight: 100, reserve_percent: None };
            self.broker.create_team(&Caller::Broker, ask).await?;
            give_data_key(&self.broker, team).await?;
            for role in [Role::Owner, Role::Member] {
                let now = self.broker.now();
                let member = Member {
                    id: MemberId::generate(),
                    team: team.clone(),
                    display_name: String::new(),
                    mail: address(n, role).parse()?,
                    role,
                    time_zone: "UTC".parse()?,
                    language: "en".parse()?,
                    state: MemberState::Active { since: now },
                    persons: BTreeMap::new(),
                    created_at: now,
                    version: 1,
                };
                let trail = self.broker.audit(&Caller::Broker, "member.join", String::new(), String::new()).into();
                self.broker.store.insert_member(MemberChange::of(member, trail)).await?;
            }
        }
        Ok(())
    }

    fn new_token(&self, number: usize) -> anyhow::Result<NewToken> {
        let (network, n, now) = (&self.outside.network, number % TEAMS, self.broker.now());
        let token = Token {
            granted_by: address(n, Role::Member),
            clocks: Clocks { access_expires_at: Some(START + LIFE), ..Clocks::default() },
            refreshed: true,
            created_at: now,
            ..token_of(network, "user", self.teams[n].as_str(), number)
        };
        let kind = network.kind("user").context("x has tokens of that kind")?;
        let luck = u64::try_from(mix(number as u128) & u128::from(u64::MAX))?;
        let due_at = due_at(kind, &token, true, now, luck);
        let mut new = sealed(&self.broker, token, &access(number), Some(&refresh(number)))?;
        new.stored.renewal.due_at = due_at;
        Ok(new)
    }

    /// Shows that renewals work and are counted: one token is renewed now.
    pub async fn renew_one(&self) -> anyhow::Result<()> {
        let now = self.broker.now();
        let first = self.broker.store.all_tokens(None, 1).await?.tokens;
        let token = &first.first().context("there is a token")?.token;
        self.broker.store.hasten_renewal(token.id, token.version, now, now).await?;
        while self.renewals_tried() == 0 {
            self.pass(SECOND).await?;
        }
        let renewed = self.broker.store.find_token(token.id).await?.context("it stays")?;
        ensure!(renewed.token.version == token.version + 1, "the network renews tokens before it resets them");
        Ok(())
    }

    /// Renewals that ended, however they did.
    pub fn renewals_tried(&self) -> u64 {
        let text = self.broker.metrics.render();
        let of_renewals = text.lines().filter(|line| line.starts_with("token_broker_renewals_total{"));
        of_renewals.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// When the first renewal is due.
    pub async fn first_renewal(&self) -> anyhow::Result<Timestamp> {
        let (network, app) = self.app()?;
        let next = self.broker.store.next_renewals(&network, &app, 1).await?;
        Ok(next.first().context("tokens are renewed")?.1)
    }

    /// A lease on each of the first `tokens` tokens.
    pub async fn lease_all(&self, tokens: usize) -> anyhow::Result<Vec<Held>> {
        let mut held = Vec::with_capacity(tokens);
        for first in (0..tokens).step_by(BATCH) {
            let leases = (first..(first + BATCH).min(tokens)).map(|number| {
                let ask = AcquireLease { profile: Some(profile(number)), ..ask(&self.teams[number % TEAMS]) };
                self.broker.acquire_lease(&Caller::Broker, ask)
            });
            held.extend(try_join_all(leases).await?.into_iter().map(Held::from));
        }
        Ok(held)
    }

    /// Each holder calls the network, and gives its lease back with what it was answered.
    pub async fn use_up(&self, held: &[Held]) -> anyhow::Result<()> {
        for held in held.chunks(BATCH) {
            let reports = held.iter().map(|held| async {
                let last = self.outside.call(held.secret.expose())?;
                self.broker.release_lease(&Caller::Broker, held.lease, Some(last)).await?;
                anyhow::Ok(())
            });
            try_join_all(reports).await?;
        }
        Ok(())
    }

    /// Until then each team's collector asks for a call every 20 s; those that get one make it. `look` is called after each time.
    pub async fn live_until(&self, end: Timestamp, mut look: impl FnMut()) -> anyhow::Result<()> {
        while self.broker.now() < end {
            self.pass(Duration::from_secs(20)).await?;
            for team in &self.teams {
                if let Ok(leased) = self.broker.acquire_lease(&Caller::Broker, ask(team)).await {
                    self.use_up(&[leased.into()]).await?;
                }
            }
            look();
        }
        Ok(())
    }

    /// Lets so much time pass, until the background has done what is due then and no message is on its way: a claim would end meanwhile, and the
    /// message would be sent twice.
    pub async fn pass(&self, span: Duration) -> anyhow::Result<()> {
        let due = WORK.into_iter().filter(|(_, every)| *every <= span).map(|(name, _)| name).collect::<Vec<_>>();
        let before = self.runs(&due);
        self.outside.clock.advance(span);
        while self.runs(&due).iter().zip(&before).any(|(now, before)| now <= before) || self.is_sending().await? {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Whether a message is on its way. None fails here, so those that were tried are.
    async fn is_sending(&self) -> anyhow::Result<bool> {
        let waiting = self.broker.store.list_outbox(OutboxState::Pending, None, 1_000).await?;
        Ok(waiting.iter().any(|message| message.attempts > 0))
    }

    /// How often each of these was done.
    fn runs(&self, names: &[&str]) -> Vec<u64> {
        let last = self.broker.watch.status.last_runs();
        names.iter().map(|name| last.get(*name).map_or(0, |run| run.runs)).collect()
    }

    /// Waits until nobody is left to whom something is to be told now.
    pub async fn until_told(&self) -> anyhow::Result<()> {
        loop {
            let facts = self.broker.store.outbox_facts().await?;
            if facts.oldest_due_at.into_iter().chain(facts.oldest_untold_at).all(|at| at > self.broker.now()) {
                return Ok(());
            }
            self.pass(SECOND).await?;
        }
    }

    pub async fn stop(self) -> anyhow::Result<()> {
        self.tasks.stop();
        ensure!(self.tasks.join(Duration::from_secs(10)).await, "the background work ends");
        self.broker.engine.stop(Duration::from_secs(10)).await;
        self.broker.store.close().await;
        Ok(())
    }
}
