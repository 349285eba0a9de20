//! What happened in the team: its audit, with filters that live in the address, and handed out as a file.

mod export;
mod query;

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;

pub(super) use self::export::export;
use self::query::Asked;
use super::filter::Choice;
use super::paging::Pages;
use super::refused::{Refusal, refused};
use super::tokens::name_of_token;
use super::{Place, Shell, Visit, When};
use crate::base::ids::{CollectorId, MemberId, TokenId};
use crate::domain::audit::Actor;
use crate::domain::member::Action;
use crate::service::audit::{AuditEntry, details};
use crate::service::members::{MemberError, MemberListFilter, On};
use crate::service::{Broker, Forbidden, StoreError};
use crate::web::page::shown;

/// Events on a page.
const ON_A_PAGE: usize = 50;
/// Members and collectors that can be chosen from.
const MOST_CHOICES: u32 = 500;
/// The most events that one file holds.
const MOST_EXPORTED: usize = 10_000;
/// What is done to, as the names of actions begin.
const NOUNS: [&str; 13] = [
    "token",
    "connection",
    "consent",
    "member",
    "session",
    "profile",
    "collector",
    "key",
    "destination",
    "notice",
    "alert",
    "incident",
    "job",
];

#[derive(Template)]
#[template(path = "console/activity/list.html")]
struct ActivityPage {
    shell: Shell,
    rows: Vec<Row>,
    people: Vec<Choice>,
    nouns: Vec<Choice>,
    asked: Asked,
    filtered: bool,
    wrong_day: bool,
    pages: Pages,
    csv: String,
    lines: String,
    most: u64,
}

struct Row {
    at: When,
    who: String,
    did: String,
    /// What it was done to, and where that is shown.
    thing: String,
    href: String,
    pairs: String,
    comment: String,
}

/// Who and what can be named on the page.
struct Names {
    members: BTreeMap<MemberId, String>,
    collectors: BTreeMap<CollectorId, String>,
    tokens: BTreeMap<TokenId, String>,
}

/// The page.
pub(super) async fn list(State(broker): State<Broker>, visit: Visit, Query(asked): Query<Asked>) -> Response {
    let shell = visit.shell(&broker, Place::Activity);
    if let Err(error) = broker.must_permit(&visit.caller(), Action::SeeAudit, visit.team(), On::Team) {
        return refused(shell, &error);
    }
    let query = asked.query(&broker, &visit);
    let (events, next) = match &query {
        Some(query) => match broker.list_audit(query, asked.before(), ON_A_PAGE).await {
            Ok(page) => (page.events, page.next),
            Err(error) => return refused(shell, &error),
        },
        None => (Vec::new(), None),
    };
    let mut names = match names(&broker, &visit).await {
        Ok(names) => names,
        Err(error) => return refused(shell, &error),
    };
    names.name_tokens(&broker, &visit, &events).await;
    let page = ActivityPage {
        rows: events.iter().map(|event| names.row(&broker, &shell, event)).collect(),
        people: people(&shell, &names, &asked),
        nouns: nouns(&shell, &asked),
        filtered: asked.is_filtered(),
        wrong_day: query.is_none(),
        pages: asked.pages(next),
        csv: asked.address("/activity/export.csv", "", ""),
        lines: asked.address("/activity/export.jsonl", "", ""),
        most: MOST_EXPORTED as u64,
        asked,
        shell,
    };
    let status = if page.wrong_day { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    shown(status, &page)
}

async fn names(broker: &Broker, visit: &Visit) -> Result<Names, MemberError> {
    let everybody = MemberListFilter { team: visit.team().clone(), state: None };
    let (members, _) = broker.list_members(&everybody, None, MOST_CHOICES).await?;
    let members = members.into_iter().map(|view| (view.member.id, view.member.name_for_people().to_owned())).collect();
    let collectors = broker.directory.collectors(visit.team());
    let collectors = collectors.iter().map(|collector| (collector.id, collector.display_name.clone())).collect();
    Ok(Names { members, collectors, tokens: BTreeMap::new() })
}

/// The last part of a resource's name.
fn id_of(subject: &str) -> &str {
    subject.rsplit('/').next().unwrap_or(subject)
}

impl Names {
    /// Learns what people call the tokens of these events.
    async fn name_tokens(&mut self, broker: &Broker, visit: &Visit, events: &[AuditEntry]) {
        for id in events.iter().filter_map(|event| id_of(&event.subject).parse::<TokenId>().ok()) {
            if !self.tokens.contains_key(&id)
                && let Ok((view, _)) = broker.show_token(visit.team(), id).await
            {
                self.tokens.insert(id, name_of_token(broker, &view.token));
            }
        }
    }

    fn row(&self, broker: &Broker, shell: &Shell, event: &AuditEntry) -> Row {
        let (pairs, comment) = details(&event.detail);
        // A list in a value has no spaces.
        let pair = |(key, value): &(&str, &str)| format!("{key}: {}", value.replace(',', ", "));
        let pairs: Vec<String> = pairs.iter().filter(|(_, value)| !value.is_empty()).map(pair).collect();
        let (thing, href) = self.thing(&event.subject);
        Row {
            at: shell.when(event.at),
            who: self.who(broker, shell, event.actor),
            did: shell.say_or(&format!("did-{}", event.action.replace(['.', '_'], "-")), &event.action),
            thing,
            href,
            pairs: pairs.join(", "),
            comment: comment.to_owned(),
        }
    }

    fn who(&self, broker: &Broker, shell: &Shell, actor: Option<Actor>) -> String {
        match actor {
            Some(Actor::Member(id)) => self.members.get(&id).cloned().unwrap_or_else(|| id.to_string()),
            Some(Actor::Collector(id)) => self.collectors.get(&id).cloned().unwrap_or_else(|| id.to_string()),
            Some(Actor::Operator(key)) => {
                let named = broker.directory.key(key).map(|key| key.display_name.clone()).unwrap_or_default();
                if named.is_empty() {
                    shell.say("who-operator")
                } else {
                    shell.say_of("who-operator-named", "name", named)
                }
            }
            Some(Actor::Broker) => shell.say("who-broker"),
            None => shell.say("who-unreadable"),
        }
    }

    /// What people call a resource, and where it is shown; empty: nowhere.
    fn thing(&self, subject: &str) -> (String, String) {
        let id = id_of(subject);
        if let Ok(token) = id.parse::<TokenId>() {
            let name = self.tokens.get(&token).cloned();
            let href = name.as_ref().map(|_| format!("/tokens/{token}")).unwrap_or_default();
            return (name.unwrap_or_else(|| id.to_owned()), href);
        }
        if let Some((member, name)) = id.parse().ok().and_then(|id| self.members.get_key_value(&id)) {
            return (name.clone(), format!("/members/{member}"));
        }
        if let Some((collector, name)) = id.parse().ok().and_then(|id| self.collectors.get_key_value(&id)) {
            return (name.clone(), format!("/collectors/{collector}"));
        }
        (id.to_owned(), String::new())
    }
}

fn people(shell: &Shell, names: &Names, asked: &Asked) -> Vec<Choice> {
    let choice = |value: String, text: String| Choice { chosen: value == asked.who, value, text };
    let members = names.members.iter().map(|(id, name)| choice(id.to_string(), name.clone()));
    let collectors = names
        .collectors
        .iter()
        .map(|(id, name)| choice(id.to_string(), shell.say_of("who-collector-named", "name", name.clone())));
    let broker = std::iter::once(choice("broker".to_owned(), shell.say("who-broker")));
    members.chain(collectors).chain(broker).collect()
}

/// What was done to; what the address names beside that is offered, too.
fn nouns(shell: &Shell, asked: &Asked) -> Vec<Choice> {
    let choice = |value: String, text: String| Choice { chosen: value == asked.action, value, text };
    let known = NOUNS.iter().map(|noun| choice(format!("{noun}."), shell.say(&format!("about-{noun}"))));
    let mut known: Vec<Choice> = known.collect();
    if !asked.action.is_empty() && known.iter().all(|choice| !choice.chosen) {
        known.push(choice(asked.action.clone(), asked.action.clone()));
    }
    known
}

impl Refusal for Forbidden {
    fn status(&self) -> StatusCode {
        StatusCode::FORBIDDEN
    }
}

impl Refusal for StoreError {
    fn status(&self) -> StatusCode {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

#[cfg(test)]
mod tests;
