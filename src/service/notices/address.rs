//! Where messages go: the names of destinations in the outbox, and what is behind them at the moment.
//!
//! `operators/…` is of the configuration, `destinations/dst_…` of a team, `members/mem_…/mail` and
//! `members/mem_…/push/psh_…` of a member. What is behind a name is looked up when
//! a message is sent: who left the team, or changed the address, gets nothing at the old one.

use std::sync::PoisonError;

use jiff::tz::TimeZone;

use crate::base::clock::Timestamp;
use crate::base::ids::{DestinationId, MemberId, PushSubscriptionId};
use crate::base::secret::Secret;
use crate::domain::member::Member;
use crate::domain::notice::Budget;
use crate::outbound::signature::SigningSecret;
use crate::service::Broker;
use crate::service::notices::operators::Place;
use crate::service::notices::push::Browser;
use crate::service::notices::target::is_let_in;
use crate::store::StoreError;
use crate::vault::OpenOwnError;

/// Machines read what is sent by webhook.
pub(super) const OF_WEBHOOKS: Budget = Budget { per_hour: 600, at_once: 20 };
/// People read mails and chats.
pub(super) const OF_PEOPLE: Budget = Budget { per_hour: 10, at_once: 3 };

/// Where a message goes.
pub(in crate::service) enum Address {
    /// A signed webhook.
    Webhook {
        /// Its URL.
        url: String,
        /// What its bodies are signed with.
        secrets: Vec<SigningSecret>,
        /// Whether it may be in the broker's own network.
        allow_private: bool,
    },
    /// An incoming webhook of Slack.
    Slack {
        /// Its URL.
        url: String,
        /// Whether it may be in the broker's own network.
        allow_private: bool,
    },
    /// A webhook of Teams.
    Teams {
        /// Its URL.
        url: String,
        /// Whether it may be in the broker's own network.
        allow_private: bool,
    },
    /// A mail address.
    Mail {
        /// The address.
        to: String,
        /// The time zone of who reads it.
        zone: TimeZone,
        /// Where the reader chooses what to hear.
        settings: Option<String>,
        /// Until when the reader wants quiet; `None`: it may be disturbed now.
        quiet_until: Option<Timestamp>,
    },
    /// A browser of a member.
    Push {
        /// The browser.
        browser: Box<Browser>,
        /// Where operators of push services find the broker's: the address of its pages.
        contact: String,
        /// Whether the push service may be in the broker's own network.
        allow_private: bool,
        /// The time zone of who reads it.
        zone: TimeZone,
        /// Until when the reader wants quiet; `None`: it may be disturbed now.
        quiet_until: Option<Timestamp>,
    },
}

/// What is behind a name in the outbox.
pub(super) enum Behind {
    /// Messages go there.
    Place(Address),
    /// Nothing any more.
    Nothing,
    /// A destination whose target or secrets do not open, and why. Once they are set anew, messages go there.
    Damaged(OpenOwnError),
}

impl From<Option<Address>> for Behind {
    fn from(address: Option<Address>) -> Self {
        address.map_or(Behind::Nothing, Behind::Place)
    }
}

impl Address {
    /// A mail address of which nothing else is known.
    pub(in crate::service) fn mail(to: String) -> Self {
        Address::Mail { to, zone: TimeZone::UTC, settings: None, quiet_until: None }
    }

    /// The time zone in which times are told.
    pub(super) fn zone(&self) -> TimeZone {
        match self {
            Address::Mail { zone, .. } | Address::Push { zone, .. } => zone.clone(),
            Address::Webhook { .. } | Address::Slack { .. } | Address::Teams { .. } => TimeZone::UTC,
        }
    }

    /// Until when its reader wants quiet; `None`: it may be disturbed now.
    pub(super) const fn quiet_until(&self) -> Option<Timestamp> {
        match self {
            Address::Mail { quiet_until, .. } | Address::Push { quiet_until, .. } => *quiet_until,
            Address::Webhook { .. } | Address::Slack { .. } | Address::Teams { .. } => None,
        }
    }

    /// The channel, as metrics name it.
    pub(super) const fn channel(&self) -> &'static str {
        match self {
            Address::Webhook { .. } => "webhook",
            Address::Slack { .. } => "slack",
            Address::Teams { .. } => "teams",
            Address::Mail { .. } => "mail",
            Address::Push { .. } => "push",
        }
    }
}

/// The name of a team's destination in the outbox.
pub(super) fn name_of_destination(id: DestinationId) -> String {
    format!("destinations/{id}")
}

/// The name of a member's mail in the outbox.
pub(super) fn name_of_mail(id: MemberId) -> String {
    format!("members/{id}/mail")
}

/// The name of a member's browser in the outbox.
pub(super) fn name_of_push(id: MemberId, subscription: PushSubscriptionId) -> String {
    format!("members/{id}/push/{subscription}")
}

impl Broker {
    /// What is behind a name.
    pub(super) async fn resolve(&self, name: &str) -> Result<Behind, StoreError> {
        match name.split_once('/') {
            Some(("operators", _)) => Ok(self.operator(name).into()),
            Some(("destinations", id)) => self.team_destination(id.parse().ok()).await,
            Some(("members", rest)) => {
                let (id, channel) = rest.split_once('/').unwrap_or((rest, ""));
                let Some(member) = self.active_member(id.parse().ok()).await? else { return Ok(Behind::Nothing) };
                match channel.split_once('/') {
                    Some(("push", subscription)) => {
                        self.members_browser(&member, subscription.parse().ok()).await.map(Behind::from)
                    }
                    _ if channel == "mail" => self.members_mail(&member).await.map(Behind::Place),
                    _ => Ok(Behind::Nothing),
                }
            }
            _ => Ok(Behind::Nothing),
        }
    }

    fn operator(&self, name: &str) -> Option<Address> {
        let is_there = |operator: &&super::OperatorDestination| operator.name == name && !self.notices.is_gone(name);
        let operator = self.notices.operators.iter().find(is_there)?;
        Some(match &operator.place {
            Place::Webhook { url, secrets, allow_private } => {
                let parse = |text: &Secret| SigningSecret::parse(text).ok();
                let secrets = secrets.iter().filter_map(parse).collect();
                Address::Webhook { url: url.clone(), secrets, allow_private: *allow_private }
            }
            Place::Mail(to) => Address::mail(to.clone()),
        })
    }

    async fn team_destination(&self, id: Option<DestinationId>) -> Result<Behind, StoreError> {
        let Some(id) = id else { return Ok(Behind::Nothing) };
        let Some(stored) = self.store.find_destination(id).await? else { return Ok(Behind::Nothing) };
        if stored.destination.gone_since.is_some() {
            return Ok(Behind::Nothing);
        }
        Ok(self.address_of(&stored).map_or_else(Behind::Damaged, Behind::Place))
    }

    /// Nothing more is sent to a receiver that says that it is not there any more: to a team's until somebody changes or tries it, to an
    /// operator's until the broker starts anew.
    pub(super) async fn leave_alone(&self, name: &str) -> Result<(), StoreError> {
        let Some(("destinations", id)) = name.split_once('/') else {
            self.notices.gone.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
            tracing::error!(
                destination = name,
                "a receiver says that it is not there any more; nothing is sent to it until the broker starts anew"
            );
            return Ok(());
        };
        let Ok(id) = id.parse() else { return Ok(()) };
        match self.store.find_destination(id).await? {
            Some(stored) => self.note_gone(&stored.destination, Some(self.now())).await,
            None => Ok(()),
        }
    }

    async fn active_member(&self, id: Option<MemberId>) -> Result<Option<Member>, StoreError> {
        let Some(id) = id else { return Ok(None) };
        Ok(self.store.find_member(id).await?.filter(Member::is_active))
    }

    async fn members_mail(&self, member: &Member) -> Result<Address, StoreError> {
        Ok(Address::Mail {
            to: member.mail.as_str().to_owned(),
            zone: member.time_zone.zone(),
            settings: self.pages().map(|pages| format!("{pages}/notifications")),
            quiet_until: self.quiet_until(member).await?,
        })
    }

    async fn quiet_until(&self, member: &Member) -> Result<Option<Timestamp>, StoreError> {
        let now = self.now();
        let awake = self.store.notice_settings(member.id).await?.awake(now, &member.time_zone.zone());
        Ok(Some(awake).filter(|awake| *awake > now))
    }

    async fn members_browser(
        &self,
        member: &Member,
        id: Option<PushSubscriptionId>,
    ) -> Result<Option<Address>, StoreError> {
        let (Some(id), Some(contact)) = (id, self.pages()) else { return Ok(None) };
        let quiet_until = self.quiet_until(member).await?;
        let found = self.browser(id).await?.filter(|browser| browser.subscription.member == member.id);
        Ok(found.map(|browser| Address::Push {
            allow_private: is_let_in(&self.config.alerts.private_hosts, browser.endpoint.as_str()),
            browser: Box::new(browser),
            contact,
            zone: member.time_zone.zone(),
            quiet_until,
        }))
    }

    /// Where the broker's pages are.
    pub(super) fn pages(&self) -> Option<String> {
        self.config.http.public_url.as_ref().map(|url| url.origin().ascii_serialization())
    }
}
