//! Asks who is signed in for the proof once more, before what would do most harm at a browser that was left open: keys, members, and many
//! tokens at once. What was sent waits on the page that asks, but for what is secret in it, and goes on with the answer.

use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::form_urlencoded::{self, Serializer};

use super::Shell;
use super::kept::{PROOF, kept_form, without_secrets};
use crate::base::ids::TeamId;
use crate::base::secret::Secret;
use crate::domain::member::Session;
use crate::service::Broker;
use crate::service::sessions::{Browser, SignInError};
use crate::web::page::shown;
use crate::web::server::PeerAddress;
use crate::web::sign_in::{browser_of, keeping, out_of_order, proof_link};

/// The longest form that waits, in bytes.
const LONGEST: usize = 64 * 1024;

/// A visitor who can prove once more who it is.
pub(super) trait Proves: Send + Sync {
    /// What it proves it by: `password` or `key`.
    const SECRET: &'static str;

    /// Its session.
    fn session(&self) -> &Session;

    /// Its team; `None`: an operator.
    fn team(&self) -> Option<&TeamId>;

    /// Takes the proof.
    fn prove(
        &self,
        broker: &Broker,
        secret: Secret,
        browser: &Browser,
    ) -> impl Future<Output = Result<(), SignInError>> + Send;

    /// What stands around the page that asks.
    fn shell(&self, broker: &Broker) -> Shell;
}

#[derive(Template)]
#[template(path = "console/confirm.html")]
struct ConfirmPage {
    shell: Shell,
    action: String,
    fields: Vec<(String, String)>,
    /// What is filled in once more: what asks for it, and the field's name.
    secrets: Vec<(String, String)>,
    problem: Option<String>,
    /// What goes on once it is proved.
    what: String,
    text: String,
    /// What is asked for.
    label: String,
    /// What the service is called at which it can be proved, too, and the address that leads there.
    elsewhere: Option<(String, String)>,
}

/// Lets a POST through where the visitor proved lately who it is, or proves it now.
pub(super) async fn ask_again<V: Proves>(
    State(broker): State<Broker>,
    visit: V,
    peer: Option<Extension<PeerAddress>>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST || broker.is_fresh(visit.session()) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let (given, fields): (Vec<_>, Vec<_>) =
        form_urlencoded::parse(&body).into_owned().partition(|(name, _)| name == PROOF);
    let problem = match given.into_iter().next() {
        None => None,
        Some((_, proof)) => {
            let browser = browser_of(&broker, peer, &parts.headers);
            match visit.prove(&broker, Secret::new(proof), &browser).await {
                Ok(()) => {
                    let form = Serializer::new(String::new()).extend_pairs(&fields).finish();
                    return next.run(Request::from_parts(parts, Body::from(form))).await;
                }
                Err(SignInError::Wrong | SignInError::WrongKey | SignInError::NotChosen) => Some(None),
                Err(error @ SignInError::TooOften(_)) => Some(Some(visit.shell(&broker).tell(&error))),
                Err(error @ (SignInError::Random | SignInError::Stopping | SignInError::Store(_))) => {
                    return out_of_order(&error);
                }
            }
        }
    };
    let shell = visit.shell(&broker);
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let secret = V::SECRET;
    let problem = problem.map(|said| said.unwrap_or_else(|| shell.say(&format!("confirm-wrong-{secret}"))));
    let (text, label) = (shell.say(&format!("confirm-text-{secret}")), shell.say(&format!("confirm-{secret}")));
    let asked = parts.extensions.get::<MatchedPath>().map(|path| asked_by(path.as_str())).unwrap_or_default();
    let what = if shell.knows(&asked) { shell.say(&asked) } else { String::new() };
    // What the address says beside the path is part of what was asked for.
    let action = parts.uri.path_and_query().map_or("/", |asked| asked.as_str()).to_owned();
    let elsewhere = visit.team().and_then(|team| proof_link(&broker, team));
    let kept = kept_form(action.clone(), &fields);
    let (secrets, fields) = without_secrets(fields);
    let secrets = secrets.into_iter().map(|name| (shell.say(&format!("kept-{name}")), name)).collect();
    let is_proved_elsewhere = elsewhere.is_some();
    let page = ConfirmPage { action, fields, secrets, problem, what, text, label, elsewhere, shell };
    let answer = shown(status, &page);
    if is_proved_elsewhere { keeping(&broker, &kept, answer) } else { answer }
}

/// The name of the words for what a route does: `asked-members-member-remove` for `/members/{member}/remove`.
fn asked_by(route: &str) -> String {
    let parts: Vec<_> =
        route.split('/').filter(|part| !part.is_empty()).map(|part| part.trim_matches(['{', '}'])).collect();
    format!("asked-{}", parts.join("-"))
}
