//! What is found out about a token while a person decides about it.

use super::*;
use crate::base::ids::TeamId;
use crate::domain::token::{Reason, TokenState};
use crate::service::testing::{TestBroker, ask};
use crate::service::tokens::ShownState;
use crate::service::{AcquireLease, AcquireLeaseError};

/// A collector that holds a lease of ten calls.
struct Scene {
    test: TestBroker,
    team: TeamId,
    token: TokenId,
    caller: Caller,
    lease: LeaseId,
}

impl Scene {
    async fn set() -> Self {
        let test = TestBroker::start().await;
        let team = test.team("acme").await;
        let token = test.token(&team, "ann").await;
        let collector = test.collector(&team, "one").await;
        let caller = test.caller(collector.id);
        let lease = test.broker.acquire_lease(&caller, ask(&team, 10)).await.unwrap().lease;
        Self { test, team, token, caller, lease }
    }

    /// Takes a report in, but writes nothing of it yet. 89: the token is in doubt; 200: it works.
    fn take(&self, sequence: u64, status: u16, body: &str) -> OpenReport {
        let answer = Some(Answered { status, body: body.as_bytes().to_vec(), ..Answered::default() });
        let report = ReportUsage { sequence, used: 1, served: 1, answer, ..ReportUsage::default() };
        match self.test.broker.take_report(&self.caller, self.lease, report).unwrap() {
            TakenReport::Open(open) => *open,
            TakenReport::Settled(standing) => panic!("nothing follows from it: {standing:?}"),
        }
    }

    async fn stored_state(&self) -> TokenState {
        self.test.broker.store.find_token(self.token).await.unwrap().unwrap().token.state
    }

    async fn is_leased(&self) -> bool {
        match self.test.broker.acquire_lease(&self.caller, ask(&self.team, 1)).await {
            Ok(_) => true,
            Err(AcquireLeaseError::NoUsableToken { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }
}

const DOUBT: &str = r#"{"errors":[{"code":89}]}"#;
const LOCKED: &str = r#"{"errors":[{"code":326}]}"#;

#[tokio::test]
async fn a_doubt_that_is_written_late_undoes_no_pause() {
    let scene = Scene::set().await;
    let doubt = scene.take(1, 401, DOUBT);
    scene.test.broker.pause_token(&scene.test.admin, &scene.team, scene.token, "").await.unwrap();
    scene.test.broker.finish_report(doubt).await.unwrap();
    assert!(matches!(scene.stored_state().await, TokenState::Paused { .. }));
    assert!(!scene.is_leased().await);
    scene.test.stop().await;
}

#[tokio::test]
async fn a_doubt_that_is_written_late_undoes_no_revocation() {
    let scene = Scene::set().await;
    let doubt = scene.take(1, 401, DOUBT);
    scene.test.broker.revoke_token(&scene.test.admin, &scene.team, scene.token, "").await.unwrap();
    scene.test.broker.finish_report(doubt).await.unwrap();
    assert!(matches!(scene.stored_state().await, TokenState::Revoked { .. }));
    let Scene { test, team, token, caller, .. } = scene;
    let test = test.restart().await;
    assert!(matches!(
        test.broker.acquire_lease(&caller, ask(&team, 1)).await,
        Err(AcquireLeaseError::NoUsableToken { .. })
    ));
    let (view, _) = test.broker.show_token(&team, token).await.unwrap();
    assert_eq!(view.state, ShownState::Revoked);
    test.stop().await;
}

#[tokio::test]
async fn a_token_that_died_while_it_was_paused_is_not_resumed() {
    let scene = Scene::set().await;
    scene.test.broker.pause_token(&scene.test.admin, &scene.team, scene.token, "").await.unwrap();
    let dead = scene.take(1, 403, LOCKED);
    // The person does not know yet.
    scene.test.broker.resume_token(&scene.test.admin, &scene.team, scene.token, "").await.unwrap();
    assert!(!scene.is_leased().await, "the pool knows already");
    scene.test.broker.finish_report(dead).await.unwrap();
    let expected = Reason::PersonBlocked;
    assert!(matches!(scene.stored_state().await, TokenState::Invalid { reason, .. } if reason == expected));
    assert!(!scene.is_leased().await);
    scene.test.stop().await;
}

#[tokio::test]
async fn a_doubt_and_its_end_are_durable() {
    let scene = Scene::set().await;
    let doubt = scene.take(1, 401, DOUBT);
    scene.test.broker.finish_report(doubt).await.unwrap();
    assert!(matches!(scene.stored_state().await, TokenState::Suspect { .. }));
    scene.test.clock.advance(Duration::from_secs(70));
    let probe = scene.test.broker.acquire_lease(&scene.caller, ask(&scene.team, 1)).await.unwrap();
    let served = ReportUsage {
        sequence: 1,
        used: 1,
        served: 1,
        answer: Some(Answered { status: 200, ..Answered::default() }),
        ..ReportUsage::default()
    };
    scene.test.broker.report_usage(&scene.caller, probe.lease, served).await.unwrap();
    assert_eq!(scene.stored_state().await, TokenState::Live);
    scene.test.stop().await;
}

#[tokio::test]
async fn a_scope_that_is_narrowed_gives_a_lease_nothing_more() {
    use crate::domain::networks::{Purpose, Purposes};
    use crate::service::collectors::UpdateCollector;

    let scene = Scene::set().await;
    let id = scene.caller.collector().unwrap().id;
    let (broker, admin) = (&scene.test.broker, &scene.test.admin);
    let content = || [Purpose::CollectContent].into_iter().collect::<Purposes>();
    let statistics = [Purpose::CollectStatistics].into_iter().collect::<Purposes>();
    let x = || "x".parse().unwrap();
    let scopes = [
        (vec![x()], content(), 3),
        (vec!["youtube".parse().unwrap()], content(), 0),
        (vec![x()], statistics, 0),
        (vec![], content(), 0),
        (vec![x()], content(), 3),
    ];
    for (sequence, (networks, purposes, granted)) in (1..).zip(scopes) {
        let what = format!("{networks:?} {purposes:?}");
        let networks = Some((networks, false));
        let change = UpdateCollector { networks, purposes: Some(purposes), ..UpdateCollector::default() };
        broker.update_collector(admin, &scene.team, id, change).await.unwrap();
        let report = ReportUsage { sequence, used: 1, served: 1, want_calls: 3, ..ReportUsage::default() };
        let standing = broker.report_usage(&scene.test.caller(id), scene.lease, report).await.unwrap();
        assert_eq!(
            (standing.calls_granted, standing.verdict, standing.sequence),
            (granted, Verdict::Keep, sequence),
            "{what}"
        );
        assert_eq!(standing.retry_at, None, "{what}: waiting is of no use");
    }
    scene.test.stop().await;
}

#[tokio::test]
async fn credit_that_is_on_its_way_back_to_the_store_is_granted() {
    let Scene { test, team, caller, lease, .. } = Scene::set().await;
    test.broker.release_lease(&caller, lease, None).await.unwrap();
    let engine = test.broker.engine.clone();
    let writing = tokio::spawn(async move {
        loop {
            engine.write_back().await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    let all = AcquireLease { min_calls: 1, ..ask(&team, 10_000) };
    let all = test.broker.acquire_lease(&caller, all).await.unwrap();
    test.broker.release_lease(&caller, all.lease, None).await.unwrap();
    for _ in 0..100 {
        let leased = test.broker.acquire_lease(&caller, ask(&team, all.calls)).await.unwrap();
        test.broker.release_lease(&caller, leased.lease, None).await.unwrap();
    }
    writing.abort();
}
