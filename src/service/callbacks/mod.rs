//! A network tells that a person took the consent back, or asks in that person's name to delete what was given.
//!
//! * The only proof is the signature ([`signed_request`]); who has none learns nothing, not even whether there is such an app.
//! * What was asked is durable before anything is done, under a keyed hash of the request: a repeated one is refused, and one that a crash
//!   interrupted is finished by the next run.
//! * Every token of that grant of the person dies, in all teams, at every network and app that shares it: `revoked_by_person`, its holders are recalled. Where data must be deleted, its
//!   secrets are shredded. What the person granted and nobody has taken into a pool yet is destroyed with its connection; a consent that was
//!   given before is not kept afterwards. How far that is shows a page under a code that nobody can guess.

pub(crate) mod signed_request;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::clock::{Clock, Timestamp};
use crate::base::ids::{AppId, KindId, NetworkId};
use crate::domain::connection::Stage;
use crate::domain::networks::OAuthQuirk;
use crate::domain::token::Reason;
use crate::outbound::oauth::Pace;
use crate::service::grants::is_part;
use crate::service::tokens::TokenError;
use crate::service::{Broker, Caller};
use crate::store::{CallbackRow, GrantPart, StoreError};
use crate::text::Sentence;

/// Tokens that are looked up at once.
const BATCH: u32 = 100;
/// Requests that are finished at once.
const UNFINISHED: u32 = 100;
/// Bytes of a confirmation code.
const CODE_BYTES: usize = 16;

/// Callbacks of one app, and of all apps of a network, in a second; more are told to come again.
const PER_SECOND: (u32, u32) = (20, 50);

/// How fast callbacks are taken.
pub struct Callbacks {
    pace: Pace,
}

impl Callbacks {
    /// None was taken yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { pace: Pace::new(PER_SECOND.0, PER_SECOND.1, clock) }
    }
}

/// What a network asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The person took the consent back.
    Deauthorize,
    /// The person wants the data deleted.
    DeleteData,
}

/// Why a callback was refused.
#[derive(Debug, thiserror::Error)]
pub enum CallbackRefused {
    /// It is not believed. Why is not told.
    #[error("the request is not accepted")]
    NotAccepted,
    /// Too many come.
    #[error("too many requests; try again shortly")]
    TooMany,
    /// The store did not take it, or the broker is stopping.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far a deletion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletionStatus {
    /// When it was asked for.
    pub received_at: Timestamp,
    /// When it was done; `None`: it is under way.
    pub done_at: Option<Timestamp>,
}

impl Broker {
    /// Takes a callback. When this returns, it is durable and, but for a failing store, carried out. Returns the confirmation code.
    pub async fn take_callback(
        &self,
        network: &str,
        app: &str,
        asked: Asked,
        request: &str,
    ) -> Result<String, CallbackRefused> {
        let (Ok(network), Ok(app)) = (network.parse::<NetworkId>(), app.parse::<AppId>()) else {
            return Err(CallbackRefused::NotAccepted);
        };
        let known = self.directory.app(&network, &app).is_some() && self.sends_callbacks(&network);
        if !known {
            return Err(CallbackRefused::NotAccepted);
        }
        if self.callbacks.pace.take(&network, &app).is_err() {
            return Err(CallbackRefused::TooMany);
        }
        let client = self.client_of(&network, &app).ok().and_then(|(_, secret)| secret);
        let person = client.and_then(|secret| signed_request::person_of(request, &secret, self.now()));
        let Some(person) = person else { return Err(CallbackRefused::NotAccepted) };
        // The payload alone is signed letter by letter: a signature can be written in several ways.
        let signed = request.split_once('.').map_or(request, |(_, payload)| payload);
        let word: &[u8] = if asked == Asked::DeleteData { b"delete" } else { b"deauthorize" };
        let code = self.confirmation_code(&[word, signed.as_bytes()]);
        let row = CallbackRow {
            hash: self.vault.mac_key("signed request").sign(&[word, signed.as_bytes()]),
            code_hash: self.code_hash(&code),
            person_hash: Some(self.called_back_hash(&network, &app, &person)),
            network,
            app,
            person,
            deletes: asked == Asked::DeleteData,
            received_at: self.now(),
            done_at: None,
        };
        let broker = self.clone();
        let work = async move {
            // A network that had no answer asks again and gets the same one; nothing is done twice, so a request that somebody else repeats
            // ends no token that was granted since.
            if !broker.store.insert_callback(row.clone()).await? {
                return Ok(code);
            }
            if let Err(error) = broker.carry_out_callback(&row).await {
                tracing::warn!(network = %row.network, app = %row.app, %error, "a callback is not carried out yet; it is tried again");
            }
            Ok(code)
        };
        self.finish(work).await.unwrap_or(Err(CallbackRefused::Store(StoreError::Closed)))
    }

    fn sends_callbacks(&self, network: &NetworkId) -> bool {
        let signs = |oauth: &crate::domain::networks::OAuth| oauth.quirks.contains(&OAuthQuirk::SignedCallbacks);
        let network = self.catalogue.network(network.as_str());
        network.is_some_and(|network| network.kinds.iter().filter_map(|kind| kind.oauth.as_ref()).any(signs))
    }

    /// Finishes what an earlier run, or a failing store, left undone.
    pub(super) async fn finish_callbacks(&self) -> Result<Sentence, StoreError> {
        let open = self.store.unfinished_callbacks(UNFINISHED).await?;
        let count = open.len();
        for row in open {
            if let Err(error) = self.carry_out_callback(&row).await {
                tracing::warn!(network = %row.network, app = %row.app, %error, "a callback is not carried out yet; it is tried again");
            }
        }
        Ok(Sentence::new("ran-callbacks").with("count", count))
    }

    async fn carry_out_callback(&self, row: &CallbackRow) -> Result<(), TokenError> {
        let parts = self.grant_parts(&row.network, &row.app, None);
        // Before the tokens: what is chosen meanwhile is among them.
        self.end_waiting_consents(&parts, &row.person).await?;
        loop {
            let found = self.store.tokens_of_person(&parts, &row.person, row.deletes, BATCH).await?;
            if found.is_empty() {
                break;
            }
            for (team, token) in found {
                let comment = "the network told that the person took the consent back";
                if row.deletes {
                    let comment = "the person asked the network to have the data deleted";
                    self.revoke_token(&Caller::Broker, &team, token, comment).await?;
                } else {
                    self.invalidate_token(&Caller::Broker, &team, token, Reason::RevokedByPerson, comment).await?;
                }
            }
        }
        Ok(self.store.finish_callback(row.hash, self.now()).await?)
    }

    /// Ends the connections in which a person's consent waits for a choice, and destroys what was granted: its network took it back already.
    async fn end_waiting_consents(&self, parts: &[GrantPart], person: &str) -> Result<(), StoreError> {
        let apps: BTreeSet<(&NetworkId, &AppId)> = parts.iter().map(|part| (&part.network, &part.app)).collect();
        for (network, app) in apps {
            let mut after = None;
            loop {
                let page = self.store.choosing_connections(network, app, after, BATCH).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.connection.id);
                for stored in page {
                    let of_person =
                        matches!(&stored.connection.stage, Stage::Choosing(found) if found.person == person);
                    if of_person && is_part(parts, network, app, &stored.connection.kind) {
                        self.end_taken_back(stored).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a person took a consent back, or asked for deletion, at `since` or later. `kind`: that for which the consent was given.
    pub(super) async fn is_taken_back(
        &self,
        (network, app, kind): (&NetworkId, &AppId, &KindId),
        person: &str,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        let parts = self.grant_parts(network, app, Some(kind));
        let hash = |part: &GrantPart| self.called_back_hash(&part.network, &part.app, person);
        let hashes: BTreeSet<[u8; 32]> = parts.iter().map(hash).collect();
        self.store.was_called_back(&hashes.into_iter().collect::<Vec<_>>(), since).await
    }

    pub(super) fn called_back_hash(&self, network: &NetworkId, app: &AppId, person: &str) -> [u8; 32] {
        let of = [network.as_str().as_bytes(), app.as_str().as_bytes(), person.as_bytes()];
        self.vault.mac_key("person of a callback").sign(&of)
    }

    /// How far the deletion of that code is; `None`: there is none.
    pub async fn deletion_status(&self, code: &str) -> Result<Option<DeletionStatus>, StoreError> {
        let found = self.store.find_callback(self.code_hash(code)).await?;
        let status = |row: CallbackRow| DeletionStatus { received_at: row.received_at, done_at: row.done_at };
        Ok(found.filter(|row| row.deletes).map(status))
    }

    /// Unguessable without the broker's key.
    fn confirmation_code(&self, of: &[&[u8]]) -> String {
        let hash = self.vault.mac_key("confirmation code").sign(of);
        hash[..CODE_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn code_hash(&self, code: &str) -> [u8; 32] {
        self.vault.mac_key("confirmation code hash").sign(&[code.as_bytes()])
    }
}

#[cfg(test)]
mod tests;
