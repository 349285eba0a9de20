//! A browser comes back from the network: is it the one that was sent, is it in time, and does it bring a code?

use crate::base::ids::{ConnectionId, NetworkId};
use crate::base::secret::Secret;
use crate::domain::connection::{Connection, Problem, Refusal, StageError, consent_of};
use crate::domain::networks::{ErrorClass, Network, OAuth, OAuthQuirk, classify_authorization};
use crate::service::connect::redeem::{Grant, Redeemed, Subject, Unkept};
use crate::service::connect::visitor::must_be_granter;
use crate::service::connect::waiting::Waiting;
use crate::service::connect::{ConnectError, Mark, Visitor};
use crate::service::{Broker, Caller};
use crate::store::StoredConnection;

/// Errors of networks are shown to people up to this length, in characters.
const LONGEST_ERROR: usize = 200;

/// What a browser brings (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Default)]
pub struct CallbackQuery {
    /// The code.
    pub code: Option<Secret>,
    /// The state that was sent.
    pub state: String,
    /// The error, where there is no code.
    pub error: Option<String>,
    /// The error in words.
    pub error_description: Option<String>,
    /// Who answers.
    pub issuer: Option<String>,
}

/// Where a browser that came back stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// The connection, which tells what came of it.
    pub connection: ConnectionId,
}

/// Why a browser that came back is not let in. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// The state is none that was given out for this network.
    #[error("this answer belongs to no connection that was started here; open the connect link again")]
    UnknownState,
    /// Another browser was sent to the network.
    #[error(
        "this answer belongs to another browser; open the connect link in the browser in which you began, or ask for a new one"
    )]
    ForeignBrowser,
    /// It was used, came too late, or the connection has ended.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// Something else.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl Broker {
    /// Takes what a browser brought from a network to its end: whatever comes of it is noted in the connection. Can't be cancelled by the
    /// browser.
    pub async fn finish_consent(
        &self,
        network: NetworkId,
        query: CallbackQuery,
        visitor: &Visitor,
    ) -> Result<Arrived, CallbackError> {
        let stored = self.store.connection_of_state(self.mark_hash(Mark::State, &query.state)).await;
        let stored = stored.map_err(ConnectError::from)?.ok_or(CallbackError::UnknownState)?;
        if stored.connection.network != network {
            return Err(CallbackError::UnknownState);
        }
        if !self.is_bound(&stored, visitor) {
            return Err(CallbackError::ForeignBrowser);
        }
        must_be_granter(&stored, visitor)?;
        let (broker, id, caller) = (self.clone(), stored.connection.id, visitor.caller());
        let done = self.finish(async move { broker.take_answer(&caller, stored, query).await }).await;
        done.ok_or(CallbackError::Connect(ConnectError::Contended(id)))?
    }

    pub(super) async fn take_answer(
        &self,
        caller: &Caller,
        stored: StoredConnection,
        query: CallbackQuery,
    ) -> Result<Arrived, CallbackError> {
        let arrived = Arrived { connection: stored.connection.id };
        let now = self.now();
        let redeeming = stored.connection.clone().redeem(now)?;
        let gone = || CallbackError::UnknownState;
        let found = self.catalogue.network(redeeming.network.as_str()).ok_or_else(gone)?.clone();
        let kind = found.kind(redeeming.kind.as_str()).ok_or_else(gone)?;
        let (granted, oauth) = consent_of(&found, kind).map_err(|_| gone())?;
        let unreadable = || {
            let why = "it was written by another version; open the connect link again";
            ConnectError::Sealed(why.to_owned())
        };
        let waiting = Waiting::read(&self.open_for(&stored)?).ok_or_else(unreadable)?;
        let next = StoredConnection { connection: redeeming, sealed: None, ..stored };
        // The state is spent before anything else is done: an answer that comes twice is used once.
        match self.step(caller, "connection.answer", next.clone(), None).await {
            Err(ConnectError::Contended(_)) => return Err(StageError::Used.into()),
            done => done?,
        }
        let outcome = match code_of(oauth, &found, query) {
            Ok(code) => {
                let of = Subject { connection: &next.connection, network: &found, kind, granted, oauth };
                self.redeem(of, &code, &waiting).await
            }
            Err(problem) => Err(Unkept { problem, grant: None }),
        };
        let connection = next.connection.clone();
        let (settled, gives_back) = match outcome {
            // Nobody is asked to choose what the person took back meanwhile: nothing of it is kept.
            Ok(redeemed) if self.was_redeemed_in_vain(&connection, &redeemed).await => {
                (StoredConnection { connection: connection.cancel(self.now())?, ..next }, None)
            }
            Ok(redeemed) => {
                let connection = connection.choose(redeemed.found);
                let sealed = Some(self.seal_for(&connection, &redeemed.grant)?);
                (StoredConnection { connection, sealed, ..next }, None)
            }
            Err(Unkept { problem, grant }) => {
                let gives_back =
                    grant.and_then(|(person, grant)| self.revocation_of_grant(&connection, &person, &grant));
                (StoredConnection { connection: connection.fail(problem), ..next }, gives_back)
            }
        };
        match self.step(caller, "connection.settle", settled.clone(), gives_back.clone()).await {
            Ok(()) => Ok(arrived),
            Err(error) => {
                // It was ended meanwhile: nobody will choose.
                if let Some(revocation) = gives_back.or_else(|| self.given_back(&settled)) {
                    let connection = &settled.connection;
                    let audit = self.stepping_audit(caller, "connection.drop", connection, Some(&revocation));
                    self.store.put_revocation(revocation, audit).await.map_err(ConnectError::from)?;
                }
                Err(error.into())
            }
        }
    }
}

impl Broker {
    /// Whether the person took the consent back already, as far as the store tells; it is asked again before anything is kept.
    async fn was_redeemed_in_vain(&self, connection: &Connection, redeemed: &Redeemed) -> bool {
        let Some(grant) = Grant::read(&redeemed.grant) else { return false };
        self.was_taken_back(connection, &redeemed.found.person, &grant).await.unwrap_or(false)
    }
}

/// The code, unless the network says no, or somebody else speaks in its name. Where accounts live on many servers (`did_directory`), who answers
/// must be said.
fn code_of(oauth: &OAuth, of: &Network, query: CallbackQuery) -> Result<Secret, Problem> {
    let network = || of.display_name.clone();
    match &query.issuer {
        Some(issuer) if !is_issuer(oauth, issuer) => return Err(Problem::OtherIssuer { network: network() }),
        None if oauth.did_directory.is_some() => return Err(Problem::NoIssuer { network: network() }),
        _ => {}
    }
    if let Some(error) = &query.error {
        return Err(refused(of, error, query.error_description.as_deref()));
    }
    let code = query.code.ok_or_else(|| Problem::NoCode { network: network() })?;
    let cut = oauth.quirks.contains(&OAuthQuirk::CodeEndsInHashUnderscore);
    let text = code.expose().strip_suffix("#_").filter(|_| cut);
    Ok(text.map(|text| Secret::new(text.to_owned())).unwrap_or(code))
}

fn is_issuer(oauth: &OAuth, said: &str) -> bool {
    let origin = |url: &str| url::Url::parse(url).map(|url| url.origin()).ok();
    match &oauth.issuer {
        Some(issuer) => issuer == said,
        None => oauth.authorize_url.as_deref().is_some_and(|own| origin(own).is_some() && origin(own) == origin(said)),
    }
}

/// What an error of the authorization endpoint means for the person. Its words are foreign text.
fn refused(network: &Network, error: &str, description: Option<&str>) -> Problem {
    let clean = |text: &str| text.chars().filter(|c| !c.is_control()).take(LONGEST_ERROR).collect::<String>();
    let said = [Some(error), description].into_iter().flatten().map(clean).collect::<Vec<_>>().join(": ");
    let (class, about) = classify_authorization(network, error);
    let why = match (class, about) {
        (ErrorClass::PermissionLost, _) => Refusal::Denied,
        (ErrorClass::AppLevel, Some(about)) => Refusal::Known(about.to_owned()),
        (ErrorClass::AppLevel, None) if error == "invalid_scope" => Refusal::Scopes,
        (ErrorClass::AppLevel, None) => Refusal::App,
        _ => Refusal::Trouble,
    };
    Problem::Refused { network: network.display_name.clone(), why, said }
}
