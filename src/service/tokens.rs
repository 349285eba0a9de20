//! Tokens: added, shown, changed, paused, resumed, revoked, declared invalid.
//!
//! A change that takes a token out of use holds in the pools first and is acknowledged once it is durable: from that instant it is
//! never leased again. If the store refuses, the token goes back to what is stored. Secrets are sealed here and never come out.

mod add;
mod check;
mod list;
mod state;
mod update;

pub use add::AddToken;
pub use check::Rejected;
pub(in crate::service) use check::check_facts;
pub use list::{Light, ShownState, TokenListFilter, TokenView};
pub use update::UpdateToken;

use std::fmt;

use crate::base::ids::{TeamId, TokenId};
use crate::domain::token::TransitionError;
use crate::service::Forbidden;
use crate::store::{StoreError, TokenChangeError};
use crate::vault::{SealError, VaultError};

/// What a person who is not named by the network is called; the rest tells such persons apart. No network's id begins so.
pub(in crate::service) const UNKNOWN_PERSON: char = '~';

/// A token's person as far as it is known at the network; empty: it is not.
pub(in crate::service) fn known_person(person: &str) -> &str {
    if person.starts_with(UNKNOWN_PERSON) { "" } else { person }
}
/// How often a change that was overtaken is decided anew.
pub(in crate::service) const ATTEMPTS: usize = 5;

/// Why nothing was done about a token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// There is no such team.
    #[error("there is no team '{0}'; see the list of teams")]
    TeamNotFound(TeamId),
    /// The team has no such token.
    #[error("team '{team}' has no token '{token}'; see the list of its tokens")]
    NotFound {
        /// The team.
        team: TeamId,
        /// What was asked for.
        token: TokenId,
    },
    /// The person did not agree to it.
    #[error(
        "the person did not agree to this, or withdrew it: {0}; connect the account anew, and let the person choose"
    )]
    NotAgreed(String),
    /// The caller may not do it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// What is given can't be a token.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The team holds it already.
    #[error("team '{team}' holds this very token already, as '{token}'; change that one, or revoke it first")]
    Exists {
        /// The team.
        team: TeamId,
        /// The token that it holds.
        token: TokenId,
    },
    /// Another token has its refresh token.
    #[error(
        "this refresh token was given for {0} already, and using it replaces it: two tokens with the same one would end the grant; connect the \
         account of this one"
    )]
    RefreshHeld(RefreshHolder),
    /// Its state does not allow the change.
    #[error(transparent)]
    State(#[from] TransitionError),
    /// It is changed by somebody else again and again.
    #[error("the token '{0}' is being changed by somebody else; try again shortly")]
    Contended(TokenId),
    /// The team's data key can't be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The secret can't be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// For what a refresh token was given already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshHolder {
    /// A token of the same team.
    Token {
        /// The team.
        team: TeamId,
        /// The token.
        token: TokenId,
    },
    /// A token of another team, which may not be named.
    AnotherTeam,
    /// An earlier row of the import.
    Row(u64),
}

impl fmt::Display for RefreshHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { team, token } => f.write_str(&name_of(team, *token)),
            Self::AnotherTeam => f.write_str("a token of another team"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

pub(in crate::service) fn change_error(team: &TeamId, error: TokenChangeError) -> TokenError {
    match error {
        TokenChangeError::NotFound(token) => TokenError::NotFound { team: team.clone(), token },
        TokenChangeError::Revoked(_) => TokenError::State(TransitionError::Revoked),
        TokenChangeError::Changed { token, .. } => TokenError::Contended(token),
        TokenChangeError::Duplicate => TokenError::Store(StoreError::Conflict { what: "token".to_owned() }),
        TokenChangeError::Store(error) => TokenError::Store(error),
    }
}

/// A token by its resource name.
pub(in crate::service) fn name_of(team: &TeamId, token: TokenId) -> String {
    format!("teams/{team}/tokens/{token}")
}
