//! The words of facts about one token.

use super::{NAME, Parts, TEXT, Told};
use crate::base::clock::Timestamp;
use crate::base::ids::{ClassId, OperationId};
use crate::domain::notice::{Clock, RetentionStage, neutral};
use crate::domain::token::Reason;

const RECONNECT: &str = "Reconnect the account. Its settings, collections and history stay as they are.";
const GOES_ON: &str = "Nothing: collecting goes on by itself.";

impl Told<'_> {
    /// The names of the network and the token.
    fn names(&self) -> (String, String) {
        (neutral(self.network, NAME), neutral(self.token, NAME))
    }

    pub(super) fn expiring(&self, clock: Clock, ends_at: Timestamp, within_days: u8) -> Parts {
        let (network, token) = self.names();
        if clock == Clock::Unrenewed {
            return self.unrenewed(&network, &token, ends_at);
        }
        [
            format!("{network} token \"{token}\" ends within {}", days(within_days)),
            format!("The {network} token \"{token}\" ends on {}.", self.time(ends_at)),
            why_it_ends(clock).to_owned(),
            "From then on nothing is collected with it.".to_owned(),
            "Reconnect the account before that. Its settings, collections and history stay as they are.".to_owned(),
        ]
    }

    fn unrenewed(&self, network: &str, token: &str, ends_at: Timestamp) -> Parts {
        let ends_at = self.time(ends_at);
        [
            format!("{network} token \"{token}\" can't be renewed now, and ends soon"),
            format!("The {network} token \"{token}\" can't be renewed now, and ends on {ends_at}."),
            why_it_ends(Clock::Unrenewed).to_owned(),
            "From then on nothing is collected with it, unless it is renewed meanwhile.".to_owned(),
            "Look whether the network has trouble. If it has none, reconnect the account: its settings, collections and history stay as they are."
                .to_owned(),
        ]
    }

    pub(super) fn expired(&self) -> Parts {
        let (network, token) = self.names();
        [
            format!("{network} token \"{token}\" has expired"),
            format!("The {network} token \"{token}\" has expired."),
            "Its time was over, and nothing renewed it.".to_owned(),
            nothing_more(&network),
            RECONNECT.to_owned(),
        ]
    }

    pub(super) fn invalid(&self, reason: Reason) -> Parts {
        let (network, token) = self.names();
        let (why, todo) = of_reason(reason);
        [
            format!("{network} token \"{token}\" does not work any more"),
            format!("The {network} token \"{token}\" does not work any more, since {}.", self.time(self.event.at)),
            why.to_owned(),
            nothing_more(&network),
            todo.to_owned(),
        ]
    }

    pub(super) fn needs_reconnecting(&self, why: &str, by: Option<Timestamp>) -> Parts {
        let (network, token) = self.names();
        let by = by.map_or_else(|| "It still works".to_owned(), |by| format!("It works until {}", self.time(by)));
        [
            format!("{network} token \"{token}\" must be connected again"),
            format!("The {network} token \"{token}\" must be connected again."),
            neutral(why, TEXT),
            format!("{by}; after that nothing is collected with it."),
            RECONNECT.to_owned(),
        ]
    }

    pub(super) fn lost_permission(&self, why: &str, closed: &[OperationId]) -> Parts {
        let (network, token) = self.names();
        let names: Vec<&str> = closed.iter().map(OperationId::as_str).collect();
        [
            format!("{network} token \"{token}\" lost a permission"),
            format!("The {network} token \"{token}\" lost a permission at the network."),
            format!("{}.", neutral(why, TEXT)),
            format!("What is collected by {}. All else goes on.", neutral(&names.join(", "), TEXT)),
            "Have somebody with the rights give them back, then reconnect the account.".to_owned(),
        ]
    }

    pub(super) fn blocked(&self) -> Parts {
        let (network, token) = self.names();
        [
            format!("{network} blocks the account of token \"{token}\" for a time"),
            format!("{network} blocks the account of the token \"{token}\", since {}.", self.time(self.event.at)),
            "The network takes what was done with the account for a breach of its rules, or for spam.".to_owned(),
            "Nothing is collected with it meanwhile. It is tried again by itself.".to_owned(),
            "Sign in at the network and do what it asks for there. If it asks for nothing, wait.".to_owned(),
        ]
    }

    pub(super) fn renewed(&self) -> Parts {
        let (network, token) = self.names();
        [
            format!("{network} token \"{token}\" works again"),
            format!("The {network} token \"{token}\" works again."),
            "The trouble that you were told of is over: it was renewed, or the network accepts it again.".to_owned(),
            GOES_ON.to_owned(),
            "Nothing.".to_owned(),
        ]
    }

    pub(super) fn connected(&self, healed: bool) -> Parts {
        let (network, token) = self.names();
        let [again, and_works] = if healed { [" again", " again and works"] } else { ["", ""] };
        [
            format!("{network} account \"{token}\" was connected{again}"),
            format!("The {network} account \"{token}\" was connected{and_works}."),
            "A member of the team connected it.".to_owned(),
            GOES_ON.to_owned(),
            "Nothing. If nobody of the team should have done this, revoke the token.".to_owned(),
        ]
    }

    pub(super) fn spent_elsewhere(&self, class: &ClassId, credits: u64) -> Parts {
        let (network, token) = self.names();
        [
            format!("Somebody else uses the {network} account \"{token}\""),
            format!("{credits} credits ({class}) of the {network} token \"{token}\" were spent outside of the broker."),
            "Another program, or a person, uses the same account, so less of its allowance is left than was planned."
                .to_owned(),
            "Less is collected with it until the network counts anew.".to_owned(),
            "Find out what else uses the account. If nobody should, change its password and reconnect it.".to_owned(),
        ]
    }

    /// That collected data must be deleted.
    pub(super) fn to_delete(&self, stage: RetentionStage, deadline: Timestamp, rules: &[String]) -> Parts {
        let (network, token) = self.names();
        let left = match stage {
            RetentionStage::Started => "must be deleted unless it is reconnected",
            RetentionStage::ThreeDays => "must be deleted in 3 days",
            RetentionStage::OneDay => "must be deleted in 1 day",
            RetentionStage::Over => "must be deleted now",
        };
        [
            format!("What was collected with {network} token \"{token}\" {left}"),
            format!(
                "What was collected with the {network} token \"{token}\" {left}: {}.",
                self.runs_out(stage, deadline)
            ),
            terms(&network, rules),
            "The collected data of its profiles.".to_owned(),
            match stage {
                RetentionStage::Over => "Delete the data. Connecting the account again does not bring it back.",
                _ => "Reconnect the account before that, or delete the data.",
            }
            .to_owned(),
        ]
    }

    /// That the person must authorise the account anew, for collected data to be kept.
    pub(super) fn to_authorise(&self, stage: RetentionStage, deadline: Timestamp, rules: &[String]) -> Parts {
        let (network, token) = self.names();
        let left = match stage {
            RetentionStage::Started => "must be authorised anew",
            RetentionStage::ThreeDays => "must be authorised anew within 3 days",
            RetentionStage::OneDay => "must be authorised anew within 1 day",
            RetentionStage::Over => "was not authorised anew in time",
        };
        [
            format!("The account of {network} token \"{token}\" {left}"),
            format!("The account of the {network} token \"{token}\" {left}: {}.", self.runs_out(stage, deadline)),
            terms(&network, rules),
            "Collecting with it; and what was collected with it may not be kept after that.".to_owned(),
            match stage {
                RetentionStage::Over => "Delete the data, unless the terms let you keep it.",
                _ => "Reconnect the account before that.",
            }
            .to_owned(),
        ]
    }

    fn runs_out(&self, stage: RetentionStage, deadline: Timestamp) -> String {
        let ends = if stage == RetentionStage::Over { "ended" } else { "ends" };
        format!("the time {ends} on {}", self.time(deadline))
    }
}

/// By which rules of a network something must be done with what was collected.
fn terms(network: &str, rules: &[String]) -> String {
    if rules.is_empty() {
        return format!("The terms of {network} ask for it once a person's permission is gone for that long.");
    }
    let rules: Vec<String> = rules.iter().map(|rule| format!("{}.", rule.trim_end_matches('.'))).collect();
    let said = neutral(&format!("The terms of {network}: {}", rules.join(" ")), TEXT);
    if said.ends_with('.') { said } else { format!("{said}.") }
}

fn nothing_more(network: &str) -> String {
    format!("Nothing is collected from {network} with it, and leases for it are refused.")
}

fn days(days: u8) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

const fn why_it_ends(clock: Clock) -> &'static str {
    match clock {
        Clock::Access => "The network gave it for a fixed time, and nothing renews it by itself.",
        Clock::Unrenewed => "Renewing it has not gone well so far. It is tried further.",
        Clock::Refresh => "The network ends each permission after a fixed time; only a person can give it again.",
        Clock::DataAccess => {
            "The network ends the access to a person's data when the person has not used the app for long."
        }
    }
}

/// Why a token does not work, and what to do.
const fn of_reason(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::Expired => ("Its time was over, and nothing renewed it.", RECONNECT),
        Reason::PasswordChanged => ("The account's password was changed, which ends all permissions.", RECONNECT),
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
        Reason::PlatformReset => ("The network reset its tokens.", RECONNECT),
        Reason::RefreshRejected => ("The network refused to renew it.", RECONNECT),
        Reason::NotAccepted => ("The network does not accept it any more, and does not say why.", RECONNECT),
        Reason::SecretDamaged => (
            "What the broker stored of it was damaged and does not open.",
            "Reconnect the account, and have an operator look at the store.",
        ),
    }
}
