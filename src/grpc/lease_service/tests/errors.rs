//! Every reason for which a lease call is refused.

use tonic::Code;

use super::*;
use crate::domain::token::Reason;
use crate::grpc::caller::{LastCaller, caller};

/// What a refused acquire must carry.
struct Refused {
    ask: pb::AcquireLeaseRequest,
    code: Code,
    reason: &'static str,
    metadata: &'static [(&'static str, &'static str)],
}

fn refused(
    code: Code,
    reason: &'static str,
    metadata: &'static [(&'static str, &'static str)],
    change: impl FnOnce(&mut pb::AcquireLeaseRequest),
) -> Refused {
    let mut ask = ask();
    change(&mut ask);
    Refused { ask, code, reason, metadata }
}

#[tokio::test]
async fn an_acquire_that_asks_for_the_wrong_thing() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let wrong = Code::InvalidArgument;
    let cases = [
        refused(wrong, "UNKNOWN_NETWORK", &[("network", "nowhere")], |ask| ask.network = "networks/nowhere".to_owned()),
        refused(wrong, "UNKNOWN_OPERATION", &[("network", "toy"), ("operation", "no")], |ask| {
            ask.operation = "no".to_owned();
        }),
        refused(wrong, "UNKNOWN_KIND", &[("network", "toy"), ("kind", "no")], |ask| ask.kind = "no".to_owned()),
        refused(wrong, "KIND_NOT_SERVED", &[("operation", "posts.list"), ("kind", "page")], |ask| {
            ask.kind = "page".to_owned();
        }),
        refused(wrong, "PURPOSE_NOT_SERVED", &[("purpose", "publish")], |ask| {
            ask.purpose = pb::Purpose::Publish.into();
        }),
        refused(Code::PermissionDenied, "TEAM_NOT_ALLOWED", &[], |ask| ask.team = "teams/other".to_owned()),
        refused(Code::PermissionDenied, "NETWORK_NOT_ALLOWED", &[("network", "x")], |ask| {
            ask.network = "networks/x".to_owned();
            ask.operation = "tweets.search_recent".to_owned();
        }),
        refused(Code::FailedPrecondition, "CREDIT_CAN_NEVER_FIT", &[("most_calls", "90")], |ask| ask.calls = 91),
        refused(Code::FailedPrecondition, "NO_USABLE_TOKEN", &[("expired", "0")], |ask| {
            ask.profile = "nobody".to_owned();
        }),
    ];
    for Refused { ask, code, reason: expected, metadata: pairs } in cases {
        let status = client.acquire_lease(ask).await.unwrap_err();
        assert_eq!((status.code(), &*reason(&status)), (code, expected), "{status:?}");
        assert!(status.get_details_retry_info().is_none(), "{expected}: a retry is of no use");
        for (key, value) in pairs {
            assert_eq!(metadata(&status, key).as_deref(), Some(*value), "{expected}: {key}");
        }
    }
}

#[tokio::test]
async fn all_mistakes_of_a_request_are_told_at_once() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let status = client.acquire_lease(pb::AcquireLeaseRequest::default()).await.unwrap_err();
    assert_eq!(reason(&status), "INVALID_FIELD");
    let fields: Vec<_> =
        status.get_details_bad_request().unwrap().field_violations.into_iter().map(|wrong| wrong.field).collect();
    assert_eq!(fields, ["team", "network", "operation", "calls", "purpose"]);
}

#[tokio::test]
async fn the_bounds_of_an_acquire() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    type Change = fn(&mut pb::AcquireLeaseRequest);
    let cases: [(&str, Change); 13] = [
        ("calls", |ask| ask.calls = 1_000_001),
        ("min_calls", |ask| ask.min_calls = 11),
        ("min_calls", |ask| ask.min_calls = -1),
        ("collection", |ask| ask.collection = "ä".repeat(129)),
        ("priority", |ask| ask.priority = 9),
        ("purpose", |ask| ask.purpose = 99),
        ("wait", |ask| ask.wait = seconds(301)),
        ("wait", |ask| ask.wait = Some(prost_types::Duration { seconds: -1, nanos: 0 })),
        ("ttl", |ask| ask.ttl = seconds(9)),
        ("ttl", |ask| ask.ttl = seconds(3601)),
        ("distinct_keys", |ask| ask.distinct_keys = vec!["k".to_owned(); 101]),
        ("distinct_keys", |ask| ask.distinct_keys = vec![String::new()]),
        ("request_id", |ask| ask.request_id = "two words".to_owned()),
    ];
    for (field, change) in cases {
        let mut ask = ask();
        change(&mut ask);
        let status = client.acquire_lease(ask.clone()).await.unwrap_err();
        let wrong = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(wrong.iter().map(|wrong| &*wrong.field).collect::<Vec<_>>(), [field], "{ask:?}");
    }
    let at_the_bounds = pb::AcquireLeaseRequest {
        min_calls: 10,
        collection: "ä".repeat(128),
        ttl: seconds(3600),
        request_id: "!".repeat(64),
        ..ask()
    };
    assert!(client.acquire_lease(at_the_bounds).await.is_ok());
}

#[tokio::test]
async fn the_bounds_of_a_report() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let lease = acquire(&mut client, ask()).await;
    type Change = fn(&mut pb::ReportUsageRequest);
    let header = |name: &str, size: usize| pb::Header { name: name.to_owned(), value: "v".repeat(size) };
    let answered = move |headers, body: usize| {
        Some(pb::NetworkAnswer { http_status: 200, headers, body: vec![b'x'; body].into(), receive_time: None })
    };
    let cases: [(&str, Change); 7] = [
        ("lease", |report| report.lease = "lse_1".to_owned()),
        ("sequence", |report| report.sequence = 0),
        ("want_calls", |report| report.want_calls = -1),
        ("calls.ok", |report| report.calls = Some(pb::CallCounts { ok: -1, ..Default::default() })),
        ("answer.http_status", |report| report.answer = answer(600, "")),
        ("want_distinct_keys", |report| report.want_distinct_keys = vec!["k".repeat(257)]),
        ("request_id", |report| report.request_id = "ä".to_owned()),
    ];
    for (field, change) in cases {
        let mut wrong = report(&lease.name, 1, 1);
        change(&mut wrong);
        let status = client.report_usage(wrong).await.unwrap_err();
        let wrong = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(wrong.iter().map(|wrong| &*wrong.field).collect::<Vec<_>>(), [field]);
    }
    let large = [
        ("answer.headers", answered(vec![header("h", 1); 65], 0)),
        ("answer.headers", answered(vec![header("h", 8 * 1024)], 0)),
        ("answer.body", answered(Vec::new(), 64 * 1024 + 1)),
    ];
    for (field, answer) in large {
        let status = client.report_usage(pb::ReportUsageRequest { answer, ..report(&lease.name, 1, 1) }).await;
        assert!(status.unwrap_err().message().starts_with(field));
    }
    let largest = answered(vec![header("h", 8 * 1024 - 1); 64], 64 * 1024);
    let fits = pb::ReportUsageRequest { answer: largest, ..report(&lease.name, 1, 1) };
    assert_eq!(client.report_usage(fits).await.unwrap().into_inner().calls_left, 9);
}

#[tokio::test]
async fn who_may_not() {
    let bench = Bench::start().await;
    let cases = [
        (None, Code::Unauthenticated, "KEY_MISSING"),
        (Some("tbk_nonsense".to_owned()), Code::Unauthenticated, "KEY_INVALID"),
        (Some(add_reader(&bench.broker)), Code::PermissionDenied, "ROLE_NOT_ALLOWED"),
    ];
    for (key, code, expected) in cases {
        let mut client = bench.client_with(key.as_deref()).await;
        let status = client.acquire_lease(ask()).await.unwrap_err();
        assert_eq!((status.code(), &*reason(&status)), (code, expected));
    }
    let mut admin = bench.admin_client().await;
    let nowhere = pb::AcquireLeaseRequest { team: "teams/nowhere".to_owned(), ..ask() };
    assert_eq!(reason(&admin.acquire_lease(nowhere).await.unwrap_err()), "TEAM_NOT_FOUND");

    let (_, key) = add_collector(&bench.broker, |collector| collector.scope.purposes = Default::default()).await;
    let mut client = bench.client_with(Some(&key)).await;
    let status = client.acquire_lease(ask()).await.unwrap_err();
    assert_eq!(
        (reason(&status), metadata(&status, "purpose")),
        ("PURPOSE_NOT_ALLOWED".to_owned(), Some("collect_content".to_owned()))
    );
}

#[tokio::test]
async fn a_key_that_was_proven_stops_working_when_it_is_revoked() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let lease = acquire(&mut client, ask()).await;
    let key = bench.broker.directory.keys().into_iter().find(|key| matches!(key.holder, KeyHolder::Collector(..)));
    let mut key = (*key.unwrap()).clone();
    key.revoked_at = Some(bench.now());
    bench.broker.directory.put_key(key.clone());
    assert_eq!(reason(&client.report_usage(report(&lease.name, 1, 1)).await.unwrap_err()), "KEY_INVALID");
    let mut other = bench.key.clone();
    other.replace_range(40..41, if &other[40..41] == "0" { "1" } else { "0" });
    let checksum = crc32fast::hash(&other.as_bytes()[..other.len() - 8]);
    other.replace_range(other.len() - 8.., &format!("{checksum:08x}"));
    key.revoked_at = None;
    bench.broker.directory.put_key(key);
    assert!(client.report_usage(report(&lease.name, 1, 1)).await.is_ok());
    let mut forged = bench.client_with(Some(&other)).await;
    assert_eq!(reason(&forged.report_usage(report(&lease.name, 2, 1)).await.unwrap_err()), "KEY_INVALID");
}

#[tokio::test]
async fn a_key_that_a_connection_remembers_stops_working_when_it_is_revoked() {
    let bench = Bench::start().await;
    let connection = LastCaller::default();
    let call = |key: &str| {
        let mut request = tonic::Request::new(());
        request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        request.extensions_mut().insert(connection.clone());
        caller(&bench.broker, &request).map_err(|status| reason(&status))
    };
    for _ in 0..2 {
        assert_eq!(call(&bench.key).unwrap().collector().unwrap().id, bench.collector.id);
    }
    let refused = Err("KEY_INVALID".to_owned());
    assert_eq!(call(&bench.key[..bench.key.len() - 1]).map(drop), refused);
    assert!(call(&bench.key).is_ok());
    bench.broker.directory.put_collector(Collector { disabled: true, ..bench.collector.clone() });
    assert!(call(&bench.key).unwrap().must_be_enabled().is_err());
    let keys = bench.broker.directory.keys();
    let key = keys.iter().find(|key| matches!(key.holder, KeyHolder::Collector(..))).unwrap();
    bench.broker.directory.put_key(crate::domain::team::Key { revoked_at: Some(bench.now()), ..(**key).clone() });
    assert_eq!(call(&bench.key).map(drop), refused);
}

#[tokio::test]
async fn a_key_that_a_connection_remembers_ends_at_its_time() {
    let bench = Bench::start().await;
    let keys = bench.broker.directory.keys();
    let key = keys.iter().find(|key| matches!(key.holder, KeyHolder::Collector(..))).unwrap();
    let expires_at = Some(bench.now() + Duration::from_secs(60));
    bench.broker.directory.put_key(crate::domain::team::Key { expires_at, ..(**key).clone() });
    let mut request = tonic::Request::new(());
    request.metadata_mut().insert("authorization", format!("Bearer {}", bench.key).parse().unwrap());
    request.extensions_mut().insert(LastCaller::default());
    bench.clock.advance(Duration::from_secs(59));
    assert!(caller(&bench.broker, &request).is_ok());
    bench.clock.advance(Duration::from_secs(1));
    let refused = caller(&bench.broker, &request).map_err(|status| reason(&status));
    assert_eq!(refused.map(drop), Err("KEY_INVALID".to_owned()));
}

#[tokio::test]
async fn a_disabled_collector_gives_back_and_does_nothing_else() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let lease = acquire(&mut client, ask()).await;
    bench.broker.directory.put_collector(Collector { disabled: true, ..bench.collector.clone() });
    assert_eq!(reason(&client.acquire_lease(ask()).await.unwrap_err()), "COLLECTOR_DISABLED");
    assert_eq!(reason(&client.report_usage(report(&lease.name, 1, 1)).await.unwrap_err()), "COLLECTOR_DISABLED");
    let extend = pb::ExtendLeaseRequest { lease: lease.name.clone(), ..Default::default() };
    assert_eq!(reason(&client.extend_lease(extend).await.unwrap_err()), "COLLECTOR_DISABLED");
    assert!(client.release_lease(release(&lease.name)).await.is_ok());
}

#[tokio::test]
async fn credit_that_is_used_up_says_when_it_comes_back() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    acquire(&mut client, pb::AcquireLeaseRequest { calls: 90, ..ask() }).await;
    let status = client.acquire_lease(ask()).await.unwrap_err();
    assert_eq!((status.code(), &*reason(&status)), (Code::ResourceExhausted, "LIMITED_UNTIL"));
    assert!(status.get_details_retry_info().unwrap().retry_delay.unwrap() > Duration::ZERO);
    assert!(metadata(&status, "until").is_some());
    let violations = status.get_details_quota_failure().unwrap().violations;
    assert_eq!(violations[0].subject, "networks/toy/creditClasses/reads");
}

#[tokio::test]
async fn tokens_that_are_held_by_others_are_busy() {
    let bench = Bench::without_token().await;
    bench.add_token(|token| token.max_leases = Some(1)).await;
    let mut client = bench.client().await;
    acquire(&mut client, ask()).await;
    let status = client.acquire_lease(ask()).await.unwrap_err();
    assert_eq!((status.code(), &*reason(&status)), (Code::ResourceExhausted, "BUSY"));
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test]
async fn a_collector_holds_no_more_leases_than_it_may() {
    let bench = Bench::start().await;
    let (_, key) = add_collector(&bench.broker, |collector| collector.scope.max_leases = 1).await;
    let mut client = bench.client_with(Some(&key)).await;
    let lease = acquire(&mut client, ask()).await;
    let status = client.acquire_lease(ask()).await.unwrap_err();
    assert_eq!(
        (reason(&status), metadata(&status, "max_concurrent_leases")),
        ("TOO_MANY_LEASES".to_owned(), Some("1".to_owned()))
    );
    client.release_lease(release(&lease.name)).await.unwrap();
    acquire(&mut client, ask()).await;
}

#[tokio::test]
async fn no_usable_token_says_what_a_person_should_do() {
    let now = Timestamp::from_secs(1_800_000_000);
    type Change = Box<dyn FnOnce(&mut Token)>;
    let invalid =
        |reason| -> Change { Box::new(move |token| token.state = TokenState::Invalid { reason, since: now }) };
    let cases: Vec<(Option<Change>, &str, &str)> = vec![
        (None, "have a member connect an account", "expired"),
        (Some(Box::new(|token| token.purposes = Default::default())), "connect again and agree", "without_purpose"),
        (
            Some(Box::new(move |token| token.closed = [("posts.list".parse().unwrap(), now)].into())),
            "permission or role given back",
            "without_scope",
        ),
        (Some(Box::new(move |token| token.state = TokenState::Paused { since: now })), "resume one", "paused"),
        (Some(invalid(Reason::Expired)), "have the person connect again", "expired"),
        (Some(invalid(Reason::PasswordChanged)), "changed the password", "invalid"),
        (Some(invalid(Reason::PermissionLost)), "given back at the network", "invalid"),
        (Some(invalid(Reason::RevokedByPerson)), "ask the person", "invalid"),
        (Some(invalid(Reason::PersonBlocked)), "the person must act at the network", "invalid"),
        (Some(invalid(Reason::AppDisabled)), "an operator must act", "invalid"),
        (Some(invalid(Reason::PlatformReset)), "reset its tokens", "invalid"),
        (Some(invalid(Reason::RefreshRejected)), "refused to renew", "invalid"),
        (Some(Box::new(move |token| token.clocks.access_expires_at = Some(now))), "its time is over", "expired"),
    ];
    for (change, todo, counted) in cases {
        let bench = Bench::without_token().await;
        let has_token = change.is_some();
        if let Some(change) = change {
            bench.add_token(change).await;
        }
        let mut client = bench.client().await;
        let status = client.acquire_lease(ask()).await.unwrap_err();
        assert_eq!((status.code(), &*reason(&status)), (Code::FailedPrecondition, "NO_USABLE_TOKEN"));
        assert!(status.message().contains(todo), "{todo}: {}", status.message());
        let expected = if has_token { "1" } else { "0" };
        assert_eq!(metadata(&status, counted).as_deref(), Some(expected), "{todo}");
    }
}

#[tokio::test]
async fn a_lease_that_is_over_says_how_it_ended() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let (released, expired) = (acquire(&mut client, ask()).await.name, acquire(&mut client, ask()).await.name);
    client.release_lease(release(&released)).await.unwrap();
    let status = client.report_usage(report(&released, 1, 1)).await.unwrap_err();
    assert_eq!(reason(&status), "LEASE_ENDED", "also before its end is written");
    bench.broker.engine.write_back().await.unwrap();
    bench.advance(Duration::from_secs(301));
    let never = format!("leases/{}", crate::base::ids::LeaseId::generate());
    for written in [false, true] {
        let cases = [
            (&released, Code::FailedPrecondition, "LEASE_ENDED", Some("RELEASED")),
            (&expired, Code::FailedPrecondition, "LEASE_EXPIRED", None),
            (&never, Code::NotFound, "LEASE_NOT_FOUND", None),
        ];
        for (lease, code, expected, state) in cases {
            let status = client.report_usage(report(lease, 1, 1)).await.unwrap_err();
            assert_eq!((status.code(), &*reason(&status)), (code, expected), "written: {written}");
            assert_eq!(metadata(&status, "state").as_deref(), state);
            let extend = pb::ExtendLeaseRequest { lease: lease.clone(), ..Default::default() };
            assert_eq!(reason(&client.extend_lease(extend).await.unwrap_err()), expected);
        }
        assert_eq!(reason(&client.release_lease(release(&expired)).await.unwrap_err()), "LEASE_EXPIRED");
        assert_eq!(reason(&client.release_lease(release(&never)).await.unwrap_err()), "LEASE_NOT_FOUND");
        bench.broker.engine.write_back().await.unwrap();
    }
}

#[tokio::test]
async fn a_recalled_lease_takes_its_last_report_and_can_not_be_extended() {
    let bench = Bench::without_token().await;
    let token = bench.add_token(|_| {}).await;
    let mut client = bench.client().await;
    let lease = acquire(&mut client, ask()).await;
    bench.set_state(token, TokenState::Paused { since: bench.now() });
    let extend = pb::ExtendLeaseRequest { lease: lease.name.clone(), ..Default::default() };
    let status = client.extend_lease(extend).await.unwrap_err();
    assert_eq!((reason(&status), metadata(&status, "state")), ("LEASE_ENDED".to_owned(), Some("RECALLED".to_owned())));
    let standing = client.report_usage(report(&lease.name, 1, 3)).await.unwrap().into_inner();
    assert_eq!((standing.verdict(), standing.calls_left), (pb::Verdict::Recalled, 7));
    assert_eq!(client.release_lease(release(&lease.name)).await.unwrap().into_inner().calls_returned, 7);
}

#[tokio::test]
async fn a_report_beyond_the_grant_changes_nothing() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let lease = acquire(&mut client, ask()).await;
    let status = client.report_usage(report(&lease.name, 1, 11)).await.unwrap_err();
    assert_eq!((status.code(), &*reason(&status)), (Code::InvalidArgument, "REPORT_EXCEEDS_GRANT"));
    assert_eq!(
        (metadata(&status, "granted"), metadata(&status, "reported")),
        (Some("10".to_owned()), Some("11".to_owned()))
    );
    let calls = Some(pb::CallCounts { not_sent: 11, ..Default::default() });
    let last = pb::ReleaseLeaseRequest { sequence: 1, calls, ..release(&lease.name) };
    assert_eq!(reason(&client.release_lease(last).await.unwrap_err()), "REPORT_EXCEEDS_GRANT");
    assert_eq!(client.report_usage(report(&lease.name, 1, 10)).await.unwrap().into_inner().calls_left, 0);
    let counted = pb::ReleaseLeaseRequest { calls: Some(pb::CallCounts::default()), ..release(&lease.name) };
    let status = client.release_lease(counted).await.unwrap_err();
    assert!(status.message().starts_with("sequence"), "a last report needs its number: {}", status.message());
}
