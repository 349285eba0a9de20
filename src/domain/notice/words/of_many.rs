//! The words of facts about many tokens: loads and incidents.

use super::{NAME, Parts, TEXT, Told};
use crate::base::ids::{AppId, ClassId};
use crate::domain::notice::{Turn, neutral};

impl Told<'_> {
    pub(super) fn load_too_high(&self, class: &ClassId, turn: Turn) -> Parts {
        let network = neutral(self.network, NAME);
        [
            match turn {
                Turn::Opened => format!("Token load too high at {network}"),
                Turn::Raised => format!("Token load at {network} is critical now"),
                Turn::Lowered => format!("Token load at {network} is still too high, but no longer critical"),
            },
            neutral(self.alert, TEXT),
            format!("More is asked for than the team's tokens can give ({class})."),
            "Collecting falls behind: requests wait, or are refused.".to_owned(),
            "Connect more accounts of this network, or collect less, as said above.".to_owned(),
        ]
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
            neutral(self.alert, TEXT),
            format!("There is demand ({class}), and no token of the team may serve it."),
            format!("All collecting from {network} that needs one."),
            "Connect or reconnect an account of this network.".to_owned(),
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

    pub(super) fn incident_opened(&self, app: &AppId) -> Parts {
        let network = neutral(self.network, NAME);
        [
            format!("Many {network} tokens fail at once"),
            format!("Many tokens of {network} (app \"{app}\") stopped working at once."),
            "One cause hit them all: it lies with the network or the app, not with single accounts.".to_owned(),
            format!("Collecting from {network} with these tokens. Messages about single ones are held back meanwhile."),
            "Look at the incident before anybody reconnects: most tokens may come back by themselves.".to_owned(),
        ]
    }

    pub(super) fn incident_closed(&self) -> Parts {
        let network = neutral(self.network, NAME);
        [
            format!("The incident at {network} is over"),
            format!("The incident at {network} is over."),
            "The tokens that can work do so again.".to_owned(),
            "Nothing more.".to_owned(),
            "Reconnect the accounts that the incident's page lists, if there are any.".to_owned(),
        ]
    }
}
