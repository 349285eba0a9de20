//! The pages, as their templates want them.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use jiff::tz::TimeZone;
use url::Url;

use crate::base::clock::Timestamp;
use crate::domain::connection::{Connection, Found, Granter, Profile};
use crate::domain::consent::{NEWEST, text_of};
use crate::domain::networks::{Purpose, Purposes};
use crate::service::Broker;
use crate::service::connect::Visitor;
use crate::service::sessions::Stay;
use crate::text::Text;

/// Nothing but our own style, script, marks and manifest; forms go nowhere else.
pub(super) const CLOSED: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                                 manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page.
pub(super) fn page(template: &impl Template, status: StatusCode) -> Response {
    match template.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The way to somewhere else.
#[derive(Template)]
#[template(path = "connect/away.html")]
struct AwayPage {
    text: Text,
    name: String,
    url: String,
}

/// Answers a form with the way to somewhere else, called `name`: a page that goes on by itself. Browsers hold the redirects of a form to what
/// its page lets forms lead to, wherever they end, and a network redirects to origins that nobody knows before; a page is free to go.
pub(super) fn away(url: &Url, name: &str) -> Response {
    page(&AwayPage { text: Text::english(), name: name.to_owned(), url: url.to_string() }, StatusCode::OK)
}

/// Who asks for what.
#[derive(Template)]
#[template(path = "connect/offer.html")]
struct OfferPage {
    text: Text,
    network: String,
    team: String,
    granter: String,
    is_member: bool,
    heals: bool,
    native: String,
    summary: String,
    will: Vec<String>,
    will_not: Vec<String>,
    consent: Vec<&'static str>,
    text_version: &'static str,
    problem: Option<String>,
    action: String,
    until: String,
}

/// The page that asks for consent; its form is posted to `action`. `problem`: what is wrong now, before what went wrong last.
pub(super) fn offer(
    broker: &Broker,
    connection: &Connection,
    visitor: &Visitor,
    action: String,
    problem: Option<String>,
) -> Response {
    let network = broker.catalogue.network(connection.network.as_str());
    let kind = network.and_then(|network| network.kind(connection.kind.as_str()));
    let native = kind.and_then(|kind| kind.native_permission.clone());
    // Tokens are checked whatever they are for, and where there are profiles, their list is read.
    let lists = kind.filter(|kind| kind.profiles.is_some()).map(|_| Purpose::ListPages);
    let used: Purposes = connection.purposes.iter().chain([Purpose::Validate]).chain(lists).collect();
    let text = Text::english();
    let offer = OfferPage {
        text,
        network: network.map(|network| network.display_name.clone()).unwrap_or_default(),
        team: team_name(broker, connection),
        granter: granter_name(connection, visitor),
        is_member: matches!(connection.granter, Granter::Member(_)),
        heals: connection.token.is_some(),
        native: native.unwrap_or_else(|| text.say("connect-account-itself")),
        summary: kind.map(|kind| kind.summary.clone()).unwrap_or_default(),
        will: words(text, used),
        will_not: words(text, Purpose::ALL.into_iter().filter(|one| !used.contains(*one)).collect()),
        consent: text_of(NEWEST).unwrap_or_default().split("\n\n").collect(),
        text_version: NEWEST,
        problem: problem.or_else(|| connection.problem.as_ref().map(|problem| text.tell_of(problem))),
        action,
        until: time_in_words(connection.ends_at, visitor.stay.as_ref()),
    };
    page(&offer, StatusCode::OK)
}

/// Which account, and which of its profiles.
#[derive(Template)]
#[template(path = "connect/choose.html")]
struct ChoosePage {
    text: Text,
    id: String,
    network: String,
    team: String,
    account: String,
    profiles: Vec<ProfileRow>,
    text_version: String,
    problem: Option<String>,
}

/// A profile that can be ticked, can't be, or is connected already.
struct ProfileRow {
    profile: Profile,
    held: bool,
    ticked: bool,
    /// Why it can't be, in words.
    obstacle: Option<String>,
}

/// The page that shows the account before it is connected. `held`: the profiles that stay connected whatever is chosen.
pub(super) fn choose(
    broker: &Broker,
    connection: &Connection,
    found: &Found,
    held: &[String],
    problem: Option<String>,
) -> Response {
    let network = broker.catalogue.network(connection.network.as_str());
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let account = if found.name.is_empty() { &found.person } else { &found.name };
    let text = Text::english();
    let single = found.connectable().count() == 1;
    let row = |profile: &Profile| {
        let held = held.contains(&profile.id);
        let ticked = held || (single && profile.obstacle.is_none());
        let obstacle = profile.obstacle.as_ref().map(|obstacle| text.tell_of(obstacle));
        ProfileRow { profile: profile.clone(), held, ticked, obstacle }
    };
    let choose = ChoosePage {
        text,
        id: connection.id.to_string(),
        network: network.map(|network| network.display_name.clone()).unwrap_or_default(),
        team: team_name(broker, connection),
        account: account.clone(),
        profiles: found.profiles.iter().map(row).collect(),
        text_version: connection.text_version.clone(),
        problem,
    };
    page(&choose, status)
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "connect/message.html")]
pub(super) struct Message {
    title: String,
    text: String,
    next: Option<String>,
    next_text: String,
    status: StatusCode,
}

impl Message {
    /// A page whose title has this name among the words, and this text.
    pub(super) fn new(title: &str, text: String) -> Self {
        let title = Text::english().say(title);
        Self { title, text, next: None, next_text: String::new(), status: StatusCode::OK }
    }

    /// With an HTTP status.
    pub(super) fn with(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// With a link to go on by, whose words have that name.
    pub(super) fn leading_to(self, next_text: &str, next: Option<String>) -> Self {
        Self { next, next_text: Text::english().say(next_text), ..self }
    }

    /// The same, if there is no link yet.
    pub(super) fn or_leading_to(self, next_text: &str, next: &str) -> Self {
        if self.next.is_some() { self } else { self.leading_to(next_text, Some(next.to_owned())) }
    }
}

impl IntoResponse for Message {
    fn into_response(self) -> Response {
        page(&self, self.status)
    }
}

/// Who gives consent, for the page: the member who is signed in, or the name that was given.
fn granter_name(connection: &Connection, visitor: &Visitor) -> String {
    match &connection.granter {
        Granter::Named(name) => name.clone(),
        Granter::Member(_) => {
            let member = visitor.stay.as_ref().map(|stay| &stay.member);
            member.map(|member| member.name_for_people().to_owned()).unwrap_or_default()
        }
    }
}

fn team_name(broker: &Broker, connection: &Connection) -> String {
    let named = broker.directory.team(&connection.team).map(|team| team.display_name.clone());
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| connection.team.to_string())
}

fn words(text: Text, purposes: Purposes) -> Vec<String> {
    purposes.iter().map(|purpose| in_words(text, purpose)).collect()
}

/// A time as the member reads it; who is not signed in is told it in UTC.
pub(super) fn time_in_words(at: Timestamp, stay: Option<&Stay>) -> String {
    let zone = stay.map_or(TimeZone::UTC, |stay| stay.member.time_zone.zone());
    let told = jiff::Timestamp::from_microsecond(at.micros()).map(|at| at.to_zoned(zone));
    told.map(|at| at.strftime("%Y-%m-%d %H:%M %Z").to_string()).unwrap_or_default()
}

pub(super) fn in_words(text: Text, purpose: Purpose) -> String {
    text.say(&format!("for-{}", purpose.as_str().replace('_', "-")))
}
