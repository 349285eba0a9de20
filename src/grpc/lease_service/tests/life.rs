//! What a worker does from its first lease to its last report.

use super::*;
use crate::grpc::convert::{from_timestamp, timestamp};
use crate::store::AuditFilter;

#[tokio::test]
async fn a_whole_lease_life() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let lease = acquire(&mut client, pb::AcquireLeaseRequest { collection: "brand".to_owned(), ..ask() }).await;
    assert_eq!(lease.access_token, ACCESS);
    assert_eq!((lease.calls_granted, lease.calls_left), (10, 10));
    assert_eq!(lease.grants, [pb::Grant { credit_class: "reads".to_owned(), credits: 10 }]);
    assert_eq!((&*lease.team, &*lease.network, &*lease.kind), ("teams/acme", "networks/toy", "user"));
    assert_eq!((&*lease.api_base, &*lease.profile), ("https://api.toy.example/1", "profile-1"));
    assert_eq!(lease.holder, format!("teams/acme/collectors/{}", bench.collector.id));
    assert_eq!(lease.expire_time, Some(timestamp(bench.now() + Duration::from_secs(300))));
    assert!(from_timestamp(lease.use_by.as_ref().unwrap()) > bench.now());
    assert_eq!(lease.state(), pb::LeaseState::Active);

    let more = pb::ReportUsageRequest { want_calls: 5, ..report(&lease.name, 1, 4) };
    let standing = client.report_usage(more).await.unwrap().into_inner();
    assert_eq!((standing.calls_granted, standing.calls_left, standing.sequence), (5, 11, 1));
    assert_eq!(standing.verdict(), pb::Verdict::Keep);

    let extend = pb::ExtendLeaseRequest { lease: lease.name.clone(), ttl: seconds(600), ..Default::default() };
    let extended = client.extend_lease(extend).await.unwrap().into_inner();
    assert_eq!(extended.expire_time, Some(timestamp(bench.now() + Duration::from_secs(600))));

    let shown = client.get_lease(pb::GetLeaseRequest { name: lease.name.clone() }).await.unwrap().into_inner();
    let shown = shown.lease.unwrap();
    assert_eq!((&*shown.access_token, shown.calls_granted, shown.calls_left), ("", 15, 11));
    assert_eq!((&*shown.collection, shown.purpose()), ("brand", pb::Purpose::CollectContent));

    let last = pb::ReleaseLeaseRequest {
        sequence: 2,
        calls: Some(pb::CallCounts { ok: 1, not_sent: 2, ..Default::default() }),
        ..release(&lease.name)
    };
    assert_eq!(client.release_lease(last).await.unwrap().into_inner().calls_returned, 10);
    let again = client.release_lease(release(&lease.name)).await.unwrap().into_inner();
    assert_eq!(again.calls_returned, 0, "releasing twice is no error");

    let opened = AuditFilter { action: Some("lease.open".to_owned()), ..AuditFilter::default() };
    assert_eq!(bench.broker.store.list_audit(opened, 10).await.unwrap().len(), 1);
    let used = acquire(&mut client, pb::AcquireLeaseRequest { calls: 85, ..ask() }).await;
    assert_eq!(used.calls_granted, 85, "90 may be spent, and 5 were");
}

#[tokio::test]
async fn wanted_calls_are_granted_all_or_none() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let lease = acquire(&mut client, pb::AcquireLeaseRequest { calls: 80, ..ask() }).await;
    let more = pb::ReportUsageRequest { want_calls: 11, ..report(&lease.name, 1, 80) };
    let standing = client.report_usage(more).await.unwrap().into_inner();
    assert_eq!((standing.calls_granted, standing.calls_left), (0, 0));
    assert_eq!(standing.verdict(), pb::Verdict::Keep, "wanting never fails a report");
    assert!(standing.stop_until.is_some(), "it says when to ask again");
    let fewer = pb::ReportUsageRequest { want_calls: 10, ..report(&lease.name, 2, 0) };
    assert_eq!(client.report_usage(fewer).await.unwrap().into_inner().calls_granted, 10);
}

#[tokio::test]
async fn different_keys_are_counted_once_each_also_in_a_report() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    let search = pb::AcquireLeaseRequest { operation: "tags.search".to_owned(), distinct_keys: tags(&["a"]), ..ask() };
    let lease = acquire(&mut client, search).await;
    let want = |sequence, keys: &[&str]| pb::ReportUsageRequest {
        want_calls: 1,
        want_distinct_keys: tags(keys),
        ..report(&lease.name, sequence, 0)
    };
    let granted = |standing: tonic::Response<pb::ReportUsageResponse>| standing.into_inner().calls_granted;
    assert_eq!(granted(client.report_usage(want(1, &["a", "b"])).await.unwrap()), 1);
    // Three may be open; a tenth of them, rounded down, is kept.
    assert_eq!(granted(client.report_usage(want(2, &["c", "d"])).await.unwrap()), 0);
    assert_eq!(granted(client.report_usage(want(3, &["b", "a"])).await.unwrap()), 1, "open keys cost nothing");
}

#[tokio::test]
async fn the_verdict_follows_the_networks_answer() {
    let cases = [
        (answer(200, ""), pb::Verdict::Keep, pb::TokenReason::Unspecified),
        (answer(429, ""), pb::Verdict::StopUntil, pb::TokenReason::Unspecified),
        (answer(401, ""), pb::Verdict::TokenDead, pb::TokenReason::Unspecified),
        (answer(401, r#"{"error":"gone"}"#), pb::Verdict::TokenDead, pb::TokenReason::RevokedByPerson),
        (answer(0, ""), pb::Verdict::Keep, pb::TokenReason::Unspecified),
    ];
    for (answer, verdict, reason) in cases {
        let bench = Bench::start().await;
        let mut client = bench.client().await;
        let lease = acquire(&mut client, ask()).await;
        let failed = pb::ReportUsageRequest {
            calls: Some(pb::CallCounts { error: 1, ..Default::default() }),
            answer: answer.clone(),
            ..report(&lease.name, 1, 0)
        };
        let standing = client.report_usage(failed).await.unwrap().into_inner();
        assert_eq!((standing.verdict(), standing.reason()), (verdict, reason), "{answer:?}");
        assert_eq!(standing.stop_until.is_some(), verdict == pb::Verdict::StopUntil, "{answer:?}");
    }
}

#[tokio::test]
async fn a_tokens_end_is_durable_before_its_report_is_answered() {
    let bench = Bench::without_token().await;
    let token = bench.add_token(|_| {}).await;
    let mut client = bench.client().await;
    let lease = acquire(&mut client, ask()).await;
    let gone = pb::ReportUsageRequest { answer: answer(401, r#"{"error":"gone"}"#), ..report(&lease.name, 1, 1) };
    client.report_usage(gone).await.unwrap();
    let stored = bench.broker.store.find_token(token).await.unwrap().unwrap();
    assert!(matches!(stored.token.state, TokenState::Invalid { .. }), "{:?}", stored.token.state);
    let later = client.report_usage(report(&lease.name, 2, 0)).await.unwrap().into_inner();
    assert_eq!(later.verdict(), pb::Verdict::TokenDead);
    assert_eq!(later.reason(), pb::TokenReason::RevokedByPerson);
    client.release_lease(release(&lease.name)).await.unwrap();
}

#[tokio::test]
async fn calls_without_an_answer_prove_nothing() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let lease = acquire(&mut client, ask()).await;
    let throttled = pb::ReportUsageRequest {
        calls: Some(pb::CallCounts { throttled: 1, ..Default::default() }),
        ..report(&lease.name, 1, 0)
    };
    let standing = client.report_usage(throttled).await.unwrap().into_inner();
    assert_eq!(standing.verdict(), pb::Verdict::StopUntil, "the counts alone tell of the limit");
    let unknown = pb::ReportUsageRequest {
        calls: Some(pb::CallCounts { unknown: 1, ..Default::default() }),
        ..report(&lease.name, 2, 0)
    };
    client.report_usage(unknown).await.unwrap();
    let refused = client.acquire_lease(ask()).await.unwrap_err();
    assert_eq!(reason(&refused), "LIMITED_UNTIL", "a time-out does not end the pause");
}

#[tokio::test]
async fn operators_see_leases_and_holders_their_own() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(acquire(&mut client, ask()).await.name);
    }
    client.release_lease(release(&names[0])).await.unwrap();
    let mut reader = bench.client_with(Some(&add_reader(&bench.broker))).await;
    let first = pb::ListLeasesRequest { page_size: 1, team: "teams/acme".to_owned(), ..Default::default() };
    let page = reader.list_leases(first.clone()).await.unwrap().into_inner();
    assert_eq!(page.leases[0].name, names[2], "the newest first");
    let next = pb::ListLeasesRequest { page_token: page.next_page_token, ..first.clone() };
    let page = reader.list_leases(next.clone()).await.unwrap().into_inner();
    assert_eq!((&page.leases[0].name, &*page.next_page_token), (&names[1], ""), "the released one is not active");
    let other = pb::ListLeasesRequest { team: String::new(), ..next };
    assert_eq!(reason(&reader.list_leases(other).await.unwrap_err()), "PAGE_TOKEN_INVALID");

    bench.broker.engine.write_back().await.unwrap();
    let released = pb::ListLeasesRequest { state: pb::LeaseState::Released.into(), ..Default::default() };
    let page = reader.list_leases(released).await.unwrap().into_inner();
    assert_eq!(page.leases.iter().map(|lease| &lease.name).collect::<Vec<_>>(), [&names[0]]);
    assert!(page.leases[0].end_time.is_some() && page.leases[0].access_token.is_empty());

    let (_, stranger) = add_collector(&bench.broker, |_| {}).await;
    let mut stranger = bench.client_with(Some(&stranger)).await;
    let get = pb::GetLeaseRequest { name: names[1].clone() };
    assert_eq!(reason(&stranger.get_lease(get.clone()).await.unwrap_err()), "LEASE_NOT_FOUND");
    assert!(client.get_lease(get.clone()).await.is_ok() && reader.get_lease(get).await.is_ok());
    let refused = client.list_leases(pb::ListLeasesRequest::default()).await.unwrap_err();
    assert_eq!(reason(&refused), "ROLE_NOT_ALLOWED");
}

#[tokio::test]
async fn an_admin_may_lease_by_hand_and_end_any_lease() {
    let bench = Bench::start().await;
    let (mut client, mut admin) = (bench.client().await, bench.admin_client().await);
    let by_hand = acquire(&mut admin, ask()).await;
    assert_eq!(by_hand.holder, "");
    assert!(admin.report_usage(report(&by_hand.name, 1, 1)).await.is_ok());
    assert_eq!(reason(&client.report_usage(report(&by_hand.name, 2, 1)).await.unwrap_err()), "LEASE_NOT_FOUND");
    let lease = acquire(&mut client, ask()).await;
    let foreign = admin.report_usage(report(&lease.name, 1, 1)).await.unwrap_err();
    assert_eq!(reason(&foreign), "LEASE_NOT_FOUND", "only the holder reports");
    assert_eq!(admin.release_lease(release(&lease.name)).await.unwrap().into_inner().calls_returned, 10);
}
