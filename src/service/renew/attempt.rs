//! One attempt to renew one token: decide, claim durably, ask, store the answer, and only then use it.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::TokenId;
use crate::base::secret::Secret;
use crate::domain::audit::STATE_FOUND;
use crate::domain::evidence::Blame;
use crate::domain::networks::{
    Answer, ErrorClass, Network, Renewal, TokenKind, TokenReply, classify_renewal, read_token_reply,
};
use crate::domain::notice::{is_trouble, of_change};
use crate::domain::renewal::{
    self, Failure, Verdict, after_failure, deferred_to, is_derived_anew, is_renewable, unanswered_until, unless_shared,
};
use crate::domain::token::{Reason, Token};
use crate::outbound::http::{NetworkAnswer, NetworkRequest, NoAnswer};
use crate::outbound::oauth::{self, Client, Credential};
use crate::service::luck::luck;
use crate::service::renew::derive::Parent;
use crate::service::renew::keep::Given;
use crate::service::renew::{NotYet, Order, Outcome, RenewError};
use crate::service::tokens::{TokenError, TokenView, name_of};
use crate::service::{Broker, Caller};
use crate::store::{
    BeginRenewal, PutRenewal, StoreError, StoredRenewal, StoredToken, TokenChange, TokenChangeError, Trail,
};
use crate::vault::Place;

/// How long a claim lasts: longer than a request may take, and the commit after it.
const CLAIM: Duration = Duration::from_secs(60);
/// How long a token waits for an operator to mend what only an operator can.
const FOR_AN_OPERATOR: Duration = Duration::from_secs(15 * 60);

/// A renewal that was claimed: what is shown to the network.
struct Begun {
    token: Token,
    kind: TokenKind,
    renewal: StoredRenewal,
    ask: Ask,
}

/// How the network is asked.
enum Ask {
    Renewal(Box<NetworkRequest>),
    Derivation(Parent),
}

impl Broker {
    /// Makes one attempt. The caller is the only one in this process at this token.
    pub(super) async fn attempt_renewal(&self, id: TokenId, order: &Order) -> Result<TokenView, RenewError> {
        let begun = self.begin_attempt(id, order).await?;
        let asked_at = self.now();
        let outcome = match &begun.ask {
            Ask::Renewal(request) => self.understand_answer(&begun.token, self.renewals.endpoint.ask(request).await),
            Ask::Derivation(parent) => self.derive(&begun.token, parent).await,
        };
        match outcome {
            Outcome::Gone => {
                self.count(&begun.token, "failed");
                self.forget_schedule(&begun.token).await?;
                Err(RenewError::NotRenewable(id))
            }
            Outcome::Renewed(reply, body) => {
                let Begun { token, kind, ask, .. } = &begun;
                let parent = if let Ask::Derivation(parent) = ask { Some(parent) } else { None };
                let given =
                    Given { token, kind, parent, reply: &reply, body: body.as_deref().map(Vec::as_slice), asked_at };
                let kept = self.keep(&given, order).await;
                self.count(&begun.token, if kept.is_ok() { "renewed" } else { "failed" });
                kept
            }
            Outcome::Failed(failure, why) => {
                let error = self.note_failure(&begun, failure, why).await.unwrap_or_else(|error| error);
                self.count(&begun.token, if matches!(error, RenewError::Refused(_)) { "refused" } else { "failed" });
                Err(error)
            }
        }
    }

    fn count(&self, token: &Token, outcome: &'static str) {
        self.metrics.network(&token.network).renewal_ended(outcome);
    }

    /// Decides whether the token is to be renewed now, and claims it.
    async fn begin_attempt(&self, id: TokenId, order: &Order) -> Result<Begun, RenewError> {
        let _changes = self.changes.token(id).await;
        let stored = self.store.find_token(id).await?;
        let Some(stored) = stored else { return Err(RenewError::NotRenewable(id)) };
        let Some(kind) = self.renewable_kind(&stored) else {
            self.put_schedule(&stored, StoredRenewal::default()).await?;
            return Err(RenewError::NotRenewable(id));
        };
        match order {
            Order::Schedule => self.wait_if_not_due(&stored, &kind).await?,
            Order::Hand(_) | Order::Job(_) => self.wait_if_unanswered(&stored, &kind)?,
        }
        let ask = match self.ask_for(&stored, &kind).await {
            Ok(ask) => ask,
            Err(error @ RenewError::NotRenewable(_)) => {
                self.put_schedule(&stored, StoredRenewal::default()).await?;
                return Err(error);
            }
            Err(error) => {
                let due_at = stored.renewal.due_at.map(|due| due.max(self.now() + FOR_AN_OPERATOR));
                self.put_schedule(&stored, StoredRenewal { due_at, ..stored.renewal }).await?;
                return Err(error);
            }
        };
        let now = self.now();
        let claimed_until = now + CLAIM;
        let claim = BeginRenewal {
            token: id,
            version: stored.token.version,
            seen_due_at: stored.renewal.due_at,
            now,
            claimed_until,
        };
        if !self.store.begin_renewal(claim).await? {
            return Err(TokenError::Contended(id).into());
        }
        let begun_at = stored.renewal.begun_at.or(Some(now));
        let renewal = StoredRenewal { due_at: Some(claimed_until), begun_at, failures: stored.renewal.failures };
        Ok(Begun { token: stored.token, kind, renewal, ask })
    }

    fn renewable_kind(&self, stored: &StoredToken) -> Option<TokenKind> {
        let network = self.catalogue.network(stored.token.network.as_str())?;
        let kind = network.kind(stored.token.kind.as_str())?;
        let state = stored.token.state;
        let renewed = is_renewable(kind, state, stored.sealed_refresh.is_some()) || is_derived_anew(kind, state);
        renewed.then(|| kind.clone())
    }

    /// Gives a token its time that has none yet, and leaves one alone whose refresh token is better not shown now.
    async fn wait_if_not_due(&self, stored: &StoredToken, kind: &TokenKind) -> Result<(), RenewError> {
        let (token, now) = (&stored.token, self.now());
        let due_at = stored.renewal.due_at.unwrap_or(Timestamp::NEVER);
        if due_at > now {
            return Err(RenewError::NotYet { until: due_at, wait: due_at.since(now), why: NotYet::LookedAt });
        }
        let mut wait = None;
        if stored.renewal.due_at == Some(Timestamp::EPOCH) {
            let due = renewal::due_at(kind, token, stored.sealed_refresh.is_some(), now, luck());
            wait = Some((due.unwrap_or(Timestamp::NEVER), NotYet::NoTimeYet));
        } else if stored.renewal.begun_at.is_some()
            && let Some(until) = deferred_to(kind, token)
        {
            wait = Some((until, NotYet::MayBeUsed));
        }
        let Some((until, why)) = wait.filter(|(until, _)| *until > now) else { return Ok(()) };
        let due_at = Some(until).filter(|until| *until != Timestamp::NEVER);
        self.put_schedule(stored, StoredRenewal { due_at, ..stored.renewal }).await?;
        Err(RenewError::NotYet { until, wait: until.since(now), why })
    }

    /// Whoever asks for it: while nobody knows whether a refresh token that works once was used, it is not shown before its time.
    fn wait_if_unanswered(&self, stored: &StoredToken, kind: &TokenKind) -> Result<(), RenewError> {
        let now = self.now();
        let unanswered =
            stored.renewal.begun_at.and_then(|_| unanswered_until(kind, &stored.token, stored.renewal.due_at));
        match unanswered.filter(|until| *until > now) {
            None => Ok(()),
            Some(until) => Err(RenewError::NotYet { until, wait: until.since(now), why: NotYet::MayBeUsed }),
        }
    }

    async fn ask_for(&self, stored: &StoredToken, kind: &TokenKind) -> Result<Ask, RenewError> {
        match &kind.renewal {
            Renewal::Derived { from } => self.parent_of(&stored.token, from).await.map(Ask::Derivation),
            _ => self.request_for(stored, kind).map(|request| Ask::Renewal(Box::new(request))),
        }
    }

    fn request_for(&self, stored: &StoredToken, kind: &TokenKind) -> Result<NetworkRequest, RenewError> {
        let token = &stored.token;
        let open = |column, sealed: &[u8]| -> Result<Secret, RenewError> {
            Ok(self.vault.open_sealed(&Place::of_token(&token.id, &token.team, token.version, column), sealed)?)
        };
        let credential = Credential {
            access: open("access", &stored.sealed_access)?,
            refresh: stored.sealed_refresh.as_deref().map(|sealed| open("refresh", sealed)).transpose()?,
            bond: self.bond_of(stored)?,
        };
        let (id, secret) = self.client_of(&token.network, &token.app)?;
        if id.is_empty() && oauth::needs_client(kind) {
            return Err(RenewError::NoClient { network: token.network.clone(), app: token.app.clone() });
        }
        let request = oauth::renewal(kind, &Client { id, secret }, &credential);
        request.ok_or(RenewError::NotRenewable(token.id))
    }

    fn understand_answer(&self, token: &Token, answer: Result<NetworkAnswer, NoAnswer>) -> Outcome {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error @ NoAnswer::NotSent) => {
                return Outcome::Failed(Failure::NotDone(ErrorClass::Transient, None), error.to_string());
            }
            Err(error) => return Outcome::Failed(Failure::Unknown, error.to_string()),
        };
        let Some(network) = self.catalogue.network(token.network.as_str()) else {
            return Outcome::Failed(Failure::Unknown, "the network left the catalogue".to_owned());
        };
        let NetworkAnswer { status, headers, body } = &answer;
        let said = classify_renewal(network, &Answer { status: *status, headers, body });
        if said.class == ErrorClass::Ok {
            return match read_token_reply(body) {
                Ok(reply) => match strange_to(token, network, &reply) {
                    None => Outcome::Renewed(reply, Some(answer.body)),
                    Some(why) => Outcome::Failed(Failure::Unknown, why.to_owned()),
                },
                Err(error) => Outcome::Failed(Failure::Unknown, error.to_string()),
            };
        }
        let why = format!("the network answered {status} ({})", class_name(said.class));
        let judged = said.class != ErrorClass::Transient;
        // A refusal by the client's fault is no renewal; of a server's fault, or of a page in between, nobody knows.
        let done = judged || ((400..500).contains(status) && *status != 408);
        let failure = if done { Failure::NotDone(said.class, said.retry_after) } else { Failure::Unknown };
        Outcome::Failed(failure, why)
    }

    /// Notes a failure: when it is tried again, or that the token is dead. The token is read again first: a refusal of secrets that are
    /// not the present ones says nothing about it.
    async fn note_failure(&self, begun: &Begun, failure: Failure, why: String) -> Result<RenewError, RenewError> {
        let id = begun.token.id;
        let _changes = self.changes.token(id).await;
        let Some(stored) = self.store.find_token(id).await? else { return Ok(RenewError::NotRenewable(id)) };
        if stored.token.version != begun.token.version {
            return Ok(TokenError::Contended(id).into());
        }
        let (failures, now) = (begun.renewal.failures.saturating_add(1), self.now());
        let evidence = renewal::evidence_of(&begun.kind, failure);
        let blame = self.engine.note_renewal(&stored.token, evidence).unwrap_or(Blame::Token);
        let verdict = after_failure(&begun.kind, &stored.token, failure, failures, now, luck());
        match unless_shared(verdict, blame, failures, now, luck()) {
            Verdict::Again(retry_at) => {
                let begun_at = begun.renewal.begun_at.filter(|_| failure == Failure::Unknown);
                self.put_schedule(&stored, StoredRenewal { due_at: Some(retry_at), begun_at, failures }).await?;
                Ok(RenewError::Failed { why, retry_at, wait: retry_at.since(now) })
            }
            Verdict::Dead(reason) => {
                self.bury(&stored.token, reason, &why).await?;
                self.put_schedule(&stored, StoredRenewal::default()).await?;
                Ok(RenewError::Refused(reason))
            }
        }
    }

    /// Declares a token dead: in its pool at once, then durably. The caller holds its lock.
    async fn bury(&self, before: &Token, reason: Reason, why: &str) -> Result<(), RenewError> {
        let now = self.now();
        let token = Token { state: before.state.invalidate(reason, now), ..before.clone() };
        if token.state == before.state {
            return Ok(());
        }
        self.engine.change_token_state(&token.network, token.id, |present| present.invalidate(reason, now));
        let (from, to) = (before.state.as_str(), token.state.as_str());
        let detail = format!("from={from} to={to} reason={} comment={why}", reason.as_str());
        let mut audit = self.audit(&Caller::Broker, STATE_FOUND, name_of(&token.team, token.id), detail);
        audit.team = Some(token.team.clone());
        let own = !self.engine.incident_speaks_for(&token.network, token.id);
        let events = of_change(before.state, &token, now).filter(|_| own);
        let changed = self.store.change_token(TokenChange {
            expected_version: before.version,
            expected_state: before.state,
            token,
            secrets: None,
            trail: Trail::from(audit).telling(events),
            revocation: None,
            alerts: Vec::new(),
        });
        match changed.await {
            Ok(_) => Ok(()),
            Err(TokenChangeError::Store(error)) => Err(error.into()),
            Err(_) => Err(TokenError::Contended(before.id).into()),
        }
    }

    /// What was found out about a token's access token is settled by a renewal, soon, where there can be one.
    pub(in crate::service) async fn hasten_renewal(&self, token: &Token) -> Result<(), StoreError> {
        let now = self.now();
        self.store.hasten_renewal(token.id, token.version, now, now + CLAIM).await?;
        self.renewals.changed(token);
        Ok(())
    }

    /// A token ends earlier than was known: its renewal comes earlier, too.
    pub(in crate::service) async fn renew_in_time(&self, token: &Token, refreshable: bool) -> Result<(), StoreError> {
        let network = self.catalogue.network(token.network.as_str());
        let kind = network.and_then(|network| network.kind(token.kind.as_str()));
        let now = self.now();
        let due = kind.and_then(|kind| renewal::due_at(kind, token, refreshable, now, luck()));
        let Some(due) = due else { return Ok(()) };
        self.store.hasten_renewal(token.id, token.version, due, due.max(now + CLAIM)).await?;
        self.renewals.changed(token);
        Ok(())
    }

    /// A token is not asked for any more by the schedule, unless it has other secrets by now.
    async fn forget_schedule(&self, token: &Token) -> Result<(), StoreError> {
        let renewal = StoredRenewal::default();
        let put = PutRenewal { token: token.id, version: token.version, renewal, look_at: None };
        self.store.put_renewal(put).await.map(|_| ())
    }

    async fn put_schedule(&self, stored: &StoredToken, renewal: StoredRenewal) -> Result<(), StoreError> {
        // People may have to hear of trouble before the token ends.
        let look_at = is_trouble(renewal.failures).then(|| self.now());
        let put = PutRenewal { token: stored.token.id, version: stored.token.version, renewal, look_at };
        // Other secrets have a schedule of their own.
        self.store.put_renewal(put).await?;
        self.renewals.changed(&stored.token);
        Ok(())
    }
}

/// Why what a network gave can't be that token's.
fn strange_to(token: &Token, network: &Network, reply: &TokenReply) -> Option<&'static str> {
    let kind = network.kind(token.kind.as_str())?;
    let names_accounts = kind.oauth.as_ref().is_some_and(|oauth| oauth.did_directory.is_some());
    if kind.is_bound() && !reply.bound {
        return Some("the network gave a token that is bound to no key");
    }
    let is_another = names_accounts && reply.subject.as_ref().is_some_and(|subject| *subject != token.person);
    is_another.then_some("the network gave a token of another account")
}

/// The name of a class in logs and errors.
fn class_name(class: ErrorClass) -> String {
    serde_json::to_value(class).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
