//! The sealing key is changed while everything goes on.
//!
//! A change wraps all keys anew and makes new ones, in one transaction, and what the old sealing key wrapped is erased from the store's
//! files: from then on it opens nothing of the store.
//! Secrets are then sealed anew with the new data keys, a few at a time, each only if it is still as it was. Nothing is noted on the way:
//! which key sealed a secret stands in the secret, so a pass that was broken off begins again and passes over what is done. The old data
//! keys, wrapped by the new sealing key, go once no secret needs them and no call from before can still bring one.
//!
//! A secret that does not open takes its token out of use, and nothing else: the token is invalid, the log and a metric say so. One of an
//! app, a destination or a browser can't be used until it is set anew; the log, a metric and the doctor say so, and operators are told of apps and destinations.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::{TeamId, TokenId};
use crate::domain::networks::TokenKind;
use crate::domain::notice::{Event, Fact};
use crate::domain::token::Reason;
use crate::service::key_source::{KeySource, KeySourceError};
use crate::service::own_secrets::{self, DamagedSecret, SecretOf};
use crate::service::requests::Attempt;
use crate::service::tell::event;
use crate::service::tokens::TokenError;
use crate::service::{Broker, Caller};
use crate::store::{OwnKeyRow, Resealed, RotateKeys, SealedToken, StoreError, WrappedKey};
use crate::text::Sentence;
use crate::vault::{Fingerprint, OpenError, Place, ResealError, VaultError, WrappedDataKey, WrappedOwnKey};

/// Tokens sealed anew in one transaction.
const BATCH: u32 = 256;
/// How long a call from before a rotation may still bring a secret that is sealed with an older data key: longer than any call lasts.
const CALLS_END_IN: Duration = Duration::from_secs(600);
/// When it is tried again to erase what was overwritten, while another program reads it.
const ERASE_AGAIN_IN: Duration = Duration::from_secs(60);
/// When all secrets are looked at again: what is damaged while the broker runs is found within a day.
const LOOK_AGAIN_IN: Duration = Duration::from_secs(24 * 3600);

/// Where the sealing key comes from, and how far secrets are sealed with the newest keys.
pub struct Sealing {
    source: KeySource,
    progress: Mutex<Progress>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// When the next pass is due; `None`: now.
    next: Option<Timestamp>,
    running: bool,
    looked_at: u64,
    resealed: u64,
    damaged: u64,
    /// Secrets of apps, destinations and browsers that do not open.
    damaged_own: u64,
    /// Whether one of them may have been set anew since they were looked at.
    is_outdated: bool,
    finished_at: Option<Timestamp>,
}

/// The sealing key, and how far secrets are sealed with the newest keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealingView {
    /// The sealing key that wraps all other keys.
    pub fingerprint: Fingerprint,
    /// Whether a pass over all secrets is under way or due.
    pub resealing: bool,
    /// Tokens that the present or last pass has looked at.
    pub looked_at: u64,
    /// Tokens among them that were sealed anew.
    pub resealed: u64,
    /// Tokens among them whose secrets do not open.
    pub damaged: u64,
    /// When the last pass ended.
    pub finished_at: Option<Timestamp>,
}

/// Why the sealing key was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// There is no next key.
    #[error(
        "the sealing key comes from the environment, so the next one must, too: start the broker with the new key in TOKEN_BROKER__VAULT__NEXT_KEY \
         beside the present one, then ask again"
    )]
    NoNextKey,
    /// The next key is the present one.
    #[error("the next sealing key is the present one; set TOKEN_BROKER__VAULT__NEXT_KEY to a new key")]
    SameKey,
    /// The next key can't be made or read.
    #[error(transparent)]
    Key(#[from] KeySourceError),
    /// The new keys do not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sealing {
    /// Nothing was looked at yet.
    pub(super) fn new(source: KeySource) -> Self {
        Self { source, progress: Mutex::default() }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress());
    }
}

impl Broker {
    /// Changes the sealing key. When this returns, the old one opens nothing of the store; secrets are sealed anew from then on.
    pub async fn rotate_sealing_key(
        &self,
        attempt: impl Into<Attempt<SealingView>>,
    ) -> Result<SealingView, RotateError> {
        let attempt = attempt.into();
        // No data key is made meanwhile.
        let _one_at_a_time = self.changes.data_keys.lock().await;
        let next = self.sealing.source.next().await?.ok_or(RotateError::NoNextKey)?;
        if next.fingerprint() == self.vault.fingerprint() {
            return Err(RotateError::SameKey);
        }
        let data_keys: Vec<_> = self.store.list_data_keys().await?.into_iter().map(unstored).collect();
        let own_keys: Vec<_> = self.store.list_own_keys().await?.into_iter().map(unstored_own).collect();
        let rotation = self.vault.prepare(&next, &data_keys, &own_keys);
        let (old, now) = (self.vault.fingerprint(), self.now());
        let view = SealingView {
            fingerprint: rotation.fingerprint,
            resealing: true,
            looked_at: 0,
            resealed: 0,
            damaged: 0,
            finished_at: None,
        };
        let detail = format!("from={old} to={}", rotation.fingerprint);
        let audit = self.audit(&attempt.caller, "sealing_key.rotate", "sealingKey".to_owned(), detail);
        let rotate = RotateKeys {
            data_keys: rotation.data_keys.iter().map(|key| stored(key, now)).collect(),
            own_keys: rotation.own_keys.iter().map(|key| stored_own(key, now)).collect(),
            fingerprint: rotation.fingerprint.to_string().into_bytes(),
            trail: attempt.trail(audit, &view),
        };
        self.store.rotate_keys(rotate).await?;
        self.vault.adopt(rotation)?;
        if let Err(error) = self.sealing.source.put_in_place(next.fingerprint()) {
            tracing::error!(%error, "the new sealing key is not in its place yet; the next start puts it there");
        }
        self.sealing.note(|progress| *progress = Progress::default());
        if let Err(error) = self.store.erase_overwritten().await {
            tracing::warn!(%error, "what the old sealing key wrapped is still in the database's log; the pass over all secrets erases it");
        }
        Ok(view)
    }

    /// The sealing key, and how far secrets are sealed with the newest keys.
    pub fn view_sealing(&self) -> SealingView {
        let progress = *self.sealing.progress();
        SealingView {
            fingerprint: self.vault.fingerprint(),
            resealing: progress.running || progress.next.is_none(),
            looked_at: progress.looked_at,
            resealed: progress.resealed,
            damaged: progress.damaged,
            finished_at: progress.finished_at,
        }
    }

    /// Looks at all secrets after the start, after a rotation and daily: seals anew what an older key sealed, and takes out of use what
    /// does not open. Returns what was done, for people.
    pub async fn reseal(&self) -> Result<Sentence, StoreError> {
        if self.sealing.progress().next.is_some_and(|next| next > self.now()) {
            return Ok(Sentence::new("ran-reseal-nothing"));
        }
        let sealed_with = self.vault.fingerprint();
        self.sealing.note(|progress| {
            *progress = Progress { running: true, finished_at: progress.finished_at, ..Progress::default() };
        });
        let passed = self.pass().await;
        let now = self.now();
        let retired = match &passed {
            Ok(()) => self.retire_data_keys(now).await,
            Err(_) => Ok(0),
        };
        let erased = self.store.erase_overwritten().await;
        let wait = match (&erased, self.vault.teams_with_older_keys().is_empty()) {
            (Err(_), _) => ERASE_AGAIN_IN,
            (Ok(()), false) => CALLS_END_IN,
            (Ok(()), true) => LOOK_AGAIN_IN,
        };
        let done = passed.and(retired);
        let mut progress = self.sealing.progress();
        progress.running = false;
        if done.is_ok() {
            progress.finished_at = Some(now);
            // A rotation during the pass has asked for another one, and so has who set a damaged secret anew.
            let is_last = sealed_with == self.vault.fingerprint() && !progress.is_outdated;
            progress.next = is_last.then_some(now + wait);
        }
        let Progress { looked_at, resealed, damaged, damaged_own, .. } = *progress;
        drop(progress);
        let passed = Sentence::new("ran-reseal")
            .with("count", looked_at)
            .with("resealed", resealed)
            .with("damaged", damaged)
            .with("deleted", done?);
        let mut said = vec![passed];
        if damaged_own > 0 {
            said.push(Sentence::new("ran-reseal-own").with("count", damaged_own));
        }
        if let Err(error) = erased {
            tracing::warn!(%error, "what was overwritten is not erased from the database's log yet; it is tried again");
            said.push(Sentence::new("ran-reseal-erasing"));
        }
        Ok(Sentence::new("sentences").sentences("all", said))
    }

    async fn pass(&self) -> Result<(), StoreError> {
        self.reseal_apps().await?;
        self.reseal_destinations().await?;
        self.reseal_push().await?;
        self.look_at_own_secrets().await?;
        let mut after = None;
        loop {
            let (last, damaged) = self.reseal_part(after).await?;
            for (team, token) in damaged {
                self.quarantine_token(&team, token).await?;
            }
            match last {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    /// Looks whether every secret that the broker's own keys seal opens.
    async fn look_at_own_secrets(&self) -> Result<(), StoreError> {
        let damaged = own_secrets::damaged(&*self.store, &self.vault).await?;
        for DamagedSecret { name, .. } in &damaged {
            tracing::error!(%name, "a stored secret does not open; set it anew, and find out who changed the store");
        }
        for of in SecretOf::ALL {
            let found = damaged.iter().filter(|damaged| damaged.of == of).count();
            self.metrics.set_damaged_secrets(of.as_str(), found);
        }
        self.sealing.note(|progress| progress.damaged_own = damaged.len() as u64);
        self.tell_damaged(&damaged).await
    }

    /// Tells operators what must be set anew, each once. A browser mends itself: its member subscribes it again.
    async fn tell_damaged(&self, damaged: &[DamagedSecret]) -> Result<(), StoreError> {
        let of_operators = damaged.iter().filter(|damaged| damaged.of != SecretOf::Push);
        let events: Vec<Event> = of_operators
            .map(|damaged| {
                let fact = Fact::SecretDamaged { name: damaged.name.clone() };
                event(self.now(), None, fact, damaged.key())
            })
            .collect();
        if !events.is_empty() {
            self.store.append_events(events).await?;
        }
        Ok(())
    }

    /// Lets the next pass come at once where secrets were found that do not open: one of them may have been set anew.
    pub(super) fn look_at_damaged_again(&self) {
        self.sealing.note(|progress| {
            if progress.damaged_own > 0 {
                (progress.next, progress.is_outdated) = (None, true);
            }
        });
    }

    /// Looks at some tokens after `after`. Returns the last of them, and those whose secrets do not open. No token is changed meanwhile,
    /// so that the pools and the store agree.
    async fn reseal_part(
        &self,
        after: Option<TokenId>,
    ) -> Result<(Option<TokenId>, Vec<(TeamId, TokenId)>), StoreError> {
        let _changes = self.changes.all_tokens().await;
        let part = self.store.sealed_tokens(after, BATCH).await?;
        let (last, looked_at) = (part.last().map(|token| token.token), part.len() as u64);
        let (mut older, mut damaged) = (Vec::new(), Vec::new());
        for token in part {
            match self.sealed_anew(&token) {
                Ok(None) => {}
                Ok(Some(anew)) => older.push(anew),
                Err(error) => {
                    tracing::warn!(token = %token.token, %error, "a stored secret does not open");
                    damaged.push((token.team, token.token));
                }
            }
        }
        let shown: Vec<_> = older.iter().map(|one| (one.before.clone(), one.access.clone())).collect();
        let changed = if older.is_empty() { Vec::new() } else { self.store.reseal_tokens(older).await? };
        for (before, access) in shown.into_iter().filter(|(before, _)| changed.contains(&before.token)) {
            self.engine.reseal(&before.network, before.token, before.version, access);
        }
        self.sealing.note(|progress| {
            progress.looked_at += looked_at;
            progress.resealed += changed.len() as u64;
            progress.damaged += damaged.len() as u64;
        });
        Ok((last, damaged))
    }

    /// A token's secrets sealed with the newest data key; `None`: they are already.
    fn sealed_anew(&self, token: &SealedToken) -> Result<Option<Resealed>, ResealError> {
        let is_new = |sealed: &[u8]| self.vault.is_of_newest(&token.team, sealed);
        let others = [&token.refresh, &token.key];
        if is_new(&token.access) && others.into_iter().flatten().all(|sealed| is_new(sealed)) {
            self.must_open(token)?;
            return Ok(None);
        }
        let anew = |column, sealed: &[u8]| self.vault.reseal(&place(token, column), sealed);
        let access = anew("access", &token.access)?;
        let refresh = token.refresh.as_deref().map(|sealed| anew("refresh", sealed)).transpose()?;
        let key = token.key.as_deref().map(|sealed| anew("key", sealed)).transpose()?;
        Ok(Some(Resealed { before: token.clone(), access, refresh, key }))
    }

    fn must_open(&self, token: &SealedToken) -> Result<(), OpenError> {
        let open = |column, sealed: &[u8]| self.vault.open_sealed(&place(token, column), sealed).map(drop);
        open("access", &token.access)?;
        token.refresh.as_deref().map_or(Ok(()), |sealed| open("refresh", sealed))?;
        token.key.as_deref().map_or(Ok(()), |sealed| open("key", sealed))
    }

    /// Deletes data keys that nothing needs any more: no row, and nothing that waits to become one.
    async fn retire_data_keys(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut retired = 0;
        if self.renewals.has_spooled()? {
            return Ok(retired);
        }
        let stored = self.store.list_data_keys().await?;
        for (team, newest) in self.vault.teams_with_older_keys() {
            let made = stored.iter().find(|key| key.team == team && key.id == newest).map(|key| key.created_at);
            if made.is_none_or(|made| now.since(made) < CALLS_END_IN) {
                continue;
            }
            let header = self.vault.header_of(newest);
            let gone = self.store.retire_data_keys(&team, newest, header).await?;
            if gone > 0 {
                self.vault.retire_data_keys(&team);
            }
            retired += gone;
        }
        Ok(retired)
    }

    /// Takes a token out of use if its stored secrets do not open. Where they do, only the copy in the pool was not right.
    pub(super) async fn quarantine_token(&self, team: &TeamId, id: TokenId) -> Result<(), StoreError> {
        let Some(stored) = self.store.find_token(id).await? else { return Ok(()) };
        let kind =
            self.catalogue.network(stored.token.network.as_str()).and_then(|of| of.kind(stored.token.kind.as_str()));
        let is_keyless = kind.is_some_and(TokenKind::is_bound) && !matches!(self.bond_of(&stored), Ok(Some(_)));
        let token = SealedToken::from(stored);
        let error = self.must_open(&token).err().map(|error| error.to_string());
        let Some(error) = error.or_else(|| is_keyless.then(|| "the key that it is bound to is not here".to_owned()))
        else {
            self.engine.reseal(&token.network, id, token.version, token.access);
            return Ok(());
        };
        tracing::error!(token = %id, %team, %error, "a stored secret does not open; its token is taken out of use");
        self.metrics.token_quarantined();
        let why = "its stored secret does not open";
        match self.invalidate_token(&Caller::Broker, team, id, Reason::SecretDamaged, why).await {
            Err(TokenError::Store(error)) => Err(error),
            // It was given back or deleted meanwhile, or is changed all the time and comes again with the next pass.
            _ => Ok(()),
        }
    }
}

fn place<'a>(token: &'a SealedToken, column: &'static str) -> Place<'a> {
    Place::of_token(&token.token, &token.team, token.version, column)
}

/// A data key out of its row.
pub fn unstored(key: WrappedKey) -> WrappedDataKey {
    WrappedDataKey { team: key.team, number: key.id, wrapped: key.wrapped }
}

pub(super) fn stored(key: &WrappedDataKey, created_at: Timestamp) -> WrappedKey {
    WrappedKey { team: key.team.clone(), id: key.number, wrapped: key.wrapped.clone(), created_at }
}

/// An own key out of its row.
pub fn unstored_own(key: OwnKeyRow) -> WrappedOwnKey {
    WrappedOwnKey { number: key.id, wrapped: key.wrapped }
}

pub(super) fn stored_own(key: &WrappedOwnKey, created_at: Timestamp) -> OwnKeyRow {
    OwnKeyRow { id: key.number, wrapped: key.wrapped.clone(), created_at }
}

#[cfg(test)]
mod tests;
