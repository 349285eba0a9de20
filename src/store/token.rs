//! Tokens with their sealed secrets, and the progress of imports.
//!
//! A token's row is changed only from the state and version that the caller has seen, so of two changes that were decided at
//! once one is told to read again. A revoked token never becomes anything else.

use async_trait::async_trait;

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, KindId, NetworkId, TeamId, TokenId};
use crate::domain::audit::STATE_FOUND;
use crate::domain::consent::Consent;
use crate::domain::reach::DeadSpan;
use crate::domain::token::{Token, TokenState};
use crate::store::alert::AlertRow;
use crate::store::{StoreError, StoredRenewal, StoredRevocation, Trail};

mod list;
mod rows;
mod write;

pub(crate) use list::{find_at_risk, find_looks};
pub(in crate::store) use rows::state;
pub(in crate::store) use write::{change_token, insert_tokens};

/// A token with its secrets, sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredToken {
    /// The token.
    pub token: Token,
    /// The access token, sealed.
    pub sealed_access: Vec<u8>,
    /// The refresh token, sealed.
    pub sealed_refresh: Option<Vec<u8>>,
    /// The key that they are bound to, sealed, where the network binds them to one.
    pub sealed_key: Option<Vec<u8>>,
    /// When it is renewed. Of a new token only the due time is kept.
    pub renewal: StoredRenewal,
}

/// Shows the token without its secrets, sealed or not.
impl std::fmt::Debug for StoredToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredToken").field("token", &self.token).finish_non_exhaustive()
    }
}

/// Secrets that replace those of a token, sealed. The default has none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SealedSecrets {
    /// The access token.
    pub access: Vec<u8>,
    /// The refresh token.
    pub refresh: Option<Vec<u8>>,
    /// The key that they are bound to.
    pub key: Option<Vec<u8>>,
    /// The keyed hash of the refresh token, where it was given to the broker and not issued to it.
    pub given_refresh: Option<[u8; 32]>,
    /// When they are to be renewed; `None`: never. Takes the place of the schedule of the secrets before them.
    pub renew_at: Option<Timestamp>,
    /// Kinds that are derived from this one: the tokens of the same team, app and person are due with it, to be derived anew.
    pub derived: Vec<KindId>,
}

impl SealedSecrets {
    /// The token that they are those of, as it is stored when it is new.
    pub fn stored_with(self, token: Token) -> StoredToken {
        let renewal = StoredRenewal { due_at: self.renew_at, ..StoredRenewal::default() };
        let Self { access, refresh, key, .. } = self;
        StoredToken { token, sealed_access: access, sealed_refresh: refresh, sealed_key: key, renewal }
    }
}

/// A token to keep, with what its keeping leaves beside it.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The token.
    pub stored: StoredToken,
    /// The keyed hash of its refresh token.
    pub given_refresh: Option<[u8; 32]>,
    /// What its person agreed to; `None`: it is stated with the token.
    pub consent: Option<Consent>,
    /// Its audit event, and the note of its request.
    pub trail: Trail,
}

/// A change of a token, with everything that must become durable with it.
#[derive(Clone)]
pub struct TokenChange {
    /// The token as it shall be. Its id, team and `created_at` stay as stored.
    pub token: Token,
    /// New secrets, if they change; `token.version` is then one more than `expected_version`.
    pub secrets: Option<SealedSecrets>,
    /// The version that was read.
    pub expected_version: u32,
    /// The state that was read.
    pub expected_state: TokenState,
    /// Its audit event, and the note of its request.
    pub trail: Trail,
    /// What its network is to be told, where it is revoked.
    pub revocation: Option<StoredRevocation>,
    /// Alerts that it opens.
    pub alerts: Vec<AlertRow>,
}

impl TokenChange {
    /// Whether the state was found out by using the token; else somebody decided it.
    pub(in crate::store) fn is_found(&self) -> bool {
        self.trail.audit.action == STATE_FOUND
    }
}

/// Why a token was not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenChangeError {
    /// It is not stored.
    #[error("{0} does not exist")]
    NotFound(TokenId),
    /// It was revoked; it never lives again.
    #[error("{0} was revoked and can't be changed; connect the account anew")]
    Revoked(TokenId),
    /// It was changed since it was read.
    #[error("{token} was changed meanwhile; read it again, then decide")]
    Changed {
        /// The token.
        token: TokenId,
        /// Its version now.
        version: u32,
        /// Its state now.
        state: TokenState,
    },
    /// Another token stands for the same grant.
    #[error("another token stands for the same grant (team, network, app, kind, person, profiles)")]
    Duplicate,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of tokens to keep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InsertedTokens {
    /// How many are kept now.
    pub inserted: u64,
    /// Those that are not, by their place in the list.
    pub duplicates: Vec<DuplicateToken>,
}

/// A token that was not kept, since one of the same grant exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DuplicateToken {
    /// Its place in the list that was given.
    pub index: usize,
    /// The token that stands for the grant; `None`: it has the id of another token.
    pub existing: Option<TokenId>,
}

/// How many rows of an import came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Tokens added.
    pub added: u64,
    /// Tokens brought up to date.
    pub updated: u64,
    /// Rows that changed nothing.
    pub unchanged: u64,
    /// Rows rejected.
    pub rejected: u64,
}

/// How far an import came: its rows up to `last_row` are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportProgress {
    /// The import, as its operator named it.
    pub import: String,
    /// The last row that was committed.
    pub last_row: u64,
    /// What came of its rows so far.
    pub counts: ImportCounts,
    /// When.
    pub at: Timestamp,
}

/// Which tokens of a team are wanted. The default wants all.
#[derive(Debug, Clone, Default)]
pub struct TokenFilter {
    /// Of this network.
    pub network: Option<NetworkId>,
    /// Of this app.
    pub app: Option<AppId>,
    /// Of this kind.
    pub kind: Option<KindId>,
    /// In this state, by its name (`live`).
    pub state: Option<&'static str>,
    /// In none of these states' names; at most three are looked at.
    pub not_states: &'static [&'static str],
    /// Granted by this person.
    pub person: Option<String>,
    /// Speaking for this profile.
    pub profile: Option<String>,
    /// Ending at this time or later (see [`Token::ends_at`]).
    pub ends_from: Option<Timestamp>,
    /// Ending before this time.
    pub ends_before: Option<Timestamp>,
    /// The access token's end is one, too, if it is before this time though renewals should have turned it back.
    pub overdue_before: Option<Timestamp>,
    /// `Some(true)`: without an end; `Some(false)`: with one.
    pub endless: Option<bool>,
    /// After this id: the last one of the page before.
    pub after: Option<TokenId>,
    /// With this text in its label, its person, who granted it, or its profiles and their names. Letters outside of ASCII are found in the
    /// case in which they stand, where the store knows no others.
    pub text: Option<String>,
}

/// When a token ends, before or after two marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndsWhen {
    /// It has no end.
    Never,
    /// Before the first mark.
    BeforeNear,
    /// From the first mark on, before the second.
    BeforeFar,
    /// At the second mark or later.
    Later,
}

/// A part of all tokens.
#[derive(Debug, Clone, Default)]
pub struct TokenChunk {
    /// The tokens, by id.
    pub tokens: Vec<StoredToken>,
    /// Rows that can't be read, by id: an operator must look at them, the others serve.
    pub damaged: Vec<TokenId>,
    /// Where the next part begins; `None`: this was the last.
    pub next: Option<TokenId>,
}

/// What is kept of tokens.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Keeps tokens with their audit events, and how far the import came, in one transaction. Duplicates are told one by one
    /// and left out; they hinder no other. Ids must be new. To the counts of the import come those that are kept as added, and
    /// the duplicates as rejected.
    async fn insert_tokens(
        &self,
        tokens: Vec<NewToken>,
        progress: Option<ImportProgress>,
    ) -> Result<InsertedTokens, StoreError>;
    /// Changes a token with what its change leaves beside it; all or nothing. Returns the dead span that the change ended, if it ended one.
    async fn change_token(&self, change: TokenChange) -> Result<Option<DeadSpan>, TokenChangeError>;
    /// The token of that id.
    async fn find_token(&self, token: TokenId) -> Result<Option<StoredToken>, StoreError>;
    /// Those of these tokens that there are, in their order.
    async fn find_tokens(&self, tokens: &[TokenId]) -> Result<Vec<Token>, StoreError>;
    /// The token that is renewed, of whatever team, of another grant than `token` and by the same app, for which a refresh token of this keyed hash
    /// was given.
    async fn find_given(&self, token: &Token, hash: [u8; 32]) -> Result<Option<(TeamId, TokenId)>, StoreError>;
    /// At most `limit` tokens of a team, by id.
    async fn list_tokens(&self, team: &TeamId, filter: TokenFilter, limit: u32) -> Result<Vec<Token>, StoreError>;
    /// How many tokens of a team are wanted, by the name of their state and by when they end (see [`Token::ends_at`]).
    async fn count_by_end(
        &self,
        team: &TeamId,
        filter: TokenFilter,
        marks: (Timestamp, Timestamp),
    ) -> Result<Vec<(String, EndsWhen, u64)>, StoreError>;
    /// How many tokens of a team the filter wants; `after` is not looked at.
    async fn count_tokens(&self, team: &TeamId, filter: TokenFilter) -> Result<u64, StoreError>;
    /// At most `limit` tokens of all teams after `after`, by id.
    async fn all_tokens(&self, after: Option<TokenId>, limit: u32) -> Result<TokenChunk, StoreError>;
    /// The networks of which a team has tokens that were not given back, by id.
    async fn list_networks(&self, team: &TeamId) -> Result<Vec<NetworkId>, StoreError>;
    /// Whether a team has a token that one of these granted, as [`grantor`](crate::domain::member::grantor) names them.
    async fn has_granted(&self, team: &TeamId, grantors: Vec<String>) -> Result<bool, StoreError>;
    /// How far an import came.
    async fn find_import(&self, import: &str) -> Result<Option<ImportProgress>, StoreError>;
    /// Forgets at most `limit` imports that came no further since `before`; how many.
    async fn prune_imports(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
