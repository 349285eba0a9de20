//! What the broker tells of an app that shows who it is by a key: the document at its client id, which networks read.

use serde_json::Value;

use crate::domain::connection::consent_of;
use crate::outbound::oauth::ClientMetadata;
use crate::service::Broker;
use crate::service::connect::ConnectError;

/// Where the document of an app is, below the broker's address.
pub(super) fn path(network: &str, app: &str) -> String {
    format!("/oauth/clients/{network}/{app}")
}

impl Broker {
    /// The document of an app; `None`: there is no such app, or it has no key.
    pub fn client_metadata(&self, network: &str, app: &str) -> Result<Option<Value>, ConnectError> {
        let named = network.parse().ok().zip(app.parse().ok());
        let found = named
            .and_then(|(id, app)| Some((self.catalogue.network(network)?.clone(), self.directory.app(&id, &app)?)));
        let Some((network, stored)) = found.filter(|(network, _)| network.takes_client_keys()) else { return Ok(None) };
        let app = &stored.app;
        let (client_id, Some(key)) = self.client_of(&network.id, &app.id)? else { return Ok(None) };
        let metadata = ClientMetadata {
            client_id: &client_id,
            name: if app.display_name.is_empty() { "token-broker" } else { &app.display_name },
            home: &self.page_url("")?,
            redirect_uri: &self.redirect_uri(&network.id)?,
            key: &key,
        };
        let granted = network.kinds.iter().filter(|kind| consent_of(&network, kind).is_ok());
        let document = metadata.document(granted);
        Ok(document.inspect_err(|error| tracing::error!(app = %app.id, %error, "the key of an app can't be read")).ok())
    }
}
