//! Notices: what people are told.
//!
//! An [`Event`] is a fact that happened, kept with the change that made it true. Who hears of it, where, and whether it still holds by
//! then is decided later, so that nobody is told of what is over:
//!
//! * [`of_change`], [`of_recovery`] and [`Expiry`] find the facts in what becomes of tokens.
//! * [`gather`] bounds the messages to one destination, whatever happens.
//! * [`still_holds`] looks at a fact once more when it is about to be told.
//! * [`Words`] say it; [`Page`], [`Plain`] and the others write it in the form of a channel.

mod chat;
mod destination;
mod event;
mod expiry;
mod gather;
mod need;
mod neutral;
mod page;
mod push;
mod settings;
mod state;
mod truth;
mod webhook;
mod words;

pub use chat::{slack, summary, teams};
pub use destination::{Destination, DestinationKind, MOST_DESTINATIONS};
pub use event::{Clock, Event, Fact, Kind, RetentionStage, Turn};
pub use expiry::{Expiry, LookAt, Renewing, is_trouble, next_looks};
pub use gather::{Budget, Coming, Gathered, KEPT, OpenMessage, Weight, gather};
pub use need::Need;
pub use neutral::neutral;
pub use page::{html, plain};
pub use push::{MOST_SUBSCRIPTIONS, PushSubscription, push_body};
pub use settings::{Channel, Choice, MOST_CHOICES, NoticeSettings, QuietHours, SettingsError, Stands};
pub use state::{SETTLES_WITHIN, of_block, of_change, of_recovery, tell_from};
pub use truth::{Known, Untrue, still_holds};
pub use webhook::{LISTED, digest_body, event_body};
pub use words::{Link, Told, Words};

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::base::clock::Timestamp;
    use crate::base::ids::{AlertId, DestinationId, IncidentId, TokenId};
    use crate::domain::incident::IncidentKind;
    use crate::domain::networks::{Duty, Purposes};
    use crate::domain::token::{Clocks, Reason, Token, TokenState};

    pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_780_000_000);

    /// The words of a notice with that subject, which asks for something.
    pub(crate) fn words(subject: &str) -> Words {
        Words {
            subject: subject.to_owned(),
            happened: format!("{subject}."),
            why: "Because.".to_owned(),
            stops: "All.".to_owned(),
            todo: "Reconnect.".to_owned(),
            link: Some(Link {
                text: "Reconnect the account".to_owned(),
                url: "https://t.example/a?b=1&c=2".to_owned(),
            }),
            asks: true,
        }
    }

    /// A token in a state.
    pub(crate) fn token(state: TokenState) -> Token {
        Token {
            id: TokenId::from_u128(7),
            team: "acme".parse().unwrap(),
            network: "x".parse().unwrap(),
            app: "default".parse().unwrap(),
            kind: "user".parse().unwrap(),
            person: "12".to_owned(),
            profiles: vec!["12".to_owned()],
            label: "Acme Shop".to_owned(),
            granted_by: String::new(),
            scopes: Vec::new(),
            purposes: Purposes::default(),
            facts: BTreeMap::new(),
            reserve_percent: None,
            max_leases: None,
            state,
            clocks: Clocks::default(),
            cooling_until: None,
            refreshed: false,
            closed: BTreeMap::new(),
            blocked_since: None,
            created_at: Timestamp::EPOCH,
            version: 1,
        }
    }

    /// One fact of each kind.
    pub(crate) fn facts() -> Vec<Fact> {
        let (network, class): (crate::base::ids::NetworkId, crate::base::ids::ClassId) =
            ("x".parse().unwrap(), "search".parse().unwrap());
        let (token, alert, incident) = (TokenId::from_u128(7), AlertId::from_u128(1), IncidentId::from_u128(1));
        let app: crate::base::ids::AppId = "default".parse().unwrap();
        let of = |network: &crate::base::ids::NetworkId| network.clone();
        let facts = vec![
            Fact::TokenExpiring { network: of(&network), token, clock: Clock::Refresh, ends_at: NOW, within_days: 7 },
            Fact::TokenExpired { network: of(&network), token },
            Fact::TokenInvalid { network: of(&network), token, reason: Reason::PasswordChanged },
            Fact::NeedsReconnecting {
                network: of(&network),
                token,
                need: Some(Need::Scopes { scopes: vec!["new.read".to_owned()], about: "posts are read".to_owned() }),
                by: Some(NOW),
            },
            Fact::TokenBlocked { network: of(&network), token },
            Fact::TokenRenewed { network: of(&network), token, troubles: Vec::new() },
            Fact::TokenConnected { network: of(&network), token, healed: true },
            Fact::OutOfBandSpending { network: of(&network), token, class: class.clone(), credits: 12 },
            Fact::OperationRefused {
                network: of(&network),
                app: app.clone(),
                operation: "tweets.get".parse().unwrap(),
            },
            Fact::RetentionClock {
                network: of(&network),
                token,
                stage: RetentionStage::OneDay,
                deadline: NOW,
                duty: Duty::Delete,
                rules: vec!["All is deleted after 7 days.".to_owned()],
            },
            Fact::LoadTooHigh { network: of(&network), class: class.clone(), alert, turn: Turn::Opened },
            Fact::LoadCleared { network: of(&network), class: class.clone(), alert },
            Fact::NoAccessTokens { network: of(&network), class: class.clone(), alert },
            Fact::AccessTokensAgain { network: of(&network), class, alert },
            Fact::IncidentOpened {
                network: of(&network),
                app: app.clone(),
                incident,
                kind: IncidentKind::NetworkReset,
                was: None,
            },
            Fact::IncidentClosed { network, app, incident, lost: None, served: true },
            Fact::DestinationGone { destination: DestinationId::from_u128(1), name: "All of\u{202e} Acme".to_owned() },
        ];
        assert_eq!(facts.iter().map(Fact::kind).collect::<Vec<_>>(), Kind::ALL);
        facts
    }
}
