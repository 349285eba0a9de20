//! Which operators are told.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use super::reader::{Reader, Section, default_of};
use super::tree::Node;
use super::values::{self, Problem};

/// Which operators are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerts {
    /// In which a receiver must answer. 1 s to 1 min.
    pub timeout: Duration,
    /// How long a message is tried again before it is given up. 1 min to 30 d.
    pub retry_for: Duration,
    /// Hosts in the broker's own network that members may name as targets, also over plain http. All others must be public.
    pub private_hosts: Vec<PrivateHost>,
    /// Receivers of signed messages (Standard Webhooks).
    pub webhooks: Vec<Webhook>,
    /// Receivers of mails.
    pub mails: Vec<MailTo>,
}

/// A host that may be a target though it is not public: as a URL has it, in lower case, with its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateHost {
    host: String,
    port: u16,
}

impl FromStr for PrivateHost {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "must be a host and its port, such as chat.internal:443";
        let (_, port) = text.rsplit_once(':').ok_or(expected)?;
        let port = port.parse().map_err(|_| expected)?;
        // Brought into the form that it has in a URL.
        let url: Url = format!("https://{text}/").parse().map_err(|_| expected)?;
        let is_host_alone = url.username().is_empty() && url.password().is_none() && url.path() == "/";
        let host = url.host_str().filter(|_| is_host_alone && url.query().is_none()).ok_or(expected)?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl PrivateHost {
    /// Whether a URL leads there.
    pub fn is_of(&self, url: &Url) -> bool {
        url.host_str() == Some(&*self.host) && url.port_or_known_default() == Some(self.port)
    }
}

/// What operators hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// What operators look after: loads, missing tokens, incidents, and secrets that were damaged in the store.
    Alerts,
    /// Everything, single tokens too.
    All,
}

/// A receiver of mails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailTo {
    /// Its address.
    pub address: String,
    /// What it hears of.
    pub events: Heard,
}

/// A receiver of signed messages.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where messages are posted. May hold a secret in its path: `Debug` shows the host only.
    pub url: Url,
    /// The file that holds the signing secret (`whsec_…`).
    pub secret_file: PathBuf,
    /// Whether the address may be a private one, or the connection unencrypted.
    pub allow_private: bool,
    /// What it hears of.
    pub events: Heard,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        f.debug_struct("Webhook")
            .field("host", &host)
            .field("secret_file", &self.secret_file)
            .field("allow_private", &self.allow_private)
            .field("events", &self.events)
            .finish()
    }
}

impl Section for Alerts {
    fn read(from: &mut Reader<'_>) -> Self {
        let minute = Duration::from_secs(60);
        let webhooks: Vec<Option<Webhook>> = from.sections("webhooks");
        let mails: Vec<Option<MailTo>> = from.sections("mails");
        Self {
            timeout: from.span("timeout", Duration::from_secs(10), Duration::from_secs(1)..=minute),
            retry_for: from.span("retry_for", minute * 4320, minute..=minute * 43_200),
            private_hosts: from.parsed_list("private_hosts", "a list of hosts with their ports"),
            webhooks: webhooks.into_iter().flatten().collect(),
            mails: mails.into_iter().flatten().collect(),
        }
    }
}

impl Section for Option<Webhook> {
    fn read(from: &mut Reader<'_>) -> Self {
        let allow_private = from.switch("allow_private", false);
        let url = from.required("url", "a URL that begins with https://", |node| webhook_url(node, allow_private));
        let secret_file = from.required("secret_file", "a path", |node| match values::text(node)?.as_str() {
            "" => Err("is blank; set it to the file that holds the signing secret".to_owned()),
            path => Ok(PathBuf::from(path)),
        });
        let events = heard(from);
        Some(Webhook { url: url?, secret_file: secret_file?, allow_private, events })
    }
}

impl Section for Option<MailTo> {
    fn read(from: &mut Reader<'_>) -> Self {
        let address = from.required("address", "a mail address", |node| {
            let text = values::text(node)?;
            let is_one = text.matches('@').count() == 1 && !text.chars().any(|c| c.is_control() || c.is_whitespace());
            if is_one { Ok(text) } else { Err("must be one mail address such as \"ops@example.com\"".to_owned()) }
        });
        let events = heard(from);
        Some(MailTo { address: address?, events })
    }
}

fn heard(from: &mut Reader<'_>) -> Heard {
    from.word("events", Heard::Alerts, &[("alerts", Heard::Alerts), ("all", Heard::All)])
}

impl Default for Alerts {
    fn default() -> Self {
        default_of()
    }
}

fn webhook_url(node: &Node, allow_private: bool) -> Result<Url, Problem> {
    let url: Url = values::parsed(node, "a URL that begins with https://")?;
    let scheme_fits = url.scheme() == "https" || (url.scheme() == "http" && allow_private);
    if !scheme_fits || !url.has_host() {
        return Err("must begin with https:// (http:// only with allow_private = true)".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or a password; messages are signed with the secret in secret_file".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_host_is_one_host_at_one_port() {
        let is_of = |host: &str, url: &str| host.parse::<PrivateHost>().unwrap().is_of(&url.parse().unwrap());
        assert!(is_of("Chat.Internal:443", "https://chat.internal/hooks/a"));
        assert!(is_of("10.0.0.7:8080", "http://10.0.0.7:8080/"));
        assert!(is_of("[fd00::1]:443", "https://[fd00::1]/"));
        for url in ["http://chat.internal/", "https://chat.internal:444/", "https://a.chat.internal/"] {
            assert!(!is_of("chat.internal:443", url), "{url}");
        }
        for bad in
            ["chat.internal", "chat.internal:", "a b:443", "user@chat.internal:443", "chat.internal/a:443", ":443"]
        {
            assert!(bad.parse::<PrivateHost>().is_err(), "{bad}");
        }
    }
}
