//! `ConnectionService`: accounts that are connected in a browser. No answer but that of the start holds a secret: the link.

mod message;
mod read;

use tonic::{Request, Response, Status};

use crate::base::ids::ConnectionId;
use crate::domain::connection::Connection;
use crate::grpc::authorization::authorize;
use crate::grpc::change::{asked, change};
use crate::grpc::page::Page;
use crate::grpc::pb::{self, connection_service_server::ConnectionService};
use crate::grpc::status::Refusal;
use crate::service::Broker;
use crate::service::connect::ConnectError;

use message::{connection_message, profile_message};
use read::{read_complete, read_list, read_name, read_start};

/// The service, for a broker.
pub struct ConnectionServer(pub Broker);

#[tonic::async_trait]
impl ConnectionService for ConnectionServer {
    async fn start_connection(
        &self,
        request: Request<pb::StartConnectionRequest>,
    ) -> Result<Response<pb::StartConnectionResponse>, Status> {
        let call = "ConnectionService/StartConnection";
        change(&self.0, request, call, read_start, |broker, attempt, (team, ask)| async move {
            broker.start_connection(attempt, &team, ask).await
        })
        .await
    }

    async fn get_connection(
        &self,
        request: Request<pb::GetConnectionRequest>,
    ) -> Result<Response<pb::GetConnectionResponse>, Status> {
        authorize(&self.0, &request, "ConnectionService/GetConnection")?;
        let connection = self.named(request.get_ref(), |request| &request.name).await?;
        Ok(Response::new(pb::GetConnectionResponse { connection: Some(connection_message(&connection)) }))
    }

    async fn list_connections(
        &self,
        request: Request<pb::ListConnectionsRequest>,
    ) -> Result<Response<pb::ListConnectionsResponse>, Status> {
        authorize(&self.0, &request, "ConnectionService/ListConnections")?;
        let request = request.into_inner();
        let filter = asked(&request, read_list)?;
        let page = Page::of(&self.0, "connections", &request)?;
        let before = page.after_id(ConnectionId::from_slice);
        let limit = u32::try_from(page.size).unwrap_or(u32::MAX);
        let (found, more) = self.0.list_connections(&filter, before, limit).await.map_err(Refusal::from)?;
        let last = found.last().filter(|_| more).map(|connection| *connection.id.as_bytes());
        let next_page_token = page.next(&self.0, last.as_ref().map(|id| &id[..]));
        let connections = found.iter().map(connection_message).collect();
        Ok(Response::new(pb::ListConnectionsResponse { connections, next_page_token }))
    }

    async fn list_connectable_profiles(
        &self,
        request: Request<pb::ListConnectableProfilesRequest>,
    ) -> Result<Response<pb::ListConnectableProfilesResponse>, Status> {
        authorize(&self.0, &request, "ConnectionService/ListConnectableProfiles")?;
        let request = request.into_inner();
        let connection = self.named(&request, |request| &request.name).await?;
        let page = Page::of(&self.0, "connectable profiles", &request)?;
        let found = connection.found(self.0.now()).map_err(ConnectError::from).map_err(Refusal::from)?;
        let from = page.after_id(read_place).unwrap_or(0);
        let end = from.saturating_add(page.size).min(found.profiles.len());
        let profiles = found.profiles.get(from..end).unwrap_or_default().iter().map(profile_message).collect();
        let more = end < found.profiles.len();
        let next_page_token = page.next(&self.0, more.then(|| end.to_be_bytes()).as_ref().map(|place| &place[..]));
        Ok(Response::new(pb::ListConnectableProfilesResponse { profiles, next_page_token }))
    }

    async fn complete_connection(
        &self,
        request: Request<pb::CompleteConnectionRequest>,
    ) -> Result<Response<pb::CompleteConnectionResponse>, Status> {
        let call = "ConnectionService/CompleteConnection";
        change(&self.0, request, call, read_complete, |broker, attempt, ask| async move {
            broker.complete_connection(attempt, &ask.team, ask.id, &ask.profiles, &ask.text_version).await
        })
        .await
    }

    async fn cancel_connection(
        &self,
        request: Request<pb::CancelConnectionRequest>,
    ) -> Result<Response<pb::CancelConnectionResponse>, Status> {
        let read = |request: &pb::CancelConnectionRequest, mistakes: &mut _| read_name(&request.name, mistakes);
        let call = "ConnectionService/CancelConnection";
        change(&self.0, request, call, read, |broker, attempt, (team, id)| async move {
            broker.cancel_connection(attempt, &team, id).await
        })
        .await
    }
}

impl ConnectionServer {
    async fn named<Q>(&self, request: &Q, name: fn(&Q) -> &String) -> Result<Connection, Status> {
        let (team, id) = asked(request, |request, mistakes| read_name(name(request), mistakes))?;
        Ok(self.0.show_connection(&team, id).await.map_err(Refusal::from)?)
    }
}

/// A page of profiles ends at a place in their list.
fn read_place(cursor: &[u8]) -> Result<usize, std::array::TryFromSliceError> {
    Ok(usize::from_be_bytes(cursor.try_into()?))
}
