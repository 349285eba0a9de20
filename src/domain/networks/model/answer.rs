//! What a network's answers say: its usage headers, and how it says no.

use std::time::Duration;

use serde::Deserialize;

use super::{Owner, Verified, span};
use crate::base::ids::ClassId;

/// One usage header (or family of headers) of a network.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderRule {
    /// How it is written.
    pub dialect: Dialect,
    /// Its name; for a family, the part before `limit`, `remaining`, `reset` (`x-rate-limit-`; the last dash may be left
    /// out). Lower case.
    pub name: String,
    /// Whose account it speaks of.
    pub owner: Owner,
    /// Which window it speaks of, where the network has several for that owner.
    #[serde(default, with = "span::optional")]
    pub window: Option<Duration>,
    /// The class it speaks of; `None`: the classes that the call drew from.
    #[serde(default)]
    pub class: Option<ClassId>,
    /// How sure this is.
    pub verified: Verified,
}

/// How a usage header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `{"call_count":28,"total_time":25,"total_cputime":25}`: percent of the allowance.
    PercentObject,
    /// `{"<id>":[{"type":…,"call_count":…,"estimated_time_to_regain_access":…}]}`: percent, regain in minutes.
    PercentMap,
    /// `-limit`, `-remaining`, `-reset` in seconds since the epoch (also `-used`).
    TripleEpoch,
    /// `-limit`, `-used`, `-remaining` (may be fractional), `-reset` in seconds left.
    TripleSeconds,
    /// `-limit`, `-remaining`, `-reset` as an ISO 8601 time.
    TripleIso,
    /// An integer, or a list of policies `60, 100;w=1;name="…"`; `-remaining`, `-reset` beside it.
    PolicyList,
    /// IETF `RateLimit-Policy` and `RateLimit` (structured fields).
    IetfDraft,
    /// IETF, older: `RateLimit-Limit`, `-Remaining`, `-Reset` (seconds, or epoch if large).
    IetfDraftOld,
    /// `Retry-After`: seconds or an HTTP date.
    RetryAfter,
}

/// Where a network's JSON answers carry the code of an error. A place is a path of keys and positions, joined by dots
/// (`error.errors.0.reason`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorBody {
    /// The places of the code. All that are found are matched; the first one is the better between equal rules.
    #[serde(default)]
    pub code: Vec<String>,
    /// The places of the sub-code.
    #[serde(default)]
    pub subcode: Vec<String>,
    /// The places of the message.
    #[serde(default)]
    pub message: Vec<String>,
    /// The places of a flag that says: try again.
    #[serde(default)]
    pub transient: Vec<String>,
    /// The code of answers that are good, at a network whose every answer carries one.
    #[serde(default)]
    pub success_code: Option<String>,
    /// Whether the code may stand in `WWW-Authenticate` (`error="…"`, RFC 6750 and RFC 9449).
    #[serde(default)]
    pub challenge: bool,
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// The network's API.
    #[default]
    Api,
    /// The token endpoint.
    Token,
    /// The authorization endpoint, through the person's browser.
    Authorize,
}

/// How one answer of a network is to be understood. A field that is absent matches anything.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// Where the answer comes from.
    #[serde(default)]
    pub at: Endpoint,
    /// The HTTP status.
    #[serde(default)]
    pub http: Option<u16>,
    /// The network's code, as text.
    #[serde(default)]
    pub code: Option<String>,
    /// The last code of a range that begins at `code` (both numeric).
    #[serde(default)]
    pub code_to: Option<u32>,
    /// The network's sub-code, as text.
    #[serde(default)]
    pub subcode: Option<String>,
    /// The last sub-code of a range that begins at `subcode` (both numeric).
    #[serde(default)]
    pub subcode_to: Option<u32>,
    /// A part of the message, compared without case. Decides before any code: for networks whose codes say too little.
    #[serde(default)]
    pub message: Option<String>,
    /// A header that must be there (`retry-after`), or be there with this value (`x-ratelimit-remaining: 0`).
    #[serde(default)]
    pub header: Option<String>,
    /// What it means.
    pub class: ErrorClass,
    /// One sentence for people.
    #[serde(default)]
    pub about: Option<String>,
    /// How sure this is.
    pub verified: Verified,
}

/// What an answer of a network means for the token and for the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Not an error.
    Ok,
    /// Try again later; the token is healthy.
    Transient,
    /// The access token's time is over: renew it.
    TokenExpired,
    /// The person removed the app.
    TokenRevoked,
    /// The person changed the password.
    PasswordChanged,
    /// Ambiguous: one renewal or one probe decides.
    TokenInvalid,
    /// A scope or a role is missing; the token is otherwise healthy.
    PermissionLost,
    /// This object can't be read with this token; the token is healthy.
    ResourceDenied,
    /// Another kind of token is needed.
    WrongTokenKind,
    /// The person must act at the network (locked, suspended, unconfirmed).
    UserCheckpoint,
    /// A temporary block for abuse.
    BlockedPolicy,
    /// The token's or the person's limit is reached.
    RateLimitedToken,
    /// The profile's limit is reached.
    RateLimitedResource,
    /// The app's limit is reached.
    RateLimitedApp,
    /// The app's budget is used up until a reset or a top-up.
    QuotaExhaustedApp,
    /// The profile's quota for posting is used up; reading goes on.
    PublishQuota,
    /// The app is misconfigured, not approved or disabled.
    AppLevel,
    /// The request is wrong.
    BadRequest,
    /// The token endpoint refused the renewal: the grant is dead.
    RefreshRejected,
    /// Repeat once with the nonce that was sent.
    RetryWithNonce,
}

impl ErrorClass {
    /// All classes.
    pub const ALL: [ErrorClass; 20] = [
        ErrorClass::Ok,
        ErrorClass::Transient,
        ErrorClass::TokenExpired,
        ErrorClass::TokenRevoked,
        ErrorClass::PasswordChanged,
        ErrorClass::TokenInvalid,
        ErrorClass::PermissionLost,
        ErrorClass::ResourceDenied,
        ErrorClass::WrongTokenKind,
        ErrorClass::UserCheckpoint,
        ErrorClass::BlockedPolicy,
        ErrorClass::RateLimitedToken,
        ErrorClass::RateLimitedResource,
        ErrorClass::RateLimitedApp,
        ErrorClass::QuotaExhaustedApp,
        ErrorClass::PublishQuota,
        ErrorClass::AppLevel,
        ErrorClass::BadRequest,
        ErrorClass::RefreshRejected,
        ErrorClass::RetryWithNonce,
    ];
}
