//! Bad input: each gets a clear error that says what to do, changes nothing and loses nothing.

use std::time::Duration;

use token_broker::grpc::pb::{self, ErrorReason};
use tonic::Code;

use crate::support::{Api, Launch, Refused, Scene, make_collector, make_team, person_token};

/// How often a question is asked before it counts as unanswered, and how long between two tries.
const TRIES: u32 = 600;
const BETWEEN: Duration = Duration::from_millis(100);

/// All that a call could have changed: tokens with their books, leases, and the audit.
#[derive(Debug, PartialEq)]
struct Standing {
    tokens: Vec<(String, i32)>,
    /// Token, class, used and left.
    books: Vec<(String, String, i64, i64)>,
    leases: Vec<(String, i32, i32)>,
    audited: usize,
}

impl Standing {
    async fn of(scene: &Scene) -> Self {
        let (mut tokens, mut books) = (Vec::new(), Vec::new());
        for token in scene.admin.list_tokens("teams/acme").await {
            let token = scene.admin.token(&token.name).await.unwrap();
            let of_token = |one: &pb::Bucket| (token.name.clone(), one.credit_class.clone(), one.used, one.left);
            books.extend(token.buckets.iter().map(of_token));
            tokens.push((token.name, token.state));
        }
        let request = pb::ListLeasesRequest { page_size: 1000, ..Default::default() };
        let leases = scene.admin.leases().list_leases(request).await.unwrap().into_inner().leases;
        let leases = leases.into_iter().map(|lease| (lease.name, lease.calls_left, lease.state)).collect();
        Self { tokens, books, leases, audited: scene.admin.audit("").await.len() }
    }
}

fn is(refused: &Refused, code: Code, reason: ErrorReason, what: &str) {
    assert_eq!((refused.code, refused.reason), (code, reason), "{what}: {refused:?}");
    assert!(refused.message.len() > 15, "{what}: the message says what to do: {refused:?}");
}

type Spoil = fn(&mut pb::AcquireLeaseRequest);

/// Requests for a lease with one mistake: the code, the reason, and the field that is named or the metadata that is given.
const BAD_ACQUIRES: &[(&str, Spoil, Code, ErrorReason, &str)] = {
    use Code::{FailedPrecondition, InvalidArgument, PermissionDenied};
    use ErrorReason as R;
    &[
        (
            "no network of that name",
            |r| r.network = "networks/nowhere".into(),
            InvalidArgument,
            R::UnknownNetwork,
            "network",
        ),
        ("no network", |r| r.network.clear(), InvalidArgument, R::InvalidField, "network"),
        ("a network without its collection", |r| r.network = "x".into(), InvalidArgument, R::InvalidField, "network"),
        (
            "no operation of that name",
            |r| r.operation = "tweets.sing".into(),
            InvalidArgument,
            R::UnknownOperation,
            "operation",
        ),
        ("no operation", |r| r.operation.clear(), InvalidArgument, R::InvalidField, "operation"),
        ("no kind of that name", |r| r.kind = "robot".into(), InvalidArgument, R::UnknownKind, "kind"),
        ("no purpose", |r| r.purpose = 0, InvalidArgument, R::InvalidField, "purpose"),
        ("no purpose of that number", |r| r.purpose = 99, InvalidArgument, R::InvalidField, "purpose"),
        (
            "a purpose that the operation does not serve",
            |r| r.purpose = 3,
            InvalidArgument,
            R::PurposeNotServed,
            "purpose",
        ),
        ("no team of that name", |r| r.team = "teams/nobody".into(), PermissionDenied, R::TeamNotAllowed, ""),
        ("no team", |r| r.team.clear(), InvalidArgument, R::InvalidField, "team"),
        ("a malformed team", |r| r.team = "teams/No Team!".into(), InvalidArgument, R::InvalidField, "team"),
        ("no calls", |r| r.calls = 0, InvalidArgument, R::InvalidField, "calls"),
        ("fewer calls than none", |r| r.calls = -1, InvalidArgument, R::InvalidField, "calls"),
        ("the fewest calls", |r| r.calls = i32::MIN, InvalidArgument, R::InvalidField, "calls"),
        ("the most calls", |r| r.calls = i32::MAX, InvalidArgument, R::InvalidField, "calls"),
        ("too many calls", |r| r.calls = 1_000_001, InvalidArgument, R::InvalidField, "calls"),
        ("more than a window", |r| r.calls = 1_000_000, FailedPrecondition, R::CreditCanNeverFit, "most_calls"),
        ("a minimum above the calls", |r| r.min_calls = 6, InvalidArgument, R::InvalidField, "min_calls"),
        ("a negative minimum", |r| r.min_calls = -1, InvalidArgument, R::InvalidField, "min_calls"),
        ("too short a lease", |r| r.ttl = Some(seconds(1)), InvalidArgument, R::InvalidField, "ttl"),
        ("too long a lease", |r| r.ttl = Some(seconds(7200)), InvalidArgument, R::InvalidField, "ttl"),
        ("a lease into the past", |r| r.ttl = Some(seconds(-60)), InvalidArgument, R::InvalidField, "ttl"),
        ("too long a wait", |r| r.wait = Some(seconds(3600)), InvalidArgument, R::InvalidField, "wait"),
        ("a negative wait", |r| r.wait = Some(seconds(-1)), InvalidArgument, R::InvalidField, "wait"),
        ("no priority of that number", |r| r.priority = 77, InvalidArgument, R::InvalidField, "priority"),
        ("a long collection", |r| r.collection = "c".repeat(129), InvalidArgument, R::InvalidField, "collection"),
        (
            "too many keys",
            |r| r.distinct_keys = vec!["k".into(); 101],
            InvalidArgument,
            R::InvalidField,
            "distinct_keys",
        ),
        ("a long key", |r| r.distinct_keys = vec!["k".repeat(257)], InvalidArgument, R::InvalidField, "distinct_keys"),
        ("a long request id", |r| r.request_id = "r".repeat(65), InvalidArgument, R::InvalidField, "request_id"),
        ("a request id with a space", |r| r.request_id = "a b".into(), InvalidArgument, R::InvalidField, "request_id"),
    ]
};

const fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_bad_request_for_a_lease_is_refused() {
    let scene = Scene::with_tokens(1).await;
    // A token's books are opened by its first lease.
    scene.collector.acquire(scene.search(5)).await.unwrap();
    let before = Standing::of(&scene).await;
    assert!(!before.books.is_empty(), "{before:?}");
    for (what, spoil, code, reason, named) in BAD_ACQUIRES {
        let mut request = scene.search(5);
        spoil(&mut request);
        let refused = scene.collector.acquire(request).await.expect_err(what);
        is(&refused, *code, *reason, what);
        let is_named =
            refused.fields.iter().any(|field| field.starts_with(named)) || refused.metadata.contains_key(*named);
        assert!(named.is_empty() || is_named, "{what}: {named} is not named: {refused:?}");
        assert_eq!(refused.retry, None, "{what}: repeating it is of no use");
    }
    assert_eq!(Standing::of(&scene).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn all_mistakes_of_a_request_are_told_at_once() {
    let scene = Scene::with_tokens(0).await;
    let request = pb::AcquireLeaseRequest { calls: -1, request_id: "a b".to_owned(), ..Default::default() };
    let refused = scene.collector.acquire(request).await.unwrap_err();
    for field in ["team", "network", "operation", "calls", "purpose", "request_id"] {
        assert!(refused.fields.iter().any(|one| one == field), "{field} is missing in {:?}", refused.fields);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_network_for_publishing_only_says_so() {
    let scene = Scene::with_tokens(0).await;
    let mut request = scene.search(1);
    request.network = "networks/xing".to_owned();
    request.operation = "status.create".to_owned();
    let refused = scene.collector.acquire(request).await.unwrap_err();
    is(&refused, Code::InvalidArgument, ErrorReason::PurposeNotServed, "xing");
    assert!(refused.message.contains("XING offers nothing for that purpose"), "{refused:?}");
}

/// A lease call with the lease's name, reduced to whether it was refused.
async fn each_lease_call(api: &Api, lease: &str) -> [(&'static str, Option<Refused>); 4] {
    let report = pb::ReportUsageRequest { lease: lease.to_owned(), sequence: 1, ..Default::default() };
    let extend = pb::ExtendLeaseRequest { lease: lease.to_owned(), ..Default::default() };
    let release = pb::ReleaseLeaseRequest { lease: lease.to_owned(), ..Default::default() };
    [
        ("report", api.report(report).await.err()),
        ("extend", api.leases().extend_lease(extend).await.err().map(Refused::from)),
        ("release", api.release(release).await.err()),
        ("get", api.lease(lease).await.err()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lease_that_is_unknown_malformed_or_foreign_is_refused() {
    let scene = Scene::with_tokens(1).await;
    let lease = scene.collector.acquire(scene.search(5)).await.unwrap().name;
    let (_, same_team) = make_collector(&scene.admin, "teams/acme", "colleague").await;
    make_team(&scene.admin, "rival").await;
    let (_, other_team) = make_collector(&scene.admin, "teams/rival", "spy").await;
    let before = Standing::of(&scene).await;
    let unknown = {
        let (head, tail) = lease.split_at(lease.len() - 4);
        let other: String = tail.chars().map(|letter| if letter == '7' { '8' } else { '7' }).collect();
        format!("{head}{other}")
    };
    let callers = [
        ("unknown", scene.collector.clone(), unknown, Code::NotFound, ErrorReason::LeaseNotFound),
        ("malformed", scene.collector.clone(), "leases/!".to_owned(), Code::InvalidArgument, ErrorReason::InvalidField),
        ("empty", scene.collector.clone(), String::new(), Code::InvalidArgument, ErrorReason::InvalidField),
        (
            "a colleague's",
            Api::connect(&scene.broker, &same_team).await,
            lease.clone(),
            Code::NotFound,
            ErrorReason::LeaseNotFound,
        ),
        (
            "a rival's",
            Api::connect(&scene.broker, &other_team).await,
            lease,
            Code::NotFound,
            ErrorReason::LeaseNotFound,
        ),
    ];
    for (what, api, name, code, reason) in callers {
        for (call, refused) in each_lease_call(&api, &name).await {
            let refused = refused.unwrap_or_else(|| panic!("{call} of a lease that is {what} was served"));
            is(&refused, code, reason, &format!("{call}, {what}"));
        }
    }
    assert_eq!(Standing::of(&scene).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lease_that_has_ended_takes_nothing_more() {
    let home = tempfile::tempdir().unwrap();
    let launch =
        Launch::new(&home.path().join("data")).set("CREDIT__LEASE_TTL", "1s").set("CREDIT__WINDOW_GUARD", "100ms");
    let scene = Scene::launch(home, &launch, 1).await;
    let expired = scene.collector.acquire(scene.search(5)).await.unwrap().name;
    for tries in 0.. {
        if scene.admin.lease(&expired).await.unwrap().state() == pb::LeaseState::Expired {
            break;
        }
        assert!(tries < TRIES, "the lease never ends");
        tokio::time::sleep(BETWEEN).await;
    }
    for (call, refused) in each_lease_call(&scene.collector, &expired).await {
        match call {
            "get" => assert!(refused.is_none(), "it may still be looked at"),
            _ => is(&refused.unwrap(), Code::FailedPrecondition, ErrorReason::LeaseExpired, call),
        }
    }
    let request = pb::AcquireLeaseRequest { ttl: Some(seconds(60)), ..scene.search(5) };
    let released = scene.collector.acquire(request).await.unwrap().name;
    let request = pb::ReleaseLeaseRequest { lease: released.clone(), ..Default::default() };
    assert_eq!(scene.collector.release(request).await.unwrap().calls_returned, 5);
    for (call, refused) in each_lease_call(&scene.collector, &released).await {
        match call {
            "report" | "extend" => is(&refused.unwrap(), Code::FailedPrecondition, ErrorReason::LeaseEnded, call),
            _ => assert!(refused.is_none(), "{call}: {refused:?}"),
        }
    }
}

fn report(lease: &str, calls: pb::CallCounts) -> pb::ReportUsageRequest {
    pb::ReportUsageRequest { lease: lease.to_owned(), sequence: 1, calls: Some(calls), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_report_that_can_not_be_true_settles_nothing() {
    let scene = Scene::with_tokens(1).await;
    let lease = scene.collector.acquire(scene.search(5)).await.unwrap().name;
    let before = Standing::of(&scene).await;
    let counts = |ok, not_sent| pb::CallCounts { ok, not_sent, ..Default::default() };
    let most = i32::MAX;
    let all = pb::CallCounts { ok: most, error: most, throttled: most, unknown: most, not_sent: most };
    for calls in [counts(6, 0), counts(3, 3), counts(most, 0), all] {
        let refused = scene.collector.report(report(&lease, calls)).await.unwrap_err();
        is(&refused, Code::InvalidArgument, ErrorReason::ReportExceedsGrant, "too many calls");
        assert_eq!(refused.metadata["granted"], "5", "{refused:?}");
        let release =
            pb::ReleaseLeaseRequest { lease: lease.clone(), sequence: 1, calls: Some(calls), ..Default::default() };
        let refused = scene.collector.release(release).await.unwrap_err();
        is(&refused, Code::InvalidArgument, ErrorReason::ReportExceedsGrant, "too many calls in the last report");
    }
    for (what, request) in [
        ("calls", report(&lease, counts(-1, 0))),
        ("calls", report(&lease, counts(2, -2))),
        ("sequence", pb::ReportUsageRequest { sequence: 0, ..report(&lease, counts(1, 0)) }),
        ("sequence", pb::ReportUsageRequest { sequence: -7, ..report(&lease, counts(1, 0)) }),
        ("want_calls", pb::ReportUsageRequest { want_calls: -1, ..report(&lease, counts(1, 0)) }),
        ("want_calls", pb::ReportUsageRequest { want_calls: most, ..report(&lease, counts(1, 0)) }),
    ] {
        let refused = scene.collector.report(request).await.expect_err(what);
        is(&refused, Code::InvalidArgument, ErrorReason::InvalidField, what);
        assert!(refused.fields.iter().any(|field| field.starts_with(what)), "{what}: {refused:?}");
    }
    assert_eq!(Standing::of(&scene).await, before);
    let settled = scene.collector.report(report(&lease, counts(5, 0))).await.unwrap();
    assert_eq!((settled.calls_left, settled.sequence), (0, 1), "the true report is taken under the same number");
    let again = scene.collector.report(report(&lease, counts(5, 0))).await.unwrap();
    assert_eq!((again.calls_left, again.sequence), (0, 1), "and once only");
}

fn answer(headers: &[(&str, &str)]) -> pb::NetworkAnswer {
    let headers = headers.iter().map(|(name, value)| pb::Header { name: (*name).into(), value: (*value).into() });
    pb::NetworkAnswer { http_status: 200, headers: headers.collect(), ..Default::default() }
}

/// What is left of a class on the only token.
async fn left(scene: &Scene, class: &str) -> i64 {
    let token = scene.admin.token(&scene.tokens[0].name).await.unwrap();
    token.buckets.iter().find(|bucket| bucket.credit_class == class).unwrap_or_else(|| panic!("{token:?}")).left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn headers_that_make_no_sense_give_no_credit() {
    let scene = Scene::with_tokens(1).await;
    let lease = scene.collector.acquire(scene.search(50)).await.unwrap().name;
    let before = left(&scene, "search_recent").await;
    let senseless: &[&[(&str, &str)]] = &[
        &[("x-rate-limit-remaining", "many"), ("x-rate-limit-limit", "-5"), ("x-rate-limit-reset", "soon")],
        &[("x-rate-limit-remaining", "99999999999999999999999999"), ("x-rate-limit-limit", "1e400")],
        &[("x-rate-limit-remaining", "100000"), ("x-rate-limit-limit", "300"), ("x-rate-limit-reset", "12")],
        &[("x-rate-limit-remaining", "299"), ("x-rate-limit-remaining", "298")],
        &[("retry-after", "Thu, 99 Foo 2026"), ("", ""), ("\u{0}", "\u{fffd}")],
    ];
    for (headers, sequence) in senseless.iter().zip(1..) {
        let calls = Some(pb::CallCounts { ok: 1, ..Default::default() });
        let request = pb::ReportUsageRequest {
            lease: lease.clone(),
            sequence,
            calls,
            answer: Some(answer(headers)),
            ..Default::default()
        };
        let settled =
            scene.collector.report(request).await.unwrap_or_else(|refused| panic!("{headers:?}: {refused:?}"));
        assert_eq!(settled.sequence, sequence, "the report itself is taken");
        assert!(left(&scene, "search_recent").await <= before, "{headers:?} raised what is believed");
    }
    let contradictory = [("x-rate-limit-remaining", "250"), ("x-rate-limit-remaining", "7")];
    for (headers, sequence, most) in [(&contradictory[..], 6, before), (&contradictory[1..], 7, 7)] {
        let request = pb::ReportUsageRequest {
            lease: lease.clone(),
            sequence,
            calls: Some(pb::CallCounts { ok: 1, ..Default::default() }),
            answer: Some(answer(headers)),
            ..Default::default()
        };
        scene.collector.report(request).await.unwrap();
        let left = left(&scene, "search_recent").await;
        assert!(left <= most, "{headers:?} leave {left}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_report_of_a_megabyte_is_refused_and_the_lease_goes_on() {
    let scene = Scene::with_tokens(1).await;
    let lease = scene.collector.acquire(scene.search(5)).await.unwrap().name;
    let before = Standing::of(&scene).await;
    let with = |answer| pb::ReportUsageRequest {
        answer: Some(answer),
        ..report(&lease, pb::CallCounts { ok: 1, ..Default::default() })
    };
    let huge = "v".repeat(1 << 20);
    let long = "v".repeat(8 * 1024 + 1);
    let many = vec![("x", "y"); 65];
    let body = pb::NetworkAnswer { body: vec![b'b'; 64 * 1024 + 1].into(), ..answer(&[]) };
    for (what, answer) in [
        ("headers", answer(&[("x-rate-limit-remaining", &long)])),
        ("headers", answer(&many)),
        ("body", body),
        ("http_status", pb::NetworkAnswer { http_status: 1000, ..answer(&[]) }),
    ] {
        let refused = scene.collector.report(with(answer)).await.expect_err(what);
        is(&refused, Code::InvalidArgument, ErrorReason::InvalidField, what);
        assert!(refused.fields.iter().any(|field| field.contains(what)), "{what}: {refused:?}");
    }
    let status = scene.collector.leases().report_usage(with(answer(&[("x", &huge)]))).await.unwrap_err();
    assert!([Code::OutOfRange, Code::ResourceExhausted, Code::InvalidArgument].contains(&status.code()), "{status:?}");
    assert!(status.message().contains("262144") || status.message().contains("256"), "it names the limit: {status:?}");
    assert_eq!(Standing::of(&scene).await, before);
    scene.collector.report(report(&lease, pb::CallCounts { ok: 5, ..Default::default() })).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_request_id_with_other_content_is_refused() {
    let scene = Scene::with_tokens(1).await;
    let with_id = |calls| pb::AcquireLeaseRequest { request_id: "once".to_owned(), ..scene.search(calls) };
    let first = scene.collector.acquire(with_id(5)).await.unwrap();
    let before = Standing::of(&scene).await;
    let refused = scene.collector.acquire(with_id(6)).await.unwrap_err();
    is(&refused, Code::InvalidArgument, ErrorReason::RequestIdReused, "acquire");
    let again = scene.collector.acquire(with_id(5)).await.unwrap();
    assert_eq!((again.name, again.access_token), (first.name, first.access_token), "a retry gets the same lease");
    assert_eq!(Standing::of(&scene).await, before);

    let add = |person: &str| pb::AddTokenRequest { request_id: "once".to_owned(), ..person_token("x", person) };
    let token = scene.admin.add_token(add("new")).await.unwrap();
    let refused = scene.admin.add_token(add("other")).await.unwrap_err();
    is(&refused, Code::InvalidArgument, ErrorReason::RequestIdReused, "add a token");
    assert_eq!(scene.admin.add_token(add("new")).await.unwrap().name, token.name);
    assert_eq!(scene.admin.list_tokens("teams/acme").await.len(), 2);

    let team = |weight| pb::CreateTeamRequest {
        team_id: "twice".to_owned(),
        team: Some(pb::Team { weight, ..Default::default() }),
        request_id: "once".to_owned(),
    };
    scene.admin.teams().create_team(team(5)).await.unwrap();
    scene.admin.teams().create_team(team(5)).await.unwrap();
    let refused = Refused::from(scene.admin.teams().create_team(team(6)).await.unwrap_err());
    is(&refused, Code::InvalidArgument, ErrorReason::RequestIdReused, "create a team");
}

type SpoilToken = fn(&mut pb::AddTokenRequest);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_bad_token_is_refused() {
    use Code::{AlreadyExists, InvalidArgument, NotFound};
    use ErrorReason as R;
    fn token(request: &mut pb::AddTokenRequest) -> &mut pb::Token {
        request.token.as_mut().unwrap()
    }
    let cases: &[(&str, SpoilToken, Code, R)] = &[
        ("no such team", |r| r.parent = "teams/nobody".into(), NotFound, R::TeamNotFound),
        ("no such network", |r| token(r).network = "networks/nowhere".into(), InvalidArgument, R::UnknownNetwork),
        ("no such kind", |r| token(r).kind = "robot".into(), InvalidArgument, R::UnknownKind),
        ("no token", |r| r.token = None, InvalidArgument, R::InvalidField),
        ("no secrets", |r| r.secrets = None, InvalidArgument, R::InvalidField),
        ("an empty secret", |r| r.secrets.as_mut().unwrap().access_token.clear(), InvalidArgument, R::InvalidField),
        ("no such purpose", |r| token(r).purposes = vec![42], InvalidArgument, R::InvalidField),
        ("too large a reserve", |r| token(r).reserve_percent = Some(91), InvalidArgument, R::InvalidField),
        ("a negative reserve", |r| token(r).reserve_percent = Some(-1), InvalidArgument, R::InvalidField),
        ("too many leases", |r| token(r).max_concurrent_leases = 1001, InvalidArgument, R::InvalidField),
        ("a long name", |r| token(r).display_name = "n".repeat(129), InvalidArgument, R::InvalidField),
        ("the same token again", |_| {}, AlreadyExists, R::TokenExists),
    ];
    let scene = Scene::with_tokens(1).await;
    let before = Standing::of(&scene).await;
    for (what, spoil, code, reason) in cases {
        let mut request = person_token("x", "person-0");
        spoil(&mut request);
        let refused = scene.admin.add_token(request).await.expect_err(what);
        is(&refused, *code, *reason, what);
        assert!(!refused.message.contains("access-of"), "{what}: {refused:?}");
    }
    assert_eq!(Standing::of(&scene).await, before);
}
