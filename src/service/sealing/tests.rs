//! The sealing key is changed on a whole broker, in every order in which that can be broken off.

use std::collections::BTreeSet;
use std::time::Duration;

use std::path::{Path, PathBuf};

use sqlx::Connection;

use super::*;
use crate::base::ids::{AppId, CollectorId, NetworkId};
use crate::base::secret::Secret;
use crate::config::Config;
use crate::domain::audit::{Actor, AuditEvent};
use crate::domain::notice::{DestinationKind, Fact, Kind};
use crate::domain::token::TokenState;
use crate::service::apps::{CreateApp, UpdateApp, default_app};
use crate::service::notices::{CreateDestination, UpdateDestination};
use crate::service::testing::{START, TestBroker, ask};
use crate::store::AuditFilter;
use crate::text::{InWords, Text};
use crate::vault::{KeyFile, SealingKey};

const LONG_ENOUGH: Duration = Duration::from_secs(601);

struct Bench {
    test: TestBroker,
    acme: TeamId,
    collector: CollectorId,
}

fn key_in(file: &Path) -> SealingKey {
    KeyFile::at(file.to_owned()).read().unwrap().open().unwrap()
}

/// A broker with so many tokens of one team.
async fn bench(tokens: usize) -> Bench {
    bench_with(Config::default(), tokens).await
}

async fn bench_with(config: Config, tokens: usize) -> Bench {
    let test = TestBroker::start_with(config).await;
    let acme = test.team("acme").await;
    for n in 0..tokens {
        test.token(&acme, &format!("p{n}")).await;
    }
    let collector = test.collector(&acme, "crawler").await.id;
    Bench { test, acme, collector }
}

impl Bench {
    async fn restart(self) -> Self {
        Self { test: self.test.restart().await, ..self }
    }

    fn broker(&self) -> &Broker {
        &self.test.broker
    }

    async fn rotate(&self) -> Fingerprint {
        self.broker().rotate_sealing_key(&self.test.admin).await.unwrap().fingerprint
    }

    /// A lease opens, and its token is one that was added.
    async fn must_lease(&self) {
        let leased = self.broker().acquire_lease(&self.test.caller(self.collector), ask(&self.acme, 1)).await.unwrap();
        assert!(leased.access_token.expose().starts_with("access-of-p"));
        let _ = self.broker().engine.release(leased.lease);
    }

    async fn sealed(&self) -> Vec<SealedToken> {
        self.broker().store.sealed_tokens(None, 10_000).await.unwrap()
    }

    fn key_file(&self) -> PathBuf {
        self.broker().config.key_file()
    }

    async fn state_of(&self, token: TokenId) -> TokenState {
        self.broker().store.find_token(token).await.unwrap().unwrap().token.state
    }

    /// Writes what does not open in the place of a token's sealed access token.
    async fn damage(&self, before: SealedToken) {
        let (mut access, refresh) = (before.access.clone(), before.refresh.clone());
        *access.last_mut().unwrap() ^= 1;
        self.broker().store.reseal_tokens(vec![Resealed { before, access, refresh, key: None }]).await.unwrap();
    }
}

fn said(done: &dyn InWords) -> String {
    Text::english().tell_of(done)
}

#[tokio::test]
async fn everything_is_sealed_anew_while_leases_go_on() {
    let bench = bench(300).await;
    let (old, before) = (bench.broker().vault.fingerprint(), bench.sealed().await);
    bench.broker().reseal().await.unwrap();
    assert!(!bench.broker().view_sealing().resealing);
    let new = bench.rotate().await;
    assert_ne!(new, old);
    assert!(bench.broker().view_sealing().resealing);
    bench.must_lease().await;
    let (done, ()) = tokio::join!(bench.broker().reseal(), async {
        for _ in 0..20 {
            bench.must_lease().await;
        }
    });
    assert_eq!(said(&done.unwrap()), "300 tokens looked at, 300 sealed anew, 0 damaged, 0 data keys deleted.");
    let after = bench.sealed().await;
    assert!(
        before
            .iter()
            .zip(&after)
            .all(|(before, after)| before.access != after.access && before.refresh != after.refresh)
    );
    let stored = bench.broker().store.list_data_keys().await.unwrap();
    assert_eq!(
        stored.iter().map(|key| key.id).collect::<Vec<_>>(),
        [1, 2],
        "calls from before may still need the older"
    );
    bench.test.clock.advance(LONG_ENOUGH);
    let done = said(&bench.broker().reseal().await.unwrap());
    assert_eq!(done, "300 tokens looked at, 0 sealed anew, 0 damaged, 1 data keys deleted.");
    bench.must_lease().await;
    assert_eq!(bench.broker().reseal().await.unwrap().name, "ran-reseal-nothing");
    // The admin's key and the audit are of before, and still hold.
    let bench = bench.restart().await;
    assert!(bench.broker().authenticate(Some(&format!("Bearer {}", bench.test.admin_key))).is_ok());
    bench.must_lease().await;
    let key = crate::service::audit::audit_key(&bench.broker().vault);
    assert_eq!(bench.broker().store.verify_audit(&key, None, Duration::ZERO).await.unwrap().fault, None);
    let events = bench.broker().store.list_audit(AuditFilter::default(), 10_000).await.unwrap();
    let event = events.iter().find(|event| event.action == "sealing_key.rotate").unwrap();
    assert_eq!(event.detail, format!("from={old} to={new}"));
    bench.test.stop().await;
}

#[tokio::test]
async fn the_old_key_opens_nothing_of_the_store() {
    let bench = bench(2).await;
    let old = bench.broker().vault.fingerprint();
    bench.rotate().await;
    let retired = bench.key_file().with_added_extension(old.to_string());
    let old = key_in(&retired);
    let own: Vec<_> = bench.broker().store.list_own_keys().await.unwrap().into_iter().map(unstored_own).collect();
    assert!(matches!(crate::vault::Vault::open(&old, &own), Err(VaultError::UnwrapOwn { .. })));
    let new = key_in(&bench.key_file());
    let vault = crate::vault::Vault::open(&new, &own).unwrap();
    for key in bench.broker().store.list_data_keys().await.unwrap() {
        vault.install(unstored(key)).unwrap();
    }
    bench.test.stop().await;
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// Whether the files of the running store, as `kill -9` would leave them, hold any part of what was wrapped.
fn is_in_the_files(bench: &Bench, wrapped: &[u8]) -> bool {
    let folder = bench.test.folder();
    let files = ["broker.db", "broker.db-wal"].map(|file| std::fs::read(folder.join(file)).unwrap());
    let holds = |part: &[u8]| files.iter().any(|file| file.windows(part.len()).any(|window| window == part));
    wrapped.chunks_exact(16).any(holds)
}

#[tokio::test]
async fn nothing_of_older_keys_is_left_in_the_files_of_the_store() {
    let bench = bench(2).await;
    let store = &bench.broker().store;
    let wrapped = async || {
        let own = store.list_own_keys().await.unwrap().into_iter().map(|key| key.wrapped);
        own.chain(store.list_data_keys().await.unwrap().into_iter().map(|key| key.wrapped)).collect::<Vec<_>>()
    };
    let before = wrapped().await;
    assert!(before.iter().all(|wrapped| is_in_the_files(&bench, wrapped)));
    bench.rotate().await;
    assert!(!before.iter().any(|wrapped| is_in_the_files(&bench, wrapped)));
    let older = store.list_data_keys().await.unwrap().remove(0);
    assert!(is_in_the_files(&bench, &older.wrapped));
    bench.broker().reseal().await.unwrap();
    bench.test.clock.advance(LONG_ENOUGH);
    bench.broker().reseal().await.unwrap();
    assert!(!is_in_the_files(&bench, &older.wrapped), "the data key that was deleted");
    bench.test.stop().await;
}

#[tokio::test]
async fn what_another_program_still_reads_is_erased_by_the_pass() {
    let bench = bench(1).await;
    let reader = bench.test.reader().await;
    let before = bench.broker().store.list_own_keys().await.unwrap().remove(0);
    bench.rotate().await;
    assert!(is_in_the_files(&bench, &before.wrapped), "somebody still reads the state from before");
    let done = said(&bench.broker().reseal().await.unwrap());
    assert!(done.ends_with("What was overwritten is still in the database's log."), "{done}");
    reader.close().await.unwrap();
    bench.test.clock.advance(Duration::from_secs(61));
    bench.broker().reseal().await.unwrap();
    assert!(!is_in_the_files(&bench, &before.wrapped));
    bench.test.stop().await;
}

/// The process ends after the next key was written, before the store has it.
#[tokio::test]
async fn a_key_that_was_never_used_is_passed_over() {
    let bench = bench(2).await;
    let old = bench.broker().vault.fingerprint();
    KeyFile::at(bench.key_file()).create_next(&SealingKey::generate().kept()).unwrap();
    let bench = bench.restart().await;
    assert_eq!(bench.broker().vault.fingerprint(), old);
    bench.must_lease().await;
    let new = bench.rotate().await;
    let bench = bench.restart().await;
    assert_eq!(bench.broker().vault.fingerprint(), new);
    bench.must_lease().await;
    bench.test.stop().await;
}

/// The process ends after the store has the new key, before its file has its place; and again while that happens.
#[tokio::test]
async fn a_key_without_its_place_is_put_there_by_the_next_start() {
    let bench = bench(2).await;
    let (path, old) = (bench.key_file(), bench.broker().vault.fingerprint());
    let before = std::fs::read(&path).unwrap();
    let new = bench.rotate().await;
    std::fs::rename(&path, path.with_added_extension("next")).unwrap();
    let retired = path.with_added_extension(old.to_string());
    std::fs::rename(&retired, &path).unwrap();
    let bench = bench.restart().await;
    assert_eq!(key_in(&path).fingerprint(), new);
    assert_eq!(std::fs::read(&retired).unwrap(), before);
    bench.must_lease().await;
    std::fs::rename(&path, path.with_added_extension("next")).unwrap();
    let bench = bench.restart().await;
    assert_eq!(key_in(&path).fingerprint(), new);
    bench.must_lease().await;
    bench.test.stop().await;
}

/// The process ends when a part of the secrets is sealed anew.
#[tokio::test]
async fn a_pass_that_was_broken_off_goes_on_after_the_start() {
    let bench = bench(300).await;
    bench.rotate().await;
    bench.broker().reseal_part(None).await.unwrap();
    let bench = bench.restart().await;
    bench.must_lease().await;
    let done = said(&bench.broker().reseal().await.unwrap());
    assert_eq!(done, "300 tokens looked at, 44 sealed anew, 0 damaged, 0 data keys deleted.");
    bench.must_lease().await;
    bench.test.stop().await;
}

#[tokio::test]
async fn a_second_rotation_overtakes_the_first() {
    let bench = bench(3).await;
    let (first, second) = (bench.rotate().await, bench.rotate().await);
    assert_ne!(first, second);
    bench.broker().reseal().await.unwrap();
    bench.test.clock.advance(LONG_ENOUGH);
    bench.broker().reseal().await.unwrap();
    let stored = bench.broker().store.list_data_keys().await.unwrap();
    assert_eq!(stored.iter().map(|key| key.id).collect::<Vec<_>>(), [3]);
    let bench = bench.restart().await;
    bench.must_lease().await;
    bench.test.stop().await;
}

/// A secret that a call from before brings late is found by the pass that comes before the older data key would go.
#[tokio::test]
async fn a_late_secret_keeps_the_older_data_key() {
    let bench = bench(2).await;
    let late = bench.sealed().await.remove(0);
    bench.rotate().await;
    bench.broker().reseal().await.unwrap();
    let now = bench.sealed().await.remove(0);
    bench.test.clock.advance(LONG_ENOUGH);
    let SealedToken { access, refresh, .. } = late;
    bench.broker().store.reseal_tokens(vec![Resealed { before: now, access, refresh, key: None }]).await.unwrap();
    let done = said(&bench.broker().reseal().await.unwrap());
    assert_eq!(done, "2 tokens looked at, 1 sealed anew, 0 damaged, 1 data keys deleted.");
    let bench = bench.restart().await;
    bench.must_lease().await;
    bench.test.stop().await;
}

#[tokio::test]
async fn a_damaged_secret_takes_its_token_out_of_use_and_nothing_else() {
    let bench = bench(2).await;
    let tokens = bench.sealed().await;
    let damaged = tokens[0].token;
    bench.damage(tokens[0].clone()).await;
    let bench = bench.restart().await;
    assert_eq!(bench.state_of(damaged).await, TokenState::Live, "the start looks at no secret");
    let done = said(&bench.broker().reseal().await.unwrap());
    assert_eq!(done, "2 tokens looked at, 0 sealed anew, 1 damaged, 0 data keys deleted.");
    assert_eq!(bench.state_of(damaged).await, TokenState::Invalid { reason: Reason::SecretDamaged, since: START });
    assert_eq!(bench.state_of(tokens[1].token).await, TokenState::Live);
    assert!(bench.broker().metrics.render().contains("token_broker_quarantined_tokens_total 1"));
    for _ in 0..5 {
        bench.must_lease().await;
    }
    // It hinders no rotation.
    bench.rotate().await;
    bench.broker().reseal().await.unwrap();
    bench.test.clock.advance(LONG_ENOUGH);
    let done = said(&bench.broker().reseal().await.unwrap());
    assert_eq!(done, "1 token looked at, 0 sealed anew, 0 damaged, 1 data keys deleted.");
    bench.test.stop().await;
}

#[tokio::test]
async fn a_damaged_secret_is_found_by_the_lease_that_needs_it() {
    let bench = bench(1).await;
    let token = bench.sealed().await.remove(0);
    let id = token.token;
    bench.damage(token).await;
    let bench = bench.restart().await;
    let refused = bench.broker().acquire_lease(&bench.test.caller(bench.collector), ask(&bench.acme, 1)).await;
    assert!(matches!(refused, Err(crate::service::AcquireLeaseError::Sealed)));
    bench.broker().quarantine_token(&bench.acme, id).await.unwrap();
    assert!(matches!(bench.state_of(id).await, TokenState::Invalid { reason: Reason::SecretDamaged, .. }));
    bench.test.stop().await;
}

#[tokio::test]
async fn damaged_secrets_of_apps_destinations_and_browsers_are_seen_until_they_are_set_anew() {
    let mut config = Config::default();
    config.http.public_url = Some("https://tokens.example.com".parse().unwrap());
    let bench = bench_with(config, 1).await;
    let (x, app) = ("x".parse().unwrap(), default_app());
    let client_secret = || UpdateApp { client_secret: Some(Some(secret("s3cret"))), ..UpdateApp::default() };
    bench.broker().update_app(&bench.test.admin, &x, &app, client_secret()).await.unwrap();
    let ask = CreateDestination {
        team: bench.acme.clone(),
        display_name: String::new(),
        kind: DestinationKind::Mail,
        target: secret("ops@example.com"),
        secrets: Vec::new(),
        events: None,
    };
    let destination = bench.broker().create_destination(&bench.test.admin, ask).await.unwrap();
    bench.broker().show_push_key().await.unwrap();
    bench.broker().reseal().await.unwrap();
    let shows = |bench: &Bench, line: &str| bench.broker().metrics.render().contains(line);
    assert!(shows(&bench, r#"token_broker_damaged_secrets{of="app"} 0"#));
    bench
        .test
        .sql(
            "UPDATE app SET sealed_secret = substr(sealed_secret, 1, length(sealed_secret) - 1);
             UPDATE destination SET sealed_target = substr(sealed_target, 1, length(sealed_target) - 1);
             UPDATE meta SET value = substr(value, 1, length(value) - 1) WHERE name = 'push_key'",
        )
        .await;
    let bench = bench.restart().await;
    let done = said(&bench.broker().reseal().await.unwrap());
    assert!(done.ends_with(" 3 secrets of apps, destinations and browsers do not open."), "{done}");
    for of in ["app", "destination", "push"] {
        assert!(shows(&bench, &format!(r#"token_broker_damaged_secrets{{of="{of}"}} 1"#)), "{of}");
    }
    let shown = bench.broker().app(&x, &app).unwrap();
    assert!(shown.has_secret && shown.secret_damaged);
    let of_team = bench.broker().show_destination(&bench.acme, destination.id).await.unwrap();
    assert!(of_team.damaged && bench.broker().list_destinations(&bench.acme).await.unwrap()[0].damaged);
    let told = async || {
        let events = bench.broker().store.untold_events(None, 100).await.unwrap();
        let damaged = events.into_iter().filter_map(|event| match (event.team, event.fact) {
            (None, Fact::SecretDamaged { name }) => Some(name),
            _ => None,
        });
        damaged.collect::<BTreeSet<_>>()
    };
    let both = BTreeSet::from(["networks/x/apps/default".to_owned(), destination.name()]);
    assert_eq!(told().await, both, "a browser is subscribed anew by its member");
    bench.broker().update_app(&bench.test.admin, &x, &app, client_secret()).await.unwrap();
    let anew = UpdateDestination { target: Some(secret("ops@example.com")), ..UpdateDestination::default() };
    bench.broker().update_destination(&bench.test.admin, &bench.acme, destination.id, anew).await.unwrap();
    let done = said(&bench.broker().reseal().await.unwrap());
    assert!(done.ends_with(" 1 secret of an app, a destination or a browser does not open."), "{done}");
    assert!(shows(&bench, r#"token_broker_damaged_secrets{of="app"} 0"#));
    assert!(!bench.broker().app(&x, &app).unwrap().secret_damaged);
    assert!(!bench.broker().show_destination(&bench.acme, destination.id).await.unwrap().damaged);
    assert_eq!(told().await, both, "each is told once");
    bench.test.stop().await;
}

#[tokio::test]
async fn that_an_app_is_damaged_is_told_anew_of_one_that_was_made_anew() {
    let bench = bench(0).await;
    let (x, app): (NetworkId, AppId) = ("x".parse().unwrap(), "second".parse().unwrap());
    for times in 1..=2 {
        let said = UpdateApp { client_secret: Some(Some(secret("s3cret"))), ..UpdateApp::default() };
        let ask = CreateApp { network: x.clone(), id: app.clone(), team: None, said };
        bench.broker().create_app(&bench.test.admin, ask).await.unwrap();
        bench
            .test
            .sql("UPDATE app SET sealed_secret = substr(sealed_secret, 1, length(sealed_secret) - 1) WHERE id = 'second'")
            .await;
        bench.broker().reseal().await.unwrap();
        let events = bench.broker().store.untold_events(None, 100).await.unwrap();
        let told = events.iter().filter(|event| event.fact.kind() == Kind::OutOfOrder).count();
        assert_eq!(told, times);
        bench.broker().delete_app(&bench.test.admin, &x, &app).await.unwrap();
        bench.test.clock.advance(Duration::from_secs(1));
    }
    bench.test.stop().await;
}

#[tokio::test]
async fn what_is_damaged_while_the_broker_runs_is_found_within_a_day() {
    let bench = bench(1).await;
    bench.broker().reseal().await.unwrap();
    bench.damage(bench.sealed().await.remove(0)).await;
    assert_eq!(bench.broker().reseal().await.unwrap().name, "ran-reseal-nothing");
    bench.test.clock.advance(Duration::from_secs(24 * 3600 + 1));
    let done = said(&bench.broker().reseal().await.unwrap());
    assert_eq!(done, "1 token looked at, 0 sealed anew, 1 damaged, 0 data keys deleted.");
    bench.test.stop().await;
}

#[tokio::test]
async fn a_damaged_data_key_fails_no_start() {
    let bench = bench(1).await;
    let token = bench.sealed().await.remove(0).token;
    let beta = bench.test.team("beta").await;
    bench.test.token(&beta, "bert").await;
    let broker = bench.broker();
    let mut keys = broker.store.list_data_keys().await.unwrap();
    keys.retain(|key| key.team == bench.acme);
    keys[0].wrapped[20] ^= 1;
    let own_keys = broker.store.list_own_keys().await.unwrap();
    let event = AuditEvent {
        id: crate::base::ids::AuditId::generate(),
        at: broker.clock.now(),
        actor: Actor::Broker,
        action: "test",
        team: None,
        subject: String::new(),
        detail: String::new(),
    };
    let fingerprint = broker.vault.fingerprint().to_string().into_bytes();
    let rotation = RotateKeys { data_keys: keys, own_keys, fingerprint, trail: event.into() };
    broker.store.rotate_keys(rotation).await.unwrap();
    let bench = bench.restart().await;
    bench.broker().reseal().await.unwrap();
    assert!(matches!(bench.state_of(token).await, TokenState::Invalid { reason: Reason::SecretDamaged, .. }));
    bench.test.token(&bench.acme, "p9").await;
    bench.must_lease().await;
    let bench = bench.restart().await;
    bench.must_lease().await;
    bench.test.stop().await;
}

/// The text of a fresh key, as it stands in its file.
fn key_text() -> (String, Fingerprint) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let key = SealingKey::generate();
    KeyFile::at(path.clone()).create(&key.kept()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    (text.lines().last().unwrap().to_owned(), key.fingerprint())
}

fn config_of(key: &str, next_key: Option<&str>) -> Config {
    let mut config = Config::default();
    config.vault.key = Some(key.to_owned().into());
    config.vault.next_key = next_key.map(|text| text.to_owned().into());
    config
}

#[tokio::test]
async fn a_key_of_the_environment_is_changed_to_the_next_one() {
    let ((one, first), (two, second)) = (key_text(), key_text());
    let bench = bench_with(config_of(&one, None), 1).await;
    assert_eq!(bench.broker().vault.fingerprint(), first);
    assert!(!bench.key_file().exists());
    let refused = bench.broker().rotate_sealing_key(&bench.test.admin).await;
    assert!(matches!(refused, Err(RotateError::NoNextKey)));
    let bench = Bench { test: bench.test.restart_with(config_of(&one, Some(&one))).await, ..bench };
    let refused = bench.broker().rotate_sealing_key(&bench.test.admin).await;
    assert!(matches!(refused, Err(RotateError::SameKey)));
    let bench = Bench { test: bench.test.restart_with(config_of(&one, Some(&two))).await, ..bench };
    assert_eq!(bench.rotate().await, second);
    let bench = bench.restart().await;
    assert_eq!(bench.broker().vault.fingerprint(), second, "the store says which of the two is its key");
    bench.must_lease().await;
    let bench = Bench { test: bench.test.restart_with(config_of(&two, None)).await, ..bench };
    bench.must_lease().await;
    let refused = KeySource::of_config(&config_of(&one, None)).unwrap().find(second).await.err().unwrap().to_string();
    assert!(refused.contains("TOKEN_BROKER__VAULT__KEY") && refused.contains(&second.to_string()), "{refused}");
    bench.test.stop().await;
}
