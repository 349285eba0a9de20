//! The table of tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::row::{Row, granters};
use crate::base::ids::{KindId, NetworkId, TokenId};
use crate::domain::member::Action;
use crate::domain::networks::Network;
use crate::service::Broker;
use crate::service::tokens::{Light, TokenError, TokenListFilter, TokenView};
use crate::web::console::filter::{Choice, address};
use crate::web::console::paging::Pages;
use crate::web::console::refused::refused;
use crate::web::console::{Place, Shell, Visit};
use crate::web::page::shown;

/// Tokens on a page.
const ON_A_PAGE: u32 = 50;
/// Tokens that a member is asked to mend after its sign-in.
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
    hello: String,
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
    filtered: bool,
    pages: Pages,
    /// The network whose tokens can be renewed together, and its name.
    renew_all: Option<(String, String)>,
    may_connect: bool,
    /// What the member can mend, after its sign-in.
    at_risk: Vec<Row>,
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
}

/// The page.
pub(in crate::web::console) async fn list(
    State(broker): State<Broker>,
    visit: Visit,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Tokens).with_done(&asked.done, asked.count);
    let filter = asked.filter(&visit);
    let after = asked.after.parse::<TokenId>().ok().map(|token| (visit.team().clone(), token));
    let (views, more) = match broker.list_tokens(&filter, after, ON_A_PAGE).await {
        Ok(found) => found,
        Err(error) => return refused(shell, &error),
    };
    let ids: Vec<TokenId> = views.iter().map(|view| view.token.id).collect();
    let counts = broker.count_lights(visit.team(), &filter).await;
    let (counts, days) = match (counts, broker.last_uses(&ids).await) {
        (Ok(counts), Ok(days)) => (counts, days),
        (Err(error), _) | (_, Err(error)) => return refused(shell, &TokenError::from(error)),
    };
    let names = granters(&broker, views.iter().map(|view| &view.token)).await;
    let at_risk = at_risk(&broker, &visit, &shell, &asked).await;
    let row = |view: &TokenView| Row::of(&broker, &visit, &shell, view, &names, days.get(&view.token.id).copied());
    let rows: Vec<Row> = views.iter().map(row).collect();
    let last = rows.last().map(|row| row.id.to_string()).unwrap_or_default();
    let chosen = Light::from_name(&asked.status);
    let network = filter.network.as_ref().and_then(|id| broker.catalogue.network(id.as_str()));
    let page = ListPage {
        here: asked.address(&asked.status, &asked.after, &asked.trail),
        lights: lights(&shell, &asked, &counts, chosen),
        networks: networks(&broker, &asked),
        kinds: kinds(&broker, &asked),
        text: asked.q.trim().to_owned(),
        status: asked.status.clone(),
        held: counts.iter().filter(|(light, _)| **light != Light::Revoked).map(|(_, count)| count).sum(),
        filtered: chosen.is_some() || network.is_some() || filter.kind.is_some() || filter.text.is_some(),
        pages: Pages::around((&asked.after, &asked.trail), more.then_some(&last), |after, trail| {
            asked.address(&asked.status, after, trail)
        }),
        renew_all: network
            .filter(|_| visit.may(&broker, Action::Renew))
            .map(|it| (it.id.to_string(), it.display_name.clone())),
        may_connect: visit.may(&broker, Action::Connect),
        at_risk,
        rows,
        shell,
    };
    shown(StatusCode::OK, &page)
}

/// What the member can mend, where it has just signed in; none where that can't be found out now.
async fn at_risk(broker: &Broker, visit: &Visit, shell: &Shell, asked: &Asked) -> Vec<Row> {
    if asked.hello.is_empty() {
        return Vec::new();
    }
    let settings = broker.notice_settings(visit.team(), visit.stay.member.id).await;
    if settings.is_ok_and(|settings| settings.hides_dialog) {
        return Vec::new();
    }
    let found = broker.tokens_at_risk(visit.team(), visit.stay.member.id, None, AT_RISK).await;
    let views = found.map(|page| page.tokens).unwrap_or_default();
    views.iter().map(|view| Row::of(broker, visit, shell, view, &Default::default(), None)).collect()
}

/// All lights, and each with its count. Those that are on for nothing are left out, but for the one that is chosen.
fn lights(shell: &Shell, asked: &Asked, counts: &BTreeMap<Light, u64>, chosen: Option<Light>) -> Vec<LightLink> {
    let held = counts.iter().filter(|(light, _)| **light != Light::Revoked).map(|(_, count)| count).sum();
    let all = LightLink {
        name: "all",
        text: shell.say("status-all"),
        count: held,
        href: asked.address("", "", ""),
        chosen: chosen.is_none(),
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
    let kinds = networks.flat_map(|network| &network.kinds).map(|kind| kind.id.to_string());
    let kinds: BTreeSet<String> = kinds.collect();
    kinds.into_iter().map(|kind| Choice { chosen: kind == asked.kind, text: kind.clone(), value: kind }).collect()
}
