//! Lists leases, page by page.
//!
//! A page token holds the last lease of its page and a hash of the filters: it continues the same list, or is refused.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tonic::Code;

use crate::base::ids::{CollectorId, LeaseId, TeamId, TokenId};
use crate::domain::lease::LeaseState;
use crate::grpc::convert::name_in;
use crate::grpc::lease_service::{refusals, show};
use crate::grpc::pb;
use crate::grpc::pb::ErrorReason;
use crate::grpc::status::{FieldMistakes, Refusal, refuse};
use crate::service::{Broker, Caller};
use crate::store::LeaseFilter;

const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;

/// A page of leases.
pub async fn list(
    broker: &Broker,
    caller: &Caller,
    request: pb::ListLeasesRequest,
) -> Result<pb::ListLeasesResponse, Refusal> {
    caller.must_be_operator()?;
    let mut mistakes = FieldMistakes::default();
    let size = match u32::try_from(request.page_size) {
        Ok(0) => PAGE,
        Ok(size) => size.min(LARGEST_PAGE),
        Err(_) => {
            mistakes.note("page_size", "must be 0 to 1000");
            PAGE
        }
    };
    let mut filter = filter(&request, &mut mistakes);
    mistakes.refuse()?;
    let filters = hash(&request);
    if !request.page_token.is_empty() {
        filter.before = Some(open(&request.page_token, filters).ok_or_else(bad_token)?);
    }
    let mut records = broker.list_leases(caller, filter, size + 1).await.map_err(refusals::of_list)?;
    let page = usize::try_from(size).unwrap_or(usize::MAX);
    let more = records.len() > page;
    records.truncate(page);
    let last = records.last().filter(|_| more).map(|record| record.lease.id);
    let shown = records.into_iter().map(|record| {
        let network = broker.engine.network(record.lease.network.as_str());
        show::record(record, network.as_deref())
    });
    Ok(pb::ListLeasesResponse {
        leases: shown.collect(),
        next_page_token: last.map(|last| seal(last, filters)).unwrap_or_default(),
    })
}

fn filter(request: &pb::ListLeasesRequest, mistakes: &mut FieldMistakes) -> LeaseFilter {
    let given = |text: &str| !text.is_empty();
    LeaseFilter {
        team: given(&request.team).then(|| name_in("team", "teams", &request.team, mistakes)).flatten(),
        network: given(&request.network).then(|| name_in("network", "networks", &request.network, mistakes)).flatten(),
        token: given(&request.token).then(|| of_team::<TokenId>("token", "tokens", &request.token, mistakes)).flatten(),
        collector: given(&request.holder)
            .then(|| of_team::<CollectorId>("holder", "collectors", &request.holder, mistakes))
            .flatten(),
        state: state(request.state, mistakes),
        before: None,
    }
}

/// The id in a name such as `teams/acme/tokens/tok_…`.
fn of_team<T: std::str::FromStr>(field: &str, collection: &str, name: &str, mistakes: &mut FieldMistakes) -> Option<T> {
    let mut parts = name.split('/');
    let mut next = || parts.next();
    let id = match (next(), next(), next(), next(), next()) {
        (Some("teams"), Some(team), Some(found), Some(id), None)
            if found == collection && team.parse::<TeamId>().is_ok() =>
        {
            id.parse().ok()
        }
        _ => None,
    };
    if id.is_none() {
        mistakes.note(field, format!("must be a name such as 'teams/…/{collection}/…'"));
    }
    id
}

fn state(value: i32, mistakes: &mut FieldMistakes) -> Option<LeaseState> {
    match pb::LeaseState::try_from(value) {
        Ok(pb::LeaseState::Unspecified | pb::LeaseState::Active) => Some(LeaseState::Open),
        Ok(pb::LeaseState::Released) => Some(LeaseState::Released),
        Ok(pb::LeaseState::Expired) => Some(LeaseState::Expired),
        Ok(pb::LeaseState::Recalled) => Some(LeaseState::Recalled),
        Err(_) => {
            mistakes.note("state", "is unknown");
            None
        }
    }
}

fn hash(request: &pb::ListLeasesRequest) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    (&request.team, &request.network, &request.token, &request.holder, request.state).hash(&mut hasher);
    hasher.finish().to_be_bytes()
}

fn seal(last: LeaseId, filters: [u8; 8]) -> String {
    URL_SAFE_NO_PAD.encode([&last.as_bytes()[..], &filters].concat())
}

fn open(token: &str, filters: [u8; 8]) -> Option<LeaseId> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (last, of) = bytes.split_at_checked(16)?;
    LeaseId::from_slice(last).ok().filter(|_| of == filters)
}

fn bad_token() -> Refusal {
    let message = "the page token is malformed or belongs to a list with other filters; begin again without it";
    refuse(Code::InvalidArgument, ErrorReason::PageTokenInvalid, message)
}
