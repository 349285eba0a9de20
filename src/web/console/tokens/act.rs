//! What is done to tokens from the pages.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::row::{Row, granters};
use super::show::found;
use crate::base::ids::TokenId;
use crate::service::Broker;
use crate::service::renew::RenewError;
use crate::service::tokens::{TokenError, TokenView};
use crate::web::console::filter::address;
use crate::web::console::refused::{Refusal, refused};
use crate::web::console::{Place, Shell, Visit};
use crate::web::page::{sentence, shown};

/// The most tokens that one action is done to.
const MOST: usize = 200;
/// What is noted with what is done here.
const COMMENT: &str = "in the console";

/// What is done to a token at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Pause,
    Resume,
    Renew,
    Test,
}

impl Act {
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
        }
    }

    async fn run(self, broker: &Broker, visit: &Visit, token: TokenId) -> Result<(), Box<dyn Refusal + Send>> {
        let (caller, team) = (visit.caller(), visit.team());
        let boxed = |error: TokenError| Box::new(error) as Box<dyn Refusal + Send>;
        match self {
            Act::Pause => broker.pause_token(&caller, team, token, COMMENT).await.map(drop).map_err(boxed),
            Act::Resume => broker.resume_token(&caller, team, token, COMMENT).await.map(drop).map_err(boxed),
            Act::Renew => match broker.renew_token(&caller, team, token).await {
                Ok(_) => Ok(()),
                Err(error) => Err(Box::new(error)),
            },
            Act::Test => match broker.probe_token(&caller, team, token).await {
                Ok(_) => Ok(()),
                Err(error) => Err(Box::new(error)),
            },
        }
    }
}

/// Does one thing to one token. Where a renewal can't be had without the person, it leads to the network.
pub(in crate::web::console) async fn act(
    State(broker): State<Broker>,
    visit: Visit,
    Path((id, action)): Path<(String, String)>,
) -> Response {
    let shell = visit.shell(&broker, Place::Tokens);
    let (shell, view) = match found(&broker, &visit, shell, &id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let Some(act) = Act::from_name(&action) else { return StatusCode::NOT_FOUND.into_response() };
    let token = view.token.id;
    if act == Act::Renew {
        return match broker.renew_token(&visit.caller(), visit.team(), token).await {
            Ok(_) => Redirect::to(&format!("/tokens/{token}?done=renewed&count=1")).into_response(),
            Err(RenewError::NotRenewable(_) | RenewError::Refused(_)) => {
                Redirect::to(&format!("/connect/start?token={token}")).into_response()
            }
            Err(error) => refused(shell, &error),
        };
    }
    match act.run(&broker, &visit, token).await {
        Ok(()) => Redirect::to(&format!("/tokens/{token}?done={}&count=1", act.done())).into_response(),
        Err(error) => refused(shell, &*error),
    }
}

#[derive(Template)]
#[template(path = "console/tokens/outcome.html")]
struct OutcomePage {
    shell: Shell,
    summary: String,
    /// Those that it could not be done to, each with the reason.
    failed: Vec<(String, String, String)>,
}

#[derive(Template)]
#[template(path = "console/tokens/revoke.html")]
struct RevokePage {
    shell: Shell,
    rows: Vec<Row>,
    /// The word that confirms it.
    word: String,
    action: String,
    many: bool,
    wrong: bool,
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
        return Redirect::to("/tokens?done=none").into_response();
    }
    let action = field(&fields, "action");
    if action == "revoke" {
        return ask_for_word(&broker, &visit, shell, &tokens, false).await;
    }
    let Some(act) = Act::from_name(action) else { return StatusCode::NOT_FOUND.into_response() };
    let (mut done, mut failed) = (0_u64, Vec::new());
    for token in tokens {
        match act.run(&broker, &visit, token).await {
            Ok(()) => done += 1,
            Err(error) => failed.push((token, sentence(&error))),
        }
    }
    if failed.is_empty() {
        let count = done.to_string();
        return Redirect::to(&address("/tokens", &[("done", act.done()), ("count", &count)])).into_response();
    }
    let mut named = Vec::new();
    for (token, why) in failed {
        named.push((token.to_string(), name_of(&broker, &visit, &shell, token).await, why));
    }
    let summary = shell.say_of(&format!("done-{}", act.done()), "count", done);
    shown(StatusCode::OK, &OutcomePage { summary, failed: named, shell })
}

async fn name_of(broker: &Broker, visit: &Visit, shell: &Shell, token: TokenId) -> String {
    match broker.show_token(visit.team(), token).await {
        Ok((view, _)) => Row::of(broker, visit, shell, &view, &Default::default(), None).name,
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
        Ok((shell, view)) => ask_for_word(&broker, &visit, shell, &[view.token.id], false).await,
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
        return ask_for_word(broker, visit, shell, tokens, true).await;
    }
    for token in tokens {
        if let Err(error) = broker.revoke_token(&visit.caller(), visit.team(), *token, COMMENT).await {
            return refused(shell, &error);
        }
    }
    let count = tokens.len().to_string();
    Redirect::to(&address("/tokens", &[("done", "revoked"), ("count", &count)])).into_response()
}

async fn ask_for_word(broker: &Broker, visit: &Visit, shell: Shell, tokens: &[TokenId], wrong: bool) -> Response {
    let mut views: Vec<TokenView> = Vec::new();
    for token in tokens {
        match broker.show_token(visit.team(), *token).await {
            Ok((view, _)) => views.push(view),
            Err(error) => return refused(shell, &error),
        }
    }
    let names = granters(broker, views.iter().map(|view| &view.token)).await;
    let rows: Vec<Row> = views.iter().map(|view| Row::of(broker, visit, &shell, view, &names, None)).collect();
    let action = match tokens {
        [one] => format!("/tokens/{one}/revoke"),
        _ => "/tokens/revoke".to_owned(),
    };
    let status = if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = RevokePage { word: shell.say("revoke-word"), many: rows.len() != 1, action, wrong, rows, shell };
    shown(status, &page)
}

fn tokens_of(fields: &[(String, String)]) -> Vec<TokenId> {
    let named = fields.iter().filter(|(name, _)| name == "token").filter_map(|(_, value)| value.parse().ok());
    named.take(MOST).collect()
}

fn field<'f>(fields: &'f [(String, String)], wanted: &str) -> &'f str {
    fields.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
}
