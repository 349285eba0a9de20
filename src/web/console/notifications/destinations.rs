//! Where the whole team is told: added, changed, tried, deleted. What is secret of a destination is shown to nobody again.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::base::ids::DestinationId;
use crate::base::secret::Secret;
use crate::domain::member::Action;
use crate::domain::notice::{Destination, DestinationKind, Kind};
use crate::service::Broker;
use crate::service::members::On;
use crate::service::notices::{CreateDestination, DestinationError, DestinationView, UpdateDestination};
use crate::web::console::again::{Made, done_already};
use crate::web::console::filter::Choice;
use crate::web::console::refused::{Refusal, refused};
use crate::web::console::typed::{Deed, WordForm, ask_to_type};
use crate::web::console::{Place, Shell, Visit};
use crate::web::once::{Sent, SentForm};
use crate::web::page::shown;

/// The longest name, in characters.
const LONGEST_NAME: usize = 128;

/// A destination in the list.
pub(super) struct Listed {
    pub(super) id: DestinationId,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) shown: String,
    pub(super) events: u64,
    /// Since when its receiver says that it is not there any more, in words.
    pub(super) gone: Option<String>,
    /// Whether what is stored of its target or secrets does not open.
    pub(super) damaged: bool,
}

/// What the page's address says of the last action.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::console) struct Asked {
    done: String,
}

/// What a form says of a destination. It has no `Debug`: a secret may be in it.
#[derive(Default)]
struct DestinationForm {
    name: String,
    kind: String,
    target: String,
    secret: String,
    events: BTreeSet<Kind>,
    form_id: String,
}

#[derive(Template)]
#[template(path = "console/notifications/new.html")]
struct NewPage {
    shell: Shell,
    name: String,
    target: String,
    kinds: Vec<(Choice, String)>,
    events: Vec<Choice>,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "console/notifications/destination.html")]
struct DestinationPage {
    shell: Shell,
    listed: Listed,
    name: String,
    is_webhook: bool,
    events: Vec<Choice>,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "console/notifications/secret.html")]
struct SecretPage {
    shell: Shell,
    listed: Listed,
    secret: String,
}

impl Listed {
    pub(super) fn of_view(shell: &Shell, view: &DestinationView) -> Self {
        Self { damaged: view.damaged, ..Self::of(shell, &view.destination) }
    }

    /// One that was just written, or is about to go.
    fn of(shell: &Shell, destination: &Destination) -> Self {
        let kind = kind_name(shell, destination.kind);
        Self {
            id: destination.id,
            name: if destination.display_name.is_empty() { kind.clone() } else { destination.display_name.clone() },
            kind,
            shown: destination.shown.clone(),
            events: destination.events.len() as u64,
            gone: destination.gone_since.map(|since| shell.say_of("destination-gone", "time", shell.when(since).text)),
            damaged: false,
        }
    }
}

impl DestinationForm {
    fn read(fields: Vec<(String, String)>) -> Self {
        let mut form = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "name" => form.name = value.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect(),
                "kind" => form.kind = value,
                "target" => value.trim().clone_into(&mut form.target),
                "secret" => value.trim().clone_into(&mut form.secret),
                "form_id" => form.form_id = value,
                "event" => form.events.extend(Kind::from_name(&value)),
                _ => {}
            }
        }
        form
    }

    /// The signing secrets that were typed.
    fn secrets(&self) -> Vec<Secret> {
        self.secret.split_whitespace().map(|secret| Secret::new(secret.to_owned())).collect()
    }
}

fn kind_name(shell: &Shell, kind: DestinationKind) -> String {
    shell.say(&format!("destination-{}", kind.as_str()))
}

fn event_choices(shell: &Shell, chosen: &BTreeSet<Kind>) -> Vec<Choice> {
    let choice = |kind: Kind| Choice {
        value: kind.as_str().to_owned(),
        text: shell.say(&format!("kind-{}", kind.as_str().replace('_', "-"))),
        chosen: chosen.contains(&kind),
    };
    Kind::ALL.into_iter().map(choice).collect()
}

/// What is wrong with a form, as opposed to what went wrong.
const fn is_of_form(error: &DestinationError) -> bool {
    matches!(
        error,
        DestinationError::Mail(_)
            | DestinationError::Url(_)
            | DestinationError::Secret(_)
            | DestinationError::Secrets
            | DestinationError::TooMany(_)
    )
}

/// The destination of that id, if it is of the visitor's team and the visitor may change it.
async fn found(broker: &Broker, visit: &Visit, shell: Shell, id: &str) -> Result<(Shell, DestinationView), Response> {
    if let Err(error) = broker.must_permit(&visit.caller(), Action::ChangeDestinations, visit.team(), On::Team) {
        return Err(refused(shell, &error));
    }
    let id = DestinationId::typed(id);
    match broker.show_destination(visit.team(), id).await {
        Ok(view) => Ok((shell, view)),
        Err(error) => Err(refused(shell, &error)),
    }
}

/// Asks what destination to add.
pub(in crate::web::console) async fn ask_for_destination(State(broker): State<Broker>, visit: Visit) -> Response {
    let shell = visit.shell(&broker, Place::Notices);
    if let Err(error) = broker.must_permit(&visit.caller(), Action::ChangeDestinations, visit.team(), On::Team) {
        return refused(shell, &error);
    }
    let form = DestinationForm { events: Destination::usual_events(), ..DestinationForm::default() };
    ask(shell, form, None)
}

fn ask(shell: Shell, form: DestinationForm, problem: Option<String>) -> Response {
    let status = if problem.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let chosen = DestinationKind::from_name(&form.kind).unwrap_or(DestinationKind::Mail);
    let kind = |kind: DestinationKind| {
        let choice = Choice { value: kind.as_str().to_owned(), text: kind_name(&shell, kind), chosen: kind == chosen };
        (choice, shell.say(&format!("destination-about-{}", kind.as_str())))
    };
    let page = NewPage {
        kinds: DestinationKind::ALL.into_iter().map(kind).collect(),
        events: event_choices(&shell, &form.events),
        name: form.name,
        // The URL of a chat is a secret by itself: it is typed again.
        target: if chosen == DestinationKind::Mail { form.target } else { String::new() },
        problem,
        shell,
    };
    shown(status, &page)
}

/// Adds a destination. A webhook without a signing secret gets one, which is shown this once.
pub(in crate::web::console) async fn add_destination(
    State(broker): State<Broker>,
    visit: Visit,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let shell = visit.shell(&broker, Place::Notices);
    let form = DestinationForm::read(fields);
    let kind = DestinationKind::from_name(&form.kind).unwrap_or(DestinationKind::Mail);
    let (mut secrets, mut made) = (form.secrets(), None);
    if kind == DestinationKind::Webhook && secrets.is_empty() {
        match broker.make_signing_secret() {
            Ok(secret) => {
                made = Some(secret.expose().to_owned());
                secrets.push(secret);
            }
            Err(error) => return refused(shell, &error),
        }
    }
    let destination = CreateDestination {
        team: visit.team().clone(),
        display_name: form.name.trim().to_owned(),
        kind,
        target: Secret::new(form.target.clone()),
        secrets,
        events: Some(form.events.clone()),
    };
    let caller = visit.caller();
    let sent = SentForm { caller: &caller, purpose: "console/destinations.new", id: &form.form_id };
    let name = |made: &Destination| made.id.to_string();
    let sent = sent.once(&broker, name, |attempt| broker.create_destination(attempt, destination)).await;
    match (sent, made) {
        (Ok(Sent::First(destination)), Some(secret)) => {
            let listed = Listed::of(&shell, &destination);
            shown(StatusCode::OK, &SecretPage { shell, listed, secret })
        }
        (Ok(Sent::Again(destination)), Some(_)) => {
            let mend = format!("/notifications/destinations/{destination}");
            let back = ("/notifications".to_owned(), shell.say("notifications-title"));
            done_already(shell, Made { what: "secret", mend, back })
        }
        (Ok(sent), None) => {
            let destination = match sent {
                Sent::First(destination) => destination.id.to_string(),
                Sent::Again(destination) => destination,
            };
            Redirect::to(&format!("/notifications/destinations/{destination}?done=destination-added")).into_response()
        }
        (Err(error), _) if is_of_form(&error) => {
            let problem = Some(shell.tell(&error));
            ask(shell, form, problem)
        }
        (Err(error), _) => refused(shell, &error),
    }
}

/// A destination.
pub(in crate::web::console) async fn show_destination(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let shell = visit.shell(&broker, Place::Notices).with_done(&asked.done, 1);
    match found(&broker, &visit, shell, &id).await {
        Ok((shell, view)) => destination_page(shell, &view, None),
        Err(answer) => answer,
    }
}

fn destination_page(shell: Shell, view: &DestinationView, problem: Option<(StatusCode, String)>) -> Response {
    let status = problem.as_ref().map_or(StatusCode::OK, |(status, _)| *status);
    let destination = &view.destination;
    let page = DestinationPage {
        listed: Listed::of_view(&shell, view),
        name: destination.display_name.clone(),
        is_webhook: destination.kind == DestinationKind::Webhook,
        events: event_choices(&shell, &destination.events),
        problem: problem.map(|(_, problem)| problem),
        shell,
    };
    shown(status, &page)
}

/// Changes a destination; what was left empty of its target and secrets stays.
pub(in crate::web::console) async fn update_destination(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let shell = visit.shell(&broker, Place::Notices);
    let (shell, view) = match found(&broker, &visit, shell, &id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let form = DestinationForm::read(fields);
    let secrets = form.secrets();
    let change = UpdateDestination {
        display_name: Some(form.name.trim().to_owned()),
        target: (!form.target.is_empty()).then(|| Secret::new(form.target.clone())),
        secrets: (!secrets.is_empty()).then_some(secrets),
        events: Some(form.events),
    };
    match broker.update_destination(&visit.caller(), visit.team(), view.destination.id, change).await {
        Ok(made) => {
            Redirect::to(&format!("/notifications/destinations/{}?done=destination-changed", made.id)).into_response()
        }
        Err(error) if is_of_form(&error) => {
            let problem = Some((error.status(), shell.tell(&error)));
            destination_page(shell, &view, problem)
        }
        Err(error) => refused(shell, &error),
    }
}

/// Sends a test message, and says what came of it.
pub(in crate::web::console) async fn test_destination(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    let shell = visit.shell(&broker, Place::Notices);
    let (shell, view) = match found(&broker, &visit, shell, &id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let id = view.destination.id;
    match broker.send_test_notice(&visit.caller(), visit.team(), id).await {
        Ok(_) => Redirect::to(&format!("/notifications/destinations/{id}?done=test-sent")).into_response(),
        Err(error @ DestinationError::NotSent(_)) => {
            let problem = Some((error.status(), shell.tell(&error)));
            destination_page(shell, &view, problem)
        }
        Err(error) => refused(shell, &error),
    }
}

/// Asks whether a destination shall be deleted.
pub(in crate::web::console) async fn confirm_deletion(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
) -> Response {
    let shell = visit.shell(&broker, Place::Notices);
    match found(&broker, &visit, shell, &id).await {
        Ok((shell, view)) => {
            let deed = deed(&shell, &view.destination);
            ask_to_type(shell, deed, false)
        }
        Err(answer) => answer,
    }
}

fn deed(shell: &Shell, destination: &Destination) -> Deed {
    let (listed, href) = (Listed::of(shell, destination), format!("/notifications/destinations/{}", destination.id));
    let action = format!("{href}/delete");
    Deed { what: "destination-delete", to: listed.name.clone(), action, back: (href, listed.name) }
}

/// Deletes a destination, once the word was typed.
pub(in crate::web::console) async fn delete_destination(
    State(broker): State<Broker>,
    visit: Visit,
    Path(id): Path<String>,
    Form(form): Form<WordForm>,
) -> Response {
    let shell = visit.shell(&broker, Place::Notices);
    let (shell, DestinationView { destination, .. }) = match found(&broker, &visit, shell, &id).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    if !form.confirms(&shell, "destination-delete") {
        let deed = deed(&shell, &destination);
        return ask_to_type(shell, deed, true);
    }
    match broker.delete_destination(&visit.caller(), visit.team(), destination.id).await {
        Ok(_) => Redirect::to("/notifications?done=destination-deleted").into_response(),
        Err(error) => refused(shell, &error),
    }
}

impl Refusal for DestinationError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TeamNotFound(_) | Self::NotFound(..) => StatusCode::NOT_FOUND,
            Self::Mail(_) | Self::Url(_) | Self::Secret(_) | Self::Secrets => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany(_) | Self::Contended => StatusCode::CONFLICT,
            Self::NotSent(_) => StatusCode::BAD_GATEWAY,
            Self::Random | Self::Sealed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
