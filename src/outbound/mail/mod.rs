//! Mail: one message to one address, handed to a mail server.
//!
//! Connections are kept and shared. A server is spoken to over TLS, but for one on this machine. An error tells what the server
//! answered by its code, and whether another attempt may end better: a server that is down or refuses our password is set right by an operator, an
//! address that it does not know by nobody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use crate::base::clock::Timestamp;
use crate::base::secret::Secret;
use crate::domain::member::MailAddress;

/// A mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Its id, the same for each attempt, by which a receiver knows a repetition.
    pub id: String,
    /// Where to: one address.
    pub to: String,
    /// When it was made.
    pub at: Timestamp,
    /// What stands above it.
    pub subject: String,
    /// As plain text.
    pub text: String,
    /// As HTML.
    pub html: String,
    /// Where a person chooses what to hear.
    pub settings: Option<String>,
}

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS by STARTTLS, which must succeed.
    StartTls,
    /// None: a server on this machine.
    Plain,
}

/// A mail server, and who we are to it. It has no `Debug`, since it holds a password.
pub struct SmtpSettings {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub security: Security,
    /// Authorities to trust in the place of the machine's own, PEM.
    pub authorities: Option<Vec<u8>>,
    /// User and password.
    pub credentials: Option<(String, Secret)>,
    /// Who mails are from.
    pub from: String,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// How long the server may be silent.
    pub timeout: Duration,
    /// Connections at once.
    pub connections: u32,
}

/// The settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SmtpSettingsError {
    /// An address is none.
    #[error("mail.{0}: must be an address such as 'Token Broker <tokens@example.com>'")]
    Address(&'static str),
    /// The authorities can't be read.
    #[error("mail.ca_file: holds no certificates that can be used; it must be PEM: {0}")]
    Authorities(#[source] lettre::transport::smtp::Error),
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The mail can't be written.
    #[error("the mail can't be written: {0}")]
    Unwritable(&'static str),
    /// The address has letters beyond ASCII before the `@`, and the server does not take any.
    #[error(
        "the mail server takes no address with letters beyond a to z before the '@' (SMTPUTF8); use another address, or another mail server"
    )]
    NoUtf8,
    /// The server refused it.
    #[error("the mail server answered {0}")]
    Refused(u16),
    /// There is no speaking with the server.
    #[error("the mail server could not be spoken to: {0}")]
    Server(String),
    /// It took too long.
    #[error("the mail server did not answer in time")]
    Timeout,
}

impl MailError {
    /// Whether another attempt may end better by itself, or by what an operator sets right.
    pub const fn may_pass(&self) -> bool {
        match self {
            MailError::Unwritable(_) | MailError::NoUtf8 => false,
            // Our password, or what the server asks of us, and not the mail.
            MailError::Refused(code) => *code < 500 || matches!(code, 500..=504 | 530 | 534 | 535 | 538),
            MailError::Server(_) | MailError::Timeout => true,
        }
    }
}

/// Sends mails.
#[async_trait::async_trait]
pub trait MailSender: Send + Sync + 'static {
    /// Makes one attempt. Dropping the future may leave it sent.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}

/// Sends by SMTP.
pub struct SmtpSender {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    reply_to: Option<Mailbox>,
    timeout: Duration,
}

impl SmtpSender {
    /// A sender by these settings. Nothing is connected yet.
    pub fn new(settings: SmtpSettings) -> Result<Self, SmtpSettingsError> {
        let from = mailbox(&settings.from).ok_or(SmtpSettingsError::Address("from"))?;
        let reply_to = settings.reply_to.map(|text| mailbox(&text).ok_or(SmtpSettingsError::Address("reply_to")));
        let tls = match settings.security {
            Security::Plain => Tls::None,
            Security::Tls => Tls::Wrapper(tls(&settings.host, settings.authorities)?),
            Security::StartTls => Tls::Required(tls(&settings.host, settings.authorities)?),
        };
        let pool = PoolConfig::new().max_size(settings.connections).idle_timeout(Duration::from_secs(30));
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .tls(tls)
            .timeout(Some(settings.timeout))
            .pool_config(pool);
        if let Some((user, password)) = settings.credentials {
            builder = builder.credentials(Credentials::new(user, password.expose().to_owned()));
        }
        Ok(Self { transport: builder.build(), from, reply_to: reply_to.transpose()?, timeout: settings.timeout })
    }

    fn written(&self, mail: &Mail) -> Result<Message, MailError> {
        let to = in_ascii(&mail.to).ok_or(MailError::Unwritable("the address of its receiver is none"))?;
        let at = UNIX_EPOCH + Duration::from_secs(u64::try_from(mail.at.secs()).unwrap_or_default());
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(&mail.subject)
            .message_id(Some(format!("<{}@{}>", mail.id, self.from.email.domain())))
            .date(at)
            .raw_header(header("Auto-Submitted", "auto-generated"));
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        if let Some(url) = &mail.settings {
            builder = builder.raw_header(header("List-Unsubscribe", &format!("<{url}>")));
        }
        let parts = MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone());
        builder.multipart(parts).map_err(|_| MailError::Unwritable("its parts do not fit together"))
    }
}

/// An address whose host is named in ASCII, which every mail server takes; `None`: it is none.
fn in_ascii(text: &str) -> Option<Address> {
    let address: MailAddress = text.parse().ok()?;
    Address::new(address.local_part(), address.host()).ok()
}

/// A mailbox from which, or to which, mail goes: its host in ASCII, if it is written as members' addresses are.
fn mailbox(text: &str) -> Option<Mailbox> {
    let Mailbox { name, email } = text.parse().ok()?;
    let email = in_ascii(email.as_ref()).unwrap_or(email);
    Some(Mailbox { name, email })
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn tls(host: &str, authorities: Option<Vec<u8>>) -> Result<TlsParameters, SmtpSettingsError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(pem) = authorities {
        let certificate = Certificate::from_pem(&pem).map_err(SmtpSettingsError::Authorities)?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(SmtpSettingsError::Authorities)
}

#[async_trait::async_trait]
impl MailSender for SmtpSender {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = self.written(mail)?;
        let is_ascii = message.envelope().to().iter().all(|to| to.user().is_ascii());
        // The server's silence is bounded by the transport, the whole of its words by this.
        match tokio::time::timeout(self.timeout * 4, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if !is_ascii && is_refused_by_us(&error) => Err(MailError::NoUtf8),
            Ok(Err(error)) => Err(understood(&error)),
            Err(_) => Err(MailError::Timeout),
        }
    }
}

/// Whether the transport itself refused a mail for letters that the server does not take; it says so in no other way.
fn is_refused_by_us(error: &lettre::transport::smtp::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.to_string().contains("SMTPUTF8"))
}

fn understood(error: &lettre::transport::smtp::Error) -> MailError {
    match error.status() {
        Some(code) => MailError::Refused(u16::from(code)),
        None if error.is_timeout() => MailError::Timeout,
        None => {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
            MailError::Server(format!("{error}{cause}"))
        }
    }
}

/// Sends nothing and remembers it, for tests and demonstrations.
#[derive(Default)]
pub struct FakeMail {
    sent: Mutex<Vec<Mail>>,
    is_down: AtomicBool,
}

impl FakeMail {
    /// Every mail so far.
    pub fn sent(&self) -> Vec<Mail> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether no server answers from now on.
    pub fn be_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl MailSender for FakeMail {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(MailError::Timeout);
        }
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(mail.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
