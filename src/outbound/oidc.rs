//! An OpenID Connect provider: where browsers are sent to sign in, and whose the codes are that they bring back.
//!
//! Code flow with PKCE. An id_token is believed if a key of the provider signed it (never `none`, never the client's secret), for us, for this
//! sign-in (nonce), and its time is not over; the crate checks that. What the provider says of itself is read anew every ten minutes, and
//! once more where no known key fits.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier,
    CoreJwsSigningAlgorithm as Alg, CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::{
    AccessToken, AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
};
use url::Url;

use super::http::{NetworkClient, NetworkRequest, NoAnswer};
use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::config::Oidc;

/// How long what the provider says of itself is believed.
const BELIEVED: Duration = Duration::from_secs(600);

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// A provider.
pub struct OidcProvider {
    settings: Oidc,
    known: Mutex<Option<(Timestamp, Arc<CoreProviderMetadata>)>>,
}

/// One sign-in at the provider.
pub struct OidcTry<'a> {
    /// Where the provider sends the browser back to.
    pub redirect_uri: &'a str,
    /// What the id_token must repeat.
    pub nonce: &'a Secret,
    /// What the challenge is made of.
    pub verifier: &'a Secret,
}

/// Who signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcPerson {
    /// The provider's id of the person. It never changes.
    pub subject: String,
    /// The mail address, as the provider has it.
    pub mail: Option<String>,
    /// Whether the provider says that the address is the person's.
    pub is_verified: bool,
    /// The name; may be empty.
    pub name: String,
    /// When the person last showed the provider who it is; `None`: the provider does not say.
    pub authenticated_at: Option<Timestamp>,
}

/// Why nobody is known to have signed in. None shows a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// The provider does not answer, or not as it should.
    #[error("the sign-in service can't be used now ({0}); try again shortly, or sign in with your password")]
    Unreachable(String),
    /// The client's secret can't be read, or a setting can't be used.
    #[error("signing in by the sign-in service is not set up properly ({0}); tell an operator")]
    Misconfigured(String),
    /// What it says of the person is not believed.
    #[error(
        "what the sign-in service says of you can't be believed ({0}); sign in again, and if it stays so, tell an operator"
    )]
    NotBelieved(String),
}

impl OidcProvider {
    /// The provider of these settings.
    pub fn new(settings: Oidc) -> Self {
        Self { settings, known: Mutex::default() }
    }

    /// What the provider calls itself, as it was set.
    pub fn issuer(&self) -> &str {
        self.settings.issuer.as_str()
    }

    /// Where a browser is sent to sign in. `max_age`: how long ago the person may have shown the provider who it is; `None`: as the provider
    /// has it.
    pub async fn sign_in_url(
        &self,
        http: &dyn NetworkClient,
        now: Timestamp,
        state: &Secret,
        max_age: Option<Duration>,
        of: &OidcTry<'_>,
    ) -> Result<Url, OidcError> {
        let metadata = self.metadata(http, now, false).await?;
        let (state, nonce) = (state.expose().to_owned(), of.nonce.expose().to_owned());
        let challenge =
            PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(of.verifier.expose().to_owned()));
        let client = self.client(&metadata, of.redirect_uri).await?;
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let request = client.authorize_url(flow, move || CsrfToken::new(state), move || Nonce::new(nonce));
        let scopes = ["email", "profile"].map(|scope| Scope::new(scope.to_owned()));
        let request = request.add_scopes(scopes).set_pkce_challenge(challenge);
        let request = match max_age {
            Some(age) => request.set_max_age(age),
            None => request,
        };
        Ok(request.url().0)
    }

    /// Redeems a code; who signed in.
    pub async fn redeem(
        &self,
        http: &dyn NetworkClient,
        now: Timestamp,
        code: &Secret,
        of: &OidcTry<'_>,
    ) -> Result<OidcPerson, OidcError> {
        let metadata = self.metadata(http, now, false).await?;
        let client = self.client(&metadata, of.redirect_uri).await?;
        let request = client.exchange_code(AuthorizationCode::new(code.expose().to_owned()));
        let request = request.map_err(|error| OidcError::Misconfigured(error.to_string()))?;
        let request = request.set_pkce_verifier(PkceCodeVerifier::new(of.verifier.expose().to_owned()));
        let sent = Over(http);
        // Its errors may hold the answer's text.
        let reply = request.request_async(&sent).await;
        let reply = reply.map_err(|_| OidcError::Unreachable("it did not take the code".to_owned()))?;
        let token = reply.id_token().ok_or_else(|| OidcError::NotBelieved("there is no id_token".to_owned()))?;
        let claims = match claims(token, client.id_token_verifier(), of.nonce) {
            Ok(claims) => claims.clone(),
            // Its keys may have changed meanwhile.
            Err(_) => {
                let metadata = self.metadata(http, now, true).await?;
                let client = self.client(&metadata, of.redirect_uri).await?;
                claims(token, client.id_token_verifier(), of.nonce)?.clone()
            }
        };
        let told = match claims.email() {
            Some(_) => None,
            None => self.user_info(&client, &sent, reply.access_token().clone(), &claims).await,
        };
        Ok(person(&claims, told.as_ref()))
    }

    /// What the provider tells of the person only where it is asked; `None`: it tells nothing.
    async fn user_info(
        &self,
        client: &Client,
        sent: &Over<'_>,
        access: AccessToken,
        claims: &CoreIdTokenClaims,
    ) -> Option<CoreUserInfoClaims> {
        let request = client.user_info(access, Some(claims.subject().clone())).ok()?;
        request.request_async(sent).await.ok()
    }

    async fn client(&self, metadata: &CoreProviderMetadata, redirect_uri: &str) -> Result<Client, OidcError> {
        let path = &self.settings.client_secret_file;
        let secret = tokio::fs::read_to_string(path).await;
        let secret = secret.map_err(|error| OidcError::Misconfigured(format!("{}: {error}", path.display())))?;
        let secret = ClientSecret::new(secret.trim_end().to_owned());
        let redirect = RedirectUrl::new(redirect_uri.to_owned());
        let redirect = redirect.map_err(|error| OidcError::Misconfigured(error.to_string()))?;
        let methods = metadata.token_endpoint_auth_methods_supported();
        let basic = methods.is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let id = ClientId::new(self.settings.client_id.clone());
        let client = CoreClient::from_provider_metadata(metadata.clone(), id, Some(secret)).set_redirect_uri(redirect);
        Ok(client.set_auth_type(if basic { AuthType::BasicAuth } else { AuthType::RequestBody }))
    }

    async fn metadata(
        &self,
        http: &dyn NetworkClient,
        now: Timestamp,
        anew: bool,
    ) -> Result<Arc<CoreProviderMetadata>, OidcError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((read_at, metadata)) = known
            && !anew
            && now.since(read_at) < BELIEVED
        {
            return Ok(metadata);
        }
        let issuer = IssuerUrl::new(self.issuer().to_owned());
        let issuer = issuer.map_err(|error| OidcError::Misconfigured(error.to_string()))?;
        let found = CoreProviderMetadata::discover_async(issuer, &Over(http)).await;
        let found = Arc::new(found.map_err(|error| {
            OidcError::Unreachable(match error {
                openidconnect::DiscoveryError::Request(error) => error.to_string(),
                openidconnect::DiscoveryError::Validation(_) => "it is another issuer than was set".to_owned(),
                _ => "it does not describe itself".to_owned(),
            })
        })?);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, found.clone()));
        Ok(found)
    }
}

/// The claims of an id_token that is believed.
fn claims<'t>(
    token: &'t CoreIdToken,
    verifier: CoreIdTokenVerifier<'_>,
    nonce: &Secret,
) -> Result<&'t CoreIdTokenClaims, OidcError> {
    let signed: HashSet<Alg> = HashSet::from([
        Alg::RsaSsaPkcs1V15Sha256,
        Alg::RsaSsaPkcs1V15Sha384,
        Alg::RsaSsaPkcs1V15Sha512,
        Alg::RsaSsaPssSha256,
        Alg::RsaSsaPssSha384,
        Alg::RsaSsaPssSha512,
        Alg::EcdsaP256Sha256,
        Alg::EcdsaP384Sha384,
        Alg::EdDsa,
    ]);
    let verifier = verifier.set_allowed_algs(signed);
    let believed = token.claims(&verifier, &Nonce::new(nonce.expose().to_owned()));
    believed.map_err(|error| {
        use openidconnect::ClaimsVerificationError as Why;
        let why = match error {
            Why::Expired(_) => "its time is over",
            Why::InvalidAudience(_) => "it is not for this service",
            Why::InvalidIssuer(_) => "it comes from somebody else",
            Why::InvalidNonce(_) => "it belongs to another sign-in",
            Why::SignatureVerification(_) => "nobody known signed it",
            _ => "it is not as it should be",
        };
        OidcError::NotBelieved(why.to_owned())
    })
}

fn person(claims: &CoreIdTokenClaims, told: Option<&CoreUserInfoClaims>) -> OidcPerson {
    let mail = claims.email().or_else(|| told.and_then(CoreUserInfoClaims::email));
    let verified = claims.email_verified().or_else(|| told.and_then(CoreUserInfoClaims::email_verified));
    let name = claims.name().or_else(|| told.and_then(CoreUserInfoClaims::name)).and_then(|name| name.get(None));
    OidcPerson {
        subject: claims.subject().to_string(),
        mail: mail.map(|mail| mail.to_string()),
        is_verified: verified == Some(true),
        name: name.map(|name| name.to_string()).unwrap_or_default(),
        authenticated_at: claims.auth_time().map(|at| Timestamp::from_secs(at.timestamp())),
    }
}

/// The crate's requests, over our own client.
struct Over<'h>(&'h dyn NetworkClient);

impl<'c> AsyncHttpClient<'c> for Over<'_> {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let answer = self.0.ask(&NetworkRequest::of(request)).await?;
            let mut response = http::Response::builder().status(answer.status);
            for (name, value) in &answer.headers {
                response = response.header(name, value);
            }
            response.body(answer.body.to_vec()).map_err(|_| NoAnswer::Lost)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::http::{FakeClient, NetworkAnswer};

    /// A provider that was set as `set`, and that calls itself `says`.
    async fn sent_to(set: &str, says: &str) -> Result<Url, OidcError> {
        let folder = tempfile::tempdir().unwrap();
        let client_secret_file = folder.path().join("secret");
        std::fs::write(&client_secret_file, "secret").unwrap();
        let provider = OidcProvider::new(Oidc {
            issuer: set.parse().unwrap(),
            client_id: "token-broker".to_owned(),
            client_secret_file,
            name: "Acme".to_owned(),
        });
        let described = serde_json::json!({
            "issuer": says,
            "authorization_endpoint": "https://id.example/authorize",
            "token_endpoint": "https://id.example/token",
            "jwks_uri": "https://id.example/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        });
        let http = FakeClient::default();
        for body in [described.to_string(), r#"{"keys":[]}"#.to_owned()] {
            let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
            http.answer_next(Ok(NetworkAnswer { status: 200, headers, body: body.into_bytes().into() }));
        }
        let secrets = ["state", "nonce", "verifier"].map(|text| Secret::new(text.repeat(12)));
        let of = OidcTry { redirect_uri: "https://tokens.example/back", nonce: &secrets[1], verifier: &secrets[2] };
        provider.sign_in_url(&http, Timestamp::EPOCH, &secrets[0], None, &of).await
    }

    #[tokio::test]
    async fn an_issuer_is_compared_letter_by_letter() {
        for issuer in ["https://id.example/", "https://id.example", "https://id.example/realms/acme/"] {
            assert!(sent_to(issuer, issuer).await.is_ok(), "{issuer}");
        }
        let other = sent_to("https://id.example", "https://id.example/").await;
        assert!(matches!(other, Err(OidcError::Unreachable(_))), "{other:?}");
    }
}
