//! Who asks for a page.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::confirm::Proves;
use super::refused::refused;
use super::{Place, Reader, Shell};
use crate::base::ids::TeamId;
use crate::base::secret::Secret;
use crate::domain::member::{Action, Session};
use crate::service::members::On;
use crate::service::sessions::{Browser, OperatorStay, SignInError, Stay};
use crate::service::{Broker, Caller};
use crate::web::cookie::{operator_session_of, session_of};
use crate::web::sign_in::{out_of_order, page_before};

/// What asks for a part of a page says so.
const ASKS_FOR_PART: &str = "hx-request";
/// What an open page asks for by itself says so.
const BY_ITSELF: &str = "x-by-itself";
/// Where the script is to lead the whole page.
const LEAD_TO: HeaderName = HeaderName::from_static("hx-redirect");

/// A request of a member who is signed in. Who is not is led to the sign-in, and back from there.
pub(in crate::web) struct Visit {
    /// Who.
    pub(in crate::web) stay: Stay,
}

impl Visit {
    /// Who calls.
    pub(in crate::web) fn caller(&self) -> Caller {
        self.stay.caller()
    }

    /// Its team.
    pub(in crate::web) fn team(&self) -> &TeamId {
        &self.stay.member.team
    }

    /// Whether the member may do something to all of the team.
    pub(in crate::web) fn may(&self, broker: &Broker, action: Action) -> bool {
        broker.must_permit(&self.caller(), action, self.team(), On::Team).is_ok()
    }

    /// What stands around a page of `place`.
    pub(in crate::web) fn shell(&self, broker: &Broker, place: Place) -> Shell {
        let team = broker.directory.team(self.team());
        let name = team.map(|team| team.display_name.clone()).filter(|name| !name.is_empty());
        let team_name = name.unwrap_or_else(|| self.team().to_string());
        Shell::new(place, Reader::Member { member: self.stay.member.clone(), team_name }, broker.now())
    }
}

impl FromRequestParts<Broker> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, broker: &Broker) -> Result<Self, Response> {
        let secret = session_of(&parts.headers);
        let found = match parts.headers.contains_key(BY_ITSELF) {
            true => broker.look_at_stay(secret).await,
            false => broker.find_stay(secret).await,
        };
        match found {
            Ok(Some(stay)) => Ok(Self { stay }),
            Ok(None) => Err(to_sign_in(parts, super::HOME, page_before)),
            Err(error) => Err(out_of_order(&error)),
        }
    }
}

/// What an open page asks for by itself, without being able to say so: it is no use of the session.
pub(in crate::web) struct ByItself<V>(pub(in crate::web) V);

impl<V: FromRequestParts<Broker>> FromRequestParts<Broker> for ByItself<V> {
    type Rejection = V::Rejection;

    async fn from_request_parts(parts: &mut Parts, broker: &Broker) -> Result<Self, V::Rejection> {
        parts.headers.insert(BY_ITSELF, HeaderValue::from_static("yes"));
        V::from_request_parts(parts, broker).await.map(Self)
    }
}

/// A request of an operator who is signed in. Who is not is led to the operators' sign-in, and back from there.
pub(in crate::web) struct OperatorVisit {
    /// Who.
    pub(in crate::web) stay: OperatorStay,
}

impl OperatorVisit {
    /// Who calls.
    pub(in crate::web) fn caller(&self) -> Caller {
        self.stay.caller()
    }

    /// Whether it may change things.
    pub(in crate::web) fn is_admin(&self) -> bool {
        self.caller().must_be_admin().is_ok()
    }

    /// What stands around a page of `place`.
    pub(in crate::web) fn shell(&self, broker: &Broker, place: Place) -> Shell {
        let name = self.stay.key.display_name.clone();
        Shell::new(place, Reader::Operator { role: self.stay.role, name }, broker.now())
    }
}

impl FromRequestParts<Broker> for OperatorVisit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, broker: &Broker) -> Result<Self, Response> {
        let secret = operator_session_of(&parts.headers);
        let found = match parts.headers.contains_key(BY_ITSELF) {
            true => broker.look_at_operator_stay(secret).await,
            false => broker.find_operator_stay(secret).await,
        };
        match found {
            Ok(Some(stay)) => Ok(Self { stay }),
            Ok(None) => Err(to_sign_in(parts, super::operator::HOME, super::operator::sign_in_before)),
            Err(error) => Err(out_of_order(&error)),
        }
    }
}

/// A request of an operator who may change things. Others are refused.
pub(in crate::web) struct AdminVisit(pub(in crate::web) OperatorVisit);

impl FromRequestParts<Broker> for AdminVisit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, broker: &Broker) -> Result<Self, Response> {
        let visit = OperatorVisit::from_request_parts(parts, broker).await?;
        match visit.caller().must_be_admin() {
            Ok(()) => Ok(Self(visit)),
            Err(forbidden) => Err(refused(visit.shell(broker, Place::Overview), &forbidden)),
        }
    }
}

/// Leads to a sign-in. A POST is not done twice: what led to it is shown again. Where no person's hand led here, nobody is led away: a form may be
/// half filled, and what is sent or followed next leads to the sign-in, which keeps it.
fn to_sign_in(parts: &Parts, home: &str, page_before: impl Fn(&str) -> String) -> Response {
    if parts.headers.contains_key(BY_ITSELF) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let part = parts.headers.contains_key(ASKS_FOR_PART);
    let asked = parts.uri.path_and_query().map_or("/", |asked| asked.as_str());
    let back = if parts.method == Method::GET && !part { asked } else { home };
    let sign_in = page_before(back);
    match part {
        true => (StatusCode::UNAUTHORIZED, [(LEAD_TO, sign_in)]).into_response(),
        false => Redirect::to(&sign_in).into_response(),
    }
}

impl Proves for Visit {
    const SECRET: &'static str = "password";

    fn session(&self) -> &Session {
        &self.stay.session
    }

    fn team(&self) -> Option<&TeamId> {
        Some(&self.stay.member.team)
    }

    async fn prove(&self, broker: &Broker, secret: Secret, browser: &Browser) -> Result<(), SignInError> {
        broker.confirm_session(&self.stay, secret, browser).await
    }

    fn shell(&self, broker: &Broker) -> Shell {
        self.shell(broker, Place::Account)
    }
}

impl Proves for OperatorVisit {
    const SECRET: &'static str = "key";

    fn session(&self) -> &Session {
        &self.stay.session
    }

    fn team(&self) -> Option<&TeamId> {
        None
    }

    async fn prove(&self, broker: &Broker, secret: Secret, browser: &Browser) -> Result<(), SignInError> {
        broker.confirm_operator(&self.stay, secret, browser).await
    }

    fn shell(&self, broker: &Broker) -> Shell {
        self.shell(broker, Place::Overview)
    }
}
