//! What a failure is evidence of: the token, an operation of it, an account's limit, the app, or the request alone.
//!
//! Reports of collectors, renewals and probes all feed this one table ([`Evidence::of`]). It says what a single answer means. What
//! befalls a second person's token of the same app is another matter: then the app, the network or what a collector sends is to
//! blame, and no token ends by it ([`AppEvidence`]), nor loses an operation ([`OperationEvidence`]).

mod app;
mod operation;

use crate::domain::networks::ErrorClass;
use crate::domain::token::Reason;

pub use app::{AppEvidence, Blame, Failed};
pub use operation::OperationEvidence;

/// By which call a network told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A call with the access token, as a collector reports it.
    Call,
    /// A call of our own with the access token, made only to see whether it works.
    Probe,
    /// A renewal by a refresh token.
    Refresh,
    /// A renewal of an access token by itself.
    SelfRenewal,
}

impl Source {
    /// All sources.
    pub const ALL: [Source; 4] = [Source::Call, Source::Probe, Source::Refresh, Source::SelfRenewal];

    /// Whether the access token was shown.
    pub const fn shows_access_token(self) -> bool {
        !matches!(self, Source::Refresh)
    }
}

/// What one answer is evidence of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The token works, and with it the app.
    Works,
    /// Nothing: the next try may go well.
    Nothing,
    /// The request, or the one object that it asked for, is at fault.
    Request,
    /// A limit is reached, or a quota used up.
    Limited(Account),
    /// The network blocks the account for a while.
    Blocked,
    /// The token lacks a permission for this operation. It serves others.
    PermissionLost,
    /// The token may have ended; one more look decides.
    Doubt,
    /// The token has ended.
    Ended(Reason),
    /// The app is refused, whatever the token.
    AppRefused,
}

/// Whose limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// The token's, or its person's.
    Token,
    /// The profile's.
    Profile,
    /// The app's.
    App,
}

impl Evidence {
    /// What an answer of this class means, where that is all that is known.
    pub const fn of(class: ErrorClass, source: Source) -> Evidence {
        use ErrorClass as Class;
        match class {
            Class::Ok => Evidence::Works,
            Class::Transient | Class::RetryWithNonce => Evidence::Nothing,
            Class::ResourceDenied | Class::WrongTokenKind | Class::BadRequest => Evidence::Request,
            Class::RateLimitedToken => Evidence::Limited(Account::Token),
            Class::RateLimitedResource | Class::PublishQuota => Evidence::Limited(Account::Profile),
            Class::RateLimitedApp | Class::QuotaExhaustedApp => Evidence::Limited(Account::App),
            Class::BlockedPolicy => Evidence::Blocked,
            Class::PermissionLost => Evidence::PermissionLost,
            Class::TokenInvalid => Evidence::Doubt,
            // The access token's end is what a refresh token is for.
            Class::TokenExpired if matches!(source, Source::Refresh) => Evidence::Nothing,
            Class::TokenExpired => Evidence::Ended(Reason::Expired),
            Class::TokenRevoked => Evidence::Ended(Reason::RevokedByPerson),
            Class::PasswordChanged => Evidence::Ended(Reason::PasswordChanged),
            Class::UserCheckpoint => Evidence::Ended(Reason::PersonBlocked),
            // Only who shows a refresh token can be told that it is refused.
            Class::RefreshRejected if matches!(source, Source::Call | Source::Probe) => Evidence::Doubt,
            Class::RefreshRejected => Evidence::Ended(Reason::RefreshRejected),
            Class::AppLevel => Evidence::AppRefused,
        }
    }

    /// Whether it may mean the end of the token.
    pub const fn is_against_the_token(self) -> bool {
        matches!(self, Evidence::Doubt | Evidence::Ended(_))
    }
}

#[cfg(test)]
mod tests;
