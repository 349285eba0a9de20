//! The table of tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::row::{Row, granters};
use crate::base::ids::{KindId, NetworkId, TokenId};
use crate::domain::member::Action;
use crate::domain::networks::Network;
use crate::service::Broker;
use crate::service::tokens::{Light, TokenError, TokenListFilter, TokenView};
use crate::web::console::filter::{Choice, address};
use crate::web::console::incident::page_of_incident;
use crate::web::console::paging::Pages;
use crate::web::console::refused::refused;
use crate::web::console::{HOME, Place, Shell, Visit};
use crate::web::own_page::saying;
use crate::web::page::shown;
use crate::web::sign_in::page_after;

/// Tokens on a page.
const ON_A_PAGE: u32 = 50;
/// Tokens that a member is shown to mend after its sign-in; the others it finds by links.
const AT_RISK: usize = 10;
/// The longest text that is searched for, in characters.
const LONGEST_TEXT: usize = 100;

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct Asked {
    status: String,
    network: String,
    kind: String,
    q: String,
    after: String,
    trail: String,
    done: String,
    count: u64,
    /// The member has just signed in.
    hello: String,
    /// The page that it wanted.
    then: String,
}

#[derive(Template)]
#[template(path = "console/tokens/list.html")]
struct ListPage {
    shell: Shell,
    /// The address of the page as it is now.
    here: String,
    lights: Vec<LightLink>,
    networks: Vec<Choice>,
    kinds: Vec<Choice>,
    text: String,
    status: String,
    rows: Vec<Row>,
    /// How many tokens there are in all that were not given back.
    held: u64,
    /// The team has had none at all.
    is_new: bool,
    filtered: bool,
    pages: Pages,
    /// The network whose tokens can be renewed together, and its name.
    renew_all: Option<(String, String)>,
    /// Whether anything can be done to any of the rows by this member.
    may_act: bool,
    may_connect: bool,
    /// Networks whose tokens rest, each with the page of the incident.
    rests: Vec<(String, String)>,
    /// What the member can mend, after its sign-in.
    hello: Option<Hello>,
    /// Where the member goes on, once all is mended.
    onward: Option<String>,
    /// What the address says of the status, where there is no such status.
    unknown_status: Option<String>,
}

/// What a member can mend, after its sign-in.
struct Hello {
    title: String,
    rows: Vec<Row>,
    /// Where all of them are found, where there are more; each with its words.
    more: Vec<(String, String)>,
    /// The page that the member wanted; empty: this one.
    then: String,
    /// This dialog, with what is left to mend.
    back: String,
    /// What was done last.
    done: Option<String>,
}

/// A light with how many tokens it is on for.
struct LightLink {
    name: &'static str,
    text: String,
    count: u64,
    href: String,
    chosen: bool,
}

impl Asked {
    fn filter(&self, visit: &Visit) -> TokenListFilter {
        let text: String = self.q.trim().chars().take(LONGEST_TEXT).collect();
        TokenListFilter {
            team: Some(visit.team().clone()),
            network: self.network.parse::<NetworkId>().ok(),
            kind: self.kind.parse::<KindId>().ok(),
            light: Light::from_name(&self.status),
            text: Some(text).filter(|text| !text.is_empty()),
            held: Light::from_name(&self.status) != Some(Light::Revoked),
            ..TokenListFilter::default()
        }
    }

    /// The address with another status, after another token, or with another trail.
    fn address(&self, status: &str, after: &str, trail: &str) -> String {
        let filters = [
            ("status", status),
            ("network", &self.network),
            ("kind", &self.kind),
            ("q", self.q.trim()),
            ("after", after),
            ("trail", trail),
        ];
        address("/tokens", &filters)
    }

    /// The address of the first page, which tells what was done last.
    fn first_page(&self) -> String {
        let first = self.address(&self.status, "", "");
        match self.done.is_empty() {
            true => first,
            false => saying(&first, &[("done", &self.done), ("count", &self.count.to_string())]),
        }
    }
}

/// The page.
pub(in crate::web::console) async fn list(
    State(broker): State<Broker>,
    visit: Visit,
    Query(asked): Query<Asked>,
) -> Response {
    let mut shell = visit.shell(&broker, Place::Tokens).with_done(&asked.done, asked.count);
    let mut onward = None;
    let hello = match asked.hello.is_empty() {
        true => None,
        false => {
            let then = page_after(&asked.then);
            let hello = hello(&broker, &visit, &mut shell, &then).await;
            if hello.is_none() && then != HOME {
                // What was done last is told before it goes on.
                if shell.done.is_none() {
                    return Redirect::to(&then).into_response();
                }
                onward = Some(then);
            }
            hello
        }
    };
    let unknown_status = Some(asked.status.clone()).filter(|said| !said.is_empty() && Light::from_name(said).is_none());
    let filter = asked.filter(&visit);
    let after = asked.after.parse::<TokenId>().ok().map(|token| (visit.team().clone(), token));
    let found = match &unknown_status {
        Some(_) => Ok((Vec::new(), false)),
        None => broker.list_tokens(&filter, after, ON_A_PAGE).await,
    };
    let (views, more) = match found {
        Ok(found) => found,
        Err(error) => return refused(shell, &error),
    };
    if views.is_empty() && !asked.after.is_empty() {
        // What stood behind that token went; what was done last is told on the first page.
        return Redirect::to(&asked.first_page()).into_response();
    }
    let ids: Vec<TokenId> = views.iter().map(|view| view.token.id).collect();
    let counts = broker.count_lights(visit.team(), &filter).await;
    let (counts, days) = match (counts, broker.last_uses(&ids).await) {
        (Ok(counts), Ok(days)) => (counts, days),
        (Err(error), _) | (_, Err(error)) => return refused(shell, &TokenError::from(error)),
    };
    let names = granters(&broker, views.iter().map(|view| &view.token)).await;
    let row = |view: &TokenView| Row::of(&broker, &visit, &shell, view, &names, days.get(&view.token.id).copied());
    let rows: Vec<Row> = views.iter().map(row).collect();
    let last = rows.last().map(|row| row.id.to_string()).unwrap_or_default();
    let chosen = Light::from_name(&asked.status);
    let held: u64 = counts.iter().filter(|(light, _)| **light != Light::Revoked).map(|(_, count)| count).sum();
    let network = filter.network.as_ref().and_then(|id| broker.catalogue.network(id.as_str()));
    let page = ListPage {
        here: asked.address(&asked.status, &asked.after, &asked.trail),
        lights: lights(&shell, &asked, &counts, chosen),
        networks: networks(&broker, &asked),
        kinds: kinds(&broker, &asked),
        text: asked.q.trim().to_owned(),
        status: asked.status.clone(),
        held,
        is_new: counts.values().all(|count| *count == 0),
        filtered: !asked.status.is_empty() || network.is_some() || filter.kind.is_some() || filter.text.is_some(),
        pages: Pages::around((&asked.after, &asked.trail), more.then_some(&last), |after, trail| {
            asked.address(&asked.status, after, trail)
        }),
        renew_all: network
            .filter(|_| held > 0 && visit.may(&broker, Action::Renew))
            .map(|it| (it.id.to_string(), it.display_name.clone())),
        may_connect: visit.may(&broker, Action::Connect),
        may_act: rows.iter().any(|row| row.may.any()),
        rests: rests(&broker, &visit, &shell, filter.network.as_ref()),
        hello,
        onward,
        unknown_status,
        rows,
        shell,
    };
    shown(StatusCode::OK, &page)
}

/// What the member can mend; `None`: nothing, it does not want to be asked, or it can't be found out now.
async fn hello(broker: &Broker, visit: &Visit, shell: &mut Shell, then: &str) -> Option<Hello> {
    let settings = broker.notice_settings(visit.team(), visit.stay.member.id).await;
    if settings.is_ok_and(|settings| settings.hides_dialog) {
        return None;
    }
    let found = broker.tokens_at_risk(visit.team(), visit.stay.member.id, None, AT_RISK + 1).await.ok()?;
    let shown = found.tokens.iter().take(AT_RISK);
    let rows: Vec<Row> = shown.map(|view| Row::of(broker, visit, shell, view, &Default::default(), None)).collect();
    if rows.is_empty() {
        return None;
    }
    let is_more = found.tokens.len() > AT_RISK;
    let lights = [Light::Dead, Light::Expiring].into_iter().filter(|_| is_more).map(Light::as_str);
    Some(Hello {
        title: shell.say_of(if is_more { "hello-title-more" } else { "hello-title" }, "count", rows.len() as u64),
        more: lights.map(|light| (address(HOME, &[("status", light)]), shell.say(&format!("hello-{light}")))).collect(),
        then: if then == HOME { String::new() } else { then.to_owned() },
        back: address(HOME, &[("hello", "yes"), ("then", if then == HOME { "" } else { then })]),
        // The page behind the dialog is out of reach.
        done: shell.done.take(),
        rows,
    })
}

/// What is told of the networks, or of the one that is looked at, whose tokens rest for an incident; each with the incident's page.
fn rests(broker: &Broker, visit: &Visit, shell: &Shell, only: Option<&NetworkId>) -> Vec<(String, String)> {
    let looked_at = broker.catalogue.iter().filter(|network| only.is_none_or(|only| *only == network.id));
    let rest = looked_at.filter_map(|network| {
        let incident = broker.incident_to_wait_for(visit.team(), &network.id)?;
        Some((shell.say_of("rests", "network", network.display_name.clone()), page_of_incident(incident)))
    });
    rest.collect()
}

/// All lights, and each with its count. Those that are on for nothing are left out, but for the one that is chosen.
fn lights(shell: &Shell, asked: &Asked, counts: &BTreeMap<Light, u64>, chosen: Option<Light>) -> Vec<LightLink> {
    let held = counts.iter().filter(|(light, _)| **light != Light::Revoked).map(|(_, count)| count).sum();
    let all = LightLink {
        name: "all",
        text: shell.say("status-all"),
        count: held,
        href: asked.address("", "", ""),
        chosen: asked.status.is_empty(),
    };
    let of = |light: Light| LightLink {
        name: light.as_str(),
        text: shell.say(&format!("status-{}", light.as_str().replace('_', "-"))),
        count: counts.get(&light).copied().unwrap_or_default(),
        href: asked.address(light.as_str(), "", ""),
        chosen: chosen == Some(light),
    };
    let each = Light::ALL.into_iter().map(of).filter(|link| link.count > 0 || link.chosen);
    std::iter::once(all).chain(each).collect()
}

fn networks(broker: &Broker, asked: &Asked) -> Vec<Choice> {
    let of = |network: &Arc<Network>| Choice {
        chosen: network.id.as_str() == asked.network,
        value: network.id.to_string(),
        text: network.display_name.clone(),
    };
    broker.catalogue.iter().map(of).collect()
}

fn kinds(broker: &Broker, asked: &Asked) -> Vec<Choice> {
    let networks =
        broker.catalogue.iter().filter(|network| asked.network.is_empty() || network.id.as_str() == asked.network);
    // Kinds of several networks may have the same id, and people call them differently.
    let mut kinds = BTreeMap::<&str, BTreeSet<&str>>::new();
    for kind in networks.flat_map(|network| &network.kinds) {
        kinds.entry(kind.id.as_str()).or_default().insert(&kind.name);
    }
    let choice = |(id, names): (&str, BTreeSet<&str>)| Choice {
        chosen: id == asked.kind,
        text: names.into_iter().collect::<Vec<_>>().join(", "),
        value: id.to_owned(),
    };
    kinds.into_iter().map(choice).collect()
}
