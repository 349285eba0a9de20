//! The kinds of token of a network: where each is granted, how long it lives and how it is renewed.

use std::time::Duration;

use serde::Deserialize;

use super::{AccountLookup, GrantedLookup, Probe, ProfilesLookup, PurposeScopes, Verified, span};
use crate::base::ids::KindId;

/// One kind of token of a network.
#[derive(Debug, Clone)]
pub struct TokenKind {
    /// Its id, unique in the network (`user`, `page`, `app`).
    pub id: KindId,
    /// What it is called by people who connect accounts, in a few words; its id where the catalogue has none.
    pub name: String,
    /// One sentence for people who connect accounts; may be empty.
    pub summary: String,
    /// One sentence for operators and developers.
    pub about: String,
    /// Where the API is called with it, without a slash at the end; `None`: at the network's own base.
    pub api_base: Option<String>,
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
    /// How it is found out which account gave consent.
    pub account: Option<AccountLookup>,
    /// How it is found out which profiles it speaks for; of a derived kind with the token that it is derived from.
    pub profiles: Option<ProfilesLookup>,
    /// How it is found out which scopes were granted, where the token endpoint does not say.
    pub granted: Option<GrantedLookup>,
    /// How sure the facts of this kind are.
    pub verified: Verified,
    /// The keys of this kind that no source confirms, whatever `verified` says of the others (`refresh_validity`).
    pub unverified: Vec<String>,
}

/// Where and how a kind of token is granted (RFC 6749 and each network's departures from it).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth {
    /// Where a request token is made first (OAuth 1.0a only).
    pub request_token_url: Option<String>,
    /// What the network calls itself in its answers (RFC 9207); `None`: the origin of its authorization endpoint.
    pub issuer: Option<String>,
    /// The authorization endpoint; `None` where no source names it.
    pub authorize_url: Option<String>,
    /// Where what is asked is pushed first (RFC 9126): the browser is then sent on with its name alone. `None`: it is not.
    pub pushed_url: Option<String>,
    /// Where an account's identity document is read, with `{did}` in it, at networks where accounts live on servers of their own. The token
    /// reply names the account (`sub`), its document the server, and that who grants its tokens.
    pub did_directory: Option<String>,
    /// The token endpoint.
    pub token_url: String,
    /// The revocation endpoint (RFC 7009 or like it).
    pub revoke_url: Option<String>,
    /// What a revocation there ends.
    #[serde(default)]
    pub revoke_reach: RevokeReach,
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
    /// For how long the API may refuse a token that it has just issued: one that is refused is shown once more after it. `None`: it is not known
    /// to do so.
    #[serde(default, with = "span::optional")]
    pub fresh_token_settles: Option<Duration>,
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

/// What a revocation ends at a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokeReach {
    /// The token that is shown, with what renews it.
    Token,
    /// All that the person granted the app. Also where no source says more.
    #[default]
    Grant,
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
    /// A signed assertion (`private_key_jwt`): the client secret is a private key on P-256, as PKCS#8 in PEM, and the client id the address at
    /// which the broker tells of the app.
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
    /// The token endpoint takes its parameters from the query.
    ParametersInQuery,
    /// A refresh must ask for a continuous refresh token.
    ContinuousRefresh,
    /// The revocation is a `DELETE`, with `{user_id}` or `{client_id}` in its URL.
    RevokeByDelete,
    /// That a person took the consent back, or wants the data deleted, the network tells by a `signed_request`.
    SignedCallbacks,
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
    /// A DPoP proof per request (RFC 9449). The key never leaves the broker, which signs a proof for each call of a lease.
    Dpop,
    /// An OAuth 1.0a signature per request.
    #[serde(rename = "oauth1_signature")]
    OAuth1Signature,
}
