//! A collector asks for a lease.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{KindId, LeaseId, TeamId, TokenId};
use crate::base::secret::Secret;
use crate::domain::lease::Priority;
use crate::domain::networks::{Network, Operation, Purpose, TokenKind};
use crate::domain::pool::{AcquireRequest, LeaseView, NoToken, Pool, Unusable};
use crate::domain::team::ScopeError;
use crate::engine::{Acquire, AcquireError, Leased};
use crate::service::{Broker, Caller, Forbidden};
use crate::store::IdempotencyRecord;
use crate::telemetry::NetworkMetrics;
use crate::vault::Place;

/// How often a request with one id may come again after its lease has ended, before it needs a new id.
const REPETITIONS: u32 = 8;

/// What a collector asks for. Ranges are checked by the transport.
#[derive(Debug, Clone)]
pub struct AcquireLease {
    /// The team whose tokens shall serve.
    pub team: TeamId,
    /// The network's id.
    pub network: String,
    /// The operation's id.
    pub operation: String,
    /// Calls wanted.
    pub calls: u64,
    /// Fewer are welcome down to this many.
    pub min_calls: u64,
    /// What for.
    pub purpose: Purpose,
    /// Only tokens that speak for this profile.
    pub profile: Option<String>,
    /// Only tokens of this kind.
    pub kind: Option<String>,
    /// The collection that the demand is charged to.
    pub collection: String,
    /// How urgent it is.
    pub priority: Priority,
    /// How long to wait.
    pub wait: Duration,
    /// How long the lease shall last; `None`: as configured.
    pub ttl: Option<Duration>,
    /// The different keys that will be asked for.
    pub keys: Vec<String>,
    /// What makes a retry safe: the request id and a hash of the content.
    pub request: Option<(String, [u8; 32])>,
}

/// A lease with the token that it is for.
pub struct LeasedToken {
    /// The lease.
    pub lease: LeaseId,
    /// The network.
    pub network: Arc<Network>,
    /// The token.
    pub token: TokenId,
    /// Its kind.
    pub kind: KindId,
    /// The profile that it speaks for.
    pub profile: Option<Arc<str>>,
    /// The access token.
    pub access_token: Secret,
    /// What a call must carry beside it.
    pub parameters: BTreeMap<String, String>,
    /// Where the API is called with it, without a slash at the end.
    pub api_base: String,
    /// Whether it is bound to a key, so that each call needs a proof ([`Broker::sign_proof`]).
    pub is_bound: bool,
    /// Calls granted.
    pub calls: u64,
    /// Calls granted and not reported.
    pub calls_left: u64,
    /// Credit granted, per class.
    pub grants: Vec<(crate::base::ids::ClassId, u64)>,
    /// Until when the calls may be made.
    pub use_by: Timestamp,
    /// When the lease ends.
    pub expires_at: Timestamp,
    /// When it was opened.
    pub opened_at: Timestamp,
}

/// Why no lease was given.
#[derive(Debug, thiserror::Error)]
pub enum AcquireLeaseError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The collector's scope does not allow it.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// There is no such team. A collector is not told so of another's team.
    #[error("there is no team '{0}'; list the teams for those there are")]
    TeamNotFound(TeamId),
    /// There is no such network.
    #[error("the catalogue has no network '{0}'; see the networks command for those it has")]
    UnknownNetwork(String),
    /// There is no such operation.
    #[error("network '{network}' has no operation '{operation}'; see its entry for those it has")]
    UnknownOperation {
        /// The network.
        network: String,
        /// What was asked for.
        operation: String,
    },
    /// There is no such kind.
    #[error("network '{network}' issues no token of kind '{kind}'; see its entry for those it does")]
    UnknownKind {
        /// The network.
        network: String,
        /// What was asked for.
        kind: String,
    },
    /// The operation can't be called with this kind.
    #[error("operation '{operation}' can't be called with a token of kind '{kind}'")]
    KindNotServed {
        /// The operation.
        operation: String,
        /// What was asked for.
        kind: String,
    },
    /// The operation does not serve the purpose.
    #[error("operation '{operation}' of '{network}' does not serve {}; {hint}", .purpose.as_str())]
    PurposeNotServed {
        /// The network.
        network: String,
        /// The operation.
        operation: String,
        /// What was asked for.
        purpose: Purpose,
        /// What to do.
        hint: String,
    },
    /// No token of the team may serve.
    #[error("no token of the team may serve this request")]
    NoUsableToken {
        /// The reason that says most about what a person can do.
        why: NoToken,
        /// How many of its tokens can't, by what keeps them from it.
        unusable: Unusable,
    },
    /// The engine refused.
    #[error(transparent)]
    Refused(#[from] AcquireError),
    /// The stored secret can't be opened.
    #[error(
        "a stored secret of the token or its app can't be opened with the keys at hand; an operator must bring back the right key file"
    )]
    Sealed,
}

impl Broker {
    /// Takes a lease. When this returns, it is durable and audited.
    pub async fn acquire_lease(&self, caller: &Caller, ask: AcquireLease) -> Result<LeasedToken, AcquireLeaseError> {
        caller.must_lease_for(&ask.team)?;
        if self.directory.team(&ask.team).is_none() {
            return Err(AcquireLeaseError::TeamNotFound(ask.team));
        }
        let network =
            self.engine.network(&ask.network).ok_or(AcquireLeaseError::UnknownNetwork(ask.network.clone()))?;
        let operation = check_operation(&network, &ask)?;
        if let Some(collector) = caller.collector() {
            collector.may_lease(&network.id, ask.purpose)?;
        }
        let metrics = self.metrics.network(&network.id);
        let (team, purpose) = (ask.team.clone(), ask.purpose);
        let acquire = self.as_acquire(caller, &network, operation, ask);
        let _waiting = (!acquire.wait.is_zero()).then(|| Waiting::begin(self, metrics.clone()));
        match self.acquire_again(&network, acquire).await {
            Ok(Answer::New(leased)) => {
                metrics.lease_opened();
                self.hand_over(&network, operation, &team, leased).await
            }
            Ok(Answer::Repeated(leased, view)) => {
                let token = self.hand_over(&network, operation, &team, leased).await?;
                let (calls, opened_at) = (view.calls_granted, view.opened_at);
                Ok(LeasedToken { calls, calls_left: view.calls_left, opened_at, ..token })
            }
            Err(error) => {
                metrics.lease_refused(reason(&error));
                Err(match error {
                    AcquireError::NoToken(why) => {
                        let now = self.now();
                        let count = |pool: &Pool| pool.unusable(&team, operation, purpose, now);
                        let unusable = self.engine.look(&network.id, count).unwrap_or_default();
                        AcquireLeaseError::NoUsableToken { why, unusable }
                    }
                    error => error.into(),
                })
            }
        }
    }

    /// Acquires; a request that was made before gets its lease again, or a new one if that lease has ended: it may have been given
    /// back because nobody was there any more to take the answer.
    async fn acquire_again(&self, network: &Network, acquire: Acquire) -> Result<Answer, AcquireError> {
        let mut acquire = acquire;
        for again in 2..=REPETITIONS {
            match self.engine.acquire(acquire.clone()).await {
                Ok(leased) => return Ok(Answer::New(leased)),
                Err(AcquireError::Repeated { response }) => {
                    if let Some((leased, view)) = self.find_again(network, &response) {
                        return Ok(Answer::Repeated(leased, view));
                    }
                }
                Err(error) => return Err(error),
            }
            if let Some(note) = &mut acquire.idempotency {
                let id = note.request_id.split(' ').next().unwrap_or_default();
                // No caller's own id holds a space.
                note.request_id = format!("{id} {again}");
            }
        }
        Err(AcquireError::OtherContent)
    }

    fn as_acquire(&self, caller: &Caller, network: &Arc<Network>, operation: usize, ask: AcquireLease) -> Acquire {
        let collector = caller.collector();
        let lease = LeaseId::generate();
        let ttl = ask.ttl.unwrap_or(self.config.credit.lease_ttl).min(self.config.credit.lease_ttl_max);
        let idempotency = ask.request.map(|(request_id, content_hash)| IdempotencyRecord {
            scope: format!("lease/{}", caller.name()),
            request_id,
            content_hash,
            response: lease.as_bytes().to_vec(),
            expires_at: self.now() + Duration::from_secs(24 * 3600),
        });
        let mut audit = self.audit(caller, "lease.open", String::new(), String::new());
        audit.team = Some(ask.team.clone());
        Acquire {
            network: network.id.clone(),
            priority: ask.priority,
            wait: ask.wait.min(self.config.credit.wait_max),
            team_weight: self.directory.team(&ask.team).map_or(100, |team| team.weight),
            collector_weight: collector.map_or(100, |collector| collector.weight),
            max_leases: collector.map(|collector| collector.scope.max_leases),
            audit,
            idempotency,
            request: AcquireRequest {
                lease,
                team: ask.team,
                collector: collector.map(|collector| collector.id),
                operation,
                calls: ask.calls,
                min_calls: ask.min_calls.clamp(1, ask.calls),
                purpose: ask.purpose,
                token: None,
                profile: ask.profile,
                kind: ask.kind.and_then(|kind| kind.parse().ok()),
                keys: ask.keys,
                collection: ask.collection.into(),
                ttl,
            },
        }
    }

    /// The leased token with its secret open. The key that it is bound to, if it is, is held for its proofs.
    async fn hand_over(
        &self,
        network: &Arc<Network>,
        operation: usize,
        team: &TeamId,
        leased: Leased,
    ) -> Result<LeasedToken, AcquireLeaseError> {
        let (lease, token) = (leased.lease, leased.token);
        let mut handed = self.unseal(network, operation, team, leased)?;
        if !handed.is_bound {
            return Ok(handed);
        }
        let stored = self.store.find_token(token).await;
        let bond = match stored.map(|stored| stored.map(|stored| self.bond_of(&stored))) {
            Ok(Some(Ok(Some(bond)))) => bond,
            Ok(_) => {
                self.quarantine(team, token);
                let _ = self.engine.release(lease);
                return Err(AcquireLeaseError::Sealed);
            }
            Err(error) => {
                let _ = self.engine.release(lease);
                return Err(AcquireError::Store(error).into());
            }
        };
        handed.api_base = self.proofs.hold(lease, bond, &handed.access_token, &handed.api_base);
        Ok(handed)
    }

    /// Looks in the background whether a token's secrets are damaged, and takes it out of use if they are.
    fn quarantine(&self, team: &TeamId, token: TokenId) {
        let (broker, team) = (self.clone(), team.clone());
        self.tasks.spawn("quarantine", async move {
            if let Err(error) = broker.quarantine_token(&team, token).await {
                tracing::error!(%token, %error, "a token whose secret does not open could not be taken out of use");
            }
        });
    }

    fn unseal(
        &self,
        network: &Arc<Network>,
        operation: usize,
        team: &TeamId,
        leased: Leased,
    ) -> Result<LeasedToken, AcquireLeaseError> {
        let (sealed, version) = &leased.sealed;
        let place = Place::of_token(&leased.token, team, *version, "access");
        let opened = self.vault.open_sealed(&place, sealed);
        let Ok(access_token) = opened else {
            self.quarantine(team, leased.token);
            let _ = self.engine.release(leased.lease);
            return Err(AcquireLeaseError::Sealed);
        };
        let kind = network.kind(leased.kind.as_str());
        let parameters = kind.map_or_else(
            || Ok(BTreeMap::new()),
            |kind| self.call_parameters(&network.id, kind, &leased.app, &access_token),
        );
        let Ok(parameters) =
            parameters.inspect_err(|error| tracing::error!(%error, "no proof can be made of a secret"))
        else {
            let _ = self.engine.release(leased.lease);
            return Err(AcquireLeaseError::Sealed);
        };
        let costs = &network.operations[operation].costs;
        let grants = costs.iter().map(|cost| (cost.class.clone(), cost.units * leased.calls)).collect();
        Ok(LeasedToken {
            lease: leased.lease,
            network: network.clone(),
            token: leased.token,
            profile: leased.profile,
            access_token,
            parameters,
            api_base: network.api_base_for(leased.kind.as_str()).to_owned(),
            is_bound: kind.is_some_and(TokenKind::is_bound),
            kind: leased.kind,
            calls: leased.calls,
            calls_left: leased.calls,
            grants,
            use_by: leased.use_by,
            expires_at: leased.expires_at,
            opened_at: self.now(),
        })
    }

    /// The lease that a request was answered with before, as it stands; `None` if it has ended.
    fn find_again(&self, network: &Network, response: &[u8]) -> Option<(Leased, LeaseView)> {
        let lease = LeaseId::from_slice(response).ok()?;
        let view = self.engine.lease(lease).filter(|view| !view.recalled)?;
        let leased = self.engine.look(&network.id, |pool| {
            let (sealed, version) = pool.sealed(view.token)?;
            Some(Leased {
                lease,
                token: view.token,
                kind: network.kinds[pool.kind_of(view.token)?].id.clone(),
                app: pool.app_of(view.token)?,
                profile: pool.first_profile_of(view.token),
                calls: view.calls_granted,
                use_by: view.use_by,
                expires_at: view.expires_at,
                sealed: (sealed.to_vec(), version),
            })
        })??;
        Some((leased, view))
    }
}

/// How a request was answered.
enum Answer {
    New(Leased),
    Repeated(Leased, LeaseView),
}

/// Counts as a waiting request until it is dropped, however the wait ends.
struct Waiting {
    broker: Broker,
    metrics: Arc<NetworkMetrics>,
    began: Timestamp,
}

impl Waiting {
    fn begin(broker: &Broker, metrics: Arc<NetworkMetrics>) -> Self {
        metrics.wait_began();
        Self { broker: broker.clone(), metrics, began: broker.now() }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.metrics.wait_ended(self.broker.now().since(self.began));
    }
}

fn check_operation(network: &Network, ask: &AcquireLease) -> Result<usize, AcquireLeaseError> {
    let unknown =
        || AcquireLeaseError::UnknownOperation { network: ask.network.clone(), operation: ask.operation.clone() };
    if !network.serves(ask.purpose) {
        let hint = format!("{} offers nothing for that purpose", network.display_name);
        return Err(purpose_not_served(ask, hint));
    }
    let index = network.operation_index(&ask.operation).ok_or_else(unknown)?;
    let operation = &network.operations[index];
    check_kind(network, operation, ask)?;
    if !operation.purposes.contains(&ask.purpose) {
        let served: Vec<_> = operation.purposes.iter().map(|purpose| purpose.as_str()).collect();
        return Err(purpose_not_served(ask, format!("it serves {}", served.join(", "))));
    }
    Ok(index)
}

fn check_kind(network: &Network, operation: &Operation, ask: &AcquireLease) -> Result<(), AcquireLeaseError> {
    let Some(wanted) = &ask.kind else { return Ok(()) };
    let Some(kind) = network.kind(wanted) else {
        return Err(AcquireLeaseError::UnknownKind { network: ask.network.clone(), kind: wanted.clone() });
    };
    if !operation.allows(&kind.id) {
        return Err(AcquireLeaseError::KindNotServed { operation: ask.operation.clone(), kind: wanted.clone() });
    }
    Ok(())
}

fn purpose_not_served(ask: &AcquireLease, hint: String) -> AcquireLeaseError {
    AcquireLeaseError::PurposeNotServed {
        network: ask.network.clone(),
        operation: ask.operation.clone(),
        purpose: ask.purpose,
        hint,
    }
}

/// The refusal as metrics name it.
fn reason(error: &AcquireError) -> &'static str {
    match error {
        AcquireError::LimitedUntil { .. } | AcquireError::Resting { .. } => "limited",
        AcquireError::Busy { .. } | AcquireError::QueueFull | AcquireError::Overloaded | AcquireError::Raced => "busy",
        AcquireError::TooManyLeases(_) => "too_many_leases",
        AcquireError::TooManyCalls { .. } => "never_fits",
        AcquireError::NoToken(_) => "no_token",
        AcquireError::UnknownNetwork | AcquireError::OtherContent | AcquireError::Repeated { .. } => "bad_request",
        AcquireError::Store(_) => "store",
    }
}
