//! A person proves by a link that a mail address is its own.

use askama::Template;
use axum::extract::{Extension, Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;

use super::{browser_of, out_of_order};
use crate::base::secret::Secret;
use crate::service::Broker;
use crate::service::members::MemberError;
use crate::service::sessions::ProveMailError;
use crate::text::Text;
use crate::web::page::{ProblemPage, shown};
use crate::web::server::PeerAddress;

#[derive(Template)]
#[template(path = "sign_in/mail.html")]
struct MailPage<'a> {
    text: Text,
    team_name: &'a str,
    mail: &'a str,
    mail_before: &'a str,
    /// What the link carries; empty: it was proved.
    proof: &'a str,
}

/// What the link carries.
#[derive(Deserialize)]
pub(super) struct Proof {
    #[serde(default)]
    proof: String,
}

/// Says what would be changed.
pub(super) async fn show(
    State(broker): State<Broker>,
    peer: Option<Extension<PeerAddress>>,
    headers: HeaderMap,
    Query(link): Query<Proof>,
) -> Response {
    let secret = Secret::new(link.proof);
    match broker.look_at_mail(&secret, &browser_of(&broker, peer, &headers)).await {
        Ok(to) => page(&to.team_name, to.mail.as_str(), to.member.mail.as_str(), secret.expose()),
        Err(error) => refused(&error),
    }
}

/// Changes it.
pub(super) async fn prove(
    State(broker): State<Broker>,
    peer: Option<Extension<PeerAddress>>,
    headers: HeaderMap,
    Form(form): Form<Proof>,
) -> Response {
    match broker.prove_mail(&Secret::new(form.proof), &browser_of(&broker, peer, &headers)).await {
        Ok(proved) => page(&proved.team_name, proved.mail.as_str(), proved.member.mail.as_str(), ""),
        Err(error) => refused(&error),
    }
}

fn page(team_name: &str, mail: &str, mail_before: &str, proof: &str) -> Response {
    shown(StatusCode::OK, &MailPage { text: Text::english(), team_name, mail, mail_before, proof })
}

fn refused(error: &ProveMailError) -> Response {
    let status = match error {
        ProveMailError::Link => StatusCode::GONE,
        ProveMailError::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
        ProveMailError::Member(MemberError::MailTaken { .. }) => StatusCode::CONFLICT,
        ProveMailError::NoMail | ProveMailError::NotSent(_) | ProveMailError::Member(_) | ProveMailError::Stopping => {
            return out_of_order(error);
        }
    };
    let (text, problem) = (Text::english(), Text::english().tell_of(error));
    let (title, next_text) = (text.say("mail-failed"), text.say("sign-in"));
    shown(status, &ProblemPage { title: &title, problem: &problem, next: "/sign-in", next_text: &next_text })
}
