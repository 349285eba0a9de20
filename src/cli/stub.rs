//! A broker for tests of the command line: it speaks the API over a real socket and answers from a few facts. The tests of
//! whole commands are here, too.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};

use super::failure::Exit;
use super::terminal::Terminal;
use super::{Arguments, Command, command_of, perform};
use crate::base::clock::Timestamp;
use crate::base::tasks::Tasks;
use crate::grpc::pb;
use crate::grpc::pb::alert_service_server::{AlertService, AlertServiceServer};
use crate::grpc::pb::import_tokens_request::Content;
use crate::grpc::pb::key_service_server::{KeyService, KeyServiceServer};
use crate::grpc::pb::lease_service_server::{LeaseService, LeaseServiceServer};
use crate::grpc::pb::team_service_server::{TeamService, TeamServiceServer};
use crate::grpc::pb::token_service_server::{TokenService, TokenServiceServer};
use crate::grpc::pb::watch_alerts_response::Event;

const KEY: &str = "tbk_of_the_tests";
const ACCESS_TOKEN: &str = "canary-access-token";

/// What the stub knows and what it saw.
#[derive(Default)]
struct Facts {
    teams: usize,
    /// Refuse leases until this long from now.
    limited: Option<Duration>,
    /// Break imports off after this many messages of rows.
    breaks_after: Option<usize>,
    /// Largest page asked for.
    largest_page: i32,
    begins: Vec<pb::ImportBegin>,
    /// Imported rows by number, with how often each was sent.
    rows: BTreeMap<i64, usize>,
    largest_message: usize,
    committed: BTreeMap<String, i64>,
}

#[derive(Clone, Default)]
struct Stub(Arc<Mutex<Facts>>);

impl Stub {
    fn facts(&self) -> std::sync::MutexGuard<'_, Facts> {
        self.0.lock().expect("no test panics while it holds the lock")
    }

    fn page(&self, size: i32, token: &str) -> (Vec<pb::Team>, String) {
        let mut facts = self.facts();
        facts.largest_page = facts.largest_page.max(size);
        let start: usize = token.parse().unwrap_or(0);
        let end = facts.teams.min(start + usize::try_from(size).expect("sizes are positive"));
        let teams = (start..end).map(|at| pb::Team { name: format!("teams/team-{at:03}"), ..pb::Team::default() });
        let next = if end < facts.teams { end.to_string() } else { String::new() };
        (teams.collect(), next)
    }

    fn import(&self, content: Content) -> Result<pb::ImportTokensResponse, Status> {
        let mut facts = self.facts();
        match content {
            Content::Begin(begin) => {
                let committed_row = facts.committed.get(&begin.import_id).copied().unwrap_or_default();
                facts.begins.push(begin);
                Ok(pb::ImportTokensResponse { committed_row, ..Default::default() })
            }
            Content::Rows(rows) => {
                match &mut facts.breaks_after {
                    Some(0) => return Err(Status::unavailable("the stub ends")),
                    Some(left) => *left -= 1,
                    None => {}
                }
                facts.largest_message = facts.largest_message.max(rows.rows.len());
                Ok(facts.take(&rows.rows))
            }
        }
    }
}

impl Facts {
    /// Rejects tokens of the network `nowhere`.
    fn take(&mut self, rows: &[pb::ImportRow]) -> pb::ImportTokensResponse {
        let mut answer = pb::ImportTokensResponse::default();
        for row in rows {
            *self.rows.entry(row.row).or_default() += 1;
            let is_rejected = row.token.as_ref().is_some_and(|token| token.network == "networks/nowhere");
            let mut result = pb::ImportRowResult { row: row.row, ..Default::default() };
            result.set_outcome(pb::ImportOutcome::Added);
            if is_rejected {
                result.set_outcome(pb::ImportOutcome::Rejected);
                result.set_reason(pb::ErrorReason::UnknownNetwork);
                "token.network".clone_into(&mut result.field);
                "there is no such network".clone_into(&mut result.message);
            }
            answer.results.push(result);
            answer.committed_row = row.row;
        }
        let id = self.begins.last().expect("begin comes first").import_id.clone();
        self.committed.insert(id, answer.committed_row);
        answer.added = i64::try_from(self.rows.len()).expect("few");
        answer.rejected =
            answer.results.iter().filter(|one| one.outcome() == pb::ImportOutcome::Rejected).count() as i64;
        answer.added -= answer.rejected;
        answer
    }
}

/// Implements a service: the methods that are written out, and refusals for the others.
macro_rules! service {
    ($service:ident { $($real:tt)* } $($name:ident: $request:ident => $response:ident,)*) => {
        #[tonic::async_trait]
        impl $service for Stub {
            $($real)*
            $(
                async fn $name(&self, _: Request<pb::$request>) -> Result<Response<pb::$response>, Status> {
                    Err(Status::unimplemented("the stub does not do this"))
                }
            )*
        }
    };
}

service! { TeamService {
        async fn list_teams(&self, request: Request<pb::ListTeamsRequest>) -> Result<Response<pb::ListTeamsResponse>, Status> {
            let key = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
            assert_eq!(key, Some(format!("Bearer {KEY}").as_str()));
            let request = request.into_inner();
            let (teams, next_page_token) = self.page(request.page_size, &request.page_token);
            Ok(Response::new(pb::ListTeamsResponse { teams, next_page_token }))
        }

        async fn get_team(&self, _: Request<pb::GetTeamRequest>) -> Result<Response<pb::GetTeamResponse>, Status> {
            let mut details = ErrorDetails::new();
            details.set_error_info("TEAM_NOT_FOUND", pb::ERROR_DOMAIN, std::collections::HashMap::new());
            Err(Status::with_error_details(Code::NotFound, "there is no team 'nobody'", details))
        }

        async fn create_collector(
            &self,
            request: Request<pb::CreateCollectorRequest>,
        ) -> Result<Response<pb::CreateCollectorResponse>, Status> {
            let request = request.into_inner();
            let mut collector = request.collector.unwrap_or_default();
            collector.name = format!("{}/collectors/col_1", request.parent);
            Ok(Response::new(pb::CreateCollectorResponse { collector: Some(collector) }))
        }
    }
    create_team: CreateTeamRequest => CreateTeamResponse,
    update_team: UpdateTeamRequest => UpdateTeamResponse,
    delete_team: DeleteTeamRequest => DeleteTeamResponse,
    get_collector: GetCollectorRequest => GetCollectorResponse,
    list_collectors: ListCollectorsRequest => ListCollectorsResponse,
    update_collector: UpdateCollectorRequest => UpdateCollectorResponse,
    disable_collector: DisableCollectorRequest => DisableCollectorResponse,
    enable_collector: EnableCollectorRequest => EnableCollectorResponse,
    delete_collector: DeleteCollectorRequest => DeleteCollectorResponse,
}

service! { KeyService {
        async fn create_key(&self, request: Request<pb::CreateKeyRequest>) -> Result<Response<pb::CreateKeyResponse>, Status> {
            let mut key = request.into_inner().key.unwrap_or_default();
            "keys/key_1".clone_into(&mut key.name);
            Ok(Response::new(pb::CreateKeyResponse { key: Some(key), secret: "tbk_new".to_owned() }))
        }
    }
    list_keys: ListKeysRequest => ListKeysResponse,
    revoke_key: RevokeKeyRequest => RevokeKeyResponse,
    revoke_key_by_value: RevokeKeyByValueRequest => RevokeKeyByValueResponse,
    get_sealing: GetSealingRequest => GetSealingResponse,
    rotate_sealing_key: RotateSealingKeyRequest => RotateSealingKeyResponse,
}

service! { LeaseService {
        type CollectStream = ReceiverStream<Result<pb::CollectResponse, Status>>;

        async fn acquire_lease(
            &self,
            request: Request<pb::AcquireLeaseRequest>,
        ) -> Result<Response<pb::AcquireLeaseResponse>, Status> {
            if let Some(wait) = self.facts().limited {
                let mut details = ErrorDetails::new();
                details.set_error_info("LIMITED_UNTIL", pb::ERROR_DOMAIN, std::collections::HashMap::new());
                details.set_retry_info(Some(wait));
                return Err(Status::with_error_details(Code::ResourceExhausted, "the credit is used up", details));
            }
            let request = request.into_inner();
            let lease = pb::Lease {
                name: "leases/lse_1".to_owned(),
                team: request.team,
                network: request.network,
                access_token: ACCESS_TOKEN.to_owned(),
                calls_granted: request.calls,
                ..pb::Lease::default()
            };
            Ok(Response::new(pb::AcquireLeaseResponse { lease: Some(lease) }))
        }

        async fn collect(&self, _: Request<Streaming<pb::CollectRequest>>) -> Result<Response<Self::CollectStream>, Status> {
            Err(Status::unimplemented("the stub does not do this"))
        }
    }
    report_usage: ReportUsageRequest => ReportUsageResponse,
    extend_lease: ExtendLeaseRequest => ExtendLeaseResponse,
    release_lease: ReleaseLeaseRequest => ReleaseLeaseResponse,
    sign_proof: SignProofRequest => SignProofResponse,
    get_lease: GetLeaseRequest => GetLeaseResponse,
    list_leases: ListLeasesRequest => ListLeasesResponse,
}

service! { TokenService {
        type ImportTokensStream = ReceiverStream<Result<pb::ImportTokensResponse, Status>>;

        async fn import_tokens(
            &self,
            request: Request<Streaming<pb::ImportTokensRequest>>,
        ) -> Result<Response<Self::ImportTokensStream>, Status> {
            let (answers, stream) = tokio::sync::mpsc::channel(1);
            let stub = self.clone();
            let mut requests = request.into_inner();
            Tasks::default().spawn("import", async move {
                while let Ok(Some(request)) = requests.message().await {
                    let answer = stub.import(request.content.expect("every message has content"));
                    let is_end = answer.is_err();
                    if answers.send(answer).await.is_err() || is_end {
                        return;
                    }
                }
            });
            Ok(Response::new(ReceiverStream::new(stream)))
        }
    }
    add_token: AddTokenRequest => AddTokenResponse,
    get_token: GetTokenRequest => GetTokenResponse,
    list_tokens: ListTokensRequest => ListTokensResponse,
    list_dead_spans: ListDeadSpansRequest => ListDeadSpansResponse,
    update_token: UpdateTokenRequest => UpdateTokenResponse,
    pause_token: PauseTokenRequest => PauseTokenResponse,
    resume_token: ResumeTokenRequest => ResumeTokenResponse,
    revoke_token: RevokeTokenRequest => RevokeTokenResponse,
    renew_token: RenewTokenRequest => RenewTokenResponse,
    probe_token: ProbeTokenRequest => ProbeTokenResponse,
    invalidate_token: InvalidateTokenRequest => InvalidateTokenResponse,
}

service! { AlertService {
        type WatchAlertsStream = tokio_stream::Iter<std::vec::IntoIter<Result<pb::WatchAlertsResponse, Status>>>;

        async fn watch_alerts(&self, _: Request<pb::WatchAlertsRequest>) -> Result<Response<Self::WatchAlertsStream>, Status> {
            let alert = pb::Alert { name: "teams/acme/alerts/alr_1".to_owned(), ..pb::Alert::default() };
            let events = [Event::Alert(Box::new(alert)), Event::Synced(true)];
            let answers = events.map(|event| Ok(pb::WatchAlertsResponse { event: Some(event) }));
            Ok(Response::new(tokio_stream::iter(answers.into_iter().collect::<Vec<_>>())))
        }
    }
    list_alerts: ListAlertsRequest => ListAlertsResponse,
    get_alert: GetAlertRequest => GetAlertResponse,
    acknowledge_alert: AcknowledgeAlertRequest => AcknowledgeAlertResponse,
}

/// Text that is written by one and read by another.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("nobody panics with it").clone()).expect("text")
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics with it").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a command left behind.
struct Outcome {
    out: String,
    notices: String,
    result: Result<(), Exit>,
}

/// A running stub and a folder of the test's own.
struct Scene {
    stub: Stub,
    server: String,
    folder: tempfile::TempDir,
    tasks: Tasks,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Scene {
    async fn start(facts: Facts) -> Self {
        let stub = Stub(Arc::new(Mutex::new(facts)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let server = format!("http://{}", listener.local_addr().expect("bound"));
        let router = tonic::transport::Server::builder()
            .add_service(TeamServiceServer::new(stub.clone()))
            .add_service(KeyServiceServer::new(stub.clone()))
            .add_service(LeaseServiceServer::new(stub.clone()))
            .add_service(TokenServiceServer::new(stub.clone()))
            .add_service(AlertServiceServer::new(stub.clone()));
        let tasks = Tasks::default();
        let stop = tasks.clone();
        tasks.spawn("stub", async move {
            let incoming = TcpListenerStream::new(listener);
            router.serve_with_incoming_shutdown(incoming, stop.stopped()).await.expect("it serves");
        });
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("key");
        std::fs::write(&key, KEY).expect("written");
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
        Self { stub, server, folder, tasks }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    async fn run(&self, line: &str) -> Outcome {
        let key = self.path("key");
        let connection = ["token-broker", "--server", &self.server, "--key-file", &key];
        let arguments = connection.into_iter().chain(line.split_whitespace());
        let arguments = <Arguments as clap::Parser>::try_parse_from(arguments).expect("good usage");
        let Command::Client(command) = command_of(arguments) else { panic!("a call of the API") };
        let (out, notices) = (Shared::default(), Shared::default());
        let now = Timestamp::from_secs(1_700_000_000);
        let terminal =
            Terminal::to_writers(command.output.output, now, Box::new(out.clone()), Box::new(notices.clone()));
        let result = perform(*command, terminal).await;
        Outcome { out: out.text(), notices: notices.text(), result }
    }
}

#[tokio::test]
async fn tables_end_after_a_hundred_rows_and_say_so() {
    let scene = Scene::start(Facts { teams: 450, ..Facts::default() }).await;
    let outcome = scene.run("team list").await;
    assert_eq!(outcome.out.lines().count(), 101);
    assert_eq!(outcome.notices, "there are more than 100; raise --limit, or use --limit 0 for all\n");
    let outcome = scene.run("team list --limit 250").await;
    assert_eq!(outcome.out.lines().last().expect("has rows").split_whitespace().next(), Some("team-249"));
}

#[tokio::test]
async fn json_lists_have_all_pages() {
    let scene = Scene::start(Facts { teams: 450, ..Facts::default() }).await;
    let outcome = scene.run("team list --output json").await;
    let teams: Vec<serde_json::Value> = serde_json::from_str(&outcome.out).expect("an array");
    assert_eq!(teams.len(), 450);
    assert_eq!(teams[449]["name"], "teams/team-449");
    assert_eq!(scene.stub.facts().largest_page, 200);
    let outcome = scene.run("team list --output jsonl --limit 3").await;
    assert_eq!(outcome.out.lines().count(), 3);
    assert!(outcome.out.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

#[tokio::test]
async fn an_empty_list_is_no_error() {
    let scene = Scene::start(Facts::default()).await;
    assert_eq!(scene.run("team list --output json").await.out, "[]\n");
    let outcome = scene.run("team list").await;
    assert_eq!(
        (outcome.out.as_str(), outcome.notices.as_str()),
        ("", "there are no teams; make one with `token-broker team create`\n")
    );
}

const ACQUIRE: &str = "lease acquire --network x --operation search --purpose collect_content --calls 5";

#[tokio::test]
async fn a_refusal_for_now_says_when_and_has_its_exit_code() {
    let scene = Scene::start(Facts { limited: Some(Duration::from_secs(600)), ..Facts::default() }).await;
    let outcome = scene.run(&format!("{ACQUIRE} --team acme")).await;
    assert_eq!(outcome.result, Err(Exit::NotYet));
    assert_eq!(outcome.out, "");
    assert!(outcome.notices.starts_with("error: the credit is used up\n"), "{}", outcome.notices);
    assert!(outcome.notices.ends_with("  try again in 10 min\n  reason: LIMITED_UNTIL\n"), "{}", outcome.notices);
    let outcome = scene.run(&format!("{ACQUIRE} --team acme --output json")).await;
    let error: serde_json::Value = serde_json::from_str(&outcome.notices).expect("JSON");
    assert_eq!(error["error"]["retryAfterSeconds"], 600.0);
}

#[tokio::test]
async fn an_access_token_is_shown_only_on_request() {
    let scene = Scene::start(Facts { teams: 1, ..Facts::default() }).await;
    for form in ["", " --output json"] {
        let outcome = scene.run(&format!("{ACQUIRE}{form}")).await;
        assert_eq!(outcome.result, Ok(()));
        assert!(outcome.out.contains("team-000"), "the only team is taken: {}", outcome.out);
        assert!(!outcome.out.contains(ACCESS_TOKEN) && !outcome.notices.contains(ACCESS_TOKEN));
        assert!(outcome.notices.contains("--show-token"), "{}", outcome.notices);
        let outcome = scene.run(&format!("{ACQUIRE} --show-token{form}")).await;
        assert!(outcome.out.contains(ACCESS_TOKEN), "{}", outcome.out);
    }
    let file = scene.path("access");
    let outcome = scene.run(&format!("{ACQUIRE} --token-file {file}")).await;
    assert!(!outcome.out.contains(ACCESS_TOKEN));
    assert_eq!(std::fs::read_to_string(file).expect("written"), ACCESS_TOKEN);
}

#[tokio::test]
async fn several_teams_need_a_choice() {
    let scene = Scene::start(Facts { teams: 2, ..Facts::default() }).await;
    let outcome = scene.run(ACQUIRE).await;
    assert_eq!(outcome.result, Err(Exit::Usage));
    assert!(outcome.notices.contains("--team"), "{}", outcome.notices);
}

#[tokio::test]
async fn a_new_collector_prints_its_key_once() {
    let scene = Scene::start(Facts::default()).await;
    let outcome = scene.run("collector create crawler --team acme --network x --purpose collect_content").await;
    assert_eq!(outcome.out.matches("tbk_new").count(), 1, "{}", outcome.out);
    assert!(outcome.notices.contains("can't be shown again"));
    let outcome = scene.run("collector create crawler --team acme --output json").await;
    let value: serde_json::Value = serde_json::from_str(&outcome.out).expect("JSON");
    assert_eq!(value["secret"], "tbk_new");
    assert_eq!(value["collector"]["name"], "teams/acme/collectors/col_1");
    let outcome = scene.run("collector create crawler --team acme --no-key").await;
    assert!(!outcome.out.contains("tbk_new"));
}

#[tokio::test]
async fn what_is_missing_has_its_exit_code() {
    let scene = Scene::start(Facts::default()).await;
    let outcome = scene.run("team show nobody").await;
    assert_eq!(outcome.result, Err(Exit::NotFound));
    assert!(outcome.notices.contains("`token-broker team list`"), "{}", outcome.notices);
    let outcome = scene.run("collector create x --team acme --server http://127.0.0.1:1").await;
    assert_eq!(outcome.result, Err(Exit::Unavailable));
    assert!(outcome.notices.contains("no broker answers at http://127.0.0.1:1"), "{}", outcome.notices);
}

#[tokio::test]
async fn alerts_are_watched_line_by_line() {
    let scene = Scene::start(Facts::default()).await;
    let outcome = scene.run("alerts watch --team acme --output json").await;
    let alert: serde_json::Value = serde_json::from_str(outcome.out.trim_end()).expect("one line");
    assert_eq!(alert["name"], "teams/acme/alerts/alr_1");
    assert!(outcome.notices.starts_with("these are open; watching for news\n"), "{}", outcome.notices);
    assert!(outcome.notices.contains("the broker ended the watch"), "{}", outcome.notices);
    assert_eq!(outcome.result, Err(Exit::Unavailable), "whoever relies on the watch must know");
}

#[tokio::test]
async fn an_import_lists_what_was_rejected_and_takes_the_rest() {
    let scene = Scene::start(Facts::default()).await;
    let file = scene.path("tokens.csv");
    let rows = "network,kind,access_token,reserve_percent\n\
        x,user,canary-1,\nnowhere,user,canary-2,\nx,,canary-3,\nx,user,canary-4,lots\nx,user,canary-5,20\n";
    std::fs::write(&file, rows).expect("written");
    let outcome = scene.run(&format!("token import {file} --team acme --output json")).await;
    assert_eq!(outcome.result, Err(Exit::Failed));
    let summary: serde_json::Value = serde_json::from_str(&outcome.out).expect("JSON");
    assert_eq!((&summary["added"], &summary["rejected"]), (&2.into(), &3.into()));
    let errors = std::fs::read_to_string(scene.path("tokens.csv.errors.csv")).expect("written");
    let expected = "row,reason,field,message\n3,UNKNOWN_NETWORK,token.network,there is no such network\n\
        4,INVALID_FIELD,kind,is missing\n5,INVALID_FIELD,reserve_percent,must be a whole number\n";
    assert_eq!(errors, expected);
    assert!(![outcome.out, outcome.notices, errors].concat().contains("canary"));
    assert_eq!(scene.stub.facts().rows.keys().copied().collect::<Vec<_>>(), [2, 3, 6]);
}

#[tokio::test]
async fn an_import_goes_on_where_it_broke_off() {
    let scene = Scene::start(Facts { breaks_after: Some(2), ..Facts::default() }).await;
    let file = scene.path("tokens.jsonl");
    let row = "{\"network\":\"x\",\"kind\":\"user\",\"access_token\":\"secret\"}\n";
    std::fs::write(&file, row.repeat(3000)).expect("written");
    let line = format!("token import {file} --team acme");
    let outcome = scene.run(&line).await;
    assert_eq!(outcome.result, Err(Exit::Unavailable));
    assert!(outcome.notices.contains("rows up to 1000 are done"), "{}", outcome.notices);
    scene.stub.facts().breaks_after = None;
    let outcome = scene.run(&line).await;
    assert_eq!(outcome.result, Ok(()), "{}", outcome.notices);
    assert_eq!(outcome.out, "3,000 added, 0 brought up to date, 0 unchanged, 0 rejected\n");
    let facts = scene.stub.facts();
    assert_eq!(facts.rows.len(), 3000);
    assert!(facts.rows.values().all(|times| *times == 1), "nothing is sent twice once it was done");
    assert_eq!(facts.largest_message, 500);
    assert_eq!(facts.begins[0].import_id, facts.begins[1].import_id);
}

#[tokio::test]
async fn a_dry_run_is_another_import() {
    let scene = Scene::start(Facts::default()).await;
    let file = scene.path("tokens.csv");
    std::fs::write(&file, "network,kind,access_token\nx,user,secret\n").expect("written");
    let outcome = scene.run(&format!("token import {file} --team acme --dry-run")).await;
    assert!(outcome.out.starts_with("1 would be added"), "{}", outcome.out);
    scene.run(&format!("token import {file} --team acme")).await;
    let facts = scene.stub.facts();
    assert!(facts.begins[0].validate_only && !facts.begins[1].validate_only);
    assert_ne!(facts.begins[0].import_id, facts.begins[1].import_id);
}
