//! Changes that are asked for again: after a restart, at the same time, with other content, by somebody else.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use tonic::{Request, Response, Status};
use tonic_types::StatusExt;

use crate::base::ids::{EventId, TokenId};
use crate::config::Config;
use crate::domain::alert::{AlertKind, Detail, Level, NoToken};
use crate::domain::consent::NEWEST;
use crate::domain::incident::{Detected, IncidentKind, Progress, SeenIn};
use crate::domain::notice::{Budget, Event, Fact, Weight};
use crate::domain::team::{KeyHolder, OperatorRole};
use crate::grpc::alert_service::AlertServer;
use crate::grpc::authorization::{RULES, Rule};
use crate::grpc::connection_service::ConnectionServer;
use crate::grpc::consent_service::ConsentServer;
use crate::grpc::incident_service::IncidentServer;
use crate::grpc::job_service::JobServer;
use crate::grpc::key_service::KeyServer;
use crate::grpc::member_service::MemberServer;
use crate::grpc::network_service::NetworkServer;
use crate::grpc::notice_service::NoticeServer;
use crate::grpc::pb::{
    self, alert_service_server::AlertService, connection_service_server::ConnectionService,
    consent_service_server::ConsentService, incident_service_server::IncidentService, job_service_server::JobService,
    key_service_server::KeyService, member_service_server::MemberService, network_service_server::NetworkService,
    notice_service_server::NoticeService, profile_service_server::ProfileService, push_service_server::PushService,
    team_service_server::TeamService, token_service_server::TokenService,
};
use crate::grpc::profile_service::ProfileServer;
use crate::grpc::push_service::PushServer;
use crate::grpc::team_service::TeamServer;
use crate::grpc::token_service::TokenServer;
use crate::outbound::http::NetworkAnswer;
use crate::outbound::mail::FakeMail;
use crate::service::apps::UpdateApp;
use crate::service::connect::{CallbackQuery, Offer, Visitor};
use crate::service::requests::KEPT;
use crate::service::testing::{SCOPES, TestBroker};
use crate::store::{AlertRow, AuditFilter, ClaimLanes, Hearing, SendResult, Telling};

fn with_key<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

async fn audited(test: &TestBroker) -> usize {
    test.broker.store.list_audit(AuditFilter::default(), 1000).await.unwrap().len()
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

fn changed<Q>(mut request: Q, change: impl FnOnce(&mut Q)) -> Q {
    change(&mut request);
    request
}

/// Makes a call of an admin.
macro_rules! call {
    ($test:expr, $server:ident.$call:ident($request:expr)) => {
        $server($test.broker.clone()).$call(with_key(&$test.admin_key, $request)).await.map(Response::into_inner)
    };
}

/// Makes a change; then, after a restart, asks for it again, and for another one with the same id. Returns both answers.
macro_rules! twice {
    ($test:ident, $tried:ident, $server:ident.$call:ident($request:expr), $spoil:expr) => {{
        let mut request = $request;
        request.request_id = "once".to_owned();
        let first = call!($test, $server.$call(request.clone())).expect(stringify!($call));
        let before = audited(&$test).await;
        $test = $test.restart().await;
        let again = call!($test, $server.$call(request.clone())).expect(stringify!($call));
        let refused = call!($test, $server.$call(changed(request, $spoil))).expect_err(stringify!($call));
        assert_eq!(reason(&refused), "REQUEST_ID_REUSED", "{}", stringify!($call));
        assert_eq!(audited(&$test).await, before, "{} was made once", stringify!($call));
        $tried.push(stringify!($call).replace('_', ""));
        (first, again)
    }};
}

/// As [`twice!`], for a change whose repetition gets just the first answer.
macro_rules! same {
    ($($from:tt)*) => {{
        let (first, again) = twice!($($from)*);
        assert_eq!(first, again);
        first
    }};
}

fn team(id: &str) -> pb::CreateTeamRequest {
    pb::CreateTeamRequest { team_id: id.to_owned(), ..Default::default() }
}

fn x_token(person: &str) -> pb::AddTokenRequest {
    let token = pb::Token {
        network: "networks/x".to_owned(),
        kind: "user".to_owned(),
        person: person.to_owned(),
        scopes: SCOPES.map(str::to_owned).to_vec(),
        ..Default::default()
    };
    let secrets = pb::TokenSecrets {
        access_token: format!("access-of-{person}"),
        refresh_token: format!("refresh-of-{person}"),
        ..Default::default()
    };
    let (parent, request_id) = ("teams/acme".to_owned(), String::new());
    pb::AddTokenRequest { parent, token: Some(token), secrets: Some(secrets), request_id }
}

fn collector(name: &str) -> pb::CreateCollectorRequest {
    let collector = pb::Collector {
        display_name: name.to_owned(),
        networks: vec!["networks/-".to_owned()],
        purposes: vec![pb::Purpose::CollectContent as i32],
        ..Default::default()
    };
    pb::CreateCollectorRequest { parent: "teams/acme".to_owned(), collector: Some(collector), ..Default::default() }
}

fn top_up(units: i64) -> pb::TopUpBudgetRequest {
    pb::TopUpBudgetRequest {
        name: "networks/x/apps/default".to_owned(),
        credit_class: "post_reads".to_owned(),
        units,
        request_id: "once".to_owned(),
    }
}

/// Changes the name for people.
fn mask() -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: vec!["display_name".to_owned()] })
}

/// An open alert of team `acme`.
async fn alert(test: &TestBroker) -> String {
    let row = AlertRow {
        id: crate::base::ids::AlertId::generate(),
        dedup_key: "matter".to_owned(),
        kind: AlertKind::NoAccessTokens.as_str().to_owned(),
        team: "acme".parse().unwrap(),
        network: Some("x".parse().unwrap()),
        class: Some("post_reads".parse().unwrap()),
        level: Level::Critical.as_str().to_owned(),
        message: "There are no tokens.".to_owned(),
        opened_at: test.broker.now(),
        cleared_at: None,
        acknowledged_at: None,
        acknowledged_by: None,
        acknowledge_comment: None,
        detail_json: serde_json::to_string(&Detail::Access(NoToken::NoneConnected)).unwrap(),
    };
    let name = format!("teams/acme/alerts/{}", row.id);
    assert!(test.broker.store.open_alert(row, None).await.unwrap());
    name
}

/// An incident that the broker found.
async fn incident(test: &TestBroker) -> String {
    let (broker, now) = (&test.broker, test.broker.now());
    test.token(&test.team("hit").await, "hit").await;
    let found = Detected { kind: IncidentKind::NetworkReset, started_at: now, persons: 5 };
    let progress = Progress::begin(found, SeenIn::Calls, now);
    broker.engine.restore_incident(&"x".parse().unwrap(), &"default".parse().unwrap(), progress, &[]);
    broker.watch_incidents().await.unwrap();
    let listed = broker.store.list_incidents(crate::store::IncidentFilter::default(), 1).await.unwrap();
    format!("incidents/{}", listed[0].id)
}

#[tokio::test]
async fn a_change_is_made_once_whatever_restarts() {
    let mut config = Config::default();
    config.http.public_url = Some("https://tokens.example.com".parse().unwrap());
    let (mut test, mut tried) = (TestBroker::start_with(config).await, Vec::new());
    same!(test, tried, TeamServer.create_team(team("acme")), |ask| ask.team_id = "other".to_owned());
    let changed = pb::Team { name: "teams/acme".to_owned(), display_name: "Acme".to_owned(), ..Default::default() };
    let update = pb::UpdateTeamRequest { team: Some(changed), update_mask: mask(), ..Default::default() };
    same!(test, tried, TeamServer.update_team(update), |ask| ask.team.as_mut().unwrap().weight = 7);
    test = keys_and_collectors(test, &mut tried).await;
    test = members(test, &mut tried).await;
    test = apps(test, &mut tried).await;
    test = tokens(test, &mut tried).await;
    test = connections(test, &mut tried).await;
    test = jobs(test, &mut tried).await;
    test = notices(test, &mut tried).await;
    // A rotation has no content that could be another one.
    let rotate = pb::RotateSealingKeyRequest { request_id: "once".to_owned() };
    let first = call!(test, KeyServer.rotate_sealing_key(rotate.clone())).unwrap();
    test = test.restart().await;
    assert_eq!(call!(test, KeyServer.rotate_sealing_key(rotate)).unwrap(), first);
    tried.push("rotatesealingkey".to_owned());
    let acknowledge = pb::AcknowledgeAlertRequest { name: alert(&test).await, ..Default::default() };
    same!(test, tried, AlertServer.acknowledge_alert(acknowledge), |ask| ask.comment = "seen".to_owned());
    let name = incident(&test).await;
    let acknowledge = pb::AcknowledgeIncidentRequest { name: name.clone(), ..Default::default() };
    same!(test, tried, IncidentServer.acknowledge_incident(acknowledge), |ask| ask.comment = "seen".to_owned());
    let close = pb::CloseIncidentRequest { name, outcome: pb::IncidentOutcome::Lost.into(), ..Default::default() };
    same!(test, tried, IncidentServer.close_incident(close), |ask| ask.comment = "over".to_owned());
    let delete = pb::DeleteTeamRequest { name: "teams/acme".to_owned(), force: true, ..Default::default() };
    same!(test, tried, TeamServer.delete_team(delete), |ask| ask.force = false);
    test.stop().await;

    // An import has its own id, and a list changes nothing.
    let noted = RULES.iter().filter(|(_, rule)| *rule == Rule::Admin).map(|(name, _)| name.to_lowercase());
    let noted: BTreeSet<_> = noted.filter_map(|name| Some(name.split_once('/')?.1.to_owned())).collect();
    let tried = tried.into_iter().chain(["importtokens".to_owned(), "listkeys".to_owned()]);
    assert_eq!(tried.collect::<BTreeSet<_>>(), noted);
}

async fn notices(mut test: TestBroker, tried: &mut Vec<String>) -> TestBroker {
    let ada = pb::Member { mail: "reader@example.com".to_owned(), ..Default::default() };
    let invite = pb::InviteMemberRequest { parent: "teams/acme".to_owned(), member: Some(ada), ..Default::default() };
    let member = call!(test, MemberServer.invite_member(invite)).unwrap().member.unwrap().name;
    let event = told(&test).await;
    let read = pb::MarkNoticesReadRequest {
        parent: member.clone(),
        through: format!("{member}/notices/{event}"),
        ..Default::default()
    };
    same!(test, tried, NoticeServer.mark_notices_read(read), |ask| ask.notices = vec![ask.through.clone()]);
    let settings = pb::NoticeSettings { name: format!("{member}/noticeSettings"), ..Default::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["choices".to_owned()] });
    let update = pb::UpdateNoticeSettingsRequest { settings: Some(settings), update_mask, ..Default::default() };
    let quiet = |ask: &mut pb::UpdateNoticeSettingsRequest| {
        ask.update_mask.as_mut().unwrap().paths[0] = "quiet_hours".to_owned();
    };
    same!(test, tried, NoticeServer.update_notice_settings(update), quiet);
    test = destinations(test, tried).await;
    test = browsers(test, tried, member).await;
    let letters = [dead_letter(&test).await, dead_letter(&test).await];
    let other = letters[1].clone();
    let replay = pb::ReplayDeadLetterRequest { name: letters[0].clone(), ..Default::default() };
    same!(test, tried, NoticeServer.replay_dead_letter(replay), |ask| ask.name = other.clone());
    let purge = pb::PurgeDeadLetterRequest { name: other, ..Default::default() };
    same!(test, tried, NoticeServer.purge_dead_letter(purge), |ask| ask.name = letters[0].clone());
    test
}

async fn destinations(mut test: TestBroker, tried: &mut Vec<String>) -> TestBroker {
    let target = "all@example.com".to_owned();
    let destination = pb::Destination { kind: pb::DestinationKind::Mail.into(), target, ..Default::default() };
    let create = pb::CreateDestinationRequest {
        parent: "teams/acme".to_owned(),
        destination: Some(destination),
        ..Default::default()
    };
    let other = |ask: &mut pb::CreateDestinationRequest| ask.destination.as_mut().unwrap().target.push('m');
    let made = same!(test, tried, NoticeServer.create_destination(create), other).destination.unwrap();
    let renamed = pb::Destination { name: made.name.clone(), display_name: "All".to_owned(), ..Default::default() };
    let update = pb::UpdateDestinationRequest { destination: Some(renamed), update_mask: mask(), ..Default::default() };
    let other = |ask: &mut pb::UpdateDestinationRequest| ask.destination.as_mut().unwrap().display_name.clear();
    same!(test, tried, NoticeServer.update_destination(update), other);
    let other = format!("teams/acme/destinations/dst_{:032x}", 7);
    test.broker.notices.mail_by(Arc::new(FakeMail::default()));
    let send = pb::SendTestNoticeRequest { name: made.name.clone(), ..Default::default() };
    same!(test, tried, NoticeServer.send_test_notice(send), |ask| ask.name = other.clone());
    let delete = pb::DeleteDestinationRequest { name: made.name, ..Default::default() };
    same!(test, tried, NoticeServer.delete_destination(delete), |ask| ask.name = other);
    test
}

async fn browsers(mut test: TestBroker, tried: &mut Vec<String>, parent: String) -> TestBroker {
    let subscription = pb::PushSubscription {
        endpoint: "https://push.example.com/1".to_owned(),
        p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4".to_owned(),
        auth: "BTBZMqHH6r4Tts7J_aSIgg".to_owned(),
        ..Default::default()
    };
    let create =
        pb::CreatePushSubscriptionRequest { parent, push_subscription: Some(subscription), ..Default::default() };
    let other =
        |ask: &mut pb::CreatePushSubscriptionRequest| ask.push_subscription.as_mut().unwrap().endpoint.push('2');
    let made = same!(test, tried, PushServer.create_push_subscription(create), other).push_subscription.unwrap();
    let (other, delete) = (
        made.name.replace("psh_", "psh_f"),
        pb::DeletePushSubscriptionRequest { name: made.name, ..Default::default() },
    );
    let shorter = other[..other.len() - 1].to_owned();
    same!(test, tried, PushServer.delete_push_subscription(delete), |ask| ask.name = shorter);
    test
}

/// An event of team `acme`.
async fn told(test: &TestBroker) -> EventId {
    let id = EventId::generate();
    let fact = Fact::TokenExpired { network: "x".parse().unwrap(), token: TokenId::from_u128(9) };
    let event =
        Event { id, at: test.broker.now(), team: Some("acme".parse().unwrap()), fact, dedup_key: id.to_string() };
    test.broker.store.append_events(vec![event]).await.unwrap();
    id
}

/// A message that was given up. It is not due for long, so that the broker itself leaves it alone.
async fn dead_letter(test: &TestBroker) -> String {
    let (store, now, event) = (&test.broker.store, test.broker.now(), told(test).await);
    let destination = format!("nobody/{event}");
    let budget = Budget { per_hour: 9, at_once: 9 };
    let later = now + std::time::Duration::from_secs(86_400);
    let hearing = Hearing { destination, event, from: later, in_quiet: false, weight: Weight::Single, budget };
    store.tell(Telling { now, events: vec![event], hearings: vec![hearing] }).await.unwrap();
    let claim = ClaimLanes { now: later, until: later, failing: false, limit: 9 };
    let letter = store.claim_lanes(claim).await.unwrap().remove(0);
    let result = SendResult::Dead { error: "nobody is there".to_owned() };
    assert!(store.mark(letter.id, letter.attempts, result, now).await.unwrap());
    format!("deadLetters/{}", letter.id)
}

async fn jobs(mut test: TestBroker, tried: &mut Vec<String>) -> TestBroker {
    let (parent, network) = ("teams/acme".to_owned(), "networks/pinterest".to_owned());
    let begin = pb::RenewAllTokensRequest { parent: parent.clone(), network, ..Default::default() };
    same!(test, tried, JobServer.renew_all_tokens(begin), |ask| ask.network = "networks/tiktok".to_owned());
    let list = pb::ListJobsRequest { parent, ..Default::default() };
    let name = call!(test, JobServer.list_jobs(list)).unwrap().jobs[0].name.clone();
    let other = name.replace("job_", "job_f");
    let cancel = pb::CancelJobRequest { name: name.clone(), ..Default::default() };
    same!(test, tried, JobServer.cancel_job(cancel), |ask| ask.name = other[..other.len() - 1].to_owned());
    let resume = pb::ResumeJobRequest { name, ..Default::default() };
    same!(test, tried, JobServer.resume_job(resume), |ask| ask.name = other[..other.len() - 1].to_owned());
    test
}

/// A repetition of the start does not show the link again.
async fn connections(mut test: TestBroker, tried: &mut Vec<String>) -> TestBroker {
    let said = UpdateApp { client_id: Some("app".to_owned()), ..UpdateApp::default() };
    let (x, app) = ("x".parse().unwrap(), "default".parse().unwrap());
    test.broker.update_app(&test.admin, &x, &app, said).await.unwrap();
    let start = pb::StartConnectionRequest {
        parent: "teams/acme".to_owned(),
        network: "networks/x".to_owned(),
        kind: "user".to_owned(),
        purposes: vec![pb::Purpose::CollectContent.into()],
        ..Default::default()
    };
    let bob = |ask: &mut pb::StartConnectionRequest| ask.member = "bob".to_owned();
    let (first, again) = twice!(test, tried, ConnectionServer.start_connection(start.clone()), bob);
    assert!(!first.connect_link.is_empty() && again.connect_link.is_empty());
    assert_eq!(first.connection, again.connection);
    let link = first.connect_link.rsplit('/').next().unwrap();
    let sent = test.broker.begin_connection(Offer::Link(link), &Visitor::default(), NEWEST).await.unwrap();
    let state = sent.url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let token = r#"{"access_token":"a","refresh_token":"r","scope":"offline.access tweet.read users.read"}"#;
    for body in [token, r#"{"data":{"id":"7","username":"carl"}}"#] {
        let body = zeroize::Zeroizing::new(body.as_bytes().to_vec());
        test.endpoint.answer_next(Ok(NetworkAnswer { status: 200, headers: Vec::new(), body }));
    }
    let code = Some(crate::base::secret::Secret::new("code".to_owned()));
    let query = CallbackQuery { code, state, ..CallbackQuery::default() };
    test.broker.finish_consent(x, query, &Visitor { browser: Some(sent.browser), stay: None }).await.unwrap();
    let name = first.connection.unwrap().name;
    let complete =
        pb::CompleteConnectionRequest { name: name.clone(), text_version: NEWEST.to_owned(), ..Default::default() };
    same!(test, tried, ConnectionServer.complete_connection(complete), |ask| ask.profiles = vec!["7".to_owned()]);
    let second = call!(test, ConnectionServer.start_connection(start)).unwrap().connection.unwrap();
    let cancel = pb::CancelConnectionRequest { name: second.name, ..Default::default() };
    same!(test, tried, ConnectionServer.cancel_connection(cancel), |ask| ask.name = name);
    test
}

/// A repetition does not show the link again.
async fn members(mut test: TestBroker, tried: &mut Vec<String>) -> TestBroker {
    let ada = pb::Member { mail: "ada@example.com".to_owned(), ..Default::default() };
    let invite = pb::InviteMemberRequest { parent: "teams/acme".to_owned(), member: Some(ada), ..Default::default() };
    let other = |ask: &mut pb::InviteMemberRequest| ask.parent = "teams/other".to_owned();
    let (first, again) = twice!(test, tried, MemberServer.invite_member(invite), other);
    assert!(first.link.contains("tbi_") && again.link.is_empty());
    assert_eq!(first.member, again.member);
    let name = first.member.unwrap().name;
    let named = name.clone();
    let resend = pb::ResendInvitationRequest { name: name.clone(), ..Default::default() };
    let other = |ask: &mut pb::ResendInvitationRequest| ask.name.replace_range(ask.name.len() - 4.., "ffff");
    let (first, again) = twice!(test, tried, MemberServer.resend_invitation(resend), other);
    assert!(first.link.contains("tbi_") && again.link.is_empty());
    let renamed = pb::Member { name: name.clone(), display_name: "Ada".to_owned(), ..Default::default() };
    let update = pb::UpdateMemberRequest { member: Some(renamed), update_mask: mask(), ..Default::default() };
    same!(test, tried, MemberServer.update_member(update), |ask| ask.member.as_mut().unwrap().display_name.clear());
    let end = pb::EndSessionRequest { name: format!("{name}/sessions/ses_{:032x}", 1), ..Default::default() };
    same!(test, tried, MemberServer.end_session(end), |ask| ask.name.replace_range(ask.name.len() - 1.., "2"));
    let withdraw = pb::WithdrawInvitationRequest { name, ..Default::default() };
    same!(test, tried, MemberServer.withdraw_invitation(withdraw), |ask| ask.comment = "mistaken".to_owned());
    let profile = pb::Profile {
        team: "teams/acme".to_owned(),
        network: "networks/x".to_owned(),
        profile: "p1".to_owned(),
        display_name: "P".to_owned(),
        ..Default::default()
    };
    let update = pb::UpdateProfileRequest { profile: Some(profile), update_mask: mask(), ..Default::default() };
    same!(test, tried, ProfileServer.update_profile(update), |ask| ask.profile.as_mut().unwrap().display_name.clear());
    let remove = pb::RemoveMemberRequest { name: named, ..Default::default() };
    same!(test, tried, MemberServer.remove_member(remove), |ask| ask.comment = "bye".to_owned());
    test
}

async fn keys_and_collectors(mut test: TestBroker, tried: &mut Vec<String>) -> TestBroker {
    let made = same!(test, tried, TeamServer.create_collector(collector("one")), |ask| ask
        .collector
        .as_mut()
        .unwrap()
        .weight = 7);
    let made = made.collector.unwrap();
    let name = made.name.clone();
    let spoilt = pb::Collector { display_name: "two".to_owned(), ..made.clone() };
    let update = pb::UpdateCollectorRequest { collector: Some(spoilt), update_mask: mask(), ..Default::default() };
    same!(test, tried, TeamServer.update_collector(update), |ask| ask.collector.as_mut().unwrap().weight = 7);
    let disable = pb::DisableCollectorRequest { name: name.clone(), ..Default::default() };
    same!(test, tried, TeamServer.disable_collector(disable), |ask| ask.comment = "other".to_owned());
    let enable = pb::EnableCollectorRequest { name: name.clone(), ..Default::default() };
    same!(test, tried, TeamServer.enable_collector(enable), |ask| ask.comment = "other".to_owned());

    let key = pb::Key { role: pb::KeyRole::Reader as i32, ..Default::default() };
    let create = pb::CreateKeyRequest { key: Some(key), ..Default::default() };
    let (first, again) =
        twice!(test, tried, KeyServer.create_key(create), |ask| ask.key.as_mut().unwrap().display_name =
            "other".to_owned());
    assert!(first.secret.starts_with("tbk_") && again.secret.is_empty(), "a secret is shown once");
    assert_eq!(first.key, again.key);
    let revoke = pb::RevokeKeyRequest { name: first.key.unwrap().name, ..Default::default() };
    same!(test, tried, KeyServer.revoke_key(revoke), |ask| ask.comment = "other".to_owned());
    let delete = pb::DeleteCollectorRequest { name, ..Default::default() };
    same!(test, tried, TeamServer.delete_collector(delete), |ask| ask.force = true);
    test
}

async fn apps(mut test: TestBroker, tried: &mut Vec<String>) -> TestBroker {
    let (parent, app_id) = ("networks/x".to_owned(), "second".to_owned());
    let create = pb::CreateAppRequest { parent, app_id, ..Default::default() };
    same!(test, tried, NetworkServer.create_app(create), |ask| ask.app_id = "third".to_owned());
    let name = "networks/x/apps/second".to_owned();
    let app = pb::App { name, client_secret: "new".to_owned(), ..Default::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["client_secret".to_owned()] });
    let update = pb::UpdateAppRequest { app: Some(app), update_mask, ..Default::default() };
    let newer = |ask: &mut pb::UpdateAppRequest| ask.app.as_mut().unwrap().client_secret = "newer".to_owned();
    same!(test, tried, NetworkServer.update_app(update), newer);
    let budget = same!(test, tried, NetworkServer.top_up_budget(top_up(500)), |ask| ask.units = 501).budget;
    let delete = pb::DeleteAppRequest { name: "networks/x/apps/second".to_owned(), ..Default::default() };
    let other = |ask: &mut pb::DeleteAppRequest| ask.name.push_str("-one");
    same!(test, tried, NetworkServer.delete_app(delete), other);
    let shown = call!(test, NetworkServer.get_app(pb::GetAppRequest { name: top_up(0).name })).unwrap();
    assert_eq!(shown.app.unwrap().budgets, budget.into_iter().collect::<Vec<_>>(), "what was answered is so");
    test
}

async fn tokens(mut test: TestBroker, tried: &mut Vec<String>) -> TestBroker {
    let other = |ask: &mut pb::AddTokenRequest| ask.secrets.as_mut().unwrap().access_token.push('s');
    let token = same!(test, tried, TokenServer.add_token(x_token("ann")), other).token.unwrap();
    let name = || token.name.clone();
    let renamed = pb::Token { display_name: "Ann".to_owned(), ..token.clone() };
    let update = pb::UpdateTokenRequest { token: Some(renamed), update_mask: mask(), ..Default::default() };
    let other = |ask: &mut pb::UpdateTokenRequest| ask.token.as_mut().unwrap().display_name.clear();
    same!(test, tried, TokenServer.update_token(update), other);
    let client =
        pb::App { name: "networks/x/apps/default".to_owned(), client_id: "id".to_owned(), ..Default::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["client_id".to_owned()] });
    let client = pb::UpdateAppRequest { app: Some(client), update_mask, ..Default::default() };
    call!(test, NetworkServer.update_app(client)).unwrap();
    let body = zeroize::Zeroizing::new(br#"{"access_token":"second"}"#.to_vec());
    test.endpoint.answer_next(Ok(NetworkAnswer { status: 200, headers: Vec::new(), body }));
    let renew = pb::RenewTokenRequest { name: name(), ..Default::default() };
    same!(test, tried, TokenServer.renew_token(renew), |ask| {
        ask.name = format!("teams/acme/tokens/{}", crate::base::ids::TokenId::from_u128(1));
    });
    let body = zeroize::Zeroizing::new(br#"{"data":{}}"#.to_vec());
    test.endpoint.answer_next(Ok(NetworkAnswer { status: 200, headers: Vec::new(), body }));
    let probe = pb::ProbeTokenRequest { name: name(), ..Default::default() };
    same!(test, tried, TokenServer.probe_token(probe), |ask| {
        ask.name = format!("teams/acme/tokens/{}", crate::base::ids::TokenId::from_u128(1));
    });
    let pause = pb::PauseTokenRequest { name: name(), ..Default::default() };
    same!(test, tried, TokenServer.pause_token(pause), |ask| ask.comment = "other".to_owned());
    let resume = pb::ResumeTokenRequest { name: name(), ..Default::default() };
    same!(test, tried, TokenServer.resume_token(resume), |ask| ask.comment = "other".to_owned());
    let purposes = vec![pb::Purpose::CollectContent as i32];
    let withdraw = pb::WithdrawConsentRequest { token: name(), purposes, ..Default::default() };
    same!(test, tried, ConsentServer.withdraw_consent(withdraw), |ask| ask.comment = "other".to_owned());
    let reason = pb::TokenReason::PasswordChanged as i32;
    let invalidate = pb::InvalidateTokenRequest { name: name(), reason, ..Default::default() };
    same!(test, tried, TokenServer.invalidate_token(invalidate), |ask| ask.comment = "other".to_owned());
    let revoke = pb::RevokeTokenRequest { name: name(), ..Default::default() };
    same!(test, tried, TokenServer.revoke_token(revoke), |ask| ask.comment = "other".to_owned());
    test
}

#[tokio::test]
async fn a_change_asked_for_many_times_at_once_is_made_once() {
    let test = TestBroker::start().await;
    test.team("acme").await;
    let (before, many) = (audited(&test).await, 0..8);
    let created = join_all(many.clone().map(async |_| {
        let ask = pb::CreateCollectorRequest { request_id: "once".to_owned(), ..collector("one") };
        call!(test, TeamServer.create_collector(ask)).unwrap()
    }));
    let added = join_all(many.clone().map(async |_| {
        let ask = pb::AddTokenRequest { request_id: "once".to_owned(), ..x_token("ann") };
        call!(test, TokenServer.add_token(ask)).unwrap()
    }));
    let topped_up = join_all(many.map(async |_| call!(test, NetworkServer.top_up_budget(top_up(500))).unwrap()));
    let (created, added, topped_up) = tokio::join!(created, added, topped_up);
    assert!(created.iter().all(|one| *one == created[0]));
    assert!(added.iter().all(|one| *one == added[0]));
    assert!(topped_up.iter().all(|one| *one == topped_up[0]));
    assert_eq!(audited(&test).await, before + 4, "the app is put down with its first budget");
    test.stop().await;
}

#[tokio::test]
async fn who_found_nothing_to_do_does_nothing_later_either() {
    let test = TestBroker::start().await;
    test.team("acme").await;
    let name = call!(test, TokenServer.add_token(x_token("ann"))).unwrap().token.unwrap().name;
    let pause =
        |id: &str| pb::PauseTokenRequest { name: name.clone(), request_id: id.to_owned(), ..Default::default() };
    call!(test, TokenServer.pause_token(pause("one"))).unwrap();
    let second = call!(test, TokenServer.pause_token(pause("two"))).unwrap();
    call!(test, TokenServer.resume_token(pb::ResumeTokenRequest { name: name.clone(), ..Default::default() })).unwrap();
    assert_eq!(call!(test, TokenServer.pause_token(pause("two"))).unwrap(), second);
    let shown = call!(test, TokenServer.get_token(pb::GetTokenRequest { name })).unwrap().token.unwrap();
    assert_eq!(shown.state(), pb::TokenState::Live);
    test.stop().await;
}

#[tokio::test]
async fn an_id_is_its_callers_and_its_calls_own_and_free_after_a_day() {
    let mut test = TestBroker::start().await;
    let total = |test: &TestBroker| {
        let app = test.broker.app(&"x".parse().unwrap(), &"default".parse().unwrap());
        app.unwrap().budgets[0].total
    };
    let start = total(&test);
    call!(test, NetworkServer.top_up_budget(top_up(1))).unwrap();
    let second = test.key(KeyHolder::Operator(OperatorRole::Admin)).await;
    let first = std::mem::replace(&mut test.admin_key, second);
    call!(test, NetworkServer.top_up_budget(top_up(1))).unwrap();
    assert_eq!(total(&test), start + 2, "of two callers each has its own ids");
    let team = pb::CreateTeamRequest { request_id: "once".to_owned(), ..team("acme") };
    call!(test, TeamServer.create_team(team)).expect("of two calls each has its own ids");
    test.admin_key = first;
    call!(test, NetworkServer.top_up_budget(top_up(1))).unwrap();
    assert_eq!(total(&test), start + 2);
    test.clock.advance(KEPT);
    call!(test, NetworkServer.top_up_budget(top_up(1))).unwrap();
    assert_eq!(total(&test), start + 3, "a day later it is another request");
    test.stop().await;
}

#[tokio::test]
async fn a_refused_request_may_be_tried_again() {
    let test = TestBroker::start().await;
    let ask = || pb::CreateCollectorRequest { request_id: "once".to_owned(), ..collector("one") };
    assert_eq!(reason(&call!(test, TeamServer.create_collector(ask())).unwrap_err()), "TEAM_NOT_FOUND");
    test.team("acme").await;
    call!(test, TeamServer.create_collector(ask())).expect("the team is there now");
    test.stop().await;
}
