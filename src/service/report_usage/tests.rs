//! What is found out about a token while a person decides about it.

use std::collections::BTreeMap;

use super::*;
use crate::base::clock::Clock;
use crate::base::ids::{MemberId, TeamId};
use crate::domain::member::{Member, MemberState, Role};
use crate::domain::notice::Need;
use crate::domain::pool::{NoToken, Rest};
use crate::domain::token::{Reason, TokenState};
use crate::engine::AcquireError;
use crate::service::testing::{TestBroker, ask, x_token};
use crate::service::tokens::{AddToken, ShownState, UpdateToken};
use crate::service::{AcquireLease, AcquireLeaseError};
use crate::store::MemberChange;
use crate::text::Text;

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

/// The token of a Facebook page that a person grants.
fn page_of(person: &str) -> AddToken {
    let scopes = ["pages_show_list", "pages_read_engagement", "read_insights", "pages_read_user_content"];
    AddToken {
        network: "facebook".to_owned(),
        kind: "page".to_owned(),
        scopes: scopes.map(str::to_owned).into(),
        granted_by: format!("{person}@example.com"),
        refresh: None,
        ..x_token(person)
    }
}

/// A token of a Facebook page, as its owner and a collector have it.
struct OfPage {
    test: TestBroker,
    team: TeamId,
    token: TokenId,
    caller: Caller,
    owner: MemberId,
}

impl OfPage {
    async fn set() -> Self {
        let test = TestBroker::start().await;
        let team = test.team("acme").await;
        let token = test.broker.add_token(&test.admin, &team, page_of("ada")).await.unwrap().token.id;
        let caller = test.caller(test.collector(&team, "one").await.id);
        let owner = Member {
            id: MemberId::from_u128(1),
            team: team.clone(),
            display_name: String::new(),
            mail: "ada@example.com".parse().unwrap(),
            role: Role::Owner,
            time_zone: "Europe/Vienna".parse().unwrap(),
            language: "en".parse().unwrap(),
            state: MemberState::Active { since: test.clock.now() },
            persons: BTreeMap::new(),
            created_at: test.clock.now(),
            version: 1,
        };
        let trail = test.broker.audit(&Caller::Broker, "member.join", owner.name(), String::new()).into();
        test.broker.store.insert_member(MemberChange::of(owner.clone(), trail)).await.unwrap();
        test.clock.advance(Duration::from_secs(60));
        Self { test, team, token, caller, owner: owner.id }
    }

    /// Adds the token of another person.
    async fn add_token(&self, person: &str) {
        self.test.broker.add_token(&self.test.admin, &self.team, page_of(person)).await.unwrap();
    }

    async fn acquire(&self, operation: &str) -> Result<LeaseId, AcquireLeaseError> {
        let wanted = AcquireLease {
            network: "facebook".to_owned(),
            operation: operation.to_owned(),
            purpose: Purpose::CollectStatistics,
            ..ask(&self.team, 1)
        };
        self.test.broker.acquire_lease(&self.caller, wanted).await.map(|leased| leased.lease)
    }

    /// Calls an operation, which answers so.
    async fn call(&self, operation: &str, status: u16, body: &str) {
        let lease = self.acquire(operation).await.unwrap();
        let answer = Some(Answered { status, body: body.as_bytes().to_vec(), ..Answered::default() });
        let report = ReportUsage { sequence: 1, used: 1, served: 1, answer, ..ReportUsage::default() };
        self.test.broker.report_usage(&self.caller, lease, report).await.unwrap();
        // One that was taken back is over by its report.
        self.test.broker.release_lease(&self.caller, lease, None).await.ok();
    }

    /// The kinds of what people were told, the oldest first.
    async fn told(&self) -> Vec<&'static str> {
        self.test.broker.watch_tokens().await.unwrap();
        let events = self.test.broker.store.untold_events(None, 100).await.unwrap();
        events.iter().map(|event| event.fact.kind().as_str()).collect()
    }

    async fn is_at_risk(&self) -> bool {
        let page = self.test.broker.tokens_at_risk(&self.team, self.owner, None, 10).await.unwrap();
        page.tokens.iter().any(|view| view.token.id == self.token)
    }
}

#[tokio::test]
async fn a_lost_permission_is_told_once_it_is_proven_and_is_at_risk_until_it_is_back() {
    const LOST: &str = r#"{"error":{"message":"(#200) Refused","type":"OAuthException","code":200}}"#;
    let page = OfPage::set().await;
    for operation in ["page.insights", "post.insights"] {
        page.call(operation, 400, LOST).await;
    }
    assert!(!page.is_at_risk().await, "it may be what was asked for");
    assert_eq!(page.told().await, [""; 0]);
    page.test.clock.advance(Duration::from_secs(60));
    for operation in ["page.insights", "post.insights"] {
        page.call(operation, 400, LOST).await;
    }
    let events = page.test.broker.store.untold_events(None, 100).await.unwrap();
    let [Fact::NeedsReconnecting { need: Some(Need::Permission { operations }), .. }] =
        &events.iter().map(|one| &one.fact).collect::<Vec<_>>()[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(operations[..], ["page.insights".parse().unwrap()]);
    assert_eq!(page.told().await, ["needs_reconnecting"]);
    let view = page.test.broker.show_token(&page.team, page.token).await.unwrap().0;
    let needs = Text::english().tell_of(&view.needs_reconnecting.unwrap());
    assert!(needs.contains("page.insights, post.insights"), "{needs}");
    assert!(page.is_at_risk().await);
    let scopes = Some(view.token.scopes);
    let stated = UpdateToken { scopes, ..UpdateToken::default() };
    page.test.broker.update_token(&page.test.admin, &page.team, page.token, &stated).await.unwrap();
    assert!(!page.is_at_risk().await);
    for _ in 0..2 {
        page.test.clock.advance(Duration::from_secs(60));
        page.call("page.insights", 400, LOST).await;
    }
    assert_eq!(page.told().await, ["needs_reconnecting"; 2], "it was there again in between");
    page.test.stop().await;
}

#[tokio::test]
async fn a_block_is_told_once_until_a_call_is_served_and_then_that_it_is_over() {
    const BLOCKED: &str = r#"{"error":{"message":"(#368) Refused","type":"OAuthException","code":368}}"#;
    let mut page = OfPage::set().await;
    page.call("page.insights", 400, BLOCKED).await;
    assert_eq!(page.told().await, ["token_blocked"]);
    assert!(page.is_at_risk().await);
    page.test.clock.advance(Duration::from_secs(2 * 3600));
    page.call("page.insights", 400, BLOCKED).await;
    page.test = page.test.restart().await;
    page.test.clock.advance(Duration::from_secs(2 * 3600));
    page.call("page.insights", 400, BLOCKED).await;
    assert_eq!(page.told().await, ["token_blocked"], "it is the same block");
    page.test.clock.advance(Duration::from_secs(2 * 3600));
    page.call("page.insights", 200, "").await;
    assert_eq!(page.told().await, ["token_blocked", "token_renewed"]);
    assert!(!page.is_at_risk().await);
    page.call("page.insights", 400, BLOCKED).await;
    assert_eq!(page.told().await, ["token_blocked", "token_renewed", "token_blocked"]);
    page.test.stop().await;
}

#[tokio::test]
async fn what_keeps_the_only_token_is_said_to_collectors_and_in_the_alert() {
    const LOST: &str = r#"{"error":{"message":"(#200) Refused","type":"OAuthException","code":200}}"#;
    const BLOCKED: &str = r#"{"error":{"message":"(#368) Refused","type":"OAuthException","code":368}}"#;
    for (body, calls, alert) in
        [(LOST, 2, "for want of a permission or role"), (BLOCKED, 1, "the network blocks their accounts")]
    {
        let page = OfPage::set().await;
        for _ in 0..calls {
            page.call("page.insights", 400, body).await;
            page.test.clock.advance(Duration::from_secs(60));
        }
        for _ in 0..10 {
            let refused = page.acquire("page.insights").await.expect_err("the only token can't");
            match refused {
                AcquireLeaseError::NoUsableToken { why: NoToken::PermissionLost, .. } if body == LOST => {}
                AcquireLeaseError::Refused(error @ AcquireError::Resting { why: Rest::Blocked, .. }) => {
                    assert!(error.to_string().starts_with("the network blocks the account"), "{error}");
                }
                other => panic!("{other}"),
            }
            page.test.broker.watch_loads().await.unwrap();
            page.test.clock.advance(Duration::from_secs(30));
        }
        let open = page.test.broker.open_alerts(None).await.unwrap();
        let [open] = &open[..] else { panic!("{open:?}") };
        assert!(open.message.contains(alert), "{}", open.message);
        page.test.stop().await;
    }
}

#[tokio::test]
async fn what_everybody_is_refused_is_told_once_and_not_as_anybodys_own() {
    const NOT_FOR_ANYBODY: &str = r#"{"error":{"message":"(#10) Refused","type":"OAuthException","code":10}}"#;
    let page = OfPage::set().await;
    for person in ["ben", "cid", "dan", "eve"] {
        page.add_token(person).await;
    }
    for _ in 0..100 {
        page.call("page.insights", 403, NOT_FOR_ANYBODY).await;
        page.test.clock.advance(Duration::from_secs(30));
    }
    assert_eq!(page.told().await, ["operation_refused"; 2], "operators, and the team that asks");
    assert!(!page.is_at_risk().await);
    page.test.stop().await;
}

#[tokio::test]
async fn credit_that_is_on_its_way_back_to_the_store_is_granted() {
    let Scene { test, team, caller, lease, .. } = Scene::set().await;
    test.broker.acquire_lease(&caller, ask(&team, 20)).await.unwrap();
    test.broker.release_lease(&caller, lease, None).await.unwrap();
    // The store hears of the end of the first lease, then of the new one, and of what came back after that.
    let all = AcquireLease { min_calls: 1, ..ask(&team, 10_000) };
    let (written, leased) = tokio::join!(test.broker.engine.write_back(), test.broker.acquire_lease(&caller, all));
    written.unwrap();
    leased.unwrap();
    test.stop().await;
}
