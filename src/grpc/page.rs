//! Pages of lists: the same rules for every list of the API.

use prost::Message;
use tonic::{Code, Status};

use crate::grpc::pb::{self, ErrorReason};
use crate::grpc::status::{FieldMistakes, refuse};
use crate::service::Broker;

/// Entries of a page whose size is not given.
const DEFAULT: usize = 50;
/// Entries of a page at most.
const MOST: usize = 1_000;

/// A request for a page of a list.
pub trait Paged: Message + Clone {
    /// Takes the size and the token of the page out; what is left are the filters.
    fn take_page(&mut self) -> (i32, String);
}

macro_rules! paged {
    ($($request:ident),* $(,)?) => {$(
        impl Paged for pb::$request {
            fn take_page(&mut self) -> (i32, String) {
                (std::mem::take(&mut self.page_size), std::mem::take(&mut self.page_token))
            }
        }
    )*};
}

paged! {
    GetTokenUsageStatementRequest, ListAlertsRequest, ListAppsRequest, ListAuditEventsRequest,
    ListCollectorsRequest, ListConnectableProfilesRequest, ListConnectionsRequest, ListDeadLettersRequest,
    ListDeadSpansRequest, ListDestinationsRequest, ListIncidentsRequest, ListJobResultsRequest, ListJobsRequest,
    ListKeysRequest, ListLeasesRequest, ListManagersRequest, ListMembersRequest, ListNetworksRequest,
    ListNoticesRequest, ListProfilesRequest, ListPushSubscriptionsRequest, ListSessionsRequest, ListTeamLoadsRequest,
    ListTeamsRequest, ListTokensAtRiskRequest, ListTokensRequest,
}

/// Which page is wanted.
pub struct Page {
    /// How many entries at most.
    pub size: usize,
    /// Where the page before ended; `None`: the first page.
    pub after: Option<Vec<u8>>,
    list: &'static str,
    filters: Vec<u8>,
}

impl Page {
    /// Reads what a request says of its page. The page token must come from the same list with the same filters.
    pub fn of(broker: &Broker, list: &'static str, request: &impl Paged) -> Result<Self, Status> {
        let mut filters = request.clone();
        let (size, token) = filters.take_page();
        let filters = filters.encode_to_vec();
        let mut mistakes = FieldMistakes::default();
        let size = match usize::try_from(size) {
            Ok(0) => DEFAULT,
            Ok(size) => size.min(MOST),
            Err(_) => {
                mistakes.note("page_size", "must not be negative; 0 is the default of 50");
                DEFAULT
            }
        };
        mistakes.check()?;
        let after = broker.read_page_token(list, &filters, &token);
        let after = after.map_err(|error| {
            refuse(Code::InvalidArgument, ErrorReason::PageTokenInvalid, error.to_string()).status()
        })?;
        Ok(Self { size, after, list, filters })
    }

    /// The id in the cursor.
    pub fn after_id<T, E>(&self, read: impl Fn(&[u8]) -> Result<T, E>) -> Option<T> {
        // A cursor was signed by this broker, so it is one of its own.
        self.after.as_deref().and_then(|cursor| read(cursor).ok())
    }

    /// The name in the cursor.
    pub fn after_name<T: std::str::FromStr>(&self) -> Option<T> {
        self.after.as_deref().and_then(|cursor| std::str::from_utf8(cursor).ok()?.parse().ok())
    }

    /// The token of the next page, which begins after `cursor`; empty if there is none.
    pub fn next(&self, broker: &Broker, cursor: Option<&[u8]>) -> String {
        cursor.map(|cursor| broker.page_token(self.list, &self.filters, cursor)).unwrap_or_default()
    }
}
