//! Who comes in a browser: what it is known by, and who is signed in there.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::base::ids::{ConnectionId, MemberId};
use crate::base::secret::Secret;
use crate::domain::connection::Connection;
use crate::service::connect::{ConnectError, Mark};
use crate::service::sessions::Stay;
use crate::service::{Broker, Caller};
use crate::store::StoredConnection;

/// A browser that comes.
#[derive(Default)]
pub struct Visitor {
    /// What it is known by, since it went on by a connect link; `None`: it never did.
    pub browser: Option<Secret>,
    /// Who is signed in there.
    pub stay: Option<Stay>,
}

impl Visitor {
    /// The visitor as it calls: the member who is signed in, else the broker for whoever has the link.
    pub(super) fn caller(&self) -> Caller {
        self.stay.as_ref().map_or(Caller::Broker, Stay::caller)
    }

    /// The member who is signed in, if it is of the connection's team: nothing crosses teams.
    pub(super) fn member_for(&self, connection: &Connection) -> Option<MemberId> {
        let member = &self.stay.as_ref()?.member;
        (member.team == connection.team).then_some(member.id)
    }
}

impl Broker {
    /// The connection of that id, if it is bound to this browser, and to nobody else than who is signed in there.
    pub(super) async fn connection_in(
        &self,
        id: ConnectionId,
        visitor: &Visitor,
    ) -> Result<StoredConnection, ConnectError> {
        let stored = self.store.find_connection(id).await?.ok_or(ConnectError::NotFound(id))?;
        match self.is_bound(&stored, visitor) {
            true => must_be_granter(&stored, visitor).map(|()| stored),
            false => Err(ConnectError::ForeignBrowser),
        }
    }

    /// Whether the connection is bound to this browser.
    pub(super) fn is_bound(&self, stored: &StoredConnection, visitor: &Visitor) -> bool {
        let shown = visitor.browser.as_ref().map(|browser| self.mark_hash(Mark::Browser, browser.expose()));
        let bound = stored.browser_hash.zip(shown);
        bound.is_some_and(|(bound, shown)| verify_slices_are_equal(&bound, &shown).is_ok())
    }
}

/// Requires that who is signed in is the member that the connection is bound to, if it is bound to one.
pub(super) fn must_be_granter(stored: &StoredConnection, visitor: &Visitor) -> Result<(), ConnectError> {
    let connection = &stored.connection;
    match connection.granter.lets_on(visitor.member_for(connection)) {
        true => Ok(()),
        false if visitor.stay.is_none() => Err(ConnectError::SignedOut),
        false => Err(ConnectError::OtherMember),
    }
}
