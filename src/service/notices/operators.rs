//! The operators' destinations, which the configuration names: signed webhooks and mail addresses.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

use crate::base::secret::Secret;
use crate::config::{self, Heard};
use crate::domain::member::{MailAddress, MailAddressError};
use crate::domain::notice::{Event, Fact, Kind};
use crate::domain::token::Reason;
use crate::outbound::signature::{SigningSecret, SigningSecretError};

/// A destination of operators.
pub struct OperatorDestination {
    /// Its name in the outbox. Of a webhook: the host, and a hash of the whole address, which may hold a secret.
    pub name: String,
    /// What it hears of.
    events: Heard,
    /// Where it is.
    pub(super) place: Place,
}

/// Where a destination of operators is.
pub(super) enum Place {
    /// A webhook.
    Webhook {
        /// Its address.
        url: String,
        /// What its bodies are signed with: the old secret and the new one while they change.
        secrets: Vec<Secret>,
        /// Whether the address may be a private one.
        allow_private: bool,
    },
    /// A mail address.
    Mail(String),
}

/// An operator's destination can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The secret can't be read.
    #[error("alerts.webhooks: the signing secret in '{file}' can't be read; create the file, or correct secret_file")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The secret is no secret.
    #[error("alerts.webhooks: '{file}' holds no signing secret: {cause}")]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        cause: SigningSecretError,
    },
    /// The address is none.
    #[error("alerts.mails: an address {0}")]
    Mail(#[from] MailAddressError),
}

/// All that are configured. Reads their secrets: one per line.
pub(super) fn of_config(alerts: &config::Alerts) -> Result<Vec<OperatorDestination>, OperatorError> {
    let webhook = |webhook: &config::Webhook| {
        let (url, allow_private) = (webhook.url.to_string(), webhook.allow_private);
        let place = Place::Webhook { url, secrets: secrets(&webhook.secret_file)?, allow_private };
        Ok(OperatorDestination { name: webhook_name(webhook), events: webhook.events, place })
    };
    let mail = |to: &config::MailTo| {
        let address: MailAddress = to.address.parse()?;
        let name = format!("operators/mail:{}", address.key());
        Ok(OperatorDestination { name, events: to.events, place: Place::Mail(to.address.clone()) })
    };
    alerts.webhooks.iter().map(webhook).chain(alerts.mails.iter().map(mail)).collect()
}

impl OperatorDestination {
    /// Whether it hears of an event. Of an incident, and of an operation that is refused, there is one event for operators; those for the teams say the same. A damaged secret is
    /// the operators' own trouble: a store or a key went wrong.
    pub(super) fn hears(&self, event: &Event) -> bool {
        let theirs = match &event.fact {
            Fact::IncidentOpened { .. } | Fact::IncidentClosed { .. } | Fact::OperationRefused { .. } => {
                return event.team.is_none();
            }
            // Of what many teams share, and of the broker's own store, only operators hear.
            Fact::SharedSpending { .. } | Fact::SecretDamaged { .. } => true,
            Fact::TokenInvalid { reason, .. } => *reason == Reason::SecretDamaged,
            fact => matches!(
                fact.kind(),
                Kind::LoadTooHigh | Kind::LoadCleared | Kind::NoAccessTokens | Kind::AccessTokensAgain
            ),
        };
        theirs || self.events == Heard::All
    }
}

fn webhook_name(webhook: &config::Webhook) -> String {
    let hash = digest(&SHA256, webhook.url.as_str().as_bytes());
    let short: String = hash.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("operators/webhook:{}:{short}", webhook.url.host_str().unwrap_or_default())
}

fn secrets(file: &Path) -> Result<Vec<Secret>, OperatorError> {
    let unreadable = |cause| OperatorError::Unreadable { file: file.to_owned(), cause };
    let text = Secret::new(std::fs::read_to_string(file).map_err(unreadable)?);
    let lines = text.expose().lines().map(str::trim).filter(|line| !line.is_empty());
    let secrets: Vec<Secret> = lines.map(|line| Secret::new(line.to_owned())).collect();
    let malformed = |cause| OperatorError::Malformed { file: file.to_owned(), cause };
    for secret in &secrets {
        SigningSecret::parse(secret).map_err(malformed)?;
    }
    if secrets.is_empty() { Err(malformed(SigningSecretError)) } else { Ok(secrets) }
}
