//! Apps and budgets in a whole broker.

use super::*;
use crate::domain::networks::Purpose;
use crate::engine::AcquireError;
use crate::service::connect::StartConnection;
use crate::service::testing::{TestBroker, ask, x_token};
use crate::service::tokens::{AddToken, TokenError};
use crate::service::{AcquireLease, AcquireLeaseError};

/// What a search of X is charged of the budget `post_reads`, and what the tests begin with: ten searches.
const POSTS: u64 = 100;
const START: u64 = 10 * POSTS;

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

/// A broker whose budget at X is small and of which nothing is kept back.
async fn with_small_budget() -> TestBroker {
    let mut config = crate::config::Config::default();
    config.credit.owner_reserve = crate::config::Share::NONE;
    let safe_start = BTreeMap::from([(id("post_reads"), START)]);
    config.networks.insert(id("x"), crate::config::NetworkSettings { safe_start, ..Default::default() });
    TestBroker::start_with(config).await
}

fn top_up(units: i64) -> TopUpBudget {
    TopUpBudget { network: id("x"), app: default_app(), class: "post_reads".to_owned(), units }
}

fn budget(test: &TestBroker) -> BudgetView {
    test.broker.app(&id("x"), &default_app()).unwrap().budgets.remove(0)
}

/// Made with `printf %s EAAB-token | openssl dgst -sha256 -hmac app-secret`.
const PROOF: &str = "294c307ff2427ed2140908ec13f483ef7f7d7819a8fc32fb535cf6ada2327ab2";

#[test]
fn the_proof_is_that_of_openssl() {
    assert_eq!(app_secret_proof(&secret("app-secret"), &secret("EAAB-token")), PROOF);
}

#[tokio::test]
async fn a_budget_lends_what_it_holds_and_more_once_it_is_topped_up() {
    let test = with_small_budget().await;
    let acme = test.team("acme").await;
    let collector = test.collector(&acme, "one").await;
    let caller = test.caller(collector.id);
    test.token(&acme, "ann").await;
    test.broker.acquire_lease(&caller, ask(&acme, 10)).await.unwrap();
    let spent = test.broker.acquire_lease(&caller, ask(&acme, 1)).await;
    assert!(matches!(spent, Err(AcquireLeaseError::Refused(AcquireError::LimitedUntil { .. }))), "{:?}", spent.err());
    let topped_up = test.broker.top_up_budget(&test.admin, top_up(500)).await.unwrap();
    assert_eq!((topped_up.total, topped_up.topped_up_at), (START + 500, Some(test.broker.now())));
    test.broker.acquire_lease(&caller, ask(&acme, 5)).await.expect("what was paid for");
    assert!(test.broker.acquire_lease(&caller, ask(&acme, 1)).await.is_err(), "and no more");
    test.stop().await;
}

#[tokio::test]
async fn a_top_up_outlives_a_restart() {
    let test = with_small_budget().await;
    test.broker.top_up_budget(&test.admin, top_up(500)).await.unwrap();
    let test = test.restart().await;
    assert_eq!(budget(&test).total, START + 500);
    let more = test.broker.top_up_budget(&test.admin, top_up(500)).await.unwrap();
    assert_eq!((&more, more.total), (&budget(&test), START + 1000));
    test.stop().await;
}

#[tokio::test]
async fn a_budget_that_falls_below_what_is_granted_grants_nothing() {
    let test = with_small_budget().await;
    let acme = test.team("acme").await;
    let collector = test.collector(&acme, "one").await;
    let caller = test.caller(collector.id);
    test.token(&acme, "ann").await;
    test.broker.acquire_lease(&caller, ask(&acme, 4)).await.unwrap();
    let lowered = test.broker.top_up_budget(&test.admin, top_up(-700)).await.unwrap();
    assert_eq!(lowered.total, 300);
    assert!(test.broker.acquire_lease(&caller, ask(&acme, 1)).await.is_err());
    for units in [-301, i64::MIN, i64::MAX] {
        let wrong = test.broker.top_up_budget(&test.admin, top_up(units)).await;
        assert!(matches!(wrong, Err(AppError::Units { total: 300 })), "{units}");
    }
    test.broker.top_up_budget(&test.admin, top_up(200)).await.unwrap();
    test.broker.acquire_lease(&caller, ask(&acme, 1)).await.expect("500 less 400");
    assert!(test.broker.acquire_lease(&caller, ask(&acme, 1)).await.is_err());
    test.stop().await;
}

#[tokio::test]
async fn only_what_is_paid_in_advance_has_a_budget() {
    let test = TestBroker::start().await;
    for class in ["search_recent", "nothing"] {
        let wrong = TopUpBudget { class: class.to_owned(), ..top_up(1) };
        let wrong = test.broker.top_up_budget(&test.admin, wrong).await;
        assert!(matches!(wrong, Err(AppError::NoBudget { .. })), "{class}");
    }
    let nowhere = TopUpBudget { network: id("nowhere"), ..top_up(1) };
    assert!(matches!(test.broker.top_up_budget(&test.admin, nowhere).await, Err(AppError::Network(_))));
    let unknown = TopUpBudget { app: id("other"), ..top_up(1) };
    assert!(matches!(test.broker.top_up_budget(&test.admin, unknown).await, Err(AppError::NotFound { .. })));
    test.stop().await;
}

fn facebook_token(access: &str, app: Option<&str>) -> AddToken {
    AddToken {
        network: "facebook".to_owned(),
        kind: "page".to_owned(),
        app: app.map(str::to_owned),
        person: "ann".to_owned(),
        profile: "page 1".to_owned(),
        label: String::new(),
        granted_by: String::new(),
        scopes: ["pages_read_engagement", "pages_show_list", "read_insights", "pages_read_user_content"]
            .map(str::to_owned)
            .to_vec(),
        purposes: Default::default(),
        facts: BTreeMap::from([("engaged_users".to_owned(), 100)]),
        max_leases: None,
        reserve_percent: None,
        clocks: Default::default(),
        access: secret(access),
        refresh: None,
    }
}

fn page_posts(team: &crate::base::ids::TeamId) -> AcquireLease {
    AcquireLease {
        network: "facebook".to_owned(),
        operation: "page.posts".to_owned(),
        purpose: Purpose::CollectContent,
        ..ask(team, 1)
    }
}

#[tokio::test]
async fn a_lease_carries_the_proof_that_its_app_can_make() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let collector = test.collector(&acme, "one").await;
    let caller = test.caller(collector.id);
    test.broker.add_token(&test.admin, &acme, facebook_token("EAAB-token", None)).await.unwrap();
    let without = test.broker.acquire_lease(&caller, page_posts(&acme)).await.unwrap();
    assert_eq!(without.parameters, BTreeMap::new(), "the app's secret is not known");
    let said = UpdateApp { client_secret: Some(Some(secret("app-secret"))), ..UpdateApp::default() };
    let app = test.broker.update_app(&test.admin, &id("facebook"), &default_app(), said).await.unwrap();
    assert!(app.has_secret);
    let test = test.restart().await;
    let request = Some(("again".to_owned(), [1; 32]));
    for turn in ["first", "repeated"] {
        let ask = AcquireLease { request: request.clone(), ..page_posts(&acme) };
        let lease = test.broker.acquire_lease(&caller, ask).await.unwrap();
        assert_eq!(lease.parameters, BTreeMap::from([("appsecret_proof".to_owned(), PROOF.to_owned())]), "{turn}");
    }
    let forget = UpdateApp { client_secret: Some(None), ..UpdateApp::default() };
    test.broker.update_app(&test.admin, &id("facebook"), &default_app(), forget).await.unwrap();
    let after = test.broker.acquire_lease(&caller, page_posts(&acme)).await.unwrap();
    assert_eq!(after.parameters, BTreeMap::new());
    test.stop().await;
}

#[tokio::test]
async fn each_app_has_its_own_secret_and_tokens() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let second = |said| CreateApp { network: id("facebook"), id: id("second"), team: None, said };
    let early = test.broker.add_token(&test.admin, &acme, facebook_token("EAAB-token", Some("second"))).await;
    assert!(early.is_err(), "there is no such app yet");
    let said = UpdateApp { client_secret: Some(Some(secret("app-secret"))), ..UpdateApp::default() };
    test.broker.create_app(&test.admin, second(said)).await.unwrap();
    let again = test.broker.create_app(&test.admin, second(UpdateApp::default())).await;
    assert!(matches!(again, Err(AppError::Exists { .. })));
    let default = CreateApp { network: id("facebook"), id: default_app(), team: None, said: UpdateApp::default() };
    assert!(matches!(test.broker.create_app(&test.admin, default).await, Err(AppError::Exists { .. })));
    test.broker.add_token(&test.admin, &acme, facebook_token("EAAB-token", Some("second"))).await.unwrap();
    let collector = test.collector(&acme, "one").await;
    let lease = test.broker.acquire_lease(&test.caller(collector.id), page_posts(&acme)).await.unwrap();
    assert_eq!(lease.parameters["appsecret_proof"], PROOF);
    let (apps, more) = test.broker.list_apps(Some(&id("facebook")), None, 10).unwrap();
    let seen: Vec<_> = apps.iter().map(|view| (view.app.id.as_str(), view.tokens)).collect();
    assert_eq!((seen, more), (vec![("default", 0), ("second", 1)], false));
    let (first, more) = test.broker.list_apps(Some(&id("facebook")), None, 1).unwrap();
    let last = (id("facebook"), first[0].app.id.clone());
    let (rest, none) = test.broker.list_apps(Some(&id("facebook")), Some(&last), 1).unwrap();
    assert_eq!((more, none, rest[0].app.id.as_str()), (true, false, "second"));
    test.stop().await;
}

#[tokio::test]
async fn an_app_of_a_team_is_used_by_that_team_alone_and_preferred_there() {
    let test = TestBroker::start().await;
    let (acme, zenith) = (test.team("acme").await, test.team("zenith").await);
    let said = |client: &str| UpdateApp { client_id: Some(client.to_owned()), ..UpdateApp::default() };
    test.broker.update_app(&test.admin, &id("x"), &default_app(), said("ours")).await.unwrap();
    let create = |team: &str| CreateApp { network: id("x"), id: id("own"), team: Some(id(team)), said: said("theirs") };
    let nobodys = test.broker.create_app(&test.admin, create("nobody")).await;
    assert!(matches!(nobodys, Err(AppError::NoTeam(_))));
    let made = test.broker.create_app(&test.admin, create("acme")).await.unwrap();
    assert_eq!(made.app.team.as_ref(), Some(&acme));
    let changed = test.broker.update_app(&test.admin, &id("x"), &id("own"), said("new")).await.unwrap();
    assert_eq!(changed.app.team.as_ref(), Some(&acme), "for good");
    let token = |person: &str| AddToken { app: Some("own".to_owned()), ..x_token(person) };
    let refused = test.broker.add_token(&test.admin, &zenith, token("bob")).await;
    assert!(matches!(refused, Err(TokenError::Rejected(Rejected::AppNotFound { .. }))), "{refused:?}");
    test.broker.add_token(&test.admin, &acme, token("ann")).await.unwrap();
    let start = async |team: &TeamId, app: Option<&str>| {
        let ask = StartConnection {
            network: "x".to_owned(),
            kind: "user".to_owned(),
            app: app.map(str::to_owned),
            purposes: [Purpose::CollectContent].into_iter().collect(),
            ..StartConnection::default()
        };
        test.broker.start_connection(&test.admin, team, ask).await.map(|started| started.connection.app.to_string())
    };
    assert_eq!(
        (start(&acme, None).await.unwrap().as_str(), start(&zenith, None).await.unwrap().as_str()),
        ("own", "default")
    );
    assert_eq!(start(&acme, Some("default")).await.unwrap(), "default", "what is named is meant");
    assert!(start(&zenith, Some("own")).await.is_err());
    let test = test.restart().await;
    assert_eq!(test.broker.app(&id("x"), &id("own")).unwrap().app.team.as_ref(), Some(&acme));
    test.stop().await;
}

#[tokio::test]
async fn limits_follow_the_facts_of_an_app_at_once() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let user = AddToken {
        kind: "user".to_owned(),
        profile: String::new(),
        facts: BTreeMap::new(),
        scopes: ["public_profile", "pages_show_list", "pages_read_engagement"].map(str::to_owned).to_vec(),
        ..facebook_token("EAAB-user", None)
    };
    let token = test.broker.add_token(&test.admin, &acme, user).await.unwrap().token.id;
    let limits = async || {
        let (_, buckets) = test.broker.show_token(&acme, token).await.unwrap();
        let of_app = buckets.into_iter().find(|bucket| bucket.owner == crate::domain::networks::Owner::App).unwrap();
        (of_app.limit, of_app.limit_assumed)
    };
    assert_eq!(limits().await, (200, true), "nothing is known of the app");
    for (users, limit) in [(Some(50), 10_000), (Some(20), 4_000)] {
        let single_facts = BTreeMap::from([("app_users".to_owned(), users)]);
        let said = UpdateApp { single_facts, ..UpdateApp::default() };
        test.broker.update_app(&test.admin, &id("facebook"), &default_app(), said).await.unwrap();
        assert_eq!(limits().await, (limit, false));
    }
    let test = test.restart().await;
    let (_, buckets) = test.broker.show_token(&acme, token).await.unwrap();
    assert!(buckets.iter().any(|bucket| bucket.limit == 4_000));
    let unknown = UpdateApp { facts: Some(BTreeMap::from([("shoe_size".to_owned(), 7)])), ..UpdateApp::default() };
    let unknown = test.broker.update_app(&test.admin, &id("facebook"), &default_app(), unknown).await;
    assert!(matches!(unknown, Err(AppError::Fact(Rejected::Fact { .. }))));
    test.stop().await;
}

#[tokio::test]
async fn an_app_is_deleted_once_no_token_uses_it() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let second = || id::<AppId>("second");
    let create = CreateApp { network: id("x"), id: second(), team: None, said: UpdateApp::default() };
    test.broker.create_app(&test.admin, create).await.unwrap();
    let of_second = || AddToken { app: Some("second".to_owned()), ..x_token("ann") };
    let token = test.broker.add_token(&test.admin, &acme, of_second()).await.unwrap().token.id;
    for app in [second(), default_app()] {
        let refused = test.broker.delete_app(&test.admin, &id("x"), &app).await;
        let expected = matches!(refused, Err(AppError::InUse { tokens: 1, .. })) || app == default_app();
        assert!(refused.is_err() && expected, "{app}: {refused:?}");
    }
    test.broker.revoke_token(&test.admin, &acme, token, "").await.unwrap();
    test.broker.delete_app(&test.admin, &id("x"), &second()).await.unwrap();
    let test = test.restart().await;
    assert!(matches!(test.broker.app(&id("x"), &second()), Err(AppError::NotFound { .. })));
    let late = test.broker.add_token(&test.admin, &acme, of_second()).await;
    assert!(matches!(late, Err(TokenError::Rejected(Rejected::AppNotFound { .. }))), "{late:?}");
    let again = test.broker.delete_app(&test.admin, &id("x"), &second()).await;
    assert!(matches!(again, Err(AppError::NotFound { .. })), "{again:?}");
    test.stop().await;
}
