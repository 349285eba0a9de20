//! How accounts are connected in a browser.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use url::{Host, Url};

use super::reader::{Reader, Section, default_of};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Whether what is sent there can't be read on the way.
fn is_safe(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}

/// How accounts are connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connections {
    /// Where browsers may be sent at the end.
    pub return_urls: Vec<ReturnUrl>,
    /// How long a connect link works. 5 min to 30 d.
    pub link_lifetime: Duration,
    /// How long a person may take at the network. 1 min to 1 h.
    pub consent_lifetime: Duration,
    /// Whether the token of a person is kept where only those of pages were asked for: they can be derived anew from it.
    pub keep_user_tokens: bool,
}

impl Section for Connections {
    fn read(from: &mut Reader<'_>) -> Self {
        Self {
            return_urls: from.parsed_list("return_urls", "a list of URLs that begin with https://"),
            link_lifetime: from.span("link_lifetime", 3 * DAY, 5 * MINUTE..=30 * DAY),
            consent_lifetime: from.span("consent_lifetime", 10 * MINUTE, MINUTE..=60 * MINUTE),
            keep_user_tokens: from.switch("keep_user_tokens", true),
        }
    }
}

impl Default for Connections {
    fn default() -> Self {
        default_of()
    }
}

/// An address that browsers may be sent to; one that ends with a slash stands for all below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnUrl(Url);

impl ReturnUrl {
    /// Whether a browser may be sent to `url`.
    pub fn allows(&self, url: &Url) -> bool {
        let path = self.0.path();
        let below = url.path() == path || (path.ends_with('/') && url.path().starts_with(path));
        let plain = url.username().is_empty() && url.password().is_none();
        plain && below && url.origin() == self.0.origin()
    }
}

impl FromStr for ReturnUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        if is_safe(&url) { Ok(Self(url)) } else { Err("must begin with https://".to_owned()) }
    }
}

impl fmt::Display for ReturnUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_address_is_allowed_exactly_or_below_a_folder() {
        let cases = [
            ("https://a.example/done", "https://a.example/done?x=1", true),
            ("https://a.example/done", "https://a.example/done/more", false),
            ("https://a.example/app/", "https://a.example/app/tokens", true),
            ("https://a.example/app/", "https://a.example/app/../evil", false),
            ("https://a.example/", "https://a.example.evil/", false),
            ("https://a.example/", "http://a.example/", false),
            ("https://a.example/", "https://u:p@a.example/", false),
        ];
        for (allowed, url, expected) in cases {
            let allowed: ReturnUrl = allowed.parse().unwrap();
            assert_eq!(allowed.allows(&url.parse().unwrap()), expected, "{allowed} {url}");
        }
    }
}
