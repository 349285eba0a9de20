//! What the catalogue says of a network. Plain data: read from TOML, checked once, then never changed.

use std::time::Duration;

use serde::Deserialize;

use crate::base::ids::{ClassId, KindId, NetworkId, OperationId};

/// One network of the catalogue.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its id: the name of its file.
    pub id: NetworkId,
    /// Its name as people write it.
    pub display_name: String,
    /// Where its API is called, without a slash at the end.
    pub api_base: String,
    /// The kinds of token it issues.
    pub kinds: Vec<TokenKind>,
    /// Its credit classes.
    pub classes: Vec<CreditClass>,
    /// The calls that collectors may lease for.
    pub operations: Vec<Operation>,
    /// The usage headers it sends.
    pub headers: Vec<HeaderRule>,
    /// Where its answers carry the code of an error.
    pub error_body: ErrorBody,
    /// How it says no, most exact rule first.
    pub errors: Vec<ErrorRule>,
    /// What must happen to collected data when the permission ends.
    pub retention: Vec<Retention>,
}

/// One kind of token of a network.
#[derive(Debug, Clone)]
pub struct TokenKind {
    /// Its id, unique in the network (`user`, `page`, `app`).
    pub id: KindId,
    /// One sentence for people.
    pub about: String,
    /// Where it is granted; `None` for a kind that is made otherwise (an app's own token).
    pub oauth: Option<OAuth>,
    /// The scopes each purpose needs. A purpose that is not here can't be served by this kind.
    pub scopes: Vec<PurposeScopes>,
    /// How long its access token lives; `None`: no expiry date, or not known.
    pub access_validity: Option<Duration>,
    /// How long its refresh token lives.
    pub refresh_validity: Option<Duration>,
    /// Whether each renewal starts the refresh token's life anew.
    pub refresh_slides: bool,
    /// How long data may be read after the person was last active.
    pub data_access_validity: Option<Duration>,
    /// Which of the three renewal families it belongs to.
    pub renewal: Renewal,
    /// What a call with it must carry beside the token.
    pub bindings: Vec<Binding>,
    /// What the person must be at the network to connect it, in the network's words.
    pub native_permission: Option<String>,
    /// The cheapest call that shows whether it lives.
    pub probe: Option<Probe>,
    /// How sure the facts of this kind are.
    pub verified: Verified,
}

/// The scopes that one purpose needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurposeScopes {
    /// The purpose.
    pub purpose: Purpose,
    /// All of these are needed.
    pub scopes: Vec<String>,
}

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Reading numbers: reach, followers, engagement.
    CollectStatistics,
    /// Reading posts, comments, mentions.
    CollectContent,
    /// Writing posts and answers.
    Publish,
    /// Paid promotion.
    Activate,
    /// Checking that a token lives.
    Validate,
    /// Listing the profiles that a token speaks for.
    ListPages,
}

impl Purpose {
    /// All of them, in the order of declaration.
    pub const ALL: [Purpose; 6] = [
        Purpose::CollectStatistics,
        Purpose::CollectContent,
        Purpose::Publish,
        Purpose::Activate,
        Purpose::Validate,
        Purpose::ListPages,
    ];

    /// The name used in configuration, SQL and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Purpose::CollectStatistics => "collect_statistics",
            Purpose::CollectContent => "collect_content",
            Purpose::Publish => "publish",
            Purpose::Activate => "activate",
            Purpose::Validate => "validate",
            Purpose::ListPages => "list_pages",
        }
    }

    /// The purpose of that name.
    pub fn from_name(name: &str) -> Option<Purpose> {
        Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == name)
    }
}

/// A set of purposes, in one byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Purposes(u8);

impl Purposes {
    /// Whether `purpose` is in the set.
    pub const fn contains(self, purpose: Purpose) -> bool {
        self.0 & (1 << purpose as u8) != 0
    }

    /// The members, in the order of declaration.
    pub fn iter(self) -> impl Iterator<Item = Purpose> {
        Purpose::ALL.into_iter().filter(move |purpose| self.contains(*purpose))
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set as bits, as the store keeps it.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set from its bits; bits without a purpose are dropped.
    pub fn from_bits(bits: u8) -> Self {
        Purpose::ALL.into_iter().filter(|purpose| bits & (1 << *purpose as u8) != 0).collect()
    }
}

impl FromIterator<Purpose> for Purposes {
    fn from_iter<I: IntoIterator<Item = Purpose>>(purposes: I) -> Self {
        Self(purposes.into_iter().fold(0, |bits, purpose| bits | (1 << purpose as u8)))
    }
}

/// Where and how a kind of token is granted (RFC 6749 and each network's departures from it).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth {
    /// Where a request token is made first (OAuth 1.0a only).
    pub request_token_url: Option<String>,
    /// The authorization endpoint.
    pub authorize_url: String,
    /// The token endpoint.
    pub token_url: String,
    /// The revocation endpoint (RFC 7009 or like it).
    pub revoke_url: Option<String>,
    /// The introspection endpoint (RFC 7662 or like it).
    pub introspect_url: Option<String>,
    /// Where a short-lived token is changed for a long-lived one.
    pub exchange_url: Option<String>,
    /// The `grant_type` of that exchange (`ig_exchange_token`).
    pub exchange_grant_type: Option<String>,
    /// Where a token of the self-renewing family is renewed.
    pub renew_url: Option<String>,
    /// PKCE (RFC 7636).
    pub pkce: Pkce,
    /// How the client shows who it is at the token endpoint.
    pub client_auth: ClientAuth,
    /// The name of the client id's parameter (TikTok: `client_key`).
    #[serde(default = "client_id")]
    pub client_id_parameter: String,
    /// What stands between two scopes.
    pub scope_separator: String,
    /// How long an authorization code can be redeemed.
    #[serde(default, with = "span::optional")]
    pub code_validity: Option<Duration>,
    /// Parameters that the authorization request carries beside the usual ones.
    #[serde(default)]
    pub authorize_parameters: std::collections::BTreeMap<String, String>,
    /// Departures that no other field says, as words the OAuth client knows.
    #[serde(default)]
    pub quirks: Vec<OAuthQuirk>,
}

fn client_id() -> String {
    "client_id".to_owned()
}

/// PKCE at a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pkce {
    /// The network refuses requests without it.
    Required,
    /// The network accepts it.
    Optional,
    /// The network refuses or ignores it.
    Unsupported,
}

/// How the client shows who it is at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// HTTP Basic.
    Basic,
    /// In the body.
    Post,
    /// A signed assertion (`private_key_jwt`).
    PrivateKeyJwt,
    /// OAuth 1.0a: every request is signed (HMAC-SHA1).
    #[serde(rename = "oauth1")]
    OAuth1,
}

/// A network's departure from RFC 6749.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OAuthQuirk {
    /// `#_` stands behind the code and must be cut off.
    CodeEndsInHashUnderscore,
    /// The token endpoint does not say which scopes were granted.
    ScopesNotReturned,
    /// Endpoints differ per account or instance and are discovered.
    EndpointsDiscovered,
    /// Pushed authorization requests are mandatory (RFC 9126).
    PushedAuthorization,
    /// Tokens are bound to a key (RFC 9449).
    DemonstratedPossession,
    /// The token endpoint takes its parameters from the query.
    ParametersInQuery,
    /// A refresh must ask for a continuous refresh token.
    ContinuousRefresh,
    /// The revocation is a `DELETE`, with `{user_id}` or `{client_id}` in its URL.
    RevokeByDelete,
}

/// The renewal family of a kind of token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// A separate refresh token; works also after the access token died.
    RefreshToken {
        /// What the network does with the refresh token when it is used.
        rotation: Rotation,
        /// The scope that must have been granted to get one.
        needs_scope: Option<String>,
    },
    /// The access token renews itself while it is valid, and can't afterwards.
    SelfRenewing {
        /// It must be at least this old.
        min_age: Duration,
        /// The `grant_type` of the renewal (`ig_refresh_token`).
        grant_type: String,
    },
    /// Made anew from another kind (a page token from its user token).
    Derived {
        /// The kind it is made from.
        from: KindId,
    },
    /// There is nothing to renew.
    Nothing,
}

/// What happens to a refresh token that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// It stays.
    Static,
    /// The answer may hold a new one, which then replaces it.
    Rotating,
    /// It works once; using it twice ends the whole grant.
    SingleUse,
}

/// What a call must carry beside the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// `appsecret_proof`: HMAC-SHA256 of the access token under the app secret, lower-case hex.
    AppSecretProof,
    /// A DPoP proof per request (RFC 9449). The key never leaves the broker, so such a token can't be leased.
    Dpop,
    /// An OAuth 1.0a signature per request.
    #[serde(rename = "oauth1_signature")]
    OAuth1Signature,
}

/// A cheap check of a token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The request, as `METHOD url`.
    pub request: String,
    /// What it costs, if it costs credit.
    #[serde(default)]
    pub costs: Vec<Cost>,
    /// How sure this is.
    pub verified: Verified,
}

/// A kind of credit that a network counts apart from others.
#[derive(Debug, Clone)]
pub struct CreditClass {
    /// Its id, unique in the network.
    pub id: ClassId,
    /// What is counted.
    pub unit: Unit,
    /// One sentence for people.
    pub about: String,
    /// The limits that hold for it, all at once. Never empty.
    pub limits: Vec<LimitRule>,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Calls.
    Calls,
    /// Units that the network assigns to each call.
    QuotaUnits,
    /// Points, as Bluesky counts writes.
    Points,
    /// Posts read or written.
    Posts,
    /// Different keys (hashtags).
    Keys,
}

/// One limit: whose account it is, over which window, how much.
#[derive(Debug, Clone)]
pub struct LimitRule {
    /// Whose account is debited.
    pub owner: Owner,
    /// The kinds of token it holds for; empty: all.
    pub kinds: Vec<KindId>,
    /// The span in which it holds.
    pub window: Window,
    /// How much.
    pub amount: Amount,
    /// How sure this is.
    pub verified: Verified,
}

impl LimitRule {
    /// Whether a call with a token of `kind` is counted here.
    pub fn holds_for(&self, kind: &KindId) -> bool {
        self.kinds.is_empty() || self.kinds.contains(kind)
    }
}

/// Whose account a limit debits. Each is kept per network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The token itself.
    Token,
    /// The person who granted, over all apps: other programs of that person draw from it too.
    Person,
    /// The person who granted, through this app.
    AppPerson,
    /// The profile (page, account, channel), through this app: all its tokens share it.
    Profile,
    /// The app: every token of the app shares it.
    App,
    /// The address that calls: everything that this installation sends shares it.
    Address,
}

impl Owner {
    /// The name used in configuration, SQL and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Owner::Token => "token",
            Owner::Person => "person",
            Owner::AppPerson => "app_person",
            Owner::Profile => "profile",
            Owner::App => "app",
            Owner::Address => "address",
        }
    }
}

/// The span in which a limit holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// Windows of one length, one after another.
    Fixed {
        /// The length.
        length: Duration,
        /// Where they begin.
        phase: Phase,
    },
    /// Every span of this length.
    Rolling {
        /// The length.
        length: Duration,
    },
    /// From midnight to midnight in the network's time zone.
    Daily {
        /// The zone, by its IANA name.
        zone: String,
    },
    /// Evenly, `per` apart, with at most `amount` at once (GCRA).
    Paced {
        /// The time in which one unit comes back.
        per: Duration,
    },
    /// So many different keys in every span of this length; a key that is open costs nothing.
    Distinct {
        /// The length.
        length: Duration,
    },
    /// Until it is topped up.
    Budget,
}

/// Where fixed windows begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Known only from a reset time that the network sends.
    Network,
    /// At multiples of the length since the epoch.
    Clock,
}

/// How much a limit allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amount {
    /// A number.
    Number(u64),
    /// `factor` times a fact about the profile or the app (`engaged_users`), taken as `at_least` if it is lower.
    Formula {
        /// The factor.
        factor: u64,
        /// The name of the fact.
        fact: String,
        /// The least value of the fact that the network counts.
        at_least: u64,
        /// The amount (not the fact) that is assumed while the fact is not known.
        start: u64,
    },
    /// Not published: this much is assumed until the network says more.
    Unknown {
        /// The safe value to start from.
        start: u64,
    },
}

/// How sure a fact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// Read in the network's own documentation.
    Documented,
    /// Read in the network's own repository.
    Repository,
    /// Reported by others who call the network.
    Reported,
    /// Not confirmed by a source.
    Unverified,
}

/// One kind of network call.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its id, unique in the network (`tweets.search_recent`).
    pub id: OperationId,
    /// One sentence for people.
    pub about: String,
    /// The HTTP method.
    pub method: String,
    /// The path under the network's API base, or a whole URL at another host, with `{name}` for a part that varies.
    pub path: String,
    /// The purposes it serves. Never empty.
    pub purposes: Vec<Purpose>,
    /// The scopes it needs beside those of the purpose.
    pub scopes: Vec<String>,
    /// The kinds of token that may call it; empty: all.
    pub kinds: Vec<KindId>,
    /// What one call costs. Never empty.
    pub costs: Vec<Cost>,
    /// How sure this is.
    pub verified: Verified,
}

impl Operation {
    /// Whether a token of `kind` may call it.
    pub fn allows(&self, kind: &KindId) -> bool {
        self.kinds.is_empty() || self.kinds.contains(kind)
    }
}

/// The scopes that one call needs.
#[derive(Debug, Clone, Copy)]
pub struct OperationScopes<'n> {
    /// Those of the purpose.
    pub of_purpose: &'n [String],
    /// Those that the operation needs beside.
    pub of_operation: &'n [String],
}

/// What one call costs in one class.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// The class.
    pub class: ClassId,
    /// Units per call. In a class of different keys: 1, charged once per key.
    pub units: u64,
}

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

/// What must happen to collected data.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// One sentence for people.
    pub rule: String,
    /// The span after which it happens, if there is one.
    #[serde(default, with = "span::optional")]
    pub after: Option<Duration>,
    /// How sure this is.
    pub verified: Verified,
}

/// Spans in TOML: `"15min"`, `"24h"`, `"60d"`.
pub(crate) mod span {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer};

    /// A span that may be absent.
    pub mod optional {
        use super::*;

        /// Reads it.
        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
            Option::<String>::deserialize(from)?
                .map(|text| humantime::parse_duration(&text).map_err(serde::de::Error::custom))
                .transpose()
        }
    }
}
