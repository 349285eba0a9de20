//! Who may make which call: one table of every call of the API. A call that is not in it is refused.
//!
//! The table knows roles. Which team, lease or collector a call is about, only its handler knows: where a rule says so, the
//! handler checks that, too.

use tonic::{Code, Request, Status};

use crate::grpc::caller::caller;
use crate::grpc::pb::ErrorReason;
use crate::grpc::status::{Refusal, refuse};
use crate::service::{Broker, Caller, Forbidden};

/// Who may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Everybody, without a key.
    NoKey,
    /// Whoever shows a key.
    Anybody,
    /// A collector, disabled or not, or an operator. The handler checks the team, or that the lease is the caller's.
    OfTeam,
    /// A collector that is not disabled, or an admin. The handler checks the team, or that the lease is the caller's.
    Holder,
    /// As [`Rule::Holder`], but also a collector that is disabled: what it held is to be settled.
    LastReport,
    /// An operator.
    Operator,
    /// An operator who may change things.
    Admin,
}

/// Every call of the API, as `Service/Call`.
pub const RULES: &[(&str, Rule)] = &[
    ("LeaseService/AcquireLease", Rule::Holder),
    ("LeaseService/ReportUsage", Rule::Holder),
    ("LeaseService/ExtendLease", Rule::Holder),
    ("LeaseService/SignProof", Rule::Holder),
    ("LeaseService/ReleaseLease", Rule::LastReport),
    ("LeaseService/GetLease", Rule::OfTeam),
    ("LeaseService/ListLeases", Rule::Operator),
    ("LeaseService/Collect", Rule::Holder),
    ("TeamService/CreateTeam", Rule::Admin),
    ("TeamService/GetTeam", Rule::Operator),
    ("TeamService/ListTeams", Rule::Operator),
    ("TeamService/UpdateTeam", Rule::Admin),
    ("TeamService/DeleteTeam", Rule::Admin),
    ("TeamService/CreateCollector", Rule::Admin),
    ("TeamService/GetCollector", Rule::Operator),
    ("TeamService/ListCollectors", Rule::Operator),
    ("TeamService/UpdateCollector", Rule::Admin),
    ("TeamService/DisableCollector", Rule::Admin),
    ("TeamService/EnableCollector", Rule::Admin),
    ("TeamService/DeleteCollector", Rule::Admin),
    ("PushService/GetPushKey", Rule::Operator),
    ("PushService/CreatePushSubscription", Rule::Admin),
    ("PushService/ListPushSubscriptions", Rule::Operator),
    ("PushService/DeletePushSubscription", Rule::Admin),
    ("NoticeService/ListNotices", Rule::Operator),
    ("NoticeService/WatchNotices", Rule::Operator),
    ("NoticeService/MarkNoticesRead", Rule::Admin),
    ("NoticeService/GetNoticeSettings", Rule::Operator),
    ("NoticeService/UpdateNoticeSettings", Rule::Admin),
    ("NoticeService/ListTokensAtRisk", Rule::Operator),
    ("NoticeService/CreateDestination", Rule::Admin),
    ("NoticeService/GetDestination", Rule::Operator),
    ("NoticeService/ListDestinations", Rule::Operator),
    ("NoticeService/UpdateDestination", Rule::Admin),
    ("NoticeService/DeleteDestination", Rule::Admin),
    ("NoticeService/SendTestNotice", Rule::Admin),
    ("NoticeService/ListDeadLetters", Rule::Operator),
    ("NoticeService/ReplayDeadLetter", Rule::Admin),
    ("NoticeService/PurgeDeadLetter", Rule::Admin),
    ("MemberService/InviteMember", Rule::Admin),
    ("MemberService/GetMember", Rule::Operator),
    ("MemberService/ListMembers", Rule::Operator),
    ("MemberService/UpdateMember", Rule::Admin),
    ("MemberService/ResendInvitation", Rule::Admin),
    ("MemberService/WithdrawInvitation", Rule::Admin),
    ("MemberService/RemoveMember", Rule::Admin),
    ("MemberService/GetDeparture", Rule::Operator),
    ("ProfileService/GetProfile", Rule::Operator),
    ("ProfileService/ListProfiles", Rule::Operator),
    ("ProfileService/UpdateProfile", Rule::Admin),
    ("ProfileService/ListManagers", Rule::Operator),
    ("ConsentService/GetConsent", Rule::Operator),
    ("ConsentService/WithdrawConsent", Rule::Admin),
    ("MemberService/ListSessions", Rule::Operator),
    ("MemberService/EndSession", Rule::Admin),
    ("KeyService/CreateKey", Rule::Admin),
    ("KeyService/ListKeys", Rule::Admin),
    ("KeyService/RevokeKey", Rule::Admin),
    ("KeyService/RevokeKeyByValue", Rule::NoKey),
    ("KeyService/GetSealing", Rule::Operator),
    ("KeyService/RotateSealingKey", Rule::Admin),
    ("JobService/RenewAllTokens", Rule::Admin),
    ("JobService/GetJob", Rule::Operator),
    ("JobService/ListJobs", Rule::Operator),
    ("JobService/ListJobResults", Rule::Operator),
    ("JobService/CancelJob", Rule::Admin),
    ("JobService/ResumeJob", Rule::Admin),
    ("TokenService/AddToken", Rule::Admin),
    ("TokenService/ImportTokens", Rule::Admin),
    ("TokenService/GetToken", Rule::Operator),
    ("TokenService/ListTokens", Rule::Operator),
    ("TokenService/ListDeadSpans", Rule::OfTeam),
    ("TokenService/UpdateToken", Rule::Admin),
    ("TokenService/PauseToken", Rule::Admin),
    ("TokenService/ResumeToken", Rule::Admin),
    ("TokenService/RevokeToken", Rule::Admin),
    ("TokenService/RenewToken", Rule::Admin),
    ("TokenService/ProbeToken", Rule::Admin),
    ("TokenService/InvalidateToken", Rule::Admin),
    ("ConnectionService/StartConnection", Rule::Admin),
    ("ConnectionService/GetConnection", Rule::Operator),
    ("ConnectionService/ListConnections", Rule::Operator),
    ("ConnectionService/ListConnectableProfiles", Rule::Operator),
    ("ConnectionService/CompleteConnection", Rule::Admin),
    ("ConnectionService/CancelConnection", Rule::Admin),
    ("NetworkService/ListNetworks", Rule::Anybody),
    ("NetworkService/GetNetwork", Rule::Anybody),
    ("NetworkService/ListApps", Rule::Operator),
    ("NetworkService/GetApp", Rule::Operator),
    ("NetworkService/CreateApp", Rule::Admin),
    ("NetworkService/UpdateApp", Rule::Admin),
    ("NetworkService/DeleteApp", Rule::Admin),
    ("NetworkService/TopUpBudget", Rule::Admin),
    ("LoadService/GetTeamLoad", Rule::OfTeam),
    ("LoadService/ListTeamLoads", Rule::Operator),
    ("LoadService/WatchTeamLoad", Rule::OfTeam),
    ("LoadService/EstimateLoad", Rule::OfTeam),
    ("AlertService/ListAlerts", Rule::Operator),
    ("AlertService/GetAlert", Rule::Operator),
    ("AlertService/AcknowledgeAlert", Rule::Admin),
    ("AlertService/WatchAlerts", Rule::Operator),
    ("IncidentService/ListIncidents", Rule::Operator),
    ("IncidentService/GetIncident", Rule::Operator),
    ("IncidentService/AcknowledgeIncident", Rule::Admin),
    ("IncidentService/CloseIncident", Rule::Admin),
    ("IncidentService/WatchIncidents", Rule::Operator),
    ("AuditService/ListAuditEvents", Rule::Operator),
    ("AuditService/GetTokenUsageStatement", Rule::Operator),
];

/// Tells who makes a call, if they may make it. `call` is its name in [`RULES`].
pub fn authorize<T>(broker: &Broker, request: &Request<T>, call: &str) -> Result<Caller, Status> {
    let rule = rule_of(call)?;
    let caller = caller(broker, request)?;
    may_call(&caller, rule).map_err(|error| Refusal::from(error).status())?;
    Ok(caller)
}

/// Looks again whether the caller of a stream may be there: what it showed may have ended, or stand for less than it did.
pub fn may_stay(broker: &Broker, caller: &Caller, call: &str) -> Result<(), Status> {
    let caller = broker.reauthenticate(caller).map_err(|error| Refusal::from(error).status())?;
    may_call(&caller, rule_of(call)?).map_err(|error| Refusal::from(error).status())
}

/// Waits until the caller of a stream may not be there any more; the status that ends the stream. Cancel-safe.
pub async fn turned_away(broker: &Broker, caller: &Caller, call: &str) -> Status {
    let mut changes = broker.directory.watch_changes();
    loop {
        if let Err(status) = may_stay(broker, caller, call) {
            return status;
        }
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn rule_of(call: &str) -> Result<Rule, Status> {
    let rule = RULES.iter().find(|(name, _)| *name == call).map(|(_, rule)| *rule);
    rule.ok_or_else(|| {
        let message = format!("nobody may call {call}: the broker has no rule for it; please report this");
        refuse(Code::PermissionDenied, ErrorReason::RoleNotAllowed, message).status()
    })
}

fn may_call(caller: &Caller, rule: Rule) -> Result<(), Forbidden> {
    match rule {
        Rule::NoKey | Rule::Anybody | Rule::OfTeam => Ok(()),
        Rule::Operator => caller.must_be_operator(),
        Rule::Admin => caller.must_be_admin(),
        Rule::Holder | Rule::LastReport => match caller.collector() {
            Some(collector) if collector.disabled && rule == Rule::Holder => Err(Forbidden::Disabled),
            Some(_) => Ok(()),
            None => caller.must_be_admin(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::base::clock::Timestamp;
    use crate::base::ids::{CollectorId, KeyId};
    use crate::domain::team::{Collector, CollectorScope, OperatorRole};
    use crate::grpc::pb::FILE_DESCRIPTOR_SET;
    use crate::service::Shown;

    #[test]
    fn every_call_has_exactly_one_rule() {
        let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("the build wrote it");
        let services = set.file.iter().filter(|file| file.package() == "tokenbroker.v1").flat_map(|file| &file.service);
        let calls: BTreeSet<_> = services
            .flat_map(|service| service.method.iter().map(move |call| format!("{}/{}", service.name(), call.name())))
            .collect();
        let ruled: BTreeSet<_> = RULES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(ruled, calls);
        assert_eq!(ruled.len(), RULES.len(), "a call stands twice");
    }

    #[test]
    fn only_reading_is_open_to_those_who_may_not_change() {
        let reads = ["Get", "List", "Watch", "Estimate"];
        for (name, rule) in RULES {
            let call = name.split('/').nth(1).expect("a service and a call");
            if !reads.iter().any(|read| call.starts_with(read)) {
                assert!(matches!(rule, Rule::Admin | Rule::Holder | Rule::LastReport | Rule::NoKey), "{name}");
            }
        }
    }

    fn collector(disabled: bool) -> Caller {
        let collector = Collector {
            id: CollectorId::from_u128(1),
            team: "acme".parse().unwrap(),
            display_name: String::new(),
            scope: CollectorScope::default(),
            weight: 100,
            certificates: Vec::new(),
            disabled,
            created_at: Timestamp::EPOCH,
        };
        Caller::Collector { collector: collector.into(), shown: Shown::Key(KeyId::from_u128(1)) }
    }

    #[test]
    fn each_rule_lets_in_whom_it_names() {
        let operator = |role| Caller::Operator { role, key: KeyId::from_u128(1) };
        let callers =
            [collector(false), collector(true), operator(OperatorRole::Reader), operator(OperatorRole::Admin)];
        let expected = [
            (Rule::Anybody, [true, true, true, true]),
            (Rule::OfTeam, [true, true, true, true]),
            (Rule::Holder, [true, false, false, true]),
            (Rule::LastReport, [true, true, false, true]),
            (Rule::Operator, [false, false, true, true]),
            (Rule::Admin, [false, false, false, true]),
        ];
        for (rule, expected) in expected {
            let got: Vec<_> = callers.iter().map(|caller| may_call(caller, rule).is_ok()).collect();
            assert_eq!(got, expected, "{rule:?}");
        }
    }
}
