//! The requests to token endpoints, as each network wants them. Pure.
//!
//! RFC 6749 with the client shown by HTTP Basic (section 2.3.1) or in the form, and the departures that the catalogue tells. A kind that
//! renews itself is asked where its entry says: at the token endpoint by an extension grant (section 4.5), elsewhere by a `GET`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse,
    PkceCodeVerifier, RedirectUrl, RefreshToken, RevocationUrl, StandardRevocableToken, SyncHttpClient, TokenUrl,
};
use url::form_urlencoded::{Serializer, byte_serialize, parse};

use crate::base::secret::Secret;
use crate::domain::networks::{ClientAuth, OAuth, OAuthQuirk, Pkce, Renewal, TokenKind};
use crate::outbound::http::NetworkRequest;
use crate::outbound::oauth::{Assertion, Bond};

/// Our registration at a network, as a request shows it.
pub struct Client {
    /// The client id.
    pub id: String,
    /// The client secret; `None`: a public client.
    pub secret: Option<Secret>,
}

/// What is shown to get a new token: it decides the grant.
pub struct Credential {
    /// The access token.
    pub access: Secret,
    /// The refresh token, if there is one.
    pub refresh: Option<Secret>,
    /// The key that both are bound to, if they are.
    pub bond: Option<Arc<Bond>>,
}

/// A code that a person brought back.
pub struct Redemption<'a> {
    /// The code.
    pub code: &'a Secret,
    /// What the challenge of its request was made of.
    pub verifier: &'a Secret,
    /// The redirect URI of its request.
    pub redirect_uri: &'a str,
    /// The key that its tokens will be bound to, if they will.
    pub bond: Option<&'a Arc<Bond>>,
}

/// The request that renews a token of `kind`; `None` if it can't be renewed with what is here.
pub fn renewal(kind: &TokenKind, client: &Client, credential: &Credential) -> Option<NetworkRequest> {
    let oauth = kind.oauth.as_ref()?;
    if kind.is_bound() && credential.bond.is_none() {
        return None;
    }
    match &kind.renewal {
        Renewal::RefreshToken { .. } => refresh(oauth, client, credential),
        Renewal::SelfRenewing { grant_type, .. } if is_grant(oauth) => {
            extension_grant(oauth, client, grant_type, &credential.access)
        }
        Renewal::SelfRenewing { grant_type, .. } => by_query(
            oauth.renew_url.as_ref()?,
            &[("grant_type", grant_type), ("access_token", credential.access.expose())],
        ),
        Renewal::Derived { .. } | Renewal::Nothing => None,
    }
}

/// Whether the request for a renewal of `kind` shows the client.
pub fn needs_client(kind: &TokenKind) -> bool {
    match (&kind.renewal, &kind.oauth) {
        (Renewal::SelfRenewing { .. }, Some(oauth)) => is_grant(oauth),
        _ => true,
    }
}

/// The request that redeems a code; `None` where the client can't show who it is.
pub fn redemption(oauth: &OAuth, client: &Client, code: &Redemption<'_>) -> Option<NetworkRequest> {
    let made = made(oauth, client)?;
    let back = RedirectUrl::new(code.redirect_uri.to_owned()).ok()?;
    let request = made.exchange_code(AuthorizationCode::new(code.code.expose().to_owned()));
    let mut request = request.set_redirect_uri(std::borrow::Cow::Owned(back));
    if oauth.pkce != Pkce::Unsupported {
        request = request.set_pkce_verifier(PkceCodeVerifier::new(code.verifier.expose().to_owned()));
    }
    let request = departed(oauth, taken(|take| drop(request.request(take)))?, str::to_owned);
    signed_by(oauth, client, code.bond, request)
}

/// The request that changes a short-lived token for a long-lived one; `None` where the network has no such exchange.
///
/// Facebook's is an extension grant at the token endpoint; those of Instagram and Threads want the client's secret alone, in a query.
pub fn long_lived(oauth: &OAuth, client: &Client, access: &Secret) -> Option<NetworkRequest> {
    let (url, grant_type) = (oauth.exchange_url.as_ref()?, oauth.exchange_grant_type.as_ref()?);
    if *url == oauth.token_url {
        return extension_grant(oauth, client, grant_type, access);
    }
    let secret = client.secret.as_ref()?;
    by_query(url, &[("grant_type", grant_type), ("client_secret", secret.expose()), ("access_token", access.expose())])
}

/// The request that gives a token back (RFC 7009, or the network's own); `None` where the network has none, or wants the id of a person who
/// is not known. `beside`: what every call with the token carries beside it (`appsecret_proof`), also the one that deletes it.
pub fn revocation(
    oauth: &OAuth,
    client: &Client,
    credential: &Credential,
    person: &str,
    beside: &BTreeMap<String, String>,
) -> Option<NetworkRequest> {
    if oauth.quirks.contains(&OAuthQuirk::RevokeByDelete) {
        return by_delete(oauth.revoke_url.as_ref()?, client, credential, person, beside);
    }
    // The crate takes https only, so the request is made for the address of the standard's example and sent to the network's.
    let token = match &credential.refresh {
        Some(refresh) => StandardRevocableToken::RefreshToken(RefreshToken::new(refresh.expose().to_owned())),
        None => StandardRevocableToken::AccessToken(oauth2::AccessToken::new(credential.access.expose().to_owned())),
    };
    let made = made(oauth, client)?
        .set_revocation_url(RevocationUrl::new("https://server.example.com/revoke".to_owned()).ok()?);
    let request = made.revoke_token(token).ok()?;
    let mut taken = taken(|take| drop(request.request(take)))?;
    *taken.uri_mut() = oauth.revoke_url.as_ref()?.parse().ok()?;
    signed_by(oauth, client, credential.bond.as_ref(), departed(oauth, taken, str::to_owned))
}

fn refresh(oauth: &OAuth, client: &Client, credential: &Credential) -> Option<NetworkRequest> {
    let (made, token) = (made(oauth, client)?, RefreshToken::new(credential.refresh.as_ref()?.expose().to_owned()));
    let mut request = made.exchange_refresh_token(&token);
    if oauth.quirks.contains(&OAuthQuirk::ContinuousRefresh) {
        request = request.add_extra_param("continuous_refresh", "true");
    }
    let request = departed(oauth, taken(|take| drop(request.request(take)))?, str::to_owned);
    signed_by(oauth, client, credential.bond.as_ref(), request)
}

/// The request with what is signed when it is sent: the app's assertion where its network wants one, and the proof of a session's key.
pub(super) fn signed_by(
    oauth: &OAuth,
    client: &Client,
    bond: Option<&Arc<Bond>>,
    request: NetworkRequest,
) -> Option<NetworkRequest> {
    let asserts = oauth.client_auth == ClientAuth::PrivateKeyJwt;
    let assertion = match asserts {
        true => Some(Assertion::of(oauth, &client.id, client.secret.as_ref()?)?),
        false => None,
    };
    Some(request.asserted(assertion).proved(bond, None))
}

/// A token is shown as a refresh token would be, under the name of the grant.
fn extension_grant(oauth: &OAuth, client: &Client, grant_type: &str, access: &Secret) -> Option<NetworkRequest> {
    let (made, token) = (made(oauth, client)?, RefreshToken::new(access.expose().to_owned()));
    let request = taken(|take| drop(made.exchange_refresh_token(&token).request(take)))?;
    let named = |text: &str| if text == "refresh_token" { grant_type.to_owned() } else { text.to_owned() };
    Some(departed(oauth, request, named))
}

fn by_query(url: &str, parameters: &[(&str, &str)]) -> Option<NetworkRequest> {
    let query = Serializer::new(String::new()).extend_pairs(parameters).finish();
    let request = http::Request::get(format!("{url}?{query}")).header(http::header::ACCEPT, "application/json");
    request.body(Vec::new()).ok().map(NetworkRequest::of)
}

/// What a person granted is deleted by the person's own token; a token of an app by the app, which shows itself by HTTP Basic.
fn by_delete(
    url: &str,
    client: &Client,
    credential: &Credential,
    person: &str,
    beside: &BTreeMap<String, String>,
) -> Option<NetworkRequest> {
    let segment = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let of_person = url.contains("{user_id}");
    if (of_person && person.is_empty()) || client.id.is_empty() {
        return None;
    }
    let mut url = url.replace("{user_id}", &segment(person)).replace("{client_id}", &segment(&client.id));
    if of_person && !beside.is_empty() {
        url = format!("{url}?{}", Serializer::new(String::new()).extend_pairs(beside).finish());
    }
    let request = http::Request::delete(url).header(http::header::ACCEPT, "application/json");
    let (authorization, body) = match of_person {
        true => (format!("Bearer {}", credential.access.expose()), Vec::new()),
        false => {
            let body = serde_json::json!({ "access_token": credential.access.expose() });
            (basic(&client.id, client.secret.as_ref()?), body.to_string().into_bytes())
        }
    };
    let request = request.header(http::header::AUTHORIZATION, authorization);
    request.body(body).ok().map(NetworkRequest::of)
}

/// The client in a header of HTTP Basic.
pub(super) fn basic(id: &str, secret: &Secret) -> String {
    let coded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", coded(id), coded(secret.expose()))))
}

fn is_grant(oauth: &OAuth) -> bool {
    oauth.renew_url.as_ref() == Some(&oauth.token_url)
}

type Made = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// A client of the crate. One without a secret shows its id only, and so does one that signs an assertion.
fn made(oauth: &OAuth, client: &Client) -> Option<Made> {
    let auth_type = match oauth.client_auth {
        ClientAuth::Basic => AuthType::BasicAuth,
        ClientAuth::Post | ClientAuth::PrivateKeyJwt => AuthType::RequestBody,
        ClientAuth::OAuth1 => return None,
    };
    let made = BasicClient::new(ClientId::new(client.id.clone())).set_auth_type(auth_type);
    let made = made.set_token_uri(TokenUrl::new(oauth.token_url.clone()).ok()?);
    let shown = client.secret.as_ref().filter(|_| oauth.client_auth != ClientAuth::PrivateKeyJwt);
    Some(match shown {
        Some(secret) => made.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
        None => made,
    })
}

/// Takes the request that the crate would send.
#[derive(Default)]
struct Taking(RefCell<Option<HttpRequest>>);

/// Nothing is sent by the crate.
#[derive(Debug, thiserror::Error)]
#[error("the request was taken and not sent")]
struct Taken;

impl SyncHttpClient for Taking {
    type Error = Taken;

    fn call(&self, request: HttpRequest) -> Result<HttpResponse, Taken> {
        self.0.replace(Some(request));
        Err(Taken)
    }
}

fn taken(ask: impl FnOnce(&Taking)) -> Option<HttpRequest> {
    let taking = Taking::default();
    ask(&taking);
    taking.0.into_inner()
}

/// The request with the departures of its network: names of parameters, and where they stand.
fn departed(oauth: &OAuth, request: HttpRequest, named: impl Fn(&str) -> String) -> NetworkRequest {
    let (mut head, body) = request.into_parts();
    let mut form = Serializer::new(String::new());
    for (name, value) in parse(&body) {
        match &*name {
            "client_id" => form.append_pair(&oauth.client_id_parameter, &value),
            "grant_type" => form.append_pair("grant_type", &named(&value)),
            name => form.append_pair(&named(name), &value),
        };
    }
    let form = form.finish();
    if oauth.quirks.contains(&OAuthQuirk::ParametersInQuery)
        && let Ok(uri) = format!("{}?{form}", head.uri).parse()
    {
        head.uri = uri;
        return NetworkRequest::of(http::Request::from_parts(head, Vec::new()));
    }
    NetworkRequest::of(http::Request::from_parts(head, form.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::networks::Catalogue;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn request(network: &str, kind: &str, client_secret: Option<&str>) -> NetworkRequest {
        let catalogue = Catalogue::embedded();
        let client = Client { id: "id:1".to_owned(), secret: client_secret.map(secret) };
        let credential = Credential { access: secret("a/1"), refresh: Some(secret("r 1")), bond: None };
        renewal(catalogue.network(network).unwrap().kind(kind).unwrap(), &client, &credential).unwrap()
    }

    #[test]
    fn each_network_is_asked_in_its_own_way() {
        let cases = [
            (
                "x",
                "user",
                "POST https://api.x.com/2/oauth2/token #grant_type=refresh_token&refresh_token=r+1 !Basic aWQlM0ExOnMlMkYx",
            ),
            (
                "youtube",
                "user",
                "POST https://oauth2.googleapis.com/token \
                 #grant_type=refresh_token&refresh_token=r+1&client_id=id%3A1&client_secret=s%2F1",
            ),
            (
                "tiktok",
                "user",
                "POST https://open.tiktokapis.com/v2/oauth/token/ \
                 #grant_type=refresh_token&refresh_token=r+1&client_key=id%3A1&client_secret=s%2F1",
            ),
            (
                "pinterest",
                "user",
                "POST https://api.pinterest.com/v5/oauth/token \
                 #grant_type=refresh_token&refresh_token=r+1&continuous_refresh=true !Basic aWQlM0ExOnMlMkYx",
            ),
            (
                "xing",
                "partner",
                "POST https://api.xing.com/auth/oauth2/token\
                 ?grant_type=refresh_token&refresh_token=r+1&client_id=id%3A1&client_secret=s%2F1",
            ),
            (
                "facebook",
                "user",
                "POST https://graph.facebook.com/v25.0/oauth/access_token \
                 #grant_type=fb_exchange_token&fb_exchange_token=a%2F1&client_id=id%3A1&client_secret=s%2F1",
            ),
            (
                "threads",
                "user",
                "GET https://graph.threads.net/refresh_access_token?grant_type=th_refresh_token&access_token=a%2F1",
            ),
            (
                "instagram",
                "instagram_login",
                "GET https://graph.instagram.com/refresh_access_token?grant_type=ig_refresh_token&access_token=a%2F1",
            ),
        ];
        for (network, kind, expected) in cases {
            assert_eq!(request(network, kind, Some("s/1")).shown(), expected);
        }
    }

    #[test]
    fn a_token_is_given_back_as_its_network_wants_it() {
        let cases = [
            (
                "x",
                "user",
                "POST https://api.x.com/2/oauth2/revoke #token=r+1&token_type_hint=refresh_token !Basic aWQlM0ExOnMlMkYx",
            ),
            ("facebook", "user", "DELETE https://graph.facebook.com/v25.0/ann%2F1/permissions !Bearer a/1"),
            (
                "github",
                "oauth_app",
                "DELETE https://api.github.com/applications/id%3A1/token #{\"access_token\":\"a/1\"} !Basic aWQlM0ExOnMlMkYx",
            ),
        ];
        let catalogue = Catalogue::embedded();
        for (network, kind, expected) in cases {
            let client = Client { id: "id:1".to_owned(), secret: Some(secret("s/1")) };
            let refresh = (network == "x").then(|| secret("r 1"));
            let credential = Credential { access: secret("a/1"), refresh, bond: None };
            let oauth = catalogue.network(network).unwrap().kind(kind).unwrap().oauth.as_ref().unwrap();
            let given = |person: &str, beside: &[(&str, &str)]| {
                let beside = beside.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
                revocation(oauth, &client, &credential, person, &beside).map(|request| request.shown())
            };
            assert_eq!(given("ann/1", &[]).unwrap(), expected);
            if network == "facebook" {
                assert_eq!(given("", &[]), None, "nobody's permissions");
                let proved = given("ann/1", &[("appsecret_proof", "p")]).unwrap();
                assert!(proved.contains("/ann%2F1/permissions?appsecret_proof=p"), "{proved}");
            }
        }
    }

    #[test]
    fn a_public_client_shows_its_id() {
        assert!(request("x", "user", None).shown().ends_with("&client_id=id%3A1"));
    }

    #[test]
    fn what_has_nothing_to_renew_is_not_asked_for() {
        let catalogue = Catalogue::embedded();
        let client = Client { id: "id".to_owned(), secret: None };
        let cases =
            [("facebook", "page"), ("mastodon", "user"), ("x", "oauth1"), ("bluesky", "user"), ("reddit", "user")];
        for (network, kind) in cases {
            let credential =
                Credential { access: secret("a"), refresh: (network != "reddit").then(|| secret("r")), bond: None };
            let kind = catalogue.network(network).unwrap().kind(kind).unwrap();
            assert!(renewal(kind, &client, &credential).is_none(), "{network}");
        }
    }
}
