//! The use cases of administration, on a whole broker.

mod year;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{CollectorId, TokenId};
use crate::base::secret::Secret;
use crate::domain::networks::{Purpose, Purposes};
use crate::domain::team::{CollectorScope, KeyHolder, OperatorRole};
use crate::domain::token::{Clocks, Reason, Status, TransitionError};
use crate::service::audit::AuditQuery;
use crate::service::collectors::{CollectorError, CreateCollector, UpdateCollector};
use crate::service::import_tokens::{BeginImport, ImportCounts, ImportError, ImportRow, Outcome, RowRejected};
use crate::service::keys::{CreateKey, KeyError, KeyFilter, KeyRole};
use crate::service::teams::{CreateTeam, TeamError, UpdateTeam};
use crate::service::testing::{START, TestBroker, ask, x_token};
use crate::service::tokens::{
    AddToken, Light, RefreshHolder, Rejected, ShownState, TokenError, TokenListFilter, UpdateToken,
};
use crate::service::usage::day_of;
use crate::service::{AcquireLeaseError, Answered, AuthenticateError, ReportUsage};
use crate::store::{StoredToken, TokenFilter};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn purposes(list: &[Purpose]) -> Purposes {
    list.iter().copied().collect()
}

async fn stored(test: &TestBroker, token: TokenId) -> StoredToken {
    test.broker.store.find_token(token).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_team_is_made_changed_and_shown() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let again = CreateTeam { id: acme.clone(), display_name: String::new(), weight: 100, reserve_percent: None };
    assert!(matches!(test.broker.create_team(&test.admin, again).await, Err(TeamError::Exists(_))));
    let change = UpdateTeam { weight: Some(7), ..UpdateTeam::default() };
    test.broker.update_team(&test.admin, &acme, change).await.unwrap();
    test.token(&acme, "ann").await;
    test.collector(&acme, "one").await;
    let test = test.restart().await;
    let view = test.broker.show_team(&acme).await.unwrap();
    assert_eq!((view.team.weight, view.tokens, view.collectors), (7, 1, 1));
    let nobody = "nobody".parse().unwrap();
    assert!(matches!(test.broker.show_team(&nobody).await, Err(TeamError::NotFound(_))));
    let change = test.broker.update_team(&test.admin, &nobody, UpdateTeam::default()).await;
    assert!(matches!(change, Err(TeamError::NotFound(_))));
    test.stop().await;
}

#[tokio::test]
async fn teams_are_paged_by_name() {
    let test = TestBroker::start().await;
    for name in ["c", "a", "b"] {
        test.team(name).await;
    }
    let (first, more) = test.broker.list_teams(None, 2).await.unwrap();
    let last = first.last().unwrap().team.id.clone();
    let (second, end) = test.broker.list_teams(Some(&last), 2).await.unwrap();
    let names: Vec<_> = first.iter().chain(&second).map(|view| view.team.id.to_string()).collect();
    assert_eq!((names, more, end), (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], true, false));
    test.stop().await;
}

#[tokio::test]
async fn a_reserve_of_the_team_holds_for_its_tokens_at_once() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let token = test.token(&acme, "ann").await;
    let collector = test.collector(&acme, "one").await;
    test.broker.acquire_lease(&test.caller(collector.id), ask(&acme, 1)).await.unwrap();
    let cap = |test: &TestBroker| {
        let buckets = test.broker.engine.look(&"x".parse().unwrap(), |pool| pool.token_buckets(token)).unwrap();
        let own = buckets.into_iter().find(|bucket| bucket.owner == crate::domain::networks::Owner::AppPerson);
        let own = own.unwrap();
        own.cap * 100 / own.limit
    };
    assert_eq!(cap(&test), 90);
    let change = UpdateTeam { reserve_percent: Some(Some(50)), ..UpdateTeam::default() };
    test.broker.update_team(&test.admin, &acme, change).await.unwrap();
    assert_eq!(cap(&test), 50);
    test.stop().await;
}

#[tokio::test]
async fn a_team_is_deleted_when_it_is_empty_or_by_force() {
    let test = TestBroker::start().await;
    let (acme, zenith) = (test.team("acme").await, test.team("zenith").await);
    let token = test.token(&acme, "ann").await;
    let kept = test.token(&zenith, "ann").await;
    let collector = test.collector(&acme, "one").await;
    let key = test.key(KeyHolder::Collector(acme.clone(), collector.id)).await;
    let caller = test.caller(collector.id);
    let lease = test.broker.acquire_lease(&caller, ask(&acme, 1)).await.unwrap();
    let mut recalls = test.broker.engine.recalls();
    let refused = test.broker.delete_team(&test.admin, &acme, false).await;
    assert!(matches!(refused, Err(TeamError::NotEmpty { tokens: 1, collectors: 1, leases: 1, .. })), "{refused:?}");
    test.broker.delete_team(&test.admin, &acme, true).await.unwrap();
    assert_eq!(recalls.try_recv().unwrap().leases(), [lease.lease]);
    assert!(test.broker.store.find_token(token).await.unwrap().is_none());
    assert_eq!(test.broker.authenticate(Some(&key)).unwrap_err(), AuthenticateError::Invalid);
    assert!(matches!(test.broker.show_team(&acme).await, Err(TeamError::NotFound(_))));
    // A team of the same name is another one: it has a data key of its own, which survives.
    let acme = test.team("acme").await;
    let again = test.token(&acme, "ann").await;
    let test = test.restart().await;
    let collector = test.collector(&acme, "two").await;
    let lease = test.broker.acquire_lease(&test.caller(collector.id), ask(&acme, 1)).await.unwrap();
    assert_eq!((lease.token, lease.access_token.expose()), (again, "access-of-ann"));
    assert_eq!(stored(&test, kept).await.token.team, zenith);
    test.stop().await;
}

#[tokio::test]
async fn a_collector_has_a_name_of_its_own_and_networks_that_exist() {
    let test = TestBroker::start().await;
    let (acme, zenith) = (test.team("acme").await, test.team("zenith").await);
    let one = test.collector(&acme, "one").await;
    test.collector(&zenith, "one").await;
    let make = |team: &crate::base::ids::TeamId, name: &str, network: &str| CreateCollector {
        team: team.clone(),
        display_name: name.to_owned(),
        scope: CollectorScope { networks: vec![network.parse().unwrap()], ..CollectorScope::default() },
        weight: 100,
        certificates: Vec::new(),
    };
    let nobody = "nobody".parse().unwrap();
    let cases = [
        (make(&acme, "one", "x"), "Exists"),
        (make(&acme, "two", "nowhere"), "UnknownNetwork"),
        (make(&nobody, "two", "x"), "TeamNotFound"),
    ];
    for (ask, expected) in cases {
        let error = test.broker.create_collector(&test.admin, ask).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{error:?}");
    }
    let rename = UpdateCollector { display_name: Some("one".to_owned()), ..UpdateCollector::default() };
    test.broker.update_collector(&test.admin, &acme, one.id, rename.clone()).await.expect("its own name");
    let two = test.collector(&acme, "two").await;
    let taken = test.broker.update_collector(&test.admin, &acme, two.id, rename.clone()).await;
    assert!(matches!(taken, Err(CollectorError::Exists(_))));
    let foreign = test.broker.update_collector(&test.admin, &zenith, two.id, rename).await;
    assert!(matches!(foreign, Err(CollectorError::NotFound { .. })), "of another team");
    test.stop().await;
}

#[tokio::test]
async fn a_disabled_collector_gets_nothing_and_loses_what_it_holds() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    test.token(&acme, "ann").await;
    let one = test.collector(&acme, "one").await;
    let lease = test.broker.acquire_lease(&test.caller(one.id), ask(&acme, 5)).await.unwrap();
    let mut recalls = test.broker.engine.recalls();
    for _ in 0..2 {
        let disabled = test.broker.disable_collector(&test.admin, &acme, one.id, "leaked").await.unwrap();
        assert!(disabled.disabled);
    }
    assert_eq!(recalls.try_recv().unwrap().leases(), [lease.lease]);
    assert!(recalls.try_recv().is_err(), "told once");
    let refused = test.broker.acquire_lease(&test.caller(one.id), ask(&acme, 1)).await;
    assert!(matches!(refused, Err(AcquireLeaseError::Forbidden(_))));
    let test = test.restart().await;
    assert!(test.broker.collector(&acme, one.id).unwrap().disabled);
    test.broker.enable_collector(&test.admin, &acme, one.id, "").await.unwrap();
    assert!(test.broker.acquire_lease(&test.caller(one.id), ask(&acme, 1)).await.is_ok());
    test.stop().await;
}

#[tokio::test]
async fn a_collector_that_holds_leases_is_deleted_by_force_only() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    test.token(&acme, "ann").await;
    let one = test.collector(&acme, "one").await;
    let key = test.key(KeyHolder::Collector(acme.clone(), one.id)).await;
    test.broker.acquire_lease(&test.caller(one.id), ask(&acme, 1)).await.unwrap();
    let refused = test.broker.delete_collector(&test.admin, &acme, one.id, false).await;
    assert!(matches!(refused, Err(CollectorError::NotIdle(1))));
    assert!(test.broker.authenticate(Some(&key)).is_ok());
    test.broker.delete_collector(&test.admin, &acme, one.id, true).await.unwrap();
    let test = test.restart().await;
    assert!(matches!(test.broker.collector(&acme, one.id), Err(CollectorError::NotFound { .. })));
    assert_eq!(test.broker.authenticate(Some(&key)).unwrap_err(), AuthenticateError::Invalid);
    test.stop().await;
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked() {
    let test = TestBroker::start().await;
    let (acme, zenith) = (test.team("acme").await, test.team("zenith").await);
    let one = test.collector(&acme, "one").await;
    let foreign = test.broker.create_key(&test.admin, CreateKey::of(KeyHolder::Collector(zenith, one.id))).await;
    assert!(matches!(foreign.err(), Some(KeyError::CollectorNotFound { .. })));
    let (key, secret) =
        test.broker.create_key(&test.admin, CreateKey::of(KeyHolder::Collector(acme, one.id))).await.unwrap();
    test.key(KeyHolder::Operator(OperatorRole::Reader)).await;
    let list = |filter: KeyFilter| test.broker.list_keys(&filter, 10).unwrap().0.len();
    assert_eq!(list(KeyFilter::default()), 3);
    assert_eq!(list(KeyFilter { role: Some(KeyRole::Collector), ..KeyFilter::default() }), 1);
    let bearer = format!("Bearer {}", secret.unwrap().expose());
    assert_eq!(
        test.broker.authenticate(Some(&bearer)).unwrap().actor(),
        crate::domain::audit::Actor::Collector(one.id)
    );
    let revoked = test.broker.revoke_key(&test.admin, key.id, "").await.unwrap();
    test.clock.advance(DAY);
    assert_eq!(test.broker.revoke_key(&test.admin, key.id, "").await.unwrap().revoked_at, revoked.revoked_at);
    assert_eq!(test.broker.authenticate(Some(&bearer)).unwrap_err(), AuthenticateError::Invalid);
    assert_eq!(list(KeyFilter::default()), 2);
    assert_eq!(list(KeyFilter { with_ended: true, ..KeyFilter::default() }), 3);
    let test = test.restart().await;
    assert_eq!(test.broker.authenticate(Some(&bearer)).unwrap_err(), AuthenticateError::Invalid);
    test.stop().await;
}

#[tokio::test]
async fn the_last_admin_key_stays() {
    let test = TestBroker::start().await;
    let first = test.broker.directory.keys()[0].id;
    let refused = test.broker.revoke_key(&test.admin, first, "").await;
    assert!(matches!(refused, Err(KeyError::LastAdmin)));
    test.key(KeyHolder::Operator(OperatorRole::Reader)).await;
    assert!(matches!(test.broker.revoke_key(&test.admin, first, "").await, Err(KeyError::LastAdmin)));
    test.key(KeyHolder::Operator(OperatorRole::Admin)).await;
    test.broker.revoke_key(&test.admin, first, "").await.unwrap();
    test.stop().await;
}

#[tokio::test]
async fn whoever_has_a_key_can_end_it_and_learns_nothing() {
    let test = TestBroker::start().await;
    let found = test.key(KeyHolder::Operator(OperatorRole::Admin)).await;
    let other = test.key(KeyHolder::Operator(OperatorRole::Reader)).await;
    let mut forged = found.clone().into_bytes();
    forged[60] = if forged[60] == b'0' { b'1' } else { b'0' };
    for nothing in ["", "tbk_", &String::from_utf8(forged).unwrap()] {
        test.broker.revoke_key_by_value(&Secret::new(nothing.to_owned()), "").await.unwrap();
    }
    assert!(test.broker.authenticate(Some(&found)).is_ok());
    for _ in 0..2 {
        test.broker.revoke_key_by_value(&Secret::new(found.clone()), "in a repository").await.unwrap();
    }
    assert!(test.broker.authenticate(Some(&found)).is_err());
    assert!(test.broker.authenticate(Some(&other)).is_ok());
    test.stop().await;
}

#[tokio::test]
async fn a_token_is_sealed_durable_and_leased() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let token = test.token(&acme, "ann").await;
    let row = stored(&test, token).await;
    for sealed in [Some(&row.sealed_access), row.sealed_refresh.as_ref()] {
        let text = String::from_utf8_lossy(sealed.expect("both are kept")).into_owned();
        assert!(!text.contains("-of-ann"));
    }
    assert_eq!(
        row.token.purposes,
        purposes(&[Purpose::CollectStatistics, Purpose::CollectContent, Purpose::Validate]),
        "all that the scopes serve"
    );
    let test = test.restart().await;
    let one = test.collector(&acme, "one").await;
    let lease = test.broker.acquire_lease(&test.caller(one.id), ask(&acme, 1)).await.unwrap();
    assert_eq!(lease.access_token.expose(), "access-of-ann");
    test.stop().await;
}

#[tokio::test]
async fn what_can_not_be_a_token_is_refused_with_what_is_wrong() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let past = Clocks { access_expires_at: Some(START), ..Clocks::default() };
    let renewable = Clocks { refresh_expires_at: Some(START + DAY), ..past };
    let future = Clocks { consented_at: Some(START + DAY * 2), ..Clocks::default() };
    let fact = BTreeMap::from([("nonsense".to_owned(), 1)]);
    let cases: Vec<(AddToken, &str)> = vec![
        (AddToken { network: "nowhere".to_owned(), ..x_token("a") }, "token.network"),
        (AddToken { kind: "page".to_owned(), ..x_token("a") }, "token.kind"),
        (AddToken { app: Some("other".to_owned()), ..x_token("a") }, "token.app"),
        (AddToken { scopes: vec!["tweet.read".to_owned()], ..x_token("a") }, "token.scopes"),
        (AddToken { purposes: purposes(&[Purpose::Publish]), ..x_token("a") }, "token.scopes"),
        (AddToken { purposes: purposes(&[Purpose::ListPages]), ..x_token("a") }, "token.purposes"),
        (AddToken { facts: fact, ..x_token("a") }, "token.facts"),
        (AddToken { clocks: past, ..x_token("a") }, "token.clocks"),
        (AddToken { clocks: future, ..x_token("a") }, "token.clocks.consent_time"),
    ];
    for (ask, field) in cases {
        match test.broker.add_token(&test.admin, &acme, ask).await {
            Err(TokenError::Rejected(rejected)) => assert_eq!(rejected.field(), field),
            other => panic!("{field}: {other:?}"),
        }
    }
    let publish = AddToken { purposes: purposes(&[Purpose::Publish, Purpose::CollectContent]), ..x_token("a") };
    match test.broker.add_token(&test.admin, &acme, publish).await {
        Err(TokenError::Rejected(Rejected::Scopes(lacks))) => {
            assert_eq!(lacks, ["publish needs tweet.write"]);
        }
        other => panic!("{other:?}"),
    }
    let nobody = "nobody".parse().unwrap();
    let no_team = test.broker.add_token(&test.admin, &nobody, x_token("a")).await;
    assert!(matches!(no_team, Err(TokenError::TeamNotFound(_))));
    test.broker.add_token(&test.admin, &acme, AddToken { clocks: renewable, ..x_token("a") }).await.unwrap();
    test.stop().await;
}

#[tokio::test]
async fn one_grant_is_one_token_of_a_team() {
    let test = TestBroker::start().await;
    let (acme, zenith) = (test.team("acme").await, test.team("zenith").await);
    let held = test.token(&acme, "ann").await;
    match test.broker.add_token(&test.admin, &acme, x_token("ann")).await {
        Err(TokenError::Exists { token, .. }) => assert_eq!(token, held),
        other => panic!("{other:?}"),
    }
    test.token(&zenith, "ann").await;
    let unknown = |access: &str| AddToken {
        access: Secret::new(access.to_owned()),
        refresh: Some(Secret::new(format!("refresh-{access}"))),
        ..x_token("")
    };
    let first = test.broker.add_token(&test.admin, &acme, unknown("one")).await.unwrap();
    assert_eq!(first.token.person, "", "what tells unknown persons apart is not shown");
    test.broker.add_token(&test.admin, &acme, unknown("two")).await.expect("perhaps another person");
    let again = test.broker.add_token(&test.admin, &acme, unknown("one")).await;
    assert!(matches!(again, Err(TokenError::Exists { .. })), "this very token");
    test.stop().await;
}

#[tokio::test]
async fn a_refresh_token_that_is_replaced_by_its_use_is_for_one_token() {
    let test = TestBroker::start().await;
    let (acme, zenith) = (test.team("acme").await, test.team("zenith").await);
    let given =
        |person: &str, refresh: &str| AddToken { refresh: Some(Secret::new(refresh.to_owned())), ..x_token(person) };
    let held = test.broker.add_token(&test.admin, &acme, given("ann", "r")).await.unwrap().token.id;
    let holder = |error| match error {
        TokenError::RefreshHeld(holder) => holder,
        other => panic!("{other}"),
    };
    let of_acme = RefreshHolder::Token { team: acme.clone(), token: held };
    let bob = test.broker.add_token(&test.admin, &acme, given("bob", "r")).await.unwrap_err();
    assert_eq!(holder(bob), of_acme);
    let elsewhere = test.broker.add_token(&test.admin, &zenith, given("ann", "r")).await.unwrap_err();
    assert_eq!(holder(elsewhere), RefreshHolder::AnotherTeam);
    for validate_only in [true, false] {
        let import_id = format!("file {validate_only}");
        let begin = BeginImport { team: acme.clone(), import_id, validate_only, allow_existing: false };
        let mut import = test.broker.begin_import(&test.admin, begin).await.unwrap();
        let rows = [("cid", "s"), ("dan", "s"), ("eve", "r"), ("ann", "r")].into_iter().zip(1..);
        let rows = rows.map(|((person, refresh), row)| ImportRow { row, token: Ok(given(person, refresh)) });
        let outcomes = import.take(rows.collect()).await.unwrap();
        assert!(matches!(outcomes[0].1, Outcome::Added(_)), "{outcomes:?}");
        let rejected = |at: usize| match &outcomes[at].1 {
            Outcome::Rejected(RowRejected::RefreshHeld(holder)) => holder.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!((rejected(1), rejected(2)), (RefreshHolder::Row(1), of_acme.clone()));
        assert!(matches!(outcomes[3].1, Outcome::Rejected(RowRejected::Exists(_))), "the same grant: {outcomes:?}");
    }
    test.broker.revoke_token(&test.admin, &acme, held, "").await.unwrap();
    test.broker.add_token(&test.admin, &acme, given("bob", "r")).await.expect("nobody has it any more");
    test.stop().await;
}

#[tokio::test]
async fn a_token_out_of_use_is_not_leased_and_its_holders_are_told() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let one = test.collector(&acme, "one").await;
    for end in ["pause", "revoke", "invalidate"] {
        let token = test.token(&acme, end).await;
        let lease = test.broker.acquire_lease(&test.caller(one.id), ask(&acme, 1)).await.unwrap();
        let mut recalls = test.broker.engine.recalls();
        let (broker, admin) = (&test.broker, &test.admin);
        let shown = match end {
            "pause" => broker.pause_token(admin, &acme, token, "why").await,
            "revoke" => broker.revoke_token(admin, &acme, token, "why").await,
            _ => broker.invalidate_token(admin, &acme, token, Reason::PasswordChanged, "why").await,
        };
        let expected = match end {
            "pause" => ShownState::Paused,
            "revoke" => ShownState::Revoked,
            _ => ShownState::Invalid,
        };
        assert_eq!(shown.unwrap().state, expected);
        assert_eq!(recalls.try_recv().unwrap().leases(), [lease.lease], "{end}");
        let refused = test.broker.acquire_lease(&test.caller(one.id), ask(&acme, 1)).await;
        assert!(matches!(refused, Err(AcquireLeaseError::NoUsableToken { .. })), "{end}: {:?}", refused.err());
    }
    let test = test.restart().await;
    let refused = test.broker.acquire_lease(&test.caller(one.id), ask(&acme, 1)).await;
    assert!(matches!(refused, Err(AcquireLeaseError::NoUsableToken { .. })));
    test.stop().await;
}

#[tokio::test]
async fn states_change_only_as_they_may() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let token = test.token(&acme, "ann").await;
    let (broker, admin) = (&test.broker, &test.admin);
    let paused = broker.pause_token(admin, &acme, token, "").await.unwrap();
    test.clock.advance(DAY);
    assert_eq!(broker.pause_token(admin, &acme, token, "").await.unwrap().token.state, paused.token.state, "twice");
    assert_eq!(broker.resume_token(admin, &acme, token, "").await.unwrap().state, ShownState::Live);
    assert_eq!(broker.resume_token(admin, &acme, token, "").await.unwrap().state, ShownState::Live, "twice");
    broker.invalidate_token(admin, &acme, token, Reason::Expired, "").await.unwrap();
    for refused in
        [broker.pause_token(admin, &acme, token, "").await, broker.resume_token(admin, &acme, token, "").await]
    {
        assert!(matches!(refused, Err(TokenError::State(TransitionError::Invalid(Reason::Expired)))));
    }
    broker.revoke_token(admin, &acme, token, "").await.unwrap();
    broker.revoke_token(admin, &acme, token, "").await.expect("twice");
    let row = stored(&test, token).await;
    assert_eq!((row.sealed_access.len(), row.sealed_refresh), (0, None), "the secrets are gone");
    let update = UpdateToken { label: Some("x".to_owned()), ..UpdateToken::default() };
    for refused in [
        broker.resume_token(admin, &acme, token, "").await,
        broker.invalidate_token(admin, &acme, token, Reason::Expired, "").await,
        broker.update_token(admin, &acme, token, &update).await,
    ] {
        assert!(matches!(refused, Err(TokenError::State(TransitionError::Revoked))));
    }
    test.stop().await;
}

#[tokio::test]
async fn a_resumed_token_is_leased_again() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let token = test.token(&acme, "ann").await;
    let one = test.collector(&acme, "one").await;
    test.broker.pause_token(&test.admin, &acme, token, "").await.unwrap();
    test.broker.resume_token(&test.admin, &acme, token, "").await.unwrap();
    assert!(test.broker.acquire_lease(&test.caller(one.id), ask(&acme, 1)).await.is_ok());
    test.stop().await;
}

#[tokio::test]
async fn a_change_that_can_not_be_made_durable_is_an_error_and_the_stricter_state_stays() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let token = test.token(&acme, "ann").await;
    let one = test.collector(&acme, "one").await;
    let caller = test.caller(one.id);
    test.broker.acquire_lease(&caller, ask(&acme, 1)).await.unwrap();
    test.broker.store.close().await;
    // Reading fails first: nothing was decided, and nothing may have changed.
    assert!(matches!(test.broker.revoke_token(&test.admin, &acme, token, "").await, Err(TokenError::Store(_))));
    assert!(
        test.broker.create_key(&test.admin, CreateKey::of(KeyHolder::Operator(OperatorRole::Admin))).await.is_err()
    );
    let disabled = test.broker.disable_collector(&test.admin, &acme, one.id, "").await;
    assert!(matches!(disabled, Err(CollectorError::Store(_))));
    assert!(
        !test.broker.collector(&acme, one.id).unwrap().disabled,
        "it is not disabled, since that was not acknowledged"
    );
    test.tasks.stop();
}

#[tokio::test]
async fn what_may_be_changed_of_a_token_is_changed() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let facebook = AddToken {
        network: "facebook".to_owned(),
        kind: "page".to_owned(),
        profile: "42".to_owned(),
        scopes: facebook_scopes(&test),
        refresh: None,
        ..x_token("ann")
    };
    let token = test.broker.add_token(&test.admin, &acme, facebook).await.unwrap().token.id;
    let change = UpdateToken {
        label: Some("Ann's".to_owned()),
        granted_by: Some("ann@example.com".to_owned()),
        single_facts: BTreeMap::from([("engaged_users".to_owned(), Some(7))]),
        max_leases: Some(Some(3)),
        reserve_percent: Some(Some(20)),
        ..UpdateToken::default()
    };
    let shown = test.broker.update_token(&test.admin, &acme, token, &change).await.unwrap().token;
    assert_eq!(shown.granted_by, "ann@example.com");
    assert_eq!((shown.label.as_str(), shown.max_leases, shown.reserve_percent), ("Ann's", Some(3), Some(20)));
    assert_eq!(shown.facts, BTreeMap::from([("engaged_users".to_owned(), 7)]));
    let narrow = UpdateToken { scopes: Some(vec![]), ..UpdateToken::default() };
    let refused = test.broker.update_token(&test.admin, &acme, token, &narrow).await;
    assert!(matches!(refused, Err(TokenError::Rejected(Rejected::Scopes(_)))));
    let forget = UpdateToken {
        single_facts: BTreeMap::from([("engaged_users".to_owned(), None)]),
        max_leases: Some(None),
        ..UpdateToken::default()
    };
    test.broker.update_token(&test.admin, &acme, token, &forget).await.unwrap();
    let row = stored(&test, token).await.token;
    assert_eq!((row.facts.len(), row.max_leases, row.label.as_str()), (0, None, "Ann's"));
    test.stop().await;
}

/// All scopes that any purpose of a Facebook page's token needs.
fn facebook_scopes(test: &TestBroker) -> Vec<String> {
    let network = test.broker.catalogue.network("facebook").unwrap();
    let kind = network.kind("page").unwrap();
    let mut scopes: Vec<_> = kind.scopes.iter().flat_map(|needed| needed.scopes.clone()).collect();
    scopes.sort();
    scopes.dedup();
    scopes
}

#[tokio::test]
async fn tokens_of_one_team_are_nothing_to_another() {
    let test = TestBroker::start().await;
    let (acme, zenith) = (test.team("acme").await, test.team("zenith").await);
    let token = test.token(&acme, "ann").await;
    let one = test.collector(&zenith, "one").await;
    let (broker, admin) = (&test.broker, &test.admin);
    let update = UpdateToken { label: Some("x".to_owned()), ..UpdateToken::default() };
    for refused in [
        broker.show_token(&zenith, token).await.map(drop),
        broker.pause_token(admin, &zenith, token, "").await.map(drop),
        broker.revoke_token(admin, &zenith, token, "").await.map(drop),
        broker.update_token(admin, &zenith, token, &update).await.map(drop),
        broker.state_usage(&zenith, token, 0, 1).await.map(drop),
    ] {
        assert!(matches!(refused, Err(TokenError::NotFound { .. })), "{refused:?}");
    }
    let caller = test.caller(one.id);
    let foreign = broker.acquire_lease(&caller, ask(&acme, 1)).await;
    assert!(matches!(foreign, Err(AcquireLeaseError::Forbidden(_))));
    let none = broker.acquire_lease(&caller, ask(&zenith, 1)).await;
    assert!(matches!(none, Err(AcquireLeaseError::NoUsableToken { .. })), "{:?}", none.err());
    test.stop().await;
}

#[tokio::test]
async fn lists_of_tokens_hold_to_their_filters_and_pages() {
    let test = TestBroker::start().await;
    let (acme, zenith) = (test.team("acme").await, test.team("zenith").await);
    let until = |at: Timestamp| Clocks { refresh_expires_at: Some(at), ..Clocks::default() };
    let with = |person: &str, clocks| AddToken { clocks, ..x_token(person) };
    let mut ids = Vec::new();
    for ask in [
        with("endless", Clocks::default()),
        with("over", until(START + DAY)),
        with("soon", until(START + DAY * 8)),
        with("late", until(START + DAY * 30)),
        with("revoked", until(START + DAY)),
    ] {
        ids.push(test.broker.add_token(&test.admin, &acme, ask).await.unwrap().token.id);
    }
    let foreign = test.token(&zenith, "ann").await;
    test.broker.revoke_token(&test.admin, &acme, ids[4], "").await.unwrap();
    test.broker.pause_token(&test.admin, &acme, ids[0], "").await.unwrap();
    test.clock.advance(DAY * 2);
    let of = |status, state| TokenListFilter { team: Some(acme.clone()), status, state, ..TokenListFilter::default() };
    let with_light = |light| TokenListFilter { light: Some(light), ..of(None, None) };
    let cases = [
        (of(None, None), vec![0, 1, 2, 3, 4]),
        (TokenListFilter { held: true, ..of(None, None) }, vec![0, 1, 2, 3]),
        (TokenListFilter { text: Some("LAT".to_owned()), ..of(None, None) }, vec![3]),
        (with_light(Light::Dead), vec![1]),
        (with_light(Light::Expiring), vec![2]),
        (with_light(Light::Valid), vec![3]),
        (with_light(Light::NoExpiry), vec![]),
        (with_light(Light::Paused), vec![0]),
        (with_light(Light::Revoked), vec![4]),
        (of(Some(Status::Expired), None), vec![1, 4]),
        (of(Some(Status::Expiring), None), vec![2]),
        (of(Some(Status::Valid), None), vec![3]),
        (of(Some(Status::NoExpiry), None), vec![0]),
        (of(None, Some(ShownState::Live)), vec![2, 3]),
        (of(None, Some(ShownState::Paused)), vec![0]),
        (of(None, Some(ShownState::Expired)), vec![1]),
        (of(None, Some(ShownState::Revoked)), vec![4]),
        (of(Some(Status::Expiring), Some(ShownState::Live)), vec![2]),
        (of(None, Some(ShownState::Cooling)), vec![]),
    ];
    for (filter, expected) in cases {
        let expected: Vec<_> = expected.into_iter().map(|at: usize| ids[at]).collect();
        assert_eq!(all_pages(&test, &filter, 100).await, expected, "{filter:?}");
        assert_eq!(all_pages(&test, &filter, 1).await, expected, "one by one: {filter:?}");
    }
    let counts = test.broker.count_lights(&acme, &TokenListFilter::default()).await.unwrap();
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [1, 1, 1, 0, 1, 1]);
    ids.push(foreign);
    assert_eq!(all_pages(&test, &TokenListFilter::default(), 2).await, ids, "of all teams");
    let nowhere = TokenListFilter { network: Some("nowhere".parse().unwrap()), ..TokenListFilter::default() };
    assert!(matches!(test.broker.list_tokens(&nowhere, None, 1).await, Err(TokenError::Rejected(_))));
    test.stop().await;
}

async fn all_pages(test: &TestBroker, filter: &TokenListFilter, limit: u32) -> Vec<TokenId> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let (page, more) = test.broker.list_tokens(filter, after, limit).await.unwrap();
        after = page.last().map(|view| (view.token.team.clone(), view.token.id));
        found.extend(page.into_iter().map(|view| view.token.id));
        if !more {
            return found;
        }
    }
}

fn import(team: &str, id: &str, validate_only: bool, allow_existing: bool) -> BeginImport {
    BeginImport { team: team.parse().unwrap(), import_id: id.to_owned(), validate_only, allow_existing }
}

fn row(number: u64, person: &str) -> ImportRow {
    ImportRow { row: number, token: Ok(x_token(person)) }
}

fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Added(_) => "added",
        Outcome::Updated(_) => "updated",
        Outcome::Unchanged(_) => "unchanged",
        Outcome::Rejected(RowRejected::Exists(_)) => "exists",
        Outcome::Rejected(_) => "rejected",
    }
}

fn outcomes(done: &[(u64, Outcome)]) -> Vec<(u64, &'static str)> {
    done.iter().map(|(row, one)| (*row, outcome(one))).collect()
}

#[tokio::test]
async fn an_import_goes_on_after_a_break_and_a_restart() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let begin = import("acme", "spring", false, false);
    let mut first = test.broker.begin_import(&test.admin, begin.clone()).await.unwrap();
    assert_eq!(first.committed(), 0);
    let bad = ImportRow { row: 2, token: Ok(AddToken { kind: "page".to_owned(), ..x_token("b") }) };
    let done = first.take(vec![row(1, "a"), bad, row(3, "a"), row(7, "c")]).await.unwrap();
    assert_eq!(outcomes(&done), [(1, "added"), (2, "rejected"), (3, "exists"), (7, "added")]);
    assert_eq!(first.committed(), 7);
    assert_eq!(first.counts(), ImportCounts { added: 2, rejected: 2, ..ImportCounts::default() });
    drop(first);
    let test = test.restart().await;
    let mut second = test.broker.begin_import(&test.admin, begin).await.unwrap();
    assert_eq!(second.committed(), 7);
    let done = second.take(vec![row(7, "c"), row(8, "d")]).await.unwrap();
    assert_eq!(outcomes(&done), [(7, "unchanged"), (8, "added")]);
    assert_eq!(second.counts(), ImportCounts { added: 3, rejected: 2, ..ImportCounts::default() }, "of both streams");
    assert_eq!(test.broker.store.count_tokens(&acme, TokenFilter::default()).await.unwrap(), 3);
    drop(second);
    let one = test.collector(&acme, "one").await;
    assert!(test.broker.acquire_lease(&test.caller(one.id), ask(&acme, 1)).await.is_ok(), "it may be leased at once");
    test.stop().await;
}

#[tokio::test]
async fn an_import_is_worked_on_by_one_stream_under_one_setting() {
    let test = TestBroker::start().await;
    test.team("acme").await;
    test.team("zenith").await;
    let begin = |ask| test.broker.begin_import(&test.admin, ask);
    let mut running = begin(import("acme", "spring", false, false)).await.unwrap();
    let again = begin(import("acme", "spring", false, false)).await;
    assert!(matches!(again.err(), Some(ImportError::InProgress(_))));
    for other in [
        import("zenith", "spring", false, false),
        import("acme", "spring", true, false),
        import("acme", "spring", false, true),
    ] {
        assert!(matches!(begin(other).await.err(), Some(ImportError::Mismatch(_))));
    }
    let nobody = begin(import("nobody", "summer", false, false)).await.err();
    assert!(matches!(nobody, Some(ImportError::Token(TokenError::TeamNotFound(_)))));
    running.take(vec![row(5, "a")]).await.unwrap();
    for wrong in [vec![row(5, "b")], vec![row(6, "b"), row(6, "c")]] {
        assert!(matches!(running.take(wrong).await, Err(ImportError::Order { .. })));
    }
    drop(running);
    begin(import("acme", "spring", false, false)).await.unwrap();
    test.stop().await;
}

#[tokio::test]
async fn an_import_brings_tokens_up_to_date() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let held = async |person| test.broker.add_token(&test.admin, &acme, x_token(person)).await.unwrap().token.id;
    let (same, stale, paused) = (held("same").await, held("stale").await, held("paused").await);
    test.broker.invalidate_token(&test.admin, &acme, stale, Reason::PasswordChanged, "").await.unwrap();
    test.broker.pause_token(&test.admin, &acme, paused, "").await.unwrap();
    let fresh = |number, person: &str| ImportRow {
        row: number,
        token: Ok(AddToken { access: Secret::new(format!("fresh-{person}")), ..x_token(person) }),
    };
    let rows = || vec![row(1, "same"), fresh(2, "stale"), fresh(3, "paused"), row(4, "new")];
    let expected = [(1, "unchanged"), (2, "updated"), (3, "updated"), (4, "added")];
    let mut check = test.broker.begin_import(&test.admin, import("acme", "check", true, true)).await.unwrap();
    assert_eq!(outcomes(&check.take(rows()).await.unwrap()), expected, "foreseen");
    assert_eq!((check.committed(), stored(&test, stale).await.token.version), (4, 1), "and nothing was changed");
    let mut real = test.broker.begin_import(&test.admin, import("acme", "real", false, true)).await.unwrap();
    assert_eq!(outcomes(&real.take(rows()).await.unwrap()), expected);
    drop((check, real));
    let shown = test.broker.show_token(&acme, stale).await.unwrap().0;
    assert_eq!((shown.state, shown.token.version), (ShownState::Live, 2), "fresh secrets heal it");
    assert_eq!(test.broker.show_token(&acme, paused).await.unwrap().0.state, ShownState::Paused);
    assert_eq!(stored(&test, same).await.token.version, 1);
    test.broker.pause_token(&test.admin, &acme, same, "").await.unwrap();
    let test = test.restart().await;
    let one = test.collector(&acme, "one").await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let lease = test.broker.acquire_lease(&test.caller(one.id), ask(&acme, 1)).await.unwrap();
        seen.push(lease.access_token.expose().to_owned());
        let lease = test.broker.pause_token(&test.admin, &acme, lease.token, "").await;
        lease.unwrap();
    }
    seen.sort();
    assert_eq!(seen, ["access-of-new", "fresh-stale"]);
    test.stop().await;
}

#[tokio::test]
async fn reports_reach_the_usage_ledger_once() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let token = test.token(&acme, "ann").await;
    let one = test.collector(&acme, "one").await;
    let caller = test.caller(one.id);
    let lease = test.broker.acquire_lease(&caller, ask(&acme, 5)).await.unwrap();
    let answer = Answered { status: 429, ..Answered::default() };
    let report = |sequence, used, answer| ReportUsage { sequence, used, answer, ..ReportUsage::default() };
    let counted = || ReportUsage { errors: 1, ..report(1, 2, None) };
    test.broker.report_usage(&caller, lease.lease, counted()).await.unwrap();
    test.broker.report_usage(&caller, lease.lease, counted()).await.expect("a repetition");
    test.broker.report_usage(&caller, lease.lease, report(2, 1, Some(answer))).await.unwrap();
    let test = test.restart().await;
    let today = day_of(START);
    let stated = test.broker.state_usage(&acme, token, today, today).await.unwrap();
    assert_eq!(stated.total_calls, 3);
    let class: crate::base::ids::ClassId = "search_recent".parse().unwrap();
    let row = stated.rows.iter().find(|row| row.key.class.as_ref() == Some(&class)).unwrap();
    assert_eq!((row.calls, row.throttled, row.errors), (3, 1, 1));
    assert_eq!((row.key.collector, row.key.purpose), (Some(one.id), Purpose::CollectContent));
    assert_eq!((row.key.collection.as_str(), row.credits), ("brand", 3));
    let before = test.broker.state_usage(&acme, token, today - 10, today - 1).await.unwrap();
    assert_eq!((before.total_calls, before.rows.len()), (0, 0));
    test.stop().await;
}

#[tokio::test]
async fn every_change_stands_in_the_audit_with_its_reason_and_without_secrets() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let token = test.token(&acme, "ann").await;
    test.broker.pause_token(&test.admin, &acme, token, "Ann is on leave").await.unwrap();
    test.collector(&acme, "one").await;
    let actions = async |query: AuditQuery| {
        let page = test.broker.list_audit(&query, None, 100).await.unwrap();
        assert!(page.events.iter().all(|event| !event.detail.contains("-of-ann")));
        page.events.into_iter().map(|event| event.action).collect::<Vec<_>>()
    };
    let all = ["collector.create", "token.pause", "token.add", "team.create", "key.create"];
    assert_eq!(actions(AuditQuery::default()).await, all);
    let of_team = AuditQuery { team: Some(acme.clone()), ..AuditQuery::default() };
    assert_eq!(actions(of_team).await, all[..4]);
    let of_noun = AuditQuery { action: Some("token.".to_owned()), ..AuditQuery::default() };
    assert_eq!(actions(of_noun).await, ["token.pause", "token.add"]);
    let of_token = AuditQuery { token: Some(format!("teams/acme/tokens/{token}")), ..AuditQuery::default() };
    assert_eq!(actions(of_token).await, ["token.pause", "token.add"]);
    let by_broker = AuditQuery { actor: Some("broker".to_owned()), ..AuditQuery::default() };
    assert_eq!(actions(by_broker).await, ["key.create"]);
    let page = test.broker.list_audit(&AuditQuery::default(), None, 2).await.unwrap();
    let rest = test.broker.list_audit(&AuditQuery::default(), page.next, 10).await.unwrap();
    assert_eq!((page.events.len(), rest.events.len(), rest.next), (2, 3, None));
    let detail = &page.events[1].detail;
    assert_eq!(crate::service::audit::details(detail).1, "Ann is on leave", "{detail}");
    test.stop().await;
}

#[tokio::test]
async fn a_page_token_belongs_to_its_list() {
    let test = TestBroker::start().await;
    let token = test.broker.page_token("tokens", b"team=acme", b"cursor");
    let read = |list, filters: &[u8], token: &str| test.broker.read_page_token(list, filters, token);
    assert_eq!(read("tokens", b"team=acme", &token), Ok(Some(b"cursor".to_vec())));
    assert_eq!(read("tokens", b"team=acme", ""), Ok(None));
    assert!(read("tokens", b"team=zenith", &token).is_err());
    assert!(read("keys", b"team=acme", &token).is_err());
    assert!(read("tokens", b"team=acme", &format!("{token}AA")).is_err());
    assert!(read("tokens", b"team=acme", "nonsense").is_err());
    test.stop().await;
}

#[tokio::test]
async fn work_is_finished_though_its_caller_goes_away() {
    let test = TestBroker::start().await;
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let (done, finished) = tokio::sync::oneshot::channel();
    let mut work = Box::pin(test.broker.finish(async move {
        let _ = wait.await;
        let _ = done.send(7);
    }));
    assert!(futures_util::poll!(&mut work).is_pending());
    drop(work);
    go.send(()).unwrap();
    assert_eq!(finished.await, Ok(7));
    test.stop().await;
}

#[tokio::test]
async fn an_unknown_collector_holds_nothing() {
    let test = TestBroker::start().await;
    let acme = test.team("acme").await;
    let unknown = CollectorId::generate();
    assert!(matches!(test.broker.collector(&acme, unknown), Err(CollectorError::NotFound { .. })));
    let nobody = "nobody".parse().unwrap();
    assert!(matches!(test.broker.list_collectors(Some(&nobody), None, 1), Err(CollectorError::TeamNotFound(_))));
    test.stop().await;
}
