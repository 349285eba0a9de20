//! Loads, alerts and incidents as clients see them.

use futures_util::StreamExt;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::base::ids::{AlertId, EventId};
use crate::domain::incident::{Detected, IncidentKind, Outcome, Progress, SeenIn};
use crate::domain::notice::{Event as Notable, Fact};
use crate::grpc::alert_service::AlertServer;
use crate::grpc::incident_service::IncidentServer;
use crate::grpc::load_service::LoadServer;
use crate::grpc::member_service::MemberServer;
use crate::grpc::notice_service::NoticeServer;
use crate::grpc::pb::watch_alerts_response::Event;
use crate::grpc::pb::watch_incidents_response::Event as IncidentEvent;
use crate::grpc::pb::{
    self, alert_service_server::AlertService, incident_service_server::IncidentService,
    load_service_server::LoadService, member_service_server::MemberService, notice_service_server::NoticeService,
};
use crate::service::testing::TestBroker;
use crate::service::watched::{HOLD, ROUND, Watched};

/// The span that loads are judged over.
const MINUTES_5: std::time::Duration = std::time::Duration::from_secs(300);

/// A request of the operator who has the first key.
fn with_key<T>(watched: &Watched, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let key = watched.first_key.as_ref().unwrap().expose();
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn a_load_is_shown_with_its_advice() {
    let mut watched = Watched::start(|_| {}).await;
    watched.add_tokens(2).await;
    watched.rounds("search", 16, MINUTES_5).await;
    let server = LoadServer(watched.broker.clone());
    let ask = |name: &str, network: &str| pb::GetTeamLoadRequest { name: name.to_owned(), network: network.to_owned() };
    let shown = server.get_team_load(with_key(&watched, ask("teams/acme/load", "networks/net"))).await.unwrap();
    let load = shown.into_inner().team_load.unwrap();
    assert_eq!((load.name.as_str(), load.level()), ("teams/acme/load", pb::LoadLevel::Critical));
    let search = load.classes.iter().find(|class| class.credit_class == "search").unwrap();
    let advice = search.advice.as_ref().unwrap();
    assert_eq!(advice.text, "4 more net tokens bring the load to 0.8");
    assert_eq!((advice.tokens_needed, advice.target_ratio, advice.limit_belongs_to_app), (4, 0.8, false));
    let five_minutes = &search.spans[0];
    assert_eq!((five_minutes.demand, five_minutes.supply, five_minutes.ratio), (480.0, 200.0, Some(2.4)));
    assert_eq!((search.level_span, search.spans.len()), (five_minutes.span, 4));
    let refused = [
        ("teams/nobody/load", "", Code::NotFound, "TEAM_NOT_FOUND"),
        ("acme", "", Code::InvalidArgument, "INVALID_FIELD"),
    ];
    for (name, network, code, why) in refused {
        let status = server.get_team_load(with_key(&watched, ask(name, network))).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, why), "{name}");
    }
    let stranger = server.get_team_load(Request::new(ask("teams/acme/load", ""))).await.unwrap_err();
    assert_eq!(stranger.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn loads_are_listed_page_by_page_and_watched() {
    let mut watched = Watched::start(|_| {}).await;
    watched.add_tokens(2).await;
    watched.add_team("other").await;
    watched.rounds("search", 16, MINUTES_5).await;
    let server = LoadServer(watched.broker.clone());
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let ask = pb::ListTeamLoadsRequest { page_size: 1, page_token, ..Default::default() };
        let page = server.list_team_loads(with_key(&watched, ask)).await.unwrap().into_inner();
        names.extend(page.team_loads.into_iter().map(|load| load.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["teams/acme/load", "teams/other/load"]);
    let worst = pb::ListTeamLoadsRequest { min_level: pb::LoadLevel::Critical.into(), ..Default::default() };
    let page = server.list_team_loads(with_key(&watched, worst)).await.unwrap().into_inner();
    assert_eq!(page.team_loads.len(), 1);
    let ask = pb::WatchTeamLoadRequest { name: "teams/acme/load".to_owned(), ..Default::default() };
    let mut loads = server.watch_team_load(with_key(&watched, ask)).await.unwrap().into_inner();
    let first = loads.next().await.unwrap().unwrap().team_load.unwrap();
    assert_eq!(first.level(), pb::LoadLevel::Critical);
}

#[tokio::test]
async fn a_what_if_shows_both_loads() {
    let mut watched = Watched::start(|_| {}).await;
    watched.add_tokens(2).await;
    watched.rounds("search", 16, MINUTES_5).await;
    let server = LoadServer(watched.broker.clone());
    let added = |kind: &str| pb::AddedTokens {
        network: "networks/net".to_owned(),
        kind: kind.to_owned(),
        count: 4,
        facts: Default::default(),
    };
    let ask = |kind| pb::EstimateLoadRequest {
        team: "teams/acme".to_owned(),
        collections: Vec::new(),
        tokens: vec![added(kind)],
    };
    let answer = server.estimate_load(with_key(&watched, ask("user"))).await.unwrap().into_inner();
    let spans = |load: Option<pb::TeamLoad>| {
        let class = load.unwrap().classes.into_iter().find(|class| class.credit_class == "search").unwrap();
        class.spans.into_iter().map(|span| span.supply).collect::<Vec<_>>()
    };
    assert_eq!(spans(answer.present), [200.0, 600.0, 2400.0, 57_600.0]);
    assert_eq!(spans(answer.estimated), [600.0, 1800.0, 7200.0, 172_800.0]);
    let unknown = server.estimate_load(with_key(&watched, ask("page"))).await.unwrap_err();
    assert_eq!(reason(&unknown), "UNKNOWN_KIND");
}

#[tokio::test]
async fn alerts_are_listed_watched_and_acknowledged() {
    let mut watched = Watched::start(|_| {}).await;
    let server = AlertServer(watched.broker.clone());
    let ask = pb::WatchAlertsRequest { parent: "teams/-".to_owned() };
    let mut events = server.watch_alerts(with_key(&watched, ask)).await.unwrap().into_inner();
    let next = events.next().await.unwrap().unwrap().event.unwrap();
    assert_eq!(next, Event::Synced(true));
    watched.rounds("search", 16, HOLD + ROUND).await;
    let Some(Event::Alert(opened)) = events.next().await.unwrap().unwrap().event else { panic!("no alert") };
    assert_eq!((opened.kind(), opened.state()), (pb::AlertKind::NoAccessTokens, pb::AlertState::Open));
    assert_eq!(opened.level(), pb::LoadLevel::NoTokens);
    let seen = |comment: &str| pb::AcknowledgeAlertRequest {
        name: opened.name.clone(),
        comment: comment.to_owned(),
        request_id: "one".to_owned(),
    };
    let first = server.acknowledge_alert(with_key(&watched, seen("on it"))).await.unwrap().into_inner();
    let again = server.acknowledge_alert(with_key(&watched, seen("on it"))).await.unwrap().into_inner();
    assert_eq!(first, again);
    assert_eq!(first.alert.as_ref().unwrap().state(), pb::AlertState::Acknowledged);
    let reused = server.acknowledge_alert(with_key(&watched, seen("other"))).await.unwrap_err();
    assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
    let Some(Event::Alert(told)) = events.next().await.unwrap().unwrap().event else { panic!("no alert") };
    assert_eq!(Some(*told), first.alert);
    let list = pb::ListAlertsRequest { parent: "teams/acme".to_owned(), ..Default::default() };
    let listed = server.list_alerts(with_key(&watched, list)).await.unwrap().into_inner();
    assert_eq!((listed.alerts, listed.next_page_token.as_str()), (vec![first.alert.unwrap()], ""));
    let name = opened.name.replace("acme", "other");
    let foreign = server.get_alert(with_key(&watched, pb::GetAlertRequest { name })).await.unwrap_err();
    assert_eq!(reason(&foreign), "ALERT_NOT_FOUND");
}

#[tokio::test]
async fn a_reader_that_falls_behind_begins_anew() {
    let mut watched = Watched::start(|_| {}).await;
    watched.rounds("search", 16, HOLD + ROUND).await;
    let server = AlertServer(watched.broker.clone());
    let ask = pb::WatchAlertsRequest { parent: "teams/acme".to_owned() };
    let mut events = server.watch_alerts(with_key(&watched, ask)).await.unwrap().into_inner();
    let open = watched.broker.open_alerts(None).await.unwrap().remove(0);
    for _ in 0..3000 {
        watched.broker.watch.tell_alert(open.clone());
    }
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(match events.next().await.unwrap().unwrap().event.unwrap() {
            Event::Alert(_) => "alert",
            Event::Synced(_) => "synced",
            Event::Restarted(_) => "restarted",
        });
    }
    assert_eq!(seen, ["alert", "synced", "restarted", "alert", "synced"]);
}

#[tokio::test]
async fn a_member_watches_its_notices_and_is_told_if_it_misses_some() {
    use pb::watch_notices_response::Event as Told;
    let watched = Watched::start(|_| {}).await;
    let ada = pb::Member { mail: "ada@example.com".to_owned(), ..Default::default() };
    let ask = pb::InviteMemberRequest { parent: "teams/acme".to_owned(), member: Some(ada), ..Default::default() };
    let members = MemberServer(watched.broker.clone());
    let parent = members.invite_member(with_key(&watched, ask)).await.unwrap().into_inner().member.unwrap().name;
    let server = NoticeServer(watched.broker.clone());
    let ask = |parent: String| with_key(&watched, pb::WatchNoticesRequest { parent });
    let mut events = server.watch_notices(ask(parent.clone())).await.unwrap().into_inner();
    assert_eq!(events.next().await.unwrap().unwrap().event, Some(Told::Synced(true)));
    let event = |team: &str| {
        let (id, fact) = (
            EventId::generate(),
            Fact::LoadCleared {
                network: "net".parse().unwrap(),
                class: "search".parse().unwrap(),
                alert: AlertId::generate(),
            },
        );
        let team = Some(team.parse().unwrap());
        Notable { id, at: watched.broker.now(), team, fact, dedup_key: id.to_string() }
    };
    // What is told to another team passes by.
    watched.broker.store.append_events(vec![event("other"), event("acme")]).await.unwrap();
    watched.tell().await;
    let Some(Told::Notice(notice)) = events.next().await.unwrap().unwrap().event else { panic!("no notice") };
    assert_eq!((notice.kind(), notice.read), (pb::NoticeKind::LoadCleared, false));
    assert!(notice.name.starts_with(&format!("{parent}/notices/evt_")), "{}", notice.name);
    let many = (0..1500).map(|_| event("acme")).collect();
    watched.broker.store.append_events(many).await.unwrap();
    watched.tell().await;
    assert_eq!(events.next().await.unwrap().unwrap().event, Some(Told::Missed(true)));
    assert!(matches!(events.next().await.unwrap().unwrap().event, Some(Told::Notice(_))), "the rest follows");
    let nobody = server.watch_notices(ask(parent.replace("mem_", "mem_f")[..parent.len()].to_owned())).await;
    assert_eq!(reason(&nobody.err().unwrap()), "MEMBER_NOT_FOUND");
}

#[tokio::test]
async fn incidents_are_watched() {
    let test = TestBroker::start().await;
    test.token(&test.team("acme").await, "ann").await;
    let server = IncidentServer(test.broker.clone());
    let with_key = || {
        let mut request = Request::new(pb::WatchIncidentsRequest {});
        request.metadata_mut().insert("authorization", format!("Bearer {}", test.admin_key).parse().unwrap());
        request
    };
    let mut events = server.watch_incidents(with_key()).await.unwrap().into_inner();
    let now = test.broker.now();
    let found = Detected { kind: IncidentKind::NetworkReset, started_at: now, persons: 5 };
    let progress = Progress::begin(found, SeenIn::Calls, now);
    test.broker.engine.restore_incident(&"x".parse().unwrap(), &"default".parse().unwrap(), progress, &[]);
    test.broker.watch_incidents().await.unwrap();
    assert_eq!(next_of(&mut events).await, IncidentEvent::Synced(true));
    let IncidentEvent::Incident(opened) = next_of(&mut events).await else { panic!("no incident") };
    assert_eq!((opened.state(), opened.persons), (pb::IncidentState::Open, 5));
    let id = opened.name.rsplit('/').next().unwrap().parse().unwrap();
    // Two changes that are not read become one.
    test.broker.acknowledge_incident(&test.admin, id, "seen").await.unwrap();
    test.broker.close_incident(&test.admin, id, Outcome::Recovered, "over").await.unwrap();
    let IncidentEvent::Incident(closed) = next_of(&mut events).await else { panic!("no incident") };
    assert_eq!((&closed.name, closed.state()), (&opened.name, pb::IncidentState::Closed));
    let mut late = server.watch_incidents(with_key()).await.unwrap().into_inner();
    assert_eq!(next_of(&mut late).await, IncidentEvent::Synced(true), "what is over is not shown again");
    test.stop().await;
}

async fn next_of(
    events: &mut (impl futures_util::Stream<Item = Result<pb::WatchIncidentsResponse, Status>> + Unpin),
) -> IncidentEvent {
    events.next().await.unwrap().unwrap().event.unwrap()
}
