//! Teams in a whole broker, for tests of who may do what; and that a key that is revoked ends what it opened.

use std::time::Duration;

use token_broker::app::Running;
use token_broker::base::ids::{AlertId, EventId, TokenId};
use token_broker::base::secret::Secret;
use token_broker::domain::alert::{AlertKind, Detail, Level, LoadDetail, NoToken};
use token_broker::domain::incident::{Detected, IncidentKind, Progress, SeenIn};
use token_broker::domain::load::{Advice, Load, Newcomer, Ratio, Span};
use token_broker::domain::networks::Owner;
use token_broker::domain::notice::{Budget, Event, Fact, Weight};
use token_broker::grpc::client::{Client, ClientSettings, connect};
use token_broker::grpc::pb::alert_service_client::AlertServiceClient;
use token_broker::grpc::pb::audit_service_client::AuditServiceClient;
use token_broker::grpc::pb::connection_service_client::ConnectionServiceClient;
use token_broker::grpc::pb::job_service_client::JobServiceClient;
use token_broker::grpc::pb::key_service_client::KeyServiceClient;
use token_broker::grpc::pb::lease_service_client::LeaseServiceClient;
use token_broker::grpc::pb::load_service_client::LoadServiceClient;
use token_broker::grpc::pb::member_service_client::MemberServiceClient;
use token_broker::grpc::pb::network_service_client::NetworkServiceClient;
use token_broker::grpc::pb::notice_service_client::NoticeServiceClient;
use token_broker::grpc::pb::push_service_client::PushServiceClient;
use token_broker::grpc::pb::team_service_client::TeamServiceClient;
use token_broker::grpc::pb::token_service_client::TokenServiceClient;
use token_broker::grpc::pb::{self, ErrorReason};
use token_broker::store::{AlertRow, ClaimLanes, Hearing, IncidentFilter, SendResult, Telling};

use crate::identity::{reason, serve};
use crate::soon;

/// A whole broker without TLS.
pub struct Bench {
    running: Running,
    pub admin: Client,
    _dir: tempfile::TempDir,
}

/// A team with a collector, a token, and what they lead to.
pub struct Side {
    pub team: &'static str,
    pub token: String,
    pub collector: String,
    pub key: String,
    pub key_name: String,
    /// A member who was invited.
    pub member: String,
    /// A notice of that member.
    pub notice: String,
    /// A destination in the broker's own network, which is never reached.
    pub destination: String,
    /// A browser of that member.
    pub browser: String,
    /// Two messages that were given up.
    pub letters: [String; 2],
    /// A job that is under way for a minute.
    pub job: String,
    /// A lease that the collector holds.
    pub lease: String,
    /// An alert that is open.
    pub alert: String,
    /// An incident that is open, of an app named like the team.
    pub incident: String,
    /// A connection that nobody has gone on with.
    pub connection: String,
}

impl Bench {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (running, key) = serve(&dir, None).await;
        let admin = client(&running, Some(key.expose())).await;
        Self { running, admin, _dir: dir }
    }

    pub async fn side(&self, team: &'static str) -> Side {
        let mut teams = TeamServiceClient::new(self.admin.clone());
        soon(teams.create_team(pb::CreateTeamRequest { team_id: team.to_owned(), ..Default::default() }))
            .await
            .unwrap();
        let (collector, key_name, key) = self.collector_of(team, "worker", "networks/-").await;
        let token = soon(TokenServiceClient::new(self.admin.clone()).add_token(token_of(team))).await;
        let token = token.unwrap().into_inner().token.unwrap().name;
        let leased = soon(LeaseServiceClient::new(self.client(&key).await).acquire_lease(search(team))).await;
        let lease = leased.unwrap().into_inner().lease.unwrap().name;
        let alert = self.open_alert(team).await;
        let ada = pb::Member { mail: "ada@example.com".to_owned(), ..Default::default() };
        let request =
            pb::InviteMemberRequest { parent: format!("teams/{team}"), member: Some(ada), ..Default::default() };
        let invited = soon(MemberServiceClient::new(self.admin.clone()).invite_member(request)).await;
        let member = invited.unwrap().into_inner().member.unwrap().name;
        self.app_with_token("youtube", team).await;
        let incident = self.open_incident("youtube", team).await;
        let connection = self.start_connection(team).await;
        let job = self.job(team).await;
        let notice = format!("{member}/notices/{}", self.told(team).await);
        let destination = self.destination(team).await;
        let browser = self.browser(&member).await;
        let letters = [self.dead_letter(team, 1).await, self.dead_letter(team, 2).await];
        Side {
            team,
            token,
            collector,
            key,
            key_name,
            member,
            notice,
            destination,
            browser,
            letters,
            job,
            lease,
            alert,
            incident,
            connection,
        }
    }

    /// A job of many tokens, of which one in a second may be tried.
    async fn job(&self, team: &str) -> String {
        for nth in 0..60 {
            let token = pb::Token {
                network: "networks/linkedin".to_owned(),
                kind: "user".to_owned(),
                person: format!("{team}-{nth}"),
                scopes: vec!["r_organization_social".to_owned()],
                ..Default::default()
            };
            let secrets = pb::TokenSecrets { access_token: format!("{team}-{nth}"), ..Default::default() };
            let (parent, token, secrets) = (format!("teams/{team}"), Some(token), Some(secrets));
            let add = pb::AddTokenRequest { parent, token, secrets, ..Default::default() };
            soon(TokenServiceClient::new(self.admin.clone()).add_token(add)).await.unwrap();
        }
        let (parent, network) = (format!("teams/{team}"), "networks/linkedin".to_owned());
        let request = pb::RenewAllTokensRequest { parent, network, ..Default::default() };
        let begun = soon(JobServiceClient::new(self.admin.clone()).renew_all_tokens(request)).await;
        begun.unwrap().into_inner().job.unwrap().name
    }

    /// An event of a team.
    async fn told(&self, team: &str) -> EventId {
        let (broker, id) = (&self.running.broker, EventId::generate());
        let fact = Fact::TokenExpired { network: "x".parse().unwrap(), token: TokenId::generate() };
        let (team, at, dedup_key) = (Some(team.parse().unwrap()), broker.now(), id.to_string());
        broker.store.append_events(vec![Event { id, at, team, fact, dedup_key }]).await.unwrap();
        id
    }

    async fn destination(&self, team: &str) -> String {
        let destination = pb::Destination {
            kind: pb::DestinationKind::Slack.into(),
            target: "https://localhost/hook".to_owned(),
            ..Default::default()
        };
        let (parent, destination) = (format!("teams/{team}"), Some(destination));
        let request = pb::CreateDestinationRequest { parent, destination, ..Default::default() };
        let made = soon(NoticeServiceClient::new(self.admin.clone()).create_destination(request)).await;
        made.unwrap().into_inner().destination.unwrap().name
    }

    async fn browser(&self, member: &str) -> String {
        let subscription = pb::PushSubscription {
            endpoint: format!("https://push.example.com/{member}"),
            p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
                .to_owned(),
            auth: "BTBZMqHH6r4Tts7J_aSIgg".to_owned(),
            ..Default::default()
        };
        let (parent, push_subscription) = (member.to_owned(), Some(subscription));
        let request = pb::CreatePushSubscriptionRequest { parent, push_subscription, ..Default::default() };
        let made = soon(PushServiceClient::new(self.admin.clone()).create_push_subscription(request)).await;
        made.unwrap().into_inner().push_subscription.unwrap().name
    }

    /// A message to nobody that was given up, as the store has it after its last attempt. It is not due for long, so that the broker itself
    /// leaves it alone.
    pub async fn dead_letter(&self, team: &str, nth: u32) -> String {
        let (store, now) = (&self.running.broker.store, self.running.broker.now());
        let later = now + Duration::from_secs(86_400);
        let (destination, event) = (format!("nobody/{team}/{nth}"), EventId::generate());
        let budget = Budget { per_hour: 1000, at_once: 1000 };
        let hearing = Hearing {
            destination: destination.clone(),
            event,
            from: later,
            in_quiet: false,
            weight: Weight::Single,
            budget,
        };
        store.tell(Telling { now, events: Vec::new(), hearings: vec![hearing] }).await.unwrap();
        let claim = ClaimLanes { now: later, until: later, failing: false, limit: 100 };
        let claimed = store.claim_lanes(claim).await.unwrap();
        let letter = claimed.iter().find(|letter| letter.destination == destination).unwrap();
        let error = "nobody is there".to_owned();
        assert!(store.mark(letter.id, letter.attempts, SendResult::Dead { error }, now).await.unwrap());
        format!("deadLetters/{}", letter.id)
    }

    /// Starts to connect an account at X, whose client is made known before.
    async fn start_connection(&self, team: &str) -> String {
        let app =
            pb::App { name: "networks/x/apps/default".to_owned(), client_id: "id".to_owned(), ..Default::default() };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["client_id".to_owned()] });
        let request = pb::UpdateAppRequest { app: Some(app), update_mask, ..Default::default() };
        soon(NetworkServiceClient::new(self.admin.clone()).update_app(request)).await.unwrap();
        let request = pb::StartConnectionRequest {
            parent: format!("teams/{team}"),
            network: "networks/x".to_owned(),
            kind: "user".to_owned(),
            purposes: vec![pb::Purpose::CollectContent.into()],
            ..Default::default()
        };
        let started = soon(ConnectionServiceClient::new(self.admin.clone()).start_connection(request)).await;
        started.unwrap().into_inner().connection.unwrap().name
    }

    /// The name of a collector of one network, the name of its key, and the key.
    async fn collector_of(&self, team: &str, name: &str, network: &str) -> (String, String, String) {
        let collector = pb::Collector {
            display_name: name.to_owned(),
            networks: vec![network.to_owned()],
            purposes: vec![pb::Purpose::CollectContent.into()],
            ..Default::default()
        };
        let (parent, collector) = (format!("teams/{team}"), Some(collector));
        let request = pb::CreateCollectorRequest { parent, collector, ..Default::default() };
        let made = soon(TeamServiceClient::new(self.admin.clone()).create_collector(request)).await;
        let collector = made.unwrap().into_inner().collector.unwrap().name;
        let (key_name, key) = self.make_key(pb::KeyRole::Collector, &collector).await;
        (collector, key_name, key)
    }

    /// The key of a new collector of one network.
    pub async fn collector(&self, team: &str, name: &str, network: &str) -> String {
        self.collector_of(team, name, network).await.2
    }

    /// An alert as the store has it after a time without tokens.
    async fn open_alert(&self, team: &str) -> String {
        self.put_alert(team, AlertKind::NoAccessTokens, &Detail::Access(NoToken::NoneConnected)).await
    }

    /// An alert as the store has it after a time of too high a load.
    pub async fn open_load_alert(&self, team: &str) -> String {
        let load = Load::new(300.0, 100.0, 1);
        let limit = Owner::App;
        let newcomer = Newcomer::OtherPeople;
        let advice = Advice::AddTokensUpTo { tokens: 3, newcomer, reaches: Ratio::Of(0.9), limit };
        let detail = LoadDetail::new(Span::FiveMinutes, &load, None, advice, &[("brand".into(), 0.7)]);
        self.put_alert(team, AlertKind::TokenLoadTooHigh, &Detail::Load(detail)).await
    }

    async fn put_alert(&self, team: &str, kind: AlertKind, detail: &Detail) -> String {
        let row = AlertRow {
            id: AlertId::generate(),
            dedup_key: format!("{} of {team}", kind.as_str()),
            kind: kind.as_str().to_owned(),
            team: team.parse().unwrap(),
            network: Some("youtube".parse().unwrap()),
            class: Some("quota".parse().unwrap()),
            level: Level::Critical.as_str().to_owned(),
            message: "There are too few tokens.".to_owned(),
            opened_at: self.running.broker.now(),
            cleared_at: None,
            acknowledged_at: None,
            acknowledged_by: None,
            acknowledge_comment: None,
            detail_json: serde_json::to_string(detail).unwrap(),
        };
        let name = format!("teams/{team}/alerts/{}", row.id);
        assert!(self.running.broker.store.open_alert(row, None).await.unwrap());
        name
    }

    /// An app of the team's name at a network, with a token of the team.
    async fn app_with_token(&self, network: &str, team: &str) {
        let parent = format!("networks/{network}");
        let app = pb::CreateAppRequest { parent: parent.clone(), app_id: team.to_owned(), ..Default::default() };
        soon(NetworkServiceClient::new(self.admin.clone()).create_app(app)).await.unwrap();
        let scopes = vec!["https://www.googleapis.com/auth/youtube.readonly".to_owned()];
        let mut add = token_of(team);
        let token = add.token.as_mut().unwrap();
        (token.app, token.network, token.scopes) = (format!("{parent}/apps/{team}"), parent, scopes);
        soon(TokenServiceClient::new(self.admin.clone()).add_token(add)).await.unwrap();
    }

    /// An incident of an app, as the broker finds it.
    pub async fn open_incident(&self, network: &str, app: &str) -> String {
        let broker = &self.running.broker;
        let now = broker.now();
        let found = Detected { kind: IncidentKind::NetworkReset, started_at: now, persons: 5 };
        let mut progress = Progress::begin(found, SeenIn::Calls, now);
        (progress.recovery.served, progress.recovery.refused) = (1, 2);
        let (network, app) = (network.parse().unwrap(), app.parse().unwrap());
        broker.engine.restore_incident(&network, &app, progress, &[]);
        broker.watch_incidents().await.unwrap();
        let open = IncidentFilter { network: Some(network), open: Some(true), before: None };
        let found = broker.store.list_incidents(open, 100).await.unwrap();
        format!("incidents/{}", found.into_iter().find(|found| found.app == app).unwrap().id)
    }

    /// Brings incidents up to date, as the broker does every second.
    pub async fn watch_incidents(&self) {
        self.running.broker.watch_incidents().await.unwrap();
    }

    /// Clears an alert as the broker does once the load has fallen.
    pub async fn clear_alert(&self, name: &str) {
        let (broker, id) = (&self.running.broker, name.rsplit('/').next().unwrap().parse().unwrap());
        let mut row = broker.store.find_alert(id).await.unwrap().unwrap();
        row.cleared_at = Some(broker.now());
        broker.store.update_alert(row, None).await.unwrap();
    }

    /// Works the loads out now, as the broker does every few seconds.
    pub fn measure_loads(&self) {
        self.running.broker.evaluate_loads();
    }

    /// How many events the audit has.
    pub async fn audited(&self) -> usize {
        self.audit_events().await.len()
    }

    /// The events of the audit, the newest first.
    pub async fn audit_events(&self) -> Vec<pb::AuditEvent> {
        let request = pb::ListAuditEventsRequest { page_size: 1000, ..Default::default() };
        let listed = soon(AuditServiceClient::new(self.admin.clone()).list_audit_events(request)).await;
        listed.unwrap().into_inner().audit_events
    }

    /// A client without a credential.
    pub async fn nobody(&self) -> Client {
        client(&self.running, None).await
    }

    pub async fn make_key(&self, role: pb::KeyRole, collector: &str) -> (String, String) {
        let key = pb::Key { role: role.into(), collector: collector.to_owned(), ..Default::default() };
        let request = pb::CreateKeyRequest { key: Some(key), ..Default::default() };
        let made = soon(KeyServiceClient::new(self.admin.clone()).create_key(request)).await.unwrap().into_inner();
        (made.key.unwrap().name, made.secret)
    }

    pub async fn client(&self, key: &str) -> Client {
        client(&self.running, Some(key)).await
    }

    async fn revoke(&self, name: &str) {
        let request = pb::RevokeKeyRequest { name: name.to_owned(), ..Default::default() };
        soon(KeyServiceClient::new(self.admin.clone()).revoke_key(request)).await.unwrap();
    }

    pub async fn stop(self) {
        self.running.tasks.stop();
        self.running.broker.store.close().await;
    }
}

async fn client(running: &Running, key: Option<&str>) -> Client {
    let server = format!("http://{}", running.grpc.local_addr());
    let key = key.map(|key| Secret::new(key.to_owned()));
    soon(connect(&ClientSettings { server, key, ca: None, identity: None })).await.unwrap()
}

fn token_of(team: &str) -> pb::AddTokenRequest {
    let scopes = ["tweet.read", "users.read", "like.read", "list.read", "offline.access"];
    let token = pb::Token {
        network: "networks/x".to_owned(),
        kind: "user".to_owned(),
        person: format!("person of {team}"),
        scopes: scopes.map(str::to_owned).to_vec(),
        ..Default::default()
    };
    let secrets = pb::TokenSecrets { access_token: format!("access-of-{team}"), ..Default::default() };
    let parent = format!("teams/{team}");
    pb::AddTokenRequest { parent, token: Some(token), secrets: Some(secrets), ..Default::default() }
}

fn search(team: &str) -> pb::AcquireLeaseRequest {
    pb::AcquireLeaseRequest {
        team: format!("teams/{team}"),
        network: "networks/x".to_owned(),
        operation: "tweets.search_recent".to_owned(),
        calls: 1,
        purpose: pb::Purpose::CollectContent.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_revoked_key_ends_the_streams_that_it_opened() {
    let bench = Bench::start().await;
    let acme = bench.side("acme").await;
    let ours = bench.client(&acme.key).await;
    let name = "teams/acme/load".to_owned();
    let watch = pb::WatchTeamLoadRequest { name, min_interval: Some(an_hour()), ..Default::default() };
    let mut loads = soon(LoadServiceClient::new(ours).watch_team_load(watch)).await.unwrap().into_inner();
    soon(loads.message()).await.unwrap().expect("the load at once");
    let (reader_name, reader) = bench.make_key(pb::KeyRole::Reader, "").await;
    let watch = pb::WatchAlertsRequest { parent: "teams/-".to_owned() };
    let reader = bench.client(&reader).await;
    let mut alerts = soon(AlertServiceClient::new(reader).watch_alerts(watch)).await.unwrap().into_inner();
    let synced = pb::WatchAlertsResponse { event: Some(pb::watch_alerts_response::Event::Synced(true)) };
    while soon(alerts.message()).await.unwrap().expect("that all is said") != synced {}
    bench.revoke(&acme.key_name).await;
    assert_eq!(reason(&soon(loads.message()).await.unwrap_err()), ErrorReason::KeyInvalid);
    bench.revoke(&reader_name).await;
    assert_eq!(reason(&soon(alerts.message()).await.unwrap_err()), ErrorReason::KeyInvalid);
    bench.stop().await;
}

fn an_hour() -> prost_types::Duration {
    prost_types::Duration::try_from(Duration::from_secs(3600)).unwrap()
}
