//! Facts that people may want to hear.

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::ids::{
    AlertId, AppId, ClassId, DestinationId, EventId, IncidentId, NetworkId, OperationId, TeamId, TokenId,
};
use crate::domain::incident::IncidentKind;
use crate::domain::networks::Duty;
use crate::domain::notice::{Need, Weight};
use crate::domain::token::Reason;

/// A fact that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id; rises with the time at which it was made.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// The team that it concerns; `None`: the operators alone.
    pub team: Option<TeamId>,
    /// What happened.
    pub fact: Fact,
    /// Names the fact: what is written again under this name is the same fact, and is dropped.
    pub dedup_key: String,
}

impl Event {
    /// That a token does not work any more; `since`: when it stopped.
    pub fn of_invalid(
        team: TeamId,
        network: NetworkId,
        token: TokenId,
        reason: Reason,
        since: Timestamp,
        at: Timestamp,
    ) -> Self {
        let dedup_key = format!("{token}/invalid/{}/{}", reason.as_str(), since.micros());
        let fact = Fact::TokenInvalid { network, token, reason };
        Self { id: EventId::generate(), at, team: Some(team), fact, dedup_key }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A clock ends within some days, and no renewal turns it back, or none goes well.
    TokenExpiring {
        /// Its network.
        network: NetworkId,
        /// The token.
        token: TokenId,
        /// Which clock.
        clock: Clock,
        /// When it ends.
        ends_at: Timestamp,
        /// The threshold that was passed: 7, 3 or 1.
        within_days: u8,
    },
    /// The time of a token is over.
    TokenExpired {
        /// Its network.
        network: NetworkId,
        /// The token.
        token: TokenId,
    },
    /// A token does not work any more.
    TokenInvalid {
        /// Its network.
        network: NetworkId,
        /// The token.
        token: TokenId,
        /// Why.
        reason: Reason,
    },
    /// A token works, but a person must connect it again.
    NeedsReconnecting {
        /// Its network.
        network: NetworkId,
        /// The token.
        token: TokenId,
        /// Why; `None`: it was kept before it had a name.
        #[serde(default)]
        need: Option<Need>,
        /// Until when it goes on as it is; `None`: not known.
        by: Option<Timestamp>,
    },
    /// The network blocks the account of a token for a time, since its rules were broken, or it takes it so.
    TokenBlocked {
        /// Its network.
        network: NetworkId,
        /// The token.
        token: TokenId,
    },
    /// A token of whose trouble people were told works again.
    TokenRenewed {
        /// Its network.
        network: NetworkId,
        /// The token.
        token: TokenId,
        /// The events that told of the trouble. Whoever heard of none of them does not hear of its end.
        #[serde(default)]
        troubles: Vec<EventId>,
    },
    /// A person connected an account.
    TokenConnected {
        /// Its network.
        network: NetworkId,
        /// The token.
        token: TokenId,
        /// Whether it was there before, and lives again.
        healed: bool,
    },
    /// Somebody else spends a token's credit.
    OutOfBandSpending {
        /// Its network.
        network: NetworkId,
        /// The token.
        token: TokenId,
        /// Of which credit.
        class: ClassId,
        /// How much, in units of the class.
        credits: u64,
    },
    /// Somebody else spends credit that many tokens share.
    SharedSpending {
        /// The network.
        network: NetworkId,
        /// The app whose credit it is; `None`: that of the address from which the broker calls.
        app: Option<AppId>,
        /// Of which credit.
        class: ClassId,
        /// How much, in units of the class.
        credits: u64,
    },
    /// A network refuses an operation to everybody who asks through an app.
    OperationRefused {
        /// The network.
        network: NetworkId,
        /// The app.
        app: AppId,
        /// The operation.
        operation: OperationId,
    },
    /// What was collected with a token must be deleted, or its account authorised anew, unless it is valid again in time.
    RetentionClock {
        /// Its network.
        network: NetworkId,
        /// The token.
        token: TokenId,
        /// How far the clock has run.
        stage: RetentionStage,
        /// When the time is over.
        deadline: Timestamp,
        /// What must be done until then.
        #[serde(default)]
        duty: Duty,
        /// The network's rules that began to run with it, for people: its own, and those that end later.
        #[serde(default)]
        rules: Vec<String>,
    },
    /// More is collected than the tokens can carry.
    LoadTooHigh {
        /// Of this network.
        network: NetworkId,
        /// Of this credit.
        class: ClassId,
        /// The alert.
        alert: AlertId,
        /// What became of it.
        turn: Turn,
    },
    /// The load is no longer too high.
    LoadCleared {
        /// Of this network.
        network: NetworkId,
        /// Of this credit.
        class: ClassId,
        /// The alert.
        alert: AlertId,
    },
    /// There is demand, and no usable token.
    NoAccessTokens {
        /// Of this network.
        network: NetworkId,
        /// For this credit.
        class: ClassId,
        /// The alert.
        alert: AlertId,
    },
    /// There are usable tokens again, or no demand.
    AccessTokensAgain {
        /// Of this network.
        network: NetworkId,
        /// For this credit.
        class: ClassId,
        /// The alert.
        alert: AlertId,
    },
    /// One cause hit many tokens.
    IncidentOpened {
        /// The network.
        network: NetworkId,
        /// The app.
        app: AppId,
        /// The incident.
        incident: IncidentId,
        /// What it is.
        #[serde(rename = "incident_kind", default = "reset")]
        kind: IncidentKind,
        /// What it was taken for until now, if that was told.
        #[serde(default)]
        was: Option<IncidentKind>,
    },
    /// An incident is over.
    IncidentClosed {
        /// The network.
        network: NetworkId,
        /// The app.
        app: AppId,
        /// The incident.
        incident: IncidentId,
        /// Why its tokens are dead, if it was a loss; `None`: they work again.
        #[serde(default)]
        lost: Option<Reason>,
        /// Whether calls or renewals were seen to be served.
        #[serde(default)]
        served: bool,
    },
    /// What the broker stored of an app or a destination, sealed, does not open.
    SecretDamaged {
        /// What it belongs to, by its resource name.
        name: String,
    },
    /// The receiver of a team's destination says that it is not there any more.
    DestinationGone {
        /// The destination.
        destination: DestinationId,
        /// What people call it.
        name: String,
    },
}

/// What incidents were told as before their kinds were.
const fn reset() -> IncidentKind {
    IncidentKind::NetworkReset
}

/// A clock of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Of the access token, where nothing renews it.
    Access,
    /// Of the access token, where renewals should turn it back, and fail.
    Unrenewed,
    /// Of the refresh token, or of the grant as a whole.
    Refresh,
    /// Of the access to the person's data.
    DataAccess,
}

/// What became of an alert that stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// It opened.
    Opened,
    /// It is critical by now.
    Raised,
    /// It is no longer critical.
    Lowered,
}

/// How far a retention clock has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetentionStage {
    /// It began.
    Started,
    /// Three days are left.
    ThreeDays,
    /// One day is left.
    OneDay,
    /// Its time is over.
    Over,
}

impl RetentionStage {
    /// The name by which words are looked up.
    pub const fn as_str(self) -> &'static str {
        match self {
            RetentionStage::Started => "started",
            RetentionStage::ThreeDays => "three_days",
            RetentionStage::OneDay => "one_day",
            RetentionStage::Over => "over",
        }
    }
}

/// What kind of fact it is: what people choose by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// [`Fact::TokenExpiring`].
    TokenExpiring,
    /// [`Fact::TokenExpired`].
    TokenExpired,
    /// [`Fact::TokenInvalid`].
    TokenInvalid,
    /// [`Fact::NeedsReconnecting`].
    NeedsReconnecting,
    /// [`Fact::TokenBlocked`].
    TokenBlocked,
    /// [`Fact::TokenRenewed`].
    TokenRenewed,
    /// [`Fact::TokenConnected`].
    TokenConnected,
    /// [`Fact::OutOfBandSpending`], [`Fact::SharedSpending`].
    OutOfBandSpending,
    /// [`Fact::OperationRefused`].
    OperationRefused,
    /// [`Fact::RetentionClock`].
    RetentionClock,
    /// [`Fact::LoadTooHigh`].
    LoadTooHigh,
    /// [`Fact::LoadCleared`].
    LoadCleared,
    /// [`Fact::NoAccessTokens`].
    NoAccessTokens,
    /// [`Fact::AccessTokensAgain`].
    AccessTokensAgain,
    /// [`Fact::IncidentOpened`].
    IncidentOpened,
    /// [`Fact::IncidentClosed`].
    IncidentClosed,
    /// [`Fact::SecretDamaged`], [`Fact::DestinationGone`].
    OutOfOrder,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 17] = [
        Kind::TokenExpiring,
        Kind::TokenExpired,
        Kind::TokenInvalid,
        Kind::NeedsReconnecting,
        Kind::TokenBlocked,
        Kind::TokenRenewed,
        Kind::TokenConnected,
        Kind::OutOfBandSpending,
        Kind::OperationRefused,
        Kind::RetentionClock,
        Kind::LoadTooHigh,
        Kind::LoadCleared,
        Kind::NoAccessTokens,
        Kind::AccessTokensAgain,
        Kind::IncidentOpened,
        Kind::IncidentClosed,
        Kind::OutOfOrder,
    ];

    /// The name used in SQL, metrics, logs and settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::TokenExpiring => "token_expiring",
            Kind::TokenExpired => "token_expired",
            Kind::TokenInvalid => "token_invalid",
            Kind::NeedsReconnecting => "needs_reconnecting",
            Kind::TokenBlocked => "token_blocked",
            Kind::TokenRenewed => "token_renewed",
            Kind::TokenConnected => "token_connected",
            Kind::OutOfBandSpending => "out_of_band_spending",
            Kind::OperationRefused => "operation_refused",
            Kind::RetentionClock => "retention_clock",
            Kind::LoadTooHigh => "load_too_high",
            Kind::LoadCleared => "load_cleared",
            Kind::NoAccessTokens => "no_access_tokens",
            Kind::AccessTokensAgain => "access_tokens_again",
            Kind::IncidentOpened => "incident_opened",
            Kind::IncidentClosed => "incident_closed",
            Kind::OutOfOrder => "out_of_order",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether somebody should do something about it. [`Fact::asks_for_action`] knows more of an incident's end.
    pub const fn asks_for_action(self) -> bool {
        match self {
            Kind::TokenExpiring
            | Kind::TokenExpired
            | Kind::TokenInvalid
            | Kind::NeedsReconnecting
            | Kind::TokenBlocked
            | Kind::OutOfBandSpending
            | Kind::OperationRefused
            | Kind::RetentionClock
            | Kind::LoadTooHigh
            | Kind::NoAccessTokens
            | Kind::IncidentOpened
            | Kind::OutOfOrder => true,
            Kind::TokenRenewed
            | Kind::TokenConnected
            | Kind::LoadCleared
            | Kind::AccessTokensAgain
            | Kind::IncidentClosed => false,
        }
    }

    /// Whether it is about many tokens at once, and must not wait behind what is said of single ones.
    pub const fn is_urgent(self) -> bool {
        matches!(self, Kind::IncidentOpened | Kind::IncidentClosed | Kind::NoAccessTokens | Kind::LoadTooHigh)
    }
}

impl Fact {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Fact::TokenExpiring { .. } => Kind::TokenExpiring,
            Fact::TokenExpired { .. } => Kind::TokenExpired,
            Fact::TokenInvalid { .. } => Kind::TokenInvalid,
            Fact::NeedsReconnecting { .. } => Kind::NeedsReconnecting,
            Fact::TokenBlocked { .. } => Kind::TokenBlocked,
            Fact::TokenRenewed { .. } => Kind::TokenRenewed,
            Fact::TokenConnected { .. } => Kind::TokenConnected,
            Fact::OutOfBandSpending { .. } | Fact::SharedSpending { .. } => Kind::OutOfBandSpending,
            Fact::OperationRefused { .. } => Kind::OperationRefused,
            Fact::RetentionClock { .. } => Kind::RetentionClock,
            Fact::LoadTooHigh { .. } => Kind::LoadTooHigh,
            Fact::LoadCleared { .. } => Kind::LoadCleared,
            Fact::NoAccessTokens { .. } => Kind::NoAccessTokens,
            Fact::AccessTokensAgain { .. } => Kind::AccessTokensAgain,
            Fact::IncidentOpened { .. } => Kind::IncidentOpened,
            Fact::IncidentClosed { .. } => Kind::IncidentClosed,
            Fact::SecretDamaged { .. } | Fact::DestinationGone { .. } => Kind::OutOfOrder,
        }
    }

    /// Whether somebody should do something about it: also about an incident that ended as a loss, and not about an outage.
    pub const fn asks_for_action(&self) -> bool {
        match self {
            Fact::IncidentClosed { lost, .. } => lost.is_some(),
            Fact::IncidentOpened { kind, .. } => !matches!(kind, IncidentKind::ProviderOutage),
            _ => self.kind().asks_for_action(),
        }
    }

    /// Why a token is dead that one cause ended together with many others.
    pub const fn lost_with_many(&self) -> Option<Reason> {
        match self {
            Fact::TokenInvalid { reason, .. } if reason.hits_many() => Some(*reason),
            _ => None,
        }
    }

    /// The fact as it is told to whom nothing of the same matter was told before: an incident was taken for nothing else then.
    pub fn as_first_heard(self) -> Fact {
        match self {
            Fact::IncidentOpened { network, app, incident, kind, .. } => {
                Fact::IncidentOpened { network, app, incident, kind, was: None }
            }
            other => other,
        }
    }

    /// How it is told beside other facts.
    pub const fn weight(&self) -> Weight {
        match self.lost_with_many() {
            Some(_) => Weight::Shared,
            None if self.kind().is_urgent() => Weight::Urgent,
            None => Weight::Single,
        }
    }

    /// The network that it concerns, if it is one.
    pub const fn network(&self) -> Option<&NetworkId> {
        match self {
            Fact::TokenExpiring { network, .. }
            | Fact::TokenExpired { network, .. }
            | Fact::TokenInvalid { network, .. }
            | Fact::NeedsReconnecting { network, .. }
            | Fact::TokenBlocked { network, .. }
            | Fact::TokenRenewed { network, .. }
            | Fact::TokenConnected { network, .. }
            | Fact::OutOfBandSpending { network, .. }
            | Fact::SharedSpending { network, .. }
            | Fact::OperationRefused { network, .. }
            | Fact::RetentionClock { network, .. }
            | Fact::LoadTooHigh { network, .. }
            | Fact::LoadCleared { network, .. }
            | Fact::NoAccessTokens { network, .. }
            | Fact::AccessTokensAgain { network, .. }
            | Fact::IncidentOpened { network, .. }
            | Fact::IncidentClosed { network, .. } => Some(network),
            Fact::SecretDamaged { .. } | Fact::DestinationGone { .. } => None,
        }
    }

    /// The token that it concerns, if it is one.
    pub const fn token(&self) -> Option<TokenId> {
        match self {
            Fact::TokenExpiring { token, .. }
            | Fact::TokenExpired { token, .. }
            | Fact::TokenInvalid { token, .. }
            | Fact::NeedsReconnecting { token, .. }
            | Fact::TokenBlocked { token, .. }
            | Fact::TokenRenewed { token, .. }
            | Fact::TokenConnected { token, .. }
            | Fact::OutOfBandSpending { token, .. }
            | Fact::RetentionClock { token, .. } => Some(*token),
            Fact::SharedSpending { .. }
            | Fact::OperationRefused { .. }
            | Fact::LoadTooHigh { .. }
            | Fact::LoadCleared { .. }
            | Fact::NoAccessTokens { .. }
            | Fact::AccessTokensAgain { .. }
            | Fact::IncidentOpened { .. }
            | Fact::IncidentClosed { .. }
            | Fact::SecretDamaged { .. }
            | Fact::DestinationGone { .. } => None,
        }
    }

    /// The alert that it concerns, if it is one.
    pub const fn alert(&self) -> Option<AlertId> {
        match self {
            Fact::LoadTooHigh { alert, .. }
            | Fact::LoadCleared { alert, .. }
            | Fact::NoAccessTokens { alert, .. }
            | Fact::AccessTokensAgain { alert, .. } => Some(*alert),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.as_str()), Some(kind));
        }
    }
}
