//! The mail server, and who mails are from.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::{Reader, Section, default_of};

/// The mail server, and who mails are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The server's host; blank: no mail is sent.
    pub host: String,
    /// Its port. 1 to 65,535.
    pub port: u16,
    /// How it is spoken to.
    pub security: MailSecurity,
    /// The authority of its certificate, in the place of the machine's own.
    pub ca_file: Option<PathBuf>,
    /// The user to sign in as; blank: nobody.
    pub username: String,
    /// The file that holds the user's password.
    pub password_file: Option<PathBuf>,
    /// Who mails are from.
    pub from: String,
    /// Where answers go; blank: to `from`.
    pub reply_to: String,
    /// How long the server may be silent. 1 s to 5 min.
    pub timeout: Duration,
    /// Connections at once. 1 to 64.
    pub connections: usize,
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailSecurity {
    /// STARTTLS, which must succeed.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// None.
    Plain,
}

impl Mail {
    /// Whether mail is sent at all.
    pub const fn is_on(&self) -> bool {
        !self.host.is_empty()
    }

    /// Whether the server is on this very machine.
    pub fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl Section for Mail {
    fn read(from: &mut Reader<'_>) -> Self {
        let security =
            [("starttls", MailSecurity::StartTls), ("tls", MailSecurity::Tls), ("none", MailSecurity::Plain)];
        let mut text = |key| from.parsed(key, String::new(), "a text");
        let (host, username, sender, reply_to) = (text("host"), text("username"), text("from"), text("reply_to"));
        Self {
            host,
            port: u16::try_from(from.count("port", 587, 1..=65_535)).unwrap_or(587),
            security: from.word("security", MailSecurity::StartTls, &security),
            ca_file: from.optional_path("ca_file"),
            username,
            password_file: from.optional_path("password_file"),
            from: sender,
            reply_to,
            timeout: from.span("timeout", Duration::from_secs(30), Duration::from_secs(1)..=Duration::from_secs(300)),
            connections: from.count("connections", 4, 1..=64),
        }
    }
}

impl Default for Mail {
    fn default() -> Self {
        default_of()
    }
}
