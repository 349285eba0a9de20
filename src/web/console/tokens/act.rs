//! What is done to tokens from the pages.

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::row::{Row, granters, name_of_token};
use super::show::found;
use crate::base::ids::TokenId;
use crate::domain::member::Action;
use crate::domain::token::{TokenState, TransitionError};
use crate::service::Broker;
use crate::service::members::On;
use crate::service::renew::RenewError;
use crate::service::tokens::{TokenError, TokenView};
use crate::web::console::refused::{Refusal, refused};
use crate::web::console::{HOME, Place, Shell, Visit};
use crate::web::own_page::{own_page, saying};
use crate::web::page::shown;

/// The most tokens that one action is done to.
const MOST: usize = 200;
/// How long a page waits for renewals: what was not begun by then is left to another try, or to a job.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is noted with what is done here.
const COMMENT: &str = "in the console";

/// What is done to a token at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Pause,
    Resume,
    Renew,
    Test,
    Revoke,
}

/// Why something was not done to a token.
enum NotDone {
    /// It can't be renewed: only its person can help, who connects it again.
    NeedsPerson,
    /// Something else.
    Refused(Box<dyn Refusal + Send>),
}

impl<E: Refusal + Send + 'static> From<E> for NotDone {
    fn from(error: E) -> Self {
        Self::Refused(Box::new(error))
    }
}

impl Act {
    /// What a button of that name does. A revocation is asked for first.
    fn from_name(name: &str) -> Option<Act> {
        match name {
            "pause" => Some(Act::Pause),
            "resume" => Some(Act::Resume),
            "renew" => Some(Act::Renew),
            "test" => Some(Act::Test),
            _ => None,
        }
    }

    /// What the next page says of it.
    const fn done(self) -> &'static str {
        match self {
            Act::Pause => "paused",
            Act::Resume => "resumed",
            Act::Renew => "renewed",
            Act::Test => "tested",
            Act::Revoke => "revoked",
        }
    }

    async fn run(self, broker: &Broker, visit: &Visit, token: TokenId) -> Result<(), NotDone> {
        let (caller, team) = (visit.caller(), visit.team());
        match self {
            Act::Pause => drop(broker.pause_token(&caller, team, token, COMMENT).await?),
            Act::Resume => drop(broker.resume_token(&caller, team, token, COMMENT).await?),
            Act::Renew => return renew(broker, visit, token).await,
            Act::Test => drop(broker.probe_token(&caller, team, token).await?),
            Act::Revoke => drop(broker.revoke_token(&caller, team, token, COMMENT).await?),
        }
        Ok(())
    }
}

/// Renews a token, unless that is known to be of no use.
async fn renew(broker: &Broker, visit: &Visit, token: TokenId) -> Result<(), NotDone> {
    let (caller, team) = (visit.caller(), visit.team());
    let (view, _) = broker.show_token(team, token).await?;
    broker.must_permit(&caller, Action::Renew, team, On::Token(&view.token)).map_err(TokenError::from)?;
    let is_held = !matches!(view.token.state, TokenState::Revoked { .. });
    if view.connect_again && is_held {
        return Err(NotDone::NeedsPerson);
    }
    match broker.renew_token(&caller, team, token).await {
        Ok(_) => Ok(()),
        Err(RenewError::NotRenewable(_) | RenewError::Refused(_)) if is_held => Err(NotDone::NeedsPerson),
        Err(error) => Err(error.into()),
    }
}

/// Does one thing to one token. Where a renewal can't be had without the person, it leads to the network.
pub(in crate::web::console) async fn act(
    State(broker): State<Broker>,
    visit: Visit,
    Path((id, action)): Path<(String, String)>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let shell = visit.shell(&broker, Place::Tokens);
    let (shell, view) = match found(&broker, &visit, shell, &id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let Some(act) = Act::from_name(&action) else { return StatusCode::NOT_FOUND.into_response() };
    let token = view.token.id;
    match act.run(&broker, &visit, token).await {
        Ok(()) => {
            // Who acts from the list, or mends one of several after the sign-in, goes on there.
            let back = if field(&fields, "back").is_empty() { format!("/tokens/{token}") } else { back_of(&fields) };
            Redirect::to(&saying(&back, &[("done", act.done()), ("count", "1")])).into_response()
        }
        Err(NotDone::NeedsPerson) => Redirect::to(&format!("/connect/start?token={token}")).into_response(),
        Err(NotDone::Refused(error)) => refused(shell, &*error),
    }
}

#[derive(Template)]
#[template(path = "console/tokens/outcome.html")]
struct OutcomePage {
    shell: Shell,
    /// What was done; `None`: nothing.
    summary: Option<String>,
    /// Those that it could not be done to.
    left: Vec<LeftToken>,
    back: String,
}

/// A token that nothing was done to, or is.
struct LeftToken {
    id: TokenId,
    name: String,
    why: String,
    /// Its person can mend it, by connecting it again.
    connects: bool,
}

#[derive(Template)]
#[template(path = "console/tokens/revoke.html")]
struct RevokePage {
    shell: Shell,
    rows: Vec<Row>,
    /// Those that are not revoked, though they were ticked.
    left: Vec<LeftToken>,
    /// The word that confirms it.
    word: String,
    action: String,
    many: bool,
    wrong: bool,
    back: String,
}

/// Does one thing to several tokens.
pub(in crate::web::console) async fn act_on_many(
    State(broker): State<Broker>,
    visit: Visit,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let shell = visit.shell(&broker, Place::Tokens);
    let tokens = tokens_of(&fields);
    if tokens.is_empty() {
        return Redirect::to(&saying(&back_of(&fields), &[("done", "none")])).into_response();
    }
    let action = field(&fields, "action");
    if action == "revoke" {
        return ask_for_word(&broker, &visit, shell, &tokens, &fields, false).await;
    }
    let Some(act) = Act::from_name(action) else { return StatusCode::NOT_FOUND.into_response() };
    do_to_all(&broker, &visit, shell, act, &tokens, &fields).await
}

/// Does it to each token, whatever comes of the others, and names those that it could not be done to.
async fn do_to_all(
    broker: &Broker,
    visit: &Visit,
    shell: Shell,
    act: Act,
    tokens: &[TokenId],
    fields: &[(String, String)],
) -> Response {
    let (mut done, mut left) = (0_u64, Vec::new());
    let begun_at = broker.now();
    for token in tokens {
        if act == Act::Renew && broker.now().since(begun_at) >= PATIENCE {
            let (name, why) = (name_of(broker, visit, *token).await, shell.say("renew-not-tried"));
            left.push(LeftToken { id: *token, name, why, connects: false });
            continue;
        }
        let (why, connects) = match act.run(broker, visit, *token).await {
            Ok(()) => {
                done += 1;
                continue;
            }
            Err(NotDone::NeedsPerson) => (shell.say("renew-needs-person"), true),
            Err(NotDone::Refused(error)) => match tokens {
                [_] => return refused(shell, &*error),
                _ => (shell.tell(&*error), false),
            },
        };
        left.push(LeftToken { id: *token, name: name_of(broker, visit, *token).await, why, connects });
    }
    let back = back_of(fields);
    if left.is_empty() {
        let count = done.to_string();
        return Redirect::to(&saying(&back, &[("done", act.done()), ("count", &count)])).into_response();
    }
    let summary = (done > 0).then(|| shell.say_of(&format!("done-{}", act.done()), "count", done));
    shown(StatusCode::OK, &OutcomePage { summary, left, back, shell })
}

async fn name_of(broker: &Broker, visit: &Visit, token: TokenId) -> String {
    match broker.show_token(visit.team(), token).await {
        Ok((view, _)) => name_of_token(broker, &view.token),
        Err(_) => token.to_string(),
    }
}

/// Asks whether a token shall be revoked.
pub(in crate::web::console) async fn confirm_revocation(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    let shell = visit.shell(&broker, Place::Tokens);
    match found(&broker, &visit, shell, &id).await {
        Ok((shell, view)) => ask_for_word(&broker, &visit, shell, &[view.token.id], &[], false).await,
        Err(answer) => answer,
    }
}

/// Revokes a token, once the word was typed.
pub(in crate::web::console) async fn revoke(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let shell = visit.shell(&broker, Place::Tokens);
    let (shell, view) = match found(&broker, &visit, shell, &id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    revoke_all(&broker, &visit, shell, &[view.token.id], &fields).await
}

/// Revokes several tokens, once the word was typed.
pub(in crate::web::console) async fn revoke_many(
    State(broker): State<Broker>,
    visit: Visit,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let shell = visit.shell(&broker, Place::Tokens);
    revoke_all(&broker, &visit, shell, &tokens_of(&fields), &fields).await
}

async fn revoke_all(
    broker: &Broker,
    visit: &Visit,
    shell: Shell,
    tokens: &[TokenId],
    fields: &[(String, String)],
) -> Response {
    if !field(fields, "word").trim().eq_ignore_ascii_case(&shell.say("revoke-word")) {
        return ask_for_word(broker, visit, shell, tokens, fields, true).await;
    }
    do_to_all(broker, visit, shell, Act::Revoke, tokens, fields).await
}

/// The token, if the visitor may revoke it and nobody has.
async fn revocable(broker: &Broker, visit: &Visit, token: TokenId) -> Result<TokenView, TokenError> {
    let (view, _) = broker.show_token(visit.team(), token).await?;
    broker.must_permit(&visit.caller(), Action::Revoke, visit.team(), On::Token(&view.token))?;
    match view.token.state {
        TokenState::Revoked { .. } => Err(TransitionError::Revoked.into()),
        _ => Ok(view),
    }
}

/// Asks whether those shall be revoked that the visitor may revoke; the others are named.
async fn ask_for_word(
    broker: &Broker,
    visit: &Visit,
    shell: Shell,
    tokens: &[TokenId],
    fields: &[(String, String)],
    wrong: bool,
) -> Response {
    let (mut views, mut left, mut first) = (Vec::new(), Vec::new(), None);
    for token in tokens {
        match revocable(broker, visit, *token).await {
            Ok(view) => views.push(view),
            Err(error) => {
                let (name, why) = (name_of(broker, visit, *token).await, shell.tell(&error));
                left.push(LeftToken { id: *token, name, why, connects: false });
                first.get_or_insert(error);
            }
        }
    }
    if let Some(error) = first.filter(|_| views.is_empty()) {
        return refused(shell, &error);
    }
    let names = granters(broker, views.iter().map(|view| &view.token)).await;
    let rows: Vec<Row> = views.iter().map(|view| Row::of(broker, visit, &shell, view, &names, None)).collect();
    let action = match tokens {
        [one] => format!("/tokens/{one}/revoke"),
        _ => "/tokens/revoke".to_owned(),
    };
    let status = if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (word, many, back) = (shell.say("revoke-word"), tokens.len() != 1, back_of(fields));
    shown(status, &RevokePage { word, many, action, wrong, rows, left, back, shell })
}

/// The list from which one comes, with its filters.
fn back_of(fields: &[(String, String)]) -> String {
    let said = own_page(field(fields, "back"), &[HOME]);
    said.filter(|page| page.split('?').next() == Some(HOME)).unwrap_or_else(|| HOME.to_owned())
}

fn tokens_of(fields: &[(String, String)]) -> Vec<TokenId> {
    let named = fields.iter().filter(|(name, _)| name == "token").filter_map(|(_, value)| value.parse().ok());
    named.take(MOST).collect()
}

fn field<'f>(fields: &'f [(String, String)], wanted: &str) -> &'f str {
    fields.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
}
