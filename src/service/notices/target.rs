//! URLs that members name to be posted to: of destinations and of browsers.

use std::net::IpAddr;

use url::{Host, Url};

use crate::config::PrivateHost;
use crate::outbound::address::is_public;
use crate::outbound::post::{DeliveryError, checked_url};

/// The ports that members may have posted to: those of web servers with TLS. Others of a host may be of services that must not be spoken to.
const PORTS: [u16; 2] = [443, 8443];

/// Whether a URL leads to a host that operators let members name though it is not public, or at another port.
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
    if let Some(address) = address.filter(|address| !let_in && !is_public(*address)) {
        return Err(DeliveryError::Address(address));
    }
    match url.port_or_known_default().filter(|port| !let_in && !PORTS.contains(port)) {
        Some(port) => Err(DeliveryError::Port(port)),
        None => Ok(url.host_str().unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_host_is_posted_to_at_the_ports_of_web_servers() {
        let of = |text: &str| checked_target(text, &["smtp.example.com:25".parse().unwrap()]);
        for good in ["https://hooks.example.com/a", "https://hooks.example.com:8443/a", "https://smtp.example.com:25/"]
        {
            assert!(of(good).is_ok(), "{good}");
        }
        for (bad, port) in [("https://hooks.example.com:22/", 22), ("https://smtp.example.com:6379/", 6379)] {
            let error = of(bad).unwrap_err();
            assert!(matches!(error, DeliveryError::Port(found) if found == port), "{bad}: {error}");
            assert!(error.to_string().contains("443 and 8443"));
        }
    }
}
