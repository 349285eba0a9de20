//! The small sections: store, HTTP listener, catalogue, calls to the outside, metrics.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::AddressRange;
use super::reader::{Reader, Section, default_of};

/// Where the state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The directory of the embedded store; it is made if it does not exist. Must be on a local file system.
    pub dir: PathBuf,
    /// Connections that read. 1 to 64.
    pub readers: usize,
    /// Commands that may wait for the writer before callers are told that the broker is busy. 64 to 1,048,576.
    pub write_queue: usize,
}

impl Section for Store {
    fn read(from: &mut Reader<'_>) -> Self {
        Self {
            dir: from.path("dir", "./token-broker-data"),
            readers: from.count("readers", 4, 1..=64),
            write_queue: from.count("write_queue", 8192, 64..=1 << 20),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        default_of()
    }
}

/// How long what is over is kept. 1 day to 10 years each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Leases that were closed.
    pub leases: Duration,
    /// Audit events.
    pub audit: Duration,
    /// The usage ledger's days.
    pub usage: Duration,
    /// Messages that were sent.
    pub messages: Duration,
    /// Alerts that were cleared, incidents that are over, and notices. One of what still lasts is kept until that is over.
    pub alerts: Duration,
    /// Connections that have ended.
    pub connections: Duration,
}

impl Section for Keep {
    fn read(from: &mut Reader<'_>) -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        const LONGEST: Duration = Duration::from_secs(315_576_000);
        let mut days = |key, default| from.span(key, DAY * default, DAY..=LONGEST);
        Self {
            leases: days("leases", 7),
            audit: days("audit", 400),
            usage: days("usage", 400),
            messages: days("messages", 7),
            alerts: days("alerts", 365),
            connections: days("connections", 30),
        }
    }
}

impl Default for Keep {
    fn default() -> Self {
        default_of()
    }
}

/// The listener for metrics, probes and the pages on which people connect accounts. It takes commands of browsers that hold a connect link only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Connections at once: an open browser holds one for what it hears, and up to six for some seconds after it loaded a page. 1 to 65,536.
    pub max_connections: usize,
    /// In which a request's headers must arrive. 1 s to 1 min.
    pub header_timeout: Duration,
    /// Where people reach the pages for members, as links name it; `None`: no pages are served. An origin: scheme, host and port, without a
    /// path.
    pub public_url: Option<Url>,
    /// The proxies whose `X-Forwarded-For` is believed; of anybody else it is not.
    pub trusted_proxies: Vec<AddressRange>,
}

impl Http {
    /// A link to a page, by its path; the path alone where no pages are served.
    pub fn link(&self, path: &str) -> String {
        let origin = self.public_url.as_ref().map(|url| url.origin().ascii_serialization());
        format!("{}{path}", origin.unwrap_or_default())
    }
}

impl Section for Http {
    fn read(from: &mut Reader<'_>) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 7071));
        Self {
            listen: from.parsed("listen", listen, "an address and a port such as \"127.0.0.1:7071\""),
            max_connections: from.count("max_connections", 1_024, 1..=65_536),
            header_timeout: from.span(
                "header_timeout",
                Duration::from_secs(5),
                Duration::from_secs(1)..=Duration::from_secs(60),
            ),
            public_url: from.optional_origin("public_url"),
            trusted_proxies: from
                .parsed_list("trusted_proxies", "a list of addresses, or of ranges such as 10.0.0.0/8"),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        default_of()
    }
}

/// Networks beside the embedded ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    /// A directory of TOML files, one per network, that replace or extend the embedded ones.
    pub dir: Option<PathBuf>,
}

impl Section for Catalogue {
    fn read(from: &mut Reader<'_>) -> Self {
        Self { dir: from.optional_path("dir") }
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        default_of()
    }
}

/// Who is believed to be the one that is called: networks, sign-in services, receivers of webhooks and chats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// Authorities of certificates, in PEM, that are trusted beside those of the machine.
    pub ca_file: Option<PathBuf>,
}

impl Section for Outbound {
    fn read(from: &mut Reader<'_>) -> Self {
        Self { ca_file: from.optional_path("ca_file") }
    }
}

impl Default for Outbound {
    fn default() -> Self {
        default_of()
    }
}

/// The bounds of the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Teams that get series of their own; the others share the label `_other`. 1 to 10,000.
    pub max_teams: usize,
}

impl Section for Metrics {
    fn read(from: &mut Reader<'_>) -> Self {
        Self { max_teams: from.count("max_teams", 200, 1..=10_000) }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        default_of()
    }
}
