//! The words of facts about many tokens: loads, incidents, and what these cost.

use super::{Link, NAME, Parts, TEXT, Told, Words};
use crate::base::ids::{AppId, ClassId, NetworkId, OperationId};
use crate::domain::alert::{Detail, Level, NoToken};
use crate::domain::incident::IncidentKind;
use crate::domain::load::Advice;
use crate::domain::notice::{Turn, neutral};
use crate::domain::token::Reason;

/// Where tokens that are lost can be mended: the console's list of those at a network that do not work.
pub(super) fn link_to_lost(pages: &str, network: &NetworkId) -> Link {
    Link { text: "Reconnect the accounts", url: format!("{pages}/tokens?status=dead&network={network}") }
}

const MORE_ACCOUNTS: &str = "Connect more accounts of this network, or collect less, as said above.";

/// What to do about an alert: what its message advises.
const fn todo_of(detail: &Detail) -> &'static str {
    match detail {
        Detail::Load(load) => match load.advice {
            Advice::AddTokens { .. } | Advice::ConnectFirst => MORE_ACCOUNTS,
            Advice::AddTokensUpTo { .. } => "Connect more accounts of this network and collect less, as said above.",
            Advice::AddsNothing { .. } => {
                "Collect less, or have the limit raised at the network: more accounts do not help."
            }
            Advice::Nothing => "Look at the load. If it stays as it is now, this ends by itself.",
            Advice::Wait => {
                "Wait until the incident is over, for which tokens rest. More accounts do not help meanwhile."
            }
        },
        Detail::Access(why) => match why {
            NoToken::NoneConnected => "Connect an account of this network.",
            NoToken::AllExpired | NoToken::AllInvalid => "Reconnect the accounts of this network.",
            NoToken::AllPaused => "Have a manager resume one of the tokens.",
            NoToken::AllBlocked => "Sign in at the network with the accounts that it blocks, and do what it asks for.",
            NoToken::PermissionLost => {
                "Have the permission or role given back at the network, then reconnect an account."
            }
            NoToken::NoneOfKind => "Connect an account of the kind that the call needs.",
            NoToken::NoneForPurpose => "Reconnect an account, and agree to the purpose that is asked for.",
            NoToken::NoneWithScopes => "Reconnect an account, and grant the permissions that the call needs.",
            NoToken::NoneForProfile => "Have somebody connect the profile who manages it.",
        },
    }
}

/// Why many tokens are lost, and what to do.
const fn of_loss(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::AppDisabled => (
            "The network disabled the app through which they were connected.",
            "Look at the app at the network first; once it works again, reconnect the accounts.",
        ),
        _ => (
            "The network reset its tokens.",
            "Reconnect the accounts that do not work. Their settings, collections and history stay as they are.",
        ),
    }
}

const fn taken_for(kind: IncidentKind) -> &'static str {
    match kind {
        IncidentKind::NetworkReset => "a reset of tokens",
        IncidentKind::AppDisabled => "a refusal of the app",
        IncidentKind::ProviderOutage => "an outage",
    }
}

impl Words {
    /// The words for `count` tokens of a network that one cause ended. `name`: the network's name for people; `pages`: as in [`Told`].
    pub fn of_loss(count: usize, network: &NetworkId, name: &str, reason: Reason, pages: Option<&str>) -> Words {
        let (name, (why, todo)) = (neutral(name, NAME), of_loss(reason));
        Words {
            subject: format!("{count} {name} tokens do not work any more"),
            happened: format!("{count} {name} tokens stopped working at once, and do not come back by themselves."),
            why: why.to_owned(),
            stops: format!("Nothing is collected from {name} with them, and leases for them are refused."),
            todo: todo.to_owned(),
            link: pages.map(|pages| link_to_lost(pages, network)),
            asks: true,
        }
    }
}

impl Told<'_> {
    pub(super) fn load_too_high(&self, class: &ClassId, turn: Turn) -> Parts {
        let network = neutral(self.network, NAME);
        let is_critical = match turn {
            Turn::Raised => true,
            Turn::Lowered => false,
            Turn::Opened => self.alert.is_none_or(|alert| alert.level == Level::Critical),
        };
        [
            match turn {
                Turn::Opened => format!("Token load too high at {network}"),
                Turn::Raised => format!("Token load at {network} is critical now"),
                Turn::Lowered => format!("Token load at {network} is still too high, but no longer critical"),
            },
            self.alert_message(&format!("The token load at {network} is too high.")),
            if is_critical {
                format!("More is asked for than the team's tokens can give ({class}).")
            } else {
                format!("Nearly as much is asked for as the team's tokens can give ({class}).")
            },
            if is_critical {
                "Collecting falls behind: requests wait, or are refused.".to_owned()
            } else {
                "Nothing yet. If a little more is asked for, requests wait, or are refused.".to_owned()
            },
            self.alert.map_or(MORE_ACCOUNTS, |alert| todo_of(&alert.detail)).to_owned(),
        ]
    }

    /// What the alert says; `or`: where it is not known any more.
    fn alert_message(&self, or: &str) -> String {
        neutral(self.alert.map_or(or, |alert| &alert.message), TEXT)
    }

    pub(super) fn load_cleared(&self, class: &ClassId) -> Parts {
        let network = neutral(self.network, NAME);
        [
            format!("Token load at {network} is fine again"),
            format!("The token load at {network} ({class}) is no longer too high."),
            "The team's tokens carry what is asked for.".to_owned(),
            "Nothing.".to_owned(),
            "Nothing.".to_owned(),
        ]
    }

    pub(super) fn no_access_tokens(&self, class: &ClassId) -> Parts {
        let network = neutral(self.network, NAME);
        [
            format!("No usable {network} token"),
            self.alert_message(&format!("The team has no usable {network} token.")),
            format!("There is demand ({class}), and no token of the team may serve it."),
            format!("All collecting from {network} that needs one."),
            self.alert
                .map_or("Connect or reconnect an account of this network.", |alert| todo_of(&alert.detail))
                .to_owned(),
        ]
    }

    pub(super) fn access_tokens_again(&self) -> Parts {
        let network = neutral(self.network, NAME);
        [
            format!("{network} tokens are there again"),
            format!("There is a usable {network} token again, or nobody asks for one."),
            "An account was connected, renewed or resumed, or demand ended.".to_owned(),
            "Nothing.".to_owned(),
            "Nothing.".to_owned(),
        ]
    }

    pub(super) fn shared_spent_elsewhere(&self, app: Option<&AppId>, class: &ClassId, credits: u64) -> Parts {
        let network = neutral(self.network, NAME);
        let whose = app.map_or_else(|| "the broker's address".to_owned(), |app| format!("the app \"{app}\""));
        [
            format!("Somebody else spends the credit of {whose} at {network}"),
            format!("{credits} credits ({class}) of {whose} at {network} were spent outside of the broker."),
            format!("Another program uses {whose}, or a collector makes calls that it does not report."),
            "Less is collected with all tokens that share it until the network counts anew.".to_owned(),
            format!("Find out what else uses {whose} at {network}."),
        ]
    }

    pub(super) fn operation_refused(&self, app: &AppId, operation: &OperationId) -> Parts {
        let network = neutral(self.network, NAME);
        [
            format!("{network} refuses {operation} to everybody who asks"),
            format!("{network} refuses {operation}, whichever token of the app \"{app}\" it is asked with."),
            "The app lacks an access level or a permission for it at the network, or collectors ask for what nobody may see."
                .to_owned(),
            format!("Calls of {operation} through this app. The tokens stay as they are, and other operations go on."),
            match self.event.team.is_some() {
                true => {
                    "Look at what the collectors ask for. If that is in order, an operator must look at the app: no token helps by being connected again."
                }
                false => "Look at the app's access level at the network, and at what collectors ask for.",
            }
            .to_owned(),
        ]
    }

    pub(super) fn incident_opened(&self, app: &AppId, kind: IncidentKind, was: Option<IncidentKind>) -> Parts {
        let network = neutral(self.network, NAME);
        let is_of_team = self.event.team.is_some();
        let [subject, happened, why, stops, todo] = match kind {
            IncidentKind::NetworkReset => [
                format!("Many {network} tokens fail at once"),
                format!("Many tokens of {network} (app \"{app}\") stopped working at once."),
                "One cause hit them all: it lies with the network or the app, not with single accounts.".to_owned(),
                format!("Collecting from {network} with these tokens. Messages about single ones are held back meanwhile."),
                "Look at the incident before anybody reconnects: most tokens may come back by themselves.".to_owned(),
            ],
            IncidentKind::AppDisabled => [
                format!("{network} refuses the app \"{app}\""),
                format!("{network} refuses the app \"{app}\", whatever the token."),
                "The network disabled the app, or its registration there is not in order.".to_owned(),
                format!("Collecting from {network} with the app's tokens. Messages about single ones are held back meanwhile."),
                match is_of_team {
                    true => "Wait for an operator, who must look at the app: to reconnect helps only once it works again.",
                    false => "Look at the app's registration at the network, and set it right there.",
                }
                .to_owned(),
            ],
            IncidentKind::ProviderOutage => [
                format!("{network} is down"),
                format!("{network} fails or does not answer, whoever calls it through the app \"{app}\"."),
                "The trouble is the network's own.".to_owned(),
                "Calls go on, and mostly fail. Tokens are not renewed, and messages about single ones are held back meanwhile."
                    .to_owned(),
                "Nothing. Collecting and renewing go on by themselves once the network answers.".to_owned(),
            ],
        };
        let why = match was {
            Some(was) => format!("{why} Until now it was taken for {}.", taken_for(was)),
            None => why,
        };
        [subject, happened, why, stops, todo]
    }

    pub(super) fn incident_closed(&self, lost: Option<Reason>, served: bool) -> Parts {
        let network = neutral(self.network, NAME);
        let Some(reason) = lost else {
            let (how, why) = match served {
                true => ("its tokens work again", "The network serves them again."),
                false => (
                    "its tokens are let through again",
                    "An operator closed it, or no token was left by which more could be learnt of it.",
                ),
            };
            return [
                format!("The incident at {network} is over: {how}"),
                format!("The incident at {network} is over: {how}."),
                why.to_owned(),
                "Nothing more: collecting goes on by itself.".to_owned(),
                "Nothing. The tokens that had been called dead meanwhile are checked once more; you hear of each that does not work."
                    .to_owned(),
            ];
        };
        let (why, todo) = of_loss(reason);
        [
            format!("The incident at {network} is over: its tokens are lost"),
            format!("The incident at {network} is over, and the tokens that it hit do not come back by themselves."),
            why.to_owned(),
            format!("Nothing is collected from {network} with them, and leases for them are refused."),
            todo.to_owned(),
        ]
    }
}
