//! What a notice says: what happened, why, what it stops, what to do, and one link. The only place with these texts, so that they can be
//! translated.

use jiff::tz::TimeZone;

use crate::base::clock::Timestamp;
use crate::domain::notice::{Clock, Event, Fact, RetentionStage, Turn, neutral};
use crate::domain::token::Reason;

/// The longest name that is shown.
const NAME: usize = 80;
/// The longest text of a network or an alert that is shown.
const TEXT: usize = 600;

/// What is told, with what is known of it. Names may be foreign text.
#[derive(Debug, Clone)]
pub struct Told<'t> {
    /// The event.
    pub event: &'t Event,
    /// The name of the network.
    pub network: &'t str,
    /// What people call the token, if it is about one: its label, its profile, or its id.
    pub token: &'t str,
    /// What an alert says, if it is about one.
    pub alert: &'t str,
    /// Where the broker's pages are (`https://tokens.example.com`), without a slash at the end; `None`: not known.
    pub pages: Option<&'t str>,
    /// The time zone in which times are told.
    pub zone: &'t TimeZone,
}

/// What a notice says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// All of it in one line.
    pub subject: String,
    /// What happened.
    pub happened: String,
    /// Why.
    pub why: String,
    /// What it stops.
    pub stops: String,
    /// What to do.
    pub todo: String,
    /// Where to do it.
    pub link: Option<Link>,
    /// Whether somebody should do something.
    pub asks: bool,
}

/// Where to do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What the link does, in a few words.
    pub text: &'static str,
    /// The address.
    pub url: String,
}

impl Words {
    /// The words for an event.
    pub fn of(told: &Told<'_>) -> Words {
        let [subject, happened, why, stops, todo] = match &told.event.fact {
            Fact::LoadTooHigh { .. }
            | Fact::LoadCleared { .. }
            | Fact::NoAccessTokens { .. }
            | Fact::AccessTokensAgain { .. } => told.of_alert(),
            Fact::IncidentOpened { .. } | Fact::IncidentClosed { .. } => told.of_incident(),
            _ => told.of_token(),
        };
        Words { subject, happened, why, stops, todo, link: told.link(), asks: told.event.fact.kind().asks_for_action() }
    }
}

impl Words {
    /// The words of a test message.
    pub fn of_test() -> Words {
        Words {
            subject: "A test of Token Broker".to_owned(),
            happened: "Somebody asked for this message, to see whether it arrives.".to_owned(),
            why: "It is a test.".to_owned(),
            stops: "Nothing.".to_owned(),
            todo: "Nothing.".to_owned(),
            link: None,
            asks: false,
        }
    }
}

impl Told<'_> {
    fn of_token(&self) -> [String; 5] {
        let (network, token) = (neutral(self.network, NAME), neutral(self.token, NAME));
        let it = format!("The {network} token \"{token}\"");
        let nothing_more = format!("Nothing is collected from {network} with it, and leases for it are refused.");
        let reconnect = "Reconnect the account. Its settings, collections and history stay as they are.".to_owned();
        match &self.event.fact {
            Fact::TokenExpiring { clock, ends_at, within_days, .. } => [
                format!("{network} token \"{token}\" ends within {}", days(*within_days)),
                format!("{it} ends on {}.", self.time(*ends_at)),
                why_it_ends(*clock).to_owned(),
                "From then on nothing is collected with it.".to_owned(),
                "Reconnect the account before that. Its settings, collections and history stay as they are.".to_owned(),
            ],
            Fact::TokenExpired { .. } => [
                format!("{network} token \"{token}\" has expired"),
                format!("{it} has expired."),
                "Its time was over, and nothing renewed it.".to_owned(),
                nothing_more,
                reconnect,
            ],
            Fact::TokenInvalid { reason, .. } => {
                let (why, todo) = of_reason(*reason);
                [
                    format!("{network} token \"{token}\" does not work any more"),
                    format!("{it} does not work any more, since {}.", self.time(self.event.at)),
                    why.to_owned(),
                    nothing_more,
                    todo.to_owned(),
                ]
            }
            Fact::NeedsReconnecting { why, by, .. } => {
                let by = by.map_or_else(|| "It still works".to_owned(), |by| format!("It works until {}", self.time(by)));
                [
                    format!("{network} token \"{token}\" must be connected again"),
                    format!("{it} must be connected again."),
                    neutral(why, TEXT),
                    format!("{by}; after that nothing is collected with it."),
                    reconnect,
                ]
            }
            Fact::TokenRenewed { .. } => [
                format!("{network} token \"{token}\" works again"),
                format!("{it} was renewed and works again."),
                "The network took up renewals again.".to_owned(),
                "Nothing: collecting goes on by itself.".to_owned(),
                "Nothing.".to_owned(),
            ],
            Fact::TokenConnected { healed, .. } => [
                format!("{network} account \"{token}\" was connected{}", if *healed { " again" } else { "" }),
                format!("The {network} account \"{token}\" was connected{}.", if *healed { " again and works" } else { "" }),
                "A member of the team connected it.".to_owned(),
                "Nothing: collecting goes on by itself.".to_owned(),
                "Nothing. If nobody of the team should have done this, revoke the token.".to_owned(),
            ],
            Fact::OutOfBandSpending { class, credits, .. } => [
                format!("Somebody else uses the {network} account \"{token}\""),
                format!("{credits} credits ({class}) of the {network} token \"{token}\" were spent outside of the broker."),
                "Another program, or a person, uses the same account, so less of its allowance is left than was planned.".to_owned(),
                "Less is collected with it until the network counts anew.".to_owned(),
                "Find out what else uses the account. If nobody should, change its password and reconnect it.".to_owned(),
            ],
            Fact::RetentionClock { stage, deadline, .. } => self.of_retention(&network, &token, *stage, *deadline),
            _ => unreachable!("alerts and incidents have words of their own"),
        }
    }

    fn of_retention(&self, network: &str, token: &str, stage: RetentionStage, deadline: Timestamp) -> [String; 5] {
        let left = match stage {
            RetentionStage::Started => "must be deleted unless it is reconnected".to_owned(),
            RetentionStage::ThreeDays => "must be deleted in 3 days".to_owned(),
            RetentionStage::OneDay => "must be deleted in 1 day".to_owned(),
            RetentionStage::Over => "must be deleted now".to_owned(),
        };
        [
            format!("What was collected with {network} token \"{token}\" {left}"),
            format!(
                "What was collected with the {network} token \"{token}\" {left}: the time ends on {}.",
                self.time(deadline)
            ),
            format!("The terms of {network} ask for it once a person's permission is gone for that long."),
            "The collected data of its profiles.".to_owned(),
            match stage {
                RetentionStage::Over => {
                    "Delete the data. Connecting the account again does not bring it back.".to_owned()
                }
                _ => "Reconnect the account before that, or delete the data.".to_owned(),
            },
        ]
    }

    fn of_alert(&self) -> [String; 5] {
        let (network, alert) = (neutral(self.network, NAME), neutral(self.alert, TEXT));
        let nothing = || "Nothing.".to_owned();
        match &self.event.fact {
            Fact::LoadTooHigh { turn, class, .. } => [
                match turn {
                    Turn::Opened => format!("Token load too high at {network}"),
                    Turn::Raised => format!("Token load at {network} is critical now"),
                    Turn::Lowered => format!("Token load at {network} is still too high, but no longer critical"),
                },
                alert,
                format!("More is asked for than the team's tokens can give ({class})."),
                "Collecting falls behind: requests wait, or are refused.".to_owned(),
                "Connect more accounts of this network, or collect less, as said above.".to_owned(),
            ],
            Fact::NoAccessTokens { class, .. } => [
                format!("No usable {network} token"),
                alert,
                format!("There is demand ({class}), and no token of the team may serve it."),
                format!("All collecting from {network} that needs one."),
                "Connect or reconnect an account of this network.".to_owned(),
            ],
            Fact::LoadCleared { class, .. } => [
                format!("Token load at {network} is fine again"),
                format!("The token load at {network} ({class}) is no longer too high."),
                "The team's tokens carry what is asked for.".to_owned(),
                nothing(),
                nothing(),
            ],
            _ => [
                format!("{network} tokens are there again"),
                format!("There is a usable {network} token again, or nobody asks for one."),
                "An account was connected, renewed or resumed, or demand ended.".to_owned(),
                nothing(),
                nothing(),
            ],
        }
    }

    fn of_incident(&self) -> [String; 5] {
        let network = neutral(self.network, NAME);
        match &self.event.fact {
            Fact::IncidentOpened { app, .. } => [
                format!("Many {network} tokens fail at once"),
                format!("Many tokens of {network} (app \"{app}\") stopped working at once."),
                "One cause hit them all: it lies with the network or the app, not with single accounts.".to_owned(),
                format!(
                    "Collecting from {network} with these tokens. Messages about single ones are held back meanwhile."
                ),
                "Look at the incident before anybody reconnects: most tokens may come back by themselves.".to_owned(),
            ],
            _ => [
                format!("The incident at {network} is over"),
                format!("The incident at {network} is over."),
                "The tokens that can work do so again.".to_owned(),
                "Nothing more.".to_owned(),
                "Reconnect the accounts that the incident's page lists, if there are any.".to_owned(),
            ],
        }
    }

    fn link(&self) -> Option<Link> {
        let (pages, event) = (self.pages?, self.event);
        let team = event.team.as_ref().map_or_else(String::new, |team| format!("/teams/{team}"));
        let network = event.fact.network();
        let (text, path) = match &event.fact {
            Fact::IncidentOpened { incident, .. } | Fact::IncidentClosed { incident, .. } => {
                ("Look at the incident", format!("{team}/incidents/{incident}"))
            }
            fact => match fact.token() {
                Some(token) if fact.kind().asks_for_action() => {
                    ("Reconnect the account", format!("{team}/tokens/{token}"))
                }
                Some(token) => ("Look at the token", format!("{team}/tokens/{token}")),
                None => ("Look at the load", format!("{team}/load/{network}")),
            },
        };
        Some(Link { text, url: format!("{pages}{path}") })
    }

    fn time(&self, at: Timestamp) -> String {
        let Ok(at) = jiff::Timestamp::from_microsecond(at.micros()) else { return at.to_string() };
        at.to_zoned(self.zone.clone()).strftime("%A, %-d %B %Y, %H:%M %Z").to_string()
    }
}

fn days(days: u8) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

const fn why_it_ends(clock: Clock) -> &'static str {
    match clock {
        Clock::Access => "The network gave it for a fixed time, and nothing renews it by itself.",
        Clock::Refresh => "The network ends each permission after a fixed time; only a person can give it again.",
        Clock::DataAccess => {
            "The network ends the access to a person's data when the person has not used the app for long."
        }
    }
}

/// Why a token does not work, and what to do.
const fn of_reason(reason: Reason) -> (&'static str, &'static str) {
    const AGAIN: &str = "Reconnect the account. Its settings, collections and history stay as they are.";
    match reason {
        Reason::Expired => ("Its time was over, and nothing renewed it.", AGAIN),
        Reason::PasswordChanged => ("The account's password was changed, which ends all permissions.", AGAIN),
        Reason::PermissionLost => (
            "The person lost a role or a permission at the network.",
            "Have somebody with the rights give them back, then reconnect the account.",
        ),
        Reason::RevokedByPerson => {
            ("The person removed the app at the network.", "If that was not meant, reconnect the account.")
        }
        Reason::PersonBlocked => (
            "The network blocked the account, or wants its owner to confirm something.",
            "Sign in at the network and do what it asks for, then reconnect the account.",
        ),
        Reason::AppDisabled => (
            "The network disabled the app through which it was connected.",
            "Look at the app at the network: reconnecting helps only once it works again.",
        ),
        Reason::PlatformReset => ("The network reset its tokens.", AGAIN),
        Reason::RefreshRejected => ("The network refused to renew it.", AGAIN),
        Reason::NotAccepted => ("The network does not accept it any more, and does not say why.", AGAIN),
        Reason::SecretDamaged => (
            "What the broker stored of it was damaged and does not open.",
            "Reconnect the account, and have an operator look at the store.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::EventId;
    use crate::domain::notice::tests::{NOW, facts};

    fn words(fact: Fact, token: &str) -> Words {
        let event = Event {
            id: EventId::from_u128(1),
            at: NOW,
            team: Some("acme".parse().unwrap()),
            fact,
            dedup_key: String::new(),
        };
        let zone = TimeZone::get("Europe/Vienna").unwrap();
        Words::of(&Told {
            event: &event,
            network: "Instagram",
            token,
            alert: "Load at 2.4.",
            pages: Some("https://t.example"),
            zone: &zone,
        })
    }

    #[test]
    fn every_fact_says_what_happened_why_what_it_stops_and_what_to_do() {
        for fact in facts() {
            let kind = fact.kind();
            let words = words(fact, "Acme Shop");
            for part in [&words.subject, &words.happened, &words.why, &words.stops, &words.todo] {
                assert!(!part.is_empty() && !part.contains(['\n', '\r']), "{kind:?}: {words:?}");
            }
            assert!(words.subject.chars().count() <= 140, "{}", words.subject);
            let link = words.link.unwrap();
            assert!(link.url.starts_with("https://t.example/teams/acme/"), "{}", link.url);
        }
        for reason in Reason::ALL {
            let (why, todo) = of_reason(reason);
            assert!(why.ends_with('.') && todo.ends_with('.'), "{reason:?}");
        }
    }

    #[test]
    fn times_are_told_in_the_persons_zone() {
        let ends_at = Timestamp::from_secs(1_780_000_000);
        let (network, token) = ("x".parse().unwrap(), crate::base::ids::TokenId::from_u128(7));
        let fact = Fact::TokenExpiring { network, token, clock: Clock::Access, ends_at, within_days: 1 };
        let words = words(fact, "Acme");
        assert_eq!(words.subject, "Instagram token \"Acme\" ends within 1 day");
        assert_eq!(words.happened, "The Instagram token \"Acme\" ends on Thursday, 28 May 2026, 22:26 CEST.");
        assert_eq!(words.link.unwrap().url, "https://t.example/teams/acme/tokens/tok_00000000000000000000000000000007");
    }

    #[test]
    fn a_foreign_name_adds_no_line() {
        for fact in facts() {
            let words = words(fact, "x\r\nBcc: all@example.com\u{202e}");
            for part in [&words.subject, &words.happened, &words.stops] {
                assert!(!part.contains(['\n', '\r', '\u{202e}']), "{part:?}");
            }
        }
    }
}
