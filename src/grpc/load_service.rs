//! `LoadService`: demand divided by supply, as it is, as it changes, and as it would be.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::base::ids::{NetworkId, TeamId};
use crate::grpc::authorization::authorize;
use crate::grpc::call::Closing;
use crate::grpc::change::asked;
use crate::grpc::fields::{facts, from_duration, name_in};
use crate::grpc::load_message::{from_level, team_load};
use crate::grpc::page::Page;
use crate::grpc::pb::{self, load_service_server::LoadService};
use crate::grpc::status::{FieldMistakes, Refusal};
use crate::grpc::watch_refusals::{shutting_down, too_many_streams};
use crate::grpc::watching::until_over;
use crate::service::{AddedCollection, AddedTokens, Broker, Caller, LoadLevel, Loads, Place};

/// The most entries that may be added in an estimate, of each sort.
const MOST_ADDED: usize = 100;
/// The least time between two messages of a watch, unless it says otherwise.
const USUAL_INTERVAL: Duration = Duration::from_secs(5);

const WATCH: &str = "LoadService/WatchTeamLoad";

/// The service, for a broker.
pub struct LoadServer(pub Broker);

#[tonic::async_trait]
impl LoadService for LoadServer {
    async fn get_team_load(
        &self,
        request: Request<pb::GetTeamLoadRequest>,
    ) -> Result<Response<pb::GetTeamLoadResponse>, Status> {
        let caller = authorize(&self.0, &request, "LoadService/GetTeamLoad")?;
        let wanted =
            asked(request.get_ref(), |request, mistakes| Wanted::read(&request.name, &request.network, mistakes))?;
        let team_load = wanted.show(&self.0, &caller)?;
        Ok(Response::new(pb::GetTeamLoadResponse { team_load: Some(team_load) }))
    }

    async fn list_team_loads(
        &self,
        request: Request<pb::ListTeamLoadsRequest>,
    ) -> Result<Response<pb::ListTeamLoadsResponse>, Status> {
        let caller = authorize(&self.0, &request, "LoadService/ListTeamLoads")?;
        let min_level: LoadLevel = asked(request.get_ref(), |request, mistakes| {
            let level = from_level(request.min_level);
            if level.is_none() {
                mistakes.note("min_level", "is not known");
            }
            level
        })?;
        let page = Page::of(&self.0, "team loads", request.get_ref())?;
        let after: Option<TeamId> = page.after_name();
        let listed = self.0.list_team_loads(&caller, min_level, after.as_ref(), page.size + 1);
        let mut listed = listed.map_err(Refusal::from)?;
        let more = listed.len() > page.size;
        listed.truncate(page.size);
        let last = listed.last().filter(|_| more).map(|load| load.team.as_str().as_bytes());
        let next_page_token = page.next(&self.0, last);
        let target = self.0.target_load();
        let team_loads = listed.iter().map(|load| team_load(load, target)).collect();
        Ok(Response::new(pb::ListTeamLoadsResponse { team_loads, next_page_token }))
    }

    type WatchTeamLoadStream = Pin<Box<dyn Stream<Item = Result<pb::WatchTeamLoadResponse, Status>> + Send>>;

    async fn watch_team_load(
        &self,
        request: Request<pb::WatchTeamLoadRequest>,
    ) -> Result<Response<Self::WatchTeamLoadStream>, Status> {
        let caller = authorize(&self.0, &request, WATCH)?;
        let closing = request.extensions().get::<Closing>().cloned();
        let (wanted, interval) = asked(request.get_ref(), |request, mistakes| {
            let interval = read_interval(request, mistakes);
            Some((Wanted::read(&request.name, &request.network, mistakes)?, interval))
        })?;
        wanted.show(&self.0, &caller)?;
        let watching = WatchingLoad {
            loads: self.0.watch.watch_loads(),
            _place: self.0.watch.watches.take(&caller).ok_or_else(too_many_streams)?,
            broker: self.0.clone(),
            caller,
            wanted,
            interval,
            closing,
            sent: None,
            over: false,
        };
        Ok(Response::new(Box::pin(stream::unfold(watching, WatchingLoad::next))))
    }

    async fn estimate_load(
        &self,
        request: Request<pb::EstimateLoadRequest>,
    ) -> Result<Response<pb::EstimateLoadResponse>, Status> {
        let caller = authorize(&self.0, &request, "LoadService/EstimateLoad")?;
        let (team, collections, tokens) = asked(request.get_ref(), |request, mistakes| {
            let team: Option<TeamId> = name_in("team", "teams", &request.team, mistakes);
            let collections = read_collections(&request.collections, mistakes);
            let tokens = read_tokens(&request.tokens, mistakes);
            Some((team?, collections, tokens))
        })?;
        caller.must_see(&team).map_err(Refusal::from)?;
        let broker = self.0.clone();
        let estimate = move || broker.estimate_load(&caller, &team, &collections, &tokens);
        let estimated = tokio::task::spawn_blocking(estimate).await.map_err(|_| shutting_down())?;
        let (present, estimated) = estimated.map_err(Refusal::from)?;
        let target = self.0.target_load();
        Ok(Response::new(pb::EstimateLoadResponse {
            present: Some(team_load(&present, target)),
            estimated: Some(team_load(&estimated, target)),
        }))
    }
}

fn read_interval(request: &pb::WatchTeamLoadRequest, mistakes: &mut FieldMistakes) -> Duration {
    let interval = request.min_interval.map(|span| from_duration("min_interval", &span, mistakes));
    let interval = interval.unwrap_or(USUAL_INTERVAL);
    if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&interval) {
        mistakes.note("min_interval", "must be 1 s to 1 hour");
    }
    interval
}

/// Whose load is wanted.
struct Wanted {
    team: TeamId,
    network: Option<NetworkId>,
}

impl Wanted {
    fn read(name: &str, network: &str, mistakes: &mut FieldMistakes) -> Option<Wanted> {
        let team = match name.strip_suffix("/load") {
            Some(team) => name_in("name", "teams", team, mistakes),
            None => {
                mistakes.note("name", "must be a name such as 'teams/…/load'");
                None
            }
        };
        let network = match network {
            "" => None,
            named => name_in("network", "networks", named, mistakes),
        };
        Some(Wanted { team: team?, network })
    }

    fn show(&self, broker: &Broker, caller: &Caller) -> Result<pb::TeamLoad, Status> {
        let load = broker.team_load(caller, &self.team, self.network.as_ref()).map_err(Refusal::from)?;
        Ok(team_load(&load, broker.target_load()))
    }
}

/// A stream of one team's loads. Between two messages only the latest load is kept.
struct WatchingLoad {
    broker: Broker,
    caller: Caller,
    wanted: Wanted,
    interval: Duration,
    loads: watch::Receiver<Arc<Loads>>,
    closing: Option<Closing>,
    _place: Place,
    /// What was sent last, without its time.
    sent: Option<pb::TeamLoad>,
    over: bool,
}

impl WatchingLoad {
    async fn next(mut self) -> Option<(Result<pb::WatchTeamLoadResponse, Status>, Self)> {
        if self.over {
            return None;
        }
        let (broker, caller, closing) = (self.broker.clone(), self.caller.clone(), self.closing.clone());
        let told = until_over(&broker, &caller, WATCH, closing, self.changed()).await?;
        self.over = told.is_err();
        Some((told.map(|load| pb::WatchTeamLoadResponse { team_load: Some(load) }), self))
    }

    /// The next load that is not the one sent last.
    async fn changed(&mut self) -> Result<pb::TeamLoad, Status> {
        if self.sent.is_some() {
            tokio::time::sleep(self.interval).await;
        }
        loop {
            self.loads.mark_unchanged();
            let load = self.wanted.show(&self.broker, &self.caller)?;
            let timeless = pb::TeamLoad { measure_time: None, ..load.clone() };
            if self.sent.as_ref() != Some(&timeless) {
                self.sent = Some(timeless);
                return Ok(load);
            }
            self.loads.changed().await.map_err(|_| shutting_down())?;
        }
    }
}

fn read_collections(added: &[pb::AddedCollection], mistakes: &mut FieldMistakes) -> Vec<AddedCollection> {
    if added.len() > MOST_ADDED {
        mistakes.note("collections", format!("must have at most {MOST_ADDED} entries"));
    }
    let read = added.iter().take(MOST_ADDED).filter_map(|added| {
        let network: NetworkId = name_in("collections.network", "networks", &added.network, mistakes)?;
        let calls = u64::try_from(added.calls_per_hour).ok().filter(|calls| (1..=1_000_000_000).contains(calls));
        if calls.is_none() {
            mistakes.note("collections.calls_per_hour", "must be 1 to 1,000,000,000");
        }
        let network = network.to_string();
        Some(AddedCollection { network, operation: added.operation.clone(), calls_per_hour: calls? })
    });
    read.collect()
}

fn read_tokens(added: &[pb::AddedTokens], mistakes: &mut FieldMistakes) -> Vec<AddedTokens> {
    if added.len() > MOST_ADDED {
        mistakes.note("tokens", format!("must have at most {MOST_ADDED} entries"));
    }
    let read = added.iter().take(MOST_ADDED).filter_map(|added| {
        let network: NetworkId = name_in("tokens.network", "networks", &added.network, mistakes)?;
        let count = u64::try_from(added.count).ok().filter(|count| (1..=1_000_000).contains(count));
        if count.is_none() {
            mistakes.note("tokens.count", "must be 1 to 1,000,000");
        }
        let facts = facts("tokens.facts", &added.facts, mistakes);
        Some(AddedTokens { network: network.to_string(), kind: added.kind.clone(), count: count?, facts })
    });
    read.collect()
}
