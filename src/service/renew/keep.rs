//! What a network gave is stored before anything else is done with it: in the database, or else on disk beside it.

use std::io;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::domain::audit::AuditEvent;
use crate::domain::evidence::Evidence;
use crate::domain::networks::{TokenKind, TokenReply, read_token_reply};
use crate::domain::renewal;
use crate::domain::token::Token;
use crate::service::renew::derive::{Parent, with_consent};
use crate::service::renew::{Order, RenewError};
use crate::service::tokens::{ATTEMPTS, TokenError, TokenView, name_of};
use crate::service::{Broker, Caller};
use crate::store::{SealedSecrets, SpooledReply, StoreError, StoredToken, TokenChange, TokenChangeError, Trail};
use crate::vault::Place;

/// How long the machine waits before it tries again to store secrets that the store did not take.
const STORE_AGAIN: Duration = Duration::from_millis(250);

/// What a network gave for a token.
pub(super) struct Given<'a> {
    /// The token as it was shown.
    pub(super) token: &'a Token,
    pub(super) kind: &'a TokenKind,
    /// What it was derived from.
    pub(super) parent: Option<&'a Parent>,
    pub(super) reply: &'a TokenReply,
    /// The reply as it came; `None`: the network gives it again.
    pub(super) body: Option<&'a [u8]>,
    pub(super) asked_at: Timestamp,
}

impl Given<'_> {
    fn spooled(&self) -> SpooledReply {
        SpooledReply { token: self.token.id, version: self.token.version }
    }
}

impl Broker {
    /// Stores what the network gave, then lets it hold. The network may have ended the secrets before these: where the store does not take
    /// them, they are spooled to disk, and kept in memory until it does.
    pub(super) async fn keep(&self, given: &Given<'_>, order: &Order) -> Result<TokenView, RenewError> {
        let mut spooled = false;
        loop {
            let kept = self.keep_once(given, order).await;
            let Err(RenewError::Token(error @ (TokenError::Store(_) | TokenError::Contended(_)))) = &kept else {
                if spooled {
                    self.unspool(given.spooled()).await;
                }
                return kept;
            };
            if !std::mem::replace(&mut spooled, true) {
                self.metrics.renewal_unstored();
                tracing::error!(token = %given.token.id, %error, "renewed secrets can't be stored; they are tried again");
                self.spool(given).await;
            }
            if self.tasks.is_stopping() {
                return kept;
            }
            tokio::time::sleep(STORE_AGAIN).await;
        }
    }

    async fn keep_once(&self, given: &Given<'_>, order: &Order) -> Result<TokenView, RenewError> {
        let id = given.token.id;
        let _changes = self.changes.token(id).await;
        for _ in 0..ATTEMPTS {
            let Some(stored) = self.store.find_token(id).await? else { return Err(RenewError::NotRenewable(id)) };
            if stored.token.version != given.token.version {
                return self.overtaken(stored);
            }
            let mut token = renewal::renewed(given.kind, &stored.token, given.reply, given.asked_at);
            if let Some(parent) = given.parent {
                token = with_consent(token, parent, given.kind.data_access_validity);
            }
            let recovery = self.recovery(&token).await?;
            let secrets = self.sealed_renewal(&stored, &token, given.reply)?;
            let access = secrets.access.clone();
            let made = self.view_token(token.clone());
            let audit = self.renewal_audit(order, &stored.token, &token);
            let change = TokenChange {
                expected_version: stored.token.version,
                expected_state: stored.token.state,
                token: token.clone(),
                secrets: Some(secrets),
                trail: match order {
                    Order::Schedule | Order::Job(_) => Trail::from(audit),
                    Order::Hand(attempt) => attempt.trail(audit, &made),
                }
                .telling(recovery),
                revocation: None,
                alerts: Vec::new(),
            };
            match self.store.change_token(change).await {
                Ok(ended) => {
                    self.engine.note_renewal(given.token, Evidence::Works);
                    self.take_in(&token, access);
                    self.tell_dead_span(&token, ended);
                    self.engine.note_worked(&token.network, id);
                    return Ok(made);
                }
                Err(TokenChangeError::Changed { .. }) => {}
                Err(TokenChangeError::Store(error)) => return Err(error.into()),
                Err(TokenChangeError::Duplicate) => {
                    return Err(StoreError::Conflict { what: "token".to_owned() }.into());
                }
                Err(TokenChangeError::NotFound(_) | TokenChangeError::Revoked(_)) => {
                    return Err(RenewError::NotRenewable(id));
                }
            }
        }
        Err(TokenError::Contended(id).into())
    }

    /// Somebody gave the token other secrets meanwhile, or revoked it: what they decided holds.
    fn overtaken(&self, stored: StoredToken) -> Result<TokenView, RenewError> {
        let token = stored.token;
        tracing::warn!(token = %token.id, "a token got other secrets while it was renewed; the later ones hold");
        Ok(self.view_token(token))
    }

    /// Seals the new access token, the new refresh token or else the one that was used, and the key again: a sealed text is bound to its
    /// version.
    fn sealed_renewal(
        &self,
        before: &StoredToken,
        token: &Token,
        reply: &TokenReply,
    ) -> Result<SealedSecrets, RenewError> {
        let old = match (&reply.refresh, &before.sealed_refresh) {
            (None, Some(sealed)) => {
                let Token { id, team, version, .. } = &before.token;
                Some(self.vault.open_sealed(&Place::of_token(id, team, *version, "refresh"), sealed)?)
            }
            _ => None,
        };
        let bond = self.bond_of(before)?;
        Ok(self.seal_token(token, &reply.access, reply.refresh.as_ref().or(old.as_ref()), bond.as_deref())?)
    }

    fn renewal_audit(&self, order: &Order, before: &Token, after: &Token) -> AuditEvent {
        let (from, to) = (before.state.as_str(), after.state.as_str());
        let ends = after.clocks.access_expires_at.map_or_else(|| "never".to_owned(), |end| end.to_string());
        let caller = match order {
            Order::Schedule | Order::Job(_) => &Caller::Broker,
            Order::Hand(attempt) => &attempt.caller,
        };
        let job = if let Order::Job(job) = order { format!(" job={job}") } else { String::new() };
        let detail = format!("from={from} to={to} access_ends={ends}{job}");
        let mut audit = self.audit(caller, "token.renew", name_of(&after.team, after.id), detail);
        audit.team = Some(after.team.clone());
        audit
    }

    /// Keeps a reply on disk, which a process that is started later takes in.
    async fn spool(&self, given: &Given<'_>) {
        let (Some(body), Token { id, team, version, .. }) = (given.body, given.token) else { return };
        let mut plain = Zeroizing::new(format!("{}\n", given.asked_at.micros()).into_bytes());
        plain.extend_from_slice(body);
        let sealed = self.vault.seal(&Place::of_token(id, team, *version, "reply"), &plain);
        let (spool, reply) = (self.renewals.spool.clone(), given.spooled());
        let put = move || spool.put(reply, &sealed.map_err(io::Error::other)?);
        match tokio::task::spawn_blocking(put).await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(()) => tracing::warn!(token = %id, "renewed secrets wait in the spool until the store takes them"),
            Err(error) => {
                tracing::error!(token = %id, %error, "renewed secrets are in memory only: neither the store nor the spool takes them");
            }
        }
    }

    /// Lets go of a reply that the store has taken, or that is of no use.
    async fn unspool(&self, reply: SpooledReply) {
        let spool = self.renewals.spool.clone();
        let removed = tokio::task::spawn_blocking(move || spool.remove(reply)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(token = %reply.token, %error, "a reply can't be deleted from the spool; the next start looks at it again");
        }
    }

    /// Stores the replies that an earlier process could not store. Called before anything is renewed: what they replace must not be shown
    /// again.
    pub(in crate::service) async fn take_in_spooled(&self) -> Result<(), StoreError> {
        let spool = self.renewals.spool.clone();
        for reply in spool.list()? {
            let Some(stored) = self.store.find_token(reply.token).await? else {
                self.unspool(reply).await;
                continue;
            };
            match self.take_in_reply(reply, &stored, &spool.read(reply)?).await {
                Ok(_) => tracing::info!(token = %reply.token, "renewed secrets of an earlier process are stored"),
                Err(RenewError::NotRenewable(_)) => {
                    tracing::info!(token = %reply.token, "the token of a reply in the spool was given back; the reply is deleted");
                }
                Err(RenewError::Token(TokenError::Store(error))) => return Err(error),
                Err(error) => {
                    tracing::error!(token = %reply.token, %error, "a reply in the spool can't be taken in; it is left there");
                    continue;
                }
            }
            self.unspool(reply).await;
        }
        Ok(())
    }

    async fn take_in_reply(
        &self,
        spooled: SpooledReply,
        stored: &StoredToken,
        sealed: &[u8],
    ) -> Result<TokenView, RenewError> {
        let token = Token { version: spooled.version, ..stored.token.clone() };
        let place = Place::of_token(&token.id, &token.team, token.version, "reply");
        let plain = self.vault.open_sealed(&place, sealed)?;
        let damaged = || RenewError::Sealed("it is not as it was written".to_owned());
        let (asked_at, body) = plain.expose().split_once('\n').ok_or_else(damaged)?;
        let asked_at = asked_at.parse().map(Timestamp::from_micros).map_err(|_| damaged())?;
        let reply = read_token_reply(body.as_bytes()).map_err(|_| damaged())?;
        let network = self.catalogue.network(token.network.as_str());
        let kind = network.and_then(|network| network.kind(token.kind.as_str()));
        let unknown = || RenewError::Sealed("the catalogue does not have the token's network or kind".to_owned());
        let given =
            Given { token: &token, kind: kind.ok_or_else(unknown)?, parent: None, reply: &reply, body: None, asked_at };
        self.keep_once(&given, &Order::Schedule).await
    }
}
