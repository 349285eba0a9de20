//! Connecting accounts: a person gives consent in a browser, and the tokens come into the team's pool.
//!
//! A connection is started by an operator, or by a member (`start`), who sends its link to whoever can give consent, or follows it itself. The
//! link shows a browser the text that is agreed to, and leads it to the network (`begin`), which sends it back with a code (`callback`); the code is redeemed at once (`redeem`), and the network is asked whose
//! token it is (`look_up`). The person, or the API, says which profiles are meant, and the tokens are kept (`complete`, `keep`). What ends
//! otherwise gives back what it holds (`end`).
//!
//! * Who is signed in, in the browser that goes on by a link, is bound to the connection with it (`visitor`).
//! * Link, browser and state are 256 random bits, each kept as a keyed hash only.
//! * Every step is a compare-and-set on the connection's version: what two browsers do at once, one of them does.
//! * Secrets that wait between two steps are sealed for their connection and version.

mod begin;
mod callback;
mod complete;
mod discover;
mod end;
mod keep;
mod list;
mod look_up;
mod redeem;
mod start;
#[cfg(test)]
mod tests;
mod visitor;
mod waiting;

use crate::base::hex::push_hex;
use crate::base::ids::{AppId, ConnectionId, KindId, MemberId, NetworkId, TeamId};
use crate::base::secret::Secret;
use crate::domain::audit::AuditEvent;
use crate::domain::connection::{ChoiceError, Connection, NotConnectable, StageError};
use crate::domain::member::Member;
use crate::domain::token::TransitionError;
use crate::outbound::jws::KeyError;
use crate::service::tokens::{Rejected, TokenError};
use crate::service::{Broker, Caller};
use crate::store::{ConnectionStep, StoreError, StoredConnection, StoredRevocation};
use crate::vault::{OpenError, OpenOwnError, Place, SealError};

pub use begin::{Offer, SentAway};
pub use callback::{Arrived, CallbackError, CallbackQuery};
pub use list::ListConnections;
pub(in crate::service) use look_up::{Access, Asking};
pub use start::{StartConnection, StartedConnection};
pub use visitor::Visitor;

/// Why nothing was done about a connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no such connection.
    #[error("there is no connection '{0}' in this team; see their list, or start one")]
    NotFound(ConnectionId),
    /// The link leads nowhere.
    #[error("this connect link is not known; ask for a new one")]
    UnknownLink,
    /// The link, or the connection, is bound to another browser.
    #[error("this connect link was opened in another browser; go on there, or ask for a new one")]
    ForeignBrowser,
    /// It is bound to a member, and nobody is signed in.
    #[error("this connection is a member's; sign in first, then open the connect link again")]
    SignedOut,
    /// It is bound to another member.
    #[error("this connection is another member's; sign in as that member, or ask for a connect link of your own")]
    OtherMember,
    /// The text that was agreed to is not the one that is shown now.
    #[error("the text that you agree to was changed since this page was shown; read it again")]
    OldText,
    /// The text that is said to be agreed to is another one.
    #[error(
        "the person agreed to another text: '{agreed}'; give `text_version` as GetConnection tells it, or have the person agree anew"
    )]
    OtherText {
        /// What the person agreed to.
        agreed: String,
    },
    /// Who started it, or is bound to it, is not of the team any more.
    #[error("a member without whom this connection goes no further has left the team; ask for a new connect link")]
    Left,
    /// The member that it would be for is not of the team.
    #[error("team '{team}' has no active member '{member}'; see the list of its members")]
    NoMember {
        /// The team.
        team: TeamId,
        /// Who was named.
        member: MemberId,
    },
    /// Its stage does not allow it.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// What is given can't be a token.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The kind can't be connected in a browser.
    #[error("'{kind}' of '{network}' can't be connected in a browser: {why}")]
    NotConnectable {
        /// The network.
        network: NetworkId,
        /// The kind.
        kind: KindId,
        /// Why, and what to do.
        why: NotConnectable,
    },
    /// The broker has no address.
    #[error("the broker does not know under which address browsers reach it; set http.public_url")]
    NoPublicUrl,
    /// The return address is not allowed.
    #[error("browsers may not be sent there; name one of connections.return_urls, or add it there")]
    ReturnUrl,
    /// No purpose is named.
    #[error("say what the tokens will be used for: the person agrees to these purposes and no others")]
    NoPurpose,
    /// The token to be healed is of another network or kind.
    #[error("the token to be healed is of another network or kind; leave both out, or name its own")]
    OtherKind,
    /// The network must be told who asks.
    #[error(
        "nothing is known of the client of app '{app}' at '{network}'; set it with `apps update {network}/{app} --client-id … --client-secret-from FILE`"
    )]
    NoClient {
        /// The network.
        network: NetworkId,
        /// The app.
        app: AppId,
    },
    /// The client secret is no key, and the app can't show who it is without one.
    #[error(
        "app '{app}' at '{network}' shows who it is by a key, and has none; make one with `apps update {network}/{app} --generate-key`"
    )]
    NoClientKey {
        /// The network.
        network: NetworkId,
        /// The app.
        app: AppId,
    },
    /// The network was to be told what is asked before the browser is sent there, and did not take it.
    #[error("{network} does not let anybody be sent there now: {why}; open the connect link again in some minutes")]
    NotPushed {
        /// The network, for people.
        network: String,
        /// Why.
        why: String,
    },
    /// The network was to be told what is asked, and will refuse it again.
    #[error(
        "{network} does not let anybody be sent there: it answered {status}. An operator must look at the app: the network reads its document at \
         its client id, which must be reachable from there and name this key and redirect address"
    )]
    PushRefused {
        /// The network, for people.
        network: String,
        /// What it answered.
        status: u16,
    },
    /// The choice is not taken.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// It is changed by somebody else.
    #[error("the connection '{0}' is being changed by somebody else; look at it again")]
    Contended(ConnectionId),
    /// Something about the token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers; try again")]
    Random,
    /// A secret can't be opened.
    #[error("a stored secret of the connection or its app can't be opened: {0}")]
    Sealed(String),
}

impl From<StoreError> for ConnectError {
    fn from(error: StoreError) -> Self {
        Self::Token(error.into())
    }
}

impl From<TransitionError> for ConnectError {
    fn from(error: TransitionError) -> Self {
        Self::Token(error.into())
    }
}

impl From<SealError> for ConnectError {
    fn from(error: SealError) -> Self {
        Self::Token(error.into())
    }
}

impl From<OpenError> for ConnectError {
    fn from(error: OpenError) -> Self {
        Self::Sealed(error.to_string())
    }
}

impl From<OpenOwnError> for ConnectError {
    fn from(error: OpenOwnError) -> Self {
        Self::Sealed(error.to_string())
    }
}

/// Something that is kept as a keyed hash: who shows the text is known by it.
#[derive(Debug, Clone, Copy)]
enum Mark {
    Link,
    Browser,
    State,
}

impl Mark {
    const fn label(self) -> &'static str {
        match self {
            Mark::Link => "connect link",
            Mark::Browser => "connecting browser",
            Mark::State => "connection state",
        }
    }
}

/// 256 random bits as hex.
fn random_text() -> Result<Secret, ConnectError> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| ConnectError::Random)?;
    let mut text = String::with_capacity(64);
    push_hex(&mut text, &bytes);
    Ok(Secret::new(text))
}

/// A connection by its resource name.
fn name_of(connection: &Connection) -> String {
    format!("teams/{}/connections/{}", connection.team, connection.id)
}

impl Broker {
    fn mark_hash(&self, mark: Mark, text: &str) -> [u8; 32] {
        self.vault.mac_key(mark.label()).sign(&[text.as_bytes()])
    }

    /// The address of a page. Without a public URL the broker's own address serves on this very machine only.
    pub(super) fn page_url(&self, path: &str) -> Result<String, ConnectError> {
        let http = &self.config.http;
        match &http.public_url {
            Some(_) => Ok(http.link(path)),
            None if http.listen.ip().is_loopback() => Ok(format!("http://{}{path}", http.listen)),
            None => Err(ConnectError::NoPublicUrl),
        }
    }

    /// Where a network sends browsers back to. One path for each network, so that the answer of one is not taken for another's.
    pub(super) fn redirect_uri(&self, network: &NetworkId) -> Result<String, ConnectError> {
        self.page_url(&format!("/connect/callback/{network}"))
    }

    async fn stored_connection(&self, team: &TeamId, id: ConnectionId) -> Result<StoredConnection, ConnectError> {
        let stored = self.store.find_connection(id).await?.filter(|stored| stored.connection.team == *team);
        stored.ok_or(ConnectError::NotFound(id))
    }

    /// Requires that the members who started a connection, or are bound to it, are still of its team.
    async fn must_not_have_left(&self, connection: &Connection) -> Result<(), ConnectError> {
        for id in connection.members() {
            let member = self.store.find_member(id).await?.filter(Member::is_active);
            if member.is_none_or(|member| member.team != connection.team) {
                return Err(ConnectError::Left);
            }
        }
        Ok(())
    }

    fn seal_for(&self, connection: &Connection, plain: &Secret) -> Result<Vec<u8>, ConnectError> {
        Ok(self.vault.seal(&place_of(connection), plain.expose().as_bytes())?)
    }

    fn open_for(&self, stored: &StoredConnection) -> Result<Secret, ConnectError> {
        let sealed = stored.sealed.as_ref().ok_or(StageError::NotReady)?;
        Ok(self.vault.open_sealed(&place_of(&stored.connection), sealed)?)
    }

    /// The audit event of a step, which names what is given back as [`Broker::revoke_due`] will.
    fn stepping_audit(
        &self,
        caller: &Caller,
        action: &'static str,
        connection: &Connection,
        gives_back: Option<&StoredRevocation>,
    ) -> AuditEvent {
        let mut audit = self.connection_audit(caller, action, connection);
        if let Some(revocation) = gives_back {
            audit.detail = format!("{} gives_back={}", audit.detail, revocation.token);
        }
        audit
    }

    fn connection_audit(&self, caller: &Caller, action: &'static str, connection: &Connection) -> AuditEvent {
        let Connection { network, kind, stage, problem, .. } = connection;
        let problem = problem.as_ref().map(|problem| format!(" problem={:?}", problem.kind())).unwrap_or_default();
        let detail = format!("network={network} kind={kind} stage={}{problem}", stage.as_str());
        let mut audit = self.audit(caller, action, name_of(connection), detail);
        audit.team = Some(connection.team.clone());
        audit
    }

    /// Stores the next stage of a connection, decided on what the caller has read, and queues what the network is to take back.
    async fn step(
        &self,
        caller: &Caller,
        action: &'static str,
        next: StoredConnection,
        gives_back: Option<StoredRevocation>,
    ) -> Result<(), ConnectError> {
        let audit = self.stepping_audit(caller, action, &next.connection, gives_back.as_ref());
        let id = next.connection.id;
        let step = ConnectionStep { stored: next, gives_back, trail: audit.into() };
        match self.store.change_connection(step).await? {
            true => Ok(()),
            false => Err(ConnectError::Contended(id)),
        }
    }
}

impl From<KeyError> for ConnectError {
    fn from(_: KeyError) -> Self {
        Self::Random
    }
}

fn place_of(connection: &Connection) -> Place<'_> {
    Place {
        table: "connection",
        row: connection.id.as_bytes(),
        column: "sealed",
        team: &connection.team,
        version: connection.version.into(),
    }
}
