//! Where a person's browser is sent to give consent (RFC 6749, section 4.1.1; RFC 7636), with what is asked or, where that was pushed before, with
//! its name.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::base::secret::Secret;
use crate::domain::networks::{ClientAuth, OAuth, Pkce};
use crate::outbound::http::NetworkRequest;
use crate::outbound::oauth::request::{basic, signed_by};
use crate::outbound::oauth::{Bond, Client};

/// What is asked of a person.
pub struct AuthorizationRequest<'a> {
    /// Our client id at the network.
    pub client_id: &'a str,
    /// Where the network sends the browser back to.
    pub redirect_uri: &'a str,
    /// What ties the answer to this request.
    pub state: &'a Secret,
    /// What the code will be redeemed with, where the network knows PKCE: 43 to 128 letters and digits.
    pub verifier: &'a Secret,
    /// The scopes.
    pub scopes: &'a [String],
}

/// The address; `None` if the entry of the network has none.
pub fn authorization_url(oauth: &OAuth, ask: &AuthorizationRequest<'_>) -> Option<Url> {
    let client = BasicClient::new(ClientId::new(ask.client_id.to_owned()))
        .set_auth_uri(AuthUrl::new(oauth.authorize_url.clone()?).ok()?);
    let back = RedirectUrl::new(ask.redirect_uri.to_owned()).ok()?;
    let state = || CsrfToken::new(ask.state.expose().to_owned());
    let mut request = client.authorize_url(state).set_redirect_uri(Cow::Owned(back));
    if !ask.scopes.is_empty() {
        // Added as a parameter, since the crate joins scopes by a space.
        request = request.add_extra_param("scope", ask.scopes.join(&oauth.scope_separator));
    }
    for (name, value) in &oauth.authorize_parameters {
        request = request.add_extra_param(name.clone(), value.clone());
    }
    if oauth.pkce != Pkce::Unsupported {
        let verifier = PkceCodeVerifier::new(ask.verifier.expose().to_owned());
        request = request.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
    }
    let (mut url, _) = request.url();
    let own_name = |name: Cow<'_, str>| match &*name {
        "client_id" => oauth.client_id_parameter.clone(),
        _ => name.into_owned(),
    };
    let pairs: Vec<_> = url.query_pairs().map(|(name, value)| (own_name(name), value.into_owned())).collect();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    Some(url)
}

/// The request that pushes what is asked to the authorization server (RFC 9126), proved by the session's key where there is one; `None` where
/// the entry of the network has no place for it, or the client can't show who it is.
pub fn pushed_request(
    oauth: &OAuth,
    client: &Client,
    ask: &AuthorizationRequest<'_>,
    bond: Option<&Arc<Bond>>,
) -> Option<NetworkRequest> {
    let asked = authorization_url(oauth, ask)?;
    let mut form = Serializer::new(String::new());
    form.extend_pairs(asked.query_pairs());
    let request = http::Request::post(oauth.pushed_url.as_ref()?).header(ACCEPT, "application/json");
    let mut request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    match (oauth.client_auth, &client.secret) {
        (ClientAuth::Basic, Some(secret)) => request = request.header(AUTHORIZATION, basic(&client.id, secret)),
        (ClientAuth::Post, Some(secret)) => drop(form.append_pair("client_secret", secret.expose())),
        _ => {}
    }
    let request = request.body(form.finish().into_bytes()).ok().map(NetworkRequest::of)?;
    signed_by(oauth, client, bond, request)
}

/// Where the browser is sent after that.
pub fn pushed_url(oauth: &OAuth, client_id: &str, request_uri: &str) -> Option<Url> {
    let mut url = Url::parse(oauth.authorize_url.as_ref()?).ok()?;
    let pairs = [(oauth.client_id_parameter.as_str(), client_id), ("request_uri", request_uri)];
    url.query_pairs_mut().extend_pairs(pairs);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::networks::Catalogue;

    fn url(network: &str, kind: &str) -> String {
        let catalogue = Catalogue::embedded();
        let oauth = catalogue.network(network).unwrap().kind(kind).unwrap().oauth.clone().unwrap();
        let (state, verifier) = (Secret::new("st".to_owned()), Secret::new("v".repeat(43)));
        let scopes = ["a.b".to_owned(), "c:d".to_owned()];
        let redirect_uri = "https://b.example/connect/callback/x";
        let ask =
            AuthorizationRequest { client_id: "id", redirect_uri, state: &state, verifier: &verifier, scopes: &scopes };
        authorization_url(&oauth, &ask).unwrap().to_string()
    }

    #[test]
    fn each_network_is_asked_in_its_own_way() {
        let back = "redirect_uri=https%3A%2F%2Fb.example%2Fconnect%2Fcallback%2Fx";
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new("v".repeat(43)));
        let pkce = format!("code_challenge={}&code_challenge_method=S256", challenge.as_str());
        let x = format!(
            "https://x.com/i/oauth2/authorize?response_type=code&client_id=id&state=st&{pkce}&{back}&scope=a.b+c%3Ad"
        );
        assert_eq!(url("x", "user"), x);
        let tiktok = format!(
            "https://www.tiktok.com/v2/auth/authorize/?response_type=code&client_key=id&state=st&{back}&scope=a.b%2Cc%3Ad"
        );
        assert_eq!(url("tiktok", "user"), tiktok);
        assert!(url("youtube", "user").ends_with("&scope=a.b+c%3Ad&access_type=offline&prompt=consent"));
        assert!(url("reddit", "user").ends_with("&duration=permanent"));
    }
}
