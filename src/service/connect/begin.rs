//! A browser comes with a connect link, and is sent to the network, which may want to be told before what is asked.

use url::Url;

use crate::base::ids::ConnectionId;
use crate::base::secret::Secret;
use crate::domain::connection::{Connection, StageError, consent_of, scopes_to_ask};
use crate::domain::consent;
use crate::domain::networks::{Answer, ErrorClass, Network, classify_renewal, read_pushed_reply};
use crate::outbound::http::{NetworkAnswer, NetworkRequest};
use crate::outbound::oauth::{AuthorizationRequest, Bond, Client, authorization_url, pushed_request, pushed_url};
use crate::service::connect::visitor::must_be_granter;
use crate::service::connect::waiting::Waiting;
use crate::service::connect::{ConnectError, Mark, Visitor, random_text};
use crate::service::{Broker, Caller};
use crate::store::StoredConnection;

/// What a browser shows to be let on.
#[derive(Debug, Clone, Copy)]
pub enum Offer<'a> {
    /// A connect link's own part.
    Link(&'a str),
    /// The connection that it is bound to.
    Bound(ConnectionId),
}

/// Where a browser is sent.
pub struct SentAway {
    /// The network's address.
    pub url: Url,
    /// The network, for people.
    pub network: String,
    /// What the browser is known by from now on.
    pub browser: Secret,
}

impl Broker {
    /// The connection that a browser may be sent on for. A link that was used leads on in the browser that used it.
    pub async fn offered_connection(&self, offer: Offer<'_>, visitor: &Visitor) -> Result<Connection, ConnectError> {
        Ok(self.offered(offer, visitor).await?.connection)
    }

    async fn offered(&self, offer: Offer<'_>, visitor: &Visitor) -> Result<StoredConnection, ConnectError> {
        let stored = match offer {
            Offer::Bound(id) => return self.connection_in(id, visitor).await,
            Offer::Link(link) => self.store.connection_of_link(self.mark_hash(Mark::Link, link)).await?,
        };
        let stored = stored.ok_or(ConnectError::UnknownLink)?;
        let is_free = stored.browser_hash.is_none();
        if !is_free && !self.is_bound(&stored, visitor) {
            return Err(ConnectError::ForeignBrowser);
        }
        must_be_granter(&stored, visitor)?;
        if !stored.connection.stage.is_end() {
            self.must_not_have_left(&stored.connection).await?;
        }
        Ok(stored)
    }

    /// Binds the connection to the browser and to who is signed in there, and says where it is to go. `text_version`: the text that was shown
    /// and agreed to. Can't be cancelled by the browser.
    pub async fn begin_connection(
        &self,
        offer: Offer<'_>,
        visitor: &Visitor,
        text_version: &str,
    ) -> Result<SentAway, ConnectError> {
        let stored = self.offered(offer, visitor).await?;
        if text_version != consent::NEWEST {
            return Err(ConnectError::OldText);
        }
        let now = self.now();
        let until = (now + self.config.connections.consent_lifetime).min(stored.connection.ends_at);
        let connection =
            stored.connection.clone().ask(now, until, text_version, visitor.member_for(&stored.connection))?;
        let browser = match &visitor.browser {
            Some(known) => Secret::new(known.expose().to_owned()),
            None => random_text()?,
        };
        let (broker, caller, id) = (self.clone(), visitor.caller(), connection.id);
        let sent = self.finish(async move { broker.send_away(&caller, &stored, connection, browser).await }).await;
        sent.unwrap_or(Err(ConnectError::Contended(id)))
    }

    async fn send_away(
        &self,
        caller: &Caller,
        stored: &StoredConnection,
        connection: Connection,
        browser: Secret,
    ) -> Result<SentAway, ConnectError> {
        let state = random_text()?;
        let (url, waiting) = self.consent_url(&connection, &state).await?;
        let network = self.catalogue.network(connection.network.as_str());
        let network = network.map(|network| network.display_name.clone()).unwrap_or_default();
        self.ensure_data_key(&connection.team).await?;
        let next = StoredConnection {
            browser_hash: Some(self.mark_hash(Mark::Browser, browser.expose())),
            state_hash: Some(self.mark_hash(Mark::State, state.expose())),
            sealed: Some(self.seal_for(&connection, &waiting.text())?),
            connection,
            ..stored.clone()
        };
        let gives_back = self.given_back(stored);
        self.step(caller, "connection.ask", next, gives_back).await?;
        Ok(SentAway { url, network, browser })
    }

    /// Where the browser is to go, and what waits for its return.
    async fn consent_url(&self, connection: &Connection, state: &Secret) -> Result<(Url, Waiting), ConnectError> {
        let Connection { network, kind, app, purposes, scopes, .. } = connection;
        let gone = || ConnectError::Stage(StageError::Ended("its network left the catalogue"));
        let found = self.catalogue.network(network.as_str()).ok_or_else(gone)?;
        let kind = found.kind(kind.as_str()).ok_or_else(gone)?;
        let no = |why| ConnectError::NotConnectable { network: network.clone(), kind: kind.id.clone(), why };
        let (granted, oauth) = consent_of(found, kind).map_err(no)?;
        let (id, secret) = self.client_of(network, app)?;
        let client = Client { id, secret };
        let bond = if granted.is_bound() { Some(Bond::make()?) } else { None };
        let waiting = Waiting { verifier: random_text()?, bond };
        let ask = AuthorizationRequest {
            client_id: &client.id,
            redirect_uri: &self.redirect_uri(network)?,
            state,
            verifier: &waiting.verifier,
            scopes: &scopes_to_ask(found, granted, kind, *purposes, scopes),
        };
        let url = match &oauth.pushed_url {
            None => authorization_url(oauth, &ask),
            Some(_) => {
                let request = pushed_request(oauth, &client, &ask, waiting.bond.as_ref());
                let request =
                    request.ok_or_else(|| ConnectError::NoClientKey { network: network.clone(), app: app.clone() })?;
                pushed_url(oauth, &client.id, &self.push(found, &request).await?)
            }
        };
        Ok((url.ok_or_else(gone)?, waiting))
    }

    /// Tells a network what is asked; by what name it knows it from then on.
    async fn push(&self, network: &Network, request: &NetworkRequest) -> Result<String, ConnectError> {
        let refused = |why: String| ConnectError::NotPushed { network: network.display_name.clone(), why };
        let answer = self.renewals.network().ask(request).await;
        let NetworkAnswer { status, headers, body } = answer.map_err(|error| refused(error.to_string()))?;
        if (200..300).contains(&status) {
            return read_pushed_reply(&body).ok_or_else(|| refused("its answer can't be read".to_owned()));
        }
        let said = classify_renewal(network, &Answer { status, headers: &headers, body: &body });
        tracing::warn!(network = %network.id, status, class = ?said.class, "a network did not take a pushed authorization request");
        Err(match said.class {
            ErrorClass::Transient | ErrorClass::RetryWithNonce => refused(format!("it answered {status}")),
            _ => ConnectError::PushRefused { network: network.display_name.clone(), status },
        })
    }
}
