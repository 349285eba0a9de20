//! Every call of the API, tried by everybody: who is let in, and that no name of one team reaches what is of another.
//!
//! The table has a row for each call of the descriptors; a call without one fails the test. What a row expects is written down here once
//! more, apart from the rules that the broker goes by.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, Value};
use token_broker::grpc::client::Client;
use token_broker::grpc::pb::{self, ErrorReason};

use crate::dynamic::{answered, message, pool};
use crate::rules::{Bench, Side};

/// Who may make a call, and what about it depends on the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody, without a key.
    Everybody,
    /// Whoever shows a key.
    Known,
    /// Operators, and collectors of the team.
    OfTeam,
    /// Collectors of the team that may use the network, and admins.
    Lessee,
    /// Who holds the lease.
    Holder,
    /// Who holds the lease, and admins.
    LastReport,
    /// Who holds the lease, and operators.
    OfHolder,
    /// Operators.
    Reader,
    /// Operators who may change things.
    Admin,
    /// Operators; a reader comes before the member left.
    Departed,
    /// The same, who learn that the token has no refresh token: nothing is asked of a network.
    Renewer,
    /// Who may change things, who learn that the destination can't be reached: nothing is sent to a private address.
    Tester,
    /// Who may check tokens; this one is dead.
    Prober,
    /// Operators, who learn that nobody has given consent yet.
    ReaderTooEarly,
    /// Operators who may change things, who learn the same.
    AdminTooEarly,
}

/// Without a credential, with a key that is none, a collector of another team, one of the team without the scope, a reader, an admin.
const CALLERS: usize = 6;

/// Why each caller is refused; `None`: it is let in.
fn decisions(who: Who) -> [Option<ErrorReason>; CALLERS] {
    use ErrorReason as R;
    let (missing, invalid) = (Some(R::KeyMissing), Some(R::KeyInvalid));
    let (role, team, lease) = (Some(R::RoleNotAllowed), Some(R::TeamNotAllowed), Some(R::LeaseNotFound));
    match who {
        Who::Everybody => [None; CALLERS],
        Who::Known => [missing, invalid, None, None, None, None],
        Who::OfTeam => [missing, invalid, team, None, None, None],
        Who::Lessee => [missing, invalid, team, Some(R::NetworkNotAllowed), role, None],
        Who::Holder => [missing, invalid, lease, lease, role, lease],
        Who::LastReport => [missing, invalid, lease, lease, role, None],
        Who::OfHolder => [missing, invalid, lease, lease, None, None],
        Who::Reader => [missing, invalid, role, role, None, None],
        Who::Departed => [missing, invalid, role, role, Some(R::MemberState), None],
        Who::Admin => [missing, invalid, role, role, role, None],
        Who::ReaderTooEarly => [missing, invalid, role, role, Some(R::ConnectionNotReady), Some(R::ConnectionNotReady)],
        Who::AdminTooEarly => [missing, invalid, role, role, role, Some(R::ConnectionNotReady)],
        Who::Prober => [missing, invalid, role, role, role, Some(R::TokenState)],
        Who::Tester => [missing, invalid, role, role, role, Some(R::NotSent)],
        Who::Renewer => [missing, invalid, role, role, role, Some(R::TokenNotRenewable)],
    }
}

const SEARCH: &str =
    r#"network: "networks/x" operation: "tweets.search_recent" calls: 1 purpose: PURPOSE_COLLECT_CONTENT"#;

const SCOPES: &str = r#"scopes: ["tweet.read", "users.read", "like.read", "list.read", "offline.access"]"#;

/// Each call with a request that its callers may make, in an order in which an admin can make all of them. `<…>` stands for what the team
/// `acme` has.
pub const CALLS: &[(&str, Who, &str)] = &[
    ("LeaseService/AcquireLease", Who::Lessee, r#"team: "<team>" <search>"#),
    ("LeaseService/Collect", Who::Lessee, r#"tag: 1 acquire { team: "<team>" <search> }"#),
    ("LeaseService/ReportUsage", Who::Holder, r#"lease: "<lease>" sequence: 1 calls { ok: 1 }"#),
    ("LeaseService/ExtendLease", Who::Holder, r#"lease: "<lease>""#),
    ("LeaseService/SignProof", Who::Holder, r#"lease: "<lease>" method: "GET" url: "https://api.x.com/2/users/me""#),
    ("LeaseService/GetLease", Who::OfHolder, r#"name: "<lease>""#),
    ("LeaseService/ListLeases", Who::Reader, r#"team: "<team>" token: "<token>""#),
    ("LoadService/GetTeamLoad", Who::OfTeam, r#"name: "<team>/load""#),
    ("LoadService/WatchTeamLoad", Who::OfTeam, r#"name: "<team>/load""#),
    ("LoadService/EstimateLoad", Who::OfTeam, r#"team: "<team>""#),
    ("LoadService/ListTeamLoads", Who::Reader, ""),
    ("NetworkService/ListNetworks", Who::Known, ""),
    ("NetworkService/GetNetwork", Who::Known, r#"name: "networks/x""#),
    ("NetworkService/ListApps", Who::Reader, r#"parent: "networks/x""#),
    ("NetworkService/GetApp", Who::Reader, r#"name: "networks/x/apps/default""#),
    ("TeamService/GetTeam", Who::Reader, r#"name: "<team>""#),
    ("TeamService/ListTeams", Who::Reader, ""),
    ("TeamService/GetCollector", Who::Reader, r#"name: "<collector>""#),
    ("TeamService/ListCollectors", Who::Reader, r#"parent: "<team>""#),
    ("TokenService/GetToken", Who::Reader, r#"name: "<token>""#),
    ("TokenService/ListTokens", Who::Reader, r#"parent: "<team>""#),
    ("TokenService/ListDeadSpans", Who::OfTeam, r#"parent: "<team>""#),
    ("ConnectionService/GetConnection", Who::Reader, r#"name: "<connection>""#),
    ("ConnectionService/ListConnections", Who::Reader, r#"parent: "<team>""#),
    ("ConnectionService/ListConnectableProfiles", Who::ReaderTooEarly, r#"name: "<connection>""#),
    ("ConnectionService/CompleteConnection", Who::AdminTooEarly, r#"name: "<connection>" text_version: "2026-11""#),
    ("ConnectionService/StartConnection", Who::Admin, r#"parent: "<team>" token: "<token>""#),
    ("ConnectionService/CancelConnection", Who::Admin, r#"name: "<connection>""#),
    ("KeyService/ListKeys", Who::Admin, r#"collector: "<collector>""#),
    ("KeyService/GetSealing", Who::Reader, ""),
    ("AlertService/ListAlerts", Who::Reader, r#"parent: "<team>""#),
    ("AlertService/GetAlert", Who::Reader, r#"name: "<alert>""#),
    ("AlertService/WatchAlerts", Who::Reader, r#"parent: "<team>""#),
    ("IncidentService/ListIncidents", Who::Reader, ""),
    ("IncidentService/GetIncident", Who::Reader, r#"name: "<incident>""#),
    ("IncidentService/WatchIncidents", Who::Reader, ""),
    ("AuditService/ListAuditEvents", Who::Reader, r#"team: "<team>" resource: "<token>" token: "<token>""#),
    ("AuditService/GetTokenUsageStatement", Who::Reader, r#"token: "<token>""#),
    ("TeamService/CreateTeam", Who::Admin, r#"team_id: "another""#),
    ("TeamService/UpdateTeam", Who::Admin, r#"team { name: "<team>" weight: 7 } update_mask { paths: "weight" }"#),
    (
        "TeamService/CreateCollector",
        Who::Admin,
        r#"parent: "<team>" collector { display_name: "new" networks: "networks/x" purposes: PURPOSE_PUBLISH }"#,
    ),
    (
        "TeamService/UpdateCollector",
        Who::Admin,
        r#"collector { name: "<collector>" weight: 7 } update_mask { paths: "weight" }"#,
    ),
    ("TeamService/DisableCollector", Who::Admin, r#"name: "<collector>""#),
    ("TeamService/EnableCollector", Who::Admin, r#"name: "<collector>""#),
    ("MemberService/GetMember", Who::Reader, r#"name: "<member>""#),
    ("MemberService/ListMembers", Who::Reader, r#"parent: "<team>""#),
    ("ProfileService/GetProfile", Who::Reader, r#"parent: "<team>" network: "networks/x" profile: "p1""#),
    ("ProfileService/ListProfiles", Who::Reader, r#"parent: "<team>""#),
    ("ProfileService/ListManagers", Who::Reader, r#"parent: "<team>" network: "networks/x" profile: "p1""#),
    (
        "ProfileService/UpdateProfile",
        Who::Admin,
        r#"profile { team: "<team>" network: "networks/x" profile: "p1" display_name: "n" } update_mask { paths: "display_name" }"#,
    ),
    ("ConsentService/GetConsent", Who::Reader, r#"token: "<token>""#),
    ("MemberService/ListSessions", Who::Reader, r#"parent: "<member>""#),
    ("MemberService/EndSession", Who::Admin, r#"name: "<member>/sessions/ses_00000000000000000000000000000001""#),
    ("MemberService/InviteMember", Who::Admin, r#"parent: "<team>" member { mail: "new@example.com" }"#),
    (
        "MemberService/UpdateMember",
        Who::Admin,
        r#"member { name: "<member>" display_name: "n" } update_mask { paths: "display_name" }"#,
    ),
    ("MemberService/ResendInvitation", Who::Admin, r#"name: "<member>""#),
    ("MemberService/WithdrawInvitation", Who::Admin, r#"name: "<member>""#),
    ("NoticeService/ListNotices", Who::Reader, r#"parent: "<member>""#),
    ("NoticeService/WatchNotices", Who::Reader, r#"parent: "<member>""#),
    ("NoticeService/GetNoticeSettings", Who::Reader, r#"name: "<member>/noticeSettings""#),
    ("NoticeService/ListTokensAtRisk", Who::Reader, r#"parent: "<member>""#),
    ("NoticeService/GetDestination", Who::Reader, r#"name: "<destination>""#),
    ("NoticeService/ListDestinations", Who::Reader, r#"parent: "<team>""#),
    ("NoticeService/ListDeadLetters", Who::Reader, ""),
    (
        "NoticeService/UpdateNoticeSettings",
        Who::Admin,
        r#"settings { name: "<member>/noticeSettings" quiet_hours { from_minute: 0 until_minute: 60 } } update_mask { paths: "quiet_hours" }"#,
    ),
    ("NoticeService/MarkNoticesRead", Who::Admin, r#"parent: "<member>" through: "<notice>""#),
    (
        "NoticeService/CreateDestination",
        Who::Admin,
        r#"parent: "<team>" destination { kind: DESTINATION_KIND_MAIL target: "all@example.com" }"#,
    ),
    (
        "NoticeService/UpdateDestination",
        Who::Admin,
        r#"destination { name: "<destination>" display_name: "n" } update_mask { paths: "display_name" }"#,
    ),
    ("NoticeService/SendTestNotice", Who::Tester, r#"name: "<destination>""#),
    ("NoticeService/DeleteDestination", Who::Admin, r#"name: "<destination>""#),
    ("NoticeService/ReplayDeadLetter", Who::Admin, r#"name: "<letter>""#),
    ("NoticeService/PurgeDeadLetter", Who::Admin, r#"name: "<other letter>""#),
    ("PushService/GetPushKey", Who::Reader, ""),
    ("PushService/ListPushSubscriptions", Who::Reader, r#"parent: "<member>""#),
    (
        "PushService/CreatePushSubscription",
        Who::Admin,
        r#"parent: "<member>" push_subscription { endpoint: "https://push.example.com/a" p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4" auth: "BTBZMqHH6r4Tts7J_aSIgg" }"#,
    ),
    ("PushService/DeletePushSubscription", Who::Admin, r#"name: "<browser>""#),
    ("KeyService/CreateKey", Who::Admin, r#"key { role: KEY_ROLE_COLLECTOR collector: "<collector>" }"#),
    ("KeyService/RevokeKeyByValue", Who::Everybody, r#"value: "no key""#),
    ("KeyService/RevokeKey", Who::Admin, r#"name: "<key>""#),
    ("KeyService/RotateSealingKey", Who::Admin, ""),
    ("JobService/RenewAllTokens", Who::Admin, r#"parent: "<team>" network: "networks/youtube""#),
    ("JobService/GetJob", Who::Reader, r#"name: "<job>""#),
    ("JobService/ListJobs", Who::Reader, r#"parent: "<team>""#),
    ("JobService/ListJobResults", Who::Reader, r#"parent: "<job>""#),
    ("JobService/CancelJob", Who::Admin, r#"name: "<job>""#),
    ("JobService/ResumeJob", Who::Admin, r#"name: "<job>""#),
    (
        "TokenService/AddToken",
        Who::Admin,
        r#"parent: "<team>" token { network: "networks/x" kind: "user" person: "eve" <scopes> } secrets { access_token: "a" }"#,
    ),
    ("TokenService/ImportTokens", Who::Admin, r#"begin { parent: "<team>" import_id: "one" }"#),
    (
        "TokenService/UpdateToken",
        Who::Admin,
        r#"token { name: "<token>" display_name: "n" } update_mask { paths: "display_name" }"#,
    ),
    ("ConsentService/WithdrawConsent", Who::Admin, r#"token: "<token>" purposes: PURPOSE_COLLECT_CONTENT"#),
    ("TokenService/PauseToken", Who::Admin, r#"name: "<token>""#),
    ("TokenService/ResumeToken", Who::Admin, r#"name: "<token>""#),
    ("TokenService/RenewToken", Who::Renewer, r#"name: "<token>""#),
    ("TokenService/InvalidateToken", Who::Admin, r#"name: "<token>" reason: TOKEN_REASON_PASSWORD_CHANGED"#),
    ("TokenService/ProbeToken", Who::Prober, r#"name: "<token>""#),
    ("TokenService/RevokeToken", Who::Admin, r#"name: "<token>""#),
    ("MemberService/RemoveMember", Who::Admin, r#"name: "<member>""#),
    ("MemberService/GetDeparture", Who::Departed, r#"name: "<member>""#),
    ("AlertService/AcknowledgeAlert", Who::Admin, r#"name: "<alert>""#),
    ("IncidentService/AcknowledgeIncident", Who::Admin, r#"name: "<incident>""#),
    ("IncidentService/CloseIncident", Who::Admin, r#"name: "<incident>" outcome: INCIDENT_OUTCOME_RECOVERED"#),
    ("NetworkService/CreateApp", Who::Admin, r#"parent: "networks/x" app_id: "second""#),
    (
        "NetworkService/UpdateApp",
        Who::Admin,
        r#"app { name: "networks/x/apps/second" display_name: "n" } update_mask { paths: "display_name" }"#,
    ),
    (
        "NetworkService/TopUpBudget",
        Who::Admin,
        r#"name: "networks/x/apps/default" credit_class: "post_reads" units: 5 request_id: "one""#,
    ),
    ("NetworkService/DeleteApp", Who::Admin, r#"name: "networks/x/apps/second""#),
    ("LeaseService/ReleaseLease", Who::LastReport, r#"lease: "<lease>""#),
    ("TeamService/DeleteCollector", Who::Admin, r#"name: "<collector>" force: true"#),
    ("TeamService/DeleteTeam", Who::Admin, r#"name: "<team>" force: true"#),
];

/// What a team has, by the words of the table.
fn names(side: &Side) -> Vec<(&'static str, String)> {
    let team = format!("teams/{}", side.team);
    let of = |name: &str| name.to_owned();
    vec![
        ("<search>", of(SEARCH)),
        ("<scopes>", of(SCOPES)),
        ("<team>", team),
        ("<token>", of(&side.token)),
        ("<collector>", of(&side.collector)),
        ("<member>", of(&side.member)),
        ("<notice>", of(&side.notice)),
        ("<browser>", of(&side.browser)),
        ("<destination>", of(&side.destination)),
        ("<letter>", of(&side.letters[0])),
        ("<other letter>", of(&side.letters[1])),
        ("<job>", of(&side.job)),
        ("<lease>", of(&side.lease)),
        ("<alert>", of(&side.alert)),
        ("<incident>", of(&side.incident)),
        ("<connection>", of(&side.connection)),
        ("<key>", of(&side.key_name)),
    ]
}

pub fn request(call: &str, text: &str, side: &Side) -> DynamicMessage {
    let text = names(side).iter().fold(text.to_owned(), |text, (word, name)| text.replace(word, name));
    message(call, &text)
}

#[test]
fn every_call_has_one_row() {
    let calls: BTreeSet<_> = pool()
        .services()
        .filter(|service| service.package_name() == "tokenbroker.v1")
        .flat_map(|service| {
            service.methods().map(|call| format!("{}/{}", service.name(), call.name())).collect::<Vec<_>>()
        })
        .collect();
    let rows: BTreeSet<_> = CALLS.iter().map(|(call, ..)| (*call).to_owned()).collect();
    assert_eq!(rows, calls);
    assert_eq!(rows.len(), CALLS.len(), "a call stands twice");
}

#[tokio::test]
async fn each_call_lets_in_whom_its_row_names() {
    let bench = Bench::start().await;
    let (acme, zenith) = (bench.side("acme").await, bench.side("zenith").await);
    let callers = callers(&bench, &acme, &zenith).await;
    let before = bench.audited().await;
    // The admin comes last: it changes what the others are refused.
    for (number, caller) in callers.iter().enumerate() {
        for (call, who, text) in CALLS {
            let answer = answered(caller, call, &request(call, text, &acme)).await;
            assert_eq!(answer.as_ref().err(), decisions(*who)[number].as_ref(), "{call}, caller {number}: {answer:?}");
        }
        let is_admin = number + 1 == callers.len();
        assert_eq!(bench.audited().await == before, !is_admin, "only the admin changed something: caller {number}");
    }
    bench.stop().await;
}

async fn callers(bench: &Bench, acme: &Side, zenith: &Side) -> [Client; CALLERS] {
    let unscoped = bench.collector(acme.team, "youtube only", "networks/youtube").await;
    let (_, reader) = bench.make_key(pb::KeyRole::Reader, "").await;
    let garbage = acme.key.replace("tbk_0", "tbk_1");
    [
        bench.nobody().await,
        bench.client(&garbage).await,
        bench.client(&zenith.key).await,
        bench.client(&unscoped).await,
        bench.client(&reader).await,
        bench.admin.clone(),
    ]
}

/// The requests that differ from `good` in one name, which becomes what `other` says.
fn with_one_changed(good: &DynamicMessage, other: &dyn Fn(&str) -> Option<String>) -> Vec<DynamicMessage> {
    let mut changed = Vec::new();
    for (field, value) in good.fields() {
        let values = match value {
            Value::String(text) => other(text).map(Value::String).into_iter().collect(),
            Value::Message(inner) => with_one_changed(inner, other).into_iter().map(Value::Message).collect(),
            _ => Vec::new(),
        };
        changed.extend(values.into_iter().map(|value| {
            let mut message = good.clone();
            message.set_field(&field, value);
            message
        }));
    }
    changed
}

#[tokio::test]
async fn a_collector_reaches_nothing_of_another_team() {
    let bench = Bench::start().await;
    let (acme, zenith) = (bench.side("acme").await, bench.side("zenith").await);
    let ours = bench.client(&acme.key).await;
    let (from, to) = (names(&acme), names(&zenith));
    let foreign = |name: &str| {
        let (word, rest) = name.strip_suffix("/load").map_or((name, ""), |team| (team, "/load"));
        let at = from.iter().position(|(_, own)| own == word)?;
        Some(format!("{}{rest}", to[at].1))
    };
    let nowhere = |name: &str| match foreign(name)? {
        team if team.contains("zenith") => Some(team.replace("zenith", "nobody")),
        id => Some(format!("{}ffff", &id[..id.len() - 4])),
    };
    let mut tried = 0;
    for (call, who, text) in CALLS.iter().filter(|(_, who, _)| !matches!(who, Who::Everybody | Who::Known)) {
        let good = request(call, text, &acme);
        let missing = with_one_changed(&good, &nowhere);
        for (foreign, missing) in with_one_changed(&good, &foreign).into_iter().zip(missing) {
            let refused = answered(&ours, call, &foreign).await.expect_err(call);
            let expected = decisions(*who)[2].expect("it is not for everybody");
            assert_eq!(refused, expected, "{call} {foreign}");
            assert_eq!(
                answered(&ours, call, &missing).await.expect_err(call),
                refused,
                "as if it were not there: {call}"
            );
            tried += 1;
        }
    }
    assert!(tried > 35, "{tried}");
    bench.stop().await;
}

#[tokio::test]
async fn no_name_joins_a_team_to_what_is_of_another() {
    let bench = Bench::start().await;
    let (acme, zenith) = (bench.side("acme").await, bench.side("zenith").await);
    let ids: Vec<_> = [
        &zenith.token,
        &zenith.collector,
        &zenith.alert,
        &zenith.member,
        &zenith.connection,
        &zenith.job,
        &zenith.destination,
    ]
    .map(|name| name.rsplit('/').next().unwrap().to_owned())
    .into();
    // The team of one and the id of another: also for an admin, who may see both, nothing has that name.
    let crossed = |name: &str| {
        let (parent, id) = name.rsplit_once('/')?;
        let kind = parent.strip_prefix("teams/acme/")?;
        let theirs = [
            &zenith.token,
            &zenith.collector,
            &zenith.alert,
            &zenith.member,
            &zenith.connection,
            &zenith.job,
            &zenith.destination,
        ]
        .into_iter()
        .find(|name| name.contains(kind))?;
        (id != "load").then(|| theirs.replace("teams/zenith", "teams/acme"))
    };
    let before = bench.audited().await;
    let mut tried = 0;
    for (call, _, text) in CALLS {
        for crossed in with_one_changed(&request(call, text, &acme), &crossed) {
            match answered(&bench.admin, call, &crossed).await {
                Err(reason) => assert!(reason.as_reason().ends_with("_NOT_FOUND"), "{call} {crossed}: {reason:?}"),
                Ok(answer) => {
                    let text = answer.map(|answer| answer.to_string()).unwrap_or_default();
                    assert!(!ids.iter().any(|id| text.contains(id)), "{call} {crossed}: {text}");
                }
            }
            tried += 1;
        }
    }
    assert!(tried > 15, "{tried}");
    assert_eq!(bench.audited().await, before, "nothing was changed");
    bench.stop().await;
}
