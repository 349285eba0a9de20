//! Reports that can't be true, make no sense, or are far too large.

use token_broker::grpc::pb::{self, ErrorReason};
use tonic::Code;

use super::{Standing, is};
use crate::support::Scene;

fn report(lease: &str, calls: pb::CallCounts) -> pb::ReportUsageRequest {
    pb::ReportUsageRequest { lease: lease.to_owned(), sequence: 1, calls: Some(calls), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_report_that_can_not_be_true_settles_nothing() {
    let scene = Scene::with_tokens(1).await;
    let lease = scene.collector.acquire(scene.search(5)).await.unwrap().name;
    let before = Standing::of(&scene).await;
    let counts = |ok, not_sent| pb::CallCounts { ok, not_sent, ..Default::default() };
    let most = i32::MAX;
    let all = pb::CallCounts { ok: most, error: most, throttled: most, unknown: most, not_sent: most };
    for calls in [counts(6, 0), counts(3, 3), counts(most, 0), all] {
        let refused = scene.collector.report(report(&lease, calls)).await.unwrap_err();
        is(&refused, Code::InvalidArgument, ErrorReason::ReportExceedsGrant, "too many calls");
        assert_eq!(refused.metadata["granted"], "5", "{refused:?}");
        let release =
            pb::ReleaseLeaseRequest { lease: lease.clone(), sequence: 1, calls: Some(calls), ..Default::default() };
        let refused = scene.collector.release(release).await.unwrap_err();
        is(&refused, Code::InvalidArgument, ErrorReason::ReportExceedsGrant, "too many calls in the last report");
    }
    for (what, request) in [
        ("calls", report(&lease, counts(-1, 0))),
        ("calls", report(&lease, counts(2, -2))),
        ("sequence", pb::ReportUsageRequest { sequence: 0, ..report(&lease, counts(1, 0)) }),
        ("sequence", pb::ReportUsageRequest { sequence: -7, ..report(&lease, counts(1, 0)) }),
        ("want_calls", pb::ReportUsageRequest { want_calls: -1, ..report(&lease, counts(1, 0)) }),
        ("want_calls", pb::ReportUsageRequest { want_calls: most, ..report(&lease, counts(1, 0)) }),
    ] {
        let refused = scene.collector.report(request).await.expect_err(what);
        is(&refused, Code::InvalidArgument, ErrorReason::InvalidField, what);
        assert!(refused.fields.iter().any(|field| field.starts_with(what)), "{what}: {refused:?}");
    }
    assert_eq!(Standing::of(&scene).await, before);
    let settled = scene.collector.report(report(&lease, counts(5, 0))).await.unwrap();
    assert_eq!((settled.calls_left, settled.sequence), (0, 1), "the true report is taken under the same number");
    let again = scene.collector.report(report(&lease, counts(5, 0))).await.unwrap();
    assert_eq!((again.calls_left, again.sequence), (0, 1), "and once only");
}

fn answer(headers: &[(&str, &str)]) -> pb::NetworkAnswer {
    let headers = headers.iter().map(|(name, value)| pb::Header { name: (*name).into(), value: (*value).into() });
    pb::NetworkAnswer { http_status: 200, headers: headers.collect(), ..Default::default() }
}

/// What is left of a class on the only token.
async fn left(scene: &Scene, class: &str) -> i64 {
    let token = scene.admin.token(&scene.tokens[0].name).await.unwrap();
    token.buckets.iter().find(|bucket| bucket.credit_class == class).unwrap_or_else(|| panic!("{token:?}")).left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn headers_that_make_no_sense_give_no_credit() {
    let scene = Scene::with_tokens(1).await;
    let lease = scene.collector.acquire(scene.search(50)).await.unwrap().name;
    let before = left(&scene, "search_recent").await;
    let senseless: &[&[(&str, &str)]] = &[
        &[("x-rate-limit-remaining", "many"), ("x-rate-limit-limit", "-5"), ("x-rate-limit-reset", "soon")],
        &[("x-rate-limit-remaining", "99999999999999999999999999"), ("x-rate-limit-limit", "1e400")],
        &[("x-rate-limit-remaining", "100000"), ("x-rate-limit-limit", "300"), ("x-rate-limit-reset", "12")],
        &[("x-rate-limit-remaining", "299"), ("x-rate-limit-remaining", "298")],
        &[("retry-after", "Thu, 99 Foo 2026"), ("", ""), ("\u{0}", "\u{fffd}")],
    ];
    for (headers, sequence) in senseless.iter().zip(1..) {
        let calls = Some(pb::CallCounts { ok: 1, ..Default::default() });
        let request = pb::ReportUsageRequest {
            lease: lease.clone(),
            sequence,
            calls,
            answer: Some(answer(headers)),
            ..Default::default()
        };
        let settled =
            scene.collector.report(request).await.unwrap_or_else(|refused| panic!("{headers:?}: {refused:?}"));
        assert_eq!(settled.sequence, sequence, "the report itself is taken");
        assert!(left(&scene, "search_recent").await <= before, "{headers:?} raised what is believed");
    }
    let contradictory = [("x-rate-limit-remaining", "250"), ("x-rate-limit-remaining", "7")];
    for (headers, sequence, most) in [(&contradictory[..], 6, before), (&contradictory[1..], 7, 7)] {
        let request = pb::ReportUsageRequest {
            lease: lease.clone(),
            sequence,
            calls: Some(pb::CallCounts { ok: 1, ..Default::default() }),
            answer: Some(answer(headers)),
            ..Default::default()
        };
        scene.collector.report(request).await.unwrap();
        let left = left(&scene, "search_recent").await;
        assert!(left <= most, "{headers:?} leave {left}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_report_of_a_megabyte_is_refused_and_the_lease_goes_on() {
    let scene = Scene::with_tokens(1).await;
    let lease = scene.collector.acquire(scene.search(5)).await.unwrap().name;
    let before = Standing::of(&scene).await;
    let with = |answer| pb::ReportUsageRequest {
        answer: Some(answer),
        ..report(&lease, pb::CallCounts { ok: 1, ..Default::default() })
    };
    let huge = "v".repeat(1 << 20);
    let long = "v".repeat(8 * 1024 + 1);
    let many = vec![("x", "y"); 65];
    let body = pb::NetworkAnswer { body: vec![b'b'; 64 * 1024 + 1].into(), ..answer(&[]) };
    for (what, answer) in [
        ("headers", answer(&[("x-rate-limit-remaining", &long)])),
        ("headers", answer(&many)),
        ("body", body),
        ("http_status", pb::NetworkAnswer { http_status: 1000, ..answer(&[]) }),
    ] {
        let refused = scene.collector.report(with(answer)).await.expect_err(what);
        is(&refused, Code::InvalidArgument, ErrorReason::InvalidField, what);
        assert!(refused.fields.iter().any(|field| field.contains(what)), "{what}: {refused:?}");
    }
    let status = scene.collector.leases().report_usage(with(answer(&[("x", &huge)]))).await.unwrap_err();
    assert!([Code::OutOfRange, Code::ResourceExhausted, Code::InvalidArgument].contains(&status.code()), "{status:?}");
    assert!(status.message().contains("262144") || status.message().contains("256"), "it names the limit: {status:?}");
    assert_eq!(Standing::of(&scene).await, before);
    scene.collector.report(report(&lease, pb::CallCounts { ok: 5, ..Default::default() })).await.unwrap();
}
