//! Teams and collectors on the wire.

use std::sync::Arc;

use crate::domain::team::Collector;
use crate::grpc::change::{Answer, answers};
use crate::grpc::convert::timestamp;
use crate::grpc::fields::{count, from_purposes, small};
use crate::grpc::pb;
use crate::service::Broker;
use crate::service::teams::TeamView;

/// A team.
pub fn team_message(view: &TeamView) -> pb::Team {
    let team = &view.team;
    pb::Team {
        name: format!("teams/{}", team.id),
        display_name: team.display_name.clone(),
        weight: small(team.weight),
        reserve_percent: team.reserve_percent.map(i32::from),
        tokens: count(view.tokens),
        collectors: small(view.collectors),
        create_time: Some(timestamp(team.created_at)),
    }
}

/// A collector, with the leases that it holds.
pub fn collector_message(broker: &Broker, collector: &Collector) -> pb::Collector {
    let scope = &collector.scope;
    let mut networks: Vec<_> = scope.networks.iter().map(|network| format!("networks/{network}")).collect();
    if scope.all_networks {
        networks.insert(0, "networks/-".to_owned());
    }
    pb::Collector {
        name: format!("teams/{}/collectors/{}", collector.team, collector.id),
        display_name: collector.display_name.clone(),
        networks,
        purposes: from_purposes(scope.purposes),
        max_concurrent_leases: small(scope.max_leases),
        weight: small(collector.weight),
        certificate_names: collector.certificates.iter().map(ToString::to_string).collect(),
        disabled: collector.disabled,
        active_leases: small(broker.engine.leases_of(collector.id)),
        create_time: Some(timestamp(collector.created_at)),
    }
}

answers! {
    CreateTeamResponse { team } = |_, team| team_message(team), of TeamView;
    UpdateTeamResponse { team } = |_, team| team_message(team), of TeamView;
    CreateCollectorResponse { collector } = |broker, made| collector_message(broker, made), of Arc<Collector>;
    UpdateCollectorResponse { collector } = |broker, made| collector_message(broker, made), of Arc<Collector>;
    DisableCollectorResponse { collector } = |broker, made| collector_message(broker, made), of Arc<Collector>;
    EnableCollectorResponse { collector } = |broker, made| collector_message(broker, made), of Arc<Collector>;
}

impl Answer<()> for pb::DeleteTeamResponse {
    fn of(_: &Broker, (): &()) -> Self {
        Self {}
    }
}

impl Answer<()> for pb::DeleteCollectorResponse {
    fn of(_: &Broker, (): &()) -> Self {
        Self {}
    }
}
