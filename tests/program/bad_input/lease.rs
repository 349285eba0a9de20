//! Leases that are unknown, foreign or over.

use std::time::Duration;

use token_broker::grpc::pb::{self, ErrorReason};
use tonic::Code;

use super::{Standing, is, seconds};
use crate::support::{Api, Launch, Refused, Scene, make_collector, make_team};

/// How often a question is asked before it counts as unanswered, and how long between two tries.
const TRIES: u32 = 600;
const BETWEEN: Duration = Duration::from_millis(100);

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
