//! Tokens are kept alive: each is renewed before it ends, by the schedule that is stored with it, or by hand.
//!
//! * An app of which nothing is due is left alone until something is, or one of its tokens changes.
//! * Every network has a few workers, so that a slow one holds up nobody else. A worker takes the token of an app that has been due the
//!   longest, renews it and takes the next, as fast as the app may. Apps that nothing can be asked for yet are left alone.
//! * One at a time for each token: in this process by the list of those under way, among processes by a claim in the store.
//! * The claim is durable before the network is asked (`attempt`), and the answer is stored before anything else is done with it (`keep`).
//! * Nothing here can be cancelled by a client.

mod attempt;
mod derive;
mod keep;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, JobId, NetworkId, TeamId, TokenId};
use crate::domain::member::Action;
use crate::domain::networks::{Network, TokenKind, TokenReply};
use crate::domain::pool::RenewalsOf;
use crate::domain::renewal::{Failure, is_renewable};
use crate::domain::token::{Reason, Token, TokenState};
use crate::outbound::http::NetworkClient;
use crate::outbound::oauth::{Pace, needs_client};
use crate::service::Broker;
use crate::service::apps::default_app;
use crate::service::members::On;
use crate::service::requests::Attempt;
use crate::service::tokens::{TokenError, TokenView};
use crate::store::{Spool, StoreError};
use crate::text::Sentence;
use crate::vault::{OpenError, OpenOwnError};

/// Renewals that are under way, and what they are made with.
pub struct Renewals {
    endpoint: Arc<dyn NetworkClient>,
    pace: Pace,
    spool: Arc<Spool>,
    busy: watch::Sender<Busy>,
    /// Until when nothing of an app is due, as far as is known. A change of one of its tokens takes it out.
    nothing_until: Mutex<HashMap<(NetworkId, AppId), Timestamp>>,
}

/// An app of which nothing is due is looked at again so soon, whatever was changed: another process may have done it.
const LOOK_ANYWAY: Duration = Duration::from_secs(60);
/// How long a renewal by hand waits for a place.
const PATIENCE: Duration = Duration::from_secs(5);
/// Renewals by hand that wait for a place at once; more are told to come again.
const MOST_WAITING: usize = 256;

/// Who works at what.
#[derive(Debug, Default)]
struct Busy {
    tokens: HashSet<TokenId>,
    workers: BTreeMap<NetworkId, usize>,
    /// Renewals by hand that wait for a place.
    waiting: usize,
}

/// Why a token was not renewed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RenewError {
    /// Something that is true of every change of a token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// There is nothing to renew it by.
    #[error(
        "the token '{0}' can't be renewed: its kind has no renewal, or its refresh token is not here; \
         add it with its refresh token, or connect the account anew when it ends"
    )]
    NotRenewable(TokenId),
    /// The network must be told who asks.
    #[error(
        "nothing is known of the client of app '{app}' at '{network}'; set it with `apps update {network}/{app} --client-id … --client-secret-from FILE`"
    )]
    NoClient {
        /// The network.
        network: NetworkId,
        /// The app.
        app: AppId,
    },
    /// It is not time yet.
    #[error("the token is not renewed before {until}: {why}")]
    NotYet {
        /// Until when.
        until: Timestamp,
        /// How long that is.
        wait: Duration,
        /// Why.
        why: NotYet,
    },
    /// An incident is open.
    #[error(
        "an incident is open for app '{app}' at '{network}': its tokens are not renewed until single calls show that the network is back; see `incident list`"
    )]
    Incident {
        /// The network.
        network: NetworkId,
        /// The app.
        app: AppId,
    },
    /// A secret can't be opened.
    #[error("a stored secret of the token or its app can't be opened: {0}")]
    Sealed(String),
    /// The network refused, and will refuse again.
    #[error("the network refused to renew the token: it is invalid ({}); connect the account anew", .0.as_str())]
    Refused(Reason),
    /// The network did not renew it, and says nothing final.
    #[error("the token was not renewed: {why}; it is tried again by itself at {retry_at}")]
    Failed {
        /// Why, for people; never a secret.
        why: String,
        /// When it is tried again.
        retry_at: Timestamp,
        /// How long that is.
        wait: Duration,
    },
}

/// Why a token is not renewed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotYet {
    /// Somebody else renewed it, or tried, just now.
    #[error("somebody else looked at it")]
    LookedAt,
    /// It had no time at which it is renewed, and has one now.
    #[error("it had no time yet")]
    NoTimeYet,
    /// Whether the network took its refresh token is not known.
    #[error("its refresh token works once, and the answer to the last try was lost: a second use could end the grant")]
    MayBeUsed,
    /// The app has no place for a request.
    #[error("its app asks the network as often as it may")]
    Pace,
}

impl From<StoreError> for RenewError {
    fn from(error: StoreError) -> Self {
        Self::Token(error.into())
    }
}

impl From<OpenError> for RenewError {
    fn from(error: OpenError) -> Self {
        Self::Sealed(error.to_string())
    }
}

impl From<OpenOwnError> for RenewError {
    fn from(error: OpenOwnError) -> Self {
        Self::Sealed(error.to_string())
    }
}

/// Who wants a renewal.
enum Order {
    /// The schedule.
    Schedule,
    /// A person.
    Hand(Attempt<TokenView>),
    /// A job over many tokens.
    Job(JobId),
}

/// What came of a request.
enum Outcome {
    /// The network gave these, and said it so; `None`: it says it again.
    Renewed(TokenReply, Option<Zeroizing<Vec<u8>>>),
    /// It did not, for people.
    Failed(Failure, String),
    /// The person may not act for the profile any more, or left it out.
    Gone,
}

impl Renewals {
    /// Nothing under way; networks are asked through `endpoint`, as fast as `pace` allows. What the store does not take goes to `spool`.
    pub fn new(endpoint: Arc<dyn NetworkClient>, pace: Pace, spool: Spool) -> Self {
        Self { endpoint, pace, spool: Arc::new(spool), busy: watch::Sender::default(), nothing_until: Mutex::default() }
    }

    /// Takes a place for a request to the token endpoint of an app, if there is one yet.
    pub(super) fn may_ask(&self, network: &NetworkId, app: &AppId) -> bool {
        self.pace.take(network, app).is_ok()
    }

    /// Takes a place for a request to the token endpoint of an app, and waits for one; if that would take too long, the time until there may be
    /// one.
    async fn wait_for_place(&self, network: &NetworkId, app: &AppId) -> Result<(), Duration> {
        let Err(mut wait) = self.pace.take(network, app) else { return Ok(()) };
        let Some(_waiting) = self.begin_waiting() else { return Err(PATIENCE) };
        let mut waited = Duration::ZERO;
        while waited + wait <= PATIENCE {
            tokio::time::sleep(wait).await;
            waited += wait;
            match self.pace.take(network, app) {
                Ok(()) => return Ok(()),
                Err(longer) => wait = longer,
            }
        }
        Err(wait)
    }

    /// Takes a place among those that wait; `None`: they are too many.
    fn begin_waiting(&self) -> Option<Waiting<'_>> {
        let begun = self.busy.send_if_modified(|busy| {
            let fits = busy.waiting < MOST_WAITING;
            busy.waiting += usize::from(fits);
            fits
        });
        begun.then_some(Waiting(self))
    }

    /// How networks are called.
    pub(super) fn network(&self) -> &dyn NetworkClient {
        &*self.endpoint
    }

    /// Whether the store has yet to take something in.
    pub(super) fn has_spooled(&self) -> Result<bool, StoreError> {
        self.spool.list().map(|waiting| !waiting.is_empty())
    }

    /// A token of an app was changed: something may be due sooner than was known.
    pub(super) fn changed(&self, token: &Token) {
        self.nothing_until().remove(&(token.network.clone(), token.app.clone()));
    }

    fn wait_no_longer_than(&self, app: &(NetworkId, AppId), due: Timestamp) {
        if let Some(until) = self.nothing_until().get_mut(app) {
            *until = due.min(*until);
        }
    }

    /// Whether nothing of an app is due, as far as is known.
    fn rests(&self, app: &(NetworkId, AppId), now: Timestamp) -> bool {
        self.nothing_until().get(app).is_some_and(|until| *until > now)
    }

    fn nothing_until(&self) -> MutexGuard<'_, HashMap<(NetworkId, AppId), Timestamp>> {
        self.nothing_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a token, until the guard is dropped; `None`: somebody else has it.
    fn enter(&self, token: TokenId) -> Option<UnderWay<'_>> {
        let entered = self.busy.send_if_modified(|busy| busy.tokens.insert(token));
        // Made only where the token was taken: its end gives the token free.
        entered.then(|| UnderWay { renewals: self, token })
    }

    /// Adds workers of a network up to `most`; how many.
    fn add_workers(&self, network: &NetworkId, most: usize) -> usize {
        let mut added = 0;
        self.busy.send_modify(|busy| {
            let workers = busy.workers.entry(network.clone()).or_default();
            added = most.saturating_sub(*workers);
            *workers += added;
        });
        added
    }

    fn end_worker(&self, network: &NetworkId) {
        self.busy.send_modify(|busy| {
            if let Some(workers) = busy.workers.get_mut(network) {
                *workers = workers.saturating_sub(1);
            }
        });
    }

    /// Resolves when nobody renews anything.
    #[cfg(test)]
    pub(super) async fn idle(&self) {
        let idle = |busy: &Busy| busy.tokens.is_empty() && busy.workers.values().all(|workers| *workers == 0);
        self.busy.subscribe().wait_for(idle).await.expect("the broker lives");
    }
}

/// A token that is being renewed.
struct UnderWay<'r> {
    renewals: &'r Renewals,
    token: TokenId,
}

/// A renewal by hand that waits for a place.
struct Waiting<'r>(&'r Renewals);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.busy.send_modify(|busy| busy.waiting -= 1);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.renewals.busy.send_modify(|busy| {
            busy.tokens.remove(&self.token);
        });
    }
}

impl Broker {
    /// Lets workers renew what is due. Returns what was begun, for people.
    pub async fn renew_due(&self) -> Result<Sentence, StoreError> {
        if !self.config.renewals.enabled {
            return Ok(Sentence::new("ran-switched-off"));
        }
        let (now, mut begun) = (self.now(), 0);
        for network in self.catalogue.iter() {
            for app in self.apps_to_renew_for(network) {
                let of = (network.id.clone(), app);
                if self.renewals.rests(&of, now) {
                    continue;
                }
                // Noted before the store is read: a change while it is read takes it out again.
                self.renewals.nothing_until().insert(of.clone(), now + LOOK_ANYWAY);
                let next = self.store.next_renewals(&of.0, &of.1, 1).await?.first().map(|(_, due)| *due);
                match next {
                    Some(due) if due <= now => {
                        self.renewals.nothing_until().remove(&of);
                        begun += self.start_workers(&of.0, &of.1);
                    }
                    Some(due) => self.renewals.wait_no_longer_than(&of, due),
                    None => {}
                }
            }
        }
        Ok(Sentence::new("ran-renewals").with("count", begun))
    }

    /// Whether tokens of an app can be renewed at all.
    pub(in crate::service) fn renews_for(&self, network: &NetworkId, app: &AppId) -> bool {
        let network = self.catalogue.network(network.as_str());
        network.is_some_and(|network| self.apps_to_renew_for(network).contains(app))
    }

    /// The apps whose tokens can be renewed: those with a client, and where a network does not ask for one, all.
    fn apps_to_renew_for(&self, network: &Network) -> Vec<AppId> {
        let renewed = |kind: &&TokenKind| is_renewable(kind, TokenState::Live, true);
        let kinds: Vec<&TokenKind> = network.kinds.iter().filter(renewed).collect();
        if kinds.is_empty() {
            return Vec::new();
        }
        let all = !kinds.into_iter().all(needs_client);
        let known = self.directory.apps().into_iter().filter(|stored| stored.app.network == network.id);
        let ready = known.filter(|stored| all || !stored.app.client_id.is_empty()).map(|stored| stored.app.id.clone());
        ready.chain(all.then(default_app)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn start_workers(&self, network: &NetworkId, app: &AppId) -> usize {
        let added = self.renewals.add_workers(network, self.config.renewals.in_flight);
        for _ in 0..added {
            let (broker, network, app) = (self.clone(), network.clone(), app.clone());
            self.tasks.spawn("renew", async move {
                if let Err(error) = broker.work_off(&network, &app).await {
                    tracing::warn!(%network, %app, %error, "tokens can't be renewed now; they are due again soon");
                }
                broker.renewals.end_worker(&network);
            });
        }
        added
    }

    /// Renews one token of an app after another, as long as there are any that are due and the app's rate allows it.
    async fn work_off(&self, network: &NetworkId, app: &AppId) -> Result<(), StoreError> {
        while !self.tasks.is_stopping() {
            let Some(entered) = self.next_to_renew(network, app).await? else { return Ok(()) };
            if !self.renewals.may_ask(network, app) {
                return Ok(());
            }
            match self.attempt_renewal(entered.token, &Order::Schedule).await {
                Ok(_) => {}
                Err(RenewError::Token(TokenError::Store(error))) => return Err(error),
                Err(error) => log_failure(network, entered.token, &error),
            }
        }
        Ok(())
    }

    /// The token of an app that has been due the longest of those that nobody works at and no incident stops.
    async fn next_to_renew(&self, network: &NetworkId, app: &AppId) -> Result<Option<UnderWay<'_>>, StoreError> {
        // Those that others are working at come first in the list.
        let enough = u32::try_from(self.config.renewals.in_flight + 1).unwrap_or(u32::MAX);
        let (now, mut next) = (self.now(), Vec::new());
        if let Some(since) = self.engine.incident_since(network, app) {
            next = self.store.next_renewals_since(network, app, since, enough).await?;
        }
        next.extend(self.store.next_renewals(network, app, enough).await?);
        for (token, _) in next.into_iter().filter(|(_, due)| *due <= now) {
            let Some(entered) = self.renewals.enter(token) else { continue };
            if self.engine.ask_to_renew(network, token) != RenewalsOf::Stopped {
                return Ok(Some(entered));
            }
        }
        Ok(None)
    }

    /// Renews one token now, to the end, also if the caller goes away. Where its renewal is under way, the outcome of that one is told.
    pub async fn renew_token(
        &self,
        attempt: impl Into<Attempt<TokenView>>,
        team: &TeamId,
        id: TokenId,
    ) -> Result<TokenView, RenewError> {
        let attempt = attempt.into();
        let token = self.stored_token(team, id).await?.token;
        let permitted = self.must_permit(&attempt.caller, Action::Renew, team, On::Token(&token));
        permitted.map_err(TokenError::from)?;
        self.renew_now(Order::Hand(attempt), &token).await
    }

    /// As [`Broker::renew_token`], for a job.
    pub(super) async fn renew_for_job(&self, job: JobId, token: &Token) -> Result<TokenView, RenewError> {
        self.renew_now(Order::Job(job), token).await
    }

    /// Whoever waits for it may leave: a refresh token that was shown is worth only what its answer brings.
    async fn renew_now(&self, order: Order, token: &Token) -> Result<TokenView, RenewError> {
        let (broker, token) = (self.clone(), token.clone());
        let renewed = self.finish(async move { broker.renew_alone(order, &token).await }).await;
        renewed.unwrap_or(Err(StoreError::Closed.into()))
    }

    async fn renew_alone(&self, order: Order, token: &Token) -> Result<TokenView, RenewError> {
        let id = token.id;
        let entered = loop {
            if let Some(entered) = self.renewals.enter(id) {
                break entered;
            }
            let free = |busy: &Busy| !busy.tokens.contains(&id);
            // The sender lives as long as the broker.
            let _ = self.renewals.busy.subscribe().wait_for(free).await;
        };
        let stored = self.stored_token(&token.team, id).await?;
        if stored.token.version != token.version {
            let found = self.view_token(stored.token);
            if let Order::Hand(attempt) = &order {
                self.note_unchanged(attempt, &found).await?;
            }
            return Ok(found);
        }
        let Token { network, app, .. } = &stored.token;
        if self.engine.ask_to_renew(network, id) == RenewalsOf::Stopped {
            return Err(RenewError::Incident { network: network.clone(), app: app.clone() });
        }
        // A job has taken its places before.
        if let Order::Hand(_) = &order {
            let place = self.renewals.wait_for_place(network, app).await;
            let not_yet = |wait| RenewError::NotYet { until: self.now() + wait, wait, why: NotYet::Pace };
            place.map_err(not_yet)?;
        }
        self.attempt_renewal(entered.token, &order).await
    }
}

fn log_failure(network: &NetworkId, token: TokenId, error: &RenewError) {
    match error {
        RenewError::NotRenewable(_) | RenewError::NotYet { .. } | RenewError::Incident { .. } => {}
        RenewError::Failed { .. } | RenewError::Token(_) => {
            tracing::warn!(%network, %token, %error, "a token was not renewed");
        }
        RenewError::NoClient { .. } | RenewError::Sealed(_) | RenewError::Refused(_) => {
            tracing::error!(%network, %token, %error, "a token can't be renewed");
        }
    }
}

#[cfg(test)]
mod tests;
