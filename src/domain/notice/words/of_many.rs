//! What is told about many tokens: loads, incidents, and what these cost.

use super::{Link, NAME, Told, Words, dashed};
use crate::base::ids::{AppId, ClassId, NetworkId};
use crate::domain::alert::{Alert, Detail, Level};
use crate::domain::incident::IncidentKind;
use crate::domain::load::Advice;
use crate::domain::notice::{Turn, neutral};
use crate::domain::token::Reason;
use crate::text::{Sentence, Text};
use jiff::tz::TimeZone;

/// Where tokens that are lost can be mended: the console's list of those at a network that do not work.
pub(super) fn link_to_lost(text: Text, pages: &str, network: &NetworkId) -> Link {
    let url = format!("{pages}/tokens?status=dead&network={network}");
    Link { text: text.say("notice-link-accounts"), url }
}

/// What to do about an alert: what it advises.
fn todo_of(detail: &Detail) -> Sentence {
    Sentence::new(match detail {
        Detail::Load(load) => match load.advice {
            Advice::AddTokens { .. } | Advice::ConnectFirst => "todo-add-tokens".to_owned(),
            Advice::AddTokensUpTo { .. } => "todo-add-tokens-up-to".to_owned(),
            Advice::AddsNothing { .. } => "todo-adds-nothing".to_owned(),
            Advice::Nothing => "todo-nothing".to_owned(),
            Advice::Wait => "todo-wait".to_owned(),
        },
        Detail::Access(why) => format!("todo-{}", dashed(why.as_str())),
    })
}

/// Why many tokens are lost, and what to do.
fn with_loss(notice: Sentence, reason: Reason) -> Sentence {
    let (why, todo) = match reason {
        Reason::AppDisabled => ("lost-app-disabled", "lost-app-disabled.todo"),
        _ => ("lost-platform-reset", "lost-platform-reset.todo"),
    };
    notice.and("why", Sentence::new(why)).and("todo", Sentence::new(todo))
}

impl Words {
    /// The words for `count` tokens of a network that one cause ended. `name`: the network's name for people; `pages`: as in [`Told`].
    pub fn of_loss(
        text: Text,
        count: usize,
        network: &NetworkId,
        name: &str,
        reason: Reason,
        pages: Option<&str>,
    ) -> Words {
        let notice = Sentence::new("notice-many-lost").with("network", neutral(name, NAME)).with("count", count);
        let link = pages.map(|pages| link_to_lost(text, pages, network));
        Words::said(text, &with_loss(notice, reason), &TimeZone::UTC, link, true)
    }
}

impl Told<'_> {
    pub(super) fn load_too_high(&self, class: &ClassId, turn: Turn) -> Sentence {
        let notice = match turn {
            Turn::Opened => "notice-load-opened",
            Turn::Raised => "notice-load-raised",
            Turn::Lowered => "notice-load-lowered",
        };
        let level = self.alert.map_or(Level::Critical, |alert| alert.level);
        self.at_network(notice)
            .named("class", class)
            .with("level", level.as_str())
            .and("message", self.alert_or(|alert| self.of_alert(alert), || self.at_network("load-unknown")))
            .and("todo", self.alert_or(|alert| todo_of(&alert.detail), || Sentence::new("todo-add-tokens")))
    }

    pub(super) fn no_access_tokens(&self, class: &ClassId) -> Sentence {
        self.at_network("notice-no-access-tokens")
            .named("class", class)
            .and("message", self.alert_or(|alert| self.of_alert(alert), || self.at_network("no-token-unknown")))
            .and("todo", self.alert_or(|alert| todo_of(&alert.detail), || Sentence::new("no-token-unknown.todo")))
    }

    /// What is said by the alert, or where it is not known any more.
    fn alert_or(&self, of: impl FnOnce(&Alert) -> Sentence, unknown: impl FnOnce() -> Sentence) -> Sentence {
        self.alert.map_or_else(unknown, of)
    }

    fn of_alert(&self, alert: &Alert) -> Sentence {
        alert.detail.in_words(&neutral(self.network, NAME), &alert.key.load.class)
    }

    pub(super) fn shared_spent_elsewhere(&self, app: Option<&AppId>, class: &ClassId, credits: u64) -> Sentence {
        let spending = match app {
            Some(app) => self.at_network("notice-app-spending").named("app", app),
            None => self.at_network("notice-address-spending"),
        };
        spending.named("class", class).with("credits", credits)
    }

    pub(super) fn incident_opened(&self, app: &AppId, kind: IncidentKind, was: Option<IncidentKind>) -> Sentence {
        let notice = self.to_whom(match kind {
            IncidentKind::NetworkReset => "notice-network-reset",
            IncidentKind::AppDisabled => "notice-app-disabled",
            IncidentKind::ProviderOutage => "notice-provider-outage",
        });
        let notice = notice.named("app", app);
        match was {
            Some(was) => notice.and("before", Sentence::new(format!("before-{}", dashed(was.as_str())))),
            None => notice.with("before", ""),
        }
    }

    pub(super) fn incident_closed(&self, lost: Option<Reason>, served: bool) -> Sentence {
        match lost {
            Some(reason) => with_loss(self.at_network("notice-incident-lost"), reason),
            None if served => self.at_network("notice-incident-served"),
            None => self.at_network("notice-incident-let-go"),
        }
    }
}
