//! Bad input: each gets a clear error that says what to do, changes nothing and loses nothing.

mod acquire;
mod lease;
mod report;

use token_broker::grpc::pb::{self, ErrorReason};
use tonic::Code;

use crate::support::{Refused, Scene, person_token};

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

const fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
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
