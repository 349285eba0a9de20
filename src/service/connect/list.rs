//! Connections are shown and listed.

use crate::base::ids::{ConnectionId, TeamId};
use crate::domain::connection::Connection;
use crate::service::Broker;
use crate::service::connect::{ConnectError, Visitor};
use crate::service::tokens::TokenError;
use crate::store::ConnectionFilter;

/// Which connections to list.
#[derive(Debug, Clone, Default)]
pub struct ListConnections {
    /// Of this team; `None`: of all.
    pub team: Option<TeamId>,
    /// At this stage, by its name (`choosing`); `None`: at any.
    pub stage: Option<&'static str>,
}

impl Broker {
    /// One connection.
    pub async fn show_connection(&self, team: &TeamId, id: ConnectionId) -> Result<Connection, ConnectError> {
        Ok(self.stored_connection(team, id).await?.connection)
    }

    /// The connection of that id, for the browser that it is bound to.
    pub async fn connection_for_browser(
        &self,
        id: ConnectionId,
        visitor: &Visitor,
    ) -> Result<Connection, ConnectError> {
        Ok(self.connection_in(id, visitor).await?.connection)
    }

    /// At most `limit` connections before `before` (the last one of the page before), and whether there are more. The newest first.
    pub async fn list_connections(
        &self,
        filter: &ListConnections,
        before: Option<ConnectionId>,
        limit: u32,
    ) -> Result<(Vec<Connection>, bool), ConnectError> {
        if let Some(team) = &filter.team {
            self.directory.team(team).ok_or_else(|| TokenError::TeamNotFound(team.clone()))?;
        }
        let wanted = ConnectionFilter { team: filter.team.clone(), stage: filter.stage, before };
        let mut found = self.store.list_connections(wanted, limit.saturating_add(1)).await?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        Ok((found, more))
    }
}
