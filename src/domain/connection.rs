//! Connections: each is one try of a person to give a team consent at a network.
//!
//! `offered → asked → redeeming → choosing → connected`; what goes wrong on the way leads back to *offered* with the problem noted, so that
//! the same person can try again by the same link; `cancelled` and `lapsed` from any of them but the last. Secrets are kept apart, sealed,
//! and only between two steps.

mod choice;
mod consent;
mod granter;
mod problem;

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::ids::{AppId, ConnectionId, KindId, MemberId, NetworkId, TeamId, TokenId};
use crate::domain::networks::Purposes;

pub use choice::{ChoiceError, FitProfiles, fit_profiles};
pub use consent::{NotConnectable, consent_of, missing_scopes, scopes_to_ask};
pub use granter::Granter;
pub use problem::{LookUp, Need, Obstacle, Problem, ProblemKind, Refusal, otherwise_of};

/// One try to connect an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// The team that asks.
    pub team: TeamId,
    /// The network.
    pub network: NetworkId,
    /// The app through which consent is given.
    pub app: AppId,
    /// The kind of token that is wanted.
    pub kind: KindId,
    /// What the tokens will be used for. Never empty.
    pub purposes: Purposes,
    /// Scopes that are asked for beside those that the purposes need.
    pub scopes: Vec<String>,
    /// The member who started it; `None`: an operator did.
    pub started_by: Option<MemberId>,
    /// Who gives consent.
    pub granter: Granter,
    /// The version of the text that the person agreed to, the last time that it went on to the network; empty: nobody did yet.
    pub text_version: String,
    /// The token that is to be healed; `None`: a new one is wanted.
    pub token: Option<TokenId>,
    /// Whether another account may come back than the token to be healed is of.
    pub other_account: bool,
    /// Where the browser goes at the end.
    pub return_url: Option<String>,
    /// How far it is.
    pub stage: Stage,
    /// What went wrong last, unless a later step went well.
    pub problem: Option<Problem>,
    /// When it was started.
    pub created_at: Timestamp,
    /// When its time is over, unless it is connected before.
    pub ends_at: Timestamp,
    /// Raised by one with each change.
    pub version: u32,
}

/// How far a connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Nobody was sent to the network, or somebody came back without success.
    Offered,
    /// A person is at the network.
    Asked {
        /// Until when the network's answer is taken.
        until: Timestamp,
    },
    /// The code that came back is being redeemed.
    Redeeming {
        /// Since when.
        since: Timestamp,
    },
    /// Consent was given; it is to be said which profiles are meant, or that the account is the right one.
    Choosing(Found),
    /// The tokens are in the team's pool.
    Connected {
        /// They.
        tokens: Vec<TokenId>,
        /// Since when.
        at: Timestamp,
    },
    /// Somebody ended it.
    Cancelled {
        /// When.
        at: Timestamp,
    },
    /// Its time is over.
    Lapsed {
        /// Since when.
        at: Timestamp,
    },
}

/// Who gave consent, and to what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The person's id at the network; empty where it does not tell.
    pub person: String,
    /// The account's name for people; may be empty.
    pub name: String,
    /// The scopes that were granted.
    pub scopes: Vec<String>,
    /// The profiles that can be connected, and those that can't; empty for a kind that speaks for the account itself.
    pub profiles: Vec<Profile>,
}

/// A profile that a person may act for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its id at the network.
    pub id: String,
    /// Its name for people; may be empty.
    pub name: String,
    /// Why it can't be connected, and what to do about it; `None`: it can.
    pub obstacle: Option<Obstacle>,
}

/// Why a step is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    /// It is over.
    #[error("this connection has ended ({0}); start a new one")]
    Ended(&'static str),
    /// The network's answer was used already.
    #[error("the network's answer was used already; open the connect link again if the account is not connected yet")]
    Used,
    /// The network's answer came too late.
    #[error("the network's answer came too late; open the connect link again")]
    TooLate,
    /// No consent was given yet.
    #[error("nobody has given consent yet; open the connect link first")]
    NotReady,
}

impl Stage {
    /// The name used in SQL and logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Stage::Offered => "offered",
            Stage::Asked { .. } => "asked",
            Stage::Redeeming { .. } => "redeeming",
            Stage::Choosing(_) => "choosing",
            Stage::Connected { .. } => "connected",
            Stage::Cancelled { .. } => "cancelled",
            Stage::Lapsed { .. } => "lapsed",
        }
    }

    /// Whether nothing comes after it.
    pub const fn is_end(&self) -> bool {
        matches!(self, Stage::Connected { .. } | Stage::Cancelled { .. } | Stage::Lapsed { .. })
    }
}

impl Connection {
    fn into(mut self, stage: Stage, problem: Option<Problem>) -> Self {
        self.version += 1;
        Self { stage, problem, ..self }
    }

    fn must_go_on(&self, now: Timestamp) -> Result<(), StageError> {
        match &self.stage {
            stage if stage.is_end() => Err(StageError::Ended(stage.as_str())),
            _ if self.ends_at <= now => Err(StageError::Ended("lapsed")),
            _ => Ok(()),
        }
    }

    /// The members without whom it goes no further: who started it, and who is bound to it.
    pub fn members(&self) -> impl Iterator<Item = MemberId> {
        let bound = match &self.granter {
            Granter::Member(id) => Some(*id),
            Granter::Named(_) => None,
        };
        self.started_by.into_iter().chain(bound)
    }

    /// A person who agreed to a text is sent to the network, whose answer is taken until then. Whoever was there before is not waited for any
    /// more, and consent that was given before is given anew. `member`: who is signed in there, to whom it is bound from then on.
    pub fn ask(
        self,
        now: Timestamp,
        until: Timestamp,
        text_version: &str,
        member: Option<MemberId>,
    ) -> Result<Self, StageError> {
        self.must_go_on(now)?;
        let granter = member.map_or_else(|| self.granter.clone(), Granter::Member);
        let agreed = Self { granter, text_version: text_version.to_owned(), ..self };
        Ok(agreed.into(Stage::Asked { until }, None))
    }

    /// A code came back. Once for each time that somebody is asked.
    pub fn redeem(self, now: Timestamp) -> Result<Self, StageError> {
        self.must_go_on(now)?;
        match self.stage {
            Stage::Asked { until } if until > now => Ok(self.into(Stage::Redeeming { since: now }, None)),
            Stage::Asked { .. } => Err(StageError::TooLate),
            _ => Err(StageError::Used),
        }
    }

    /// It is known who gave consent.
    pub fn choose(self, found: Found) -> Self {
        self.into(Stage::Choosing(found), None)
    }

    /// It did not work; the same person may try again.
    pub fn fail(self, problem: Problem) -> Self {
        self.into(Stage::Offered, Some(problem))
    }

    /// What was found, if it is time to choose.
    pub fn found(&self, now: Timestamp) -> Result<&Found, StageError> {
        self.must_go_on(now)?;
        match &self.stage {
            Stage::Choosing(found) => Ok(found),
            _ => Err(StageError::NotReady),
        }
    }

    /// The tokens are in the pool.
    pub fn connect(self, tokens: Vec<TokenId>, now: Timestamp) -> Self {
        self.into(Stage::Connected { tokens, at: now }, None)
    }

    /// Somebody ends it. Ending it twice changes nothing.
    pub fn cancel(self, now: Timestamp) -> Result<Self, StageError> {
        match self.stage {
            Stage::Cancelled { .. } => Ok(self),
            Stage::Connected { .. } | Stage::Lapsed { .. } => Err(StageError::Ended(self.stage.as_str())),
            _ => Ok(self.into(Stage::Cancelled { at: now }, None)),
        }
    }

    /// Its time is over; `None`: it is not.
    pub fn lapse(self, now: Timestamp) -> Option<Self> {
        let over = !self.stage.is_end() && self.ends_at <= now;
        over.then(|| self.into(Stage::Lapsed { at: now }, None))
    }
}

#[cfg(test)]
mod tests;
