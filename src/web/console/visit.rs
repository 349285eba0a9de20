//! Who asks for a page.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::{Place, Shell};
use crate::base::ids::TeamId;
use crate::domain::member::Action;
use crate::service::members::On;
use crate::service::sessions::Stay;
use crate::service::{Broker, Caller};
use crate::web::cookie::session_of;
use crate::web::sign_in::{out_of_order, page_before};

/// What asks for a part of a page says so.
const ASKS_FOR_PART: &str = "hx-request";
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
        Shell::new(place, self.stay.member.clone(), team_name, broker.now())
    }
}

impl FromRequestParts<Broker> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, broker: &Broker) -> Result<Self, Response> {
        let part = parts.headers.contains_key(ASKS_FOR_PART);
        match broker.find_stay(session_of(&parts.headers)).await {
            Ok(Some(stay)) => Ok(Self { stay }),
            Ok(None) => {
                // A POST is not done twice: what led to it is shown again.
                let asked = parts.uri.path_and_query().map_or("/", |asked| asked.as_str());
                let back = if parts.method == Method::GET && !part { asked } else { super::HOME };
                let sign_in = page_before(back);
                Err(if part {
                    (StatusCode::UNAUTHORIZED, [(LEAD_TO, sign_in)]).into_response()
                } else {
                    Redirect::to(&sign_in).into_response()
                })
            }
            Err(error) => Err(out_of_order(&error)),
        }
    }
}
