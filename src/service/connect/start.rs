//! A connection is started: everything that can be known to be wrong is said now, not to the person in the browser.

use url::Url;

use crate::base::ids::{ConnectionId, TeamId, TokenId};
use crate::base::secret::Secret;
use crate::domain::connection::{Connection, Granter, Stage, consent_of};
use crate::domain::member::{Action, Member};
use crate::domain::networks::Purposes;
use crate::domain::token::{Token, TokenState, TransitionError};
use crate::service::connect::{ConnectError, Mark, random_text};
use crate::service::members::On;
use crate::service::requests::Attempt;
use crate::service::tokens::{Rejected, TokenError};
use crate::service::{Broker, Caller};
use crate::store::StoredConnection;

/// What is to be connected. Lengths are checked by the transport.
#[derive(Debug, Clone, Default)]
pub struct StartConnection {
    /// The network's id; empty: that of the token to be healed.
    pub network: String,
    /// The kind of token; empty: that of the token to be healed.
    pub kind: String,
    /// The app; `None`: that of the token to be healed, else the team's own, else `default`.
    pub app: Option<String>,
    /// What the tokens will be used for; empty: as the token to be healed.
    pub purposes: Purposes,
    /// Scopes to ask for beside those that the purposes need.
    pub scopes: Vec<String>,
    /// Who gives consent.
    pub granter: Granter,
    /// The token to heal; `None`: a new one is wanted.
    pub token: Option<TokenId>,
    /// Whether another account may come back than the token to be healed is of.
    pub allow_other_account: bool,
    /// Where the browser goes at the end; empty: nowhere.
    pub return_url: String,
}

/// A connection that was started.
pub struct StartedConnection {
    /// The connection.
    pub connection: Connection,
    /// Its link: shown once, never kept.
    pub link: Secret,
}

impl Broker {
    /// Starts a connection. Its link is for one browser: that of the person who gives consent.
    pub async fn start_connection(
        &self,
        attempt: impl Into<Attempt<StartedConnection>>,
        team: &TeamId,
        ask: StartConnection,
    ) -> Result<StartedConnection, ConnectError> {
        let attempt = attempt.into();
        self.must_permit(&attempt.caller, Action::Connect, team, On::Team).map_err(TokenError::from)?;
        let connection = self.new_connection(&attempt.caller, team, ask).await?;
        self.ensure_data_key(team).await?;
        let link = random_text()?;
        let url = self.page_url(&format!("/connect/links/{}", link.expose()))?;
        let stored = StoredConnection {
            connection: connection.clone(),
            link_hash: self.mark_hash(Mark::Link, link.expose()),
            browser_hash: None,
            state_hash: None,
            sealed: None,
        };
        let audit = self.connection_audit(&attempt.caller, "connection.start", &connection);
        let made = StartedConnection { connection, link: Secret::new(url) };
        self.store.insert_connection(stored, attempt.trail(audit, &made)).await?;
        Ok(made)
    }

    async fn new_connection(
        &self,
        caller: &Caller,
        team: &TeamId,
        ask: StartConnection,
    ) -> Result<Connection, ConnectError> {
        self.page_url("")?;
        self.directory.team(team).ok_or_else(|| TokenError::TeamNotFound(team.clone()))?;
        self.must_be_of_team(team, &ask.granter).await?;
        let healed = match ask.token {
            Some(id) => Some(self.healable(caller, team, id, &ask).await?),
            None => None,
        };
        let or_healed = |given: String, of: fn(&Token) -> &str| match &healed {
            Some(token) if given.is_empty() => of(token).to_owned(),
            _ => given,
        };
        let network = or_healed(ask.network, |token| token.network.as_str());
        let kind = or_healed(ask.kind, |token| token.kind.as_str());
        let found = self.catalogue.network(&network).ok_or_else(|| Rejected::UnknownNetwork(network.clone()))?;
        let unknown = || Rejected::UnknownKind { network: network.clone(), kind: kind.clone() };
        let kind = found.kind(&kind).ok_or_else(unknown)?;
        let app = ask.app.or_else(|| healed.as_ref().map(|token| token.app.to_string()));
        let app = match app {
            Some(app) => self.checked_app(team, &found.id, Some(&app))?,
            None => self.app_to_connect_by(&found.id, team),
        };
        let no = |why| ConnectError::NotConnectable { network: found.id.clone(), kind: kind.id.clone(), why };
        consent_of(found, kind).map_err(no)?;
        if self.client_of(&found.id, &app)?.0.is_empty() {
            return Err(ConnectError::NoClient { network: found.id.clone(), app });
        }
        let purposes = match &healed {
            Some(token) if ask.purposes.is_empty() => token.purposes,
            _ => ask.purposes,
        };
        if purposes.is_empty() {
            return Err(ConnectError::NoPurpose);
        }
        let unserved: Vec<_> = purposes.iter().filter(|purpose| kind.scopes_for(*purpose).is_none()).collect();
        if !unserved.is_empty() {
            let purposes = unserved.into_iter().map(|purpose| purpose.as_str()).collect();
            return Err(Rejected::Purposes { kind: kind.id.to_string(), purposes }.into());
        }
        let now = self.now();
        Ok(Connection {
            id: ConnectionId::generate(),
            team: team.clone(),
            network: found.id.clone(),
            app,
            kind: kind.id.clone(),
            purposes,
            scopes: ask.scopes,
            started_by: caller.member().map(|member| member.id),
            granter: ask.granter,
            text_version: String::new(),
            token: ask.token,
            other_account: ask.allow_other_account,
            return_url: self.checked_return(ask.return_url)?,
            stage: Stage::Offered,
            problem: None,
            created_at: now,
            ends_at: now + self.config.connections.link_lifetime,
            version: 1,
        })
    }

    async fn must_be_of_team(&self, team: &TeamId, granter: &Granter) -> Result<(), ConnectError> {
        let Granter::Member(id) = granter else { return Ok(()) };
        let found = self.store.find_member(*id).await?.filter(Member::is_active);
        match found.is_some_and(|member| member.team == *team) {
            true => Ok(()),
            false => Err(ConnectError::NoMember { team: team.clone(), member: *id }),
        }
    }

    async fn healable(
        &self,
        caller: &Caller,
        team: &TeamId,
        id: TokenId,
        ask: &StartConnection,
    ) -> Result<Token, ConnectError> {
        let token = self.stored_token(team, id).await?.token;
        self.must_permit(caller, Action::Renew, team, On::Token(&token)).map_err(TokenError::from)?;
        let differs = |given: &str, own: &str| !given.is_empty() && given != own;
        if differs(&ask.network, token.network.as_str()) || differs(&ask.kind, token.kind.as_str()) {
            return Err(ConnectError::OtherKind);
        }
        match token.state {
            TokenState::Revoked { .. } => Err(TransitionError::Revoked.into()),
            _ => Ok(token),
        }
    }

    fn checked_return(&self, url: String) -> Result<Option<String>, ConnectError> {
        if url.is_empty() {
            return Ok(None);
        }
        let parsed = Url::parse(&url).map_err(|_| ConnectError::ReturnUrl)?;
        let allowed = self.config.connections.return_urls.iter().any(|allowed| allowed.allows(&parsed));
        if allowed { Ok(Some(parsed.into())) } else { Err(ConnectError::ReturnUrl) }
    }
}
