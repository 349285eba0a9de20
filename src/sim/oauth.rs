//! The OAuth endpoints of a simulated network: RFC 6749 with the network's departures from it, as its entry tells them. Refresh tokens
//! stay, rotate or work once; tokens of the self-renewing family renew themselves while they live.
//!
//! A browser is shown a page on which a person agrees, to all or to a part, or says no; a program is answered at once, by the person whom
//! `login_hint` names and who agrees to everything. The app's secret may be any, but must be shown as the network wants it. An app that shows
//! who it is by a key must have told of it before. Instagram answers a code by a list of one, as it documents, or as some meet it without the
//! list, for persons whose id begins with `flat-`. Facebook's login asks for what a person declined only where it is told to ask again. Requests
//! signed as in OAuth 1.0a are not simulated.

use serde_json::{Value, json};

use super::envelope;
use super::grant::{Consent, Issued, Refused, Shown};
use super::http_answer::HttpAnswer;
use super::possession::{Request, Unproved};
use super::refusal::{self, Family, Refusal};
use super::route::{fits, path_of};
use super::simulation::Simulation;
use super::token::TokenSpec;
use super::whose::did_of;
use crate::base::clock::Timestamp;
use crate::domain::networks::{ClientAuth, Network, OAuth, OAuthQuirk, Pkce, Renewal, TokenKind};

/// What an endpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What the person will be asked is pushed before.
    Push,
    /// The person agrees.
    Authorize,
    /// A token is issued or renewed.
    Token,
    /// A token, or all of a person, is given up.
    Revoke,
    /// A token is looked at.
    Introspect,
}

/// A request to one of the endpoints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) purpose: Purpose,
    /// The kind of token that the endpoint is for; of several kinds with one endpoint the first.
    pub(super) kind: &'a TokenKind,
    /// Of the query and of the body.
    pub(super) parameters: &'a [(String, String)],
    /// The header `Authorization`.
    pub(super) authorization: Option<&'a str>,
    /// The method.
    pub(super) method: &'a str,
    /// The whole address, without query.
    pub(super) url: &'a str,
    /// The header `DPoP`.
    pub(super) proof: Option<&'a str>,
    /// Whether a person looks at the answer.
    pub(super) wants_page: bool,
}

/// What was pushed can be named for so long.
pub(super) const PUSHED_LIFE: std::time::Duration = std::time::Duration::from_secs(300);

/// The path of an endpoint under the network's base here.
pub(super) fn address<'a>(network: &Network, url: &'a str) -> &'a str {
    url.strip_prefix(&network.api_base).filter(|rest| rest.starts_with('/')).unwrap_or_else(|| path_of(url))
}

/// Which endpoint `method` and `path` lead to, if to any.
pub(super) fn endpoint<'a>(network: &'a Network, method: &str, path: &str) -> Option<(Purpose, &'a TokenKind)> {
    let leads = |url: Option<&String>| url.is_some_and(|url| fits(address(network, url), path));
    let of_kind = |kind: &'a TokenKind| {
        let oauth = kind.oauth.as_ref().filter(|oauth| oauth.client_auth != ClientAuth::OAuth1)?;
        let by_delete = oauth.quirks.contains(&OAuthQuirk::RevokeByDelete);
        let to_token =
            leads(Some(&oauth.token_url)) || leads(oauth.exchange_url.as_ref()) || leads(oauth.renew_url.as_ref());
        let purpose = match method {
            "DELETE" if by_delete && leads(oauth.revoke_url.as_ref()) => Purpose::Revoke,
            "POST" if leads(oauth.pushed_url.as_ref()) => Purpose::Push,
            "GET" | "POST" if leads(oauth.authorize_url.as_ref()) => Purpose::Authorize,
            "GET" | "POST" if to_token => Purpose::Token,
            "GET" | "POST" if leads(oauth.introspect_url.as_ref()) => Purpose::Introspect,
            "POST" if !by_delete && leads(oauth.revoke_url.as_ref()) => Purpose::Revoke,
            _ => return None,
        };
        Some((purpose, kind))
    };
    network.kinds.iter().find_map(of_kind)
}

/// Answers a request: `None` if the reply is lost, and how late the answer comes, in milliseconds.
pub(super) fn answer(simulation: &Simulation, network: &Network, ask: &Ask<'_>) -> (Option<HttpAnswer>, u64) {
    simulation.at_endpoint(network, || {
        let answer = match ask.purpose {
            Purpose::Push => push(simulation, network, ask),
            Purpose::Authorize => authorize(simulation, network, ask),
            Purpose::Token => token(simulation, network, ask),
            Purpose::Revoke => revoke(simulation, network, ask),
            Purpose::Introspect => introspect(simulation, network, ask),
        };
        match ask.kind.is_bound() {
            true => simulation.with_nonce(network, answer),
            false => answer,
        }
    })
}

impl Ask<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// What the network calls itself where it is served.
    fn issuer(&self, network: &Network) -> String {
        let origin = url::Url::parse(self.url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        format!("{origin}/{}", network.id)
    }

    /// The thumbprint of the key that proves the request; `None` where tokens are bound to none.
    fn key(&self, simulation: &Simulation, network: &Network) -> Result<Option<String>, Refused> {
        if !self.kind.is_bound() {
            return Ok(None);
        }
        let request = Request { proof: self.proof, method: self.method, url: self.url, token: None };
        simulation.check_proof(network, &request).map(Some).map_err(Refused::Proof)
    }

    /// The app, if it showed itself as the network wants it.
    fn app(&self, simulation: &Simulation, network: &Network, oauth: &OAuth) -> Option<String> {
        let shown = self.parameter(&oauth.client_id_parameter).map(str::to_owned);
        match oauth.client_auth {
            ClientAuth::Basic => self.authorization.and_then(basic_id),
            ClientAuth::Post => shown.filter(|_| self.parameter("client_secret").is_some()),
            ClientAuth::PrivateKeyJwt => {
                let is_jwt = |kind| kind == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                self.parameter("client_assertion_type").filter(|kind| is_jwt(*kind))?;
                let (id, assertion) = (shown?, self.parameter("client_assertion")?);
                simulation.check_assertion(network, assertion, &id, &self.issuer(network)).ok().map(|()| id)
            }
            ClientAuth::OAuth1 => None,
        }
    }
}

/// The client id in a header of HTTP Basic (RFC 6749, section 2.3.1).
fn basic_id(header: &str) -> Option<String> {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let (id, _) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    url::form_urlencoded::parse(id.as_bytes()).next().map(|(id, _)| id.into_owned())
}

fn authorize(simulation: &Simulation, network: &Network, ask: &Ask<'_>) -> HttpAnswer {
    let Some(oauth) = &ask.kind.oauth else { return refuse(network, &Refused::Request("no such endpoint")) };
    let (merged, key);
    let ask = match &oauth.pushed_url {
        None => {
            key = None;
            ask
        }
        Some(_) => match simulation.pushed(network, ask.parameters) {
            None => return refuse(network, &Refused::Request("what is asked must be pushed first, and is taken once")),
            Some(pushed) => {
                key = pushed.key;
                merged = pushed.parameters;
                &Ask { parameters: &merged, ..*ask }
            }
        },
    };
    let Some(back) = ask.parameter("redirect_uri") else {
        return refuse(network, &Refused::Request("redirect_uri is missing"));
    };
    if ask.wants_page && ["login_hint", "decision"].iter().all(|name| ask.parameter(name).is_none()) {
        return consent_page(network, ask, oauth);
    }
    simulation.take_pushed(network, ask.parameter("request_uri"));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if oauth.did_directory.is_some() {
        query.append_pair("iss", &ask.issuer(network));
    }
    if let Some(state) = ask.parameter("state") {
        query.append_pair("state", state);
    }
    // Browsers keep a fragment to themselves, so it stands in the code, too.
    let tail = if oauth.quirks.contains(&OAuthQuirk::CodeEndsInHashUnderscore) { "#_" } else { "" };
    match consent(simulation, network, ask, oauth, key) {
        Ok(code) => query.append_pair("code", &format!("{code}{tail}")),
        Err(error) => query.append_pair("error", error),
    };
    let joint = if back.contains('?') { '&' } else { '?' };
    let location = format!("{back}{joint}{}{tail}", query.finish());
    HttpAnswer { headers: vec![("location".to_owned(), location)], ..HttpAnswer::json(302, Vec::new(), &json!({})) }
}

/// A code, or the error that goes back through the browser (RFC 6749, section 4.1.2.1).
fn consent(
    simulation: &Simulation,
    network: &Network,
    ask: &Ask<'_>,
    oauth: &OAuth,
    key: Option<String>,
) -> Result<String, &'static str> {
    let app = ask.parameter(&oauth.client_id_parameter).ok_or("invalid_request")?;
    if ask.parameter("decision") == Some("deny") {
        return Err("access_denied");
    }
    let challenge = ask.parameter("code_challenge");
    if oauth.pkce == Pkce::Required && challenge.is_none() {
        return Err("invalid_request");
    }
    let all = TokenSpec::of_kind(network, &ask.kind.id, "", "").scopes;
    let asked = ask.parameter("scope").unwrap_or_default().split(oauth.scope_separator.as_str());
    let scopes: Vec<String> = asked.filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    if scopes.iter().any(|scope| !all.contains(scope)) {
        return Err("invalid_scope");
    }
    let asked = if scopes.is_empty() { all } else { scopes };
    let person = ["person", "login_hint"].iter().find_map(|name| ask.parameter(name)).unwrap_or("person-1").to_owned();
    // "If someone has declined a permission for your app, the login dialog won't let your app re-request the permission unless you pass
    // auth_type=rerequest" (Meta's documentation of Facebook's login).
    let not_asked_again = match is_facebooks(oauth) && ask.parameter("auth_type") != Some("rerequest") {
        true => simulation.declined(&network.id, &person),
        false => Vec::new(),
    };
    let declines = |scope: &String| ask.parameters.iter().any(|(name, value)| name == "decline" && value == scope);
    let (declined, scopes) = asked.into_iter().partition(|scope| declines(scope) || not_asked_again.contains(scope));
    let consent = Consent {
        kind: ask.kind.id.clone(),
        app: app.to_owned(),
        person,
        scopes,
        declined,
        challenge: challenge.map(str::to_owned),
        is_hashed: ask.parameter("code_challenge_method") == Some("S256"),
        redirect_uri: ask.parameter("redirect_uri").unwrap_or_default().to_owned(),
        key,
    };
    let life = oauth.code_validity.unwrap_or(std::time::Duration::from_secs(600));
    Ok(simulation.consent(&network.id, consent, life))
}

/// RFC 9126, by the rules of the AT Protocol's profile.
fn push(simulation: &Simulation, network: &Network, ask: &Ask<'_>) -> HttpAnswer {
    match pushed(simulation, network, ask) {
        Ok(name) => {
            HttpAnswer::json(201, Vec::new(), &json!({ "request_uri": name, "expires_in": PUSHED_LIFE.as_secs() }))
        }
        Err(refused) => refuse(network, &refused),
    }
}

fn pushed(simulation: &Simulation, network: &Network, ask: &Ask<'_>) -> Result<String, Refused> {
    let oauth = ask.kind.oauth.as_ref().ok_or(Refused::Request("no such endpoint"))?;
    let key = ask.key(simulation, network)?;
    let app = ask.app(simulation, network, oauth).ok_or(Refused::Client)?;
    if ask.parameter("request_uri").is_some() {
        return Err(Refused::Request("what is pushed can't name what was pushed"));
    }
    if oauth.pkce == Pkce::Required && ask.parameter("code_challenge_method") != Some("S256") {
        return Err(Refused::Request("a challenge by S256 is missing"));
    }
    simulation.push(network, &app, ask.parameters.to_vec(), key)
}

/// Where a person says yes to all or to a part, or no.
fn consent_page(network: &Network, ask: &Ask<'_>, oauth: &OAuth) -> HttpAnswer {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let asked = ask.parameter("scope").unwrap_or_default().split(oauth.scope_separator.as_str());
    let scope = |scope: &str| {
        format!("<p><label><input type=\"checkbox\" name=\"decline\" value=\"{0}\"> not {0}</label></p>", escape(scope))
    };
    let scopes: String = asked.filter(|scope| !scope.is_empty()).map(scope).collect();
    let app = ask.parameter(&oauth.client_id_parameter).unwrap_or_default();
    let page = include_str!("consent_page.html").replace("{network}", &escape(&network.display_name));
    let body = page.replace("{app}", &escape(app)).replace("{scopes}", &scopes);
    HttpAnswer { status: 200, headers: Vec::new(), content_type: "text/html", body }
}

fn token(simulation: &Simulation, network: &Network, ask: &Ask<'_>) -> HttpAnswer {
    // Kinds that share an endpoint are told apart by the grants that only one of them has.
    let kind = network.kinds.iter().find(|kind| prolongs(kind, ask.parameter("grant_type"))).unwrap_or(ask.kind);
    let ask = &Ask { kind, ..*ask };
    let for_code = ask.parameter("code").is_some();
    match issue(simulation, network, ask) {
        Ok(given) if for_code && is_instagrams(kind) => {
            HttpAnswer::json(200, Vec::new(), &told_at_instagram(&given.token))
        }
        Ok(given) => HttpAnswer::json(200, Vec::new(), &told(network, ask.kind, &given, simulation.now())),
        Err(refused) => refuse(network, &refused),
    }
}

/// Whether a token of this kind is changed for a later one by this grant.
fn prolongs(kind: &TokenKind, grant: Option<&str>) -> bool {
    let renews = match &kind.renewal {
        Renewal::SelfRenewing { grant_type, .. } => grant == Some(grant_type),
        _ => false,
    };
    renews
        || kind
            .oauth
            .as_ref()
            .and_then(|oauth| oauth.exchange_grant_type.as_deref())
            .is_some_and(|own| grant == Some(own))
}

fn issue(simulation: &Simulation, network: &Network, ask: &Ask<'_>) -> Result<Issued, Refused> {
    let oauth = ask.kind.oauth.as_ref().ok_or(Refused::Request("no such endpoint"))?;
    let grant = ask.parameter("grant_type").unwrap_or("authorization_code");
    let (renews, min_age) = match &ask.kind.renewal {
        Renewal::SelfRenewing { grant_type, min_age } => (grant_type == grant, *min_age),
        _ => (false, std::time::Duration::ZERO),
    };
    let exchanges = oauth.exchange_grant_type.as_deref() == Some(grant);
    if renews || exchanges {
        let token = ask.parameter(grant).or_else(|| ask.parameter("access_token"));
        let token = token.ok_or(Refused::Request("the token is missing"))?;
        return simulation.prolong(
            &network.id,
            ask.kind,
            token,
            if exchanges { std::time::Duration::ZERO } else { min_age },
        );
    }
    let key = ask.key(simulation, network)?;
    let app = ask.app(simulation, network, oauth).ok_or(Refused::Client)?;
    match grant {
        "authorization_code" => {
            let code = ask.parameter("code").ok_or(Refused::Request("the code is missing"))?;
            // The broker must have cut off what a browser's fragment can be mistaken for.
            let shown = Shown {
                code,
                app: &app,
                redirect_uri: ask.parameter("redirect_uri"),
                verifier: ask.parameter("code_verifier"),
                key: key.as_deref(),
            };
            simulation.redeem(&network.id, ask.kind, &shown)
        }
        "refresh_token" => {
            let refresh = ask.parameter("refresh_token").ok_or(Refused::Request("refresh_token is missing"))?;
            simulation.refresh(&network.id, ask.kind, refresh, key.as_deref())
        }
        _ => Err(Refused::Type),
    }
}

/// Whether a token of this kind is granted by Instagram's own login.
fn is_instagrams(kind: &TokenKind) -> bool {
    kind.oauth.as_ref().is_some_and(|oauth| oauth.exchange_grant_type.as_deref() == Some("ig_exchange_token"))
}

/// Whether people give consent in Facebook's login dialog.
fn is_facebooks(oauth: &OAuth) -> bool {
    oauth.exchange_grant_type.as_deref() == Some("fb_exchange_token")
}

/// What Instagram issues for a code: no life, since it is to be exchanged, and the permissions that were given.
fn told_at_instagram(spec: &TokenSpec) -> Value {
    let mut issued = json!({ "access_token": spec.secret, "user_id": spec.person });
    if spec.person.starts_with("flat-") {
        issued["permissions"] = json!(spec.scopes);
        return issued;
    }
    issued["permissions"] = json!(spec.scopes.join(","));
    json!({ "data": [issued] })
}

/// RFC 6749, section 5.1, with the names that some networks add.
fn told(network: &Network, kind: &TokenKind, issued: &Issued, now: Timestamp) -> Value {
    let spec = &issued.token;
    let kind_of_token = if spec.key.is_some() { "DPoP" } else { "bearer" };
    let mut body = json!({ "access_token": spec.secret, "token_type": kind_of_token });
    if Family::of(network) == Family::Bluesky {
        body["sub"] = json!(did_of(&spec.person));
    }
    let quirks = kind.oauth.as_ref().map(|oauth| oauth.quirks.as_slice()).unwrap_or_default();
    let separator = kind.oauth.as_ref().map_or(" ", |oauth| oauth.scope_separator.as_str());
    if !quirks.contains(&OAuthQuirk::ScopesNotReturned) && !is_instagrams(kind) {
        body["scope"] = json!(spec.scopes.join(separator));
    }
    if let Some(end) = spec.expires_at {
        body["expires_in"] = json!(end.since(now).as_secs());
    }
    if let Some(refresh) = &spec.refresh_secret {
        body["refresh_token"] = json!(refresh);
        // Google tells it of grants alone that end by time.
        let life = issued.refresh_life.filter(|_| Family::of(network) != Family::Google);
        let life = life.map(|life| json!(life.as_secs()));
        let name =
            if Family::of(network) == Family::TikTok { "refresh_expires_in" } else { "refresh_token_expires_in" };
        if let Some(life) = life {
            body[name] = life;
        }
    }
    if Family::of(network) == Family::TikTok {
        body["open_id"] = json!(spec.person);
    }
    body
}

fn revoke(simulation: &Simulation, network: &Network, ask: &Ask<'_>) -> HttpAnswer {
    let token = ["token", "access_token"].iter().find_map(|name| ask.parameter(name)).or_else(|| ask.bearer());
    let Some(token) = token else { return refuse(network, &Refused::Request("the token is missing")) };
    let by_key = ask.kind.oauth.as_ref().filter(|oauth| oauth.client_auth == ClientAuth::PrivateKeyJwt);
    if by_key.is_some_and(|oauth| ask.app(simulation, network, oauth).is_none()) {
        return refuse(network, &Refused::Client);
    }
    if let (Some(_), Err(refused)) = (ask.proof, ask.key(simulation, network)) {
        return refuse(network, &refused);
    }
    let whole_grant = Family::of(network) == Family::Graph;
    simulation.revoke(&network.id, token, whole_grant);
    match Family::of(network) {
        Family::Graph => HttpAnswer::json(200, Vec::new(), &json!({ "success": true })),
        Family::GitHub => HttpAnswer { body: String::new(), ..HttpAnswer::json(204, Vec::new(), &json!({})) },
        _ => HttpAnswer::json(200, Vec::new(), &json!({})),
    }
}

impl Ask<'_> {
    fn bearer(&self) -> Option<&str> {
        self.authorization.and_then(|sent| sent.strip_prefix("Bearer "))
    }
}

fn introspect(simulation: &Simulation, network: &Network, ask: &Ask<'_>) -> HttpAnswer {
    let token = ["input_token", "token", "access_token"].iter().find_map(|name| ask.parameter(name));
    let Some(token) = token else { return refuse(network, &Refused::Request("the token is missing")) };
    let (status, body) = seen(simulation, network, token);
    HttpAnswer::json(status, Vec::new(), &body)
}

/// What an introspection tells of a token, in the network's form, else in that of RFC 7662.
pub(super) fn seen(simulation: &Simulation, network: &Network, token: &str) -> (u16, Value) {
    let now = simulation.now();
    let alive = simulation.alive(&network.id, token);
    let ends = alive.as_ref().and_then(|spec| spec.expires_at);
    match (Family::of(network), &alive) {
        (Family::Graph, Some(spec)) => {
            let data = json!({
                "app_id": spec.app, "type": spec.kind.as_str().to_uppercase(), "is_valid": true, "user_id": spec.person,
                "scopes": spec.scopes, "expires_at": ends.map_or(0, Timestamp::secs), "data_access_expires_at": 0,
            });
            (200, json!({ "data": data }))
        }
        (Family::Graph, None) => {
            (200, json!({ "data": { "is_valid": false, "scopes": [], "error": { "code": 190 } } }))
        }
        (Family::Google, Some(spec)) => {
            let left = ends.map_or(0, |end| end.since(now).as_secs());
            (
                200,
                json!({ "aud": spec.app, "scope": spec.scopes.join(" "), "expires_in": left.to_string(), "access_type": "offline" }),
            )
        }
        (Family::Google, None) => (400, json!({ "error": "invalid_token", "error_description": "Invalid Value" })),
        (Family::GitHub, None) => (404, json!({ "message": "Not Found", "status": "404" })),
        (_, Some(spec)) => {
            let scope = spec.scopes.join(if Family::of(network) == Family::LinkedIn { "," } else { " " });
            let expires = ends.map(Timestamp::secs);
            (
                200,
                json!({ "active": true, "status": "active", "client_id": spec.app, "scope": scope, "expires_at": expires }),
            )
        }
        (_, None) => (200, json!({ "active": false, "status": "revoked" })),
    }
}

/// How a network refuses at its OAuth endpoints.
fn refuse(network: &Network, refused: &Refused) -> HttpAnswer {
    let oauth = |status, error: &str, why: &str| {
        HttpAnswer::json(status, Vec::new(), &json!({ "error": error, "error_description": why }))
    };
    match (refused, Family::of(network)) {
        (Refused::Dead(denial), _) => {
            let refusal: Refusal = refusal::denied(network, *denial);
            HttpAnswer::json(refusal.status, Vec::new(), &envelope::refused(network, &refusal))
        }
        (Refused::Client, _) => {
            oauth(401, "invalid_client", "the app did not show who it is, or not as this network wants it")
        }
        // The documentation says 401; the standard allows 400, which Bluesky's own server sends.
        (Refused::Proof(Unproved::Nonce), _) => {
            oauth(400, "use_dpop_nonce", "Authorization server requires nonce in DPoP proof")
        }
        (Refused::Proof(Unproved::Wrong(why)), _) => oauth(400, "invalid_dpop_proof", why),
        (Refused::Type, _) => oauth(400, "unsupported_grant_type", "this network has no such grant"),
        (Refused::Request(why), _) => oauth(400, "invalid_request", why),
        (Refused::Grant, Family::GitHub) => {
            oauth(200, "bad_refresh_token", "The refresh token passed is incorrect or expired.")
        }
        (Refused::Grant, Family::X) => oauth(400, "invalid_request", "Value passed for the token was invalid."),
        (Refused::Grant, Family::Tumblr) => oauth(401, "invalid_grant", "Invalid refresh token"),
        (Refused::Grant, _) => oauth(400, "invalid_grant", "Token has been expired or revoked."),
    }
}

/// The endpoints of a kind of token as they are served under `base`: what each is for, and where.
pub(super) fn served(network: &Network, kind: &TokenKind, base: &str) -> Vec<(&'static str, String)> {
    let Some(oauth) = kind.oauth.as_ref().filter(|oauth| oauth.client_auth != ClientAuth::OAuth1) else {
        return Vec::new();
    };
    let urls = [
        ("push", oauth.pushed_url.as_ref()),
        ("authorize", oauth.authorize_url.as_ref()),
        ("token", Some(&oauth.token_url)),
        ("exchange", oauth.exchange_url.as_ref()),
        ("renew", oauth.renew_url.as_ref()),
        ("revoke", oauth.revoke_url.as_ref()),
        ("introspect", oauth.introspect_url.as_ref()),
    ];
    let served =
        |(what, url): (&'static str, Option<&String>)| Some((what, format!("{base}{}", address(network, url?))));
    urls.into_iter().filter_map(served).collect()
}

#[cfg(test)]
mod tests;
