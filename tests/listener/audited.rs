//! What each call of the API leaves in the audit: every change an event of its own, with who did it, and what only looks none.

use crate::dynamic::answered;
use crate::matrix::{CALLS, Who, request};
use crate::rules::Bench;

/// The events of each call that changes something, the first one first. A call that is not here must only look.
const CHANGES: &[(&str, &[&str])] = &[
    ("LeaseService/AcquireLease", &["lease.open"]),
    ("LeaseService/Collect", &["lease.open"]),
    ("ConnectionService/StartConnection", &["connection.start"]),
    ("ConnectionService/CancelConnection", &["connection.cancel"]),
    ("TeamService/CreateTeam", &["team.create"]),
    ("TeamService/UpdateTeam", &["team.update"]),
    ("TeamService/CreateCollector", &["collector.create"]),
    ("TeamService/UpdateCollector", &["collector.update"]),
    ("TeamService/DisableCollector", &["collector.disable"]),
    ("TeamService/EnableCollector", &["collector.enable"]),
    ("ProfileService/UpdateProfile", &["profile.update"]),
    ("MemberService/InviteMember", &["member.invite"]),
    ("MemberService/UpdateMember", &["member.update"]),
    ("MemberService/ResendInvitation", &["member.resend_invitation"]),
    ("MemberService/WithdrawInvitation", &["member.withdraw_invitation"]),
    ("NoticeService/UpdateNoticeSettings", &["notice.settings"]),
    ("NoticeService/MarkNoticesRead", &["notice.read"]),
    ("NoticeService/CreateDestination", &["destination.create"]),
    ("NoticeService/UpdateDestination", &["destination.update"]),
    ("NoticeService/SendTestNotice", &["destination.test"]),
    ("NoticeService/DeleteDestination", &["destination.delete"]),
    ("NoticeService/ReplayDeadLetter", &["outbox.replay"]),
    ("NoticeService/PurgeDeadLetter", &["outbox.purge"]),
    ("PushService/CreatePushSubscription", &["push.subscribe"]),
    ("PushService/DeletePushSubscription", &["push.unsubscribe"]),
    ("KeyService/CreateKey", &["key.create"]),
    ("KeyService/RevokeKey", &["key.revoke"]),
    ("KeyService/RotateSealingKey", &["sealing_key.rotate"]),
    ("JobService/RenewAllTokens", &["job.begin"]),
    ("JobService/CancelJob", &["job.cancel"]),
    ("JobService/ResumeJob", &["job.resume"]),
    ("TokenService/AddToken", &["token.add"]),
    ("TokenService/UpdateToken", &["token.update"]),
    ("ConsentService/WithdrawConsent", &["consent.withdraw"]),
    ("TokenService/PauseToken", &["token.pause"]),
    ("TokenService/ResumeToken", &["token.resume"]),
    ("TokenService/InvalidateToken", &["token.invalidate"]),
    ("TokenService/RevokeToken", &["token.revoke"]),
    ("MemberService/RemoveMember", &["member.leave"]),
    ("AlertService/AcknowledgeAlert", &["alert.acknowledge"]),
    ("IncidentService/AcknowledgeIncident", &["incident.acknowledge"]),
    ("IncidentService/CloseIncident", &["incident.close"]),
    ("NetworkService/CreateApp", &["app.create"]),
    ("NetworkService/UpdateApp", &["app.update"]),
    ("NetworkService/TopUpBudget", &["app.top_up"]),
    ("NetworkService/DeleteApp", &["app.delete"]),
    ("TeamService/DeleteCollector", &["collector.delete"]),
    ("TeamService/DeleteTeam", &["collector.delete", "token.revoke", "team.delete"]),
];

/// What changes something and leaves no event in this table, and why.
const WITHOUT: &[(&str, &str)] = &[
    ("LeaseService/ReportUsage", "what a lease was used for stands in the usage ledger"),
    ("LeaseService/ExtendLease", "the lease that it lengthens was audited when it was opened"),
    ("LeaseService/ReleaseLease", "a lease that ends releases no secret"),
    (
        "LeaseService/SignProof",
        "it is for one call of a lease that was audited; this one's token is not bound to a key",
    ),
    ("MemberService/EndSession", "there is no such session"),
    ("ConnectionService/CompleteConnection", "nobody has given consent yet"),
    ("KeyService/RevokeKeyByValue", "there is no such key"),
    ("TokenService/ImportTokens", "it brings no row; each one that is added is an event of its own"),
    ("TokenService/RenewToken", "the token has no refresh token"),
    ("TokenService/ProbeToken", "the token is dead"),
];

#[test]
fn a_call_that_changes_something_has_a_row() {
    let looks = |call: &str| {
        let verb = call.split_once('/').expect("a service and a call").1;
        ["Get", "List", "Watch", "Estimate"].iter().any(|prefix| verb.starts_with(prefix))
    };
    for (call, ..) in CALLS {
        let rows = CHANGES.iter().filter(|(row, _)| row == call).count();
        let without = WITHOUT.iter().filter(|(row, _)| row == call).count();
        assert_eq!(rows + without, usize::from(!looks(call)), "{call}");
    }
}

#[tokio::test]
async fn every_change_leaves_its_event_with_who_did_it() {
    let bench = Bench::start().await;
    let acme = bench.side("acme").await;
    let collector = bench.client(&acme.key).await;
    let (mut known, mut wrong) = (bench.audited().await, Vec::new());
    for (call, who, text) in CALLS {
        let holds = matches!(who, Who::Lessee | Who::Holder | Who::LastReport);
        let (caller, is_one) = match holds {
            true => (&collector, "teams/acme/collectors/"),
            false => (&bench.admin, "keys/"),
        };
        let answer = answered(caller, call, &request(call, text, &acme)).await;
        let events = bench.audit_events().await;
        let new = &events[..events.len() - known];
        known = events.len();
        // What the broker does by itself afterwards may come at any time.
        let own: Vec<_> = new.iter().rev().filter(|event| event.actor != "broker").collect();
        let mut actions: Vec<&str> = own.iter().map(|event| event.action.as_str()).collect();
        // Of a team's tokens each leaves its own.
        actions.dedup();
        let expected = CHANGES.iter().find(|(row, _)| row == call).map_or(&[][..], |(_, actions)| actions);
        if actions != expected {
            wrong.push(format!("{call}: {actions:?}, not {expected:?}: {answer:?}"));
        }
        for event in own {
            assert!(event.actor.starts_with(is_one), "{call}: {event:?}");
        }
    }
    bench.stop().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
