//! Starting a broker: open the store, the keys and the pools, and take up where an earlier run ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::rand::fill;

use crate::base::clock::{Clock, Timestamp};
use crate::base::ids::{AuditId, KeyId, NetworkId, TeamId};
use crate::base::secret::Secret;
use crate::base::tasks::Tasks;
use crate::config::{self, Config};
use crate::domain::app::App;
use crate::domain::audit::{Actor, AuditEvent};
use crate::domain::credit::Timing;
use crate::domain::key::ApiKey;
use crate::domain::networks::Catalogue;
use crate::domain::pool::{Choice, PoolSettings};
use crate::domain::team::{Key, KeyHolder, KeyProof, OperatorRole};
use crate::engine::{Engine, EngineSettings, Restored};
use crate::outbound::address::{Lookup, SystemLookup};
use crate::outbound::authorities::{Authorities, AuthoritiesError};
use crate::outbound::http::{HttpClient, HttpSetupError, NetworkClient};
use crate::outbound::oauth::{Pace, SigningClient};
use crate::service::audit::{AuditSeen, audit_key};
use crate::service::callbacks::Callbacks;
use crate::service::changes::Changes;
use crate::service::clock::follow_clock;
use crate::service::import_tokens::Imports;
use crate::service::incidents::Incidents;
use crate::service::jobs::Jobs;
use crate::service::key_source::{FoundKey, KeySource, KeySourceError};
use crate::service::keys::CreateKey;
use crate::service::notices::{Notices, NoticesError};
use crate::service::probe::Probes;
use crate::service::renew::Renewals;
use crate::service::sealing::{Sealing, stored_own, unstored, unstored_own};
use crate::service::sessions::SignInDesk;
use crate::service::settings::misfits;
use crate::service::tell::ToldToday;
use crate::service::{Broker, Directory, Parts, Proofs, Streams, Watch, apps};
use crate::store::{Foundation, MetaName, Spool, Store, StoreError};
use crate::telemetry::Metrics;
use crate::vault::{
    BreachedPasswords, BreachedPasswordsError, HashError, SealingKey, Vault, VaultError, WrappedOwnKey,
};

/// A broker that was started.
pub struct Started {
    /// The broker.
    pub broker: Broker,
    /// What was taken up of an earlier run.
    pub restored: Restored,
    /// The first admin key, where there was none: shown once, never kept.
    pub first_key: Option<Secret>,
}

/// Why a broker can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sealing key.
    #[error(transparent)]
    SealingKey(#[from] KeySourceError),
    /// The cost of a password's hash.
    #[error(transparent)]
    Password(#[from] HashError),
    /// The list of breached passwords.
    #[error(transparent)]
    BreachedPasswords(#[from] BreachedPasswordsError),
    /// The data keys.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store's note of its key is damaged.
    #[error("the store's note of its sealing key is damaged; restore a backup of the store")]
    Fingerprint,
    /// A destination of operators, or the mail server.
    #[error(transparent)]
    Notices(#[from] NoticesError),
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers; the broker can't make keys")]
    Random,
    /// The authorities that are trusted beside those of the machine.
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    /// Networks can't be called.
    #[error(transparent)]
    Endpoint(#[from] HttpSetupError),
    /// A setting names what the catalogue does not have.
    #[error("{0}: {1}")]
    Misfit(String, String),
}

impl Broker {
    /// Starts a broker on an open store.
    pub async fn start(
        config: Config,
        catalogue: Catalogue,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        tasks: &Tasks,
    ) -> Result<Started, StartError> {
        let authorities = Authorities::in_file(config.outbound.ca_file.as_deref())?;
        let endpoint = Arc::new(HttpClient::new(&authorities)?);
        Self::start_by(config, catalogue, store, clock, metrics, tasks, endpoint).await
    }

    /// As [`Broker::start`], asking the networks' networks through `endpoint`.
    pub(super) async fn start_by(
        config: Config,
        catalogue: Catalogue,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        tasks: &Tasks,
        endpoint: Arc<dyn NetworkClient>,
    ) -> Result<Started, StartError> {
        follow_clock(&*store, &*clock).await?;
        let source = KeySource::of_config(&config).map_err(KeySourceError::from)?;
        let vault = open_vault(&source, &*store, clock.now()).await?;
        store.start_audit(audit_key(&vault)).await?;
        let directory = Directory::read(&*store).await?;
        let settings = engine_settings(&config, &catalogue, &directory)?;
        let engine = Engine::start(&catalogue, &settings, clock.clone(), store.clone(), tasks);
        let reserves = team_reserves(&config, &directory);
        let restored = engine.restore(|team| reserves.get(team).copied()).await?;
        engine.start_background(tasks);
        let vault = Arc::new(vault);
        let lookup: Arc<dyn Lookup> = Arc::new(SystemLookup);
        let whole = |rate: usize| u32::try_from(rate).unwrap_or(u32::MAX);
        let config::Renewals { per_second, network_per_second, .. } = config.renewals;
        let signing = Arc::new(SigningClient::new(endpoint, clock.clone()));
        let pace = Pace::new(whole(per_second), whole(network_per_second), clock.clone());
        let notices = Notices::of_config(&config, &lookup)?;
        let breached = config.sign_in.breached_passwords_file.clone().map(BreachedPasswords::open).transpose()?;
        let desk = SignInDesk::new(&config.sign_in, breached, &clock)?;
        let spool = Spool::of_store(&config.store.dir);
        let (callbacks_at, started_at) = (clock.clone(), clock.now());
        let broker = Broker::new(Parts {
            started_at,
            desk,
            clock,
            config,
            catalogue,
            store,
            vault,
            engine,
            metrics,
            directory,
            tasks: tasks.clone(),
            streams: Streams::default(),
            changes: Changes::default(),
            sealing: Sealing::new(source),
            watch: Watch::default(),
            notices,
            jobs: Jobs::default(),
            renewals: Renewals::new(signing, pace, spool),
            audit_seen: AuditSeen::default(),
            told_today: ToldToday::default(),
            incidents: Incidents::default(),
            callbacks: Callbacks::new(callbacks_at),
            probes: Probes::default(),
            imports: Imports::default(),
            proofs: Proofs::default(),
        });
        broker.restore_alerts().await?;
        broker.restore_incidents().await?;
        broker.take_in_spooled().await?;
        let first_key = broker.ensure_admin().await?;
        Ok(Started { broker, restored, first_key })
    }

    /// Makes the first admin key if there is none that works.
    async fn ensure_admin(&self) -> Result<Option<Secret>, StartError> {
        let admin = KeyHolder::Operator(OperatorRole::Admin);
        let now = self.now();
        let works = |key: &Arc<Key>| key.holder == admin && key.works(now);
        if self.directory.keys().iter().any(works) {
            return Ok(None);
        }
        self.make_admin("role=admin first=true").await.map(Some)
    }

    /// Makes a further admin key, for whoever holds the store and its sealing key: the way back in where all admin keys are
    /// lost. Returns its text, which is shown once and never kept.
    pub async fn restore_admin(&self) -> Result<Secret, StartError> {
        self.make_admin("role=admin restored=true").await
    }

    async fn make_admin(&self, detail: &str) -> Result<Secret, StartError> {
        let admin = CreateKey::of(KeyHolder::Operator(OperatorRole::Admin));
        let (key, secret) = self.make_key(admin).ok_or(StartError::Random)?;
        let audit = AuditEvent {
            id: AuditId::generate(),
            at: self.now(),
            actor: Actor::Broker,
            action: "key.create",
            team: None,
            subject: format!("keys/{}", key.id),
            detail: detail.to_owned(),
        };
        self.store.insert_key(key.clone(), audit.into()).await?;
        self.directory.put_key(key);
        secret.ok_or(StartError::Random)
    }

    /// A new key, and the text of its secret if it has one. `None` if the machine gives no random numbers.
    pub fn make_key(&self, ask: CreateKey) -> Option<(Key, Option<Secret>)> {
        let CreateKey { holder, display_name, expires_at, certificate } = ask;
        let id = KeyId::generate();
        let (proof, text) = match certificate {
            Some(name) => (KeyProof::Certificate(name), None),
            None => {
                let mut bytes = [0_u8; 32];
                fill(&mut bytes).ok()?;
                let made = ApiKey::from_random(id, bytes);
                (KeyProof::Secret(self.vault.key_hash(id, made.secret())), Some(made.text()))
            }
        };
        let (made_by, created_at, revoked_at) = (None, self.now(), None);
        Some((Key { id, holder, display_name, proof, made_by, created_at, expires_at, revoked_at }, text))
    }
}

/// Opens the vault with the key that the store was sealed with. A new store is laid out first: own key, note of the sealing key and
/// the beginning of the audit come together, so that a part of them alone tells of somebody who took the rest away.
async fn open_vault(source: &KeySource, store: &dyn Store, now: Timestamp) -> Result<Vault, StartError> {
    source.warn();
    let mut own: Vec<_> = store.list_own_keys().await?.into_iter().map(unstored_own).collect();
    let key = match store.find_meta(MetaName::KekFingerprint).await? {
        Some(text) => {
            let text = std::str::from_utf8(&text).map_err(|_| StartError::Fingerprint)?;
            let expected = text.parse().map_err(|_| StartError::Fingerprint)?;
            let FoundKey { key, is_next } = source.find(expected).await?;
            if is_next {
                source.put_in_place(expected).map_err(KeySourceError::from)?;
            }
            key
        }
        None if !own.is_empty() => return Err(StartError::Fingerprint),
        None => {
            let key = source.first().await?;
            own.push(found(&key, store, now).await?);
            key
        }
    };
    let vault = Vault::open(&key, &own)?;
    for key in store.list_data_keys().await? {
        match vault.install(unstored(key)) {
            Err(error @ VaultError::Unwrap { .. }) => {
                tracing::error!(%error, "the secrets of this data key do not open; their tokens are taken out of use");
            }
            installed => installed?,
        }
    }
    Ok(vault)
}

/// Lays a new store out. Returns its first own key.
async fn found(key: &SealingKey, store: &dyn Store, now: Timestamp) -> Result<WrappedOwnKey, StartError> {
    let first = WrappedOwnKey::first(key);
    let vault = Vault::open(key, std::slice::from_ref(&first))?;
    let foundation = Foundation {
        own_key: stored_own(&first, now),
        fingerprint: key.fingerprint().to_string().into_bytes(),
        audit_key: audit_key(&vault),
    };
    store.found(foundation).await?;
    Ok(first)
}

fn engine_settings(
    config: &Config,
    catalogue: &Catalogue,
    directory: &Directory,
) -> Result<EngineSettings, StartError> {
    if let Some((field, problem)) = misfits(config, catalogue).into_iter().next() {
        return Err(StartError::Misfit(field, problem));
    }
    let mut pools: BTreeMap<_, _> =
        catalogue.iter().map(|network| (network.id.clone(), pool_settings(config, &network.id))).collect();
    for stored in directory.apps() {
        if let Some(pool) = pools.get_mut(&stored.app.network) {
            pool.apps.insert(stored.app.id.clone(), apps::terms_of(config, &stored.app));
        }
    }
    Ok(EngineSettings { queue: config.credit.queue, pools, ..EngineSettings::default() })
}

/// How a network's pool decides, while nothing was said of its apps.
fn pool_settings(config: &Config, network: &NetworkId) -> PoolSettings {
    let of_network = config.networks.get(network);
    let reserve = of_network.and_then(|settings| settings.owner_reserve).unwrap_or(config.credit.owner_reserve);
    let unknown = App::unknown(network.clone(), apps::default_app());
    PoolSettings {
        timing: Timing { guard: config.credit.window_guard, ..Timing::default() },
        reserve_percent: percent(reserve),
        max_leases_per_token: u32::try_from(config.token_concurrency_for(network)).unwrap_or(u32::MAX),
        choice: match config.choice_for(network) {
            config::Choice::MostCredit => Choice::MostCredit,
            config::Choice::SoonestReset => Choice::SoonestReset,
            config::Choice::RoundRobin => Choice::RoundRobin,
        },
        apps: BTreeMap::from([(unknown.id.clone(), apps::terms_of(config, &unknown))]),
    }
}

fn team_reserves(config: &Config, directory: &Directory) -> BTreeMap<TeamId, u8> {
    let configured = config.credit.team_reserve.iter().map(|(team, reserve)| (team.clone(), percent(*reserve)));
    let own = directory.teams().into_iter().filter_map(|team| Some((team.id.clone(), team.reserve_percent?)));
    configured.chain(own).collect()
}

/// A share in whole percent, rounded up: a reserve is never smaller than promised.
pub(super) fn percent(share: config::Share) -> u8 {
    u8::try_from(share.basis_points().div_ceil(100)).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{START, TestBroker};

    #[tokio::test]
    async fn a_store_of_which_a_part_of_its_foundation_is_gone_is_refused() {
        for harm in ["DELETE FROM own_key", "DELETE FROM meta WHERE name = 'kek_fingerprint'"] {
            let test = TestBroker::start().await;
            test.sql(harm).await;
            let source = KeySource::of_config(&test.broker.config).unwrap();
            assert!(open_vault(&source, &*test.broker.store, START).await.is_err(), "{harm}");
            test.stop().await;
        }
    }

    #[test]
    fn a_network_has_its_own_settings_and_else_the_common_ones() {
        let text = "[credit]\nchoice = \"soonest_reset\"\nowner_reserve = \"20%\"\nwindow_guard = \"5s\"\n\
            [networks.x]\nchoice = \"round_robin\"\nowner_reserve = \"30%\"\ntoken_concurrency = 3";
        let config = Config::read("broker.toml", text, [], &[], |_| Vec::new()).unwrap();
        let of = |network: &str| {
            let settings = pool_settings(&config, &network.parse().unwrap());
            (settings.choice, settings.reserve_percent, settings.max_leases_per_token, settings.timing.guard)
        };
        let guard = std::time::Duration::from_secs(5);
        assert_eq!(of("x"), (Choice::RoundRobin, 30, 3, guard));
        let common = u32::try_from(config.token_concurrency_for(&"youtube".parse().unwrap())).unwrap();
        assert_eq!(of("youtube"), (Choice::SoonestReset, 20, common, guard));
    }
}
