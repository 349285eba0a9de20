//! Our apps at the networks: made, shown, changed; their budgets topped up; what their secrets are needed for.
//!
//! What is said of an app is durable first and then holds in the live pools at once. Its client secret is sealed; it is used here and
//! never shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_lc_rs::hmac;

use crate::base::clock::Timestamp;
use crate::base::hex::push_hex;
use crate::base::ids::{AppId, ClassId, NetworkId, TeamId};
use crate::base::secret::Secret;
use crate::config::Config;
use crate::domain::app::{App, Budget, DEFAULT_APP};
use crate::domain::networks::{Binding, Network, TokenKind, Window};
use crate::domain::pool::AppTerms;
use crate::outbound::jws::KeyError;
use crate::outbound::oauth::{check_client_key, new_client_key};
use crate::service::networks::NetworkError;
use crate::service::requests::Attempt;
use crate::service::tokens::{Rejected, check_facts};
use crate::service::{Broker, Caller, client_metadata};
use crate::store::{DeleteAppError, StoreError, StoredApp, TopUpBudget as StoredTopUp};
use crate::vault::{OpenOwnError, OwnPlace, Vault};

/// The most units that a budget may hold.
const MOST_UNITS: u64 = 1 << 53;

/// Our registration at a network.
#[derive(Debug, Clone)]
pub struct AppView {
    /// The app.
    pub app: App,
    /// Whether its client secret is kept here.
    pub has_secret: bool,
    /// Whether what is kept of it does not open: somebody changed the store, or it is damaged. It must be set anew.
    pub secret_damaged: bool,
    /// Its budgets: one for each class of the network that is paid in advance.
    pub budgets: Vec<BudgetView>,
    /// Tokens that were granted to it.
    pub tokens: usize,
}

/// A budget, and what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetView {
    /// The credit class.
    pub class: ClassId,
    /// Units in all, spent ones included.
    pub total: u64,
    /// Units not spent yet.
    pub left: u64,
    /// When it was last topped up; `None`: never.
    pub topped_up_at: Option<Timestamp>,
}

/// An app to make.
pub struct CreateApp {
    /// The network.
    pub network: NetworkId,
    /// Its id.
    pub id: AppId,
    /// The team that alone may use it; `None`: every team may.
    pub team: Option<TeamId>,
    /// What is said of it.
    pub said: UpdateApp,
}

/// What to change about an app; `None` stays as it is.
#[derive(Default)]
pub struct UpdateApp {
    /// Its name for people.
    pub display_name: Option<String>,
    /// The client id at the network.
    pub client_id: Option<String>,
    /// The client secret; `Some(None)` forgets it.
    pub client_secret: Option<Option<Secret>>,
    /// All facts.
    pub facts: Option<BTreeMap<String, u64>>,
    /// Single facts; `None` within forgets one.
    pub single_facts: BTreeMap<String, Option<u64>>,
    /// Whether a new key takes the place of its client secret; without a client id it gets that of its document.
    pub generate_key: bool,
}

/// Units to add to a budget.
pub struct TopUpBudget {
    /// The network.
    pub network: NetworkId,
    /// The app.
    pub app: AppId,
    /// The credit class, as it was written.
    pub class: String,
    /// Units to add; negative ones are taken back.
    pub units: i64,
}

/// Why nothing was done about an app.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppError {
    /// There is no such network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// There is no such app.
    #[error("network '{network}' has no app '{app}' here; see the list of its apps")]
    NotFound {
        /// The network.
        network: NetworkId,
        /// What was asked for.
        app: AppId,
    },
    /// There is no such team.
    #[error("there is no team '{0}'; see the list of teams")]
    NoTeam(TeamId),
    /// The id is taken.
    #[error("network '{network}' has an app '{app}' already; choose another id, or change that app")]
    Exists {
        /// The network.
        network: NetworkId,
        /// The id.
        app: AppId,
    },
    /// It has tokens.
    #[error(
        "app '{app}' of network '{network}' has {tokens} tokens that are not revoked; revoke them first, or add them to another app"
    )]
    InUse {
        /// The network.
        network: NetworkId,
        /// The app.
        app: AppId,
        /// Tokens that are not revoked.
        tokens: u64,
    },
    /// It can't be deleted.
    #[error("network '{0}' always has the app 'default'; change it instead, such as to an empty client id and secret")]
    Default(NetworkId),
    /// A fact that no limit of the network is worked out from.
    #[error(transparent)]
    Fact(#[from] Rejected),
    /// The class has no budget, or there is no such class.
    #[error("network '{network}' has no credit class '{class}' with a budget; see its entry")]
    NoBudget {
        /// The network.
        network: NetworkId,
        /// What was asked for.
        class: String,
    },
    /// The budget can't hold that.
    #[error("the budget holds {total} units in all; what is added must leave 0 to {MOST_UNITS}")]
    Units {
        /// Units in all, before.
        total: u64,
    },
    /// The client secret is not what the network takes.
    #[error("apps of this network show who they are by a key, and the client secret can't be one: {0}")]
    ClientKey(#[source] KeyError),
    /// No key can be made.
    #[error("the machine gives no random numbers, so no key can be made; try again")]
    Random,
    /// A key is asked for where none is used.
    #[error("apps of network '{0}' have a client secret, which the network gives out, and no key; set that secret")]
    NoClientKeys(NetworkId),
    /// The app would be known by an address of the broker, which has none.
    #[error("the broker does not know under which address networks reach it; set http.public_url, or give a client id")]
    NoPublicUrl,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Broker {
    /// An app as it is stored. Every network has the app `default`, also before anything was said of it.
    pub(super) fn stored_app(&self, network: &NetworkId, app: &AppId) -> Result<Arc<StoredApp>, AppError> {
        self.network(network)?;
        if let Some(stored) = self.directory.app(network, app) {
            return Ok(stored);
        }
        if app.as_str() == DEFAULT_APP {
            let app = App::unknown(network.clone(), app.clone());
            return Ok(Arc::new(StoredApp { app, sealed_secret: None, secret_version: 0 }));
        }
        Err(AppError::NotFound { network: network.clone(), app: app.clone() })
    }

    /// One app.
    pub fn app(&self, network: &NetworkId, app: &AppId) -> Result<AppView, AppError> {
        let stored = self.stored_app(network, app)?;
        let network = self.network(network)?;
        Ok(self.view_app(&network, &stored))
    }

    /// At most `limit` apps of one network (`None`: of all) after `after`, by network and id, and whether there are more.
    pub fn list_apps(
        &self,
        network: Option<&NetworkId>,
        after: Option<&(NetworkId, AppId)>,
        limit: usize,
    ) -> Result<(Vec<AppView>, bool), AppError> {
        let networks = match network {
            Some(id) => vec![self.network(id)?],
            None => self.catalogue.iter().cloned().collect(),
        };
        let said = self.directory.apps().into_iter().map(|stored| (stored.app.network.clone(), stored.app.id.clone()));
        let known = said.filter(|(of, _)| networks.iter().any(|network| network.id == *of));
        let every = networks.iter().map(|network| (network.id.clone(), default_app()));
        let names: BTreeSet<_> = known.chain(every).collect();
        let mut found: Vec<_> = names.into_iter().filter(|name| after.is_none_or(|after| name > after)).collect();
        let more = found.len() > limit;
        found.truncate(limit);
        let views = found.iter().map(|(network, app)| self.app(network, app));
        Ok((views.collect::<Result<_, _>>()?, more))
    }

    /// By which app a team's people connect accounts at a network where none is named: the team's own, else `default`.
    pub fn app_to_connect_by(&self, network: &NetworkId, team: &TeamId) -> AppId {
        let apps = self.directory.apps();
        let own = apps.iter().map(|stored| &stored.app).filter(|app| app.network == *network && app.is_ready_for(team));
        let own = own.min_by(|one, other| one.id.cmp(&other.id));
        own.map_or_else(default_app, |app| app.id.clone())
    }

    /// Makes an app.
    pub async fn create_app(&self, attempt: impl Into<Attempt<AppView>>, ask: CreateApp) -> Result<AppView, AppError> {
        let attempt = attempt.into();
        let CreateApp { network, id, team, said } = ask;
        let _one_at_a_time = self.changes.directory.lock().await;
        self.network(&network)?;
        if id.as_str() == DEFAULT_APP || self.directory.app(&network, &id).is_some() {
            return Err(AppError::Exists { network, app: id });
        }
        if let Some(team) = team.as_ref().filter(|team| self.directory.team(team).is_none()) {
            return Err(AppError::NoTeam(team.clone()));
        }
        let app = App { team, ..App::unknown(network, id) };
        let made = StoredApp { app, sealed_secret: None, secret_version: 0 };
        self.put_app(&attempt, "app.create", &made, said).await
    }

    /// Changes an app. Limits that are worked out from its facts follow at once.
    pub async fn update_app(
        &self,
        attempt: impl Into<Attempt<AppView>>,
        network: &NetworkId,
        app: &AppId,
        change: UpdateApp,
    ) -> Result<AppView, AppError> {
        let _one_at_a_time = self.changes.directory.lock().await;
        let before = self.stored_app(network, app)?;
        self.put_app(&attempt.into(), "app.update", &before, change).await
    }

    /// Deletes an app that no token uses.
    pub async fn delete_app(
        &self,
        attempt: impl Into<Attempt<()>>,
        network: &NetworkId,
        app: &AppId,
    ) -> Result<(), AppError> {
        let attempt = attempt.into();
        let _one_at_a_time = self.changes.directory.lock().await;
        // No token is added to it meanwhile.
        let _tokens = self.changes.all_tokens().await;
        let stored = self.stored_app(network, app)?;
        if app.as_str() == DEFAULT_APP {
            return Err(AppError::Default(network.clone()));
        }
        let audit = self.audit(&attempt.caller, "app.delete", name_of(&stored.app), String::new());
        match self.store.delete_app(network, app, attempt.trail(audit, &())).await {
            Ok(()) => {}
            Err(DeleteAppError::InUse { tokens }) => {
                return Err(AppError::InUse { network: network.clone(), app: app.clone(), tokens });
            }
            Err(DeleteAppError::Store(error)) => return Err(error.into()),
        }
        self.directory.remove_app(network, app);
        self.look_at_damaged_again();
        self.engine.set_app(network, app, terms_of(&self.config, &App::unknown(network.clone(), app.clone())));
        Ok(())
    }

    /// Adds units to a budget: durable, and in force in the live pool when this returns.
    pub async fn top_up_budget(
        &self,
        attempt: impl Into<Attempt<BudgetView>>,
        ask: TopUpBudget,
    ) -> Result<BudgetView, AppError> {
        let attempt = attempt.into();
        let _one_at_a_time = self.changes.directory.lock().await;
        let stored = self.stored_app(&ask.network, &ask.app)?;
        let network = self.network(&ask.network)?;
        let before = self.view_app(&network, &stored).budgets;
        let before = before.into_iter().find(|budget| budget.class.as_str() == ask.class);
        let no_budget = || AppError::NoBudget { network: ask.network.clone(), class: ask.class.clone() };
        let before = before.ok_or_else(no_budget)?;
        let total = before.total.checked_add_signed(ask.units).filter(|total| *total <= MOST_UNITS);
        let total = total.ok_or(AppError::Units { total: before.total })?;
        if stored.app.created_at.is_none() {
            self.put_app(&Attempt::from(&attempt.caller), "app.create", &stored, UpdateApp::default()).await?;
        }
        let TopUpBudget { network: of, app, units, .. } = ask;
        let detail = format!("class={} units={units}", before.class);
        let audit = self.audit(&attempt.caller, "app.top_up", name_of(&stored.app), detail);
        let (class, at) = (before.class, audit.at);
        let mut stored = (*self.stored_app(&of, &app)?).clone();
        stored.app.budgets.insert(class.clone(), Budget { total, topped_up_at: at });
        let made = self.view_app(&network, &stored).budgets.into_iter().find(|budget| budget.class == class);
        let made = made.ok_or_else(|| AppError::NoBudget { network: of.clone(), class: class.to_string() })?;
        let top_up = StoredTopUp { network: of, app, class: class.clone(), start: before.total, units, at };
        let budget = self.store.top_up_budget(top_up, attempt.trail(audit, &made)).await?;
        stored.app.budgets.insert(class, budget);
        self.hold_app(stored);
        Ok(made)
    }

    /// Stores an app with what is said of it, then lets it hold. The caller holds the lock of the directory.
    async fn put_app(
        &self,
        attempt: &Attempt<AppView>,
        action: &'static str,
        before: &StoredApp,
        said: UpdateApp,
    ) -> Result<AppView, AppError> {
        let network = self.network(&before.app.network)?;
        let said = self.with_client_key(&network, &before.app, said)?;
        let of_team = before.app.team.as_ref().map(|team| format!(" of_team={team}")).unwrap_or_default();
        let detail = detail_of(&said) + &of_team;
        let stored = self.changed_app(before, said);
        check_facts(&network, &stored.app.facts)?;
        let audit = self.audit(&attempt.caller, action, name_of(&stored.app), detail);
        let view = self.view_app(&network, &stored);
        self.store.put_app(stored.clone(), attempt.trail(audit, &view)).await?;
        self.hold_app(stored);
        self.look_at_damaged_again();
        Ok(view)
    }

    /// What is said of an app, with the key that is asked for; a key that is given must be one.
    fn with_client_key(&self, network: &Network, before: &App, mut said: UpdateApp) -> Result<UpdateApp, AppError> {
        if said.generate_key {
            if !network.takes_client_keys() {
                return Err(AppError::NoClientKeys(network.id.clone()));
            }
            said.client_secret = Some(Some(new_client_key().map_err(|_| AppError::Random)?));
            if said.client_id.as_ref().unwrap_or(&before.client_id).is_empty() {
                let address = self.page_url(&client_metadata::path(network.id.as_str(), before.id.as_str()));
                said.client_id = Some(address.map_err(|_| AppError::NoPublicUrl)?);
            }
        }
        if let (true, Some(Some(key))) = (network.takes_client_keys(), &said.client_secret) {
            check_client_key(key).map_err(AppError::ClientKey)?;
        }
        Ok(said)
    }

    fn changed_app(&self, before: &StoredApp, said: UpdateApp) -> StoredApp {
        let mut stored = before.clone();
        let app = &mut stored.app;
        app.created_at = app.created_at.or(Some(self.now()));
        app.display_name = said.display_name.unwrap_or_else(|| app.display_name.clone());
        app.client_id = said.client_id.unwrap_or_else(|| app.client_id.clone());
        app.facts = said.facts.unwrap_or_else(|| app.facts.clone());
        for (fact, value) in said.single_facts {
            match value {
                Some(value) => app.facts.insert(fact, value),
                None => app.facts.remove(&fact),
            };
        }
        if let Some(secret) = said.client_secret {
            stored.secret_version += 1;
            let row = name_of(&stored.app);
            let place = secret_place(&row, stored.secret_version);
            stored.sealed_secret = secret.map(|secret| self.vault.seal_own(&place, &secret));
        }
        stored
    }

    /// Seals client secrets anew that an older key of the broker sealed. One that does not open stays as it is. There are few apps.
    pub(super) async fn reseal_apps(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.changes.directory.lock().await;
        for stored in self.directory.apps() {
            let Some(sealed) = &stored.sealed_secret else { continue };
            if self.vault.is_of_newest_own(sealed) {
                continue;
            }
            let row = name_of(&stored.app);
            let place = secret_place(&row, stored.secret_version);
            let Ok(secret) = self.vault.open_own(&place, sealed) else { continue };
            let sealed_secret = Some(self.vault.seal_own(&place, &secret));
            let stored = StoredApp { sealed_secret, ..(*stored).clone() };
            let audit = self.audit(&Caller::Broker, "app.reseal", row.clone(), String::new());
            self.store.put_app(stored.clone(), audit.into()).await?;
            self.directory.put_app(stored);
        }
        Ok(())
    }

    /// Lets what is stored of an app hold: in the directory, and in the pool of its network.
    fn hold_app(&self, stored: StoredApp) {
        let App { network, id, .. } = stored.app.clone();
        let terms = terms_of(&self.config, &stored.app);
        self.directory.put_app(stored);
        self.engine.set_app(&network, &id, terms);
    }

    fn view_app(&self, network: &Network, stored: &StoredApp) -> AppView {
        let app = stored.app.clone();
        let look = |pool: &crate::domain::pool::Pool| (pool.tokens_of_app(&app.id), pool.budgets_of(&app.id));
        let (tokens, buckets) = self.engine.look(&network.id, look).unwrap_or_default();
        let terms = terms_of(&self.config, &app);
        let paid = network.classes.iter().enumerate().filter_map(|(at, class)| {
            let rule = class.limits.iter().find(|limit| limit.window == Window::Budget)?;
            let assumed = || crate::domain::credit::limit(&rule.amount, |fact| app.facts.get(fact).copied());
            let total = terms.limits.get(&class.id).copied().unwrap_or_else(assumed);
            let spent = buckets.iter().find(|bucket| bucket.class == at).map_or(0, |bucket| bucket.spent);
            let topped_up_at = app.budgets.get(&class.id).map(|budget| budget.topped_up_at);
            Some(BudgetView { class: class.id.clone(), total, left: total.saturating_sub(spent), topped_up_at })
        });
        let budgets = paid.collect();
        let secret_damaged = opened_secret(&self.vault, stored).is_err();
        AppView { app, has_secret: stored.sealed_secret.is_some(), secret_damaged, budgets, tokens }
    }

    /// How an app shows itself at its network: its client id, empty if it is not known, and its client secret.
    pub(super) fn client_of(&self, network: &NetworkId, app: &AppId) -> Result<(String, Option<Secret>), OpenOwnError> {
        let Some(stored) = self.directory.app(network, app) else { return Ok((String::new(), None)) };
        Ok((stored.app.client_id.clone(), opened_secret(&self.vault, &stored)?))
    }

    /// What each call with a token must carry beside it. Without the app's client secret there is no proof: the network asks for one
    /// only where the app is set up so.
    pub(super) fn call_parameters(
        &self,
        network: &NetworkId,
        kind: &TokenKind,
        app: &str,
        access_token: &Secret,
    ) -> Result<BTreeMap<String, String>, OpenOwnError> {
        let mut parameters = BTreeMap::new();
        if kind.bindings.contains(&Binding::AppSecretProof)
            && let Some(stored) = app.parse().ok().and_then(|app| self.directory.app(network, &app))
            && let Some(secret) = opened_secret(&self.vault, &stored)?
        {
            parameters.insert("appsecret_proof".to_owned(), app_secret_proof(&secret, access_token));
        }
        Ok(parameters)
    }
}

/// What the settings and its record say of an app, for the pool of its network.
pub(super) fn terms_of(config: &Config, app: &App) -> AppTerms {
    let settings = config.networks.get(&app.network);
    let mut limits = settings.map(|settings| settings.safe_start.clone()).unwrap_or_default();
    limits.extend(app.budgets.iter().map(|(class, budget)| (class.clone(), budget.total)));
    AppTerms { facts: app.facts.clone(), limits }
}

/// The app that a token belongs to that names none.
pub fn default_app() -> AppId {
    DEFAULT_APP.parse().expect("'default' is a slug")
}

/// Lower-case hex of HMAC-SHA256 over the access token with the app secret as key, as the networks of Meta ask for.
fn app_secret_proof(app_secret: &Secret, access_token: &Secret) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, app_secret.expose().as_bytes());
    let tag = hmac::sign(&key, access_token.expose().as_bytes());
    let mut proof = String::with_capacity(64);
    push_hex(&mut proof, tag.as_ref());
    proof
}

/// The client secret of an app, if it has one.
pub(super) fn opened_secret(vault: &Vault, stored: &StoredApp) -> Result<Option<Secret>, OpenOwnError> {
    let row = name_of(&stored.app);
    let open = |sealed: &Vec<u8>| vault.open_own(&secret_place(&row, stored.secret_version), sealed);
    stored.sealed_secret.as_ref().map(open).transpose()
}

fn secret_place(row: &str, version: u32) -> OwnPlace<'_> {
    OwnPlace { table: "app", row, column: "sealed_secret", version: u64::from(version) }
}

pub(super) fn name_of(app: &App) -> String {
    format!("networks/{}/apps/{}", app.network, app.id)
}

fn detail_of(said: &UpdateApp) -> String {
    let fields = [
        ("display_name", said.display_name.is_some()),
        ("client_id", said.client_id.is_some()),
        ("client_secret", said.client_secret.is_some()),
        ("facts", said.facts.is_some() || !said.single_facts.is_empty()),
    ];
    let said: Vec<_> = fields.into_iter().filter(|(_, said)| *said).map(|(field, _)| field).collect();
    format!("fields={}", said.join(","))
}

#[cfg(test)]
mod tests;
