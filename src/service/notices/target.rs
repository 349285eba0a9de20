//! URLs that members name to be posted to: of destinations and of browsers.

use std::net::IpAddr;

use url::{Host, Url};

use crate::config::PrivateHost;
use crate::outbound::address::is_public;
use crate::outbound::post::{DeliveryError, checked_url};

/// Whether a URL leads to a host that operators let members name though it is not public.
pub(super) fn is_let_in(hosts: &[PrivateHost], url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| hosts.iter().any(|host| host.is_of(&url)))
}

/// The host of a URL that members named, if it can be posted to. What a name resolves to is looked at with each message.
pub(super) fn checked_target(text: &str, hosts: &[PrivateHost]) -> Result<String, DeliveryError> {
    let let_in = is_let_in(hosts, text);
    let url = checked_url(text, let_in)?;
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::from(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::from(address)),
        Some(Host::Domain(_)) | None => None,
    };
    match address.filter(|address| !let_in && !is_public(*address)) {
        Some(address) => Err(DeliveryError::Address(address)),
        None => Ok(url.host_str().unwrap_or_default().to_owned()),
    }
}
