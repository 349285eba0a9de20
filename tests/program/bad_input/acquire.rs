//! Requests for a lease that can't be served as they are.

use token_broker::grpc::pb::{self, ErrorReason};
use tonic::Code;

use super::{Standing, is, seconds};
use crate::support::Scene;

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
