//! The request for a renewal, as each network wants it. Pure.
//!
//! RFC 6749, section 6, with the client shown by HTTP Basic (section 2.3.1) or in the form, and the departures that the catalogue
//! tells. A kind that renews itself is asked where its entry says: at the token endpoint as another grant, elsewhere by a `GET`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::secret::Secret;
use crate::domain::networks::{ClientAuth, OAuth, OAuthQuirk, Renewal, TokenKind};

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
}

/// One request. It has no `Debug`: it is secrets.
pub struct TokenRequest {
    /// Where to, without a query.
    pub url: String,
    /// Whether it is a `GET`.
    pub is_get: bool,
    /// Parameters of the query, encoded.
    pub query: Option<Secret>,
    /// Parameters of the body, encoded as a form.
    pub form: Option<Secret>,
    /// The value of `Authorization`.
    pub authorization: Option<Secret>,
}

impl TokenRequest {
    /// The request that renews a token of `kind`; `None` if it can't be renewed with what is here.
    pub fn renewal(kind: &TokenKind, client: &Client, credential: &Credential) -> Option<TokenRequest> {
        let oauth = kind.oauth.as_ref()?;
        match &kind.renewal {
            Renewal::RefreshToken { .. } => refresh(oauth, client, credential.refresh.as_ref()?),
            Renewal::SelfRenewing { grant_type, .. } => prolong(oauth, client, grant_type, &credential.access),
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
}

fn refresh(oauth: &OAuth, client: &Client, refresh: &Secret) -> Option<TokenRequest> {
    let mut parameters = Parameters::of("refresh_token");
    parameters.add("refresh_token", refresh.expose());
    if oauth.quirks.contains(&OAuthQuirk::ContinuousRefresh) {
        parameters.add("continuous_refresh", "true");
    }
    let authorization = show_client(oauth, client, &mut parameters)?;
    let (mut query, mut form) = (None, Some(parameters.encoded()));
    if oauth.quirks.contains(&OAuthQuirk::ParametersInQuery) {
        std::mem::swap(&mut query, &mut form);
    }
    Some(TokenRequest { url: oauth.token_url.clone(), is_get: false, query, form, authorization })
}

/// Facebook exchanges a token at its token endpoint, which wants the client, too. Instagram and Threads have an endpoint for this alone,
/// which wants nothing but the token, in the query of a `GET`.
fn prolong(oauth: &OAuth, client: &Client, grant_type: &str, access: &Secret) -> Option<TokenRequest> {
    let url = oauth.renew_url.clone()?;
    let mut parameters = Parameters::of(grant_type);
    if is_grant(oauth) {
        parameters.add(grant_type, access.expose());
        let authorization = show_client(oauth, client, &mut parameters)?;
        return Some(TokenRequest { url, is_get: false, query: None, form: Some(parameters.encoded()), authorization });
    }
    parameters.add("access_token", access.expose());
    Some(TokenRequest { url, is_get: true, query: Some(parameters.encoded()), form: None, authorization: None })
}

fn is_grant(oauth: &OAuth) -> bool {
    oauth.renew_url.as_ref() == Some(&oauth.token_url)
}

/// Shows the client: by the header that is returned, or among the parameters. A client without a secret shows its id only.
fn show_client(oauth: &OAuth, client: &Client, parameters: &mut Parameters) -> Option<Option<Secret>> {
    match (oauth.client_auth, &client.secret) {
        (ClientAuth::Basic, Some(secret)) => Some(Some(basic(&client.id, secret))),
        (ClientAuth::Post, Some(secret)) => {
            parameters.add(&oauth.client_id_parameter, &client.id);
            parameters.add("client_secret", secret.expose());
            Some(None)
        }
        (ClientAuth::Basic | ClientAuth::Post, None) => {
            parameters.add(&oauth.client_id_parameter, &client.id);
            Some(None)
        }
        (ClientAuth::PrivateKeyJwt | ClientAuth::OAuth1, _) => None,
    }
}

/// Both parts are encoded as in a form before they are joined (RFC 6749, section 2.3.1).
fn basic(id: &str, secret: &Secret) -> Secret {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Secret::new(format!("{}:{}", encode(id), encode(secret.expose())));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())))
}

struct Parameters(url::form_urlencoded::Serializer<'static, String>);

impl Parameters {
    fn of(grant_type: &str) -> Self {
        let mut parameters = Self(url::form_urlencoded::Serializer::new(String::new()));
        parameters.add("grant_type", grant_type);
        parameters
    }

    fn add(&mut self, name: &str, value: &str) {
        self.0.append_pair(name, value);
    }

    fn encoded(mut self) -> Secret {
        Secret::new(self.0.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::networks::Catalogue;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn request(network: &str, kind: &str, client_secret: Option<&str>) -> TokenRequest {
        let catalogue = Catalogue::embedded();
        let client = Client { id: "id:1".to_owned(), secret: client_secret.map(secret) };
        let credential = Credential { access: secret("a/1"), refresh: Some(secret("r 1")) };
        TokenRequest::renewal(catalogue.network(network).unwrap().kind(kind).unwrap(), &client, &credential).unwrap()
    }

    /// The request on one line: method, URL, `?` query, `#` form.
    fn shown(request: &TokenRequest) -> String {
        let method = if request.is_get { "GET" } else { "POST" };
        let part = |mark: &str, part: &Option<Secret>| part.as_ref().map(|text| format!(" {mark}{}", text.expose()));
        let (query, form) = (part("?", &request.query), part("#", &request.form));
        format!("{method} {}{}{}", request.url, query.unwrap_or_default(), form.unwrap_or_default())
    }

    #[test]
    fn each_network_is_asked_in_its_own_way() {
        let cases = [
            ("x", "user", "POST https://api.x.com/2/oauth2/token #grant_type=refresh_token&refresh_token=r+1"),
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
                 #grant_type=refresh_token&refresh_token=r+1&continuous_refresh=true",
            ),
            (
                "xing",
                "partner",
                "POST https://api.xing.com/auth/oauth2/token \
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
                "GET https://graph.threads.net/refresh_access_token ?grant_type=th_refresh_token&access_token=a%2F1",
            ),
            (
                "instagram",
                "instagram_login",
                "GET https://graph.instagram.com/refresh_access_token ?grant_type=ig_refresh_token&access_token=a%2F1",
            ),
        ];
        for (network, kind, expected) in cases {
            assert_eq!(shown(&request(network, kind, Some("s/1"))), expected);
        }
    }

    #[test]
    fn basic_carries_both_parts_encoded() {
        let authorization = request("x", "user", Some("s/1")).authorization.unwrap();
        let pair = STANDARD.decode(authorization.expose().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(pair, b"id%3A1:s%2F1");
        assert!(request("youtube", "user", Some("s/1")).authorization.is_none());
    }

    #[test]
    fn a_public_client_shows_its_id() {
        let public = request("x", "user", None);
        assert!(public.authorization.is_none());
        assert!(shown(&public).ends_with("&client_id=id%3A1"));
    }

    #[test]
    fn what_has_nothing_to_renew_is_not_asked_for() {
        let catalogue = Catalogue::embedded();
        let client = Client { id: "id".to_owned(), secret: None };
        let cases =
            [("facebook", "page"), ("mastodon", "user"), ("x", "oauth1"), ("bluesky", "user"), ("reddit", "user")];
        for (network, kind) in cases {
            let credential = Credential { access: secret("a"), refresh: (network != "reddit").then(|| secret("r")) };
            let kind = catalogue.network(network).unwrap().kind(kind).unwrap();
            assert!(TokenRequest::renewal(kind, &client, &credential).is_none(), "{network}");
        }
    }
}
