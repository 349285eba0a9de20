//! Facts that people may want to hear.

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::ids::{AlertId, AppId, ClassId, EventId, IncidentId, NetworkId, TeamId, TokenId};
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

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A clock that no renewal turns back ends within some days.
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
        /// Why, for people.
        why: String,
        /// Until when; `None`: not known.
        by: Option<Timestamp>,
    },
    /// A token that was in trouble was renewed and works.
    TokenRenewed {
        /// Its network.
        network: NetworkId,
        /// The token.
        token: TokenId,
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
    /// What was collected with a token must be deleted unless it is valid again in time.
    RetentionClock {
        /// Its network.
        network: NetworkId,
        /// The token.
        token: TokenId,
        /// How far the clock has run.
        stage: RetentionStage,
        /// When the time is over.
        deadline: Timestamp,
    },
    /// More is collected than the tokens can carry.
    LoadTooHigh {
        /// Of this network.
        network: NetworkId,
        /// Of this credit.
        class: ClassId,
        /// The alert.
        alert: AlertId,
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
    },
    /// An incident is over.
    IncidentClosed {
        /// The network.
        network: NetworkId,
        /// The app.
        app: AppId,
        /// The incident.
        incident: IncidentId,
    },
}

/// A clock of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Of the access token, where nothing renews it.
    Access,
    /// Of the refresh token, or of the grant as a whole.
    Refresh,
    /// Of the access to the person's data.
    DataAccess,
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

impl Fact {
    /// The name of its kind, used in SQL, metrics, logs and settings.
    pub const fn kind(&self) -> &'static str {
        match self {
            Fact::TokenExpiring { .. } => "token_expiring",
            Fact::TokenExpired { .. } => "token_expired",
            Fact::TokenInvalid { .. } => "token_invalid",
            Fact::NeedsReconnecting { .. } => "needs_reconnecting",
            Fact::TokenRenewed { .. } => "token_renewed",
            Fact::TokenConnected { .. } => "token_connected",
            Fact::OutOfBandSpending { .. } => "out_of_band_spending",
            Fact::RetentionClock { .. } => "retention_clock",
            Fact::LoadTooHigh { .. } => "load_too_high",
            Fact::LoadCleared { .. } => "load_cleared",
            Fact::NoAccessTokens { .. } => "no_access_tokens",
            Fact::AccessTokensAgain { .. } => "access_tokens_again",
            Fact::IncidentOpened { .. } => "incident_opened",
            Fact::IncidentClosed { .. } => "incident_closed",
        }
    }

    /// The network that it concerns.
    pub const fn network(&self) -> &NetworkId {
        match self {
            Fact::TokenExpiring { network, .. }
            | Fact::TokenExpired { network, .. }
            | Fact::TokenInvalid { network, .. }
            | Fact::NeedsReconnecting { network, .. }
            | Fact::TokenRenewed { network, .. }
            | Fact::TokenConnected { network, .. }
            | Fact::OutOfBandSpending { network, .. }
            | Fact::RetentionClock { network, .. }
            | Fact::LoadTooHigh { network, .. }
            | Fact::LoadCleared { network, .. }
            | Fact::NoAccessTokens { network, .. }
            | Fact::AccessTokensAgain { network, .. }
            | Fact::IncidentOpened { network, .. }
            | Fact::IncidentClosed { network, .. } => network,
        }
    }

    /// The token that it concerns, if it is one.
    pub const fn token(&self) -> Option<TokenId> {
        match self {
            Fact::TokenExpiring { token, .. }
            | Fact::TokenExpired { token, .. }
            | Fact::TokenInvalid { token, .. }
            | Fact::NeedsReconnecting { token, .. }
            | Fact::TokenRenewed { token, .. }
            | Fact::TokenConnected { token, .. }
            | Fact::OutOfBandSpending { token, .. }
            | Fact::RetentionClock { token, .. } => Some(*token),
            Fact::LoadTooHigh { .. }
            | Fact::LoadCleared { .. }
            | Fact::NoAccessTokens { .. }
            | Fact::AccessTokensAgain { .. }
            | Fact::IncidentOpened { .. }
            | Fact::IncidentClosed { .. } => None,
        }
    }
}
