//! Who was told of an alert or an incident, and who took notice of it.

use serde::Deserialize;

use super::actor::name_of;
use super::{Shell, Visit, When};
use crate::domain::alert::Acknowledgement;
use crate::domain::notice::Channel;
use crate::service::Broker;
use crate::service::notices::{Told, ToldOf};

/// The longest note with an acknowledgement, in characters.
const LONGEST_NOTE: usize = 500;

/// What is shown of it.
pub(super) struct Noticed {
    /// Who was told; `None`: the page of the matter itself says it.
    pub(super) told: Option<Vec<String>>,
    /// What is said where nobody was.
    pub(super) nobody: String,
    pub(super) seen: Option<Seen>,
    /// Where somebody may take notice; blank: it is over, or somebody has.
    pub(super) acknowledge: String,
}

/// Who took notice.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) at: When,
    pub(super) comment: String,
}

impl Noticed {
    /// Of a matter whose page is at `path` and that is `open`.
    pub(super) async fn of(
        (broker, visit, shell): (&Broker, &Visit, &Shell),
        told: Option<Vec<ToldOf>>,
        acknowledged: Option<&Acknowledgement>,
        (path, open): (&str, bool),
    ) -> Self {
        let seen = match acknowledged {
            Some(noted) => {
                let (name, comment) = (name_of(broker, visit, &noted.by).await, noted.comment.clone());
                Some(Seen { name, at: shell.when(noted.at), comment })
            }
            None => None,
        };
        let asks = open && seen.is_none();
        Self {
            // What is long over is not known for ever.
            nobody: shell.say(if open { "alerts-nobody" } else { "alerts-nobody-known" }),
            told: told.map(|told| told.into_iter().map(|told| words(shell, told)).collect()),
            acknowledge: if asks { format!("{path}/acknowledge") } else { String::new() },
            seen,
        }
    }
}

fn words(shell: &Shell, told: ToldOf) -> String {
    let by = match told.by {
        Some(Channel::Mail) => shell.say("told-by-mail"),
        Some(Channel::WebPush) => shell.say("told-by-push"),
        Some(Channel::InApp) => shell.say("told-in-app"),
        None => String::new(),
    };
    let result = match told.told {
        Told::Sent(at) => shell.when(at).text,
        Told::Waits => shell.say("told-waits"),
        Told::Failed => shell.say("told-failed"),
        Told::Read => shell.say("told-read"),
    };
    shell.say_with("told", &[("who", told.who.into()), ("by", by.into()), ("result", result.into())])
}

/// What comes with an acknowledgement.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Note {
    comment: String,
}

impl Note {
    /// The note as it is kept: without line breaks, and not too long.
    pub(super) fn text(&self) -> String {
        self.comment.chars().filter(|c| !c.is_control()).take(LONGEST_NOTE).collect()
    }
}
