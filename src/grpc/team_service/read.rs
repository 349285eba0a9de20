//! What requests about teams and collectors say.

use std::ops::RangeInclusive;

use crate::base::ids::{CollectorId, TeamId};
use crate::domain::certificate::CertificateName;
use crate::domain::team::CollectorScope;
use crate::grpc::fields::{
    COMMENT, NAME, check_given, check_text, child_in, mask, name_in, networks, number_or, purposes, required,
    reserve_percent,
};
use crate::grpc::pb;
use crate::grpc::status::FieldMistakes;
use crate::service::collectors::{CreateCollector, DEFAULT_MAX_LEASES, UpdateCollector};
use crate::service::teams::{CreateTeam, DEFAULT_WEIGHT, UpdateTeam};

const WEIGHTS: RangeInclusive<u32> = 1..=1_000;
const LEASES: RangeInclusive<u32> = 1..=100_000;
/// The most certificates of a collector.
const CERTIFICATES: usize = 16;

/// The collector that a call is about.
pub fn read_collector_name(name: &str, mistakes: &mut FieldMistakes) -> Option<(TeamId, CollectorId)> {
    child_in("name", ["teams", "collectors"], name, mistakes)
}

/// The collector that a call is about, and why.
pub fn read_collector_call(
    name: &str,
    comment: &str,
    mistakes: &mut FieldMistakes,
) -> Option<(TeamId, CollectorId, String)> {
    check_text("comment", comment, COMMENT, mistakes);
    let (team, id) = read_collector_name(name, mistakes)?;
    Some((team, id, comment.to_owned()))
}

/// A team to make.
pub fn read_team(request: &pb::CreateTeamRequest, mistakes: &mut FieldMistakes) -> Option<CreateTeam> {
    let id = mistakes.parse("team_id", &request.team_id);
    let team = request.team.clone().unwrap_or_default();
    check_text("team.display_name", &team.display_name, NAME, mistakes);
    let weight = number_or("team.weight", team.weight, WEIGHTS, DEFAULT_WEIGHT, mistakes);
    let reserve_percent = reserve_percent("team.reserve_percent", team.reserve_percent, mistakes);
    Some(CreateTeam { id: id?, display_name: team.display_name, weight, reserve_percent })
}

/// What to change, and of which team.
pub fn read_team_change(request: &pb::UpdateTeamRequest, mistakes: &mut FieldMistakes) -> Option<(TeamId, UpdateTeam)> {
    let team = required("team", request.team.clone(), mistakes);
    let id = name_in("team.name", "teams", &team.name, mistakes);
    let known = ["display_name", "weight", "reserve_percent"];
    let mut change = UpdateTeam::default();
    for path in mask(request.update_mask.as_ref(), &known, &[], mistakes) {
        match path.as_str() {
            "display_name" => {
                check_text("team.display_name", &team.display_name, NAME, mistakes);
                change.display_name = Some(team.display_name.clone());
            }
            "weight" => {
                change.weight = Some(number_or("team.weight", team.weight, WEIGHTS, DEFAULT_WEIGHT, mistakes));
            }
            _ => {
                let reserve = reserve_percent("team.reserve_percent", team.reserve_percent, mistakes);
                change.reserve_percent = Some(reserve);
            }
        }
    }
    Some((id?, change))
}

/// A collector to make.
pub fn read_collector(request: &pb::CreateCollectorRequest, mistakes: &mut FieldMistakes) -> Option<CreateCollector> {
    let team = name_in("parent", "teams", &request.parent, mistakes);
    let given = required("collector", request.collector.clone(), mistakes);
    check_given("collector.display_name", &given.display_name, mistakes);
    check_text("collector.display_name", &given.display_name, NAME, mistakes);
    let (networks, all_networks) = networks("collector.networks", &given.networks, mistakes);
    let purposes = purposes("collector.purposes", &given.purposes, mistakes);
    let scope = CollectorScope { networks, all_networks, purposes, max_leases: max_leases(&given, mistakes) };
    let weight = weight(&given, mistakes);
    let certificates = certificates(&given, mistakes);
    Some(CreateCollector { team: team?, display_name: given.display_name, scope, weight, certificates })
}

/// What to change, and of which collector.
pub fn read_collector_change(
    request: &pb::UpdateCollectorRequest,
    mistakes: &mut FieldMistakes,
) -> Option<(TeamId, CollectorId, UpdateCollector)> {
    let given = required("collector", request.collector.clone(), mistakes);
    let named = child_in("collector.name", ["teams", "collectors"], &given.name, mistakes);
    let known = ["display_name", "networks", "purposes", "max_concurrent_leases", "weight", "certificate_names"];
    let mut change = UpdateCollector::default();
    for path in mask(request.update_mask.as_ref(), &known, &[], mistakes) {
        match path.as_str() {
            "display_name" => {
                check_given("collector.display_name", &given.display_name, mistakes);
                check_text("collector.display_name", &given.display_name, NAME, mistakes);
                change.display_name = Some(given.display_name.clone());
            }
            "networks" => change.networks = Some(networks("collector.networks", &given.networks, mistakes)),
            "purposes" => change.purposes = Some(purposes("collector.purposes", &given.purposes, mistakes)),
            "max_concurrent_leases" => change.max_leases = Some(max_leases(&given, mistakes)),
            "weight" => change.weight = Some(weight(&given, mistakes)),
            _ => change.certificates = Some(certificates(&given, mistakes)),
        }
    }
    let (team, id) = named?;
    Some((team, id, change))
}

fn certificates(collector: &pb::Collector, mistakes: &mut FieldMistakes) -> Vec<CertificateName> {
    let field = "collector.certificate_names";
    if collector.certificate_names.len() > CERTIFICATES {
        mistakes.note(field, format!("must be at most {CERTIFICATES}"));
    }
    let names = collector.certificate_names.iter().take(CERTIFICATES);
    let mut names: Vec<_> = names.filter_map(|name| mistakes.parse(field, name)).collect();
    names.sort();
    names.dedup();
    names
}

fn weight(collector: &pb::Collector, mistakes: &mut FieldMistakes) -> u32 {
    number_or("collector.weight", collector.weight, WEIGHTS, DEFAULT_WEIGHT, mistakes)
}

fn max_leases(collector: &pb::Collector, mistakes: &mut FieldMistakes) -> u32 {
    let field = "collector.max_concurrent_leases";
    number_or(field, collector.max_concurrent_leases, LEASES, DEFAULT_MAX_LEASES, mistakes)
}
