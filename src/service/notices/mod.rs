//! Telling people: events become messages (`tell`), messages are sent (`deliver`), and what they say is decided then (`message`).
//!
//! * Events are durable with their change. Telling is one transaction: the event is marked, and each destination that hears of it has it in a message.
//! * Each destination has a lane of its own in the store, so that memory does not grow with their number, and a slow or dead one holds up nobody
//!   else. Lanes that fail share a part of the places to send at once; the others are left to those that work.
//! * A message is looked at once more when it is sent: what does not hold any more is not told.
//! * If the process dies between sending and noting it, a message is sent again under the same id, by which the receiver knows it.

mod address;
mod at_risk;
mod dead_letters;
mod deliver;
mod destinations;
mod expiries;
mod inbox;
mod message;
mod operators;
mod push;
mod target;
mod tell;
mod told;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};

pub use crate::outbound::post::DeliveryError;
pub use crate::store::{OutboxRow as GivenUp, RiskPlace};
pub use at_risk::AtRiskPage;
pub use dead_letters::{DeadLetter, DeadLetterError};
pub(super) use destinations::opened_destination;
pub use destinations::{CreateDestination, DestinationError, DestinationView, TestSent, UpdateDestination};
pub use inbox::{ChosenSettings, MarkRead, Notice, NoticeError, NoticePage, NoticesRead, UpdateSettings};
pub use operators::{OperatorDestination, OperatorError};
pub use push::{PushError, Subscribe};
pub(super) use push::{opened_push, opened_push_key};
pub use told::{Told, ToldOf};

use crate::base::secret::Secret;
use crate::config::{self, Config};
use crate::domain::notice::Event;
use crate::outbound::address::Lookup;
use crate::outbound::authorities::{Authorities, AuthoritiesError};
use crate::outbound::mail::{MailSender, Security, SmtpSender, SmtpSettings, SmtpSettingsError};
use crate::outbound::post::{HttpPost, PostSender};

/// How many events a slow listener may fall behind before it misses some.
const EVENTS_KEPT: usize = 1000;

/// What telling people is done with.
pub struct Notices {
    /// Made when it is first needed.
    post: OnceLock<Arc<dyn PostSender>>,
    /// In which a receiver must answer.
    timeout: Duration,
    lookup: Arc<dyn Lookup>,
    authorities: Authorities,
    /// Set once, where there is a mail server.
    mail: OnceLock<Arc<dyn MailSender>>,
    operators: Vec<OperatorDestination>,
    /// The operators' destinations whose receivers say that they are not there any more. At most as many as there are.
    gone: Mutex<BTreeSet<String>>,
    /// Something was written that may have to be sent.
    wake: Notify,
    events: broadcast::Sender<Arc<Event>>,
}

/// Telling people can't be begun.
#[derive(Debug, thiserror::Error)]
pub enum NoticesError {
    /// An operator's destination can't be used.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// The mail server's settings can't be used.
    #[error(transparent)]
    Mail(#[from] SmtpSettingsError),
    /// The authorities that are trusted beside those of the machine.
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    /// A file that they name can't be read.
    #[error("{field}: '{file}' can't be read; create the file, or correct the setting")]
    Unreadable {
        /// The setting.
        field: &'static str,
        /// The file.
        file: std::path::PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

impl Notices {
    /// By the configuration. Reads the files that it names.
    pub fn of_config(config: &Config, lookup: &Arc<dyn Lookup>) -> Result<Notices, NoticesError> {
        let mail = OnceLock::new();
        if config.mail.is_on() {
            let sender: Arc<dyn MailSender> = Arc::new(smtp(&config.mail)?);
            mail.get_or_init(|| sender);
        }
        let operators = operators::of_config(&config.alerts)?;
        let authorities = Authorities::in_file(config.outbound.ca_file.as_deref())?;
        let (post, timeout, lookup) = (OnceLock::new(), config.alerts.timeout, lookup.clone());
        Ok(Notices {
            post,
            timeout,
            lookup,
            authorities,
            mail,
            operators,
            gone: Mutex::default(),
            wake: Notify::new(),
            events: broadcast::Sender::new(EVENTS_KEPT),
        })
    }

    /// Posts through `sender`, for tests. Once only, before anything is sent.
    #[cfg(test)]
    pub(super) fn post_through(&self, sender: Arc<dyn PostSender>) {
        assert!(self.post.set(sender).is_ok(), "something was sent already");
    }

    fn post(&self) -> &dyn PostSender {
        let make = || HttpPost::new(self.timeout, self.lookup.clone(), self.authorities.clone());
        &**self.post.get_or_init(|| Arc::new(make()))
    }

    /// Mails go this way, where there was none.
    #[cfg(test)]
    pub(crate) fn mail_by(&self, sender: Arc<dyn MailSender>) {
        assert!(self.mail.set(sender).is_ok(), "there is a mail server");
    }

    /// Events whenever they are told. A listener that falls behind misses some, and is told so.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    fn told(&self, events: &[Event]) {
        for event in events {
            // Without listeners nobody is told, which is no failure.
            let _ = self.events.send(Arc::new(event.clone()));
        }
    }

    /// Whether the receiver of an operators' destination says that it is not there any more.
    fn is_gone(&self, name: &str) -> bool {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    /// Something was written that may have to be sent.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }
}

fn smtp(mail: &config::Mail) -> Result<SmtpSender, NoticesError> {
    let read = |field, file: &Option<std::path::PathBuf>| {
        let unreadable =
            |file: &std::path::PathBuf, cause| NoticesError::Unreadable { field, file: file.clone(), cause };
        file.as_ref().map(|file| std::fs::read(file).map_err(|cause| unreadable(file, cause))).transpose()
    };
    let password = read("mail.password_file", &mail.password_file)?;
    let password = password.map(|bytes| Secret::new(String::from_utf8_lossy(&bytes).trim_end().to_owned()));
    let settings = SmtpSettings {
        host: mail.host.clone(),
        port: mail.port,
        security: match mail.security {
            config::MailSecurity::StartTls => Security::StartTls,
            config::MailSecurity::Tls => Security::Tls,
            config::MailSecurity::Plain => Security::Plain,
        },
        authorities: read("mail.ca_file", &mail.ca_file)?,
        credentials: password.map(|password| (mail.username.clone(), password)),
        from: mail.from.clone(),
        reply_to: Some(mail.reply_to.clone()).filter(|address| !address.is_empty()),
        timeout: mail.timeout,
        connections: u32::try_from(mail.connections).unwrap_or(u32::MAX),
    };
    Ok(SmtpSender::new(settings)?)
}

#[cfg(test)]
mod tests;
