//! Lists leases, page by page.

use tonic::Status;

use crate::base::ids::{CollectorId, LeaseId, TeamId, TokenId};
use crate::domain::lease::LeaseState;
use crate::grpc::change::asked;
use crate::grpc::fields::name_in;
use crate::grpc::lease_service::{refusals, show};
use crate::grpc::page::Page;
use crate::grpc::pb;
use crate::grpc::status::FieldMistakes;
use crate::service::{Broker, Caller, LeaseFilter};

/// A page of leases.
pub async fn list(
    broker: &Broker,
    caller: &Caller,
    request: pb::ListLeasesRequest,
) -> Result<pb::ListLeasesResponse, Status> {
    let filter = asked(&request, filter)?;
    let page = Page::of(broker, "leases", &request)?;
    let filter = LeaseFilter { before: page.after_id(LeaseId::from_slice), ..filter };
    let size = u32::try_from(page.size).unwrap_or(u32::MAX);
    let mut records =
        broker.list_leases(caller, filter, size + 1).await.map_err(|error| refusals::of_list(error).status())?;
    let more = records.len() > page.size;
    records.truncate(page.size);
    let last = records.last().filter(|_| more).map(|record| record.lease.id);
    let shown = records.into_iter().map(|record| {
        let network = broker.engine.network(record.lease.network.as_str());
        show::record(record, network.as_deref())
    });
    Ok(pb::ListLeasesResponse {
        leases: shown.collect(),
        next_page_token: page.next(broker, last.as_ref().map(|id| &id.as_bytes()[..])),
    })
}

fn filter(request: &pb::ListLeasesRequest, mistakes: &mut FieldMistakes) -> Option<LeaseFilter> {
    let given = |text: &str| !text.is_empty();
    Some(LeaseFilter {
        team: given(&request.team).then(|| name_in("team", "teams", &request.team, mistakes)).flatten(),
        network: given(&request.network).then(|| name_in("network", "networks", &request.network, mistakes)).flatten(),
        token: given(&request.token).then(|| of_team::<TokenId>("token", "tokens", &request.token, mistakes)).flatten(),
        collector: given(&request.holder)
            .then(|| of_team::<CollectorId>("holder", "collectors", &request.holder, mistakes))
            .flatten(),
        state: state(request.state, mistakes),
        before: None,
    })
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
