//! The request that checks a token: a call with it, or a question about it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;
use url::form_urlencoded::Serializer;

use crate::base::secret::Secret;
use crate::domain::networks::{AskedBy, ClientAuth, Introspection, Probe};
use crate::outbound::http::NetworkRequest;
use crate::outbound::oauth::request::basic;
use crate::outbound::oauth::{Bond, Client};

/// What a check shows.
pub struct ProbeCredential<'a> {
    /// The app's client.
    pub client: &'a Client,
    /// How it shows itself.
    pub client_auth: ClientAuth,
    /// The access token.
    pub access: &'a Secret,
    /// What a call with it must carry beside it.
    pub parameters: &'a BTreeMap<String, String>,
    /// What every request to the network's API carries in its head.
    pub headers: &'a BTreeMap<String, String>,
    /// The key that it is bound to, if it is.
    pub bond: Option<&'a Arc<Bond>>,
}

/// Whether the client must be known to ask.
pub fn probe_needs_client(probe: &Probe) -> bool {
    probe.introspection.as_ref().is_some_and(|introspection| introspection.asked_by != AskedBy::Anybody)
}

/// The request that checks a token of a kind that is called below `base`; `None` if it can't be made with what is here.
pub fn probe(probe: &Probe, base: &str, with: &ProbeCredential<'_>) -> Option<NetworkRequest> {
    let (method, url) = probe.method_and_url()?;
    let mut url = Url::parse(url).ok()?;
    let Some(introspection) = &probe.introspection else {
        if !with.parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(with.parameters);
        }
        let request = NetworkRequest::read_with(base, url.as_str(), with.access, with.bond)?;
        return Some(request.carrying(with.headers));
    };
    let asked = asked(introspection, with)?;
    let mut request = http::Request::builder().method(method).header(http::header::ACCEPT, "application/json");
    if introspection.asked_by == AskedBy::Client && with.client_auth == ClientAuth::Basic {
        let shown = basic(&with.client.id, with.client.secret.as_ref()?);
        request = request.header(http::header::AUTHORIZATION, shown);
    }
    let request = if method == "GET" {
        url.query_pairs_mut().extend_pairs(asked);
        request.uri(url.as_str()).body(Vec::new())
    } else {
        let form = Serializer::new(String::new()).extend_pairs(asked).finish().into_bytes();
        let form_type = "application/x-www-form-urlencoded";
        request.uri(url.as_str()).header(http::header::CONTENT_TYPE, form_type).body(form)
    };
    request.ok().map(NetworkRequest::of)
}

fn asked(introspection: &Introspection, with: &ProbeCredential<'_>) -> Option<Vec<(String, String)>> {
    let mut asked = vec![(introspection.token.clone(), with.access.expose().to_owned())];
    let client = with.client;
    match introspection.asked_by {
        AskedBy::Anybody => {}
        AskedBy::Client if with.client_auth == ClientAuth::Basic => {}
        AskedBy::Client => {
            asked.push(("client_id".to_owned(), client.id.clone()));
            asked.push(("client_secret".to_owned(), client.secret.as_ref()?.expose().to_owned()));
        }
        AskedBy::AppToken => {
            let token = format!("{}|{}", client.id, client.secret.as_ref()?.expose());
            asked.push(("access_token".to_owned(), token));
        }
    }
    Some(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::networks::Catalogue;

    #[test]
    fn each_network_is_asked_in_its_own_way() {
        let cases = [
            ("x", "user", "GET https://api.x.com/2/users/me !Bearer a/1"),
            ("threads", "user", "GET https://graph.threads.net/v1.0/me?fields=id,username !Bearer a/1"),
            (
                "facebook",
                "page",
                "GET https://graph.facebook.com/v25.0/debug_token?input_token=a%2F1&access_token=id%7Cs%2F1",
            ),
            (
                "linkedin",
                "user",
                "POST https://www.linkedin.com/oauth/v2/introspectToken #token=a%2F1&client_id=id&client_secret=s%2F1",
            ),
            ("youtube", "user", "GET https://oauth2.googleapis.com/tokeninfo?access_token=a%2F1"),
        ];
        let catalogue = Catalogue::embedded();
        let secret = |text: &str| Secret::new(text.to_owned());
        let client = Client { id: "id".to_owned(), secret: Some(secret("s/1")) };
        for (network, kind, expected) in cases {
            let kind = catalogue.network(network).unwrap().kind(kind).unwrap();
            let (access, parameters) = (secret("a/1"), BTreeMap::new());
            let client_auth = kind.oauth.as_ref().map_or(ClientAuth::Post, |oauth| oauth.client_auth);
            let headers = BTreeMap::from([("Version".to_owned(), "7".to_owned())]);
            let with = ProbeCredential {
                client: &client,
                client_auth,
                access: &access,
                parameters: &parameters,
                headers: &headers,
                bond: None,
            };
            let made = probe(kind.probe.as_ref().unwrap(), "", &with).unwrap();
            let is_call = kind.probe.as_ref().unwrap().introspection.is_none();
            assert_eq!(made.written().headers().get("version").is_some(), is_call, "{expected}");
            assert_eq!(made.shown(), expected);
        }
    }
}
