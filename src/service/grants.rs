//! Which tokens hang on one grant of a person. A network knows the consent by the client id that it was given to, and not by what the broker
//! calls the network and the app: Facebook and Instagram, where the login is Facebook's, are one grant there.

use crate::base::ids::{AppId, KindId, NetworkId};
use crate::domain::connection::consent_of;
use crate::domain::networks::{Network, TokenKind};
use crate::service::Broker;
use crate::store::GrantPart;

impl Broker {
    /// Where the tokens are that hang on the same grants as those of an app; of `kind` alone, if one is named. First the app's own, of any
    /// kind, then those of other apps with its client id whose consent is given at the same endpoint.
    pub(super) fn grant_parts(&self, network: &NetworkId, app: &AppId, kind: Option<&KindId>) -> Vec<GrantPart> {
        let mut parts = vec![GrantPart { network: network.clone(), app: app.clone(), kind: None }];
        let own = self.directory.app(network, app).map(|stored| stored.app.client_id.clone());
        let Some(client_id) = own.filter(|id| !id.is_empty()) else { return parts };
        let Some(found) = self.catalogue.network(network.as_str()) else { return parts };
        let asked = found.kinds.iter().filter(|one| kind.is_none_or(|kind| one.id == *kind));
        let endpoints: Vec<&str> = asked.filter_map(|one| endpoint_of(found, one)).collect();
        for stored in self.directory.apps() {
            let other = &stored.app;
            if (&other.network, &other.id) == (network, app) || other.client_id != client_id {
                continue;
            }
            let Some(of) = self.catalogue.network(other.network.as_str()) else { continue };
            let same = of.kinds.iter().filter(|one| endpoint_of(of, one).is_some_and(|url| endpoints.contains(&url)));
            parts.extend(same.map(|one| GrantPart {
                network: other.network.clone(),
                app: other.id.clone(),
                kind: Some(one.id.clone()),
            }));
        }
        parts
    }
}

/// Whether tokens of `kind` of an app hang on the grants of these parts.
pub(super) fn is_part(parts: &[GrantPart], network: &NetworkId, app: &AppId, kind: &KindId) -> bool {
    let fits = |part: &GrantPart| {
        part.network == *network && part.app == *app && part.kind.as_ref().is_none_or(|own| own == kind)
    };
    parts.iter().any(fits)
}

/// Where the consent is redeemed by which a token of that kind comes.
fn endpoint_of<'n>(network: &'n Network, kind: &'n TokenKind) -> Option<&'n str> {
    consent_of(network, kind).ok().map(|(_, oauth)| oauth.token_url.as_str())
}
