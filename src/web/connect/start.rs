//! A member who is signed in starts a connection: for itself, or for a colleague who gets the link; or heals a token.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::{error, page};
use crate::base::ids::{FormId, TeamId, TokenId};
use crate::domain::connection::{Granter, consent_of};
use crate::domain::member::Action;
use crate::domain::networks::{Network, Purpose, TokenKind};
use crate::service::Broker;
use crate::service::connect::{ConnectError, StartConnection};
use crate::service::members::On;
use crate::service::sessions::Stay;
use crate::service::tokens::{Rejected, TokenError};
use crate::text::Text;
use crate::web::assets;
use crate::web::console::page_of_incident;
use crate::web::cookie::session_of;
use crate::web::once::{Sent, SentForm};

/// What address and form say where a colleague is sent a link.
const COLLEAGUE: &str = "colleague";
/// The longest name of a colleague, in characters.
const LONGEST_NAME: usize = 128;

/// What is to be connected: a kind of a network, or the token to heal. Nothing: what there is to choose from.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    network: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    token: String,
    /// Who goes to the network: [`COLLEAGUE`], or whoever starts it.
    #[serde(default, rename = "for")]
    by: String,
}

impl Wanted {
    fn for_colleague(&self) -> bool {
        self.by == COLLEAGUE
    }
}

#[derive(Template)]
#[template(path = "connect/networks.html")]
struct NetworksPage {
    text: Text,
    kinds: Vec<KindRow>,
    for_colleague: bool,
}

/// A kind that can be connected here.
struct KindRow {
    network: String,
    /// Where the network's mark is; `None`: its first letter stands for it.
    mark: Option<String>,
    letter: char,
    kind: String,
    name: String,
    kind_name: String,
    summary: String,
}

#[derive(Template)]
#[template(path = "connect/start.html")]
struct StartPage {
    text: Text,
    /// The page of the incident for which the network's tokens rest.
    incident: Option<String>,
    network_name: String,
    network: String,
    kind: String,
    token: String,
    name: String,
    native: String,
    purposes: Vec<PurposeRow>,
    /// Whether it is a colleague that is chosen at first.
    for_colleague: bool,
    /// What the form is told from others by: a link is shown once.
    form_id: FormId,
}

/// A purpose that can be ticked.
struct PurposeRow {
    id: &'static str,
    words: String,
    ticked: bool,
}

#[derive(Template)]
#[template(path = "connect/link.html")]
struct LinkPage {
    text: Text,
    link: String,
    until: String,
}

/// Shows what can be connected, or what it can be connected for.
pub(super) async fn show(State(broker): State<Broker>, headers: HeaderMap, Query(wanted): Query<Wanted>) -> Response {
    let stay = match signed_in(&broker, &headers, &wanted).await {
        Ok(stay) => stay,
        Err(answer) => return answer,
    };
    if !wanted.token.is_empty() {
        return heal(&broker, &stay, &wanted).await;
    }
    let for_colleague = wanted.for_colleague();
    let is_known = wanted.network.is_empty() || broker.catalogue.network(&wanted.network).is_some();
    if wanted.kind.is_empty() && is_known {
        let mut kinds = connectable(&broker, &stay.member.team);
        kinds.retain(|row| wanted.network.is_empty() || row.network == wanted.network);
        return page::page(&NetworksPage { text: Text::english(), kinds, for_colleague }, StatusCode::OK);
    }
    let found = broker.catalogue.network(&wanted.network);
    let found = found.and_then(|network| Some((network, network.kind(&wanted.kind)?)));
    match found {
        Some((network, kind)) => {
            let page = StartPage { for_colleague, ..start_page(&broker, &stay.member.team, network, kind) };
            page::page(&page, StatusCode::OK)
        }
        None => {
            let (network, kind) = (wanted.network, wanted.kind);
            error::refused_to_member(&Rejected::UnknownKind { network, kind }.into())
        }
    }
}

fn start_page(broker: &Broker, team: &TeamId, network: &Network, kind: &TokenKind) -> StartPage {
    let text = Text::english();
    let served = Purpose::ALL.into_iter().filter(|purpose| kind.scopes_for(*purpose).is_some());
    // The others are for the broker itself.
    let for_people = served.filter(|purpose| !matches!(purpose, Purpose::Validate | Purpose::ListPages));
    let purposes = for_people.map(|purpose| PurposeRow {
        id: purpose.as_str(),
        words: page::in_words(text, purpose),
        ticked: matches!(purpose, Purpose::CollectStatistics | Purpose::CollectContent),
    });
    StartPage {
        text,
        incident: broker.incident_to_wait_for(team, &network.id).map(page_of_incident),
        network_name: network.display_name.clone(),
        network: network.id.to_string(),
        kind: kind.id.to_string(),
        token: String::new(),
        name: network.display_name.clone(),
        native: kind.native_permission.clone().unwrap_or_else(|| text.say("connect-account-itself")),
        purposes: purposes.collect(),
        for_colleague: false,
        form_id: FormId::generate(),
    }
}

async fn heal(broker: &Broker, stay: &Stay, wanted: &Wanted) -> Response {
    let Ok(id) = wanted.token.parse::<TokenId>() else { return error::refused_to_member(&ConnectError::UnknownLink) };
    let view = match broker.show_token(&stay.member.team, id).await {
        Ok((view, _)) => view,
        Err(error) => return error::refused_to_member(&error.into()),
    };
    if let Err(error) = broker.must_permit(&stay.caller(), Action::Renew, &stay.member.team, On::Token(&view.token)) {
        return error::refused_to_member(&TokenError::from(error).into());
    }
    let network = broker.catalogue.network(view.token.network.as_str());
    let found = network.and_then(|network| Some((network, network.kind(view.token.kind.as_str())?)));
    let Some((network, kind)) = found else {
        return error::refused_to_member(&Rejected::UnknownNetwork(view.token.network.to_string()).into());
    };
    let label = if view.token.label.is_empty() { &network.display_name } else { &view.token.label };
    let start = start_page(broker, &stay.member.team, network, kind);
    let (token, for_colleague) = (wanted.token.clone(), wanted.for_colleague());
    let page = StartPage { token, for_colleague, name: label.clone(), purposes: Vec::new(), ..start };
    page::page(&page, StatusCode::OK)
}

/// Kinds whose consent can be given in a browser, and whose client is known here.
fn connectable(broker: &Broker, team: &TeamId) -> Vec<KindRow> {
    let is_known = |network: &Network| {
        let stored = broker.directory.app(&network.id, &broker.app_to_connect_by(&network.id, team));
        stored.is_some_and(|stored| !stored.app.client_id.is_empty())
    };
    let mut rows = Vec::new();
    for network in broker.catalogue.iter().filter(|network| is_known(network)) {
        let kinds = network.kinds.iter().filter(|kind| consent_of(network, kind).is_ok());
        rows.extend(kinds.map(|kind| KindRow {
            network: network.id.to_string(),
            mark: assets::mark(network.id.as_str()),
            letter: network.display_name.chars().next().unwrap_or('?'),
            kind: kind.id.to_string(),
            name: network.display_name.clone(),
            kind_name: kind.name.clone(),
            summary: kind.summary.clone(),
        }));
    }
    rows
}

/// Where notices lead to about a token: to its reconnecting.
pub(super) async fn of_token(Path((_, token)): Path<(String, String)>) -> Response {
    match token.parse::<TokenId>() {
        Ok(token) => Redirect::to(&format!("/connect/start?token={token}")).into_response(),
        Err(_) => error::refused(&ConnectError::UnknownLink, None),
    }
}

/// Starts it, and leads the member on, or shows the link that is for a colleague.
pub(super) async fn start(
    State(broker): State<Broker>,
    headers: HeaderMap,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let field = |name: &str| {
        let value = fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.trim().to_owned());
        value.unwrap_or_default()
    };
    let wanted = Wanted { network: field("network"), kind: field("kind"), token: field("token"), by: field("for") };
    let stay = match signed_in(&broker, &headers, &wanted).await {
        Ok(stay) => stay,
        Err(answer) => return answer,
    };
    let ticked = fields.iter().filter(|(name, _)| name == "purpose").filter_map(|(_, value)| Purpose::from_name(value));
    let for_colleague = wanted.for_colleague();
    let name = field("colleague").chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let ask = StartConnection {
        purposes: ticked.collect(),
        token: wanted.token.parse().ok(),
        granter: if for_colleague { Granter::Named(name) } else { Granter::Member(stay.member.id) },
        network: wanted.network,
        kind: wanted.kind,
        ..StartConnection::default()
    };
    let (caller, form_id) = (stay.caller(), field("form_id"));
    // Only a link that is shown is a secret: who goes to the network itself may begin anew.
    let sent =
        SentForm { caller: &caller, purpose: "console/connect.start", id: if for_colleague { &form_id } else { "" } };
    let start = async |attempt| broker.start_connection(attempt, &stay.member.team, ask).await;
    match sent.once(&broker, |started| started.connection.id.to_string(), start).await {
        Ok(Sent::First(started)) if for_colleague => {
            let until = page::time_in_words(started.connection.ends_at, Some(&stay));
            let page = LinkPage { text: Text::english(), link: started.link.expose().to_owned(), until };
            page::page(&page, StatusCode::OK)
        }
        Ok(Sent::First(started)) => Redirect::to(started.link.expose()).into_response(),
        Ok(Sent::Again(_)) => {
            let text = Text::english().say("again-text-connect");
            let again = page::Message::new("again-title", text);
            let again = again.leading_to("again-go-connect", Some("/connect/start".to_owned()));
            again.with(StatusCode::CONFLICT).into_response()
        }
        Err(error) => error::refused_to_member(&error),
    }
}

/// Who is signed in. `Err`: the way to the sign-in and back.
async fn signed_in(broker: &Broker, headers: &HeaderMap, wanted: &Wanted) -> Result<Stay, Response> {
    let Wanted { network, kind, token, .. } = wanted;
    let what = match (network.as_str(), token.as_str()) {
        ("", "") => String::new(),
        (_, "") => format!("network={network}&kind={kind}"),
        _ => format!("token={token}"),
    };
    let whose = if wanted.for_colleague() { format!("for={COLLEAGUE}") } else { String::new() };
    let asked = [what, whose].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("&");
    let back = if asked.is_empty() { "/connect/start".to_owned() } else { format!("/connect/start?{asked}") };
    match broker.find_stay(session_of(headers)).await {
        Ok(Some(stay)) => Ok(stay),
        Ok(None) => Err(Redirect::to(&crate::web::sign_in::page_before(&back)).into_response()),
        Err(error) => Err(error::refused(&error.into(), None)),
    }
}
