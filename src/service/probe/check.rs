//! One check: a lease for one call, the call, and the report of what the network answered.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::ids::LeaseId;
use crate::base::secret::Secret;
use crate::domain::lease::Priority;
use crate::domain::networks::{
    Answer, ClientAuth, ErrorClass, Introspected, Network, PROBE_OPERATION, Probe, Purpose, TokenKind, classify,
    read_usage,
};
use crate::domain::pool::{AcquireRequest, CallReport, NoToken, Verdict};
use crate::domain::probe::CheckOutcome;
use crate::domain::token::{Token, is_same_end};
use crate::engine::{Acquire, AcquireError, Leased};
use crate::outbound::http::{NetworkAnswer, NetworkRequest, NoAnswer};
use crate::outbound::oauth::{self, Client, ProbeCredential};
use crate::service::probe::ProbeError;
use crate::service::renew::RenewError;
use crate::service::tokens::{ATTEMPTS, TokenError, name_of};
use crate::service::{Broker, Caller};
use crate::store::{StoredToken, TokenChange, TokenChangeError};
use crate::vault::Place;

/// How long the lease of a check lasts: longer than the call, and its repetition with another nonce, may take.
const LEASE: Duration = Duration::from_secs(45);
/// When a check is tried again that found the broker or the token busy.
const BUSY: Duration = Duration::from_secs(60);

/// What a network said.
struct Said {
    class: ErrorClass,
    told: Option<Introspected>,
}

impl Broker {
    /// Asks the network about a token. The answer is reported like that of any call before this returns.
    pub(super) async fn ask_about(
        &self,
        network: &Network,
        kind: &TokenKind,
        stored: &StoredToken,
    ) -> Result<CheckOutcome, ProbeError> {
        let token = &stored.token;
        let probe = kind.probe.as_ref().ok_or_else(|| super::not_probed(stored))?;
        let (id, secret) = self.client_of(&token.network, &token.app).map_err(RenewError::from)?;
        let client = Client { id, secret };
        if oauth::probe_needs_client(probe) && (client.id.is_empty() || client.secret.is_none()) {
            return Err(RenewError::NoClient { network: token.network.clone(), app: token.app.clone() }.into());
        }
        let leased = self.engine.acquire(self.as_probe(network, token)).await;
        let leased = leased.map_err(|error| self.not_yet(error))?;
        self.metrics.network(&network.id).lease_opened();
        let lease = leased.lease;
        let answer = match self.request(network, kind, probe, stored, &client, &leased) {
            Ok(request) => self.renewals.network().ask(&request).await,
            Err(error) => {
                self.end_probe(network, lease);
                return Err(error);
            }
        };
        let said = self.understand_check(network, probe, &answer);
        let reported = self.report_check(network, lease, &answer, said.class).await;
        self.end_probe(network, lease);
        let verdict = reported?;
        if let Some(told) = &said.told {
            self.learn(token, told).await?;
        }
        let outcome = CheckOutcome::of(said.class);
        // Where others of the app are refused alike, a word that leaves no doubt is not believed at once.
        let believed = outcome != CheckOutcome::Ended || matches!(verdict, Verdict::TokenDead(_));
        Ok(if believed { outcome } else { CheckOutcome::InDoubt })
    }

    fn as_probe(&self, network: &Network, token: &Token) -> Acquire {
        let mut audit = self.audit(&Caller::Broker, "lease.open", String::new(), String::new());
        audit.team = Some(token.team.clone());
        Acquire {
            network: network.id.clone(),
            priority: Priority::default(),
            wait: Duration::ZERO,
            team_weight: 1,
            collector_weight: 1,
            max_leases: None,
            audit,
            idempotency: None,
            request: AcquireRequest {
                lease: LeaseId::generate(),
                team: token.team.clone(),
                collector: None,
                operation: network.probe_index(),
                calls: 1,
                min_calls: 1,
                purpose: Purpose::Validate,
                token: Some(token.id),
                profile: None,
                kind: None,
                keys: Vec::new(),
                collection: PROBE_OPERATION.into(),
                ttl: LEASE,
            },
        }
    }

    fn not_yet(&self, error: AcquireError) -> ProbeError {
        let now = self.now();
        let until = match &error {
            AcquireError::LimitedUntil { until, .. }
            | AcquireError::Resting { until, .. }
            | AcquireError::Busy { until } => *until,
            AcquireError::Store(error) => return error.clone().into(),
            _ => now + BUSY,
        };
        let why = match &error {
            AcquireError::LimitedUntil { .. } => "its credit is used up, or it rests".to_owned(),
            AcquireError::NoToken(NoToken::None) => "it can't be used now".to_owned(),
            error => error.to_string(),
        };
        ProbeError::NotYet { until, wait: until.since(now), why }
    }

    fn request(
        &self,
        network: &Network,
        kind: &TokenKind,
        probe: &Probe,
        stored: &StoredToken,
        client: &Client,
        leased: &Leased,
    ) -> Result<NetworkRequest, ProbeError> {
        let token = &stored.token;
        let bond = self.bond_of(stored).map_err(RenewError::from)?;
        if kind.is_bound() && bond.is_none() {
            return Err(super::not_probed(stored));
        }
        let (sealed, version) = &leased.sealed;
        let place = Place::of_token(&token.id, &token.team, *version, "access");
        let access: Secret = self.vault.open_sealed(&place, sealed).map_err(RenewError::from)?;
        let parameters: BTreeMap<String, String> =
            self.call_parameters(&network.id, kind, &leased.app, &access).map_err(RenewError::from)?;
        let client_auth = kind.oauth.as_ref().map_or(ClientAuth::Post, |oauth| oauth.client_auth);
        let with = ProbeCredential {
            client,
            client_auth,
            access: &access,
            parameters: &parameters,
            headers: &network.request_headers,
            bond: bond.as_ref(),
        };
        oauth::probe(probe, network.api_base_for(kind.id.as_str()), &with)
            .ok_or_else(|| ProbeError::NotProbed { network: network.id.clone(), kind: kind.id.to_string() })
    }

    fn understand_check(&self, network: &Network, probe: &Probe, answer: &Result<NetworkAnswer, NoAnswer>) -> Said {
        let Ok(NetworkAnswer { status, headers, body }) = answer else {
            return Said { class: ErrorClass::Transient, told: None };
        };
        let answer = Answer { status: *status, headers, body };
        match &probe.introspection {
            Some(introspection) => {
                let told = introspection.read(network, &answer, self.now());
                Said { class: told.class, told: (told.class == ErrorClass::Ok).then_some(told) }
            }
            None => Said { class: classify(network, &answer).class, told: None },
        }
    }

    /// Reports the call, as a collector would.
    async fn report_check(
        &self,
        network: &Network,
        lease: LeaseId,
        answer: &Result<NetworkAnswer, NoAnswer>,
        class: ErrorClass,
    ) -> Result<Verdict, ProbeError> {
        let not_sent = matches!(answer, Err(NoAnswer::NotSent));
        let now = self.now();
        let (retry_after, readings) = answer.as_ref().map_or_else(
            |_| (None, Vec::new()),
            |answer| {
                let said = Answer { status: answer.status, headers: &answer.headers, body: &answer.body };
                (classify(network, &said).retry_after, read_usage(network, &answer.headers, now))
            },
        );
        let report = CallReport {
            sequence: 1,
            used: u64::from(!not_sent),
            unused: u64::from(not_sent),
            throttled: 0,
            errors: 0,
            answered: answer.is_ok(),
            answered_at: None,
            // What the check itself is not permitted for says nothing of what collectors do.
            class: if class == ErrorClass::PermissionLost { ErrorClass::ResourceDenied } else { class },
            retry_after,
            readings,
        };
        self.report_own_call(lease, report).await.map_err(|error| match error {
            Some(error) => error.into(),
            None => ProbeError::NotYet {
                until: now + BUSY,
                wait: BUSY,
                why: "it was taken out of use meanwhile".to_owned(),
            },
        })
    }

    fn end_probe(&self, network: &Network, lease: LeaseId) {
        // One that was taken back has ended already.
        if self.engine.release(lease).is_ok() {
            self.metrics.network(&network.id).lease_closed();
        }
    }

    /// Takes in what a network told of a token that works: fewer scopes than were known, an earlier end. Never more, and never later.
    async fn learn(&self, asked: &Token, told: &Introspected) -> Result<(), ProbeError> {
        let _changes = self.changes.token(asked.id).await;
        for _ in 0..ATTEMPTS {
            let Some(stored) = self.store.find_token(asked.id).await? else { return Ok(()) };
            let before = stored.token;
            let after = narrowed(&before, told);
            if before.version != asked.version || after == before {
                return Ok(());
            }
            let detail = format!("scopes={} access_end_earlier={}", after.scopes.len(), after.clocks != before.clocks);
            let mut audit = self.audit(&Caller::Broker, "token.narrow", name_of(&before.team, before.id), detail);
            audit.team = Some(before.team.clone());
            let changed = self.store.change_token(TokenChange {
                expected_version: before.version,
                expected_state: before.state,
                token: after.clone(),
                secrets: None,
                trail: audit.into(),
                revocation: None,
                alerts: Vec::new(),
            });
            match changed.await {
                Ok(_) => {
                    self.take_in(&after, stored.sealed_access);
                    self.renew_in_time(&after, stored.sealed_refresh.is_some()).await?;
                    return Ok(());
                }
                Err(TokenChangeError::Changed { .. }) => {}
                Err(TokenChangeError::Store(error)) => return Err(error.into()),
                Err(_) => return Ok(()),
            }
        }
        Err(TokenError::Contended(asked.id).into())
    }
}

/// The token with what a network told of it, where that is less than was known.
fn narrowed(before: &Token, told: &Introspected) -> Token {
    let mut after = before.clone();
    if let Some(scopes) = &told.scopes {
        after.scopes.retain(|scope| scopes.contains(scope));
    }
    let earlier =
        |known: Option<crate::base::clock::Timestamp>, told: Option<crate::base::clock::Timestamp>| match (known, told)
        {
            (Some(known), Some(told)) if told < known && !is_same_end(told, known) => Some(told),
            (None, told) => told,
            (known, _) => known,
        };
    after.clocks.access_expires_at = earlier(before.clocks.access_expires_at, told.expires_at);
    after.clocks.data_access_expires_at = earlier(before.clocks.data_access_expires_at, told.data_access_expires_at);
    after
}
