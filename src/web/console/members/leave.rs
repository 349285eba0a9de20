//! A member is taken out of the team, once its mail address was typed; then the report of what was done.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::found;
use crate::base::ids::{KeyId, MemberId, TokenId};
use crate::domain::member::Action;
use crate::domain::team::{Key, KeyHolder};
use crate::service::Broker;
use crate::service::members::{DepartureView, MemberView, On, RemoveMember};
use crate::web::console::refused::refused;
use crate::web::console::tokens::name_of_token;
use crate::web::console::{Place, Shell, Visit, When};
use crate::web::page::shown;

/// Tokens that the report names; of the others it says how many there are.
const NAMED: usize = 200;

/// What is typed to confirm it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct LeaveForm {
    mail: String,
    comment: String,
    keep_keys: String,
}

#[derive(Template)]
#[template(path = "console/members/remove.html")]
struct RemovePage {
    shell: Shell,
    id: MemberId,
    name: String,
    mail: String,
    /// The keys that the member made and that work.
    keys: Vec<NamedKey>,
    keep_keys: bool,
    is_visitor: bool,
    wrong: bool,
}

/// A key, and the collector that it is of.
struct NamedKey {
    name: String,
    collector: String,
    href: String,
}

/// A token, and what became of it.
struct DepartedToken {
    name: String,
    /// Where it is shown; empty: nowhere.
    href: String,
    /// Who has it now; empty: it was revoked.
    heir: String,
    /// Where giving it back at its network stands, in words.
    network: String,
    /// What the network said, where it is not done.
    message: String,
}

#[derive(Template)]
#[template(path = "console/members/departure.html")]
struct DeparturePage {
    shell: Shell,
    id: MemberId,
    name: String,
    begun: When,
    finished: Option<When>,
    sessions: u64,
    invitation: bool,
    /// How many connections ended that it had begun.
    connections: u64,
    tokens: Vec<DepartedToken>,
    more_tokens: u64,
    profiles: Vec<String>,
    keys: Vec<NamedKey>,
    revoked_keys: Vec<NamedKey>,
}

/// Asks whether a member shall leave.
pub(in crate::web::console) async fn confirm_leaving(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    let shell = visit.shell(&broker, Place::Members);
    match found(&broker, &visit, shell, &id).await {
        Ok((shell, view)) => ask(&broker, &visit, shell, &view, &LeaveForm::default(), false),
        Err(answer) => answer,
    }
}

fn ask(broker: &Broker, visit: &Visit, shell: Shell, view: &MemberView, form: &LeaveForm, wrong: bool) -> Response {
    let member = &view.member;
    if let Err(error) = broker.must_permit(&visit.caller(), Action::Remove, visit.team(), On::Member(member.id)) {
        return refused(shell, &error);
    }
    let made = broker.keys_made_by(member.id);
    let page = RemovePage {
        id: member.id,
        name: member.name_for_people().to_owned(),
        mail: member.mail.to_string(),
        keys: made.iter().filter(|key| key.works(shell.now)).map(|key| named(broker, key)).collect(),
        keep_keys: !form.keep_keys.is_empty(),
        is_visitor: member.id == visit.stay.member.id,
        wrong,
        shell,
    };
    shown(if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page)
}

fn named(broker: &Broker, key: &Key) -> NamedKey {
    let collector = match &key.holder {
        KeyHolder::Collector(_, id) => broker.directory.collector(*id),
        KeyHolder::Operator(_) => None,
    };
    let id = key.id.to_string();
    NamedKey {
        name: if key.display_name.is_empty() { id } else { key.display_name.clone() },
        href: collector.as_ref().map(|collector| format!("/collectors/{}", collector.id)).unwrap_or_default(),
        collector: collector.map(|collector| collector.display_name.clone()).unwrap_or_default(),
    }
}

/// Takes a member out of the team, once its address was typed.
pub(in crate::web::console) async fn remove(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Form(form): Form<LeaveForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Members);
    let (shell, view) = match found(&broker, &visit, shell, &id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let member = view.member.id;
    if !form.mail.trim().eq_ignore_ascii_case(view.member.mail.as_str()) {
        return ask(&broker, &visit, shell, &view, &form, true);
    }
    let comment: String = form.comment.chars().filter(|c| !c.is_control()).take(256).collect();
    let how = RemoveMember { comment, keep_keys: !form.keep_keys.is_empty() };
    match broker.remove_member(&visit.caller(), visit.team(), member, &how).await {
        Ok(_) if member == visit.stay.member.id => Redirect::to("/sign-in").into_response(),
        Ok(_) => Redirect::to(&format!("/members/{member}/departure")).into_response(),
        Err(error) => refused(shell, &error),
    }
}

/// What was done when a member left.
pub(in crate::web::console) async fn departure(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    let shell = visit.shell(&broker, Place::Members);
    let (shell, view) = match found(&broker, &visit, shell, &id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    if let Err(error) = broker.must_permit(&visit.caller(), Action::SeeAudit, visit.team(), On::Team) {
        return refused(shell, &error);
    }
    let report = match broker.show_departure(visit.team(), view.member.id).await {
        Ok(report) => report,
        Err(error) => return refused(shell, &error),
    };
    let keys = |ids: &[KeyId]| -> Vec<NamedKey> {
        ids.iter().filter_map(|id| broker.directory.key(*id)).map(|key| named(&broker, &key)).collect()
    };
    let tokens = tokens(&broker, &visit, &shell, &report).await;
    let report = report.departure;
    let page = DeparturePage {
        id: view.member.id,
        name: view.member.name_for_people().to_owned(),
        begun: shell.when(report.begun_at),
        finished: report.finished_at.map(|at| shell.when(at)),
        sessions: report.sessions,
        invitation: report.invitation,
        connections: report.connections.len() as u64,
        tokens,
        more_tokens: report.tokens.len().saturating_sub(NAMED) as u64,
        profiles: report.profiles.iter().map(|(network, id)| profile_name(&broker, &visit, network, id)).collect(),
        keys: keys(&report.keys),
        revoked_keys: keys(&report.revoked_keys),
        shell,
    };
    shown(StatusCode::OK, &page)
}

fn profile_name(broker: &Broker, visit: &Visit, network: &crate::base::ids::NetworkId, id: &str) -> String {
    let profile = broker.directory.profile(visit.team(), network, id);
    let name = profile.map(|profile| profile.display_name.clone()).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| id.to_owned())
}

async fn tokens(broker: &Broker, visit: &Visit, shell: &Shell, report: &DepartureView) -> Vec<DepartedToken> {
    let mut named = Vec::new();
    for left in report.departure.tokens.iter().take(NAMED) {
        let id: TokenId = left.token;
        let (name, href) = match broker.show_token(visit.team(), id).await {
            Ok((view, _)) => (name_of_token(broker, &view.token), format!("/tokens/{id}")),
            Err(_) => (id.to_string(), String::new()),
        };
        let heir = match left.heir {
            Some(heir) => broker.show_member(visit.team(), heir).await.ok(),
            None => None,
        };
        let heir = heir.map(|heir| heir.member.name_for_people().to_owned());
        let heir = heir.or(left.heir.map(|id| id.to_string())).unwrap_or_default();
        let revocation = report.revocations.get(&id);
        let standing = revocation.map_or("untold", |revocation| revocation.standing.as_str());
        named.push(DepartedToken {
            name,
            href,
            heir,
            network: shell.say(&format!("departure-network-{}", standing.replace('_', "-"))),
            message: revocation.map(|revocation| revocation.message.clone()).unwrap_or_default(),
        });
    }
    named
}
