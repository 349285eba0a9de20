//! Destinations of teams: added, changed, tried and deleted.
//!
//! A target is checked when it is set: a mail address, or an https URL. What it resolves to is looked at with each message, since that changes. It
//! may hold a secret (the URLs of chats do), so it is sealed, and only its host is shown.

use std::collections::BTreeSet;

use aws_lc_rs::rand::fill;
use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::ids::{DestinationId, TeamId};
use crate::base::secret::Secret;
use crate::config::PrivateHost;
use crate::domain::member::{Action, MailAddress, MailAddressError};
use crate::domain::notice::{Destination, DestinationKind, Event, Fact, Kind, MOST_DESTINATIONS};
use crate::outbound::post::DeliveryError;
use crate::outbound::signature::{SigningSecret, SigningSecretError};
use crate::service::members::On;
use crate::service::notices::address::Address;
use crate::service::notices::target::{checked_target, is_let_in};
use crate::service::requests::Attempt;
use crate::service::tell::event;
use crate::service::{Broker, Caller, Forbidden};
use crate::store::{StoreError, StoredDestination, Trail};
use crate::vault::{OpenOwnError, OwnPlace, Vault};

/// Destinations sealed anew at once.
const AT_ONCE: u32 = 100;
/// The most signing secrets of a webhook: the old and the new one while they change.
const MOST_SECRETS: usize = 2;

/// A destination to add.
pub struct CreateDestination {
    /// Whose it is.
    pub team: TeamId,
    /// Its name for people.
    pub display_name: String,
    /// What it is.
    pub kind: DestinationKind,
    /// The mail address or the URL.
    pub target: Secret,
    /// The signing secrets of a webhook.
    pub secrets: Vec<Secret>,
    /// What it hears of; `None`: what is usual.
    pub events: Option<BTreeSet<Kind>>,
}

/// What to change about a destination.
#[derive(Default)]
pub struct UpdateDestination {
    /// Its name for people.
    pub display_name: Option<String>,
    /// The mail address or the URL.
    pub target: Option<Secret>,
    /// The signing secrets of a webhook.
    pub secrets: Option<Vec<Secret>>,
    /// What it hears of.
    pub events: Option<BTreeSet<Kind>>,
}

/// A destination, with what is known of what is sealed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationView {
    /// The destination.
    pub destination: Destination,
    /// Whether its target or secrets do not open: somebody changed the store, or it is damaged. They must be set anew; nothing is sent until then.
    pub damaged: bool,
}

/// A test message arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestSent;

/// Why nothing was done about a destination.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// The caller may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such team.
    #[error("there is no team '{0}'; see the list of teams")]
    TeamNotFound(TeamId),
    /// There is no such destination.
    #[error("team '{0}' has no destination '{1}'; see the list of its destinations")]
    NotFound(TeamId, DestinationId),
    /// The team has as many as there can be.
    #[error("team '{0}' has {MOST_DESTINATIONS} destinations, which is the most; delete one first")]
    TooMany(TeamId),
    /// The address is none.
    #[error("the address {0}")]
    Mail(#[from] MailAddressError),
    /// The URL can't be used.
    #[error(transparent)]
    Url(#[from] DeliveryError),
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers, so no signing secret can be made; check the machine")]
    Random,
    /// A signing secret is none.
    #[error("{0}")]
    Secret(#[from] SigningSecretError),
    /// A webhook needs secrets, and nothing else may have any.
    #[error("a signed webhook has one signing secret, or two while they change; other destinations have none")]
    Secrets,
    /// What is sealed of it does not open.
    #[error(transparent)]
    Sealed(#[from] OpenOwnError),
    /// It is changed by somebody else.
    #[error("the destination is being changed by somebody else; try again shortly")]
    Contended,
    /// The test message did not arrive.
    #[error("the test message did not arrive: {0}")]
    NotSent(String),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is shown of a target, if it can be one.
fn shown(kind: DestinationKind, target: &Secret, hosts: &[PrivateHost]) -> Result<String, DestinationError> {
    match kind {
        DestinationKind::Mail => Ok(target.expose().parse::<MailAddress>()?.as_str().to_owned()),
        _ => Ok(checked_target(target.expose(), hosts)?),
    }
}

/// The signing secrets as they are sealed.
fn joined(kind: DestinationKind, secrets: &[Secret]) -> Result<Option<Secret>, DestinationError> {
    let fits =
        if kind == DestinationKind::Webhook { (1..=MOST_SECRETS).contains(&secrets.len()) } else { secrets.is_empty() };
    if !fits {
        return Err(DestinationError::Secrets);
    }
    for secret in secrets {
        SigningSecret::parse(secret)?;
    }
    let texts: Vec<&str> = secrets.iter().map(Secret::expose).collect();
    Ok((!texts.is_empty()).then(|| Secret::new(texts.join("\n"))))
}

fn place<'r>(row: &'r str, column: &'static str, version: u32) -> OwnPlace<'r> {
    OwnPlace { table: "destination", row, column, version: u64::from(version) }
}

impl Broker {
    /// Adds a destination to a team.
    pub async fn create_destination(
        &self,
        attempt: impl Into<Attempt<Destination>>,
        ask: CreateDestination,
    ) -> Result<Destination, DestinationError> {
        let attempt = attempt.into();
        let CreateDestination { team, display_name, kind, target, secrets, events } = ask;
        self.directory.team(&team).ok_or_else(|| DestinationError::TeamNotFound(team.clone()))?;
        self.must_permit(&attempt.caller, Action::ChangeDestinations, &team, On::Team)?;
        let shown = shown(kind, &target, &self.config.alerts.private_hosts)?;
        let secrets = joined(kind, &secrets)?;
        let events = events.unwrap_or_else(Destination::usual_events);
        let id = DestinationId::generate();
        let (created_at, gone_since) = (self.now(), None);
        let destination =
            Destination { id, team, display_name, kind, shown, events, created_at, gone_since, version: 1 };
        let stored = self.sealed_destination(destination.clone(), &target, secrets.as_ref());
        let trail = self.destination_trail(&attempt, &destination, "destination.create");
        match self.store.insert_destination(stored, MOST_DESTINATIONS, trail).await {
            Ok(()) => Ok(destination),
            Err(StoreError::Conflict { what }) if what.contains("as many") => {
                Err(DestinationError::TooMany(destination.team))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A new signing secret for a webhook.
    pub fn make_signing_secret(&self) -> Result<Secret, DestinationError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        fill(bytes.as_mut_slice()).map_err(|_| DestinationError::Random)?;
        Ok(SigningSecret::text(&bytes))
    }

    fn sealed_destination(
        &self,
        destination: Destination,
        target: &Secret,
        secrets: Option<&Secret>,
    ) -> StoredDestination {
        let (row, version) = (destination.id.to_string(), destination.version);
        let sealed_target = self.vault.seal_own(&place(&row, "target", version), target);
        let sealed_secrets = secrets.map(|secrets| self.vault.seal_own(&place(&row, "secrets", version), secrets));
        StoredDestination { destination, sealed_target, sealed_secrets }
    }

    /// Where messages to a destination go.
    pub(super) fn address_of(&self, stored: &StoredDestination) -> Result<Address, OpenOwnError> {
        let (target, secrets) = opened_destination(&self.vault, stored)?;
        let url = target.expose().to_owned();
        let allow_private = is_let_in(&self.config.alerts.private_hosts, &url);
        Ok(match stored.destination.kind {
            DestinationKind::Mail => Address::mail(url),
            DestinationKind::Slack => Address::Slack { url, allow_private },
            DestinationKind::Teams => Address::Teams { url, allow_private },
            DestinationKind::Webhook => {
                let lines = secrets.as_ref().map_or("", |secrets| secrets.expose()).lines();
                let secrets =
                    lines.filter_map(|line| SigningSecret::parse(&Secret::new(line.to_owned())).ok()).collect();
                Address::Webhook { url, secrets, allow_private }
            }
        })
    }

    fn destination_trail(&self, attempt: &Attempt<Destination>, made: &Destination, action: &'static str) -> Trail {
        let names: Vec<&str> = made.events.iter().map(|kind| kind.as_str()).collect();
        let detail = format!("kind={} shown={} events={}", made.kind.as_str(), made.shown, names.join(","));
        let mut audit = self.audit(&attempt.caller, action, made.name(), detail);
        audit.team = Some(made.team.clone());
        attempt.trail(audit, made)
    }

    /// All destinations of a team, in the order in which they were added.
    pub async fn list_destinations(&self, team: &TeamId) -> Result<Vec<DestinationView>, DestinationError> {
        self.directory.team(team).ok_or_else(|| DestinationError::TeamNotFound(team.clone()))?;
        Ok(self.store.list_destinations(team).await?.into_iter().map(|stored| self.view_destination(stored)).collect())
    }

    /// One destination.
    pub async fn show_destination(
        &self,
        team: &TeamId,
        id: DestinationId,
    ) -> Result<DestinationView, DestinationError> {
        Ok(self.view_destination(self.stored_destination(team, id).await?))
    }

    fn view_destination(&self, stored: StoredDestination) -> DestinationView {
        let damaged = opened_destination(&self.vault, &stored).is_err();
        DestinationView { destination: stored.destination, damaged }
    }

    async fn stored_destination(
        &self,
        team: &TeamId,
        id: DestinationId,
    ) -> Result<StoredDestination, DestinationError> {
        let found = self.store.find_destination(id).await?.filter(|stored| stored.destination.team == *team);
        found.ok_or_else(|| DestinationError::NotFound(team.clone(), id))
    }

    /// Changes a destination.
    pub async fn update_destination(
        &self,
        attempt: impl Into<Attempt<Destination>>,
        team: &TeamId,
        id: DestinationId,
        ask: UpdateDestination,
    ) -> Result<Destination, DestinationError> {
        let attempt = attempt.into();
        self.must_permit(&attempt.caller, Action::ChangeDestinations, team, On::Team)?;
        let before = self.stored_destination(team, id).await?;
        let target = match ask.target {
            Some(target) => target,
            None => opened_target(&self.vault, &before)?,
        };
        let old_secrets = match ask.secrets {
            Some(_) => None,
            None => opened_secrets(&self.vault, &before)?,
        };
        let mut destination = before.destination;
        destination.shown = shown(destination.kind, &target, &self.config.alerts.private_hosts)?;
        destination.display_name = ask.display_name.unwrap_or(destination.display_name);
        destination.events = ask.events.unwrap_or(destination.events);
        destination.gone_since = None;
        destination.version += 1;
        let secrets = match ask.secrets {
            Some(secrets) => joined(destination.kind, &secrets)?,
            None => old_secrets,
        };
        let stored = self.sealed_destination(destination.clone(), &target, secrets.as_ref());
        let trail = self.destination_trail(&attempt, &destination, "destination.update");
        match self.store.change_destination(stored, trail).await {
            Ok(()) => {
                self.look_at_damaged_again();
                Ok(destination)
            }
            Err(StoreError::Conflict { .. }) => Err(DestinationError::Contended),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a destination. What waits for it is dropped when it would be sent.
    pub async fn delete_destination(
        &self,
        attempt: impl Into<Attempt<Destination>>,
        team: &TeamId,
        id: DestinationId,
    ) -> Result<Destination, DestinationError> {
        let attempt = attempt.into();
        self.must_permit(&attempt.caller, Action::ChangeDestinations, team, On::Team)?;
        let destination = self.stored_destination(team, id).await?.destination;
        let trail = self.destination_trail(&attempt, &destination, "destination.delete");
        match self.store.delete_destination(team, id, trail).await {
            Ok(()) => {
                self.look_at_damaged_again();
                Ok(destination)
            }
            Err(StoreError::NotFound { .. }) => Err(DestinationError::NotFound(team.clone(), id)),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a test message to a destination, once, and waits for what comes of it. One that failed is not noted, so that the same request
    /// tries it again.
    pub async fn send_test_notice(
        &self,
        attempt: impl Into<Attempt<TestSent>>,
        team: &TeamId,
        id: DestinationId,
    ) -> Result<TestSent, DestinationError> {
        let attempt = attempt.into();
        self.must_permit(&attempt.caller, Action::ChangeDestinations, team, On::Team)?;
        let stored = self.stored_destination(team, id).await?;
        let address = self.address_of(&stored)?;
        let sent = self.send_test(&address).await;
        let detail = format!("sent={}", sent.is_ok());
        let mut audit = self.audit(&attempt.caller, "destination.test", stored.destination.name(), detail);
        audit.team = Some(team.clone());
        match sent {
            Ok(()) => {
                self.note_gone(&stored.destination, None).await?;
                self.store.leave_trail(attempt.trail(audit, &TestSent)).await.map(|()| TestSent).map_err(Into::into)
            }
            Err(failed) => {
                self.store.leave_trail(audit.into()).await?;
                Err(DestinationError::NotSent(failed.why))
            }
        }
    }

    /// Notes since when the receiver of a destination is gone, or that it is there.
    pub(super) async fn note_gone(
        &self,
        destination: &Destination,
        since: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let action = if since.is_some() { "destination.gone" } else { "destination.back" };
        let mut audit = self.audit(&Caller::Broker, action, destination.name(), String::new());
        audit.team = Some(destination.team.clone());
        let (id, version) = (destination.id, destination.version);
        let told = since.map(|since| gone(destination, since));
        if self.store.note_gone(id, version, since, Trail::from(audit).telling(told)).await? && since.is_some() {
            tracing::error!(destination = %id, "a receiver says that it is not there any more; nothing is sent to it until it is changed or tried");
        }
        Ok(())
    }

    /// Seals destinations anew that an older key of the broker sealed. One that does not open stays as it is.
    pub(in crate::service) async fn reseal_destinations(&self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let part = self.store.all_destinations(after, AT_ONCE).await?;
            let Some(last) = part.last() else { return Ok(()) };
            after = Some(last.destination.id);
            for stored in part.iter().filter(|stored| !self.vault.is_of_newest_own(&stored.sealed_target)) {
                let Ok((target, secrets)) = opened_destination(&self.vault, stored) else { continue };
                let destination = Destination { version: stored.destination.version + 1, ..stored.destination.clone() };
                let audit = self.audit(&Caller::Broker, "destination.reseal", destination.name(), String::new());
                let sealed = self.sealed_destination(destination, &target, secrets.as_ref());
                match self.store.change_destination(sealed, audit.into()).await {
                    // Whoever changed it meanwhile sealed it with the newest key.
                    Ok(()) | Err(StoreError::Conflict { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

/// That the receiver of a destination says that it is not there any more.
fn gone(destination: &Destination, since: Timestamp) -> Event {
    let Destination { id, team, display_name, shown, .. } = destination;
    let name = if display_name.is_empty() { shown } else { display_name };
    let fact = Fact::DestinationGone { destination: *id, name: name.clone() };
    event(since, Some(team.clone()), fact, format!("{id}/gone/{}", since.micros()))
}

/// The target of a destination and its signing secrets, one a line.
pub(in crate::service) fn opened_destination(
    vault: &Vault,
    stored: &StoredDestination,
) -> Result<(Secret, Option<Secret>), OpenOwnError> {
    Ok((opened_target(vault, stored)?, opened_secrets(vault, stored)?))
}

fn opened_target(vault: &Vault, stored: &StoredDestination) -> Result<Secret, OpenOwnError> {
    let row = stored.destination.id.to_string();
    vault.open_own(&place(&row, "target", stored.destination.version), &stored.sealed_target)
}

fn opened_secrets(vault: &Vault, stored: &StoredDestination) -> Result<Option<Secret>, OpenOwnError> {
    let row = stored.destination.id.to_string();
    let open = |sealed: &Vec<u8>| vault.open_own(&place(&row, "secrets", stored.destination.version), sealed);
    stored.sealed_secrets.as_ref().map(open).transpose()
}
