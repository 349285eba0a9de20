//! The gRPC API, with refusals taken apart.

use std::collections::HashMap;
use std::time::Duration;

use token_broker::base::secret::Secret;
use token_broker::grpc::client::{Client, ClientSettings, connect};
use token_broker::grpc::pb::lease_service_client::LeaseServiceClient;
use token_broker::grpc::pb::team_service_client::TeamServiceClient;
use token_broker::grpc::pb::token_service_client::TokenServiceClient;
use token_broker::grpc::pb::{self, ERROR_DOMAIN, ErrorReason};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::Broker;
use super::process::PATIENCE;

/// A refusal, as a program sees it.
#[derive(Debug)]
pub struct Refused {
    pub code: Code,
    pub reason: ErrorReason,
    pub message: String,
    pub metadata: HashMap<String, String>,
    pub retry: Option<Duration>,
    pub fields: Vec<String>,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().unwrap_or_else(|| panic!("a status without ErrorInfo: {status:?}"));
        assert_eq!(info.domain, ERROR_DOMAIN);
        let fields = details.bad_request().into_iter().flat_map(|bad| &bad.field_violations);
        Self {
            code: status.code(),
            reason: ErrorReason::from_reason(&info.reason).unwrap_or_else(|| panic!("{} is no reason", info.reason)),
            message: status.message().to_owned(),
            metadata: info.metadata.clone(),
            retry: details.retry_info().and_then(|info| info.retry_delay),
            fields: fields.map(|one| one.field.clone()).collect(),
        }
    }
}

/// A caller with a key.
#[derive(Clone)]
pub struct Api(pub Client);

impl Api {
    /// Connects. An empty key means none.
    pub async fn connect(broker: &Broker, key: &str) -> Self {
        Self::try_connect(broker, key).await.expect("the broker serves")
    }

    /// Connects, if the broker is still there.
    pub async fn try_connect(broker: &Broker, key: &str) -> Option<Self> {
        let key = (!key.is_empty()).then(|| Secret::new(key.to_owned()));
        let settings = ClientSettings { server: broker.url(), key, ca: None, identity: None };
        connect(&settings).await.ok().map(Self)
    }

    pub fn leases(&self) -> LeaseServiceClient<Client> {
        LeaseServiceClient::new(self.0.clone())
    }

    pub fn tokens(&self) -> TokenServiceClient<Client> {
        TokenServiceClient::new(self.0.clone())
    }

    pub fn teams(&self) -> TeamServiceClient<Client> {
        TeamServiceClient::new(self.0.clone())
    }

    /// Takes a lease; none of its calls may hang.
    pub async fn acquire(&self, request: pb::AcquireLeaseRequest) -> Result<pb::Lease, Refused> {
        let answer = soon(self.leases().acquire_lease(request)).await?;
        Ok(answer.into_inner().lease.expect("an answer holds its lease"))
    }

    pub async fn report(&self, request: pb::ReportUsageRequest) -> Result<pb::ReportUsageResponse, Refused> {
        Ok(soon(self.leases().report_usage(request)).await?.into_inner())
    }

    pub async fn release(&self, request: pb::ReleaseLeaseRequest) -> Result<pb::ReleaseLeaseResponse, Refused> {
        Ok(soon(self.leases().release_lease(request)).await?.into_inner())
    }

    pub async fn lease(&self, name: &str) -> Result<pb::Lease, Refused> {
        let request = pb::GetLeaseRequest { name: name.to_owned() };
        Ok(soon(self.leases().get_lease(request)).await?.into_inner().lease.expect("an answer holds its lease"))
    }

    pub async fn token(&self, name: &str) -> Result<pb::Token, Refused> {
        let request = pb::GetTokenRequest { name: name.to_owned() };
        Ok(soon(self.tokens().get_token(request)).await?.into_inner().token.expect("an answer holds its token"))
    }

    pub async fn add_token(&self, request: pb::AddTokenRequest) -> Result<pb::Token, Refused> {
        Ok(soon(self.tokens().add_token(request)).await?.into_inner().token.expect("an answer holds its token"))
    }

    pub async fn revoke_token(&self, name: &str) -> Result<pb::Token, Refused> {
        let request = pb::RevokeTokenRequest { name: name.to_owned(), ..Default::default() };
        Ok(soon(self.tokens().revoke_token(request)).await?.into_inner().token.expect("an answer holds its token"))
    }

    /// All tokens of a team.
    pub async fn list_tokens(&self, team: &str) -> Vec<pb::Token> {
        let request = pb::ListTokensRequest { parent: team.to_owned(), page_size: 1000, ..Default::default() };
        let page = soon(self.tokens().list_tokens(request)).await.unwrap().into_inner();
        assert_eq!(page.next_page_token, "", "a test has few tokens");
        page.tokens
    }

    /// The events of the audit with an action, such as `lease.`.
    pub async fn audit(&self, action: &str) -> Vec<pb::AuditEvent> {
        let mut client = pb::audit_service_client::AuditServiceClient::new(self.0.clone());
        let mut events = Vec::new();
        let mut page_token = String::new();
        loop {
            let action = action.to_owned();
            let request = pb::ListAuditEventsRequest { action, page_size: 1000, page_token, ..Default::default() };
            let page = soon(client.list_audit_events(request)).await.unwrap().into_inner();
            events.extend(page.audit_events);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return events;
            }
        }
    }
}

/// A call that hangs fails the test.
pub async fn soon<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, call).await.expect("a call hangs")
}
